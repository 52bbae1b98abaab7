"""What became slower from one run to another: calls that both have timed, and never the time that a cell took.

A cell runs once, beside other work: of two runs of one torch, a few cells in a hundred take twice as long in either. A
timing has rounds, so that it says how far it can be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_high

from reports.baseline_file import Timed
from reports.baseline_pairs import Pair, compare
from reports.model import Run

FACTOR = 1.5
"""A call became slower where even the lower end of its interval is this far above what nearly all calls do."""
NEAR = 0.95
"""So many calls are nearly all: on a quiet machine they lie within 1.1 times of the median, on a busy one within 2."""
FEWEST = 20
"""Pairs of timings below which nothing can be told of all calls, and a busy machine not from a slow build."""


@dataclass(frozen=True)
class Slower:
    """A call that takes longer: seconds before and after, their ratio and how sure it is."""

    call: str
    subject: str
    before: float
    after: float
    ratio: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, pair: Pair) -> Slower:
        """The pair, as it is told."""
        return cls(pair.name, pair.key[0], pair.before, pair.after, pair.ratio, pair.interval)


@dataclass(frozen=True)
class Slowness:
    """The calls that became slower by more than the others, the most so first, and what the others did.

    ``usual`` is the median of all ratios, and nearly all lie within ``spread`` times of it, above or below: where other
    work disturbed a run for longer than a call was timed, the rounds of that call do not show it, and these do.
    """

    pairs: int
    usual: float
    spread: float
    calls: list[Slower]

    @property
    def bar(self) -> float:
        """The ratio above which a call became slower."""
        return FACTOR * max(self.usual, 1.0) * self.spread


def incomparable(first: Run, second: Run) -> str | None:
    """Why the times of two runs say nothing of the builds; None where they do."""
    one, other = first.performance, second.performance
    untimed = [letter for letter, timed in (("A", one), ("B", other)) if timed is None or not timed.measurements]
    if one is None or other is None or untimed:
        return "neither run was timed" if len(untimed) == 2 else f"{untimed[0]} was not timed"
    if one.fingerprint.id != other.fingerprint.id:
        return "they were taken on two machines"
    return None if one.threads == other.threads else "the numbers of threads differ"


def slowness(first: Run, second: Run) -> Slowness:
    """The calls that both runs timed, and those of them that noise cannot have made slower."""
    pairs = compare(_timed(first), _timed(second), normalise=False).pairs
    if len(pairs) < FEWEST:
        return Slowness(len(pairs), 1.0, 1.0, [])
    usual = median_high([pair.ratio for pair in pairs])
    apart = sorted(abs(math.log(pair.ratio / usual)) for pair in pairs)
    spread = math.exp(apart[math.ceil(NEAR * len(apart)) - 1])
    found = Slowness(len(pairs), usual, spread, [])
    return replace(found, calls=[Slower.of(pair) for pair in pairs if pair.slower(found.bar)])


def _timed(run: Run) -> Timed:
    assert run.performance is not None
    return Timed(Path(), run.environment.torch.version, run.performance)
