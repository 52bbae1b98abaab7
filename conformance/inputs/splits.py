"""Splits of a dataset: its size, and the lengths or fractions of the parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.utils.data

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.dataset_parts import MapPart, part_samples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class RandomSplit:
    """A dataset of ``size`` samples, and what ``random_split`` is told of the parts."""

    size: int
    lengths: tuple[Any, ...]
    seed: int = 0
    given: str = "list"
    nested: bool = False  # of what is a Subset itself
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    def build(self) -> tuple[list[Any], Any]:
        """The parts, and the dataset that they are parts of."""
        whole: Any = MapPart(part_samples("a", self.size))
        if self.nested:
            whole = torch.utils.data.Subset(whole, range(self.size))
        lengths = list(self.lengths) if self.given == "list" else self.lengths
        return torch.utils.data.random_split(whole, lengths, torch.Generator().manual_seed(self.seed)), whole

    @property
    def fractional(self) -> bool:
        """Whether the parts are given as fractions."""
        return any(isinstance(length, float) for length in self.lengths)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str(self.size), "parts": str(len(self.lengths)), "given": self.given}

    def reductions(self) -> Iterator[RandomSplit]:
        """Smaller datasets, or without one of the parts."""
        if self.exact:
            return
        if self.fractional:
            yield from (replace(self, size=size) for size in range(self.size))
            return
        for number, length in enumerate(self.lengths):
            shorter = self.lengths[:number] + self.lengths[number + 1 :]
            if shorter and self.size - length != 1:
                yield replace(self, size=self.size - length, lengths=shorter)
            if length > 1 and self.size != 2:
                lengths = (*self.lengths[:number], length - 1, *self.lengths[number + 1 :])
                yield replace(self, size=self.size - 1, lengths=lengths)

    def code(self) -> str:
        """The split in plain torch."""
        lengths = list(self.lengths) if self.given == "list" else self.lengths
        return data_listings.program(
            f"g = torch.Generator().manual_seed({self.seed})",
            f"whole = data.Subset(range({self.size}), range({self.size}))"
            if self.nested
            else f"whole = range({self.size})",
            f"found = data.random_split(whole, {lengths}, g)",
            "print([(list(part), part.dataset is whole) for part in found])",
        )


# One part, empty parts at every place, parts of one sample, odd and even sums, many parts.
SPLIT_LENGTHS = (
    (5,), (2, 3), (3, 2), (1, 1), (0, 4), (4, 0), (2, 0, 3), (0, 0, 7), (7, 0, 0), (0,), (0, 0), (1, 2, 3), (3, 2, 1),
    (1, 0, 1, 0, 1), (5, 5, 5), (33,), (16, 17), (1, 31, 1), (1, 1, 1, 1, 1, 1, 1), (64, 65), (100, 0, 1), (50, 25, 24),
    (200, 150), (2,) * 20,
)  # fmt: skip

# Fractions of which no product with a size has to be rounded, and decimal ones as people write them.
BINARY_FRACTIONS = (
    (1.0,), (0.5, 0.5), (0.25, 0.75), (0.75, 0.25), (0.125, 0.375, 0.5), (0.25, 0.25, 0.25, 0.25), (0.0, 1.0),
    (1.0, 0.0), (0.5, 0.0, 0.5), (0.0625, 0.9375), (0.125,) * 8, (0.0, 0.0, 1.0),
)  # fmt: skip
DECIMAL_FRACTIONS = (
    (0.8, 0.2), (0.7, 0.3), (0.9, 0.1), (0.3, 0.3, 0.4), (0.6, 0.2, 0.2), (0.1,) * 10, (0.8, 0.1, 0.1),
    (0.34, 0.33, 0.33), (0.29, 0.71), (0.01, 0.99), (1 / 3, 1 / 3, 1 / 3), (0.15, 0.7, 0.15),
)  # fmt: skip
SPLIT_SIZES = (10, 1, 3, 7, 0, 30, 100, 2, 99, 5, 17, 64)


def length_splits(cell: Cell) -> Inputs:
    """Lengths as a list and as a tuple, also of what is a part itself."""
    from hypothesis import strategies as st

    corners = [
        RandomSplit(sum(lengths), lengths, seed, ("list", "tuple")[seed % 2])
        for lengths in SPLIT_LENGTHS
        for seed in (0, 7)
        if sum(lengths) != 1
    ]
    corners += [RandomSplit(5, (2, 3), nested=True), RandomSplit(7, (3, 0, 4), 1, nested=True)]
    drawn = st.lists(st.integers(0, 40), min_size=1, max_size=6).map(tuple).filter(lambda lengths: sum(lengths) != 1)
    return Inputs(
        corners, st.builds(lambda lengths, seed: RandomSplit(sum(lengths), lengths, seed), drawn, st.integers(0, 99))
    )


def fraction_splits(cell: Cell) -> Inputs:
    """Every list of fractions of every size, where the sum of the floats is no more than 1."""
    from hypothesis import strategies as st

    shares = [shares for shares in BINARY_FRACTIONS + DECIMAL_FRACTIONS if sum(shares) <= 1]
    corners = [
        RandomSplit(size, lengths, turn, ("list", "tuple")[(turn + step) % 2])
        for turn, lengths in enumerate(shares)
        for step, size in enumerate(SPLIT_SIZES)
    ]

    def drawn(size: int, weights: list[int], seed: int) -> RandomSplit:
        total = 64
        marks = sorted(weight % (total + 1) for weight in weights)
        ends = [*marks, total]
        return RandomSplit(size, tuple((b - a) / total for a, b in zip([0, *marks], ends, strict=True)), seed)

    weights = st.lists(st.integers(0, 64), max_size=5)
    return Inputs(corners, st.builds(drawn, st.integers(0, 200), weights, st.integers(0, 99)))


def splits(cell: Cell) -> Inputs:
    """Splits of both kinds."""
    first, second = length_splits(cell), fraction_splits(cell)
    return Inputs([*first.corners, *list(second.corners)[::5]], first.samples)


def empty_fractions(cell: Cell) -> Inputs:
    """Fractions that leave one part, and no other, without a sample."""
    rows = ((3, (0.75, 0.25)), (10, (1.0, 0.0)), (10, (0.0, 1.0)), (2, (0.5, 0.25, 0.25)), (1, (0.5, 0.5)))
    found = [RandomSplit(size, lengths, exact=True) for size, lengths in rows]
    return Inputs([case for case in found if 0 in lengths_by_fractions(case.size, case.lengths)])


def lengths_by_fractions(size: int, fractions: tuple[float, ...]) -> list[int]:
    """The lengths that the documentation computes: the floor of each share, and the rest dealt out round-robin."""
    lengths = [int(size * fraction // 1) for fraction in fractions]
    for number in range(size - sum(lengths)):
        lengths[number % len(lengths)] += 1
    return lengths


def wide_splits(cell: Cell) -> Inputs:
    """Splits of datasets of so many samples that their order does not stay by chance."""
    lengths: tuple[tuple[Any, ...], ...] = ((50, 50), (64,), (0, 40), (0.5, 0.5), (0.75, 0.25))
    sizes = (100, 64, 40, 80, 60)
    return Inputs([RandomSplit(n, x, seed, exact=True) for n, x in zip(sizes, lengths, strict=True) for seed in (0, 1)])
