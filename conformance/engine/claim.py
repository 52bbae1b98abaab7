"""The claim: the right to write one run record, which no two living runs have at a time.

It is a lock that the system holds on a file beside the record, and drops when the process ends, however it ends: no
claim is ever stale, and nobody asks whether a process lives. A run that finds its record claimed takes the next name
that is free (``latest-2.json``), and never one of a file that is there already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no lock, as on a file system that knows none
    fcntl = None  # type: ignore[assignment]


class Claim:
    """The claim of this run: ``path`` is where its record goes, ``wanted`` where it was to go."""

    def __init__(self, wanted: Path) -> None:
        self.wanted = wanted
        self.descriptor: int | None = None
        for self.path in _names(wanted):
            try:
                self.descriptor = locked(_guard(self.path))
                return
            except BlockingIOError:
                continue
            except OSError:
                return  # a file system that knows no locks: the record is written all the same

    @property
    def moved(self) -> bool:
        """Whether another run is writing the record that was wanted."""
        return self.path != self.wanted

    def release(self) -> None:
        """Let the next run have the record."""
        if self.descriptor is not None:
            _guard(self.path).unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = None


def _names(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in count(2):
        path = wanted.with_stem(f"{wanted.stem}-{number}")
        if not path.exists():
            yield path


def _guard(record: Path) -> Path:
    return record.with_name(f".{record.name}.lock")


def locked(file: Path) -> int:
    """The descriptor of ``file``, locked; raises BlockingIOError where somebody else has it, OSError without locks."""
    if fcntl is None:
        raise OSError("this system has no locks")
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner removed it between our opening and our locking: it guards nothing
