"""Further forms of calls with ``out=``: the tensors that rows name in ``forms``, and what they stand for.

A number in place of a tensor, several dimensions or none, an element type, operands of other types: what the kinds of
``conformance.inputs.out_operands`` cannot say of every function alike.
Reference: https://docs.pytorch.org/docs/stable/notes/out.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from conformance.inputs.tensors import Strided, strided

# What tensors are called in ``forms``: element type, shape, numbers, and the layout where it is not contiguous.
FORM_OPERANDS: dict[str, tuple[Any, ...]] = {
    "x": ("float32", (2, 3), (1.0, -2.0, 0.5, 3.25, -0.75, 5.0)),
    "y": ("float32", (2, 3), (0.9375, -2.0, -1.5, 2.5, -0.25, 2.0)),
    "weights": ("float32", (2, 3), (0.5, 0.25, 1.0, 0.0, 0.75, 0.125)),
    "upper": ("float32", (2, 3), (0.5, 3.0, 0.25, 2.75, 1.5, 2.5)),
    "lower": ("float32", (2, 3), (0.25, -1.0, -0.5, -3.0, 0.5, -2.0)),
    "positive": ("float32", (2, 3), (1.0, 2.0, 0.5, 3.25, 0.75, 5.0)),
    "rows": ("float32", (3, 3), (0.5, 1.0, 2.0, -0.75), "widened"),
    "columns": ("float32", (3, 3), (1.0, 0.5, -2.0, -0.75), "expanded"),
    "d": ("float64", (2, 3), (1.5, -0.25, 3.0, 0.125, 2.0, -7.0)),
    "h": ("float16", (2, 3), (1.5, -0.25, 3.0, 0.125, 2.0, 7.0)),
    "i": ("int64", (2, 3), (6, 9, 12, 35, -4, 7)),
    "k": ("int64", (2, 3), (4, 6, 5, 10, 6, 7)),
    "j": ("int32", (2, 3), (3, 9, 2, 40, 5, 7)),
    "counts": ("int64", (2, 3), (1, 4, 9, 2, 3, 6)),
    "bytes": ("uint8", (2, 3), (1, 0, 200, 3, 7, 255)),
    "b": ("bool", (2, 3), (True, False, True, True, False, True)),
    "e": ("bool", (2, 3), (True, True, False, True, False, True)),
    "mask": ("bool", (3,), (True, False, True)),
    "c": ("complex64", (2, 3), (3 + 4j, -2 + 0.5j, 0.5 - 3j, 3.25 + 0.125j, -0.75 - 1.5j, 2j)),
    "sides": ("complex64", (3, 2), (1 - 2j, 0.5 + 1j, -1j, 2 + 0.25j, 1.5 - 0.5j, -3 + 1j)),
    "pairs": ("complex64", (2, 2), (0.5 + 2j, -1j, 3 - 0.25j, 1.5 + 1j)),
    "plane": ("complex64", (2, 2, 3), (3 + 4j, -2 + 0.5j, 0.5 - 3j, 3.25 + 0.125j, -0.75 - 1.5j, 2j, 1 + 1j)),
    "planes": ("complex64", (2, 3, 2), (1 - 2j, 0.5 + 1j, -1j, 2 + 0.25j, 1.5 - 0.5j, -3 + 1j, 2 - 1j)),
    "spin": ("complex64", (3,), (1 - 2j, 0.5 + 1j, -1j)),
    "v": ("float32", (3,), (1.0, -0.5, 2.25)),
    "w": ("float32", (3,), (0.5, 3.0, -1.25)),
    "short": ("float32", (2,), (0.75, -1.5)),
    "whole": ("int64", (3,), (3, -2, 5)),
    "nothing": ("float32", (0,), (0.0,)),
    "unknown": ("float32", (2, 2), (float("nan"), float("inf"), 1.0, -float("inf"))),
    "square": ("float32", (3, 3), (4.0, 0.5, -1.0, 0.25, 5.0, 1.0, -0.5, 0.75, 6.0)),
    "tall": ("float32", (3, 2), (1.0, -2.0, 0.5, 3.0, -0.75, 0.25)),
    "block": ("float32", (2, 2, 3), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5, 0.9375, -0.25, 5.0, -7.0)),
    "blocks": ("float32", (2, 3, 2), (0.5, 1.0, -1.5, 2.0, 0.25, -3.0, 0.75, 1.25, -2.5, 3.5, -0.125, 4.0)),
    "boxes": ("float32", (2, 2, 2, 3), tuple(float(i) for i in range(1, 25))),
    "squares": ("float64", (2, 3, 3), (4.0, 0.5, -1.0, 0.25, 5.0, 1.0, -0.5, 0.75, 6.0, 3.0, -0.5)),
    "unknowns": ("float32", (2, 2, 2), (float("nan"), float("inf"), 1.0, -float("inf"))),
    "edges": ("float32", (4,), (-1.0, 0.5, 2.0, 3.0)),
    "ties": ("float32", (2, 5), (2.0, 1.0, 2.0, 1.0, 2.0, 0.5, 3.0, 0.5, 3.0, 0.5)),
    "first": ("int64", (2,), (1, 0)),
    "last": ("int64", (4,), (2, 0, 2, 1)),
    "places": ("int64", (2, 3), (1, 0, 1, 0, 1, 1)),
}


@dataclass(frozen=True)
class TypeNamed:
    """An element type as an argument."""

    name: str

    def build(self) -> torch.dtype:
        """The type."""
        found: torch.dtype = getattr(torch, self.name)
        return found

    def code(self) -> str:
        """Plain torch."""
        return f"torch.{self.name}"

    @property
    def array(self) -> np.dtype:
        """What NumPy calls it."""
        return np.dtype(self.name)


def made(value: Any) -> Any:
    """A tensor for a plan, also within a tuple; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(made(x) for x in value)
    return value.build() if isinstance(value, Strided | TypeNamed) else value


def written_out(value: Any) -> str:
    """An argument as plain torch."""
    if isinstance(value, tuple):
        return "(" + ", ".join(written_out(x) for x in value) + ("," if len(value) == 1 else "") + ")"
    return value.code() if isinstance(value, Strided | TypeNamed) else repr(value)


@cache
def form_operand(name: str, device: str) -> Strided:
    """A tensor that the catalogue names."""
    dtype, shape, data, *layout = FORM_OPERANDS[name]
    return strided(dtype, shape, layout[0] if layout else "contiguous", data, device)


def form_argument(value: Any, device: str) -> Any:
    """An argument as a row writes it: the name of a tensor, a list of arguments, or a number."""
    if isinstance(value, list | tuple):
        return tuple(form_argument(x, device) for x in value)
    return form_operand(value, device) if value in FORM_OPERANDS else value


def form_arguments(form: Any, device: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a form."""
    named = {key: TypeNamed(x) if key == "dtype" else form_argument(x, device) for key, x in form.keywords.items()}
    return tuple(form_argument(x, device) for x in form.args), named
