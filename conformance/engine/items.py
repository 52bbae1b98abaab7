"""Items: cells as pytest collects and runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from math import isfinite
from numbers import Integral, Real
from traceback import walk_tb
from typing import Any

import pytest

from conformance.engine.binding import bind
from conformance.engine.cells import Cell, cells_of
from conformance.engine.costs import Meter
from conformance.engine.failure import allowed, describe
from conformance.engine.patience import Patience, unanswered
from conformance.engine.reproducer import visible
from conformance.engine.runner import Outcome, Plan, own_fault, run_cell
from conformance.engine.settings import Settings
from conformance.engine.sharing import among_cells, forget_plans
from conformance.engine.specs import area_of, load_area, specs_of
from conformance.engine.words import BROKEN, Verdict
from conformance.engine.yamlfile import SpecError

SETTINGS = pytest.StashKey[Settings]()
SUBJECT = pytest.StashKey[str | None]()  # of the cell that ran last
PATIENCE = pytest.StashKey[Patience]()


class CellFailed(Exception):
    """A cell whose verdict fails the run; its text is all that the terminal needs."""


class AreaModule(pytest.Module):
    """The test module of an area: collects cells instead of functions."""

    costly = False

    def collect(self) -> Iterator[CellItem]:
        """One item a cell, in the order of the spec file; a fault in spec or binding is a collection error."""
        settings = self.config.stash[SETTINGS]
        faults: list[str] = []
        try:
            loaded = load_area(area_of(self.path), specs_of(self.path))
            checks = bind(loaded, self.obj)
        except SpecError as error:
            raise self.CollectError(str(error)) from None
        self.costly = loaded.area.costly
        for behaviour in loaded.area.behaviours:
            try:
                for cell in cells_of(loaded, behaviour, settings.targets):
                    yield CellItem.from_parent(
                        self,
                        name=cell.node,
                        nodeid=f"{self.nodeid}::{cell.node}",
                        cell=cell,
                        check=checks[behaviour.id],
                    )
            except SpecError as error:
                faults.append(str(error))
        if faults:
            raise self.CollectError("\n".join(dict.fromkeys("\n".join(faults).splitlines())))


class CellItem(pytest.Item):
    """One cell: runs its cases and carries its verdict."""

    def __init__(self, *, cell: Cell, check: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell, self.check = cell, check
        self.result: dict[str, Any] | None = None
        self.add_marker(cell.behaviour.level.value)
        self.extra_keyword_matches.add(cell.id)  # -k takes the name that reports and messages show

    def runtest(self) -> None:
        """Run the cell, judge its outcome against the listed deviations, and report it to pytest."""
        settings = self.config.stash[SETTINGS]
        if self.cell.subject_name != self.config.stash.get(SUBJECT, None):
            forget_plans()
            self.config.stash[SUBJECT] = self.cell.subject_name
        # pytest-timeout interrupts from a signal handler with pytest's own exception
        interrupts = (pytest.fail.Exception,)
        refused = settings.expectations.refused(self.cell)
        patience = self.config.stash[PATIENCE]

        def timed_out(error: BaseException) -> str:
            return unanswered(patience.seconds(self.nodeid)) if of_timer(error) else ""

        examples, profile = settings.examples, settings.profile
        remembered = None if examples is None else examples.recall(self.cell.id)
        plan = Plan(
            profile.samples, settings.seed, self.config.stash[NOTE], interrupts, refused, timed_out, profile.name,
            remembered,
        )  # fmt: skip
        meter = Meter()
        try:
            with among_cells(), meter.running() if self.config.option.costs else nullcontext():
                outcome = run_cell(self.cell, self.check, plan)
        except (SystemExit, pytest.skip.Exception, pytest.fail.Exception) as error:
            outcome = Outcome(Verdict.ERROR, reason=own_fault("the check left in a way that is no answer", error))
        if examples is not None and remembered is not None:
            examples.keep(remembered)
        kills = outcome.verdict is Verdict.TIMEOUT
        if kills:
            outcome.reason = f"{outcome.reason}{patience.explained(self.nodeid)}"
            patience.note(self.nodeid)
        self.result = settle(self.cell, self.check, outcome, settings, self.nodeid, kills)
        if meter.seconds is not None:
            self.result["under_test"] = round(meter.seconds, 6)
        verdict = Verdict(self.result["verdict"])
        if settings.fails(self.cell.behaviour.level, verdict):
            raise CellFailed(self.result["message"])
        if verdict in BROKEN:
            pytest.skip(allowed(self.result))  # what other tools show, such as JUnit's, is as good as a failure's
        if verdict not in (Verdict.PASS, Verdict.FIXED):
            pytest.skip(f"{verdict.value}: {self.result['reason'] or self.result['found'] or ''}")

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The failure in the suite's own words; a traceback only for what nobody foresaw."""
        if isinstance(excinfo.value, CellFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Where the check stands."""
        return self.path, self.check.__code__.co_firstlineno - 1, self.cell.id


def of_timer(error: BaseException) -> bool:
    """Whether pytest-timeout raised this exception: it uses that of ``pytest.fail()``, which a check may call too."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__") == "pytest_timeout" for frame in frames)


NOTE = pytest.StashKey[Callable[[str, int, Any], None]]()


def settle(
    cell: Cell, check: Callable[[Any], Any], outcome: Outcome, settings: Settings, node: str, kills: bool = False
) -> dict[str, Any]:
    """The cell's entry in the run record: the verdict after the listed deviations, and the failure in words.

    ``node`` is pytest's id of the item; ``kills`` says that the failing case ended or hung the process.
    """
    deviation = settings.expectations.of(cell)
    if deviation is not None and outcome.verdict in BROKEN:
        outcome.verdict, outcome.reason = Verdict.KNOWN, deviation.reason
    elif deviation is not None and outcome.verdict is Verdict.PASS:
        outcome.verdict, outcome.reason = Verdict.FIXED, f"passes, but is listed: {deviation.reason}"
    issue = deviation.link if deviation is not None else None
    report = describe(cell, check, outcome, settings, node, kills)
    entry = {
        "id": cell.id, "area": cell.area, "behaviour": cell.behaviour.id, "subject": cell.subject_name,
        "target": cell.target.name, "level": cell.behaviour.level.value, "verdict": outcome.verdict.value,
        "cases": {"corner": outcome.corner, "sampled": outcome.sampled}, "evidence": outcome.evidence,
        "seconds": round(outcome.seconds, 6), "message": report.message, "compared": report.compared,
        "expected": report.expected,
        "found": report.found, "minimal": report.minimal, "rerun": report.rerun, "reason": outcome.reason,
        "issue": issue, "reproducer": report.reproducer,
    }  # fmt: skip
    return {key: sendable(value) for key, value in entry.items()}


def sendable(value: Any) -> Any:
    """``value`` as JSON and the channel from a worker can carry it."""
    if isinstance(value, dict):
        return {str(sendable(key)): sendable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [sendable(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else None
    return visible(str(value))


def by_subject(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same items, file by file, those of costly areas first, the cells of one subject side by side.

    pytest-xdist hands out neighbours together: a worker that meets all cells of a subject makes its inputs once,
    and no other worker makes them again. It hands out fewer and fewer, so that cheap cells in the end let all workers
    end at a time.
    """
    places: dict[tuple[str, str | None], int] = {}
    for item in items:
        places.setdefault(_place(item), len(places))
    return sorted(items, key=lambda item: (not getattr(item.parent, "costly", False), places[_place(item)]))


def _place(item: pytest.Item) -> tuple[str, str | None]:
    return str(item.path), item.cell.subject_name if isinstance(item, CellItem) else None
