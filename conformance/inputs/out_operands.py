"""Operands of functions with ``out=``: of several sizes, types, layouts and values, by the kinds that rows name.

Reference: https://docs.pytorch.org/docs/stable/notes/out.html
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from conformance.inputs.positions import Shape
from conformance.inputs.tensors import Strided, strided

OPERANDS = (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5, 0.9375, -0.25, 5.0, -7.0)
# The same numbers, but for every third: what compares two operands finds some that are equal.
PARTNERS = tuple(OPERANDS[(i + 8) % 12] if i % 3 == 0 else x for i, x in enumerate(OPERANDS))
_NAN, _INF = float("nan"), float("inf")
SPECIAL = (1.0, _NAN, 0.0, -_INF, -0.0, _INF, 2.0, -3.0)


@dataclass(frozen=True)
class Sizing:
    """What operands are like: rows and columns (-1 for no dimension at all), element type, layout and values.

    Where functions take a dimension away, their operand without "dimensions" is a vector. ``broadcast`` makes the
    second operand smaller than the first; ``batch`` are dimensions before the rows.
    """

    rows: int
    columns: int
    dtype: str = "float32"
    layout: str = "contiguous"
    data: str = "ordinary"
    broadcast: bool = False
    batch: Shape = ()


PLAIN = Sizing(2, 3)
LARGE_OPERANDS = Sizing(129, 257)
POINTWISE = ("pair", "powers", "single", "positive", "integer_pair", "clamping", "weighted", "triple", "choice")
PAIRED = ("pair", "integer_pair", "weighted", "triple", "choice")
OF_MATRICES = ("nonzero", "tril", "triu")  # take no operand of 0 dimensions
REDUCING = (
    "sum", "mean", "prod", "amax", "amin", "argmax", "all", "any", "var", "logsumexp", "max", "min", "median",
    "kthvalue", "aminmax",
)  # fmt: skip
EXACT_ON_INTEGERS = (
    "add", "sub", "mul", "maximum", "minimum", "eq", "lt", "abs", "neg", "sign", "square", "amax", "amin", "tril",
    "cat", "stack", "index_select", "gather", "take", "masked_select", "sort", "max", "min", "topk", "where",
)  # fmt: skip
# What they make of NaN, infinities and zeros is IEEE 754's or is written on their page.
ON_SPECIAL_VALUES = (
    "add", "sub", "mul", "maximum", "minimum", "fmax", "eq", "ne", "lt", "le", "gt", "ge", "logical_and",
    "logical_xor", "logical_not", "abs", "neg", "ceil", "trunc", "square", "reciprocal", "clamp", "where", "amax",
    "amin", "max", "min", "all", "any", "cat", "stack", "hstack", "vstack", "tril", "triu", "gather", "take",
    "index_select", "masked_select",
)  # fmt: skip
UNTYPED = ("counting", "spacing", "filling", "identity", "integer_pair")  # operands that have no type to vary


def takes_any_shape(name: str, operands: str) -> bool:
    """Whether a function works element by element, or takes a dimension of any extent away."""
    return name in REDUCING or (operands in POINTWISE and name not in OF_MATRICES)


def sizes_of(name: str, operands: str) -> list[Sizing]:
    """What operands a function is called with."""
    found = [PLAIN, Sizing(3, 11), Sizing(0, 3), Sizing(2, 3, layout="transposed"), Sizing(4, 3, "float64", "stepped")]
    if name in EXACT_ON_INTEGERS:
        found.append(Sizing(4, 10, "int16"))
    if takes_any_shape(name, operands):
        found += [Sizing(-1, -1), Sizing(3, 11, "bfloat16", "sliced"), Sizing(3, 11, "float16")]
    if operands in POINTWISE:
        found.append(Sizing(19, 22, "float64", "sliced"))
        if name not in OF_MATRICES:
            found.append(Sizing(3, 4, batch=(2, 2)))
    elif name in ("gather", "nonzero"):
        found.append(Sizing(60, 4, "float64"))
    if operands in PAIRED:
        found.append(Sizing(3, 11, broadcast=True))
    if name in ON_SPECIAL_VALUES:
        found.append(Sizing(3, 5, data="special"))
    return [size for size in found if size.dtype == "float32" or operands not in UNTYPED]


def operands_of(kind: str, size: Sizing, device: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a row."""
    dtype, layout, alone = size.dtype, size.layout, size.rows < 0
    whole: Shape = () if alone else (*size.batch, size.rows, size.columns)
    second: Shape = (size.columns,) if size.broadcast else whole
    m, n = (1, 3) if alone else (size.rows, size.columns)
    listed, partners = (SPECIAL, SPECIAL[3:] + SPECIAL[:3]) if size.data == "special" else (OPERANDS, PARTNERS)

    def numbers(*shape: int, start: int = 0, data: tuple[Any, ...] = listed) -> Strided:
        data = data if dtype != "int16" else tuple(int(4 * x) for x in data)
        return strided(dtype, shape, layout, ((data[start:] + data[:start]) * 4)[: prod(shape) or 1], device)

    def integers(*shape: int, data: tuple[int, ...], dtype: str = "int64") -> Strided:
        return strided(dtype, shape, layout, data, device)

    def marks(*data: bool) -> Strided:
        return strided("bool", whole, layout, data, device)

    x, y = numbers(*whole), numbers(*second, start=4, data=partners)
    reduced, dim = (numbers(n), 0) if alone else (x, 1)
    positive = numbers(*whole, data=tuple(abs(v) for v in listed))
    regular = numbers(2, 2, data=(2.0, 1.0, 1.0, 3.0))
    bits = integers(*whole, data=(6, 9, 12, 35, 4, 7), dtype="int32")
    found: dict[str, Any] = {
        "pair": (x, y), "powers": (positive, 2.0), "single": (x,), "positive": (positive,),
        "integer_pair": (bits, integers(*second, data=(4, 6, 5, 10, 6, 3), dtype="int32")),
        "clamping": (x, -1.0, 2.0), "weighted": (x, y, 0.5), "triple": (x, y, numbers(*second, start=7)),
        "choice": (marks(True, False, False, True, True, False), x, y), "along": (reduced, dim),
        "along_two": (x, 2, 1), "second_along": (reduced, 2, dim), "matrices": (x, numbers(n, 4, start=2)),
        "batches": (numbers(2, m, n), numbers(2, n, 4, start=3)), "matrix_vector": (x, numbers(n, start=5)),
        "added_matrices": (numbers(m, 4, start=6), x, numbers(n, 4, start=2)),
        "added_batches": (numbers(2, m, 4, start=1), numbers(2, m, n), numbers(2, n, 4, start=3)),
        "vectors": (numbers(n), numbers(m + 2, start=2)), "regular": (regular,), "equations": (regular, numbers(2, n)),
        "vector": (numbers(n),), "several": ((x, y),), "selecting": (x, 1, integers(4, data=(2, 0, 2, 1))),
        "gathering": (x, 1, integers(m, 2, data=(2, 0, 1, 1))),
        "taking": (x, integers(2, 2, data=(5, 0, 3, 3)) if m else integers(0, data=(0,))),
        "masking": (x, marks(True, False, True, True, True, False)),
        "searching": (numbers(4, data=(-1.0, 0.5, 2.0, 3.0)), x), "counting": (m + n,), "spacing": (0.0, 1.0, m + n),
        "filling": ((m, n), 2.5), "identity": (n,),
    }  # fmt: skip
    return ((reduced,), {"dim": dim}) if kind == "keyed_along" else (found[kind], {})
