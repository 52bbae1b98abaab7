"""Isolation: a cell that ends or hangs its process gets its own verdict, and every other cell keeps its."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from conformance.selftest.projects import ROOT, Found, command, environment, launch, once, project

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))
MANY = 6
EXPECTED = {
    "aborts": "crash",
    "breaks": "error",
    "discards": "inconclusive",
    "exits": "error",
    "expects-failure": "error",
    "fails": "fail",
    "gives-up": "error",
    "kills-itself": "crash",
    "leaves": "crash",
    "locks-up": "timeout",
    "passes": "pass",
    "refuses": "unsupported",
    "shouts": "fail",
    "skips": "error",
    "sleeps": "timeout",
    "sleeps-late": "timeout",
}


def folder_of(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that parallel test processes share."""
    base = factory.getbasetemp()
    return (base.parent if "gw" in base.name else base) / name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A run with every way to end, six crashes in a row among them."""
    levels = {**dict.fromkeys(EXPECTED, "must"), "segfaults": "should", "passes": "may"}

    def make(folder: Path) -> Found:
        project(folder, levels, rows={"segfaults": MANY})
        return launch(folder, "-n", "2", "--timeout", "2", "--junitxml", "junit.xml")

    return once(folder_of(tmp_path_factory, "isolation"), make)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run: Found) -> Path:
    """Where that run was."""
    return folder_of(tmp_path_factory, "isolation") / "project"


def test_each_cell_has_its_own_verdict(run: Found) -> None:
    """Crashes, hangs in Python and in C, and exits are verdicts of their cells; no other cell loses its own."""
    found = run.verdicts()
    crashes = {name: found.pop(name) for name in list(found) if name.startswith("segfaults")}

    assert EXPECTED == found
    assert ["crash"] * MANY == list(crashes.values())
    assert 1 == run.status


def test_the_record_is_whole(run: Found) -> None:
    """However many workers died, the record is complete, sound, and has every cell once."""
    assert run.record is not None
    jsonschema.validate(run.record, SCHEMA)

    assert run.record["complete"]
    assert len(EXPECTED) + MANY == run.record["planned"] == len({cell["id"] for cell in run.record["cells"]})


@pytest.mark.parametrize(("name", "words"), [("gives-up", "no idea"), ("skips", "no"), ("expects-failure", "some day")])
def test_a_check_that_leaves_by_a_side_door_is_an_error(run: Found, name: str, words: str) -> None:
    """What pytest offers to tests is no answer of a check: the suite broke, and says where and with which words."""
    reason = run.cell(name)["reason"]

    assert reason.startswith("the check left in a way that is no answer: Traceback")
    assert words == reason.splitlines()[-1].partition(": ")[2]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("segfaults", "the process died: Segmentation fault"),
        ("aborts", "the process died: Aborted"),
        ("kills-itself", "the process died: no last word (killed from outside, or out of memory)"),
        ("leaves", "the process died: no last word"),
        ("sleeps", "no answer within 2 s"),
        ("sleeps-late", "no answer within 2 s"),
        ("locks-up", "no answer within 2 s"),
    ],
)
def test_the_end_is_told_with_its_case(run: Found, name: str, found: str) -> None:
    """How the process ended, in which case, and how long it took are known from what it left behind."""
    cell = run.cell(name)

    assert found in cell["found"]
    assert cell["minimal"].startswith("x = ")
    if "late" not in name and name != "aborts":
        assert "x = 3" == cell["minimal"]
    assert 30 > cell["seconds"] >= (1.9 if cell["verdict"] == "timeout" else 0)


def test_the_rerun_line_keeps_the_time_of_a_cell(run: Found) -> None:
    """What ended for want of time is run again with as much; a cell of the profile's own time says nothing of it."""
    assert " --profile smoke --timeout 2 " in run.cell("sleeps")["rerun"]


def test_reproducers_are_written_and_repeat_the_fault(run: Found, folder: Path) -> None:
    """Every broken cell has a script that ends with 1 on its own."""
    scripts = {c["id"]: c["reproducer"] for c in run.record["cells"] if c["verdict"] in ("fail", "crash", "timeout")}  # type: ignore[index]
    found = {}
    for name in ("demo.segfaults[t0-cpu]", "demo.fails[cpu]"):
        script = folder / "reports" / "runs" / scripts[name]
        found[name] = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, timeout=60).returncode

    assert None not in scripts.values()
    assert {"demo.segfaults[t0-cpu]": 1, "demo.fails[cpu]": 1} == found


def test_the_terminal_tells_it_plainly(run: Found) -> None:
    """Failures come one a line while the run goes on, then in full, then a table; no stacks of other threads."""
    for line in (
        "CRASH demo.segfaults[t3-cpu] (should: allowed) the process died: Segmentation fault",
        "FAIL demo.fails[cpu] (must) value: expected at most 2; found 3",
        "TIMEOUT demo.locks-up[cpu] (must) no answer within 2 s",
        "broken cells: 8 must, 6 should",
        "run record:   reports/runs/latest.json",
    ):
        assert line in run.output.splitlines()
    assert "Stack of" not in run.output
    assert "INTERNALERROR" not in run.output


def test_junit_has_every_cell(run: Found, folder: Path) -> None:
    """The XML for other tools has one entry a cell, the dead ones included."""
    from xml.etree import ElementTree

    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")  # our own file

    assert len(EXPECTED) + MANY == len({case.get("name") for case in cases})


def test_an_allowed_crash_is_told_as_a_forbidden_one_is(run: Found, folder: Path) -> None:
    """The terminal and the XML have the whole message of a crash that fails no run, and that it is allowed."""
    from xml.etree import ElementTree

    told = run.cell("segfaults")["message"].replace("\n", " (should: allowed)\n", 1)
    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    words = next(each.find("skipped").get("message") for each in cases if each.get("name") == "test_segfaults[t0-cpu]")  # type: ignore[union-attr]

    assert told.startswith("CRASH demo.segfaults[t0-cpu] (should: allowed)\nshould: A number segfaults.\n")
    assert "    x = 3" in told.splitlines()
    assert told in run.output
    assert told == words


def test_workers_that_die_at_once_end_the_run(tmp_path: Path) -> None:
    """A module that kills every worker that imports it ends the run after a few, and the record says so."""
    project(tmp_path / "p", {"passes": "must"}, module=lambda text: text + "\nos.abort()\n")
    run = launch(tmp_path / "p", "-n", "1")

    assert 3 == run.status, run.output
    assert "3 workers died while they collected; see the crash with: pytest -n 0 --collect-only" in run.output
    assert run.record is not None
    assert (False, 1) == (run.record["complete"], len(run.record["errors"]))


def test_the_crumbs_of_killed_runs_are_cleared_away(tmp_path: Path) -> None:
    """The next run clears the folder of a run that was killed, and no other: neither a living one's nor an unknown."""
    folder = project(tmp_path / "p", {"passes": "must", "sleeps": "must"})
    scratch = tmp_path / "scratch"
    unknown = scratch / "conformance-crumbs-unknown"
    unknown.mkdir(parents=True)

    def crumbs() -> set[Path]:
        return {path for path in scratch.glob("conformance-crumbs-*") if list(path.glob("*.crumb"))}

    runs, folders = [], []
    for _ in range(2):
        run = subprocess.Popen(
            command("-n", "1"), cwd=folder, env=environment(TMPDIR=str(scratch)), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        runs.append(run)
        end = time.monotonic() + 60
        while not (new := crumbs() - set(folders)) and time.monotonic() < end:
            time.sleep(0.05)
        folders += new
    dead, living = folders
    try:
        os.killpg(runs[0].pid, signal.SIGKILL)
        runs[0].wait()
        assert dead.exists()
        found = launch(folder, "-n", "1", "-k", "passes", TMPDIR=str(scratch))
        assert 0 == found.status, found.output
        assert (False, True, True) == (dead.exists(), living.exists(), unknown.exists())
    finally:
        for run in runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
