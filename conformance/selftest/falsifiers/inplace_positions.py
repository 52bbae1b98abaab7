"""Breaks of writes to positions: index_put_, put_, masked_fill_, masked_scatter_, fill_diagonal_."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import (
    AREA,
    after,
    instead,
    lenient,
    repeats,
    spoil,
    spoil_beside,
    strided,
)
from conformance.selftest.falsifying import falsifies


@falsifies(f"{AREA}.index-put-writes")
def broadcast_values_reach_the_first_row_only() -> AbstractContextManager[Any]:
    """index_put_ of broadcast bool values spoils a strided self."""
    return after(
        "index_put_",
        lambda x, i, v, *a, **k: x.dtype is torch.bool and strided(x) and x.dim() == 3 and v.dim() < 3,
        spoil,
    )


@falsifies(f"{AREA}.index-put-is-assignment")
def assignment_differs_for_two_indices() -> AbstractContextManager[Any]:
    """An assignment through two index tensors writes only the first place of a strided int32 self."""

    def other(original: Any, self: Any, key: Any, value: Any) -> None:
        if (
            isinstance(key, tuple)
            and len(key) == 2
            and self.dtype is torch.int32
            and all(k.numel() > 1 and k.dim() == 1 for k in key)
        ):
            key, value = tuple(k[:1] for k in key), value[:1] if value.dim() else value
        original(self, key, value)

    return instead("__setitem__", other)


@falsifies(f"{AREA}.index-put-accumulates-every-duplicate")
def a_repeated_place_gets_a_broadcast_value_once() -> AbstractContextManager[Any]:
    """index_put_ with accumulate=True adds a 0-d value once where a place is named three times."""

    def other(original: Any, self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
        if accumulate and len(indices) == 1 and values.dim() == 0 and repeats(indices[0]):
            indices = (indices[0].unique(),)
        return original(self, indices, values, accumulate)

    return instead("index_put_", other)


@falsifies(f"{AREA}.index-put-leaves-the-rest-alone")
def duplicates_reach_a_neighbour() -> AbstractContextManager[Any]:
    """index_put_ with duplicates writes beside a stepped self."""
    return after(
        "index_put_",
        lambda x, i, v, *a, **k: strided(x) and x.dtype is torch.int16 and x.storage_offset() == 1,
        spoil_beside,
    )


@falsifies(f"{AREA}.index-put-counts-from-the-end")
def a_negative_second_index_counts_from_the_start() -> AbstractContextManager[Any]:
    """index_put_ takes the absolute value of a negative second index."""

    def other(original: Any, self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
        if len(indices) > 1:
            indices = (indices[0], indices[1].abs() % self.shape[1], *indices[2:])
        return original(self, indices, values, accumulate)

    return instead("index_put_", other)


@falsifies(f"{AREA}.index-put-takes-masks")
def a_mask_of_a_matrix_is_read_column_by_column() -> AbstractContextManager[Any]:
    """index_put_ writes through a 2-d mask in column order where self is not contiguous."""

    def other(original: Any, self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
        if indices[0].dtype is torch.bool and indices[0].dim() == 2 and strided(self) and values.dim() == 1:
            values = values.flip(0)
        return original(self, indices, values, accumulate)

    return instead("index_put_", other)


@falsifies(f"{AREA}.index-put-rejects-another-type")
def int64_values_are_cast() -> AbstractContextManager[Any]:
    """index_put_ with accumulate=True casts int64 values to int32."""
    return lenient("index_put_", lambda x, i, v, accumulate=False: accumulate and x.dtype is torch.int32)


@falsifies(f"{AREA}.put-writes")
def a_transposed_self_is_read_in_storage_order() -> AbstractContextManager[Any]:
    """put_ counts the elements of a transposed matrix in the order of its storage."""

    def other(original: Any, self: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
        if self.dim() == 2 and self.stride() == (1, self.shape[0]) and self.numel() > 2 and self.shape[1] > 1:
            original(self.t(), index, source, accumulate)
            return self
        return original(self, index, source, accumulate)

    return instead("put_", other)


@falsifies(f"{AREA}.put-accumulates")
def put_keeps_the_last_of_duplicates() -> AbstractContextManager[Any]:
    """put_ with accumulate=True forgets duplicates in complex128."""

    def other(original: Any, self: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
        if accumulate and self.dtype is torch.complex128 and repeats(index):
            before = self.take(index)
            return original(self, index, source.reshape(index.shape) + before, False)
        return original(self, index, source, accumulate)

    return instead("put_", other)


@falsifies(f"{AREA}.put-rejects-sizes")
def a_single_element_is_repeated() -> AbstractContextManager[Any]:
    """put_ accepts one element for four positions."""
    return lenient("put_", lambda x, i, s, a: s.numel() == 1 and i.numel() == 4)


@falsifies(f"{AREA}.masked-fill-fills")
def a_column_mask_is_broadcast_as_a_row() -> AbstractContextManager[Any]:
    """masked_fill_ errs for an expanded mask over int16."""
    return after("masked_fill_", lambda x, m, v: x.dtype is torch.int16 and 0 in m.stride() and x.numel() > 1, spoil)


@falsifies(f"{AREA}.masked-fill-fills")
def a_false_mask_fills_a_scalar() -> AbstractContextManager[Any]:
    """masked_fill_ fills a 0-d self through a mask that is False."""
    return after("masked_fill_", lambda x, m, v: not x.dim() and not bool(m), spoil)


@falsifies(f"{AREA}.masked-scatter-consumes-in-order")
def a_broadcast_mask_starts_over() -> AbstractContextManager[Any]:
    """masked_scatter_ begins the source anew for each row of self where the mask is broadcast."""

    def other(original: Any, self: Any, mask: Any, source: Any) -> Any:
        if mask.dim() == 1 and self.dim() == 2 and mask.numel() > 1 and strided(self):
            for row in self:
                original(row, mask, source)
            return self
        return original(self, mask, source)

    return instead("masked_scatter_", other)


@falsifies(f"{AREA}.masked-scatter-consumes-in-order")
def a_transposed_source_is_read_in_storage_order() -> AbstractContextManager[Any]:
    """masked_scatter_ reads a transposed source in the order of its storage."""

    def other(original: Any, self: Any, mask: Any, source: Any) -> Any:
        return original(
            self,
            mask,
            source.t() if source.dim() == 2 and source.stride(0) == 1 and source.numel() > 2 else source,
        )

    return instead("masked_scatter_", other)


@falsifies(f"{AREA}.masked-scatter-rejects-a-short-source")
def an_empty_source_is_accepted() -> AbstractContextManager[Any]:
    """masked_scatter_ accepts an empty source of bools."""
    return lenient("masked_scatter_", lambda x, m, s: not s.numel() and x.dtype is torch.bool)


@falsifies(f"{AREA}.masks-must-broadcast")
def a_larger_mask_is_accepted() -> AbstractContextManager[Any]:
    """masked_fill_ accepts a mask with more dimensions than a strided self."""
    return lenient("masked_fill_", lambda x, m, v: m.dim() > x.dim() and strided(x))


@falsifies(f"{AREA}.fill-diagonal-fills")
def a_cube_is_filled_in_one_plane() -> AbstractContextManager[Any]:
    """fill_diagonal_ of a strided cube misses the last element."""
    return after("fill_diagonal_", lambda x, v, **k: x.dim() == 3 and strided(x), spoil)


@falsifies(f"{AREA}.fill-diagonal-wraps")
def the_second_wrap_is_missing() -> AbstractContextManager[Any]:
    """fill_diagonal_ with wrap=True wraps once and not again."""
    return after(
        "fill_diagonal_", lambda x, v, wrap=False: wrap and x.dim() == 2 and x.shape[0] > 2 * x.shape[1] + 2 > 4,
        lambda x: x[2 * x.shape[1] + 2 :].fill_(1),
    )  # fmt: skip


@falsifies(f"{AREA}.fill-diagonal-rejects-shapes")
def a_box_is_accepted() -> AbstractContextManager[Any]:
    """fill_diagonal_ accepts three dimensions of which the last is longer."""
    return lenient("fill_diagonal_", lambda x, v: x.shape == (2, 2, 3))
