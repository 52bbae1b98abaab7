"""Bounded: numbers of a formula, each with a bound of what rounding may do to it in the type under test.

The bound is a running error analysis of the formula as it is written (Higham, Accuracy and Stability of Numerical
Algorithms, sections 2.2, 3.1 and 4.2). With the unit roundoff u of the type and errors e:

    x + y   errs by  e(x) + e(y) + u |x + y|
    x * y   errs by  |x| e(y) + |y| e(x) + e(x) e(y) + u |x y|
    sums of n terms, in any order, by the errors of the terms and (n - 1) u times the sum of their absolute values
    f(x)    errs by  |f'(x)| e(x), and by ``ELEMENTARY`` u |f(x)|, as vectorized kernels promise

``SLACK`` times that is allowed, since a kernel may write the same formula in another order of about as many
operations, and one unit in the last place for the rounding of the result. Nothing is measured from torch, and no
tolerance is chosen: a formula of more operations or of terms that cancel has the larger bound that it must have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance.engine.evidence import measure
from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name, limits
from conformance.inputs.valued_calls import tensors_in
from conformance.oracles import expect, memory, numbers
from conformance.oracles.expect import Mismatch

SLACK = 2.0
ELEMENTARY = 8.0  # 4 ULP: class "elementary" of numbers.TOLERANCES
_erf = np.frompyfunc(math.erf, 1, 1)


def unit_of(dtype: str) -> float:
    """The unit roundoff of a floating type: half the distance from 1 to the next number."""
    return float(2.0 ** -(ELEMENT_TYPES[dtype].mantissa + 1))


class Bounded:
    """An array of float64 with an array of error bounds, for arithmetic of unit roundoff ``unit``."""

    __array_ufunc__ = None  # so that NumPy leaves operators with an array on the left to this class

    def __init__(self, value: Any, unit: float, error: Any = None) -> None:
        self.value = np.asarray(value, np.float64)
        self.unit = unit
        self.error = np.zeros_like(self.value) if error is None else error

    def _rounded(self, value: Any, error: Any) -> Bounded:
        return Bounded(value, self.unit, error + self.unit * np.abs(value))

    def _taken(self, other: Any) -> Bounded:
        """An operand: a number that float16 has not is rounded on its way in."""
        if isinstance(other, Bounded):
            return other
        value = np.asarray(other, np.float64)
        if value.ndim or float(np.float16(value)) == value:
            return Bounded(value, self.unit, np.zeros(()))
        return Bounded(value, self.unit, self.unit * np.abs(value))

    def __add__(self, other: Any) -> Bounded:
        y = self._taken(other)
        return self._rounded(self.value + y.value, self.error + y.error)

    def __sub__(self, other: Any) -> Bounded:
        y = self._taken(other)
        return self._rounded(self.value - y.value, self.error + y.error)

    def __rsub__(self, other: Any) -> Bounded:
        return self._taken(other) - self

    def __mul__(self, other: Any) -> Bounded:
        y = self._taken(other)
        error = np.abs(self.value) * y.error + np.abs(y.value) * self.error + self.error * y.error
        return self._rounded(self.value * y.value, error)

    def __truediv__(self, other: Any) -> Bounded:
        return self.over(other)

    def over(self, other: Any, least: float = 0.0) -> Bounded:
        """The quotient by a number whose size is known to be ``least`` or more, however it was rounded."""
        y = self._taken(other)
        with np.errstate(all="ignore"):
            quotient = self.value / y.value
            divisor = np.maximum(np.abs(y.value) - y.error, least)
            error = (self.error + np.abs(quotient) * y.error) / divisor
        return self._rounded(quotient, np.where(divisor > 0, error, np.inf))

    def __rtruediv__(self, other: Any) -> Bounded:
        return self._taken(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.unit, self.error)

    def __getitem__(self, index: Any) -> Bounded:
        return Bounded(self.value[index], self.unit, self.error[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    def reshape(self, *shape: int) -> Bounded:
        """The same in another shape."""
        return Bounded(self.value.reshape(shape), self.unit, self.error.reshape(shape))

    def transpose(self, *axes: int) -> Bounded:
        """The same with permuted axes."""
        return Bounded(self.value.transpose(axes), self.unit, self.error.transpose(axes))

    def padded(self, widths: Any, fill: float = 0.0) -> Bounded:
        """The same with exact numbers around it."""
        value = np.pad(self.value, widths, constant_values=fill)
        return Bounded(value, self.unit, np.pad(self.error, widths))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Bounded:
        """Sums over axes, in any order."""
        value = self.value.sum(axis, keepdims=keepdims)
        terms = self.value.size // max(value.size, 1) if self.value.size else 0
        error = self.error.sum(axis, keepdims=keepdims)
        if terms > 1:
            error = error + (terms - 1) * self.unit * np.abs(self.value).sum(axis, keepdims=keepdims)
        return Bounded(value, self.unit, error)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Bounded:
        """Sums over axes, by the number of terms."""
        total = self.sum(axis, keepdims)
        return total / float(self.value.size // max(total.value.size, 1)) if self.value.size else total / 0.0

    def absolute(self) -> Bounded:
        """Absolute values."""
        return Bounded(np.abs(self.value), self.unit, self.error)

    def at_least(self, bound: Any) -> Bounded:
        """The larger of each and ``bound``; NaN stays."""
        y = self._taken(bound)
        below = self.value < y.value
        surely = self.value + self.error < y.value - y.error
        error = np.where(surely, y.error, np.maximum(self.error, y.error))
        return Bounded(np.where(below, y.value, self.value), self.unit, error)

    def at_most(self, bound: Any) -> Bounded:
        """The smaller of each and ``bound``; NaN stays."""
        return -(-self).at_least(-self._taken(bound))

    def _function(self, value: Any, slope: Any, roundings: float = ELEMENTARY) -> Bounded:
        with np.errstate(invalid="ignore", over="ignore"):
            inherited = np.where(self.error == 0, 0.0, np.abs(slope) * self.error)
            error = inherited + roundings * self.unit * np.abs(value)
        # an infinity is expected as such
        return Bounded(value, self.unit, np.where(np.isfinite(value), error, 0.0))

    def exp(self) -> Bounded:
        """Exponentials; the slope is taken where it is largest within the bound."""
        with np.errstate(over="ignore", under="ignore"):
            return self._function(np.exp(self.value), np.exp(self.value + np.minimum(self.error, 1.0)))

    def log(self) -> Bounded:
        """Logarithms, of 0 too."""
        with np.errstate(all="ignore"):
            near = np.maximum(self.value - self.error, 0.5 * self.value)
            return self._function(np.log(self.value), 1 / near)

    def log1p(self) -> Bounded:
        """Logarithms of 1 and the number; a kernel may add first, which rounds at 1."""
        with np.errstate(all="ignore"):
            found = self._function(np.log1p(self.value), 1 / (1 + self.value))
        return Bounded(found.value, self.unit, found.error + self.unit)

    def sqrt(self) -> Bounded:
        """Square roots, of 0 too."""
        root = np.sqrt(self.value)
        with np.errstate(all="ignore"):
            error = np.where(self.value > self.error, self.error / (root + np.sqrt(self.value - self.error)), np.inf)
        return self._rounded(root, np.minimum(error, np.sqrt(self.error)))

    def tanh(self) -> Bounded:
        """Hyperbolic tangents."""
        value = np.tanh(self.value)
        return self._function(value, 1.0 - np.tanh(np.maximum(np.abs(self.value) - self.error, 0)) ** 2)

    def erf(self) -> Bounded:
        """The error function."""
        value = np.asarray(_erf(self.value)).astype(np.float64)
        return self._function(
            value, 2 / np.sqrt(np.pi) * np.exp(-(np.maximum(np.abs(self.value) - self.error, 0) ** 2))
        )

    def sigmoid(self) -> Bounded:
        """1 / (1 + exp(-x)), without an overflow."""
        with np.errstate(over="ignore"):
            value = np.where(
                self.value < 0, np.exp(self.value) / (1 + np.exp(self.value)), 1 / (1 + np.exp(-self.value))
            )
        return self._function(value, value * (1 - value) * np.exp(np.minimum(self.error, 1.0)), 3 * ELEMENTARY)

    def power(self, exponent: float) -> Bounded:
        """Powers of numbers that are not negative."""
        with np.errstate(all="ignore"):
            value = self.value**exponent
            slope = np.abs(exponent) * (self.value + self.error) ** (exponent - 1)
        return self._function(value, slope)


def contracted(subscripts: str, x: Bounded, y: Any) -> Bounded:
    """``einsum`` of two operands: sums of n products, which err by n u times the sum of their absolute values."""
    y = x._taken(y)
    value = np.einsum(subscripts, x.value, y.value)
    inside, _, outside = subscripts.partition("->")
    sizes = dict(zip(inside.replace(",", ""), x.shape + y.shape, strict=True))
    terms = math.prod(size for letter, size in sizes.items() if letter not in outside)
    a, b = np.abs(x.value), np.abs(y.value)
    error = terms * x.unit * np.einsum(subscripts, a, b)
    if x.error.any():
        error = error + np.einsum(subscripts, x.error, b + y.error)
    if y.error.any():
        error = error + np.einsum(subscripts, a, y.error)
    return Bounded(value, x.unit, error)


def chosen(condition: Any, x: Bounded, y: Any) -> Bounded:
    """Where the condition holds the one, and elsewhere the other."""
    y = x._taken(y)
    return Bounded(np.where(condition, x.value, y.value), x.unit, np.where(condition, x.error, y.error))


def joined(parts: list[Bounded], axis: int) -> Bounded:
    """Several along an axis that they have."""
    value = np.concatenate([part.value for part in parts], axis)
    return Bounded(value, parts[0].unit, np.concatenate([part.error for part in parts], axis))


def stacked(parts: list[Bounded], axis: int) -> Bounded:
    """Several along a new axis."""
    value = np.stack([part.value for part in parts], axis)
    return Bounded(value, parts[0].unit, np.stack([part.error for part in parts], axis))


def log_softmax_of(x: Bounded, axis: int) -> Bounded:
    """log(exp(x) / sum(exp(x))), from the largest."""
    shifted = x - Bounded(x.value.max(axis, keepdims=True), x.unit, x.error.max(axis, keepdims=True))
    shifted = Bounded(shifted.value, x.unit, np.where(np.isfinite(shifted.value), shifted.error, 0.0))
    return shifted - shifted.exp().sum(axis, True).log()


def softmax_of(x: Bounded, axis: int) -> Bounded:
    """exp(x) / sum(exp(x)), from the largest; a row of nothing but -inf gives NaN."""
    with np.errstate(invalid="ignore"):
        top = x.value.max(axis, keepdims=True)
        shifted = x - Bounded(top, x.unit, np.where(np.isfinite(top), x.error.max(axis, keepdims=True), 0))
    powers = Bounded(shifted.value, x.unit, np.where(np.isfinite(shifted.value), shifted.error, 0)).exp()
    return powers / powers.sum(axis, True)


def log_sigmoid_of(x: Bounded) -> Bounded:
    """log(1 / (1 + exp(-x))), without an overflow."""
    return x.at_most(0.0) - (-x.absolute()).exp().log1p()


def number_of(live: Any, place: int) -> Bounded:
    """The numbers of an input, which are exact."""
    return Bounded(live.arrays[place], unit_of(live.dtype))


def filled_results(number: float, live: Any) -> list[Any]:
    """The same number in the place of all elements of the input."""
    return [Bounded(np.full(live.arrays[0].shape, number), unit_of(live.dtype))]


def follows(case: Any, formula: Callable[[Any], list[Any]]) -> None:
    """Expect the results of a ``ValuedCall`` to be those of a formula, and its inputs to be as they were."""
    live = case.build()
    with np.errstate(invalid="ignore"):
        expected = formula(live)
    near_each(expected, tensors_in(live.call()), live.dtype, case.makes)
    for number, (plan, tensor) in enumerate(zip(case.inputs, live.inputs, strict=True)):
        memory.same_elements(plan.array, memory.contents(tensor), f"input {number} after {case.makes}")


def over_deviation(x: Bounded, variance: Bounded, eps: float) -> Bounded:
    """x / sqrt(variance + eps), where no kernel makes a variance of less than zero."""
    return x.over((variance + eps).sqrt(), 0.5 * math.sqrt(eps))  # half, since eps is rounded too


def near(expected: Any, found: object, dtype: str, what: str) -> bool:
    """Expect a tensor of ``dtype`` with these numbers: Bounded ones within their bounds, others exactly.

    Says whether any number of it was held against a bound, or there was none to be held.
    """
    tensor = expect.tensor(found, what)
    if not isinstance(expected, Bounded):
        expect.equal(tuple(expected.shape), tuple(tensor.shape), f"shape of {what}")
        memory.same_elements(expected, memory.contents(tensor), what)
        return True
    expect.equal(expected.shape, tuple(tensor.shape), f"shape of {what}")
    expect.equal(dtype, dtype_name(tensor.dtype), f"element type of {what}")
    held = memory.contents(tensor).astype(np.float64)
    finite = np.isfinite(expected.value)
    unit_there = numbers.spacing(np.where(finite, expected.value, 0), dtype).astype(np.float64)
    with np.errstate(invalid="ignore"):
        # an unbounded error times a zero is NaN: it bounds nothing either
        error = np.where(np.isnan(expected.error), np.inf, expected.error)
        allowed = SLACK * error + unit_there
        distance = np.abs(held - expected.value)
        beyond = np.abs(expected.value) + allowed > limits(dtype)[1]
        same = (held == expected.value) | (np.isnan(held) & np.isnan(expected.value))
        same |= beyond & np.isinf(held) & (np.sign(held) == np.sign(expected.value))
        wrong = ~(same | (finite & (distance <= allowed)))
        share = np.where(finite & np.isfinite(allowed), distance / allowed, 0)
    measure("largest_share_of_bound", float(round(share.max(initial=0.0, where=np.isfinite(share)), 4)))
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        bound = f" (within {allowed[first]:.3g}, by the error bound of the formula in {dtype})"
        raise Mismatch(what, f"{expected.value[first]:.12g}{bound}", f"{held[first]:.12g}", f"index {first}")
    return not held.size or bool((~finite | np.isfinite(allowed)).any())


def near_each(expected: list[Any], found: list[torch.Tensor], dtype: str, what: str) -> None:
    """Expect as many tensors, each with the numbers expected; a case none of whose numbers has a bound says nothing."""
    expect.equal(len(expected), len(found), f"number of results of {what}")
    decided = [
        near(wanted, got, dtype, f"result {number} of {what}" if len(expected) > 1 else f"result of {what}")
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True))
    ]
    if not any(decided):
        raise expect.Discard(f"no number of the result of {what} has a bound")
