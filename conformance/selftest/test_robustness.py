"""Robustness: what is broken around a run costs what hangs on it and nothing else, and is told in a line.

Hangs and aborts in native code, and workers that are killed, are in ``test_isolation.py``; signals in
``test_interruption.py``.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from conformance.selftest.projects import ROOT, Found, command, environment, found, launch, project

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))
CRUMBS_OF_ANOTHER_MACHINE = """
import pytest


@pytest.hookimpl(trylast=True)
def pytest_configure_node(node):
    node.workerinput["crumbs"] = "/a/folder/of/another/machine"
"""
BOTH_AT_ONCE = """
import os
import pathlib
import signal
import time

import pytest

died = []


def pytest_sessionstart(session):
    pathlib.Path(os.environ.get("PYTEST_XDIST_WORKER", "main") + ".pid").write_text(str(os.getpid()))


@pytest.hookimpl(tryfirst=True)
def pytest_testnodedown(node, error):
    others = [] if died else [other for other in node.config.pluginmanager.get_plugin("dsession").sched.nodes]
    died.append(node)
    for other in others:
        if other is not node:
            os.kill(int(pathlib.Path(other.gateway.id + ".pid").read_text()), signal.SIGKILL)
            try:
                while True:
                    other.channel.send(("nothing", {}))
                    time.sleep(0.01)
            except OSError:
                other._down = False  # as it is for a moment, until the thread that reads from the worker is woken
"""
NO_NUMPY = "raise RuntimeError('Numpy is not available')"
BROKEN = {
    "torch": ("torch", "raise ImportError('libtorch.so: undefined symbol:\\n  _ZN3c10')",
              "expected a torch that can be imported; found ImportError: libtorch.so: undefined symbol: _ZN3c10 (see"),
    "torch-leaves": ("torch", "raise SystemExit(3)", "expected a torch that can be imported; found SystemExit: 3"),
    "torch-ends": ("torch", "import os\nos._exit(0)",
                   "expected a torch that can be imported; found an end of the process with status 0, by os._exit"),
    "torch-is-a-folder": ("torch", "", "expected a NumPy that torch can use; found torch of no version and NumPy"),
    "numpy": ("numpy", "raise ModuleNotFoundError(\"No module named 'numpy'\")",
              "expected a numpy that can be imported; found ModuleNotFoundError: No module named 'numpy'"),
    "together": ("torch", f"__version__ = '2.0.1'\ndef from_numpy(array):\n    {NO_NUMPY}\n",
                 "expected a NumPy that torch can use; found torch 2.0.1 and NumPy"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_torch_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, name: str) -> None:
    """One line and no traceback, in a run and in a listing, and the last record is left alone."""
    package, text, expected = BROKEN[name]
    folder = project(tmp_path / "p", {"passes": "must"})
    record = folder / "reports" / "runs" / "latest.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"schema": 1, "cells": []}')
    broken = tmp_path / "broken" / package / "__init__.py"
    broken.parent.mkdir(parents=True)
    broken.write_text(text)
    path = f"{broken.parents[1]}:{ROOT}"
    runs = [launch(folder, "-n", "1", PYTHONPATH=path)]
    if name == "torch":
        listing = [sys.executable, "-m", "conformance", "list", "inplace"]
        done = subprocess.run(listing, cwd=folder, env=environment(PYTHONPATH=path), capture_output=True, text=True)
        runs.append(Found(done.returncode, done.stdout + done.stderr, None))

    for run in runs:
        assert 4 == run.status, run.output
        lines = [line for line in run.output.splitlines() if line.startswith("ERROR: conformance: ")]
        assert 1 == len(lines), run.output
        assert expected in lines[0]
        assert "Traceback" not in run.output
    assert '{"schema": 1, "cells": []}' == record.read_text()


def test_workers_that_die_at_once_are_replaced(tmp_path: Path) -> None:
    """A worker that is dead by the time it gets what another one left ends no run: of each, one cell is lost."""
    folder = project(tmp_path / "p", {"kills-itself": "must", "dawdles": "must"}, rows={"dawdles": 60})
    conftest = folder / "conftest.py"
    conftest.write_text(conftest.read_text() + BOTH_AT_ONCE)
    run = launch(folder, "-n", "2", "--maxschedchunk", "1")
    verdicts = list(run.verdicts().values())

    assert 1 == run.status, run.output
    assert "INTERNALERROR" not in run.output
    assert (2, 59) == (verdicts.count("crash"), verdicts.count("pass")), run.output


LOCKED = """
import ctypes
lock, lib = ctypes.create_string_buffer(128), ctypes.PyDLL(None)
lib.pthread_mutex_init(lock, None)
while True:
    lib.pthread_mutex_lock(lock)
"""
HANGS = {
    "in Python": ("import time\ntime.sleep(60)\n", 0, "no end of it within 0.5 s"),
    "in C": (LOCKED, 1, "Timeout (0:00:01.5"),
    "killed": ("import ctypes\nctypes.string_at(0)\n", -signal.SIGSEGV, "Fatal Python error: Segmentation fault"),
}


@pytest.mark.parametrize("name", HANGS)
def test_an_import_that_does_not_end_is_told(tmp_path: Path, name: str) -> None:
    """It is given its time, and what it stood at is shown where Python cannot tell it itself."""
    text, status, expected = HANGS[name]
    (tmp_path / "endless.py").write_text(text)
    code = (
        "from conformance.engine import importing\nimporting.GRACE = 1.0\n"
        "try:\n    with importing.watched(0.5): importing.imported('endless')\n"
        "except importing.Unimportable as found: print(found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(PYTHONPATH=f"{ROOT}:{tmp_path}"),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (status, True) == (done.returncode, expected in done.stdout + done.stderr), done.stdout + done.stderr
    assert status == 0 or "endless.py" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file systems of other systems refuse such names")
def test_a_folder_that_workers_cannot_be_told_of_is_refused(tmp_path: Path) -> None:
    """A name that is no UTF-8 is told in a line where there would be workers, and is none of a run without."""
    folder = project(Path(os.fsdecode(os.fsencode(tmp_path) + b"/p\xff")), {"passes": "must"})
    refused = launch(folder, "-n", "1")
    run = subprocess.run(command("-n", "0"), cwd=folder, env=environment(), capture_output=True)

    assert (4, 0) == (refused.status, run.returncode), refused.output + run.stdout.decode(errors="replace")
    assert "ERROR: -n: expected a working folder whose name is UTF-8" in refused.output
    assert "INTERNALERROR" not in refused.output


def test_a_worker_of_another_machine_needs_no_folder_of_this_one(tmp_path: Path) -> None:
    """Where crumbs cannot be shared, cells have their verdicts all the same, and nothing is left behind."""
    names = {"passes": "must", "fails": "must", "segfaults": "must"}
    folder = project(tmp_path / "p", names)
    conftest = folder / "conftest.py"
    conftest.write_text(conftest.read_text() + CRUMBS_OF_ANOTHER_MACHINE)
    (tmp_path / "t").mkdir()
    run = launch(folder, "-n", "1", TMPDIR=str(tmp_path / "t"))

    assert {"passes": "pass", "fails": "fail", "segfaults": "crash"} == run.verdicts(), run.output
    assert [] == [path for path in (tmp_path / "t").iterdir() if "conformance" in path.name and not _of_dead(path)]


def _of_dead(path: Path) -> bool:
    """Whether a folder is that of a process that was killed: nobody can sweep up behind it there."""
    return (path / "gw0.crumb").exists()


def test_workers_of_a_killed_run_end(tmp_path: Path) -> None:
    """Where the controlling process is killed, no worker goes on."""
    folder = project(tmp_path / "p", {"dawdles": "must"}, rows={"dawdles": 400})
    (tmp_path / "t").mkdir()  # what nobody sweeps up
    surroundings = environment(TMPDIR=str(tmp_path / "t"))
    run = subprocess.Popen(
        command("-n", "2"), cwd=folder, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    path = folder / "reports" / "runs" / "latest.json"
    while not (path.exists() and json.loads(path.read_text())["cells"]):
        assert run.poll() is None
        time.sleep(0.05)
    workers = descendants(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait(60)
    end = time.monotonic() + 30
    while any(map(lives, workers)) and time.monotonic() < end:
        time.sleep(0.1)

    assert 5 == len(workers)  # the server, two clients, their two forks
    assert [] == [worker for worker in workers if lives(worker)]


def descendants(process: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    started = [int(line) for line in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [each for child in started for each in (child, *descendants(child))]


def lives(process: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def mounts() -> bool:
    """Whether a small file system can be mounted here, seen by one process only."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    trial = "mount -t tmpfs -o size=64k tmpfs /mnt"
    return not subprocess.call(["unshare", "--mount", "sh", "-c", trial], stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not Path("/proc/self/ns/mnt").exists() or not mounts(), reason="no file system can be mounted here")
@pytest.mark.parametrize(("size", "begun"), [("16k", True), ("4k", False)])
def test_a_full_disk_costs_what_does_not_fit(tmp_path: Path, size: str, begun: bool) -> None:
    """The record keeps the cells that fit, each verdict is told, and the run ends with a status that is not good."""
    folder = project(tmp_path / "p", {"dawdles": "must", "passes": "must"}, rows={"dawdles": 30})
    runs = folder / "reports" / "runs"
    runs.mkdir(parents=True)
    kept = tmp_path / "kept.json"
    small = f"mount -t tmpfs -o size={size} tmpfs reports/runs && {shlex.join(command('-n', '1'))}"
    after = f"; status=$?; cp reports/runs/latest.json {shlex.quote(str(kept))}; exit $status"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small + after], cwd=folder, env=environment(), capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    output = done.stdout + done.stderr

    if not begun:
        assert 4 == done.returncode, output
        line = "--run-record: expected a file that can be written, such as run.json; found 'reports/runs/latest.json'"
        assert f"{line}: No space left on device" in output
        return
    record = json.loads(kept.read_text(encoding="utf-8"))
    jsonschema.validate(record, SCHEMA)
    count = len(record["cells"])
    assert (False, 31) == (record["complete"], record["planned"])
    assert 0 < count < 31
    assert f"(CUT OFF: No space left on device; it has {count} of 31 cells)" in output
    assert "31 passed" in output
    assert 3 == done.returncode


def launch_with_little_room(folder: Path, temporary: Path, size: str, *arguments: str) -> Found:
    """A run whose temporary folder has that much room."""
    temporary.mkdir()
    small = f"mount -t tmpfs -o size={size} tmpfs {temporary} && {shlex.join(command(*arguments))}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small], cwd=folder, env=environment(TMPDIR=str(temporary)),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return found(folder, done.returncode, done.stdout + done.stderr)


@pytest.mark.skipif(not Path("/proc/self/ns/mnt").exists() or not mounts(), reason="no file system can be mounted here")
def test_a_full_temporary_folder_costs_no_verdict(tmp_path: Path) -> None:
    """Where workers cannot note down all that they do, cells have their verdicts all the same."""
    folder = project(tmp_path / "p", {"passes": "must", "segfaults": "must"})
    run = launch_with_little_room(folder, tmp_path / "t", "16k", "-n", "1")

    assert {"passes": "pass", "segfaults": "crash"} == run.verdicts(), run.output


FILES = (
    "import tempfile\n    from conformance.engine import room\n    room.used(tempfile.gettempdir())\n"
    "    with tempfile.TemporaryFile() as file: file.write(bytes(200_000))"
)


@pytest.mark.skipif(not Path("/proc/self/ns/mnt").exists() or not mounts(), reason="no file system can be mounted here")
def test_a_failure_for_want_of_room_is_no_failure_of_torch(tmp_path: Path) -> None:
    """What cannot write its files is an error that names the folder; what needs none fails as ever."""
    folder = project(
        tmp_path / "p", {"passes": "must", "fails": "must"},
        module=lambda text: text.replace("    pass\n", f"    {FILES}\n", 1),
    )  # fmt: skip
    run = launch_with_little_room(folder, tmp_path / "t", "120k", "-n", "0")

    assert {"passes": "error", "fails": "fail"} == run.verdicts(), run.output
    assert 1 == run.status
    assert f"says nothing of torch: {tmp_path / 't'} has no room for" in str(run.cell("passes")["reason"])
