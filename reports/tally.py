"""Counting a run, and the one line that says what the counts come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reports.model import Cell, Level, Run
from reports.verdicts import GROUPS, LEVELS, Group, group

State = Literal["conformant", "deviating", "broken", "part", "incomplete", "undecided", "untested"]

MOST_SHARDS = 1000
"""Beyond so many, the shards of a record are not named one by one."""


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
class Limit:
    """Why a run does not speak for the whole suite. Only a run of which something was lost is incomplete."""

    kind: Literal["incomplete", "part"]
    name: str
    says: str
    beyond: str = "Nothing is known of the others."


@dataclass(frozen=True)
class Standing:
    """The answer to *is this build conformant?*"""

    state: State
    words: str
    detail: str


def limit(run: Run) -> Limit | None:
    """What keeps the run from speaking for the whole suite: it broke off, or it was never asked for the whole."""
    if not run.complete:
        if len(run.cells) < run.planned:
            had = f"{len(run.cells):,} of {run.planned:,} planned cells have a verdict"
            return Limit("incomplete", "Incomplete", f"The run was cut off: {had}.")
        if missing := missing_shards(run.settings.arguments):
            names, verb = joined(f"{part}/{of}" for part, of in missing), "is" if len(missing) == 1 else "are"
            shards = "Shard" if len(missing) == 1 else "Shards"
            had = (
                f"{counted(len(run.cells), 'cell')} of the others {'has' if len(run.cells) == 1 else 'have'} a verdict"
            )
            return Limit("incomplete", "Incomplete", f"{shards} {names} {verb} missing: {had}.")
        return Limit("incomplete", "Incomplete", "The run did not end as it should.", "What it has may not be all.")
    if run.settings.shard is not None:
        return Limit("part", "A part", f"This is shard {run.settings.shard} alone: merge the shards to see the whole.")
    if run.available is not None and run.planned < run.available:
        were = "was" if run.planned == 1 else "were"
        return Limit("part", "A selection", f"{run.planned:,} of {run.available:,} cells {were} asked for.")
    return None


def missing_shards(arguments: Iterable[str]) -> list[tuple[int, int]]:
    """The shards that a merged run lacks: it keeps the arguments of those that it has, where it has not all."""
    found = [re.fullmatch(r"--shard=([1-9]\d{0,8})/([1-9]\d{0,8})", argument) for argument in arguments]
    parts = {(int(match[1]), int(match[2])) for match in found if match}
    return sorted({(part, of) for _, of in parts for part in range(1, min(of, MOST_SHARDS) + 1)} - parts)


def whole(run: Run) -> bool:
    """Whether the record speaks for the whole suite: no killed run, no single shard, no selection of cells."""
    return limit(run) is None


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
        held = f"No failing must so far.{listed}{more}{doubts}"
        if run.errors or everything["error"]:
            return Standing("undecided", "Undecided", held)
        found = limit(run)
        assert found is not None
        if found.kind == "incomplete":
            return Standing("incomplete", found.name, held)
        if must.decided:
            but = f" but for {counted(must['known'], 'listed deviation')}" if must["known"] else ""
            return Standing("part", f"{found.name}: no must fails{but}", f"{found.says}{more}{_untested(must)}")
        return Standing("untested", "Not tested", f"No must could be tested.{more}{doubts}")
    if not must.decided:
        return Standing("untested", "Not tested", f"{_nothing(run)}{more}")
    if must["known"]:
        words = f"Conformant but for {counted(must['known'], 'listed deviation')}"
        return Standing("deviating", words, f"No must fails that is not listed.{more}{_untested(must)}")
    return Standing("conformant", "Conformant", f"Every must that could be tested holds.{more}{_untested(must)}")


def _nothing(run: Run) -> str:
    """Why no must has a verdict: none could be tested, or nobody asked for any cell."""
    if run.planned:
        return "No must could be tested."
    timed = len(run.performance.measurements) if run.performance else 0
    were = "was" if timed == 1 else "were"
    return "No cell was asked for." + (f" {counted(timed, 'call')} {were} timed." if timed else "")


def _untested(tally: Tally) -> str:
    return f" {counted(tally['untested'], 'cell')} of a must could not be tested." if tally["untested"] else ""


def _doubts(run: Run, everything: Tally) -> str:
    doubts = ""
    if run.errors or everything["error"]:
        doubts += f" The suite itself broke in {counted(len(run.errors) + everything['error'], 'place')}."
    if found := limit(run):
        doubts += f" {found.says}"
    return doubts


def counted(number: int, noun: str) -> str:
    """``1 cell``, ``2,810 cells``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def joined(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
