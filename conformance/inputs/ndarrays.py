"""NumPy array plans: what an array is to be, down to the bytes around it, before NumPy is asked for it.

An ``Array`` plan prints itself as executable Python and lies in a guarded buffer of its own, so that a check
can tell from addresses and bytes whether a tensor shares it.
References: https://numpy.org/doc/stable/reference/arrays.ndarray.html (strides, flags, byte order) and
https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from conformance.inputs.layouts import place, row_major
from conformance.inputs.tensors import GUARD

# Element types that torch.from_numpy documents, and those that later releases take besides.
LISTED = (
    "float64", "float32", "float16", "complex64", "complex128", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
UNLISTED = ("uint16", "uint32", "uint64")

# Layouts with strides that a tensor can have: whole elements, zero or forwards.
ARRAY_LAYOUTS = ("contiguous", "fortran", "stepped", "offset", "sliced", "field", "broadcast")


@dataclass(frozen=True, eq=False)
class Array:
    """An array of NumPy type ``dtype`` in a guarded buffer; ``strides``, ``offset`` and ``size`` count bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: tuple[Any, ...]
    strides: tuple[int, ...] | None = None
    offset: int = 0
    size: int | None = None
    writeable: bool = True
    layout: str = "contiguous"

    def __repr__(self) -> str:
        parts = [repr(self.dtype), repr(self.shape), literal(self.data)]
        parts += [f"strides={self.strides}"] if self.strides is not None else []
        parts += [f"offset={self.offset}"] if self.offset else []
        parts += [f"size={self.size}"] if self.size is not None else []
        parts += ["writeable=False"] if not self.writeable else []
        return f"Array({', '.join(parts)})"

    def build(self) -> np.ndarray:
        """A new array as planned, over a new buffer that is otherwise full of guard bytes."""
        dtype = np.dtype(self.dtype)
        if dtype.hasobject:
            return np.full(self.shape, self.data[0], dtype)
        size = prod(self.shape) * dtype.itemsize if self.size is None else self.size
        memory = np.full(size, 1 if dtype.kind == "b" else GUARD, np.uint8)
        array: np.ndarray = np.ndarray(self.shape, dtype, buffer=memory, offset=self.offset, strides=self.strides)
        if array.size and dtype.kind != "V":
            array[...] = np.resize(np.array(self.data, dtype=dtype), self.shape)
        array.flags.writeable = self.writeable
        return array

    @cached_property
    def array(self) -> np.ndarray:
        """The values that the array shows, as NumPy copies them into an array of its own."""
        return np.array(self.build(), dtype=np.dtype(self.dtype).newbyteorder("="), order="C", subok=False)

    def statements(self, name: str) -> list[str]:
        """Lines of plain NumPy that make the same array, without the guards, and call it ``name``."""
        dtype = f"np.dtype({self.dtype!r})"
        made = f"np.array({literal(self.data)}, {dtype})"
        if np.dtype(self.dtype).kind in "VO":
            return [f"{name} = np.zeros({self.shape}, {dtype})"]
        count: int = prod(self.shape)
        if self.shape != (len(self.data),):
            made = f"np.resize({made}, {self.shape})" if count else f"np.zeros({self.shape}, {dtype})"
        lines = [f"{name} = {made}"]
        if self.strides is not None or self.offset:
            size = count * np.dtype(self.dtype).itemsize if self.size is None else self.size
            memory = f"np.zeros({size}, np.uint8)"
            lines = [f"{name} = np.ndarray({self.shape}, {dtype}, {memory}, {self.offset}, {self.strides})"]
            lines += [f"{name}[...] = {made}"] if count else []
        return lines if self.writeable else [*lines, f"{name}.flags.writeable = False"]

    def code(self) -> str:
        """The same as one text, for an array called ``x``."""
        return "\n".join(self.statements("x"))

    def facets(self) -> dict[str, str]:
        """What evidence counts of this plan."""
        return {"dtypes": self.dtype, "layouts": self.layout, "shapes": str(self.shape)}

    def reductions(self) -> Iterator[Array]:
        """Simpler plans of the same element type; a layout that from_numpy cannot take stays."""
        taken = self.layout in ARRAY_LAYOUTS
        if taken and (self.strides is not None or self.offset):
            yield replace(self, strides=None, offset=0, size=None, layout="contiguous")
        for axis, extent in enumerate(self.shape):
            for smaller in sorted({0, 1, 2, extent - 1}):
                if 0 <= smaller < extent:
                    shape = (*self.shape[:axis], smaller, *self.shape[axis + 1 :])
                    simpler = array(self.dtype, shape, self.layout, self.data)
                    if taken or simpler.layout == self.layout:
                        yield simpler
        if len(self.data) > 1:
            yield replace(self, data=self.data[:1])


def array(dtype: str, shape: tuple[int, ...], layout: str = "contiguous", data: tuple[Any, ...] = (1,)) -> Array:
    """Plan of ``shape`` in a named layout.

    Beside the layouts of tensors (by NumPy's names ``fortran`` and ``broadcast``) there are: ``field`` (of a
    structured array, aligned), ``packed`` (of one whose records are no multiple of the field), ``unaligned``,
    ``reversed`` (last axis backwards), ``flipped`` (first axis backwards), ``turned`` (the one in the middle),
    ``swapped`` (foreign byte order) and ``readonly``, also before another (``readonly broadcast``, which is what
    ``np.broadcast_to`` gives). A layout that the shape cannot have falls back to the nearest one, and the plan names
    that one.
    """
    kind = np.dtype(dtype)
    itemsize, count = kind.itemsize, prod(shape)
    data = data[:count] if 0 < count < len(data) else data
    if layout in ("reversed", "flipped", "turned"):
        axis = {"reversed": len(shape) - 1, "flipped": 0, "turned": len(shape) // 2}[layout]
        if not shape or not count:
            return Array(dtype, shape, data)
        steps = [step * itemsize for step in row_major(shape)]
        steps[axis] = -steps[axis]
        return Array(
            dtype,
            shape,
            data,
            tuple(steps),
            -steps[axis] * (shape[axis] - 1),
            count * itemsize,
            layout=layout,
        )
    if layout in ("field", "packed"):
        record = 3 * itemsize if layout == "field" else itemsize + 1
        if not shape or (layout == "packed" and itemsize == 1):
            return array(dtype, shape, "offset", data)
        steps = [step * record for step in row_major(shape)]
        return Array(dtype, shape, data, tuple(steps), record - itemsize, (count + 1) * record, layout=layout)
    if layout == "unaligned":
        if itemsize == 1:
            return array(dtype, shape, "offset", data)
        return Array(dtype, shape, data, None, 1, count * itemsize + 3, layout=layout)
    if layout == "swapped":
        swapped = kind if not kind.isnative else kind.newbyteorder()
        return Array(swapped.str, shape, data, layout=layout)
    sealed, _, within = layout.partition(" ")
    if sealed == "readonly":
        plan = array(dtype, shape, within or "contiguous", data)
        name = sealed if plan.layout == "contiguous" else f"{sealed} {plan.layout}"
        return replace(plan, writeable=False, layout=name)
    spot = place(shape, {"fortran": "transposed", "broadcast": "expanded"}.get(layout, layout))
    if spot.layout == "contiguous":
        return Array(dtype, shape, data)
    stride = tuple(step * itemsize for step in spot.stride)
    name = {"transposed": "fortran", "expanded": "broadcast"}.get(spot.layout, spot.layout)
    return Array(dtype, shape, data, stride, spot.offset * itemsize, spot.size * itemsize, layout=name)


def literal(value: Any) -> str:
    """Executable text of nested Python numbers: NaN, infinities and the sign of every zero survive."""
    if isinstance(value, tuple):
        return "(" + ", ".join(literal(x) for x in value) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(literal(x) for x in value) + "]"
    if isinstance(value, complex):
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float('{value}')"
    return repr(value)
