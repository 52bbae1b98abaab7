"""Checks of ``specs/dataloader.yaml``: DataLoader in the main process, against a loader in pure Python.

Reference: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import numbers
import os
import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    loader_arguments,
    loader_faults,
    loader_lengths,
    loader_pinning,
    loader_protocols,
    loader_sessions,
    loader_sources,
    loader_streams,
)
from conformance.inputs.loader_arguments import Arguments, Assigned
from conformance.inputs.loader_faults import FaultyLoading
from conformance.inputs.loader_lengths import Reported
from conformance.inputs.loader_pinning import PinnedLoading, has_accelerator, shape_of, tensors_in
from conformance.inputs.loader_protocols import (
    BulkMap,
    EchoMap,
    IndexedStream,
    IteratedMap,
    Keyed,
    MapLike,
    Relisted,
    SamplerLike,
    TurningSampler,
    UnsizedMap,
    WatchedStream,
    Whereabouts,
    sample_in,
)
from conformance.inputs.loader_sessions import EpochsSet, Session
from conformance.inputs.loader_streams import Endless, Falsy
from conformance.inputs.loaders import SEQUENTIAL, SHUFFLED, CollateLog, Loading, listed_samples, torch_seeded
from conformance.oracles import expect
from conformance.oracles.loader_calls import (
    bare,
    drawn_before_fault,
    length_warnings,
    loaded_by_keys,
    refuses,
    reported_samples,
    same_loading,
    same_without,
    unsized,
    warned_of_length,
    whereabouts,
)
from conformance.oracles.loader_epochs import (
    drained,
    drawn_keys,
    epochs_drawn,
    is_shuffle,
    numbers_in,
    same_batches,
    same_epoch,
    same_generator,
    same_objects,
    same_parts,
)
from conformance.oracles.loader_model import batches_of, epoch, key_order, loader_length, plain
from conformance.oracles.loader_sessions import follows_the_loader_model, repeats_itself
from conformance.oracles.modes import recorded_warnings

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


@cases(loader_pinning.plain_structures)
def test_single_samples_keep_their_containers(case: PinnedLoading) -> None:
    """With batch_size=None and no collate_fn a tuple, list or mapping stays one of its type."""
    given = case.batches()
    found = drained(case.build(given))
    expect.equal([shape_of(sample) for sample in given], [shape_of(sample) for sample in found], "types in the samples")


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


@cases(loader_streams.falsy_samples)
def test_falsy_samples_and_batches_are_yielded(case: Falsy) -> None:
    """A sample and what collate_fn makes of it are yielded though they be None, zero or empty."""
    samples = case.values()
    found = drained(case.build(samples))
    if case.batch_size is None:
        same_objects(samples, found, "samples")
    elif case.keeping:
        same_objects(samples, [sample for batch in found for sample in batch], "samples in batches")
    else:
        expected = [batch[-1] for batch in batches_of(samples, case.batch_size, False)]
        same_objects(expected, found, "what collate_fn made of the batches")


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


@cases(loader_sources.sequential_and_shuffled)
def test_default_keys_are_integers(case: Loading) -> None:
    """Without a sampler of the caller's a map-style dataset is asked with integers."""
    loader = case.build()
    drained(loader)
    strange = [type(key).__name__ for key in loader.dataset.asked if not isinstance(key, numbers.Integral)]
    expect.equal([], strange, "types of the keys asked for that are no integers")


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
    """With shuffle=True each sample comes in each part of some epoch, of the first places and the last."""
    parts = min(case.size, 5)
    epochs = epochs_drawn(case, 90)
    seen = {(place * parts // case.size, key) for keys in epochs for place, key in enumerate(keys)}
    missing = [(key, part) for part in range(parts) for key in range(case.size) if (part, key) not in seen]
    expect.that(not missing, "places of the samples in 90 epochs", f"each sample in each of {parts} parts",
                f"sample {missing[0][0]} never in part {missing[0][1]}" if missing else "")  # fmt: skip


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


@cases(loader_protocols.keyed)
def test_keys_reach_the_dataset_as_they_are(case: Keyed) -> None:
    """The dataset is asked with the very keys that the sampler or batch_sampler yields, of whatever type."""
    dataset, keys = EchoMap(), case.values()
    batches = drained(case.build(dataset, keys))
    same_objects(keys, dataset.asked, "keys asked for")
    samples = batches if case.way == "single" else [sample for batch in batches for sample in batch]
    same_objects(keys, [key for _, key in samples], "keys of the samples yielded")


@cases(loader_protocols.sampler_likes)
def test_any_iterable_is_a_sampler(case: SamplerLike) -> None:
    """Any iterable with a length may be a sampler."""
    loaded_by_keys(case)


@cases(loader_protocols.samplers_without_length)
def test_sampler_needs_no_length(case: SamplerLike) -> None:
    """A sampler without a length is loaded by as any other."""
    loaded_by_keys(case)


@cases(loader_sources.sampled)
def test_sampler_is_iterated_anew(case: Loading) -> None:
    """Each epoch iterates over the sampler once, from its beginning."""
    sampler = TurningSampler(case.keys)
    loader = replace(case, order=SEQUENTIAL, drop_last=False).build(sampler=sampler)
    for number in (1, 2):
        drained(loader)
        expect.equal(number, sampler.times, f"iterators made of the sampler in {number} epochs")
        expect.equal(number * list(case.keys), loader.dataset.asked, f"keys asked for in {number} epochs")


@cases(loader_protocols.relisted)
def test_changed_sampler_holds_from_the_next_epoch(case: Relisted) -> None:
    """A list of keys that has changed gives the order and the length that it has when an epoch begins."""
    listed = case.listed(case.keys)
    loader = case.build(listed)
    for keys in (case.keys, case.later):
        listed[:] = case.listed(keys)
        expect.equal(case.epoch(keys), list(loader), f"epoch by {keys}")
        expect.equal(len(keys), len(loader), f"len(loader) by {keys}")


@cases(loader_sessions.set_epochs)
def test_set_epoch_takes_effect_in_the_next_epoch(case: EpochsSet) -> None:
    """What set_epoch tells a sampler before an iterator is made holds for that epoch."""
    sampler, loader = case.build()
    for epoch_number in case.epochs:
        sampler.set_epoch(epoch_number)
        expect.equal(list(sampler), drawn_keys(drained(loader)), f"keys after set_epoch({epoch_number})")


# --- datasets ---------------------------------------------------------------------------------------------------


@cases(loader_protocols.map_likes)
def test_any_map_style_object_is_loaded(case: MapLike) -> None:
    """An object with __getitem__ and __len__ is a map-style dataset, whatever its class."""
    loader = case.build()
    expected = batches_of([sample_in(case.kind, key) for key in range(case.size)], case.batch_size, False)
    same_batches(expected, [[bare(sample) for sample in batch] for batch in drained(loader)], "epoch")
    expect.equal(len(expected), len(loader), "len(loader)")


@cases(loader_sources.sampled_in_any_way)
def test_sampled_dataset_needs_no_length(case: Loading) -> None:
    """A map-style dataset without a length is loaded by a sampler or batch_sampler as any other."""
    loader = torch.utils.data.DataLoader(UnsizedMap(case.form, case.size), **case.arguments())
    same_epoch(case, loader)
    expect.equal(loader_length(case), len(loader), "len(loader)")


@cases(loader_sources.batched_any)
def test_class_says_the_style(case: Loading) -> None:
    """An instance of IterableDataset is iterated over and any other object indexed, whatever else each may have."""
    case = replace(case, form="number", collate="listed")
    dataset = IteratedMap(case.size) if case.style == "map" else IndexedStream("number", case.size)
    found = [plain(batch)[1] for batch in drained(torch.utils.data.DataLoader(dataset, **case.arguments()))]
    numbers = [10 * key if case.style == "map" else 3 * key + 1 for key in range(case.size)]
    same_batches(batches_of(numbers, case.batch_size, case.drop_last), found, "epoch")


@cases(loader_sources.any_streams)
def test_stream_is_iterated_anew(case: Loading) -> None:
    """Each epoch over an iterable-style dataset makes one iterator of it."""
    log = Whereabouts()
    loader = torch.utils.data.DataLoader(WatchedStream(case.size, log), **case.arguments())
    for number in (1, 2, 3):
        drained(loader)
        expect.equal(number, len(log.seen) - len(loader.dataset.given), f"iterators made in {number} epochs")


@cases(loader_streams.endless)
def test_endless_stream_is_loaded(case: Endless) -> None:
    """An iterable-style dataset without an end yields batch after batch."""
    with torch_seeded():
        found = [batch for _, batch in islice(case.build(), case.drawn)]
    same_batches(batches_of(range(case.drawn * (case.batch_size or 1)), case.batch_size, False), found, "epoch")


@cases(loader_streams.endless_samplers)
def test_endless_sampler_is_loaded_by(case: Endless) -> None:
    """A sampler or batch_sampler without an end gives batch after batch."""
    with torch_seeded():
        found = [batch for _, batch in islice(case.build(), case.drawn)]
    same_batches(batches_of(range(case.drawn * (case.batch_size or 1)), case.batch_size, False), found, "epoch")


@cases(loader_sources.any_loadings)
def test_loads_on_demand(case: Loading) -> None:
    """No sample is asked for before its batch is."""
    with torch_seeded():
        loader = case.build(collate_fn=listed_samples)
        asked = 0
        iterator = iter(loader)
        for number, item in enumerate(epoch(case)):
            expect.equal(asked, len(loader.dataset.asked), f"samples asked for before batch {number}")
            asked += len(item.keys) if case.batched else 1
            next(iterator)
        expect.equal(asked, len(loader.dataset.asked), "samples asked for by all batches")


@cases(loader_sources.bulk_batches)
def test_getitems_gives_batches(case: Loading) -> None:
    """Where a dataset has __getitems__ the samples of each batch come from one call of it with the list of keys."""
    dataset = BulkMap(case.form, case.size)
    same_epoch(case, torch.utils.data.DataLoader(dataset, **case.arguments()))
    expect.equal([item.keys for item in epoch(case)], dataset.bulks, "calls of __getitems__")
    expect.equal([], dataset.asked, "calls of __getitem__")


@cases(loader_sources.single_maps)
def test_getitems_is_for_batches_only(case: Loading) -> None:
    """With batch_size=None a dataset is asked for single samples, though it has __getitems__."""
    dataset = BulkMap(case.form, case.size)
    same_epoch(case, torch.utils.data.DataLoader(dataset, **case.arguments()))
    expect.equal([], dataset.bulks, "calls of __getitems__")


@cases(loader_sources.sequential_and_shuffled)
def test_grown_dataset_is_loaded_whole(case: Loading) -> None:
    """Samples that a map-style dataset gained since the loader was made are loaded in the next epoch, and counted."""
    with torch_seeded():
        loader = case.build()
        for grown in (case, replace(case, size=case.size + 3), replace(case, size=case.size + 1)):
            loader.dataset.size = grown.size
            expect.equal(loader_length(grown), len(loader), f"len(loader) with {grown.size} samples")
            batches = list(loader)
            same_epoch(grown, batches, f"epoch with {grown.size} samples", shuffled=drawn_keys(batches))
            is_shuffle(grown, drawn_keys(batches), f"epoch with {grown.size} samples")


@cases(loader_sources.empty_shuffled)
def test_shuffling_nothing_yields_nothing_or_is_refused(case: Loading) -> None:
    """shuffle=True over an empty dataset yields no batch, or raises ValueError."""
    with suppress(ValueError):
        expect.equal([], drained(case.build()), "batches")


# --- length -----------------------------------------------------------------------------------------------------


@cases(loader_sources.sized_maps)
def test_length_is_the_number_of_batches(case: Loading) -> None:
    """Over a map-style dataset len(loader) is the number of batches that an epoch yields."""
    loader = case.build()
    expect.equal(loader_length(case), len(loader), "len(loader)")
    expect.equal(loader_length(case), len(drained(loader)), "number of batches")
    expect.equal(loader_length(case), len(loader), "len(loader) after an epoch")


@cases(loader_lengths.reported_lengths)
def test_length_follows_the_sampler(case: Reported) -> None:
    """len(loader) is computed from the length that the sampler or batch_sampler reports, right or wrong."""
    loader = case.build()
    size = None if case.kind == "batch_sampler" else case.batch_size
    expect.equal(len(batches_of(range(case.reported), size, case.drop_last)), len(loader), "len(loader)")
    expect.equal(len(batches_of(range(case.size), size, case.drop_last)), len(drained(loader)), "number of batches")


@cases(loader_sources.sized_streams)
def test_length_over_a_stream_is_that_of_the_dataset(case: Loading) -> None:
    """Over an iterable-style dataset len(loader) is its length by batch_size, rounded by drop_last, whatever the workers."""  # noqa: E501
    loader = case.build()
    for times in (1, 2):
        expect.equal(loader_length(case), len(loader), f"len(loader), asked for the {times}. time")


@cases(loader_sources.unsized_loadings)
def test_length_of_the_unsized_is_refused(case: Loading) -> None:
    """len(loader) raises TypeError where the sampler or the iterable-style dataset has no length."""
    loader = unsized(case)
    for _ in range(2):
        expect.raises(TypeError, lambda: len(loader), "len(loader)")
    same_epoch(case, loader)


@cases(loader_lengths.streams_of_any_length)
def test_reported_length_loses_no_sample(case: Reported) -> None:
    """An iterable-style dataset yields all its samples, whatever length it reports and whether it was asked for."""
    loader = case.build()
    for what in ("nobody has asked for the length", "the length was asked for"):
        found = reported_samples(loader)
        expect.equal(batches_of(range(case.size), case.batch_size, case.drop_last), found, f"samples when {what}")
        len(loader)


@cases(loader_lengths.overlong_streams)
def test_more_samples_than_reported_are_warned_of(case: Reported) -> None:
    """Once len(loader) was asked, more samples than an iterable-style dataset reported are warned of."""
    warned_of_length(case)


@cases(loader_lengths.overlong_batched_streams)
def test_more_samples_in_batches_are_warned_of(case: Reported) -> None:
    """More samples than an iterable-style dataset reported are warned of in batches of several, too."""
    warned_of_length(case)


@cases(loader_lengths.streams_within_their_length)
def test_right_length_is_not_warned_of(case: Reported) -> None:
    """No more samples than were reported, or a length that nobody asked for, are no reason for a warning."""
    loader = case.build()
    len(loader)
    expect.equal([], length_warnings(loader), "warnings after len(loader)")
    unasked = replace(case, reported=0).build()
    expect.equal([], length_warnings(unasked), "warnings where nobody has asked for the length")


# --- arguments --------------------------------------------------------------------------------------------------


@cases(loader_arguments.sampler_and_shuffle)
def test_sampler_excludes_shuffle(case: Arguments) -> None:
    """A sampler and shuffle=True together are refused."""
    refuses(case)


@cases(loader_arguments.batch_sampler_and_others)
def test_batch_sampler_excludes_others(case: Arguments) -> None:
    """A batch_sampler beside batch_size, shuffle, sampler or drop_last is refused."""
    refuses(case)


@cases(loader_arguments.batch_samplers_and_size_one)
def test_batch_sampler_beside_the_default_batch_size(case: Arguments) -> None:
    """A batch_sampler beside batch_size=1, which is the default, is refused or taken by itself."""
    with suppress(ValueError):
        batches = [list(batch) for batch in dict(case.given)["batch_sampler"]]
        found = [[(number - 1) // 3 for number in numbers_in(plain(batch))] for batch in drained(case.build())]
        expect.equal(batches, found, "keys of the batches")


@cases(loader_arguments.samplers_of_streams)
def test_stream_excludes_samplers(case: Arguments) -> None:
    """A sampler or batch_sampler for an iterable-style dataset is refused."""
    refuses(case)


@cases(loader_arguments.shuffled_streams)
def test_stream_excludes_shuffling(case: Arguments) -> None:
    """shuffle=True for an iterable-style dataset is refused."""
    refuses(case)


@cases(loader_arguments.unshuffled_streams)
def test_stream_takes_no_shuffling(case: Arguments) -> None:
    """shuffle=False or None for an iterable-style dataset changes nothing."""
    same_without(case, ("shuffle",))


@cases(loader_arguments.dropping_without_batches)
def test_drop_last_needs_batches(case: Arguments) -> None:
    """drop_last=True with batch_size=None is refused."""
    refuses(case)


@cases(loader_arguments.wrong_batch_sizes)
def test_batch_size_is_a_positive_integer(case: Arguments) -> None:
    """A batch_size that is no positive integer is refused."""
    refuses(case)


@cases(loader_arguments.negative_numbers_of_workers)
def test_number_of_workers_is_not_negative(case: Arguments) -> None:
    """A negative num_workers is refused."""
    refuses(case)


@cases(loader_arguments.negative_timeouts)
def test_timeout_is_not_negative(case: Arguments) -> None:
    """A negative timeout is refused."""
    refuses(case)


@cases(loader_arguments.positive_timeouts)
def test_timeout_without_workers(case: Arguments) -> None:
    """A positive timeout where there are no workers changes nothing, or is refused."""
    found = None
    with suppress(ValueError, AssertionError):
        found = drained(case.build())
    if found is not None:
        same_loading(drained(case.build(timeout=0)), found, "epoch with a timeout")


@cases(loader_arguments.contexts_without_workers)
def test_context_needs_workers(case: Arguments) -> None:
    """A multiprocessing_context where there are no workers is refused."""
    refuses(case)


@cases(loader_arguments.wrong_contexts)
def test_context_is_one_of_those_there_are(case: Arguments) -> None:
    """A multiprocessing_context that is neither a start method nor a context is refused when the loader is made."""
    refuses(case)


@cases(loader_arguments.persistence_without_workers)
def test_persistence_needs_workers(case: Arguments) -> None:
    """persistent_workers=True where there are no workers is refused."""
    refuses(case)


@cases(loader_arguments.prefetching_without_workers)
def test_prefetching_needs_workers(case: Arguments) -> None:
    """A prefetch_factor where there are no workers is refused."""
    refuses(case)


@cases(loader_arguments.default_prefetching_without_workers)
def test_default_prefetching_needs_workers(case: Arguments) -> None:
    """A prefetch_factor of 2 where there are no workers is refused, as any other."""
    refuses(case)


@cases(loader_arguments.negative_prefetching)
def test_prefetch_factor_is_not_negative(case: Arguments) -> None:
    """A negative prefetch_factor is refused."""
    refuses(case)


@cases(loader_arguments.no_workers)
def test_prefetch_factor_defaults_to_none_without_workers(case: Arguments) -> None:
    """Where there are no workers, prefetch_factor is None, and may be given as None."""
    expect.equal(None, case.build().prefetch_factor, "prefetch_factor")
    expect.equal(None, case.build(prefetch_factor=None).prefetch_factor, "prefetch_factor given as None")
    same_loading(drained(case.build()), drained(case.build(prefetch_factor=None)), "epoch with prefetch_factor=None")


@cases(loader_arguments.busy_workers)
def test_prefetch_factor_defaults_to_two_with_workers(case: Arguments) -> None:
    """Where there are workers, prefetch_factor is 2 unless it is given."""
    expect.equal(2, case.build().prefetch_factor, "prefetch_factor")
    for given in (1, 2, 5):
        expect.equal(given, case.build(prefetch_factor=given).prefetch_factor, f"prefetch_factor given as {given}")


@cases(loader_arguments.refused_arguments)
def test_refusals_name_the_argument(case: Arguments) -> None:
    """What is refused raises ValueError, with a message that names an argument given."""
    message = str(expect.raises(ValueError, case.build, case.said))
    named = any(name in message for name in case.names)
    expect.that(named, f"message of {case.said}", f"one of the names {', '.join(case.names)}", repr(message))


@cases(loader_arguments.with_defaults)
def test_defaults_change_nothing(case: Arguments) -> None:
    """An argument given its documented default changes nothing."""
    same_without(case, case.names)


@cases(loader_arguments.in_and_out_of_order)
def test_order_of_workers_is_for_workers(case: Arguments) -> None:
    """in_order changes nothing where there are no workers."""
    same_without(case, ("in_order",))


@cases(loader_sources.positional)
def test_first_arguments_may_be_positional(case: Loading) -> None:
    """The arguments up to worker_init_fn may be given by position, in the order of the signature."""
    given = case.arguments()
    defaults = [1, False, None, None, 0, None, False, False, 0, None]
    names = ["batch_size", "shuffle", "sampler", "batch_sampler", "num_workers", "collate_fn", "pin_memory",
             "drop_last", "timeout", "worker_init_fn"]  # fmt: skip
    values = [given.get(name, default) for name, default in zip(names, defaults, strict=True)]
    with torch_seeded():
        batches = list(torch.utils.data.DataLoader(case.dataset(), *values))
        same_epoch(case, batches, "epoch", shuffled=drawn_keys(batches) if case.order == SHUFFLED else None)


@cases(loader_arguments.no_workers)
def test_prefetch_factor_is_keyword_only(case: Arguments) -> None:
    """prefetch_factor cannot be given by position."""
    before = (1, False, None, None, 1, None, False, False, 0, None, None, None)
    expect.raises(TypeError, lambda: torch.utils.data.DataLoader(case.dataset(), *before, 2), "14th argument")


@cases(loader_arguments.shown_arguments)
def test_arguments_are_attributes(case: Arguments) -> None:
    """An attribute of the loader shows each argument under its name; dataset is the very object."""
    dataset, generator = case.dataset(), torch.Generator()
    loader = torch.utils.data.DataLoader(dataset, collate_fn=list, generator=generator, **dict(case.given))
    for name, value in case.given:
        expect.equal(value, getattr(loader, name), name)
    for name, given in (("dataset", dataset), ("collate_fn", list), ("generator", generator)):
        expect.same_object(given, getattr(loader, name), name)


@cases(loader_sources.ordered_or_sampled)
def test_loader_shows_its_samplers(case: Loading) -> None:
    """The sampler and batch_sampler that a loader makes of shuffle, batch_size and drop_last can be iterated over."""
    loader = case.build()
    keys = key_order(case)
    expect.equal(keys, list(loader.sampler), "keys of loader.sampler")
    batches = batches_of(keys, case.batch_size, case.drop_last)
    if case.batched:
        expect.equal(batches, list(loader.batch_sampler), "batches of loader.batch_sampler")
    else:
        expect.equal(None, loader.batch_sampler, "loader.batch_sampler")


@cases(loader_arguments.assigned)
def test_attributes_are_not_set_afterwards(case: Assigned) -> None:
    """Setting batch_size, batch_sampler, sampler, drop_last, dataset or persistent_workers of a loader raises ValueError, and changes nothing."""  # noqa: E501
    with torch_seeded():
        loader = case.build()
        iterator = iter(loader)
        expected = list(loader)
        before, value = getattr(loader, case.attribute), case.value(loader)
        begun = [next(iterator)] if case.begun else []
        expect.raises(ValueError, lambda: setattr(loader, case.attribute, value), f"setting {case.attribute}")
        expect.same_object(before, getattr(loader, case.attribute), case.attribute)
        same_loading(expected, [*begun, *iterator], "epoch begun before")
        same_loading(expected, list(loader), "epoch begun afterwards")


# --- epochs -----------------------------------------------------------------------------------------------------


@cases(loader_sources.any_loadings)
def test_each_epoch_yields_everything(case: Loading) -> None:
    """Each epoch yields the whole of what the model says, also after one that was left half-way."""
    with torch_seeded():
        loader = case.build()
        for number in (0, 1, 2):
            left = iter(loader)
            for _ in range(number):
                next(left, None)
            same_epoch(case, list(loader), f"epoch after one that was left after {number} batches")


@cases(loader_sources.any_loadings)
def test_iterators_are_independent(case: Loading) -> None:
    """Two iterators of one loader, drawn from in turns, yield an epoch each."""
    with torch_seeded():
        loader = case.build()
        first, second = iter(loader), iter(loader)
        drawn: tuple[list[Any], list[Any]] = ([next(first)] if epoch(case) else [], [])
        for one, other in zip(first, second, strict=False):
            drawn[0].append(one)
            drawn[1].append(other)
        drawn[1].extend(second)
    same_epoch(case, drawn[0], "the first iterator")
    same_epoch(case, drawn[1], "the second iterator")


@cases(loader_sessions.sessions)
def test_sessions_follow_the_model(case: Session) -> None:
    """Whatever is begun, left, saved, restored and begun again, each iterator goes through one epoch of its own."""
    follows_the_loader_model(case)


@cases(loader_sessions.shuffled_sessions)
def test_sessions_repeat_from_a_seed(case: Session) -> None:
    """The same things done with a loader from the same seed yield the same batches."""
    repeats_itself(case)


@cases(loader_sources.shuffled)
def test_restored_generator_repeats_the_epoch(case: Loading) -> None:
    """A generator that is put back to its state from before an epoch gives the same epoch again."""
    with torch_seeded():
        loader = case.build()
        generator = torch.default_generator if case.seed is None else loader.generator
        list(loader)
        state = generator.get_state()
        epochs = []
        for between in (1, 0, 2):
            generator.set_state(state)
            epochs.append(list(loader))
            for _ in range(between):
                next(iter(loader), None)
    for number in (1, 2):
        same_loading(epochs[0], epochs[number], f"epoch, repeated {number} times")


@cases(loader_sources.any_loadings)
def test_end_stays_the_end(case: Loading) -> None:
    """An iterator at its end raises StopIteration, each time that it is asked, and asks the dataset nothing."""
    with torch_seeded():
        loader = case.build()
        iterator = iter(loader)
        list(iterator)
        asked = list(loader.dataset.asked)
        for times in (1, 2, 3):
            expect.raises(StopIteration, lambda: next(iterator), f"next at the end, for the {times}. time")
    expect.equal(asked, loader.dataset.asked, "keys asked for after the end")


@cases(loader_sources.any_loadings)
def test_iterator_is_its_own_iterator(case: Loading) -> None:
    """iter() of an iterator is that iterator, and goes on where it was."""
    with torch_seeded():
        iterator = iter(case.build())
        begun = [batch for batch in [next(iterator, None)] if batch is not None]
        expect.same_object(iterator, iter(iterator), "iter(iterator)")
        same_epoch(case, [*begun, *iterator], "the iterator")


@cases(loader_faults.faulty_loadings)
def test_epoch_after_an_exception_is_whole(case: FaultyLoading) -> None:
    """An epoch begun after one that ended in an exception begins at the beginning."""
    loader = case.build(case.error())
    expected = batches_of([3 * key + 1 for key in range(case.size)], case.batch_size, False)[: case.before]
    for number in (1, 2, 3):
        expect.equal(expected, drawn_before_fault(loader), f"batches before the exception in epoch {number}")


# --- the main process -------------------------------------------------------------------------------------------


@cases(loader_sources.any_streams_and_maps)
def test_loads_where_it_is(case: Loading) -> None:
    """With num_workers=0 dataset and collate_fn run in the process and thread that draws the batch."""
    here = (os.getpid(), threading.get_ident())
    for what, process, thread, _ in whereabouts(case).seen:
        expect.equal(here, (process, thread), f"process and thread of {what}")


@cases(loader_sources.any_streams_and_maps)
def test_there_is_no_worker_info(case: Loading) -> None:
    """With num_workers=0 get_worker_info() is None before, while and after samples are loaded."""
    expect.equal(None, torch.utils.data.get_worker_info(), "get_worker_info() before")
    for what, _, _, info in whereabouts(case).seen:
        expect.equal(None, info, f"get_worker_info() in {what}")
    expect.equal(None, torch.utils.data.get_worker_info(), "get_worker_info() afterwards")


@cases(loader_sources.any_streams_and_maps)
def test_worker_init_fn_is_for_workers(case: Loading) -> None:
    """With num_workers=0 worker_init_fn is not called."""
    called: list[int] = []
    same_epoch(case, case.build(worker_init_fn=called.append))
    expect.equal([], called, "calls of worker_init_fn")


@cases(loader_faults.faulty_loadings)
def test_exceptions_come_out_as_they_are(case: FaultyLoading) -> None:
    """An exception raised by dataset, sampler or collate_fn is the one that the caller gets, where its batch is drawn."""  # noqa: E501
    error = case.error()
    with torch_seeded():
        iterator = iter(case.build(error))
        expected = batches_of([3 * key + 1 for key in range(case.size)], case.batch_size, False)[: case.before]
        expect.equal(expected, [next(iterator) for _ in expected], "batches before the exception")
        found = expect.raises(type(error), lambda: next(iterator), f"batch {case.before}")
    expect.same_object(error, found, f"exception at batch {case.before}")
    raised_in = [frame.name for frame in traceback.extract_tb(found.__traceback__)][-1:]
    expect.equal([case.raiser], raised_in, "function at the end of the exception's traceback")


@cases(loader_faults.stopping_maps)
def test_stop_iteration_of_a_dataset_is_no_end(case: FaultyLoading) -> None:
    """A StopIteration out of a map-style dataset or collate_fn is not taken for the end of the epoch."""
    error = case.error()
    expect.raises(RuntimeError, lambda: drained(case.build(error)), "an epoch in which a sample raises StopIteration")


# --- pinning ----------------------------------------------------------------------------------------------------


@cases(loader_pinning.pinned_structures)
def test_pinning_keeps_the_batches(case: PinnedLoading) -> None:
    """With pin_memory=True the batches have the structure, types and values that they have without."""
    expected = drained(case.build(case.batches()))
    found = drained(case.build(case.batches(), pin_memory=True))
    same_loading(expected, found, "epoch")
    expect.equal([shape_of(batch) for batch in expected], [shape_of(batch) for batch in found], "types of the batches")


@cases(loader_sources.any_loadings)
def test_pinning_changes_nothing_else(case: Loading) -> None:
    """pin_memory=True changes nothing about order, number and size of the batches."""
    same_epoch(case, case.build(pin_memory=True))


@cases(loader_pinning.pinned_structures)
def test_pinning_without_accelerator_is_warned_of(case: PinnedLoading) -> None:
    """pin_memory=True is warned of where there is no accelerator, and only there; the tensors are then ordinary ones."""  # noqa: E501
    for pin in (False, True):
        with recorded_warnings() as found:
            batches = drained(case.build(case.batches(), pin_memory=pin))
        warned = sum("pin_memory" in str(warning.message) for warning in found)
        expect.equal(int(pin and not has_accelerator()), warned, f"warnings about pin_memory={pin}")
        pinned = [tensor.is_pinned() for tensor in tensors_in(batches)]
        if not has_accelerator():
            expect.equal([False] * len(pinned), pinned, "which tensors are pinned")


@cases(loader_pinning.pinned_structures)
def test_device_for_pinning_is_not_needed(case: PinnedLoading) -> None:
    """pin_memory_device changes nothing about the batches."""
    expected = drained(case.build(case.batches(), pin_memory=True))
    for pin in (False, True):
        found = drained(case.build(case.batches(), pin_memory=pin, pin_memory_device="cuda"))
        same_loading(expected, found, f"epoch with pin_memory={pin} and pin_memory_device")


@cases(loader_pinning.pinned_structures)
def test_batches_are_pinned(case: PinnedLoading) -> None:
    """With pin_memory=True every tensor in a batch of tensors, mappings and sequences is in pinned memory."""
    found = tensors_in(drained(case.build(case.batches(), pin_memory=True)))
    pinned = [tensor.is_pinned() or not tensor.numel() for tensor in found]
    expect.equal([True] * len(found), pinned, "which tensors are pinned, or empty")


@cases(loader_pinning.pinnable_batches)
def test_custom_batches_pin_themselves(case: PinnedLoading) -> None:
    """With pin_memory=True a batch of a custom type with a method pin_memory is what that method returns."""
    batches = case.batches()
    found = drained(case.build(batches, pin_memory=True))
    same_objects(batches, found, "batches")
    expect.equal([(1, True)] * 3, [(batch.calls, batch.tensor.is_pinned()) for batch in found], "calls of pin_memory")


@cases(loader_pinning.opaque_batches)
def test_other_custom_batches_are_left(case: PinnedLoading) -> None:
    """With pin_memory=True a batch of a custom type without pin_memory is yielded as it is."""
    batches = case.batches()
    tensors = tensors_in(batches)
    found = drained(case.build(batches, pin_memory=True))
    same_objects(batches, found, "batches")
    same_objects(tensors, tensors_in(found), "tensors in them")
    expect.equal([False] * 3, [tensor.is_pinned() for tensor in tensors_in(found)], "which of them are pinned")
