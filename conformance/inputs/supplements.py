"""Supplements: calls that only the check of values is given, beside those that every behaviour is asserted of.

They are too many or too large to be made for each behaviour: numbers of every special value, a one-dimensional
stepped self and one without dimensions for each element type, and tensors above the parallel grain of two
dimensions, with operands that broadcast and with numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call
from conformance.inputs.corners import call_made, corners_of, factors
from conformance.inputs.encounters import close_partners, kinds_above, special_numbers
from conformance.inputs.operands import Listed, family_of

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

LARGE_FORMS = (
    ((129, 257), "transposed", "sliced", "lower-rank"),
    ((257, 129), "sliced", "transposed", "number"),
    ((183, 181), "contiguous", "transposed", "same"),
)
SLOW = ("special",)  # classes of accuracy whose references take long on many elements


@cache
def supplements(row: Operator, device: str) -> tuple[Call, ...]:
    """What the values of an operator are checked on besides; made once a process."""
    known = list(corners_of(row, device))
    met = (*special_numbers(row, known), *kinds_above(row, known), *close_partners(row, known))
    return (*met, *plain_forms(row, device), *_large(row, device))


@cache
def plain_forms(row: Operator, device: str) -> tuple[Call, ...]:
    """For each element type a self with gaps, of one dimension, and a self without dimensions; ordinary values."""
    choices = factors(row)
    if not row.contents or row.layouts or row.kind not in ("elementwise", "copy", "scan", "fill"):
        return ()
    found = []
    for turn, dtype in enumerate(choices[0]):
        rest = [factor[turn % len(factor)] for factor in choices[4:]]
        for shape, layout in (((17,), "stepped"), ((), "offset")):
            if row.name != "fill_diagonal_":
                found.append(call_made(row, [dtype, shape, layout, "ordinary", *rest], Listed(device, turn)))
    return tuple(found)


def _large(row: Operator, device: str) -> Iterator[Call]:
    choices = factors(row)
    if row.kind not in ("elementwise", "copy") or row.accuracy in SLOW:
        return
    floating = [name for name in choices[0] if family_of(name) == "floating"] or [choices[0][-1]]
    for turn, (shape, layout, lies, relation) in enumerate(LARGE_FORMS):
        name = floating[-1 - (turn + len(row.name)) % len(floating)]  # over the rows, each type meets each form
        choice: list[Any] = [name, shape, layout, "ordinary", lies, relation, "same", choices[7][0]]
        yield call_made(row, choice, Listed(device, turn))
