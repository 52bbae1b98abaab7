"""Formats: copies and conversions that are asked to lie in memory in a certain order.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-memory-format
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied
from conformance.inputs.covering import covering
from conformance.inputs.crossings import ALL, COMPLEX, Form, listed, make_seen, make_tensor

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Shapes with four and with five dimensions, and layouts to come from.
PICTURES: tuple[Form, ...] = (
    ((2, 3, 2, 4), "contiguous"), ((2, 3, 2, 4), "channels_last"), ((2, 3, 4, 2), "transposed"),
    ((1, 3, 2, 2), "stepped"), ((3, 2, 1, 5), "sliced"), ((2, 0, 3, 2), "offset"), ((2, 3, 2, 2), "expanded"),
    ((2, 1, 3, 2), "channels_last"), ((2, 17, 5, 3), "contiguous"),
)  # fmt: skip
VOLUMES: tuple[Form, ...] = (
    ((2, 3, 2, 2, 4), "contiguous"), ((1, 3, 2, 4, 2), "transposed"), ((2, 2, 3, 2, 2), "stepped"),
)  # fmt: skip
PLAIN: tuple[Form, ...] = (
    ((), "offset"), ((17,), "stepped"), ((2, 3), "transposed"), ((2, 3), "expanded"), ((2, 3, 4), "sliced"),
)  # fmt: skip
FORMATS = (("contiguous_format", PICTURES + PLAIN), ("channels_last", PICTURES), ("channels_last_3d", VOLUMES))


def _formatted(cell: Cell, *calls: str, formats: tuple[tuple[str, tuple[Form, ...]], ...] = FORMATS) -> Inputs:
    """Each format, of tensors of every element type and of conjugated ones; the case's ``dtype`` is the format."""
    device = cell.target.device
    cases: list[Any] = []
    for name, forms in formats:
        asked = tuple(call.replace("{0}", f"torch.{name}") for call in calls)
        for dtype, form, call in covering(ALL, forms, asked):
            cases.append(Applied(make_tensor(device, dtype, form), call, name, exact=True))
        for dtype, form, call in covering(COMPLEX, forms[:3], asked):
            cases.append(Applied(make_seen(device, ("conj()",), dtype, form), call, name, exact=True))
    return listed(
        *(case for case in cases if f"{case.plan.dtype}," not in case.expression.replace("cfloat(", "complex64,"))
    )


def formatted_conversions(cell: Cell) -> Inputs:
    """to and its shorthands with a memory format, and with another element type or a copy asked for."""
    return _formatted(
        cell, "x.to(torch.complex128, memory_format={0})", "x.to(x.dtype, copy=True, memory_format={0})",
        "x.to(x.device, torch.complex64, memory_format={0})", "x.cfloat(memory_format={0})",
        "x.to(copy=True, memory_format={0})",
    )  # fmt: skip


ALONE = ("x.to(memory_format={0})", "x.to(x.dtype, memory_format={0})", "x.to(x.device, memory_format={0})")


def reordered(cell: Cell) -> Inputs:
    """to with a memory format and nothing else to change: the channels innermost."""
    return _formatted(cell, *ALONE, formats=FORMATS[1:])


def unpermuted(cell: Cell) -> Inputs:
    """to with a memory format and nothing else to change: row-major order."""
    return _formatted(cell, *ALONE, formats=FORMATS[:1])


def formatted_clones(cell: Cell) -> Inputs:
    """clone with a memory format."""
    return _formatted(cell, "x.clone(memory_format={0})", "torch.clone(x, memory_format={0})")
