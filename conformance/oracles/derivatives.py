"""Derivatives: gradients of one call against differences of its values, and second gradients against those of first.

Complex arrays are seen as pairs of real numbers: the real part of a gradient belongs to the real part of the operand.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.derivations import OPERAND_NAMES, Derivation, in_double_precision, loss_weights
from conformance.inputs.dtypes import dtype_name
from conformance.inputs.layouts import row_major
from conformance.inputs.weights import weights_for
from conformance.oracles import expect
from conformance.oracles.expect import Mismatch
from conformance.oracles.gradients import (
    STEP,
    TOLERANCES_BY_TYPE,
    check_gradient,
    check_gradients,
    close_gradients,
    numbers_of,
)

SECOND_DIFFERENCE = 5e-5
HALVES = ("bfloat16", "float16")
LARGEST_FACTOR = 4.0
DENSE = ("contiguous", "transposed", "offset", "channels_last")


class LossAlong:
    """The loss of a call, times a factor, as a function of the real numbers in some of its operands."""

    def __init__(self, case: Derivation, numbers: Sequence[int], factor: float = 1.0) -> None:
        self.case, self.numbers, self.starts, self.factor = case, numbers, case.starts(), factor

    def __call__(self, *moved: np.ndarray) -> float:
        starts = dict(self.starts)
        for number, reals in zip(self.numbers, moved, strict=True):
            start = self.starts[number]
            starts[number] = np.ascontiguousarray(reals).view(start.dtype).reshape(start.shape)
        return self.factor * self.case.loss(starts)


def real_numbers(array: np.ndarray) -> np.ndarray:
    """The numbers of an array in a row; of a complex one the parts, one after the other."""
    return in_double_precision(np.ascontiguousarray(array)).reshape(array.size).view(np.float64)


def gradient_names(case: Derivation) -> list[str]:
    """What messages call the gradients by the leaves."""
    return [f"gradient of {case.text} by {OPERAND_NAMES[i]}" for i in case.leaf_numbers()]


def zero_if_none(gradient: torch.Tensor | None, plan: Any) -> np.ndarray:
    """The numbers of a gradient; zeros for None."""
    return np.zeros(plan.shape, plan.array.dtype) if gradient is None else numbers_of(gradient)


def accuracy_of(case: Derivation, results: list[torch.Tensor]) -> str:
    """The coarsest type in which the call computes: of its results, and of operands in half precision."""
    halves = [plan.dtype for plan in case.operands if plan.dtype in HALVES]
    names = ("float64", *halves, *(dtype_name(x.dtype) for x in results))
    return max(names, key=lambda name: TOLERANCES_BY_TYPE.get(name, 0.0))


def right_gradients(case: Derivation, valued: Derivation | None = None) -> None:
    """Expect the gradients of the loss by every leaf to be those of finite differences, in the leaf's type.

    ``valued`` is the call of which the differences are taken, where it is documented to be another one.
    """
    values = valued or case
    operands = case.tensors()
    results = [x for x in case.outputs(operands) if x.requires_grad]
    accuracy = accuracy_of(case, results)
    gradients = case.gradients_of(results, operands)
    numbers, names, arrays = case.leaf_numbers(), gradient_names(case), []
    for number, gradient, name in zip(numbers, gradients, names, strict=True):
        plan = case.operands[number]
        if gradient is not None:
            expect.equal(plan.dtype, dtype_name(gradient.dtype), f"element type of the {name}")
        found = zero_if_none(gradient, plan)
        if found.shape != plan.shape:
            raise Mismatch(name, f"shape {plan.shape}", f"shape {found.shape}")
        arrays.append(found)
    starts = [real_numbers(case.operands[number].array) for number in numbers]
    if accuracy not in HALVES:
        check_gradients(LossAlong(values, numbers), starts, [*map(real_numbers, arrays)], names, accuracy)
        return
    for number, start, found, name in zip(numbers, starts, arrays, names, strict=True):
        factor = factor_to_one(found)
        check_gradient(LossAlong(values, [number], factor), start, factor * real_numbers(found), name, accuracy)


def factor_to_one(gradient: np.ndarray) -> float:
    """What makes the largest number one, within limits: tolerances of coarse types are meant of a number near one."""
    largest = float(abs(gradient).max(initial=0.0))
    return min(1 / largest, LARGEST_FACTOR) if 0 < largest < 1 else 1.0


def directions(case: Derivation) -> dict[int, np.ndarray]:
    """A direction for each leaf, in general position."""
    return {
        i: weights_for(start.shape) * ((1 + 0.7j) if start.dtype.kind == "c" else 1.0)
        for i, start in case.starts().items()
    }


def right_second_gradients(case: Derivation) -> None:
    """Expect the gradient of the first gradients along a direction to be the difference of these along it."""
    ways = directions(case)
    ends = []
    for step in (STEP, -STEP):
        moved = {i: start + step * ways[i] for i, start in case.starts().items()}
        operands = case.tensors(True, moved)
        ends.append([zero_if_none(g, case.operands[i]) for i, g in zip(ways, case.gradients(operands), strict=True)])
    found = second_gradients_along(case, ways)
    for number, above, below, second, name in zip(ways, *ends, found, gradient_names(case), strict=True):
        expected = real_numbers((above - below) / (2 * STEP))
        numbers = real_numbers(zero_if_none(second, case.operands[number]))
        close_gradients(expected, numbers, f"second {name}", SECOND_DIFFERENCE, "differences of the first", whole=True)


def second_gradients_along(case: Derivation, ways: dict[int, np.ndarray]) -> list[torch.Tensor | None]:
    """What torch gives for the gradient, by every leaf, of the first gradients weighted by ``ways``."""
    operands = case.tensors()
    first = case.gradients(operands, create_graph=True)
    totals = [
        (gradient * torch.tensor(way, device=gradient.device).conj()).sum().real
        for gradient, way in zip(first, ways.values(), strict=True)
        if gradient is not None and gradient.requires_grad
    ]
    if not totals:
        return [None] * len(first)
    return list(torch.autograd.grad(totals, [operands[i] for i in ways], allow_unused=True))


def documented_strides(case: Derivation, number: int) -> tuple[int, ...]:
    """Strides that a first gradient of a leaf is documented to have."""
    plan = case.operands[number]
    return plan.strides if plan.layout in DENSE else row_major(plan.shape)


def first_gradients_laid_out(case: Derivation) -> None:
    """Expect what backward leaves in every leaf to lie in memory as documented, and to be the same as for plain leaves.

    Extents of 0 and 1 have no stride to speak of.
    """
    operands = case.tensors()
    results = [x for x in case.outputs(operands) if x.requires_grad]
    torch.autograd.backward(results, [torch.tensor(loss_weights(x), dtype=x.dtype, device=x.device) for x in results])
    for number, name in zip(case.leaf_numbers(), gradient_names(case), strict=True):
        gradient = operands[number].grad
        if gradient is None:
            continue
        expected, shape = documented_strides(case, number), case.operands[number].shape
        pairs = zip(expected, gradient.stride(), shape, strict=True)
        if prod(shape) and any(mine != own for mine, own, extent in pairs if extent > 1):
            what = f"strides of the {name}, a leaf of layout {case.operands[number].layout}"
            raise Mismatch(what, expected, tuple(gradient.stride()))
        if case.operands[number].layout not in ("contiguous", "expanded"):  # equal elements may be ties
            check_gradient(
                LossAlong(case, [number]),
                real_numbers(case.operands[number].array),
                real_numbers(numbers_of(gradient)),
                name,
            )
