"""Files: what lies in them, read without torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.engine import room
from conformance.oracles.expect import Discard


@contextmanager
def holding(contents: bytes | None) -> Iterator[str]:
    """Path of a temporary file with these contents; of none yet where they are None."""
    if contents == b"":
        raise Discard("an empty file has nothing to map")
    with tempfile.TemporaryDirectory() as folder:
        room.used(str(Path(folder).parent))
        path = Path(folder, "elements.bin")
        if contents is not None:
            path.write_bytes(contents)
        yield str(path)


def read(path: str) -> bytes:
    """Every byte of a file."""
    return Path(path).read_bytes()
