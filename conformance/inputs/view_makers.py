"""Makers of calls that change shape, storage or metadata, or take a Python function; see ``makers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call, Function
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.makers import (
    Factors,
    call_of,
    one_of,
    self_plan,
    shapes_of,
    unary_call,
    unary_factors,
)
from conformance.inputs.operands import before, domain_of, related_shape
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator


def view_factors(row: Operator, wide: bool) -> Factors:
    """Shape and layout, and which arguments."""
    shapes: tuple[Any, ...] = shapes_of(row, wide)
    if row.name == "t_":
        shapes = ((), (0,), (1,), (17,), (0, 3), (2, 3), (3, 2), (1, 1), (17, 5))
    return shapes, DISJOINT, ("ordinary",), (0, 1, 2, 3)


def view_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """A method that changes shape and strides only."""
    dtype, level, layout, kind, number = choice
    shape = one_of(level, plans.turn)
    self_ = self_plan(row, row.variants[0], dtype, shape, layout, kind, plans)
    rank, name = len(shape), row.name
    args: tuple[Any, ...] = ()
    if name in ("transpose_", "swapaxes_", "swapdims_"):
        pairs = ((0, -1), (-1, 0), (0, rank // 2), (-rank, 1 - rank) if rank > 2 else (rank - 1, rank - 1))
        args = pairs[number] if rank else ((0, -1), (-1, 0), (0, 0), (-1, -1))[number]
    elif name == "unsqueeze_":
        args = ((0, -1, rank, -rank - 1)[number],)
    elif name == "squeeze_":
        # several dimensions at once are taken since 2.0
        several = [((0, -1),)] if rank > 2 and not before("2.0") else [(rank // 2 if rank else 0,)]
        args = ((), (0,), (-1,), *several)[number]
    elif name == "as_strided_":
        args = _restrided(self_, number)
    return call_of(row, row.variants[0], self_, args, {}, kind)


def _restrided(plan: Strided, number: int) -> tuple[Any, ...]:
    """Arguments of ``as_strided_`` that stay inside the storage."""
    shape, strides = plan.shape, plan.strides
    if number == 0 or not plan.array.size:
        return shape, strides, plan.offset
    if number == 1:
        return shape[::-1], strides[::-1], plan.offset
    if number == 2:
        return (), (), plan.offset
    return ((2,), (0,), plan.offset) if not shape else (shape[:1], strides[:1], plan.offset)


def storage_factors(row: Operator, wide: bool) -> Factors:
    """Shape and layout of self, and which arguments."""
    return shapes_of(row, wide), DISJOINT, ("ordinary",), (0, 1, 2)


def storage_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """A method that changes the storage, or how much of it is used."""
    dtype, level, layout, kind, number = choice
    shape = one_of(level, plans.turn)
    self_ = self_plan(row, row.variants[0], dtype, shape, layout, kind, plans)
    wanted = (shape, (2, 3), (0,))[number]
    args: tuple[Any, ...] = ()
    if row.name == "resize_":
        args = wanted if wanted and number == 1 else (wanted,)
    elif row.name in ("resize_as_", "set_"):
        args = (plans.tensor(dtype, wanted, "stepped" if row.name == "set_" else "contiguous", kind, "any", 1),)
    return call_of(row, row.variants[0], self_, args, {}, kind)


metadata_factors, metadata_call = unary_factors, unary_call


def python_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layout, values, and how the operands broadcast."""
    return shapes_of(row, wide), DISJOINT, ("ordinary", "special"), ("same", "lower-rank", "one", "0-d")


def python_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self, its operands, and a Python function of as many numbers."""
    dtype, level, layout, kind, relation = choice
    shape = one_of(level, plans.turn)
    self_ = self_plan(row, row.variants[0], dtype, shape, layout, kind, plans)
    operands = [
        plans.tensor(
            dtype,
            related_shape(shape, relation, plans.turn + place),
            "stepped",
            kind,
            domain_of(argument.domain, dtype),
            place,
        )
        for place, argument in enumerate(row.arguments, 1)
    ]
    names = ("x", "y", "z")[: len(operands) + 1]
    source = f"lambda {', '.join(names)}: {' + '.join(names)}" if operands else "lambda x: x * x"
    return call_of(row, row.variants[0], self_, (*operands, Function(source)), {}, kind)
