"""Layout: the strides that documentation promises of a result.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-memory-format
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.layouts import row_major
from conformance.oracles.expect import Mismatch


def is_dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether elements lie side by side, each in a place of its own, in whatever order of the axes."""
    if 0 in shape:
        return True
    step = 1
    for extent, found in sorted(
        ((e, s) for e, s in zip(shape, stride, strict=True) if e > 1), key=lambda pair: pair[1]
    ):
        if found != step:
            return False
        step *= extent
    return True


def same_steps(expected: tuple[int, ...], found: Any, what: str) -> None:
    """Expect a tensor to have these strides, along every extent above 1."""
    shape = tuple(found.shape)
    if 0 in shape:
        return
    for axis, extent in enumerate(shape):
        if extent > 1 and found.stride(axis) != expected[axis]:
            raise Mismatch(what, f"strides {expected}", f"strides {tuple(found.stride())}", f"axis {axis}")


def preserved(plan: Any, found: Any, what: str) -> None:
    """Expect the strides of a dense plan to have been kept, and any other to have become dense."""
    if is_dense(plan.shape, plan.strides):
        same_steps(plan.strides, found, what)
    elif not is_dense(tuple(found.shape), tuple(found.stride())):
        raise Mismatch(what, "a dense tensor", f"strides {tuple(found.stride())} of shape {tuple(found.shape)}")


def in_format(name: str, found: Any, what: str) -> None:
    """Expect a tensor to lie in a memory format: without gaps, in row-major order or with the channels innermost."""
    shape = tuple(found.shape)
    steps = row_major(shape)
    if name != "contiguous_format":
        batch, channels, *space = shape
        last = row_major((batch, *space, channels))
        steps = (last[0], last[-1], *last[1:-1])
    same_steps(steps, found, f"{what} in {name}")


def row_major_steps(found: Any, what: str) -> None:
    """Expect a tensor to lie in row-major order without gaps."""
    same_steps(row_major(tuple(found.shape)), found, what)
