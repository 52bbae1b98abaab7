"""Refusal sources: which refused and overlapping calls an operator's behaviours are checked with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.corners import corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.operands import domain_of, dtypes_of
from conformance.inputs.refusals import Doomed, Overlapping, Window
from conformance.inputs.selections import few_calls, grad_calls, plain_call, spread, unreferenced
from conformance.inputs.tensors import Strided, corner, strided
from conformance.inputs.values import DOMAINS, values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Shapes of self and of an operand that would broadcast to something other than self's shape, or not at all.
ENLARGING = (
    ((), (2,)),
    ((), (0,)),
    ((), (1,)),
    ((1,), (3,)),
    ((1,), (0,)),
    ((1,), (1, 1)),
    ((3,), (2, 3)),
    ((3,), (1, 3)),
    ((0,), (2, 0)),
    ((0, 3), (2, 0, 3)),
    ((2, 1), (2, 3)),
    ((1, 3, 1), (3, 1, 7)),
    ((1, 3, 1), (2, 3, 1)),
    ((2, 0, 1), (2, 0, 3)),
    ((17,), (2, 17)),
    ((2, 3), (4, 3)),
    ((2, 3), (2,)),
    ((0,), (2,)),
    ((17,), (16,)),
)
REAL_CATEGORIES = ("bool", "integral", "floating")


def enlarging_calls(cell: Cell) -> Inputs:
    """Calls whose operand does not broadcast to self's shape, each operand in turn."""
    return Inputs(_enlarging(cell.subject, cell.target.device))


def _enlarging(row: Any, device: str) -> list[Call]:
    found = []
    dtypes = dtypes_of(row)
    for turn, (shape, wrong) in enumerate(ENLARGING):
        for number, argument in enumerate(row.arguments):
            if argument.shape != "broadcast" or not argument.tensor:
                continue
            call = unreferenced(
                plain_call(row, dtypes[(turn + number) % len(dtypes)], shape, device, turn, DISJOINT[turn % 6])
            )
            operand = call.args[number]
            grown = corner(
                operand.dtype,
                wrong,
                "contiguous",
                "ordinary",
                domain_of(argument.domain, operand.dtype),
                device,
            )
            found.append(replace(call, args=(*call.args[:number], grown, *call.args[number + 1 :])))
    return found


def cast_refusals(cell: Cell) -> Inputs:
    """Calls on integers whose result is floating."""
    return Inputs(_category_refusals(cell.subject, cell.target.device, ("integral",), ("floating",)))


def bool_refusals(cell: Cell) -> Inputs:
    """Calls on bools whose result is none."""
    return Inputs(_category_refusals(cell.subject, cell.target.device, ("bool",), ("integral", "floating", "complex")))


def complex_refusals(cell: Cell) -> Inputs:
    """Calls on real numbers whose result is complex."""
    return Inputs(_category_refusals(cell.subject, cell.target.device, REAL_CATEGORIES, ("complex",)))


def lower_category_refusals(cell: Cell) -> Inputs:
    """Calls of any promoting operator on integers whose result is floating."""
    row, device = cell.subject, cell.target.device
    if not row.arguments:
        able = family("integral", "bool")
        selves = [corner(dtype, (3,), DISJOINT[turn % 6], device=device) for turn, dtype in enumerate(able)]
        return Inputs([Call(row.name, self_, tuple(row.variants[0].args)) for self_ in selves])
    return Inputs(_category_refusals(row, device, ("integral",), ("floating",)))


def _category_refusals(row: Any, device: str, targets: tuple[str, ...], sources: tuple[str, ...]) -> list[Call]:
    """Self of each target element type with an operand of each higher one: dimensioned, 0-d, a number, empty."""
    found = []
    shapes = ((3,), (2, 3), (), (0,))
    pairs = list(product(family(*targets), family(*sources)))
    for turn, (dtype, source) in enumerate(pairs):
        shape = shapes[turn // len(family(*sources)) % 4]
        self_ = corner(dtype, shape, DISJOINT[turn % 6], "ordinary", "nonzero", device)
        forms: list[Any] = [
            corner(source, shape, DISJOINT[(turn + 1) % 6], "ordinary", "any", device),
            corner(source, (), "contiguous", "ordinary", "any", device),
        ]  # fmt: skip
        forms += (
            [{"floating": 2.5, "complex": 1.5 + 2j}.get(ELEMENT_TYPES[source].kind, 3)] if _takes_number(row) else []
        )
        further = [self_ for _ in row.arguments[1:]]
        chosen = (forms if turn % 2 or further else forms[::-1])[:2]  # further operands are tensors too
        found += [Call(row.name, self_, (form, *further, *row.variants[0].args)) for form in chosen]
    return found


def _takes_number(row: Any) -> bool:
    return bool(row.arguments and row.arguments[0].number)


def casting_calls(cell: Cell) -> Inputs:
    """Calls on each element type with an operand of each that its category allows."""
    row, device = cell.subject, cell.target.device
    found = []
    order = [*FAMILY_ORDER]
    every = family(*order)
    for turn, (dtype, source) in enumerate(product(dtypes_of(row), every)):
        if order.index(_family(source)) > order.index(_family(dtype)) or (source == "bool" and "sub" in row.name):
            continue  # of a higher category; and the difference with a bool is not defined
        call = plain_call(row, dtype, ((3,), (2, 3), (17,), (1,))[turn % 4], device, turn, DISJOINT[turn % 6])
        shape = call.self_.shape if turn % 3 else ()
        domain = domain_of(row.arguments[0].domain, source)
        operand = corner(source, shape, DISJOINT[(turn + 2) % 6], "ordinary", domain, device, turn)
        found.append(replace(call, args=(operand, *call.args[1:])))
    return Inputs(found)


FAMILY_ORDER = ("bool", "integral", "floating", "complex")


def _family(dtype: str) -> str:
    return {"unsigned": "integral", "signed": "integral"}.get(ELEMENT_TYPES[dtype].kind, ELEMENT_TYPES[dtype].kind)


# --- calls that raise, for whatever reason --------------------------------------------------------------------

WRONG_PARAMETERS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "uniform_": ((2.0, 1.0),),
    "normal_": ((0.0, -1.0),),
    "log_normal_": ((0.0, -1.0),),
    "bernoulli_": ((1.5,), (-0.5,)),
    "exponential_": ((-1.0,),),
    "geometric_": ((1.5,), (0.0,)),
    "cauchy_": ((0.0, -1.0),),
    "random_": ((5, 5), (7, 3)),
}


def doomed_calls(cell: Cell) -> Inputs:
    """Calls that raise, for each reason that the operator has."""
    return Inputs(list(_doomed(cell.subject, cell.target.device)))


def _type_and_layout(call: Call) -> list[Any]:
    return [(call.self_.dtype, call.self_.layout)] if call.self_.array.size > 1 else []


def _doomed(row: Any, device: str) -> Iterator[Doomed]:
    calls = few_calls(row, device, 16)
    for call in spread(corners_of(row, device), 60, _type_and_layout):
        surplus = replace(call, args=(*call.args, *["surplus"] * 7))
        yield Doomed(surplus, "more arguments than there are")
    if row.broadcasts and row.kind in ("elementwise", "copy"):
        for call in _enlarging(row, device):
            yield Doomed(call, "the operand does not broadcast to self")
    if row.kind == "elementwise" and row.promotion in ("arithmetic", "to-float") and row.arguments:
        for call in _category_refusals(row, device, ("integral",), ("floating",)):
            yield Doomed(call, "the result is of a higher category than self")
    for parameters in WRONG_PARAMETERS.get(row.name, ()):
        for call in calls[:6]:
            yield Doomed(replace(call, args=parameters), "a parameter outside of its range")
    if row.kind == "scan":
        for call in calls:
            yield Doomed(replace(call, args=(len(call.self_.shape) + 3, *call.args[1:])), "no such dimension")
    if row.kind == "matrix":
        for call in calls:
            wrong = corner(call.self_.dtype, (7, 5, 3, 2), "contiguous", device=device)
            yield Doomed(replace(call, args=(wrong, *call.args[1:])), "an operand of the wrong rank")
            yield Doomed(replace(call, args=(call.args[0], wrong, *call.args[2:])), "an operand of the wrong rank")
    if row.kind == "indexed":
        for call in calls:
            for number, value in enumerate(call.args):
                other = _of_another_type(value, call.self_.dtype)
                if other is not None:
                    args = (*call.args[:number], other, *call.args[number + 1 :])
                    yield Doomed(replace(call, args=args), "an operand of another type")
    for call in grad_calls(row, device):
        yield Doomed(call, "a leaf that requires grad", "leaf")
    if row.kind in ("elementwise", "copy", "random"):
        for call in calls:
            expanded = _expanded(call)
            if expanded is not None:
                yield Doomed(expanded, "an expanded self", "expanded")


def _of_another_type(value: Any, dtype: str) -> Any:
    """A source that an indexed write refuses for its type.

    An index out of range is none of the refusals here: the documentation makes it the caller's fault, kernels
    find it half way through, and on an accelerator it ends the process.
    """
    if not isinstance(value, Strided) or not prod(value.shape) or value.dtype != dtype:
        return None
    return strided("float64" if dtype == "float32" else "float32", value.shape, "contiguous", (1.0,), value.device)


# --- operands on self's own storage ---------------------------------------------------------------------------


def overlapping_calls(cell: Cell) -> Inputs:
    """Calls with an operand that lies partly on self."""
    return Inputs(list(_overlaps(cell, ("behind", "ahead", "transposed", "row"))))


def interleaved_calls(cell: Cell) -> Inputs:
    """Calls with an operand that lies between self's elements, or on a part of them whose strides differ."""
    return Inputs(list(_overlaps(cell, ("between", "column"))))


def own_operand_calls(cell: Cell) -> Inputs:
    """Calls with self as its own operand, of ordinary values and of special ones."""
    return Inputs([*_overlaps(cell, ("same", "same-stepped")), *_overlaps(cell, ("same",), "special")])


def versioned_calls(cell: Cell) -> Inputs:
    """Every call, and some with self as its own operand."""
    every = corners_of(cell.subject, cell.target.device)
    own = list(_overlaps(cell, ("same",))) if cell.subject.kind == "elementwise" else []
    # an integer modulo itself is 0, by which nothing can be divided a second time
    floating = [case for case in own if ELEMENT_TYPES[case.storage.dtype].kind == "floating"]
    return Inputs([*every, *(floating or own)])


def _overlaps(cell: Cell, windows: tuple[str, ...], kind: str = "ordinary") -> Iterator[Overlapping]:
    row, device = cell.subject, cell.target.device
    turn = 0
    for number, argument in enumerate(row.arguments):
        if not argument.tensor or argument.shape == "own" or argument.dtype in ("bool", "index"):
            continue
        for dtype in dtypes_of(row):
            if argument.dtype == "float" and ELEMENT_TYPES[dtype].kind != "floating":
                continue
            for window in windows:
                turn += 1
                case = _overlap(row, number, argument, dtype, (window, kind), device, turn)
                if case is not None:
                    yield case


def _overlap(
    row: Any, number: int, argument: Any, dtype: str, how: tuple[str, str], device: str, turn: int
) -> Overlapping | None:
    relation, kind = how
    target, operand, size = _windows(relation, ((5,), (17,), (33,))[turn % 3])
    call = unreferenced(plain_call(row, dtype, target[0], device, turn))
    admitted = DOMAINS[domain_of(argument.domain, dtype)]
    data = tuple(x for x in values(dtype, kind, domain_of(row.domain, dtype)) if admitted(x))
    if not data:
        return None
    return Overlapping(call, number, Strided(dtype, (size,), data, device=device), target, operand)


def _windows(relation: str, shape: tuple[int, ...]) -> tuple[Window, Window, int]:
    """The windows of self and of the operand, and the size of the storage."""
    n = shape[0]
    whole: Window = ((3, 3), (3, 1), 2)
    if relation == "transposed":
        return whole, ((3, 3), (1, 3), 2), 13
    if relation == "row":
        return whole, ((3,), (1,), 5), 13
    if relation == "column":
        return ((3, 2), (3, 1), 1), ((3, 1), (3, 1), 3), 13
    if relation == "between":
        return (shape, (2,), 0), (shape, (2,), 1), 2 * n + 2
    if relation == "same":
        return ((shape, (1,), 1), (shape, (1,), 1), n + 2) if n % 3 else (whole, whole, 13)
    if relation == "same-stepped":
        return (shape, (2,), 1), (shape, (2,), 1), 2 * n + 2
    return (shape, (1,), 2), (shape, (1,), 1 if relation == "behind" else 3), n + 4


def expanded_calls(cell: Cell) -> Inputs:
    """Calls on a self whose elements share memory."""
    made = (_expanded(call) for call in corners_of(cell.subject, cell.target.device))
    found = [call for call in made if call is not None]
    kept = spread(found, 24, lambda c: [c.self_.dtype, c.self_.shape, tuple(x.dtype for x in c.tensors())])
    return Inputs([Doomed(unreferenced(call), "an expanded self", "expanded") for call in kept])


def _expanded(call: Call) -> Call | None:
    plan = call.self_
    if not 1 < prod(plan.shape) < 100:
        return None
    expanded = strided(plan.dtype, plan.shape, "expanded", plan.data[:1], plan.device)
    return call.with_self(expanded) if expanded.layout == "expanded" else None
