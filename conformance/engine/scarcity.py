"""Scarcity: what torch says where the machine has no room left, which tells nothing of torch.

That it says so is not enough, since a torch that fills the machine, or that errs, says so too: the room is looked at.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress

WORDS = re.compile(r"No space left on device|Disk quota exceeded|out of shared memory")
LEAST = 16 << 20  # bytes, of which all files and segments of a case are a fraction
SHARED_MEMORY = "/dev/shm"


def scarcity(error: BaseException) -> str | None:
    """Where there is no room, if an exception speaks of it; None where it does not, or where there is room."""
    if not any(WORDS.search(str(each)) for each in _chain(error)):
        return None
    for folder in (SHARED_MEMORY, tempfile.gettempdir(), "."):
        with suppress(OSError):  # there is none of that name
            free = shutil.disk_usage(folder).free
            if free < LEAST:
                place = "the working folder" if folder == "." else folder
                return f"expected {LEAST >> 20} MiB free in {place}; found {free:,} bytes"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that it came of."""
    met: BaseException | None = error
    for _ in range(20):
        if met is None:
            return
        yield met
        met = met.__cause__ or met.__context__
