"""Supplements: calls that only the check of values is given, beside those that every behaviour is asserted of.

They are too many or too large to be made for each behaviour: numbers of every special value, a one-dimensional
stepped self and one without dimensions for each element type, and tensors above the parallel grain of two
dimensions, with operands that broadcast and with numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.sharing import once_a_subject
from conformance.inputs.calls import Call
from conformance.inputs.corners import call_made, corners_of, factors
from conformance.inputs.encounters import close_partners, kinds_above, lower_numbers, special_numbers
from conformance.inputs.further_values import further_values
from conformance.inputs.layouts import places
from conformance.inputs.operands import Listed, family_of
from conformance.inputs.pairings import pairings
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

LARGE_FORMS = (
    ((129, 257), "transposed", "sliced", "lower-rank"),
    ((257, 129), "sliced", "transposed", "number"),
    ((183, 181), "contiguous", "transposed", "same"),
    ((32771,), "stepped", "contiguous", "same"),
)
DEEP_FORMS = (((3, 2, 5, 2, 7), "channels_last", "contiguous"), ((2, 3, 2, 4, 5), "transposed", "stepped"))
# Elements that are left over behind registers of 8, 16, 32 or 64 numbers: none, a few, and all but one.
LENGTHS = (6, 14, 38, 79, 111, 1030)
# Of an operand of shape (2, 3, 4): repeated along the last dimension, along the second, and windows that overlap.
REPEATED_OPERANDS = ((3, 1, 0), (4, 0, 1), (2, 1, 1))
SLOW = ("special",)  # classes of accuracy whose references take long on many elements


@once_a_subject
def supplements(row: Operator, device: str) -> tuple[Call, ...]:
    """What the values of an operator are checked on besides; made once a process."""
    known = list(corners_of(row, device))
    met = (*special_numbers(row, known), *kinds_above(row, known), *close_partners(row, known))
    met = (*met, *lower_numbers(row, known), *pairings(row, known), *further_values(row, device))
    return (*met, *plain_forms(row, device), *_deep(row, device), *_large(row, device))


@once_a_subject
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
    whole = [name for name in choices[0] if family_of(name) in ("bool", "integral")]
    if whole:
        name = whole[len(row.name) % len(whole)]
        yield call_made(row, [name, (32771,), "contiguous", "ordinary", *_plain(choices)], Listed(device, 0))


def _deep(row: Operator, device: str) -> Iterator[Call]:
    """Five dimensions, of some hundreds of elements; rows of lengths with each number of elements beyond a register."""
    choices = factors(row)
    if row.kind not in ("elementwise", "copy"):
        return
    names = [name for name in choices[0] if family_of(name) == "floating"] or list(choices[0])
    for turn, (shape, layout, lies) in enumerate(DEEP_FORMS):
        name = names[(turn + len(row.name)) % len(names)]
        yield call_made(row, [name, shape, layout, "ordinary", lies, *_plain(choices)[1:]], Listed(device, turn))
    lengths = [(choices[0][(turn + len(row.name)) % len(choices[0])], length) for turn, length in enumerate(LENGTHS)]
    lengths += [(name, (5, 7)[turn % 2]) for turn, name in enumerate(choices[0])]
    for turn, (name, length) in enumerate(lengths):
        yield call_made(row, [name, (length,), "contiguous", "ordinary", *_plain(choices)], Listed(device, turn))
    for turn, strides in enumerate(REPEATED_OPERANDS if "expanded" in choices[4] else ()):
        call = call_made(row, [names[turn % len(names)], (2, 3, 4), "contiguous", "ordinary", *_plain(choices)],
                         Listed(device, turn))  # fmt: skip
        yield from _repeated(call, strides)


def _plain(choices: Sequence[Sequence[Any]]) -> list[Any]:
    return [factor[0] for factor in choices[4:]]


def _repeated(call: Call, strides: tuple[int, ...]) -> Iterator[Call]:
    """The call with its first operand, if that is a tensor like self, over memory that it sees several times."""
    other = call.args[0] if call.args else None
    if isinstance(other, Strided) and other.shape == call.self_.shape:
        spots = places(other.shape, strides, 1).tolist()
        numbers = dict(zip(spots, other.array.ravel().tolist(), strict=True))
        plan = Strided(other.dtype, other.shape, tuple(numbers[spot] for spot in spots), strides, 1, max(spots) + 2,
                       other.device, "overlapping")  # fmt: skip
        yield replace(call, args=(plan, *call.args[1:]))
