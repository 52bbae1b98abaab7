"""Selections: which of an operator's calls a behaviour is asserted of, and how they are changed for it.

``calls.inplace_calls`` has every corner; what is asserted of fewer calls, or of calls with other numbers, starts
from these functions. None of them is reached from a check: they make cases and are not part of a reproducer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.engine.cases import Inputs
from conformance.engine.sharing import once_a_subject
from conformance.inputs.calls import Call, inplace_calls
from conformance.inputs.corners import call_made, corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.operands import Listed, domain_of, dtypes_of
from conformance.inputs.supplements import plain_forms, supplements
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ItemT = TypeVar("ItemT")

# Shapes of self and of an operand that broadcasts to it.
BROADCASTS = (
    ((2, 3), (3,)),
    ((2, 3), (1, 3)),
    ((2, 3), (2, 1)),
    ((2, 3), ()),
    ((2, 3, 4), (1, 3, 4)),
    ((2, 3, 4), (2, 1, 4)),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), (1,)),
    ((17,), (1,)),
    ((33,), ()),
    ((0, 3), (1, 3)),
    ((0, 3), (3,)),
    ((0,), (1,)),
    ((2, 0, 3), (2, 1, 3)),
    ((1, 3, 1), (3, 1)),
    ((2, 3, 2, 2), (3, 1, 1)),
    ((1,), ()),
)


def plain_call(
    row: Any, dtype: str, shape: tuple[int, ...], device: str, turn: int = 0, layout: str = "contiguous"
) -> Call:
    """The call of an element-by-element operator on self and operands of one shape and element type."""
    choice = (dtype, shape, layout, "ordinary", "contiguous", "same", "same", 0)
    return call_made(row, choice, Listed(device, turn))


def spread(calls: Iterable[ItemT], limit: int, traits: Callable[[ItemT], list[Any]]) -> list[ItemT]:
    """At most ``limit`` of the items, in order: each one that shows a trait that none before it showed."""
    seen: set[tuple[int, Any]] = set()
    kept = []
    for call in calls:
        shown = set(enumerate(traits(call)))
        if not shown <= seen:
            seen |= shown
            kept.append(call)
            if len(kept) == limit:
                break
    return kept


@once_a_subject
def unreferenced(call: Call) -> Call:
    """The call without its reference, where no check asks for it: its reproducer is the shorter for it."""
    return replace(call, reference=None)


def _pairs(call: Call) -> list[Any]:
    plan = call.self_
    return [
        (plan.dtype, plan.layout),
        (plan.shape, plan.layout),
        (plan.dtype, "0-d" if not plan.shape else plan.shape in ((0,), (2, 0, 3))),
    ]


def _facets(call: Call) -> list[Any]:
    plan = call.self_
    return [plan.dtype, plan.layout, plan.shape, tuple(x.dtype for x in call.tensors())]


@once_a_subject
def paired_calls(row: Any, device: str) -> tuple[Call, ...]:
    """Corners in which each element type meets each layout, and each shape each layout."""
    return tuple(unreferenced(call) for call in spread(corners_of(row, device), 1000, _pairs))


@once_a_subject
def few_calls(row: Any, device: str, limit: int = 60) -> tuple[Call, ...]:
    """Corners in which each element type, layout and shape occurs."""
    return tuple(unreferenced(call) for call in spread(_mixed(corners_of(row, device)), limit, _facets))


@once_a_subject
def grad_calls(row: Any, device: str, limit: int = 60) -> tuple[Call, ...]:
    """Corners whose self can require grad: each floating and complex element type, layout and shape occurs."""
    able = [c for c in corners_of(row, device) if ELEMENT_TYPES[c.self_.dtype].kind in ("floating", "complex")]
    kept = spread(_mixed(able), limit, lambda call: [(call.self_.dtype, call.self_.layout), call.self_.shape])
    return tuple(unreferenced(call) for call in kept)


def _mixed(calls: Sequence[Call]) -> list[Call]:
    """Calls on a few elements first, then on one, then on many; between them calls on none and on 0-d tensors.

    In a short selection a layout then means something: of one element or none every layout is contiguous.
    """
    counted = [(prod(call.self_.shape), call) for call in calls]
    empty = [call for count, call in counted if not count]
    rest = [call for low, high in ((2, 64), (1, 1), (65, 1 << 40)) for count, call in counted if low <= count <= high]
    found = []
    scalars = iter([call for call in rest if not call.self_.shape])
    rest = [call for call in rest if call.self_.shape]
    for number, call in enumerate(rest):
        found.append(call)
        if number % 3 == 2:
            found += [*empty[number // 3 : number // 3 + 1], *islice(scalars, 1)]
    return [*found, *empty[len(rest) // 3 :], *scalars]


# --- sources: what a check is given ---------------------------------------------------------------------------


def referenced_calls(cell: Cell) -> Inputs:
    """Every call for which a reference is written out, and those that supplement them."""
    every = inplace_calls(cell)
    added = supplements(cell.subject, cell.target.device)
    return Inputs([call for call in (*every.corners, *added) if call.reference is not None], every.samples)


def corner_inputs(cell: Cell) -> Inputs:
    """Every corner of the operator."""
    return Inputs(corners_of(cell.subject, cell.target.device))


def few_referenced(cell: Cell) -> Inputs:
    """A few calls for which a reference is written out, of each element type and layout."""
    known = [call for call in _mixed(corners_of(cell.subject, cell.target.device)) if call.reference is not None]
    return Inputs(spread(known, 12, lambda call: [call.self_.dtype, call.self_.layout]))


def small_inputs(cell: Cell) -> Inputs:
    """A few calls on some elements, of each layout and several element types."""
    able = (call for call in _mixed(corners_of(cell.subject, cell.target.device)) if 1 < call.self_.array.size < 100)
    return Inputs([unreferenced(call) for call in spread(able, 8, lambda call: [call.self_.layout, call.self_.dtype])])


def paired_inputs(cell: Cell) -> Inputs:
    """``paired_calls`` of the cell."""
    return Inputs(paired_calls(cell.subject, cell.target.device))


def few_inputs(cell: Cell) -> Inputs:
    """``few_calls`` of the cell."""
    return Inputs(few_calls(cell.subject, cell.target.device))


def grad_inputs(cell: Cell) -> Inputs:
    """``grad_calls`` of the cell."""
    return Inputs(grad_calls(cell.subject, cell.target.device))


def scattered_calls(cell: Cell) -> Inputs:
    """Calls on a self that is not contiguous."""
    return Inputs([c for c in paired_calls(cell.subject, cell.target.device) if c.self_.layout != "contiguous"])


def operand_calls(cell: Cell) -> Inputs:
    """Calls with tensors beside self, in which each element type meets each layout, of self and of the operand."""
    return Inputs(_with_operands(cell.subject, cell.target.device))


@once_a_subject
def _with_operands(row: Any, device: str) -> tuple[Call, ...]:
    able = [call for call in corners_of(row, device) if any(plan.array.size for plan in call.tensors())]
    return tuple(unreferenced(call) for call in spread(able, 1000, _operand_pairs))


def _operand_pairs(call: Call) -> list[Any]:
    plans = [plan for plan in call.tensors() if plan.array.size]
    own = call.self_
    shown = [frozenset((plan.dtype, plan.layout) for plan in plans), *((p.dtype, p.shape) for p in plans[:1])]
    return [(own.dtype, own.layout), (own.dtype, len(own.shape) if own.array.size > 1 else -1), *shown]


def repeated_calls(cell: Cell) -> Inputs:
    """Every corner on a few elements."""
    corners = corners_of(cell.subject, cell.target.device)
    return Inputs([unreferenced(call) for call in corners if 0 < call.self_.array.size < 1000])


def guarded_calls(cell: Cell) -> Inputs:
    """Every call, on a self with something before and behind it in its storage."""
    every = inplace_calls(cell)
    return Inputs(_guarded(cell.subject, cell.target.device), every.samples)


@once_a_subject
def _guarded(row: Any, device: str) -> tuple[Call, ...]:
    calls = (unreferenced(call) for call in (*corners_of(row, device), *plain_forms(row, device)))
    # the arguments of as_strided_ count from the start of the storage; a row with layouts has no other ones
    if row.layouts or row.name == "as_strided_":
        return tuple(calls)
    return tuple(call.with_self(_with_guards(call.self_)) for call in calls)


def _with_guards(plan: Strided) -> Strided:
    if plan.layout not in ("contiguous", "transposed", "channels_last", "permuted"):
        return plan
    size, layout = plan.array.size + 5, "offset" if plan.layout == "contiguous" else plan.layout
    return replace(plan, stride=plan.strides, offset=3, size=size, layout=layout)


def broadcasting_calls(cell: Cell) -> Inputs:
    """Calls with an operand that is smaller than self, each operand in turn."""
    row, device = cell.subject, cell.target.device
    dtypes = dtypes_of(row)
    found = []
    for turn, (shape, smaller) in enumerate(BROADCASTS * 2):
        for number, argument in enumerate(row.arguments):
            if argument.shape != "broadcast" or not argument.tensor:
                continue
            call = plain_call(row, dtypes[(turn + number) % len(dtypes)], shape, device, turn, DISJOINT[turn % 6])
            of = call.args[number].dtype
            domain, layout = domain_of(argument.domain, of), DISJOINT[(turn // 2 + 1) % 6]
            operand = corner(of, smaller, layout, "ordinary", domain, device, turn + 1)
            args = (*call.args[:number], operand, *call.args[number + 1 :])
            found.append(unreferenced(replace(call, args=args)))
    return Inputs(found)
