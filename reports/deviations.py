"""The listed deviations that runs met: which still fail, and which pass, so that the list is stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reports.model import Run

STALE = "passes, but is listed: "
"""How the suite begins the reason of a deviation that passes."""


@dataclass
class Deviation:
    """A reason and its issue, and for each run the cells that still fail and those that pass."""

    reason: str
    issue: str | None
    known: list[list[int]] = field(default_factory=list)
    fixed: list[list[int]] = field(default_factory=list)


def deviations(runs: Sequence[Run], numbers: Mapping[str, int]) -> list[Deviation]:
    """The deviations of some runs, the stale ones first; ``numbers`` are those of the cells."""
    found: dict[tuple[str, str | None], Deviation] = {}
    for number, run in enumerate(runs):
        for cell in run.cells:
            if cell.verdict not in ("known", "fixed"):
                continue
            reason = (cell.reason or "No reason is recorded.").removeprefix(STALE)
            one = found.setdefault((reason, cell.issue), _empty(reason, cell.issue, len(runs)))
            (one.fixed if cell.verdict == "fixed" else one.known)[number].append(numbers[cell.id])
    return sorted(
        found.values(), key=lambda one: (not any(one.fixed), -sum(map(len, one.known + one.fixed)), one.reason)
    )


def _empty(reason: str, issue: str | None, runs: int) -> Deviation:
    return Deviation(reason, issue, [[] for _ in range(runs)], [[] for _ in range(runs)])
