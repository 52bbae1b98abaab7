"""Parts of an index: slices, also such as are bounded by tensors without dimensions, plans of tensors and of arrays.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.inputs.ndarrays import Array
from conformance.inputs.tensors import Strided


def slice_bounds(part: slice) -> tuple[Any, ...]:
    """What a slice is made of: numbers, None, and plans of tensors without dimensions."""
    return part.start, part.stop, part.step


def built_part(part: Any) -> Any:
    """A part of an index, with its tensors and arrays built."""
    if isinstance(part, slice):
        return slice(*map(built_part, slice_bounds(part)))
    return part.build() if isinstance(part, Strided | Array) else part


def part_as_array(part: Any) -> Any:
    """A part of an index, with its tensors as arrays, and as numbers where they bound a slice."""
    if isinstance(part, slice):
        return slice(*(x.array.item() if isinstance(x, Strided) else x for x in slice_bounds(part)))
    return part.array if isinstance(part, Strided | Array) else part


def part_on_device(part: Any, device: str) -> Any:
    """A part of an index whose tensors lie on ``device``."""
    if isinstance(part, slice):
        return slice(*(part_on_device(x, device) for x in slice_bounds(part)))
    return replace(part, device=device) if isinstance(part, Strided) else part
