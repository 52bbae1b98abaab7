"""The pytest plugin: options, collection, isolation of crashes, and the run record.

Progress and summary listen to it from ``terminal.py``; nothing here writes to the terminal.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import tempfile
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine import crumbs
from conformance.engine.crashes import outcome_of
from conformance.engine.environment import environment, suite
from conformance.engine.items import NOTE, SETTINGS, AreaModule, CellItem, settle
from conformance.engine.record import RunRecord
from conformance.engine.settings import Settings, UsageError
from conformance.engine.specs import area_of, is_area_module, load_area, specs_of
from conformance.engine.terminal import Terminal
from conformance.engine.watchdog import Watchdog
from conformance.engine.words import Level, Verdict
from conformance.engine.yamlfile import SpecError

CRUMBS = pytest.StashKey[crumbs.Crumbs]()
STILLBORN = 2  # workers that may die before they run anything
WATCHDOG = pytest.StashKey[Watchdog]()
COLLECTOR = pytest.StashKey[tuple[int, int, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's own options."""
    group = parser.getgroup("conformance", "torch-conformance")
    devices = "device to test (cpu, cuda:0, …); repeatable; default: every device that torch can use here"
    group.addoption("--device", action="append", metavar="NAME", help=devices)
    group.addoption("--profile", default="default", metavar="NAME",
                    help="smoke (corners and 5 samples a cell), default (50) or thorough (1,000)")  # fmt: skip
    group.addoption(
        "--level",
        default="may",
        metavar="LEVEL",
        help="run behaviours of this level and above: must, should, may (default)",
    )
    group.addoption("--expectations", action="append", metavar="FILE", help="further listed deviations; repeatable")
    group.addoption("--shard", metavar="I/N", help="run the I-th of N shards of the cells")
    group.addoption(
        "--run-record", metavar="FILE", help="where the run record goes (default: reports/runs/latest.json)"
    )
    group.addoption(
        "--fail-on",
        default="must",
        metavar="LEVEL",
        help="failing cells of this level and above fail the run: must (default), should, none",
    )
    group.addoption(
        "--seed", type=int, metavar="N", help="seed of the sampled cases (default 0: the same cases every time)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and prepare this process to be a worker or the one that records."""
    for level in Level:
        config.addinivalue_line(
            "markers", f"{level.value}: cells of behaviours that the documentation states as '{level.value}'"
        )
    try:
        settings = Settings.of(config.option, tuple(config.invocation_params.args), config.rootpath)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SETTINGS] = settings
    config.stash[NOTE] = lambda phase, index, case: None
    if config.option.timeout is None and not seconds_allowed(config):
        config.option.timeout = settings.profile.timeout
    debugging = bool(getattr(config.option, "usepdb", False))
    limit = 0.0 if debugging else seconds_allowed(config)
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        torch.set_num_threads(1)
        trail = crumbs.Crumbs(Path(worker["crumbs"]) / f"{worker['workerid']}.crumb")
        config.stash[CRUMBS], config.stash[NOTE] = trail, trail.note
        config.stash[WATCHDOG] = Watchdog(trail.dump, limit)
    else:
        # a copy, since pytest captures the one with this number while a cell runs
        config.stash[WATCHDOG] = Watchdog(os.dup(2), limit)
        if config.option.__dict__.get("maxworkerrestart") is None:
            config.option.maxworkerrestart = "1000000"  # every crash is a verdict; none may end the run
        recorder = Recorder(config, settings)
        config.pluginmanager.register(recorder, "conformance-recorder")
        config.pluginmanager.register(Terminal(config, settings), "conformance-terminal")
        if config.pluginmanager.hasplugin("xdist"):
            config.pluginmanager.register(Isolation(config, settings, recorder), "conformance-isolation")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    """Collect an area's test module as cells."""
    if is_area_module(module_path):
        module: pytest.Module = AreaModule.from_parent(parent, path=module_path)
        return module
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cells that level and shard leave out."""
    settings = config.stash[SETTINGS]
    kept = [item for item in items if not isinstance(item, CellItem) or settings.wants(item.cell)]
    if len(kept) < len(items):
        gone = set(map(id, kept))
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in gone])
        items[:] = kept


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the last words of a dying worker written where the controlling process finds them."""
    trail = session.config.stash.get(CRUMBS, None)
    if trail is not None:
        faulthandler.enable(trail.dump)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the garbage collector from walking modules and plans over and over, which live as long as the process."""
    session.config.stash[COLLECTOR] = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the garbage collector back as it was."""
    if COLLECTOR in config.stash:
        gc.set_threshold(*config.stash[COLLECTOR])
        gc.unfreeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Run a cell in one phase: it has no fixtures to set up, and three reports a cell cost more than a cell."""
    if not isinstance(item, CellItem):
        return None
    trail = item.config.stash.get(CRUMBS, None)
    if trail is not None:
        trail.start(item.nodeid)
    item.config.stash[WATCHDOG].feed()
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    capture = item.config.pluginmanager.getplugin("capturemanager")
    with capture.item_capture("call", item) if capture is not None else nullcontext():
        call = pytest.CallInfo.from_call(item.runtest, when="call", reraise=(KeyboardInterrupt, pytest.exit.Exception))
    report = hook.pytest_runtest_makereport(item=item, call=call)
    hook.pytest_runtest_logreport(report=report)
    if report.failed and call.excinfo is not None:
        hook.pytest_exception_interact(node=item, call=call, report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Set the watchdog anew: pytest's own plugin calls it off after every failure."""
    node.config.stash[WATCHDOG].forget()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No item runs any more: nothing is left to watch."""
    session.config.stash[WATCHDOG].rest()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    """Attach the cell's entry of the run record to the report that workers send."""
    report = yield
    if isinstance(item, CellItem) and call.when == "call":
        if item.result is None:
            item.result = broken_harness(item, report)
            report.outcome = "failed"  # whatever ended it, pytest.skip() included
        if item.result["verdict"] == Verdict.TIMEOUT.value:
            report.sections = []  # pytest-timeout prints the stacks of the worker's own threads there
        report.conformance = item.result
    return report


def broken_harness(item: CellItem, report: pytest.TestReport) -> dict[str, Any]:
    """The entry of a cell that ended in a way that the engine did not foresee."""
    from conformance.engine.runner import Outcome

    outcome = Outcome(Verdict.ERROR, reason=str(report.longrepr))
    return settle(item.cell, item.check, outcome, item.config.stash[SETTINGS], item.nodeid)


def seconds_allowed(config: pytest.Config) -> float:
    """How long one cell may take, by pytest-timeout's own rules; 0 for any time."""
    given = config.option.timeout
    given = os.environ.get("PYTEST_TIMEOUT") if given is None else given
    return float((config.getini("timeout") if given is None else given) or 0)


class Isolation:
    """Turns the death of a worker into the verdict of the cell that it ran."""

    def __init__(self, config: pytest.Config, settings: Settings, recorder: Recorder) -> None:
        self.config, self.settings, self.recorder = config, settings, recorder
        self.folder = tempfile.TemporaryDirectory(prefix="conformance-crumbs-")
        self.collected: set[Any] = set()
        self.stillborn = 0

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where its crumbs go."""
        node.workerinput["crumbs"] = self.folder.name

    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Note that a worker came to life."""
        self.collected.add(node)

    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """End a run whose workers die before they run anything: to replace them would never end."""
        self.stillborn += bool(error) and node not in self.collected
        if self.stillborn > STILLBORN:
            message = (
                f"{self.stillborn} workers died while they collected; see the crash with: pytest -n 0 --collect-only"
            )
            self.recorder.errors.append(message)
            pytest.exit(message, returncode=pytest.ExitCode.INTERNAL_ERROR)

    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """Give the cell that killed its worker its verdict and its reproducer."""
        crumb = crumbs.read(Path(self.folder.name) / f"{report.node.gateway.id}.crumb")
        found = outcome_of(self.config.rootpath, crashitem, crumb, self.settings, seconds_allowed(self.config))
        if found is None:
            return
        cell, check, outcome = found
        report.conformance = settle(cell, check, outcome, self.settings, crashitem, kills=True)
        report.when = "call"
        report.longrepr = report.conformance["message"]
        report.location = (report.location[0], None, cell.id)
        verdict = Verdict(report.conformance["verdict"])
        if not self.settings.fails(cell.behaviour.level, verdict):
            report.outcome = "skipped"
            report.longrepr = (str(report.location[0]), 0, f"Skipped: {verdict.value}: {outcome.reason}")

    def pytest_unconfigure(self) -> None:
        """Sweep up the crumbs."""
        self.folder.cleanup()


class Recorder:
    """Writes the run record as verdicts arrive, from workers or from this process."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.record: RunRecord | None = None
        self.planned: list[str] = []
        self.errors: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the record with the cells of this process."""
        self._plan([item.nodeid for item in session.items if isinstance(item, CellItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Start the record with the cells that the workers collected."""
        self._plan([name for name in ids if is_area_module(self.config.rootpath / name.partition("::")[0])])

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

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Bring the record into its final form."""
        if self.record is None and self.errors and not self.config.option.collectonly:
            self._start()
        if self.record is not None:
            self.record.errors = self.errors
            self.record.finish()

    def _plan(self, nodes: list[str]) -> None:
        if not nodes or self.record is not None or self.config.option.collectonly:
            return
        areas, behaviours = _tables(self.config.rootpath, nodes)
        self._start().plan(len(nodes), areas, behaviours)

    def _start(self) -> RunRecord:
        timeout = seconds_allowed(self.config)
        header = {
            "suite": suite(), "environment": environment(self.settings.targets),
            "settings": self.settings.record_settings(timeout),
        }  # fmt: skip
        self.record = RunRecord(self.settings.record, header)
        return self.record


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
