"""Indexed writes along one dimension: calls of the ``index_*_`` methods.

A row of the tables says the shape of self, the dimension and the index; the rest is dealt out over them.
Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import Varied, covering, crossed
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.summands import SUMMAND_KINDS, summands
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import pool, values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

EVERY_TYPE = family("bool", "integral", "floating", "complex")
SOURCE_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "expanded")
INDEX_LAYOUTS = ("contiguous", "stepped", "offset")
INDEX_TYPES = ("int64", "int32")
COPIED_KINDS = ("ordinary", "special")
REDUCTIONS = ("prod", "mean", "amax", "amin")

IndexRow = tuple[tuple[int, ...], int, tuple[int, ...]]

# Shape of self, dimension (also counted from the end), index (empty, single, repeated, out of order).
INDEX_ROWS: tuple[IndexRow, ...] = (
    ((1,), 0, (0,)), ((1,), -1, (0, 0, 0)), ((3,), 0, ()), ((3,), -1, (2, 0)), ((0,), 0, ()),
    ((0, 3), 1, (2, 0)), ((0, 3), 0, ()), ((2, 0, 3), -1, (1, 1)), ((2, 0, 3), 1, ()),
    ((1, 3, 1), 1, (2, 0, 2)), ((1, 3, 1), -2, (1,)), ((2, 3), 0, (1, 1)), ((2, 3), 1, (2,)),
    ((2, 3), -1, (0, 2, 0, 2)), ((2, 3), -2, (1, 0)), ((2, 3, 4), 0, (1, 0, 1)), ((2, 3, 4), 1, (2, 2, 2)),
    ((2, 3, 4), 2, (3, 0)), ((2, 3, 4), -3, (0,)), ((2, 3, 4), -1, (3, 2, 1, 0)), ((2, 3, 2, 2), 1, (1, 1, 0)),
    ((17,), 0, (16, 0, 16, 8)), ((33,), 0, tuple(range(32, -1, -1))), ((65,), -1, (64, 3, 3, 0, 64, 3)),
    ((4, 17), 1, (16, 0, 5)), ((17, 3), 0, (16, 1, 1)), ((17,), -1, (16, 16, 3)), ((2, 3, 2, 2), -3, (2, 0, 2)),
    ((2, 3, 2, 2), -1, (1, 0)), ((2, 3, 2, 2), 0, (1,)),
)  # fmt: skip
LARGE_ROWS: tuple[IndexRow, ...] = (
    ((2, 16385), 0, (1, 0, 1)),
    ((16385, 2), 1, (1, 1)),
    ((32769,), 0, (32768, 5, 5)),
)
# As above with no index twice, for writes whose result would otherwise depend on the order of the copies.
UNIQUE_ROWS = tuple(dict.fromkeys((shape, dim, tuple(dict.fromkeys(index))) for shape, dim, index in INDEX_ROWS))
REPEATED_ROWS = tuple(row for row in INDEX_ROWS if len(set(row[2])) < len(row[2]))
# The documentation speaks of rows, a scalar has none, but torch lets a fill name its one element.
FILL_ROWS = (*INDEX_ROWS, ((), 0, (0,)), ((), -1, (0,)))

FILLS: dict[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "unsigned": (7, 0),
    "signed": (-3, 7),
    "floating": (2.5, float("nan"), -0.0, 3, float("-inf")),
    "complex": (1.5 - 2j, 2.0, 3),
}


def index_rows(unique: bool = False) -> Any:
    """A strategy for rows: one draw picks the shape, one string of bytes all the rest."""
    from hypothesis import strategies as st

    shapes = tuple(dict.fromkeys(row[0] for row in INDEX_ROWS))
    drawn = st.tuples(st.sampled_from(shapes), st.binary(min_size=8, max_size=8))
    return drawn.map(lambda pair: index_row_of(*pair, unique))


def index_row_of(shape: tuple[int, ...], spice: bytes, unique: bool) -> IndexRow:
    """The row that some bytes choose."""
    dim = spice[0] % (2 * len(shape)) - len(shape)
    extent = shape[dim]
    index = tuple(byte % extent for byte in spice[2 : 2 + spice[1] % 7]) if extent else ()
    return shape, dim, tuple(dict.fromkeys(index)) if unique else index


def unique_index_rows() -> Any:
    """A strategy for rows with no index twice."""
    return index_rows(unique=True)


def value_kinds() -> Any:
    """A strategy for values: bytes, one for each of two dozen elements."""
    from hypothesis import strategies as st

    return st.binary(min_size=24, max_size=24)


def varied_values(dtype: str, kind: str | bytes, turn: int = 0) -> tuple[Any, ...]:
    """Values to copy, of a kind, or chosen one by one by bytes."""
    if isinstance(kind, bytes):
        every = pool(dtype)
        return tuple(every[byte % len(every)] for byte in kind[turn:] + kind[:turn])
    data = values(dtype, kind)
    start = turn % len(data)
    return data[start:] + data[:start]


def kind_name(kind: str | bytes) -> str:
    """What evidence calls the values."""
    return kind if isinstance(kind, str) else "sampled"


def fill_of(dtype: str, turn: int) -> Any:
    """A number to fill with."""
    choices = FILLS[ELEMENT_TYPES[dtype].kind]
    return choices[turn % len(choices)]


def alpha_of(dtype: str, turn: int) -> Any:
    """The factor of an accumulation; turn 0 leaves it out."""
    choices = {
        "bool": (1, True, True), "unsigned": (1, 2, 3), "signed": (1, -1, 3), "floating": (1, -2.0, 0.5),
        "complex": (1, -0.5, 2),
    }  # fmt: skip
    return choices[ELEMENT_TYPES[dtype].kind][turn]


def index_plan(index: tuple[int, ...], layout: str, dtype: str, device: str) -> Strided:
    """A 1-D index tensor."""
    return strided(dtype, (len(index),), layout, index or (0,), device)


def source_shape(row: IndexRow) -> tuple[int, ...]:
    """The shape of self with the length of the index in the indexed dimension."""
    shape, dim, index = list(row[0]), row[1], row[2]
    if shape:
        shape[dim] = len(index)
    return tuple(shape)


def index_add_cases(cell: Cell) -> Inputs:
    """``index_add_`` with repeated indices, factors and every element type."""
    device = cell.target.device
    found = crossed(
        index_add_call, device, Varied(INDEX_ROWS, index_rows), EVERY_TYPE, DISJOINT, SOURCE_LAYOUTS, INDEX_LAYOUTS,
        INDEX_TYPES, Varied(SUMMAND_KINDS, value_kinds), (0, 1, 2),
    )  # fmt: skip
    large = [
        index_add_call(device, row, dtype, layout, "contiguous", "contiguous", "int64", "ordinary", 0)
        for row, dtype, layout in zip(
            LARGE_ROWS, ("float32", "int16", "float64"), ("contiguous", "transposed", "stepped"), strict=True
        )
    ]
    return Inputs([*found.corners, *large], found.samples)


def index_add_call(
    device: str, row: IndexRow, dtype: str, layout: str, source_layout: str, index_layout: str, index_type: str,
    kind: str | bytes, turn: int,
) -> Call:  # fmt: skip
    """One ``index_add_``."""
    kwargs = {"alpha": alpha_of(dtype, turn)} if turn else {}
    return Call(
        "index_add_", strided(dtype, row[0], layout, summands(dtype, kind, 1), device),
        (row[1], index_plan(row[2], index_layout, index_type, device),
         strided(dtype, source_shape(row), source_layout, summands(dtype, kind, turn), device)),
        kwargs, kind=kind_name(kind),
    )  # fmt: skip


def reducing_cases(cell: Cell, reductions: tuple[str, ...], dtypes: tuple[str, ...]) -> Inputs:
    """``index_reduce_`` in some of its modes, of floating types, which alone it is documented for."""
    modes = tuple((reduce, include) for reduce in reductions for include in (True, False, None))
    return crossed(
        index_reduce_call, cell.target.device, Varied(INDEX_ROWS, index_rows), modes, dtypes, DISJOINT,
        SOURCE_LAYOUTS, INDEX_TYPES, Varied(SUMMAND_KINDS, value_kinds),
    )  # fmt: skip


def multiplying_cases(cell: Cell) -> Inputs:
    """Products in single and double precision."""
    return reducing_cases(cell, ("prod",), family("float32", "float64"))


def half_multiplying_cases(cell: Cell) -> Inputs:
    """Products in the two half-precision types."""
    return reducing_cases(cell, ("prod",), family("float16", "bfloat16"))


def averaging_cases(cell: Cell) -> Inputs:
    """Means."""
    return reducing_cases(cell, ("mean",), family("floating"))


def many_averaging_cases(cell: Cell) -> Inputs:
    """Means of more rows than the half-precision types can count one by one, of which every sum is exact."""
    device = cell.target.device
    return Inputs(
        [
            Call(
                "index_reduce_", strided(dtype, (3,), layout, (1.0, 1.0, 1.0), device),
                (0, index_plan((1,) * count, "contiguous", "int64", device),
                 strided(dtype, (count,), "contiguous", (64.0, *(2.0, -2.0) * (count // 2))[:count], device), "mean"),
                {"include_self": include}, accuracy="rounded",
            )
            for dtype, count in (("bfloat16", 270), ("bfloat16", 500), ("float16", 2100))
            for include in (True, False)
            for layout in ("contiguous", "stepped")
        ]
    )  # fmt: skip


def extreme_cases(cell: Cell) -> Inputs:
    """Maxima and minima."""
    return reducing_cases(cell, ("amax", "amin"), family("floating"))


def integer_index_reduce_cases(cell: Cell) -> Inputs:
    """``index_reduce_`` of types that it is not documented for."""
    modes = [(reduce, include) for reduce in REDUCTIONS for include in (True, False)]
    forms = list(product(modes, family("bool", "integral", "complex")))
    rows = [row for row in INDEX_ROWS if row[0] in ((1,), (2, 3), (2, 3, 4))][::2]
    return Inputs(
        [
            index_reduce_call(cell.target.device, row, mode, dtype, layout, "contiguous", "int64", "ordinary")
            for row, (mode, dtype), layout in covering(rows, forms, DISJOINT[:3])
        ]
    )


def index_reduce_call(
    device: str, row: IndexRow, mode: tuple[str, bool | None], dtype: str, layout: str, source_layout: str,
    index_type: str, kind: str | bytes,
) -> Call:  # fmt: skip
    """One ``index_reduce_``; a mode whose second part is None leaves ``include_self`` to its default."""
    reduce, include = mode
    return Call(
        "index_reduce_", strided(dtype, row[0], layout, summands(dtype, kind, 1, reduce), device),
        (row[1], index_plan(row[2], "contiguous", index_type, device),
         strided(dtype, source_shape(row), source_layout, summands(dtype, kind, 0, reduce), device), reduce),
        {} if include is None else {"include_self": include},
        accuracy="rounded" if reduce == "mean" else "exact", kind=kind_name(kind),
    )  # fmt: skip


def index_copy_cases(cell: Cell) -> Inputs:
    """``index_copy_`` with no index twice."""
    return crossed(
        index_copy_call, cell.target.device, Varied(UNIQUE_ROWS, unique_index_rows), EVERY_TYPE, DISJOINT,
        SOURCE_LAYOUTS, INDEX_LAYOUTS, Varied(COPIED_KINDS, value_kinds),
    )  # fmt: skip


def repeated_index_copy_cases(cell: Cell) -> Inputs:
    """``index_copy_`` with repeated indices."""
    return crossed(
        index_copy_call, cell.target.device, Varied(REPEATED_ROWS, index_rows), EVERY_TYPE, DISJOINT,
        SOURCE_LAYOUTS, INDEX_LAYOUTS, COPIED_KINDS,
    )  # fmt: skip


def index_copy_call(
    device: str,
    row: IndexRow,
    dtype: str,
    layout: str,
    source_layout: str,
    index_layout: str,
    kind: str | bytes,
) -> Call:
    """One ``index_copy_``."""
    return Call(
        "index_copy_", strided(dtype, row[0], layout, varied_values(dtype, kind, 2), device),
        (row[1], index_plan(row[2], index_layout, "int64", device),
         strided(dtype, source_shape(row), source_layout, varied_values(dtype, kind), device)), kind=kind_name(kind),
    )  # fmt: skip


def index_fill_cases(cell: Cell) -> Inputs:
    """``index_fill_`` with numbers of every kind."""
    return crossed(
        index_fill_call, cell.target.device, Varied(FILL_ROWS, index_rows), EVERY_TYPE, DISJOINT, INDEX_LAYOUTS,
        tuple(range(5)),
    )  # fmt: skip


def index_fill_call(device: str, row: IndexRow, dtype: str, layout: str, index_layout: str, turn: int) -> Call:
    """One ``index_fill_``."""
    return Call(
        "index_fill_", strided(dtype, row[0], layout, varied_values(dtype, "ordinary", 2), device),
        (row[1], index_plan(row[2], index_layout, "int64", device), fill_of(dtype, turn)),
    )  # fmt: skip


# Shape of self, dimension, length of the index, shape of the source: each at odds with the documented rule.
MISFITS = (
    ((3, 4), 0, 2, (3, 4)), ((3, 4), 0, 2, (1, 4)), ((3, 4), 0, 2, (2, 3)), ((3, 4), 0, 2, (2, 5)),
    ((3, 4), 1, 2, (2, 2)), ((3, 4), -1, 3, (3, 2)), ((3, 4), 0, 2, (2, 4, 1)), ((3, 4), -2, 2, (2, 1)),
    ((3,), 0, 2, (3,)), ((3,), 0, 3, (2,)), ((2, 3, 4), 1, 2, (2, 2, 3)), ((2, 3, 4), 1, 2, (1, 2, 4)),
    ((2, 3, 4), 2, 2, (2, 4, 2)), ((2, 3, 4), 0, 0, (1, 3, 4)), ((2, 3, 4), 0, 1, (0, 3, 4)),
)  # fmt: skip


def misfit_cases(method: str, cell: Cell, *more: Any) -> Inputs:
    """Calls whose source does not fit the index or self."""
    device = cell.target.device
    found = []
    for shape, dim, length, source in MISFITS:
        for dtype, layout in (("float32", "contiguous"), ("float64", "transposed"), ("float16", "stepped")):
            index = index_plan(tuple(i % shape[dim] for i in range(length)), "contiguous", "int64", device)
            self_ = strided(dtype, shape, layout, values(dtype), device)
            found.append(Call(method, self_, (dim, index, strided(dtype, source, data=(2.0,), device=device), *more)))
    return Inputs(found)


def index_add_misfits(cell: Cell) -> Inputs:
    """``index_add_`` with a source that does not fit."""
    return misfit_cases("index_add_", cell)


def index_copy_misfits(cell: Cell) -> Inputs:
    """``index_copy_`` with a source that does not fit."""
    return misfit_cases("index_copy_", cell)


def index_reduce_misfits(cell: Cell) -> Inputs:
    """``index_reduce_`` with a source that does not fit."""
    return misfit_cases("index_reduce_", cell, "prod")
