"""What crosses the bridge beside arrays and plain tensors: lazy views, autograd states, buffers, Python data.

A plan builds its input afresh (``build``) and knows its values as NumPy has them (``array``). ``Applied`` is a
plan with the expression that a check is to evaluate on it; the expression is the very text that people read.
"""

from __future__ import annotations

import array as arrays
import ctypes
import mmap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from conformance.inputs.ndarrays import Array, literal
from conformance.inputs.tensors import Strided

# every plan that a case may name
__all__ = ["Applied", "Array", "Buffer", "Data", "Excerpt", "Scalar", "Seen", "Strided"]

# How a planned tensor may be looked at: conjugated lazily, one part of it, and in which state of autograd.
STEPS: dict[str, Callable[[Any], Any]] = {
    "conj()": lambda x: x.conj(),
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "requires_grad_()": lambda x: x.requires_grad_(),
    "view_as(x)": lambda x: x.view_as(x),
    "detach()": lambda x: x.detach(),
    "clone()": lambda x: x.clone(),
    "Parameter": lambda x: torch.nn.Parameter(x),
    "to_sparse()": lambda x: x.to_sparse(),
    "to_sparse_csr()": lambda x: x.to_sparse_csr(),
    "to_sparse_csc()": lambda x: x.to_sparse_csc(),
    "to_mkldnn()": lambda x: x.to_mkldnn(),
    "to(torch.float8_e4m3fn)": lambda x: x.to(torch.float8_e4m3fn),
    "to('meta')": lambda x: x.to("meta"),
}
PART_TYPES = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}


@dataclass(frozen=True, eq=False)
class Seen:
    """The tensor of ``base`` seen through views and states, one after the other: ``("conj()", "imag")``.

    ``("requires_grad_()", "view_as(x)")`` is a tensor with a history that still lies where the base lies.
    """

    base: Strided
    steps: tuple[str, ...]

    @property
    def dtype(self) -> str:
        """Element type of what is seen."""
        taken = "real" in self.steps or "imag" in self.steps
        return PART_TYPES.get(self.base.dtype, self.base.dtype) if taken else self.base.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is seen."""
        return self.base.shape

    @property
    def device(self) -> str:
        """Device of what is seen."""
        return self.base.device

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the tensor that is seen."""
        return self.base.strides

    @property
    def array(self) -> np.ndarray:
        """The values that are seen, by NumPy."""
        found = self.base.array
        for step in self.steps:
            found = found.conj() if step == "conj()" else getattr(found, step) if step in ("real", "imag") else found
        return np.ascontiguousarray(found).reshape(self.base.shape)

    def build(self) -> torch.Tensor:
        """The tensor, over fresh memory."""
        tensor = self.base.build()
        for step in self.steps:
            tensor = STEPS[step](tensor)
        return tensor

    def statements(self, name: str) -> list[str]:
        """Lines of plain torch that make the same tensor."""
        made = [f"{name} = {self.base.code()}"]
        calls = ["torch.nn.Parameter(x)" if step == "Parameter" else f"x.{step}" for step in self.steps]
        return made + [f"{name} = {call.replace('x', name)}" if name != "x" else f"x = {call}" for call in calls]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this plan."""
        return {**self.base.facets(), "views": ".".join(self.steps)}

    def reductions(self) -> Iterator[Seen]:
        """The same views of simpler tensors."""
        for base in self.base.reductions():
            yield replace(self, base=base)

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join(self.statements("x"))


@dataclass(frozen=True, eq=False)
class Buffer:
    """An object of Python's buffer protocol that holds ``memory``: a bytearray, an array.array, …

    ``matrix`` and ``cast`` have two dimensions, ``words`` elements of two bytes, where the number of bytes is even.
    """

    kind: str
    memory: bytes

    def build(self) -> Any:
        """A new object; ``bytes`` and ``readonly`` must not be written."""
        if self.kind == "bytearray":
            return bytearray(self.memory)
        if self.kind == "memoryview":
            return memoryview(bytearray(b"?" + self.memory))[1:]
        if self.kind == "array":
            return arrays.array("B", self.memory)
        if self.kind == "ctypes":
            return (ctypes.c_uint8 * len(self.memory)).from_buffer_copy(self.memory)
        if self.kind == "ndarray":
            return np.frombuffer(bytearray(self.memory), np.uint8)
        if self.kind == "matrix":
            return np.frombuffer(bytearray(self.memory), np.uint8).reshape(_rows(self.memory), -1)
        if self.kind == "cast":
            rows = _rows(self.memory)
            return memoryview(bytearray(self.memory)).cast("B", (rows, len(self.memory) // rows))
        if self.kind == "mmap":
            mapped = mmap.mmap(-1, len(self.memory))
            mapped[:] = self.memory
            return mapped
        if self.kind == "words":
            return arrays.array("bh"[_rows(self.memory) == 2], self.memory)
        if self.kind == "readonly":
            return memoryview(self.memory)
        return self.memory

    def statements(self, name: str) -> list[str]:
        """Lines of plain Python that make the same object."""
        text = {
            "bytearray": "bytearray({0!r})",
            "memoryview": "memoryview(bytearray(b'?' + {0!r}))[1:]",
            "array": "__import__('array').array('B', {0!r})",
            "ctypes": "(__import__('ctypes').c_uint8 * {1}).from_buffer_copy({0!r})",
            "ndarray": "np.frombuffer(bytearray({0!r}), np.uint8)",
            "matrix": "np.frombuffer(bytearray({0!r}), np.uint8).reshape({2}, -1)",
            "cast": "memoryview(bytearray({0!r})).cast('B', ({2}, {3}))",
            "mmap": "(lambda m, b: (m.write(b), m)[1])(__import__('mmap').mmap(-1, {1}), {0!r})",
            "words": "__import__('array').array({4!r}, {0!r})",
            "readonly": "memoryview({0!r})",
        }.get(self.kind, "{0!r}")
        size, rows = len(self.memory), _rows(self.memory)
        return [f"{name} = {text.format(self.memory, size, rows, size // rows, 'bh'[rows == 2])}"]

    def facets(self) -> dict[str, str]:
        """What evidence counts of this plan."""
        return {"buffers": self.kind, "shapes": f"{len(self.memory)} bytes"}

    def reductions(self) -> Iterator[Buffer]:
        """A plainer kind of buffer with the same bytes."""
        if self.kind not in ("bytearray", "bytes", "readonly"):
            yield replace(self, kind="bytearray")

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join(self.statements("x"))


def _rows(memory: bytes) -> int:
    """How many rows of equal length the bytes are cut into."""
    return 1 if len(memory) % 2 else 2


@dataclass(frozen=True, eq=False)
class Data:
    """Plain Python data: a number, or nested lists and tuples of numbers."""

    value: Any

    def __repr__(self) -> str:
        return f"Data({literal(self.value)})"

    def build(self) -> Any:
        """The data itself."""
        return self.value

    def statements(self, name: str) -> list[str]:
        """The line that writes it down."""
        return [f"{name} = {literal(self.value)}"]

    def facets(self) -> dict[str, str]:
        """What evidence counts of this plan."""
        return {"shapes": str(nesting_of(self.value))}

    def reductions(self) -> Iterator[Data]:
        """One element of a list or tuple, or the whole without one of its elements."""
        if isinstance(self.value, list | tuple):
            yield from (Data(element) for element in self.value)
            for left_out in range(len(self.value)):
                yield Data(type(self.value)(x for number, x in enumerate(self.value) if number != left_out))

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join(self.statements("x"))


def nesting_of(value: Any) -> tuple[int, ...]:
    """How long nested data are along each dimension, told from the first element of each."""
    if not isinstance(value, list | tuple | range):
        return ()
    return (len(value), *(nesting_of(value[0]) if value else ()))


@dataclass(frozen=True, eq=False)
class Scalar:
    """A NumPy scalar: ``Scalar('uint8', 200)`` is ``np.uint8(200)``."""

    dtype: str
    value: Any

    def __repr__(self) -> str:
        return f"Scalar({self.dtype!r}, {literal(self.value)})"

    @property
    def array(self) -> np.ndarray:
        """The value as a 0-d array."""
        return np.array(self.value, self.dtype)

    def build(self) -> Any:
        """The scalar."""
        return self.array[()]

    def statements(self, name: str) -> list[str]:
        """The line that writes it down."""
        return [f"{name} = np.dtype({self.dtype!r}).type({literal(self.value)})"]

    def facets(self) -> dict[str, str]:
        """What evidence counts of this plan."""
        return {"dtypes": self.dtype}

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join(self.statements("x"))


@dataclass(frozen=True, eq=False)
class Applied:
    """A planned input ``x`` and the expression to evaluate on it, such as ``x.to(torch.int16)``.

    In the expression ``torch``, ``np`` and ``types`` stand for the modules and ``x`` for the input. ``dtype`` names the
    element type that the documentation promises of the result, where a check asks for it. An ``exact`` case is
    in the statement's scope as it stands, and no simpler one need be.
    """

    plan: Any
    expression: str
    dtype: str = ""
    exact: bool = False

    def __repr__(self) -> str:
        parts = [repr(self.plan), repr(self.expression)] + ([repr(self.dtype)] if self.dtype else [])
        return f"{type(self).__name__}({', '.join(parts + (['exact=True'] if self.exact else []))})"

    def build(self) -> Any:
        """The input, over fresh memory."""
        return self.plan.build()

    def on(self, x: Any) -> Any:
        """Evaluate the expression on ``x``."""
        return eval(_compiled(self.expression), {"torch": torch, "np": np, "types": types, "x": x})

    def code(self) -> str:
        """The input and the call, in plain torch."""
        made = self.plan.statements("x") if hasattr(self.plan, "statements") else [f"x = {self.plan.code()}"]
        imports = ["import types"] if "types." in self.expression else []
        return "\n".join([*imports, *made, f"found = {self.expression}"])

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.expression}

    def reductions(self) -> Iterator[Applied]:
        """The same call of simpler inputs."""
        for plan in self.plan.reductions() if hasattr(self.plan, "reductions") and not self.exact else ():
            yield replace(self, plan=plan)


@cache
def _compiled(expression: str) -> Any:
    return compile(expression, expression, "eval")


@dataclass(frozen=True, eq=False)
class Excerpt(Applied):
    """A call that reads ``count`` elements (all that are left if negative) of a buffer from ``offset`` bytes on."""

    offset: int = 0
    count: int = -1

    def __repr__(self) -> str:
        parts = f"{self.plan!r}, {self.expression!r}, {self.dtype!r}"
        return f"Excerpt({parts}, offset={self.offset}, count={self.count})"
