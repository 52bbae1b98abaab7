"""Crumbs: what a worker notes down before it does something that it may not survive.

A crumb file has a header of fixed width (phase, case number, cell), rewritten in place at each case, and room behind
it for the text of a sampled case. It is mapped into memory, which the system keeps for it however the process ends, and
which costs a tenth of a write. What ``faulthandler`` says when the process is killed goes into a file beside it.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path
from typing import Any, NamedTuple

HEADER = 512
NUMBERED = 22  # bytes of it for the phase and the number
CASE = 65536


class Crumb(NamedTuple):
    """The last note of a worker: phase ``starting``, ``corner`` or ``sampled``, the case's number or its text."""

    node: str
    phase: str
    number: int
    seconds: float  # since the cell began
    module: str  # where the names in the text of the case come from
    case: str
    dump: str

    @property
    def timed_out(self) -> bool:
        """Whether the watchdog ended the process."""
        return "Timeout (" in self.dump

    @property
    def fatal(self) -> str:
        """What ended the process, as far as it could still say: ``Segmentation fault``."""
        fatal = next((line for line in self.dump.splitlines() if line.startswith("Fatal Python error")), "")
        return fatal.partition(": ")[2]


class Crumbs:
    """The crumb file of one worker process."""

    def __init__(self, path: Path) -> None:
        with open(path, "w+b", buffering=0) as file:
            try:
                size = file.write(b" " * (HEADER + CASE))  # a disk that is nearly full takes a part
            except OSError:
                size = 0
            self.memory = mmap.mmap(file.fileno(), size) if size > HEADER + 8 else mmap.mmap(-1, HEADER + CASE)
        self.room = len(self.memory) - HEADER - 8  # bytes for the text of a case
        self.dump = open(path.with_suffix(".dump"), "w")  # noqa: SIM115 (open for the life of the process)

    def start(self, node: str) -> None:
        """Note which item runs."""
        named = b"%-16.2f%b" % (time.time(), node.encode()[: HEADER - 64])
        self.memory[NUMBERED:HEADER] = named.ljust(HEADER - NUMBERED)
        self.note("starting", 0, None)

    def note(self, phase: str, index: int, case: Any) -> None:
        """Note which case runs; the text of a case only where it cannot be made again from its number."""
        self.memory[:NUMBERED] = b"%-10s%-12d" % (phase.encode(), index)
        if case is not None:
            text = f"{type(case).__module__}\n{case!r}".encode(errors="replace")
            text = text if len(text) <= self.room else b"\n"  # half of a text would be worth nothing
            self.memory[HEADER : HEADER + 8 + len(text)] = b"%-8d%b" % (len(text), text)


def stood_at(path: Path) -> str | None:
    """The place in the code where the main thread of a process stood when the watchdog ended it, if it did."""
    try:
        dump = path.with_suffix(".dump").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the thread that was there first is written last
    places = (line.strip() for line in dump.partition("Timeout (")[2].rpartition("hread 0x")[2].splitlines())
    return next((place for place in places if place.startswith("File ")), None)


def read(path: Path) -> Crumb | None:
    """The last note in ``path``, or None where there is none."""
    try:
        content = path.read_bytes()
        dump = path.with_suffix(".dump").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    header = content[:HEADER].decode(errors="replace")
    node = header[NUMBERED + 16 :].strip()
    if not node:
        return None
    length = content[HEADER : HEADER + 8].decode(errors="replace").strip()
    case = content[HEADER + 8 : HEADER + 8 + int(length)].decode(errors="replace") if length.isdigit() else ""
    module, _, text = case.partition("\n")
    began = float(header[NUMBERED : NUMBERED + 16])
    return Crumb(node, header[:10].strip(), int(header[10:NUMBERED]), time.time() - began, module, text, dump)
