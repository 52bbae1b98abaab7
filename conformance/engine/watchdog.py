"""The watchdog: ends a process that hangs inside C, where no Python signal handler would ever run.

``faulthandler`` watches from a thread that needs no interpreter lock. Setting it costs a thread, so it is set anew
only when it was set some time ago: a cell may hang for a little longer than its limit, never for less.
"""

from __future__ import annotations

import faulthandler
import time
from typing import IO

# The watchdog waits this much longer than pytest-timeout, whose signal leaves a better message where Python runs.
GRACE = 5.0
RENEW = 2.0


class Watchdog:
    """One process' watchdog, which writes the stack of every thread to ``file`` before it ends the process."""

    def __init__(self, file: IO[str] | int, limit: float) -> None:
        self.file, self.limit = file, limit
        self.set_at: float | None = None

    def feed(self) -> None:
        """Give the item that starts now its full time."""
        now = time.monotonic()
        if self.limit and (self.set_at is None or now - self.set_at > RENEW):
            faulthandler.dump_traceback_later(self.limit + GRACE + RENEW, exit=True, file=self.file)
            self.set_at = now

    def forget(self) -> None:
        """Note that somebody else may have called the watchdog off: the next item sets it anew."""
        self.set_at = None

    def rest(self) -> None:
        """Watch no longer."""
        faulthandler.cancel_dump_traceback_later()
        self.set_at = None
