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

from conformance.selftest.projects import BODIES, ROOT, command, environment, launch, project

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))


EARLY = """
import pytest


@pytest.hookimpl(trylast=True)
def pytest_xdist_node_collection_finished(node):
    raise KeyboardInterrupt
"""


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


def test_two_runs_at_a_time_have_a_record_each(tmp_path: Path) -> None:
    """A run that finds another at its record says so in a line, takes the next name, and leaves the other's alone."""
    project(tmp_path / "p", {"dawdles": "must", "passes": "must", "fails": "must"}, rows={"dawdles": 400})
    folder = tmp_path / "p" / "reports" / "runs"
    first = subprocess.Popen(
        command("-n", "1"), cwd=tmp_path / "p", env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (folder / "latest.json").exists():
        assert first.poll() is None
        time.sleep(0.02)
    kept = folder / "latest.reproducers" / "of-the-first.py"
    kept.parent.mkdir()
    kept.touch()
    second = launch(tmp_path / "p", "-n", "1", "-k", "passes or fails", "--fail-on", "none")
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    third = launch(tmp_path / "p", "-n", "0", "-k", "passes")

    line = "run record: reports/runs/latest-2.json, since another run is writing reports/runs/latest.json"
    assert line in second.output.splitlines()
    assert second.record is not None
    assert 402 == second.record["planned"]  # the first run's, unharmed
    own = json.loads((folder / "latest-2.json").read_text(encoding="utf-8"))
    assert (True, ["demo.fails[cpu]", "demo.passes[cpu]"]) == (own["complete"], [cell["id"] for cell in own["cells"]])
    assert (folder / own["cells"][0]["reproducer"]).parts[-3] == "latest-2.reproducers"
    assert {"passes": "pass"} == third.verdicts()  # a killed run keeps no claim
    assert not [path for path in folder.iterdir() if path.name.endswith(".lock")]


@pytest.mark.parametrize(("workers", "status"), [("0", 2), ("1", 1)])
def test_a_collection_without_end_is_an_error(tmp_path: Path, workers: str, status: int) -> None:
    """A test module that hangs when it is read is a collection error that names the place; it hangs no run."""
    project(tmp_path / "p", {"passes": "must"}, module=lambda text: text + "\ntime.sleep(1000)\n")
    run = launch(tmp_path / "p", "-n", workers, "--collection-timeout", "1")

    assert status == run.status, run.output
    assert "expected: an end of the collection within 1 s (--collection-timeout); found: none" in run.output
    assert "time.sleep(1000)" in run.output
    assert run.record is not None
    assert (False, 1) == (run.record["complete"], len(run.record["errors"]))


def test_a_collection_that_hangs_in_c_ends_the_run(tmp_path: Path) -> None:
    """Where no exception reaches the hang, the process is ended, once, and the place where it stood is told."""
    body = BODIES["locks-up"].replace("    while case.value == 3:", "while True:")
    project(tmp_path / "p", {"passes": "must"}, module=lambda text: f"{text}\n{body}\n")
    run = launch(tmp_path / "p", "-n", "1", "--collection-timeout", "1")

    assert 3 == run.status, run.output
    line = "expected: an end of the collection within 1 s (--collection-timeout); found: none, in File "
    assert any(line in found and "test_demo.py" in found for found in run.output.splitlines()), run.output


def test_an_interrupt_before_the_first_verdict_leaves_the_tables(tmp_path: Path) -> None:
    """The record says what there is beside its cells, however early the run was ended."""
    folder = project(tmp_path / "p", {"sleeps": "must"})
    conftest = folder / "conftest.py"
    conftest.write_text(conftest.read_text() + EARLY)
    run = launch(folder, "-n", "1")

    assert 2 == run.status, run.output
    assert run.record is not None
    assert (False, [], 1) == (run.record["complete"], run.record["cells"], run.record["available"])
