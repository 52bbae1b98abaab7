"""Room: whether a failure may come of a full disk, which says nothing of torch.

What writes files, or has processes share memory, says where (``used``). A cell that did so is held against the room
that is left there, and any cell whose failure speaks of want of room against that of the usual places; any other fails
for its own reasons, however full the disk.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator

SHARED = "/dev/shm"  # where processes share their memory
ENOUGH = 1 << 20  # bytes: more than any case writes at a time
FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS = re.compile(r"No space left on device|Disk quota exceeded|out of shared memory")
_used: set[str] = set()


def used(folder: str) -> None:
    """Say that the running case writes there."""
    _used.add(folder)


def begin() -> None:
    """Forget what another cell used."""
    _used.clear()


def lacking(error: BaseException) -> str | None:
    """What is wrong with a folder that the failure may come of, in words; None where each has room."""
    usual = {SHARED, tempfile.gettempdir()} if any(WORDS.search(str(each)) for each in _chain(error)) else set()
    for folder in sorted(_used | usual):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.write(file.fileno(), bytes(ENOUGH))
                file.seek(ENOUGH - 1)  # a disk that is nearly full takes a part without a word
                if not file.read(1):
                    return f"{folder} has no room for {ENOUGH:,} bytes"
        except OSError as problem:
            if problem.errno in FULL:
                return f"{folder}: {problem.strerror}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that it came of."""
    met: BaseException | None = error
    for _ in range(20):
        if met is None:
            return
        yield met
        met = met.__cause__ or met.__context__
