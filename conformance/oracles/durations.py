"""Durations: the processor time of a call, by which a cost that grows is told from one that does not.

The clock counts the time of this thread alone, so that whatever else the machine does can lengthen nothing but what
the caches make of it, and the shortest of several rounds is taken. Where the clock is too coarse nothing is decided.
Reference: https://docs.python.org/3/library/time.html#time.thread_time_ns
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from conformance.engine.mismatch import Discard

COARSEST = 1e-5  # seconds


def shortest(act: Callable[[], Any], rounds: int = 10, calls: int = 5, enough: float = float("inf")) -> float:
    """Microseconds of the thread that a call takes in the shortest of some rounds, after a call that is not counted.

    Where that one alone takes ``enough`` microseconds it is the only one.
    """
    with undisturbed():
        first = _round(act, 1) / 1000
        if first > enough:
            return first
        return min(_round(act, calls) for _ in range(rounds)) / 1000 / calls


def in_turns(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> list[tuple[int, int]]:
    """Nanoseconds of the thread that each of two calls takes, in rounds of both, after one that is not counted."""
    with undisturbed():
        one(), other()
        return [(_round(one, 1), _round(other, 1)) for _ in range(rounds)]


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
def undisturbed() -> Iterator[None]:
    """No collection of garbage; raises Discard where the clock is too coarse."""
    if time.get_clock_info("thread_time").resolution > COARSEST:
        raise Discard("the clock of the thread is too coarse to time a call")
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _round(act: Callable[[], Any], calls: int) -> int:
    start = time.thread_time_ns()
    for _ in range(calls):
        act()
    return time.thread_time_ns() - start
