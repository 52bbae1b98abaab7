"""Messages: plugins of pytest hear of every cell, however few messages its worker sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.projects import CONFTEST, launch, project

HEARS = """

class Hears:
    def pytest_runtest_logstart(self, nodeid):
        note("start", nodeid)

    def pytest_runtest_logreport(self, report):
        note(report.outcome, report.nodeid)

    def pytest_runtest_logfinish(self, nodeid):
        note("finish", nodeid)


def note(event, nodeid):
    with open(f"heard.{NAME}", "a") as file:
        file.write(f"{event} {nodeid.partition('::')[2]}\\n")


def pytest_configure(config):
    global NAME
    NAME = "worker" if hasattr(config, "workerinput") else "main"
    config.pluginmanager.register(Hears())
"""


def heard(folder: Path, process: str) -> list[list[str]]:
    """The events of each cell in their order, cell by cell."""
    lines = (folder / f"heard.{process}").read_text().splitlines()
    cells = dict.fromkeys(line.split()[1] for line in lines)
    return [[line.split()[0] for line in lines if line.split()[1] == cell] for cell in cells]


@pytest.fixture
def listening(tmp_path: Path) -> Path:
    """A project of three cells with a plugin that notes what it hears."""
    folder = project(tmp_path, {"passes": "must", "fails": "must", "skips": "should"})
    (folder / "conftest.py").write_text(CONFTEST + HEARS)
    return folder


@pytest.mark.parametrize(("workers", "processes"), [("0", ["main"]), ("1", ["main", "worker"])])
def test_plugins_hear_of_every_cell(listening: Path, workers: str, processes: list[str]) -> None:
    """In each process a cell begins, is reported once and ends, as any test does."""
    found = launch(listening, "-n", workers)

    outcomes = [["start", outcome, "finish"] for outcome in ("passed", "failed", "failed")]
    for process in processes:
        assert outcomes == heard(listening, process), found.output


def test_a_cell_that_kills_its_worker_ends_too(tmp_path: Path) -> None:
    """The report that stands for a dead worker's begins and ends its cell in the controlling process."""
    folder = project(tmp_path, {"segfaults": "must"})
    (folder / "conftest.py").write_text(CONFTEST + HEARS)
    found = launch(folder, "-n", "1")

    assert [["start", "failed", "finish"]] == heard(folder, "main"), found.output


def test_the_entry_of_the_record_is_the_same_without_workers(tmp_path: Path) -> None:
    """What travels from a worker is what a run without workers has: nested, empty and not ASCII."""
    folder = project(
        tmp_path, {"fails": "must", "passes": "must"}, module=lambda text: text.replace("at most 2", "≤ 2")
    )
    found: list[Any] = []
    for workers in ("0", "1"):
        cells = (launch(folder, "-n", workers).record or {})["cells"]
        found.append([{key: value for key, value in cell.items() if key != "seconds"} for cell in cells])

    assert found[0] == found[1]
    assert "≤ 2" in str(found[0])
