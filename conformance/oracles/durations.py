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
