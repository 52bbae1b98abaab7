"""Sources of derivations: at which points the derivatives of a catalogue's rows are asked for.

Methods come as the out-of-place variants of the steady calls of ``operators``, functions from the rows of
``differentiable``. Samples deal the same numbers out anew and make them a little smaller, which leaves every domain
intact and brings no number close to a kink or to another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.engine.sharing import once_a_subject
from conformance.inputs.calls import Call
from conformance.inputs.corners import factors
from conformance.inputs.derivations import OPERAND_NAMES, Derivation
from conformance.inputs.dtypes import ELEMENT_TYPES, representable
from conformance.inputs.layouts import REPEATING
from conformance.inputs.steady import steady_calls
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

LAYOUTS_OF_LEAVES = ("contiguous", "transposed", "stepped", "offset", "sliced", "expanded", "channels_last")
RANGES = {"general": (-1.9, 1.9), "unit": (0.1, 0.9), "large": (1.1, 2.9), "matrix": (-0.9, 0.9)}
MOST_NUMBERS = 64  # in an operand; larger ones repeat them
SMALL = 12  # elements of a tensor whose every element costs evaluations
STEADY_CALLS = 10
HALF_TYPES = ("bfloat16", "float16")
SHRUNK = (1.0, 61 / 64, 62 / 64, 63 / 64)
SHARE = (
    5  # of the samples: numbers dealt out anew show little that others do not, and each costs as much as two corners
)


def in_complex(plan: Strided) -> Strided:
    """A complex plan whose real parts are the numbers of a real one."""
    data = tuple(complex(x, y) for x, y in zip(plan.data, (*plan.data[3:], 0.37, -0.59, 0.83), strict=False))
    return strided("complex128", plan.shape, plan.layout, data, plan.device)


def derivation_of(call: Call, as_function: bool) -> Derivation | None:
    """The out-of-place variant of a call; None where it draws random numbers."""
    operands = [call.self_]

    def word(value: Any) -> str | None:
        if isinstance(value, Strided):
            operands.append(value)
            return OPERAND_NAMES[len(operands) - 1]
        if isinstance(value, tuple):
            return "(" + "".join(f"{word(part)}, " for part in value) + ")"
        return f"float('{value}')" if isinstance(value, float) and not np.isfinite(value) else repr(value)

    if any(type(x).__name__ in ("Seeded", "Function") for x in (*call.args, *call.kwargs.values())):
        return None
    words = [word(x) for x in call.args] + [f"{key}={word(x)}" for key, x in call.kwargs.items()]
    name = call.functional
    if hasattr(torch, name) and name != "polygamma" and (as_function or not hasattr(torch.Tensor, name)):
        return Derivation(f"torch.{name}({', '.join(['x', *map(str, words)])})", tuple(operands))
    return Derivation(f"x.{name}({', '.join(map(str, words))})", tuple(operands))


@once_a_subject
def methods(row: Any, device: str, dtype: str) -> tuple[Derivation, ...]:
    """Derivations of an operator of the catalogue ``operators``, in turn as a method and as a function."""
    small = (call for call in steady_calls(row, device, dtype) if 0 < prod(call.self_.shape) <= SMALL)
    calls = list(islice(small, STEADY_CALLS))
    found = [derivation_of(call, n % 2 == 1) for n, call in enumerate(calls) if differentiable(call)]
    return tuple(case for case in found if case is not None)


def differentiable(call: Call) -> bool:
    """Whether the documentation lets a call be differentiated.

    It does not for ``reduce`` of scatter, nor for a scattered source that is larger than its index; and an extreme
    value that several elements share has no derivative.
    """
    if "amax" in call.args or "amin" in call.args:
        return not any(plan.layout in REPEATING for plan in call.tensors())
    if not call.method.startswith("scatter"):
        return True
    shapes = {plan.shape for plan in call.tensors()}
    return "reduce" not in call.kwargs and len(shapes) <= 1


@once_a_subject
def functions(row: Any, device: str, dtype: str) -> tuple[Derivation, ...]:
    """Derivations of a row of the catalogue ``differentiable``."""
    shapes = [list(row.operands.values())]
    if row.elementwise:
        shapes += [[shape] * len(row.operands) for shape in ((), (1, 3, 1), (0, 3))]
    found = []
    for number, call in enumerate(row.calls):
        for own in shapes if not number else shapes[:1]:
            plans = [numbers_for(row.domain, tuple(shape), place, device) for place, shape in enumerate(own)]
            if dtype == "complex128":
                plans = [in_complex(plan) for plan in plans]
            text = row.text.format(name=row.name, call=call)
            found.append(derivation_on(text, dict(zip(OPERAND_NAMES, plans, strict=False))))
    return tuple(found)


@once_a_subject
def points(row: Any, device: str) -> tuple[tuple[Derivation, bool], ...]:
    """The further calls of a row, and whether second derivatives are asked for."""
    found = []
    for point in row.points:
        plans = {}
        for place, (name, shape) in enumerate((point.operands or row.operands).items()):
            plan = numbers_for(row.domain, tuple(shape), place, device)
            if name in point.values:
                plan = replace(plan, data=point.values[name])
            plans[name] = in_type(plan, point.types.get(name, "float64"))
        text = (point.text or row.text).format(name=row.name, call=point.call)
        found.append((derivation_on(text, plans), point.twice))
    return tuple(found)


@once_a_subject
def in_other_types(case: Derivation, dtypes: tuple[str, ...]) -> tuple[Derivation, ...]:
    """The call with all its floating operands in each of these types."""
    return tuple(replace(case, operands=tuple(in_type(plan, dtype) for plan in case.operands)) for dtype in dtypes)


def in_type(plan: Strided, dtype: str) -> Strided:
    """A plan in another type, with the nearest numbers that this has; complex ones from floating ones too."""
    if ELEMENT_TYPES[plan.dtype].kind not in ("floating", "complex") or plan.dtype == dtype:
        return plan
    if ELEMENT_TYPES[dtype].kind == "complex" and ELEMENT_TYPES[plan.dtype].kind == "floating":
        plan = in_complex(plan)
    data = tuple(representable(np.array(plan.data), dtype).tolist())
    return strided(dtype, plan.shape, plan.layout, data, plan.device)


def derivation_on(text: str, plans: dict[str, Strided]) -> Derivation:
    """The derivation of an expression on those of the operands that it mentions."""
    used = [name for name in plans if mentions(text, name)]
    words = text
    for new, old in zip(OPERAND_NAMES, used, strict=False):
        words = words if new == old else renamed(words, old, new)
    return Derivation(words, tuple(plans[name] for name in used))


def mentions(call: str, name: str) -> bool:
    """Whether an argument list names an operand."""
    return renamed(call, name, "") != call


def renamed(call: str, old: str, new: str) -> str:
    """The argument list with another name for an operand."""
    return re.sub(rf"(?<![\w'.]){old}(?![\w'=])", new, call)


def numbers_for(domain: str, shape: tuple[int, ...], place: int, device: str) -> Strided:
    """The plan of operand number ``place``: no two numbers of a call are equal or close."""
    low, high = RANGES[domain]
    count = min(max(prod(shape), 1), MOST_NUMBERS)
    share = (0.38 + 0.6180339887 * np.arange(25 * place, 25 * place + count)) % 1.0
    numbers = np.round(low + (high - low) * share, 4)
    if domain == "matrix" and len(shape) >= 2:
        numbers = np.round(numbers.reshape(shape) + 3 * np.eye(shape[-2], shape[-1]), 4).ravel()
    return strided("float64", shape, "contiguous", tuple(numbers.tolist()), device)


def drawn(cases: Sequence[Derivation], apart: bool, dealt_out: bool = True) -> Any:
    """Samples: one of the cases with its numbers a little smaller, and dealt out anew.

    ``apart``: with another factor for each operand, so that equal numbers in two of them become different ones.
    """
    from hypothesis import strategies as st

    def chosen(number: int) -> Derivation:
        return dealt(cases[number % len(cases)], number // len(cases), apart, dealt_out)

    return st.integers(0, len(cases) * 2**16 - 1).map(chosen)


def dealt(case: Derivation, seed: int, apart: bool, dealt_out: bool) -> Derivation:
    """The case with its numbers a little smaller, and dealt out anew by a seed."""
    random = Random(seed)
    first = random.randrange(len(SHRUNK))
    plans = []
    for place, plan in enumerate(case.operands):
        if ELEMENT_TYPES[plan.dtype].kind in ("floating", "complex"):
            factor = SHRUNK[(first + place * apart) % len(SHRUNK)]
            data = representable(np.array(plan.data) * factor, plan.dtype).tolist()
            if dealt_out:
                random.shuffle(data)
            plan = strided(plan.dtype, plan.shape, plan.layout, tuple(data), plan.device)
        plans.append(plan)
    return replace(case, operands=tuple(plans))


def and_dealt(cases: tuple[Derivation, ...], apart: bool, dealt_out: bool = True) -> tuple[Derivation, ...]:
    """The cases, and the first with its numbers dealt out anew, and with gaps in the incoming gradients."""
    return cases + tuple(replace(dealt(case, 1, apart, dealt_out), gaps=True) for case in cases[:1])


def taken_apart(cases: tuple[Derivation, ...], results: int = 1) -> tuple[Derivation, ...]:
    """The first case with each operand alone requiring grad, and with each result alone used."""
    found: list[Derivation] = []
    for first in cases[:1]:
        leaves = first.leaf_numbers()
        found += [replace(first, alone=i) for i in leaves if len(leaves) > 1]
        found += [replace(first, part=i) for i in range(results) if results > 1]
    return tuple(found)


def real_methods(cell: Cell) -> Inputs:
    """Methods on float64."""
    cases = methods(cell.subject, cell.target.device, "float64")
    halves = tuple(dtype for dtype in HALF_TYPES if dtype in factors(cell.subject)[0])
    further = (in_other_types(cases[0], halves) if cases else ()) + taken_apart(cases)
    return Inputs(and_dealt(cases, True) + further, drawn(cases, True), SHARE)


def complex_methods(cell: Cell) -> Inputs:
    """Methods on complex128; samples are left to the real call of the same row."""
    return Inputs(and_dealt(methods(cell.subject, cell.target.device, "complex128"), True))


def real_functions(cell: Cell) -> Inputs:
    """Functions on float64."""
    row, device = cell.subject, cell.target.device
    cases = functions(row, device, "float64")
    further = in_other_types(cases[0], row.types) + tuple(case for case, _ in points(row, device))
    further += taken_apart(cases, row.results)
    dealt_out = row.domain != "matrix"
    return Inputs(and_dealt(cases, False, dealt_out) + further, drawn(cases, False, dealt_out), SHARE)


def complex_functions(cell: Cell) -> Inputs:
    """Functions on complex128; samples are left to the real call of the same row."""
    cases = functions(cell.subject, cell.target.device, "complex128")
    return Inputs(and_dealt(cases, False, cell.subject.domain != "matrix"))


def twice_methods(cell: Cell) -> Inputs:
    """Methods on float64, one point each."""
    return Inputs(methods(cell.subject, cell.target.device, "float64")[:5])


def twice_functions(cell: Cell) -> Inputs:
    """Functions on float64, and on complex128 where that is documented."""
    cases = functions(cell.subject, cell.target.device, "float64")
    if cell.subject.complex:
        cases += functions(cell.subject, cell.target.device, "complex128")[:1]
    return Inputs(cases + tuple(case for case, twice in points(cell.subject, cell.target.device) if twice))


def laid_out_methods(cell: Cell) -> Inputs:
    """Methods whose leaves have one layout after the other."""
    return Inputs(_laid_out(methods(cell.subject, cell.target.device, "float64")))


def laid_out_functions(cell: Cell) -> Inputs:
    """Functions whose leaves have one layout after the other."""
    singular = ("expanded",) if cell.subject.domain == "matrix" else ()
    return Inputs(_laid_out(functions(cell.subject, cell.target.device, "float64"), singular))


HARD = ", hard=True"


def hard_samples(cell: Cell) -> Inputs:
    """Samples of the Gumbel distribution that are made one-hot, along either dimension, at several temperatures."""
    call = "seeded_alike(x, lambda: torch.nn.functional.gumbel_softmax(x, {}{}))"
    plans = [numbers_for("general", shape, 0, cell.target.device) for shape in ((2, 3), (4,), (2, 2, 2), (1, 3))]
    options = ("tau=0.7", "dim=0", "tau=2.0, dim=-1", "1.5")
    return Inputs([Derivation(call.format(each, HARD), (plan,)) for plan in plans for each in options])


def softened(case: Derivation) -> Derivation:
    """The same without being made one-hot."""
    return replace(case, text=case.text.replace(HARD, ""))


def _laid_out(cases: Sequence[Derivation], without: tuple[str, ...] = ()) -> list[Derivation]:
    """The case in which layouts show most, with each leaf in each layout: one leaf is ahead of the next by one."""

    def extents(case: Derivation) -> tuple[int, int]:
        shapes = [case.operands[i].shape for i in case.leaf_numbers()]
        return max(sum(extent > 1 for extent in shape) for shape in shapes), max(map(prod, shapes))

    case = max(cases, key=extents)
    numbers = case.leaf_numbers()
    possible = {
        number: [x for x in LAYOUTS_OF_LEAVES if x not in without and _lies_so(case.laid_out(x, number), number, x)]
        for number in numbers
    }
    found = []
    for turn in range(max(map(len, possible.values()))):
        turned = case
        for ahead, number in enumerate(numbers):
            turned = turned.laid_out(possible[number][(turn + ahead) % len(possible[number])], number)
        found.append(turned)
    return found


def _lies_so(case: Derivation, number: int, layout: str) -> bool:
    """Whether operand ``number`` has this layout: shapes of few elements have not."""
    return case.operands[number].layout == layout
