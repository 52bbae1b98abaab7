"""Stored files: how an object goes into a file and comes out of it again.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.save.html
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from conformance.engine import room


class NarrowWriter:
    """A file-like object with ``write`` and ``flush``, which is all that saving may ask for."""

    def __init__(self) -> None:
        self.memory = bytearray()
        self.offered = (self.write, self.flush)  # a reproducer leaves out methods that nothing names

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self.memory += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class NarrowReader:
    """A file-like object with ``read``, ``readline``, ``tell`` and ``seek``, which is all that loading may ask for."""

    def __init__(self, memory: bytes) -> None:
        self.buffer = io.BytesIO(memory)
        self.offered = (self.read, self.readline, self.tell, self.seek)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self.buffer.read(size)

    def readline(self, size: int | None = -1) -> bytes:
        """The next line."""
        return self.buffer.readline(size)

    def tell(self) -> int:
        """Where the next byte lies."""
        return self.buffer.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere."""
        return self.buffer.seek(offset, whence)


class PathHolder:
    """An object of ``os.PathLike`` that is neither a string nor a ``Path``."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        """No path of the file, but one beside it, for releases that make files of whatever name they are given."""
        return f"{self.path}.text"


@contextmanager
def stored_path() -> Iterator[str]:
    """Path of a file that may be written; its folder goes away afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        room.used(os.path.dirname(folder))
        yield os.path.join(folder, "things.pt")


WRITERS = ("BytesIO", "narrow", "str", "Path", "PathLike", "file", "update", "unbuffered")
READERS = ("BytesIO", "narrow", "str", "Path", "PathLike", "file", "update", "unbuffered")


def write_stored(thing: Any, holder: str, path: str, **options: Any) -> bytes:
    """Save into one kind of holder; returns every byte that arrived there."""
    if holder == "BytesIO":
        buffer = io.BytesIO()
        torch.save(thing, buffer, **options)
        return buffer.getvalue()
    if holder == "narrow":
        writer = NarrowWriter()
        torch.save(thing, writer, **options)
        return bytes(writer.memory)
    if holder in ("file", "update", "unbuffered"):
        with open(path, "w+b" if holder == "update" else "wb", buffering=0 if holder == "unbuffered" else -1) as file:
            torch.save(thing, file, **options)
            file.flush()  # raises if it has been closed
    else:
        torch.save(thing, {"str": str, "Path": Path, "PathLike": PathHolder}[holder](path), **options)
    return Path(path).read_bytes()


def read_stored(memory: bytes, holder: str, path: str, **options: Any) -> Any:
    """Load these bytes out of one kind of holder."""
    if holder == "BytesIO":
        return torch.load(io.BytesIO(memory), **options)
    if holder == "narrow":
        return torch.load(NarrowReader(memory), **options)
    Path(path).write_bytes(memory)
    if holder in ("file", "update", "unbuffered"):
        with open(path, "r+b" if holder == "update" else "rb", buffering=0 if holder == "unbuffered" else -1) as file:
            return torch.load(file, **options)
    return torch.load({"str": str, "Path": Path, "PathLike": PathHolder}[holder](path), **options)


# What people need for the holders that are objects of a class; the others are a file, or a path.
HOLDER_SOURCES = {
    "PathLike": [
        "class PathHolder:", "    def __fspath__(self):", "        return 'things.pt'",
    ],
    "narrow writer": [
        "class Writer:", "    def __init__(self):", "        self.memory = bytearray()", "    def write(self, data):",
        "        self.memory += data", "        return len(data)", "    def flush(self):", "        pass",
        "writer = Writer()",
    ],
    "narrow reader": [
        "import io", "class Reader:", "    def __init__(self, memory):", "        file = io.BytesIO(memory)",
        "        self.read, self.readline, self.tell, self.seek = file.read, file.readline, file.tell, file.seek",
    ],
}  # fmt: skip


def _through(call: str, holder: str, saving: bool) -> list[str]:
    """The call with the holder in the place of FILE; every holder's bytes lie in the file things.pt in between."""
    if holder == "BytesIO" and saving:
        return [
            "import io", "file = io.BytesIO()", call.replace("FILE", "file"),
            "with open('things.pt', 'wb') as written:", "    written.write(file.getvalue())",
        ]  # fmt: skip
    if holder == "narrow" and saving:
        put = ["with open('things.pt', 'wb') as written:", "    written.write(writer.memory)"]
        return [*HOLDER_SOURCES["narrow writer"], call.replace("FILE", "writer"), *put]
    if holder in ("BytesIO", "narrow"):
        made = ["import io"] if holder == "BytesIO" else HOLDER_SOURCES["narrow reader"]
        kind = "io.BytesIO" if holder == "BytesIO" else "Reader"
        within = f"    {call.replace('FILE', f'{kind}(file.read())')}"
        return [*made, "with open('things.pt', 'rb') as file:", within]
    if holder in ("file", "update", "unbuffered"):
        mode = ("wb" if saving else "rb") if holder != "update" else ("w+b" if saving else "r+b")
        buffering = ", buffering=0" if holder == "unbuffered" else ""
        return [f"with open('things.pt', {mode!r}{buffering}) as file:", f"    {call.replace('FILE', 'file')}"]
    if holder == "PathLike":
        return [*HOLDER_SOURCES["PathLike"], call.replace("FILE", "PathHolder()")]
    return [call.replace("FILE", "__import__('pathlib').Path('things.pt')" if holder == "Path" else "'things.pt'")]


@dataclass(frozen=True)
class Route:
    """Where an object is saved to and loaded from, in which format, by which unpickler."""

    writer: str = "BytesIO"
    reader: str = "BytesIO"
    legacy: bool = False
    weights_only: bool = True
    mmap: bool = False
    protocol: int = 2

    def __repr__(self) -> str:
        told = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Route({', '.join(told)})"

    def save_options(self) -> dict[str, Any]:
        """What torch.save is told beside the object and the file."""
        options: dict[str, Any] = {"_use_new_zipfile_serialization": False} if self.legacy else {}
        return {**options, "pickle_protocol": self.protocol} if self.protocol != 2 else options

    def load_options(self) -> dict[str, Any]:
        """What torch.load is told beside the file."""
        return {"weights_only": self.weights_only, **({"mmap": True} if self.mmap else {})}

    def carry(self, thing: Any, **options: Any) -> Any:
        """Save ``thing`` and return what is loaded."""
        if self.writer == self.reader == "BytesIO":
            memory = write_stored(thing, "BytesIO", "", **self.save_options())
            return read_stored(memory, "BytesIO", "", **self.load_options(), **options)
        with stored_path() as path:
            memory = write_stored(thing, self.writer, path, **self.save_options())
            return read_stored(memory, self.reader, path, **self.load_options(), **options)

    def lines(self, name: str = "x") -> list[str]:
        """The round trip in plain torch, through a buffer or a file."""
        options = "".join(f", {key}={value!r}" for key, value in self.save_options().items())
        loading = "".join(f", {key}={value!r}" for key, value in self.load_options().items())
        if self.writer == self.reader == "BytesIO":
            return [
                "import io",
                "file = io.BytesIO()",
                f"torch.save({name}, file{options})",
                "file.seek(0)",
                f"found = torch.load(file{loading})",
            ]
        return [
            *_through(f"torch.save({name}, FILE{options})", self.writer, saving=True),
            *_through(f"found = torch.load(FILE{loading})", self.reader, saving=False),
        ]

    def words(self) -> str:
        """What evidence calls this route."""
        return repr(self)[6:-1] or "plain"


PLAIN = Route()
# The routes that every kind of object takes.
ROUTES = (
    PLAIN,
    Route(legacy=True),
    Route(weights_only=False),
    Route("str", "str"),
    Route(legacy=True, weights_only=False),
    Route(weights_only=False, protocol=4),
    Route("file", "Path", legacy=True),
    Route("narrow", "file"),
)
# Those on which any class may come back.
OPEN_ROUTES = (
    Route(weights_only=False),
    Route(legacy=True, weights_only=False),
    Route("Path", "file", weights_only=False),
    Route(weights_only=False, protocol=5),
    Route(weights_only=False, protocol=3, legacy=True),
)
MAPPED = Route("str", "str", mmap=True)


class OwnPickle:
    """A stand-in for the module pickle whose Pickler and Unpickler count how often they are made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def module(self) -> Any:
        """The module."""
        found = ModuleType("own_pickle")
        vars(found).update({name: value for name, value in vars(pickle).items() if not name.startswith("__")})
        vars(found).update(Pickler=self._counting("Pickler"), Unpickler=self._counting("Unpickler"))
        return found

    def _counting(self, name: str) -> Any:
        base: Any = getattr(pickle, name)

        def begin(one: Any, *args: Any, **kwargs: Any) -> None:
            self.made.append(name)
            base.__init__(one, *args, **kwargs)

        return type(name, (base,), {"__init__": begin})
