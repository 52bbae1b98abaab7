"""Isolation: the death of a worker becomes the verdict of the cell that it ran, and every other cell lives on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from conformance.engine import crumbs
from conformance.engine.claim import locked
from conformance.engine.crashes import outcome_of
from conformance.engine.failure import allowed
from conformance.engine.items import settle
from conformance.engine.patience import Patience
from conformance.engine.recorder import Recorder
from conformance.engine.settings import Settings, seconds_allowed
from conformance.engine.watchdog import ENDLESS
from conformance.engine.words import BROKEN, Verdict

STILLBORN = 2  # workers that may die before they run anything
PREFIX, GUARD = "conformance-crumbs-", "alive.lock"


class CrumbFolder:
    """The folder of one run's crumbs; those of runs that were killed are cleared away when the next begins.

    A run holds a lock on a file in its folder for as long as it lives: a folder whose file nobody holds is a dead
    run's. One without the file is left alone, since it may have been made a moment ago.
    """

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix=PREFIX)
        self.descriptor = -1
        with suppress(OSError):  # a file system without locks: nothing is ever cleared away there
            self.descriptor = locked(Path(self.name) / GUARD)
            for guard in Path(self.name).parent.glob(f"{PREFIX}*/{GUARD}"):
                self._clear(guard)

    def _clear(self, guard: Path) -> None:
        with suppress(OSError):  # a living run's, another user's, or gone by now
            descriptor = locked(guard)
            shutil.rmtree(guard.parent, ignore_errors=True)
            os.close(descriptor)

    def cleanup(self) -> None:
        """Sweep it up."""
        shutil.rmtree(self.name, ignore_errors=True)
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Isolation:
    """Turns the death of a worker into the verdict of the cell that it ran."""

    def __init__(self, config: pytest.Config, settings: Settings, recorder: Recorder) -> None:
        self.config, self.settings, self.recorder = config, settings, recorder
        self.folder = CrumbFolder()
        self.collected: set[Any] = set()
        self.stillborn = 0
        self.patience = Patience(seconds_allowed(config), Path(self.folder.name) / "hangs")

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where its crumbs go, and beside which record its reproducers."""
        node.workerinput["crumbs"] = self.folder.name
        node.workerinput["record"] = str(self.settings.record)
        # one that replaces another must meet the same cells, however many are decided by then
        node.workerinput["decided"] = sorted(self.recorder.resumed.decided) if self.recorder.resumed else []
        node.sendcommand = _unless_dead(node.sendcommand)

    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Note that a worker came to life."""
        self.collected.add(node)

    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """End a run whose workers die before they run anything: to replace them would never end."""
        if not error or node in self.collected:
            return
        self.stillborn += 1
        message = None
        if self.stillborn > STILLBORN:
            message = (
                f"{self.stillborn} workers died while they collected; see the crash with: pytest -n 0 --collect-only"
            )
        place = crumbs.stood_at(Path(self.folder.name) / f"{node.gateway.id}.crumb")
        if place is not None:
            message = f"{ENDLESS.format(self.config.option.collection_timeout)}, in {place}"
        if message is not None:
            self.recorder.errors.append(message)
            pytest.exit(message, returncode=pytest.ExitCode.INTERNAL_ERROR)

    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """Give the cell that killed its worker its verdict and its reproducer."""
        crumb = crumbs.read(Path(self.folder.name) / f"{report.node.gateway.id}.crumb")
        found = outcome_of(self.config.rootpath, crashitem, crumb, self.settings, self.patience.seconds(crashitem))
        if found is None:
            return
        cell, check, outcome = found
        if outcome.verdict is Verdict.TIMEOUT:
            outcome.reason = f"{outcome.reason}{self.patience.explained(crashitem)}"
            self.patience.note(crashitem)
        report.conformance = settle(cell, check, outcome, self.settings, crashitem, kills=True)
        report.when = "call"
        report.longrepr = report.conformance["message"]
        report.location = (report.location[0], None, cell.id)
        verdict = Verdict(report.conformance["verdict"])
        if not self.settings.fails(cell.behaviour.level, verdict):
            report.outcome = "skipped"
            words = allowed(report.conformance) if verdict in BROKEN else f"{verdict.value}: {outcome.reason}"
            report.longrepr = (str(report.location[0]), 0, f"Skipped: {words}")

    def pytest_unconfigure(self) -> None:
        """Sweep up the crumbs."""
        self.folder.cleanup()


def _unless_dead(send: Callable[..., None]) -> Callable[..., None]:
    """What tells a worker to do something, and ends no run where it is dead and nobody has noticed yet.

    pytest-xdist hears of each death in its turn, and gives all that the worker had to others then.
    """

    def sent(name: str, **arguments: Any) -> None:
        with suppress(OSError):
            send(name, **arguments)

    return sent
