"""Draws of indices: samplers of every kind with the arguments that they are made with.

Each case builds its sampler with a generator of its own, so that what is drawn depends on the case alone.
Reference: https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.data

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import covering
from conformance.inputs.dataset_parts import MapPart

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Lengths around 32, of which samplers draw at a time.
DRAW_SIZES = (5, 1, 2, 3, 31, 32, 33, 64, 65, 100)


def _drawn(sampler: str, seed: int) -> str:
    """A program that draws from a sampler with a generator."""
    made = f"g = torch.Generator().manual_seed({seed})\nsampler = {sampler}"
    return data_listings.program(made, "print(len(sampler), list(sampler))")


@dataclass(frozen=True)
class RandomDraw:
    """A RandomSampler of a source of ``size`` samples; ``count`` is None where no number of samples is given."""

    size: int
    replacement: bool
    count: int | None = None
    seed: int = 0
    source: str = "range"
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    @property
    def length(self) -> int:
        """How many indices it has to draw."""
        return self.size if self.count is None else self.count

    def build(self) -> Any:
        """The sampler."""
        source: Any = range(self.size) if self.source == "range" else MapPart([None] * self.size)
        generator = torch.Generator().manual_seed(self.seed)
        options = {} if self.count is None else {"num_samples": self.count}
        return torch.utils.data.RandomSampler(source, self.replacement, generator=generator, **options)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str((self.size, self.length))}

    def reductions(self) -> Iterator[RandomDraw]:
        """Fewer samples; no more than there are, or more, as it is."""
        if self.exact:
            return
        smaller = [
            replace(self, size=size) for size in sorted({1, 2, self.size // 2, self.size - 1}) if 0 < size < self.size
        ]
        if self.count is not None:
            counts = sorted({1, self.count // 2, self.count - 1})
            smaller += [replace(self, count=count) for count in counts if 0 < count < self.count]
        yield from (case for case in smaller if (case.length > case.size) == (self.length > self.size))

    def code(self) -> str:
        """The sampler in plain torch."""
        count = "" if self.count is None else f", num_samples={self.count}"
        source = f"range({self.size})" if self.source == "range" else f"[None] * {self.size}"
        return _drawn(f"data.RandomSampler({source}, {self.replacement}{count}, generator=g)", self.seed)


def _random_draws(replacement: bool, counts: Any) -> Inputs:
    from hypothesis import strategies as st

    corners = [
        RandomDraw(size, replacement, count, seed, ("range", "map")[seed % 2])
        for seed, size in enumerate(DRAW_SIZES)
        for count in counts(size)
    ]

    def drawn(size: int, number: int, seed: int) -> RandomDraw:
        choices = counts(size)
        return RandomDraw(size, replacement, choices[number % len(choices)], seed)

    return Inputs(corners, st.builds(drawn, st.integers(1, 80), st.integers(0, 99), st.integers(0, 2**20)))


def all_of_them(size: int) -> list[Any]:
    """As many as there are, said or not."""
    return [None, size]


def at_most_all(size: int) -> list[Any]:
    """Some of them, up to all."""
    return sorted({1, size // 2 + 1, max(1, size - 1), size})


def more_than_all(size: int) -> list[Any]:
    """More than there are: a little, whole rounds, and in between."""
    return [size + 1, 2 * size, 2 * size + 1, 3 * size - 1 if size > 1 else 4]


def any_number(size: int) -> list[Any]:
    """Numbers around 32 and around the size."""
    return [None, 1, 31, 32, 33, 64, 65, 100, size + 1]


def permutations(cell: Cell) -> Inputs:
    """Without replacement, as many as there are."""
    found = _random_draws(False, all_of_them)
    return Inputs([*found.corners, RandomDraw(1100, False)], found.samples)


def partial_draws(cell: Cell) -> Inputs:
    """Without replacement, no more than there are."""
    return _random_draws(False, at_most_all)


def repeated_draws(cell: Cell) -> Inputs:
    """Without replacement, more than there are."""
    return _random_draws(False, more_than_all)


def replaced_draws(cell: Cell) -> Inputs:
    """With replacement, any number."""
    return _random_draws(True, any_number)


def any_draws(cell: Cell) -> Inputs:
    """With and without replacement, any number."""
    first, second = _random_draws(False, any_number), _random_draws(True, any_number)
    return Inputs([*first.corners, *second.corners], first.samples)


def plentiful_draws(cell: Cell) -> Inputs:
    """With replacement, so many of so few that each comes up, and about as often as any other."""
    return Inputs(
        [
            RandomDraw(size, True, count, seed, exact=True)
            for size, count in ((4, 400), (2, 333), (10, 1000))
            for seed in (0, 5)
        ]
    )


def few_repeats(cell: Cell) -> Inputs:
    """With replacement, as many as there are: without a repetition they would be a permutation."""
    return Inputs(
        [
            RandomDraw(size, True, count, seed, exact=True)
            for size, count, seed in ((64, None, 1), (50, 50, 2), (32, 32, 3), (90, 31, 7))
        ]
    )


@dataclass(frozen=True)
class SubsetDraw:
    """A SubsetRandomSampler of these indices, given as a list, a tuple, …"""

    indices: tuple[Any, ...]
    given: str = "list"
    seed: int = 0

    def build(self) -> Any:
        """The sampler."""
        given: Any = list(self.indices) if self.given == "list" else self.indices
        return torch.utils.data.SubsetRandomSampler(given, torch.Generator().manual_seed(self.seed))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str(len(self.indices)), "given": self.given}

    def reductions(self) -> Iterator[SubsetDraw]:
        """Fewer indices."""
        if self.given != "list":
            yield replace(self, given="list")
        for number in range(len(self.indices)):
            yield replace(self, indices=self.indices[:number] + self.indices[number + 1 :])

    def code(self) -> str:
        """The sampler in plain torch."""
        indices = repr(list(self.indices)) if self.given == "list" else repr(self.indices)
        return _drawn(f"data.SubsetRandomSampler({indices}, g)", self.seed)


SUBSET_INDICES: tuple[tuple[Any, ...], ...] = (
    (0, 1, 2), (4, 0, 9), (7,), (), (3, 3, 3, 1), tuple(range(50, 10, -1)), (-1, -2, 5), (2**40, 0), ("a", "b", "c"),
    (5, 5), tuple(range(33)), (0.5, 1.5), (1, 3, 3, 0, 3, 0),
)  # fmt: skip


def subset_draws(cell: Cell) -> Inputs:
    """Indices in any order, repeated, of any type."""
    from hypothesis import strategies as st

    corners = [SubsetDraw(indices, ("list", "tuple")[n % 2], n) for n, indices in enumerate(SUBSET_INDICES)]
    drawn = st.lists(st.integers(-9, 99), max_size=40).map(tuple)
    return Inputs(corners, st.builds(SubsetDraw, drawn, st.sampled_from(["list", "tuple"]), st.integers(0, 99)))


@dataclass(frozen=True)
class WeightedDraw:
    """A WeightedRandomSampler of these weights, given as a list, a tensor, …"""

    weights: tuple[float, ...]
    count: int
    replacement: bool | None = None
    given: str = "list"
    seed: int = 0
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    def build(self) -> Any:
        """The sampler."""
        options = {} if self.replacement is None else {"replacement": self.replacement}
        generator = torch.Generator().manual_seed(self.seed)
        return torch.utils.data.WeightedRandomSampler(self.handed(), self.count, generator=generator, **options)

    def handed(self) -> Any:
        """The weights in the form in which they are given."""
        if self.given in ("float32", "float64", "int64"):
            return torch.tensor(self.weights, dtype=getattr(torch, self.given))
        if self.given == "array":
            return np.array(self.weights)
        return tuple(self.weights) if self.given == "tuple" else list(self.weights)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str((len(self.weights), self.count)), "given": self.given}

    def reductions(self) -> Iterator[WeightedDraw]:
        """Fewer samples."""
        if self.exact:
            return
        if self.given != "list":
            yield replace(self, given="list")
        yield from (
            replace(self, count=count)
            for count in sorted({1, self.count // 2, self.count - 1})
            if 0 < count < self.count
        )

    def code(self) -> str:
        """The sampler in plain torch."""
        replacement = "" if self.replacement is None else f", {self.replacement}"
        listed = repr(tuple(self.weights) if self.given == "tuple" else list(self.weights))
        weights = {"array": f"np.array({listed})", "tuple": listed, "list": listed}.get(
            self.given, f"torch.tensor({listed}, dtype=torch.{self.given})"
        )
        return _drawn(f"data.WeightedRandomSampler({weights}, {self.count}{replacement}, generator=g)", self.seed)


WEIGHT_FORMS = ("list", "tuple", "float32", "float64", "int64", "array")
WEIGHTS: tuple[tuple[float, ...], ...] = (
    (1.0, 2.0, 4.0), (1.0,), (0.0, 1.0), (1.0, 0.0, 0.0, 2.0), (3.0,) * 33, (0.0, 0.0, 5.0), tuple(range(40)),
    (1.0, 0.0) * 20, (100.0, 1.0, 1.0, 100.0),
)  # fmt: skip


def weighted_draws(cell: Cell, replacements: tuple[Any, ...] = (True, None, False)) -> Inputs:
    """Weights of zero at every place, in every form; without replacement no more samples than weights above zero."""
    from hypothesis import strategies as st

    rows = covering(range(len(WEIGHTS)), (1, 2, 7, 40, 300), replacements, WEIGHT_FORMS)
    corners = [_weighted(WEIGHTS[n], count, replacement, form, n) for n, count, replacement, form in rows]
    weights = st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), min_size=1, max_size=12).map(tuple).filter(any)
    options = st.sampled_from(replacements)
    return Inputs(
        corners,
        st.builds(_weighted, weights, st.integers(1, 60), options, st.sampled_from(WEIGHT_FORMS), st.integers(0, 99)),
    )


def _weighted(weights: tuple[float, ...], count: int, replacement: bool | None, form: str, seed: int) -> WeightedDraw:
    most = sum(weight > 0 for weight in weights) if replacement is False else count
    return WeightedDraw(weights, min(count, most), replacement, form, seed)


def unreplaced_draws(cell: Cell) -> Inputs:
    """Without replacement, up to as many samples as there are weights above zero."""
    return weighted_draws(cell, (False,))


def frequent_draws(cell: Cell) -> Inputs:
    """So many samples that each index comes up about as often as its weight says; weights that do not add up to 1."""
    rows = (
        ((1.0, 2.0, 3.0, 0.0, 4.0), "list"),
        ((8.0, 1.0, 1.0), "float64"),
        ((0.25, 0.75), "float32"),
        ((5.0, 5.0, 30.0), "int64"),
        ((3e-60, 0.0, 1e-60), "list"),
    )
    return Inputs(
        [WeightedDraw(weights, 3000, True, form, seed, exact=True) for weights, form in rows for seed in (0, 1)]
    )
