"""How far timings spread: the medians of the same call, timed ten times over on a core that does nothing else.

Run with ``tox -e bench``. Whether the core did nothing else is measured, too: beside each median stand those of a
loop and of a copy which have nothing to do with torch. Where these spread, so does everything, and nothing is told.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from conformance.engine.targets import choose
from conformance.performance.clocks import clock_of
from conformance.performance.subjects import Subject, subjects
from conformance.performance.timing import calibrated, one_thread, quiet, rounds_within, spread, timed

REPEATS = 10
MOST_SPREAD = 0.05
IDLE, ATTEMPTS = 3, 12  # times ten medians of an idle core, of each call, and how often they are tried for
CALLS = ("in-place-operator-add_", "in-place-operator-exp_", "layer-Linear-", "optimizer-step-Adam-", "view-slice-")
SOURCE, COPY = np.zeros(1 << 20), np.zeros(1 << 20)  # 8 MiB each, more than a core's own caches


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_spread_of_medians(benchmark: Any, size: str) -> None:
    """The middle half of ten medians of a call lies within 5 % of their median."""
    if not benchmark.enabled:
        pytest.skip("needs --benchmark-enable")
    target = choose(["cpu"])[0]
    chosen = [one for one in subjects((target,)) if one.size == size and one.id.startswith(CALLS)]
    with one_core(), one_thread(), quiet():
        found = {one.words: _spread_of(one) for one in chosen}
        benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["spread"] = {name: None if value is None else round(value, 4) for name, value in found.items()}
    for name, value in found.items():
        told = f"{100 * value:.1f} % over {REPEATS} medians" if value is not None else "the core was too seldom idle"
        print(f"\n{name}: {told}", end="")
    print(f"\nload: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")

    assert found
    assert not {name: value for name, value in found.items() if value is not None and value > MOST_SPREAD}
    busy = [name for name, value in found.items() if value is None]
    if busy:
        pytest.skip(f"expected a core that does nothing else; found a busy one for {', '.join(busy)}")


@contextmanager
def one_core() -> Iterator[None]:
    """Stay on one core, where the system lets us choose: another one has nothing in its caches."""
    choice = getattr(os, "sched_setaffinity", None)
    if choice is None:
        yield
        return
    before = os.sched_getaffinity(0)
    choice(0, {max(before)})
    try:
        yield
    finally:
        choice(0, before)


def _spread_of(subject: Subject) -> float | None:
    """How far ten medians of a call spread on an idle core, half of the time; None where it was too seldom idle."""
    clock = clock_of(subject.target)
    found: list[float] = []
    for _ in range(ATTEMPTS):
        medians, loops, copies = [], [], []
        for _ in range(REPEATS):
            batch, seconds = calibrated(subject.snippet(), clock)
            medians.append(timed(batch, clock, rounds_within(seconds)).median)
            loops.append(_gauged(_loop))
            copies.append(_gauged(_copy))
        if max(spread(loops), spread(copies)) <= MOST_SPREAD:
            found.append(spread(medians))
        if len(found) == IDLE:
            return statistics.median(found)
    return None


def _gauged(work: Callable[[], None]) -> float:
    """The median of five rounds of some work, in seconds."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def _loop() -> None:
    for _ in range(1 << 15):
        pass


def _copy() -> None:
    np.copyto(COPY, SOURCE)
