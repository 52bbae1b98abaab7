"""Durations: the time of a call, by which a cost that grows is told from one that does not.

The clock counts the time that this thread has a processor, so that whatever else the machine does can lengthen nothing
but what the caches make of it, and the shortest of several rounds is taken. Where Linux tells how long the thread stood
in the queue for a processor, what it sleeps or waits for another thread counts as well: that is the time on the wall
but for the queue. Where the clock is too coarse nothing is decided.
Reference: https://docs.python.org/3/library/time.html#time.thread_time_ns,
https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from conformance.engine.mismatch import Discard

COARSEST = 1e-5  # seconds
QUEUES = "/proc/thread-self/schedstat"  # of this thread, nanoseconds on a processor and in the queue for one


class Clock:
    """Nanoseconds that this thread works, sleeps and waits, but for its time in the queue for a processor."""

    def __init__(self, queues: str = QUEUES) -> None:
        self.queue = _opened(queues)

    def close(self) -> None:
        """Read no more."""
        if self.queue is not None:
            os.close(self.queue)

    def now(self) -> int:
        """Nanoseconds since some moment."""
        if self.queue is None:
            return time.thread_time_ns()
        while True:  # what the thread waits between two readings must be in both or in neither
            queued = self._queued()
            wall = time.perf_counter_ns()
            if self._queued() == queued:
                return wall - queued

    def _queued(self) -> int:
        assert self.queue is not None
        return int(os.pread(self.queue, 64, 0).split()[1])


def _opened(path: str) -> int | None:
    """The file of the thread's queue; None where there is none, or one that nothing is counted in."""
    try:
        queue = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    figures = os.pread(queue, 64, 0).split()
    if len(figures) == 3 and int(figures[0]) > 0:
        return queue
    os.close(queue)
    return None


def shortest(act: Callable[[], Any], rounds: int = 10, calls: int = 5, enough: float = float("inf")) -> float:
    """Microseconds that a call takes this thread in the shortest of some rounds, after a call that is not counted.

    Where that one alone takes ``enough`` microseconds there is only one more: the first may have imported a module.
    """
    with undisturbed() as clock:
        first = _round(act, 1, clock) / 1000
        if first > enough:
            return min(first, _round(act, 1, clock) / 1000)
        return min(_round(act, calls, clock) for _ in range(rounds)) / 1000 / calls


def in_turns(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> list[tuple[int, int]]:
    """Nanoseconds that each of two calls takes this thread, in rounds of both, after one that is not counted."""
    with undisturbed() as clock:
        one(), other()
        return [(_round(one, 1, clock), _round(other, 1, clock)) for _ in range(rounds)]


def in_turns_on_device(
    one: Callable[[], Any], other: Callable[[], Any], rounds: int, device: str
) -> list[tuple[int, int]]:
    """The same in nanoseconds of the device, between two events of its stream; raises Discard where it has none."""
    module: Any = getattr(torch, torch.device(device).type, None)
    if not hasattr(module, "Event") or not hasattr(module, "synchronize"):
        raise Discard(f"{device} has no events to time a call with")
    one(), other()
    module.synchronize(device)
    return [(_between_events(one, module), _between_events(other, module)) for _ in range(rounds)]


def _between_events(act: Callable[[], Any], module: Any) -> int:
    start, end = module.Event(enable_timing=True), module.Event(enable_timing=True)
    start.record()
    act()
    end.record()
    end.synchronize()
    return int(start.elapsed_time(end) * 1e6)


@contextmanager
def undisturbed() -> Iterator[Clock]:
    """A clock, and no collection of garbage; raises Discard where the clock is too coarse."""
    if time.get_clock_info("thread_time").resolution > COARSEST:
        raise Discard("the clock of the thread is too coarse to time a call")
    clock = Clock()
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield clock
    finally:
        clock.close()
        if collecting:
            gc.enable()


def _round(act: Callable[[], Any], calls: int, clock: Clock) -> int:
    start = clock.now()
    for _ in range(calls):
        act()
    return clock.now() - start
