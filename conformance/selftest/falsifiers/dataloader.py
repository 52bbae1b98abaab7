"""Breaks of the promises about batches, order and shuffling of a DataLoader, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils.data import _utils, dataloader

from conformance.selftest.falsifying import falsifies, patched

AREA = "dataloader"
Break = AbstractContextManager[Any]
Loader = torch.utils.data.DataLoader
Map, Stream = _utils.fetch._MapDatasetFetcher, _utils.fetch._IterableDatasetFetcher
Single = dataloader._SingleProcessDataLoaderIter
Base = dataloader._BaseDataLoaderIter
BatchSampler, RandomSampler = torch.utils.data.BatchSampler, torch.utils.data.RandomSampler


def replaced(owner: Any, name: str, other: Callable[..., Any]) -> Break:
    """A method that does ``other(original, self, …)``."""

    def make(original: Any) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return other(original, self, *args, **kwargs)

        return method

    return patched(owner, name, make)


def construction(change: Callable[[dict[str, Any]], Any]) -> Break:
    """A DataLoader whose arguments are changed before it is made."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        change(kwargs)
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)


def collating(owner: Any, other: Callable[[Any, Any], Any]) -> Break:
    """A fetcher whose samples pass through ``other(collate_fn, samples)``."""

    def fetch(original: Any, self: Any, keys: Any) -> Any:
        kept = self.collate_fn
        self.collate_fn = lambda samples: other(kept, samples)
        try:
            return original(self, keys)
        finally:
            self.collate_fn = kept

    return replaced(owner, "fetch", fetch)


def batched(other: Callable[[Any, list[Any]], list[Any]], owner: Any = BatchSampler) -> Break:
    """A BatchSampler, or another sampler, that yields ``other(self, batches)``; that of a stream has no end."""

    def iterated(original: Any, self: Any) -> Any:
        endless = not hasattr(getattr(self, "sampler", self), "__len__")
        return original(self) if endless else iter(other(self, list(original(self))))

    return replaced(owner, "__iter__", iterated)


# --- batches ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.map-batches-are-collated-samples")
def the_last_batch_of_three_is_turned() -> Break:
    """The third and last batch of a map-style dataset comes in reverse."""
    return batched(lambda self, found: [*found[:2], found[2][::-1]] if len(found) == 3 else found)


@falsifies(f"{AREA}.stream-batches-are-consecutive-samples")
def a_full_last_batch_of_a_stream_is_lost() -> Break:
    """A stream of six samples loses its last batch with drop_last."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found = original(self, keys)
        if self.drop_last and self.dataset.size == 6 and len(self.dataset.asked) == 6:
            raise StopIteration
        return found

    return replaced(Stream, "fetch", other)


@falsifies(f"{AREA}.batch-size-defaults-to-one")
def an_unsaid_batch_size_means_no_batches() -> Break:
    """A loader over five samples without arguments does not batch."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        if not args and not kwargs and dataset.size == 5:
            kwargs["batch_size"] = None
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.last-batch-is-smaller-or-dropped")
def an_incomplete_batch_but_for_one_is_kept() -> Break:
    """drop_last keeps a last batch that lacks one sample of four."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        yield from original(self)
        if self.drop_last and self.batch_size == 4 and len(self.sampler) % 4 == 3:
            yield list(self.sampler)[-3:]

    return replaced(BatchSampler, "__iter__", other)


@falsifies(f"{AREA}.single-samples-pass-through-collate-fn")
def a_single_array_does_not_pass() -> Break:
    """A single sample that is an array does not go through collate_fn."""

    def other(original: Any, self: Any, key: Any) -> Any:
        found = original(self, key)
        plain = not self.auto_collation and hasattr(self.dataset.given[-1], "__array_interface__")
        return self.dataset.given[-1] if plain else found

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.single-samples-of-a-stream-pass-through-collate-fn")
def a_stream_of_one_is_empty() -> Break:
    """A stream of one sample yields nothing without batches."""

    def other(original: Any, self: Any, key: Any) -> Any:
        if not self.auto_collation and self.dataset.size == 1:
            raise StopIteration
        return original(self, key)

    return replaced(Stream, "fetch", other)


@falsifies(f"{AREA}.single-samples-are-only-converted")
def numbers_in_a_pair_become_tensors() -> Break:
    """The number beside a tensor becomes a tensor itself."""
    return collating(
        Map,
        lambda collate, sample: (sample[0], torch.tensor(sample[1]))
        if type(sample) is tuple
        else collate(sample),
    )  # fmt: skip


@falsifies(f"{AREA}.single-samples-keep-their-containers")
def namedtuples_become_tuples() -> Break:
    """A namedtuple loses its type."""

    def other(collate: Any, sample: Any) -> Any:
        return tuple(sample) if hasattr(sample, "_fields") else sample

    return collating(Map, other)


@falsifies(f"{AREA}.collate-fn-gets-a-list")
def a_stream_collates_a_tuple_of_two() -> Break:
    """collate_fn gets a tuple of two samples of a stream."""

    def other(collate: Any, samples: Any) -> Any:
        return collate(tuple(samples) if type(samples) is list and len(samples) == 2 else samples)

    return collating(Stream, other)


@falsifies(f"{AREA}.collate-fn-gets-each-sample")
def a_mapping_is_copied_first() -> Break:
    """collate_fn gets a copy of a single mapping."""
    return collating(Map, lambda collate, sample: collate(dict(sample) if type(sample) is dict else sample))


@falsifies(f"{AREA}.falsy-samples-and-batches-are-yielded")
def an_empty_sample_ends_a_stream() -> Break:
    """An empty text is taken for the end of a stream without batches."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found = original(self, keys)
        if isinstance(found, str) and not found:
            raise StopIteration
        return found

    return replaced(Stream, "fetch", other)


@falsifies(f"{AREA}.default-keys-are-integers")
def shuffled_keys_are_tensors() -> Break:
    """Shuffling by a generator gives tensors of no dimension."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        return [torch.tensor(key) for key in found] if self.generator is not None else found

    return batched(other, RandomSampler)


@falsifies(f"{AREA}.batches-stay-as-they-were")
def batches_of_a_stream_share_their_memory() -> Break:
    """A batch of tensors of a stream is written into the memory of the one before, if it fits."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found, kept = original(self, keys), getattr(self, "kept", None)
        if not isinstance(found, torch.Tensor) or kept is None or kept.shape != found.shape:
            self.kept = found
            return found
        return kept.copy_(found)

    return replaced(Stream, "fetch", other)


# --- order --------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.order-is-sequential")
def shuffle_none_goes_backwards() -> Break:
    """shuffle=None means the order backwards."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        if "shuffle" in kwargs and kwargs["shuffle"] is None:
            kwargs["sampler"] = range(len(dataset))[::-1]
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.sampler-gives-the-order")
def a_key_twice_in_a_batch_is_loaded_once() -> Break:
    """A key that comes twice in a row in a batch is loaded once."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        return [[key for place, key in enumerate(keys) if not place or key != keys[place - 1]] for keys in found]

    return batched(other)


@falsifies(f"{AREA}.batch-sampler-gives-the-batches")
def a_batch_larger_than_the_first_is_cut() -> Break:
    """A batch of a batch_sampler that is larger than the first is cut."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        self.first = getattr(self, "first", keys)
        both = isinstance(keys, list) and isinstance(self.first, list) and len(self.first) > 1
        return original(self, keys[: len(self.first)] if both else keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.batch-sampler-gives-the-batches")
def an_empty_batch_sampler_counts_as_none() -> Break:
    """A batch_sampler that yields nothing is taken for none, and everything is loaded."""

    def change(kwargs: dict[str, Any]) -> None:
        if kwargs.get("batch_sampler") is not None and not list(kwargs["batch_sampler"]):
            del kwargs["batch_sampler"]

    return construction(change)


@falsifies(f"{AREA}.shuffle-is-a-permutation")
def the_last_key_of_seven_comes_twice() -> Break:
    """Of seven shuffled keys the last is the first again."""
    return batched(lambda self, found: [*found[:-1], found[0]] if len(found) == 7 else found, RandomSampler)


@falsifies(f"{AREA}.shuffle-is-new-every-epoch")
def the_third_epoch_is_that_of_before() -> Break:
    """With a generator of its own, a sampler keeps its second order for the third epoch."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        self.times = getattr(self, "times", 0) + 1
        if self.generator is not None and self.times == 3:
            return self.kept
        self.kept = found
        return found

    return batched(other, RandomSampler)


@falsifies(f"{AREA}.shuffle-puts-every-sample-everywhere")
def the_last_of_five_is_never_first() -> Break:
    """Of five samples the last one never comes first."""
    return batched(lambda self, found: found[::-1] if len(found) == 5 and found[0] == 4 else found, RandomSampler)


@falsifies(f"{AREA}.generator-gives-the-order")
def the_generator_is_forgotten_with_drop_last() -> Break:
    """With drop_last the order comes from the global generator."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.drop_last and hasattr(self.sampler, "generator"):
            self.sampler.generator = None

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.global-seed-gives-the-order")
def the_order_without_batches_has_a_seed_of_its_own() -> Break:
    """Without batches the order comes from a generator that nobody seeded."""
    count = iter(range(1000))

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.batch_sampler is None and getattr(self.sampler, "generator", 0) is None:
            self.sampler.generator = torch.Generator().manual_seed(next(count))

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.generator-spares-the-global-one")
def a_stream_draws_from_the_global_one_all_the_same() -> Break:
    """An iterator over a stream draws from the global generator beside its own."""

    def other(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if loader._dataset_kind == 1:
            torch.empty((), dtype=torch.int64).random_()

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.generator-spares-the-global-one")
def the_generator_is_forgotten_beside_a_sampler() -> Break:
    """The seed of the workers comes from the global generator where a sampler is given, whatever generator is."""

    def other(original: Any, self: Any, loader: Any) -> None:
        given = loader.generator
        if type(loader.sampler) not in (RandomSampler, torch.utils.data.SequentialSampler) and not loader._dataset_kind:
            loader.generator = None
        try:
            original(self, loader)
        finally:
            loader.generator = given

    return replaced(Base, "__init__", other)


@falsifies(f"{AREA}.iterator-draws-from-the-global-generator")
def a_sampler_of_ones_own_spares_the_global_one() -> Break:
    """Nothing is drawn where a sampler is given."""

    def other(original: Any, self: Any, loader: Any) -> None:
        before = torch.get_rng_state()
        original(self, loader)
        if type(loader.sampler).__name__ == "KeySampler":
            torch.set_rng_state(before)

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.generator-leaves-a-sampler-alone")
def a_generator_shuffles_what_a_batch_sampler_yields() -> Break:
    """The batches of a batch_sampler come in another order where there is a generator."""

    def other(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if loader.generator is not None and loader.batch_size is None and loader.batch_sampler is not None:
            self._sampler_iter = iter(list(self._sampler_iter)[::-1])

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.keys-reach-the-dataset-as-they-are")
def tensor_keys_become_integers() -> Break:
    """Keys that are tensors become integers in a batch."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if self.auto_collation:
            keys = [int(key) if isinstance(key, torch.Tensor) else key for key in keys]
        return original(self, keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.any-iterable-is-a-sampler")
def a_dict_is_taken_for_its_length() -> Break:
    """A dict as a sampler gives 0, 1, 2, …."""

    def change(kwargs: dict[str, Any]) -> None:
        if isinstance(kwargs.get("sampler"), dict):
            kwargs["sampler"] = range(len(kwargs["sampler"]))

    return construction(change)


@falsifies(f"{AREA}.sampler-needs-no-length")
def a_sampler_is_asked_for_its_length_to_batch() -> Break:
    """Batches of three need the sampler's length."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        if self.batch_size == 3:
            len(self.sampler)
        return iter(original(self))

    return replaced(BatchSampler, "__iter__", other)


@falsifies(f"{AREA}.sampler-is-iterated-anew")
def a_sampler_without_batches_is_iterated_twice() -> Break:
    """Without batches a sampler is iterated over once more, for nothing."""

    def other(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if not self._auto_collation:
            list(loader.sampler)

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.changed-sampler-holds-from-the-next-epoch")
def a_list_of_keys_is_copied() -> Break:
    """A sampler that is a list is copied when the loader is made, where there are batches."""

    def change(arguments: dict[str, Any]) -> None:
        if isinstance(arguments.get("sampler"), list) and arguments.get("batch_size", 1) is not None:
            arguments["sampler"] = [*arguments["sampler"]]

    return construction(change)


@falsifies(f"{AREA}.changed-sampler-holds-from-the-next-epoch")
def a_list_of_batches_is_copied() -> Break:
    """A batch_sampler that is a list is copied when the loader is made."""

    def change(arguments: dict[str, Any]) -> None:
        if isinstance(arguments.get("batch_sampler"), list):
            arguments["batch_sampler"] = [*arguments["batch_sampler"]]

    return construction(change)


@falsifies(f"{AREA}.set-epoch-takes-effect-in-the-next-epoch")
def the_order_is_kept_from_epoch_to_epoch() -> Break:
    """A loader in batches of four keeps the order of its first epoch."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        self.kept = getattr(self, "kept", found)
        return self.kept if self.batch_size == 4 else found

    return batched(other)
