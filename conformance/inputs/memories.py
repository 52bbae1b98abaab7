"""Buffers, files and shared memory: memory that something else than torch owns or sees.

References: https://docs.pytorch.org/docs/stable/generated/torch.frombuffer.html,
https://docs.pytorch.org/docs/stable/generated/torch.from_file.html and
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.share_memory_.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied, Buffer, Data, Excerpt
from conformance.inputs.crossings import (
    ALL,
    DIFFERENTIABLE,
    FEW,
    LEAF,
    PARAMETER,
    TENSOR_FORMS,
    VALUES,
    Form,
    crossed_once,
    listed,
    make_seen,
    make_tensor,
)  # fmt: skip
from conformance.inputs.dtypes import ELEMENT_TYPES, encode
from conformance.inputs.tensors import strided
from conformance.inputs.values import pool

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# ---- buffers ----

BUFFERS = ("bytearray", "memoryview", "array", "ctypes", "ndarray", "matrix", "cast", "words", "mmap")


def _memory(dtype: str, count: int) -> bytes:
    choices = pool(dtype)
    return encode(np.array([choices[i % len(choices)] for i in range(count)]), dtype)


def buffers(cell: Cell, expression: str = "torch.frombuffer(x, dtype=torch.{0})") -> Inputs:
    """Every element type over every kind of buffer."""
    cases = [
        Applied(Buffer(kind, _memory(dtype, count)), expression.format(dtype), dtype)
        for turn, dtype in enumerate(ALL)
        for step, kind in enumerate(BUFFERS)
        for count in (1, (2, 3, 17, 5000)[(turn + step) % 4])
        # a memoryview that starts at an odd address suits one-byte elements only, and asarray has arrays apart
        if (kind != "memoryview" or ELEMENT_TYPES[dtype].itemsize == 1)
        and (kind not in ("ndarray", "matrix") or "frombuffer" in expression)
    ]
    return listed(*cases)


def readonly_buffers(cell: Cell) -> Inputs:
    """Buffers that must not be written, whole and in part."""
    cases = []
    for turn, dtype in enumerate(ALL):
        size = ELEMENT_TYPES[dtype].itemsize
        for step, kind in enumerate(("bytes", "readonly")):
            for offset, count in ((0, -1), (size, 2) if (turn + step) % 2 else (2 * size, -1)):
                call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={offset}, count={count})"
                plan = Buffer(kind, _memory(dtype, (5, 17)[step]))
                cases.append(Excerpt(plan, call, dtype, offset=offset, count=count))
    return listed(*cases)


def sealed_buffers(cell: Cell) -> Inputs:
    """Buffers that must not be written, for ``asarray``."""
    return listed(
        *(
            Applied(Buffer(kind, _memory(dtype, count)), f"torch.asarray(x, dtype=torch.{dtype})", dtype)
            for dtype in ALL
            for kind, count in (("bytes", 3), ("readonly", 17))
        )
    )


def cut_buffers(cell: Cell) -> Inputs:
    """Parts of a buffer: offsets in whole elements, counts short of the end, and all that is left."""
    cases = []
    for turn, dtype in enumerate(ALL):
        size = ELEMENT_TYPES[dtype].itemsize
        for step, kind in enumerate(("words", BUFFERS[turn % len(BUFFERS)])):  # offsets count bytes in all of them
            offset, count = (2 - step) * size, -1 if step else 1
            call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={offset}, count={count})"
            cases.append(Excerpt(Buffer(kind, _memory(dtype, 6)), call, dtype, offset=offset, count=count))
        for total, skipped, count in (
            (5, 1, 2), (5, 0, 1), (5, 3, -1), (5, 0, -1), (5, 4, -1), (5, 2, -7), (17, 15, 1), (17, 1, -1), (4, 2, 1),
        ):  # fmt: skip
            offset = skipped * size
            call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={offset}, count={count})"
            cases.append(Excerpt(Buffer("bytearray", _memory(dtype, total)), call, dtype, offset=offset, count=count))
        for skipped, count in ((1, 2), (3, -1), (2, 1)) if size > 1 else ():  # no whole elements
            memory = b"?" * skipped + _memory(dtype, 3)
            call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={skipped}, count={count})"
            cases.append(Excerpt(Buffer("bytearray", memory), call, dtype, offset=skipped, count=count))
        # bytes left over behind the elements that are asked for
        call = f"torch.frombuffer(x, dtype=torch.{dtype}, count=2)"
        cases.append(Excerpt(Buffer("bytearray", _memory(dtype, 2) + b"?"), call, dtype, count=2))
    return listed(*cases)


def full_buffers(cell: Cell) -> Inputs:
    """Counts that reach exactly to the last byte."""
    cases = []
    for dtype in ALL:
        size = ELEMENT_TYPES[dtype].itemsize
        for total, skipped in ((1, 0), (5, 0), (5, 2), (17, 16)):
            offset, count = skipped * size, total - skipped
            call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={offset}, count={count})"
            cases.append(Excerpt(Buffer("bytearray", _memory(dtype, total)), call, dtype, offset=offset, count=count))
    return listed(*cases)


def misfit_buffers(cell: Cell) -> Inputs:
    """Buffers too short for what is asked of them, or with a rest that is no element."""
    cases = []
    for dtype in ALL:
        size = ELEMENT_TYPES[dtype].itemsize
        for length, offset, count in (
            (3 * size - 1, 0, 3), (3 * size, 0, 4), (3 * size, 1, 3), (3 * size, 3 * size + 1, 1), (2 * size, size, 2),
        ):  # fmt: skip
            cases.append(_frombuffer(dtype, length, offset, count))
        cases += [_frombuffer(dtype, 3 * size, 0, 0), _frombuffer(dtype, 3 * size, size, 0)]
        if size > 1:
            cases += [_frombuffer(dtype, 3 * size, -1, -1)]
            cases += [_frombuffer(dtype, 3 * size + 1, 0, -1), _frombuffer(dtype, 3 * size, 1, -1)]
            cases += [_frombuffer(dtype, 3 * size - 1, 0, -1), _frombuffer(dtype, 2 * size, size - 1, -1)]
    return listed(*cases)


def _frombuffer(dtype: str, length: int, offset: int, count: int) -> Applied:
    call = f"torch.frombuffer(x, dtype=torch.{dtype}, offset={offset}, count={count})"
    return Applied(Buffer("bytearray", bytes(length)), call, dtype)


def misfits_of_asarray(cell: Cell) -> Inputs:
    """Buffers whose bytes are no whole number of elements, for ``asarray``."""
    cases = []
    for dtype in (name for name in ALL if ELEMENT_TYPES[name].itemsize > 1):
        size = ELEMENT_TYPES[dtype].itemsize
        lengths = (size - 1, 3 * size + 1, 2 * size + size // 2)
        for kind, length in (*(("bytearray", length) for length in lengths), ("array", lengths[1])):
            plan = Buffer(kind, bytes(length))
            cases.append(Applied(plan, f"torch.asarray(x, dtype=torch.{dtype})", dtype, exact=True))
    return listed(*cases)


def untyped_buffers(cell: Cell) -> Inputs:
    """``frombuffer`` without a dtype."""
    calls = ("torch.frombuffer(x)", "torch.frombuffer(x, count=2)", "torch.frombuffer(x, dtype=None)")
    return listed(*(Applied(Buffer(kind, bytes(8)), call) for kind in BUFFERS for call in calls))


def default_buffers(cell: Cell) -> Inputs:
    """Buffers for ``asarray`` without a dtype, under each default dtype."""
    sizes = (("float32", 8), ("float64", 16), ("float32", 12), ("float16", 6))
    return listed(
        *(
            Applied(Buffer(k, bytes(range(n))), "torch.asarray(x)", d)
            for k in BUFFERS
            if k not in ("ndarray", "matrix", "memoryview")
            for d, n in sizes
        )
    )


def growing_buffers(cell: Cell) -> Inputs:
    """Buffers that can grow, and so move."""
    return listed(
        *(
            Applied(Buffer(kind, bytes(8)), "torch.frombuffer(x, dtype=torch.uint8)", "uint8")
            for kind in ("bytearray", "array")
        )
    )


def flagged_buffers(cell: Cell) -> Inputs:
    """``frombuffer`` with ``requires_grad``."""
    return listed(
        *(
            Applied(
                Buffer("bytearray", _memory(dtype, 3)),
                f"torch.frombuffer(x, dtype=torch.{dtype}, requires_grad={flag})",
                dtype,
            )
            for dtype in DIFFERENTIABLE
            for flag in (True, False)
        )
    )


def flagged_counts(cell: Cell) -> Inputs:
    """``frombuffer`` of whole numbers and truth values with ``requires_grad=True``."""
    counts = (name for name in ALL if name not in DIFFERENTIABLE and name != "complex32")
    call = "torch.frombuffer(x, dtype=torch.{0}, requires_grad=True)"
    return listed(*(Applied(Buffer("bytearray", _memory(d, 3)), call.format(d), d, exact=True) for d in counts))


# ---- files ----


def file_contents(cell: Cell) -> Inputs:
    """What lies in a file: one or a few elements of every type, and once more than a page of them."""
    sizes = [(dtype, count) for turn, dtype in enumerate(ALL) for count in ((1, 17) if turn % 2 else (3,))]
    plans = (strided(dtype, (count,), "contiguous", pool(dtype)) for dtype, count in (*sizes, ("float32", 4099)))
    return listed(*plans)


def short_files(cell: Cell) -> Inputs:
    """Some of them, for calls that ask for one element more."""
    return listed(*list(file_contents(cell).corners)[::4])


def default_types(cell: Cell) -> Inputs:
    """The default floating types."""
    return listed(
        *(
            Applied(Data(0), "torch.from_file(__import__('tempfile').mkstemp()[1], shared=True, size=4)", default)
            for default in ("float32", "float64", "float16")
        )
    )


def shareable(cell: Cell) -> Inputs:
    """Tensors to be put into shared memory."""
    forms: tuple[Form, ...] = (*FEW, ((2, 3), "expanded"))
    return crossed_once(make_tensor, cell.target.device, ALL, forms, ("ordinary",))


def shareable_leaves(cell: Cell) -> Inputs:
    """The same, and leaves that require grad."""
    states = (LEAF, PARAMETER)
    leaves = [make_seen(cell.target.device, s, d, form) for s in states for d in DIFFERENTIABLE for form in FEW[:2]]
    return Inputs([*shareable(cell).corners, *leaves])


def unshared(cell: Cell) -> Inputs:
    """Tensors in memory of the process' own."""
    return crossed_once(make_tensor, cell.target.device, ALL, TENSOR_FORMS, VALUES)


def shared_resizes(cell: Cell) -> Inputs:
    """Ways to make a tensor in shared memory larger."""
    calls = tuple(f"x.share_memory_().{call}" for call in ("resize_(70)", "resize_(9, 9)"))
    plans = (strided("float32", (1,)), strided("int8", ()))
    return listed(*(Applied(plan, call) for call in calls for plan in plans))


def owned_buffers(cell: Cell) -> Inputs:
    """Buffers that can be watched: objects that weak references can point to."""
    return listed(
        *(
            Applied(Buffer(kind, _memory(dtype, 3)), f"torch.frombuffer(x, dtype=torch.{dtype})", dtype)
            for dtype in ALL
            for kind in ("array", "ndarray")
        )
    )


def formatted_buffers(cell: Cell) -> Inputs:
    """Buffers with a format of their own: arrays, seen as nothing but buffers."""
    formats = {
        "B": "uint8",
        "b": "int8",
        "h": "int16",
        "i": "int32",
        "q": "int64",
        "f": "float32",
        "d": "float64",
    }
    return listed(
        *(
            Applied(
                Buffer("bytearray", bytes(range(8)) * 2),
                f"torch.asarray(memoryview(x).cast({letter!r}))",
                dtype,
            )
            for letter, dtype in formats.items()
        )
    )
