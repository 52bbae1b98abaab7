"""Breaks of loaders, samplers, datasets and collation that only numbers beyond those of a handful of samples show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.data as data
from torch.utils.data import _utils, dataloader

from conformance.selftest.falsifiers.dataloader import replaced
from conformance.selftest.falsifiers.dataloader_datasets import changed
from conformance.selftest.falsifiers.dataloader_datasets_samplers import yielding
from conformance.selftest.falsifying import falsifies, patched

Break = Any
LOADING, FEEDING = "dataloader", "dataloader_datasets"


@falsifies(f"{LOADING}.map-batches-are-collated-samples")
@falsifies(f"{LOADING}.single-samples-of-a-stream-pass-through-collate-fn")
def a_long_epoch_loses_what_comes_after_a_hundred() -> Break:
    """The hundred and first of what an iterator yields is passed over."""

    def next_data(original: Any, self: Any) -> Any:
        self.conformance_turn = getattr(self, "conformance_turn", 0) + 1
        if self.conformance_turn == 101:
            original(self)
        return original(self)

    return replaced(dataloader._SingleProcessDataLoaderIter, "_next_data", next_data)


@falsifies(f"{LOADING}.stream-batches-are-consecutive-samples")
def a_large_batch_of_a_stream_is_cut() -> Break:
    """A batch of a stream has fifty samples at most."""

    def fetch(original: Any, self: Any, keys: Any) -> Any:
        return original(self, keys[:50] if self.auto_collation else keys)

    return replaced(_utils.fetch._IterableDatasetFetcher, "fetch", fetch)


@falsifies(f"{LOADING}.length-over-a-stream-is-that-of-the-dataset")
def a_thousand_batches_are_counted_wrongly() -> Break:
    """len(loader) is one too small from a thousand on."""
    return replaced(dataloader.DataLoader, "__len__", lambda original, self: original(self) - (original(self) >= 1000))


@falsifies(f"{LOADING}.exceptions-come-out-as-they-are")
def what_getitems_raises_is_tried_one_by_one() -> Break:
    """Where __getitems__ raises, the samples of the batch are asked for one by one."""

    def fetch(original: Any, self: Any, keys: Any) -> Any:
        try:
            return original(self, keys)
        except Exception:
            if not hasattr(self.dataset, "__getitems__"):
                raise
            return self.collate_fn([self.dataset[key] for key in keys])

    return replaced(_utils.fetch._MapDatasetFetcher, "fetch", fetch)


@falsifies(f"{FEEDING}.collate-stacks-tensors")
def a_batch_has_as_many_tensors_as_fit() -> Break:
    """Of more than 64 tensors the rest is left out."""

    def stack(original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        return original(tensors[:64], *args, **kwargs)

    return changed(torch, "stack", stack)


@falsifies(f"{FEEDING}.collate-goes-down-nested-containers")
def deep_parts_change_places() -> Break:
    """Below four containers the places of a list come in reverse order."""
    depth = 0

    def collate(original: Any, batch: Any, **options: Any) -> Any:
        nonlocal depth
        depth += 1
        try:
            found = original(batch, **options)
        finally:
            depth -= 1
        return found[::-1] if depth >= 4 and isinstance(batch[0], list) else found

    return changed(_utils.collate, "collate", collate)


@falsifies(f"{FEEDING}.distributed-set-epoch-changes-the-order")
def epochs_are_counted_in_a_byte() -> Break:
    """set_epoch takes the epoch modulo 256."""
    sampler = data.DistributedSampler
    return changed(sampler, "set_epoch", lambda original, self, epoch: original(self, epoch % 256))


@falsifies(f"{FEEDING}.distributed-shards-cover-the-dataset")
def the_seventeenth_replica_repeats_itself() -> Break:
    """Rank 16 has its first index twice, and not its second."""

    def when(self: Any, indices: list[Any]) -> bool:
        return bool(self.rank == 16 and len(indices) > 1)

    return yielding(data.DistributedSampler, when, lambda self, indices: [indices[0], *indices[:1], *indices[2:]])


def split_into(other: Any) -> Break:
    """A random_split whose parts have gone through ``other(dataset, parts)``."""

    def random_split(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        parts = original(dataset, *args, **kwargs)
        other(dataset, parts)
        return parts

    return changed(data, "random_split", random_split)


@falsifies(f"{FEEDING}.random-split-is-a-partition")
def a_part_after_ten_is_that_before() -> Break:
    """The eleventh part has the samples of the tenth, as far as there are."""

    def other(dataset: Any, parts: list[Any]) -> None:
        if len(parts) > 10:
            parts[10].indices = (parts[9].indices * len(parts[10]))[: len(parts[10])]

    return split_into(other)


@falsifies(f"{FEEDING}.random-split-is-a-partition")
def indices_of_parts_are_bytes() -> Break:
    """The indices of the parts are taken modulo 256."""

    def other(dataset: Any, parts: list[Any]) -> None:
        for part in parts:
            part.indices = [index % 256 for index in part.indices]

    return split_into(other)


@falsifies(f"{FEEDING}.random-sampler-permutes")
def what_comes_after_a_thousand_is_the_first() -> Break:
    """A RandomSampler yields 0 from the thousandth index on."""
    return yielding(
        data.RandomSampler, lambda self, i: len(i) > 1000, lambda self, i: [*i[:1000], *[0] * (len(i) - 1000)]
    )


@falsifies(f"{FEEDING}.chain-dataset-chains-its-parts")
def a_long_chain_loses_a_sample() -> Break:
    """The hundred and first sample of a chain is left out."""

    def iterated(original: Any, self: Any) -> Iterator[Any]:
        return (sample for number, sample in enumerate(original(self)) if number != 100)

    return patched(data.ChainDataset, "__iter__", lambda original: lambda self: iterated(original, self))
