"""Dual rules of operations that work element by element: value and derivative, written out.

Each takes the operands as ``Dual`` numbers and then the step's own numbers. Where an operation has a kink the
programs keep away from it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.oracles.duals import Dual, along, constant

ERF = np.vectorize(math.erf, otypes=[float])


def dual_linear(x: Dual, factor: float, offset: float = 0.0) -> Dual:
    """``factor * x + offset``."""
    return Dual(factor * x.value + offset, factor * x.slope)


def dual_sin(x: Dual) -> Dual:
    """Sine."""
    return Dual(np.sin(x.value), along(np.cos(x.value), x))


def dual_cos(x: Dual) -> Dual:
    """Cosine."""
    return Dual(np.cos(x.value), along(-np.sin(x.value), x))


def dual_tan(x: Dual) -> Dual:
    """Tangent."""
    return Dual(np.tan(x.value), along(1 / np.cos(x.value) ** 2, x))


def dual_asin(x: Dual) -> Dual:
    """Inverse sine."""
    return Dual(np.arcsin(x.value), along(1 / np.sqrt(1 - x.value**2), x))


def dual_acos(x: Dual) -> Dual:
    """Inverse cosine."""
    return Dual(np.arccos(x.value), along(-1 / np.sqrt(1 - x.value**2), x))


def dual_atan(x: Dual) -> Dual:
    """Inverse tangent."""
    return Dual(np.arctan(x.value), along(1 / (1 + x.value**2), x))


def dual_sinh(x: Dual) -> Dual:
    """Hyperbolic sine."""
    return Dual(np.sinh(x.value), along(np.cosh(x.value), x))


def dual_cosh(x: Dual) -> Dual:
    """Hyperbolic cosine."""
    return Dual(np.cosh(x.value), along(np.sinh(x.value), x))


def dual_tanh(x: Dual) -> Dual:
    """Hyperbolic tangent."""
    return Dual(np.tanh(x.value), along(1 - np.tanh(x.value) ** 2, x))


def dual_asinh(x: Dual) -> Dual:
    """Inverse hyperbolic sine."""
    return Dual(np.arcsinh(x.value), along(1 / np.sqrt(1 + x.value**2), x))


def dual_atanh(x: Dual) -> Dual:
    """Inverse hyperbolic tangent."""
    return Dual(np.arctanh(x.value), along(1 / (1 - x.value**2), x))


def dual_exp(x: Dual, base: float = math.e, offset: float = 0.0) -> Dual:
    """``base ** x + offset``."""
    power = np.exp(math.log(base) * x.value)
    return Dual(power + offset, along(math.log(base) * power, x))


def dual_log(x: Dual, base: float = math.e, offset: float = 0.0) -> Dual:
    """Logarithm of ``x + offset``."""
    inside = x.value + offset
    return Dual(np.log(inside) / math.log(base), along(1 / inside / math.log(base), x))


def dual_power(x: Dual, exponent: float, factor: float = 1.0) -> Dual:
    """``factor * x ** exponent``."""
    return Dual(factor * x.value**exponent, along(factor * exponent * x.value ** (exponent - 1), x))


def dual_exponential(x: Dual, base: float) -> Dual:
    """A number to the power of ``x``."""
    return dual_exp(x, base)


def dual_sigmoid(x: Dual) -> Dual:
    """Logistic function."""
    value = 1 / (1 + np.exp(-x.value))
    return Dual(value, along(value * (1 - value), x))


def dual_logit(x: Dual) -> Dual:
    """Log odds."""
    return Dual(np.log(x.value / (1 - x.value)), along(1 / (x.value * (1 - x.value)), x))


def dual_softplus(x: Dual, sign: float = 1.0) -> Dual:
    """``sign * log(1 + exp(sign * x))``: softplus, and with -1 the logarithm of the logistic function."""
    inside = sign * x.value
    return Dual(sign * np.log1p(np.exp(inside)), along(1 / (1 + np.exp(-inside)), x))


def dual_silu(x: Dual) -> Dual:
    """``x * sigmoid(x)``."""
    return dual_mul(x, dual_sigmoid(x))


def dual_gelu(x: Dual) -> Dual:
    """``x`` times the distribution function of the normal distribution."""
    share = (1 + ERF(x.value / math.sqrt(2))) / 2 if x.value.size else x.value
    density = np.exp(-(x.value**2) / 2) / math.sqrt(2 * math.pi)
    return Dual(x.value * share, along(share + x.value * density, x))


def dual_erf(x: Dual) -> Dual:
    """Error function."""
    value = ERF(x.value) if x.value.size else x.value
    return Dual(value, along(2 / math.sqrt(math.pi) * np.exp(-(x.value**2)), x))


def dual_sloped(x: Dual, below: float, above: float = 1.0) -> Dual:
    """``above * x`` where ``x`` is positive, ``below * x`` elsewhere: relu, abs, leaky_relu."""
    factor = np.where(x.value > 0, above, below)
    return Dual(factor * x.value, along(factor, x))


def dual_elu(x: Dual) -> Dual:
    """``x`` where it is positive, ``exp(x) - 1`` elsewhere."""
    return dual_where(x, dual_exp(x, math.e, -1.0), x.value > 0)


def dual_clamp(x: Dual, low: float | None, high: float | None) -> Dual:
    """``x`` kept between two numbers."""
    inside = np.ones(x.value.shape, bool)
    inside &= x.value > (-math.inf if low is None else low)
    inside &= x.value < (math.inf if high is None else high)
    return Dual(np.clip(x.value, low, high), along(inside, x))


def dual_fraction(x: Dual) -> Dual:
    """What is left of ``x`` after its whole part, towards zero."""
    return Dual(x.value - np.trunc(x.value), x.slope.copy())


def dual_stepped(x: Dual) -> Dual:
    """The whole number below: constant around every number that is not whole."""
    return constant(np.floor(x.value), x)


def dual_copy(x: Dual) -> Dual:
    """The same in memory of its own."""
    return Dual(x.value.copy(), x.slope.copy())


def dual_detached(x: Dual) -> Dual:
    """The same values in the same memory, as constants."""
    return Dual(x.value, np.zeros_like(x.slope))


def dual_filled(x: Dual, number: float) -> Dual:
    """A constant in every place of ``x``."""
    return constant(np.full(x.value.shape, number), x)


def dual_second(x: Dual, y: Dual) -> Dual:
    """``y``, broadcast to the shape of ``x``."""
    return Dual(np.broadcast_to(y.value, x.value.shape), np.broadcast_to(y.slope, x.slope.shape))


def dual_add(x: Dual, y: Dual, factor: float = 1.0) -> Dual:
    """``x + factor * y``."""
    return Dual(x.value + factor * y.value, x.slope + factor * y.slope)


def dual_mul(x: Dual, y: Dual) -> Dual:
    """Product."""
    return Dual(x.value * y.value, along(y.value, x) + along(x.value, y))


def dual_div(x: Dual, y: Dual) -> Dual:
    """Quotient."""
    return Dual(x.value / y.value, along(1 / y.value, x) - along(x.value / y.value**2, y))


def dual_pow(x: Dual, y: Dual) -> Dual:
    """``x ** y``."""
    value = x.value**y.value
    return Dual(value, along(y.value * value / x.value, x) + along(value * np.log(x.value), y))


def dual_lerp(x: Dual, y: Dual, weight: float) -> Dual:
    """Linear interpolation."""
    return Dual(x.value + weight * (y.value - x.value), (1 - weight) * x.slope + weight * y.slope)


def dual_where(x: Dual, y: Dual, condition: Any) -> Dual:
    """``x`` where the condition holds, ``y`` elsewhere."""
    mask = np.asarray(condition, bool)
    return Dual(np.where(mask, x.value, y.value), np.where(mask[..., None], x.slope, y.slope))


def dual_maximum(x: Dual, y: Dual) -> Dual:
    """The larger of two."""
    return dual_where(x, y, x.value > y.value)


def dual_minimum(x: Dual, y: Dual) -> Dual:
    """The smaller of two."""
    return dual_where(x, y, x.value < y.value)


def dual_hypot(x: Dual, y: Dual) -> Dual:
    """Length of the hypotenuse."""
    value = np.hypot(x.value, y.value)
    return Dual(value, along(x.value / value, x) + along(y.value / value, y))


def dual_atan2(x: Dual, y: Dual) -> Dual:
    """Angle of the point ``(y, x)``."""
    square = x.value**2 + y.value**2
    return Dual(np.arctan2(x.value, y.value), along(y.value / square, x) - along(x.value / square, y))


def dual_logaddexp(x: Dual, y: Dual) -> Dual:
    """Logarithm of the sum of two exponentials."""
    share = 1 / (1 + np.exp(y.value - x.value))
    return Dual(np.logaddexp(x.value, y.value), along(share, x) + along(1 - share, y))


def dual_xlogy(x: Dual, y: Dual) -> Dual:
    """``x * log(y)``."""
    return dual_mul(x, dual_log(y))


def dual_plus_product(x: Dual, y: Dual, z: Dual, factor: float) -> Dual:
    """``x + factor * y * z``."""
    return dual_add(x, dual_mul(y, z), factor)


def dual_plus_quotient(x: Dual, y: Dual, z: Dual, factor: float) -> Dual:
    """``x + factor * y / z``."""
    return dual_add(x, dual_div(y, z), factor)
