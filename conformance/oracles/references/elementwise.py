"""References of operations that work element by element, in plain NumPy arithmetic.

Names are nouns, so that a script can hold them beside Python's own functions.
Reference: https://docs.pytorch.org/docs/stable/torch.html#pointwise-ops
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.inputs.dtypes import decode, encode, limits

PI = np.longdouble("3.14159265358979323846264338327950288")


def nearest(x: np.ndarray, *, decimals: int = 0) -> Any:
    """round: to the nearest integer, or number of decimals, ties to even."""
    if x.dtype.kind in "biu":
        return x
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return np.rint(x * scale) / scale
    return np.rint(x / scale) * scale if decimals else np.rint(x)


def whole_above(x: np.ndarray) -> Any:
    """ceil; NumPy before 2.1 would make floats of integers."""
    return x if x.dtype.kind in "biu" else np.ceil(x)


def whole_below(x: np.ndarray) -> Any:
    """floor."""
    return x if x.dtype.kind in "biu" else np.floor(x)


def whole_towards_zero(x: np.ndarray) -> Any:
    """trunc."""
    return x if x.dtype.kind in "biu" else np.trunc(x)


def fraction(x: np.ndarray) -> Any:
    """frac: what trunc takes away."""
    return x - np.trunc(x)


def rectified(x: np.ndarray) -> Any:
    """relu: max(0, x); NaN stays."""
    return np.where(x > 0, x, np.where(np.isnan(x), x, 0)) if x.dtype.kind == "f" else np.maximum(x, 0)


def sign_of(x: np.ndarray) -> Any:
    """sign and sgn: -1, 0 or 1; of a complex number the one of the same angle with modulus 1."""
    if x.dtype.kind == "b":
        return x
    if x.dtype.kind != "c":
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)
    size = np.abs(x)
    return np.where(size == 0, 0, x / np.where(size == 0, 1, size))


def numbered(x: np.ndarray, nan: Any = 0.0, posinf: Any = None, neginf: Any = None, *, dtype: str = "float64") -> Any:
    """nan_to_num: NaN and infinities replaced, by default by zero and the largest finite numbers of the type."""
    if x.dtype.kind in "biu":
        return x
    low, high = limits(dtype)
    found = np.where(np.isnan(x), nan, x)
    found = np.where(x == np.inf, high if posinf is None else posinf, found)
    return np.where(x == -np.inf, low if neginf is None else neginf, found)


def inverse(x: np.ndarray) -> Any:
    """reciprocal."""
    return 1 / x


def inverse_root(x: np.ndarray) -> Any:
    """rsqrt."""
    return 1 / np.sqrt(x)


def log_of_one_more(x: np.ndarray) -> Any:
    """log1p; NumPy's own loses the real part of small complex numbers."""
    if x.dtype.kind != "c":
        return np.log1p(x)
    return np.log1p(x.real * (2 + x.real) + x.imag**2) / 2 + 1j * np.arctan2(x.imag, 1 + x.real)


def logistic(x: np.ndarray) -> Any:
    """sigmoid."""
    return 1 / (1 + np.exp(-x))


def cardinal_sine(x: np.ndarray) -> Any:
    """sinc: sin(pi x) / (pi x), and 1 at 0."""
    scaled = np.where(x == 0, 1, x) * PI.astype(x.real.dtype)
    return np.where(x == 0, 1, np.sin(scaled) / scaled)


def in_radians(x: np.ndarray) -> Any:
    """deg2rad."""
    return x * (PI / 180).astype(x.dtype)


def in_degrees(x: np.ndarray) -> Any:
    """rad2deg."""
    return x * (180 / PI).astype(x.dtype)


def plus(x: np.ndarray, other: Any, *, alpha: Any = 1) -> Any:
    """add: x + alpha * other; the sum of bools is their disjunction."""
    return x + _times(alpha, other)


def minus(x: np.ndarray, other: Any, *, alpha: Any = 1) -> Any:
    """sub: x - alpha * other."""
    return x - _times(alpha, other)


def times(x: np.ndarray, other: Any) -> Any:
    """mul."""
    return x * other


def quotient(x: np.ndarray, other: Any, *, rounding_mode: str | None = None) -> Any:
    """div: exact, or rounded towards zero, or down as Python's // does."""
    if rounding_mode is None:
        return x / other
    if rounding_mode == "floor":
        return np.floor_divide(x, other)
    if x.dtype.kind == "f":
        return np.trunc(x / other)
    found = np.floor_divide(x, other)
    return found + ((np.remainder(x, other) != 0) & ((x < 0) != (other < 0))).astype(found.dtype)


def floor_quotient(x: np.ndarray, other: Any) -> Any:
    """floor_divide."""
    return quotient(x, other, rounding_mode="floor")


def modulus(x: np.ndarray, other: Any) -> Any:
    """remainder: with the sign of the divisor, smaller than it."""
    return np.remainder(x, other)


def power(x: np.ndarray, exponent: Any) -> Any:
    """pow and float_power.

    One exponent for all would make NumPy take a square root where that is 1/2, which is NaN at -inf.
    """
    return np.power(x, np.array(np.broadcast_to(exponent, x.shape)))


def next_after(x: np.ndarray, other: Any, *, dtype: str = "float64") -> Any:
    """nextafter: the next number of the very element type in the direction of other."""
    x, other = np.broadcast_arrays(x, other)
    if dtype != "bfloat16":
        stepped = np.nextafter(x.astype(dtype), other.astype(dtype))
        return np.where(x == other, other, stepped)  # of two equal zeros the second one, as in C
    bits = np.frombuffer(encode(x, dtype), np.int16).astype(np.int32).reshape(x.shape)
    away = (other > x) == (x > 0)
    moved = np.where(x == 0, np.where(other > 0, 1, -32767), bits + np.where(away, 1, -1)).astype(np.int16)
    stepped = decode(moved.tobytes(), dtype).reshape(x.shape)
    return np.where(np.isnan(x) | np.isnan(other), np.nan, np.where(x == other, other, stepped))


def step_at_zero(x: np.ndarray, values: Any) -> Any:
    """heaviside: 0 below zero, 1 above, ``values`` at zero."""
    return np.where(x == 0, values, (x > 0).astype(x.dtype))


def scaled_by_power_of_two(x: np.ndarray, other: Any) -> Any:
    """ldexp: x * 2**other."""
    return x * np.exp2(other.real)


def x_log_y(x: np.ndarray, other: Any) -> Any:
    """xlogy: x * log(other), 0 where x is 0, NaN where other is NaN."""
    found = np.where(x == 0, 0, x * np.log(other))
    return np.where(np.isnan(other), np.nan, found)


def plus_product(x: np.ndarray, tensor1: np.ndarray, tensor2: np.ndarray, *, value: Any = 1) -> Any:
    """addcmul: x + value * tensor1 * tensor2."""
    return x + _times(value, tensor1) * tensor2


def plus_quotient(x: np.ndarray, tensor1: np.ndarray, tensor2: np.ndarray, *, value: Any = 1) -> Any:
    """addcdiv: x + value * tensor1 / tensor2."""
    return x + value * (tensor1 / tensor2)


def between(x: np.ndarray, end: Any, weight: Any) -> Any:
    """lerp: x + weight * (end - x)."""
    return x * (1 - weight) + end * weight


def clamped(x: np.ndarray, min: Any = None, max: Any = None) -> Any:
    """clamp: at least min, then at most max, so that max wins where they cross; NaN stays."""
    found = x if min is None else clamped_below(x, min)
    return found if max is None else clamped_above(found, max)


def clamped_below(x: np.ndarray, min: Any) -> Any:
    """clamp_min."""
    return np.maximum(x, np.asarray(min).astype(x.dtype))


def clamped_above(x: np.ndarray, max: Any) -> Any:
    """clamp_max."""
    return np.minimum(x, np.asarray(max).astype(x.dtype))


def _times(factor: Any, values: Any) -> Any:
    return values if factor == 1 else values * np.asarray(factor).astype(values.dtype)
