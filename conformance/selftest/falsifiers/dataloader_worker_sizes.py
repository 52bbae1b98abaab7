"""Breaks of loaders with workers that only long epochs, large batches and unknown lengths show."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import _utils

from conformance.selftest.falsifiers.dataloader_workers import (
    AREA,
    Break,
    Facts,
    in_the_worker,
    iterator_method,
    later_batches_first,
)
from conformance.selftest.falsifying import falsifies, patched


def fetching_in_workers(kind: str, other: Any) -> Break:
    """In a worker the fetcher of a style does ``other(original, self, keys)``."""

    def broken(original: Any) -> Any:
        def fetch(self: Any, keys: Any) -> Any:
            in_main = torch.utils.data.get_worker_info() is None
            return original(self, keys) if in_main else other(original, self, keys)

        return fetch

    return patched(getattr(_utils.fetch, f"_{kind}DatasetFetcher"), "fetch", broken)


@falsifies(f"{AREA}.workers-load-what-is-asked-for")
def two_batches_of_a_long_epoch_change_places() -> Break:
    """The batch with number 257 comes before the one in front of it."""
    return later_batches_first(lambda self: self._rcvd_idx == 257)


@falsifies(f"{AREA}.workers-load-what-is-asked-for")
def a_large_batch_of_a_worker_is_cut() -> Break:
    """A worker loads no more than 64 samples of a batch."""
    return fetching_in_workers(
        "Map", lambda original, self, keys: original(self, keys[:64] if self.auto_collation else keys)
    )


@falsifies(f"{AREA}.worker-info-has-the-id")
def the_sixth_worker_takes_itself_for_the_fifth() -> Break:
    """The worker with the id 5 is told 4."""

    def change(facts: Facts) -> None:
        facts["worker_id"] -= facts["worker_id"] == 5

    return in_the_worker(change)


def asked_for_the_length(which: str) -> Break:
    """An iterator over a map-style dataset asks something of the loader for its length."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            if loader._dataset_kind == 0:
                len(getattr(loader, which))
            original(self, loader)

        return initialise

    return iterator_method("__init__", broken)


@falsifies(f"{AREA}.workers-need-no-length")
def workers_want_the_length_of_the_sampler() -> Break:
    """With workers a sampler without a length raises TypeError."""
    return asked_for_the_length("_index_sampler")


@falsifies(f"{AREA}.workers-need-no-length")
def workers_want_the_length_of_the_dataset() -> Break:
    """With workers a map-style dataset without a length raises TypeError."""
    return asked_for_the_length("dataset")


@falsifies(f"{AREA}.late-batch-raises")
def single_samples_may_be_late() -> Break:
    """Without batches there is no timeout."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            self._timeout *= loader.batch_size is not None

        return initialise

    return iterator_method("__init__", broken)


@falsifies(f"{AREA}.exception-in-the-dataset-keeps-its-type")
def an_exception_ends_a_stream_without_batches() -> Break:
    """A ValueError of a stream without batches is taken for its end."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        try:
            return original(self, keys)
        except ValueError:
            if self.auto_collation:
                raise
            raise StopIteration from None

    return fetching_in_workers("Iterable", other)


@falsifies(f"{AREA}.workers-collate-as-the-main-process")
def a_worker_sends_single_namedtuples_as_tuples() -> Break:
    """A namedtuple that is a sample without batches becomes a plain tuple."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found = original(self, keys)
        return tuple(found) if not self.auto_collation and hasattr(found, "_fields") else found

    return fetching_in_workers("Map", other)


@falsifies(f"{AREA}.one-seed-gives-one-run")
def kept_workers_are_shuffled_for_by_the_global_generator() -> Break:
    """From the second epoch of persistent workers on the order does not come from the generator given."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            if not first_iter and hasattr(loader.sampler, "generator"):
                loader.sampler.generator = None
            original(self, loader, first_iter)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.in-order-false-loses-nothing")
def a_single_sample_is_lost_in_any_order() -> Break:
    """With in_order=False and without batches one of the samples is passed over."""

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            found = original(self)
            lost = not self._in_order and not self._auto_collation and self._num_yielded == 1
            return original(self) if lost else found

        return next_data

    return iterator_method("_next_data", broken)


@falsifies(f"{AREA}.dead-worker-raises")
def a_timeout_hides_a_dead_worker() -> Break:
    """Where there is a timeout, a worker that was killed is taken for the end of the epoch."""

    def broken(original: Any) -> Any:
        def try_get_data(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            except RuntimeError:
                if self._timeout:
                    raise StopIteration from None
                raise

        return try_get_data

    return iterator_method("_try_get_data", broken)


@falsifies(f"{AREA}.tensors-arrive-as-they-were-made")
def a_large_tensor_ends_in_zeros() -> Break:
    """The elements of a tensor from the hundred thousandth on arrive as 0."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found = original(self, keys)
        if isinstance(found, torch.Tensor) and found.dim() == 1:
            found[100_000:] = 0
        return found

    return fetching_in_workers("Map", other)
