"""Costs: every subject of the catalogues that write has its row, and the arithmetic of exponents and ratios."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from conformance.engine.binding import check_of
from conformance.engine.cells import cells_of
from conformance.engine.evidence import MOST_ROWS, tabled
from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.runner import Plan, run_cell
from conformance.engine.specs import load_area
from conformance.engine.subjects import left_out, rows
from conformance.engine.targets import choose
from conformance.engine.words import Verdict
from conformance.inputs.contests import Contest
from conformance.inputs.growths import Growth
from conformance.oracles import contested, growing
from conformance.oracles.contested import takes_less_time, takes_less_time_on_device
from conformance.oracles.exponents import exponent, fitted
from reports.model import Evidence


def priced(kind: str) -> set[str]:
    """The names of the rows of a kind, without what tells variants apart."""
    return {name.partition("-")[0] for name, row in rows("costs").items() if row.kind == kind}


@pytest.mark.parametrize("catalogue", ["out_functions", "further_out_functions"])
def test_every_out_is_priced_or_left_out_with_a_reason(catalogue: str) -> None:
    """A function that takes an out and that nobody prices could copy its result into it unseen."""
    reasons = {name.removesuffix("-out") for name in left_out("costs") if name.endswith("-out")}

    assert set() == set(rows(catalogue)) - priced("out") - reasons
    assert set() == priced("out") & reasons


def test_every_in_place_operator_is_priced_or_left_out_with_a_reason() -> None:
    """An operator that nobody prices could compute its result elsewhere unseen."""
    reasons = {name.removesuffix("in-place") for name in left_out("costs")}

    assert set() == set(rows("operators")) - priced("in-place") - reasons


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_of_a_power_is_found(power: int) -> None:
    """One point that is far off moves it little."""
    sizes = [1 << n for n in range(6, 25, 3)]
    points = [(n, float(n**power)) for n in sizes]
    found = exponent([*points[:3], (sizes[3], 50.0 * sizes[3] ** power), *points[4:]])

    assert abs(found.slope - power) < 0.05
    assert found.low <= power <= found.high


def test_an_exponent_of_few_points_is_none() -> None:
    """Three points tell nothing, and are no evidence."""
    tabled.clear()

    assert fitted("bytes", [(64, 0), (128, 0), (256, 0)], (0.0, 0.0)) is None
    assert {} == tabled
    assert fitted("bytes", [(64, 0), (128, 0), (256, 0), (512, 0)], (0.0, 0.0)) is not None
    assert 0 == tabled["scaling"][0]["exponent"]
    tabled.clear()


@pytest.mark.parametrize(
    ("shares", "error"),
    [([0.2] * 6, None), ([0.9] * 6, Mismatch), ([0.2] * 3 + [0.9] * 3, Discard), ([0.2] * 5 + [0.9], Discard)],
)
def test_a_ratio_that_straddles_its_limit_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], error: type[Exception] | None
) -> None:
    """Only an interval that lies beyond the limit as a whole fails; a machine too noisy to tell is never a guess."""
    times = iter([(int(share * 1000), 1000) for share in shares] * 10)
    monkeypatch.setattr(contested, "in_turns", lambda one, other, rounds: [next(times)])
    case = Contest((), "a = 1", "b = 1", 0.5)
    tabled.clear()

    with pytest.raises(error) if error else nullcontext():
        takes_less_time(case)
    assert 1 == len(tabled["ratios"])
    tabled.clear()


@pytest.mark.parametrize(
    ("many", "error"), [(3.0, None), (5000.0, Mismatch), (60.0, Discard)], ids=["constant", "growing", "noisy"]
)
def test_a_time_that_jumps_and_does_not_grow_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, many: float, error: type[Exception] | None
) -> None:
    """A time above the limit that the sizes before have too tells of the machine."""
    case = Growth((), "n", (64, 4096, 262144, 1 << 24))
    times = [(64, 2.0), (4096, 2.0), (262144, 50.0 if many > 3 else 2.0), (1 << 24, many)]
    monkeypatch.setattr(growing, "best_times", lambda case, **_: times)
    tabled.clear()

    with pytest.raises(error) if error else nullcontext():
        growing.time_does_not_grow(case)
    assert 1 == len(tabled["scaling"])
    tabled.clear()


def test_sizes_that_a_disturbed_attempt_left_out_are_timed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that broke off at a small size hides no growth at the larger ones."""
    case = Growth((), "n", (64, 4096, 262144))
    attempts = iter([[(64, 2.0), (4096, 30_000.0)], *[[(64, 2.0), (4096, 2.0), (262144, 9000.0)]] * 20])
    monkeypatch.setattr(growing, "best_times", lambda case, **_: next(attempts))
    tabled.clear()

    with pytest.raises(Mismatch, match="for 262,144 elements"):
        growing.time_does_not_grow(case)
    tabled.clear()


@pytest.mark.parametrize(
    ("many", "error"), [(280.0, None), (900.0, Mismatch), (680.0, Discard)], ids=["linear", "square", "caches"]
)
def test_a_time_a_little_out_of_proportion_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, many: float, error: type[Exception] | None
) -> None:
    """What outgrows the caches of a busy machine is no square."""
    case = Growth((), "n", (32, 64, 128, 896))
    times = [(32, 10.0), (64, 20.0), (128, 40.0), (896, many)]
    monkeypatch.setattr(growing, "best_times", lambda case, **_: times)
    tabled.clear()

    with pytest.raises(error) if error else nullcontext():
        growing.time_grows_in_proportion(case)
    tabled.clear()


class Clocked:
    """An event as the module of an accelerator has it, on the clock of the host."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing is under way."""

    def elapsed_time(self, end: Clocked) -> float:
        return (end.at - self.at) * 1000


@pytest.mark.parametrize(("one", "error"), [("n = 1", None), ("for _ in range(9): n = sum(range(30000))", Mismatch)])
def test_a_device_is_timed_by_its_own_events(
    monkeypatch: pytest.MonkeyPatch, one: str, error: type[Exception] | None
) -> None:
    """Whatever module of torch the type of the device names has the clock; one without events decides nothing."""
    case = Contest((), one, "n = sum(range(30000))", 1.0, "xpu")
    monkeypatch.setattr(torch, "xpu", SimpleNamespace(Event=Clocked, synchronize=lambda device: None), raising=False)
    tabled.clear()

    with pytest.raises(error) if error else nullcontext():
        takes_less_time_on_device(case)
    assert 1 == len(tabled["ratios"])
    monkeypatch.setattr(torch, "xpu", SimpleNamespace())
    with pytest.raises(Discard, match="no events"):
        takes_less_time_on_device(case)
    tabled.clear()


@pytest.mark.parametrize(
    ("behaviour", "table"),
    [
        ("views-allocate-nothing", "scaling"),
        ("modes-make-no-nodes", "ratios"),
        ("no-grad-keeps-no-intermediates", "ratios"),
    ],
)
def test_what_was_measured_is_in_the_evidence(behaviour: str, table: str) -> None:
    """A cell's evidence has the rows that its cases measured, as the record's model has them, and no others."""
    loaded = load_area("costs")
    cell = next(cells_of(loaded, next(b for b in loaded.area.behaviours if b.id == behaviour), choose(["cpu"])))
    outcome = run_cell(cell, check_of(cell), Plan(samples=0))

    assert Verdict.PASS is outcome.verdict
    assert 1 <= len(outcome.evidence[table]) <= MOST_ROWS
    assert getattr(Evidence.model_validate(outcome.evidence), table)


BY_THE_CLOCK = (
    "sharing-memory-takes-constant-time", "mapping-files-takes-constant-time", "steps-take-time-in-proportion",
    "copies-take-time-in-proportion", "calls-beat-loops", "steps-in-bulk-beat-loops",
    "channels-last-costs-no-convolution-dear", "workers-wait-side-by-side",
)  # fmt: skip
RUNS = 50
LOAD = "while True: bytes(1 << 20)"


@pytest.mark.benchmark
def test_no_load_makes_a_cell_fail(request: pytest.FixtureRequest) -> None:
    """Fifty runs of what the clock decides, beside as many busy processes as there are cores and one more."""
    if "benchmark" not in (request.config.getoption("markexpr") or ""):
        pytest.skip("a measurement of many minutes: run it with -m benchmark")
    loaded = load_area("costs")
    clocked = [behaviour for behaviour in loaded.area.behaviours if behaviour.id in BY_THE_CLOCK]
    cells = [cell for behaviour in clocked for cell in cells_of(loaded, behaviour, choose(["cpu"]))]
    found: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    busy = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        for run in range(RUNS):
            for cell in cells:
                verdict = run_cell(cell, check_of(cell), Plan(samples=0, seed=run)).verdict
                found[verdict.value] += 1
                if verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE):
                    failed[f"{cell.id}: {verdict.value}"] += 1
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(f"\n{RUNS} runs of {len(cells)} cells: {dict(found)}")

    assert len(BY_THE_CLOCK) == len(clocked)
    assert {} == dict(failed)
