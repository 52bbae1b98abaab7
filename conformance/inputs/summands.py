"""Summands: operands of sums, products and means whose every partial result is exact in their element type.

A reference then has one right answer, however the terms are grouped; no tolerance hides a lost term.
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.dtypes import ELEMENT_TYPES

SUMMAND_KINDS = ("ordinary", "large", "special")

_ORDINARY: dict[str, tuple[Any, ...]] = {
    "bool": (True, False, False),
    "unsigned": (1, 2, 0, 3, 5, 4),
    "signed": (1, -2, 3, -4, 5, 0, 2),
    "floating": (1.0, -2.0, 0.5, 1.5, -0.5, 2.0, 0.0),
    "complex": (1 + 2j, -2 + 0.5j, 0.5 - 1j, 1.5j, -1 + 0j),
}
# Numbers that a detour through a narrower type would round: through float32 or float64 for the integers,
# through half precision for float32, and so on. Eighteen of them still add up without rounding or overflow.
_LARGE: dict[str, tuple[Any, ...]] = {
    "uint8": (200, 7, 131, 255),
    "int16": (513, -258, 771, -1023),
    "int32": (2**25 + 1, -(2**24 + 3), 2**25 - 5, 3 - 2**24),
    "int64": (2**55 + 1, -(2**54 + 3), 2**53 + 7, 5 - 2**55),
    "float16": (0.25 + 2**-10, -0.25 - 2**-9, 2**-10, -(2**-9), 0.25, -0.25),
    "float32": (1 + 2**-17, -0.5 - 2**-16, 1.5 - 2**-17, -2.0),
    "float64": (1 + 2**-45, -0.5 - 2**-44, 1.5 - 2**-45, -2.0),
    "complex64": (1 + 2**-17 - 1j, -0.5 + (1 + 2**-17) * 1j, 1j),
    "complex128": (1 + 2**-45 - 1j, -0.5 + (1 + 2**-45) * 1j, 1j),
}
_SPECIAL = {"floating": (float("inf"), 1.0, -2.0, float("nan"), 0.5, float("-inf"), 2.0)}
_FACTORS: dict[str, tuple[Any, ...]] = {
    "bool": (True, True, False),
    "unsigned": (1, 2, 1, 3, 1),
    "signed": (1, -2, 1, 3, -1),
    "floating": (1.0, -2.0, 0.5, -1.0, 4.0, -0.5, -0.0),
    "complex": (1j, 1 + 1j, -1 + 0j, 2 + 0j, -0.5j),
}
# Multiples of twelve: the mean of up to four of them is a whole number, and of three of them it is none in
# floating types only after the division, which is the one rounded step.
_MEANS: dict[str, tuple[Any, ...]] = {
    "bool": (True,),
    "unsigned": (12, 24, 0, 36),
    "signed": (12, -24, 24, -12, 0),
    "floating": (1.0, -2.0, 0.5, 1.5, 5.0, 2.0, 0.0),
    "complex": (1 + 2j, -2 + 0.5j, 0.5 - 1j, 1.5j, -1 + 0j),
}


def summands(dtype: str, kind: str | bytes = "ordinary", turn: int = 0, reduce: str = "sum") -> tuple[Any, ...]:
    """Values for one operand; ``turn`` rotates them, and bytes choose them one by one.

    ``reduce`` is sum, prod, mean, amax or amin; NaN is left out where a maximum or minimum would depend on it.
    """
    element = ELEMENT_TYPES[dtype]
    ordinary = {"prod": _FACTORS, "mean": _MEANS}.get(reduce, _ORDINARY)[element.kind]
    large = _LARGE.get(dtype, ordinary) if reduce not in ("prod", "mean") else ordinary
    special = _SPECIAL.get(element.kind, ordinary) if reduce == "sum" else ordinary
    if reduce in ("amax", "amin") and element.kind == "floating":
        special = tuple(x for x in _SPECIAL["floating"] if x == x)
    if isinstance(kind, bytes):
        every = tuple({repr(x): x for x in (*ordinary, *large, *special)}.values())
        return tuple(every[byte % len(every)] for byte in kind[turn:] + kind[:turn])
    data = {"ordinary": ordinary, "large": large, "special": special}[kind]
    start = turn % len(data)
    return data[start:] + data[:start]
