"""Messages: what a worker tells the controlling process of a cell.

pytest-xdist sends four messages a test, each of which wakes the controlling process, and spells every value of a
report out by itself: a tenth of the processor time of a run whose cells are short. A cell's beginning and end are said
there, by the report between them, and the entry of the run record travels as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

STARTED, FINISHED = "pytest_runtest_logstart", "pytest_runtest_logfinish"


class Messages:
    """Sends the reports of cells, and receives them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.sends = hasattr(config, "workerinput")
        self.started: Any = None
        self.finished: Any = None

    def start(self, item: pytest.Item) -> None:
        """Say in this process that a cell begins."""
        if self.started is None:
            manager = self.config.pluginmanager
            # what sends has no name; it is the one plugin that pytest-xdist adds to a worker
            senders = [x for x in manager.get_plugins() if type(x).__name__ == "WorkerInteractor"] if self.sends else []
            self.started = manager.subset_hook_caller(STARTED, senders)
            self.finished = manager.subset_hook_caller(FINISHED, senders)
        self.started(nodeid=item.nodeid, location=item.location)

    def finish(self, item: pytest.Item) -> None:
        """Say in this process that a cell has ended."""
        self.finished(nodeid=item.nodeid, location=item.location)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """Write the entry of the record out as one text."""
        data = yield
        if isinstance(data, dict) and "conformance" in data:
            data["conformance"] = json.dumps(data["conformance"], allow_nan=False)
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> Generator[None, Any, Any]:
        """Read the entry of the record back."""
        report = yield
        if isinstance(getattr(report, "conformance", None), str):
            report.conformance = json.loads(report.conformance)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, Any, Any]:
        """Say in the controlling process that a cell has begun and ended, which its worker did not send."""
        sent = not self.sends and hasattr(report, "conformance") and getattr(report, "node", None) is not None
        if sent:
            self.config.hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        result = yield
        if sent:
            self.config.hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
        return result
