"""Calls of torch.utils.data that are said in one expression: what is refused, and what draws from a generator.

In an expression ``data`` stands for ``torch.utils.data``, ``torch`` and ``np`` for the modules, and ``g`` for the
generator, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.data

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@cache
def compiled_data_call(expression: str) -> Any:
    """An expression, compiled once."""
    return compile(expression, expression, "eval")


@dataclass(frozen=True)
class DataCall:
    """An expression, the seed of what it draws from, and how many indices there are, where that matters."""

    expression: str
    seed: int = 0
    size: int = 0

    def run(self, g: Any = None) -> Any:
        """Evaluate the expression."""
        names = {"torch": torch, "np": np, "data": torch.utils.data, "g": g}
        return eval(compiled_data_call(self.expression), names)

    def drawn(self, g: Any = None) -> list[list[int]]:
        """What two epochs over the sampler yield, or the parts of a split."""
        found = self.run(g)
        return [list(part.indices) for part in found] if isinstance(found, list) else [list(found), list(found)]

    def epochs(self, count: int) -> list[list[int]]:
        """What so many epochs over the sampler yield, or the order of so many splits, all by one generator."""
        generator = self.seeded()
        found = self.run(generator)
        if not isinstance(found, list):
            return [list(found) for _ in range(count)]
        return [[index for part in self.drawn(generator) for index in part] for _ in range(count)]

    def seeded(self) -> torch.Generator:
        """A generator with this seed."""
        return torch.Generator().manual_seed(self.seed)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": self.expression}

    def code(self) -> str:
        """The call in plain torch, and what it draws."""
        seeded = f"g = torch.Generator().manual_seed({self.seed})" if "g)" in self.expression else ""
        whole, sampler = (
            self.expression.endswith(")"),
            self.expression.startswith("data.") and "Sampler" in self.expression,
        )
        drawing = whole and (sampler or self.expression.startswith("data.random_split"))
        shown = "list(found), list(found)" if sampler else "[list(part) for part in found]"
        return data_listings.program(
            seeded or (f"torch.manual_seed({self.seed})" if drawing else ""), f"found = {self.expression}",
            f"print({shown if drawing else 'found'})",
        )  # fmt: skip


def _calls(*expressions: str) -> Inputs:
    return Inputs([DataCall(expression) for expression in expressions])


# Draws of so many numbers that two of them agree by chance less than once in 10**30 times.
DRAWS = (
    "data.RandomSampler(range(40), {0})",
    "data.RandomSampler(range(101), False, {0})",
    "data.RandomSampler(range(10), False, 95, {0})",
    "data.RandomSampler(range(100), False, 31, {0})",
    "data.RandomSampler(range(40), True, {0})",
    "data.RandomSampler(range(10), True, 33, {0})",
    "data.RandomSampler([0.5] * 64, True, 96, {0})",
    "data.SubsetRandomSampler(range(5, 60), {0})",
    "data.SubsetRandomSampler([2 * i for i in range(33)], {0})",
    "data.WeightedRandomSampler([1.0] * 50, 40, {0})",
    "data.WeightedRandomSampler([1.0, 2.0] * 30, 50, True, {0})",
    "data.WeightedRandomSampler([3, 1, 2] * 20, 60, False, {0})",
)
SPLITS = (
    "data.random_split(range(50), [20, 30], {0})",
    "data.random_split([0] * 41, [0, 40, 1], {0})",
    "data.random_split(range(64), [0.5, 0.25, 0.25], {0})",
    "data.random_split(range(45), [0.3, 0.3, 0.4], {0})",
)


def _seeded_calls(templates: tuple[str, ...], argument: str, seeds: tuple[int, ...]) -> Inputs:
    expressions = [x.replace("{0}", argument) if argument else x.replace(", {0}", "") for x in templates]
    from hypothesis import strategies as st

    corners = [DataCall(x, seeds[n % len(seeds)] + n) for n, x in enumerate(expressions)]
    return Inputs(corners, st.builds(DataCall, st.sampled_from(expressions), st.integers(0, 2**32)))


def generator_draws(cell: Cell) -> Inputs:
    """Samplers with a generator."""
    return _seeded_calls(DRAWS, "generator=g", (0, 2**40))


def generator_splits(cell: Cell) -> Inputs:
    """Splits with a generator."""
    return _seeded_calls(SPLITS, "generator=g", (0, 42))


def global_splits(cell: Cell) -> Inputs:
    """Splits without a generator."""
    return _seeded_calls(SPLITS, "", (0, 7))


def global_draws(cell: Cell) -> Inputs:
    """Samplers without a generator."""
    return _seeded_calls(DRAWS, "", (0, 7))


def any_seeded_draws(cell: Cell) -> Inputs:
    """Samplers with a generator, with None for one, and without one."""
    given, none, without = (
        _seeded_calls(DRAWS, argument, (3, 4)) for argument in ("generator=g", "generator=None", "")
    )
    return Inputs([*given.corners, *none.corners, *without.corners], given.samples)


def fair_draws(cell: Cell) -> Inputs:
    """Samplers of a few indices, all of them, fewer and more."""
    rows = (
        (5, "data.RandomSampler(range(5), generator=g)"),
        (5, "data.RandomSampler(range(5), False, 2, generator=g)"),
        (4, "data.RandomSampler(range(4), False, 7, generator=g)"),
        (3, "data.RandomSampler(range(3), True, 4, generator=g)"),
        (4, "data.SubsetRandomSampler(range(4), generator=g)"),
        (4, "data.WeightedRandomSampler([2.0] * 4, 4, False, generator=g)"),
        (4, "data.WeightedRandomSampler([2.0] * 4, 3, True, generator=g)"),
    )
    return Inputs([DataCall(expression, 0, size) for size, expression in rows])


def fair_splits(cell: Cell) -> Inputs:
    """Splits of a few samples."""
    rows = ((5, "[2, 3]"), (4, "[4]"), (4, "[0.5, 0.5]"), (3, "[1, 0, 2]"))
    return Inputs([DataCall(f"data.random_split(range({size}), {x}, generator=g)", 0, size) for size, x in rows])


def interleaved(cell: Cell) -> Inputs:
    """Samplers that yield the same indices in any order, with a generator, with None for one, and without one."""
    drawing = (
        "data.RandomSampler(range(40), {0})", "data.RandomSampler(range(7), False, {0})",
        "data.SubsetRandomSampler(range(5, 40), {0})", "data.WeightedRandomSampler([1.0] * 9, 9, False, {0})",
    )  # fmt: skip
    found = [x.replace("{0}", argument) for x in drawing for argument in ("generator=g", "generator=None")]
    found += ["data.SequentialSampler(range(9))", "data.DistributedSampler(range(9), 2, 1)"]
    found += ["data.BatchSampler(range(9), 2, False)", "data.BatchSampler(data.SequentialSampler(range(9)), 4, True)"]
    return Inputs([DataCall(expression, n) for n, expression in enumerate(found)])


def growing(cell: Cell) -> Inputs:
    """Samplers of a list that may grow."""
    return _calls("data.SequentialSampler([0] * 3)", "data.RandomSampler([0] * 3)", "data.SequentialSampler([])")


def sequences(cell: Cell) -> Inputs:
    """Sequential samplers of sources of every kind and size."""
    ranges = [f"data.SequentialSampler(range({size}))" for size in (0, 1, 2, 10, 33, 100)]
    others = ("[0.5] * 7", "'abc'", "data.TensorDataset(torch.ones(5, 2))", "data.Subset([1, 2, 3], [2, 0])", "{1: 2}")
    return _calls(*ranges, *(f"data.SequentialSampler({source})" for source in others))


# --- datasets ---------------------------------------------------------------------------------------------------


def bare_datasets(cell: Cell) -> Inputs:
    """Datasets without __getitem__."""
    return _calls("data.Dataset()[0]", "type('Mine', (data.Dataset,), {'__len__': lambda self: 3})()[1]")


def bare_iterables(cell: Cell) -> Inputs:
    """Iterable datasets without __iter__."""
    return _calls("iter(data.IterableDataset())", "iter(type('Mine', (data.IterableDataset,), {})())")


_MUTE = "type('Mine', (data.Sampler,), {'__init__': lambda self: None})()"


def bare_samplers(cell: Cell) -> Inputs:
    """Samplers without __iter__."""
    return _calls(f"list({_MUTE})", f"next(iter({_MUTE}))")


def lengthless(cell: Cell) -> Inputs:
    """Datasets and samplers without __len__."""
    stream = "type('Mine', (data.IterableDataset,), {'__iter__': lambda self: iter([])})()"
    items = "type('Mine', (data.Dataset,), {'__getitem__': lambda self, i: i})()"
    return _calls("len(data.Dataset())", f"len({stream})", f"len({items})", f"len({_MUTE})")


def compounds(cell: Cell) -> Inputs:
    """Datasets that are made of others."""
    names = ("TensorDataset(torch.ones(2))", "ConcatDataset([[1], [2]])", "Subset([1, 2], [1])", "ChainDataset([])")
    stacked = ("StackDataset([1], [2])",) if hasattr(torch.utils.data, "StackDataset") else ()
    return _calls(*(f"data.{name}" for name in names + stacked), "data.random_split(range(4), [3, 1])[0]")


def mixed_stacks(cell: Cell) -> Inputs:
    """Stacks of nothing, and of datasets in both forms."""
    return _calls("data.StackDataset()", "data.StackDataset([1], a=[2])", "data.StackDataset([1, 2], [3, 4], b=[5, 6])")


def empty_concatenations(cell: Cell) -> Inputs:
    """Nothing to be concatenated."""
    return _calls("data.ConcatDataset([])", "data.ConcatDataset(())", "data.ConcatDataset(iter([]))")


# --- what is refused --------------------------------------------------------------------------------------------


def random_sampler_faults(cell: Cell) -> Inputs:
    """A number of samples that is none."""
    return _calls(
        *(f"data.RandomSampler(range(3), num_samples={n})" for n in ("0", "-1", "1.5", "'2'", "-7")),
        *(f"data.RandomSampler([1], replacement=True, num_samples={n})" for n in ("0", "-2", "2.0", "(1,)")),
    )


def random_sampler_flags(cell: Cell) -> Inputs:
    """A replacement that is no bool."""
    return _calls(*(f"data.RandomSampler(range(3), replacement={x})" for x in ("0", "1", "None", "'yes'", "1.0")))


def weighted_sampler_faults(cell: Cell) -> Inputs:
    """A number of samples that is none, a replacement that is no bool, weights that are no row."""
    return _calls(
        *(f"data.WeightedRandomSampler([1.0, 2.0], {n})" for n in ("0", "-1", "1.5", "True", "'1'", "None")),
        *(f"data.WeightedRandomSampler([1.0, 2.0], 2, {x})" for x in ("0", "1", "None", "'no'")),
        *(
            f"data.WeightedRandomSampler({w}, 1)"
            for w in ("[[1.0, 2.0]]", "torch.ones(2, 2)", "1.0", "np.ones((1, 1))")
        ),
    )


def impossible_draws(cell: Cell) -> Inputs:
    """More samples without replacement than there are weights."""
    return _calls(
        "data.WeightedRandomSampler([1.0, 2.0], 3, False)",
        "data.WeightedRandomSampler([1.0], 2, replacement=False)",
        "data.WeightedRandomSampler([0.5] * 40, 41, False)",
    )


def zero_draws(cell: Cell) -> Inputs:
    """More samples without replacement than there are weights above zero."""
    return _calls(
        "data.WeightedRandomSampler([1.0, 0.0, 0.0], 2, False)",
        "data.WeightedRandomSampler([0, 10, 3, 0], 4, replacement=False)",
        "data.WeightedRandomSampler([0.0] * 9 + [1.0], 2, False)",
    )


def batch_sampler_faults(cell: Cell) -> Inputs:
    """A batch size that is no positive integer, a drop_last that is no bool."""
    sizes = [f"data.BatchSampler(range(4), {n}, False)" for n in ("0", "-1", "1.5", "True", "'2'", "None", "2.0")]
    return _calls(*sizes, *(f"data.BatchSampler(range(4), 2, {x})" for x in ("None", "0", "1", "'yes'")))


def distributed_faults(cell: Cell) -> Inputs:
    """A rank that none of the replicas has."""
    pairs = ((1, 1), (4, 4), (4, 7), (2, -1), (1, -1), (3, -3))
    return _calls(*(f"data.DistributedSampler(range(8), num_replicas={n}, rank={r})" for n, r in pairs))


def ungrouped(cell: Cell) -> Inputs:
    """No number of replicas, or no rank, where there is no process group."""
    return _calls(
        "data.DistributedSampler(range(8))",
        "data.DistributedSampler(range(8), rank=0)",
        "data.DistributedSampler(range(8), num_replicas=2)",
    )


def split_sums(cell: Cell) -> Inputs:
    """Lengths that do not add up to the size of the dataset, and are no fractions."""
    lengths = ("[2, 2]", "[6]", "[3, 3]", "[]", "[5, 1]", "[0, 0]", "[0, 4]", "[1, 1]")
    fractions = ("[0.5, 0.4]", "[0.25, 0.25]", "[0.9, 0.2]", "[0.5, 0.75]")
    return _calls(*(f"data.random_split(range(5), {x})" for x in lengths + fractions))


def split_fractions_outside(cell: Cell) -> Inputs:
    """Fractions that add up to 1, one of which is below 0 or above 1."""
    return _calls(
        *(
            f"data.random_split(range(5), {x})"
            for x in ("[1.5, -0.5]", "[-0.25, 1.25]", "[0.5, -0.25, 0.75]", "[2.0, -1.0]")
        )
    )


def rounded_splits(cell: Cell) -> Inputs:
    """Fractions that add up to 1, of which the sum of the floats is a little more."""
    return _calls(
        "data.random_split(range(20), [0.05] * 20)",
        "data.random_split(range(20), [0.05, 0.55, 0.3, 0.1])",
        "data.random_split(range(40), [0.05, 0.1, 0.2, 0.55, 0.1])",
    )
