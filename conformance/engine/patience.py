"""Patience: how long a cell may take, which is less where the same thing hung before in this run.

A method that hangs does so in each of its cells. Every cell still gets its own verdict, but after the first hang
of its subject or behaviour it has to answer sooner, though still later than any cell of a sound build does.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

# Hangs of one subject or behaviour, and of all cells together, from which on a cell gets a part of its time, and
# the least number of seconds that it still gets.
STEPS = ((3, 40, 20, 3.0), (1, 10, 6, 10.0))


class Patience:
    """Hangs of a run, shared by its processes through a file that grows by one line a hang."""

    def __init__(self, limit: float, path: Path | None = None) -> None:
        """``limit`` is the time of a cell in seconds, 0 for any; ``path`` the file, None for one process alone."""
        self.limit, self.path = limit, path
        self.hangs: Counter[str] = Counter()
        self.total = self.read = 0

    def note(self, node: str) -> None:
        """Note that the cell of this node id hung."""
        if self.path is None:
            self._count(node)
            return
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{node}\n")

    def seconds(self, node: str) -> float:
        """How long the cell of this node id may take now; 0 for any time."""
        self._catch_up()
        if not self.limit or not self.total:
            return self.limit
        same = max(self.hangs[key] for key in _keys(node))
        for alike, together, part, least in STEPS:
            if same >= alike or self.total >= together:
                return min(self.limit, max(self.limit / part, least))
        return self.limit

    def explained(self, node: str) -> str:
        """Why the cell has less than its whole time, as an ending of a sentence; empty where it has all."""
        seconds = self.seconds(node)
        if seconds == self.limit:
            return ""
        return f" ({seconds:g} s in place of {self.limit:g} s, since {self.total} cells hung before in this run)"

    def _catch_up(self) -> None:
        if self.path is None:
            return
        try:
            size = os.stat(self.path).st_size
        except FileNotFoundError:
            return
        if size > self.read:
            with open(self.path, encoding="utf-8") as file:
                file.seek(self.read)
                for line in file.read(size - self.read).splitlines():
                    self._count(line)
            self.read = size

    def _count(self, node: str) -> None:
        self.hangs.update(_keys(node))
        self.total += 1


def unanswered(seconds: float) -> str:
    """What is said of a cell that was given so many seconds, whether it hung in Python or in C."""
    return f"no answer within {seconds:g} s"


def _keys(node: str) -> list[str]:
    """The behaviour and, where it has one, the subject of a cell: ``…::test_returns_self`` and ``[add_``."""
    check, _, rest = node.partition("[")
    subject = rest.rpartition("-")[0]
    return [check, f"[{subject}"] if subject else [check]
