"""Checks of ``specs/dataloader_workers.yaml``: what the worker processes of a DataLoader load, know, draw and leave.

Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import replace
from typing import Any

import torch

from conformance.engine.cases import cases
from conformance.engine.sharing import once
from conformance.inputs import (
    collated_pools,
    failing_pools,
    killed_pools,
    loader_streams,
    parcels,
    pinned_pools,
    pool_endings,
    pool_programs,
    pool_sources,
    start_methods,
)
from conformance.inputs.collated_pools import CollatedPool
from conformance.inputs.failing_pools import Failing, Failure, Late
from conformance.inputs.killed_pools import Killed
from conformance.inputs.loader_streams import Endless, Falsy
from conformance.inputs.loaders import Loading
from conformance.inputs.parcels import Parcels, ParcelSeen
from conformance.inputs.pinned_pools import Pinned
from conformance.inputs.pool_endings import Abandoned, Ended
from conformance.inputs.pool_programs import Bulks, Overtaken
from conformance.inputs.pools import Pool, PoolSeen, run_pool
from conformance.inputs.start_methods import START_LIMIT, Crowded, Started, answers_of_workers
from conformance.oracles import expect, loader_model, memory, pool_model
from conformance.oracles.collated_alike import alike_without_workers, laid_out_without_workers
from conformance.oracles.main_processes import MainProcess, in_a_main_process


def run_of(case: Pool) -> PoolSeen:
    """What is seen of a pool that runs in a process of its own."""
    found: PoolSeen = in_a_main_process("the epochs of the loader", run_pool, case)
    return found


def seen_of(case: Pool) -> PoolSeen:
    """The same, of one run of the pool for all behaviours that look at it."""
    return once(run_of, case)


# --- start methods ----------------------------------------------------------------------------------------------


@cases(start_methods.start_methods)
def test_workers_start_by_the_method_asked_for(case: Started) -> None:
    """Workers are started by the method of multiprocessing_context, given by its name or as a context, and know the same."""  # noqa: E501
    main, answers = in_a_main_process("an epoch", answers_of_workers, case, limit=START_LIMIT)
    expect.equal(2 * case.workers * case.epochs, len(answers), "number of samples")
    for answer in answers:
        expect.equal(case.method == "fork", answer["marked"], "whether the worker has the memory of the main process")
        expect.equal(main, answer["parent"], "parent of the worker")
        expect.that(answer["process"] != main, "process of the sample", "that of a worker", "the main process")
        expect.that(answer["id"] in range(case.workers), "get_worker_info().id", f"below {case.workers}", answer["id"])
        expect.equal((case.workers, 2 * case.workers), (answer["workers"], answer["samples"]), "workers and samples")
        expect.equal(answer["id"], answer["threshold"], "gc.get_threshold()[0], which worker_init_fn set to the id")
        expect.equal(answer["seed"], answer["initial_seed"], "torch.initial_seed()")
        expect.equal([0, 1, 2], answer["tensor"], "tensor from the worker")
    expect.equal(1, len({answer["seed"] - answer["id"] for answer in answers}), "number of base seeds")
    expect.equal(case.workers, len({answer["process"] for answer in answers}), "number of workers in all epochs")
    for seed, drawn in start_methods.draws_by_seed(answers).items():
        expect.equal(pool_model.torch_draws(seed, len(drawn)), drawn, f"draws of the worker with the seed {seed}")


@cases(start_methods.spawning_lambdas)
def test_spawn_refuses_what_cannot_be_pickled(case: Started) -> None:
    """With the start method spawn a worker_init_fn that cannot be pickled, such as a lambda function, raises."""
    found = in_a_main_process("iter(loader)", start_methods.spawn_a_lambda, case, limit=START_LIMIT)
    expect.that(bool(found), "exception of iter(loader)", "one", "none")


@cases(start_methods.crowded_loaders)
def test_more_workers_than_processors_warns(case: Crowded) -> None:
    """A loader with more workers than there are processors gives a warning, and one with fewer gives none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.utils.data.DataLoader([0], num_workers=case.workers)
    warned = any("worker" in str(warning.message) for warning in caught)
    expect.equal(case.extra > 0, warned, f"whether there is a warning with {case.workers} workers")


# --- what is loaded, where --------------------------------------------------------------------------------------


@cases(pool_sources.worker_loadings)
def test_workers_load_what_is_asked_for(case: Loading) -> None:
    """With any number of workers a loader over a map-style dataset yields the batches that it yields without any."""
    expected = [loader_model.plain_batch(case, yielded.keys) for yielded in loader_model.epoch(case)]
    found = in_a_main_process("an epoch", pool_programs.load_plainly, case)
    expect.equal(expected, found, f"batches with {case.workers} workers")


@cases(loader_streams.endless_samplers_of_workers)
def test_workers_need_no_length(case: Endless) -> None:
    """With workers too a map-style dataset and a sampler or batch_sampler need no length, and the latter no end."""
    keys = range(case.drawn * (case.batch_size or 1))
    found = in_a_main_process("the first batches", pool_programs.draw_endless, case)
    expect.equal(loader_model.batches_of(keys, case.batch_size, False), found, "the first batches")


@cases(loader_streams.falsy_samples_in_workers)
def test_falsy_samples_come_from_workers(case: Falsy) -> None:
    """A sample of a worker and what collate_fn makes of it are yielded though they be None, zero or empty."""
    copies = case.workers if case.style == "iterable" else 1
    expected = [repr(sample) for sample in case.values() for _ in range(copies)]
    expect.equal(expected, in_a_main_process("an epoch", pool_programs.load_falsy, case), "what the workers yield")


@cases(pool_sources.bulks)
def test_getitems_gives_batches_in_workers(case: Bulks) -> None:
    """In a worker too the samples of a batch come from one call of __getitems__, with the list of keys."""
    batches = loader_model.batches_of(range(case.size), case.batch_size, False)
    expected = [[(batch, "at once")] * len(batch) for batch in batches]
    expect.equal(expected, in_a_main_process("an epoch", pool_programs.load_at_once, case), "batches")


@cases(collated_pools.collated_pools)
def test_workers_collate_as_the_main_process(case: CollatedPool) -> None:
    """With workers the batches of the default collate_fn have the types and bits that they have without, each in memory of its own."""  # noqa: E501
    in_a_main_process("two epochs", alike_without_workers, case)


@cases(collated_pools.lazy_pools)
def test_workers_collate_lazy_tensors_too(case: CollatedPool) -> None:
    """With workers the default collate_fn makes the batches of conjugated and lazily negated tensors that it makes without."""  # noqa: E501
    in_a_main_process("two epochs", alike_without_workers, case)


@cases(collated_pools.laid_out_pools)
def test_workers_lay_batches_out_as_the_main_process(case: CollatedPool) -> None:
    """With workers the tensors of the default collate_fn have the strides that they have without."""
    in_a_main_process("an epoch", laid_out_without_workers, case)


@cases(pool_sources.shuffled_loadings)
def test_shuffled_order_does_not_depend_on_the_workers(case: Loading) -> None:
    """For one seed the epochs of a shuffled loader have the same order with any number of workers, and without."""
    expected, found = in_a_main_process("two epochs", pool_programs.orders_by_workers, case)
    expect.equal(expected, found, f"two epochs with {case.workers} workers")


@cases(pool_sources.overtaken_samples)
def test_slow_samples_do_not_change_the_order(case: Overtaken) -> None:
    """Batches come in the order of the sampler, also where a later one is ready before an earlier one."""
    found = in_a_main_process("an epoch with a slow sample", pool_programs.load_overtaken, case)
    expect.equal(list(range(case.size)), found, "order of the samples")


@cases(pool_sources.overtaken_samples)
def test_in_order_keeps_the_order(case: Overtaken) -> None:
    """With in_order=True batches come first in, first out, also where a later one is ready before an earlier one."""
    found = in_a_main_process("an epoch with a slow sample", pool_programs.load_overtaken_in_order, case)
    expect.equal(list(range(case.size)), found, "order of the samples")


@cases(pool_sources.unordered_pools)
def test_in_order_false_loses_nothing(case: Overtaken | Pool | Failing) -> None:
    """With in_order=False every batch comes once, in whatever order."""
    if isinstance(case, Failing):
        expect.equal(case.kind, failure_of(case).kind, "type of the exception in the place of a batch")
        return
    pool = case.pool if isinstance(case, Overtaken) else case
    expected = sorted(pool_model.listed_keys(yielded.keys) for yielded in loader_model.epoch(pool.loading))
    *parts, last = in_a_main_process("the epochs", pool_programs.load_in_any_order, case)
    for number, batches in enumerate(parts):
        expect.equal(len(expected[: pool.taken]), len(batches), f"number of batches of epoch {number}")
        expect.that(all(batch in expected for batch in batches), f"batches of epoch {number}", expected, batches)
    expect.equal(expected, sorted(last), "batches of the last epoch in whatever order")


@cases(pool_sources.first_samples_held)
def test_in_order_false_does_not_wait(case: Overtaken) -> None:
    """With in_order=False a batch that is ready comes before one that is not."""
    found = in_a_main_process("an epoch with a slow sample", pool_programs.load_before_the_slow, case)
    expect.that(
        found[0] != case.slow, "the first sample", f"any but {case.slow}, which is held until one has come", found
    )
    expect.equal(list(range(case.size)), sorted(found), "samples in whatever order")


@cases(pool_sources.few_pools)
def test_loads_in_as_many_processes_as_workers(case: Pool) -> None:
    """Each iterator has num_workers processes of its own, and every sample and batch is loaded in one of them."""
    seen = seen_of(case)
    for epoch in seen.epochs:
        expect.equal(case.workers, len(epoch.processes), "child processes of the main process")
        loading = {note["process"] for note in epoch.notes("init", "iter", "item", "collate")}
        expect.that(loading <= {*epoch.processes}, "processes that load", f"among {epoch.processes}", loading)
        items = sorted(note["key"] for note in epoch.notes("item"))
        expect.equal(sorted(pool_model.keys_loaded(case)), items, "samples that are loaded")
        expect.equal(len(epoch.batches), len(epoch.notes("collate")), "calls of collate_fn")


@cases(pool_sources.map_pools)
def test_sampler_stays_in_the_main_process(case: Pool) -> None:
    """The keys of a map-style dataset are drawn from the sampler in the main process, each once."""
    main, notes, batches = in_a_main_process("an epoch", pool_programs.draw_from_a_sampler, case)
    keys = pool_programs.keys_of_any_type(case)
    found = [key for batch in batches for key in pool_model.listed_keys(batch)]
    expect.equal([*map(repr, keys)], [*map(repr, found)], "samples, which are the keys")
    drawn = [note for note in notes if note["what"] == "drawn"]
    expect.equal({main}, {note["process"] for note in drawn}, "processes in which keys are drawn")
    expect.equal(len(keys), len(drawn), "number of keys that are drawn")
    expect.equal({None}, {note["worker"] for note in drawn}, "ids of the workers in which keys are drawn")


@cases(pool_sources.turn_pools)
def test_iterators_do_not_disturb_each_other(case: Pool) -> None:
    """Two iterators of one loader that are drawn from in turns have workers of their own and yield a whole epoch each."""  # noqa: E501
    found, processes, notes = in_a_main_process("two iterators", pool_programs.take_in_turns, case)
    expected = [yielded.keys for yielded in loader_model.epoch(case.loading)]
    for number, batches in enumerate(found):
        expect.equal(expected, batches, f"batches of iterator {number}")
    expect.equal(2 * case.workers, len(processes), "child processes of the main process")
    ids = sorted(note["number"] for note in notes if note["what"] == "init")
    expect.equal(sorted([*range(case.workers)] * 2), ids, "ids of the workers")


# --- what a worker knows ----------------------------------------------------------------------------------------


@cases(pool_sources.told_pools)
def test_worker_info_has_the_id(case: Pool) -> None:
    """get_worker_info().id is the id of the worker, from 0 to num_workers - 1, another one in each."""
    seen = seen_of(case)
    ids: dict[int, Any] = {note["process"]: note["number"] for note in seen.notes("init")}
    expect.equal(list(range(case.workers)), sorted(ids.values()), "ids given to worker_init_fn")
    for note in seen.notes("init"):
        expect.equal(note["number"], note["threaded"], "get_worker_info().id in a thread of the worker")
        expect.equal(note["number"], note["nested"], "get_worker_info().id in a worker that ran a loader of its own")
    for note in seen.notes("init", "iter", "item", "collate"):
        expect.equal(ids[note["process"]], note["worker"], f"get_worker_info().id in {note['what']}")


@cases(pool_sources.told_pools)
def test_worker_info_has_the_number_of_workers(case: Pool) -> None:
    """get_worker_info().num_workers is the number of workers, wherever in a worker it is asked for."""
    for note in seen_of(case).notes("init", "iter", "item", "collate"):
        expect.equal(case.workers, note["workers"], f"get_worker_info().num_workers in {note['what']}")


@cases(pool_sources.told_pools)
def test_worker_info_has_the_seed(case: Pool) -> None:
    """get_worker_info().seed is the seed that PyTorch was given in this worker."""
    for note in seen_of(case).notes("init", "iter", "item", "collate"):
        expect.equal(note["initial_seed"], note["seed"], f"get_worker_info().seed in {note['what']}")


@cases(pool_sources.told_pools)
def test_worker_info_has_the_dataset(case: Pool) -> None:
    """get_worker_info().dataset is the very object from which this worker loads."""
    for note in seen_of(case).notes("iter", "item"):
        expect.equal(True, note["own"], f"whether get_worker_info().dataset is self in {note['what']}")


@cases(pool_sources.few_pools)
def test_worker_info_is_none_in_the_main_process(case: Pool) -> None:
    """get_worker_info() is None in the main process before, while and after workers load."""
    for told in seen_of(case).told:
        expect.equal("None", told.partition(" ")[0], f"get_worker_info() {told.partition(' ')[2]}")


@cases(pool_sources.repeated_pools)
def test_each_worker_has_a_copy_of_the_dataset(case: Pool) -> None:
    """What a worker changes in its dataset is seen neither by the main process nor by another worker or iterator."""
    seen = seen_of(case)
    expect.equal(0, seen.served, "samples served by the dataset of the main process")
    for epoch in seen.epochs:
        for process, numbers in epoch.by_worker("item", "served").items():
            expect.equal(list(range(1, len(numbers) + 1)), numbers, f"numbers counted by process {process}")


# --- seeds ------------------------------------------------------------------------------------------------------


@cases(pool_sources.seeded_pools)
def test_worker_seed_is_base_seed_plus_id(case: Pool) -> None:
    """The PyTorch seeds of the workers of an iterator are one base seed plus the id of each."""
    for epoch in seen_of(case).epochs:
        bases = {note["initial_seed"] - note["number"] for note in epoch.notes("init")}
        expect.equal(1, len(bases), "number of base seeds")
        for note in epoch.notes("item", "iter", "collate"):
            expect.that(
                note["initial_seed"] - note["worker"] in bases, f"seed in {note['what']}", f"that of {bases}", note
            )


@cases(pool_sources.drawing_pools)
def test_worker_draws_follow_its_seed(case: Pool) -> None:
    """What a worker draws from PyTorch is what a generator with its seed draws."""
    for notes in pool_model.notes_by_process(seen_of(case).notes("item")):
        expected = pool_model.torch_draws(notes[0]["seed"], len(notes))
        expect.equal(expected, [note["draws"][0] for note in notes], f"draws of worker {notes[0]['worker']}")


@cases(pool_sources.main_seeded_pools)
def test_base_seed_comes_from_the_main_generator(case: Pool) -> None:
    """Without a generator the base seed is drawn from the generator of the main process, whose state it consumes."""
    found = in_a_main_process("three runs", pool_programs.draws_of_main, case)
    expect.equal(found["first seeds"], found["second seeds"], "seeds of the workers after the same manual_seed")
    differ = found["first seeds"] != found["other seeds"]
    expect.that(differ, "seeds of the workers after another manual_seed", "others", found["other seeds"])
    consumed = found["first draw"] != found["undisturbed draw"]
    expect.that(consumed, "what the main process draws after iter(loader)", "not what it draws without", found)


@cases(pool_sources.own_seeded_pools)
def test_base_seed_comes_from_the_given_generator(case: Pool) -> None:
    """With a generator the base seed is drawn from it, whatever the generator of the main process is, and that one is left alone."""  # noqa: E501
    found = in_a_main_process("three runs", pool_programs.draws_of_main, case)
    for name in ("second", "other"):
        expect.equal(found["first seeds"], found[f"{name} seeds"], "seeds of the workers with an equal generator")
    expect.equal(found["undisturbed draw"], found["first draw"], "what the main process draws after iter(loader)")
    for name in ("first", "second", "other"):
        expect.equal(case.workers, len(found[f"{name} seeds"]), "workers")


@cases(pool_sources.repeated_pools)
def test_epochs_have_seeds_of_their_own(case: Pool) -> None:
    """Each iterator whose workers are new has another base seed."""
    seeds = [note["seed"] for note in seen_of(case).notes("init") if note["number"] == 0]
    expect.equal(case.epochs, len(set(seeds)), f"different seeds of worker 0 in {case.epochs} epochs")


@cases(pool_sources.reproduced_pools)
def test_one_seed_gives_one_run(case: Pool) -> None:
    """For one seed of the main process, or of the generator given, two runs load and draw the same in each worker."""
    # of a generator that is given all follows, whatever the main process was seeded with
    again = case if case.own_seed is None else replace(case, seed=case.seed + 1)
    first, second = (pool_model.run_in_short(run_of(pool)) for pool in (case, again))
    for epoch, (one, two) in enumerate(zip(first, second, strict=True)):
        expect.equal(one, two, f"batches, and the draws of each worker, in epoch {epoch}")


@cases(pool_sources.recipe_pools)
def test_seeding_recipe_makes_other_libraries_follow(case: Pool) -> None:
    """The worker_init_fn of the notes makes NumPy and random draw in each worker what its PyTorch seed determines."""
    for notes in pool_model.notes_by_process(seen_of(case).notes("item")):
        expected = pool_model.recipe_draws(notes[0]["seed"], len(notes))
        found = [tuple(note["draws"][1:]) for note in notes]
        expect.equal(expected, found, f"draws of NumPy and random in worker {notes[0]['worker']}")


# --- worker_init_fn ---------------------------------------------------------------------------------------------


@cases(pool_sources.few_pools)
def test_init_runs_once_in_each_worker(case: Pool) -> None:
    """worker_init_fn is called once in each worker process, with the id of the worker, an int."""
    for epoch in seen_of(case).epochs:
        notes = epoch.notes("init")
        expect.equal(list(range(case.workers)), sorted(note["number"] for note in notes), "arguments of worker_init_fn")
        expect.equal(epoch.processes, sorted(note["process"] for note in notes), "processes that call worker_init_fn")
        expect.equal({"int"}, {note["kind"] for note in notes}, "types of its argument")


@cases(pool_sources.few_pools)
def test_init_runs_before_loading(case: Pool) -> None:
    """In each worker worker_init_fn is called before the dataset is asked for anything."""
    for notes in pool_model.notes_by_process(seen_of(case).notes("init", "iter", "item", "collate")):
        expect.equal("init", notes[0]["what"], "what a worker calls first")


@cases(pool_sources.reseeded_pools)
def test_init_runs_after_seeding(case: Pool) -> None:
    """In worker_init_fn the worker has its seed already, and a seed that it sets is the one that holds."""
    seen = seen_of(case)
    for note in seen.notes("init"):
        expect.equal(note["seed"], note["initial_seed"], "torch.initial_seed() when worker_init_fn is called")
    for notes in pool_model.notes_by_process(seen.notes("item")):
        seed = 1000 + notes[0]["worker"] if case.init == "seed" else notes[0]["seed"]
        expected = pool_model.torch_draws(seed, len(notes))
        expect.equal(expected, [note["draws"][0] for note in notes], f"draws of worker {notes[0]['worker']}")


@cases(pool_sources.init_sharded_pools)
def test_init_can_configure_the_dataset(case: Pool) -> None:
    """What worker_init_fn changes in get_worker_info().dataset holds for what this worker loads."""
    for note in seen_of(case).notes("item"):
        expect.equal(note["worker"], note["first"], "dataset.first, which worker_init_fn set to the worker's id")
        expect.equal(note["worker"], note["key"] % case.workers, "share to which a sample belongs")


# --- iterable-style datasets ------------------------------------------------------------------------------------


@cases(pool_sources.stream_pools)
def test_iterable_is_loaded_once_by_each_worker(case: Pool) -> None:
    """Of an iterable-style dataset that knows nothing of workers each worker loads all samples, in batches of its own."""  # noqa: E501
    pool_model.same_streams(case, seen_of(case))


@cases(pool_sources.sharded_pools)
def test_sharded_iterable_is_loaded_once(case: Pool) -> None:
    """An iterable-style dataset that shards itself by get_worker_info is loaded once, also with more workers than samples."""  # noqa: E501
    seen = seen_of(case)
    pool_model.same_streams(case, seen)
    expect.equal(list(range(case.size)), sorted(pool_model.keys_yielded(case, seen.epochs[0])), "samples")


@cases(pool_sources.init_sharded_pools)
def test_init_sharded_iterable_is_loaded_once(case: Pool) -> None:
    """An iterable-style dataset whose copies worker_init_fn configures to a share each is loaded once."""
    seen = seen_of(case)
    pool_model.same_streams(case, seen)
    expect.equal(list(range(case.size)), sorted(pool_model.keys_yielded(case, seen.epochs[0])), "samples")


@cases(pool_sources.turning_pools)
def test_workers_take_turns_over_an_iterable(case: Pool) -> None:
    """The batches of an iterable-style dataset come from the workers in turns, one whose copy has ended passed over."""
    expected = [yielded.keys for yielded in loader_model.epoch(case.loading)]
    expect.equal(expected, seen_of(case).epochs[0].batches, "batches")


@cases(pool_sources.dropping_pools)
def test_drop_last_drops_the_rest_of_each_copy(case: Pool) -> None:
    """With drop_last and workers the incomplete last batch of each copy of an iterable-style dataset is dropped, and nothing else."""  # noqa: E501
    pool_model.same_streams(case, seen_of(case))


@cases(pool_sources.sized_streams)
def test_length_of_an_iterable_knows_nothing_of_workers(case: Loading) -> None:
    """The length of a loader over an iterable-style dataset is that of the dataset by the batch size, whatever the number of workers."""  # noqa: E501
    expect.equal(loader_model.loader_length(case), len(case.build()), "len(loader)")


@cases(pool_sources.longer_pools)
def test_more_samples_than_the_length_warns(case: Pool) -> None:
    """Once len() was asked for, an iterable-style dataset that yields more with workers gives a warning, and no sample is lost."""  # noqa: E501
    found, length, warned = in_a_main_process("an epoch", pool_programs.warned_lengths, case)
    expected = [key for yielded in loader_model.epoch(case.loading) for key in pool_model.listed_keys(yielded.keys)]
    expect.equal(sorted(expected), sorted(found), "samples")
    count = len(loader_model.epoch(case.loading))
    expect.equal(count > length, bool(warned), f"whether {count} batches where {length} were announced give a warning")


# --- persistent workers -----------------------------------------------------------------------------------------


@cases(pool_sources.few_reused_pools)
def test_persistent_workers_are_the_same_processes(case: Pool) -> None:
    """With persistent_workers the processes of the first epoch load the later ones too, also after an epoch that was broken off."""  # noqa: E501
    seen = seen_of(case)
    expect.equal(case.workers, len(seen.epochs[0].processes), "workers in epoch 0")
    for number, epoch in enumerate(seen.epochs):
        expect.equal(seen.epochs[0].processes, epoch.processes, f"workers in epoch {number}")
        loading = {note["process"] for note in epoch.notes("item", "collate")}
        expect.that(loading <= {*epoch.processes}, "processes that load", f"among {epoch.processes}", loading)


@cases(pool_sources.few_reused_pools)
def test_persistent_workers_keep_their_datasets(case: Pool) -> None:
    """With persistent_workers each worker keeps its copy of the dataset over the epochs, with what was changed in it."""  # noqa: E501
    for notes in pool_model.notes_by(seen_of(case).notes("item"), "worker"):
        expect.equal(list(range(1, len(notes) + 1)), [note["served"] for note in notes], "samples served by a copy")
        expect.equal({0}, {note["mark"] for note in notes}, "what samples find that the main process changes later")


@cases(pool_sources.reused_pools)
def test_persistent_epochs_are_whole(case: Pool) -> None:
    """With persistent_workers each epoch yields what it has to, also after one that was broken off."""
    seen = seen_of(case)
    for number, epoch in enumerate(seen.epochs):
        pool_model.same_epoch(case, epoch, number)
    if case.shuffle and case.epochs > 2 and case.size > 6:  # or they may well be the same by chance
        begun = [pool_model.keys_yielded(case, epoch)[: case.taken] for epoch in seen.epochs]
        expect.that(any(keys != begun[0] for keys in begun), "samples that come first", "others in some epoch", begun)


@cases(pool_sources.few_reused_pools)
def test_persistent_workers_are_initialised_once(case: Pool) -> None:
    """With persistent_workers worker_init_fn is called in the first epoch and not again."""
    numbers = sorted(note["number"] for note in seen_of(case).notes("init"))
    expect.equal(list(range(case.workers)), numbers, f"arguments of worker_init_fn in {case.epochs} epochs")


@cases(pool_sources.repeated_pools)
def test_workers_are_new_in_each_epoch(case: Pool) -> None:
    """Without persistent_workers each epoch has new processes, which load from new copies of the dataset of the main process."""  # noqa: E501
    seen = seen_of(case)
    processes = [process for epoch in seen.epochs for process in epoch.processes]
    expect.equal(case.workers * case.epochs, len(set(processes)), f"processes of {case.epochs} epochs")
    for number, epoch in enumerate(seen.epochs):
        marks = {note["mark"] for note in epoch.notes("item")}
        expect.equal({number}, marks, f"what samples find that the main process changes before epoch {number}")


# --- prefetching and time ---------------------------------------------------------------------------------------


@cases(pool_sources.prefetching_pools)
def test_prefetches_as_many_batches_as_told(case: Pool) -> None:
    """prefetch_factor batches of each worker are loaded in advance, before the first and after each that is taken, and not one more."""  # noqa: E501
    pool_model.same_ahead(case, *in_a_main_process("loading ahead", pool_programs.load_ahead, case))


@cases(pool_sources.default_prefetching_pools)
def test_prefetches_two_batches_a_worker_by_default(case: Pool) -> None:
    """Without prefetch_factor two batches of each worker are loaded in advance."""
    pool_model.same_ahead(case, *in_a_main_process("loading ahead", pool_programs.load_ahead, case))


@cases(failing_pools.late_samples)
def test_late_batch_raises(case: Late) -> None:
    """A batch that does not come within the timeout makes the iterator raise RuntimeError, whichever batch it is."""
    found = in_a_main_process("an epoch with a late sample", failing_pools.wait_for_the_late, case)
    expect.equal("RuntimeError", found.kind, f"exception where sample {case.slow} takes longer than the timeout")
    expected = [yielded.keys for yielded in loader_model.epoch(case.pool.loading)]
    expect.equal(expected[: len(found.batches)], found.batches, "batches before the late one")


@cases(pool_sources.timely_pools)
def test_batches_in_time_come_despite_the_timeout(case: Pool) -> None:
    """With a timeout that no batch exceeds an epoch is the same as without."""
    expected = [[yielded.keys for yielded in loader_model.epoch(case.loading)]] * case.epochs
    expect.equal(expected, in_a_main_process("the epochs", pool_programs.run_with_a_timeout, case), "batches")


# --- exceptions -------------------------------------------------------------------------------------------------


def failure_of(case: Failing) -> Failure:
    """How the epoch of a case ends."""
    found: Failure = in_a_main_process("an epoch in which a worker raises", failing_pools.fail_once, case)
    return found


def shared_failure_of(case: Failing) -> Failure:
    """The same, of one run for all behaviours that look at it."""
    return once(failure_of, case)


@cases(failing_pools.failing_datasets)
def test_exception_in_the_dataset_keeps_its_type(case: Failing) -> None:
    """An exception that the dataset raises in a worker is raised by the iterator with its type, whichever sample it is at."""  # noqa: E501
    expect.equal(case.kind, shared_failure_of(case).kind, "type of the exception that next raises")


@cases(failing_pools.failing_collates)
def test_exception_in_collate_keeps_its_type(case: Failing) -> None:
    """An exception that collate_fn raises in a worker is raised by the iterator with its type, whichever batch it is at."""  # noqa: E501
    expect.equal(case.kind, shared_failure_of(case).kind, "type of the exception that next raises")


@cases(failing_pools.failing_inits)
def test_exception_in_init_keeps_its_type(case: Failing) -> None:
    """An exception that worker_init_fn raises is raised by the iterator with its type, in whichever worker it is."""
    expect.equal(case.kind, shared_failure_of(case).kind, "type of the exception that next raises")


@cases(failing_pools.failing_samplers)
def test_exception_in_the_sampler_comes_out(case: Failing) -> None:
    """An exception that a sampler raises is raised where the loader with workers is drawn from, with its type."""
    found = failure_of(case)
    expect.equal(case.kind, found.kind, "type of the exception")
    expected = [yielded.keys for yielded in loader_model.epoch(case.pool.loading)]
    expect.equal(expected[: len(found.batches)], found.batches, "batches before the exception")


@cases(failing_pools.telling_failures)
def test_exception_tells_what_happened_in_the_worker(case: Failing) -> None:
    """An exception from a worker has in its message that of the original, its type and the traceback."""
    message = shared_failure_of(case).message
    for part in (failing_pools.REASON, case.kind, "Traceback", "in raise_here"):
        expect.that(part in message, "message of the exception", f"{part!r} in it", repr(message))


@cases(failing_pools.unmakeable_failures)
def test_exception_that_cannot_be_made_anew_becomes_a_runtime_error(case: Failing) -> None:
    """An exception whose type cannot be made from one message becomes a RuntimeError that names it."""
    found = shared_failure_of(case)
    expect.equal("RuntimeError", found.kind, f"type of the exception that next raises for {case.kind}")
    for part in (failing_pools.REASON, case.kind):
        expect.that(part in found.message, "message of the exception", f"{part!r} in it", repr(found.message))


@cases(failing_pools.failures_after_batches)
def test_batches_before_an_exception_come_first(case: Failing) -> None:
    """The batches before the one at which a worker fails are yielded, and then the exception is raised."""
    found = shared_failure_of(case)
    expected = [yielded.keys for yielded in loader_model.epoch(case.pool.loading)]
    failing = next(number for number, keys in enumerate(expected) if case.at in keys)
    expect.equal(expected[:failing], found.batches, "batches before the exception")
    expect.equal(case.kind, found.kind, "type of the exception that next raises")


@cases(failing_pools.survived_failures)
def test_epoch_after_an_exception_is_whole(case: Failing) -> None:
    """With persistent_workers an epoch after one that an exception ended yields what it has to, or raises what is raised in it."""  # noqa: E501
    found = in_a_main_process("three epochs", failing_pools.fail_and_go_on, case)
    expect.equal(case.kind, found.kind, "type of the exception in the first epoch")
    expected = [yielded.keys for yielded in loader_model.epoch(case.pool.loading)]
    expect.equal(expected, found.later, "batches of the second epoch")
    expect.equal(case.kind, found.again, "type of the exception in the third epoch")


@cases(killed_pools.killed_workers)
def test_dead_worker_raises(case: Killed) -> None:
    """When a worker is killed or exits, the iterator raises RuntimeError, and does not wait for ever."""
    with contextlib.ExitStack() as running:
        processes = {
            way: running.enter_context(MainProcess(killed_pools.lose_a_worker, case, way)) for way in case.ways
        }
        for way, process in processes.items():
            found = process.answer(f"an epoch in which a worker ends by {way}")
            expect.equal("RuntimeError", found.kind, f"type of the exception where a worker ends by {way}")
            expect.equal([], found.children, f"children after the epoch in which a worker ended by {way}")


# --- what is left behind ----------------------------------------------------------------------------------------


@cases(pool_endings.exhausted_pools)
def test_workers_end_with_the_iteration(case: Ended) -> None:
    """When an iterator has come to its end, its workers have ended, while it is still there."""
    epoch = seen_of(case.pool).epochs[-1]
    expect.equal(case.pool.workers, len(epoch.processes), "workers")
    expect.equal([], epoch.left, "children after the epoch")


@cases(pool_sources.spent_pools)
def test_spent_iterator_stays_spent(case: Pool) -> None:
    """An iterator with workers that has come to its end raises StopIteration however often it is asked again."""
    found, later = in_a_main_process("an epoch and its end", pool_programs.ask_at_the_end, case)
    expect.equal(["StopIteration"] * 3, found, "what next(iterator) gives after the end")
    expect.equal([yielded.keys for yielded in loader_model.epoch(case.loading)], later, "batches of another epoch")


@cases(pool_endings.dropped_pools)
def test_workers_end_with_the_iterator(case: Ended) -> None:
    """When an iterator is collected before its end, also by the garbage collector or after an exception, its workers have ended."""  # noqa: E501
    _, left = in_a_main_process("an epoch broken off", pool_endings.children_at_the_end, case)
    expect.equal([], left, "children after the iterator is gone")


@cases(pool_endings.persistent_ends)
def test_persistent_workers_end_with_the_loader(case: Ended) -> None:
    """When a loader with persistent_workers and its iterators are gone, its workers have ended."""
    running, left = in_a_main_process("an epoch", pool_endings.children_of_a_loader, case)
    expect.equal(case.pool.workers, len(running), "children while the loader is there")
    expect.equal([], left, "children after the loader is gone")


@cases(pool_endings.tensor_ends)
def test_nothing_stays_open(case: Ended) -> None:
    """An epoch, also one that is broken off or ends in an exception, leaves no file open, no thread and no shared memory behind."""  # noqa: E501
    for what, left in in_a_main_process("two epochs", pool_endings.left_open, case).items():
        expect.equal([], left, f"{what} that are there after more epochs")


@cases(pool_endings.dropped_segments)
def test_dropped_iterator_leaves_no_segments(case: Ended) -> None:
    """An iterator that is dropped while tensors are on their way by the strategy file_system leaves no segment behind."""  # noqa: E501
    found = in_a_main_process("three epochs", pool_endings.left_open, case, 2)
    expect.equal([], found["segments"], "segments that are there after more epochs")


@cases(pool_endings.abandoned_pools)
def test_workers_end_with_the_main_process(case: Abandoned) -> None:
    """When the main process is killed, its workers end by themselves, whether they are idle or persistent."""
    with MainProcess(pool_endings.abandon, case.pools) as process:
        running, limit = process.answer("a batch of each loader")
        expect.equal(sum(pool.workers for pool in case.pools), len(running), "workers")
        process.kill()
        expect.that(process.all_ended(limit), "workers after the main process was killed", "all ended", "some run on")


@cases(pool_endings.kept_batches)
def test_batches_outlive_their_workers(case: Ended) -> None:
    """Batches of tensors keep their values and can be written, each for itself, when the workers that made them are gone."""  # noqa: E501
    epoch = [[float(key) for key in yielded.keys] for yielded in loader_model.epoch(case.pool.loading)] * 2
    changed = [[key + 100.0 * (number + 1) for key in keys] for number, keys in enumerate(epoch)]
    found = in_a_main_process("two epochs", pool_endings.keep_batches, case)
    expect.equal([epoch, changed], found, "values of the batches of two epochs, before and after each was changed")


# --- tensors on their way ---------------------------------------------------------------------------------------


def sent(case: Parcels) -> tuple[list[ParcelSeen], list[ParcelSeen]]:
    """What is seen of tensors where they are made, and where they arrive."""
    found: tuple[list[ParcelSeen], list[ParcelSeen]] = in_a_main_process(
        "an epoch of tensors", parcels.send_parcels, case
    )
    return found


def same_parcels(case: Parcels) -> None:
    """Expect the tensors to arrive as they are where they are made."""
    made, arrived = once(sent, case)
    expect.equal(len(case.plans), len(arrived), "number of tensors")
    for number, (expected, found) in enumerate(zip(made, arrived, strict=True)):
        what = f"sample {number}, {case.expression} of {case.plans[number]!r}"
        expect.equal(expected.dtype, found.dtype, f"type of {what}")
        expect.equal(expected.kind, found.kind, f"class of {what}")
        expect.equal(expected.requires_grad, found.requires_grad, f"requires_grad of {what}")
        memory.same_elements(expected.values, found.values, what)


@cases(parcels.tensor_parcels)
def test_tensors_arrive_as_they_were_made(case: Parcels) -> None:
    """A tensor that a worker returns arrives with its type, shape, values and flag, whatever its layout and the sharing strategy."""  # noqa: E501
    same_parcels(case)


@cases(parcels.lazy_parcels)
def test_lazy_tensors_arrive_with_their_values(case: Parcels) -> None:
    """A conjugated tensor that a worker returns, or the imaginary part of one, arrives with its values."""
    same_parcels(case)


@cases(parcels.tensor_parcels)
def test_tensors_come_in_shared_memory(case: Parcels) -> None:
    """A tensor that a worker returns lies in shared memory."""
    _, arrived = once(sent, case)
    for number, found in enumerate(arrived):
        expect.equal(True, found.shared or not found.values.size, f"is_shared() of sample {number}")


# --- pinned memory ----------------------------------------------------------------------------------------------


@cases(pinned_pools.pinned_pools)
def test_pinned_batches_come_from_workers(case: Pinned) -> None:
    """With pin_memory and workers the tensors of a batch are pinned, in mappings and sequences too, and custom types by their own method."""  # noqa: E501
    for number, batch in enumerate(case.batches()):
        expect.equal(case.expected(number), pinned_pools.values_in(batch), f"values of batch {number}")
        expect.equal({True}, {*pinned_pools.pinned_in(batch)}, f"is_pinned() of the tensors of batch {number}")


def loaded_unpinned(case: Pinned) -> tuple[list[Any], bool]:
    """The values and pins of each batch of one epoch, and whether there was a warning."""
    found: tuple[list[Any], bool] = in_a_main_process("an epoch", pinned_pools.load_unpinned, case)
    return found


@cases(pinned_pools.unpinned_pools)
def test_pinning_without_accelerator_returns_ordinary_tensors(case: Pinned) -> None:
    """Without an accelerator the batches are the same with pin_memory and workers, and not pinned."""
    batches, _ = once(loaded_unpinned, case)
    expect.equal(case.count, len(batches), "number of batches")
    for number, (kind, values, pinned) in enumerate(batches):
        expect.equal((case.expected(number), {False}), (values, {*pinned}), f"values and is_pinned() of batch {number}")
        expect.equal({"mapping": "dict", "own": "OwnBatch"}[case.form], kind, f"type of batch {number}")


@cases(pinned_pools.unpinned_pools)
def test_pinning_without_accelerator_warns(case: Pinned) -> None:
    """Without an accelerator pin_memory with workers gives a warning."""
    _, warned = once(loaded_unpinned, case)
    expect.equal(True, warned, "whether there is a warning")
