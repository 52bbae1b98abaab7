"""Archives as Python's own zipfile sees them: where each file lies, and what is in it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import torch

from conformance.oracles import expect, memory


@dataclass(frozen=True)
class Entry:
    """One file of an archive: its name below the common folder, where its bytes begin, and whether they are plain."""

    name: str
    start: int
    size: int
    plain: bool


def entries_of(contents: bytes) -> list[Entry]:
    """The files in the order in which they lie."""
    found = []
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        for told in sorted(archive.infolist(), key=lambda told: told.header_offset):
            header = contents[told.header_offset : told.header_offset + 30]
            lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            plain = told.compress_type == zipfile.ZIP_STORED and told.compress_size == told.file_size
            name = told.filename.partition("/")[2]
            found.append(Entry(name, told.header_offset + 30 + lengths, told.file_size, plain))
    return found


def documented_order(contents: bytes, storages: int) -> None:
    """Expect the documented files, in their order; others may lie between them."""
    wanted = ["data.pkl", "byteorder", *(f"data/{number}" for number in range(storages)), "version"]
    found = [entry.name for entry in entries_of(contents)]
    expect.equal(wanted, [name for name in found if name in wanted], "documented files of the archive")
    expect.equal(
        [], [name for name in found if name.startswith("data/") and name not in wanted], "other files of data/"
    )


def storages_in(tensors: list[torch.Tensor]) -> list[bytes]:
    """The bytes of each storage, in the order in which the tensors come to it."""
    seen: dict[Any, bytes] = {}
    for tensor in tensors:
        seen.setdefault(memory.storage_of(tensor)._cdata, memory.storage_bytes(tensor))
    return list(seen.values())


def mapped_from(path: str) -> list[tuple[int, int]]:
    """The stretches of this process's memory that are mapped from a file, as the kernel tells them."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as lines:
            told = [line.split(maxsplit=5) for line in lines]
    except OSError:
        raise expect.Discard("this platform does not tell what is mapped") from None
    spans = [parts[0].split("-") for parts in told if len(parts) == 6 and parts[5].strip() == path]
    return [(int(first, 16), int(last, 16)) for first, last in spans]
