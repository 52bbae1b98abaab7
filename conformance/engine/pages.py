"""Pages: the memory of this process in large pages, so that a fork of it costs a third.

A fork copies the table of all pages of memory, and torch has some 40,000 of the small ones as soon as it is imported.
Cells that fork do so hundreds of times: the area of workers takes 34 s of a processor without and 21 s with it, which
is what keeps its smoke profile within its budget. Linux puts pages together when it is asked to (MADV_COLLAPSE, since
6.1); where it does not, nothing is lost but time. What a process sees of its memory stays the same.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

LARGE = 1 << 21  # bytes of a large page
COLLAPSE = 25  # MADV_COLLAPSE
PAYING = 32  # the fork from which on it pays: it costs as much as thirty save, and cells of other areas fork less


class Forks:
    """Counts the forks of one process, and puts its pages together before one of them."""

    def __init__(self, process: int) -> None:
        self.process, self.count = process, 0

    def next(self) -> None:
        """Called before each fork, also in forks of the process, which have inherited the pages."""
        self.count += 1
        if self.count == PAYING and os.getpid() == self.process:
            collapse()


@cache
def watch_forks() -> None:
    """Put the pages of this process together as soon as it has forked some times."""
    if sys.platform == "linux":
        os.register_at_fork(before=Forks(os.getpid()).next)


def collapse() -> int:
    """Put the private memory of this process together into large pages; how many there were."""
    found = 0
    with suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        for address in list(private_pages()):
            found += advise(ctypes.c_void_p(address), ctypes.c_size_t(LARGE), COLLAPSE) == 0
    return found


def private_pages() -> Iterator[int]:
    """The addresses of what could be a large page: of memory that is written and that belongs to no file."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            span, rights, _, _, file, *name = line.split()
            first, end = (int(address, 16) for address in span.split("-"))
            if rights.startswith("rw") and rights.endswith("p") and file == "0" and name in ([], ["[heap]"]):
                yield from range(-(-first // LARGE) * LARGE, end - LARGE + 1, LARGE)
