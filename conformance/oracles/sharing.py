"""Sharing: whether two objects lie in the same memory, told from addresses, strides and writes.

Neither side is asked: where an element lies is worked out from its address and strides, what is there is read
as bytes, and a write through either side must be found there by the other.
"""

from __future__ import annotations

import ctypes
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, decode, dtype_name, encode
from conformance.oracles import memory
from conformance.oracles.expect import Mismatch


def address_of(array: np.ndarray) -> int:
    """Address of an array's first element."""
    address: int = array.__array_interface__["data"][0]
    return address


def span_of(holder: Any) -> tuple[int, int]:
    """First address and length in bytes of all that an array's elements, or a tensor's storage, take up."""
    if isinstance(holder, torch.Tensor):
        storage = memory.storage_of(holder)
        return storage.data_ptr(), storage.nbytes()
    low = high = address_of(holder)
    if not holder.size:
        return low, 0
    for extent, step in zip(holder.shape, holder.strides, strict=True):
        low, high = (low + step * (extent - 1), high) if step < 0 else (low, high + step * (extent - 1))
    return low, high - low + holder.itemsize


def array_and_tensor(array: np.ndarray, tensor: Any, what: str) -> None:
    """Expect ``tensor`` (on the CPU) and ``array`` to be one: element type, shape, place, and writes either way."""
    name = array.dtype.name
    if not isinstance(tensor, torch.Tensor):
        raise Mismatch(what, "a tensor", f"{tensor!r} ({type(tensor).__name__})")
    if dtype_name(tensor.dtype) != name:
        raise Mismatch(what, f"element type {name}", f"element type {dtype_name(tensor.dtype)}")
    if tuple(tensor.shape) != array.shape:
        raise Mismatch(what, f"shape {array.shape}", f"shape {tuple(tensor.shape)}")
    if tensor.device.type != "cpu":
        raise Mismatch(what, "a tensor on the CPU, where the array is", f"a tensor on {tensor.device}")
    if not array.size:
        return
    steps = tuple(step * array.itemsize for step in tensor.stride())
    same_place(address_of(array), array.strides, tensor.data_ptr(), steps, array.shape, what)
    for index in some_indices(array.shape):
        at = address_of(array) + sum(i * step for i, step in zip(index, array.strides, strict=True))
        tensor[index], written = another(name, ctypes.string_at(at, array.itemsize))
        _arrives(
            written,
            ctypes.string_at(at, array.itemsize),
            f"{what}: write through the tensor",
        )
        if array.flags.writeable:
            array[index] = value = another(name, ctypes.string_at(at, array.itemsize))[0]
            found = np.array(tensor[index].item(), ELEMENT_TYPES[name].carrier)
            memory.same_elements(np.array(value, found.dtype), found, f"{what}: write through the array at {index}")


def two_tensors(first: torch.Tensor, second: Any, what: str) -> None:
    """Expect ``second`` to be another handle of ``first``'s elements: type, shape, place, and writes either way."""
    like(first, second, what)
    if not first.numel():
        return
    size = ELEMENT_TYPES[dtype_name(first.dtype)].itemsize
    steps = [tuple(step * size for step in tensor.stride()) for tensor in (first, second)]
    same_place(first.data_ptr(), steps[0], second.data_ptr(), steps[1], tuple(first.shape), what)
    with torch.no_grad():
        writes_arrive(first, second, what)


def writes_arrive(first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    """Expect what is written through either tensor to be read, at the same index, in the other's memory."""
    name = dtype_name(first.dtype)
    for index in some_indices(tuple(first.shape)):
        for writer, reader, side in ((second, first, "result"), (first, second, "input")):
            value, written = another(name, element_bytes(reader, index))
            writer.detach()[index] = value
            if element_bytes(reader, index) != written:
                expected = np.array(value, ELEMENT_TYPES[name].carrier)
                memory.same_elements(expected, element(reader, index), f"{what}: write through the {side} at {index}")


def one_memory(source: Any, found: Any, what: str) -> None:
    """Expect ``found`` to share the memory of ``source``, an array or a tensor."""
    (array_and_tensor if isinstance(source, np.ndarray) else two_tensors)(source, found, what)


def shows(expected: np.ndarray, dtype: str, found: Any, what: str) -> None:
    """Expect ``found`` to be a tensor of element type ``dtype`` with the shape and the values of ``expected``."""
    if not isinstance(found, torch.Tensor):
        raise Mismatch(what, "a tensor", f"{found!r} ({type(found).__name__})")
    if dtype_name(found.dtype) != dtype:
        raise Mismatch(what, f"element type {dtype}", f"element type {dtype_name(found.dtype)}")
    memory.same_elements(np.asarray(expected, ELEMENT_TYPES[dtype].carrier), memory.contents(found), what)


def like(expected: torch.Tensor, found: Any, what: str) -> None:
    """Expect ``found`` to be a tensor of ``expected``'s element type, shape and device."""
    if not isinstance(found, torch.Tensor):
        raise Mismatch(what, "a tensor", f"{found!r} ({type(found).__name__})")
    for noun, wanted, got in (
        ("element type", expected.dtype, found.dtype),
        ("shape", tuple(expected.shape), tuple(found.shape)),
        ("device", expected.device, found.device),
    ):
        if wanted != got:
            raise Mismatch(what, f"{noun} {wanted}", f"{noun} {got}")


def apart(source: Any, result: Any, what: str) -> None:
    """Expect two holders (arrays or tensors) to have no byte in common, and no write to pass between them."""
    first, second = span_of(source), span_of(result)
    if first[1] and second[1]:
        memory.shares(False, first, second, what)
    before = bytes_of(source)
    _scribble(result)
    memory.same_bytes(before, bytes_of(source), f"{what}: the input after a write to the result")
    before = bytes_of(result)
    _scribble(source)
    memory.same_bytes(before, bytes_of(result), f"{what}: the result after a write to the input")


def bytes_of(holder: Any) -> bytes:
    """Every byte of an array's span or of a tensor's storage."""
    if isinstance(holder, torch.Tensor):
        return memory.storage_bytes(holder)
    return ctypes.string_at(*span_of(holder)) if holder.size else b""


def same_place(
    address: int,
    steps: tuple[int, ...],
    other_address: int,
    other_steps: tuple[int, ...],
    shape: tuple[int, ...],
    what: str,
) -> None:
    """Expect two grids of elements to lie at the same addresses; a step along an extent of 1 leads nowhere."""
    if address != other_address:
        raise Mismatch(
            what,
            "memory shared",
            "another address",
            "the first element",
        )
    for axis, extent in enumerate(shape):
        if extent > 1 and steps[axis] != other_steps[axis]:
            raise Mismatch(what, f"steps of {steps} bytes", f"steps of {other_steps} bytes", f"axis {axis}")


@cache
def some_indices(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The first and the last index of a shape, and one in between; none where it has no element."""
    count = prod(shape)
    flat = sorted({0, count // 2, count - 1}) if count else []
    return tuple(tuple(int(i) for i in np.unravel_index(number, shape)) if shape else () for number in flat)


def element(tensor: torch.Tensor, index: tuple[int, ...]) -> np.ndarray:
    """One element, read from the memory as a 0-d carrier array; conjugate and negative bits are applied."""
    if tensor.device.type != "cpu":
        return np.asarray(memory.contents(tensor)[index])
    found = decode(_bytes_at(tensor, index), dtype_name(tensor.dtype)).reshape(())
    found = -found if tensor.is_neg() else found
    return np.asarray(found.conj() if tensor.is_conj() else found)


def _bytes_at(tensor: torch.Tensor, index: tuple[int, ...]) -> bytes:
    size = ELEMENT_TYPES[dtype_name(tensor.dtype)].itemsize
    steps = sum(i * step for i, step in zip(index, tensor.stride(), strict=True))
    return ctypes.string_at(tensor.data_ptr() + size * steps, size)


def another(name: str, there: bytes) -> tuple[Any, bytes]:
    """A number that is not the one whose bytes are ``there``, and its bytes."""
    one, other = _two_numbers(name)
    return other if one[1] == there else one


@cache
def _two_numbers(name: str) -> tuple[tuple[Any, bytes], tuple[Any, bytes]]:
    """Two numbers of an element type and their bytes."""
    kind = ELEMENT_TYPES[name].kind
    one, other = {"bool": (True, False), "complex": (1 + 2j, 3 - 1j), "floating": (1.5, -2.5)}.get(kind, (3, 5))
    return (one, encode(np.array(one), name)), (other, encode(np.array(other), name))


def _arrives(expected: bytes, found: bytes, what: str) -> None:
    if expected != found:
        raise Mismatch(what, f"bytes {expected.hex(' ')} in the array", f"bytes {found.hex(' ')}")


def _scribble(holder: Any) -> None:
    """Write another number into the first and the last element."""
    if isinstance(holder, np.ndarray):
        if holder.flags.writeable:
            for index in some_indices(holder.shape):
                holder[index] = 1 if holder[index] != 1 else 0
        return
    with torch.no_grad():
        plain = holder.detach()
        for index in some_indices(tuple(holder.shape)):
            plain[index] = another(dtype_name(holder.dtype), element_bytes(holder, index))[0]


def same_grid(first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    """Expect two tensors of one element type to lie at the same addresses, whatever bits are set on them."""
    size = ELEMENT_TYPES[dtype_name(first.dtype)].itemsize
    steps = [tuple(step * size for step in tensor.stride()) for tensor in (first, second)]
    if first.numel():
        same_place(first.data_ptr(), steps[0], second.data_ptr(), steps[1], tuple(first.shape), what)


def element_bytes(tensor: torch.Tensor, index: tuple[int, ...]) -> bytes:
    """The bytes of one element, as its values are shown."""
    plain = tensor.device.type == "cpu" and tensor.dtype != torch.bool
    if plain and not tensor.is_neg() and not tensor.is_conj():
        return _bytes_at(tensor, index)
    return encode(element(tensor, index), dtype_name(tensor.dtype))
