"""Re-framing: calls of the methods that change size and strides in place, and leave the storage alone.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import coverings
from conformance.inputs.layouts import DISJOINT, REPEATING
from conformance.inputs.positions import Shape
from conformance.inputs.resizing import EVERY_DTYPE, STARTS, held_elements
from conformance.inputs.tensors import strided
from conformance.inputs.values import values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Sizes and strides within a storage of 24 elements.
REFRAMED: tuple[tuple[Shape, Shape], ...] = (
    ((24,), (1,)), ((2, 3), (3, 1)), ((2, 3), (1, 2)), ((3,), (4,)), ((), ()), ((0, 3), (3, 1)), ((2, 2), (0, 1)),
    ((4, 3), (1, 4)), ((17,), (1,)), ((2, 1, 3), (6, 9, 2)),
)  # fmt: skip


def transposing_cases(cell: Cell) -> Inputs:
    """``t_``, ``transpose_``, ``swapaxes_`` and ``swapdims_`` with dimensions counted from either end."""
    found = []
    shapes = [shape for shape in STARTS if shape] + [()]
    for shape, method, layout, turn, dtype in coverings(
        3, shapes, ("t_", "transpose_", "swapaxes_", "swapdims_"), DISJOINT + REPEATING, range(9), EVERY_DTYPE
    ):
        plan = strided(dtype, shape, layout, values(dtype), cell.target.device)
        if method == "t_":
            if len(shape) <= 2:
                found.append(Call(method, plan))
        else:
            count = max(len(shape), 1)
            first, second = turn % count, (turn // count + 1) % count
            found.append(Call(method, plan, (first - count * (turn % 2), second - count * (turn // 3 % 2))))
    return Inputs(found)


def unfitting_transposing_cases(cell: Cell) -> Inputs:
    """``t_`` of three and four dimensions, and the others just outside of those that self has."""
    plans = [strided("float32", shape, "offset", (1.0,), cell.target.device) for shape in ((2, 3, 4), (2, 3, 2, 2))]
    found = [Call("t_", plan) for plan in plans]
    for method in ("transpose_", "swapaxes_", "swapdims_"):
        for plan in plans:
            rank = len(plan.shape)
            found += [Call(method, plan, dims) for dims in ((0, rank), (rank, 1), (-rank - 1, 0), (1, -rank - 1))]
    return Inputs(found)


def squeeze_cases(cell: Cell) -> Inputs:
    """``squeeze_`` of all dimensions, of one, and of several."""
    shapes: tuple[Shape, ...] = (
        (),
        (1,),
        (3,),
        (1, 3, 1),
        (1, 1, 1),
        (2, 1, 3),
        (2, 3),
        (1, 0),
        (0, 1, 2),
        (1, 4, 1, 5),
        (17, 1),
        (2, 1, 2, 2),
    )
    found = []
    for shape, layout, turn, dtype in coverings(3, shapes, DISJOINT + REPEATING, range(9), EVERY_DTYPE):
        plan = strided(dtype, shape, layout, values(dtype), cell.target.device)
        found.append(
            Call(
                "squeeze_",
                plan,
                () if not turn else (turn % max(len(shape), 1) - max(len(shape), 1) * (turn % 2),),
            )
        )
    return Inputs(found)


def unfitting_squeeze_cases(cell: Cell) -> Inputs:
    """``squeeze_`` of dimensions just beyond those that there are, alone and behind one that there is."""
    found = []
    for shape in (*STARTS, (1,), (2, 1)):
        plan, rank = strided("float32", shape, "offset", (1.0,), cell.target.device), max(len(shape), 1)
        found += [Call("squeeze_", plan, (dim,)) for dim in (rank, -rank - 1, (0, rank))]
    return Inputs(found)


def squeeze_several_cases(cell: Cell) -> Inputs:
    """``squeeze_`` of a tuple of dimensions."""
    choices = (
        ((1, 3, 1), (0, 2)),
        ((1, 3, 1), (0, 1)),
        ((1, 1, 1), (-1, 0)),
        ((2, 1, 3, 1), (1,)),
        ((2, 1, 3, 1), (0, -1)),
        ((1, 4, 1, 5), ()),
        ((1, 0, 1), (0, -1)),
    )
    return Inputs(
        [
            Call("squeeze_", strided(dtype, shape, layout, values(dtype), cell.target.device), (dims,))
            for (shape, dims), layout, dtype in coverings(
                3, choices, DISJOINT, ("float32", "int16", "bool", "complex64")
            )
        ]
    )


def unsqueeze_cases(cell: Cell) -> Inputs:
    """``unsqueeze_`` at every place, counted from either end."""
    found = []
    for shape, layout, turn, dtype in coverings(3, STARTS, DISJOINT + REPEATING, range(10), EVERY_DTYPE):
        count = len(shape) + 1
        plan = strided(dtype, shape, layout, values(dtype), cell.target.device)
        found.append(Call("unsqueeze_", plan, (turn // 2 % count - count * (turn % 2),)))
    return Inputs(found)


def unfitting_unsqueeze_cases(cell: Cell) -> Inputs:
    """``unsqueeze_`` just outside of the documented range."""
    plans = [strided("float32", shape, "offset", (1.0,), cell.target.device) for shape in STARTS]
    return Inputs(
        [Call("unsqueeze_", plan, (dim,)) for plan in plans for dim in (len(plan.shape) + 1, -len(plan.shape) - 2)]
    )


def as_strided_cases(cell: Cell) -> Inputs:
    """``as_strided_`` within the storage, with an offset or with the one that the tensor has."""
    found = []
    for (size, stride), layout, start, offset, dtype in coverings(
        3,
        REFRAMED,
        ("contiguous", "stepped", "offset", "sliced"),
        ((2, 3, 4), (24,), (4, 6)),
        (None, 0, 1, 5),
        EVERY_DTYPE,
    ):
        plan = strided(dtype, start, layout, values(dtype), cell.target.device)
        begin = plan.offset if offset is None else offset
        if 0 in size or begin + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) < held_elements(plan):
            found.append(Call("as_strided_", plan, (size, stride) if offset is None else (size, stride, offset)))
    return Inputs(found)


def outreaching_cases(cell: Cell) -> Inputs:
    """``as_strided_`` beyond the storage, by one element or by far."""
    frames = (
        ((25,), (1,)),
        ((2, 3), (22, 1)),
        ((2,), (24,)),
        ((24,), (1,), 1),
        ((), (), 24),
        ((2, 3, 4), (12, 4, 1), 1),
        ((1,), (1,), 1000),
        ((2,), (2**40,)),
        ((2,), (-1,)),
        ((2, 3), (3, -1), 1),
        ((2,), (1,), -1),
    )
    return Inputs(
        [
            Call("as_strided_", strided(dtype, (2, 3, 4), data=(1,), device=cell.target.device), frame)
            for frame in frames
            for dtype in ("float32", "int8", "complex128")
        ]
    )


def reframing_cases(cell: Cell) -> Inputs:
    """A few of each of the methods that change the size and the strides."""
    found: list[Any] = []
    for source in (transposing_cases, squeeze_cases, unsqueeze_cases, as_strided_cases):
        found += list(source(cell).corners)[::4]
    return Inputs(found)
