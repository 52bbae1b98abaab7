"""How far timings spread: the medians of the same call, timed ten times over on a core that does nothing else.

Run with ``tox -e bench``. What else runs on the machine is part of what is measured, so that a busy one fails here.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from conformance.engine.targets import choose
from conformance.performance.clocks import clock_of
from conformance.performance.subjects import subjects
from conformance.performance.timing import calibrated, one_thread, quiet, rounds_within, spread, timed

REPEATS = 10
MOST_SPREAD = 0.05
CALLS = ("in-place-operator-add_", "in-place-operator-exp_", "layer-Linear-", "optimizer-step-Adam-", "view-slice-")


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_spread_of_medians(benchmark: Any, size: str) -> None:
    """The middle half of ten medians of a call lies within 5 % of their median."""
    if not benchmark.enabled:
        pytest.skip("needs --benchmark-enable")
    found = {}
    target = choose(["cpu"])[0]
    with one_thread(), quiet():
        for subject in subjects((target,)):
            if subject.size != size or not subject.id.startswith(CALLS):
                continue
            medians = []
            for _ in range(REPEATS):
                batch, seconds = calibrated(subject.snippet(), clock_of(target))
                medians.append(timed(batch, clock_of(target), rounds_within(seconds)).median)
            found[subject.words] = spread(medians)
        benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["spread"] = {name: round(value, 4) for name, value in found.items()}
    for name, value in found.items():
        print(f"\n{name}: {100 * value:.1f} % over {REPEATS} medians", end="")
    print(f"\nload: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")

    assert found
    assert not {name: value for name, value in found.items() if value > MOST_SPREAD}
