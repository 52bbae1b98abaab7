"""Random fills: calls in which it shows which elements were written.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.random_.html and its like
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.corners import corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Below, at and above the number of elements from which on whole vectors of them are drawn; types of many numbers.
AROUND_A_VECTOR = (15, 16, 17)
WIDE_TYPES = ("float32", "float64", "int64")


def marked_fills(cell: Cell) -> Inputs:
    """Fills of a self that holds nothing but a number that is never drawn."""
    found = []
    for call in corners_of(cell.subject, cell.target.device):
        mark = _never_drawn(call)
        if mark is not None:
            found.append(call.with_self(replace(call.self_, data=(mark,))))
    return Inputs(found)


def varied_fills(cell: Cell) -> Inputs:
    """Fills of so many elements that a single number for all of them is out of the question."""
    calls = [call for call in corners_of(cell.subject, cell.target.device) if not call.tensors()]
    plain = [call for call in calls if call.self_.dtype in WIDE_TYPES][:3]
    small = [call.with_self(_of(call.self_, count)) for call in plain for count in AROUND_A_VECTOR]
    return Inputs([*(call for call in calls if prod(call.self_.shape) >= 24), *small])


def _of(plan: Strided, count: int) -> Strided:
    return strided(plan.dtype, (count,), "contiguous", plan.data[:1], plan.device)


def _never_drawn(call: Call) -> Any:
    kind = ELEMENT_TYPES[call.self_.dtype].kind
    if kind in ("floating", "complex"):
        return float("nan") if kind == "floating" else complex(float("nan"), float("nan"))
    if call.method == "bernoulli_":
        return 7
    if call.method == "geometric_":
        return 0
    if kind == "bool":
        return None
    if call.args or call.kwargs.keys() - {"generator"}:
        return 127  # above the bounds that the catalogue gives
    return -1 if kind == "signed" else None
