"""Interruption: a run that is ended from outside leaves a readable record that says it is not whole."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.selftest.projects import ROOT, command, environment, launch, project

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))


def hears_interruptions() -> None:
    """A background job of a shell starts with SIGINT ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def record_after(folder: Path, number: int, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, output and record of a run that gets a signal after its fifth cell."""
    project(folder, {"dawdles": "must"}, rows={"dawdles": 200})
    path = folder / "reports" / "runs" / "latest.json"
    run = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=hears_interruptions,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.02)
        # a reader that comes at any moment finds a whole document
        if path.exists() and len(json.loads(path.read_text(encoding="utf-8"))["cells"]) >= 5:
            break
    run.send_signal(number)
    output, _ = run.communicate(timeout=60)
    return run.returncode, output, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("number", "arguments", "status", "finished"),
    [
        (signal.SIGKILL, ("-n", "1"), -signal.SIGKILL, False),
        (signal.SIGINT, ("-n", "0"), 2, True),
    ],
    ids=["SIGKILL", "SIGINT"],
)
def test_an_ended_run_leaves_its_cells(
    tmp_path: Path, number: int, arguments: tuple[str, ...], status: int, finished: bool
) -> None:
    """Killed or interrupted, the record is sound, incomplete, and has the cells so far."""
    found, output, record = record_after(tmp_path / "p", number, *arguments)

    assert status == found, output
    jsonschema.validate(record, SCHEMA)
    assert (False, 200) == (record["complete"], record["planned"])
    assert 5 <= len(record["cells"]) < 200
    assert finished is (record["finished"] is not None)


def test_without_workers_a_hang_in_c_still_ends(tmp_path: Path) -> None:
    """Even where nothing isolates the cells, a run does not hang for ever, and its record is readable."""
    project(tmp_path / "p", {"passes": "must", "fails": "must", "locks-up": "must"})
    run = launch(tmp_path / "p", "-p", "no:xdist", "--timeout", "1")

    assert 1 == run.status
    assert "Timeout (0:00:" in run.output
    assert run.record is not None
    assert (False, {"fails": "fail", "passes": "pass"}) == (run.record["complete"], run.verdicts())
