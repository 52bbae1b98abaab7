"""InplaceProgram sources: which programs an operator's behaviours under autograd are checked with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.engine.catalogue import rows
from conformance.inputs.calls import Call
from conformance.inputs.corners import factors
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.inplace_programs import SAVING, SAVING_HALF, USES, VIEWS, InplaceProgram
from conformance.inputs.selections import few_calls, spread
from conformance.inputs.steady import further_steady_calls, steady_calls, steady_numbers
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TRACKED = ("itself", "alias", "reshaped")  # routes by which autograd sees what is written
NOTICED = (*TRACKED, "detached", "without-grad")  # routes that the version counter sees


def gradient_programs(cell: Cell) -> Inputs:
    """Programs that write to a tensor of which nothing was saved, in every type that gradients are taken of."""
    row, device = cell.subject, cell.target.device
    calls = (*steady_calls(row, device), *further_steady_calls(row, device))
    found = [InplaceProgram(call) for call in calls]
    if row.contents:
        found += [replace(case, route=TRACKED[1 + n % 2]) for n, case in enumerate(found[:8:2])]
    return Inputs([*found, *(InplaceProgram(call) for call in other_types(row, device))])


def other_types(row: Any, device: str) -> list[Call]:
    """A few calls in each other type that gradients are taken of: on other numbers in complex128."""
    found: list[Call] = []
    calls = steady_calls(row, device)
    for dtype, first, count in (("float32", 1, 3), ("float16", 0, 1), ("bfloat16", 2, 1)):
        if dtype in factors(row)[0]:
            found += [in_type(call, dtype) for call in [*calls[first:], *calls[:first]][: count * 3 : 3]]
    return found + complex_calls(row, device)


def complex_calls(row: Any, device: str) -> list[Call]:
    """Calls in complex128 from the whole of the list, and one in complex64."""
    calls = steady_calls(row, device, "complex128")
    found = list(calls[:: max(1, len(calls) // 5)])
    return [*found, *(in_type(call, "complex64") for call in calls[1:2] if "complex64" in factors(row)[0])]


def in_type(call: Call, dtype: str) -> Call:
    """The same call with ``dtype`` in the place of self's type, wherever that is."""
    own = call.self_.dtype
    plans = (call.self_, *call.args)
    self_, *args = (replace(x, dtype=dtype) if isinstance(x, Strided) and x.dtype == own else x for x in plans)
    return replace(call, self_=self_, args=tuple(args))


def view_programs(cell: Cell) -> Inputs:
    """Programs that write to each kind of view of a non-leaf."""
    row, device = cell.subject, cell.target.device
    calls = steady_calls(row, device)
    if not calls:
        return Inputs([])
    views = (*VIEWS[1:], "transposed", "stepped")
    chosen = [calls[(2 * n + n // 4) % len(calls)] for n in range(len(views))]
    found = [
        InplaceProgram(call, _kept_solid(call, view), "none", TRACKED[n % 2])
        for n, (call, view) in enumerate(zip(chosen, views, strict=True))
    ]
    unlike = zip(complex_calls(row, device), ("selected", "transposed"), strict=False)
    return Inputs([*found, *(InplaceProgram(call, view) for call, view in unlike)])


def silent_programs(cell: Cell) -> Inputs:
    """Programs that use self before they write to it, in each way and through each route that is tracked."""
    calls = steady_calls(cell.subject, cell.target.device)
    if not calls:
        return Inputs([])
    found = []
    for n, use in enumerate((*USES, *USES[::-1])):
        call = calls[n % len(calls)]
        view = _kept_solid(call, ("none", "selected", "offset")[n % 3])
        found.append(InplaceProgram(call, view, use, TRACKED[(n + n // 3) % 3]))
    return Inputs(found)


def _kept_solid(call: Call, view: str) -> str:
    """The view, or a contiguous one: a diagonal that wraps has a behaviour of its own where strides are others."""
    wraps = call.method == "fill_diagonal_" and (call.kwargs or len(call.args) > 1)
    return "offset" if wraps and view != "none" else view


def operand_programs(cell: Cell) -> Inputs:
    """Programs whose gradients by the operands of the call are asked for: by all at once, and by each alone."""
    row, device = cell.subject, cell.target.device
    found: list[InplaceProgram] = []
    calls = (*steady_calls(row, device), *further_steady_calls(row, device), *other_types(row, device))
    for n, call in enumerate(calls):
        numbers = tuple(number for number, value in enumerate(call.args) if _tracked(value, call))
        if numbers:
            found.append(InplaceProgram(call, ("none", "none", "selected")[n % 3], operands=numbers, alone=n % 2 == 0))
        if len(numbers) > 1 and n < 6:
            found += [InplaceProgram(call, operands=(number,), alone=True) for number in numbers]
    return Inputs(found)


def few_operand_programs(cell: Cell) -> Inputs:
    """A few of them, of each element type that the operands have."""
    every = list(operand_programs(cell).corners)
    kept = spread(every, 8, lambda case: [case.call.self_.dtype, len(case.operands)])
    return Inputs([*kept, *every[1:3]])


def part_indexed_programs(cell: Cell) -> Inputs:
    """Programs whose gradient by a source is asked for, of which the index takes a part."""
    row, device = cell.subject, cell.target.device
    shape = (3, 4)
    own, src = (strided("float64", shape, "contiguous", steady_numbers(0)[k:], device) for k in (0, 25))
    found = []
    for variant in row.variants:
        for flat, part in (((0, 2), (1, 2)), ((0, 1, 1, 2), (2, 2)), ((2, 0, 1), (3, 1)), ((), (0, 4))):
            index = strided("int64", part, "contiguous", flat or (0,), device)
            call = Call(row.name, own, (0, index, src, *variant.args), variant.keywords)
            if "reduce" not in variant.keywords:
                found.append(InplaceProgram(call, operands=(2,), alone=True))
    return Inputs(found)


def narrow_indexed_programs(cell: Cell) -> Inputs:
    """Programs around index_reduce_ with an index of int32; gradients by self and by the source are asked for."""
    found = []
    for call in steady_calls(rows()["index_reduce_"], cell.target.device)[::3]:
        dim, index, *rest = call.args
        narrow = replace(call, args=(dim, replace(index, dtype="int32"), *rest))
        found.append(InplaceProgram(narrow, operands=(2,)))
    return Inputs(found)


def _tracked(value: Any, call: Call) -> bool:
    """Whether the gradient by this operand is asked for; one beside a smaller index is documented to have none."""
    if not isinstance(value, Strided) or ELEMENT_TYPES[value.dtype].kind not in ("floating", "complex"):
        return False
    return not call.method.startswith("scatter_") or call.args[1].shape == value.shape


def hooked_programs(cell: Cell) -> Inputs:
    """Programs of which nothing but the written tensor is left."""
    row, device = cell.subject, cell.target.device
    calls = steady_calls(row, device)
    vectors = [call for call in calls if len(call.self_.shape) == 1][:1]
    return Inputs([InplaceProgram(call) for call in (*calls[:2], *vectors, *complex_calls(row, device)[:1])])


def hooked_view_programs(cell: Cell) -> Inputs:
    """The same, and some in which that tensor is a view.

    fill_diagonal_ writes through a view of its own, after which a hook on another view has a behaviour of its own.
    """
    views = ("selected", "transposed") if cell.subject.name != "fill_diagonal_" else ()
    calls = steady_calls(cell.subject, cell.target.device)
    viewed_ = (InplaceProgram(call, view) for call, view in zip(calls, views, strict=False))
    return Inputs([*hooked_programs(cell).corners, *viewed_])


def augmented_programs(cell: Cell) -> Inputs:
    """Programs whose call is written as an augmented assignment; gradients by self and by the operand are asked for."""
    row, device = cell.subject, cell.target.device
    calls = (*steady_calls(row, device), *further_steady_calls(row, device), *other_types(row, device))
    found = []
    for n, call in enumerate(x for x in calls if len(x.args) == 1 and not x.kwargs):
        operands = (0,) if _tracked(call.args[0], call) else ()
        found.append(InplaceProgram(call, ("none", "none", "selected")[n % 3], "none", "operator", operands))
    return Inputs(found)


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
