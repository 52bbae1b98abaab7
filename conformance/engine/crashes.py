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
from conformance.engine.runner import Failure, Outcome
from conformance.engine.settings import Settings
from conformance.engine.specs import area_of, is_area_module, load_area, specs_of
from conformance.engine.words import Verdict

Found = tuple[Cell, Callable[[Any], Any], Outcome]


def outcome_of(root: Path, node: str, crumb: Crumb | None, settings: Settings) -> Found | None:
    """Cell, check and outcome for the node id that a worker died on; None where it was no cell."""
    module = root / node.partition("::")[0]
    cell = _cell(module, node.partition("::")[2], settings) if is_area_module(module) else None
    if cell is None:
        return None
    check = check_of(cell, module)
    crumb = crumb if crumb is not None and crumb.node == node[: len(crumb.node)] else None
    verdict = Verdict.TIMEOUT if crumb is not None and crumb.timed_out else Verdict.CRASH
    ending = "no answer within the time limit" if verdict is Verdict.TIMEOUT else (
        f"the process died: {crumb.signal if crumb else 'no word of it'}"
    )  # fmt: skip
    outcome = Outcome(verdict, reason=ending)
    case = _case(cell, check, crumb) if crumb is not None else None
    outcome.failure = lost(case, crumb.phase if crumb is not None else "", ending)
    return cell, check, outcome


def lost(case: Any, phase: str, ending: str) -> Failure | None:
    """The failure of a case that never came back, as far as it is known which."""
    if case is None:
        return None
    what, expected = "the call ends, and the process lives", "an answer or an exception"
    return Failure(case, RuntimeError(ending), what, expected, ending, "", phase)


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
        module = importlib.import_module(type(corner_at(cell, check, 0)).__module__)
        # the text is the repr that our own worker wrote a moment ago
        return eval(crumb.case, {**vars(module), "float": float})  # noqa: S307
    return None
