"""Allocations: the bytes that torch's allocator, and Python's, hand out while something is done.

On the CPU torch's profiler has a record of every allocation of a tensor's memory, and ``tracemalloc`` of what NumPy and
Python ask for; an accelerator's own module counts what its allocator hands out. A back end without such a count
cannot be judged, and its cells are inconclusive.
Reference: https://docs.pytorch.org/docs/stable/profiler.html, https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from conformance.engine.mismatch import Discard

MARK = "aten::swapdims_"


@dataclass(frozen=True)
class Account:
    """Bytes of tensors' memory, and of Python's.

    ``handed_out``: all that was allocated, whether or not it was given back; ``at_most``: the most that was held at
    once, ``left``: what is held at the end, both beyond what was held before; ``python``: the most that Python and
    NumPy held beyond what they held before, 0 on other devices.
    """

    handed_out: int
    at_most: int
    left: int
    python: int = 0


Piece = tuple[Callable[[], Any], Callable[[], Any]]


def accounts(pieces: Iterable[Piece], device: str) -> list[Account]:
    """The account of each piece, an act done once after its preparation, closed while what either made is held."""
    if torch.device(device).type == "cpu":
        return _on_cpu(pieces)
    return [_elsewhere(*piece, device) for piece in pieces]


def _on_cpu(pieces: Iterable[Piece]) -> list[Account]:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler tells of itself on stderr, twice a case
    held: list[int] = []
    running = tracemalloc.is_tracing()
    collecting = gc.isenabled()
    gc.disable()  # what others left behind is not to be given back on this account
    try:
        profile = _profiled(pieces, running, held)
    finally:
        if collecting:
            gc.enable()
    found = zip(_changes_within(profile.kineto_results.events()), held, strict=True)
    return [
        Account(sum(c for c in changes if c > 0), max(accumulate(changes, initial=0)), sum(changes), most)
        for changes, most in found
    ]


def _profiled(pieces: Iterable[Piece], running: bool, held: list[int]) -> Any:
    """The profile of the pieces; ``held`` gets the bytes that Python held for each at most."""
    # the profiler knows the size of what is freed only where it saw it handed out, so it watches the preparations too
    mark = torch.zeros(0)
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        for prepare, act in pieces:
            prepare()
            if not running:
                tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
                _mark(mark)
                act()
                _mark(mark)
                _, most = tracemalloc.get_traced_memory()
            finally:
                if not running:
                    tracemalloc.stop()
            held.append(most - before)
    return profile


def _mark(tensor: torch.Tensor) -> None:
    """Leave an event in the profile that nothing else leaves, and allocate nothing.

    Older profilers have no finer clock than microseconds, so some of them pass before and after.
    """
    _let_microseconds_pass()
    tensor.swapdims_(0, 0)
    _let_microseconds_pass()


def _let_microseconds_pass() -> None:
    start = time.perf_counter_ns()
    while time.perf_counter_ns() - start < 3000:
        pass


def _changes_within(events: Any) -> list[list[int]]:
    """Bytes handed out, and given back as negative numbers, between the marks of each pair."""
    marks = sorted((event for event in events if event.name() == MARK), key=_start)
    memory = sorted((event for event in events if event.name() == "[memory]"), key=_start)
    starts = [_start(event) for event in memory]
    found = []
    for first, second in zip(marks[::2], marks[1::2], strict=True):
        inside = memory[bisect_left(starts, _end(first)) : bisect_right(starts, _start(second))]
        found.append([int(event.nbytes()) for event in inside])
    return found


def _start(event: Any) -> int:
    return int(event.start_ns()) if hasattr(event, "start_ns") else int(event.start_us())


def _end(event: Any) -> int:
    return _start(event) + int(event.duration_ns() if hasattr(event, "duration_ns") else event.duration_us())


def _settle(module: Any, device: str) -> None:
    """Wait for the device, and for the threads of its backward passes, which may hold their last tensors a little."""
    module.synchronize(device)
    for _ in range(50):
        held = module.memory_allocated(device)
        time.sleep(0.0005)
        if module.memory_allocated(device) == held:
            return


def _elsewhere(prepare: Callable[[], Any], act: Callable[[], Any], device: str) -> Account:
    prepare()
    module: Any = getattr(torch, torch.device(device).type, None)
    if not hasattr(module, "memory_stats") or not hasattr(module, "reset_peak_memory_stats"):
        raise Discard(f"{device} keeps no count of its allocations")
    _settle(module, device)
    module.reset_peak_memory_stats(device)
    before = module.memory_stats(device)
    result = act()
    _settle(module, device)
    after = module.memory_stats(device)
    del result
    total, held, peak = (f"allocated_bytes.all.{what}" for what in ("allocated", "current", "peak"))
    start = before.get(held, 0)
    return Account(after.get(total, 0) - before.get(total, 0), after.get(peak, 0) - start, after.get(held, 0) - start)
