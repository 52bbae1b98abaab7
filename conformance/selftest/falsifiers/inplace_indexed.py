"""Breaks of the indexed writes: each under a condition that few inputs meet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "inplace"
When = Callable[..., bool]


def after(name: str, when: When, change: Callable[[torch.Tensor], Any]) -> AbstractContextManager[Any]:
    """A method that does what it should, and then changes self where ``when`` says so."""

    def broken(original: Any) -> Any:
        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if when(self, *args, **kwargs):
                change(self)
            return found

        return method

    return patched(torch.Tensor, name, broken)


def instead(name: str, other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """A method that does ``other(original, self, …)``."""

    def broken(original: Any) -> Any:
        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            return other(original, self, *args, **kwargs)

        return method

    return patched(torch.Tensor, name, broken)


def lenient(name: str, when: When) -> AbstractContextManager[Any]:
    """A method that returns self where it should raise and ``when`` says so."""

    def other(original: Any, self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        except Exception:
            if when(self, *args, **kwargs):
                return self
            raise

    return instead(name, other)


def spoil(tensor: torch.Tensor) -> None:
    """Change the last element, in whatever layout."""
    last = tensor.detach()[(-1,) * tensor.dim()]
    last.copy_(last == 0)


def spoil_beside(tensor: torch.Tensor) -> None:
    """Change one element of the storage that the tensor does not view."""
    whole = tensor.detach().as_strided((tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)
    whole[0] = whole[0] == 0


def repeats(index: torch.Tensor) -> bool:
    """Whether an index names a place twice."""
    return bool(len(set(index.flatten().tolist())) < index.numel())


def strided(tensor: torch.Tensor) -> bool:
    """Whether a tensor has elements, and not all of them in a row."""
    return bool(tensor.numel() > 1 and not tensor.is_contiguous())


@falsifies(f"{AREA}.index-add-accumulates")
def an_int64_duplicate_counts_once_in_a_strided_self() -> AbstractContextManager[Any]:
    """index_add_ adds only the first of two rows for one place where self is int64 and not contiguous."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if self.dtype is torch.int64 and strided(self) and repeats(index):
            first = [i for i, j in enumerate(index.tolist()) if j not in index.tolist()[:i]]
            kept = torch.tensor(first)
            return original(self, dim, index[kept], source.index_select(dim, kept), **kwargs)
        return original(self, dim, index, source, **kwargs)

    return instead("index_add_", other)


@falsifies(f"{AREA}.index-add-accumulates")
def alpha_is_lost_with_an_int32_index() -> AbstractContextManager[Any]:
    """index_add_ ignores alpha where the index is int32 and the dimension negative."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        return original(self, dim, index, source, **({} if index.dtype is torch.int32 and dim < 0 else kwargs))

    return instead("index_add_", other)


@falsifies(f"{AREA}.index-add-accumulates")
def int64_goes_through_double() -> AbstractContextManager[Any]:
    """index_add_ adds int64 in double precision."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if self.dtype is not torch.int64:
            return original(self, dim, index, source, **kwargs)
        return self.copy_(original(self.double(), dim, index, source.double(), **kwargs))

    return instead("index_add_", other)


@falsifies(f"{AREA}.index-add-rejects-sizes")
def a_longer_source_is_cut() -> AbstractContextManager[Any]:
    """index_add_ accepts a source that is longer than the index, in a strided self."""
    return lenient(
        "index_add_",
        lambda x, dim, index, source: source.dim() == x.dim() and source.shape[dim] > len(index) and strided(x),
    )


@falsifies(f"{AREA}.index-copy-copies-rows")
def a_nan_is_not_copied() -> AbstractContextManager[Any]:
    """index_copy_ leaves out NaN in half precision."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any) -> Any:
        if self.dtype is torch.float16:
            source = torch.where(source.isnan(), self.index_select(dim, index), source)
        return original(self, dim, index, source)

    return instead("index_copy_", other)


@falsifies(f"{AREA}.index-copy-copies-rows")
def a_row_beyond_the_middle_dimension() -> AbstractContextManager[Any]:
    """index_copy_ along a dimension in the middle reads an index that is not contiguous as if it were."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any) -> Any:
        if 0 < dim < self.dim() - 1 and index.stride(0) == 2 and index.numel() > 1:
            index = index.flip(0)
        return original(self, dim, index, source)

    return instead("index_copy_", other)


@falsifies(f"{AREA}.index-copy-picks-one-of-the-duplicates")
def duplicates_are_added_up() -> AbstractContextManager[Any]:
    """index_copy_ leaves the sum of the copies of one place where self is bfloat16."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any) -> Any:
        found = original(self, dim, index, source)
        return (
            found.index_fill_(dim, index, 0).index_add_(dim, index, source) if self.dtype is torch.bfloat16 else found
        )

    return instead("index_copy_", other)


@falsifies(f"{AREA}.index-copy-rejects-sizes")
def a_source_of_another_width() -> AbstractContextManager[Any]:
    """index_copy_ accepts a source with one column too many."""
    return lenient(
        "index_copy_", lambda x, dim, index, source: source.dim() == 2 and source.shape[-1] == x.shape[-1] + 1
    )


@falsifies(f"{AREA}.index-fill-fills-rows")
def an_empty_index_fills_everything() -> AbstractContextManager[Any]:
    """index_fill_ with an empty index fills a strided bool self."""
    return after(
        "index_fill_",
        lambda x, dim, index, value: not index.numel() and x.dtype is torch.int8 and x.numel() > 0,
        spoil,
    )


@falsifies(f"{AREA}.index-fill-fills-rows")
def minus_zero_becomes_zero() -> AbstractContextManager[Any]:
    """index_fill_ fills with 0 for -0.0."""
    return instead(
        "index_fill_",
        lambda original, x, dim, index, value: original(x, dim, index, 0 if value == 0 else value),
    )


def _reducing(reduce: str, when: When) -> AbstractContextManager[Any]:
    def chosen(x: Any, dim: int, index: Any, source: Any, how: str, **kwargs: Any) -> bool:
        return how == reduce and bool(index.numel() and x.numel()) and when(x, dim, index, **kwargs)

    return after("index_reduce_", chosen, spoil)


@falsifies(f"{AREA}.index-reduce-multiplies")
def untouched_rows_are_lost() -> AbstractContextManager[Any]:
    """index_reduce_ with "prod" and include_self=False spoils the last row where no index names it."""
    return _reducing(
        "prod",
        lambda x, dim, index, include_self=True: not include_self and x.shape[dim] - 1 not in index.tolist(),
    )


@falsifies(f"{AREA}.index-reduce-averages")
def the_mean_forgets_an_offset() -> AbstractContextManager[Any]:
    """index_reduce_ with "mean" errs in double precision where self lies at a storage offset."""
    return _reducing("mean", lambda x, dim, index, **kwargs: x.dtype is torch.float64 and x.storage_offset() == 3)


@falsifies(f"{AREA}.index-reduce-keeps-extremes")
def the_smallest_of_duplicates() -> AbstractContextManager[Any]:
    """index_reduce_ with "amin" errs for an int32 index with repeats."""
    return _reducing("amin", lambda x, dim, index, **kwargs: index.dtype is torch.int32 and repeats(index))


@falsifies(f"{AREA}.index-reduce-rejects-sizes")
def a_source_with_fewer_rows() -> AbstractContextManager[Any]:
    """index_reduce_ accepts a source with fewer rows than the index has entries."""
    return lenient(
        "index_reduce_",
        lambda x, dim, index, source, how: source.dim() == x.dim() and source.shape[dim] < len(index),
    )


@falsifies(f"{AREA}.index-reduce-of-other-types")
def integers_are_accepted_and_wrong() -> AbstractContextManager[Any]:
    """index_reduce_ of int16 leaves a wrong maximum."""
    return after(
        "index_reduce_",
        lambda x, d, i, s, how, **k: x.dtype is torch.int16 and how == "amax" and x.numel() > 1,
        spoil,
    )


@falsifies(f"{AREA}.scatter-writes-the-source")
def a_source_larger_than_the_index_is_read_flat() -> AbstractContextManager[Any]:
    """scatter_ reads the source as if it had the index's shape, where it is int32 and larger."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if (
            isinstance(source, torch.Tensor)
            and self.dtype is torch.int32
            and source.dim() > 1
            and source.shape != index.shape
        ):
            source = source.flatten()[: index.numel()].reshape(index.shape)
        return original(self, dim, index, source, **kwargs)

    return instead("scatter_", other)


@falsifies(f"{AREA}.scatter-writes-a-number")
def a_number_is_written_once() -> AbstractContextManager[Any]:
    """scatter_ of a number spoils the last element of a channels-last self."""
    return after(
        "scatter_",
        lambda x, d, i, s, **k: not isinstance(s, torch.Tensor) and x.dim() == 4 and x.stride(1) == 1,
        spoil,
    )


@falsifies(f"{AREA}.scatter-picks-one-of-the-duplicates")
def scatter_adds_duplicates_up() -> AbstractContextManager[Any]:
    """scatter_ adds up what falls on one place of a transposed self."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if isinstance(source, torch.Tensor) and strided(self) and self.dtype is torch.float32:
            return original(self, dim, index, 0.0).scatter_add_(dim, index, source)
        return original(self, dim, index, source, **kwargs)

    return instead("scatter_", other)


@falsifies(f"{AREA}.scatter-reduces")
def multiply_writes_a_number() -> AbstractContextManager[Any]:
    """scatter_ with reduce="multiply" overwrites where the source is a number and self is int64."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if kwargs.get("reduce") == "multiply" and not isinstance(source, torch.Tensor) and self.dtype is torch.int64:
            kwargs = {}
        return original(self, dim, index, source, **kwargs)

    return instead("scatter_", other)


@falsifies(f"{AREA}.scatter-add-adds-every-value")
def a_vector_tail_is_lost() -> AbstractContextManager[Any]:
    """scatter_add_ of a vector of 17 float64 forgets the last value."""
    return after("scatter_add_", lambda x, d, i, s: x.shape == (17,) and x.dtype is torch.float64, spoil)


@falsifies(f"{AREA}.scatter-add-adds-every-value")
def a_large_index_is_cut() -> AbstractContextManager[Any]:
    """scatter_add_ forgets something of more than 32768 values."""
    return after("scatter_add_", lambda x, d, i, s: i.numel() > 32768 and strided(x), spoil)


@falsifies(f"{AREA}.scatter-reduce-reduces")
def self_is_included_in_a_minimum() -> AbstractContextManager[Any]:
    """scatter_reduce_ with "amin" includes an int8 self though it should not."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, reduce: str, **kwargs: Any) -> Any:
        return original(
            self,
            dim,
            index,
            source,
            reduce,
            **({} if reduce == "amin" and self.dtype is torch.int8 else kwargs),
        )

    return instead("scatter_reduce_", other)


@falsifies(f"{AREA}.scatter-with-an-empty-index")
def an_empty_index_spoils_a_strided_self() -> AbstractContextManager[Any]:
    """scatter_add_ with an empty index of self's dimensionality changes a strided self."""
    return after("scatter_add_", lambda x, d, i, s: not i.numel() and i.dim() == x.dim() and strided(x), spoil)


@falsifies(f"{AREA}.scatter-rejects-sizes")
def an_index_larger_than_the_source() -> AbstractContextManager[Any]:
    """scatter_reduce_ accepts an index that is larger than the source in another dimension."""
    return lenient("scatter_reduce_", lambda x, dim, i, s, how: i.shape[dim] <= s.shape[dim])


@falsifies(f"{AREA}.scatter-rejects-indices")
def minus_one_is_the_last() -> AbstractContextManager[Any]:
    """scatter_add_ accepts -1 in a vector of 65."""
    return lenient("scatter_add_", lambda x, d, i, s: x.shape == (65,) and int(i.min()) == -1)
