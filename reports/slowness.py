"""What became slower from one run to another: calls that both have timed, and never the time that a cell took.

A cell runs once, beside other work: of two runs of one torch, a few cells in a hundred take twice as long in either. A
timing has rounds, so that it says how far it can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.baseline_file import Timed
from reports.baseline_pairs import Pair, compare
from reports.model import Run


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
    """The calls that became slower by more than the others, the most so first, and what the others did."""

    pairs: int
    usual: float
    spread: float
    bar: float
    calls: list[Slower]


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
    found = compare(_timed(first), _timed(second), normalise=False)
    crowd, bar = found.crowd, found.crowd.bar()
    calls = [Slower.of(pair) for pair in found.pairs if crowd.known and pair.slower(bar)]
    return Slowness(crowd.pairs, crowd.usual, crowd.spread, bar, calls)


def _timed(run: Run) -> Timed:
    assert run.performance is not None
    return Timed(Path(), run.environment.torch.version, run.performance)
