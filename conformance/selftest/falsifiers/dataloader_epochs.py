"""Breaks of the promises about datasets, epochs, exceptions and pinning of a DataLoader, each for a rare condition."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import _utils

from conformance.selftest.falsifiers.dataloader import (
    AREA,
    BatchSampler,
    Break,
    Loader,
    Map,
    RandomSampler,
    Single,
    Stream,
    batched,
    replaced,
)
from conformance.selftest.falsifying import falsifies, patched

# --- datasets -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.any-map-style-object-is-loaded")
def a_dict_is_asked_in_the_order_of_its_values() -> Break:
    """A mapping is asked for its keys backwards in batches of two."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        turned = isinstance(self.dataset, dict) and isinstance(keys, list) and len(keys) == 2
        return original(self, keys[::-1] if turned else keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.any-map-style-object-is-loaded")
def a_getitems_that_is_none_is_called() -> Break:
    """A dataset whose __getitems__ is None is asked for several samples at once all the same."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if self.auto_collation and getattr(self.dataset, "__getitems__", original) is None:
            return self.collate_fn(self.dataset.__getitems__(keys))
        return original(self, keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.sampled-dataset-needs-no-length")
def a_batch_of_seven_is_held_against_the_length() -> Break:
    """In batches of seven the dataset is asked for its length."""

    def other(original: Any, self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
        original(self, dataset, *args, **kwargs)
        if self.batch_size == 7 and self._dataset_kind == 0:
            len(dataset)

    return replaced(Loader, "__init__", other)


@falsifies(f"{AREA}.class-says-the-style")
def an_object_with_iter_is_iterated_over() -> Break:
    """A map-style dataset with __iter__ is iterated over in batches of seven."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if isinstance(keys, list) and len(keys) == 7 and hasattr(self.dataset, "__iter__"):
            return self.collate_fn(list(self.dataset)[:7])
        return original(self, keys)

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.stream-is-iterated-anew")
def a_stream_is_tried_first() -> Break:
    """A stream without batches is iterated over once more, to see whether that works."""

    def other(original: Any, self: Any, dataset: Any, auto_collation: bool, *args: Any) -> None:
        original(self, dataset, auto_collation, *args)
        if not auto_collation:
            next(iter(dataset), None)

    return replaced(Stream, "__init__", other)


@falsifies(f"{AREA}.endless-stream-is-loaded")
def a_stream_is_over_after_three_batches() -> Break:
    """A stream in batches ends after three of them."""

    def other(original: Any, self: Any) -> Any:
        if self._dataset_kind == 1 and self._auto_collation and self._num_yielded == 3:
            raise StopIteration
        return original(self)

    return replaced(Single, "_next_data", other)


@falsifies(f"{AREA}.endless-sampler-is-loaded-by")
def a_sampler_without_batches_is_over_after_two() -> Break:
    """A sampler that drops the last batch of three ends after two of them."""

    def other(original: Any, self: Any) -> Any:
        found = original(self)
        return iter([next(found), next(found)]) if self.batch_size == 3 and self.drop_last else found

    return replaced(BatchSampler, "__iter__", other)


@falsifies(f"{AREA}.loads-on-demand")
def a_stream_is_asked_for_one_more() -> Break:
    """A stream without batches is asked for a sample ahead."""

    def other(original: Any, self: Any, dataset: Any, auto_collation: bool, *args: Any) -> None:
        original(self, dataset, auto_collation, *args)
        if not auto_collation:
            self.dataset_iter = ahead(self.dataset_iter)

    return replaced(Stream, "__init__", other)


def ahead(samples: Any) -> Any:
    """The same samples, each drawn before the one before it is given."""
    for held in samples:
        for sample in samples:
            yield held
            held = sample
        yield held


# --- epochs -------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.each-epoch-yields-everything")
def an_epoch_goes_on_where_the_last_was_left() -> Break:
    """An epoch of a loader with a batch_sampler begins where the one before was left after two batches."""

    def other(original: Any, self: Any) -> Any:
        left = getattr(self, "left", None)
        found = original(self)
        if left is not None and left._num_yielded == 2 and self.batch_size is None and self.drop_last is False:
            next(found._sampler_iter, None)
        self.__dict__["left"] = found
        return found

    return replaced(Loader, "__iter__", other)


@falsifies(f"{AREA}.epoch-after-an-exception-is-whole")
def the_batch_after_an_exception_comes_first() -> Break:
    """After an exception out of a map-style dataset without batches an epoch goes on with the next sample."""

    def fetch(original: Any, self: Any, keys: Any) -> Any:
        dataset = self.dataset
        if not self.auto_collation and keys == 0 and getattr(dataset, "failed", False):
            keys = 1
        try:
            return original(self, keys)
        except Exception:
            dataset.failed = True
            raise

    return replaced(Map, "fetch", fetch)


@falsifies(f"{AREA}.iterators-are-independent")
def a_second_iterator_shares_the_sampler_of_the_first() -> Break:
    """A second iterator in batches of two draws from the sampler of the first while that is at its beginning."""

    def other(original: Any, self: Any) -> Any:
        first, found = getattr(self, "first", None), original(self)
        if first is not None and self.batch_size == 2 and first._num_yielded == 0:
            found._sampler_iter = first._sampler_iter
        self.__dict__["first"] = found
        return found

    return replaced(Loader, "__iter__", other)


@falsifies(f"{AREA}.sessions-follow-the-model")
def a_third_iterator_drops_its_last_batch() -> Break:
    """The third iterator of a loader that shuffles in pairs misses the last batch."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        self.times = getattr(self, "times", 0) + 1
        return found[:-2] if self.times == 3 and len(found) % 2 == 0 else found

    return batched(other, RandomSampler)


@falsifies(f"{AREA}.sessions-repeat-from-a-seed")
def a_fourth_epoch_is_shuffled_by_the_clock() -> Break:
    """From the third epoch on the order does not come from the seed alone."""
    made: list[Any] = []

    def other(self: Any, found: list[Any]) -> list[Any]:
        made.append(None)
        self.times = getattr(self, "times", 0) + 1
        turn = len(made) % 3 if self.times > 2 else 0
        return found[turn:] + found[:turn]

    return batched(other, RandomSampler)


@falsifies(f"{AREA}.restored-generator-repeats-the-epoch")
def the_parity_of_the_epoch_turns_the_order() -> Break:
    """Every other epoch of twelve samples comes backwards."""

    def other(self: Any, found: list[Any]) -> list[Any]:
        self.times = getattr(self, "times", 0) + 1
        return found[::-1] if self.times % 2 == 0 and len(found) == 12 else found

    return batched(other, RandomSampler)


@falsifies(f"{AREA}.end-stays-the-end")
def a_stream_begins_again_after_its_end() -> Break:
    """An iterator over a stream without batches begins again when it is asked after its end."""

    def other(original: Any, self: Any, key: Any) -> Any:
        try:
            return original(self, key)
        except StopIteration:
            if not self.auto_collation:
                self.dataset_iter = iter(self.dataset)
            raise

    return replaced(Stream, "fetch", other)


@falsifies(f"{AREA}.iterator-is-its-own-iterator")
def iter_of_an_iterator_draws_a_batch() -> Break:
    """iter() of an iterator over two batches skips one."""

    def other(original: Any, self: Any) -> Any:
        if self._num_yielded == 1 and not self._auto_collation and self._dataset_kind == 0:
            next(self._sampler_iter, None)
        return self

    return replaced(Single, "__iter__", other)


# --- the main process ---------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.loads-where-it-is")
def a_batch_of_three_is_collated_in_a_thread() -> Break:
    """Batches of three are collated in another thread."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if not isinstance(keys, list) or len(keys) != 3:
            return original(self, keys)
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(original(self, keys)))
        thread.start()
        thread.join()
        return found[0]

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.there-is-no-worker-info")
def a_stream_sees_a_worker() -> Break:
    """While a stream is loaded from, there is a worker's information."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        with patched(_utils.worker, "_worker_info", lambda before: object()):
            return original(self, keys)

    return replaced(Stream, "fetch", other)


@falsifies(f"{AREA}.worker-init-fn-is-for-workers")
def worker_init_fn_is_called_for_streams() -> Break:
    """worker_init_fn is called with 0 for a stream."""

    def other(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if loader.worker_init_fn is not None and self._dataset_kind == 1:
            loader.worker_init_fn(0)

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.exceptions-come-out-as-they-are")
def an_assertion_loses_its_traceback() -> Break:
    """An AssertionError is raised anew where it is caught, and no longer says where it was raised first."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        try:
            return original(self, keys)
        except AssertionError as error:
            raise error.with_traceback(None) from None

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.exceptions-come-out-as-they-are")
def a_key_error_in_the_last_batch_ends_the_epoch() -> Break:
    """A KeyError in the batch with key 6 is taken for the end."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        try:
            return original(self, keys)
        except KeyError:
            if keys == 6 or (isinstance(keys, list) and 6 in keys):
                raise StopIteration from None
            raise

    return replaced(Map, "fetch", other)


@falsifies(f"{AREA}.stop-iteration-of-a-dataset-is-no-end")
def stop_iteration_ends_the_epoch() -> Break:
    """A StopIteration of the dataset is the end of the epoch."""
    return replaced(Map, "fetch", lambda original, self, keys: original(self, keys))


# --- pinning ------------------------------------------------------------------------------------------------------


def collated_by(when: Any, other: Any) -> Break:
    """A loader that hands ``other(batch)`` out where ``when(loader)`` says so."""

    def initialize(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        if when(loader):
            kept = self._dataset_fetcher.collate_fn
            self._dataset_fetcher.collate_fn = lambda samples: other(kept(samples))

    return replaced(Single, "__init__", initialize)


@falsifies(f"{AREA}.pinning-keeps-the-batches")
def pinning_loses_the_type_of_a_mapping() -> Break:
    """With pin_memory a mapping of another type becomes a dict."""
    return collated_by(
        lambda loader: loader.pin_memory, lambda batch: dict(batch) if isinstance(batch, dict) else batch
    )


@falsifies(f"{AREA}.pinning-changes-nothing-else")
def pinning_drops_the_last_of_three_batches() -> Break:
    """With pin_memory a third batch of a stream is left out."""

    def other(original: Any, self: Any) -> Any:
        if self.pins and self._num_yielded == 2 and self._dataset_kind == 1:
            raise StopIteration
        return original(self)

    def initialize(original: Any, self: Any, loader: Any) -> None:
        original(self, loader)
        self.pins = loader.pin_memory

    return both(replaced(Single, "__init__", initialize), replaced(Single, "_next_data", other))


@contextmanager
def both(first: Break, second: Break) -> Iterator[None]:
    """Two breaks at once."""
    with first, second:
        yield


@falsifies(f"{AREA}.pinning-without-accelerator-is-warned-of")
def a_stream_is_not_warned_of() -> Break:
    """pin_memory for a stream without an accelerator is not warned of."""

    def other(original: Any, self: Any, loader: Any) -> None:
        with warnings.catch_warnings():
            if loader._dataset_kind == 1:
                warnings.simplefilter("ignore")
            original(self, loader)

    return replaced(Single, "__init__", other)


@falsifies(f"{AREA}.device-for-pinning-is-not-needed")
def a_device_for_pinning_makes_float16_of_bfloat16() -> Break:
    """With a device named batches of bfloat16 change their type."""
    return collated_by(
        lambda loader: loader.pin_memory_device and not loader.pin_memory,
        lambda batch: batch.half() if isinstance(batch, torch.Tensor) and batch.dtype is torch.bfloat16 else batch,
    )


def pinned_by(when: Any) -> Break:
    """A pin_memory of the loader's that leaves out what ``when`` says."""

    def make(original: Any) -> Any:
        def pin_memory(data: Any, device: Any = None) -> Any:
            return data if when(data) else original(data, device)

        return pin_memory

    return patched(_utils.pin_memory, "pin_memory", make)


@falsifies(f"{AREA}.batches-are-pinned")
def namedtuples_are_not_pinned() -> Break:
    """The tensors of a namedtuple are left where they are."""
    return pinned_by(lambda data: hasattr(data, "_fields"))


@falsifies(f"{AREA}.custom-batches-pin-themselves")
def custom_batches_are_not_asked_to_pin() -> Break:
    """The method pin_memory of a custom batch is not called."""
    return pinned_by(lambda data: hasattr(data, "calls"))


@falsifies(f"{AREA}.other-custom-batches-are-left")
def the_tensor_of_a_custom_batch_is_pinned() -> Break:
    """The tensor in a custom batch without pin_memory is pinned all the same."""

    def make(original: Any) -> Any:
        def pin_memory(data: Any, device: Any = None) -> Any:
            if type(data).__name__ == "OpaqueBatch":
                data.tensor = data.tensor.pin_memory()
            return original(data, device)

        return pin_memory

    return patched(_utils.pin_memory, "pin_memory", make)
