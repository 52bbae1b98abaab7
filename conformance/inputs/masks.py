"""Masked writes: calls of ``masked_fill_`` and ``masked_scatter_``.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_scatter_.html
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import Varied, covering, crossed
from conformance.inputs.indexing import (
    COPIED_KINDS,
    EVERY_TYPE,
    SOURCE_LAYOUTS,
    fill_of,
    kind_name,
    value_kinds,
    varied_values,
)
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.positions import Shape
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Shape of self and shape of the mask.
MASK_ROWS: tuple[tuple[Shape, Shape], ...] = (
    ((), ()), ((1,), ()), ((3,), (3,)), ((3,), (1,)), ((0,), (1,)), ((0, 3), (3,)), ((0, 3), (0, 1)), ((2, 0, 3),
    (1, 3)),
    ((1, 3, 1), (1, 3, 1)), ((1, 3, 1), (3, 1)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), ()),
    ((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((2, 3, 4), (2, 1, 4)),
    ((2, 3, 2, 2), (3, 1, 1)), ((2, 3, 2, 2), (2, 3, 2, 2)),
    ((2, 3, 2, 2), (2, 1, 1, 2)), ((17,), (1,)), ((17,), (17,)),
    ((33,), (33,)), ((65,), (65,)), ((5, 17), (5, 17)), ((5, 13), (5, 1)),
)  # fmt: skip
MASK_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "expanded")
MASK_PATTERNS = ("some", "first and last", "all", "few", "none")


def mask_plan(shape: Shape, pattern: str | bytes, layout: str, device: str) -> Strided:
    """A mask: a pattern, or one bit of each of some bytes."""
    count = max(prod(shape), 1)
    if isinstance(pattern, bytes):
        marks = [bool(byte & 1) for byte in (pattern * count)[:count]]
    else:
        marks = {
            "some": [i % 5 in (0, 3) for i in range(count)], "few": [i % 3 == 1 for i in range(count)],
            "all": [True] * count, "none": [False] * count,
            "first and last": [i in (0, count - 1) for i in range(count)],
        }[pattern]  # fmt: skip
    return strided("bool", shape, layout, tuple(marks), device)


def mask_patterns() -> Any:
    """A strategy for mask patterns."""
    from hypothesis import strategies as st

    return st.binary(min_size=24, max_size=24)


def masked_fill_cases(cell: Cell) -> Inputs:
    """``masked_fill_`` with masks that fit or are broadcast."""
    device = cell.target.device
    found = crossed(
        masked_fill_call, device, MASK_ROWS, EVERY_TYPE, DISJOINT, MASK_LAYOUTS,
        Varied(MASK_PATTERNS, mask_patterns), tuple(range(5)),
    )  # fmt: skip
    large = [masked_fill_call(device, ((32769,), (32769,)), "float32", "contiguous", "contiguous", "some", 0)]
    return Inputs([*found.corners, *large], found.samples)


def masked_fill_call(
    device: str,
    row: tuple[Shape, Shape],
    dtype: str,
    layout: str,
    mask_layout: str,
    pattern: str | bytes,
    turn: int,
) -> Call:
    """One ``masked_fill_``."""
    self_ = strided(dtype, row[0], layout, varied_values(dtype, "ordinary", 2), device)
    return Call("masked_fill_", self_, (mask_plan(row[1], pattern, mask_layout, device), fill_of(dtype, turn)))


def masked_scatter_cases(cell: Cell) -> Inputs:
    """``masked_scatter_`` with sources of just enough elements or more."""
    device = cell.target.device
    found = crossed(
        masked_scatter_call, device, MASK_ROWS, EVERY_TYPE, DISJOINT, MASK_LAYOUTS,
        Varied(MASK_PATTERNS, mask_patterns), SOURCE_LAYOUTS, (0, 1, 5), Varied(COPIED_KINDS, value_kinds),
    )  # fmt: skip
    large = masked_scatter_call(
        device,
        ((32769,), (32769,)),
        "float32",
        "contiguous",
        "contiguous",
        "some",
        "contiguous",
        0,
        "ordinary",
    )
    return Inputs([*found.corners, large], found.samples)


def masked_scatter_call(
    device: str, row: tuple[Shape, Shape], dtype: str, layout: str, mask_layout: str, pattern: str | bytes,
    source_layout: str, extra: int, kind: str | bytes,
) -> Call:  # fmt: skip
    """One ``masked_scatter_``; an odd layout comes with a source of two dimensions."""
    mask = mask_plan(row[1], pattern, mask_layout, device)
    needed = int(np.broadcast_to(mask.array, row[0]).sum()) + extra
    shape = (needed,) if source_layout == "contiguous" else (2, -(-needed // 2))
    return Call(
        "masked_scatter_", strided(dtype, row[0], layout, varied_values(dtype, kind, 2), device),
        (mask, strided(dtype, shape, source_layout, varied_values(dtype, kind), device)), kind=kind_name(kind),
    )  # fmt: skip


def short_masked_scatter_cases(cell: Cell) -> Inputs:
    """``masked_scatter_`` with one element too few, or with none."""
    device = cell.target.device
    found = []
    for row, dtype, layout, pattern in covering(
        tuple(row for row in MASK_ROWS if prod(row[0])),
        ("float32", "int16", "bool"),
        DISJOINT,
        ("some", "all"),
    ):
        mask = mask_plan(row[1], pattern, "contiguous", device)
        needed = int(np.broadcast_to(mask.array, row[0]).sum())
        for given in {needed - 1, 0}:
            self_ = strided(dtype, row[0], layout, values(dtype), device)
            found.append(Call("masked_scatter_", self_, (mask, strided(dtype, (given,), data=(1,), device=device))))
    return Inputs(found)


def unfitting_mask_cases(cell: Cell) -> Inputs:
    """``masked_fill_`` and ``masked_scatter_`` with a mask that does not broadcast to self."""
    device = cell.target.device
    pairs = (((3,), (2,)), ((3,), (2, 3)), ((1,), (3,)), ((), (2,)), ((2, 3), (3, 2)), ((2, 3), (2,)), ((2, 1), (2, 3)),
             ((2, 3), (4, 2, 3)), ((1, 3, 1), (2, 3, 1)), ((0, 3), (2, 3)), ((2, 3), (0, 3)))  # fmt: skip
    found = []
    for shape, mask_shape in pairs:
        for layout in ("contiguous", "stepped"):
            self_ = strided("float32", shape, layout, (1.0,), device)
            mask = strided("bool", mask_shape, data=(True,), device=device)
            found.append(Call("masked_fill_", self_, (mask, 2.0)))
            found.append(Call("masked_scatter_", self_, (mask, strided("float32", (30,), data=(2.0,), device=device))))
    return Inputs(found)
