"""Resumption: a run that was cut off goes on, and in the end nobody sees that it ever stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.selftest.projects import ROOT, command, environment, launch, project
from conformance.selftest.test_plugin import Runner
from conformance.selftest.test_plugin import run as a_run

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))
LATEST = "reports/runs/latest.json"
NAMES = {"fails": "must", "dawdles": "must", "passes": "must"}
SUBJECTS = 30
run = a_run  # the fixture


def cut_off(folder: Path, *arguments: str, cells: int = 4) -> dict[str, Any]:
    """The record of a run whose processes are killed after a few cells."""
    if not folder.exists():
        project(folder, NAMES, rows={"dawdles": SUBJECTS})
    path = folder / LATEST
    swept = folder.parent / "t"  # what a killed process leaves in the temporary folder
    swept.mkdir(exist_ok=True)
    run = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(TMPDIR=str(swept)), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.02)
        if path.exists() and len(json.loads(path.read_text(encoding="utf-8"))["cells"]) >= cells:
            break
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(60)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_run_goes_on(tmp_path: Path, workers: str) -> None:
    """Killed twice, it ends complete: every cell once, those decided before word for word, and with their scripts."""
    folder = tmp_path / "p"
    first = cut_off(folder, "-n", workers)
    second = cut_off(folder, "-n", workers, "--resume", LATEST, cells=len(first["cells"]) + 3)
    last = launch(folder, "-n", workers, "--resume", LATEST)

    assert last.record is not None
    jsonschema.validate(last.record, SCHEMA)
    every = {cell["id"]: cell for cell in last.record["cells"]}
    count = SUBJECTS + 2
    assert 4 <= len(first["cells"]) < len(second["cells"]) < count
    assert (True, count, count) == (last.record["complete"], last.record["planned"], len(every))
    for record in (first, second):
        assert record["cells"] == [every[cell["id"]] for cell in record["cells"]]
    assert (first["started"], first["behaviours"]) == (last.record["started"], last.record["behaviours"])
    assert first["settings"] == last.record["settings"]
    assert 1 == last.status  # the cell that failed before is no less broken
    assert "broken cells: 1 must" in last.output.splitlines()
    line = f"goes on with: {LATEST}, where {len(second['cells'])} of {count} cells have their verdict"
    assert line in last.output.splitlines()
    assert any(line.split()[:2] == ["demo", str(count)] for line in last.output.splitlines())
    assert (folder / "reports" / "runs" / every["demo.fails[cpu]"]["reproducer"]).is_file()
    assert first["available"] == last.record["available"]
    assert not last.record["errors"]


@pytest.mark.parametrize(("verdicts", "workers", "status"), [(("pass", "fail"), "1", 1), (("pass",), "0", 0)])
def test_a_run_that_lacks_only_its_end_is_ended(
    run: Runner, tmp_path: Path, verdicts: tuple[str, ...], workers: str, status: int
) -> None:
    """Where every cell has its verdict, none is run again, and the exit status is that of the verdicts."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must"})
    whole = run().record
    assert whole is not None
    cells = [cell for cell in whole["cells"] if cell["verdict"] in verdicts]
    cut = {**whole, "complete": False, "finished": None, "cells": cells, "planned": len(cells)}
    (folder / LATEST).write_text(json.dumps(cut), encoding="utf-8")
    selection = ["-k", "passes"] if len(cells) == 1 else []
    found = run("-n", workers, "--resume", LATEST, *selection)

    assert found.record is not None
    assert (status, True) == (found.status, found.record["complete"])
    assert cells == found.record["cells"]
    assert whole["available"] == found.record["available"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--seed", "7"), "expected everything as it was in reports/runs/latest.json; found seed 7 (was 0)"),
        (
            ("--profile", "default", "--timeout", "9"),
            'found profile "default" (was "smoke"); samples 50 (was 5); timeout',
        ),
        (("-k", "passes"), "expected the 3 cells that were planned in reports/runs/latest.json; found 2"),
        (("--run-record", "other.json"), "expected none, since --resume reports/runs/latest.json goes on in its own"),
    ],
)
def test_another_run_does_not_go_on(run: Runner, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """Other settings, another selection, another record: one line says which, and the record is left alone."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must", "refuses": "may"})
    run("-x")
    before = (folder / LATEST).read_bytes()
    found = run("--resume", LATEST, *arguments)

    assert 4 == found.status, found.output
    assert 1 == sum(expected in line for line in found.output.splitlines()), found.output
    assert "Traceback" not in found.output
    assert before == (folder / LATEST).read_bytes()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "No such file or directory"),
        ("no", "no JSON"),
        ("[]", "no run record of schema 1"),
        ('{"schema": 1}', "no 'suite' in it"),
    ],
)
def test_what_is_no_record_does_not_go_on(run: Runner, tmp_path: Path, text: str | None, expected: str) -> None:
    """A file that is missing, or is something else, is told as such and is not touched."""
    folder = project(tmp_path / "p", {"passes": "must"})
    if text is not None:
        (folder / "run.json").write_text(text)
    found = run("--resume", "run.json")

    asked = "--resume: expected the record of a run that was cut off, such as reports/runs/latest.json; found"
    assert 4 == found.status
    assert f"ERROR: {asked} 'run.json': {expected}" in found.output.splitlines()
    assert text is None or text == (folder / "run.json").read_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"verdict": "nonsense"}, 'cells.0: expected a verdict; found "nonsense"'),
        ({"level": None}, "cells.0: expected its level; found null"),
        ({"started": "now"}, "no time in 'started': 'now'"),
    ],
    ids=["verdict", "level", "started"],
)
def test_a_record_that_was_tampered_with_does_not_go_on(
    run: Runner, tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    """What is no cell that a run decided is told by its number, before anything is run."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must"})
    record = json.loads((run("--run-record", "run.json") and folder / "run.json").read_text())
    record["complete"] = False
    del record["cells"][1:]
    record["cells"][0].update({key: value for key, value in change.items() if key != "started"})
    record["started"] = change.get("started", record["started"])
    (folder / "run.json").write_text(json.dumps(record))
    found = run("--resume", "run.json")

    assert 4 == found.status
    assert expected in found.output
    assert "Traceback" not in found.output


def test_a_complete_run_has_nothing_to_go_on_with(run: Runner, tmp_path: Path) -> None:
    """A run that ended is no run that was cut off."""
    project(tmp_path / "p", {"passes": "must"})
    run()
    found = run("--resume", LATEST)

    assert 4 == found.status
    assert f"found '{LATEST}': a run that is complete, with 1 cells" in found.output


def test_a_run_that_still_goes_is_left_to_it(tmp_path: Path) -> None:
    """A record that another process is writing is not gone on with."""
    folder = project(tmp_path / "p", NAMES, rows={"dawdles": 400})
    first = subprocess.Popen(
        command("-n", "0"), cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not (folder / LATEST).exists():
            assert first.poll() is None
            time.sleep(0.02)
        run = launch(folder, "-n", "0", "--resume", LATEST)
        going = first.poll() is None
    finally:
        first.kill()
        first.wait(60)

    assert going
    assert 4 == run.status
    assert (
        f"ERROR: --resume: expected a run that has ended; found '{LATEST}', still written to" in run.output.splitlines()
    )
    assert not [path for path in (folder / "reports" / "runs").iterdir() if path.name.startswith(".latest-2")]
