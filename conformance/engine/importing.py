"""Imports that are told where they fail, whatever way: a build that is broken may end, hang or kill its process.

A process that ended with status 0 while it imported torch would be taken for a run that passed.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

LIMIT = 300.0  # seconds that all that is imported at the start may take
GRACE = 5.0  # seconds after that in which Python may still tell it itself


class Unimportable(BaseException):
    """An import that did not come back as an import does; nothing that is imported catches it by the way."""


def imported(name: str) -> Any:
    """A module, or an exception in its place: an end of the process is one too; an interrupt stays what it is."""
    kept, process = os._exit, os.getpid()

    def leave(status: int = 0) -> NoReturn:
        if os.getpid() != process:  # a fork that has done its work
            kept(status)
        raise Unimportable(f"an end of the process with status {status}, by os._exit")

    os._exit = leave
    try:
        return importlib.import_module(name)
    finally:
        os._exit = kept


@contextmanager
def watched(limit: float = LIMIT, file: Any = None) -> Iterator[None]:
    """Have an import that does not end raise Unimportable, one that hangs in C end its process with what hangs.

    What an import is killed by is told by ``faulthandler``, with the line that it came to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise Unimportable(f"no end of it within {limit:g} s")

    file = sys.__stderr__ if file is None else file
    enabled = faulthandler.is_enabled()
    with suppress(AttributeError, OSError, RuntimeError, ValueError):  # no stream that the system knows
        if not enabled:
            faulthandler.enable(file)
        faulthandler.dump_traceback_later(limit + GRACE, exit=True, file=file)
    timed = hasattr(signal, "setitimer")
    before = signal.signal(signal.SIGALRM, stop) if timed else None
    if timed:
        signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
        if not enabled:
            faulthandler.disable()
