"""The recorder: writes the run record as verdicts arrive."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.engine import surface
from conformance.engine.cells import Cell, cells_of
from conformance.engine.claims import load_claims
from conformance.engine.costs import Costs
from conformance.engine.environment import environment, suite
from conformance.engine.items import CellItem
from conformance.engine.misgivings import misgivings
from conformance.engine.record import RunRecord
from conformance.engine.resumption import Resumed
from conformance.engine.settings import Settings, UsageError, seconds_allowed
from conformance.engine.specs import SPECS, area_names, area_of, is_area_module, load_area, specs_of
from conformance.engine.words import Level, Verdict
from conformance.engine.yamlfile import SpecError

# Where a worker notes the files of which cells were asked for, and none is in this shard.
EMPTY_SHARD = "conformance_empty_shard"
# How a run ends that had all its cells, those decided before included.
GONE_THROUGH = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class Recorder:
    """Writes the run record as verdicts arrive, from workers or from this process."""

    def __init__(
        self, config: pytest.Config, settings: Settings, resumed: Resumed | None = None,
        following: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.config, self.settings, self.resumed = config, settings, resumed
        self.following = following  # the arguments of the serial phase, where one follows
        self.record: RunRecord | None = None
        self.errors: list[str] = []
        self.misgivings: list[str] = []
        self.beyond_shard: list[str] = []
        self.costs = Costs()
        for entry in resumed.decided.values() if resumed is not None else ():
            self.costs.add(entry)
        self._unsurveyed: set[str] | None = None  # the files of the cells, until what is around them was looked at

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the record with the cells of this process, whose time is not spent on the look at the suite."""
        self._plan([item.nodeid for item in session.items if isinstance(item, CellItem)])
        self._survey()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Start the record with the cells that the workers collected."""
        if self.record is None:
            areas = {module for module in _modules(ids) if is_area_module(self.config.rootpath / module)}
            self._plan([name for name in ids if name.partition("::")[0] in areas])

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn from a worker that the shard is empty."""
        self.beyond_shard = self.beyond_shard or getattr(node, "workeroutput", {}).get(EMPTY_SHARD, [])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a collection error for the record."""
        if report.failed and str(report.longrepr) not in self.errors:
            self.errors.append(str(report.longrepr))

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Keep an error of pytest, of a plugin or of this suite for the record."""
        self.errors.append(str(excrepr))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append a cell's verdict."""
        entry = getattr(report, "conformance", None)
        if entry is not None and self.record is not None:
            self.record.add(entry)
            self.costs.add(entry)
            self._survey()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Bring the record into its final form; a run without its record has failed."""
        if self.record is None and self.errors and not self.config.option.collectonly:
            self._start()
        if self.record is None and self.beyond_shard:
            self._plan([], self.beyond_shard)
            if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                session.exitstatus = pytest.ExitCode.OK  # all that there was to do is done
        if self.record is not None:
            self.record.errors = self.errors
            if session.exitstatus == pytest.ExitCode.INTERRUPTED and self._unsurveyed:
                self.record.finish(more=True)  # who interrupts once more has what there is
            self._survey()
            self.record.tables = {**self.record.tables, "costs": self.costs.record()}
            stopped = session.shouldfail or session.shouldstop
            more = self.following is not None and not stopped and session.exitstatus in GONE_THROUGH
            self.record.finish(more)
            if more and self.record.lost is None:
                with open(self.config.option.record_note, "a", encoding="utf-8") as note:
                    note.write("\n" + json.dumps(self.following))
            if self.record.lost is not None and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            if self.resumed is not None and session.exitstatus in (
                pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED,
            ):  # fmt: skip
                session.exitstatus = self._status_of_all()

    def _status_of_all(self) -> pytest.ExitCode:
        """The exit status by every cell of a run that went on, those that were decided before included."""
        cells = self.resumed.decided.values() if self.resumed is not None else ()
        failed = any(self.settings.fails(Level(cell["level"]), Verdict(cell["verdict"])) for cell in cells)
        return pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.OK

    def _plan(self, nodes: list[str], modules: Iterable[str] = ()) -> None:
        """Start the record of these cells; where there are none, of the files of which cells were asked for."""
        modules = _modules(nodes) | set(modules)
        if self.record is not None or self.config.option.collectonly or not (modules or self.resumed):
            return
        kept = len(self.resumed.decided) if self.resumed is not None else 0
        if self.resumed is not None:
            try:
                self.resumed.check_cells(kept + len(nodes))
            except UsageError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        areas, behaviours = _tables(self.config.rootpath, nodes)
        record = self._start()
        with self._writing():
            record.plan(kept + len(nodes), areas, behaviours)
        self._unsurveyed = modules

    def _survey(self) -> None:
        """Look at the whole suite, for what a record says beside its cells: once workers have cells to judge meanwhile.

        It takes as long as the start of the workers, who would wait for it.
        """
        modules, self._unsurveyed = self._unsurveyed, None
        if self.record is None or not modules:
            return
        folders = {specs_of(self.config.rootpath / name) for name in modules}
        around = [Surroundings(folder, self.settings) for folder in folders]
        cells = [cell.id for each in around for cell in each.cells]
        if self.settings.expectations.files:
            unread = frozenset[str]().union(*(each.unread for each in around))
            elsewhere = unread | (frozenset() if SPECS in folders else frozenset(area_names()))
            self.misgivings = misgivings(self.settings.expectations, cells, elsewhere)
        tables = {name: rows for each in around for name, rows in each.tables.items()}
        self.record.survey(len(cells), tables)

    def _start(self) -> RunRecord:
        header = header_of(self.config, self.settings)
        with self._writing():
            if self.resumed is not None:
                header["settings"]["arguments"] = self.resumed.document["settings"].get("arguments", [])
                self.record = RunRecord(self.settings.record, header, self.resumed.going_on())
            else:
                self.record = RunRecord(self.settings.record, header)
                # scripts of an earlier run would be taken for this one's
                shutil.rmtree(self.settings.reproducers, ignore_errors=True)
        if self.config.option.record_note:
            Path(self.config.option.record_note).write_text(str(self.settings.record), encoding="utf-8")
        return self.record

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """End a run that has no place for its record before its first cell."""
        try:
            yield
        except OSError as error:
            named = repr(os.path.relpath(self.settings.record, self.settings.stands.folder))
            message = f"--run-record: expected a file that can be written, such as run.json; found {named}"
            pytest.exit(f"{message}: {error.strerror or error}", returncode=pytest.ExitCode.USAGE_ERROR)


def header_of(config: pytest.Config, settings: Settings) -> dict[str, Any]:
    """What a record says of the suite, the build, the machine and the settings."""
    timeout = seconds_allowed(config)
    return {
        "suite": suite(), "environment": environment(settings.targets), "settings": settings.record_settings(timeout)
    }  # fmt: skip


def _modules(nodes: list[str]) -> set[str]:
    """The files of some node ids."""
    return {node.partition("::")[0] for node in nodes}


class Surroundings:
    """What there is beside the cells of a run, asked for or not: all cells of a folder of specs on the run's targets,
    the areas that cannot be read, and, of this suite's own folder, the claims and the surface for the page.
    """  # fmt: skip

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.cells: list[Cell] = []
        self.unread: frozenset[str] = frozenset()
        self.tables: dict[str, list[dict[str, Any]]] = {}
        read = []
        for name in area_names(folder):
            try:
                loaded = load_area(name, folder)
                self.cells += [cell for b in loaded.area.behaviours for cell in cells_of(loaded, b, settings.targets)]
                read.append(loaded)
            except SpecError:
                self.unread |= {name}  # said by the collection, where it matters
        if folder == SPECS:
            self.tables = {"claims": _claims(), "surface": surface.record(surface.surface(read))}


def _claims() -> list[dict[str, Any]]:
    try:
        return load_claims().record()
    except SpecError:
        return []  # said by `python -m conformance claims`


def _tables(root: Path, nodes: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The areas and behaviours that a set of node ids touches, as the record has them."""
    checks = {(name.partition("::")[0], name.partition("::")[2].partition("[")[0]) for name in nodes}
    areas, behaviours = [], []
    for file in sorted({file for file, _ in checks}):
        try:
            loaded = load_area(area_of(root / file), specs_of(root / file))
        except SpecError:
            continue
        name = loaded.area.area
        areas.append({"area": name, "title": loaded.area.title, "page": loaded.area.page})
        for behaviour in loaded.area.behaviours:
            if (file, behaviour.check) in checks:
                docs = behaviour.docs
                behaviours.append({
                    "id": f"{name}.{behaviour.id}", "area": name, "behaviour": behaviour.id,
                    "statement": behaviour.statement, "level": behaviour.level.value,
                    "docs": {"url": docs.url(None), "object": docs.object, "says": docs.says},
                    "since": behaviour.since, "until": behaviour.until, "note": behaviour.note,
                    "source": loaded.where(behaviour.id),
                })  # fmt: skip
    return areas, behaviours
