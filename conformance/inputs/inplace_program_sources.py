"""Sources of in-place programs: which programs an operator's behaviours under autograd are checked with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.corners import factors
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.inplace_programs import SAVING, SAVING_HALF, USES, VIEWS, InplaceProgram
from conformance.inputs.selections import few_calls, steady_calls
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TRACKED = ("itself", "alias", "reshaped")  # routes by which autograd sees what is written
NOTICED = (*TRACKED, "detached", "without-grad")  # routes that the version counter sees


def _steady(cell: Cell, limit: int) -> tuple[Call, ...]:
    return steady_calls(cell.subject, cell.target.device, limit)


def gradient_programs(cell: Cell) -> Inputs:
    """Programs that write to a tensor of which nothing was saved; in float32 too."""
    calls = _steady(cell, 8)
    found = [InplaceProgram(call, "none", ("none", "sum")[n % 2], TRACKED[n % 3]) for n, call in enumerate(calls)]
    if "float32" in factors(cell.subject)[0]:
        found += [replace(case, dtype="float32") for case in found[1::2]]
    return Inputs(found)


def view_programs(cell: Cell) -> Inputs:
    """Programs that write to each kind of view of a non-leaf."""
    calls = _steady(cell, 5)
    if not calls:
        return Inputs([])
    views = VIEWS[1:]
    chosen = [calls[(2 * n + len(calls) - 1) % len(calls)] for n in range(len(views))]
    return Inputs(
        [
            InplaceProgram(call, view, "none", TRACKED[n % 2])
            for n, (call, view) in enumerate(zip(chosen, views, strict=True))
        ]
    )


def silent_programs(cell: Cell) -> Inputs:
    """Programs that use self before they write to it, in each way and through each route that is tracked."""
    calls = _steady(cell, 4)
    if not calls:
        return Inputs([])
    found = [
        InplaceProgram(calls[n % len(calls)], ("none", "selected", "offset")[n % 3], use, TRACKED[(n + n // 3) % 3])
        for n, use in enumerate((*USES, *USES[::-1]))
    ]
    return Inputs(found)


def operand_programs(cell: Cell) -> Inputs:
    """Programs whose gradient by an operand of the call is asked for."""
    found = []
    for n, call in enumerate(_steady(cell, 6)):
        for number, value in enumerate(call.args):
            if isinstance(value, Strided) and value.dtype == "float64":
                found.append(InplaceProgram(call, ("none", "selected")[n % 2], "none", "itself", number))
    return Inputs(found)


def hooked_programs(cell: Cell) -> Inputs:
    """Programs of which nothing but the written tensor is left."""
    return Inputs([InplaceProgram(call) for call in _steady(cell, 4)])


def saving_programs(cell: Cell) -> Inputs:
    """Calls on tensors of which, or of whose results, something was saved for backward."""
    found = []
    calls = few_calls(cell.subject, cell.target.device, 32)
    for n, call in enumerate(calls):
        able = ELEMENT_TYPES[call.self_.dtype].kind in ("floating", "complex")
        ways = SAVING if call.self_.dtype != "float16" else SAVING_HALF
        use = ways[n % len(ways)] if able else "factor"
        found.append(InplaceProgram(call, "none", use, NOTICED[n % len(NOTICED)]))
    return Inputs([*found, *(replace(case, route=NOTICED[(n + 2) % 5]) for n, case in enumerate(found[:5]))])
