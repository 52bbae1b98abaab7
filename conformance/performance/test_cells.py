"""Throughput of the engine: cases a second on one core, and the time to collect every cell.

Run with ``pytest conformance/performance -n 0 --benchmark-enable``. The figures are those of the best round, since
whatever else the machine does can only make a round slower.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine.binding import check_of
from conformance.engine.cells import Cell, cells_of
from conformance.engine.runner import Plan, run_cell
from conformance.engine.specs import load_area
from conformance.engine.targets import choose
from conformance.engine.words import Verdict

ROOT = Path(__file__).parents[2]
CORNER_CASES = 10_000  # a second, at least
SAMPLED_CASES = 1_000
# seconds beyond "import torch", at most: of the first two areas, and of all that have come since
COLLECTIONS = {
    "inplace, numpy_bridge": (("conformance/test_inplace.py", "conformance/test_numpy_bridge.py"), 1.5),
    "every area": ((), 2.5),
}
# the time of the processor, so that what else runs on the machine does not count
ONE_CORE = pytest.mark.benchmark(timer=time.process_time)


@pytest.fixture(autouse=True)
def one_core(request: pytest.FixtureRequest) -> Iterator[None]:
    """Figures are those of one core, and are only taken where they were asked for."""
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("needs --benchmark-enable")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cell() -> Cell:
    """``inplace.returns-self[add_-cpu]``."""
    loaded = load_area("inplace")
    behaviour = next(each for each in loaded.area.behaviours if each.id == "returns-self")
    return next(each for each in cells_of(loaded, behaviour, choose(["cpu"])) if each.subject_name == "add_")


def rate(benchmark: Any, cases: int) -> float:
    """Cases a second in the best round, kept with the figures."""
    found: float = cases / benchmark.stats.stats.min
    benchmark.extra_info["cases"], benchmark.extra_info["cases_per_second"] = cases, round(found)
    print(f"\n{benchmark.name}: {found:,.0f} cases a second, {cases} cases a round")
    return found


@ONE_CORE
def test_corner_cases(benchmark: Any, cell: Cell) -> None:
    """A cell runs at least 10,000 corner cases a second, building them included."""
    check = check_of(cell)
    outcome = benchmark.pedantic(run_cell, (cell, check, Plan(samples=0)), rounds=30, warmup_rounds=3)

    assert Verdict.PASS is outcome.verdict
    assert CORNER_CASES <= rate(benchmark, outcome.corner)


@ONE_CORE
def test_sampled_cases(benchmark: Any, cell: Cell) -> None:
    """A cell runs at least 1,000 sampled cases a second, drawing them included."""
    check = check_of(cell)
    outcome = benchmark.pedantic(run_cell, (cell, check, Plan(samples=1000)), rounds=5, warmup_rounds=1)

    assert Verdict.PASS is outcome.verdict
    assert SAMPLED_CASES <= rate(benchmark, outcome.sampled)


@pytest.mark.parametrize("areas", COLLECTIONS)
def test_collection(benchmark: Any, tmp_path: Path, areas: str) -> None:
    """Cells are collected within their seconds beyond the import of torch, once the bytecode is there."""
    files, budget = COLLECTIONS[areas]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120)
        return time.perf_counter() - started

    collect = ("-m", "pytest", "-n", "0", "--collect-only", "-q", "--device", "cpu", "-p", "no:cacheprovider", *files)
    importing = min(seconds("-c", "import torch") for _ in range(3))
    benchmark.pedantic(seconds, collect, rounds=3, warmup_rounds=1)
    beyond = benchmark.stats.stats.min - importing
    benchmark.extra_info["beyond_import_torch"] = round(beyond, 3)
    print(f"\ncollection of {areas}: {beyond:.2f} s beyond the import of torch ({importing:.2f} s)")

    assert budget >= beyond
