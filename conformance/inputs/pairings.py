"""Pairings: an operator's one operand beside self where both are chosen for each other.

Every special value of self beside every one of the operand; a truth value, a count or an imaginary number beside
numbers of another kind; a negative number without dimensions; and an operand without dimensions of a wider type, all
digits of which self's type holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.operands import WIDER, domain_of, domain_within
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import DOMAINS, LOWEST, values

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

SLOW = ("special", "accumulated")  # classes of accuracy whose references take long on many elements


def pairings(row: Operator, calls: list[Call]) -> Iterator[Call]:
    """All of them, once for each element type of self, and for each form of the keywords what is crossed."""
    if row.kind != "elementwise" or len(row.arguments) != 1 or not row.arguments[0].tensor:
        return
    met: set[tuple[str, str]] = set()
    types: set[str] = set()
    for call in calls:
        own, other = call.self_, call.args[0] if call.args else None
        if not isinstance(other, Strided) or own.array.size < 5 or own.dtype != other.dtype:
            continue
        form = own.dtype, repr(sorted(call.kwargs.items(), key=repr))
        if form not in met:
            met.add(form)
            yield from _crossed(row, call)
        if own.dtype not in types and not call.kwargs:
            types.add(own.dtype)
            yield from _of_other_kinds(row, call)
            yield from _without_dimensions(row, call)


def _crossed(row: Operator, call: Call) -> Iterator[Call]:
    """Each special value beside each.

    Of two pairs behaviours of their own ask: the lowest integer beside -1, which ends the process in some releases,
    and a power just below the largest number, which is infinite in some.
    """
    dtype, device = call.self_.dtype, call.self_.device
    if ELEMENT_TYPES[dtype].kind not in ("floating", "signed", "unsigned") or row.accuracy in SLOW:
        return
    domains = (domain_within(row, domain, dtype, call.kwargs) for domain in (row.domain, row.arguments[0].domain))
    mine, theirs = (values(dtype, "special", domain) for domain in domains)
    below = 1 - 2.0 ** (-ELEMENT_TYPES[dtype].mantissa - 1) if row.reference == "power" else None
    pairs = [(x, y) for x, y in product(mine, theirs) if (y != -1 or x not in LOWEST) and y != below]
    plans = [strided(dtype, (len(pairs),), "contiguous", numbers, device) for numbers in zip(*pairs, strict=True)]
    yield replace(call, self_=plans[0], args=(plans[1],), kind="special")


def _of_other_kinds(row: Operator, call: Call) -> Iterator[Call]:
    if row.promotion != "comparison":
        return
    own = call.self_
    kind = ELEMENT_TYPES[own.dtype].kind
    if kind == "bool":
        yield replace(call, args=(strided("uint8", own.shape, "contiguous", (2, 0, 1, 255), own.device),))
    if kind == "floating":
        special = strided(own.dtype, (17,), "contiguous", values(own.dtype, "special"), own.device)
        truth = strided("bool", (17,), "contiguous", (True, False, False, True, True), own.device)
        yield replace(call, self_=special, args=(truth,), kind="special")
    if kind == "complex":
        yield replace(call, args=(strided(own.dtype, (), "contiguous", (1j,), own.device),))


def _without_dimensions(row: Operator, call: Call) -> Iterator[Call]:
    own, argument = call.self_, row.arguments[0]
    kind = ELEMENT_TYPES[own.dtype].kind
    given, taken = (DOMAINS[domain_of(d, own.dtype)] for d in (row.domain, argument.domain))
    if kind in ("signed", "floating") and given(-5) and taken(2):
        self_, other = (strided(own.dtype, (), "offset", (number,), own.device) for number in (-5, 2))
        yield replace(call, self_=self_, args=(other,))
    wider = WIDER.get(own.dtype, own.dtype)
    number: Any = 1 + 2.0 ** -ELEMENT_TYPES[own.dtype].mantissa
    promotes = argument.dtype in ("promotes", "any") and argument.shape == "broadcast"
    admitted = argument.dtypes is None or wider in family(*argument.dtypes)
    if (
        kind == "floating"
        and wider != own.dtype
        and promotes
        and admitted
        and taken(number)
        and row.promotion != "same"
    ):
        yield replace(call, args=(strided(wider, (), "contiguous", (number,), own.device),))
