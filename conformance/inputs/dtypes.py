"""Element types: what each is, and how its values are carried by NumPy and laid down in bytes.

Values never pass through torch on their way into or out of memory: a carrier is the NumPy type that
represents every value of the element type exactly (bfloat16 is carried by float32, complex32 by
complex64), and ``encode`` and ``decode`` translate between carriers and the bytes of the memory.
Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-dtype
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch


@dataclass(frozen=True)
class ElementType:
    """One element type: torch's name of it, its kind, its size in bytes and its NumPy carrier."""

    name: str
    kind: str  # bool, unsigned, signed, floating, complex
    itemsize: int
    carrier: str
    mantissa: int = 0  # explicit mantissa bits of a floating type (of the parts of a complex one)
    min_exponent: int = 0  # exponent of the smallest normal number

    @property
    def has_numpy_twin(self) -> bool:
        """Whether NumPy has this very type, so that carrier and memory agree."""
        return self.name not in ("bfloat16", "complex32")


ELEMENT_TYPES = {
    element.name: element
    for element in (
        ElementType("bool", "bool", 1, "bool"),
        ElementType("uint8", "unsigned", 1, "uint8"),
        ElementType("uint16", "unsigned", 2, "uint16"),
        ElementType("uint32", "unsigned", 4, "uint32"),
        ElementType("uint64", "unsigned", 8, "uint64"),
        ElementType("int8", "signed", 1, "int8"),
        ElementType("int16", "signed", 2, "int16"),
        ElementType("int32", "signed", 4, "int32"),
        ElementType("int64", "signed", 8, "int64"),
        ElementType("float16", "floating", 2, "float16", 10, -14),
        ElementType("bfloat16", "floating", 2, "float32", 7, -126),
        ElementType("float32", "floating", 4, "float32", 23, -126),
        ElementType("float64", "floating", 8, "float64", 52, -1022),
        ElementType("complex32", "complex", 4, "complex64", 10, -14),
        ElementType("complex64", "complex", 8, "complex64", 23, -126),
        ElementType("complex128", "complex", 16, "complex128", 52, -1022),
    )
}

# Type families as a catalogue row names them. ``uint16`` to ``uint64`` have "limited support" by the
# documentation, and complex32 is experimental: both are families of their own, named only where promised.
FAMILIES = {
    "bool": ("bool",),
    "integral": ("uint8", "int8", "int16", "int32", "int64"),
    "barebones": ("uint16", "uint32", "uint64"),
    "floating": ("float16", "bfloat16", "float32", "float64"),
    "complex": ("complex64", "complex128"),
    "half-complex": ("complex32",),
}


def family(*names: str) -> tuple[str, ...]:
    """Names of the element types in the families (or element types) named, as far as this build has them."""
    found = [element for name in names for element in FAMILIES.get(name, (name,))]
    return tuple(dict.fromkeys(element for element in found if hasattr(torch, element)))


def torch_dtype(name: str) -> torch.dtype:
    """``torch.<name>`` of the build under test."""
    dtype: torch.dtype = getattr(torch, name)
    return dtype


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """``"int16"`` of ``torch.int16``."""
    return str(dtype).removeprefix("torch.")


def encode(values: np.ndarray, name: str) -> bytes:
    """Bytes of ``values`` (any shape, in row-major order) as element type ``name``."""
    carried = np.ascontiguousarray(values, dtype=ELEMENT_TYPES[name].carrier)
    if name == "bfloat16":
        return _bfloat16_bits(carried).tobytes()
    if name == "complex32":
        return carried.view(np.float32).astype(np.float16).tobytes()
    return carried.tobytes()


def decode(memory: bytes, name: str) -> np.ndarray:
    """1-D carrier array of the elements that lie in ``memory``."""
    if name == "bfloat16":
        return (np.frombuffer(memory, np.uint16).astype(np.uint32) << 16).view(np.float32)
    if name == "complex32":
        return np.frombuffer(memory, np.float16).astype(np.float32).view(np.complex64)
    if name == "bool":
        return np.asarray(np.frombuffer(memory, np.uint8) != 0)
    return np.frombuffer(memory, ELEMENT_TYPES[name].carrier).copy()


def representable(values: np.ndarray, name: str) -> np.ndarray:
    """``values`` rounded to element type ``name`` (ties to even), in its carrier, with the same shape."""
    with np.errstate(all="ignore"):
        carried = np.asarray(values).astype(ELEMENT_TYPES[name].carrier)
    if ELEMENT_TYPES[name].has_numpy_twin:
        return carried
    return decode(encode(carried, name), name).reshape(np.shape(values))


def _bfloat16_bits(values: np.ndarray) -> np.ndarray:
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    # rounding up the payload of a NaN could carry into an infinity, so NaN is cut instead, kept quiet
    cut = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), cut, rounded).astype(np.uint16)


@cache
def limits(name: str) -> tuple[float, float]:
    """Smallest and largest finite value of an integral or floating element type."""
    element = ELEMENT_TYPES[name]
    if element.kind in ("unsigned", "signed"):
        info = np.iinfo(element.carrier)
        return int(info.min), int(info.max)
    if name == "bfloat16":
        largest = float(np.array([0x7F7F0000], np.uint32).view(np.float32)[0])
        return -largest, largest
    info_f = np.finfo(element.carrier)
    return float(info_f.min), float(info_f.max)
