"""Breaks of assignments through an index: of rare forms of the index, and of rare values."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifying import falsifies, patched

BASIC = "inplace.basic-assignment-writes-the-tensor"
ADVANCED = "inplace.advanced-assignment-writes-the-tensor"


def lost(rare: Callable[[Any, tuple[Any, ...], Any], bool]) -> AbstractContextManager[Any]:
    """Assignments for which ``rare`` (of the tensor, the parts of the index, the value) holds write nothing."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            if not rare(self, index if isinstance(index, tuple) else (index,), value):
                original(self, index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(BASIC)
def a_slice_that_ends_beyond_the_tensor_writes_nothing() -> AbstractContextManager[Any]:
    """x[9:100] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, slice) and (p.stop or 0) > max(x.shape) for p in parts))


@falsifies(BASIC)
def a_slice_that_stops_before_the_end_writes_nothing() -> AbstractContextManager[Any]:
    """x[:-1] = v writes nothing to int16."""
    return lost(
        lambda x, parts, v: x.dtype is torch.int16 and any(isinstance(p, slice) and p.stop == -1 for p in parts)
    )


@falsifies(BASIC)
def a_long_step_writes_nothing() -> AbstractContextManager[Any]:
    """x[::7] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, slice) and (p.step or 1) > 3 for p in parts))


@falsifies(BASIC)
def a_numpy_integer_writes_nothing() -> AbstractContextManager[Any]:
    """x[np.int64(1)] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, np.integer) for p in parts))


@falsifies(BASIC)
def a_part_of_the_tensor_itself_is_not_written() -> AbstractContextManager[Any]:
    """x[0] = x[1] writes nothing."""

    def own(x: Any, parts: Any, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()

    return lost(own)


@falsifies(BASIC)
def a_slice_without_a_tuple_writes_nothing() -> AbstractContextManager[Any]:
    """x[1::2] = v writes nothing where the slice stands alone."""

    def make(original: Any) -> Any:
        return lambda self, index, value: None if isinstance(index, slice) else original(self, index, value)

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(BASIC)
def a_uint16_number_is_not_written() -> AbstractContextManager[Any]:
    """x[i] = v writes nothing to a strided uint16 tensor."""
    return lost(lambda x, parts, v: x.dtype is getattr(torch, "uint16", None) and not x.is_contiguous())


@falsifies(BASIC)
def a_number_with_a_fraction_is_rounded_down() -> AbstractContextManager[Any]:
    """x[i] = -2.75 writes -3 into whole numbers."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            down = isinstance(value, float) and self.dtype is torch.int64
            original(self, index, math.floor(value) if down else value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(BASIC)
def an_index_without_a_part_writes_nothing() -> AbstractContextManager[Any]:
    """x[()] = v writes nothing to a matrix."""
    return lost(lambda x, parts, v: not parts and x.dim() > 1)


@falsifies(ADVANCED)
def a_mask_behind_an_ellipsis_writes_nothing() -> AbstractContextManager[Any]:
    """x[..., mask] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 2 and parts[0] is Ellipsis and is_mask(parts[1]))


@falsifies(ADVANCED)
def a_mask_behind_an_integer_writes_nothing() -> AbstractContextManager[Any]:
    """x[1, mask] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 2 and isinstance(parts[0], int) and is_mask(parts[1]))


@falsifies(ADVANCED)
def a_mask_without_dimensions_writes_nothing() -> AbstractContextManager[Any]:
    """x[torch.tensor(True)] = v writes nothing to a matrix."""
    return lost(lambda x, parts, v: x.dim() > 1 and len(parts) == 1 and is_mask(parts[0]) and not parts[0].dim())


@falsifies(ADVANCED)
def a_list_of_bools_is_read_as_numbers() -> AbstractContextManager[Any]:
    """x[[True, False]] = v writes what x[[1, 0]] = v does, where the list stands alone."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            flags = isinstance(index, list) and all(isinstance(flag, bool) for flag in index)
            original(self, [int(flag) for flag in index] if flags else index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


def unconjugated() -> AbstractContextManager[Any]:
    """A value with its conjugate or negative bit set is written as it lies in memory."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            if isinstance(value, torch.Tensor) and (value.is_conj() or value.is_neg()):
                value = value.conj() if value.is_conj() else torch._neg_view(value)
            original(self, index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(BASIC)
def a_conjugated_value_is_written_as_it_lies() -> AbstractContextManager[Any]:
    """x[1] = y.conj() writes y."""
    return unconjugated()


@falsifies(ADVANCED)
def a_conjugated_value_is_written_as_it_lies_at_indices() -> AbstractContextManager[Any]:
    """x[:, i] = y.conj() writes y."""
    return unconjugated()


@falsifies(ADVANCED)
def a_true_writes_nothing() -> AbstractContextManager[Any]:
    """x[True] = v writes nothing."""
    return lost(lambda x, parts, v: any(p is True for p in parts))


@falsifies(ADVANCED)
def a_false_is_an_integer() -> AbstractContextManager[Any]:
    """x[False, 1] = 2.5 writes to x[0, 1]."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            wrong = isinstance(index, tuple) and index[:1] and index[0] is False and not isinstance(value, torch.Tensor)
            original(self, (0, *index[1:]) if wrong else index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(ADVANCED)
def a_negative_index_in_a_tensor_is_taken_without_its_sign() -> AbstractContextManager[Any]:
    """x[torch.tensor([-1, 3])] = v writes to the places 1 and 3."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            wrong = isinstance(index, torch.Tensor) and index.dtype is torch.int64 and index.dim() == 1
            original(self, index.abs() % self.shape[0] if wrong else index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(ADVANCED)
def an_array_as_index_writes_nothing() -> AbstractContextManager[Any]:
    """x[np.array([11, 4])] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, np.ndarray) and p.dtype != bool for p in parts))


@falsifies("inplace.assignment-takes-masks-that-are-arrays")
def a_mask_that_is_an_array_writes_nothing() -> AbstractContextManager[Any]:
    """x[np.array([[False, True, …]])] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts))


@falsifies(ADVANCED)
def a_nested_list_writes_nothing() -> AbstractContextManager[Any]:
    """x[[[0, 1], [1, 0]], [[0, 2], [1, 1]]] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, list) and p and isinstance(p[0], list) for p in parts))


@falsifies(ADVANCED)
def an_index_behind_an_ellipsis_writes_nothing() -> AbstractContextManager[Any]:
    """x[..., i] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 2 and parts[0] is Ellipsis and isinstance(parts[1], torch.Tensor))


@falsifies(ADVANCED)
def an_empty_list_selects_everything() -> AbstractContextManager[Any]:
    """x[[],] = v writes everywhere."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            empty = isinstance(index, tuple) and len(index) == 1 and index[0] == [] and isinstance(index[0], list)
            numbers = not isinstance(value, torch.Tensor)
            original(self, ... if empty and numbers else index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies(ADVANCED)
def an_integer_beside_a_separated_index_writes_nothing() -> AbstractContextManager[Any]:
    """x[1, :, i] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 3 and type(parts[0]) is int and isinstance(parts[2], torch.Tensor))


@falsifies("inplace.assignment-refuses-an-index-that-is-not-there")
def an_index_beyond_the_end_is_ignored() -> AbstractContextManager[Any]:
    """x[:, 3] = v of a tensor of three columns writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 2 and type(parts[1]) is int and parts[1] >= x.shape[1])


@falsifies("inplace.assignment-refuses-an-index-that-is-not-there")
def an_index_tensor_beyond_the_end_wraps() -> AbstractContextManager[Any]:
    """x[:, torch.tensor([0, 3])] = v counts beyond the end from the start again."""

    def make(original: Any) -> Any:
        def broken(self: Any, index: Any, value: Any) -> None:
            if isinstance(index, tuple) and len(index) == 2 and isinstance(index[1], torch.Tensor):
                index = (index[0], index[1] % self.shape[1])
            original(self, index, value)

        return broken

    return patched(torch.Tensor, "__setitem__", make)


@falsifies("inplace.assignment-refuses-an-index-that-is-not-there")
def a_negative_step_is_ignored() -> AbstractContextManager[Any]:
    """x[::-1] = v writes nothing, and says nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, slice) and (p.step or 1) < 0 for p in parts))


@falsifies(BASIC)
def two_slices_with_bounds_write_nothing() -> AbstractContextManager[Any]:
    """x[0:1, 1:3] = v writes nothing."""
    return lost(
        lambda x, parts, v: (
            len(parts) == 2 and all(isinstance(p, slice) and None not in (p.start, p.stop) for p in parts)
        )
    )


@falsifies(BASIC)
def a_new_dimension_at_the_end_writes_nothing() -> AbstractContextManager[Any]:
    """x[0, None] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) > 1 and parts[-1] is None)


@falsifies(BASIC)
def a_long_vector_is_not_written() -> AbstractContextManager[Any]:
    """x[3:] = v writes nothing to more than 32,768 elements."""
    return lost(lambda x, parts, v: x.numel() > 32768)


@falsifies(ADVANCED)
def an_integer_behind_a_mask_writes_nothing() -> AbstractContextManager[Any]:
    """x[mask, 0] = v writes nothing."""
    return lost(lambda x, parts, v: len(parts) == 2 and is_mask(parts[0]) and type(parts[1]) is int)


@falsifies(ADVANCED)
def two_masks_write_nothing() -> AbstractContextManager[Any]:
    """x[rows, columns] = v of two masks writes nothing."""
    return lost(lambda x, parts, v: sum(map(is_mask, parts)) == 2)


@falsifies(ADVANCED)
def a_long_mask_writes_nothing() -> AbstractContextManager[Any]:
    """x[mask] = v writes nothing through a mask of more than 1,000 elements."""
    return lost(lambda x, parts, v: is_mask(parts[0]) and parts[0].numel() > 1000)


def is_mask(part: Any) -> bool:
    """Whether a part of an index is a tensor of truth values."""
    return isinstance(part, torch.Tensor) and part.dtype is torch.bool
