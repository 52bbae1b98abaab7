"""Writes: what a call left in the whole storage of the tensor that it wrote to.

The expected bytes are the planned ones with the expected elements in their places, so that one comparison
sees a wrong element, an element that should have been left alone, and a write outside of the view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, encode
from conformance.oracles import expect, memory, numbers
from conformance.oracles.expect import Mismatch


def wrote(expected: np.ndarray, found: torch.Tensor, plan: Any, what: str) -> None:
    """Expect ``found``, built from ``plan``, to hold ``expected`` bit for bit and every other byte as planned."""
    same_frame(found, plan, what)
    expected = expected.astype(ELEMENT_TYPES[plan.dtype].carrier, copy=False)
    if memory.storage_bytes(found) != storage_with(expected, plan):
        memory.same_elements(expected, memory.contents(found), what)
        kept_outside(found, plan, what)


def nearly_wrote(expected: np.ndarray, found: torch.Tensor, plan: Any, what: str, accuracy: str) -> None:
    """The same with elements compared within the tolerance of ``accuracy`` (a class of ``numbers.TOLERANCES``)."""
    same_frame(found, plan, what)
    numbers.close(expected, memory.contents(found), plan.dtype, accuracy, what)
    kept_outside(found, plan, what)


def picked(candidates: Sequence[tuple[Any, ...]], found: torch.Tensor, plan: Any, what: str) -> None:
    """Expect each element (row-major) to be one of its candidates, bit for bit, and every other byte as planned."""
    same_frame(found, plan, what)
    elements = memory.contents(found).ravel()
    for spot, (allowed, element) in enumerate(zip(candidates, elements, strict=True)):
        images = [np.asarray(value, elements.dtype).tobytes() for value in allowed]
        if element.tobytes() not in images and not (element != element and any(v != v for v in allowed)):
            where = tuple(int(i) for i in np.unravel_index(spot, plan.shape))
            raise Mismatch(what, f"one of {allowed}", repr(element.item()), f"index {where}")
    kept_outside(found, plan, what)


def same_frame(found: torch.Tensor, plan: Any, what: str) -> None:
    """Expect the element type, shape, strides and storage offset to be as planned."""
    expect.equal(plan.dtype, str(found.dtype).removeprefix("torch."), f"element type of {what}")
    expect.equal(tuple(plan.shape), tuple(found.shape), f"shape of {what}")
    if found.numel():
        expect.equal(tuple(plan.strides), tuple(found.stride()), f"strides of {what}")
        expect.equal(plan.offset, found.storage_offset(), f"storage offset of {what}")


def kept_outside(found: torch.Tensor, plan: Any, what: str) -> None:
    """Expect every byte of the storage that no element of ``plan`` owns to be as planned."""
    word = f"V{ELEMENT_TYPES[plan.dtype].itemsize}"
    planned, memory_now = np.frombuffer(plan.storage, word), memory.storage_bytes(found)
    places = plan.places
    if len(memory_now) == planned.nbytes:  # with the planned elements in their places, what differs lies outside
        image = np.frombuffer(memory_now, word).copy()
        image[places] = planned[places]
        if image.tobytes() == plan.storage:
            return
    outside = np.ones(len(planned), bool)
    outside[places] = False
    if outside.any():
        memory.same_bytes(planned[outside].tobytes(), memory.guards(found, plan), f"memory outside of {what}")


def storage_with(elements: np.ndarray, plan: Any) -> bytes:
    """The bytes of ``plan``'s storage with ``elements`` in the places of its own."""
    if not elements.size:
        return bytes(plan.storage)
    encoded = encode(elements, plan.dtype)
    if plan.layout == "contiguous":
        return encoded
    itemsize = ELEMENT_TYPES[plan.dtype].itemsize
    image = np.frombuffer(plan.storage, np.uint8).reshape(-1, itemsize).copy()
    image[plan.places] = np.frombuffer(encoded, np.uint8).reshape(-1, itemsize)
    return image.tobytes()
