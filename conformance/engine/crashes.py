"""Crashes: the verdict of a cell whose process did not live to give one."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.engine.binding import check_of
from conformance.engine.cells import Cell, cells_of
from conformance.engine.crumbs import Crumb
from conformance.engine.patience import unanswered
from conformance.engine.runner import Outcome, lost
from conformance.engine.settings import Settings
from conformance.engine.specs import area_of, is_area_module, load_area, specs_of
from conformance.engine.words import Verdict

Found = tuple[Cell, Callable[[Any], Any], Outcome]


def outcome_of(root: Path, node: str, crumb: Crumb | None, settings: Settings, limit: float) -> Found | None:
    """Cell, check and outcome for the node id that a worker died on; None where it was no cell.

    ``limit`` is the number of seconds that a cell may take, 0 for any.
    """
    module = root / node.partition("::")[0]
    cell = _cell(module, node.partition("::")[2], settings) if is_area_module(module) else None
    if cell is None:
        return None
    crumb = crumb if crumb is not None and crumb.node == node[: len(crumb.node)] else None
    if crumb is None:
        return cell, _unknown, Outcome(Verdict.CRASH, reason="the process died: between two cells, or before the first")
    late = crumb.timed_out or (not crumb.fatal and 0 < limit <= crumb.seconds)
    verdict = Verdict.TIMEOUT if late else Verdict.CRASH
    last_words = crumb.fatal or "no last word (killed from outside, or out of memory)"
    ending = unanswered(limit) if late else f"the process died: {last_words}"
    check: Callable[[Any], Any] = _unknown
    case = None
    try:
        check = check_of(cell, module)
        case = _case(cell, check, crumb)
    except Exception as error:  # the verdict stands, whatever the check's module does in this process
        ending += f" (its case cannot be made again: {type(error).__name__}: {error})"
    outcome = Outcome(verdict, reason=ending, seconds=crumb.seconds)
    outcome.failure = lost(case, crumb.phase, ending)
    return cell, check, outcome


def _unknown(case: Any) -> None:
    """Stands for the check of a cell that is not known well enough to be written out."""


def corner_at(cell: Cell, check: Callable[[Any], Any], index: int) -> Any:
    """A corner made again from its number: the list of a cell is the same every time."""
    corners = check.__conformance_inputs__(cell).corners  # type: ignore[attr-defined]
    return next(itertools.islice(iter(corners), index, None), None)


def _cell(module: Path, name: str, settings: Settings) -> Cell | None:
    loaded = load_area(area_of(module), specs_of(module))
    for behaviour in loaded.area.behaviours:
        if name.startswith(f"{behaviour.check}["):
            return next((cell for cell in cells_of(loaded, behaviour, settings.targets) if cell.node == name), None)
    return None


def _case(cell: Cell, check: Callable[[Any], Any], crumb: Crumb) -> Any:
    """The case that was running: made again from its number, or read from the text that the worker left."""
    if crumb.phase == "corner":
        return corner_at(cell, check, crumb.number)
    if crumb.phase == "sampled" and crumb.case:
        module = importlib.import_module(crumb.module)
        # the text is the repr that our own worker wrote a moment ago
        return eval(crumb.case, {**vars(module), "float": float})
    return None
