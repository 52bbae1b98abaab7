"""Memory: addresses and bytes, read without any operation of the build under test.

On the CPU the bytes are read where they lie; on another device the whole storage is first copied to the CPU,
which is the one operation that is trusted there.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, decode, dtype_name
from conformance.inputs.layouts import places
from conformance.oracles.expect import Mismatch


def storage_of(tensor: torch.Tensor) -> Any:
    """The untyped storage, by its name in releases before and after 2.0."""
    if hasattr(tensor, "untyped_storage"):
        return tensor.untyped_storage()
    return tensor.storage()._untyped() if hasattr(tensor.storage(), "_untyped") else tensor.storage().untyped()


def storage_address(tensor: torch.Tensor) -> int:
    """Address of the first byte of the storage."""
    address: int = storage_of(tensor).data_ptr()
    return address


def storage_bytes(tensor: torch.Tensor) -> bytes:
    """Every byte of the tensor's storage, guards included."""
    storage = storage_of(tensor)
    if tensor.device.type != "cpu":
        storage = storage.cpu()
    return ctypes.string_at(storage.data_ptr(), storage.nbytes())


def contents(tensor: torch.Tensor) -> np.ndarray:
    """The elements as a carrier array of the tensor's shape; conjugate and negative bits are applied."""
    name = dtype_name(tensor.dtype)
    memory = storage_bytes(tensor)
    if not tensor.numel():
        return np.zeros(tuple(tensor.shape), ELEMENT_TYPES[name].carrier)
    elements = decode(memory[: len(memory) // ELEMENT_TYPES[name].itemsize * ELEMENT_TYPES[name].itemsize], name)
    if tensor.is_contiguous():
        start = tensor.storage_offset()
        found = elements[start : start + tensor.numel()].reshape(tuple(tensor.shape))
    else:
        spots = places(tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())
        found = elements[spots].reshape(tuple(tensor.shape))
    if tensor.is_neg():
        found = -found
    return found.conj() if tensor.is_conj() else found


def guards(tensor: torch.Tensor, plan: Any) -> bytes:
    """The bytes of ``tensor``'s storage that no element of ``plan`` owns, in order."""
    itemsize = ELEMENT_TYPES[plan.dtype].itemsize
    memory = np.frombuffer(storage_bytes(tensor), np.uint8)
    owned = np.zeros(len(memory) // itemsize, bool)
    owned[plan.places] = True
    return memory[: len(owned) * itemsize].reshape(-1, itemsize)[~owned].tobytes()


def same_bytes(expected: bytes, found: bytes, what: str) -> None:
    """Expect two stretches of memory to be equal, bit for bit."""
    if expected != found:
        pairs = enumerate(zip(expected, found, strict=False))  # one may be longer
        first = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(found)))
        raise Mismatch(
            what, f"bytes {expected[first : first + 16].hex(' ')} …", f"bytes {found[first : first + 16].hex(' ')} …",
            f"byte {first} of {len(expected)}",
        )  # fmt: skip


def same_elements(expected: np.ndarray, found: np.ndarray, what: str) -> None:
    """Expect two arrays of one carrier to agree in shape and in every bit, but for the payload of a NaN."""
    if expected.shape != found.shape:
        raise Mismatch(what, f"shape {expected.shape}", f"shape {found.shape}")
    if expected.dtype != found.dtype:
        raise Mismatch(what, f"elements carried by {expected.dtype}", f"elements carried by {found.dtype}")
    if expected.tobytes() == found.tobytes():
        return
    equal = (expected == found) & _same_zero_sign(expected, found)
    if expected.dtype.kind in "fc":
        equal |= _both_nan(expected, found)
    if not equal.all():
        first = tuple(int(i) for i in np.argwhere(~equal)[0])
        raise Mismatch(what, repr(expected[first].item()), repr(found[first].item()), f"index {first}")


def _same_zero_sign(expected: np.ndarray, found: np.ndarray) -> Any:
    if expected.dtype.kind == "f":
        return np.signbit(expected) == np.signbit(found)
    if expected.dtype.kind == "c":
        return (np.signbit(expected.real) == np.signbit(found.real)) & (
            np.signbit(expected.imag) == np.signbit(found.imag)
        )
    return np.True_


def _both_nan(expected: np.ndarray, found: np.ndarray) -> Any:
    if expected.dtype.kind == "f":
        return np.isnan(expected) & np.isnan(found)
    parts = []
    for a, b in ((expected.real, found.real), (expected.imag, found.imag)):
        parts.append(((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b)))
    return parts[0] & parts[1]


def shares(expected: bool, first: tuple[int, int], second: tuple[int, int], what: str) -> None:
    """Expect two stretches ``(address, length in bytes)`` to overlap, or not to."""
    overlap = first[0] < second[0] + second[1] and second[0] < first[0] + first[1]
    if overlap is not expected:
        says = {True: "memory shared", False: "memory of its own"}
        raise Mismatch(what, says[expected], says[overlap])
