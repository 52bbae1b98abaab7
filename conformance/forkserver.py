"""Starts workers as forks of one process that has imported everything, in the place of each importing it anew.

To import torch, Hypothesis and the suite takes two seconds of a processor. A worker of pytest-xdist is a new Python
that does so, when the controlling process has, and so is the one that replaces it where it crashed. The server that
this module starts imports the same beside the controlling process; from then on a worker is there at once. It is
single-threaded and computes nothing, so that its forks are as good as new; where it cannot say so of itself, where a
device other than the CPU is tested (which may not be forked), and on systems other than Linux, workers start as ever.

This module is loaded early, by an entry point; it does nothing where no ``conftest.py`` plugs in the suite.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

PLUGIN = "conformance.engine.plugin"
PRELOADED = (
    "conformance.engine.prerequisites",
    PLUGIN,
    "_pytest.junitxml",
    "execnet.gateway_base",
    "pytest_benchmark.plugin",
    "xdist.remote",
)
CLIENT = Path(__file__).with_name("forkclient.py")
SERVE = (
    "import sys; sys.path[:] = {path}; from conformance.forkserver import leave, serve;"
    " exec(serve({listening}, {alive})); leave()"
)
SWITCH = "CONFORMANCE_FORKSERVER"  # 0 in the environment: workers start as ever
WITHIN = 5.0  # seconds in which the server ends, once nobody needs it; it does at once
STREAMS = 3


class Server:
    """The server of one run, as the controlling process knows it."""

    def __init__(self) -> None:
        self.needed = False  # by workers, which it forks and watches
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind("")  # a name that the system makes up, in no folder
            listening.listen()
            self.address = listening.getsockname().hex()
            alive, self.held = os.pipe()  # what the server reads ends with this process, however it ends
            path = [entry or os.getcwd() for entry in sys.path]  # as far as it is known this early
            told = SERVE.format(path=path, listening=listening.fileno(), alive=alive)
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-u", "-c", told], pass_fds=(listening.fileno(), alive),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # no fork inherits threads of NumPy's
                )  # fmt: skip
            except OSError:
                os.close(self.held)
                raise
            finally:
                os.close(alive)

    @property
    def python(self) -> str:
        """The command that is a Python to xdist, and has the server make one."""
        return shlex.join([sys.executable, "-I", "-S", str(CLIENT), self.address])

    def end(self) -> None:
        """Have the server end, at once where no worker knows of it."""
        os.close(self.held)
        if not self.needed:
            self.process.kill()
        try:
            self.process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


SERVER = pytest.StashKey[Server]()


@pytest.hookimpl
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start the server before anything of the suite is imported, where workers will be."""
    if wanted(early_config):
        with suppress(OSError):
            server = early_config.stash[SERVER] = Server()
            early_config.add_cleanup(server.end)  # also where the run ends before it has begun


def wanted(config: pytest.Config) -> bool:
    """Whether this is a run of the suite with workers, on a system that can fork."""
    given = config.known_args_namespace
    if os.environ.get(SWITCH) == "0":
        return False
    if sys.platform != "linux" or not hasattr(os, "pidfd_open") or "PYTEST_XDIST_WORKER" in os.environ:
        return False
    if not getattr(given, "numprocesses", None) or getattr(given, "tx", None):
        return False
    if getattr(given, "collectonly", False) or getattr(given, "usepdb", False) or getattr(given, "help", False):
        return False
    if "performance" in (getattr(given, "markexpr", None) or ""):  # timings have no workers, nor anybody beside them
        return False
    # what is imported already can be neither rewritten nor measured
    if getattr(given, "assertmode", "plain") != "plain" or getattr(given, "cov_source", None):
        return False
    try:
        return PLUGIN in (config.rootpath / "conftest.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Have workers of this machine come from the server."""
    server = config.stash.get(SERVER, None)
    if server is None or "//" in server.python or not forkable(config):  # what xdist is told may have none of these
        return
    for index, spec in enumerate(specs):
        if spec.popen and not spec.python:
            specs[index] = type(spec)(f"{spec}//python={server.python}")
            specs[index].id = spec.id
            server.needed = True


def forkable(config: pytest.Config) -> bool:
    """Whether a fork of a process that has imported torch can do all that the run asks of it: use the CPU."""
    from conformance.engine.items import SETTINGS

    settings = config.stash.get(SETTINGS, None)
    return settings is not None and all(target.type in ("cpu", "meta") for target in settings.targets)


def serve(listening: int, alive: int) -> str:
    """Fork for every client until ``alive`` ends; what a fork shall run is returned there, and nowhere else."""
    # an interrupt from the terminal goes to all processes, and workers have their own way with it
    interruption = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        alone = preloaded(alive)
    except BaseException:  # a build that is broken may raise anything, and workers will say so
        alone = False
    if not alone:
        os._exit(1)  # clients become a Python of their own
    gc.collect()
    gc.freeze()
    return Forks(socket.socket(fileno=listening), alive, interruption).run()


def preloaded(alive: int) -> bool:
    """Import everything; whether forks can be made of this process, and watched."""
    os.close(os.pidfd_open(os.getpid()))  # kernels before 5.3 and some containers refuse it
    with warnings.catch_warnings():  # as pytest imports modules: what they filter ends with their import
        for name in PRELOADED:
            if select.select([alive], [], [], 0)[0]:
                return False
            importlib.import_module(name)
    leave_git_alone()
    return len(os.listdir("/proc/self/task")) == 1


def leave_git_alone() -> None:
    """Have workers not ask git, by six processes each, for the name under which timings would be saved.

    pytest-benchmark asks as soon as it is loaded, and does not save what workers time.
    """
    plugin: Any = importlib.import_module("pytest_benchmark.plugin")
    if hasattr(plugin, "get_tag"):
        plugin.get_tag = lambda *_: "unsaved"


class Forks:
    """The server's loop: a client and its fork end with each other."""

    def __init__(self, listening: socket.socket, alive: int, interruption: Any) -> None:
        self.listening, self.alive, self.interruption = listening, alive, interruption
        self.living: list[Fork] = []
        self.needed = True

    def run(self) -> str:
        """Serve until nobody needs it any more; in a fork, give what it shall run."""
        while self.needed or self.living:
            poll = select.poll()
            watched = [self.listening.fileno(), self.alive] if self.needed else []
            for descriptor in (*watched, *(each for fork in self.living for each in fork.watched())):
                poll.register(descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            for fork in list(self.living):
                if fork.process in ready:
                    self.living.remove(fork)
                    fork.bury()
                elif fork.client.fileno() in ready:
                    fork.kill()
            if self.needed and self.alive in ready:
                self.retire()
            elif self.needed and self.listening.fileno() in ready:
                code = self.serve()
                if code is not None:
                    return code
        os._exit(0)

    def retire(self) -> None:
        """Take no more clients: those that come are refused at once, and become a Python of their own."""
        self.needed = False
        self.listening.close()

    def serve(self) -> str | None:
        """Fork for the next client; in the fork, give what it shall run."""
        try:
            client = self.listening.accept()[0]
        except OSError:
            self.retire()
            return None
        opened: list[int] = []
        try:
            words, opened = received(client)
            opened += os.pipe()
            process = os.fork()
        except OSError:
            process = -1
            client.close()
        if process > 0:
            self.watch(process, opened[-1], client)
        if process:
            for descriptor in opened:
                os.close(descriptor)
            return None
        *descriptors, start, started = opened
        os.close(started)
        client.close()
        self.forget()
        if not os.read(start, 1):  # nobody watches, and the client is a Python of its own
            os._exit(1)
        os.close(start)
        return become(words, descriptors, self.interruption)

    def watch(self, process: int, started: int, client: socket.socket) -> None:
        """Have a fork begin, once its client knows of it and its end will be noticed; else it ends."""
        descriptor = -1
        try:
            descriptor = os.pidfd_open(process)
            client.sendall(b"1")
            os.write(started, b"1")
            self.living.append(Fork(process, descriptor, client))
        except OSError:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            client.close()
            if descriptor >= 0:
                os.close(descriptor)

    def forget(self) -> None:
        """Close in a fork what is the server's."""
        self.listening.close()
        os.close(self.alive)
        for fork in self.living:
            fork.client.close()
            os.close(fork.process)


class Fork:
    """A fork and the client that asked for it."""

    def __init__(self, number: int, process: int, client: socket.socket) -> None:
        self.number, self.process, self.client = number, process, client
        self.killed = False

    def watched(self) -> list[int]:
        """The descriptors that tell of its end, and of that of its client."""
        return [self.process] if self.killed else [self.process, self.client.fileno()]

    def kill(self) -> None:
        """End it, since its client has ended; it is waited for later, so its number is still its own."""
        self.killed = True
        with suppress(ProcessLookupError):
            os.kill(self.number, signal.SIGKILL)

    def bury(self) -> None:
        """Tell its client how it ended."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        with suppress(OSError):
            self.client.sendall(struct.pack("i", status))
        self.client.close()
        os.close(self.process)


def received(client: socket.socket) -> tuple[list[bytes], list[int]]:
    """What a client says (its folder, what to run, its environment) and its standard streams; raises OSError."""
    client.settimeout(WITHIN)
    peer = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if peer[1] != os.getuid():
        raise PermissionError("a client of another user")
    head, descriptors, _, _ = socket.recv_fds(client, 8, STREAMS)
    try:
        if len(head) != 8 or len(descriptors) != STREAMS:
            raise ConnectionResetError("a client that ended, or more open files than this process may have")
        return bytes(_read(client, *struct.unpack("q", head))).split(b"\0"), descriptors
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _read(client: socket.socket, size: int) -> bytearray:
    body = bytearray()
    while len(body) < size:
        part = client.recv(size - len(body))
        if not part:
            raise ConnectionResetError("a client that ended")
        body += part
    return body


def become(words: list[bytes], descriptors: list[int], interruption: Any) -> str:
    """Make a fork what a new Python would be that the client started; gives what it shall run."""
    folder, code, *surroundings = words
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environb.clear()
    os.environb.update(dict(each.split(b"=", 1) for each in surroundings))
    os.chdir(folder)
    signal.signal(signal.SIGINT, interruption)
    tempfile.tempdir = None
    return code.decode()


def leave() -> NoReturn:
    """End a fork as Python ends, but for taking torch's modules apart, which takes a third of a second.

    The forks of multiprocessing end so too, and by the same functions.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)
