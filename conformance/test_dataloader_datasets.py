"""Checks of ``specs/dataloader_datasets.yaml``: datasets and what is made of them, samplers, and collation.

Reference: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import ceil

import numpy as np
import torch
import torch.utils.data

from conformance.engine.cases import cases
from conformance.inputs import (
    collate_refusals,
    collate_registries,
    collate_sources,
    data_calls,
    dataset_sources,
    index_draws,
    index_groups,
    splits,
    subset_kinds,
    tensor_rows,
)
from conformance.inputs.bridges import Data
from conformance.inputs.collate_refusals import DerivedBatch, ExactBatch, UnchangedData
from conformance.inputs.collate_registries import REGISTERED_TYPES, CollateRegistry, NotingCollate
from conformance.inputs.collate_trees import DataBatch, DataSample
from conformance.inputs.data_calls import DataCall
from conformance.inputs.dataset_parts import BatchedPart, DataParts, DataSelection, DataStack, ShortPart
from conformance.inputs.index_draws import RandomDraw, SubsetDraw, WeightedDraw
from conformance.inputs.index_groups import IndexGroups, Sharding, WatchedIterable
from conformance.inputs.splits import RandomSplit, lengths_by_fractions
from conformance.inputs.subset_kinds import SubsetKind
from conformance.inputs.tensor_rows import TensorRows
from conformance.inputs.worker_places import WorkerPlace, worker_places
from conformance.oracles import collate_model, expect, index_order, memory
from conformance.oracles.collate_model import same_batch, same_conversion
from conformance.oracles.index_order import differ, global_seed, global_state_kept, same_indices, same_samples
from conformance.oracles.modes import recorded_warnings

# --- datasets ---------------------------------------------------------------------------------------------------


@cases(data_calls.bare_datasets)
def test_dataset_needs_getitem(case: DataCall) -> None:
    """Indexing a Dataset that has no __getitem__ of its own raises NotImplementedError."""
    expect.raises(NotImplementedError, case.run, case.expression)


@cases(data_calls.lengthless)
def test_dataset_has_no_length_of_its_own(case: DataCall) -> None:
    """The length of a dataset or sampler that has no __len__ of its own raises TypeError."""
    expect.raises(TypeError, case.run, case.expression)


@cases(data_calls.bare_iterables)
def test_iterable_dataset_needs_iter(case: DataCall) -> None:
    """An IterableDataset that has no __iter__ of its own cannot be made, or cannot be iterated over."""
    expect.raises((NotImplementedError, TypeError), case.run, case.expression)


@cases(data_calls.bare_samplers)
def test_sampler_needs_iter(case: DataCall) -> None:
    """Iterating over a Sampler that has no __iter__ of its own raises NotImplementedError."""
    expect.raises(NotImplementedError, case.run, case.expression)


@cases(dataset_sources.pairs)
def test_added_datasets_are_concatenated(case: DataParts) -> None:
    """The sum of two map-style datasets is their concatenation."""
    (first, second), samples = case.build()
    found = first + second
    same_samples(itertools.chain(*samples), (found[i] for i in range(len(found))), "a + b")


@cases(dataset_sources.stream_pairs)
def test_added_iterable_datasets_are_chained(case: DataParts) -> None:
    """The sum of two iterable datasets is their chain."""
    (first, second, *third), samples = case.streams([])
    sums = {"(a + b) + c": (first + second) + third[0], "a + (b + c)": first + (second + third[0])} if third else {}
    for what, found in (sums or {"a + b": first + second}).items():
        same_samples(itertools.chain(*samples), found, what)


@cases(data_calls.compounds)
def test_compounds_are_datasets(case: DataCall) -> None:
    """What is made of map-style datasets is a Dataset and no IterableDataset, and a chain of iterable ones is an IterableDataset."""  # noqa: E501
    found = case.run()
    expect.that(isinstance(found, torch.utils.data.Dataset), case.expression, "a Dataset", type(found).__name__)
    iterable = isinstance(found, torch.utils.data.IterableDataset)
    expect.equal("Chain" in case.expression, iterable, f"whether {case.expression} is an IterableDataset")


# --- TensorDataset ----------------------------------------------------------------------------------------------


@cases(tensor_rows.tensor_rows)
def test_tensor_dataset_indexes_the_first_dimension(case: TensorRows) -> None:
    """A sample of a TensorDataset is a tuple of its tensors, each indexed along the first dimension."""
    found = torch.utils.data.TensorDataset(*case.build())
    for index in range(-case.count, case.count):
        sample = found[index]
        expect.equal((tuple, len(case.plans)), (type(sample), len(sample)), f"type and length of sample {index}")
        for number, (plan, tensor) in enumerate(zip(case.plans, sample, strict=True)):
            collate_model.same_row(plan, plan.array[index], tensor, f"tensor {number} of sample {index}")


@cases(tensor_rows.tensor_rows)
def test_tensor_dataset_has_as_many_samples_as_rows(case: TensorRows) -> None:
    """The length of a TensorDataset is the size of the first dimension of its tensors."""
    expect.equal(case.count, len(torch.utils.data.TensorDataset(*case.build())), "length")


@cases(tensor_rows.tensor_rows)
def test_tensor_dataset_takes_slices(case: TensorRows) -> None:
    """A slice, a list or a tensor of indices gives a tuple of the tensors indexed by it."""
    found = torch.utils.data.TensorDataset(*case.build())
    rows = list(range(case.count))
    picked = [*rows[::-1], *rows[:1]]
    keys = [(slice(1, None), slice(1, None)), (slice(None, None, 2), slice(None, None, 2)), (picked, picked)]
    for key, same in [*keys, (torch.tensor(picked, dtype=torch.int64), picked)]:
        sample = found[key]
        expect.equal((tuple, len(case.plans)), (type(sample), len(sample)), f"type and length of sample {key}")
        for number, (plan, tensor) in enumerate(zip(case.plans, sample, strict=True)):
            expected = plan.array[same if isinstance(same, slice) else np.array(same, np.int64)]
            collate_model.same_row(plan, expected, tensor, f"tensor {number} of sample {key}")


@cases(tensor_rows.tensor_rows)
def test_tensor_dataset_samples_are_views(case: TensorRows) -> None:
    """A sample of a TensorDataset shares the memory of the tensors."""
    tensors = case.build()
    found = torch.utils.data.TensorDataset(*tensors)
    for index in range(case.count):
        for number, (whole, part) in enumerate(zip(tensors, found[index], strict=True)):
            place = memory.storage_address(whole)
            expect.equal(place, memory.storage_address(part), f"address of tensor {number} of sample {index}")


@cases(tensor_rows.tensor_rows)
def test_tensor_dataset_ends(case: TensorRows) -> None:
    """An index outside a TensorDataset raises IndexError, so that a loop over it ends after the last sample."""
    found = torch.utils.data.TensorDataset(*case.build())
    for index in (case.count, case.count + 7, -case.count - 1):
        expect.raises(IndexError, lambda i=index: found[i], f"index {index} of {case.count} samples")  # type: ignore[misc]
    expect.equal(case.count, sum(1 for _ in found), "number of samples in a loop")


@cases(tensor_rows.uneven_rows)
def test_tensor_dataset_refuses_different_sizes(case: TensorRows) -> None:
    """Tensors that differ in the size of the first dimension are refused."""
    tensors = case.build()
    expect.raises(
        (AssertionError, ValueError), lambda: torch.utils.data.TensorDataset(*tensors), "tensors of different sizes"
    )


# --- StackDataset -----------------------------------------------------------------------------------------------


@cases(dataset_sources.positional_stacks)
def test_stack_dataset_of_positions_gives_tuples(case: DataStack) -> None:
    """A sample of a StackDataset of datasets given by position is the tuple of their samples."""
    found, samples, _ = case.build()
    for index in range(case.size):
        index_order.same_record(case.sample(samples, index), found[index], f"sample {index}")


@cases(dataset_sources.named_stacks)
def test_stack_dataset_of_names_gives_dicts(case: DataStack) -> None:
    """A sample of a StackDataset of datasets given by name is the dict of their samples."""
    found, samples, _ = case.build()
    for index in range(case.size):
        index_order.same_record(case.sample(samples, index), found[index], f"sample {index}")


@cases(dataset_sources.batched_stacks)
def test_stack_dataset_is_as_long_as_its_parts(case: DataStack) -> None:
    """The length of a StackDataset is that of its datasets."""
    expect.equal(case.size, len(case.build()[0]), "length")


@cases(dataset_sources.batched_stacks)
def test_stack_dataset_loads_batches(case: DataStack) -> None:
    """__getitems__ of a StackDataset gives the samples that indexing gives, and asks each dataset that can load several at once for all of them."""  # noqa: E501
    found, samples, parts = case.build()
    indices = [*range(case.size)][::-1] + [*range(case.size)][:2]
    batch = found.__getitems__(indices)
    expect.equal(len(indices), len(batch), "number of samples")
    for index, sample in zip(indices, batch, strict=True):
        index_order.same_record(case.sample(samples, index), sample, f"sample {index}")
    for part in parts:
        if isinstance(part, BatchedPart):
            expect.equal(([indices], []), (part.batches, part.asked), "calls of __getitems__, and of __getitem__")


@cases(dataset_sources.filled_stacks)
def test_stack_dataset_refuses_missing_samples(case: DataStack) -> None:
    """__getitems__ of a StackDataset raises ValueError where a dataset gives fewer samples than it was asked for."""
    _, samples, parts = case.build()
    for place in range(len(parts)):
        stack = case.stacked([*parts[:place], ShortPart(samples[place]), *parts[place + 1 :]])
        expect.raises(
            ValueError,
            lambda s=stack: s.__getitems__([*range(case.size)]),  # type: ignore[misc]
            f"a batch of which part {place} loads one less",
        )


@cases(dataset_sources.uneven_joints)
def test_stack_dataset_refuses_different_lengths(case: DataParts) -> None:
    """Datasets of different lengths cannot be stacked."""
    parts, _ = case.build()
    named = dict(zip("abcdefgh", parts, strict=False))
    expect.raises(ValueError, lambda: torch.utils.data.StackDataset(*parts), "datasets by position")
    expect.raises(ValueError, lambda: torch.utils.data.StackDataset(**named), "datasets by name")


@cases(data_calls.mixed_stacks)
def test_stack_dataset_takes_one_form(case: DataCall) -> None:
    """No datasets at all, and datasets by position and by name together, cannot be stacked."""
    expect.raises(ValueError, case.run, case.expression)


# --- ConcatDataset ----------------------------------------------------------------------------------------------


@cases(dataset_sources.concatenations)
def test_concat_dataset_joins_its_parts(case: DataParts) -> None:
    """A ConcatDataset has the samples of its datasets, one dataset after the other."""
    parts, samples = case.build()
    found = torch.utils.data.ConcatDataset(case.handed(parts))
    joined = list(itertools.chain(*samples))
    for index, expected in enumerate(joined):
        same_samples([expected], [found[index]], f"index {index}")


@cases(dataset_sources.concatenations)
def test_concat_dataset_is_as_long_as_its_parts_together(case: DataParts) -> None:
    """The length of a ConcatDataset is the sum of those of its datasets."""
    found = torch.utils.data.ConcatDataset(case.handed(case.build()[0]))
    expect.equal(sum(size for _, size in case.parts), len(found), "length")


@cases(dataset_sources.concatenations)
def test_concat_dataset_knows_where_its_parts_end(case: DataParts) -> None:
    """cumulative_sizes of a ConcatDataset are the numbers of samples up to the end of each dataset."""
    found = torch.utils.data.ConcatDataset(case.handed(case.build()[0]))
    expected = list(itertools.accumulate(size for _, size in case.parts))
    expect.equal(expected, list(found.cumulative_sizes), "cumulative_sizes")


@cases(dataset_sources.concatenations)
def test_concat_dataset_counts_from_the_end(case: DataParts) -> None:
    """A negative index of a ConcatDataset counts from its end."""
    parts, samples = case.build()
    found = torch.utils.data.ConcatDataset(case.handed(parts))
    joined = list(itertools.chain(*samples))
    for index in range(-len(joined), 0):
        same_samples([joined[index]], [found[index]], f"index {index}")


@cases(dataset_sources.concatenations)
def test_concat_dataset_ends(case: DataParts) -> None:
    """An index outside a ConcatDataset raises IndexError, or ValueError if it is negative."""
    found = torch.utils.data.ConcatDataset(case.handed(case.build()[0]))
    size = sum(size for _, size in case.parts)
    for index in (size, size + 1, size + 40, -size - 1, -size - 9):
        kinds = (IndexError, ValueError) if index < 0 else IndexError
        expect.raises(kinds, lambda i=index: found[i], f"index {index} of {size} samples")  # type: ignore[misc]


@cases(dataset_sources.iterated_concatenations)
def test_concat_dataset_takes_an_iterator(case: DataParts) -> None:
    """The datasets of a ConcatDataset may come from any iterable."""
    parts, samples = case.build()
    found = torch.utils.data.ConcatDataset(case.handed(parts))
    same_samples(itertools.chain(*samples), (found[i] for i in range(len(found))), "the samples")


@cases(data_calls.empty_concatenations)
def test_concat_dataset_needs_a_dataset(case: DataCall) -> None:
    """A ConcatDataset of no dataset cannot be made."""
    expect.raises((AssertionError, ValueError), case.run, case.expression)


@cases(dataset_sources.mixtures)
def test_concat_dataset_refuses_iterable_datasets(case: DataParts) -> None:
    """A ConcatDataset with an iterable dataset in it cannot be made."""
    parts = case.mixed()
    expect.raises(
        (AssertionError, ValueError), lambda: torch.utils.data.ConcatDataset(parts), "a stream among the parts"
    )


# --- ChainDataset -----------------------------------------------------------------------------------------------


@cases(dataset_sources.streams)
def test_chain_dataset_chains_its_parts(case: DataParts) -> None:
    """A ChainDataset yields the samples of its datasets, one dataset after the other, as often as it is iterated over."""  # noqa: E501
    parts, samples = case.streams([])
    found = torch.utils.data.ChainDataset(case.handed(parts))
    for epoch in range(3):
        same_samples(itertools.chain(*samples), found, f"the samples of epoch {epoch}")


@cases(dataset_sources.streams)
def test_chain_dataset_chains_on_the_fly(case: DataParts) -> None:
    """A ChainDataset begins each dataset when the one before has ended, and takes each sample when it is asked for."""
    events: list[object] = []
    parts, samples = case.streams(events)
    iterator = iter(torch.utils.data.ChainDataset(case.handed(parts)))
    expected: list[object] = []
    for items in samples:
        expected.append(("begin", items))
        for item in items:
            expect.that(len(events) < len(expected) + 1, "what the datasets were asked for", expected, events)
            next(iterator)
            expected.append(("yield", item))
            expect.equal(expected, events, f"what the datasets were asked for up to {item!r}")
        expected.append(("end", items))
    expect.equal(0, len(list(iterator)), "number of samples left")
    expect.equal(expected, events, "what the datasets were asked for")


@cases(dataset_sources.streams)
def test_chain_dataset_is_as_long_as_its_parts_together(case: DataParts) -> None:
    """The length of a ChainDataset is the sum of those of its datasets, and TypeError where one has none."""
    parts, _ = case.streams([])
    expect.equal(sum(size for _, size in case.parts), len(torch.utils.data.ChainDataset(case.handed(parts))), "length")
    unsized, _ = case.streams([], sized=False)
    found = torch.utils.data.ChainDataset([*parts, *unsized])
    expect.raises(TypeError, lambda: len(found), "length of a chain with a stream of unknown length")


@cases(dataset_sources.mixed_chains)
def test_chain_dataset_refuses_map_style_datasets(case: DataParts) -> None:
    """A map-style dataset in a ChainDataset is refused when it is its turn, and by len."""
    parts = case.mixed()
    found = torch.utils.data.ChainDataset(parts)
    before = list(itertools.takewhile(lambda part: isinstance(part, torch.utils.data.IterableDataset), parts))
    yielded: list[object] = []
    expect.raises(
        (AssertionError, TypeError), lambda: index_order.drain_into(found, yielded), "iteration over the chain"
    )
    same_samples(itertools.chain(*(part.items for part in before)), yielded, "the samples before it is refused")
    expect.raises((AssertionError, TypeError), lambda: len(found), "length of the chain")


# --- Subset -----------------------------------------------------------------------------------------------------


@cases(dataset_sources.selections)
def test_subset_has_the_samples_at_its_indices(case: DataSelection) -> None:
    """A sample of a Subset is the sample of the whole dataset at the index with the same number."""
    found, expected, _ = case.build()
    for index in range(-len(expected), len(expected)):
        same_samples([expected[index]], [found[index]], f"index {index}")


@cases(dataset_sources.selections)
def test_subset_is_as_long_as_its_indices(case: DataSelection) -> None:
    """The length of a Subset is the number of its indices."""
    expect.equal(len(case.indices), len(case.build()[0]), "length")


@cases(dataset_sources.keyed_selections)
def test_subset_takes_keys(case: DataSelection) -> None:
    """The indices of a Subset may be keys of any type that the whole dataset has."""
    found, expected, _ = case.build()
    same_samples(expected, (found[index] for index in range(len(expected))), "the samples")


@cases(dataset_sources.batched_selections)
def test_subset_loads_batches(case: DataSelection) -> None:
    """__getitems__ of a Subset gives the samples that indexing gives, by one call of the whole dataset's __getitems__ if it has one."""  # noqa: E501
    found, expected, whole = case.build()
    indices = [*range(len(expected))][::-1] + [*range(len(expected))][:1]
    same_samples([expected[i] for i in indices], found.__getitems__(indices), f"the batch {indices}")
    if isinstance(whole, BatchedPart):
        keys = [case.indices[i] for i in indices]
        expect.equal(([keys], []), (whole.batches, whole.asked), "calls of __getitems__, and of __getitem__")


@cases(dataset_sources.listable_selections)
def test_subset_takes_a_list_of_indices(case: DataSelection) -> None:
    """A Subset that is indexed by a list asks the whole dataset for the list of their indices."""
    found, expected, whole = case.build()
    indices = [*range(len(expected))][::-1] + [*range(len(expected))][:1]
    same_samples([expected[i] for i in indices], found[indices], f"the samples {indices}")
    expect.equal([[case.indices[i] for i in indices]], whole.asked, "what the whole dataset was asked for")


@cases(subset_kinds.faulty_subsets)
def test_subset_that_overrides_getitem_alone_is_refused(case: SubsetKind) -> None:
    """A subclass of Subset that overrides __getitem__ alone raises NotImplementedError before a DataLoader loads from it."""  # noqa: E501
    expect.raises(NotImplementedError, case.loaded, "a subclass with __getitem__ alone")


@cases(subset_kinds.sound_subsets)
def test_subset_may_override_both(case: SubsetKind) -> None:
    """A DataLoader loads from a subclass of Subset that overrides __getitem__ and __getitems__ what these give."""
    loaded = index_order.taken(case.loaded, "a subclass with both methods")
    same_indices([-index for index in case.indices], loaded, "the samples that a DataLoader loads")


# --- random_split -----------------------------------------------------------------------------------------------


@cases(splits.length_splits)
def test_random_split_gives_the_lengths(case: RandomSplit) -> None:
    """random_split returns one Subset of the dataset for each length, of that length, in the order given."""
    found, whole = case.build()
    expect.equal(list(case.lengths), [len(part) for part in found], "lengths of the parts")
    for number, part in enumerate(found):
        expect.that(isinstance(part, torch.utils.data.Subset), f"part {number}", "a Subset", type(part).__name__)
        expect.same_object(whole, part.dataset, f"dataset of part {number}")


@cases(splits.splits)
def test_random_split_is_a_partition(case: RandomSplit) -> None:
    """Every sample of the dataset lies in exactly one part of a random_split."""
    found, whole = case.build()
    samples = [part[index] for part in found for index in range(len(part))]
    index_order.same_counts([whole[index] for index in range(case.size)], samples, "the samples of all parts")


@cases(splits.fraction_splits)
def test_random_split_takes_fractions(case: RandomSplit) -> None:
    """Fractions that sum up to 1 give parts of floor(fraction * length) samples, and the remainder is dealt out to the first parts, one by one."""  # noqa: E501
    found, _ = case.build()
    expect.equal(lengths_by_fractions(case.size, case.lengths), [len(part) for part in found], "lengths of the parts")


@cases(data_calls.rounded_splits)
def test_random_split_takes_fractions_whose_floats_sum_above_one(case: DataCall) -> None:
    """Fractions that sum up to 1 are taken where the sum of their floats is a little above it."""
    sizes = sorted(index for part in case.drawn() for index in part)
    expect.equal(list(range(len(sizes))), sizes, "indices of all parts")


@cases(data_calls.split_sums)
def test_random_split_refuses_another_sum(case: DataCall) -> None:
    """Lengths that do not sum up to the length of the dataset are refused."""
    expect.raises(ValueError, case.run, case.expression)


@cases(data_calls.split_fractions_outside)
def test_random_split_refuses_fractions_outside_zero_and_one(case: DataCall) -> None:
    """Fractions below 0 or above 1 are refused, though they sum up to 1."""
    expect.raises(ValueError, case.run, case.expression)


@cases(splits.fraction_splits)
def test_random_split_warns_of_empty_parts(case: RandomSplit) -> None:
    """random_split warns where a fraction leaves a part without a sample."""
    empty = lengths_by_fractions(case.size, case.lengths).count(0)
    with recorded_warnings() as found:
        case.build()
    expect.equal(empty > 0, any("is 0" in str(warning.message) for warning in found), "whether there is a warning")


@cases(splits.wide_splits)
def test_random_split_is_random(case: RandomSplit) -> None:
    """random_split does not leave the samples in order, and splits differently by another seed."""
    order = [index for part in case.build()[0] for index in part.indices]
    differ(range(case.size), order, "order of the samples over all parts")
    other = RandomSplit(case.size, case.lengths, case.seed + 1).build()[0]
    differ([index for part in other for index in part.indices], order, "order by another seed")


@cases(data_calls.fair_splits)
def test_random_split_favours_no_sample(case: DataCall) -> None:
    """Every sample comes about as often as any other to each place of the parts of a random_split."""
    index_order.fair_places(case.size, case.epochs(300), "the order over all parts")


@cases(data_calls.generator_splits)
def test_random_split_follows_its_generator(case: DataCall) -> None:
    """random_split with a generator gives the same parts for the same seed, and neither reads nor changes the default generator."""  # noqa: E501
    with global_seed(1), global_state_kept(case.expression):
        first = case.drawn(case.seeded())
    with global_seed(2):
        expect.equal(first, case.drawn(case.seeded()), "indices of the parts by the same seed")
        differ(first, case.drawn(torch.Generator().manual_seed(case.seed + 1)), "indices by another seed")


@cases(data_calls.global_splits)
def test_random_split_defaults_to_the_default_generator(case: DataCall) -> None:
    """random_split without a generator draws from the default generator, so that torch.manual_seed fixes the parts."""
    with global_seed(case.seed):
        first, second = case.drawn(), case.drawn()
    with global_seed(case.seed):
        expect.equal(first, case.drawn(), "indices of the parts by the same seed")
    differ(first, second, "indices of the parts of the next split")


# --- samplers ---------------------------------------------------------------------------------------------------


@cases(data_calls.sequences)
def test_sequential_sampler_counts(case: DataCall) -> None:
    """A SequentialSampler yields 0 to n-1 in order, in every epoch, and has length n."""
    found = case.run()
    expected = list(range(len(found.data_source)))
    for epoch in range(2):
        same_indices(expected, found, f"epoch {epoch}")
    expect.equal(len(expected), len(found), "length")


@cases(data_calls.global_draws)
def test_samplers_yield_ints(case: DataCall) -> None:
    """The indices that a sampler over a dataset yields are Python ints."""
    kinds = {type(index).__name__ for index in case.run()}
    expect.equal({"int"}, kinds, "types of the indices")


@cases(data_calls.growing)
def test_samplers_follow_a_growing_dataset(case: DataCall) -> None:
    """Sequential and random samplers of a dataset that has grown yield its new indices too, and have its new length."""
    found = case.run()
    for size in (len(found.data_source), 5, 40):
        found.data_source.extend([0] * (size - len(found.data_source)))
        index_order.same_counts(range(size), found, f"the indices of {size} samples")
        expect.equal(size, len(found), "length")


@cases(data_calls.interleaved)
def test_sampler_iterators_are_independent(case: DataCall) -> None:
    """Two iterators of one sampler at a time yield what each would yield alone, if it draws nothing, and a whole permutation each, if it does."""  # noqa: E501
    with global_seed(case.seed):
        found = case.run(case.seeded())
        first = iter(found)
        begun = list(itertools.islice(first, 2))
        second = list(found)
        same = [*begun, *first]
    index_order.same_counts(found, same, "the iterator that was begun first")
    index_order.same_counts(found, second, "the iterator that was begun second")


@cases(index_draws.permutations)
def test_random_sampler_permutes(case: RandomDraw) -> None:
    """A RandomSampler without replacement yields every index once, in every epoch."""
    found = case.build()
    for epoch in range(3):
        index_order.same_counts(range(case.size), found, f"epoch {epoch}")


@cases(index_draws.partial_draws)
def test_random_sampler_draws_a_part(case: RandomDraw) -> None:
    """A RandomSampler without replacement that is told to draw no more samples than there are yields as many, none twice."""  # noqa: E501
    found = case.build()
    for epoch in range(2):
        indices = list(found)
        expect.equal(case.length, len(indices), f"number of indices in epoch {epoch}")
        index_order.distinct_below(case.size, indices, f"epoch {epoch}")


@cases(index_draws.repeated_draws)
def test_random_sampler_repeats_permutations(case: RandomDraw) -> None:
    """A RandomSampler without replacement that is told to draw more samples than there are goes through all of them again and again."""  # noqa: E501
    indices = list(case.build())
    expect.equal(case.length, len(indices), "number of indices")
    index_order.even_rounds(case.size, indices, "the indices")


@cases(index_draws.replaced_draws)
def test_random_sampler_with_replacement_stays_in_range(case: RandomDraw) -> None:
    """A RandomSampler with replacement draws as many samples as it is told, as many as there are by default, all of them in range."""  # noqa: E501
    found = case.build()
    for epoch in range(2):
        indices = list(found)
        expect.equal(case.length, len(indices), f"number of indices in epoch {epoch}")
        index_order.in_range(case.size, indices, f"epoch {epoch}")


@cases(index_draws.few_repeats)
def test_random_sampler_with_replacement_repeats(case: RandomDraw) -> None:
    """A RandomSampler with replacement draws some indices more than once."""
    indices = list(case.build())
    expect.that(len(set(indices)) < len(indices), "the indices", "some of them twice", f"{len(indices)} different ones")
    drawn = [set(indices[start : start + 32]) for start in range(0, len(indices), 32) if len(indices) >= start + 25]
    expect.that(any(len(part) < 32 for part in drawn), "the first 32 indices", "some of them twice", "none")


@cases(index_draws.plentiful_draws)
def test_random_sampler_with_replacement_favours_none(case: RandomDraw) -> None:
    """A RandomSampler with replacement draws each index about as often as any other."""
    index_order.about_equal(case.size, list(case.build()), "the indices")


@cases(index_draws.any_draws)
def test_random_sampler_has_the_length_that_it_draws(case: RandomDraw) -> None:
    """The length of a RandomSampler is the number of samples that it draws."""
    found = case.build()
    expect.equal(case.length, len(found), "length")
    expect.equal(len(found), sum(1 for _ in found), "number of indices")


@cases(data_calls.random_sampler_faults)
def test_random_sampler_refuses_no_samples(case: DataCall) -> None:
    """A RandomSampler refuses a number of samples that is no positive integer."""
    expect.raises((ValueError, TypeError), case.run, case.expression)


@cases(data_calls.random_sampler_flags)
def test_random_sampler_refuses_other_flags(case: DataCall) -> None:
    """A RandomSampler refuses a replacement that is no bool."""
    expect.raises((ValueError, TypeError), case.run, case.expression)


@cases(index_draws.subset_draws)
def test_subset_random_sampler_permutes_its_indices(case: SubsetDraw) -> None:
    """A SubsetRandomSampler yields each of its indices once, in every epoch, and has as many as its length says."""
    found = case.build()
    for epoch in range(2):
        index_order.same_counts(case.indices, found, f"epoch {epoch}")
    expect.equal(len(case.indices), len(found), "length")


@cases(index_draws.weighted_draws)
def test_weighted_sampler_draws_as_many_as_told(case: WeightedDraw) -> None:
    """A WeightedRandomSampler yields as many indices of its weights as it is told, and has that length."""
    found = case.build()
    for epoch in range(2):
        indices = list(found)
        expect.equal(case.count, len(indices), f"number of indices in epoch {epoch}")
        index_order.in_range(len(case.weights), indices, f"epoch {epoch}")
    expect.equal(case.count, len(found), "length")


@cases(index_draws.weighted_draws)
def test_weighted_sampler_never_draws_zero_weights(case: WeightedDraw) -> None:
    """A WeightedRandomSampler never draws an index of weight 0 while there are others to draw."""
    drawn = sorted({index for index in case.build() if not case.weights[index]})
    expect.equal([], drawn, "indices of weight 0 that are drawn")


@cases(index_draws.unreplaced_draws)
def test_weighted_sampler_without_replacement_never_repeats(case: WeightedDraw) -> None:
    """A WeightedRandomSampler without replacement draws no index twice."""
    found = case.build()
    for epoch in range(2):
        index_order.distinct_below(len(case.weights), list(found), f"epoch {epoch}")


@cases(index_draws.frequent_draws)
def test_weighted_sampler_draws_by_weight(case: WeightedDraw) -> None:
    """A WeightedRandomSampler draws each index about as often as its share of the sum of the weights, whatever that sum."""  # noqa: E501
    index_order.about_as_often(case.weights, list(case.build()), "the indices")


@cases(data_calls.impossible_draws)
def test_weighted_sampler_refuses_more_than_there_are(case: DataCall) -> None:
    """A WeightedRandomSampler without replacement raises where it is to draw more samples than there are weights."""
    expect.raises((RuntimeError, ValueError), case.drawn, case.expression)


@cases(data_calls.zero_draws)
def test_weighted_sampler_refuses_more_than_can_be_drawn(case: DataCall) -> None:
    """A WeightedRandomSampler without replacement raises where it is to draw more samples than there are weights above 0."""  # noqa: E501
    expect.raises((RuntimeError, ValueError), case.drawn, case.expression)


@cases(data_calls.weighted_sampler_faults)
def test_weighted_sampler_refuses_other_arguments(case: DataCall) -> None:
    """A WeightedRandomSampler refuses a number of samples that is no positive integer, a replacement that is no bool, and weights that are no row."""  # noqa: E501
    expect.raises((ValueError, TypeError), case.run, case.expression)


@cases(data_calls.generator_draws)
def test_samplers_follow_their_generator(case: DataCall) -> None:
    """A sampler with a generator yields the same indices for the same seed, and neither reads nor changes the default generator."""  # noqa: E501
    with global_seed(1), global_state_kept(case.expression):
        first = case.drawn(case.seeded())
    with global_seed(2):
        expect.equal(first, case.drawn(case.seeded()), "indices of two epochs by the same seed")


@cases(data_calls.any_seeded_draws)
def test_samplers_draw_anew_every_epoch(case: DataCall) -> None:
    """Samplers that draw yield another order in the next epoch, and for another seed, with a generator or without."""
    with global_seed(case.seed):
        first, second = case.drawn(case.seeded())
    differ(sorted(first), first, "order of the first epoch")
    differ(first, second, "order of the second epoch")
    with global_seed(case.seed + 1):
        differ(first, case.drawn(torch.Generator().manual_seed(case.seed + 1))[0], "order by another seed")


@cases(data_calls.fair_draws)
def test_samplers_favour_no_index(case: DataCall) -> None:
    """Every index comes about as often as any other of the same weight to each place in what a sampler draws."""
    index_order.fair_places(case.size, case.epochs(300), "the indices")


@cases(data_calls.global_draws)
def test_samplers_default_to_the_default_generator(case: DataCall) -> None:
    """A sampler without a generator draws by the default generator, so that torch.manual_seed fixes its indices."""
    with global_seed(case.seed):
        first = case.drawn()
    with global_seed(case.seed):
        expect.equal(first, case.drawn(), "indices of two epochs by the same seed")


@cases(index_groups.index_groups)
def test_batch_sampler_groups_any_iterable(case: IndexGroups) -> None:
    """A BatchSampler yields lists of batch_size items of any iterable, in order, and a smaller last one unless drop_last is set."""  # noqa: E501
    found, items = case.build()
    expected, batches = case.groups(items), list(found)
    expect.equal([len(group) for group in expected], [len(batch) for batch in batches], "sizes of the batches")
    for number, (group, batch) in enumerate(zip(expected, batches, strict=True)):
        expect.equal("list", type(batch).__name__, f"type of batch {number}")
        same_samples(group, batch, f"batch {number}")


@cases(index_groups.sized_groups)
def test_batch_sampler_begins_anew(case: IndexGroups) -> None:
    """A BatchSampler yields the same batches in every epoch of an iterable that does, each time in lists of their own."""  # noqa: E501
    found, items = case.build()
    first, second = list(found), list(found)
    for number, batch in enumerate(case.groups(items)):
        same_samples(batch, second[number], f"batch {number} of epoch 1")
    expect.equal(len(first), len(second), "number of batches of epoch 1")
    distinct = {id(batch) for batch in [*first, *second]}
    expect.equal(len(first) + len(second), len(distinct), "number of lists")


@cases(index_groups.sized_groups)
def test_batch_sampler_has_as_many_batches_as_its_length(case: IndexGroups) -> None:
    """The length of a BatchSampler is the number of batches that it yields."""
    found, items = case.build()
    expect.equal(len(case.groups(items)), len(found), "length")


@cases(index_groups.unsized_groups)
def test_batch_sampler_of_unknown_length_has_none(case: IndexGroups) -> None:
    """The length of a BatchSampler over an iterable without a length raises TypeError."""
    found, _ = case.build()
    expect.raises(TypeError, lambda: len(found), "length")


@cases(index_groups.endless_groups)
def test_batch_sampler_reads_no_further_than_a_batch(case: IndexGroups) -> None:
    """A BatchSampler has read no more items than those of the batches that it yielded."""
    source = WatchedIterable()
    batches = iter(torch.utils.data.BatchSampler(source, case.batch_size, case.drop_last))
    for number in range(3):
        start = number * case.batch_size
        same_indices(range(start, start + case.batch_size), next(batches), f"batch {number}")
        expect.equal(start + case.batch_size, source.read, f"number of items read for {number + 1} batches")


@cases(data_calls.batch_sampler_faults)
def test_batch_sampler_refuses_other_arguments(case: DataCall) -> None:
    """A BatchSampler refuses a batch size that is no positive integer and a drop_last that is no bool."""
    expect.raises((ValueError, TypeError), case.run, case.expression)


# --- DistributedSampler -----------------------------------------------------------------------------------------


@cases(index_groups.shardings)
def test_distributed_shards_are_of_one_size(case: Sharding) -> None:
    """Every replica of a DistributedSampler yields equally many indices, and as many as its length says."""
    samplers = case.build()
    size = len(list(samplers[0]))
    for rank, sampler in enumerate(samplers):
        expect.equal(size, len(list(sampler)), f"number of indices of rank {rank}")
        expect.equal(size, len(sampler), f"length of rank {rank}")


@cases(index_groups.padded_shardings)
def test_distributed_shards_cover_the_dataset(case: Sharding) -> None:
    """Without drop_last the replicas of a DistributedSampler yield every index, and no more extra ones than it takes to make the shards equal."""  # noqa: E501
    indices = [index for sampler in case.build() for index in sampler]
    expect.equal(list(range(case.size)), sorted(set(indices)), "indices of all ranks")
    expect.equal(ceil(case.size / case.replicas) * case.replicas, len(indices), "number of indices of all ranks")


@cases(index_groups.padded_shardings)
def test_distributed_padding_repeats_evenly(case: Sharding) -> None:
    """The extra indices of a DistributedSampler are spread, so that no index comes up twice more than another."""
    indices = [index for sampler in case.build() for index in sampler]
    counts = {indices.count(index) for index in range(case.size)} or {0}
    expect.that(max(counts) - min(counts) <= 1, "how often indices come up", "equally often, or once more", str(counts))


@cases(index_groups.trimmed_shardings)
def test_distributed_shards_are_exclusive(case: Sharding) -> None:
    """With drop_last the replicas of a DistributedSampler yield no index twice, and leave out no more than it takes to make the shards equal."""  # noqa: E501
    indices = [index for sampler in case.build() for index in sampler]
    index_order.distinct_below(case.size, indices, "the indices of all ranks")
    expect.equal(case.size // case.replicas * case.replicas, len(indices), "number of indices of all ranks")


@cases(index_groups.straight_shardings)
def test_distributed_without_shuffle_keeps_the_order(case: Sharding) -> None:
    """Without shuffle the replicas of a DistributedSampler take turns over the dataset in order, in every epoch; the tail is what is dropped."""  # noqa: E501
    count = case.size // case.replicas if case.drop_last else ceil(case.size / case.replicas)
    for rank, sampler in enumerate(case.build()):
        expected = [(rank + turn * case.replicas) % case.size for turn in range(count)]
        same_indices(expected, sampler, f"rank {rank}")
        sampler.set_epoch(9)
        same_indices(expected, sampler, f"rank {rank} in another epoch")


@cases(index_groups.wide_shardings)
def test_distributed_order_stays_without_set_epoch(case: Sharding) -> None:
    """A DistributedSampler yields the same indices in every epoch until set_epoch is called, whatever the default generator."""  # noqa: E501
    for rank, sampler in enumerate(case.build()):
        with global_seed(1):
            first = list(sampler)
        with global_seed(2):
            same_indices(first, sampler, f"second epoch of rank {rank}")
            same_indices(first, case.sampler(rank), f"another sampler of rank {rank}")


@cases(index_groups.wide_shardings)
def test_distributed_set_epoch_changes_the_order(case: Sharding) -> None:
    """set_epoch gives a shuffling DistributedSampler another order for each epoch, and for the same epoch the same one."""  # noqa: E501
    for rank, sampler in enumerate(case.build()):
        orders = []
        for epoch in (0, 1, 7, 257, 1):
            sampler.set_epoch(epoch)
            orders.append(list(sampler))
        same_indices(orders[1], orders[-1], f"epoch 1 of rank {rank} again")
        for a, b in itertools.combinations(orders[:-1], 2):
            differ(a, b, f"order of another epoch of rank {rank}")
            if case.replicas > 1:
                differ(sorted(a), sorted(b), f"indices of another epoch of rank {rank}")


@cases(index_groups.wide_shardings)
def test_distributed_shuffles_by_default_and_by_seed(case: Sharding) -> None:
    """A DistributedSampler shuffles by default, by an order that depends on its seed."""
    options = {} if case.shuffle is None else {"shuffle": case.shuffle}
    for rank in range(case.replicas):
        first = list(case.sampler(rank))
        differ(sorted(first), first, f"order of rank {rank}")
        if case.replicas > 1:
            differ(range(rank, case.size, case.replicas), sorted(first), f"indices of rank {rank}")
        seeded = torch.utils.data.DistributedSampler(range(case.size), case.replicas, rank, seed=77, **options)
        differ(first, seeded, f"order of rank {rank} by another seed")
        seeded.set_epoch(3)
        later = case.sampler(rank)
        later.set_epoch(3)
        differ(list(later), seeded, f"order of epoch 3 of rank {rank} by another seed")


@cases(index_groups.bare_shardings)
def test_distributed_defaults_are_those_documented(case: Sharding) -> None:
    """A DistributedSampler that is told nothing else shuffles by seed 0, and adds indices rather than to drop the tail."""  # noqa: E501
    for rank, sampler in enumerate(case.build()):
        same_indices(replace(case, shuffle=True, seed=0, epoch=0).sampler(rank), sampler, f"rank {rank}")
        expect.equal(ceil(case.size / case.replicas), len(sampler), f"length of rank {rank}")


@cases(index_groups.shardings)
def test_distributed_leaves_the_default_generator(case: Sharding) -> None:
    """A DistributedSampler does not change the state of the default generator."""
    with global_state_kept("an epoch of every rank"):
        for sampler in case.build():
            list(sampler)


@cases(data_calls.distributed_faults)
def test_distributed_refuses_other_ranks(case: DataCall) -> None:
    """A DistributedSampler refuses a rank that none of the replicas has."""
    expect.raises(ValueError, case.run, case.expression)


@cases(data_calls.ungrouped)
def test_distributed_needs_replicas_or_a_group(case: DataCall) -> None:
    """A DistributedSampler that is not told the number of replicas and its rank raises where there is no process group."""  # noqa: E501
    expect.raises((RuntimeError, ValueError), case.run, case.expression)


# --- default_collate: leaves ------------------------------------------------------------------------------------


@cases(collate_sources.tensor_batches)
def test_collate_stacks_tensors(case: DataBatch) -> None:
    """default_collate makes one tensor of the tensors of a batch, with their type and a new first dimension."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.array_batches)
def test_collate_stacks_arrays(case: DataBatch) -> None:
    """default_collate makes one tensor of the NumPy arrays of a batch, with their type and a new first dimension."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.scalar_batches)
def test_collate_stacks_numpy_scalars(case: DataBatch) -> None:
    """default_collate makes a tensor of the NumPy scalars of a batch, with their type."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.int_batches)
def test_collate_of_ints_is_int64(case: DataBatch) -> None:
    """default_collate makes an int64 tensor of ints."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.float_batches)
def test_collate_of_floats_is_float64(case: DataBatch) -> None:
    """default_collate makes a float64 tensor of floats."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.bool_batches)
def test_collate_of_bools_is_bool(case: DataBatch) -> None:
    """default_collate makes a bool tensor of bools."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.string_batches)
def test_collate_leaves_strings(case: DataBatch) -> None:
    """default_collate leaves strings and bytes as they are, in a list."""
    found = torch.utils.data.default_collate(case.build())
    same_batch(case.samples, found, "the batch")
    if isinstance(case.samples[0], Data):
        expect.equal("list", type(found).__name__, "type of the batch")


@cases(collate_refusals.derived_batches)
def test_collate_takes_subclasses_of_numbers_and_strings(case: DerivedBatch) -> None:
    """default_collate takes subclasses of int, float, str, bytes and of NumPy arrays for what they are derived from."""
    samples = case.build()
    found = torch.utils.data.default_collate(samples)
    if case.dtype:
        collate_model.same_tensor(
            case.dtype, np.stack([np.asarray(x, case.dtype) for x in samples]), found, "the batch"
        )
    else:
        same_samples(samples, found, "the batch")


@cases(collate_sources.memory_batches)
def test_collate_makes_memory_of_its_own(case: DataBatch) -> None:
    """The tensors of a batch share no memory with the samples, not even in a batch of one."""
    samples = case.build()
    for batch in (samples, samples[:1] * 2):  # one sample may well come twice
        found = torch.utils.data.default_collate(batch)
        for made in collate_model.collated_tensors(case.samples[0], found):
            for tree, sample in zip(case.samples, batch, strict=False):
                for given in collate_model.collated_tensors(tree, sample):
                    memory.shares(False, collate_model.stretch(given), collate_model.stretch(made), "batch and sample")


@cases(collate_sources.gradient_batches)
def test_collate_passes_gradients_on(case: DataBatch) -> None:
    """The batch of tensors that require grad passes each of them its gradient."""
    samples = [sample.requires_grad_() for sample in case.build()]
    found = torch.utils.data.default_collate(samples)
    expect.equal(True, found.requires_grad, "requires_grad of the batch")
    numbers = torch.arange(found.numel(), dtype=found.dtype, device=found.device).reshape(found.shape)
    found.backward(numbers)
    for number, sample in enumerate(samples):
        gradient = expect.tensor(sample.grad, f".grad of sample {number}")
        memory.same_elements(memory.contents(numbers[number]), memory.contents(gradient), f".grad of sample {number}")


# --- default_collate: containers --------------------------------------------------------------------------------


@cases(collate_sources.mapping_batches)
def test_collate_keeps_dicts(case: DataBatch) -> None:
    """default_collate makes a dict of dicts, with the same keys, of batches."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.namedtuple_batches)
def test_collate_keeps_namedtuples(case: DataBatch) -> None:
    """default_collate makes a namedtuple of namedtuples of the same type, of batches."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.list_batches)
def test_collate_keeps_lists(case: DataBatch) -> None:
    """default_collate makes a list of lists, of batches, one of each place."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.tuple_batches)
def test_collate_transposes_tuples(case: DataBatch) -> None:
    """default_collate makes a sequence of tuples, of batches, one of each place."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.tuple_batches)
def test_collate_makes_lists_of_tuples(case: DataBatch) -> None:
    """default_collate makes a list of tuples."""
    found = torch.utils.data.default_collate(case.build())
    collate_model.tuples_became(list, case.samples[0], found, "the batch")


@cases(collate_sources.tuple_batches)
def test_collate_keeps_tuples(case: DataBatch) -> None:
    """default_collate makes a tuple of tuples."""
    found = torch.utils.data.default_collate(case.build())
    collate_model.tuples_became(tuple, case.samples[0], found, "the batch")


@cases(collate_sources.nested_batches)
def test_collate_goes_down_nested_containers(case: DataBatch) -> None:
    """default_collate makes batches of what lies in dicts, lists, tuples and namedtuples in one another, each part in its place."""  # noqa: E501
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.key_batches)
def test_collate_keeps_the_order_of_keys(case: DataBatch) -> None:
    """The keys of a batch come in the order of the first sample's."""
    found = torch.utils.data.default_collate(case.build())
    expect.equal(list(case.samples[0].keys), list(found), "keys of the batch")


@cases(collate_sources.typed_mapping_batches)
def test_collate_keeps_types_of_mappings(case: DataBatch) -> None:
    """default_collate keeps the type of mappings other than dicts that can be made from one."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.noted_mapping_batches)
def test_collate_keeps_what_mappings_have_besides(case: DataBatch) -> None:
    """default_collate keeps the type and the further properties of mutable mappings, such as a default or an attribute."""  # noqa: E501
    samples = case.build()
    expected = collate_model.extras(case.samples[0], samples[0])
    found = torch.utils.data.default_collate(samples)
    same_batch(case.samples, found, "the batch")
    expect.equal(expected, collate_model.extras(case.samples[0], found), "further properties of the batch")


@cases(collate_sources.counter_batches)
def test_collate_goes_down_counters(case: DataBatch) -> None:
    """default_collate makes the same batches of what lies in a Counter as of what lies in a dict."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.fixed_mapping_batches)
def test_collate_makes_dicts_of_other_mappings(case: DataBatch) -> None:
    """default_collate makes a dict of mappings that can neither be copied and changed nor be made from a dict."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.typed_sequence_batches)
def test_collate_keeps_types_of_sequences(case: DataBatch) -> None:
    """default_collate keeps the type of sequences other than lists and tuples that can be made from a list."""
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.noted_sequence_batches)
def test_collate_keeps_what_sequences_have_besides(case: DataBatch) -> None:
    """default_collate keeps the type and the further properties of mutable sequences, such as a largest length or an attribute."""  # noqa: E501
    samples = case.build()
    expected = collate_model.extras(case.samples[0], samples[0])
    found = torch.utils.data.default_collate(samples)
    same_batch(case.samples, found, "the batch")
    expect.equal(expected, collate_model.extras(case.samples[0], found), "further properties of the batch")


@cases(collate_sources.fixed_sequence_batches)
def test_collate_makes_lists_of_other_sequences(case: DataBatch) -> None:
    """default_collate makes a list of sequences that can neither be copied and changed nor be made from a list, such as range."""  # noqa: E501
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.standard_array_batches)
def test_collate_goes_down_arrays_of_the_standard_library(case: DataBatch) -> None:
    """default_collate makes a list or a tuple of samples that are array.array, which are sequences, one tensor of each place."""  # noqa: E501
    same_batch(case.samples, torch.utils.data.default_collate(case.build()), "the batch")


@cases(collate_sources.mixed_batches)
def test_collate_leaves_samples_alone(case: DataBatch) -> None:
    """default_collate changes no sample, and returns none of their containers."""
    samples = case.build()
    states = [collate_model.sample_state(sample) for sample in samples]
    found = torch.utils.data.default_collate(samples)
    collate_model.as_they_were(states, samples, "default_collate")
    given = {id(x) for tree, y in zip(case.samples, samples, strict=True) for x in collate_model.containers_of(tree, y)}
    returned = [x for x in collate_model.containers_of(case.samples[0], found) if id(x) in given]
    expect.equal([], returned, "containers of the samples that lie in the batch")


# --- default_collate: refusals ----------------------------------------------------------------------------------


@cases(collate_refusals.ragged_batches)
def test_collate_refuses_ragged_sequences(case: ExactBatch) -> None:
    """Sequences of different lengths in one place of a batch raise, and lose no part in silence."""
    samples = case.build()
    expect.raises(
        (RuntimeError, ValueError), lambda: torch.utils.data.default_collate(samples), "sequences of different lengths"
    )


@cases(collate_refusals.unequal_batches)
def test_collate_refuses_tensors_of_different_shapes(case: ExactBatch) -> None:
    """Tensors or arrays of different shapes in one place of a batch raise."""
    samples = case.build()
    expect.raises((RuntimeError, ValueError), lambda: torch.utils.data.default_collate(samples), "different shapes")


@cases(collate_refusals.keyless_batches)
def test_collate_refuses_missing_keys(case: ExactBatch) -> None:
    """A key that a later mapping of a batch has not raises KeyError."""
    samples = case.build()
    expect.raises(KeyError, lambda: torch.utils.data.default_collate(samples), "mappings with different keys")


@cases(collate_refusals.unknown_batches)
def test_collate_refuses_other_types(case: DataCall) -> None:
    """Samples that are no tensors, arrays, numbers, strings, mappings or sequences raise TypeError, in containers too."""  # noqa: E501
    expect.raises(TypeError, case.run, case.expression)


@cases(collate_refusals.sparse_batches)
def test_collate_refuses_sparse_tensors(case: DataCall) -> None:
    """Sparse and nested tensors raise RuntimeError."""
    expect.raises(RuntimeError, case.run, case.expression)


# --- default_convert --------------------------------------------------------------------------------------------


@cases(collate_sources.converted_arrays)
def test_convert_makes_tensors_of_arrays(case: DataSample) -> None:
    """default_convert makes a tensor of a NumPy array, of its type and shape, alone and in containers."""
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_sources.solid_arrays)
def test_convert_shares_the_memory_of_arrays(case: DataSample) -> None:
    """The tensor that default_convert makes of an array shares its memory."""
    sample = case.build()
    found = torch.utils.data.default_convert(sample)
    pairs = zip(
        collate_model.collated_tensors(case.tree, sample), collate_model.collated_tensors(case.tree, found), strict=True
    )
    for array, tensor in pairs:
        memory.shares(True, collate_model.stretch(array), collate_model.stretch(tensor), "array and tensor")


@cases(collate_sources.converted_structures)
def test_convert_goes_down_nested_containers(case: DataSample) -> None:
    """default_convert converts arrays in dicts, lists, tuples and namedtuples in one another, and leaves the rest as it is, each part in its place."""  # noqa: E501
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_refusals.unchanged_data)
def test_convert_leaves_the_rest_unchanged(case: UnchangedData) -> None:
    """default_convert returns what is no array, mapping or sequence as it is."""
    given = case.build()
    expect.same_object(given, torch.utils.data.default_convert(given), case.expression)
    found = torch.utils.data.default_convert({"a": [given]})["a"][0]
    expect.same_object(given, found, f"{case.expression} in a list in a dict")


@cases(collate_refusals.numpy_bytes)
def test_convert_leaves_numpy_bytes_unchanged(case: UnchangedData) -> None:
    """default_convert returns NumPy bytes as they are."""
    given = case.build()
    expect.same_object(given, torch.utils.data.default_convert(given), case.expression)


@cases(collate_refusals.string_arrays)
def test_convert_leaves_arrays_of_strings(case: UnchangedData) -> None:
    """default_convert returns arrays of strings, bytes and objects as they are."""
    given = case.build()
    expect.same_object(given, torch.utils.data.default_convert(given), case.expression)
    expect.same_object(given, torch.utils.data.default_convert([given])[0], f"{case.expression} in a list")


@cases(collate_sources.converted_scalars)
def test_convert_takes_numpy_scalars(case: DataSample) -> None:
    """default_convert returns a NumPy scalar as it is, or as a tensor of its type and value."""
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_sources.converted_types)
def test_convert_keeps_types_of_containers(case: DataSample) -> None:
    """default_convert keeps the type of other mappings and sequences that can be made from a dict or a list."""
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_sources.converted_extras)
def test_convert_keeps_what_containers_have_besides(case: DataSample) -> None:
    """default_convert keeps the type and the further properties of mutable mappings and sequences."""
    sample = case.build()
    found = torch.utils.data.default_convert(sample)
    same_conversion(case.tree, sample, found, "the sample")
    expected = collate_model.extras(case.tree, sample)
    expect.equal(expected, collate_model.extras(case.tree, found), "further properties of the result")


@cases(collate_sources.converted_fixed)
def test_convert_makes_dicts_and_lists_of_others(case: DataSample) -> None:
    """default_convert makes a dict or a list of mappings and sequences that can neither be copied and changed nor be made from one."""  # noqa: E501
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_sources.converted_counters)
def test_convert_leaves_counters_unchanged(case: DataSample) -> None:
    """default_convert leaves the counts of a Counter as they are."""
    sample = case.build()
    same_conversion(case.tree, sample, torch.utils.data.default_convert(sample), "the sample")


@cases(collate_sources.converted_mixed)
def test_convert_leaves_the_sample_alone(case: DataSample) -> None:
    """default_convert does not change the sample, nor the containers in it."""
    sample = case.build()
    state = collate_model.sample_state(sample)
    torch.utils.data.default_convert(sample)
    collate_model.as_they_were([state], [sample], "default_convert")


# --- collate ----------------------------------------------------------------------------------------------------


@cases(collate_registries.exact_registries)
def test_collate_function_of_the_type_itself_comes_first(case: CollateRegistry) -> None:
    """collate calls the function that is registered for the type of the samples, wherever in the map it stands."""
    batch, functions, _, _ = case.build()
    found = case.inner(torch.utils.data._utils.collate.collate(batch, collate_fn_map=functions))
    expect.equal(f"by {case.chosen}", found, f"collated {case.sample}")


@cases(collate_registries.inherited_registries)
def test_collate_function_of_a_superclass_is_tried_in_order(case: CollateRegistry) -> None:
    """Where the type itself has no function, collate calls that of the first superclass in the order of insertion."""
    batch, functions, _, _ = case.build()
    found = case.inner(torch.utils.data._utils.collate.collate(batch, collate_fn_map=functions))
    expect.equal(f"by {case.chosen}", found, f"collated {case.sample}")


@cases(collate_registries.joined_registries)
def test_collate_function_may_serve_several_types(case: CollateRegistry) -> None:
    """A key of the map may be a tuple of types, of which any fits."""
    batch, functions, _, _ = case.build()
    found = case.inner(torch.utils.data._utils.collate.collate(batch, collate_fn_map=functions))
    expect.equal(f"by {case.chosen}", found, f"collated {case.sample}")


@cases(collate_registries.any_registries)
def test_collate_function_gets_the_batch_and_the_map(case: CollateRegistry) -> None:
    """A collate function gets the batch by position and the map by the keyword collate_fn_map, and its result is the batch."""  # noqa: E501
    batch, functions, calls, samples = case.build()
    torch.utils.data._utils.collate.collate(batch, collate_fn_map=functions)
    expect.equal([case.chosen], [name for name, _, _ in calls], "calls of collate functions")
    same_samples(samples, calls[0][1], "the batch that the function got")
    expect.same_object(functions, calls[0][2], "the map that the function got")


@cases(collate_registries.unknown_registries)
def test_default_collate_can_be_extended(case: CollateRegistry) -> None:
    """A type that is put into default_collate_fn_map is known to default_collate from then on, in containers too."""
    batch, _, calls, _ = case.build()
    registry = torch.utils.data._utils.collate.default_collate_fn_map
    for name in case.names:
        registry[REGISTERED_TYPES[name]] = NotingCollate(name, calls)
    try:
        found = torch.utils.data.default_collate(batch)
    finally:
        for name in case.names:
            del registry[REGISTERED_TYPES[name]]
    expect.equal(f"by {case.chosen}", case.inner(found), f"collated {case.sample}")
    expect.same_object(registry, calls[0][2], "the map that the function got")
    expect.raises(TypeError, lambda: torch.utils.data.default_collate(batch), "the same batch, without the function")


@cases(collate_refusals.mapless_batches)
def test_collate_without_a_map_knows_no_leaves(case: DataCall) -> None:
    """collate without a map goes down containers and raises TypeError at what lies in them."""
    expect.raises(TypeError, case.run, case.expression)


# --- workers ----------------------------------------------------------------------------------------------------


@cases(worker_places)
def test_main_process_is_no_worker(case: WorkerPlace) -> None:
    """get_worker_info returns None in the main process, in its threads and in a DataLoader without workers."""
    seen = case.seen()
    expect.that(len(seen) > 0, case.place, "a call of get_worker_info", "none")
    expect.equal([None] * len(seen), seen, f"what get_worker_info returned ({case.place})")
