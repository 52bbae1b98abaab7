"""Operands: the values, element types and shapes that self and the other operands of a call may have."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.versions import out_of_range
from conformance.inputs.dtypes import ELEMENT_TYPES, FAMILIES, family
from conformance.inputs.tensors import Strided, corner, strided
from conformance.inputs.values import pool, values

if TYPE_CHECKING:
    from conformance.engine.catalogue import Argument, Operator, Variant

# How an operand's element type may differ from self's, so that the result can still be cast to self's:
# of a lower category, of the same category but wider, and of the same category but narrower.
LOWER = {
    "uint8": "bool", "int8": "bool", "int16": "bool", "int32": "bool", "int64": "bool", "float16": "int16",
    "bfloat16": "uint8", "float32": "int64", "float64": "int32", "complex64": "float32", "complex128": "int64",
    "complex32": "float16",
}  # fmt: skip
WIDER = {
    "uint8": "int32", "int8": "int16", "int16": "int64", "int32": "int64", "int64": "int64", "float16": "float32",
    "bfloat16": "float32", "float32": "float64", "float64": "float64", "complex64": "complex128",
    "complex128": "complex128", "complex32": "complex64",
}  # fmt: skip
NARROWER = {
    "uint8": "int8", "int8": "uint8", "int16": "int8", "int32": "int16", "int64": "uint8", "float16": "bfloat16",
    "bfloat16": "float16", "float32": "float16", "float64": "float32", "complex64": "float32",
    "complex128": "complex64", "complex32": "float16",
}  # fmt: skip
DTYPE_RELATIONS = {"same": {}, "lower": LOWER, "wider": WIDER, "narrower": NARROWER}

# Domains that need an order mean nothing to complex numbers, whose infinities and NaN are documented for exact
# operations only: a row that has them says ``complex: any``.
_COMPLEX_DOMAINS = {
    **{name: name for name in ("nonzero", "small", "small-complex", "coarse", "coarse-nonzero", "not-whole")},
    "moderate": "coarse", "binary": "binary-nonzero",
}  # fmt: skip


@cache
def dtypes_of(row: Operator) -> tuple[str, ...]:
    """The element types that self may have, as far as this build has them."""
    return family(*row.dtypes)


def family_of(dtype: str) -> str:
    """The family of an element type."""
    return next(name for name, members in FAMILIES.items() if dtype in members)


def domain_of(domain: str | dict[str, str], dtype: str) -> str:
    """The domain for one element type: its own, else its family's, else the one for all others."""
    if isinstance(domain, str):
        return _COMPLEX_DOMAINS.get(domain, "finite") if ELEMENT_TYPES[dtype].kind == "complex" else domain
    return domain.get(dtype) or domain.get(family_of(dtype)) or domain_of(domain.get("others", "any"), dtype)


def by_family(choice: str | dict[str, str], dtype: str) -> str:
    """What a row says for one element type: of its own, else of its family, else of all others."""
    if isinstance(choice, str):
        return choice
    return choice.get(dtype) or choice.get(family_of(dtype)) or choice["others"]


@cache
def before(release: str) -> bool:
    """Whether the torch under test is older than a release."""
    return out_of_range(torch.__version__, release, None) is not None


def related_dtype(argument: Argument, dtype: str, relation: str) -> str:
    """Element type of an operand whose self has ``dtype``."""
    if argument.dtype == "promotes":
        if before(argument.promotes_since):
            return dtype
        found = DTYPE_RELATIONS[relation].get(dtype, dtype)
        return found if argument.dtypes is None or found in family(*argument.dtypes) else dtype
    if argument.dtype == "float":
        return "float32" if dtype not in ("float64", "float32") else dtype
    return {"same": dtype, "bool": "bool", "index": "int64", "int": "int64"}[argument.dtype]


def related_shape(shape: tuple[int, ...], relation: str, turn: int) -> tuple[int, ...]:
    """A shape that broadcasts to ``shape``: the same, of a lower rank, with an extent of 1, or 0-d."""
    if relation == "lower-rank":
        return shape[1:]
    if relation == "one":
        where = turn % len(shape) if shape else 0
        return tuple(1 if axis == where else extent for axis, extent in enumerate(shape))
    return () if relation == "0-d" else shape


def narrowed(domain: str | dict[str, str], variant: Variant, dtype: str) -> str:
    """The domain of an operand; a variant's own narrows one that admits everything."""
    found = domain_of(domain, dtype)
    return domain_of(variant.domain, dtype) if variant.domain and found in ("any", "finite") else found


def domain_within(row: Operator, domain: str | dict[str, str], dtype: str, keywords: dict[str, Any]) -> str:
    """The domain of an operand beside keywords: that of the variant that has them, where one of a domain does."""
    variant = next((v for v in row.variants if v.keywords == keywords and v.domain), None)
    return domain_of(domain, dtype) if variant is None else narrowed(domain, variant, dtype)


class Listed:
    """Where a corner's operands come from: the listed values of the kind asked for, rotated by ``turn``."""

    def __init__(self, device: str, turn: int) -> None:
        self.device, self.turn = device, turn

    def tensor(
        self, dtype: str, shape: tuple[int, ...], layout: str, kind: str, domain: str, place: int = 0
    ) -> Strided:
        """The plan of operand number ``place``.

        The values of self (number 0) are not rotated, but for a self of one element, which has room for no other.
        """
        turn = (self.turn + place) % 16 if place or prod(shape) == 1 else 0
        return corner(dtype, shape, layout, kind, domain, self.device, turn)

    def number(self, dtype: str, kind: str, domain: str) -> Any:
        """A Python number that ``dtype`` holds."""
        listed = values(dtype, kind, domain)
        return listed[self.turn % len(listed)]

    def below(self, bound: int, count: int, repeated: bool) -> tuple[int, ...]:
        """``count`` numbers in 0..bound-1, all different unless ``repeated``; not in order."""
        step = next(s for s in (3, 5, 7, 2, 1) if bound % s or s == 1) if bound > 1 else 1
        found = tuple((self.turn + step * i) % bound for i in range(count)) if bound else ()
        return tuple(x // 2 for x in found) if repeated else found


class Drawn:
    """Where a sample's operands come from: bytes that Hypothesis drew, each an index into the pool of values."""

    def __init__(self, device: str, drawn: bytes) -> None:
        self.device, self.drawn, self.turn = device, drawn, drawn[0]
        self.at = 0

    def tensor(
        self, dtype: str, shape: tuple[int, ...], layout: str, kind: str, domain: str, place: int = 0
    ) -> Strided:
        """A plan with the next twelve drawn values of the domain."""
        known = pool(dtype, domain)
        self.at += 12
        taken = (self.drawn + self.drawn)[self.at % len(self.drawn) :][:12]
        return strided(dtype, shape, layout, tuple([known[x % len(known)] for x in taken]), self.device)

    def number(self, dtype: str, kind: str, domain: str) -> Any:
        """The next drawn value of the domain."""
        known = pool(dtype, domain)
        self.at += 1
        return known[self.drawn[self.at % len(self.drawn)] % len(known)]

    def below(self, bound: int, count: int, repeated: bool) -> tuple[int, ...]:
        """``count`` drawn numbers in 0..bound-1, all different unless ``repeated``."""
        left, found = list(range(bound)), []
        for _ in range(count):
            self.at += 1
            index = self.drawn[self.at % len(self.drawn)] % len(left)
            found.append(left[index] if repeated else left.pop(index))
        return tuple(found)
