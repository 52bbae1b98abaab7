"""Tensor plans: what a tensor is to be, down to the bytes of its storage, before torch is asked for it.

A ``Strided`` plan prints itself as executable Python, knows its values as a NumPy array that torch never
touched, and builds the tensor by writing bytes into fresh memory, so that no operation under test takes part
in making its input.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, encode
from conformance.inputs.layouts import REPEATING, place, places, row_major
from conformance.inputs.values import values

GUARD = 0xA5  # fills every byte of the storage that no element of the tensor owns


@dataclass(frozen=True, eq=False)
class Strided:
    """A strided tensor of ``shape`` in a guarded storage.

    ``data`` holds the elements in row-major order and is repeated as often as the shape needs; ``stride`` and
    ``offset`` count elements; ``size`` is the number of elements that the storage holds.
    """

    dtype: str
    shape: tuple[int, ...]
    data: tuple[Any, ...]
    stride: tuple[int, ...] | None = None
    offset: int = 0
    size: int | None = None
    device: str = "cpu"
    layout: str = "contiguous"

    def __repr__(self) -> str:
        parts = [repr(self.dtype), repr(self.shape), _literal(self.data)]
        parts += [f"stride={self.stride}"] if self.stride is not None else []
        parts += [f"offset={self.offset}"] if self.offset else []
        parts += [f"size={self.size}"] if self.size is not None else []
        parts += [f"device={self.device!r}"] if self.device != "cpu" else []
        parts += [f"layout={self.layout!r}"] if self.layout != "contiguous" else []
        return f"Strided({', '.join(parts)})"

    @cached_property
    def array(self) -> np.ndarray:
        """The values, in the element type's carrier and of this shape, as NumPy has them."""
        carrier = ELEMENT_TYPES[self.dtype].carrier
        count = prod(self.shape)
        if not count:
            return np.zeros(self.shape, carrier)
        numbers = np.array(self.data, dtype=carrier)
        if len(numbers) < count:
            numbers = np.tile(numbers, -(-count // len(numbers)))
        return numbers[:count].reshape(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides in elements, also where the plan left them to the row-major default."""
        return row_major(self.shape) if self.stride is None else self.stride

    @property
    def places(self) -> np.ndarray:
        """Storage index of each element, row-major."""
        return places(self.shape, self.strides, self.offset)

    @property
    def storage(self) -> bytes:
        """Every byte of the storage: guards, and the elements in their places."""
        return self._memory[0]

    @property
    def _plain(self) -> bool:
        return self.stride is None and not self.offset and self.size is None

    @cached_property
    def _memory(self) -> tuple[bytes, int, tuple[int, ...], bool]:
        """The storage's bytes, how many, the shape of the tensor that owns them, and whether it is this one.

        One property for what could be four: most plans are built once, and each cached property costs as much as
        making the tensor.
        """
        elements = encode(self.array, self.dtype)
        if self._plain:
            return elements, len(elements), self.shape, True
        word = ELEMENT_TYPES[self.dtype].itemsize
        count = prod(self.shape) if self.size is None else self.size
        # other bytes than 0 and 1 are no valid bool
        memory = np.full(count * word, 1 if self.dtype == "bool" else GUARD, np.uint8)
        memory.view(f"V{word}")[self.places] = np.frombuffer(elements, f"V{word}")
        storage = memory.tobytes()
        return storage, len(storage), (count,), False

    def build(self) -> torch.Tensor:
        """A new tensor as planned; a view of a larger 1-D tensor unless it is contiguous and fills its storage."""
        memory, length, shape, plain = self._memory
        tensor = torch.empty(shape, dtype=getattr(torch, self.dtype))
        ctypes.memmove(tensor.data_ptr(), memory, length)
        if self.device != "cpu":
            tensor = tensor.to(self.device)
        return tensor if plain else tensor.as_strided(self.shape, self.strides, self.offset)

    def code(self) -> str:
        """One expression of plain torch that makes the same tensor, without the guards' exact bytes."""
        dtype = f"torch.{self.dtype}"
        device = f", device={self.device!r}" if self.device != "cpu" else ""
        if self._plain:
            if prod(self.shape) > len(self.data):
                filled = f"torch.tensor({_literal(self.data)}, dtype={dtype}{device})"
                count = prod(self.shape)
                return f"{filled}.repeat({-(-count // len(self.data))})[:{count}].reshape({self.shape})"
            nested = "[]" if not prod(self.shape) else _nested(self.array.tolist())
            made = f"torch.tensor({nested}, dtype={dtype}{device})"
            return made if prod(self.shape) else f"torch.empty({self.shape}, dtype={dtype}{device})"
        count = prod(self.shape) if self.size is None else self.size
        spots = f"({self.shape}, {self.strides}, {self.offset})"
        if prod(self.shape) > 64 and len(np.unique(self.places)) == prod(self.shape):
            filled = f"torch.tensor({_literal(self.data)}, dtype={dtype}{device})"
            times = -(-prod(self.shape) // len(self.data))
            numbers = f"{filled}.repeat({times})[:{prod(self.shape)}].reshape({self.shape})"
            base = f"torch.zeros({count}, dtype={dtype}{device})"
            # not copy_, after which the version would not be 0
            return f"torch.as_strided_scatter({base}, {numbers}, {spots[1:-1]}).as_strided{spots}"
        flat: list[Any] = [0] * count
        for index, value in zip(self.places.tolist(), self.array.ravel().tolist(), strict=True):
            flat[index] = value
        base = f"torch.tensor({_nested(flat)}, dtype={dtype}{device})"
        return f"{base}.as_strided{spots}"

    def facets(self) -> dict[str, str]:
        """What evidence counts of this plan."""
        return {"dtypes": self.dtype, "layouts": self.layout, "shapes": self._shape_text}

    @cached_property
    def _shape_text(self) -> str:
        return str(self.shape)

    def reductions(self) -> Iterator[Strided]:
        """Simpler plans of the same element type, the boldest simplification first."""
        if self.layout != "contiguous":
            yield replace(self, stride=None, offset=0, size=None, layout="contiguous")
        for axis, extent in enumerate(self.shape):
            for smaller in sorted({0, 1, 2, extent // 2, extent - 1}):
                if 0 <= smaller < extent:
                    shape = (*self.shape[:axis], smaller, *self.shape[axis + 1 :])
                    yield strided(self.dtype, shape, self.layout, self.data, device=self.device)
        simple = values(self.dtype, "zeros")[0], values(self.dtype, "ordinary")[0]
        for plain in simple:
            if all(repr(x) == repr(plain) for x in self.data):
                break  # as simple as can be: going on would lead from zero to one and back again
            yield replace(self, data=(plain,))
        if 1 < len(self.data) <= 32:
            for index, value in enumerate(self.data):
                for plain in simple:
                    if repr(value) == repr(plain):
                        break
                    yield replace(self, data=(*self.data[:index], plain, *self.data[index + 1 :]))


def strided(
    dtype: str, shape: tuple[int, ...], layout: str = "contiguous", data: tuple[Any, ...] = (1,), device: str = "cpu"
) -> Strided:
    """Plan of ``shape`` in a named layout (see ``layouts.place``)."""
    spot = place(shape, layout)
    count = prod(shape)
    data = data[:count] if 0 < count < len(data) else data
    if spot.layout == "contiguous":
        return Strided(dtype, shape, data, device=device)
    if spot.layout in REPEATING:
        data = _repeating(dtype, shape, spot.stride, spot.offset, data)
    return Strided(dtype, shape, data, spot.stride, spot.offset, spot.size, device, spot.layout)


@cache
def corner(
    dtype: str, shape: tuple[int, ...], layout: str, kind: str = "ordinary", domain: str = "any", device: str = "cpu",
    turn: int = 0,
) -> Strided:  # fmt: skip
    """The plan of one corner; made once a process. ``turn`` rotates the values, so that two operands differ."""
    data = values(dtype, kind, domain)
    start = turn % len(data)
    return strided(dtype, shape, layout, data[start:] + data[:start], device)


def _repeating(
    dtype: str, shape: tuple[int, ...], stride: tuple[int, ...], offset: int, data: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The values that a tensor really shows whose elements share places (the last written wins)."""
    carrier = ELEMENT_TYPES[dtype].carrier
    if not prod(shape):
        return data
    spots = np.array(places(shape, stride, offset))
    memory = np.zeros(int(spots.max()) + 1, carrier)
    memory[spots] = np.resize(np.array(data, dtype=carrier), spots.shape)
    return tuple(memory[spots].tolist())


def _literal(data: tuple[Any, ...]) -> str:
    return "(" + ", ".join(_number(x) for x in data) + ("," if len(data) == 1 else "") + ")"


def _nested(data: Any) -> str:
    return "[" + ", ".join(_nested(x) for x in data) + "]" if isinstance(data, list) else _number(data)


def _number(value: Any) -> str:
    if isinstance(value, complex):
        # a literal such as (-0-infj) would lose the sign of its zero
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float('{value}')"
    return repr(value)
