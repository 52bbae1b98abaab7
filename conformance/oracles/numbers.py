"""Numbers: results against a reference of higher precision, in units in the last place (ULP).

The one table of tolerances is ``TOLERANCES``. A catalogue row names its accuracy class; nothing else widens it.
Reference: https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.engine.evidence import measure
from conformance.inputs.dtypes import ELEMENT_TYPES, limits, representable
from conformance.oracles.expect import Mismatch

# Largest error in ULP of the result's type that a class of operations may show.
TOLERANCES = {
    "exact": 0.5,  # correctly rounded by IEEE 754: the reference rounded once; integers and bools are always exact
    "value": 0.5,  # as exact, but where the documentation leaves the sign of a zero open
    "rounded": 1.0,  # a few correctly rounded steps in a wider type, rounded once or twice (alpha, lerp in half)
    "fused": 2.0,  # a multiply and an add, fused or not, at the result's own precision
    "elementary": 4.0,  # exp, log, trigonometry: vectorized kernels promise 1 ULP, the C library a little more
    "special": 16.0,  # erf, lgamma, Bessel functions and the like
    "accumulated": 32.0,  # sums and products of many terms in any order
}

# Classes whose zeros have the sign that IEEE 754 gives them; and those that have the same sign wherever the same
# function is computed, although no page says which.
SIGNED = ("exact", "rounded")
SIGNED_ALIKE = ("elementary", "special")


def close(expected: Any, found: np.ndarray, dtype: str, accuracy: str, what: str, both_rounded: bool = False) -> None:
    """Expect ``found`` (a carrier array of ``dtype``) to be ``expected`` within the tolerance of ``accuracy``.

    ``expected`` holds exact integers, or floats of higher precision. NaN must meet NaN and an infinity the same
    infinity. Integers and bools are compared exactly. Complex numbers are compared by the distance in the plane,
    in ULP of the larger part. ``both_rounded`` says that ``expected`` is itself a result of that accuracy, so that
    the two may part by twice the tolerance, where that is more than correct rounding. The sign of a zero counts where
    the class of accuracy determines it. The largest error goes to the evidence.
    """
    expected = np.asarray(expected)
    if expected.shape != found.shape:
        raise Mismatch(what, f"shape {expected.shape}", f"shape {found.shape}")
    if not found.size:
        return
    if ELEMENT_TYPES[dtype].kind in ("bool", "unsigned", "signed"):
        wrong = expected != found
    else:
        nearest = representable(expected, dtype)
        if nearest.tobytes() == found.tobytes():  # the common case, and the cheap one
            measure("largest_error_ulp", 0.5)
            return
        other = _unlike(nearest, found) & ~_repeated(expected, found)
        errors = np.zeros(expected.shape)  # half a ULP at most where the number is the nearest there is
        errors[other] = ulp_errors(expected[other], found[other], dtype)
        measure("largest_error_ulp", float(round(errors.max(initial=0.0, where=np.isfinite(errors)), 3)))
        tolerance = TOLERANCES[accuracy] * (2 if both_rounded and TOLERANCES[accuracy] > 0.5 else 1)
        wrong = ~(errors <= tolerance)
        signed = accuracy in SIGNED or (both_rounded and accuracy in SIGNED_ALIKE)
        if signed and expected.dtype.kind == found.dtype.kind == "f":
            wrong |= (expected == 0) & (found == 0) & (np.signbit(expected) != np.signbit(found))
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        allowed = "" if ELEMENT_TYPES[dtype].kind not in ("floating", "complex") else (
            f" (within {tolerance} ULP of {dtype}, class {accuracy})"
        )  # fmt: skip
        raise Mismatch(what, f"{expected[first].item()!r}{allowed}", f"{found[first].item()!r}", f"index {first}")


def _words(array: np.ndarray) -> Any:
    """The elements bit by bit: a row of one or two whole numbers for each."""
    return np.ascontiguousarray(array).reshape(-1).view(f"u{min(array.dtype.itemsize, 8)}").reshape(array.size, -1)


def _unlike(expected: np.ndarray, found: np.ndarray) -> Any:
    """Where two arrays of one type and shape differ in any bit."""
    return (_words(expected) != _words(found)).any(axis=1).reshape(found.shape)


# Elements of which to compute every error costs more than to look for a period, and the longest that is looked for.
_MANY, _LONGEST_PERIOD = 1000, 100


def _repeated(expected: np.ndarray, found: np.ndarray) -> Any:
    """Where a pair of numbers is that of a period before: long operands repeat a few values, so most pairs are."""
    repeated = np.zeros(found.size, bool)
    wanted, there = expected.ravel(), _words(found)
    start = int(np.argmax(wanted == wanted))  # the first that is no NaN
    if found.size >= max(_MANY, start + 1 + _LONGEST_PERIOD):
        for period in range(1, _LONGEST_PERIOD + 1):
            if wanted[start] == wanted[start + period] and _has_period(wanted, period):
                repeated[period:] = (there[period:] == there[:-period]).all(axis=1)
                break
    return repeated.reshape(found.shape)


def _has_period(numbers: np.ndarray, period: int) -> bool:
    for part in (numbers[: 2 * _LONGEST_PERIOD], numbers):  # most fall at the first
        later, before = part[period:], part[:-period]
        if not ((later == before) | ((later != later) & (before != before))).all():
            return False
    return True


def ulp_errors(expected: np.ndarray, found: np.ndarray, dtype: str) -> Any:
    """Error of each element in ULP of ``dtype`` at the expected value; 0 where both are NaN or the same infinity."""
    with np.errstate(all="ignore"):
        if expected.dtype.kind == "c" or found.dtype.kind == "c":
            return _complex_errors(expected, found, dtype)
        return _real_errors(expected, found, dtype)


def spacing(values: Any, dtype: str) -> Any:
    """Size of one ULP of ``dtype`` at each of ``values`` (finite, any sign)."""
    element = ELEMENT_TYPES[dtype]
    _, exponent = np.frexp(np.abs(values))
    exponent = np.where(values == 0, element.min_exponent, exponent - 1)
    wide = np.longdouble if dtype in ("float64", "complex128") else np.float64
    return np.ldexp(wide(1.0), np.maximum(exponent, element.min_exponent) - element.mantissa)


def _real_errors(expected: Any, found: Any, dtype: str) -> Any:
    wide = np.longdouble if dtype in ("float64", "complex128") else np.float64
    exact, got = expected.astype(wide), found.astype(wide)
    finite = np.isfinite(exact)
    unit = spacing(np.where(finite, exact, 0), dtype)
    errors = np.abs(got - exact) / unit
    # an infinity counts as the first number too large for the type: rounding takes halfway there and what lies above
    largest = wide(limits(_part(dtype))[1])
    beyond = finite & np.isinf(got) & (np.sign(got) == np.sign(exact))
    unit_there = spacing(largest, dtype)
    errors = np.where(beyond, np.maximum(0, (largest + unit_there - np.abs(exact)) / unit_there), errors)
    same = (np.isnan(exact) & np.isnan(got)) | (~finite & (exact == got))
    return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors)).astype(np.float64)


def _complex_errors(expected: Any, found: Any, dtype: str) -> Any:
    wide = np.clongdouble if dtype == "complex128" else np.complex128
    exact, got = expected.astype(wide), found.astype(wide)
    finite = np.isfinite(exact)
    scale = np.where(finite, np.maximum(np.abs(exact.real), np.abs(exact.imag)), 0)
    errors = np.abs(got - exact) / spacing(scale, dtype)
    unfinite = np.maximum(_real_errors(exact.real, got.real, dtype), _real_errors(exact.imag, got.imag, dtype))
    return np.where(finite & np.isfinite(got), errors, unfinite).astype(np.float64)


def _part(dtype: str) -> str:
    return {"complex32": "float16", "complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
