"""Counting a run, and the one line that says what the counts come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reports.model import Cell, Level, Run
from reports.verdicts import GROUPS, LEVELS, Group, group

State = Literal["conformant", "deviating", "broken", "incomplete", "undecided", "untested"]


@dataclass(frozen=True)
class Tally:
    """How many cells there are of each group."""

    counts: dict[Group, int]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Tally:
        """Count the cells."""
        found = Counter(group(cell.verdict) for cell in cells)
        return cls({name: found[name] for name in GROUPS})

    def __getitem__(self, name: Group) -> int:
        return self.counts[name]

    @property
    def total(self) -> int:
        """All cells, whatever came of them."""
        return sum(self.counts.values())

    @property
    def decided(self) -> int:
        """The cells of which something is known: what could not be tested is neither passed nor failed."""
        return self["failed"] + self["known"] + self["passed"]


@dataclass(frozen=True)
class Standing:
    """The answer to *is this build conformant?*"""

    state: State
    words: str
    detail: str


def whole(run: Run) -> bool:
    """Whether the record speaks for the whole suite: no killed run, no single shard, no selection of cells."""
    return run.complete and run.settings.shard is None and not selection(run)


def selection(run: Run) -> bool:
    """Whether only some of the cells were asked for, by ``-k``, ``--level`` or a path."""
    return run.available is not None and run.planned < run.available


def by_level(run: Run) -> dict[Level, Tally]:
    """The run's counts, level by level."""
    return {level: Tally.of(cell for cell in run.cells if cell.level == level) for level in LEVELS}


def by_area(run: Run) -> dict[tuple[str, Level], Tally]:
    """The run's counts for each area and level that it has cells of."""
    cells: dict[tuple[str, Level], list[Cell]] = {}
    for cell in run.cells:
        cells.setdefault((cell.area, cell.level), []).append(cell)
    return {key: Tally.of(of_key) for key, of_key in cells.items()}


def share(run: Run, tally: Tally) -> str | None:
    """The share of decided cells that pass, rounded down; none for a run that is not whole."""
    if not whole(run) or not tally.decided or run.errors:
        return None
    permille = tally["passed"] * 1000 // tally.decided
    return f"{permille // 10}.{permille % 10} %"


def standing(run: Run) -> Standing:
    """What the run says about the build. A failing *must* outweighs everything; doubts outweigh a pass."""
    levels = by_level(run)
    must, everything = levels["must"], Tally.of(run.cells)
    lesser = levels["should"]["failed"] + levels["may"]["failed"]
    more = f" {counted(lesser, 'cell')} of should or may {'fails' if lesser == 1 else 'fail'}." if lesser else ""
    listed = f" {counted(must['known'], 'listed deviation')} of a must." if must["known"] else ""
    if must["failed"]:
        broken = {
            (cell.area, cell.behaviour)
            for cell in run.cells
            if cell.level == "must" and group(cell.verdict) == "failed"
        }
        subject = f"{counted(must['failed'], 'cell')} of {counted(len(broken), 'behaviour')}"
        verb = "breaks" if must["failed"] == 1 else "break"
        return Standing("broken", "Not conformant", f"{subject} {verb} a must.{listed}{more}{_doubts(run, everything)}")
    if doubts := _doubts(run, everything):
        state: State = "undecided" if run.errors or everything["error"] else "incomplete"
        words = "Undecided" if state == "undecided" else "Incomplete"
        return Standing(state, words, f"No failing must so far.{listed}{more}{doubts}")
    if not must.decided:
        return Standing("untested", "Not tested", f"No must could be tested.{more}")
    untested = f" {counted(must['untested'], 'cell')} could not be tested." if must["untested"] else ""
    if must["known"]:
        words = f"Conformant but for {counted(must['known'], 'listed deviation')}"
        return Standing("deviating", words, f"No must fails that is not listed.{more}{untested}")
    return Standing("conformant", "Conformant", f"Every must that could be tested holds.{more}{untested}")


def _doubts(run: Run, everything: Tally) -> str:
    doubts = ""
    if run.errors or everything["error"]:
        doubts += f" The suite itself broke in {counted(len(run.errors) + everything['error'], 'place')}."
    if not run.complete:
        doubts += f" The run was cut off: {len(run.cells):,} of {run.planned:,} planned cells have a verdict."
    elif run.settings.shard is not None:
        doubts += f" This is shard {run.settings.shard} alone."
    elif selection(run):
        doubts += f" Only {run.planned:,} of {run.available:,} cells were asked for."
    return doubts


def counted(number: int, noun: str) -> str:
    """``1 cell``, ``2,810 cells``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
