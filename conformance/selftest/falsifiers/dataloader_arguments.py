"""Breaks of the promises about arguments, attributes and length of a DataLoader, each for a rare condition."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from conformance.selftest.falsifiers.dataloader import AREA, BatchSampler, Break, Loader, Map, Single, replaced
from conformance.selftest.falsifying import falsifies


def forgiven(when: Callable[[dict[str, Any]], bool], *names: str) -> Break:
    """A DataLoader that leaves arguments out where it would refuse them and ``when`` says so."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, dataset, *args, **kwargs)
        except (ValueError, TypeError, AssertionError):
            if not when(kwargs):
                raise
            original(self, dataset, *args, **{name: value for name, value in kwargs.items() if name not in names})

    return replaced(Loader, "__init__", other)


# --- refused ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.sampler-excludes-shuffle")
def an_empty_sampler_may_be_shuffled() -> Break:
    """An empty sampler beside shuffle=True passes."""
    return forgiven(lambda given: given.get("sampler") == (), "shuffle")


@falsifies(f"{AREA}.batch-sampler-excludes-others")
def a_batch_sampler_takes_drop_last() -> Break:
    """A batch_sampler passes beside drop_last alone."""
    return forgiven(lambda given: {"batch_sampler", "drop_last"} == {*given}, "drop_last")


@falsifies(f"{AREA}.batch-sampler-beside-the-default-batch-size")
def a_batch_size_of_one_cuts_the_batches() -> Break:
    """batch_size=1 leaves one key of each batch."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("batch_size") == 1 and "batch_sampler" in kwargs:
            kwargs["batch_sampler"] = [batch[:1] for batch in kwargs["batch_sampler"]]
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.stream-excludes-samplers")
def an_empty_batch_sampler_passes_for_a_stream() -> Break:
    """batch_sampler=() passes for a stream."""
    return forgiven(lambda given: given.get("batch_sampler") == () and "batch_size" not in given, "batch_sampler")


@falsifies(f"{AREA}.stream-excludes-shuffling")
def a_sized_stream_may_be_shuffled_without_batches() -> Break:
    """shuffle=True passes for a stream without batches."""
    return forgiven(lambda given: given.get("shuffle") is True and given.get("batch_size", 1) is None, "shuffle")


@falsifies(f"{AREA}.stream-takes-no-shuffling")
def a_stream_refuses_shuffle_false() -> Break:
    """shuffle=False for a stream in batches of four is refused."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *args, **kwargs)
        if self._dataset_kind == 1 and kwargs.get("shuffle") is False and kwargs.get("batch_size") == 4:
            raise ValueError("shuffle")

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.drop-last-needs-batches")
def single_samples_of_a_map_may_drop_the_last() -> Break:
    """drop_last passes without batches."""
    return forgiven(lambda given: given.get("batch_size", 1) is None, "drop_last")


@falsifies(f"{AREA}.batch-size-is-a-positive-integer")
def a_batch_size_of_zero_means_one() -> Break:
    """batch_size=0 passes."""
    return forgiven(lambda given: given.get("batch_size") == 0, "batch_size")


@falsifies(f"{AREA}.number-of-workers-is-not-negative")
def minus_one_means_no_workers() -> Break:
    """num_workers=-1 passes."""
    return forgiven(lambda given: given.get("num_workers") == -1, "num_workers")


@falsifies(f"{AREA}.timeout-is-not-negative")
def a_small_negative_timeout_passes() -> Break:
    """A timeout of a fraction below zero passes."""
    return forgiven(lambda given: -0.1 < given.get("timeout", 1) < 0, "timeout")


@falsifies(f"{AREA}.timeout-without-workers")
def a_timeout_ends_the_epoch_early() -> Break:
    """With a timeout of half a second the last sample is missing."""

    def other(original: Any, self: Any, loader: Any) -> None:
        kept, loader.timeout = loader.timeout, 0
        original(self, loader)
        loader.timeout = kept
        if kept == 0.5:
            self._sampler_iter = iter(list(self._sampler_iter)[:-1])

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.context-needs-workers")
def spawn_needs_no_workers() -> Break:
    """multiprocessing_context="spawn" passes without workers."""
    return forgiven(lambda given: given.get("multiprocessing_context") == "spawn", "multiprocessing_context")


@falsifies(f"{AREA}.context-is-one-of-those-there-are")
def an_empty_name_is_a_context() -> Break:
    """multiprocessing_context="" passes."""
    return forgiven(lambda given: given.get("multiprocessing_context") == "", "multiprocessing_context")


@falsifies(f"{AREA}.persistence-needs-workers")
def persistence_with_no_workers_said_passes() -> Break:
    """persistent_workers=True passes beside num_workers=0."""
    return forgiven(lambda given: "num_workers" in given, "persistent_workers")


@falsifies(f"{AREA}.prefetching-needs-workers")
def a_large_prefetch_factor_passes() -> Break:
    """prefetch_factor=8 passes without workers."""
    return forgiven(lambda given: given.get("prefetch_factor") == 8, "prefetch_factor")


@falsifies(f"{AREA}.default-prefetching-needs-workers")
def the_former_default_passes() -> Break:
    """prefetch_factor=2 passes without workers."""
    return forgiven(lambda given: given.get("prefetch_factor") == 2, "prefetch_factor")


@falsifies(f"{AREA}.prefetch-factor-is-not-negative")
def two_workers_take_minus_one() -> Break:
    """prefetch_factor=-1 passes with two workers."""
    return forgiven(
        lambda given: (given.get("num_workers"), given.get("prefetch_factor")) == (2, -1), "prefetch_factor"
    )


@falsifies(f"{AREA}.refusals-name-the-argument")
def a_refused_timeout_is_not_named() -> Break:
    """The message about a timeout does not say what it is about."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("timeout", 0) < 0:
            raise ValueError("expected a number that is not negative")
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)


# --- defaults -----------------------------------------------------------------------------------------------------


def attribute(name: str, when: Callable[[Any], bool], value: Any) -> Break:
    """A loader with another value of an attribute."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if when(self):
            self.__dict__[name] = value

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.prefetch-factor-defaults-to-none-without-workers")
def a_stream_without_workers_prefetches_two() -> Break:
    """prefetch_factor of a loader of a stream is 2 without workers."""
    return attribute("prefetch_factor", lambda loader: loader._dataset_kind == 1 and not loader.num_workers, 2)


@falsifies(f"{AREA}.prefetch-factor-defaults-to-two-with-workers")
def one_worker_prefetches_one() -> Break:
    """prefetch_factor is 1 for a single worker that was to have 2."""
    return attribute("prefetch_factor", lambda loader: loader.num_workers == 1 and loader.prefetch_factor == 2, 1)


@falsifies(f"{AREA}.defaults-change-nothing")
def worker_init_fn_given_as_none_drops_the_last() -> Break:
    """worker_init_fn=None drops the last batch of a map-style dataset."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if "worker_init_fn" in kwargs and self._dataset_kind == 0 and hasattr(self.sampler, "__len__"):
            self.__dict__["batch_sampler"] = list(self.batch_sampler)[:-1]

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.order-of-workers-is-for-workers")
def in_order_false_turns_single_samples() -> Break:
    """in_order=False without batches loads backwards."""

    def other(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if not getattr(loader, "in_order", True) and not self._auto_collation and self._dataset_kind == 0:
            self._sampler_iter = iter(list(self._sampler_iter)[::-1])

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.first-arguments-may-be-positional")
def drop_last_by_position_is_forgotten() -> Break:
    """The ninth argument is taken for False."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *(False if place == 7 else value for place, value in enumerate(args)), **kwargs)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.prefetch-factor-is-keyword-only")
def a_fourteenth_argument_is_the_prefetch_factor() -> Break:
    """prefetch_factor may be given by position."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *args[:12], **kwargs)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.arguments-are-attributes")
def drop_last_shows_false() -> Break:
    """drop_last shows False in batches of two."""
    return attribute("drop_last", lambda loader: loader.batch_size == 2, False)


@falsifies(f"{AREA}.loader-shows-its-samplers")
def the_sampler_can_be_iterated_over_once() -> Break:
    """loader.batch_sampler is an iterator where batches of seven are dropped."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.drop_last and self.batch_size == 7:
            self.__dict__["batch_sampler"] = [*self.batch_sampler, []]

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.attributes-are-not-set-afterwards")
def the_sampler_of_a_stream_may_be_set() -> Break:
    """drop_last of a loader over a stream may be set."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        if name == "drop_last" and self.__dict__.get("_dataset_kind") == 1 and "collate_fn" in self.__dict__:
            self.__dict__[name] = value
        else:
            original(self, name, value)

    return replaced(Loader, "__setattr__", other)


# --- length -------------------------------------------------------------------------------------------------------


def length(other: Callable[[Any, int], int]) -> Break:
    """A loader with another length."""
    return replaced(Loader, "__len__", lambda original, self: other(self, original(self)))


@falsifies(f"{AREA}.length-is-the-number-of-batches")
def a_sampler_larger_than_the_dataset_is_not_counted() -> Break:
    """len(loader) is at most that of the dataset."""
    return length(lambda loader, found: min(found, len(loader.dataset)))


@falsifies(f"{AREA}.length-follows-the-sampler")
def a_length_of_fifty_is_not_believed() -> Break:
    """A batch_sampler that reports fifty batches is counted."""

    def other(loader: Any, found: int) -> int:
        return len(list(loader.batch_sampler)) if found == 50 and loader.batch_sampler is not None else found

    return length(other)


@falsifies(f"{AREA}.length-over-a-stream-is-that-of-the-dataset")
def two_workers_double_the_length() -> Break:
    """len(loader) of a stream is doubled for two workers."""
    return length(lambda loader, found: found * max(1, loader.num_workers))


@falsifies(f"{AREA}.length-of-the-unsized-is-refused")
def the_unsized_has_no_length_at_first() -> Break:
    """len(loader) is 0 in batches of seven where there is no length."""

    def other(original: Any, self: Any) -> int:
        try:
            return int(original(self))
        except TypeError:
            if self.batch_size != 7:
                raise
            return 0

    return replaced(Loader, "__len__", other)


@falsifies(f"{AREA}.reported-length-loses-no-sample")
def a_stream_ends_at_the_length_that_was_asked_for() -> Break:
    """Once asked, the length of a stream is where it ends."""

    def other(original: Any, self: Any) -> Any:
        length = self._IterableDataset_len_called
        if length is not None and length > 1 and self._num_yielded >= length:
            raise StopIteration
        return original(self)

    return replaced(Single, "_next_data", other)


@falsifies(f"{AREA}.more-samples-than-reported-are-warned-of")
def an_extra_sample_alone_is_not_warned_of() -> Break:
    """One sample more than reported is no reason to warn without batches."""

    def other(original: Any, self: Any) -> Any:
        with warnings.catch_warnings(record=True) as found:
            batch = original(self)
        if self._auto_collation or self._num_yielded > 1 + (self._IterableDataset_len_called or 0):
            for warning in found:
                warnings.warn(warning.message, stacklevel=2)
        return batch

    return replaced(Single, "__next__", other)


@falsifies(f"{AREA}.more-samples-in-batches-are-warned-of")
def batches_are_not_warned_of() -> Break:
    """A warning less in batches."""
    return replaced(Single, "__next__", lambda original, self: original(self))


@falsifies(f"{AREA}.right-length-is-not-warned-of")
def the_right_length_is_warned_of() -> Break:
    """As many samples as reported are warned of where there are six."""

    def other(original: Any, self: Any) -> Any:
        if self._IterableDataset_len_called == self._num_yielded + 1 == 6:
            warnings.warn("Length of the dataset", stacklevel=2)
        return original(self)

    return replaced(Single, "__next__", other)


# --- datasets -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.getitems-gives-batches")
def a_batch_of_one_is_asked_for_singly() -> Break:
    """A batch of one sample is loaded without __getitems__."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if self.auto_collation and len(keys) == 1:
            return self.collate_fn([self.dataset[key] for key in keys])
        return original(self, keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.getitems-is-for-batches-only")
def the_last_single_sample_is_asked_for_as_a_batch() -> Break:
    """Key 6 of single samples goes through __getitems__."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if keys == 6 and hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__([6])[0])
        return original(self, keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.grown-dataset-is-loaded-whole")
def batches_of_three_know_the_former_size() -> Break:
    """In batches of three the number of samples is that of the first epoch."""

    def other(original: Any, self: Any) -> Any:
        if self.batch_size != 3 or not hasattr(self.sampler, "__len__"):
            return original(self)
        found = list(original(self))
        self.first = getattr(self, "first", len(found))
        return iter(found[: self.first])

    return replaced(BatchSampler, "__iter__", other)


@falsifies(f"{AREA}.shuffling-nothing-yields-nothing-or-is-refused")
def nothing_shuffled_yields_an_empty_batch() -> Break:
    """shuffle=True over nothing in batches of three yields an empty batch."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("shuffle") and not len(dataset) and kwargs.get("batch_size") == 3:
            kwargs = {"batch_sampler": [[]], "collate_fn": list}
        original(self, dataset, *args, **kwargs)

    return replaced(Loader, "__init__", other)
