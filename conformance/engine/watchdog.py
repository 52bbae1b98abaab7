"""The watchdog: ends a process that hangs inside C, where no Python signal handler would ever run.

``faulthandler`` watches from a thread that needs no interpreter lock. Setting it costs a thread, so it is set anew
only when it was set some time ago: a cell may hang for a little longer than its limit, never for less.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

# The watchdog waits this much longer than pytest-timeout, whose signal leaves a better message where Python runs.
GRACE = 5.0
RENEW = 2.0
ENDLESS = "expected: an end of the collection within {:g} s (--collection-timeout); found: none"


class Watchdog:
    """One process' watchdog, which writes the stack of every thread to ``file`` before it ends the process."""

    def __init__(self, file: IO[str] | int) -> None:
        self.file = file
        self.set_at: float | None = None
        self.set_to = 0.0

    def feed(self, limit: float) -> None:
        """Give the item that starts now its time, ``limit`` seconds, 0 for any."""
        now = time.monotonic()
        if limit and (self.set_at is None or limit != self.set_to or now - self.set_at > RENEW):
            faulthandler.dump_traceback_later(limit + GRACE + RENEW, exit=True, file=self.file)
            self.set_at, self.set_to = now, limit

    def forget(self) -> None:
        """Note that somebody else may have called the watchdog off: the next item sets it anew."""
        self.set_at = None

    @contextmanager
    def collecting(self, limit: float) -> Iterator[None]:
        """Watch a collection: a hang in Python becomes an error of its module, one in C ends the process."""
        if not limit or threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(*_: Any) -> None:
            watch()
            pytest.fail(ENDLESS.format(limit))

        def watch() -> None:
            faulthandler.dump_traceback_later(limit + GRACE, exit=True, file=self.file)

        watch()
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, limit, limit)  # the next module may hang as well
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.rest()

    def rest(self) -> None:
        """Watch no longer."""
        faulthandler.cancel_dump_traceback_later()
        self.set_at = None
