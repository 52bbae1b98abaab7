"""Encounters: what self and an operand may be to each other that no covering array brings about.

A NaN beside a NaN, the largest integer beside its neighbour, a number of -0.0 on a self that has elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES, family, limits, representable
from conformance.inputs.layouts import REPEATING
from conformance.inputs.operands import WIDER, domain_of, domain_within
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import DOMAINS, LOWEST, values

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

# Types that meet every special number, besides the integers; the others meet a third of them.
THOROUGH = ("float32", "complex64")

# More digits than the halves have, or float32; and what only the wider of two types tells from a tie.
DIGITS = (1.0, 0.1, 2**-24 + 2**-50, 1 / 3, 2.718281828459045, 7.7, 1.0009765625)


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
    met: set[tuple[str, str]] = set()
    for call in calls:
        own = call.self_
        place = len(call.args) - last if row.kind == "indexed" else place
        alone = not any(isinstance(x, Strided) for x in call.args[:place] + call.args[place + 1 :])
        form = own.dtype, repr(call.kwargs.get("rounding_mode"))
        if form in met or len(call.args) <= place or own.array.size < 5 or call.kwargs.keys() - {"rounding_mode"}:
            continue
        if row.kind == "elementwise" and not alone:
            continue
        met.add(form)
        special = values(own.dtype, "special", domain_within(row, row.domain, own.dtype, call.kwargs))
        admitted = domain_within(row, domain, own.dtype, call.kwargs)
        ordinary = values(own.dtype, "ordinary", admitted)
        numbers = tuple(
            {repr(x): x for x in (*values(own.dtype, "special", admitted), *ordinary[:3], *ordinary[-2:])}.values()
        )
        every = own.dtype in THOROUGH or ELEMENT_TYPES[own.dtype].kind in ("signed", "unsigned")
        for number in numbers if every else numbers[len(met) % 3 :: 3]:
            # the lowest integer by -1 ends the process in some releases; a behaviour of its own asks for that
            data = tuple(x for x in special if number != -1 or x not in LOWEST)
            target = own if own.layout in REPEATING else replace(own, data=data)
            args = (*call.args[:place], number, *call.args[place + 1 :])
            yield replace(call, self_=target, args=args, kind="special-operand")


def kinds_above(row: Operator, calls: list[Call]) -> Iterator[Call]:
    """A fraction beside whole numbers and truth values, where the result is a truth value and may be of any kind."""
    if row.promotion != "comparison" or not row.arguments:
        return
    met: set[str] = set()
    for call in calls:
        own = call.self_
        whole = ELEMENT_TYPES[own.dtype].kind in ("bool", "unsigned", "signed")
        if not whole or own.dtype in met or own.array.size < 5 or len(call.args) != 1:
            continue
        met.add(own.dtype)
        fractions = strided("float32", own.shape, "stepped", (2.5, 1.0, 0.5, 3.0, 0.0, -2.5, 7.5), own.device)
        for other in (2.5, 0.5, fractions) if row.arguments[0].number else (fractions,):
            yield replace(call, args=(other,))


def lower_numbers(row: Operator, calls: list[Call]) -> Iterator[Call]:
    """A truth value, and a whole number that is no power of two, beside numbers of a higher kind."""
    if row.kind != "elementwise" or len(row.arguments) != 1 or not row.arguments[0].number:
        return
    argument = row.arguments[0]
    if argument.dtype == "same" or row.promotion == "same":
        return
    met: set[str] = set()
    for call in calls:
        own = call.self_
        lower = {"bool": (), "signed": (True, False), "unsigned": (True, False), "floating": (True, False, 3, 7)}.get(
            ELEMENT_TYPES[own.dtype].kind, (True, False, 3, 7, 0.0, 2.5)
        )
        if own.dtype in met or not 4 < own.array.size < 100 or len(call.args) != 1 or call.kind != "ordinary":
            continue
        met.add(own.dtype)
        for number in lower:
            of = {bool: "bool", int: "int64", float: "float64"}[type(number)]
            admitted = all(DOMAINS[domain_of(argument.domain, name)](number) for name in (of, own.dtype))
            if admitted and (argument.dtypes is None or of in family(*argument.dtypes)):
                yield replace(call, args=(number,))


def close_partners(row: Operator, calls: list[Call]) -> Iterator[Call]:
    """Extreme integers beside their neighbours and beside small ones; numbers of many digits beside such numbers."""
    if row.kind != "elementwise" or not row.arguments or not row.arguments[0].tensor:
        return
    met: set[tuple[str, str]] = set()
    for call in calls:
        own, other = call.self_, call.args[0] if call.args else None
        if not isinstance(other, Strided) or own.array.size < 5 or own.shape != other.shape:
            continue
        if (own.dtype, other.dtype) in met or {own.layout, other.layout} & set(REPEATING):
            continue
        wider = WIDER.get(own.dtype, own.dtype)
        if own.dtype == other.dtype != wider and row.arguments[0].dtype in ("promotes", "any"):
            yield from close_partners(row, [replace(call, args=(replace(other, dtype=wider), *call.args[1:]))])
        pairs = list(_partners(own.dtype, other.dtype))
        given, taken = (
            DOMAINS[domain_of(row.domain, own.dtype)],
            DOMAINS[domain_of(row.arguments[0].domain, other.dtype)],
        )
        for mine, theirs in pairs:
            if all(map(given, mine)) and all(map(taken, theirs)):
                met.add((own.dtype, other.dtype))
                args = (replace(other, data=theirs), *call.args[1:])
                yield replace(call, self_=replace(own, data=mine), args=args, kind="special")


def _partners(own: str, other: str) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Values of self, and of an operand, for two element types."""
    kind = ELEMENT_TYPES[own].kind
    if own == other and kind in ("signed", "unsigned"):
        special = tuple(x for x in values(own, "special") if x not in LOWEST)
        yield special, tuple(x - 1 if x - 1 >= limits(own)[0] else x for x in special)
        yield special, (3, 7, 2, 5, 11)
    if kind == "floating" and ELEMENT_TYPES[other].kind == "floating":
        digits = representable(np.array(DIGITS), own), representable(np.array(DIGITS[2:] + DIGITS[:2]), other)
        yield tuple(digits[0].tolist()), tuple(digits[1].tolist())
