"""Layouts: where the elements of a tensor of a given shape lie in a larger storage.

A layout is a name that ``place`` turns into strides, a storage offset and a storage size, all counted in
elements. Every layout but ``expanded`` and ``overlapping`` gives each element a place of its own.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.stride.html
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

# Layouts in which every element has its own place: safe for a tensor that is written.
DISJOINT = ("contiguous", "transposed", "stepped", "offset", "sliced", "channels_last")
# Layouts that repeat places: documented for reading, undefined or refused for writing.
REPEATING = ("expanded", "overlapping", "widened")


class Placement(NamedTuple):
    """Strides and storage offset and size, in elements, and the layout that really came out."""

    stride: tuple[int, ...]
    offset: int
    size: int
    layout: str


@cache
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a contiguous tensor; an extent of 0 counts as 1, as torch has it."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


@cache
def place(shape: tuple[int, ...], layout: str) -> Placement:
    """Placement of ``shape`` in ``layout``.

    A layout that the shape cannot have (channels-last of a matrix, a transposed vector) falls back to the
    nearest one that it can, and ``Placement.layout`` names it, so that evidence never claims too much.
    """
    count = prod(shape)
    if layout == "contiguous":
        return Placement(row_major(shape), 0, count, layout)
    if layout == "offset":
        return Placement(row_major(shape), 3, count + 5, layout)
    if layout == "transposed":
        if len(shape) < 2:
            return place(shape, "stepped")
        return Placement(tuple(reversed(row_major(shape[::-1]))), 0, count, layout)
    if layout == "stepped":
        if not shape:
            return place(shape, "offset")
        return Placement(tuple(2 * step for step in row_major(shape)), 1, 2 * count + 2, layout)
    if layout == "sliced":
        if not shape:
            return place(shape, "offset")
        padded = (*shape[:-1], shape[-1] + 2)
        return Placement(row_major(padded), 1, prod(padded) + 1, layout)
    if layout in ("channels_last", "permuted"):
        if len(shape) not in (3, 4, 5):
            return place(shape, "transposed")
        # the second dimension varies fastest, the others stay in order
        outer = row_major((*shape[:1], *shape[2:], shape[1]))
        return Placement((outer[0], 1, *outer[1:-1]), 0, count, "permuted" if len(shape) == 3 else "channels_last")
    if layout == "expanded":
        wide = next((d for d, extent in enumerate(shape) if extent > 1), None)
        if wide is None:
            return place(shape, "offset")
        narrow = (*shape[:wide], 1, *shape[wide + 1 :])
        stride = list(row_major(narrow))
        stride[wide] = 0
        return Placement(tuple(stride), 2, prod(narrow) + 3, layout)
    if layout == "widened":
        if len(shape) < 2 or shape[-1] < 2:
            return place(shape, "expanded")
        return Placement((*row_major(shape[:-1]), 0), 1, prod(shape[:-1]) + 2, layout)
    if layout == "overlapping":
        if len(shape) < 2 or count == 0:
            return place(shape, "expanded")
        return Placement((1,) * len(shape), 0, sum(shape) - len(shape) + 1, layout)
    raise ValueError(f"layout: expected one of {', '.join(DISJOINT + REPEATING)}; found {layout!r}")


@lru_cache(maxsize=4096)
def places(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> np.ndarray:
    """Storage index of every element, in row-major order of the elements; shared, and not to be written."""
    found = np.array([offset], np.int64)
    for extent, step in zip(shape, stride, strict=True):
        found = (found[:, None] + np.arange(extent, dtype=np.int64) * step).ravel()
    found.flags.writeable = False
    return found
