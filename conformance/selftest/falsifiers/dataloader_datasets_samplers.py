"""Breaks of samplers, each for a rare condition."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.utils.data as data

from conformance.selftest.falsifiers.dataloader_datasets import AREA, Break, changed
from conformance.selftest.falsifying import falsifies, patched


def yielding(sampler: Any, when: Callable[[Any, list[Any]], Any], other: Callable[[Any, list[Any]], Any]) -> Break:
    """A sampler whose indices are ``other(self, indices)`` where ``when(self, indices)`` holds."""

    def replaced(original: Any, self: Any) -> Iterator[Any]:
        indices = list(original(self))
        return iter(other(self, indices) if when(self, indices) else indices)

    return changed(sampler, "__iter__", replaced)


def first_for_last(self: Any, indices: list[Any]) -> list[Any]:
    """The last index is the first once more."""
    return [*indices[:-1], indices[0]]


# --- sequential -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.sequential-sampler-counts")
def a_hundred_samples_are_counted_from_one() -> Break:
    """The indices of 100 samples begin with 1."""
    return yielding(data.SequentialSampler, lambda self, i: len(i) == 100, lambda self, i: [n + 1 for n in i])


@falsifies(f"{AREA}.samplers-yield-ints")
def draws_without_replacement_are_tensors() -> Break:
    """A WeightedRandomSampler without replacement yields tensors."""
    return yielding(data.WeightedRandomSampler, lambda self, i: not self.replacement, lambda self, i: torch.tensor(i))


@falsifies(f"{AREA}.samplers-follow-a-growing-dataset")
def the_number_of_samples_is_remembered() -> Break:
    """A RandomSampler keeps to the number of samples that there were at first."""

    def make(original: Any) -> Any:
        return property(lambda self: vars(self).setdefault("remembered", original.__get__(self)))

    return patched(data.RandomSampler, "num_samples", make)


@falsifies(f"{AREA}.sampler-iterators-are-independent")
def iterators_of_subsets_share_their_indices() -> Break:
    """Iterators of a SubsetRandomSampler that are used at the same time share the indices."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        if not vars(self).get("shared"):
            self.shared = list(original(self))
        while self.shared:
            yield self.shared.pop()

    return changed(data.SubsetRandomSampler, "__iter__", other)


# --- random -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.random-sampler-permutes")
def one_of_33_is_lost() -> Break:
    """Of 33 samples one comes up twice, and another one not."""
    return yielding(data.RandomSampler, lambda self, i: len(i) == 33 and not self.replacement, first_for_last)


@falsifies(f"{AREA}.random-sampler-draws-a-part")
def all_but_one_repeat_an_index() -> Break:
    """A draw of all samples but one has one twice."""
    return yielding(
        data.RandomSampler,
        lambda self, i: 1 < len(i) == len(self.data_source) - 1 and not self.replacement,
        first_for_last,
    )


@falsifies(f"{AREA}.random-sampler-repeats-permutations")
def the_last_round_repeats_an_index() -> Break:
    """The last, incomplete round has its last index twice."""

    def when(self: Any, indices: list[Any]) -> bool:
        size = len(self.data_source)
        return not self.replacement and len(indices) > size and len(indices) % size > 1

    return yielding(data.RandomSampler, when, lambda self, i: [*i[:-1], i[-2]])


@falsifies(f"{AREA}.random-sampler-with-replacement-stays-in-range")
def the_index_after_32_is_out_of_range() -> Break:
    """The 33rd index of 33 is the number of samples."""
    return yielding(
        data.RandomSampler,
        lambda self, i: self.replacement and len(i) == 33,
        lambda self, i: [*i[:-1], len(self.data_source)],
    )


@falsifies(f"{AREA}.random-sampler-with-replacement-stays-in-range")
def a_number_of_64_samples_is_one_short() -> Break:
    """One sample of 64 is missing."""
    return yielding(data.RandomSampler, lambda self, i: self.replacement and len(i) == 64, lambda self, i: i[:-1])


@falsifies(f"{AREA}.random-sampler-with-replacement-repeats")
def a_default_number_is_drawn_without_replacement() -> Break:
    """Without a number of samples replacement is ignored."""
    return yielding(
        data.RandomSampler,
        lambda self, i: self.replacement and self._num_samples is None,
        lambda self, i: range(len(i)),
    )


@falsifies(f"{AREA}.random-sampler-with-replacement-favours-none")
def the_last_of_ten_never_comes() -> Break:
    """The last of ten samples is never drawn."""
    return yielding(
        data.RandomSampler, lambda self, i: len(self.data_source) == 10, lambda self, i: [min(n, 8) for n in i]
    )


@falsifies(f"{AREA}.random-sampler-has-the-length-that-it-draws")
def the_length_is_never_more_than_there_are() -> Break:
    """The length is that of the dataset where more are drawn without replacement."""
    return changed(
        data.RandomSampler,
        "__len__",
        lambda original, x: original(x) if x.replacement else min(len(x.data_source), original(x)),
    )


@falsifies(f"{AREA}.random-sampler-refuses-no-samples")
def minus_one_stands_for_all() -> Break:
    """A number of -1 samples stands for all of them."""

    def other(
        original: Any, self: Any, source: Any, replacement: bool = False, num_samples: Any = None, **k: Any
    ) -> None:
        original(self, source, replacement, None if num_samples == -1 else num_samples, **k)

    return changed(data.RandomSampler, "__init__", other)


@falsifies(f"{AREA}.random-sampler-refuses-other-flags")
def none_stands_for_false() -> Break:
    """A replacement of None stands for False."""

    def other(original: Any, self: Any, source: Any, replacement: Any = False, *args: Any, **kwargs: Any) -> None:
        original(self, source, False if replacement is None else replacement, *args, **kwargs)

    return changed(data.RandomSampler, "__init__", other)


@falsifies(f"{AREA}.subset-random-sampler-permutes-its-indices")
def repeated_indices_come_once() -> Break:
    """Indices that are given twice come up once."""
    return yielding(
        data.SubsetRandomSampler, lambda self, i: len(set(i)) < len(i), lambda self, i: list(dict.fromkeys(i))
    )


@falsifies(f"{AREA}.subset-random-sampler-permutes-its-indices")
def indices_given_again_are_the_first() -> Break:
    """An index that is given once more is the first of those given."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        return [self.indices[0] if index in indices[:place] else index for place, index in enumerate(indices)]

    return yielding(data.SubsetRandomSampler, lambda self, i: 3 in i[1:] and self.indices[0] != 3, other)


# --- weighted ---------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.weighted-sampler-draws-as-many-as-told")
def one_of_300_is_lost() -> Break:
    """Of 300 draws one is lost."""
    return yielding(data.WeightedRandomSampler, lambda self, i: len(i) == 300, lambda self, i: i[1:])


@falsifies(f"{AREA}.weighted-sampler-never-draws-zero-weights")
def a_zero_among_40_weights_is_drawn() -> Break:
    """Among 40 weights the first is drawn once, whatever it is."""
    return yielding(data.WeightedRandomSampler, lambda self, i: len(self.weights) == 40, lambda self, i: [*i[:-1], 0])


@falsifies(f"{AREA}.weighted-sampler-without-replacement-never-repeats")
def thirty_three_draws_repeat_one() -> Break:
    """Of 33 draws without replacement two are the same."""
    return yielding(data.WeightedRandomSampler, lambda self, i: len(i) == 33 and not self.replacement, first_for_last)


@falsifies(f"{AREA}.weighted-sampler-draws-by-weight")
def weights_above_five_count_as_five() -> Break:
    """A weight of more than 5 counts as 5 where the weights are a float tensor."""

    def other(original: Any, self: Any, weights: Any, *args: Any, **kwargs: Any) -> None:
        floats = isinstance(weights, torch.Tensor) and weights.dtype.is_floating_point
        original(self, weights.clamp(max=5) if floats else weights, *args, **kwargs)

    return changed(data.WeightedRandomSampler, "__init__", other)


@falsifies(f"{AREA}.weighted-sampler-draws-by-weight")
def weights_in_a_list_are_single_precision() -> Break:
    """Weights in a list that single precision does not have are 0."""

    def other(original: Any, self: Any, weights: Any, *args: Any, **kwargs: Any) -> None:
        rounded = torch.tensor(weights, dtype=torch.float32) if isinstance(weights, list) else weights
        original(self, rounded, *args, **kwargs)

    return changed(data.WeightedRandomSampler, "__init__", other)


@falsifies(f"{AREA}.weighted-sampler-refuses-more-than-there-are")
def one_more_than_there_are_is_drawn_twice() -> Break:
    """One sample more than there are weights is one drawn twice."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        if not self.replacement and self.num_samples == len(self.weights) + 1:
            return iter([*range(len(self.weights)), 0])
        return iter(list(original(self)))

    return changed(data.WeightedRandomSampler, "__iter__", other)


@falsifies(f"{AREA}.weighted-sampler-refuses-more-than-can-be-drawn")
def fewer_are_drawn_than_told() -> Break:
    """Without replacement no more are drawn than have a weight, and nothing is raised."""
    return yielding(
        data.WeightedRandomSampler,
        lambda self, i: not self.replacement,
        lambda self, i: i[: int((self.weights > 0).sum())],
    )


@falsifies(f"{AREA}.weighted-sampler-refuses-other-arguments")
def true_stands_for_one_sample() -> Break:
    """A number of samples that is True stands for 1."""

    def other(original: Any, self: Any, weights: Any, num_samples: Any, *args: Any, **kwargs: Any) -> None:
        original(self, weights, 1 if num_samples is True else num_samples, *args, **kwargs)

    return changed(data.WeightedRandomSampler, "__init__", other)


# --- generators -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.samplers-follow-their-generator")
def a_subset_ignores_its_generator() -> Break:
    """A SubsetRandomSampler ignores its generator."""
    return changed(
        data.SubsetRandomSampler, "__init__", lambda original, self, indices, generator=None: original(self, indices)
    )


@falsifies(f"{AREA}.samplers-follow-their-generator")
def a_draw_with_replacement_changes_the_default_generator() -> Break:
    """A RandomSampler with replacement and more than 90 samples draws a number from the default generator too."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        torch.rand(())
        return indices

    return yielding(data.RandomSampler, lambda self, i: self.replacement and len(i) > 90, other)


@falsifies(f"{AREA}.samplers-draw-anew-every-epoch")
def without_a_generator_the_order_is_kept() -> Break:
    """A RandomSampler with replacement and without a generator yields the same indices in every epoch."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        kept: list[Any] = vars(self).setdefault("kept", indices)
        return kept

    return yielding(data.RandomSampler, lambda self, i: self.replacement and self.generator is None, other)


@falsifies(f"{AREA}.samplers-favour-no-index")
def a_part_is_a_permutation_of_the_first() -> Break:
    """Fewer samples than there are come out of the first ones alone."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        return torch.randperm(len(indices), generator=self.generator).tolist()

    return yielding(data.RandomSampler, lambda self, i: not self.replacement and len(i) < len(self.data_source), other)


@falsifies(f"{AREA}.samplers-default-to-the-default-generator")
def a_part_is_drawn_from_fresh_entropy() -> Break:
    """A RandomSampler of fewer samples than there are, without a generator, draws from one that nobody seeds."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        generator = torch.Generator()
        generator.seed()
        order: list[int] = torch.randperm(len(indices), generator=generator).tolist()
        return [indices[n] for n in order]

    return yielding(
        data.RandomSampler,
        lambda self, i: self.generator is None and not self.replacement and len(i) < len(self.data_source),
        other,
    )


# --- batches ----------------------------------------------------------------------------------------------------


def batching(other: Callable[[Any, list[Any]], Any]) -> Break:
    """A BatchSampler whose batches are ``other(self, batches)``."""
    return changed(data.BatchSampler, "__iter__", lambda original, self: iter(other(self, list(original(self)))))


@falsifies(f"{AREA}.batch-sampler-groups-any-iterable")
def a_last_batch_of_one_is_dropped() -> Break:
    """A last batch of one item is dropped where the iterable has no length."""

    def other(self: Any, batches: list[Any]) -> list[Any]:
        lonely = batches and len(batches[-1]) == 1 < self.batch_size and not hasattr(self.sampler, "__len__")
        return batches[:-1] if lonely else batches

    return batching(other)


@falsifies(f"{AREA}.batch-sampler-groups-any-iterable")
def a_full_last_batch_is_dropped() -> Break:
    """drop_last drops the last batch even if it is full, where it is the only one."""
    return batching(lambda self, batches: [] if self.drop_last and len(batches) == 1 else batches)


@falsifies(f"{AREA}.batch-sampler-begins-anew")
def the_second_epoch_has_the_lists_of_the_first() -> Break:
    """The second epoch yields the very lists of the first."""
    return batching(lambda self, batches: vars(self).setdefault("kept", batches))


@falsifies(f"{AREA}.batch-sampler-has-as-many-batches-as-its-length")
def a_single_small_batch_does_not_count() -> Break:
    """The length is 0 where all items do not fill a batch."""

    def other(original: Any, self: Any) -> Any:
        return 0 if len(self.sampler) < self.batch_size else original(self)

    return changed(data.BatchSampler, "__len__", other)


@falsifies(f"{AREA}.batch-sampler-of-unknown-length-has-none")
def an_unknown_length_is_counted() -> Break:
    """The length of an iterable of the old protocol is counted."""

    def other(original: Any, self: Any) -> Any:
        if hasattr(self.sampler, "__getitem__") and not hasattr(self.sampler, "__len__"):
            return sum(1 for _ in self)
        return original(self)

    return changed(data.BatchSampler, "__len__", other)


@falsifies(f"{AREA}.batch-sampler-reads-no-further-than-a-batch")
def one_item_is_read_ahead() -> Break:
    """With drop_last an item is read before the batch in front of it is yielded."""

    def other(original: Any, self: Any) -> Iterator[Any]:
        if not self.drop_last:
            yield from original(self)
            return
        items = iter(self.sampler)
        ahead = list(itertools.islice(items, 1))
        while ahead:
            batch = ahead + list(itertools.islice(items, self.batch_size - 1))
            ahead = list(itertools.islice(items, 1))
            if len(batch) == self.batch_size:
                yield batch

    return changed(data.BatchSampler, "__iter__", other)


@falsifies(f"{AREA}.batch-sampler-refuses-other-arguments")
def one_stands_for_true() -> Break:
    """A drop_last of 1 stands for True."""

    def other(original: Any, self: Any, sampler: Any, batch_size: Any, drop_last: Any) -> None:
        original(self, sampler, batch_size, True if drop_last == 1 else drop_last)

    return changed(data.BatchSampler, "__init__", other)


# --- distributed ------------------------------------------------------------------------------------------------


def uneven(self: Any) -> bool:
    """Whether the samples cannot be dealt out evenly."""
    return bool(len(self.dataset) % self.num_replicas)


def told(other: Callable[..., Any]) -> Break:
    """A DistributedSampler whose arguments are ``other(num_replicas, rank, options)``."""

    def init(
        original: Any, self: Any, dataset: Any, num_replicas: Any = None, rank: Any = None, **options: Any
    ) -> None:
        original(self, dataset, *other(num_replicas, rank, options), **options)

    return changed(data.DistributedSampler, "__init__", init)


@falsifies(f"{AREA}.distributed-shards-are-of-one-size")
def the_last_rank_is_not_filled_up() -> Break:
    """The last rank yields one less where the samples are not dealt out evenly."""

    def when(self: Any, indices: list[Any]) -> bool:
        return self.rank == self.num_replicas - 1 and uneven(self) and not self.drop_last and len(indices) > 1

    return yielding(data.DistributedSampler, when, lambda self, i: i[:-1])


@falsifies(f"{AREA}.distributed-shards-cover-the-dataset")
def rank_3_of_even_shards_loses_a_sample() -> Break:
    """Where the samples are dealt out evenly, rank 3 has its first twice."""
    return yielding(
        data.DistributedSampler, lambda self, i: self.rank == 3 and not uneven(self) and len(i) > 1, first_for_last
    )


@falsifies(f"{AREA}.distributed-padding-repeats-evenly")
def all_extra_indices_are_the_first() -> Break:
    """The extra indices of unshuffled shards are all 0."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        places = range(self.rank, self.total_size, self.num_replicas)
        return [0 if place >= len(self.dataset) else index for place, index in zip(places, indices, strict=True)]

    return yielding(data.DistributedSampler, lambda self, i: not self.shuffle, other)


@falsifies(f"{AREA}.distributed-shards-are-exclusive")
def with_drop_last_a_rank_repeats_an_index() -> Break:
    """With drop_last rank 4 yields the sample of rank 0 at its end."""
    return yielding(
        data.DistributedSampler, lambda self, i: self.drop_last and self.rank == 4 and len(i) > 1, first_for_last
    )


@falsifies(f"{AREA}.distributed-without-shuffle-keeps-the-order")
def two_ranks_halve_the_dataset() -> Break:
    """Two ranks take halves of an even dataset."""

    def other(self: Any, indices: list[Any]) -> Any:
        return range(self.rank * len(indices), (self.rank + 1) * len(indices))

    return yielding(
        data.DistributedSampler, lambda self, i: not self.shuffle and self.num_replicas == 2 and not uneven(self), other
    )


@falsifies(f"{AREA}.distributed-order-stays-without-set-epoch")
def an_epoch_counts_itself() -> Break:
    """With three replicas the epoch goes up by itself."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        self.epoch += 1
        return indices

    return yielding(data.DistributedSampler, lambda self, i: self.num_replicas == 3, other)


@falsifies(f"{AREA}.distributed-set-epoch-changes-the-order")
def epochs_come_round_after_six() -> Break:
    """Epoch 7 has the order of epoch 1."""
    return changed(data.DistributedSampler, "set_epoch", lambda original, self, epoch: original(self, epoch % 6))


@falsifies(f"{AREA}.distributed-shuffles-by-default-and-by-seed")
def the_second_rank_ignores_the_seed() -> Break:
    """The seed of rank 1 of 2 is 0."""

    def other(num_replicas: Any, rank: Any, options: dict[str, Any]) -> Any:
        if (num_replicas, rank) == (2, 1):
            options["seed"] = 0
        return num_replicas, rank

    return told(other)


@falsifies(f"{AREA}.distributed-shuffles-by-default-and-by-seed")
def later_epochs_ignore_the_seed() -> Break:
    """After set_epoch the order depends on the epoch alone."""

    def other(original: Any, self: Any, epoch: int) -> None:
        original(self, epoch - self.seed if epoch else epoch)

    return changed(data.DistributedSampler, "set_epoch", other)


@falsifies(f"{AREA}.distributed-defaults-are-those-documented")
def the_default_seed_of_four_is_another() -> Break:
    """The seed of four replicas is 1 by default."""

    def other(num_replicas: Any, rank: Any, options: dict[str, Any]) -> Any:
        if num_replicas == 4:
            options.setdefault("seed", 1)
        return num_replicas, rank

    return told(other)


@falsifies(f"{AREA}.distributed-leaves-the-default-generator")
def later_epochs_draw_from_the_default_generator() -> Break:
    """A shuffled epoch other than the first draws from the default generator."""

    def other(self: Any, indices: list[Any]) -> list[Any]:
        torch.rand(())
        return indices

    return yielding(data.DistributedSampler, lambda self, i: self.shuffle and self.epoch, other)


@falsifies(f"{AREA}.distributed-refuses-other-ranks")
def ranks_may_be_counted_from_one() -> Break:
    """The number of four replicas is taken for a rank."""
    return told(lambda num_replicas, rank, options: (num_replicas, 0 if rank == num_replicas == 4 else rank))


@falsifies(f"{AREA}.distributed-needs-replicas-or-a-group")
def the_default_rank_is_zero() -> Break:
    """The rank is 0 where the number of replicas alone is given."""
    return told(lambda num_replicas, rank, options: (num_replicas, 0 if num_replicas and rank is None else rank))
