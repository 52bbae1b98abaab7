"""Steady calls: calls on numbers in general position, of which gradients are taken.

What a gradient can be wrong about shows on few elements where they are of two dimensions, and each operand repeats,
binds or overlaps in its own way: such calls come first. None of this is reached from a check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from math import prod
from typing import Any

import numpy as np

from conformance.engine.sharing import once_a_subject
from conformance.inputs.calls import Call
from conformance.inputs.corners import call_made, factors
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.makers import DIMENSIONS, OPERAND_LAYOUTS
from conformance.inputs.operands import Listed
from conformance.inputs.selections import spread, unreferenced
from conformance.inputs.tensors import Strided, strided
from conformance.oracles import references

# Prime numerators, in no order: of two such numbers over one denominator no quotient is whole and no two are equal,
# so that an operation is smooth around them wherever it is smooth at all; and they are exact in bfloat16.
PRIMES = (
    23, 53, 103, 37, 83, 149, 43, 29, 71, 13, 127, 59, 197, 31, 79, 17, 113, 47, 167, 61, 97, 181, 19, 139, 67,
    89, 41, 151, 73, 11, 131, 107, 173, 101, 191, 109, 157, 137, 179, 163, 193, 211, 199, 227, 223, 239, 229, 241, 233,
    251,
)  # fmt: skip
# The first of these lists on which an operation is defined serves: of both signs, below one, and above one.
STEADY: tuple[tuple[float, ...], ...] = (
    tuple(-p / 64 if n % 3 == 1 else p / 64 for n, p in enumerate(PRIMES)),
    tuple(p / 256 for p in PRIMES),
    tuple(p / 64 for p in PRIMES if p > 64),
)
# The same with zeros among self's numbers, and among the operands'.
WITH_ZEROS = tuple(tuple(0.0 if n in (1, 3, 25, 27, 31, 33) else x for n, x in enumerate(STEADY[k])) for k in (0, 1))
# Operations that have a derivative also where self or the operand is zero.
SMOOTH_AT_ZERO = (
    "mul_", "multiply_", "square_", "cumprod_", "addcmul_", "addr_", "addmm_", "baddbmm_", "lerp_", "index_reduce_",
    "scatter_reduce_", "sinc_", "sin_", "sinh_", "tanh_", "tan_", "asin_", "atan_", "exp_", "expm1_", "erf_", "erfinv_",
    "sigmoid_", "i0_",
)  # fmt: skip
# Operations whose shapes are not those of all others.
MATRIX_SHAPES = ((2, 3), (2, 3, 4), (3, 2), (5, 4), (1, 1), (0, 3))
FRAME_SHAPES = ((2, 3), (2, 1, 3), (1, 3, 1), (17,), (), (0, 3))
STEADY_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "t_": ((2, 3), (17,), (), (0, 3)),
    "fill_diagonal_": ((2, 3), (7, 2), (3, 3, 3), (1, 1)),
    "triangle": MATRIX_SHAPES,
    "norm": MATRIX_SHAPES,
    "view": FRAME_SHAPES,
    "matrix": ((2, 3, 4), (5, 17, 3), (1, 1, 1), (2, 0, 3), (0, 3, 2)),
    "rows": ((3, 4), (2, 3, 4), (17,), (1,), (0, 3)),
    "places": ((3, 4), (2, 3, 4), (17,), (1,), (0, 3)),
    "elements": ((3, 4), (2, 3, 4), (17,), (), (0, 3)),
    "others": ((2, 3), (2, 3, 4), (33,), (), (0, 3), (1,)),
}
SHOWING = 24  # calls of the first shape at most
FURTHER = 2  # of each further shape


class Steady(Listed):
    """Operands in general position wherever they are floating or complex, and the listed ones elsewhere."""

    def __init__(self, device: str, turn: int, numbers: tuple[float, ...]) -> None:
        super().__init__(device, turn)
        self.numbers, self.named = numbers, 0

    def tensor(
        self, dtype: str, shape: tuple[int, ...], layout: str, kind: str, domain: str, place: int = 0
    ) -> Strided:
        """The plan of operand number ``place``; it shares no number with self."""
        if ELEMENT_TYPES[dtype].kind not in ("floating", "complex"):
            return super().tensor(dtype, shape, layout, "ordinary", domain, place)
        return strided(dtype, shape, layout, self._of(dtype, place), self.device)

    def number(self, dtype: str, kind: str, domain: str) -> Any:
        """A Python number in general position."""
        if ELEMENT_TYPES[dtype].kind not in ("floating", "complex"):
            return super().number(dtype, "ordinary", domain)
        self.named += 1  # two numbers of one call differ
        return self._of(dtype, 1)[(self.turn + 3 * self.named) % 11]

    def _of(self, dtype: str, place: int) -> tuple[Any, ...]:
        half = len(self.numbers) // 2
        rest, start = self.numbers[half:], 7 * (place - 1)
        found = (*rest[start:], *rest[:start]) if place else self.numbers[:half]
        if ELEMENT_TYPES[dtype].kind == "complex":
            return tuple(complex(x, y) for x, y in zip(found, (*found[5:], *found[:5]), strict=True))
        return found


def steady_numbers(number: int) -> tuple[float, ...]:
    """The list of that number: of both signs, below one, or above one."""
    return STEADY[number]


@once_a_subject
def steady_calls(row: Any, device: str, dtype: str = "float64") -> tuple[Call, ...]:
    """Calls on a self in general position, those that show most first: each form of each argument on a matrix.

    The keyword ``reduce`` of scatter_ has no derivative, and the numbers of an unbounded random_ leave finite
    differences no digits: both are left out.
    """
    if dtype not in factors(row)[0]:
        return ()
    shapes = _shapes(row)
    found: list[Call] = []
    for number, shape in enumerate(shapes):
        limit, looked_at = (FURTHER, 24) if number else (SHOWING, 240 if dtype == "float64" else 60)
        made = islice(_candidates(row, dtype, shape, device, number), looked_at)
        able = (entry for entry in made if not _without_derivative(entry[1]))
        kept = spread(able, limit + 4, lambda entry: _traits(row, *entry))
        settled = (_defined(row, choice, device, call) for choice, call in kept)
        found += [unreferenced(call) for call in islice((x for x in settled if x is not None), limit)]
    return tuple(found)


@once_a_subject
def further_steady_calls(row: Any, device: str) -> tuple[Call, ...]:
    """Calls on a dense self that is not contiguous, on zeros, and with an operand of another floating type."""
    plain = steady_calls(row, device)
    if not plain:
        return ()
    shape = _shapes(row)[0]
    found = []
    layouts = [("transposed", shape)] if row.name != "as_strided_" else []
    if row.kind in ("elementwise", "copy", "fill", "scan", "random") and row.name != "fill_diagonal_":
        layouts.append(("channels_last", (2, 3, 2, 2)))
    for number, (layout, extents) in enumerate(layouts):
        entry = next(iter(_candidates(row, "float64", extents, device, number, layout)), None)
        settled = _defined(row, entry[0], device, entry[1]) if entry else None
        found += [settled] if settled is not None else []
    if row.name in SMOOTH_AT_ZERO:
        made = _candidates(row, "float64", shape, device, 0, "contiguous", WITH_ZEROS)
        smooth = (x for x in made if row.kind != "indexed" or ("prod" in x[1].args and not _without_derivative(x[1])))
        kept = spread(smooth, 8, lambda entry: [tuple(entry[0][4:-2]), _index_form(entry[1])])
        found += [call for x in kept if (call := _defined(row, x[0], device, x[1])) is not None]
    return tuple(unreferenced(call) for call in found) + _mixed_types(row, plain)


def _mixed_types(row: Any, calls: Sequence[Call]) -> tuple[Call, ...]:
    """The first calls with a tensor of another floating type than self's, in both directions where that is cast."""
    found = []
    for number, argument in enumerate(row.arguments):
        if argument.dtype not in ("promotes", "any"):
            continue
        able = [c for c in calls if len(c.args) > number and _is_floating(c.args[number]) and c.args[number].shape]
        for call in able[:2]:
            operand = replace(call.args[number], dtype="float32")
            found.append(replace(call, args=(*call.args[:number], operand, *call.args[number + 1 :])))
            if argument.dtype == "any":
                found.append(call.with_self(replace(call.self_, dtype="float32")))
    return tuple(found)


def _is_floating(value: Any) -> bool:
    return isinstance(value, Strided) and ELEMENT_TYPES[value.dtype].kind == "floating"


def _shapes(row: Any) -> tuple[tuple[int, ...], ...]:
    for key in (row.name, row.inputs, row.kind):
        if key in STEADY_SHAPES:
            return STEADY_SHAPES[key]
    return STEADY_SHAPES["others"]


def _candidates(
    row: Any, dtype: str, shape: tuple[int, ...], device: str, number: int, layout: str = "contiguous",
    numbers: tuple[tuple[float, ...], ...] = STEADY,
) -> Iterator[tuple[list[Any], Call]]:  # fmt: skip
    """Choices and calls on a self of ``shape``: every combination of the row's other factors, in several turns."""
    rest = [_levels(factor) for factor in factors(row)[4:]]
    turns = 12 if row.kind in ("indexed", "fill") else 4 if rest else 1
    combinations = list(product(*rest))
    for n in range(turns * len(combinations)):
        turn = n % turns
        # on further shapes other forms come first
        ahead = 5 * turn + number * (len(combinations) // 2 + 1)
        further = combinations[(n // turns + ahead) % len(combinations)]
        layouts = [OPERAND_LAYOUTS[n % len(OPERAND_LAYOUTS)] if x is OPERAND_LAYOUTS else x for x in further]
        choice = [dtype, shape, layout, "ordinary", *layouts]
        yield [*choice, turn, numbers], _steady_call(row, choice, device, turn, numbers[0])


def _levels(factor: Sequence[Any]) -> Sequence[Any]:
    if factor == OPERAND_LAYOUTS:
        return (OPERAND_LAYOUTS,)
    if "narrower" in factor:
        return ("same",)
    return ("first", "last", "minus-one") if factor == DIMENSIONS else factor


def _steady_call(row: Any, choice: Sequence[Any], device: str, turn: int, numbers: tuple[float, ...]) -> Call:
    return call_made(row, choice, Steady(device, turn, numbers))


def _defined(row: Any, entry: Sequence[Any], device: str, call: Call) -> Call | None:
    """The call on the first list of numbers for which its reference has finite results."""
    *choice, turn, lists = entry
    for numbers in lists:
        if numbers is not lists[0]:
            call = _steady_call(row, choice, device, turn, numbers)
        with np.errstate(all="ignore"):
            if call.reference is None or np.isfinite(references.expected(call)[0]).all():
                return call
    return None


def _traits(row: Any, choice: Sequence[Any], call: Call) -> list[Any]:
    """What a call shows: each choice of the row, and the form of each argument, these also in pairs."""
    rest = [x for x in choice[4:-2] if x not in OPERAND_LAYOUTS]
    operands = call.args[: 1 + len(row.arguments)]
    forms = tuple(_form(x, call) for x in operands)
    if row.kind == "indexed":  # along whatever dimension, and once with an empty index
        forms = tuple(_form(x, call) for x in operands if not isinstance(x, int))
        if any(isinstance(x, Strided) and not x.array.size for x in operands):
            return [forms]
        along = [x % len(call.self_.shape) for x in operands[:1] if isinstance(x, int) and call.self_.shape]
        return [(rest[-1], forms), (rest[-1], *along), *rest]
    further = (repr(call.args[len(operands) :]), repr(sorted(call.kwargs)), tuple(rest[-1:]) if call.kwargs else ())
    return [(further, forms), *(tensor.layout for tensor in call.tensors())]


def _form(value: Any, call: Call) -> Any:
    if not isinstance(value, Strided):
        return "a number" if isinstance(value, float | complex) else repr(value)
    shape = call.self_.shape
    if value.dtype in family("integral"):
        numbers = value.array.ravel().tolist()
        return len(numbers) > len(set(numbers)), len(numbers) > 0, value.shape == shape
    return "same" if value.shape == shape else len(value.shape), 1 in value.shape, prod(value.shape) == 0


def _index_form(call: Call) -> Any:
    return tuple(_form(x, call) for x in call.args if isinstance(x, Strided))


def _without_derivative(call: Call) -> bool:
    """Whether no derivative is documented, or one of which another behaviour speaks."""
    if call.method == "scatter_reduce_" and call.args[1].shape != call.args[2].shape:
        return True
    if call.method == "index_reduce_" and call.args[1].dtype == "int32":
        return True
    return "reduce" in call.kwargs or (call.method == "random_" and not call.args)
