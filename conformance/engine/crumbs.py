"""Crumbs: what a worker notes down before it does something that it may not survive.

A crumb file has a header of fixed width (cell, phase, case number), rewritten in place with one write a case, and
room behind it for the text of a sampled case and for what ``faulthandler`` writes when the process is killed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

HEADER = 512
CASE = 16384


class Crumb(NamedTuple):
    """The last note of a worker: phase ``corner`` or ``sampled``, the case's number, its text, the dump."""

    node: str
    phase: str
    number: int
    case: str
    dump: str

    @property
    def timed_out(self) -> bool:
        """Whether the watchdog ended the process."""
        return "Timeout (" in self.dump

    @property
    def signal(self) -> str:
        """What ended the process, as far as it could still say."""
        fatal = next((line for line in self.dump.splitlines() if line.startswith("Fatal Python error")), "")
        return fatal.partition(": ")[2] or "no last word (killed from outside, or out of memory)"


class Crumbs:
    """The crumb file of one worker process."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 (open for the life of the process)
        self.descriptor = self.file.fileno()
        os.pwrite(self.descriptor, b" " * (HEADER + CASE), 0)
        self.dump = open(path.with_suffix(".dump"), "w")  # noqa: SIM115
        self.node = b""

    def start(self, node: str) -> None:
        """Note which item runs."""
        self.node = node.encode()[: HEADER - 64]
        os.pwrite(self.descriptor, b" " * HEADER, 0)
        self.note("starting", 0, None)

    def note(self, phase: str, index: int, case: Any) -> None:
        """Note which case runs; the text of a case only where it cannot be made again from its number."""
        os.pwrite(self.descriptor, b"%-10s%-12d%b" % (phase.encode(), index, self.node), 0)
        if case is not None:
            text = repr(case).encode()[: CASE - 8]
            os.pwrite(self.descriptor, b"%-8d%b" % (len(text), text), HEADER)


def read(path: Path) -> Crumb | None:
    """The last note in ``path``, or None where there is none."""
    try:
        content = path.read_bytes()
        dump = path.with_suffix(".dump").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    header = content[:HEADER].decode(errors="replace")
    node = header[22:].strip()
    if not node:
        return None
    length = content[HEADER : HEADER + 8].decode(errors="replace").strip()
    case = content[HEADER + 8 : HEADER + 8 + int(length)].decode(errors="replace") if length.isdigit() else ""
    number = header[10:22].strip()
    return Crumb(node, header[:10].strip(), int(number) if number.isdigit() else 0, case, dump)
