"""Stored archives: files written by hand, byte by byte, without torch.save.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html#serialized-file-format-for-torch-save
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES, encode
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def archive_records(memory: bytes) -> dict[str, bytes]:
    """The files of an archive by name, without the folder that they all lie in."""
    with zipfile.ZipFile(io.BytesIO(memory)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive_of(records: dict[str, bytes]) -> bytes:
    """An archive with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, record in records.items():
            archive.writestr(f"archive/{name}", record)
    return buffer.getvalue()


STORAGE_CLASSES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def _number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


@dataclass(frozen=True)
class HandMade:
    """What the pickle of an archive says of its one tensor, and which bytes its storage has."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    count: int = 6
    location: str = "cpu"
    key: str = "0"
    lost: tuple[str, ...] = ()
    byteorder: str = sys.byteorder
    stored: int | None = None  # elements that the archive really holds, where they are not ``count``

    def values(self) -> Any:
        """The storage's elements."""
        carrier = ELEMENT_TYPES[self.dtype].carrier
        plan = corner(self.dtype, (max(self.count if self.stored is None else self.stored, 0),), "contiguous")
        return plan.array.astype(carrier)

    def pickled(self) -> bytes:
        """The pickle, with every number as it was asked for."""
        storage = b"(" + _text("storage") + f"ctorch\n{STORAGE_CLASSES[self.dtype]}\n".encode() + _text(self.key)
        storage += _text(self.location) + _number(self.count) + b"tQ"
        sizes = [b"(" + b"".join(map(_number, numbers)) + b"t" for numbers in (self.shape, self.stride)]
        rest = b"\x89ccollections\nOrderedDict\n)R"
        return (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
            + storage
            + _number(self.offset)
            + b"".join(sizes)
            + rest
            + b"tR."
        )

    def memory(self) -> bytes:
        """The archive."""
        bits = encode(self.values(), self.dtype)
        if self.byteorder != sys.byteorder:
            width = ELEMENT_TYPES[self.dtype].itemsize // (2 if self.dtype.startswith("complex") else 1)
            bits = b"".join(bits[at : at + width][::-1] for at in range(0, len(bits), width))
        records = {"data.pkl": self.pickled(), "byteorder": self.byteorder.encode(), "data/0": bits, "version": b"3\n"}
        return archive_of({name: record for name, record in records.items() if name not in self.lost})

    def load(self, **options: Any) -> Any:
        """What torch makes of it."""
        return torch.load(io.BytesIO(self.memory()), **options)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "shapes": str(self.shape)}

    def code(self) -> str:
        """The same in plain torch: the bytes of the file."""
        return f"import io\nimport torch\nfound = torch.load(io.BytesIO({self.memory()!r}), weights_only=True)"


def hand_made(cell: Cell) -> Inputs:
    """Archives that are as they ought to be."""
    shapes = (
        ((2, 3), (3, 1), 0),
        ((3, 2), (1, 3), 0),
        ((), (), 5),
        ((3,), (2,), 1),
        ((0,), (1,), 6),
        ((2, 2), (0, 1), 4),
    )
    return Inputs([HandMade(dtype, *shape) for dtype, shape in covering(tuple(STORAGE_CLASSES), shapes)])


def of_other_order(cell: Cell) -> Inputs:
    """Archives from a machine whose bytes lie the other way round."""
    other = "big" if sys.byteorder == "little" else "little"
    return Inputs(
        [HandMade(dtype, (2, 3), (3, 1), byteorder=other) for dtype in STORAGE_CLASSES]
        + [HandMade(dtype, (3,), (2,), 1, byteorder=other) for dtype in STORAGE_CLASSES]
    )


def of_no_order(cell: Cell) -> Inputs:
    """The same archives without a word about it."""
    return Inputs([replace(case, lost=("byteorder",)) for case in of_other_order(cell).corners])


def beyond_their_storage(cell: Cell) -> Inputs:
    """Tensors that claim elements outside the storage that comes with them."""
    claims: tuple[dict[str, Any], ...] = (
        {"shape": (7,), "stride": (1,)},
        {"shape": (2, 3), "stride": (3, 2)},
        {"shape": (6,), "stride": (1,), "offset": 1},
        {"shape": (), "stride": (), "offset": 6},
        {"shape": (2**40,), "stride": (1,)},
        {"shape": (3,), "stride": (1,), "offset": -1},
        {"shape": (2,), "stride": (2**61,)},
        {"shape": (-1,), "stride": (1,)},
        {"shape": (2,), "stride": (-1,), "offset": 3},
        {"shape": (2**31, 2**31, 4), "stride": (1, 1, 1)},
        {"shape": (2, 3), "stride": (3,)},
    )
    return Inputs(
        [HandMade(dtype, **claim) for claim in claims for dtype in ("float32", "int64", "bool", "complex128")]
    )


def of_another_size(cell: Cell) -> Inputs:
    """Storages that are not as long as the pickle says."""
    claims: tuple[dict[str, Any], ...] = (
        {"shape": (6,), "stored": 5},
        {"shape": (6,), "stored": 0},
        {"shape": (1,), "stored": 5},
        {"shape": (8,), "count": 8, "stored": 6},
        {"shape": (1,), "count": 2**40, "stored": 6},
        {"shape": (1,), "count": -6, "stored": 6},
        {"shape": (6,), "stored": 60},
    )
    types = ("float32", "int64", "bool", "complex128")
    return Inputs([HandMade(dtype, stride=(1,), **claim) for claim in claims for dtype in types])


def without_a_file(cell: Cell) -> Inputs:
    """Archives in which a file is missing, or that name one which is not there."""
    whole = HandMade("float32", (2, 3), (3, 1))
    lost = [
        ("data.pkl",),
        ("data/0",),
        ("version",),
        ("data.pkl", "version"),
        ("data.pkl", "data/0", "version", "byteorder"),
    ]
    return Inputs(
        [replace(whole, lost=names) for names in lost]
        + [replace(whole, key=key) for key in ("1", "", "../version", "0/0")]
    )


def of_absent_devices(cell: Cell) -> Inputs:
    """Tensors of devices that this machine does not have."""
    return Inputs(
        [
            HandMade(dtype, (2, 3), (3, 1), location=place)
            for place in ("cuda:63", "mps:7", "xpu:63", "hpu:63", "nowhere:0")
            for dtype in ("float32", "int64")
        ]
    )


@dataclass(frozen=True)
class NoCheckpoint:
    """Bytes that torch.save never wrote."""

    expression: str

    def memory(self) -> bytes:
        """The bytes."""
        found: bytes = eval(self.expression, {"pickle": pickle, "archive_of": archive_of})
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": self.expression[:40]}

    def code(self) -> str:
        """The bytes of the file."""
        return f"import io\nimport torch\ntorch.load(io.BytesIO({self.memory()!r}), weights_only=True)"


def no_checkpoints(cell: Cell) -> Inputs:
    """Files of other kinds."""
    return Inputs(
        [
            NoCheckpoint(text)
            for text in (
                "b''",
                "b'\\n'",
                "b'hello, this is a text\\n' * 9",
                "b'PK'",
                "b'PK\\x03\\x04'",
                "b'PK\\x05\\x06' + bytes(18)",
                "bytes(512)",
                "b'\\x89PNG\\r\\n\\x1a\\n' + bytes(64)",
                "b'\\x80\\x02'",
                "b'\\x80\\x02.'",
                "b'\\xff' * 100",
                "pickle.dumps([1, 2])",
                "pickle.dumps({'a': 1}, 2)",
                "archive_of({})",
                "archive_of({'a.txt': b'text'})",
                "archive_of({'data.pkl': b''})",
                "archive_of({'data.pkl': b'', 'version': b'3'})",
                "archive_of({'data.pkl': b'garbage', 'version': b'3'})",
                "b'\\x93NUMPY\\x01\\x00' + bytes(80)",
                "b'\\x1f\\x8b\\x08' + bytes(40)",
            )
        ]
    )


class NamedGlobal:
    """An archive that says no more than a module and a name in it."""

    def __init__(self, module: str, name: str, called: bool = False) -> None:
        self.module, self.name, self.called = module, name, called

    def __repr__(self) -> str:
        return f"NamedGlobal({self.module!r}, {self.name!r}, {self.called!r})"

    def memory(self) -> bytes:
        """The archive."""
        pickled = f"\x80\x02c{self.module}\n{self.name}\n".encode("latin1") + (b")R." if self.called else b".")
        return archive_of({"data.pkl": pickled, "version": b"3\n"})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": f"{self.module}.{self.name}"}

    def code(self) -> str:
        """The bytes of the file."""
        return f"import io\nimport torch\ntorch.load(io.BytesIO({self.memory()!r}), weights_only=True)"


def unimported_globals(cell: Cell) -> Inputs:
    """Modules of the standard library that hardly anything imports."""
    names = (
        ("pyclbr", "readmodule"),
        ("tabnanny", "check"),
        ("netrc", "netrc"),
        ("sched", "scheduler"),
        ("colorsys", "rgb_to_hsv"),
        ("xml.sax.xmlreader", "XMLReader"),
        ("mailbox", "Mailbox"),
    )
    return Inputs([NamedGlobal(*name, called) for name in names for called in (False, True)])


def renamed_globals(cell: Cell) -> Inputs:
    """Names that nothing has any more."""
    names = (("__main__", "OldPair"), ("no_such_module_of_anybody", "Pair"), ("package.module", "Outer.Inner"))
    return Inputs([NamedGlobal(*name) for name in names])


def missing_globals(cell: Cell) -> Inputs:
    """Classes that are not there: their module, or their name in it."""
    names = (
        ("no_such_module_of_anybody", "Thing"),
        ("collections", "NoSuchClass"),
        ("torch.nn.modules.linear", "NoSuchLayer"),
        ("torch.no_such_package", "Thing"),
        ("__main__", "NoSuchClassOfMain"),
        ("builtins", "no_such_function"),
    )
    return Inputs([NamedGlobal(*name, called) for name in names for called in (False, True)])


@dataclass(frozen=True)
class Damage:
    """The file of one planned tensor in one format, and what happens to it."""

    plan: Strided
    legacy: bool
    start: int
    stop: int | None
    mask: int = 0  # 0: the file ends there
    step: int = 1

    def build(self) -> tuple[torch.Tensor, bytes]:
        """The tensor and its whole file."""
        x = self.plan.build()
        buffer = io.BytesIO()
        torch.save(x, buffer, **({"_use_new_zipfile_serialization": False} if self.legacy else {}))
        return x, buffer.getvalue()

    def damaged(self, memory: bytes) -> Iterator[tuple[int, bytes]]:
        """Each position of the span, and the file that was damaged there."""
        for position in range(*slice(self.start, self.stop, self.step).indices(len(memory))):
            if not self.mask:
                yield position, memory[:position]
            else:
                yield position, memory[:position] + bytes([memory[position] ^ self.mask]) + memory[position + 1 :]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "formats": "old" if self.legacy else "archive"}

    def code(self) -> str:
        """The file, and what is done to it."""
        option = ", _use_new_zipfile_serialization=False" if self.legacy else ""
        act = (
            "memory[:position]"
            if not self.mask
            else f"memory[:position] + bytes([memory[position] ^ {self.mask}]) + memory[position + 1:]"
        )
        return "\n".join(
            [
                "import io",
                f"x = {self.plan.code()}",
                "file = io.BytesIO()",
                f"torch.save(x, file{option})",
                "memory = file.getvalue()",
                f"for position in range(len(memory))[{self.start}:{self.stop}:{self.step}]:",
                f"    torch.load(io.BytesIO({act}), weights_only=True)",
            ]
        )


_DAMAGED = (("float32", (2, 3)), ("int64", (5,)), ("bool", ()))


def truncations(cell: Cell) -> Inputs:
    """Files that end early: at every position of their beginning and of their end, and here and there between."""
    spans: list[tuple[int, int | None]] = [
        (0, 40),
        (40, 120),
        (120, 200),
        (200, 280),
        (-140, -90),
        (-90, -40),
        (-40, -20),
        (-20, None),
    ]
    spans += [(at, at + 3) for at in range(300, 1100, 97)]
    return Inputs(
        [
            Damage(corner(dtype, shape, "contiguous"), legacy, span[0], span[1])
            for dtype, shape in _DAMAGED
            for legacy in (False, True)
            for span in (spans if dtype == "float32" else spans[::5])
        ]
    )


def flips(cell: Cell) -> Inputs:
    """Files with one byte changed, at every position of their structure."""
    spans = ((0, 160, 1), (160, 320, 1), (-220, None, 1), (330, 1300, 17))
    plan = corner("float32", (2, 3), "contiguous")
    return Inputs(
        [
            Damage(plan, legacy, start, stop, mask, step if mask == 1 else step + 4)
            for legacy in (False, True)
            for mask in (1, 0x80, 0xFF)
            for start, stop, step in spans
        ]
    )


def map_places(device: str) -> tuple[str, ...]:
    """The devices to which everything may be sent."""
    return tuple(dict.fromkeys(("cpu", "meta", device)))
