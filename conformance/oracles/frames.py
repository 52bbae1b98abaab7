"""Frames: the size, strides and storage offset that a method gives a tensor, written out.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from typing import Any

import torch

from conformance.oracles import expect, memory

Frame = tuple[tuple[int, ...], tuple[int, ...], int]


def frame_of(tensor: torch.Tensor) -> Frame:
    """Size, strides and storage offset."""
    return tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset()


def same_frame_as(expected: Frame, found: torch.Tensor, what: str) -> None:
    """Expect a size and storage offset, and the strides of dimensions with more than one element."""
    expect.equal(expected[0], tuple(found.shape), f"size of {what}")
    if 0 not in expected[0]:
        expect.equal(walking(*expected[:2]), walking(tuple(found.shape), tuple(found.stride())), f"strides of {what}")
    expect.equal(expected[2], found.storage_offset(), f"storage offset of {what}")


def walking(size: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int | None, ...]:
    """The strides that matter: those of dimensions along which there is a second element."""
    return tuple(step if extent > 1 else None for extent, step in zip(size, stride, strict=True))


def exchanged(plan: Any, first: int, second: int) -> Frame:
    """Two dimensions changed places; a scalar has none, and stays as it is."""
    size, stride = list(plan.shape), list(plan.strides)
    if size:
        size[first], size[second] = size[second], size[first]
        stride[first], stride[second] = stride[second], stride[first]
    return tuple(size), tuple(stride), plan.offset


def squeezed(plan: Any, dims: Any = None) -> Frame:
    """Dimensions of size 1 are gone: all of them, or those among ``dims``."""
    count = len(plan.shape)
    named = range(count) if dims is None else [d % count for d in ((dims,) if isinstance(dims, int) else dims) if count]
    kept = [d for d in range(count) if plan.shape[d] != 1 or d not in named]
    return tuple(plan.shape[d] for d in kept), tuple(plan.strides[d] for d in kept), plan.offset


def unsqueezed(plan: Any, dim: int) -> Frame:
    """A dimension of size 1 stands at ``dim`` of the result."""
    dim %= len(plan.shape) + 1
    size, stride = plan.shape, plan.strides
    return (*size[:dim], 1, *size[dim:]), (*stride[:dim], 1, *stride[dim:]), plan.offset


def same_storage(address: int, image: bytes, found: torch.Tensor, what: str) -> None:
    """Expect the storage at an address, with the bytes that it held."""
    expect.equal(address, memory.storage_address(found), f"address of the storage of {what}")
    memory.same_bytes(image, memory.storage_bytes(found), f"storage of {what}")
