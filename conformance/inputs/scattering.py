"""Scattered writes: calls of the ``scatter_*_`` methods.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import Varied, covering, crossed
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

ScatterRow = tuple[tuple[int, ...], int, tuple[int, ...], tuple[int, ...]]

# Shape of self, dimension, shape of the index, shape of the source: the index is often smaller than both.
SCATTER_ROWS: tuple[ScatterRow, ...] = (
    ((), 0, (), ()), ((), -1, (), ()), ((1,), 0, (1,), (3,)), ((3,), 0, (5,), (5,)), ((3,), -1, (2,), (4,)),
    ((0, 3), 1, (0, 2), (0, 4)), ((3, 4), 0, (0, 4), (2, 4)), ((2, 0, 3), 0, (2, 0, 3), (2, 0, 3)),
    ((1, 3, 1), 1, (1, 2, 1), (2, 3, 1)), ((2, 3), 0, (1, 2), (2, 3)), ((2, 3), 1, (2, 3), (2, 3)),
    ((2, 3), -1, (2, 2), (3, 5)), ((2, 3), -2, (2, 1), (2, 2)), ((2, 3, 4), 0, (2, 2, 3), (2, 3, 4)),
    ((2, 3, 4), 1, (2, 3, 4), (2, 3, 4)), ((2, 3, 4), 2, (1, 3, 5), (2, 3, 6)), ((2, 3, 4), -3, (3, 1, 4), (3, 2, 4)),
    ((2, 3, 4), -2, (2, 5, 2), (2, 5, 2)), ((2, 3, 4), -1, (2, 3, 4), (2, 3, 4)),
    ((2, 3, 2, 2), 1, (2, 2, 1, 2), (2, 3, 2, 2)), ((17,), 0, (9,), (17,)), ((33,), -1, (33,), (40,)),
    ((2, 3, 2, 2), -3, (2, 4, 2, 1), (2, 4, 2, 2)), ((2, 3, 2, 2), -1, (1, 3, 2, 2), (2, 3, 2, 2)),
    ((17,), -1, (20,), (20,)),
    ((65,), 0, (70,), (70,)), ((5, 65), 0, (3, 65), (4, 65)), ((3, 17), 1, (3, 40), (3, 40)),
)  # fmt: skip
LARGE_SCATTER: ScatterRow = ((3, 11000), 0, (3, 11000), (3, 11000))
EMPTY_INDEX_ROWS: tuple[ScatterRow, ...] = (
    ((), 0, (0,), ()), ((3,), 0, (0,), (2,)), ((3,), -1, (0,), (0,)), ((0,), 0, (0,), (3,)), ((2, 3), 1, (0,), (2,)),
    ((2, 3), 0, (0, 3), (2, 3)), ((2, 3), -1, (2, 0), (2, 3)), ((2, 3, 4), 2, (0,), (2, 3, 4)),
    ((2, 3, 4), 1, (2, 0, 4), (2, 3, 4)), ((2, 0, 3), 0, (1, 0, 3), (2, 0, 3)), ((65,), 0, (0,), (65,)),
)  # fmt: skip
SCATTER_MODES = tuple(
    (reduce, include) for reduce in ("sum", "prod", "mean", "amax", "amin") for include in (True, False, None)
)


def scatter_rows() -> Any:
    """A strategy for rows: every extent of the index and the source comes from one string of bytes."""
    from hypothesis import strategies as st

    shapes = tuple(dict.fromkeys(row[0] for row in SCATTER_ROWS if row[0] and len(row[0]) < 4))
    return st.tuples(st.sampled_from(shapes), st.binary(min_size=7, max_size=7)).map(lambda pair: scatter_row_of(*pair))


def scatter_row_of(shape: tuple[int, ...], spice: bytes) -> ScatterRow:
    """The row that some bytes choose."""
    dim = spice[0] % (2 * len(shape)) - len(shape)
    free = range(len(shape))[dim]
    limits = [6 if axis == free and extent else extent for axis, extent in enumerate(shape)]
    index = tuple(spice[1 + axis] % (limit + 1) for axis, limit in enumerate(limits))
    return shape, dim, index, tuple(extent + spice[4 + axis] % 3 for axis, extent in enumerate(index))


def scatter_index(row: ScatterRow, pattern: str, layout: str, device: str) -> Strided:
    """The index tensor: ``unique`` names no place twice (and cuts the index short where it must), ``repeated`` does."""
    shape, dim, extents, _ = row
    if not shape or not extents:
        return strided("int64", extents, layout, (0,), device)
    free, extent = range(len(shape))[dim], shape[dim]
    if pattern == "unique":
        extents = tuple(min(size, extent) if axis == free else size for axis, size in enumerate(extents))
    steps = np.indices(extents)
    line = sum(steps[axis] * (axis + 2) for axis in range(len(extents)) if axis != free) + 0
    if pattern == "unique":
        found = (extent - 1 - steps[free] + line) % max(extent, 1)
    else:
        found = (steps[free] // 2 * 2 + line) % max(extent, 1)
    return strided("int64", extents, layout, tuple(found.ravel().tolist()) or (0,), device)


def scatter_cases(cell: Cell) -> Inputs:
    """``scatter_`` of a tensor, with no place named twice."""
    found = crossed(
        scatter_call, cell.target.device, Varied(SCATTER_ROWS, scatter_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, Varied(COPIED_KINDS, value_kinds), ("unique",),
    )  # fmt: skip
    return Inputs([*found.corners, *whole_rows("scatter_", cell.target.device)], found.samples)


def whole_rows(method: str, device: str, *more: Any) -> list[Call]:
    """Calls with one index for each row, expanded along it, as whole rows are scattered."""
    rows = ((2, 0, 3), (4, 1, 2), (0, 4, 1))
    return [
        Call(
            method, strided(dtype, (5, 4), layout, summands(dtype, "ordinary", 1), device),
            (0, strided("int64", (3, 4), "widened", tuple(row for row in rows[turn % 3] for _ in range(4)), device),
             strided(dtype, (3, 4), "contiguous", summands(dtype), device), *more),
        )
        for turn, (dtype, layout) in enumerate(zip(EVERY_TYPE, DISJOINT * 3, strict=False))
    ]  # fmt: skip


def repeated_scatter_cases(cell: Cell) -> Inputs:
    """``scatter_`` of a tensor, with places named twice."""
    return crossed(
        scatter_call, cell.target.device, SCATTER_ROWS, EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS, INDEX_LAYOUTS,
        COPIED_KINDS,
        ("repeated",),
    )  # fmt: skip


def scatter_call(
    device: str, row: ScatterRow, dtype: str, layout: str, source_layout: str, index_layout: str, kind: str | bytes,
    pattern: str,
) -> Call:  # fmt: skip
    """One ``scatter_`` of a tensor."""
    return Call(
        "scatter_", strided(dtype, row[0], layout, varied_values(dtype, kind, 2), device),
        (row[1], scatter_index(row, pattern, index_layout, device),
         strided(dtype, row[3], source_layout, varied_values(dtype, kind), device)), kind=kind_name(kind),
    )  # fmt: skip


def scatter_number_cases(cell: Cell) -> Inputs:
    """``scatter_`` of a number."""
    return crossed(
        scatter_number_call, cell.target.device, Varied(SCATTER_ROWS, scatter_rows), EVERY_TYPE, DISJOINT,
        INDEX_LAYOUTS, tuple(range(5)), ("unique", "repeated"),
    )  # fmt: skip


def scatter_number_call(
    device: str, row: ScatterRow, dtype: str, layout: str, index_layout: str, turn: int, pattern: str
) -> Call:
    """One ``scatter_`` of a number."""
    return Call(
        "scatter_", strided(dtype, row[0], layout, varied_values(dtype, "ordinary", 2), device),
        (row[1], scatter_index(row, pattern, index_layout, device), fill_of(dtype, turn)),
    )  # fmt: skip


def scatter_add_cases(cell: Cell) -> Inputs:
    """``scatter_add_`` with places named several times."""
    device = cell.target.device
    found = crossed(
        scatter_add_call, device, Varied(SCATTER_ROWS, scatter_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS,
        INDEX_LAYOUTS, Varied(SUMMAND_KINDS, value_kinds),
    )  # fmt: skip
    large = [
        scatter_add_call(device, LARGE_SCATTER, dtype, layout, "contiguous", "contiguous", "ordinary")
        for dtype, layout in (("float32", "contiguous"), ("int16", "stepped"))
    ]
    return Inputs([*found.corners, *large, *whole_rows("scatter_add_", cell.target.device)], found.samples)


def scatter_add_call(
    device: str,
    row: ScatterRow,
    dtype: str,
    layout: str,
    source_layout: str,
    index_layout: str,
    kind: str | bytes,
) -> Call:
    """One ``scatter_add_``."""
    return Call(
        "scatter_add_", strided(dtype, row[0], layout, summands(dtype, kind, 1), device),
        (row[1], scatter_index(row, "repeated", index_layout, device),
         strided(dtype, row[3], source_layout, summands(dtype, kind), device)), kind=kind_name(kind),
    )  # fmt: skip


def scatter_reduce_cases(cell: Cell) -> Inputs:
    """``scatter_reduce_`` in each of its modes."""
    found = crossed(
        scatter_reduce_call, cell.target.device, Varied(SCATTER_ROWS, scatter_rows), EVERY_TYPE, SCATTER_MODES,
        DISJOINT, SOURCE_LAYOUTS, INDEX_LAYOUTS, Varied(SUMMAND_KINDS, value_kinds),
    )  # fmt: skip
    return Inputs([*found.corners, *whole_rows("scatter_reduce_", cell.target.device, "sum")], found.samples)


def scatter_reduce_call(
    device: str, row: ScatterRow, dtype: str, mode: tuple[str, bool | None], layout: str, source_layout: str,
    index_layout: str, kind: str | bytes,
) -> Call:  # fmt: skip
    """One ``scatter_reduce_``, of a type that has the reduction: the mean of bools and the larger of two complex
    numbers are not defined, so those types are replaced."""
    reduce, include = mode
    if (reduce == "mean" and dtype == "bool") or (reduce in ("amax", "amin") and dtype in family("complex")):
        dtype = "float64"
    if reduce == "mean" and dtype in family("integral"):
        kind = "ordinary"
    return Call(
        "scatter_reduce_", strided(dtype, row[0], layout, summands(dtype, kind, 1, reduce), device),
        (row[1], scatter_index(row, "repeated", index_layout, device),
         strided(dtype, row[3], source_layout, summands(dtype, kind, 0, reduce), device), reduce),
        {} if include is None else {"include_self": include},
        accuracy="rounded" if reduce == "mean" else "exact", kind=kind_name(kind),
    )  # fmt: skip


def reducing_scatter_cases(cell: Cell) -> Inputs:
    """``scatter_`` with ``reduce="add"`` or ``"multiply"``, of a tensor or of a number."""
    forms = tuple((reduce, form) for reduce in ("add", "multiply") for form in ("tensor", "number"))
    return crossed(
        reducing_scatter_call, cell.target.device, Varied(SCATTER_ROWS, scatter_rows), EVERY_TYPE, forms, DISJOINT,
        INDEX_LAYOUTS,
    )  # fmt: skip


def reducing_scatter_call(
    device: str, row: ScatterRow, dtype: str, form: tuple[str, str], layout: str, index_layout: str
) -> Call:
    """One ``scatter_`` with a reduction."""
    reduce = {"add": "sum", "multiply": "prod"}[form[0]]
    data = summands(dtype, "ordinary", 0, reduce)
    source = strided(dtype, row[3], "contiguous", data, device) if form[1] == "tensor" else data[1]
    return Call(
        "scatter_", strided(dtype, row[0], layout, summands(dtype, "ordinary", 1, reduce), device),
        (row[1], scatter_index(row, "repeated", index_layout, device), source), {"reduce": form[0]},
    )  # fmt: skip


def empty_index_cases(cell: Cell) -> Inputs:
    """``scatter_`` of a tensor and of a number, and ``scatter_add_``, with an empty index."""
    device = cell.target.device
    found = []
    forms = (("scatter_", "tensor"), ("scatter_", "number"), ("scatter_add_", "tensor"))
    for row, form, dtype, layout in covering(EMPTY_INDEX_ROWS, forms, EVERY_TYPE, DISJOINT):
        shape, dim, extents, source_shape = row
        source = strided(dtype, source_shape, "contiguous", values(dtype), device) if form[1] == "tensor" else 1
        self_ = strided(dtype, shape, layout, varied_values(dtype, "special"), device)
        found.append(Call(form[0], self_, (dim, strided("int64", extents, data=(0,), device=device), source)))
    return Inputs(found)


# Method, shapes of self, index and source, dimension; every one breaks one of the two rules on sizes.
SCATTER_MISFITS = (
    ((3, 4), 0, (4, 4), (3, 4)), ((3, 4), 0, (2, 4), (2, 3)), ((3, 4), 1, (4, 2), (4, 2)), ((3, 4), 0, (2, 5), (2, 5)),
    ((3, 4), -1, (3, 5), (3, 4)), ((3, 4), -2, (1, 5), (3, 5)), ((3,), 0, (4,), (3,)),
    ((2, 3, 4), 1, (2, 3, 5), (2, 3, 5)),
    ((2, 3, 4), 1, (3, 3, 4), (3, 3, 4)), ((2, 3, 4), 2, (2, 4, 4), (2, 4, 4)), ((2, 3, 4), 0, (1, 1, 2), (1, 1, 1)),
)  # fmt: skip


def scatter_misfit_cases(cell: Cell) -> Inputs:
    """Scatters whose index is larger than the source, or than self in another dimension."""
    device = cell.target.device
    found = []
    for shape, dim, extents, source_shape in SCATTER_MISFITS:
        for method, *more in (("scatter_",), ("scatter_add_",), ("scatter_reduce_", "sum")):
            index = strided("int64", extents, data=(0,), device=device)
            source = strided("float32", source_shape, data=(2.0,), device=device)
            found.append(Call(method, strided("float32", shape, "offset", (1.0,), device), (dim, index, source, *more)))
    return Inputs(found)


def out_of_range_scatter_cases(cell: Cell) -> Inputs:
    """Scatters with one index below 0 or beyond the last."""
    device = cell.target.device
    found = []
    for shape, dim in (((3,), 0), ((2, 3), 0), ((2, 3), -1), ((2, 3, 4), 1), ((2, 3, 4), -1), ((65,), 0)):
        for wrong in (-1, shape[dim], -shape[dim], 2**40):
            for method, *more in (("scatter_",), ("scatter_add_",), ("scatter_reduce_", "sum")):
                index = strided("int64", shape, data=(*[0] * (int(np.prod(shape)) - 1), wrong), device=device)
                source = strided("float32", shape, data=(2.0,), device=device)
                found.append(
                    Call(
                        method,
                        strided("float32", shape, data=(1.0,), device=device),
                        (dim, index, source, *more),
                    )
                )
    return Inputs(found)
