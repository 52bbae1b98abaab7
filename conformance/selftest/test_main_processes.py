"""Processes of cases: what they answer, that none hangs for ever, and that an area of workers leaves nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from conformance.engine.binding import check_of
from conformance.engine.cells import cells_of
from conformance.engine.expectations import SHIPPED, Expectations
from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.runner import Plan, run_cell
from conformance.engine.specs import load_area
from conformance.engine.targets import choose
from conformance.engine.words import Verdict
from conformance.oracles.main_processes import PARTED, PARTING, MainProcess, in_a_main_process, see_off
from conformance.oracles.processes import child_processes, open_files, still_running

# Behaviours whose cases kill, hold, drop or fork most.
UNRULY = (
    "dead-worker-raises", "late-batch-raises", "nothing-stays-open", "dropped-iterator-leaves-no-segments",
    "persistent-epochs-are-whole", "tensors-arrive-as-they-were-made", "spawn-refuses-what-cannot-be-pickled",
    "workers-start-by-the-method-asked-for",
)  # fmt: skip


def raising(error: BaseException) -> None:
    raise error


def counting() -> Iterator[int]:
    yield 1
    yield 2


def with_a_child_that_stays() -> Iterator[int]:
    child = os.fork()
    if not child:
        threading.Event().wait()
    yield child
    threading.Event().wait()


def leaving_a_child_that_ends() -> None:
    """End before the child does, which ends for that."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)


def test_answers_come_one_by_one() -> None:
    """What a generator yields comes as one answer each, and a result as the only one."""
    with MainProcess(counting) as process:
        assert [process.answer("numbers"), process.answer("numbers")] == [1, 2]
    assert in_a_main_process("a sum", sum, [1, 2]) == 3


@pytest.mark.parametrize(
    "error", [Mismatch("a", "b", "c", "d"), Discard("e"), KeyError("f"), ValueError("g")], ids=repr
)
def test_an_exception_of_the_process_is_raised_here(error: Exception) -> None:
    """An exception comes with its type, and a mismatch with all that it says."""
    with pytest.raises(type(error)) as caught:
        in_a_main_process("an exception", raising, error)

    if isinstance(error, Mismatch):
        assert (error.what, error.expected, error.found, error.where) == (
            caught.value.what, caught.value.expected, caught.value.found, caught.value.where,
        )  # fmt: skip


def test_a_process_that_hangs_is_a_mismatch_and_is_ended() -> None:
    """Where no answer comes in time that is said, and the process is gone."""
    started, children = time.monotonic(), set(child_processes())
    with pytest.raises(Mismatch, match=r"expected: an end within 0.3 s"):
        in_a_main_process("a wait", threading.Event().wait, limit=0.3)

    assert time.monotonic() - started < 5
    assert set(child_processes()) <= children


def ended_by(way: str, times: int, marks: Path) -> int:
    """How often this was begun, once it has been ended in a way as often as told."""
    begun = len(list(marks.iterdir()))
    (marks / str(begun)).touch()
    if begun < times and way == "main":
        os.kill(os.getpid(), signal.SIGKILL)
    if begun < times:
        list(DataLoader(range(2), num_workers=1, worker_init_fn=lambda _: os.kill(os.getpid(), signal.SIGKILL)))
    return begun


@pytest.mark.parametrize("way", ["main", "worker"])
def test_a_process_that_somebody_ends_is_run_once_more(way: str, tmp_path: Path) -> None:
    """SIGKILL from outside decides nothing the first time, and is a failure the second."""
    assert in_a_main_process("a process", ended_by, way, 1, tmp_path) == 1

    (tmp_path / "0").unlink()
    (tmp_path / "1").unlink()
    with pytest.raises((Mismatch, RuntimeError), match=r"the end of the process|DataLoader worker"):
        in_a_main_process("a process", ended_by, way, 2, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_children_end_with_the_process_of_a_case() -> None:
    """What the process of a case has forked is known to run on when it is killed alone, and ends when the case does."""
    with MainProcess(with_a_child_that_stays) as process:
        child = process.answer("the child")
        process.pid, group = None, process.pid
        os.kill(group, signal.SIGKILL)
        os.waitpid(group, 0)
        assert not process.all_ended(0.2)
        os.kill(child, signal.SIGKILL)
        assert process.all_ended(5)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are inherited by choice on Linux alone")
def test_an_ended_orphan_is_not_waited_for() -> None:
    """A process whose parent has ended, and which nobody has waited for, does not keep a case from its end."""
    inherit = partial(ctypes.CDLL(None).prctl, 36)  # PR_SET_CHILD_SUBREAPER
    assert inherit(1) == 0
    started, children = time.monotonic(), set(child_processes())
    try:
        in_a_main_process("nothing", leaving_a_child_that_ends)
        assert time.monotonic() - started < PARTING
        assert len(set(child_processes()) - children) == 1
    finally:
        inherit(0)
        for child in set(child_processes()) - children:
            os.waitpid(child, 0)


def leaving_a_child(lasting: float) -> int:
    """End before the child does, which lasts for so many seconds."""
    child = os.fork()
    if not child:
        threading.Event().wait(lasting)
        os._exit(0)
    return child


@pytest.mark.skipif(sys.platform != "linux", reason="nobody lists the processes of a group")
@pytest.mark.parametrize("lasting", [0.3, 60.0])
def test_what_outlasts_its_process_is_not_waited_for_and_ends(lasting: float) -> None:
    """A case ends with its process; what is left of its group ends in its time, or is ended when that is up."""
    started = time.monotonic()
    child = in_a_main_process("a child", leaving_a_child, lasting)
    ((known, begun),) = [each for each in PARTED if each[0] == child]
    assert time.monotonic() - started < PARTING
    assert still_running(known, begun)

    see_off()

    assert not PARTED
    while still_running(known, begun) and time.monotonic() - started < 10:
        threading.Event().wait(0.01)
    assert not still_running(known, begun)


@pytest.mark.parametrize("behaviour", UNRULY)
def test_an_area_of_workers_leaves_nothing_behind(behaviour: str) -> None:
    """After a cell there is no child, no open file and no segment of shared memory more than before."""
    loaded = load_area("dataloader_workers")
    cell = next(
        cell
        for each in loaded.area.behaviours
        if each.id == behaviour
        for cell in cells_of(loaded, each, choose(["cpu"]))
    )
    segments = Path("/dev/shm")
    before = open_files(), {path.name for path in segments.glob("*")}
    children = set(child_processes())  # of tests that ran in this process before

    outcome = run_cell(cell, check_of(cell), Plan(samples=2, seed=0))

    assert outcome.verdict is Verdict.PASS or Expectations([SHIPPED]).of(cell) is not None, outcome
    assert set(child_processes()) <= children
    assert open_files() == before[0]
    left = {path.name for path in segments.glob("*")} - before[1]
    end = time.monotonic() + 20
    # what other processes of the machine make at this moment goes away again, for they take it out of use at once
    while left and time.monotonic() < end:
        threading.Event().wait(0.1)
        left &= {path.name for path in segments.glob("*")}
    assert not left


@pytest.mark.skipif(sys.platform != "linux", reason="nobody lists what a process has open")
def test_a_process_of_a_case_holds_no_pipe_of_its_parent() -> None:
    """Whoever waits for the parent's end at one of its pipes waits for no worker that a case has left."""
    reading, writing = os.pipe()
    try:
        assert not {reading, writing} & set(in_a_main_process("what is open", numbers_of_pipes))
    finally:
        os.close(reading)
        os.close(writing)


def numbers_of_pipes() -> list[int]:
    """The numbers of the pipes that this process has open; what lists them has the first number that is free."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the one that lists them is closed by now
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                found.append(number)
    return found
