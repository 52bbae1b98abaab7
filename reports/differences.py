"""The difference of two runs, and whether the second is the worse one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.headline import headline
from reports.model import Cell, Level, Run, Verdict
from reports.tally import counted, whole
from reports.verdicts import MEANINGS, group

Kind = Literal["broken", "lost", "repaired", "gained", "changed", "added", "removed"]

KINDS: dict[Kind, str] = {
    "broken": "fails now",
    "lost": "can no longer be told",
    "repaired": "fails no more",
    "gained": "can be told now",
    "changed": "has another verdict of the same kind",
    "added": "is in the second run only",
    "removed": "is in the first run only",
}
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
    found = list(_differences(before, after, second))
    order = list(KINDS)
    levels = ["must", "should", "may"]
    return sorted(found, key=lambda each: (order.index(each.kind), levels.index(each.level), each.cell))


def _differences(before: dict[str, Cell], after: dict[str, Cell], second: Run) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        cell = new or old
        assert cell is not None
        if kind := _kind(old, new, second):
            yield Difference(
                kind,
                name,
                cell.level,
                old.verdict if old else None,
                new.verdict if new else None,
                (headline(new) or None) if new else None,
            )


def _kind(old: Cell | None, new: Cell | None, second: Run) -> Kind | None:
    """What became of a cell. A cell that only one run planned is no difference in quality, unless it fails."""
    if old is None:
        assert new is not None
        return "broken" if group(new.verdict) == "failed" else "added"
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


def worse(found: list[Difference]) -> bool:
    """Whether the second run is the worse one."""
    return any(each.kind in WORSE for each in found)


def text(first: Run, second: Run, found: list[Difference], longest: int = 50) -> str:
    """The difference for a terminal: the counts, then the cells, the worst first."""
    lines = [
        f"A  torch {first.environment.torch.version}, {counted(len(first.cells), 'cell')}{_doubt(first)}",
        f"B  torch {second.environment.torch.version}, {counted(len(second.cells), 'cell')}{_doubt(second)}",
        "",
    ]
    if not found:
        return "\n".join([*lines, "No cell differs."]) + "\n"
    for kind, says in KINDS.items():
        of_kind = [each for each in found if each.kind == kind]
        if not of_kind:
            continue
        lines.append(f"{counted(len(of_kind), 'cell')}: {says}")
        for each in of_kind[:longest]:
            lines.append(f"  {_word(each.before)} → {_word(each.after)}  {each.level:<6}  {each.cell}")
            if each.detail and kind in WORSE:
                lines.append(f"      {each.detail[:160]}")
        if len(of_kind) > longest:
            lines.append(f"  and {len(of_kind) - longest} more (all of them: --format json)")
        lines.append("")
    lines.append("B is worse than A." if worse(found) else "B is not worse than A.")
    return "\n".join(lines) + "\n"


def _doubt(run: Run) -> str:
    if not run.complete:
        return ", incomplete"
    if not whole(run):
        return ", a selection"
    return ", with suite errors" if run.errors else ""


def _word(verdict: Verdict | None) -> str:
    return f"{MEANINGS[verdict].symbol} {MEANINGS[verdict].word}" if verdict else "· no verdict"


def document(first: Run, second: Run, found: list[Difference]) -> dict[str, object]:
    """The difference for a program."""
    return {
        "worse": worse(found),
        "first": {"torch": first.environment.torch.version, "whole": whole(first), "cells": len(first.cells)},
        "second": {"torch": second.environment.torch.version, "whole": whole(second), "cells": len(second.cells)},
        "counts": {kind: sum(each.kind == kind for each in found) for kind in KINDS},
        "cells": [
            {
                "id": each.cell,
                "kind": each.kind,
                "level": each.level,
                "before": each.before,
                "after": each.after,
                "detail": each.detail,
            }
            for each in found
        ],
    }
