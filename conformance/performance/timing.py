"""Timing: rounds of calls, each as long as the clock needs to be told, on a quiet interpreter.

pytest-benchmark runs the rounds where pytest does; the A/B mode runs them itself, since it times two interpreters by
turns. Both call the same batches, so that their figures are of the same thing.
"""

from __future__ import annotations

import gc
import statistics
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from conformance.performance.clocks import Clock
from conformance.performance.snippets import Batch, Snippet

ROUND = 4e-4  # seconds that a round takes at least, where its calls may be as many: thousands of ticks of the clock
BUDGET = 0.04  # seconds of all rounds of a call
FEWEST, MOST = 9, 31  # rounds
LONG, FEWEST_LONG = 0.02, 5  # seconds of a round that is long enough to see little of a short disturbance
SLOW = 0.25  # seconds of a call of which two rounds have to do


@dataclass(frozen=True)
class Times:
    """What rounds took, in seconds a call."""

    rounds: tuple[float, ...]
    calls: int

    @property
    def median(self) -> float:
        """Half of the rounds took longer."""
        return statistics.median(self.rounds)

    @property
    def iqr(self) -> float:
        """The range of the middle half of the rounds."""
        if len(self.rounds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return high - low


def calibrated(snippet: Snippet, clock: Clock, calls: int | None = None) -> tuple[Batch, float]:
    """A batch whose round lasts as long as the clock needs, and how long that is; it has run before: it is warm.

    The number of its calls is a power of two, so that two runs hardly ever differ in it.
    """
    most = snippet.copies()
    batch = Batch(snippet, 1)
    batch()  # what is made at the first call only
    batch.refill()
    seconds = _timed(batch, clock)
    wanted = min(calls or most, most)
    while batch.calls < wanted and (calls is not None or seconds < ROUND):
        # a first guess is of cold calls, so that it may be eight times too few, and never much too many
        guess = wanted if calls is not None else batch.calls * ROUND / max(seconds, ROUND / 64)
        batch = Batch(snippet, min(wanted, max(2 * batch.calls, 1 << int(guess - 1).bit_length())))
        seconds = min(_timed(batch, clock), _again(batch, clock))
    return batch, seconds


def rounds_within(seconds: float, budget: float = BUDGET, fewest: int = FEWEST) -> int:
    """How many rounds of so many seconds there are."""
    if seconds > SLOW:
        return 2
    if seconds > LONG:
        fewest = min(fewest, FEWEST_LONG)
    return max(fewest, min(MOST, int(budget / max(seconds, 1e-9))))


def timed(batch: Batch, clock: Clock, rounds: int) -> Times:
    """The times of some rounds, by themselves."""
    with quiet():
        found = []
        for _ in range(rounds):
            batch.refill()
            found.append(_timed(batch, clock) / batch.calls)
    return Times(tuple(found), batch.calls)


@contextmanager
def quiet() -> Iterator[None]:
    """No garbage is collected while the clock runs, and nobody is warned of what a snippet does over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def one_thread() -> Iterator[int]:
    """Calls on one core: what others do on the other cores cannot be told from what a call does there."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield 1
    finally:
        torch.set_num_threads(before)


def spread(medians: Sequence[float]) -> float:
    """The relative spread of repeated medians: the range of their middle half, by their median."""
    return Times(tuple(medians), 1).iqr / statistics.median(medians)


def _again(batch: Batch, clock: Clock) -> float:
    """One more round: what else runs on the machine makes some of them longer."""
    batch.refill()
    return _timed(batch, clock)


def _timed(batch: Batch, clock: Clock) -> float:
    started = clock()
    batch()
    return clock() - started
