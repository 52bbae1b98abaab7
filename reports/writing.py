"""Writing files whole or not at all, several together."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write the text as UTF-8. A reader, or a crash, never meets half of it."""
    write_together({path: text})


def write_together(texts: Mapping[Path, str]) -> None:
    """Write each text as UTF-8. Where one cannot be written, every file is left, or put back, as it was."""
    for path in texts:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    staged: dict[Path, Path] = {}
    replaced: dict[Path, Path | None] = {}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = _staged(path, text.encode("utf-8"))
        for path, temporary in staged.items():
            # what is there keeps its bytes until the last file is in its place
            replaced[path] = _staged(path, path.read_bytes()) if len(texts) > 1 and path.exists() else None
            os.replace(temporary, path)
    except BaseException:
        for path, before in replaced.items():
            if staged[path].exists():
                continue  # it was not replaced
            if before is not None:
                os.replace(before, path)
            else:
                path.unlink(missing_ok=True)
        raise
    finally:
        for left in (*staged.values(), *filter(None, replaced.values())):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _staged(path: Path, data: bytes) -> Path:
    """A file beside ``path`` that has the bytes that it is to have."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's 0600 would keep a web server from reading the page
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
