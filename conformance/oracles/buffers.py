"""Buffers: the address of an object of Python's buffer protocol, and the elements in it, without torch."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, decode
from conformance.oracles import memory, sharing
from conformance.oracles.expect import Mismatch


def address_of_buffer(buffer: Any) -> int:
    """Address of the first byte of a writable buffer."""
    if isinstance(buffer, np.ndarray):
        return sharing.address_of(buffer)
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def elements(contents: bytes, dtype: str, offset: int = 0, count: int = -1) -> np.ndarray:
    """``count`` elements of ``contents`` from ``offset`` bytes on; all that are left where ``count`` is negative."""
    end = offset + count * ELEMENT_TYPES[dtype].itemsize if count >= 0 else len(contents)
    return decode(contents[offset:end], dtype)


def shares_buffer(buffer: Any, found: torch.Tensor, what: str) -> None:
    """Expect a tensor to lie at the buffer's first byte, and each to see what the other writes."""
    where = address_of_buffer(buffer)
    if found.data_ptr() != where:
        raise Mismatch(what, "memory shared", "another address")
    view = memoryview(buffer).cast("B")
    for index in sharing.some_indices(tuple(found.shape)):
        found[index] = sharing.another(str(found.dtype).removeprefix("torch."), sharing.element_bytes(found, index))[0]
        memory.same_bytes(memory.storage_bytes(found), bytes(view), f"the buffer after a write to {what}")
    changed = bytes(byte ^ 1 for byte in view)  # a bool stays a bool
    view[:] = changed
    memory.same_bytes(changed, memory.storage_bytes(found), f"{what} after a write to the buffer")
