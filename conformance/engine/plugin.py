"""The pytest plugin: options, collection, isolation of crashes, and the run record.

Progress and summary listen to it from ``terminal.py``; nothing here writes to the terminal.
"""

from __future__ import annotations

import faulthandler
import sys
import tempfile
import time
from collections.abc import Generator
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
from conformance.engine.words import Level, Verdict
from conformance.engine.yamlfile import SpecError

CRUMBS = pytest.StashKey[crumbs.Crumbs]()
# The watchdog waits this much longer than pytest-timeout, whose signal leaves a better message where Python
# still runs; code that hangs inside C is ended by the watchdog.
GRACE = 2.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's own options."""
    group = parser.getgroup("conformance", "torch-conformance")
    group.addoption("--device", action="append", metavar="NAME",
                    help="device to test (cpu, cuda:0, …); repeatable; default: every device that torch can use here")  # fmt: skip
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
    if getattr(config.option, "timeout", None) is None and not config.getini("timeout"):
        config.option.timeout = settings.profile.timeout
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        torch.set_num_threads(1)
        trail = crumbs.Crumbs(Path(worker["crumbs"]) / f"{worker['workerid']}.crumb")
        config.stash[CRUMBS], config.stash[NOTE] = trail, trail.note
    else:
        if config.option.__dict__.get("maxworkerrestart") is None:
            config.option.maxworkerrestart = "1000"  # every crash is a verdict; none may end the run
        recorder = Recorder(config, settings)
        config.pluginmanager.register(recorder, "conformance-recorder")
        config.pluginmanager.register(Terminal(config, settings), "conformance-terminal")
        if config.pluginmanager.hasplugin("xdist"):
            config.pluginmanager.register(Isolation(config, settings), "conformance-isolation")


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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Leave a crumb, and set the watchdog that even a hang inside C cannot escape."""
    trail = item.config.stash.get(CRUMBS, None)
    if not isinstance(item, CellItem):
        return (yield)
    limit = float(item.config.option.timeout or 0)
    if trail is not None:
        trail.start(item.nodeid)
        faulthandler.enable(trail.dump)
    if limit:
        file = trail.dump if trail is not None else sys.__stderr__
        faulthandler.dump_traceback_later(limit + GRACE, exit=True, file=file or sys.stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    """Attach the cell's entry of the run record to the report that workers send."""
    report = yield
    if isinstance(item, CellItem) and call.when == "call":
        report.conformance = item.result or broken_harness(item, report)
    return report


def broken_harness(item: CellItem, report: pytest.TestReport) -> dict[str, Any]:
    """The entry of a cell that ended in a way that the engine did not foresee."""
    from conformance.engine.runner import Outcome

    outcome = Outcome(Verdict.ERROR, reason=str(report.longrepr))
    return settle(item.cell, item.check, outcome, item.config.stash[SETTINGS], item.nodeid)


class Isolation:
    """Turns the death of a worker into the verdict of the cell that it ran."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.folder = tempfile.TemporaryDirectory(prefix="conformance-crumbs-")
        self.started = time.monotonic()

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where its crumbs go."""
        node.workerinput["crumbs"] = self.folder.name

    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """Give the cell that killed its worker its verdict and its reproducer."""
        crumb = crumbs.read(Path(self.folder.name) / f"{report.node.gateway.id}.crumb")
        found = outcome_of(self.config.rootpath, crashitem, crumb, self.settings)
        if found is None:
            return
        cell, check, outcome = found
        report.conformance = settle(cell, check, outcome, self.settings, crashitem, kills=True)
        report.when = "call"
        report.longrepr = report.conformance["message"]
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

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Start the record with the cells that the workers collected."""
        self._plan([name for name in ids if is_area_module(self.config.rootpath / name.partition("::")[0])])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a collection error for the record."""
        if report.failed and str(report.longrepr) not in self.errors:
            self.errors.append(str(report.longrepr))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append a cell's verdict."""
        entry = getattr(report, "conformance", None)
        if entry is not None and self.record is not None:
            self.record.add(entry)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Bring the record into its final form."""
        if self.record is None and self.errors:
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
        timeout = float(self.config.option.timeout or 0)
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
