"""Corners and samples of calls: what a catalogue row is combined with, and how one combination becomes a call.

Each kind of operator says its factors (element type, layout, shape, values, operands, …) and how one choice of
each becomes a ``Call``. Corners are a covering array over the factors; samples choose freely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.engine.sharing import once_a_subject
from conformance.inputs import index_makers, makers, view_makers
from conformance.inputs.calls import Call
from conformance.inputs.covering import covering_numbers
from conformance.inputs.encounters import met_by_its_equal
from conformance.inputs.operands import Listed, dtypes_of

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator


@cache
def factors(row: Operator, wide: bool = False) -> tuple[tuple[Any, ...], ...]:
    """The factors of a row; the first one is self's element type. ``wide`` adds what samples may choose besides."""
    further: tuple[tuple[Any, ...], ...] = _maker(row, "factors")(row, wide)
    return (dtypes_of(row), *further)


def call_made(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """The call of one choice of each factor."""
    call: Call = _maker(row, "call")(row, choice, plans)
    return call


@once_a_subject
def corners_of(row: Operator, device: str = "cpu") -> tuple[Call, ...]:
    """Every pair of two factors' choices in some call, simplest shapes first; made once a process."""
    choices = factors(row)
    chosen = [
        [factor[number] for factor, number in zip(choices, numbers, strict=True)]
        for numbers in covering_numbers(*map(len, choices))
    ]
    found = [call_made(row, choice, Listed(device, turn)) for turn, choice in enumerate(chosen)]
    for choice in list(_completing(row, choices, chosen, found)):
        found.append(call_made(row, choice, Listed(device, len(found))))
    found += [call_made(row, choice, Listed(device, turn)) for turn, choice in makers.singles(row, choices)]
    found += list(met_by_its_equal(row, found))
    found.sort(key=_size)
    found += [call_made(row, choice, Listed(device, turn)) for turn, choice in enumerate(makers.large(row, choices))]
    return tuple(found)


def _completing(
    row: Operator, choices: Sequence[Sequence[Any]], chosen: list[list[Any]], found: list[Call]
) -> Iterator[list[Any]]:
    """Choices that a pair only seems to cover: an empty shape shows no value, and few shapes every layout.

    Each element type meets each layout, each length with a tail, and each choice of each other factor once more,
    on shapes that show them.
    """
    if not row.contents:
        return
    shapes = list(dict.fromkeys(makers.one_of(level, n) for level in choices[1] for n in range(3)))
    tails = [shape for shape in makers.TAILS if shape in shapes] or [max(shapes, key=prod)]
    four = [shape for shape in shapes if len(shape) == 4]
    deep = max((shape for shape in shapes if len(shape) != 4), key=_dimensions)
    for dtype in choices[0]:
        shown = [
            (choice, call.self_)
            for choice, call in zip(chosen, found, strict=True)
            if call.self_.dtype == dtype and call.self_.array.size > 4
        ]
        layouts = _unmet(choices[2], [plan.layout for _, plan in shown])
        # where everything is contiguous and of one shape and type, kernels take whole vector registers
        lengths = _unmet(tails, [plan.shape for choice, plan in shown if _in_a_row(choice, choices)])
        for turn, length in enumerate(lengths):
            plain = [factor[0] for factor in choices[4:-1]]
            number = [choices[-1][turn % len(choices[-1])]] if len(choices) > 4 else []
            yield [dtype, length, "contiguous", choices[3][turn % 2 % len(choices[3])], *plain, *number]
        # what broadcasts or repeats shows on two dimensions only
        flat = [choice for choice, plan in shown if plan.array.ndim > 1]
        others = [_unmet(choices[f], [choice[f] for choice in flat]) for f in range(3, len(choices))]
        turn = 0
        while layouts or any(others):
            layout = layouts.pop(0) if layouts else _SCATTERED[turn % 3]
            solid = four[0] if layout == "channels_last" and four else deep
            rest = [
                missing.pop(0) if missing else factor[turn % len(factor)]
                for missing, factor in zip(others, choices[3:], strict=True)
            ]
            yield [dtype, solid, layout, *rest]
            turn += 1


def _in_a_row(choice: Sequence[Any], choices: Sequence[Sequence[Any]]) -> bool:
    return choice[2] == "contiguous" and all(
        mine == factor[0] for mine, factor in zip(choice[4:-1], choices[4:-1], strict=True)
    )


_SCATTERED = ("transposed", "stepped", "sliced")


def _unmet(wanted: Sequence[Any], met: list[Any]) -> list[Any]:
    return [choice for choice in wanted if choice not in met]


def _dimensions(shape: tuple[int, ...]) -> tuple[int, int]:
    return (len(shape) if prod(shape) > 1 else 0), prod(shape)


def _maker(row: Operator, part: str) -> Any:
    name = f"{row.inputs or row.kind}_{part}"
    return next(getattr(module, name) for module in (makers, index_makers, view_makers) if hasattr(module, name))


def _size(call: Call) -> int:
    return prod(call.self_.shape)
