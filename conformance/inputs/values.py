"""Values: short deterministic lists of numbers that an element type can hold, by kind and domain.

Kinds: ``ordinary`` (distinct, moderate), ``special`` (NaN, infinities, signed zeros, subnormals, extremes,
as far as type and domain have them), ``zeros``. A domain restricts values to where an operation is documented.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from conformance.inputs.dtypes import ELEMENT_TYPES, limits, representable

KINDS = ("ordinary", "special", "zeros")

LOWEST = frozenset(-(2 ** (bits - 1)) for bits in (8, 16, 32, 64))

LONG = 94906267  # its square is odd and above 2 ** 53

# A domain says which values a subject's operand may take; NaN passes only where ``any`` says so.
DOMAINS: dict[str, Callable[[Any], bool]] = {
    "any": lambda x: True,
    "finite": lambda x: bool(np.isfinite(x)),
    "nonzero": lambda x: bool(np.isfinite(x)) and x != 0,
    "positive": lambda x: bool(np.isfinite(x)) and x > 0,
    "nonnegative": lambda x: bool(np.isfinite(x)) and x >= 0,
    "unit": lambda x: -1 <= x <= 1,
    "probability": lambda x: 0 <= x <= 1,
    "at-least-one": lambda x: bool(np.isfinite(x)) and x >= 1,
    "small": lambda x: bool(np.isfinite(x)) and abs(x) <= 8,
    "small-nonnegative": lambda x: bool(np.isfinite(x)) and 0 <= x <= 6,
    "small-positive": lambda x: 2**-10 <= x <= 8,
    "small-complex": lambda x: bool(np.isfinite(x)) and x.imag == 0 and 0 <= x.real <= 6,
    "coarse": lambda x: bool(np.isfinite(x)) and abs(x) <= 8 and _whole(16 * x),
    # sums of a few products of such integers fit int64, and no double holds them
    "long": lambda x: abs(x) <= 8 or x == LONG,
    "moderate": lambda x: not np.isfinite(x) or (abs(x) <= 8 and _whole(16 * x)),
    "coarse-positive": lambda x: 0 < x <= 8 and _whole(16 * x),
    "coarse-nonzero": lambda x: bool(np.isfinite(x)) and 0 < abs(x) <= 8 and _whole(16 * x),
    # sin(pi x) of a whole number is 0, of which a rounded pi leaves no digit
    "not-whole": lambda x: not np.isfinite(x) or x == 0 or (abs(x) <= 8 and _whole(16 * x) and not _whole(x)),
    "binary": lambda x: not np.isfinite(x) or x == 0 or _power_of_two(x),
    "binary-nonzero": lambda x: bool(np.isfinite(x)) and x != 0 and _power_of_two(x),
    "not-tiny": lambda x: not np.isfinite(x) or x == 0 or abs(x) >= 2**-8,
    "above-minus-infinity": lambda x: x != float("-inf"),
    "not-nan": lambda x: not np.isnan(x),
    # the quotient of the lowest integer and -1 is none; torch ends the process there
    "not-lowest": lambda x: x not in LOWEST,
    # quotients of very different size round to whole numbers that no two algorithms agree on
    "rounding": lambda x: (
        not np.isfinite(x) or x == 0 or 2**-10 <= abs(x) <= 64 or (isinstance(x, int) and x not in LOWEST)
    ),
    "rounding-divisor": lambda x: bool(np.isfinite(x)) and (2**-10 <= abs(x) <= 64 or (isinstance(x, int) and x != 0)),
    "below-8": lambda x: 0 <= x < 8,
    "below-16": lambda x: 0 <= x < 16,
    "below-32": lambda x: 0 <= x < 32,
    "below-64": lambda x: 0 <= x < 64,
}
# Values that a domain is about and that the general lists miss.
_TYPICAL: dict[str, tuple[Any, ...]] = {
    "unit": (-0.875, 0.71875, -0.5, 0.03125),
    "probability": (0.875, 0.03125, 0.71875),
    "at-least-one": (1, 2, 4, 1.5, 6.25),
    "below-8": (0, 4, 6, 7),
    "below-16": (0, 4, 8, 14, 15),
    "below-32": (0, 4, 16, 30, 31),
    "below-64": (0, 4, 16, 32, 62, 63),
}

# Its square is no double, nor is the number after a power of two; both fit the type.
_BEYOND_DOUBLE = {"int64": (LONG, 2**53 + 1)}


def _whole(x: Any) -> bool:
    """Few bits, so that sums of a few products are exact in any order and lose nothing where they cancel."""
    return bool(x.real == np.floor(x.real) and x.imag == np.floor(x.imag))


def _power_of_two(x: Any) -> bool:
    """A quotient by such a number loses nothing."""
    return 2**-6 <= abs(x) <= 64 and bool(np.frexp(abs(x))[0] == 0.5) and (x.real == 0 or x.imag == 0)


@cache
def values(dtype: str, kind: str = "ordinary", domain: str = "any") -> tuple[Any, ...]:
    """A short tuple of Python numbers that ``dtype`` represents exactly and ``domain`` admits.

    Falls back to ordinary values, then to 1, where nothing of the kind lies in the domain; raises KeyError
    for an unknown domain.
    """
    admit = DOMAINS[domain]
    typical = _TYPICAL.get(domain, ()) if kind == "ordinary" else ()
    for candidates in (_candidates(dtype, kind) + typical, _candidates(dtype, "ordinary") + typical, (1,)):
        admitted = tuple(x for x in _exact(dtype, candidates) if admit(x))
        if admitted:
            return admitted
    raise ValueError(f"domain {domain!r} admits no value of {dtype}")


@cache
def pool(dtype: str, domain: str = "any") -> tuple[Any, ...]:
    """Everything that a sampled element may be, simplest first: zeros, then ordinary, then special values."""
    merged = [
        *values(dtype, "zeros", domain),
        *values(dtype, "ordinary", domain),
        *values(dtype, "special", domain),
    ]
    return tuple({repr(x): x for x in merged}.values())


def _exact(dtype: str, candidates: tuple[Any, ...]) -> list[Any]:
    carried = representable(np.array(candidates, dtype=ELEMENT_TYPES[dtype].carrier), dtype)
    found: list[Any] = carried.tolist()
    return list({repr(x): x for x in found}.values())


@cache
def _candidates(dtype: str, kind: str) -> tuple[Any, ...]:
    element = ELEMENT_TYPES[dtype]
    if kind == "zeros":
        return {"bool": (False,), "complex": (0j,)}.get(element.kind, (0,))
    if element.kind == "bool":
        return (True, False, False, True, True)
    if element.kind == "unsigned":
        low, high = limits(dtype)
        return (1, 2, 3, 5, 7, 11, 13, 64) if kind == "ordinary" else (0, 1, high, high - 1, high // 2, high // 2 + 1)
    if element.kind == "signed":
        low, high = limits(dtype)
        ordinary = (1, -2, 3, -5, 7, 11, -13, 64, -1, 2)
        return (
            ordinary if kind == "ordinary" else (0, -1, 1, low, high, low + 1, high - 1, *_BEYOND_DOUBLE.get(dtype, ()))
        )
    if element.kind == "floating":
        return _real_ordinary() if kind == "ordinary" else _real_special(dtype)
    return _complex_ordinary() if kind == "ordinary" else _complex_special(dtype)


def _real_ordinary() -> tuple[float, ...]:
    return (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5, 0.9375, -0.25, 5.0, -7.0, 0.0625, 1.75)


def _real_special(dtype: str) -> tuple[float, ...]:
    low, high = limits(dtype)
    element = ELEMENT_TYPES[dtype]
    tiny = 2.0**element.min_exponent
    smallest = 2.0 ** (element.min_exponent - element.mantissa)
    return (
        float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -1.0, high, low, tiny, -tiny, smallest, -smallest,
        1.0 + 2.0**-element.mantissa, 1.0 - 2.0 ** (-element.mantissa - 1), 3008.0, -12.5,
    )  # fmt: skip


def _complex_ordinary() -> tuple[complex, ...]:
    return (1 + 2j, -2 + 0.5j, 0.5 - 3j, 3.25 + 0.125j, -0.75 - 1.5j, 2j, -1 + 0j, 0.25 + 0.75j, 2.5 - 0.5j)


def _complex_special(dtype: str) -> tuple[complex, ...]:
    tiny = 2.0 ** ELEMENT_TYPES[dtype].min_exponent
    nan, inf = float("nan"), float("inf")
    return (
        complex(nan, 0.0), complex(0.0, nan), complex(inf, 1.0), complex(-1.0, -inf), complex(0.0, 0.0),
        complex(-0.0, 0.0), complex(0.0, -0.0), complex(-0.0, -0.0), complex(tiny, -tiny), complex(1.0, -1.0),
    )  # fmt: skip
