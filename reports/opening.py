"""Opening what was named as a run record: its bytes, or one fault that says what is there instead."""

from __future__ import annotations

import difflib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from reports.faults import Fault, UnreadableError


@dataclass(frozen=True)
class Kind:
    """A kind of file: what it is called, what writes it, a short word for it, and the version that is read."""

    name: str
    writer: str
    noun: str
    schema: str | None = None

    def __str__(self) -> str:
        return f"{self.name} (a file that {self.writer} wrote)"

    @property
    def way(self) -> str:
        """The way out, where something else was named."""
        return f"name the file that {self.writer} wrote"


RECORD = Kind("a run record", "--run-record", "record")
AB = Kind("an A/B file", "python -m conformance ab", "file", "ab/1")

MAGIC = {
    b"\x1f\x8b": ("gzip-compressed data", "unpack it first"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it first"),
    b"\xfd7zXZ\x00": ("xz-compressed data", "unpack it first"),
    b"BZh": ("bzip2-compressed data", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed data", "unpack it first"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
}
"""How files begin that a record is often packed into."""

NAMED = 3
"""So many names are offered in the place of one that leads nowhere."""


def content(path: Path, kind: Kind = RECORD) -> bytes:
    """The bytes of the file, read once: a pipe gives them once."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            refuse(path, "", str(kind), "a folder", _files_in(path, kind))
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            refuse(path, "", str(kind), "a device or a socket", "name a file")
        found = path.read_bytes()
    except (OSError, ValueError) as error:
        refuse(path, "", str(kind), *_unread(path, error))
    for magic, (what, remedy) in MAGIC.items():
        if found.startswith(magic):
            refuse(path, "", f"{kind.name} (JSON as UTF-8 text)", what, remedy)
    return found


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through whatever links; a file that is not there is no other's."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def refuse(path: Path, place: str, expected: str, found: str, remedy: str = "") -> NoReturn:
    """This file is no run record, for one reason."""
    raise UnreadableError([Fault(str(path), place, expected, found, remedy)])


def markup(text: str, kind: Kind = RECORD) -> tuple[str, str] | None:
    """What a text is that begins as markup does, and what to name instead of it."""
    head = text[:2000].lstrip("\ufeff \t\r\n").lower()
    if not head.startswith("<"):
        return None
    if "<testsuite" in head:
        return "a JUnit XML file", f"{kind.way}, not that of --junitxml"
    if "<!doctype html" in head or "<html" in head:
        return "an HTML page", f"name {kind.name.replace('a run', 'the run')} that the page was made of"
    return "XML", kind.way


def _unread(path: Path, error: OSError | ValueError) -> tuple[str, str]:
    """What is found where nothing can be read, and the way out."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        if str(path) == "-":
            return "- (the standard input is not read)", "save the record to a file and name that"
        if path.is_symlink():
            return f"a link to {os.readlink(path)}, which is not there", "name a file that is there"
        return "nothing of this name", _like(path)
    if number == errno.ELOOP:
        return "a link that leads in a circle", "name the file itself"
    if number in (errno.EACCES, errno.EPERM):
        return "a file that you may not read", "have somebody allow it (chmod a+r), or read it as its owner"
    if number == errno.ENOTDIR:
        return "a file in the place of a folder on the way to it", "correct the path"
    words = getattr(error, "strerror", None) or str(error)
    return f"a file that cannot be read ({words})", "name another file"


def _like(path: Path) -> str:
    """The names that a name of nothing may have meant."""
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, names, n=NAMED)
    return f"did you mean {_named(path.parent, near)}?" if near else f"see what is in {path.parent}"


def _files_in(folder: Path, kind: Kind) -> str:
    """The files of a folder that may be the one that was meant."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError:
        names = []
    if not names:
        return f"name a {kind.noun}; there is no .json file in this folder"
    more = f" or one of {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"name a {kind.noun} in it: {_named(folder, names[:NAMED])}{more}"


def _named(folder: Path, names: list[str]) -> str:
    return " or ".join(str(folder / name) for name in names)
