"""Children: an action that may end the process, run in a fork of it.

A fork costs milliseconds where a new interpreter costs seconds; the child calls nothing but the action.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
from collections.abc import Callable
from typing import Any

from conformance.oracles.expect import Discard, Mismatch

RETURNED, RAISED, OTHER = 0, 10, 11
GLANCE, STILL = 0.15, 0.6  # seconds between two looks at a process, and those after which it is at a standstill


def raises_in_a_child(
    kinds: type[BaseException] | tuple[type[BaseException], ...], action: Callable[[], Any], what: str
) -> None:
    """Expect the action to raise one of ``kinds`` in a process that survives it."""
    if not hasattr(os, "fork"):
        raise Discard("this platform cannot fork a process that may crash")
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    child = os.fork()
    if not child:
        _run(kinds, action)
    _, status = os.waitpid(child, 0)
    names = " or ".join(kind.__name__ for kind in kinds)
    if os.WIFSIGNALED(status):
        raise Mismatch(
            what, f"{names} is raised", f"the process is ended by {signal.Signals(os.WTERMSIG(status)).name}"
        )
    if os.WEXITSTATUS(status) != RAISED:
        found = "no exception" if os.WEXITSTATUS(status) == RETURNED else "another exception"
        raise Mismatch(what, f"{names} is raised", found)


def outlives(
    kinds: type[BaseException] | tuple[type[BaseException], ...], action: Callable[[], Any], what: str
) -> None:
    """Expect the process to live on after the action, whether it returned or raised one of ``kinds``."""
    if not hasattr(os, "fork"):
        raise Discard("this platform cannot fork a process that may crash")
    child = os.fork()
    if not child:
        _run(kinds if isinstance(kinds, tuple) else (kinds,), action)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        ending = signal.Signals(os.WTERMSIG(status)).name
        raise Mismatch(what, "a value or an exception", f"the process is ended by {ending}")
    if os.WEXITSTATUS(status) == OTHER:
        raise Mismatch(what, "a value or an exception that says why there is none", "another exception")


def comes_to_an_end(action: Callable[[], Any], what: str) -> None:
    """Expect a process of its own to be done with the action, whose threads else wait for each other.

    A process that has used no time of the processor for ``STILL`` seconds waits for what does not come.
    """
    if not hasattr(os, "fork"):
        raise Discard("this platform cannot fork a process that may hang")
    ended, ending = os.pipe()
    child = os.fork()
    if not child:
        os.close(ended)
        _run((), action)
    os.close(ending)
    moved, still = -1, 0.0
    try:
        while not select.select([ended], [], [], GLANCE)[0]:
            used = _ticks(child)
            moved, still = used, 0.0 if used != moved else still + GLANCE
            if still >= STILL:
                os.kill(child, signal.SIGKILL)
                break
    finally:
        os.close(ended)
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Mismatch(what, "an end", f"no step within {STILL} s")
    if os.WEXITSTATUS(status) != RETURNED:
        raise Mismatch(what, "no exception", "an exception")


def _ticks(process: int) -> int:
    """Time of the processor that a process has used, where the system tells; zero elsewhere."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _run(kinds: tuple[type[BaseException], ...], action: Callable[[], Any]) -> None:
    """Run the action without the cleaning up of this process, and without its last words or a core file."""
    status = OTHER
    try:
        silenced()
        action()
        status = RETURNED
    except kinds:
        status = RAISED
    finally:
        os._exit(status)


def silenced() -> None:
    """Let this process end without last words and without a core file."""
    import resource

    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
