"""Writes to positions: calls of ``index_put_``, ``put_``, ``masked_fill_``, ``masked_scatter_``, ``fill_diagonal_``.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_put_.html
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import Varied, covering, coverings, crossed
from conformance.inputs.dtypes import family
from conformance.inputs.indexing import (
    COPIED_KINDS,
    EVERY_TYPE,
    INDEX_LAYOUTS,
    SOURCE_LAYOUTS,
    fill_of,
    kind_name,
    value_kinds,
    varied_values,
)
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.summands import SUMMAND_KINDS, summands
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

Shape = tuple[int, ...]
PutRow = tuple[Shape, tuple[Any, ...], Shape]

# Shape of self, nested lists of indices for its leading dimensions, shape of the values.
PUT_ROWS: tuple[PutRow, ...] = (
    ((3,), ([2, 0],), (2,)), ((3,), ([2, 2, 2],), ()), ((3,), (1,), ()), ((3,), ([[0, 2], [1, 0]],), (2, 2)),
    ((3,), ([[0], [2]],), (1,)), ((2, 3), ([1, 0],), (2, 3)), ((2, 3), ([1, 1],), (3,)), ((2, 3), (0,), (3,)),
    ((2, 3), ([1, 0, 1], [2, 0, 2]), (3,)), ((2, 3), ([1, 0, 0], [2, 0, 2]), ()), ((2, 3), ([[1], [0]], [0, 2]),
    (2, 2)),
    ((2, 3), (1, [0, 2]), (2,)), ((2, 3, 4), ([1, 0], [2, 2]), (2, 4)), ((2, 3, 4), ([1], [2], [3]), ()),
    ((2, 3, 4), ([0, 1],), (1, 1, 4)), ((2, 3, 4), ([1, 1, 0],), (3, 4)), ((2, 3, 4), ([[0], [1]], [[1, 2]]), (4,)),
    ((0, 3), ([],), (0, 3)), ((2, 0, 3), ([1, 0],), (2, 0, 3)), ((2, 3), ([],), (3,)), ((3,), ([],), (0,)),
    ((1, 3, 1), ([0, 0], [2, 1], [0, 0]), (2,)), ((2, 3, 2, 2), ([1, 0], [2, 0]), (2, 2, 2)),
    ((17,), ([16, 0, 8, 16, 16],), (5,)), ((33,), (list(range(32, -1, -1)),), (33,)), ((65,), ([64, 1, 1, 0],), (1,)),
    ((4, 17), ([3, 0, 3], [16, 16, 16]), (3,)), ((2, 3, 2, 2), ([1, 1], [0, 0]), (2, 2, 2)),
    ((2, 3, 2, 2), ([0, 1],), ()),
    ((17,), ([16, 3],), ()), ((65,), ([64, 0, 64],), ()),
)  # fmt: skip
LARGE_PUT: PutRow = ((40000,), (list(range(39999, -1, -1)),), (40000,))
# Masks in the place of indices: the mask's shape is that of the leading dimensions.
MASK_PUT_ROWS: tuple[tuple[Shape, tuple[Any, ...], Shape], ...] = (
    ((3,), ([True, False, True],), (2,)), ((3,), ([False, False, False],), (0,)), ((3,), ([True, True, True],), ()),
    ((2, 3), ([True, False],), (1, 3)), ((2, 3), ([[True, False, True], [False, False, True]],), (3,)),
    ((2, 3), ([[True, True, True], [False, False, True]],), ()), ((2, 3, 4),
    ([[True, False, True], [True, False, False]],), (3, 4)),
    ((2, 3, 4), ([False, True],), (4,)), ((0, 3), ([],), (0, 3)), ((2, 0, 3), ([True, False],), (1, 0, 3)),
    ((17,), ([i % 3 == 0 for i in range(17)],), (6,)), ((65,), ([i in (0, 64) for i in range(65)],), (2,)),
    ((1, 3, 1), ([[[True], [False], [True]]],), (2,)), ((2, 3, 2, 2), ([False, True],), (1, 3, 2, 2)),
)  # fmt: skip


def is_repeating(row: PutRow) -> bool:
    """Whether a row names a place of self more than once."""
    columns = np.broadcast_arrays(*[np.array(index, np.int64) for index in row[1]])
    named = list(zip(*(column.ravel().tolist() for column in columns), strict=True))
    return len(set(named)) < len(named)


UNIQUE_PUT_ROWS = tuple(row for row in PUT_ROWS if not is_repeating(row))
REPEATED_PUT_ROWS = tuple(row for row in PUT_ROWS if is_repeating(row))


def put_rows() -> Any:
    """A strategy for rows of a matrix or an array: bytes choose how many positions, and which."""
    from hypothesis import strategies as st

    shapes = ((7,), (3, 5), (2, 3, 4), (1, 4, 1))
    return st.tuples(st.sampled_from(shapes), st.binary(min_size=14, max_size=14)).map(lambda pair: put_row_of(*pair))


def put_row_of(shape: Shape, spice: bytes) -> PutRow:
    """The row that some bytes choose."""
    count, used = spice[0] % 5, 1 + spice[1] % len(shape)
    indices = tuple([byte % shape[axis] for byte in spice[2 + 4 * axis : 2 + 4 * axis + count]] for axis in range(used))
    tail = shape[used:]
    return shape, indices, ((count, *tail), tail, ())[spice[1] % 3]


def unique_put_rows() -> Any:
    """The same strategy, less the rows that name a place twice."""
    return put_rows().map(lambda row: (row[0], *_unrepeated(row)))


def _unrepeated(row: PutRow) -> tuple[tuple[Any, ...], Shape]:
    named = list(dict.fromkeys(zip(*row[1], strict=True)))
    columns = tuple([place[axis] for place in named] for axis in range(len(row[1])))
    tail = row[0][len(row[1]) :]
    return columns, ((len(named), *tail) if len(row[2]) > len(tail) else row[2])


def put_indices(
    row: PutRow, layout: str, device: str, dtype: str = "int64", shift: bool = False
) -> tuple[Strided, ...]:
    """The index tensors of a row; shifted ones count from the end."""
    found = []
    for axis, nested in enumerate(row[1]):
        array = np.array(nested, dtype)
        if shift:
            array = array - row[0][axis]
        found.append(strided(dtype, array.shape, layout, tuple(array.ravel().tolist()) or (0,), device))
    return tuple(found)


def index_put_cases(cell: Cell) -> Inputs:
    """``index_put_`` with no place named twice."""
    device = cell.target.device
    found = crossed(
        index_put_call, device, Varied(UNIQUE_PUT_ROWS, unique_put_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, Varied(COPIED_KINDS, value_kinds),
    )  # fmt: skip
    large = [index_put_call(device, LARGE_PUT, "float32", "stepped", "contiguous", "contiguous", "ordinary")]
    return Inputs([*found.corners, *large], found.samples)


def repeated_index_put_cases(cell: Cell) -> Inputs:
    """``index_put_`` with places named twice, without accumulation."""
    return crossed(
        index_put_call, cell.target.device, REPEATED_PUT_ROWS, EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS, INDEX_LAYOUTS,
        COPIED_KINDS,
    )  # fmt: skip


def index_put_from_the_end_cases(cell: Cell) -> Inputs:
    """``index_put_`` with negative indices."""
    device = cell.target.device
    found = []
    for row, dtype, layout in covering(UNIQUE_PUT_ROWS, family("int16", "float64", "complex64", "bool"), DISJOINT):
        self_ = strided(dtype, row[0], layout, varied_values(dtype, "ordinary", 2), device)
        indices = put_indices(row, "contiguous", device, shift=True)
        found.append(Call("index_put_", self_, (indices, strided(dtype, row[2], data=values(dtype), device=device))))
    return Inputs(found)


def index_put_mask_cases(cell: Cell) -> Inputs:
    """``index_put_`` with a mask."""
    return crossed(
        index_put_call, cell.target.device, MASK_PUT_ROWS, EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS, INDEX_LAYOUTS,
        COPIED_KINDS,
        ("bool",),
    )  # fmt: skip


def index_put_call(
    device: str, row: PutRow, dtype: str, layout: str, source_layout: str, index_layout: str, kind: str | bytes,
    index_type: str = "int64",
) -> Call:  # fmt: skip
    """One ``index_put_`` without accumulation."""
    return Call(
        "index_put_", strided(dtype, row[0], layout, varied_values(dtype, kind, 2), device),
        (put_indices(row, index_layout, device, index_type),
         strided(dtype, row[2], source_layout, varied_values(dtype, kind), device)), kind=kind_name(kind),
    )  # fmt: skip


def accumulating_index_put_cases(cell: Cell) -> Inputs:
    """``index_put_`` with accumulation, places named several times, or by a mask."""
    named = crossed(
        accumulating_index_put_call, cell.target.device, Varied(PUT_ROWS, put_rows), EVERY_TYPE, DISJOINT,
        SOURCE_LAYOUTS, INDEX_LAYOUTS, Varied(SUMMAND_KINDS, value_kinds),
    )  # fmt: skip
    masked = crossed(
        accumulating_index_put_call, cell.target.device, MASK_PUT_ROWS, EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, SUMMAND_KINDS, ("bool",),
    )  # fmt: skip
    return Inputs([*named.corners, *masked.corners], named.samples)


def accumulating_index_put_call(
    device: str,
    row: PutRow,
    dtype: str,
    layout: str,
    source_layout: str,
    index_layout: str,
    kind: str | bytes,
    index_type: str = "int64",
) -> Call:
    """One ``index_put_`` with accumulation."""
    return Call(
        "index_put_", strided(dtype, row[0], layout, summands(dtype, kind, 1), device),
        (put_indices(row, index_layout, device, index_type),
         strided(dtype, row[2], source_layout, summands(dtype, kind), device)),
        {"accumulate": True}, kind=kind_name(kind),
    )  # fmt: skip


def foreign_index_put_cases(cell: Cell) -> Inputs:
    """``index_put_`` of values of another type than self's."""
    device = cell.target.device
    pairs = (
        ("float32", "float64"),
        ("float64", "int64"),
        ("int64", "float32"),
        ("int32", "int64"),
        ("bool", "uint8"),
    )
    return Inputs(
        [
            Call(
                "index_put_", strided(mine, row[0], "offset", values(mine), device),
                (put_indices(row, "contiguous", device), strided(theirs, row[2], data=(1,), device=device)), kwargs,
            )
            for row in (PUT_ROWS[0], PUT_ROWS[5], PUT_ROWS[8])
            for mine, theirs in pairs
            for kwargs in ({}, {"accumulate": True})
        ]
    )  # fmt: skip


# Shape of self, shape of the index, its elements (positions in row-major order), shape of the source.
FLAT_ROWS: tuple[tuple[Shape, Shape, tuple[int, ...], Shape], ...] = (
    ((), (1,), (0,), (1,)), ((), (), (0,), ()), ((3,), (2,), (2, 0), (2,)), ((3,), (3,), (1, 1, 1), (3, 1)),
    ((3,), (0,), (), (0,)), ((0,), (0,), (), (0,)), ((0, 3), (0, 2), (), (0,)), ((2, 3), (2,), (5, 1), (1, 2)),
    ((2, 3), (2, 2), (4, 0, 4, 2), (4,)), ((2, 3), (6,), (5, 4, 3, 2, 1, 0), (3, 2)), ((1, 3, 1), (2,), (2, 1), (2,)),
    ((2, 3, 4), (2, 2), (23, 7, 12, 1), (2, 2)), ((2, 3, 4), (3,), (13, 13, 0), (3,)), ((2, 3, 2, 2), (3,),
    (23, 5, 6), (3,)),
    ((2, 3, 2, 2), (4,), (11, 11, 0, 23), (4,)), ((2, 3, 2, 2), (2, 1), (13, 4), (1, 2)),
    ((17,), (2, 3), (16, 0, 16, 8, 16, 2), (6,)), ((5, 13), (3,), (64, 33, 1), (3, 1)), ((65,), (4,),
    (64, 0, 64, 0), (2, 2)),
)  # fmt: skip
UNIQUE_FLAT_ROWS = tuple(row for row in FLAT_ROWS if len(set(row[2])) == len(row[2]))


def flat_rows() -> Any:
    """A strategy for rows: bytes choose the positions, and among them the same one twice."""
    from hypothesis import strategies as st

    shapes = ((5,), (3, 4), (2, 3, 4))
    return st.tuples(st.sampled_from(shapes), st.binary(max_size=6)).map(lambda pair: flat_row_of(*pair))


def unique_flat_rows() -> Any:
    """The same with no position twice."""
    return flat_rows().map(lambda row: flat_row_of(row[0], bytes(dict.fromkeys(row[2]))))


def flat_row_of(shape: Shape, spice: bytes) -> tuple[Shape, Shape, tuple[int, ...], Shape]:
    """The row that some bytes choose."""
    found = tuple(byte % prod(shape) for byte in spice)
    return shape, (len(found),), found, (1, len(found))


def put_cases(cell: Cell) -> Inputs:
    """``put_`` with no position twice."""
    return crossed(
        put_call, cell.target.device, Varied(UNIQUE_FLAT_ROWS, unique_flat_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, Varied(COPIED_KINDS, value_kinds),
    )  # fmt: skip


def put_call(
    device: str, row: Any, dtype: str, layout: str, source_layout: str, index_layout: str, kind: str | bytes
) -> Call:
    """One ``put_`` without accumulation."""
    data = varied_values(dtype, kind, 2), varied_values(dtype, kind)
    return _put(device, row, dtype, (layout, source_layout, index_layout), data, kind)


def _put(
    device: str,
    row: Any,
    dtype: str,
    layouts: tuple[str, str, str],
    data: tuple[Any, Any],
    kind: str | bytes,
    *more: bool,
) -> Call:
    """``put_`` into self (laid out and filled as the first of each says) of a source, and ``more`` arguments."""
    shape, index_shape, places, source_shape = row
    index = strided("int64", index_shape, layouts[2], places or (0,), device)
    source = strided(dtype, source_shape, layouts[1], data[1], device)
    return Call(
        "put_", strided(dtype, shape, layouts[0], data[0], device), (index, source, *more), kind=kind_name(kind)
    )


def accumulating_put_cases(cell: Cell) -> Inputs:
    """``put_`` with accumulation, positions several times."""
    return crossed(
        accumulating_put_call, cell.target.device, Varied(FLAT_ROWS, flat_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, Varied(SUMMAND_KINDS, value_kinds),
    )  # fmt: skip


def accumulating_put_call(
    device: str, row: Any, dtype: str, layout: str, source_layout: str, index_layout: str, kind: str | bytes
) -> Call:
    """One ``put_`` with accumulation."""
    data = summands(dtype, kind, 1), summands(dtype, kind)
    return _put(device, row, dtype, (layout, source_layout, index_layout), data, kind, True)


def uneven_put_cases(cell: Cell) -> Inputs:
    """``put_`` of more or fewer elements than positions."""
    device = cell.target.device
    counts = ((1, 2), (2, 1), (2, 3), (3, 2), (0, 1), (2, 0), (4, 1))
    return Inputs(
        [
            Call(
                "put_", strided("float32", shape, layout, (1.0,), device),
                (strided("int64", (named,), data=tuple(range(named)) or (0,), device=device),
                 strided("float32", (given,), data=(2.0,), device=device), accumulate),
            )
            for shape in ((5,), (2, 3)) for layout in ("contiguous", "stepped")
            for named, given in counts for accumulate in (False, True)
        ]
    )  # fmt: skip


DIAGONAL_SHAPES: tuple[Shape, ...] = (
    (1, 1), (3, 3), (2, 3), (3, 2), (4, 3), (7, 3), (8, 3), (9, 2), (4, 1), (1, 4), (0, 3), (3, 0), (65, 4), (3, 17),
    (3, 3, 3), (1, 1, 1), (0, 0, 0), (2, 2, 2, 2),
)  # fmt: skip


def fill_diagonal_cases(cell: Cell) -> Inputs:
    """``fill_diagonal_`` of wide, tall, empty and cubic tensors, not wrapped."""
    return diagonal_cases(cell, DIAGONAL_SHAPES, DISJOINT, (False, None))


def wrapped_diagonal_cases(cell: Cell) -> Inputs:
    """Wrapped, in a tensor without gaps."""
    return diagonal_cases(cell, DIAGONAL_SHAPES, ("contiguous", "offset"), (True,))


def strided_diagonal_cases(cell: Cell) -> Inputs:
    """Wrapped, in a matrix with gaps or a transposed one, with room behind it in the storage or without."""
    return diagonal_cases(cell, DIAGONAL_SHAPES[:14], ("transposed", "stepped", "sliced"), (True,))


def diagonal_cases(cell: Cell, shapes: tuple[Shape, ...], layouts: tuple[str, ...], wraps: tuple[Any, ...]) -> Inputs:
    """Some shapes in some layouts; samples are matrices of every size."""
    from hypothesis import strategies as st

    device = cell.target.device
    size = st.integers(0, 12)
    drawn = st.tuples(st.tuples(size, size), *map(st.sampled_from, (EVERY_TYPE, layouts, wraps, range(5))))
    return Inputs(
        [fill_diagonal_call(device, *row) for row in coverings(2, shapes, EVERY_TYPE, layouts, wraps, range(5))],
        drawn.map(lambda row: fill_diagonal_call(device, *row)),
    )


def fill_diagonal_call(device: str, shape: Shape, dtype: str, layout: str, wrap: bool | None, turn: int) -> Call:
    """One ``fill_diagonal_``; None leaves ``wrap`` to its default."""
    self_ = strided(dtype, shape, layout, varied_values(dtype, "ordinary", 2), device)
    return Call("fill_diagonal_", self_, (fill_of(dtype, turn),), {} if wrap is None else {"wrap": wrap})


def undiagonal_cases(cell: Cell) -> Inputs:
    """``fill_diagonal_`` of tensors of fewer than two dimensions, or of more and unequal lengths."""
    shapes = ((), (1,), (3,), (2, 3, 2), (2, 2, 3), (3, 3, 1), (0, 1, 1), (2, 2, 2, 3))
    return Inputs(
        [
            Call("fill_diagonal_", strided(dtype, shape, layout, values(dtype), cell.target.device), (1,))
            for shape in shapes
            for dtype in ("float32", "int64")
            for layout in ("contiguous", "stepped")
        ]
    )
