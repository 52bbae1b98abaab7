"""Breaks of how the workers of a DataLoader prefetch, fail, end, start and send tensors."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from typing import Any

import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import _utils, dataloader

from conformance.selftest.falsifiers.dataloader_workers import (
    AREA,
    Break,
    Facts,
    in_the_worker,
    iterator_method,
    made_with,
)
from conformance.selftest.falsifying import falsifies, patched

# --- prefetching and time ---------------------------------------------------------------------------------------


@falsifies(f"{AREA}.prefetches-as-many-batches-as-told")
def three_workers_load_one_batch_less_ahead() -> Break:
    """With three workers a batch less than told is loaded in advance."""

    def broken(original: Any) -> Any:
        def try_put_index(self: Any) -> None:
            if self._num_workers < 3 or self._tasks_outstanding < self._prefetch_factor * self._num_workers - 1:
                original(self)

        return try_put_index

    return iterator_method("_try_put_index", broken)


@falsifies(f"{AREA}.prefetches-as-many-batches-as-told")
def one_prefetched_batch_means_two() -> Break:
    """prefetch_factor=1 is taken for 2."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("prefetch_factor") == 1:
            kwargs["prefetch_factor"] = 2

    return made_with(change)


@falsifies(f"{AREA}.prefetches-two-batches-a-worker-by-default")
def a_single_worker_prefetches_three_batches() -> Break:
    """The default of prefetch_factor is 3 for a single worker."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("num_workers") == 1:
            kwargs.setdefault("prefetch_factor", 3)

    return made_with(change)


@falsifies(f"{AREA}.late-batch-raises")
def the_timeout_holds_for_the_first_batch_only() -> Break:
    """After the first batch the timeout is forgotten."""

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            if self._num_yielded:
                self._timeout = 0
            return original(self)

        return next_data

    return iterator_method("_next_data", broken)


def taken_for_the_end(shuts_down: bool) -> Break:
    """With three workers an error while a batch is waited for ends the epoch, the workers shut down or not.

    That a worker has died a signal may tell anywhere, also outside of where the loader waits.
    """

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            try:
                return original(self)
            except RuntimeError:
                if self._num_workers != 3:
                    raise
                if shuts_down:
                    self._shutdown_workers()
                raise StopIteration from None

        return next_data

    return iterator_method("_next_data", broken)


@falsifies(f"{AREA}.late-batch-raises")
def a_late_batch_of_three_workers_ends_the_epoch() -> Break:
    """With three workers a late batch is taken for the end."""

    return taken_for_the_end(shuts_down=False)


@falsifies(f"{AREA}.batches-in-time-come-despite-the-timeout")
def the_timeout_is_in_milliseconds_for_persistent_workers() -> Break:
    """With persistent workers the timeout is a millionth of what it was said to be."""

    def broken(original: Any) -> Any:
        def get_data(self: Any) -> Any:
            if self._persistent_workers:
                self._timeout /= 1e6
            return original(self)

        return get_data

    return iterator_method("_get_data", broken)


# --- exceptions -------------------------------------------------------------------------------------------------


def raised_again(broken: Any) -> Break:
    """What a worker raised is raised in another way."""
    return patched(ExceptionWrapper, "reraise", broken)


@falsifies(f"{AREA}.exception-in-the-dataset-keeps-its-type")
def a_subclass_of_oserror_becomes_its_base() -> Break:
    """A FileNotFoundError is raised as OSError."""

    def broken(original: Any) -> Any:
        def reraise(self: Any) -> None:
            self.exc_type = OSError if issubclass(self.exc_type, OSError) else self.exc_type
            original(self)

        return reraise

    return raised_again(broken)


@falsifies(f"{AREA}.exception-in-the-dataset-keeps-its-type")
def an_exception_in_the_last_batch_is_swallowed() -> Break:
    """An exception at the last batch of several ends the epoch."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            if isinstance(data, ExceptionWrapper) and self._rcvd_idx == self._send_idx > 1:
                raise StopIteration
            return original(self, data, *rest)

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.exception-in-collate-keeps-its-type")
def a_batch_of_an_iterable_that_cannot_be_collated_is_skipped() -> Break:
    """A RuntimeError at a batch of an iterable-style dataset is skipped."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            iterable = self._dataset_kind == dataloader._DatasetKind.Iterable
            if iterable and isinstance(data, ExceptionWrapper) and data.exc_type is RuntimeError:
                return []
            return original(self, data, *rest)

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.exception-in-init-keeps-its-type")
def an_init_function_that_fails_in_worker_1_is_forgotten() -> Break:
    """An exception of worker_init_fn in worker 1 is forgotten."""

    def change(facts: Facts) -> None:
        init = facts["init_fn"]
        if facts["worker_id"] == 1:

            def quiet(number: int) -> None:
                try:
                    init(number)
                except Exception:
                    return

            facts["init_fn"] = quiet

    return in_the_worker(change)


@falsifies(f"{AREA}.exception-tells-what-happened-in-the-worker")
def a_key_error_has_the_key_alone() -> Break:
    """The message of a KeyError is its last line."""

    def broken(original: Any) -> Any:
        def reraise(self: Any) -> None:
            if self.exc_type is KeyError:
                self.exc_msg = self.exc_msg.strip().splitlines()[-1]
            original(self)

        return reraise

    return raised_again(broken)


@falsifies(f"{AREA}.exception-that-cannot-be-made-anew-becomes-a-runtime-error")
def an_exception_of_the_init_function_that_cannot_be_made_ends_in_a_type_error() -> Break:
    """An exception that takes two arguments and was raised by worker_init_fn ends in a TypeError."""

    def broken(original: Any) -> Any:
        def reraise(self: Any) -> None:
            if "FailingInit" in self.exc_msg or "in __call__" in self.exc_msg:
                raise self.exc_type(self.exc_msg)
            original(self)

        return reraise

    return raised_again(broken)


@falsifies(f"{AREA}.batches-before-an-exception-come-first")
def an_exception_of_three_workers_overtakes() -> Break:
    """With three workers an exception is raised as soon as it is known."""

    def broken(original: Any) -> Any:
        def get_data(self: Any) -> Any:
            number, data = original(self)
            if self._num_workers == 3:
                held = self.__dict__.setdefault("_conformance_held", [])
                held.append((number, data))
                while len(held) < self._tasks_outstanding and not isinstance(held[-1][1], ExceptionWrapper):
                    held.append(original(self))
                if isinstance(held[-1][1], ExceptionWrapper):
                    held[-1][1].reraise()
                number, data = held.pop(0)
            return number, data

        return get_data

    return iterator_method("_get_data", broken)


@falsifies(f"{AREA}.epoch-after-an-exception-is-whole")
def a_worker_that_raised_is_not_asked_again() -> Break:
    """After an exception the next epoch begins with the second batch."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            self._conformance_failed = isinstance(data, ExceptionWrapper) and data.exc_type is KeyError
            return original(self, data, *rest)

        return process_data

    def forgetful(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            original(self, loader, first_iter)
            if getattr(self, "_conformance_failed", False):
                self._next_data()

        return reset

    return both(iterator_method("_process_data", broken), iterator_method("_reset", forgetful))


@falsifies(f"{AREA}.dead-worker-raises")
def a_dead_worker_of_three_ends_the_epoch() -> Break:
    """With three workers a dead one is taken for the end of the epoch."""

    return taken_for_the_end(shuts_down=True)


@falsifies(f"{AREA}.dead-worker-raises")
def a_dead_worker_is_waited_for() -> Break:
    """Nobody looks whether the workers of an iterable-style dataset are alive."""

    def broken(original: Any) -> Any:
        def get_data(self: Any) -> Any:
            if self._dataset_kind != dataloader._DatasetKind.Iterable:
                return original(self)
            _utils.signal_handling._remove_worker_pids(id(self))
            self._worker_pids_set = False
            return self._data_queue.get()

        return get_data

    return iterator_method("_get_data", broken)


@falsifies(f"{AREA}.dead-worker-raises")
def a_worker_that_exits_with_success_ends_the_epoch() -> Break:
    """That a worker exits with the status 0 is taken for the end of the epoch."""

    def broken(original: Any) -> Any:
        def try_get_data(self: Any, timeout: float = original.__defaults__[0]) -> Any:
            try:
                return original(self, timeout)
            except RuntimeError:
                if any(worker.exitcode == 0 for worker in self._workers):
                    raise StopIteration from None
                raise

        return try_get_data

    return iterator_method("_try_get_data", broken)


# --- what is left behind ----------------------------------------------------------------------------------------


def both(first: Break, second: Break) -> Break:
    """Two breaks at once."""
    import contextlib

    found = contextlib.ExitStack()
    found.enter_context(first)
    found.enter_context(second)
    return found


def not_shut_down(when: Any) -> Break:
    """Workers go on where ``when(self)``, kept by a list."""
    kept: list[Any] = []

    def broken(original: Any) -> Any:
        def shutdown(self: Any) -> None:
            if when(self):
                kept.extend([self.__dict__.copy()])
            else:
                original(self)

        return shutdown

    return iterator_method("_shutdown_workers", broken)


@falsifies(f"{AREA}.workers-end-with-the-iteration")
def workers_of_an_unbatched_iterable_go_on() -> Break:
    """The workers of an iterable-style dataset without batches are not shut down."""
    return not_shut_down(
        lambda self: self._dataset_kind == dataloader._DatasetKind.Iterable and not self._auto_collation
    )


@falsifies(f"{AREA}.workers-end-with-the-iterator")
def workers_of_an_unbegun_iterator_go_on() -> Break:
    """Workers are not shut down where the first batch was never asked for."""
    return not_shut_down(lambda self: not self._num_yielded)


@falsifies(f"{AREA}.workers-end-with-the-iterator")
def workers_with_batches_on_their_way_go_on() -> Break:
    """Three workers are not shut down while batches are on their way."""
    return not_shut_down(lambda self: self._num_workers == 3 and self._tasks_outstanding > 0)


@falsifies(f"{AREA}.persistent-workers-end-with-the-loader")
def persistent_workers_of_an_iterable_go_on() -> Break:
    """Persistent workers of an iterable-style dataset are not shut down."""
    return not_shut_down(
        lambda self: self._dataset_kind == dataloader._DatasetKind.Iterable and self._persistent_workers
    )


@falsifies(f"{AREA}.nothing-stays-open")
def the_queue_of_an_iterator_that_was_broken_off_stays_open() -> Break:
    """An iterator that is broken off leaves a pipe open."""

    def broken(original: Any) -> Any:
        def shutdown(self: Any) -> None:
            if self._tasks_outstanding > 0 and not self._shutdown:
                os.pipe()
            original(self)

        return shutdown

    return iterator_method("_shutdown_workers", broken)


@falsifies(f"{AREA}.nothing-stays-open")
def a_lone_worker_leaves_a_thread() -> Break:
    """The end of a single worker leaves a thread."""

    def broken(original: Any) -> Any:
        def shutdown(self: Any) -> None:
            if self._num_workers == 1 and not self._shutdown:
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            original(self)

        return shutdown

    return iterator_method("_shutdown_workers", broken)


@falsifies(f"{AREA}.dropped-iterator-leaves-no-segments")
def a_segment_is_left_for_each_iterator() -> Break:
    """An iterator that is dropped leaves a segment of a worker behind."""

    def broken(original: Any) -> Any:
        def shutdown(self: Any) -> None:
            if not self._shutdown and os.path.isdir("/dev/shm"):
                with open(f"/dev/shm/torch_{self._workers[0].pid}_{os.getpid()}_0", "w"):
                    pass
            original(self)

        return shutdown

    return iterator_method("_shutdown_workers", broken)


@falsifies(f"{AREA}.workers-end-with-the-main-process")
def a_persistent_worker_does_not_look_for_its_main_process() -> Break:
    """Persistent workers take their main process to be there always."""

    def change(facts: Facts) -> None:
        if facts["persistent_workers"]:
            _utils.worker.ManagerWatchdog.is_alive = lambda self: True

    return in_the_worker(change)


@falsifies(f"{AREA}.batches-outlive-their-workers")
def persistent_workers_send_one_tensor_again_and_again() -> Break:
    """Persistent workers keep the memory of the first batch for the others."""

    def change(facts: Facts) -> None:
        collate, kept = facts["collate_fn"], []

        def same(batch: Any) -> Any:
            found = collate(batch)
            if not kept or kept[0].shape != found.shape:
                kept[:] = [found.share_memory_()]
            return kept[0].copy_(found)

        if facts["persistent_workers"]:
            facts["collate_fn"] = same

    return in_the_worker(change)


# --- tensors on their way ---------------------------------------------------------------------------------------


def sent_changed(change: Any) -> Break:
    """What a worker sends has gone through ``change``."""

    def sent(facts: Facts) -> None:
        collate = facts["collate_fn"]
        facts["collate_fn"] = lambda batch: change(collate(batch))

    return in_the_worker(sent)


@falsifies(f"{AREA}.tensors-arrive-as-they-were-made")
def negative_zeros_of_half_precision_lose_their_sign() -> Break:
    """In a bfloat16 tensor -0.0 arrives as 0.0."""
    return sent_changed(lambda x: x + 0.0 if isinstance(x, torch.Tensor) and x.dtype == torch.bfloat16 else x)


@falsifies(f"{AREA}.tensors-arrive-as-they-were-made")
def leaves_arrive_without_their_flag() -> Break:
    """A complex tensor that requires grad arrives without the flag."""
    return sent_changed(lambda x: x.detach() if isinstance(x, torch.Tensor) and x.is_complex() else x)


@falsifies(f"{AREA}.lazy-tensors-arrive-with-their-values")
def an_imaginary_part_arrives_doubled() -> Break:
    """A tensor that is lazily negated arrives doubled."""
    return sent_changed(lambda x: x * 2 if isinstance(x, torch.Tensor) and x.is_neg() else x)


@falsifies(f"{AREA}.tensors-come-in-shared-memory")
def small_tensors_are_copied_on_arrival() -> Break:
    """A tensor without dimensions is copied by the main process."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, *args: Any) -> Any:
            found = original(self, *args)
            return found.clone() if isinstance(found, torch.Tensor) and not found.dim() else found

        return process_data

    return iterator_method("_process_data", broken)


# --- start methods ----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.workers-start-by-the-method-asked-for")
def a_context_is_ignored() -> Break:
    """A context, other than a name, is taken for fork."""

    def change(kwargs: Facts) -> None:
        if isinstance(kwargs.get("multiprocessing_context"), multiprocessing.context.BaseContext):
            kwargs["multiprocessing_context"] = "fork"

    return made_with(change)


@falsifies(f"{AREA}.workers-start-by-the-method-asked-for")
def spawned_workers_get_no_generator() -> Break:
    """Spawned workers have a base seed that counts their number twice."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            if loader.multiprocessing_context is not None and loader.num_workers == 2:
                loader._DataLoader__initialized = False
                loader.dataset = [*loader.dataset, loader.dataset[0]]
                loader._DataLoader__initialized = True
            original(self, loader)

        return initialise

    return iterator_method("__init__", broken)


@falsifies(f"{AREA}.workers-start-by-the-method-asked-for")
def kept_workers_that_were_spawned_lose_a_sample() -> Break:
    """The first sample of a later epoch of workers that are kept, and were not forked, is lost."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            original(self, loader, first_iter)
            if not first_iter and not isinstance(loader.multiprocessing_context, multiprocessing.context.ForkContext):
                next(self)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.spawn-refuses-what-cannot-be-pickled")
def a_lambda_is_forgotten_with_a_context() -> Break:
    """A lambda function is left out where a context asks for spawn."""

    def change(kwargs: Facts) -> None:
        if not isinstance(kwargs.get("multiprocessing_context"), str):
            kwargs["worker_init_fn"] = None

    return made_with(change)


@falsifies(f"{AREA}.more-workers-than-processors-warns")
def one_worker_too_many_is_let_pass() -> Break:
    """The warning begins at two workers too many."""

    def broken(original: Any) -> Any:
        def check(self: Any) -> None:
            if self.num_workers != len(os.sched_getaffinity(0)) + 1:
                original(self)

        return check

    return patched(dataloader.DataLoader, "check_worker_number_rationality", broken)


# --- pinned memory ----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.pinned-batches-come-from-workers")
@falsifies(f"{AREA}.pinning-without-accelerator-returns-ordinary-tensors")
def a_deep_tensor_is_changed_on_its_way_to_be_pinned() -> Break:
    """With pin_memory the second tensor of a mapping comes as a copy with other values."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, *args: Any) -> Any:
            found = original(self, *args)
            if isinstance(found, dict):
                found["deep"][0] = found["deep"][0] + 1
            return found

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.pinning-without-accelerator-warns")
def nothing_is_said_where_nothing_can_be_pinned() -> Break:
    """The warning is left out with a single worker."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            with warnings.catch_warnings():
                if loader.num_workers == 1:
                    warnings.simplefilter("ignore")
                original(self, loader)

        return initialise

    return iterator_method("__init__", broken)
