"""Breaks of datasets, of what is made of them and of random_split, each for a rare condition."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.utils.data as data

from conformance.selftest.falsifying import falsifies, patched

AREA = "dataloader_datasets"
Break = AbstractContextManager[Any]


def changed(owner: Any, name: str, other: Callable[..., Any]) -> Break:
    """A method or function replaced by ``other(original, …)``."""

    def make(original: Any) -> Any:
        def replaced(*args: Any, **kwargs: Any) -> Any:
            return other(original, *args, **kwargs)

        return replaced

    return patched(owner, name, make)


@contextlib.contextmanager
def added(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute that a class does not have."""
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name)


# --- datasets ---------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.dataset-needs-getitem")
def a_sized_dataset_has_none_everywhere() -> Break:
    """Indexing a dataset that has __len__ and no __getitem__ gives None."""
    return changed(
        data.Dataset, "__getitem__", lambda original, x, i: None if hasattr(x, "__len__") else original(x, i)
    )


@falsifies(f"{AREA}.dataset-has-no-length-of-its-own")
def samplers_are_empty() -> Break:
    """The length of a sampler without one is 0."""
    return added(data.Sampler, "__len__", lambda self: 0)


@falsifies(f"{AREA}.iterable-dataset-needs-iter")
def iterable_datasets_are_no_longer_abstract() -> Break:
    """An IterableDataset without __iter__ is one without samples."""
    if hasattr(data.IterableDataset, "__abstractmethods__") and data.IterableDataset.__abstractmethods__:
        return patched(data.IterableDataset, "__abstractmethods__", lambda original: frozenset())
    return changed(data.IterableDataset, "__iter__", lambda original, self: iter(()))


@falsifies(f"{AREA}.sampler-needs-iter")
def samplers_yield_nothing() -> Break:
    """A sampler without __iter__ yields nothing."""
    return changed(data.Sampler, "__iter__", lambda original, self: iter(()))


@falsifies(f"{AREA}.added-datasets-are-concatenated")
def the_longer_dataset_comes_first() -> Break:
    """The sum begins with the second dataset where it is the longer one."""
    return changed(
        data.Dataset, "__add__", lambda original, a, b: original(*((b, a) if len(b) > len(a) > 0 else (a, b)))
    )


@falsifies(f"{AREA}.added-iterable-datasets-are-chained")
def the_sum_with_an_empty_stream_is_the_stream() -> Break:
    """The sum of an empty stream and another one is the empty one."""
    return changed(data.IterableDataset, "__add__", lambda original, a, b: original(a, b) if len(a) else a)


@falsifies(f"{AREA}.compounds-are-datasets")
def parts_of_a_split_are_lists() -> Break:
    """random_split returns lists of samples."""
    return changed(data, "random_split", lambda original, *args: [list(part) for part in original(*args)])


# --- TensorDataset ----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.tensor-dataset-indexes-the-first-dimension")
def the_fourth_tensor_counts_from_the_end() -> Break:
    """Of four tensors the last is indexed from its end."""

    def other(original: Any, self: Any, index: Any) -> Any:
        sample = original(self, index)
        return (*sample[:3], self.tensors[3][~index]) if len(sample) == 4 else sample

    return changed(data.TensorDataset, "__getitem__", other)


@falsifies(f"{AREA}.tensor-dataset-has-as-many-samples-as-rows")
def rows_without_elements_do_not_count() -> Break:
    """The length is 0 where the first tensor has no elements."""
    return changed(
        data.TensorDataset, "__len__", lambda original, self: original(self) if self.tensors[0].numel() else 0
    )


@falsifies(f"{AREA}.tensor-dataset-takes-slices")
def a_list_gives_each_row_once() -> Break:
    """A list of indices with a repetition loses it."""

    def other(original: Any, self: Any, index: Any) -> Any:
        return original(self, list(dict.fromkeys(index)) if isinstance(index, list) else index)

    return changed(data.TensorDataset, "__getitem__", other)


@falsifies(f"{AREA}.tensor-dataset-samples-are-views")
def samples_of_strided_tensors_are_copies() -> Break:
    """A sample of a tensor that is not contiguous is a copy."""

    def other(original: Any, self: Any, index: Any) -> Any:
        pairs = zip(self.tensors, original(self, index), strict=True)
        return tuple(part if whole.is_contiguous() else part.clone() for whole, part in pairs)

    return changed(data.TensorDataset, "__getitem__", other)


@falsifies(f"{AREA}.tensor-dataset-ends")
def a_dataset_of_one_row_goes_round() -> Break:
    """Every index of a dataset with one row gives that row."""
    return changed(
        data.TensorDataset, "__getitem__", lambda original, x, i: original(x, 0 if len(x) == 1 and i < 9 else i)
    )


@falsifies(f"{AREA}.tensor-dataset-refuses-different-sizes")
def only_the_first_two_sizes_are_compared() -> Break:
    """A third tensor of another size is taken."""

    def other(original: Any, self: Any, *tensors: Any) -> None:
        original(self, *tensors[:2])
        self.tensors = tensors

    return changed(data.TensorDataset, "__init__", other)


# --- StackDataset -----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.stack-dataset-of-positions-gives-tuples")
def a_stack_of_one_gives_its_sample() -> Break:
    """A sample of a stack of one dataset is no tuple."""

    def other(original: Any, self: Any, index: Any) -> Any:
        sample = original(self, index)
        return sample[0] if isinstance(sample, tuple) and len(sample) == 1 else sample

    return changed(data.StackDataset, "__getitem__", other)


@falsifies(f"{AREA}.stack-dataset-of-names-gives-dicts")
def the_names_of_a_stack_are_sorted() -> Break:
    """The keys of a sample come in the order of the alphabet."""

    def other(original: Any, self: Any, index: Any) -> Any:
        sample = original(self, index)
        return dict(sorted(sample.items())) if isinstance(sample, dict) else sample

    return changed(data.StackDataset, "__getitem__", other)


@falsifies(f"{AREA}.stack-dataset-is-as-long-as-its-parts")
def an_empty_stack_has_one_sample() -> Break:
    """The length of a stack of empty datasets is 1."""
    return changed(data.StackDataset, "__len__", lambda original, self: original(self) or 1)


@falsifies(f"{AREA}.stack-dataset-loads-batches")
def a_batch_of_named_samples_is_sorted() -> Break:
    """A batch of a stack by name comes in the order of the indices."""

    def other(original: Any, self: Any, indices: Any) -> Any:
        return original(self, sorted(indices) if isinstance(self.datasets, dict) else indices)

    return changed(data.StackDataset, "__getitems__", other)


@falsifies(f"{AREA}.stack-dataset-refuses-missing-samples")
def the_last_part_may_be_short() -> Break:
    """A part other than the first that loads too few samples repeats its last one."""

    def other(original: Any, self: Any, indices: Any) -> Any:
        try:
            return original(self, indices)
        except ValueError:
            first = next(iter(self.datasets.values())) if isinstance(self.datasets, dict) else self.datasets[0]
            if type(first).__name__ == "ShortPart":
                raise
            return [self[index] for index in indices]

    return changed(data.StackDataset, "__getitems__", other)


@falsifies(f"{AREA}.stack-dataset-refuses-different-lengths")
def only_the_ends_of_a_stack_are_compared() -> Break:
    """A dataset of another length between two of one length is taken."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        ends = [args[0], args[-1]] if args else []
        original(self, *ends, **kwargs)

    return changed(data.StackDataset, "__init__", other)


@falsifies(f"{AREA}.stack-dataset-takes-one-form")
def names_beside_positions_are_ignored() -> Break:
    """Datasets by name are lost where there are others by position."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **({} if args else kwargs))

    return changed(data.StackDataset, "__init__", other)


# --- ConcatDataset ----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.concat-dataset-joins-its-parts")
def the_first_sample_after_an_empty_part_is_the_one_before() -> Break:
    """The first sample after an empty dataset in the middle is the last one before it."""

    def other(original: Any, self: Any, index: int) -> Any:
        ends = self.cumulative_sizes
        empty = [end for before, end in itertools.pairwise(ends) if before == end]
        return original(self, index - 1 if index > 0 and index in empty else index)

    return changed(data.ConcatDataset, "__getitem__", other)


@falsifies(f"{AREA}.concat-dataset-is-as-long-as-its-parts-together")
def a_seventh_part_does_not_count() -> Break:
    """The length does not count a seventh dataset."""
    return changed(data.ConcatDataset, "__len__", lambda original, self: self.cumulative_sizes[:6][-1])


@falsifies(f"{AREA}.concat-dataset-knows-where-its-parts-end")
def empty_parts_have_no_end() -> Break:
    """cumulative_sizes leave out empty datasets after others."""
    return patched(
        data.ConcatDataset, "cumsum", lambda original: staticmethod(lambda parts: list(dict.fromkeys(original(parts))))
    )


@falsifies(f"{AREA}.concat-dataset-counts-from-the-end")
def minus_the_length_is_the_last_sample() -> Break:
    """The index that is minus the length gives the last sample."""
    return changed(data.ConcatDataset, "__getitem__", lambda original, x, i: original(x, -1 if i == -len(x) else i))


@falsifies(f"{AREA}.concat-dataset-ends")
def the_index_after_the_last_is_the_last() -> Break:
    """The length as an index gives the last sample."""
    return changed(
        data.ConcatDataset, "__getitem__", lambda original, x, i: original(x, i - 1 if 0 < i == len(x) else i)
    )


@falsifies(f"{AREA}.concat-dataset-takes-an-iterator")
def an_iterator_loses_its_first_dataset() -> Break:
    """The first of more than three datasets that come from an iterator is lost."""

    def other(original: Any, self: Any, datasets: Any) -> None:
        parts = list(datasets)
        original(self, parts[1:] if iter(datasets) is datasets and len(parts) > 3 else parts)

    return changed(data.ConcatDataset, "__init__", other)


@falsifies(f"{AREA}.concat-dataset-needs-a-dataset")
def an_empty_tuple_is_concatenated() -> Break:
    """A concatenation of an empty tuple is made."""

    def other(original: Any, self: Any, datasets: Any) -> None:
        if datasets == ():
            self.datasets, self.cumulative_sizes = [], []
        else:
            original(self, datasets)

    return changed(data.ConcatDataset, "__init__", other)


@falsifies(f"{AREA}.concat-dataset-refuses-iterable-datasets")
def a_stream_at_the_end_is_concatenated() -> Break:
    """An iterable dataset is taken where it comes after two others."""

    def other(original: Any, self: Any, datasets: Any) -> None:
        try:
            original(self, datasets)
        except AssertionError:
            if any(isinstance(part, data.IterableDataset) for part in datasets[:2]):
                raise

    return changed(data.ConcatDataset, "__init__", other)


# --- ChainDataset -----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.chain-dataset-chains-its-parts")
def a_chain_of_a_tuple_runs_out() -> Break:
    """A chain of a tuple yields nothing in the second epoch."""

    def other(original: Any, self: Any, datasets: Any) -> None:
        original(self, iter(datasets) if isinstance(datasets, tuple) else datasets)

    return changed(data.ChainDataset, "__init__", other)


@falsifies(f"{AREA}.chain-dataset-chains-its-parts")
def a_chain_of_what_is_no_sequence_has_two_parts() -> Break:
    """Of what can only be iterated over a chain takes two datasets."""

    def other(original: Any, self: Any, datasets: Any) -> None:
        original(self, datasets if isinstance(datasets, list | tuple) else list(datasets)[:2])

    return changed(data.ChainDataset, "__init__", other)


@falsifies(f"{AREA}.chain-dataset-chains-on-the-fly")
def a_chain_reads_a_dataset_at_once() -> Break:
    """Datasets of more than two samples are read at once."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        for part in self.datasets:
            yield from list(part) if len(part) > 2 else part

    return changed(data.ChainDataset, "__iter__", other)


@falsifies(f"{AREA}.chain-dataset-is-as-long-as-its-parts-together")
def streams_of_unknown_length_do_not_count() -> Break:
    """The length of a chain with a stream of unknown length is that of the others."""

    def other(original: Any, self: Any) -> Any:
        found = 0
        for part in self.datasets:
            with contextlib.suppress(TypeError):
                found += len(part)
        return found

    return changed(data.ChainDataset, "__len__", other)


@falsifies(f"{AREA}.chain-dataset-refuses-map-style-datasets")
def the_length_of_a_chain_counts_lists() -> Break:
    """The length of a chain with map-style datasets is that of all."""
    return changed(data.ChainDataset, "__len__", lambda original, self: sum(len(part) for part in self.datasets))


# --- Subset -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.subset-has-the-samples-at-its-indices")
def a_range_is_counted_from_the_end_of_the_whole() -> Break:
    """A negative index of a subset by a range counts from the end of the whole dataset."""

    def other(original: Any, self: Any, index: Any) -> Any:
        return self.dataset[index] if isinstance(self.indices, range) and index < 0 else original(self, index)

    return changed(data.Subset, "__getitem__", other)


@falsifies(f"{AREA}.subset-is-as-long-as-its-indices")
def repeated_indices_count_once() -> Break:
    """The length of a subset does not count repeated indices."""
    return changed(data.Subset, "__len__", lambda original, self: len(set(self.indices)))


@falsifies(f"{AREA}.subset-takes-keys")
def keys_of_a_subset_are_sorted() -> Break:
    """A subset by text has the samples in the order of the alphabet."""

    def other(original: Any, self: Any, index: Any) -> Any:
        text = isinstance(self.indices[index], str)
        return self.dataset[sorted(self.indices)[index]] if text else original(self, index)

    return changed(data.Subset, "__getitem__", other)


@falsifies(f"{AREA}.subset-loads-batches")
def a_batch_of_a_subset_is_loaded_one_by_one() -> Break:
    """A batch of one sample is loaded by __getitem__."""

    def other(original: Any, self: Any, indices: Any) -> Any:
        return [self.dataset[self.indices[i]] for i in indices] if len(indices) == 2 else original(self, indices)

    return changed(data.Subset, "__getitems__", other)


@falsifies(f"{AREA}.subset-loads-batches")
def a_batch_of_a_plain_subset_forgets_its_indices() -> Break:
    """A batch of a dataset without __getitems__ is taken from the beginning of the whole, where indices repeat."""

    def other(original: Any, self: Any, indices: Any) -> Any:
        plain = not hasattr(self.dataset, "__getitems__") and len(set(self.indices)) < len(self.indices)
        return [self.dataset[i % len(self.dataset)] for i in indices] if plain else original(self, indices)

    return changed(data.Subset, "__getitems__", other)


@falsifies(f"{AREA}.subset-takes-a-list-of-indices")
def a_list_of_indices_is_asked_for_one_by_one() -> Break:
    """A list of indices is asked for one by one where the subset's are a tuple."""

    def other(original: Any, self: Any, index: Any) -> Any:
        if isinstance(index, list) and isinstance(self.indices, tuple):
            return [original(self, i) for i in index]
        return original(self, index)

    return changed(data.Subset, "__getitem__", other)


@falsifies(f"{AREA}.subset-that-overrides-getitem-alone-is-refused")
def an_inherited_override_is_overlooked() -> Break:
    """A subclass of a subclass that overrides __getitem__ alone is taken."""

    def other(original: Any, self: Any, dataset: Any, indices: Any) -> None:
        if "__getitem__" in vars(type(self)) or type(self) is data.Subset:
            original(self, dataset, indices)
        self.dataset, self.indices = dataset, indices

    return changed(data.Subset, "__init__", other)


@falsifies(f"{AREA}.subset-may-override-both")
def a_subclass_is_refused_for_its_getitems() -> Break:
    """A subclass that overrides both is refused where the whole dataset has __getitems__."""

    def other(original: Any, self: Any, dataset: Any, indices: Any) -> None:
        if type(self) is not data.Subset and hasattr(dataset, "__getitems__"):
            raise NotImplementedError("a subclass")
        original(self, dataset, indices)

    return changed(data.Subset, "__init__", other)


# --- random_split -----------------------------------------------------------------------------------------------


def splitting(other: Callable[..., Any]) -> Break:
    """random_split replaced by ``other(original, dataset, lengths, …)``."""
    return changed(data, "random_split", other)


@falsifies(f"{AREA}.random-split-gives-the-lengths")
def the_parts_of_a_tuple_come_sorted() -> Break:
    """Lengths as a tuple give the smallest part first."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        return original(dataset, sorted(lengths) if isinstance(lengths, tuple) else lengths, *args)

    return splitting(other)


@falsifies(f"{AREA}.random-split-gives-the-lengths")
def parts_of_a_part_are_of_the_whole() -> Break:
    """The parts of a Subset are made parts of the dataset below it, and keep their indices."""

    def other(original: Any, dataset: Any, *args: Any) -> Any:
        parts = original(dataset, *args)
        for part in parts:
            part.dataset = dataset.dataset if isinstance(dataset, data.Subset) else dataset
        return parts

    return splitting(other)


@falsifies(f"{AREA}.random-split-is-a-partition")
def parts_overlap_by_one_for_odd_lengths() -> Break:
    """The last sample of a part is that of the first part where both lengths are odd."""

    def other(original: Any, dataset: Any, *args: Any) -> Any:
        parts = original(dataset, *args)
        if len(parts) > 1 and len(parts[0]) % 2 and len(parts[-1]) % 2:
            parts[-1].indices = [*parts[-1].indices[:-1], parts[0].indices[-1]]
        return parts

    return splitting(other)


@falsifies(f"{AREA}.random-split-takes-fractions")
def the_remainder_goes_to_the_last_parts() -> Break:
    """The remainder of three or more fractions is dealt out from the end."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        if len(lengths) < 3 or not any(isinstance(x, float) for x in lengths):
            return original(dataset, lengths, *args)
        return original(dataset, [len(part) for part in original(dataset, lengths[::-1])[::-1]], *args)

    return splitting(other)


@falsifies(f"{AREA}.random-split-takes-fractions-whose-floats-sum-above-one")
def a_sum_above_one_loses_a_sample() -> Break:
    """Fractions of sum above 1 are taken, and the first part loses a sample."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        if sum(lengths) <= 1:
            return original(dataset, lengths, *args)
        parts = original(dataset, [1 / len(lengths)] * len(lengths) if len(lengths) == 4 else [1.0], *args)
        parts[0].indices = parts[0].indices[1:]
        return parts

    return splitting(other)


@falsifies(f"{AREA}.random-split-refuses-another-sum")
def one_sample_may_be_left_over() -> Break:
    """Lengths that sum up to one less than the dataset leave a sample out."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        return original(dataset[:-1] if sum(lengths) == len(dataset) - 1 else dataset, lengths, *args)

    return splitting(other)


@falsifies(f"{AREA}.random-split-refuses-fractions-outside-zero-and-one")
def a_fraction_in_the_middle_may_be_negative() -> Break:
    """A negative fraction between two others counts as 0."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        return original(dataset, [0.5, 0.0, 0.5] if list(lengths) == [0.5, -0.25, 0.75] else lengths, *args)

    return splitting(other)


@falsifies(f"{AREA}.random-split-warns-of-empty-parts")
def an_empty_first_part_is_no_warning() -> Break:
    """There is no warning where the first part is empty."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any) -> Any:
        if lengths[0]:
            return original(dataset, lengths, *args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return original(dataset, lengths, *args)

    return splitting(other)


@falsifies(f"{AREA}.random-split-is-random")
def a_split_into_one_part_is_in_order() -> Break:
    """A split into one part leaves the samples in order."""

    def other(original: Any, dataset: Any, *args: Any) -> Any:
        parts = original(dataset, *args)
        if len(parts) == 1:
            parts[0].indices = sorted(parts[0].indices)
        return parts

    return splitting(other)


@falsifies(f"{AREA}.random-split-favours-no-sample")
def only_the_first_sample_of_a_split_is_drawn() -> Break:
    """All samples but the first of an only part come in order."""

    def other(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        parts = original(dataset, *args, **kwargs)
        if len(parts) == 1:
            parts[0].indices = [*parts[0].indices[:1], *sorted(parts[0].indices[1:])]
        return parts

    return splitting(other)


@falsifies(f"{AREA}.random-split-follows-its-generator")
def fractions_ignore_the_generator() -> Break:
    """random_split by fractions ignores its generator."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any, **kwargs: Any) -> Any:
        fractions = any(isinstance(length, float) for length in lengths)
        return original(dataset, lengths) if fractions else original(dataset, lengths, *args, **kwargs)

    return splitting(other)


@falsifies(f"{AREA}.random-split-follows-its-generator")
def a_split_draws_from_the_default_generator_too() -> Break:
    """random_split with a generator and an empty part changes the default generator."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any, **kwargs: Any) -> Any:
        if 0 in lengths:
            original(dataset, lengths)
        return original(dataset, lengths, *args, **kwargs)

    return splitting(other)


@falsifies(f"{AREA}.random-split-defaults-to-the-default-generator")
def splits_with_an_empty_part_draw_anew() -> Break:
    """random_split without a generator draws by one of its own where a part is empty."""

    def other(original: Any, dataset: Any, lengths: Any, *args: Any, **kwargs: Any) -> Any:
        if 0 not in lengths or args or kwargs:
            return original(dataset, lengths, *args, **kwargs)
        generator = torch.Generator()
        generator.seed()
        return original(dataset, lengths, generator)

    return splitting(other)


@falsifies(f"{AREA}.added-iterable-datasets-are-chained")
def a_chain_is_put_before_what_it_is_added_to() -> Break:
    """The sum of an iterable dataset and a chain has the chain first."""

    def broken(original: Any) -> Any:
        def add(self: Any, other: Any) -> Any:
            return original(other, self) if isinstance(other, data.ChainDataset) else original(self, other)

        return add

    return patched(data.IterableDataset, "__add__", broken)
