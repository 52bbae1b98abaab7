"""Type promotion: in which element type an operation of several operands is computed.

Written out from https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc: of the three
priorities (tensors with dimensions, 0-d tensors, Python numbers) a lower one counts only where it is of a higher
category (bool, integral, floating, complex) than all those above it.
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.dtypes import ELEMENT_TYPES

_CATEGORIES = {"bool": 0, "unsigned": 1, "signed": 1, "floating": 2, "complex": 3}
_COMPLEX = {"float16": "complex32", "bfloat16": "complex64", "float32": "complex64", "float64": "complex128"}
_NUMBERS = {bool: "bool", int: "int64", float: "float32", complex: "complex64"}


def category(dtype: str) -> int:
    """0 to 3 for bool, integral, floating and complex."""
    return _CATEGORIES[ELEMENT_TYPES[dtype].kind]


def promoted(first: str, second: str) -> str:
    """The smallest element type that both can be converted to."""
    if first == second:
        return first
    low, high = sorted((first, second), key=lambda name: (category(name), ELEMENT_TYPES[name].itemsize))
    if category(low) < category(high):
        if category(high) == 3 and category(low) == 2:
            return promoted(_COMPLEX[low], high)
        return high
    if category(high) == 1 and ELEMENT_TYPES[low].kind != ELEMENT_TYPES[high].kind:
        signed = high if ELEMENT_TYPES[high].kind == "signed" else low
        unsigned = low if signed == high else high
        if ELEMENT_TYPES[signed].itemsize > ELEMENT_TYPES[unsigned].itemsize:
            return signed
        return {1: "int16", 2: "int32", 4: "int64"}[ELEMENT_TYPES[unsigned].itemsize]
    if {low, high} == {"float16", "bfloat16"}:
        return "float32"
    return high


def result_type(operands: list[Any]) -> str:
    """The element type of a computation on plans (``dtype`` and ``shape``) and Python numbers."""
    levels: list[str | None] = [None, None, None]
    for operand in operands:
        if isinstance(operand, (bool, int, float, complex)):
            level, dtype = 2, _NUMBERS[type(operand)]
        else:
            level, dtype = (0 if operand.shape else 1), operand.dtype
        known = levels[level]
        levels[level] = dtype if known is None else promoted(known, dtype)
    found = _over(levels[0], _over(levels[1], levels[2]))
    assert found is not None
    return found


def _over(higher: str | None, lower: str | None) -> str | None:
    if higher is None or lower is None:
        return higher or lower
    if category(lower) <= category(higher):
        return higher
    if category(higher) == 2 and category(lower) == 3:
        return _COMPLEX[higher]  # a complex number keeps the precision of the floating tensor
    return lower if category(higher) else promoted(higher, lower)
