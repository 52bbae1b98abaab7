"""What became slower from one run to another: indicative, since a machine does other things too."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_high

from reports.model import Cell, Run
from reports.verdicts import group

LEAST = 50
"""Milliseconds below which the time of a cell is that of the machine around it."""
FACTOR = 2.0
"""How many times as long as before a cell takes that became slower, beside what all cells do."""
FEWEST = 8
"""Pairs of times below which nothing can be told of all cells."""


@dataclass(frozen=True)
class Slower:
    """A cell that takes longer, in milliseconds."""

    cell: str
    before: int
    after: int


@dataclass(frozen=True)
class Slowness:
    """The cells that became slower by more than the others, and by how much the others did."""

    pairs: int
    usual: float
    cells: list[Slower]


def milliseconds(cell: Cell) -> int:
    """The time of a cell, as it is compared."""
    return round(cell.seconds * 1000)


def incomparable(first: Run, second: Run) -> str | None:
    """In which field two runs differ so that their times say nothing of the builds."""
    for name, of in (
        ("processor", lambda run: (run.environment.processor or run.environment.machine, run.environment.cpus)),
        ("profile", lambda run: (run.settings.profile, run.settings.samples, run.settings.seed)),
    ):
        if of(first) != of(second):
            return name
    return None


def slowness(first: Run, second: Run) -> Slowness:
    """The cells of two runs that passed in both, or failed as listed in both, and take so much longer."""
    before = {cell.id: cell for cell in first.cells}
    pairs = []
    for cell in second.cells:
        old = before.get(cell.id)
        if old is None or old.verdict != cell.verdict or group(cell.verdict) not in ("passed", "known"):
            continue
        if min(milliseconds(old), milliseconds(cell)) >= LEAST:
            pairs.append(Slower(cell.id, milliseconds(old), milliseconds(cell)))
    if len(pairs) < FEWEST:
        return Slowness(len(pairs), 1.0, [])
    usual = median_high([pair.after / pair.before for pair in pairs])
    found = [pair for pair in pairs if pair.after / pair.before >= FACTOR * max(usual, 1.0)]
    return Slowness(len(pairs), usual, sorted(found, key=lambda pair: (-pair.after / pair.before, pair.cell)))
