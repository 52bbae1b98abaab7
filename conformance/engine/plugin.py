"""The pytest plugin: options, collection, and how a cell is run.

``recorder``, ``isolation`` and ``terminal`` are plugged in from here and listen; nothing here writes to the terminal.
"""

from __future__ import annotations

from conformance.engine import prerequisites  # noqa: F401 (says in a line what is missing; so it stands first)

# isort: split
import atexit
import faulthandler
import gc
import os
import shutil
import sys
import tempfile
from argparse import SUPPRESS
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout
import torch

from conformance.engine import costs, crumbs, resumption, serial
from conformance.engine.claim import Claim
from conformance.engine.isolation import Isolation
from conformance.engine.items import NOTE, PATIENCE, SETTINGS, AreaModule, CellItem, by_subject, settle
from conformance.engine.messages import Messages
from conformance.engine.options import OPTIONS
from conformance.engine.pages import watch_forks
from conformance.engine.patience import Patience
from conformance.engine.recorder import EMPTY_SHARD, Recorder, header_of
from conformance.engine.resumption import Resumed
from conformance.engine.settings import Settings, UsageError, seconds_allowed, seconds_of
from conformance.engine.specs import is_area_module
from conformance.engine.terminal import Terminal
from conformance.engine.watchdog import Watchdog
from conformance.engine.words import Level, Verdict

CRUMBS = pytest.StashKey[crumbs.Crumbs]()
WATCHDOG = pytest.StashKey[Watchdog]()
CLAIM = pytest.StashKey[Claim]()
DECIDED = pytest.StashKey[frozenset[str]]()
MESSAGES = pytest.StashKey[Messages]()
COLLECTOR = pytest.StashKey[tuple[int, int, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's own options."""
    group = parser.getgroup("conformance", "torch-conformance")
    for options in OPTIONS.values():
        for option in options:
            group.addoption(option.name, **option.keywords())
    group.addoption("--record-note", metavar="FILE", help=SUPPRESS)  # where to write which record the run has
    group.addoption(
        "--performance-into", action="store_true", help=SUPPRESS
    )  # the record is that of cells, gone on with


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let ``--tx`` say which workers there are; ``-n auto``, one of the project's own options, would win over it."""
    if getattr(config.option, "tx", None) and not hasattr(config, "workerinput"):
        config.option.numprocesses = None
        config.option.dist = "load" if config.option.dist == "no" else config.option.dist
    if serial.asked(config):
        serial.prepare(config)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and prepare this process to be a worker or the one that records."""
    for level in Level:
        config.addinivalue_line(
            "markers", f"{level.value}: cells of behaviours that the documentation states as '{level.value}'"
        )
    config.addinivalue_line("markers", f"{serial.MARK}: timings, which -m {serial.MARK} runs and nothing else does")
    worker = getattr(config, "workerinput", None)
    phase = serial.asked(config)
    try:
        resumed = _resumed(config) if worker is None else None
        given = config.invocation_params
        settings = Settings.of(config.option, tuple(given.args), config.rootpath, given.dir)
        config.option.collection_timeout = seconds_of("--collection-timeout", config.option.collection_timeout)
        seconds_allowed(config)
        costs.asked(config.option.costs)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if worker is None:
        _check_expressions(config)
        _check_folder(config)
    if worker is not None:
        settings = replace(settings, record=Path(worker["record"]))
    claim = None if worker is not None or config.option.collectonly else Claim(settings.record)
    if claim is not None:
        config.stash[CLAIM] = claim
        if claim.moved and resumed is not None:
            raise pytest.UsageError(
                f"--resume: expected a run that has ended; found {resumed.named!r}, still written to"
            )
        settings = replace(settings, record=claim.path)
    config.stash[DECIDED] = frozenset(worker["decided"] if worker is not None else resumed.decided if resumed else ())
    _rest_collector(config)
    if config.option.timeout is None and not seconds_allowed(config):
        config.option.timeout = settings.profile.timeout
    allowed = seconds_allowed(config)
    settings = replace(settings, timeout=None if allowed == settings.profile.timeout else allowed)
    config.stash[SETTINGS] = settings
    config.stash[NOTE] = lambda phase, index, case: None
    config.stash[MESSAGES] = Messages(config)
    config.pluginmanager.register(config.stash[MESSAGES], "conformance-messages")
    limit = 0.0 if getattr(config.option, "usepdb", False) else allowed
    if worker is not None:
        torch.set_num_threads(1)
        folder = _folder_of_crumbs(worker["crumbs"])
        config.stash[PATIENCE] = Patience(limit, folder / "hangs")
        trail = crumbs.Crumbs(folder / f"{worker['workerid']}.crumb")
        config.stash[CRUMBS], config.stash[NOTE] = trail, trail.note
        config.stash[WATCHDOG] = Watchdog(trail.dump)
    else:
        config.stash[PATIENCE] = Patience(limit)
        # a copy, since pytest captures the one with this number while a cell runs
        config.stash[WATCHDOG] = Watchdog(os.dup(2))
        if config.option.__dict__.get("maxworkerrestart") is None:
            config.option.maxworkerrestart = "1000000"  # every crash is a verdict; none may end the run
        try:
            if resumed is not None:
                resumed.check(header_of(config, settings))
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        if phase:
            config.pluginmanager.register(serial.Serial(config, settings), serial.PLUGIN)
            return
        try:
            recorder = Recorder(config, settings, resumed, serial.following(config, settings))
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(recorder, "conformance-recorder")
        config.pluginmanager.register(Terminal(config, settings, claim, resumed), "conformance-terminal")
        if config.pluginmanager.hasplugin("xdist"):
            config.pluginmanager.register(Isolation(config, settings, recorder), "conformance-isolation")


def _resumed(config: pytest.Config) -> Resumed | None:
    """The run that goes on, whose record is that of this run too; raises UsageError."""
    named = config.option.resume
    if named is None:
        return None
    found = resumption.load(named)
    wanted = config.option.run_record
    if wanted is not None and Path(wanted).resolve() != Path(named).resolve():
        raise UsageError(f"--run-record: expected none, since --resume {named} goes on in its own; found {wanted!r}")
    config.option.run_record = named
    return found


def _folder_of_crumbs(named: str) -> Path:
    """The folder that the controlling process reads, or one of this machine's own where that is another machine's."""
    if Path(named).is_dir():
        return Path(named)
    own = tempfile.mkdtemp(prefix="conformance-crumbs-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _check_expressions(config: pytest.Config) -> None:
    """Have pytest read ``-k`` and ``-m`` at once: with workers it is they who would choke on one, one by one."""
    marks = config.pluginmanager.get_plugin("mark")
    if marks is not None and hasattr(marks, "pytest_collection_modifyitems"):
        marks.pytest_collection_modifyitems(items=[], config=config)


def _check_folder(config: pytest.Config) -> None:
    """Refuse workers where the name of the working folder is one that they cannot be told; raises UsageError."""
    folder = str(config.invocation_params.dir)
    workers = getattr(config.option, "numprocesses", None) or getattr(config.option, "tx", None)
    try:
        folder.encode()
    except UnicodeEncodeError:
        if workers and not config.option.collectonly:
            raise pytest.UsageError(
                f"-n: expected a working folder whose name is UTF-8, for workers to be told of it; found "
                f"{os.fsencode(folder)!r} (-n 0 runs in any)"
            ) from None


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    """Collect an area's test module as cells."""
    if is_area_module(module_path):
        module: pytest.Module = AreaModule.from_parent(parent, path=module_path)
        return module
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Give the collection its time, and no more."""
    option = session.config.option
    with session.config.stash[WATCHDOG].collecting(0.0 if option.usepdb else option.collection_timeout):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what level and shard leave out of what ``-k`` and ``-m`` have left, and what is decided already."""
    settings, decided = config.stash[SETTINGS], config.stash[DECIDED]
    wanted = [item for item in items if not isinstance(item, CellItem) or settings.wants(item.cell)]
    if settings.shard is not None and items and not wanted:
        _note_empty_shard(config, sorted({item.nodeid.partition("::")[0] for item in items}))
    kept = [item for item in wanted if not isinstance(item, CellItem) or item.cell.id not in decided]
    if len(kept) < len(items):
        gone = set(map(id, kept))
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in gone])
        items[:] = kept
    if hasattr(config, "workerinput"):
        items[:] = by_subject(items)


def _note_empty_shard(config: pytest.Config, modules: list[str]) -> None:
    """Have the recorder know that cells of these files were asked for, and that this shard has none of them."""
    if hasattr(config, "workerinput"):
        config.workeroutput[EMPTY_SHARD] = modules  # type: ignore[attr-defined]
    elif (recorder := config.pluginmanager.get_plugin("conformance-recorder")) is not None:
        recorder.beyond_shard = modules


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the last words of a dying worker written where the controlling process finds them."""
    trail = session.config.stash.get(CRUMBS, None)
    if trail is not None:
        faulthandler.enable(trail.dump)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the garbage collector from walking items and plans over and over, which live as long as the process."""
    gc.freeze()


def _rest_collector(config: pytest.Config) -> None:
    """Keep the garbage collector from walking torch's modules over and over: a third of a collection went there."""
    config.stash[COLLECTOR] = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    watch_forks()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the record, and give the garbage collector back its rounds.

    What was frozen stays so: to take all of torch's modules apart at the end of a worker takes most of a second. But
    the bindings of triton then print all that was never freed.
    """
    if CLAIM in config.stash:
        config.stash[CLAIM].release()
    if COLLECTOR in config.stash:
        gc.set_threshold(*config.stash[COLLECTOR])
        if "triton" in sys.modules:
            atexit.unregister(gc.unfreeze)
            atexit.register(gc.unfreeze)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Run a cell in one phase: it has no fixtures to set up, and three reports a cell cost more than a cell."""
    if not isinstance(item, CellItem):
        return None
    trail = item.config.stash.get(CRUMBS, None)
    if trail is not None:
        trail.start(item.nodeid)
    item.config.stash[WATCHDOG].feed(item.config.stash[PATIENCE].seconds(item.nodeid))
    hook, messages = item.ihook, item.config.stash[MESSAGES]
    messages.start(item)
    capture = item.config.pluginmanager.getplugin("capturemanager")
    with capture.item_capture("call", item) if capture is not None else nullcontext():
        call = pytest.CallInfo.from_call(item.runtest, when="call", reraise=(KeyboardInterrupt, pytest.exit.Exception))
    report = hook.pytest_runtest_makereport(item=item, call=call)
    hook.pytest_runtest_logreport(report=report)
    if report.failed and call.excinfo is not None:
        hook.pytest_exception_interact(node=item, call=call, report=report)
    messages.finish(item)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Give a cell less time where the same thing hung before."""
    if not isinstance(item, CellItem):
        return None
    seconds = item.config.stash[PATIENCE].seconds(item.nodeid)
    if not seconds or seconds >= settings.timeout:
        return None
    pytest_timeout.pytest_timeout_set_timer(item, settings._replace(timeout=seconds))
    return True


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Set the watchdog anew: pytest's own plugin calls it off after every failure."""
    node.config.stash[WATCHDOG].forget()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No item runs any more: nothing is left to watch, and nothing that pytest's last collections need to walk."""
    session.config.stash[WATCHDOG].rest()
    gc.freeze()


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
