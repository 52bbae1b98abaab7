"""Encounters: what self and an operand may be to each other that no covering array brings about.

A NaN beside a NaN, the largest integer beside its neighbour, a number of -0.0 on a self that has elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layouts import REPEATING
from conformance.inputs.operands import domain_of
from conformance.inputs.tensors import Strided
from conformance.inputs.values import DOMAINS, LOWEST, values

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

# Types that meet every special number; the others meet a third of them.
THOROUGH = ("float32", "int64")


def met_by_its_equal(row: Operator, found: list[Call]) -> Iterator[Call]:
    """Special values beside the same ones (NaN beside NaN, -0.0 beside -0.0), and a negative number as the operand."""
    if row.kind != "elementwise" or not row.arguments or row.arguments[0].shape != "broadcast":
        return
    equals: set[str] = set()
    negatives: set[str] = set()
    for call in found:
        own, other = call.self_, call.args[0] if call.args else None
        kind = ELEMENT_TYPES[own.dtype].kind
        if not isinstance(other, Strided) or other.dtype != own.dtype or own.array.size < 15:
            continue
        admits = DOMAINS[domain_of(row.arguments[0].domain, own.dtype)]
        special = values(own.dtype, "special")
        unbound = domain_of(row.domain, own.dtype) == "any" and all(map(admits, special))
        if (
            kind in ("floating", "signed", "unsigned")
            and own.dtype not in equals
            and own.shape == other.shape
            and unbound
        ):
            equals.add(own.dtype)
            twins = (replace(plan, data=special) for plan in (own, other) if plan.layout not in REPEATING)
            if len(plans := list(twins)) == 2:
                yield replace(call, self_=plans[0], args=(plans[1], *call.args[1:]), kind="special")
        negative = -3 if kind == "signed" else -2.5
        alone = row.arguments[0].number and len(row.arguments) == 1
        if alone and kind in ("signed", "floating") and own.dtype not in negatives and admits(negative):
            negatives.add(own.dtype)
            yield replace(call, args=(negative, *call.args[1:]))


def special_numbers(row: Operator, calls: list[Call]) -> Iterator[Call]:
    """Each special value of self's type as the number of a call whose self holds special values too."""
    place = next((i for i, argument in enumerate(row.arguments) if argument.number), None)
    if place is None or row.kind not in ("elementwise", "fill", "indexed"):
        return
    domain = row.arguments[place].domain
    last = len(row.arguments) - place  # an indexed write has a dimension and an index before its arguments
    met: set[str] = set()
    for call in calls:
        own = call.self_
        place = len(call.args) - last if row.kind == "indexed" else place
        if own.dtype in met or not _holds_a_number(call, place, own.dtype) or own.array.size < 5:
            continue
        met.add(own.dtype)
        special = values(own.dtype, "special", domain_of(row.domain, own.dtype))
        numbers = values(own.dtype, "special", domain_of(domain, own.dtype))
        for number in numbers if own.dtype in THOROUGH else numbers[len(met) % 3 :: 3]:
            # the lowest integer by -1 ends the process in some releases; a behaviour of its own asks for that
            data = tuple(x for x in special if number != -1 or x not in LOWEST)
            target = own if own.layout in REPEATING else replace(own, data=data)
            args = (*call.args[:place], number, *call.args[place + 1 :])
            yield replace(call, self_=target, args=args, kind="special-operand")


def _holds_a_number(call: Call, place: int, dtype: str) -> bool:
    number: Any = call.args[place] if place < len(call.args) else None
    kind = {"bool": bool, "unsigned": int, "signed": int, "floating": float, "complex": complex}
    return type(number) is kind[ELEMENT_TYPES[dtype].kind]
