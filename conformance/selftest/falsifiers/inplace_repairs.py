"""Breaks of promises that released builds do not keep: each on top of a repair, without which it shows nothing.

``REPAIRS`` names the repairs by behaviour; ``conformance/selftest/test_inplace_repairs.py`` asserts that the
check passes under each, so that it is known to fail for torch's sake and not for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import reduce
from typing import Any

import torch

from conformance.engine.subjects import rows
from conformance.inputs.layouts import row_major
from conformance.selftest.falsifiers.inplace_indexed import AREA, after, instead, repeats, spoil, strided
from conformance.selftest.falsifiers.inplace_outs import with_out
from conformance.selftest.falsifying import falsifies


def reduced_in_single_precision() -> AbstractContextManager[Any]:
    """index_reduce_ of half-precision types goes through float32."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, how: str, **kwargs: Any) -> Any:
        if self.dtype not in (torch.float16, torch.bfloat16):
            return original(self, dim, index, source, how, **kwargs)
        return self.copy_(original(self.float(), dim, index, source.float(), how, **kwargs))

    return instead("index_reduce_", other)


def wrapped_element_by_element() -> AbstractContextManager[Any]:
    """fill_diagonal_ with wrap=True writes one element after the other."""

    def other(original: Any, self: Any, value: Any, wrap: bool = False) -> Any:
        if not wrap or self.dim() != 2:
            return original(self, value)
        for step in range(0, self.numel(), self.shape[1] + 1):
            self[step // self.shape[1], step % self.shape[1]] = value
        return self

    return instead("fill_diagonal_", other)


def resized_only_to_another_size() -> AbstractContextManager[Any]:
    """resize_ and resize_as_ to the size that self has do nothing."""
    stack = ExitStack()
    stack.enter_context(
        instead(
            "resize_",
            lambda original, x, *s, **k: x if tuple(torch.Size(_flat(s))) == x.shape else original(x, *s, **k),
        )
    )
    stack.enter_context(
        instead("resize_as_", lambda original, x, y, **k: x if x.shape == y.shape else original(x, y, **k))
    )
    return stack


def _flat(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple) else sizes


def set_with_strides() -> AbstractContextManager[Any]:
    """set_ to a storage and a size fills in the strides."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        return (
            original(self, source, *frame, row_major(frame[1])) if len(frame) == 2 else original(self, source, *frame)
        )

    return instead("set_", other)


def views_are_not_resized() -> AbstractContextManager[Any]:
    """Functions refuse an out that is a view of another shape than the result."""

    def other(original: Any, out: Any, *args: Any, **kwargs: Any) -> Any:
        for mine in out if isinstance(out, tuple) else (out,):
            if mine._base is not None and mine.shape != _first(original(*args, **kwargs)).shape:
                raise RuntimeError("an out that is a view cannot be resized")
        return original(*args, out=out, **kwargs)

    stack = ExitStack()
    for name in rows("out_functions"):
        *path, function = name.split(".")
        stack.enter_context(with_out(function, other, reduce(getattr, path, torch)))
    return stack


def _first(found: Any) -> Any:
    return found if isinstance(found, torch.Tensor) else found[0]


REPAIRS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "index-reduce-multiplies-in-half-precision": reduced_in_single_precision,
    "index-reduce-averages-many-rows": reduced_in_single_precision,
    "fill-diagonal-wraps-whatever-the-strides": wrapped_element_by_element,
    "resize-to-its-own-size-ignores-the-memory-format": resized_only_to_another_size,
    "set-strides-default-to-contiguous": set_with_strides,
    "out-resized-stays-in-its-view": views_are_not_resized,
}


def repaired(behaviour: str, broken: Callable[[], AbstractContextManager[Any]]) -> AbstractContextManager[Any]:
    """A repair of torch, and a break on top of it."""
    stack = ExitStack()
    stack.enter_context(REPAIRS[behaviour]())
    stack.enter_context(broken())
    return stack


@falsifies(f"{AREA}.index-reduce-multiplies-in-half-precision")
def a_bfloat16_product_of_duplicates() -> AbstractContextManager[Any]:
    """index_reduce_ with "prod" errs in bfloat16 where self is strided and not included."""
    return repaired(
        "index-reduce-multiplies-in-half-precision",
        lambda: after(
            "index_reduce_",
            lambda x, d, i, s, how, include_self=True: x.dtype is torch.bfloat16 and not include_self and strided(x),
            spoil,
        ),
    )


@falsifies(f"{AREA}.index-reduce-averages-many-rows")
def only_half_precision_loses_count() -> AbstractContextManager[Any]:
    """index_reduce_ with "mean" loses count in float16 only."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, how: str, **kwargs: Any) -> Any:
        found = original(self, dim, index, source, how, **kwargs)
        return found.mul_(1.01) if self.dtype is torch.float16 and repeats(index) else found

    return repaired("index-reduce-averages-many-rows", lambda: instead("index_reduce_", other))


@falsifies(f"{AREA}.fill-diagonal-wraps-whatever-the-strides")
def the_last_wrap_of_a_transposed_matrix() -> AbstractContextManager[Any]:
    """fill_diagonal_ with wrap=True misses the last row of a transposed matrix of (7, 3)."""
    return repaired(
        "fill-diagonal-wraps-whatever-the-strides",
        lambda: after("fill_diagonal_", lambda x, v, **k: x.shape == (7, 3) and x.stride(0) == 1, spoil),
    )


@falsifies(f"{AREA}.resize-to-its-own-size-ignores-the-memory-format")
def channels_last_is_taken_by_a_strided_image() -> AbstractContextManager[Any]:
    """resize_ of a strided image to its own size lays it out channels-last."""

    def other(original: Any, self: Any, *sizes: Any, memory_format: Any = torch.contiguous_format) -> Any:
        if memory_format is torch.channels_last and strided(self) and self.shape == (2, 3, 2, 2):
            return self.as_strided_(self.shape, (12, 1, 6, 3))
        return original(self, *sizes, memory_format=memory_format)

    return repaired("resize-to-its-own-size-ignores-the-memory-format", lambda: instead("resize_", other))


@falsifies(f"{AREA}.set-strides-default-to-contiguous")
def a_transposed_matrix_keeps_its_strides() -> AbstractContextManager[Any]:
    """set_ to a storage with the size of a transposed bool matrix keeps its strides."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        stride = self.stride()
        found = original(self, source, *frame)
        return found.as_strided_(found.shape, stride) if len(frame) == 2 and stride == (1, 2) else found

    return repaired("set-strides-default-to-contiguous", lambda: instead("set_", other))


@falsifies(f"{AREA}.out-resized-stays-in-its-view")
def mm_writes_behind_its_view() -> AbstractContextManager[Any]:
    """mm resizes an out that is a view, and writes to the elements behind it."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        found = original(*args)
        return out.resize_(found.shape).copy_(found)

    return repaired("out-resized-stays-in-its-view", lambda: with_out("mm", other))
