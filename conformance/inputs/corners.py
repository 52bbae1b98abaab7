"""Corners and samples of calls: what a catalogue row is combined with, and how one combination becomes a call.

Each kind of operator says its factors (element type, layout, shape, values, operands, …) and how one choice of
each becomes a ``Call``. Corners are a covering array over the factors; samples choose freely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.inputs import index_makers, makers, view_makers
from conformance.inputs.calls import Call
from conformance.inputs.covering import covering_numbers
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


@cache
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
    found.sort(key=_size)
    found += [
        call_made(row, choice, Listed(device, turn)) for turn, choice in enumerate(makers.large(row, choices))
    ]
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
        lengths = _unmet(tails, [plan.shape for _, plan in shown])
        # what broadcasts or repeats shows on two dimensions only
        flat = [choice for choice, plan in shown if plan.array.ndim > 1]
        others = [_unmet(choices[f], [choice[f] for choice in flat]) for f in range(3, len(choices))]
        turn = 0
        while layouts or lengths or any(others):
            layout = layouts.pop(0) if layouts else (_OF_VECTORS if lengths else _SCATTERED)[turn % 3]
            vector = layout not in ("transposed", "channels_last") and bool(lengths)
            solid = four[0] if layout == "channels_last" and four else deep
            shape = lengths.pop(0) if vector else solid
            rest = [
                missing.pop(0) if missing and not vector else factor[turn % len(factor)]
                for missing, factor in zip(others, choices[3:], strict=True)
            ]
            yield [dtype, shape, layout, *rest]
            turn += 1


_OF_VECTORS = ("contiguous", "stepped", "offset")
_SCATTERED = ("transposed", "stepped", "sliced")


def _unmet(wanted: Sequence[Any], met: list[Any]) -> list[Any]:
    return [choice for choice in wanted if choice not in met]


def _dimensions(shape: tuple[int, ...]) -> tuple[int, int]:
    return (len(shape) if prod(shape) > 1 else 0), prod(shape)


def _maker(row: Operator, part: str) -> Any:
    name = f"{row.inputs or row.kind}_{part}"
    return next(
        getattr(module, name) for module in (makers, index_makers, view_makers) if hasattr(module, name)
    )


def _size(call: Call) -> int:
    return prod(call.self_.shape)
