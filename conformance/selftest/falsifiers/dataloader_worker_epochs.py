"""Breaks of workers that only later epochs, other keys, an interrupt or another order show."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from typing import Any

import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import _utils, dataloader
from torch.utils.data._utils import fetch

from conformance.selftest.falsifiers.dataloader_worker_collate import fetched_in_a_worker
from conformance.selftest.falsifiers.dataloader_workers import AREA, Break, iterator_method
from conformance.selftest.falsifying import falsifies, patched


@falsifies(f"{AREA}.exception-in-the-sampler-comes-out")
def an_error_of_a_sampler_ends_the_epoch() -> Break:
    """A ValueError of the sampler is taken for its end once a batch has been requested."""

    def broken(original: Any) -> Any:
        def next_index(self: Any) -> Any:
            try:
                return original(self)
            except ValueError:
                if self._send_idx:
                    raise StopIteration from None
                raise

        return next_index

    return iterator_method("_next_index", broken)


@falsifies(f"{AREA}.spent-iterator-stays-spent")
def an_iterator_without_workers_is_in_an_invalid_state() -> Break:
    """An iterator over an iterable-style dataset whose workers have ended says so with a RuntimeError."""

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            if self._shutdown and self._dataset_kind:
                raise RuntimeError("invalid iterator state")
            return original(self)

        return next_data

    return iterator_method("_next_data", broken)


@falsifies(f"{AREA}.in-order-false-loses-nothing")
def a_later_epoch_in_any_order_loses_a_batch() -> Break:
    """With in_order=False and persistent workers the first batch of each later epoch is dropped."""

    def resetting(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            original(self, loader, first_iter)
            self._conformance_drop = not first_iter and not self._in_order

        return reset

    def processing(original: Any) -> Any:
        def process_data(self: Any, *args: Any) -> Any:
            found = original(self, *args)
            if self._conformance_drop:
                self._conformance_drop = False
                return self._next_data()
            return found

        return process_data

    return both(iterator_method("_reset", resetting), iterator_method("_process_data", processing))


@falsifies(f"{AREA}.in-order-false-loses-nothing")
def an_exception_in_any_order_is_passed_over() -> Break:
    """With in_order=False an exception is passed over while other batches are on their way."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            if not self._in_order and self._rcvd_idx in self._task_info and isinstance(data, ExceptionWrapper):
                original(self, None, *rest)
                return self._next_data()
            return original(self, data, *rest)

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.persistent-epochs-are-whole")
def kept_workers_keep_the_order() -> Break:
    """Persistent workers of a shuffled loader load each epoch in the order of the first."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            original(self, loader, first_iter)
            if self._persistent_workers and not self._dataset_kind:
                if first_iter:
                    self._conformance_order = list(self._sampler_iter)
                self._sampler_iter = iter(self._conformance_order)

        return reset

    return patched(dataloader._BaseDataLoaderIter, "_reset", broken)


@falsifies(f"{AREA}.persistent-epochs-are-whole")
def a_stream_of_the_second_worker_is_spent_in_the_third_epoch() -> Break:
    """The second of the persistent workers goes on in the third epoch with the iterator of the second."""
    made: list[Any] = []

    def broken(original: Any) -> Any:
        def create_fetcher(kind: Any, *args: Any) -> Any:
            worker = torch.utils.data.get_worker_info()
            if worker is not None and worker.id == 1 and kind == dataloader._DatasetKind.Iterable:
                made.append(original(kind, *args) if len(made) != 2 else made[-1])
                return made[-1]
            return original(kind, *args)

        return staticmethod(create_fetcher)

    return patched(dataloader._DatasetKind, "create_fetcher", broken)


@falsifies(f"{AREA}.prefetches-as-many-batches-as-told")
def two_single_samples_are_prefetched_whatever_is_told() -> Break:
    """Without batches the prefetch factor is 2."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            if not self._auto_collation:
                self._prefetch_factor = 2
            original(self, loader, first_iter)

        return reset

    return iterator_method("_reset", broken)


def both(first: Break, second: Break) -> Break:
    """Two patches at once."""
    stack = ExitStack()
    stack.enter_context(first)
    stack.enter_context(second)
    return stack


@falsifies(f"{AREA}.workers-end-with-the-iterator")
def an_interrupt_is_swallowed() -> Break:
    """An interrupt while the iterator waits for a batch makes it wait again."""

    def broken(original: Any) -> Any:
        def try_get_data(self: Any, *args: Any) -> Any:
            try:
                return original(self, *args)
            except KeyboardInterrupt:
                return False, None

        return try_get_data

    return iterator_method("_try_get_data", broken)


@falsifies(f"{AREA}.sampler-stays-in-the-main-process")
def a_tuple_on_its_way_becomes_a_list() -> Break:
    """A key that is a tuple of two reaches the worker as a list."""

    def broken(original: Any) -> Any:
        def next_index(self: Any) -> Any:
            found = original(self)
            if not isinstance(found, list):
                return found
            return [list(key) if isinstance(key, tuple) and len(key) == 2 else key for key in found]

        return next_index

    return iterator_method("_next_index", broken)


@falsifies(f"{AREA}.sampler-stays-in-the-main-process")
def a_bool_on_its_way_becomes_an_int() -> Break:
    """A key that is True reaches the worker as 1."""

    def broken(original: Any) -> Any:
        def next_index(self: Any) -> Any:
            found = original(self)
            if not isinstance(found, list):
                return found
            return [int(key) if isinstance(key, bool) else key for key in found]

        return next_index

    return iterator_method("_next_index", broken)


@falsifies(f"{AREA}.worker-info-has-the-id")
def a_loader_in_a_worker_makes_it_forget() -> Break:
    """An iterator without workers that is made in a worker takes it for the main process from then on."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            _utils.worker._worker_info = None

        return initialise

    return patched(dataloader._SingleProcessDataLoaderIter, "__init__", broken)


@falsifies(f"{AREA}.in-order-false-does-not-wait")
def later_epochs_of_persistent_workers_wait() -> Break:
    """With persistent workers in_order=False holds for the first epoch alone."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            self._in_order = self._in_order or not first_iter
            original(self, loader, first_iter)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.nothing-stays-open")
def a_later_epoch_of_persistent_workers_leaves_a_file() -> Break:
    """Each epoch of persistent workers after the first leaves a file open."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            original(self, loader, first_iter)
            if not first_iter:
                os.open(os.devnull, os.O_RDONLY)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.epoch-after-an-exception-is-whole")
def an_exception_in_the_third_epoch_is_a_batch() -> Break:
    """An exception in the third epoch of persistent workers comes as a batch that is None."""

    def counting(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            self._conformance_epoch = 0 if first_iter else self._conformance_epoch + 1
            original(self, loader, first_iter)

        return reset

    def broken(original: Any) -> Any:
        def process_data(self: Any, found: Any, *args: Any) -> Any:
            lost = isinstance(found, ExceptionWrapper) and self._conformance_epoch == 2
            return original(self, None if lost else found, *args)

        return process_data

    return both(iterator_method("_reset", counting), iterator_method("_process_data", broken))


@falsifies(f"{AREA}.batches-in-time-come-despite-the-timeout")
def the_timeout_is_that_of_the_epoch() -> Break:
    """All batches of an epoch have to come within one timeout."""

    def broken(original: Any) -> Any:
        def try_get_data(self: Any, timeout: float = 5.0) -> Any:
            if self._timeout > 0:
                self._conformance_end = vars(self).get("_conformance_end", time.monotonic() + timeout)
                timeout = self._conformance_end - time.monotonic()
                if timeout <= 0:
                    return False, None  # whether the batch is there already or not
            return original(self, timeout)

        return try_get_data

    return iterator_method("_try_get_data", broken)


def loading_in_a_worker(kind: Any, other: Any) -> Break:
    """In a worker the fetcher of a style does ``other(original, self, keys)``."""

    def broken(original: Any) -> Any:
        def load(self: Any, keys: Any) -> Any:
            if torch.utils.data.get_worker_info() is None:
                return original(self, keys)
            return other(original, self, keys)

        return load

    return patched(kind, "fetch", broken)


@falsifies(f"{AREA}.falsy-samples-come-from-workers")
def a_worker_leaves_none_out() -> Break:
    """A worker passes over samples of a stream without batches that are None."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        found = original(self, keys)
        return original(self, keys) if found is None and not self.auto_collation else found

    return loading_in_a_worker(fetch._IterableDatasetFetcher, other)


@falsifies(f"{AREA}.getitems-gives-batches-in-workers")
def a_worker_asks_for_a_batch_of_one_singly() -> Break:
    """In a worker a batch of one sample is loaded without __getitems__."""

    def other(original: Any, self: Any, keys: Any) -> Any:
        if not isinstance(keys, list) or len(keys) > 1:
            return original(self, keys)
        return self.collate_fn([self.dataset[key] for key in keys])

    return loading_in_a_worker(fetch._MapDatasetFetcher, other)


@falsifies(f"{AREA}.worker-info-has-the-id")
def other_threads_of_a_worker_know_nothing() -> Break:
    """get_worker_info() is None in a thread of the worker that is not its main one."""

    def broken(original: Any) -> Any:
        return lambda: original() if threading.current_thread() is threading.main_thread() else None

    return patched(torch.utils.data, "get_worker_info", broken)


@falsifies(f"{AREA}.epochs-have-seeds-of-their-own")
def a_loader_with_a_generator_keeps_its_base_seed() -> Break:
    """A loader that was given a generator draws its base seed once for all epochs."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            if loader.generator is not None:
                self._base_seed = vars(loader).setdefault("_conformance_seed", self._base_seed)

        return initialise

    return patched(dataloader._BaseDataLoaderIter, "__init__", broken)


@falsifies(f"{AREA}.more-samples-than-the-length-warns")
def a_length_asked_for_between_epochs_is_not_known() -> Break:
    """Persistent workers go on with what was known of the length when they began."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            known = self._IterableDataset_len_called
            original(self, loader, first_iter)
            self._IterableDataset_len_called = known

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.late-batch-raises")
def the_timeout_holds_for_the_first_epoch_only() -> Break:
    """Persistent workers have no timeout in later epochs."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            self._timeout = self._timeout if first_iter else 0
            original(self, loader, first_iter)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.late-batch-raises")
def an_iterable_may_take_its_time() -> Break:
    """The timeout does not hold for iterable-style datasets."""

    def broken(original: Any) -> Any:
        def get_data(self: Any) -> Any:
            self._timeout = 0 if self._dataset_kind else self._timeout
            return original(self)

        return get_data

    return iterator_method("_get_data", broken)


@falsifies(f"{AREA}.prefetches-as-many-batches-as-told")
def a_later_epoch_prefetches_one_batch_each() -> Break:
    """Persistent workers begin later epochs with one batch each."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            told = self._prefetch_factor
            self._prefetch_factor = told if first_iter else 1
            original(self, loader, first_iter)
            self._prefetch_factor = told

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.tensors-arrive-as-they-were-made")
def a_parameter_arrives_as_a_tensor() -> Break:
    """A Parameter that a worker returns arrives as a plain tensor that requires a gradient."""

    def plain(part: Any) -> Any:
        return part.detach().requires_grad_() if isinstance(part, torch.nn.Parameter) else part

    return fetched_in_a_worker(plain)


@falsifies(f"{AREA}.workers-load-what-is-asked-for")
def two_workers_keep_the_last_partial_batch() -> Break:
    """drop_last keeps the last partial batch where there are two workers, and then only."""

    def broken(original: Any) -> Any:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            if self.num_workers == 2 and self.drop_last and not self._dataset_kind:
                self.batch_sampler.drop_last = False

        return init

    return patched(torch.utils.data.DataLoader, "__init__", broken)
