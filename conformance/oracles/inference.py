"""Inference: the element type that nested Python numbers get.

References: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html and
https://docs.pytorch.org/docs/stable/generated/torch.set_default_dtype.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from conformance.inputs.bridges import Applied
from conformance.inputs.dtypes import ELEMENT_TYPES, representable
from conformance.oracles import sharing
from conformance.oracles.expect import Discard

# The complex type that goes with a default floating type; bfloat16 has none, by the page.
COMPLEX_OF = {"float16": "complex32", "float32": "complex64", "float64": "complex128"}


def inferred_type(value: Any, default: str) -> str | None:
    """Name of the element type of nested data under a default floating type; None where the page has none."""
    kinds = {type(leaf) for leaf in leaves(value)}
    if complex in kinds:
        return COMPLEX_OF.get(default)
    if float in kinds or not kinds:
        return default
    return "int64" if int in kinds else "bool"


def infers(case: Applied) -> None:
    """Expect the tensor of the case's data to have the type that goes with the case's default."""
    value = case.build()
    expected = inferred_type(value, case.dtype)
    if expected is None:
        raise Discard("no complex type goes with this default")
    with default_dtype(case.dtype):
        found = case.on(value)
    sharing.shows(carried(value, expected), expected, found, f"{case.expression} under default {case.dtype}")


def leaves(value: Any) -> Iterator[Any]:
    """The numbers of nested lists and tuples."""
    if isinstance(value, list | tuple | range):
        for element in value:
            yield from leaves(element)
    else:
        yield value


@contextmanager
def default_dtype(name: str) -> Iterator[None]:
    """Another default floating type, for the time being."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def carried(value: Any, dtype: str) -> np.ndarray:
    """Nested data as element type ``dtype``, in its carrier, rounded once by NumPy."""
    if ELEMENT_TYPES[dtype].kind in ("bool", "unsigned", "signed"):
        return np.array(value, ELEMENT_TYPES[dtype].carrier)
    return representable(np.array(value, dtype=_widest(value)), dtype)


def _widest(value: Any) -> Any:
    kinds = {type(leaf) for leaf in leaves(value)}
    if complex in kinds:
        return np.complex128
    return np.float64 if float in kinds else None
