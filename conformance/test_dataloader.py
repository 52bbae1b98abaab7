"""Checks of ``specs/dataloader.yaml``: DataLoader in the main process, against a loader in pure Python.

Reference: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from dataclasses import replace

import torch

from conformance.engine.cases import cases
from conformance.inputs import loader_sources
from conformance.inputs.loaders import CollateLog, Loading, torch_seeded
from conformance.oracles import expect
from conformance.oracles.loader_epochs import (
    drained,
    drawn_keys,
    epochs_drawn,
    is_shuffle,
    same_batches,
    same_epoch,
    same_generator,
    same_objects,
    same_parts,
)
from conformance.oracles.loader_model import epoch, plain

# --- batches ----------------------------------------------------------------------------------------------------


@cases(loader_sources.batched_maps)
def test_map_batches_are_collated_samples(case: Loading) -> None:
    """Over a map-style dataset a batch is what collate_fn makes of the samples of the next batch_size keys."""
    same_epoch(case, case.build())


@cases(loader_sources.batched_streams)
def test_stream_batches_are_consecutive_samples(case: Loading) -> None:
    """Over an iterable-style dataset a batch is what collate_fn makes of the next batch_size samples of its iterator."""  # noqa: E501
    same_epoch(case, case.build())


@cases(loader_sources.unsaid_batches)
def test_batch_size_defaults_to_one(case: Loading) -> None:
    """Without a word about batches, each batch holds one sample."""
    same_epoch(case, torch.utils.data.DataLoader(case.dataset()))


@cases(loader_sources.batched_any)
def test_last_batch_is_smaller_or_dropped(case: Loading) -> None:
    """An incomplete last batch is dropped with drop_last=True, and comes as a smaller one otherwise."""
    assert case.batch_size is not None
    whole, rest = divmod(case.size, case.batch_size)
    sizes = [case.batch_size] * whole + [rest] * (rest > 0 and not case.drop_last)
    found = drained(replace(case, collate="listed").build())
    expect.equal(sizes, [len(samples) for _, samples in found], "sizes of the batches")


@cases(loader_sources.single_maps)
def test_single_samples_pass_through_collate_fn(case: Loading) -> None:
    """With batch_size=None each sample of a map-style dataset passes through collate_fn for itself."""
    same_epoch(case, case.build())


@cases(loader_sources.single_streams)
def test_single_samples_of_a_stream_pass_through_collate_fn(case: Loading) -> None:
    """With batch_size=None each sample of an iterable-style dataset passes through collate_fn for itself."""
    same_epoch(case, case.build())


@cases(loader_sources.converted_singles)
def test_single_samples_are_only_converted(case: Loading) -> None:
    """With batch_size=None and no collate_fn NumPy arrays become tensors, and everything else stays the object that the dataset gave."""  # noqa: E501
    loader = case.build()
    for number, (given, found) in enumerate(zip(loader.dataset.given, drained(loader), strict=True)):
        same_parts(given, found, f"sample {number}")


@cases(loader_sources.batched_any)
def test_collate_fn_gets_a_list(case: Loading) -> None:
    """collate_fn is called once a batch with a list of the very samples, in order, and what it returns is yielded."""
    log = CollateLog()
    loader = case.build(collate_fn=log)
    same_objects(log.made, drained(loader), "batches")
    for number, (keys, samples) in enumerate(zip(epoch(case), log.seen, strict=True)):
        expect.equal("list", type(samples).__name__, f"type of what collate_fn got for batch {number}")
        same_objects([loader.dataset.given[key] for key in keys.keys], samples, f"samples of batch {number}")


@cases(loader_sources.single_any)
def test_collate_fn_gets_each_sample(case: Loading) -> None:
    """With batch_size=None collate_fn is called once a sample with the very sample, and what it returns is yielded."""
    log = CollateLog()
    loader = case.build(collate_fn=log)
    same_objects(log.made, drained(loader), "what is yielded")
    same_objects(loader.dataset.given, log.seen, "samples that collate_fn got")


@cases(loader_sources.batched_any)
def test_batches_stay_as_they_were(case: Loading) -> None:
    """Drawing the next batch leaves the batches drawn before as they were."""
    with torch_seeded():
        shown, batches = [], []
        for batch in case.build():
            shown.append(plain(batch))
            batches.append(batch)
    same_batches(shown, [plain(batch) for batch in batches], "epoch, after the last was drawn")


# --- order ------------------------------------------------------------------------------------------------------


@cases(loader_sources.ordered)
def test_order_is_sequential(case: Loading) -> None:
    """With shuffle=False, None or left out the dataset is asked for 0 to n - 1 in this order, each once."""
    for options in ({}, {"shuffle": False}, {"shuffle": None}):
        loader = case.build(**options)
        drained(loader)
        expect.equal(list(range(case.size)), loader.dataset.asked, f"keys asked for with {options}")


@cases(loader_sources.sampled)
def test_sampler_gives_the_order(case: Loading) -> None:
    """With a sampler the keys that it yields are loaded in its order, and those that it yields twice twice."""
    loader = case.build()
    same_epoch(case, loader)
    asked = [key for item in epoch(case) for key in (item.keys if case.batched else [item.keys])]
    expect.equal(asked, loader.dataset.asked, "keys asked for")


@cases(loader_sources.batch_sampled)
def test_batch_sampler_gives_the_batches(case: Loading) -> None:
    """With a batch_sampler each list of keys that it yields is one batch, whatever their number."""
    loader = case.build()
    same_epoch(case, loader)
    expect.equal([key for batch in case.keys for key in batch], loader.dataset.asked, "keys asked for")


@cases(loader_sources.shuffled)
def test_shuffle_is_a_permutation(case: Loading) -> None:
    """With shuffle=True each epoch loads each sample once, less those of an incomplete batch that is dropped."""
    with torch_seeded():
        loader = case.build()
        for number in range(3):
            batches = list(loader)
            keys = drawn_keys(batches)
            is_shuffle(case, keys, f"epoch {number}")
            same_epoch(case, batches, f"epoch {number}", shuffled=keys)


@cases(loader_sources.reshuffled)
def test_shuffle_is_new_every_epoch(case: Loading) -> None:
    """With shuffle=True the data are reshuffled at every epoch."""
    orders = [list(range(case.size)), *epochs_drawn(case, 4)]
    for later, order in enumerate(orders[1:], 1):
        for earlier in range(later):
            what = f"order of epoch {later}" + (f" beside that of epoch {earlier}" if earlier else "")
            expect.that(order != orders[earlier], what, "another order", "the same" if earlier else "no shuffling")


@cases(loader_sources.small_shuffled)
def test_shuffle_puts_every_sample_everywhere(case: Loading) -> None:
    """With shuffle=True each sample comes at each place in some epoch."""
    seen = {place for keys in epochs_drawn(case, 90) for place in enumerate(keys)}
    missing = [(key, place) for place in range(case.size) for key in range(case.size) if (place, key) not in seen]
    expect.that(not missing, "places of the samples in 90 epochs", "each sample at each place",
                f"sample {missing[0][0]} never at place {missing[0][1]}" if missing else "")  # fmt: skip


@cases(loader_sources.shuffled_by_generator)
def test_generator_gives_the_order(case: Loading) -> None:
    """With a generator the order of each epoch follows from its state, whatever the global generator is at."""
    expected = epochs_drawn(case, 3, seed=1)
    for seed in (1, 2):
        expect.equal(expected, epochs_drawn(case, 3, seed), f"orders of three epochs, global seed {seed}")
    others = epochs_drawn(replace(case, seed=99), 3)
    expect.that(expected != others, "orders of three epochs with another seed", "other orders", "the same")


@cases(loader_sources.shuffled_by_torch)
def test_global_seed_gives_the_order(case: Loading) -> None:
    """Without a generator the orders of all epochs follow from torch.manual_seed, and other seeds give others."""
    expected = epochs_drawn(case, 3, seed=5)
    expect.equal(expected, epochs_drawn(case, 3, seed=5), "orders of three epochs from the same seed")
    expect.that(expected != epochs_drawn(case, 3, seed=6), "orders from another seed", "other orders", "the same")


@cases(loader_sources.with_generator)
def test_generator_spares_the_global_one(case: Loading) -> None:
    """A loader with a generator leaves the global generator as it was."""
    with torch_seeded():
        before = torch.get_rng_state()
        loader = case.build()
        for number in (1, 2):
            list(loader)
            same_generator(before, torch.get_rng_state(), f"global generator after epoch {number}")


@cases(loader_sources.without_generator)
def test_iterator_draws_from_the_global_generator(case: Loading) -> None:
    """Making an iterator of a loader without a generator draws from the global one, shuffled or not."""
    with torch_seeded():
        loader = case.build()
        for number in (1, 2):
            before = torch.get_rng_state()
            iter(loader)
            moved = not torch.equal(before, torch.get_rng_state())
            expect.that(moved, f"global generator after iterator {number}", "another state", "the same state")


@cases(loader_sources.sampled_and_generated)
def test_generator_leaves_a_sampler_alone(case: Loading) -> None:
    """A generator changes nothing about the keys of a sampler or batch_sampler that is given."""
    with torch_seeded():
        loader = case.build()
        for number in (1, 2):
            same_epoch(case, list(loader), f"epoch {number}")
