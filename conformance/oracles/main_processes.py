"""Main processes: an action in a process of its own, which may start workers, hang, or be killed, and leaves nothing.

The process is a fork of this one, and the head of a group of processes, all of which are ended with it. Its answers
come through a pipe that its own children inherit: the end of the pipe is the end of the last of them. What serves
several processes, such as torch's manager of shared memory, cleans up behind them for seconds before it ends: nobody
waits for that, but what has not ended in its time is ended.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import inspect
import linecache
import os
import pickle
import select
import signal
import stat
import struct
import threading
import time
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any

import torch

from conformance.engine import room
from conformance.oracles.children import silenced
from conformance.oracles.expect import Discard, Mismatch
from conformance.oracles.processes import group_members, still_running

# What nothing takes that comes to an end at all, however loaded the machine is; a hang costs as much.
PATIENCE = 30.0
# What a process that has given its last answer gets to end by itself, with all of its group.
PARTING = 2.0
# Processes whose head has ended before them, the time at which each was started, and by when it has to have ended.
PARTED: dict[tuple[int, str], float] = {}
# How torch begins what it says of a worker that has ended, killed or unexpectedly, whichever it sees first.
LOST = "DataLoader worker (pid"


class EndedFromOutside(Mismatch):
    """A process that somebody has ended before its answer."""


class MainProcess:
    """A process that runs an action: what a generator yields, and at last what the action returns, are its answers."""

    def __init__(self, action: Callable[..., Any], *arguments: Any) -> None:
        if not hasattr(os, "fork"):
            raise Discard("this platform cannot fork a process that starts workers")
        if os.path.isdir(room.SHARED):
            room.used(room.SHARED)
        see_off(0.0)
        made_ready()
        self.answers, answering = os.pipe()
        self.pid: int | None = os.fork()
        if not self.pid:
            os.close(self.answers)
            answer_and_exit(answering, action, arguments)
        os.close(answering)
        with contextlib.suppress(OSError):  # the process does the same, whichever comes first
            os.setpgid(self.pid, self.pid)
        self.group = self.pid

    def __enter__(self) -> MainProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        end = time.monotonic() + (0.0 if kind else PARTING)
        members: dict[int, str] | None = None
        while self._running() and time.monotonic() < end:
            # a group may last as nothing but orphans that have ended, until whoever inherits them waits for them
            members = None if self.pid else group_members(self.group)
            if members is not None:
                break
            threading.Event().wait(0.002)
        os.close(self.answers)
        if members is not None:
            if not PARTED:
                atexit.register(see_off)
            PARTED.update(dict.fromkeys(members.items(), end))
            return
        with contextlib.suppress(OSError):
            os.killpg(self.group, signal.SIGKILL)
        self.reap()

    def _running(self) -> bool:
        """Whether the process or one of its group is there still."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = None
        try:
            os.killpg(self.group, 0)
        except OSError:
            return self.pid is not None
        return True

    def answer(self, what: str, limit: float = PATIENCE) -> Any:
        """The next answer; what the action raised is raised here."""
        end = time.monotonic() + limit
        (length,) = struct.unpack("!q", self._read(8, end, what, limit))
        kind, *content = pickle.loads(self._read(length, end, what, limit))
        if kind == "mismatch":
            raise Mismatch(*content)
        if kind == "discard":
            raise Discard(*content)
        if kind == "error":
            name, text = content
            kind = getattr(builtins, name, RuntimeError)
            kind = kind if issubclass(kind, Exception) else RuntimeError  # an interrupt there is none here
            raise kind(f"{text} ({name}, in the process of the case)")
        return content[0]

    def kill(self) -> None:
        """End the process, and not its children, as the system does with no warning."""
        os.kill(self.pid or 0, signal.SIGKILL)
        self.reap()

    def reap(self) -> None:
        """Wait for the end of the process."""
        if self.pid:
            os.waitpid(self.pid, 0)
        self.pid = None

    def all_ended(self, limit: float = PATIENCE) -> bool:
        """Whether the process and all that were forked from it end within the limit."""
        end = time.monotonic() + limit
        while select.select([self.answers], [], [], max(0.0, end - time.monotonic()))[0]:
            if not os.read(self.answers, 65536):
                return True
        return False

    def _killed(self) -> bool:
        """Whether the process, which ends, is ended by SIGKILL."""
        end = time.monotonic() + PARTING
        while self.pid and time.monotonic() < end:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.pid = None
                return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            threading.Event().wait(0.002)
        return False

    def _read(self, length: int, end: float, what: str, limit: float) -> bytes:
        found = b""
        while len(found) < length:
            if not select.select([self.answers], [], [], max(0.0, end - time.monotonic()))[0]:
                raise Mismatch(what, f"an end within {limit:g} s", "none")
            part = os.read(self.answers, length - len(found))
            if not part:
                kind = EndedFromOutside if self._killed() else Mismatch
                raise kind(what, "a result or an exception", "the end of the process")
            found += part
        return found


# What starts a process, and what is on the stack of one when torch is seeded, which reads the lines of the stack.
OF_EACH_PROCESS = (
    "multiprocessing.popen_fork", "multiprocessing.queues", "multiprocessing.synchronize", "multiprocessing.context",
    "multiprocessing.process", "torch.random", "torch.cuda.random", "torch.utils.data.dataloader",
    "torch.utils.data._utils.worker", "torch.utils.data._utils.fetch",
)  # fmt: skip


@cache
def made_ready() -> None:
    """Load here what each process of a case and each of its workers would load anew."""
    for name in OF_EACH_PROCESS:
        with contextlib.suppress(ImportError):  # a module that another release or system does not have
            linecache.getlines(import_module(name).__file__ or "")
    traceback.format_stack()
    with torch.autograd.profiler.record_function("ready"):  # what a loader enters for each batch
        pass


def see_off(patience: float = PARTING) -> None:
    """Wait for those whose head has ended, and end whose time is up; without patience only see who has gone."""
    until = time.monotonic() + patience
    for (process, started), latest in list(PARTED.items()):
        while still_running(process, started) and (now := time.monotonic()) < latest:
            if now >= until:
                break
            threading.Event().wait(0.01)
        else:
            del PARTED[process, started]
            if still_running(process, started):
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)


def in_a_main_process(what: str, action: Callable[..., Any], *arguments: Any, limit: float = PATIENCE) -> Any:
    """What the action returns in a process of its own; ``what`` names it where it does not come to an end.

    A process or a worker that was killed may have been by somebody else, or by a machine without memory, which are no
    part of what is judged: the action is run once more. What torch breaks it breaks again.
    """
    try:
        with MainProcess(action, *arguments) as process:
            return process.answer(what, limit)
    except EndedFromOutside:
        pass
    except RuntimeError as error:
        if not str(error).startswith(LOST):
            raise
    with MainProcess(action, *arguments) as process:
        return process.answer(what, limit)


def answer_and_exit(answering: int, action: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Be the process: act, answer, and leave without any cleaning up that is the parent's."""
    try:
        os.setpgid(0, 0)
        silenced()
        let_go_of_pipes(answering)
        gc.freeze()  # what is the parent's already is not looked at again by every worker
        found = action(*arguments)
        if inspect.isgenerator(found):
            for answer in found:
                send_answer(answering, "answer", answer)
        else:
            send_answer(answering, "answer", found)
    except Mismatch as mismatch:
        send_answer(answering, "mismatch", mismatch.what, mismatch.expected, mismatch.found, mismatch.where)
    except Discard as reason:
        send_answer(answering, "discard", str(reason))
    except BaseException as error:
        send_answer(answering, "error", type(error).__name__, str(error))
    finally:
        os._exit(0)


def let_go_of_pipes(kept: int) -> None:
    """Close the pipes of this process' parent, but the one that is kept and that of the tracker of shared memory.

    Who waits for the parent's end at one of them, as whoever runs the tests does, would wait for a worker that is
    forgotten here too.
    """
    tracker = getattr(getattr(resource_tracker, "_resource_tracker", None), "_fd", None)
    with contextlib.suppress(OSError):  # a system that does not list them
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that lists them is closed by now
                number = int(name)
                if number > 2 and number not in (kept, tracker) and stat.S_ISFIFO(os.fstat(number).st_mode):
                    os.close(number)


def send_answer(answering: int, *answer: Any) -> None:
    """Write an answer, its length before it."""
    content = pickle.dumps(answer)
    content = struct.pack("!q", len(content)) + content
    while content:
        content = content[os.write(answering, content) :]
