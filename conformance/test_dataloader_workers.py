"""Checks of ``specs/dataloader_workers.yaml``: what the worker processes of a DataLoader load, know, draw and leave.

Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

from typing import Any

from conformance.engine.cases import cases
from conformance.inputs import pool_programs, pool_sources
from conformance.inputs.loaders import Loading
from conformance.inputs.pool_programs import Overtaken
from conformance.inputs.pools import Pool, PoolSeen, run_pool
from conformance.oracles import expect, loader_model, pool_model
from conformance.oracles.main_processes import in_a_main_process


def seen_of(case: Pool) -> PoolSeen:
    """What is seen of a pool that runs in a process of its own."""
    found: PoolSeen = in_a_main_process("the epochs of the loader", run_pool, case)
    return found


# --- what is loaded, where --------------------------------------------------------------------------------------


@cases(pool_sources.worker_loadings)
def test_workers_load_what_is_asked_for(case: Loading) -> None:
    """With any number of workers a loader over a map-style dataset yields the batches that it yields without any."""
    expected = [loader_model.plain_batch(case, yielded.keys) for yielded in loader_model.epoch(case)]
    found = in_a_main_process("an epoch", pool_programs.load_plainly, case)
    expect.equal(expected, found, f"batches with {case.workers} workers")


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


@cases(pool_sources.overtaken_samples)
def test_in_order_false_loses_nothing(case: Overtaken) -> None:
    """With in_order=False every batch comes once, in whatever order."""
    found = in_a_main_process("an epoch with a slow sample", pool_programs.load_overtaken_in_any_order, case)
    expect.equal(list(range(case.size)), sorted(found), "samples in whatever order")


@cases(pool_sources.first_samples_held)
def test_in_order_false_does_not_wait(case: Overtaken) -> None:
    """With in_order=False a batch that is ready comes before one that is not."""
    found = in_a_main_process("an epoch with a slow sample", pool_programs.load_before_the_slow, case)
    expect.that(found[0] != case.slow, "the first sample", f"any but {case.slow}, which is held until one has come", found)
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
    main, notes = in_a_main_process("an epoch", pool_programs.draw_from_a_sampler, case)
    drawn = [note for note in notes if note["what"] == "drawn"]
    expect.equal({main}, {note["process"] for note in drawn}, "processes in which keys are drawn")
    expect.equal(list(reversed(range(case.size))), [note["keys"] for note in drawn], "keys that are drawn")
    expect.equal({None}, {note["worker"] for note in drawn}, "ids of the workers in which keys are drawn")


@cases(pool_sources.turn_pools)
def test_iterators_do_not_disturb_each_other(case: Pool) -> None:
    """Two iterators of one loader that are drawn from in turns have workers of their own and yield a whole epoch each."""
    found, processes, notes = in_a_main_process("two iterators", pool_programs.take_in_turns, case)
    expected = [yielded.keys for yielded in loader_model.epoch(case.loading)]
    for number, batches in enumerate(found):
        expect.equal(expected, batches, f"batches of iterator {number}")
    expect.equal(2 * case.workers, len(processes), "child processes of the main process")
    ids = sorted(note["number"] for note in notes if note["what"] == "init")
    expect.equal(sorted([*range(case.workers)] * 2), ids, "ids of the workers")


# --- what a worker knows ----------------------------------------------------------------------------------------


@cases(pool_sources.few_pools)
def test_worker_info_has_the_id(case: Pool) -> None:
    """get_worker_info().id is the id of the worker, from 0 to num_workers - 1, another one in each."""
    seen = seen_of(case)
    ids: dict[int, Any] = {note["process"]: note["number"] for note in seen.notes("init")}
    expect.equal(list(range(case.workers)), sorted(ids.values()), "ids given to worker_init_fn")
    for note in seen.notes("init", "iter", "item", "collate"):
        expect.equal(ids[note["process"]], note["worker"], f"get_worker_info().id in {note['what']}")


@cases(pool_sources.few_pools)
def test_worker_info_has_the_number_of_workers(case: Pool) -> None:
    """get_worker_info().num_workers is the number of workers, wherever in a worker it is asked for."""
    for note in seen_of(case).notes("init", "iter", "item", "collate"):
        expect.equal(case.workers, note["workers"], f"get_worker_info().num_workers in {note['what']}")


@cases(pool_sources.few_pools)
def test_worker_info_has_the_seed(case: Pool) -> None:
    """get_worker_info().seed is the seed that PyTorch was given in this worker."""
    for note in seen_of(case).notes("init", "iter", "item", "collate"):
        expect.equal(note["initial_seed"], note["seed"], f"get_worker_info().seed in {note['what']}")


@cases(pool_sources.few_pools)
def test_worker_info_has_the_dataset(case: Pool) -> None:
    """get_worker_info().dataset is the very object from which this worker loads."""
    for note in seen_of(case).notes("iter", "item"):
        expect.equal(True, note["own"], f"whether get_worker_info().dataset is self in {note['what']}")


@cases(pool_sources.few_pools)
def test_worker_info_is_none_in_the_main_process(case: Pool) -> None:
    """get_worker_info() is None in the main process before, while and after workers load."""
    found = in_a_main_process("an epoch", pool_programs.ask_the_main_process, case)
    for when, info in found.items():
        expect.equal("None", info, f"get_worker_info() {when}")


@cases(pool_sources.repeated_pools)
def test_each_worker_has_a_copy_of_the_dataset(case: Pool) -> None:
    """What a worker changes in its dataset is seen neither by the main process nor by another worker or iterator."""
    main, epochs = in_a_main_process("the epochs", pool_programs.count_in_copies, case)
    expect.equal(0, main, "samples served by the dataset of the main process")
    for served in epochs:
        for process, numbers in served.items():
            expect.equal(list(range(1, len(numbers) + 1)), numbers, f"numbers counted by process {process}")


# --- seeds ------------------------------------------------------------------------------------------------------


@cases(pool_sources.seeded_pools)
def test_worker_seed_is_base_seed_plus_id(case: Pool) -> None:
    """The PyTorch seeds of the workers of an iterator are one base seed plus the id of each."""
    for epoch in seen_of(case).epochs:
        bases = {note["initial_seed"] - note["number"] for note in epoch.notes("init")}
        expect.equal(1, len(bases), "number of base seeds")
        for note in epoch.notes("item", "iter", "collate"):
            expect.that(note["initial_seed"] - note["worker"] in bases, f"seed in {note['what']}", f"that of {bases}", note)


@cases(pool_sources.seeded_pools)
def test_worker_draws_follow_its_seed(case: Pool) -> None:
    """What a worker draws from PyTorch is what a generator with its seed draws."""
    for epoch in seen_of(case).epochs:
        for notes in pool_model.notes_by_process(epoch.notes("item")):
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
    seen = seen_of(case)
    for epoch in seen.epochs:
        expect.equal(case.workers, len(epoch.notes("init")), "workers")


@cases(pool_sources.repeated_pools)
def test_epochs_have_seeds_of_their_own(case: Pool) -> None:
    """Each iterator whose workers are new has another base seed."""
    seeds = [note["seed"] for note in seen_of(case).notes("init") if note["number"] == 0]
    expect.equal(case.epochs, len(set(seeds)), f"different seeds of worker 0 in {case.epochs} epochs")


@cases(pool_sources.reproduced_pools)
def test_one_seed_gives_one_run(case: Pool) -> None:
    """For one seed of the main process, or of the generator given, two runs load and draw the same in each worker."""
    first, second = (pool_model.run_in_short(seen_of(case)) for _ in range(2))
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
    """Of an iterable-style dataset that knows nothing of workers each worker loads all samples, in batches of its own."""
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
    """With persistent_workers each worker keeps its copy of the dataset over the epochs, with what was changed in it."""
    for notes in pool_model.notes_by_process(seen_of(case).notes("item")):
        expect.equal(list(range(1, len(notes) + 1)), [note["served"] for note in notes], "samples served by a copy")
    if case.taken is None:
        found = in_a_main_process("two epochs", pool_programs.change_the_dataset, case)
        expect.equal({0}, {*found[0], *found[1]}, "what samples find that the main process has changed in its dataset")


@cases(pool_sources.reused_pools)
def test_persistent_epochs_are_whole(case: Pool) -> None:
    """With persistent_workers each epoch yields what it has to, also after one that was broken off."""
    seen = seen_of(case)
    for number, epoch in enumerate(seen.epochs):
        pool_model.same_epoch(case, epoch, number)


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
    first, second = in_a_main_process("two epochs", pool_programs.change_the_dataset, case)
    expect.equal([{0}, {-1}], [{*first}, {*second}], "what samples find that the main process changes before epoch 1")
