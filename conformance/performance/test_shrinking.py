"""How small a failing random program becomes, and how long that takes on one core.

Run with ``pytest conformance/performance -n 0 --benchmark-enable -k shrink``. The figures of the three ways to meet the
first failing program stand in ``conformance/selftest/README.md``; this one is that of a cell, as a user meets it.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from conformance.selftest.test_programs import LARGEST_MEDIAN, ONE, minimal_of_a_cell


@pytest.mark.benchmark(timer=time.process_time)
def test_failing_programs_shrink(benchmark: Any, request: pytest.FixtureRequest) -> None:
    """In the median over the falsifiers the minimal program of the cell has at most three operations."""
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("needs --benchmark-enable")

    def operations() -> list[int]:
        found = []
        for falsifier in ONE:
            with falsifier.in_place():
                found.append(len(minimal_of_a_cell().steps))
        return sorted(found)

    counts = benchmark.pedantic(operations, rounds=1, warmup_rounds=0)
    benchmark.extra_info["operations"], benchmark.extra_info["median"] = counts, median(counts)
    print(f"\nminimal programs: median {median(counts)} operations; {counts}")

    assert LARGEST_MEDIAN >= median(counts)
