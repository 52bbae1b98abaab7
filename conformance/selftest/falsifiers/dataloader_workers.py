"""Breaks of what the workers of a DataLoader load, know and draw."""

from __future__ import annotations

import contextlib
import inspect
import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch.utils.data import _utils, dataloader

from conformance.selftest.falsifying import falsifies, patched

AREA = "dataloader_workers"
Break = AbstractContextManager[Any]
Iterating = dataloader._MultiProcessingDataLoaderIter
Facts = dict[str, Any]


def in_the_worker(change: Callable[[Facts], Any]) -> Break:
    """A worker process starts with arguments that ``change`` has changed."""

    def broken(original: Any) -> Any:
        names = list(inspect.signature(original).parameters)

        def worker_loop(*args: Any) -> Any:
            facts = dict(zip(names, args, strict=True))
            change(facts)
            return original(*facts.values())

        return worker_loop

    return patched(_utils.worker, "_worker_loop", broken)


def iterator_method(name: str, broken: Callable[[Any], Any]) -> Break:
    """A method of iterators with workers is replaced by ``broken(original)``."""
    return patched(Iterating, name, broken)


def made_with(change: Callable[[Facts], Any]) -> Break:
    """A DataLoader is made with arguments that ``change`` has changed."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
            change(kwargs)
            original(self, dataset, *args, **kwargs)

        return initialise

    return patched(dataloader.DataLoader, "__init__", broken)


def info_with(when: Callable[[Any], bool], **facts: Callable[[Any], Any]) -> Break:
    """get_worker_info() has other values where ``when(info)``."""

    def broken(original: Any) -> Any:
        def get_worker_info() -> Any:
            info = original()
            if info is None or not when(info):
                return info
            found = {name: getattr(info, name) for name in ("id", "num_workers", "seed", "dataset")}
            return _utils.worker.WorkerInfo(**{**found, **{name: make(info) for name, make in facts.items()}})

        return get_worker_info

    return patched(torch.utils.data, "get_worker_info", broken)


# --- what is loaded, where --------------------------------------------------------------------------------------


@falsifies(f"{AREA}.workers-load-what-is-asked-for")
def the_incomplete_last_batch_of_the_third_worker_is_empty() -> Break:
    """Worker 2 loses the last sample of a batch that is not full."""

    def change(facts: Facts) -> None:
        collate = facts["collate_fn"]
        if facts["worker_id"] == 2 and facts["auto_collation"] and facts["drop_last"]:
            facts["collate_fn"] = lambda batch: collate(batch[::-1])

    return in_the_worker(change)


@falsifies(f"{AREA}.workers-load-what-is-asked-for")
def a_batch_of_four_workers_comes_twice() -> Break:
    """With four workers the batch with number 5 is requested with the keys of the one before it."""

    def broken(original: Any) -> Any:
        def next_index(self: Any) -> Any:
            found = original(self)
            if self._num_workers == 4 and self._send_idx == 5:
                return self._conformance_last
            self._conformance_last = found
            return found

        return next_index

    return iterator_method("_next_index", broken)


@falsifies(f"{AREA}.shuffled-order-does-not-depend-on-the-workers")
def three_workers_draw_once_more() -> Break:
    """With three workers another number is drawn from the generator."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            if loader.num_workers == 3:
                torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
            original(self, loader)

        return initialise

    return iterator_method("__init__", broken)


def later_batches_first(when: Callable[[Any], bool]) -> Break:
    """Iterators give each second batch before the first, where ``when(self)``: no matter which is ready."""

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            overtaken = vars(self).setdefault("_conformance_overtaken", [])
            if overtaken:
                return overtaken.pop()
            found = original(self)
            if when(self):
                with contextlib.suppress(StopIteration):
                    later = original(self)
                    overtaken.append(found)
                    return later
            return found

        return next_data

    return iterator_method("_next_data", broken)


@falsifies(f"{AREA}.slow-samples-do-not-change-the-order")
def one_prefetched_batch_is_taken_as_it_comes() -> Break:
    """With prefetch_factor=1 a batch that is ready overtakes one that is not."""
    return later_batches_first(lambda self: self._prefetch_factor == 1)


@falsifies(f"{AREA}.in-order-keeps-the-order")
def in_order_is_forgotten_with_three_workers() -> Break:
    """With three workers in_order=True is taken for False."""
    return later_batches_first(lambda self: self._num_workers == 3)


@falsifies(f"{AREA}.in-order-false-loses-nothing")
def a_batch_that_overtakes_is_lost_at_times() -> Break:
    """With in_order=False batch 4 is lost where it comes early."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            found = original(self, data, *rest)
            if not self._in_order and found == [self._num_workers + 3]:
                return self._next_data()
            return found

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.in-order-false-does-not-wait")
def in_order_false_is_ignored_with_one_prefetched_batch() -> Break:
    """With prefetch_factor=1 in_order=False is taken for True."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("prefetch_factor") == 1:
            kwargs["in_order"] = True

    return made_with(change)


@falsifies(f"{AREA}.loads-in-as-many-processes-as-workers")
def a_worker_fewer_for_three() -> Break:
    """With three workers only two are started."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("num_workers") == 3:
            kwargs["num_workers"] = 2

    return made_with(change)


@falsifies(f"{AREA}.loads-in-as-many-processes-as-workers")
def unbatched_samples_are_collated_in_the_main_process() -> Break:
    """Without batches collate_fn runs in the main process."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, data: Any, *rest: Any) -> Any:
            found = original(self, data, *rest)
            return found if self._auto_collation else self._collate_fn(found)

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.sampler-stays-in-the-main-process")
def persistent_workers_draw_the_first_key_twice() -> Break:
    """With persistent workers the sampler is begun anew when it was asked once."""

    def broken(original: Any) -> Any:
        def next_index(self: Any) -> Any:
            found = original(self)
            if self._persistent_workers and self._send_idx == 0:
                self._sampler_iter = iter(self._index_sampler)
                return original(self)
            return found

        return next_index

    return iterator_method("_next_index", broken)


@falsifies(f"{AREA}.iterators-do-not-disturb-each-other")
def a_second_iterator_goes_on_with_the_sampler_of_the_first() -> Break:
    """Iterators of one loader share the iterator of the sampler, but for single workers."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            sampler = loader.__dict__.setdefault("_conformance_sampler", iter(loader._index_sampler))
            original(self, loader)
            if loader.num_workers > 1:
                self._sampler_iter = sampler

        return initialise

    return iterator_method("__init__", broken)


# --- what a worker knows ----------------------------------------------------------------------------------------


def in_later_epochs(fetcher: str, change: Callable[[Any], Any]) -> Break:
    """Kept workers have a fetcher changed by ``change`` from their second epoch on."""

    def broken(original: Any) -> Any:
        made: list[int] = []  # of this process: a worker begins with the empty one of the main process

        def initialise(self: Any, *args: Any) -> None:
            original(self, *args)
            if made:
                change(self)
            made.append(1)

        return initialise

    return patched(getattr(_utils.fetch, fetcher), "__init__", broken)


@falsifies(f"{AREA}.worker-info-has-the-number-of-workers")
@falsifies(f"{AREA}.worker-info-has-the-seed")
@falsifies(f"{AREA}.worker-info-has-the-dataset")
@falsifies(f"{AREA}.worker-info-has-the-id")
def kept_workers_forget_their_info() -> Break:
    """From the second epoch of kept workers on get_worker_info() has nothing to say."""

    def forget(fetcher: Any) -> None:
        _utils.worker._worker_info = _utils.worker.WorkerInfo(id=None, num_workers=None, seed=None, dataset=None)

    return in_later_epochs("_MapDatasetFetcher", forget)


@falsifies(f"{AREA}.worker-info-has-the-id")
def worker_info_has_id_0_in_the_last_of_three() -> Break:
    """get_worker_info().id is 0 in worker 2."""
    return info_with(lambda info: info.id == 2, id=lambda info: 0)


@falsifies(f"{AREA}.worker-info-has-the-number-of-workers")
def worker_info_counts_one_worker_too_many() -> Break:
    """get_worker_info().num_workers is one too large in the last worker of several."""
    return info_with(lambda info: 0 < info.id == info.num_workers - 1, num_workers=lambda info: info.num_workers + 1)


@falsifies(f"{AREA}.worker-info-has-the-seed")
def worker_info_has_the_base_seed() -> Break:
    """get_worker_info().seed lacks the id."""
    return info_with(lambda info: True, seed=lambda info: info.seed - info.id)


@falsifies(f"{AREA}.worker-info-has-the-dataset")
def worker_info_has_another_copy_of_an_iterable() -> Break:
    """get_worker_info().dataset of an iterable-style dataset is a copy of the one that is used."""
    import copy

    return info_with(
        lambda info: isinstance(info.dataset, torch.utils.data.IterableDataset),
        dataset=lambda info: copy.copy(info.dataset),
    )


@falsifies(f"{AREA}.worker-info-is-none-in-the-main-process")
def the_main_process_is_a_worker_after_a_batch() -> Break:
    """After the first batch of an iterable-style dataset the main process has worker info too."""

    def broken(original: Any) -> Any:
        def process_data(self: Any, *args: Any) -> Any:
            if self._dataset_kind == dataloader._DatasetKind.Iterable:
                _utils.worker._worker_info = _utils.worker.WorkerInfo(
                    id=0, num_workers=1, seed=0, dataset=self._dataset
                )
            return original(self, *args)

        return process_data

    return iterator_method("_process_data", broken)


@falsifies(f"{AREA}.each-worker-has-a-copy-of-the-dataset")
def a_dataset_is_loaded_once_in_the_main_process() -> Break:
    """An iterator asks the dataset for its first sample before the workers are started."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            if loader.num_workers == 3:
                loader.dataset[0]
            original(self, loader)

        return initialise

    return iterator_method("__init__", broken)


# --- seeds ------------------------------------------------------------------------------------------------------


def seed_changed(when: Callable[[Facts], bool], base: Callable[[Facts], int]) -> Break:
    """A worker starts with another base seed where ``when(facts)``."""

    def change(facts: Facts) -> None:
        if when(facts):
            facts["base_seed"] = base(facts)

    return in_the_worker(change)


@falsifies(f"{AREA}.worker-seed-is-base-seed-plus-id")
def the_third_worker_has_the_seed_of_the_second() -> Break:
    """The seed of worker 2 is one too small."""
    return seed_changed(lambda facts: facts["worker_id"] == 2, lambda facts: facts["base_seed"] - 1)


@falsifies(f"{AREA}.worker-draws-follow-its-seed")
def kept_workers_begin_each_epoch_from_their_seed() -> Break:
    """Kept workers are seeded again in their second epoch, and draw the same once more."""
    return in_later_epochs("_MapDatasetFetcher", lambda fetcher: torch.manual_seed(torch.initial_seed()))


@falsifies(f"{AREA}.worker-draws-follow-its-seed")
def an_iterable_draws_once_before_it_begins() -> Break:
    """Workers of an iterable-style dataset draw a number before they load."""

    def change(facts: Facts) -> None:
        init = facts["init_fn"]
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable:
            facts["init_fn"] = lambda number: (init(number), torch.rand(1))

    return in_the_worker(change)


@falsifies(f"{AREA}.base-seed-comes-from-the-main-generator")
def the_base_seed_of_one_worker_is_fixed() -> Break:
    """A single worker is always seeded alike."""
    return seed_changed(lambda facts: facts["num_workers"] == 1, lambda facts: 42)


@falsifies(f"{AREA}.base-seed-comes-from-the-main-generator")
def a_generator_of_its_own_gives_the_base_seed() -> Break:
    """The base seed is drawn from a generator that the loader makes from the seed of the main process."""

    def change(kwargs: Facts) -> None:
        kwargs.setdefault("generator", torch.Generator().manual_seed(torch.initial_seed()))

    return made_with(change)


@falsifies(f"{AREA}.base-seed-comes-from-the-given-generator")
def the_generator_is_ignored_without_batches() -> Break:
    """Without batches the generator given is ignored."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("batch_size", 1) is None:
            kwargs.pop("generator", None)

    return made_with(change)


@falsifies(f"{AREA}.epochs-have-seeds-of-their-own")
def the_second_epoch_has_the_seed_of_the_first() -> Break:
    """The base seed of an iterable-style dataset is kept by the loader."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            state = loader.__dict__.setdefault("_conformance_state", torch.get_rng_state())
            if loader._dataset_kind == dataloader._DatasetKind.Iterable:
                torch.set_rng_state(state)
            original(self, loader)

        return initialise

    return iterator_method("__init__", broken)


@falsifies(f"{AREA}.one-seed-gives-one-run")
def persistent_workers_are_seeded_by_their_process() -> Break:
    """Persistent workers mix the number of the process into their seed."""
    return seed_changed(lambda facts: facts["persistent_workers"], lambda facts: facts["base_seed"] ^ os.getpid())


@falsifies(f"{AREA}.one-seed-gives-one-run")
def the_batch_size_of_an_iterable_is_drawn_by_time() -> Break:
    """Workers of an iterable-style dataset have NumPy seeded by the system after the init function."""

    def change(facts: Facts) -> None:
        init = facts["init_fn"]
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable:
            facts["init_fn"] = lambda number: (init(number), np.random.seed(None))

    return in_the_worker(change)


@falsifies(f"{AREA}.seeding-recipe-makes-other-libraries-follow")
def random_is_seeded_again_after_the_init_function() -> Break:
    """In worker 1 random is seeded again after worker_init_fn."""

    def change(facts: Facts) -> None:
        init = facts["init_fn"]
        if facts["worker_id"] == 1:
            facts["init_fn"] = lambda number: (init(number), random.seed(7))

    return in_the_worker(change)


# --- worker_init_fn ---------------------------------------------------------------------------------------------


def init_changed(when: Callable[[Facts], bool], make: Callable[[Any], Any]) -> Break:
    """worker_init_fn is replaced where ``when(facts)``."""

    def change(facts: Facts) -> None:
        if facts["init_fn"] is not None and when(facts):
            facts["init_fn"] = make(facts["init_fn"])

    return in_the_worker(change)


@falsifies(f"{AREA}.init-runs-once-in-each-worker")
def worker_1_skips_its_init_function() -> Break:
    """worker_init_fn is not called in worker 1."""
    return init_changed(lambda facts: facts["worker_id"] == 1, lambda init: None)


@falsifies(f"{AREA}.init-runs-once-in-each-worker")
def the_init_function_of_a_single_worker_gets_a_float() -> Break:
    """worker_init_fn of a single worker is called with 0.0."""
    return init_changed(lambda facts: facts["num_workers"] == 1, lambda init: lambda number: init(float(number)))


@falsifies(f"{AREA}.init-runs-before-loading")
def an_iterable_is_begun_before_the_init_function() -> Break:
    """iter() of an iterable-style dataset is called, and drawn from, before worker_init_fn."""

    def change(facts: Facts) -> None:
        init, dataset = facts["init_fn"], facts["dataset"]
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable:
            facts["init_fn"] = lambda number: (next(iter(dataset), None), init(number))

    return in_the_worker(change)


@falsifies(f"{AREA}.init-runs-after-seeding")
def a_seed_set_by_the_init_function_is_lost() -> Break:
    """The seed is set again after worker_init_fn in the workers of an iterable-style dataset."""

    def change(facts: Facts) -> None:
        init, seed = facts["init_fn"], facts["base_seed"] + facts["worker_id"]
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable:
            facts["init_fn"] = lambda number: (init(number), torch.manual_seed(seed))

    return in_the_worker(change)


@falsifies(f"{AREA}.init-runs-after-seeding")
def the_init_function_of_worker_1_runs_unseeded() -> Break:
    """In worker 1 worker_init_fn sees the seed of the main process."""

    def change(facts: Facts) -> None:
        init, seed = facts["init_fn"], facts["base_seed"] + 1
        if facts["worker_id"] == 1:
            facts["init_fn"] = lambda number: (torch.manual_seed(0), init(number), torch.manual_seed(seed))

    return in_the_worker(change)


@falsifies(f"{AREA}.init-can-configure-the-dataset")
def the_first_worker_of_three_configures_a_copy() -> Break:
    """In the last of three workers get_worker_info().dataset is a copy in worker_init_fn."""
    import copy

    return info_with(lambda info: info.id == 2, dataset=lambda info: copy.copy(info.dataset))


# --- iterable-style datasets ------------------------------------------------------------------------------------


def streams_changed(when: Callable[[Facts], bool], change: Callable[[Facts], Any]) -> Break:
    """Something changes in the workers of an iterable-style dataset where ``when(facts)``."""

    def changed(facts: Facts) -> None:
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable and when(facts):
            change(facts)

    return in_the_worker(changed)


@falsifies(f"{AREA}.iterable-is-loaded-once-by-each-worker")
def the_last_of_three_workers_loads_less() -> Break:
    """The dataset of worker 2 is one sample shorter."""
    return streams_changed(
        lambda facts: facts["worker_id"] == 2,
        lambda facts: setattr(facts["dataset"], "size", facts["dataset"].size - 1),
    )


@falsifies(f"{AREA}.sharded-iterable-is-loaded-once")
def the_incomplete_batch_of_worker_1_is_dropped() -> Break:
    """The last batch of worker 1 is dropped where it is not full."""
    return streams_changed(lambda facts: facts["worker_id"] == 1, lambda facts: facts.update(drop_last=True))


@falsifies(f"{AREA}.init-sharded-iterable-is-loaded-once")
def an_unbatched_iterable_is_not_configured() -> Break:
    """Without batches worker_init_fn is called after the dataset was begun."""
    return streams_changed(lambda facts: not facts["auto_collation"], lambda facts: facts.update(init_fn=None))


@falsifies(f"{AREA}.workers-take-turns-over-an-iterable")
def one_prefetched_batch_of_an_iterable_overtakes() -> Break:
    """With prefetch_factor=1 a worker is asked twice in a row."""

    def broken(original: Any) -> Any:
        def try_put_index(self: Any) -> None:
            if self._prefetch_factor == 1 and self._send_idx == 1:
                next(self._worker_queue_idx_cycle)
            original(self)

        return try_put_index

    return iterator_method("_try_put_index", broken)


@falsifies(f"{AREA}.init-runs-before-loading")
def an_iterator_is_made_before_the_init_function() -> Break:
    """iter() of an iterable-style dataset is called before worker_init_fn, and nothing drawn."""

    def change(facts: Facts) -> None:
        init, dataset = facts["init_fn"], facts["dataset"]
        if facts["dataset_kind"] == dataloader._DatasetKind.Iterable:
            facts["init_fn"] = lambda number: (iter(dataset), init(number))

    return in_the_worker(change)


@falsifies(f"{AREA}.drop-last-drops-the-rest-of-each-copy")
def kept_workers_forget_to_drop() -> Break:
    """From the second epoch of kept workers on drop_last is ignored."""
    return in_later_epochs("_IterableDatasetFetcher", lambda fetcher: setattr(fetcher, "drop_last", False))


@falsifies(f"{AREA}.drop-last-drops-the-rest-of-each-copy")
def three_workers_keep_their_incomplete_batches() -> Break:
    """With three workers drop_last is ignored."""
    return streams_changed(lambda facts: facts["num_workers"] == 3, lambda facts: facts.update(drop_last=False))


@falsifies(f"{AREA}.length-of-an-iterable-knows-nothing-of-workers")
def the_length_counts_an_incomplete_batch_of_each_worker() -> Break:
    """The length with three workers is that of three datasets of a third."""

    def broken(original: Any) -> Any:
        def length(self: Any) -> int:
            found = original(self)
            return found + 1 if self.num_workers == 3 and self.drop_last else found

        return length

    return patched(dataloader.DataLoader, "__len__", broken)


@falsifies(f"{AREA}.more-samples-than-the-length-warns")
def no_warning_without_batches() -> Break:
    """Without batches nothing is said of too many samples."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            if not self._auto_collation:
                self._IterableDataset_len_called = None

        return initialise

    return iterator_method("__init__", broken)


@falsifies(f"{AREA}.more-samples-than-the-length-warns")
def samples_beyond_the_length_are_lost() -> Break:
    """An iterator ends when it has yielded as many batches as were announced."""

    def broken(original: Any) -> Any:
        def next_data(self: Any) -> Any:
            if self._IterableDataset_len_called is not None and self._num_yielded >= self._IterableDataset_len_called:
                raise StopIteration
            return original(self)

        return next_data

    return iterator_method("_next_data", broken)


# --- persistent workers -----------------------------------------------------------------------------------------


@falsifies(f"{AREA}.persistent-workers-are-the-same-processes")
def persistent_workers_of_an_iterable_are_started_anew() -> Break:
    """For an iterable-style dataset persistent_workers is ignored."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, dataset: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(dataset, torch.utils.data.IterableDataset):
                kwargs.pop("persistent_workers", None)
            original(self, dataset, *args, **kwargs)

        return initialise

    return patched(dataloader.DataLoader, "__init__", broken)


@falsifies(f"{AREA}.persistent-workers-keep-their-datasets")
def three_persistent_workers_are_started_anew() -> Break:
    """With three workers persistent_workers is ignored."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("num_workers") == 3:
            kwargs.pop("persistent_workers", None)

    return made_with(change)


@falsifies(f"{AREA}.persistent-epochs-are-whole")
def a_batch_of_an_epoch_that_was_broken_off_is_kept() -> Break:
    """After an epoch that was broken off the next one begins with a batch that was on its way."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            stale = not first_iter and self._tasks_outstanding > 0
            original(self, loader, first_iter)
            if stale:
                next(self._sampler_iter, None)

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.persistent-epochs-are-whole")
def workers_of_an_iterable_that_have_ended_stay_away() -> Break:
    """A worker whose copy of an iterable-style dataset has ended is not asked in the next epoch."""

    def broken(original: Any) -> Any:
        def reset(self: Any, loader: Any, first_iter: bool = False) -> None:
            ended = [] if first_iter else [number for number, on in enumerate(self._workers_status) if not on]
            original(self, loader, first_iter)
            if len(ended) == 1:
                next(self._sampler_iter, None)
                self._workers_status[ended[0]] = False

        return reset

    return iterator_method("_reset", broken)


@falsifies(f"{AREA}.persistent-workers-are-initialised-once")
def the_init_function_runs_again_when_an_iterable_begins() -> Break:
    """worker_init_fn is called again when a persistent worker begins an iterable-style dataset anew."""

    def change(facts: Facts) -> None:
        dataset, init, number = facts["dataset"], facts["init_fn"], facts["worker_id"]
        kind = type(dataset)
        begin, begun = kind.__iter__, []

        def again(self: Any) -> Any:
            if begun:
                init(number)
            begun.append(True)
            return begin(self)

        kind.__iter__ = again

    return streams_changed(lambda facts: facts["persistent_workers"], change)


@falsifies(f"{AREA}.workers-are-new-in-each-epoch")
def three_workers_are_persistent_unasked() -> Break:
    """Three workers are kept over the epochs, though nobody has asked for it."""

    def change(kwargs: Facts) -> None:
        if kwargs.get("num_workers") == 3:
            kwargs["persistent_workers"] = True

    return made_with(change)


@falsifies(f"{AREA}.workers-are-new-in-each-epoch")
def the_second_epoch_loads_from_an_old_copy() -> Break:
    """Iterable-style datasets are copied when the loader is made."""
    import copy

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            first = loader.__dict__.setdefault("_conformance_copy", copy.copy(loader.dataset))
            dataset = loader.dataset
            if isinstance(dataset, torch.utils.data.IterableDataset):
                loader.__dict__["dataset"] = first
            try:
                original(self, loader)
            finally:
                loader.__dict__["dataset"] = dataset

        return initialise

    return iterator_method("__init__", broken)
