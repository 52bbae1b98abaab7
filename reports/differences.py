"""The difference of two runs, and whether the second is the worse one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.headline import headline
from reports.model import Cell, Level, Run, Verdict
from reports.tally import counted, whole
from reports.verdicts import group

Kind = Literal["broken", "lost", "repaired", "gained", "changed", "added", "removed"]

KINDS: dict[Kind, tuple[str, str]] = {
    "broken": ("fails now", "fail now"),
    "lost": ("can no longer be tested", "can no longer be tested"),
    "repaired": ("fails no more", "fail no more"),
    "gained": ("can be tested now", "can be tested now"),
    "changed": ("differs in another way", "differ in another way"),
    "added": ("is in B only", "are in B only"),
    "removed": ("is in A only", "are in A only"),
}
"""What is said of one cell, and of several; the worst first."""

WORSE: tuple[Kind, ...] = ("broken", "lost")


@dataclass(frozen=True)
class Difference:
    """A cell of which two runs say different things."""

    kind: Kind
    cell: str
    level: Level
    before: Verdict | None
    after: Verdict | None
    detail: str | None


def differences(first: Run, second: Run) -> list[Difference]:
    """The cells that differ, the worst first."""
    before = {cell.id: cell for cell in first.cells}
    after = {cell.id: cell for cell in second.cells}
    found = list(_differences(before, after, first, second))
    order = list(KINDS)
    levels = ["must", "should", "may"]
    return sorted(found, key=lambda each: (order.index(each.kind), levels.index(each.level), each.cell))


def _differences(before: dict[str, Cell], after: dict[str, Cell], first: Run, second: Run) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        cell = new or old
        assert cell is not None
        if kind := _kind(old, new, first, second):
            yield Difference(
                kind,
                name,
                cell.level,
                old.verdict if old else None,
                new.verdict if new else None,
                (headline(new) or None) if new else None,
            )


def _kind(old: Cell | None, new: Cell | None, first: Run, second: Run) -> Kind | None:
    """What became of a cell. A cell that only one run planned is no difference in quality.

    Only where the first run had every cell that there was does a new one that fails show something worse.
    """
    if old is None:
        assert new is not None
        return "broken" if group(new.verdict) == "failed" and whole(first) else "added"
    if new is None:
        if second.complete or not _told(old):
            return "removed"  # nobody asked for it in the second run
        return "lost"  # the second run was cut off before it
    if old.verdict == new.verdict:
        return None
    before, after = group(old.verdict), group(new.verdict)
    # Listed or not: a known deviation fails, and a list that changed makes no build worse or better.
    failed, fails = before in ("failed", "known"), after in ("failed", "known")
    if failed and fails:
        return "changed"
    if after == "failed" or (before == "passed" and fails):
        return "broken"
    if failed and after == "passed":
        return "repaired"
    if _told(old) and not _told(new):
        # Out of scope is a statement about versions, not about the build.
        return "changed" if new.verdict == "not-applicable" else "lost"
    if not _told(old) and _told(new):
        return "gained"
    return "changed"


def _told(cell: Cell) -> bool:
    return group(cell.verdict) in ("passed", "failed", "known")


def in_common(first: Run, second: Run) -> int:
    """How many cells two runs share."""
    return len({cell.id for cell in first.cells} & {cell.id for cell in second.cells})


def worse(found: list[Difference]) -> bool:
    """Whether the second run is the worse one."""
    return any(each.kind in WORSE for each in found)


def of_kind(found: list[Difference]) -> dict[Kind, list[Difference]]:
    """The differences kind by kind, the worst first, without the kinds that there are none of."""
    kinds = {kind: [each for each in found if each.kind == kind] for kind in KINDS}
    return {kind: some for kind, some in kinds.items() if some}


def said(kind: Kind, number: int) -> str:
    """``1 cell fails now``, ``7 cells fail now``."""
    one, several = KINDS[kind]
    return f"{counted(number, 'cell')} {one if number == 1 else several}"
