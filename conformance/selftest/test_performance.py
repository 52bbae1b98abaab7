"""The serial phase: what is timed, by which clock, and where it stands in a run and in its record."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conformance.engine import costs, serial
from conformance.engine.appendix import Appendix
from conformance.engine.record import RunRecord
from conformance.engine.settings import UsageError
from conformance.engine.specs import SPECS, load_area
from conformance.engine.subjects import rows
from conformance.engine.targets import Target, choose
from conformance.engine.words import PROFILES
from conformance.inputs.further_outs import operand_named
from conformance.inputs.out_forms import made
from conformance.inputs.tensors import Strided
from conformance.performance import clocks
from conformance.performance.clocks import Untimed, clock_of
from conformance.performance.fingerprint import fingerprint
from conformance.performance.makers import MAKERS, here
from conformance.performance.snippets import ELEMENTS, Batch, Snippet
from conformance.performance.subjects import blocks, chosen, subjects, untold
from conformance.performance.timing import Times, calibrated, rounds_within, timed
from conformance.selftest import records
from conformance.selftest.projects import environment
from reports.reading import load

ROOT = Path(__file__).parents[2]
CPU = choose(["cpu"])
OPENING = {
    "fingerprint": records.fingerprint(), "threads": 1, "yardsticks": [],
}  # fmt: skip


# --- what is timed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("catalogue", sorted(path.stem for path in (SPECS / "catalogue").glob("*.yaml")))
def test_every_row_is_timed_or_left_out_with_a_reason(catalogue: str) -> None:
    """A new row of a catalogue has its timing, or somebody says why it has none."""
    assert [] == untold(catalogue)


def test_each_call_is_timed_once() -> None:
    """No two blocks time the same call, which would be two figures of one thing."""
    assert {} == {name: count for name, count in Counter(x.id for x in subjects(CPU)).items() if count > 1}


def test_what_takes_any_size_is_timed_at_three() -> None:
    """Small, medium and large, as each in-place method is, so are its forms that write elsewhere."""
    kinds = ("in-place operator", "out-of-place counterpart", "out= variant", "in-place activation", "optimizer step")
    sizes: dict[tuple[str, str], list[str]] = {}
    for each in subjects(CPU):
        if each.timing.kind in kinds and each.timing.makes != "own":
            sizes.setdefault((each.timing.kind, each.row.name), []).append(each.size)

    assert len(sizes) > 400
    assert {} == {name: found for name, found in sizes.items() if found != list(ELEMENTS)}


@pytest.mark.filterwarnings("ignore")
def test_functions_with_out_that_work_by_element_are_timed_at_further_sizes() -> None:
    """Of any shape they give a number for each number; the others would give an error, or another shape."""
    timed_at: dict[str, list[str]] = {}
    for each in subjects(CPU):
        if each.timing.makes == "further_out" and here(each.row):
            timed_at.setdefault(each.row.name, []).append(each.size)
    rows_here = [row for row in rows("further_out_functions").values() if row.name in timed_at]
    wrong = [row.name for row in rows_here if by_element(row) != (len(timed_at[row.name]) > 1)]

    assert [] == wrong


def by_element(row: Any) -> bool:
    """Whether a function of tensors alone gives a number for each number."""
    args = operand_named(row.operands, "float32", "cpu")
    if not all(isinstance(x, Strided) and x.shape == (2, 3) for x in args):
        return False
    function: Any = attrgetter(row.name)(torch)
    shapes = ((2, 3), (5,), (2, 1, 7))
    try:
        found = [
            function(
                *(made(replace(x, shape=shape, stride=None, offset=0, size=None, layout="contiguous")) for x in args)
            )
            for shape in shapes
        ]
    except (RuntimeError, IndexError):
        return False
    return all(isinstance(x, torch.Tensor) and tuple(x.shape) == shape for x, shape in zip(found, shapes, strict=True))


def test_blocks_name_what_there_is() -> None:
    """Makers are those of the makers' table, each of them used; the behaviours named are in their areas."""
    timed_blocks = [(loaded, timing) for loaded, _, timing in blocks() if timing.untimed is None]
    behaviours = [name for _, timing in timed_blocks for name in timing.behaviours]

    assert set(MAKERS) == {timing.makes for _, timing in timed_blocks}
    for name in behaviours:
        area, _, own = name.partition(".")
        assert own in {behaviour.id for behaviour in load_area(area).area.behaviours}, name


@pytest.mark.parametrize("block", list(blocks()), ids=lambda x: f"{x[0].area.area}-{x[1]}")
def test_calls_can_be_made_and_made_again(block: Any) -> None:
    """The first and the last rows of each block make calls of the size that they say, which run twice."""
    loaded, number, timing = block
    if timing.untimed is not None:
        return
    rows = chosen(loaded, number, timing)
    names = {row.name for row in [*rows[:2], *rows[-2:]]}
    found = [x for x in subjects(CPU, frozenset({loaded.area.area})) if x.timing is timing and x.row.name in names]
    for subject in found:
        if subject.size == "large" or subject.row.name == "two-workers" or not here(subject.row):
            continue
        snippet = subject.snippet()
        batch = Batch(snippet, 2)
        batch()
        batch.refill()
        batch()
        assert snippet.elements <= 4 * ELEMENTS[subject.size], subject.id


def test_what_the_host_does_alone_is_timed_on_the_host_only() -> None:
    """On an accelerator there are operators and layers, and neither loaders nor modes, which never reach it."""
    found = {(x.timing.kind, x.row.name) for x in subjects((Target("fake:0", "fake:0", "fake", "Fake"),))}

    assert {("in-place operator", "add_"), ("layer", "Linear"), ("file", "save")} <= found
    assert not {kind for kind, _ in found} & {"loader", "bridge", "scheduler step", "shared memory"}
    assert ("mode or hook", "no_grad") not in found


def test_each_call_of_a_round_meets_the_same_numbers() -> None:
    """A call that writes in place has a copy of its own, and has it anew in the next round."""
    start = torch.full((4,), 0.5)
    snippet = Snippet("x.exp_()", {"x": start}, (4,), 4, fresh=("x",))
    batch = Batch(snippet, 3)
    batch()

    once = torch.full((4,), 0.5).exp()
    assert all(torch.equal(once, x) for (x,) in batch.steps)
    assert torch.equal(torch.full((4,), 0.5), start)
    batch.refill()
    batch()
    assert all(torch.equal(once, x) for (x,) in batch.steps)


# --- clocks and rounds ------------------------------------------------------------------------------------------


class FakeEvent:
    """An event on a queue whose time a test sets; single precision, as those of torch are."""

    now = 0.0

    def __init__(self, enable_timing: bool) -> None:
        self.timing, self.at = enable_timing, None

    def record(self) -> None:
        """Note the queue's time."""
        self.at = FakeEvent.now

    def elapsed_time(self, other: FakeEvent) -> float:
        """Milliseconds."""
        assert self.timing
        return float(torch.tensor((other.at - self.at) * 1000, dtype=torch.float32))


def test_an_accelerator_is_timed_by_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a target that is no CPU is its module's events, once it has done all that it was asked to."""
    waited: list[float] = []
    module = SimpleNamespace(Event=FakeEvent, synchronize=lambda: waited.append(FakeEvent.now))
    monkeypatch.setattr(torch, "fake", module, raising=False)
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the host's clock was asked"))
    FakeEvent.now = 0.0
    clocks._event_clock.cache_clear()
    clock = clock_of(Target("fake:0", "fake:0", "fake", "Fake"))
    for _ in range(1000):
        FakeEvent.now += 10.0
        clock()
    before = clock()
    FakeEvent.now += 2e-6

    assert 2e-6 == pytest.approx(clock() - before, rel=1e-3)
    assert len(waited) == 1003


def test_a_target_without_events_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes the clock of the host for that of a device that works behind its back."""
    monkeypatch.setattr(torch, "eventless", SimpleNamespace(synchronize=lambda: None), raising=False)
    clocks._event_clock.cache_clear()
    with pytest.raises(Untimed, match="no Event"):
        clock_of(Target("eventless:0", "eventless:0", "eventless", "Fake"))


def test_rounds_are_as_long_as_the_clock_needs() -> None:
    """Fast calls are many in a round, slow ones are alone, and what rounds there are fits the budget."""
    now = [0.0]

    def call(seconds: float) -> Snippet:
        def wait() -> None:
            now[0] += seconds

        return Snippet("f()", {"f": wait}, (), 0)

    fast, seconds = calibrated(call(1e-6), lambda: now[0])
    slow, _ = calibrated(call(0.1), lambda: now[0])
    times = timed(fast, lambda: now[0], rounds_within(seconds))

    assert (512, 1) == (fast.calls, slow.calls)
    assert 1e-6 == pytest.approx(times.median)
    assert 31 == rounds_within(0.0001)
    assert 9 == rounds_within(0.01)
    assert 5 == rounds_within(0.01, fewest=5)
    assert 5 == rounds_within(0.1)
    assert 2 == rounds_within(1.0)
    assert 0 == Times((1.0,), 1).iqr


def test_a_fingerprint_names_no_host_and_no_path() -> None:
    """What is recorded of a machine is the same each time, and tells nobody whose it is."""
    found = fingerprint(CPU)
    text = json.dumps({**found, "processor": ""})  # a model's name may have a slash in it

    assert found == fingerprint(CPU)
    assert re.fullmatch(r"[0-9a-f]{12}", found["id"])
    assert socket.gethostname() not in text
    assert "/" not in text
    other = fingerprint((*CPU, Target("cuda:0", "cuda:0", "cuda", "Example H200")))
    assert (other["accelerator"], other["id"] == found["id"]) == ("Example H200", False)


# --- its place in a run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "phase"),
    [("performance", True), ("performance or must", True), ("must", False), ("not must", False), ("", False),
     ("performance and must", False), ("not performance", False), ("(", False)],
)  # fmt: skip
def test_the_phase_is_what_m_names(expression: str, phase: bool) -> None:
    """``-m performance`` is the phase; no expression that does not name it is."""
    assert phase is serial.asked(SimpleNamespace(option=SimpleNamespace(markexpr=expression)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        ({}, True),
        ({"profile": "thorough"}, True),
        ({"profile": "smoke"}, False),
        ({"profile": "smoke", "performance": True}, True),
        ({"performance": False}, False),
        ({"keyword": "add_"}, False),
        ({"keyword": "add_", "performance": True}, True),
        ({"markexpr": "must"}, False),
        ({"shard": (2, 3)}, False),
        ({"record_note": os.devnull}, False),
        ({"record_note": None}, False),
        ({"collectonly": True, "performance": True}, False),
    ],
)
def test_when_timings_follow_the_cells(changes: dict[str, Any], follows: bool) -> None:
    """They follow a whole run of ``python -m conformance run``, but for the smoke profile, and wherever it is asked."""
    given = {"record_note": "note", "performance": None, "collectonly": False, "keyword": "", "markexpr": "",
             "shard": None, "color": "auto", **changes}  # fmt: skip
    config = SimpleNamespace(option=SimpleNamespace(**given), stash={serial.NAMED: False}, args_source=None)
    settings = SimpleNamespace(
        profile=PROFILES[given.pop("profile", "default")], shard=given["shard"], targets=CPU, plugins=(), described=(),
        record=Path("run.json"),
    )  # fmt: skip
    found = serial.following(config, settings)  # type: ignore[arg-type]

    assert follows is (found is not None)
    if found is not None and given["keyword"]:
        assert "-k=add_" in found


def test_performance_without_anybody_to_do_it_is_an_error() -> None:
    """``pytest --performance`` would be a run whose record waits for timings that never come."""
    option = SimpleNamespace(record_note=None, performance=True)
    with pytest.raises(UsageError, match="python -m conformance run --performance"):
        serial.following(SimpleNamespace(option=option), None)  # type: ignore[arg-type]


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of this checkout, with no worker but where it says so."""
    words = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)


def test_the_phase_alone(tmp_path: Path) -> None:
    """``pytest -m performance`` times calls, in one process, and writes a record that is complete."""
    path = tmp_path / "run.json"
    ran = command("pytest", "-m", "performance", "-k", "operator-add_-float32-small", "-p", "no:cacheprovider",
                  "--device", "cpu", f"--run-record={path}")  # fmt: skip
    run = load(path).run

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert run.complete
    assert run.performance is not None
    assert ["add_"] == [x.subject for x in run.performance.measurements]
    assert ["copy", "matrix product", "empty call"] == [x.name for x in run.performance.yardsticks]
    assert run.performance.measurements[0].median > 0
    assert ([], 1) == (run.cells, run.performance.threads)


def test_the_phase_after_the_cells(tmp_path: Path) -> None:
    """``python -m conformance run --performance`` has both in one record; the words of ``-k`` hold for both."""
    path = tmp_path / "run.json"
    ran = command("conformance", "run", "--report", tmp_path / "out", "conformance/test_inplace.py", "-n", "1",
                  "--device", "cpu", "--profile", "smoke", "--performance", f"--run-record={path}", "-p",
                  "no:cacheprovider", "-k", "returns_self and add_-cpu or operator-add_-float32-small")  # fmt: skip
    run = load(path).run

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert run.complete
    assert run.performance is not None
    assert "inplace.returns-self[add_-cpu]" in {cell.id for cell in run.cells}
    assert ["add_"] == [x.subject for x in run.performance.measurements]
    assert run.costs[0].cells == len(run.cells)


def test_a_killed_phase_leaves_a_readable_record(tmp_path: Path) -> None:
    """What was timed until then is there, and the record says that it is not complete."""
    path = tmp_path / "run.json"
    words = [sys.executable, "-m", "pytest", "-m", "performance", "-k", "operator-a and small", "-p",
             "no:cacheprovider", "--device", "cpu", f"--run-record={path}"]  # fmt: skip
    with subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        until = time.monotonic() + 120
        while time.monotonic() < until and not (path.exists() and '"subject": "a' in path.read_text()):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    run = load(path).run

    assert not run.complete
    assert run.performance is not None
    assert run.performance.measurements


def test_the_appendix_keeps_every_verdict(tmp_path: Path) -> None:
    """A record goes on with its cells as they were; it is complete where cells and timings both are."""
    path = tmp_path / "run.json"
    cells = records.record(complete=False)
    path.write_text(json.dumps(cells))
    row = records.measurement()
    appendix = Appendix(path, OPENING)
    appendix.add(row)
    half = load(path).run
    appendix.skip("sub_", "no such call")
    appendix.finish(whole=True)
    run = load(path).run

    assert (False, 1) == (half.complete, len(half.performance.measurements if half.performance else ()))
    assert run.complete
    assert len(cells["cells"]) == len(half.cells) == len(run.cells)
    assert run.performance is not None
    assert ["sub_"] == [x.subject for x in run.performance.skipped]
    Appendix(path, OPENING).finish(whole=False)
    assert not load(path).run.complete
    Appendix(path, OPENING).close()
    assert (True, None) == (load(path).run.complete, load(path).run.performance)


def test_a_record_that_timings_are_to_follow_is_not_complete(tmp_path: Path) -> None:
    """A run that is killed between its cells and its timings is not taken for a whole one."""
    document = records.record()
    header = {key: document[key] for key in ("suite", "environment", "settings")}
    for more in (True, False):
        record = RunRecord(tmp_path / "run.json", header)
        record.plan(0, [], [])
        record.finish(more)

        assert load(tmp_path / "run.json").run.complete is not more


# --- costs ------------------------------------------------------------------------------------------------------


def test_the_meter_tells_torch_from_the_suite() -> None:
    """A block that is torch's is nearly all torch's, one of Python has none of it."""
    matrix = torch.ones(256, 256)
    meters = [costs.Meter(), costs.Meter()]
    started = time.perf_counter()
    with meters[0].running():
        for _ in range(20):
            torch.mm(matrix, matrix)
    all_of_it = time.perf_counter() - started
    with meters[1].running():
        sum(x * x for x in range(10_000))

    assert meters[0].seconds is not None
    assert all_of_it / 2 < meters[0].seconds <= all_of_it
    assert meters[1].seconds == 0


def test_costs_are_told_by_area_and_by_cell() -> None:
    """Areas and cells have a row each, the dearest first, with the cases a second."""
    entries = [{**cell, "under_test": 0.01} for cell in records.record(areas=2)["cells"]]
    entries[3]["seconds"] = 2.5
    lines = list(costs.lines(entries, 1))
    cases = sum(entries[3]["cases"].values())

    assert re.search(rf"^{re.escape(entries[3]['id'])} +{cases} +2.500 +0.010 +2.490 +0 +{cases / 2.5:,.0f}$",
                     "\n".join(lines), re.M)  # fmt: skip
    assert 7 == len(lines)
    for given in ("many", "-1", "1.5"):
        with pytest.raises(UsageError, match="--costs: expected a number of cells"):
            costs.asked(given)


def test_a_full_disk_leaves_the_timings_until_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that gets half way leaves no half of a line behind: the record is as the last timing left it."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps(records.record(complete=False)))
    appendix = Appendix(path, OPENING)
    appendix.add(records.measurement())
    real = os.pwrite

    def full(descriptor: int, data: bytes, place: int) -> int:
        if len(data) > 20:
            real(descriptor, data[:20], place)
            raise OSError(28, "No space left on device")
        return real(descriptor, data, place)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        appendix.add(records.measurement(subject="sub_"))
    run = load(path).run

    assert run.performance is not None
    assert (["add_"], False) == ([x.subject for x in run.performance.measurements], run.complete)
    os.close(appendix.descriptor)
