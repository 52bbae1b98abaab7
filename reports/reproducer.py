"""Reading the script that shows a failure, so that the page can carry it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LONGEST = 256 * 1024


@dataclass(frozen=True)
class Reproducer:
    """A script's path as the record names it, and its source or the reason why there is none."""

    path: str
    source: str | None
    missing: str | None


def read(folder: Path, path: str) -> Reproducer:
    """Read a reproducer that lies beside the record.

    The path comes from the record, which may come from anybody, and the page may be mailed to anybody:
    so nothing outside the record's folder is ever read.
    """
    try:
        base = folder.resolve()
        file = (base / path).resolve()
        if not file.is_relative_to(base):
            return Reproducer(path, None, "The path leads out of the record's folder, so the file was not read.")
        if not file.is_file():
            return Reproducer(path, None, "The file is not beside the record.")
        if file.stat().st_size > LONGEST:
            return Reproducer(path, None, f"The file is longer than {LONGEST // 1024} KiB, so it was not read.")
        return Reproducer(path, file.read_text(encoding="utf-8", errors="replace"), None)
    except (OSError, ValueError, RuntimeError):  # a null byte, a name too long, a loop of links
        return Reproducer(path, None, "The file cannot be read.")
