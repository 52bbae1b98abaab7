"""Room: whether a failure may come of a full disk, which says nothing of torch.

What writes files, or has processes share memory, says where (``used``). Only a cell that did so is held against the
room that is left there: any other fails for its own reasons, however full the disk.
"""

from __future__ import annotations

import errno
import os
import tempfile

SHARED = "/dev/shm"  # where processes share their memory
ENOUGH = 1 << 20  # bytes: more than any case writes at a time
FULL = (errno.ENOSPC, errno.EDQUOT)
_used: set[str] = set()


def used(folder: str) -> None:
    """Say that the running case writes there."""
    _used.add(folder)


def begin() -> None:
    """Forget what another cell used."""
    _used.clear()


def lacking() -> str | None:
    """What is wrong with a folder that this cell used, in words; None where each has room."""
    for folder in sorted(_used):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.write(file.fileno(), bytes(ENOUGH))
                file.seek(ENOUGH - 1)  # a disk that is nearly full takes a part without a word
                if not file.read(1):
                    return f"{folder} has no room for {ENOUGH:,} bytes"
        except OSError as error:
            if error.errno in FULL:
                return f"{folder}: {error.strerror}"
    return None
