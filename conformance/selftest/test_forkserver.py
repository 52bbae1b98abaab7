"""Tests of the server that workers are forked from, and of what happens where there is none."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance.forkserver import SWITCH, Server, wanted
from conformance.selftest.projects import ROOT, command, environment, found, launch, project
from conformance.selftest.test_robustness import descendants, lives

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

ORIGINS = """
import os, pytest
@pytest.hookimpl
def pytest_runtest_logreport(report):
    with open("origins.txt", "a") as file:
        forked = "serve(" in open("/proc/self/cmdline").read()
        print(os.environ.get("PYTEST_XDIST_WORKER", "controller"), "fork" if forked else "python", file=file)
"""
YAML_OF_ANOTHER_PLACE = """
import os, sys
print(os.getpid(), file=open(os.path.join({place!r}, "..", "p", "imported.txt"), "a"))
sys.path.remove({place!r})
del sys.modules["yaml"]
import yaml
sys.path.insert(0, {place!r})
"""
FILTERS = """
import os, warnings, pytest
@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    if "PYTEST_XDIST_WORKER" in os.environ:
        with open("filters.txt", "a") as file:
            print([(kind, getattr(text, "pattern", text)) for kind, text, *_ in warnings.filters], file=file)
"""


GIT = """#!/bin/sh
tr '\\0' ' ' < /proc/$PPID/cmdline >> "$ASKED"
echo >> "$ASKED"
exit 1
"""
SURVEY = """
import os, time
from conformance.engine import recorder
if "PYTEST_XDIST_WORKER" not in os.environ:
    class Late(recorder.Surroundings):
        def __init__(self, *given):
            end = time.monotonic() + 20
            while not os.path.exists("judged.txt") and time.monotonic() < end:
                time.sleep(0.02)
            print("seen" if os.path.exists("judged.txt") else "unseen", file=open("survey.txt", "a"))
            super().__init__(*given)
    recorder.Surroundings = Late
def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" in os.environ:
        open("judged.txt", "a").close()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server, shared by the tests of this module that leave it as it is."""
    made = Server()
    yield made
    made.end()


def start(server: Server, code: str, **options: object) -> subprocess.Popen[str]:
    """What xdist starts in the place of a Python."""
    return subprocess.Popen(
        [*_words(server), "-u", "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def _words(server: Server) -> list[str]:
    return shlex.split(server.python)


def test_a_fork_has_what_a_new_python_has(server: Server, tmp_path: Path) -> None:
    """Its streams, folder and environment are its client's, torch is there, and interrupts reach it if they do here."""
    interrupted = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not in a job that ignores them
    code = (
        "import os, signal, sys; print(sys.stdin.readline().strip(), os.getcwd(), os.environ['MARK'], len(os.environ),"
        " 'torch' in sys.modules, signal.getsignal(signal.SIGINT) is signal.default_int_handler, __name__);"
        " print('told', file=sys.stderr)"
    )
    client = start(server, code, cwd=tmp_path, env={"MARK": "here", "LC_ALL": "C.UTF-8"})
    out, err = client.communicate("said\n", timeout=60)

    assert f"said {tmp_path} here 2 True {interrupted} __main__\n" == out
    assert "told\n" == err
    assert 0 == client.returncode


@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os._exit(5)", 5), ("raise ValueError('no')", 1)]
)
def test_a_client_ends_as_its_fork_does(server: Server, code: str, expected: int) -> None:
    """The status of a fork is that of the process that xdist knows."""
    client = start(server, code)
    _, err = client.communicate(timeout=60)

    assert expected == client.returncode, err


def test_what_is_to_run_at_the_end_of_a_fork_runs(server: Server) -> None:
    """A fork ends without taking modules apart, yet not before exit handlers ran and streams were written."""
    client = start(server, "import atexit, sys; atexit.register(print, 'at exit'); sys.stdout.write('first ')")
    out, _ = client.communicate(timeout=60)

    assert "first at exit\n" == out


def test_a_fork_ends_with_its_client(server: Server) -> None:
    """Where xdist kills what it started, the fork that does the work is killed too."""
    client = start(server, "import os, time; print(os.getpid()); time.sleep(600)")
    assert client.stdout is not None
    fork = int(client.stdout.readline())
    client.kill()
    client.wait()

    assert gone(fork)


def test_the_server_ends_with_the_process_that_started_it() -> None:
    """A run that is killed leaves no server."""
    code = (
        "import time; from conformance.forkserver import Server;"
        " server = Server(); print(server.process.pid, flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    run.kill()
    run.wait()

    assert gone(pid)  # as soon as it has imported what it is importing


def test_without_a_server_a_client_is_a_python() -> None:
    """Where the server has ended, what xdist starts is a Python of its own, with the arguments of one."""
    ended = Server()
    ended.end()
    client = start(ended, "import sys; print(sys.stdin.readline().strip(), sys.argv, 'torch' in sys.modules)")
    out, err = client.communicate("said\n", timeout=60)

    assert "said ['-c'] False\n" == out, err


def test_a_server_that_cannot_import_is_none(tmp_path: Path) -> None:
    """Where what the suite stands on cannot be imported, workers are Pythons of their own, which say so."""
    (tmp_path / "xdist").mkdir()
    (tmp_path / "xdist" / "__init__.py").write_text("raise RuntimeError('broken')")
    code = (
        "import subprocess, shlex; from conformance.forkserver import Server; server = Server();"
        " done = subprocess.run([*shlex.split(server.python), '-u', '-c', 'print(1)'], capture_output=True, text=True);"
        " print(done.stdout.strip(), server.process.wait(60))"
    )
    surroundings = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )

    assert "1 1\n" == done.stdout, done.stderr


def test_a_fork_waits_for_its_threads(server: Server) -> None:
    """Threads that are no daemons, and those of a pool, finish what they do."""
    code = (
        "import threading, time; from concurrent.futures import ThreadPoolExecutor;"
        " threading.Thread(target=lambda: (time.sleep(0.5), print('thread'))).start();"
        " ThreadPoolExecutor().submit(lambda: (time.sleep(1), print('pool')))"
    )

    assert "thread\npool\n" == start(server, code).communicate(timeout=60)[0]


def test_a_folder_that_is_gone_makes_a_python(server: Server, tmp_path: Path) -> None:
    """A client whose folder was removed starts as a Python does."""
    words = shlex.join([*_words(server), "-u", "-c", "print('runs')"])
    done = subprocess.run(["sh", "-c", f"rmdir {tmp_path} && {words}"], cwd=tmp_path, capture_output=True, text=True)

    assert "runs\n" == done.stdout, done.stderr


@pytest.mark.parametrize("said", [b"", b"\1\0\0", struct.pack("q", 10) + b"cut"])
def test_a_client_that_ends_in_mid_word_is_forgotten(server: Server, said: bytes) -> None:
    """Whatever a client has said when it ends, the server serves the next one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(bytes.fromhex(server.address))
        if said:
            socket.send_fds(connection, [said], [0, 1, 2])
    client = start(server, "import sys; print('torch' in sys.modules)")

    assert "True\n" == client.communicate(timeout=60)[0]


def test_a_client_that_ends_before_its_fork_has_none(server: Server, tmp_path: Path) -> None:
    """A fork whose client cannot be told of it runs nothing."""
    mark = tmp_path / "mark"
    body = b"\0".join([b"/", f"open({str(mark)!r}, 'w').close()".encode()])
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(bytes.fromhex(server.address))
            socket.send_fds(connection, [struct.pack("q", len(body))], [0, 1, 2])
            connection.sendall(body)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client = start(server, "print('served')")

    assert "served\n" == client.communicate(timeout=60)[0]


@pytest.mark.parametrize(
    ("patch", "forked"),
    [
        ("import os\ndef refuse(*a): raise OSError(38, 'no')\nos.pidfd_open = refuse", False),
        ("import sys, time\nif 'serve' in str(sys.orig_argv): time.sleep(3)", True),
    ],
)
def test_one_process_reads_what_a_client_was_given(tmp_path: Path, patch: str, forked: bool) -> None:
    """Where a system cannot watch forks, or imports take long, a client and a fork never both read one stream."""
    (tmp_path / "sitecustomize.py").write_text(patch)
    code = (
        "import os, subprocess, shlex; from conformance.forkserver import Server; server = Server();"
        " said = ''.join(f'{n}\\n' for n in range(20000));"
        " reader = 'import os, sys; print(os.getpid(), \"torch\" in sys.modules, len(list(sys.stdin)))';"
        " done = subprocess.run([*shlex.split(server.python), '-u', '-c', reader],"
        " input=said, capture_output=True, text=True); print(done.stdout, done.stderr); server.end()"
    )
    surroundings = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    done = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, timeout=120)

    assert [str(forked), "20000"] == done.stdout.split()[1:], done.stdout + done.stderr


def test_an_ignored_interrupt_stays_ignored() -> None:
    """What a shell starts in the background ignores interrupts, and so do its forks."""
    asked = "import signal; print(signal.getsignal(signal.SIGINT).name)"
    code = (
        "import shlex, signal, subprocess; from conformance.forkserver import Server;"
        " signal.signal(signal.SIGINT, signal.SIG_IGN); server = Server();"
        f" subprocess.run([*shlex.split(server.python), '-u', '-c', {asked!r}], timeout=60); server.end()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=120)

    assert ["SIG_IGN"] == done.stdout.split(), done.stderr


def test_variables_without_a_name_are_left_out(server: Server) -> None:
    """An environment may have what nobody can set."""
    words = [*_words(server), "-u", "-c", "import sys; print('torch' in sys.modules)"]
    done = subprocess.run(["env", "=x=y", *words], capture_output=True, text=True, timeout=60)

    assert "True\n" == done.stdout, done.stderr


def test_the_server_looks_where_the_run_looks(tmp_path: Path) -> None:
    """Modules of a folder that pytest's own configuration names are those of the workers too."""
    folder = project(tmp_path / "p", {"passes": "must"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "yaml.py").write_text(YAML_OF_ANOTHER_PLACE.format(place=str(tmp_path / "other")))
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {tmp_path / 'other'}\n")
    forked, own = (launch(folder, "-n", "1", CONFORMANCE_FORKSERVER=switch) for switch in "10")

    assert {"passes": "pass"} == forked.verdicts() == own.verdicts(), forked.output + own.output
    # the controlling process and, in the first run, the server; then the controlling process and the worker
    assert 4 == len(set((folder / "imported.txt").read_text().split()))


def test_a_usage_error_leaves_no_server(tmp_path: Path) -> None:
    """A run that ends before it begins ends its server too."""
    folder = project(tmp_path / "p", {"passes": "must"})
    code = (
        "import os, pytest; status = pytest.main(['-n', '2', '--assert=plain', '--nonsense']);"
        " print(int(status), open(f'/proc/self/task/{os.getpid()}/children').read().split())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True)

    assert "4 []" == done.stdout.splitlines()[-1], done.stderr


def test_forks_filter_warnings_as_pythons_do(tmp_path: Path) -> None:
    """What torch and NumPy filter as they are imported is not left in a worker, be it a fork or not."""
    folder = project(tmp_path / "p", {"passes": "must"})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + FILTERS)
    for switch in "10":
        run = launch(folder, "-n", "1", CONFORMANCE_FORKSERVER=switch)
        assert {"passes": "pass"} == run.verdicts(), run.output
    forked, own = (folder / "filters.txt").read_text().splitlines()

    assert own == forked


def origins(folder: Path) -> dict[str, set[str]]:
    """How each process of a run came to be."""
    lines = [line.split() for line in (folder / "origins.txt").read_text().splitlines()]
    return {name: {kind for other, kind in lines if other == name} for name, _ in lines}


def test_workers_are_forks_and_so_are_those_that_replace_them(tmp_path: Path) -> None:
    """A worker that crashed is replaced by another fork, and each cell has its verdict."""
    folder = project(tmp_path / "p", {"passes": "must", "segfaults": "must", "fails": "must"})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + ORIGINS)
    run = launch(folder, "-n", "1")

    assert {"passes": "pass", "segfaults": "crash", "fails": "fail"} == run.verdicts(), run.output
    assert {"controller": {"python"}, "gw0": {"fork"}, "gw1": {"fork"}} == origins(folder)


@pytest.mark.parametrize(("arguments", "switch"), [(["--assert=rewrite"], "1"), ([], "0")])
def test_a_run_may_have_workers_of_its_own(tmp_path: Path, arguments: list[str], switch: str) -> None:
    """What is imported already cannot be rewritten, and nobody has to have it: then xdist starts workers as ever."""
    folder = project(tmp_path / "p", {"passes": "must"})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + ORIGINS)
    run = launch(folder, "-n", "1", *arguments, CONFORMANCE_FORKSERVER=switch)

    assert {"passes": "pass"} == run.verdicts(), run.output
    assert {"controller": {"python"}, "gw0": {"python"}} == origins(folder)


def test_workers_leave_git_alone(tmp_path: Path) -> None:
    """What timings would be saved under is not asked of git by workers, which save none."""
    folder, asked = project(tmp_path / "p", {"passes": "must", "fails": "must"}), tmp_path / "asked.txt"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(GIT)
    (tmp_path / "bin" / "git").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run = launch(folder, "-n", "2", PATH=path, ASKED=str(asked))
    callers = asked.read_text().splitlines()

    assert {"passes": "pass", "fails": "fail"} == run.verdicts(), run.output
    assert callers
    assert [] == [caller for caller in callers if "serve(" in caller]


def test_workers_do_not_wait_for_the_survey(tmp_path: Path) -> None:
    """The controlling process looks at the whole suite while workers judge, and not before: they would wait for it."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must"})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + SURVEY)
    run = launch(folder, "-n", "1")

    assert {"passes": "pass", "fails": "fail"} == run.verdicts(), run.output
    assert "seen\n" == (folder / "survey.txt").read_text()


def test_a_run_outlives_its_server(tmp_path: Path) -> None:
    """Where the server is killed, workers go on, and one that crashes then is replaced by a Python of its own."""
    folder = project(tmp_path / "p", {"dawdles": "must", "segfaults": "must", "passes": "must"}, rows={"dawdles": 100})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + ORIGINS)
    run = subprocess.Popen(
        command("-n", "1"), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not (folder / "origins.txt").exists():
        assert run.poll() is None
        time.sleep(0.05)
    server = next(each for each in descendants(run.pid) if "serve(" in Path(f"/proc/{each}/cmdline").read_text())
    os.kill(server, signal.SIGKILL)
    output, _ = run.communicate(timeout=120)
    after = found(folder, run.returncode, output)

    assert 102 == len(after.verdicts()), output
    assert ("crash", "pass") == (after.verdicts()["segfaults"], after.verdicts()["passes"])
    assert {"gw0": {"fork"}, "gw1": {"python"}} == {k: v for k, v in origins(folder).items() if k != "controller"}


def gone(process: int) -> bool:
    """Whether a process ends within a minute; it does in a second."""
    end = time.monotonic() + 60
    while lives(process) and time.monotonic() < end:
        time.sleep(0.05)
    return not lives(process)


def test_a_server_without_workers_is_not_waited_for() -> None:
    """A run that ends before it has workers, as by an interrupt, does not wait until its server has imported torch."""
    server = Server()
    server.end()

    assert -signal.SIGKILL == server.process.returncode


@pytest.mark.parametrize(
    ("expression", "expected"), [("performance", False), ("must and performance", False), ("must", True)]
)
def test_timings_have_no_server_beside_them(monkeypatch: pytest.MonkeyPatch, expression: str, expected: bool) -> None:
    """The phase that times has no workers, and the machine for itself: nothing imports torch beside it."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv(SWITCH, raising=False)
    given = SimpleNamespace(numprocesses="auto", markexpr=expression)

    assert expected is wanted(SimpleNamespace(known_args_namespace=given, rootpath=ROOT))
