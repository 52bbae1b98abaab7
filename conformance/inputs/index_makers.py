"""Makers of calls that take indices or masks; see ``makers`` for what a maker is.

Where the documentation leaves the result of a repeated index open, indices are all different.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.makers import (
    OPERAND_LAYOUTS,
    TAILS,
    VALUE_KINDS,
    Factors,
    call_of,
    dimension,
    one_of,
    self_plan,
    shapes_of,
    variant_of,
)  # fmt: skip
from conformance.inputs.operands import narrowed, related_shape
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

INDEXABLE = ((1,), (2, 3), (3, 2, 4), TAILS, (0, 3), (1, 3, 1), (2, 3, 2, 2), (5, 4))
WHERE = ("first", "last", "middle", "from-the-end", "minus-one")


def indices(numbers: Sequence[int], shape: tuple[int, ...], layout: str, device: str, dtype: str = "int64") -> Strided:
    """The plan of an index tensor."""
    return strided(dtype, shape, layout, tuple(numbers) or (0,), device)


def rows_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layouts of self, source and index, values, dimension and variants."""
    return INDEXABLE, DISJOINT, VALUE_KINDS[:3], OPERAND_LAYOUTS, WHERE, tuple(range(len(row.variants)))


def rows_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """method(dim, index, source or value): rows of self along a dimension."""
    dtype, level, layout, kind, operand_layout, where, number = choice
    shape = one_of(level, plans.turn)
    variant = variant_of(row, dtype, number)
    dim = dimension(len(shape), where)
    extent = shape[dim]
    repeated = row.name in ("index_add_", "index_reduce_", "index_fill_")
    count = (
        (extent, max(extent - 1, 0), 0)[plans.turn % 3]
        if not repeated
        else (extent + 1 if extent else 0, extent, 0)[plans.turn % 3]
    )
    numbers = plans.below(extent, min(count, extent), False)
    if repeated and numbers and count > len(numbers):
        numbers = (*numbers, numbers[0])
    index_dtype = "int32" if plans.turn % 4 == 3 and row.name in ("index_add_", "index_reduce_") else "int64"
    index = indices(
        numbers,
        (len(numbers),),
        ("contiguous", "stepped", "offset")[plans.turn % 3],
        plans.device,
        index_dtype,
    )
    value_domain = narrowed(row.arguments[0].domain, variant, dtype)
    if row.name == "index_fill_":
        value: Any = (
            plans.number(dtype, kind, value_domain)
            if plans.turn % 2
            else plans.tensor(dtype, (), "offset", kind, value_domain, 1)
        )
    else:
        at = dim % len(shape)
        value = plans.tensor(
            dtype, (*shape[:at], len(numbers), *shape[at + 1 :]), operand_layout, kind, value_domain, 1
        )
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (dim, index, value, *variant.args), variant.keywords, kind)


def elements_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layouts, values, dimension and variants."""
    return (
        ((), *INDEXABLE),
        DISJOINT,
        VALUE_KINDS[:3],
        OPERAND_LAYOUTS,
        WHERE,
        tuple(range(len(row.variants))),
    )


def elements_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """method(dim, index, src or value): single elements of self along a dimension."""
    dtype, level, layout, kind, operand_layout, where, number = choice
    shape = one_of(level, plans.turn)
    variant = variant_of(row, dtype, number)
    dim = dimension(len(shape), where)
    extent = shape[dim] if shape else 1
    reduces = row.name != "scatter_" or "reduce" in variant.keywords
    # the index may be smaller than self and than the source in every dimension
    inner = tuple(max(e - 1, min(e, 1)) if plans.turn % 2 else e for e in shape)
    if plans.turn % 5 == 4 and shape:
        inner = (0, *shape[1:])
    at = dim % len(shape) if shape else 0
    along = inner[at] if shape else 1
    numbers = plans.below(extent, along, False)
    if reduces and along > 1:
        numbers = (*numbers[:-1], numbers[0])
    before, after = prod(inner[:at]), prod(inner[at + 1 :])
    flat = [numbers[j] for _ in range(before) for j in range(along) for _ in range(after)]
    if len(numbers) > 2 and not reduces:  # another order in each row, still all different
        flat = [numbers[(j + i + k) % along] for i in range(before) for j in range(along) for k in range(after)]
    index = indices(flat, inner, ("contiguous", "transposed", "offset")[plans.turn % 3], plans.device)
    domain = narrowed(row.arguments[0].domain, variant, dtype)
    if row.arguments[0].number and plans.turn % 3 == 0:
        value: Any = plans.number(dtype, kind, domain)
    else:
        value = plans.tensor(dtype, shape if plans.turn % 4 else inner, operand_layout, kind, domain, 1)
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (dim, index, value, *variant.args), variant.keywords, kind)


def mask_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layouts, values, and how the mask broadcasts."""
    return (
        shapes_of(row, wide),
        DISJOINT,
        VALUE_KINDS[:3],
        OPERAND_LAYOUTS,
        ("same", "lower-rank", "one", "0-d"),
    )


def mask_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """method(mask, value or source)."""
    dtype, level, layout, kind, operand_layout, relation = choice
    shape = one_of(level, plans.turn)
    variant = row.variants[0]
    mask = plans.tensor("bool", related_shape(shape, relation, plans.turn), operand_layout, "ordinary", "any", 2)
    domain = narrowed(row.arguments[-1].domain, variant, dtype)
    if row.name == "masked_scatter_":
        value: Any = plans.tensor(
            dtype,
            (prod(shape) + plans.turn % 3,),
            "stepped" if plans.turn % 2 else "contiguous",
            kind,
            domain,
            1,
        )
    elif plans.turn % 2:
        value = plans.tensor(dtype, (), "offset", kind, domain, 1)
    else:
        value = plans.number(dtype, kind, domain)
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (mask, value), {}, kind)


def places_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layouts, values and variants."""
    return INDEXABLE, DISJOINT, VALUE_KINDS[:3], OPERAND_LAYOUTS, tuple(range(len(row.variants)))


def places_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """put_(index, source, accumulate) and index_put_(indices, values, accumulate)."""
    dtype, level, layout, kind, operand_layout, number = choice
    shape = one_of(level, plans.turn)
    variant = variant_of(row, dtype, number)
    repeated = bool(variant.keywords.get("accumulate"))
    whole = row.name == "put_"
    bound = prod(shape) if whole else shape[0]
    count = min(bound, (bound, 2, 5, 0)[plans.turn % 4])
    numbers = plans.below(bound, count, False)
    if repeated and numbers:
        numbers = (*numbers, numbers[0])
    numbers = tuple(x - bound if i % 2 else x for i, x in enumerate(numbers))  # half of them from the end
    square = whole and len(numbers) % 2 == 0 and plans.turn % 2 == 1
    index_shape = (len(numbers) // 2, 2) if square else (len(numbers),)
    index = indices(numbers, index_shape, ("contiguous", "stepped", "offset")[plans.turn % 3], plans.device)
    domain = narrowed(row.arguments[-1].domain, variant, dtype)
    value_shape = index_shape if whole else (len(numbers), *shape[1:])
    if not whole and plans.turn % 3 == 1:
        value_shape = ()
    value = plans.tensor(dtype, value_shape, operand_layout, kind, domain, 1)
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (index if whole else (index,), value), variant.keywords, kind)
