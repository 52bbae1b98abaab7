"""Groups of indices: batches that a BatchSampler makes, and the shards of a DistributedSampler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch.utils.data

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import covering
from conformance.inputs.dataset_parts import MapPart, part_samples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class OldIterable:
    """An iterable by the old protocol: it has ``__getitem__`` alone."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class UnsizedIterable:
    """An iterable that has no length."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        yield from self.items


class WatchedIterable:
    """An iterable of more items than anybody needs, that notes how far it was read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(5000):
            self.read += 1
            yield number


@dataclass(frozen=True)
class IndexGroups:
    """A BatchSampler over ``size`` items, which a list, a sampler, a generator, … yields."""

    size: int
    batch_size: int
    drop_last: bool
    source: str = "list"

    def build(self) -> tuple[Any, list[Any]]:
        """The sampler, and the items that it groups."""
        items: list[Any] = part_samples("i", self.size)
        source: Any = items
        if self.source in ("sequential", "range"):
            items = list(range(self.size))
            source = range(self.size)
            source = torch.utils.data.SequentialSampler(source) if self.source == "sequential" else source
        elif self.source == "generator":
            source = (item for item in items)
        elif self.source in ("tuple", "dict"):
            source = tuple(items) if self.source == "tuple" else dict.fromkeys(items)
        elif self.source in ("old", "unsized"):
            source = OldIterable(items) if self.source == "old" else UnsizedIterable(items)
        return torch.utils.data.BatchSampler(source, self.batch_size, self.drop_last), items

    def groups(self, items: list[Any]) -> list[list[Any]]:
        """The items in batches."""
        groups = [items[start : start + self.batch_size] for start in range(0, len(items), self.batch_size)]
        return [group for group in groups if len(group) == self.batch_size or not self.drop_last]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str((self.size, self.batch_size)), "given": self.source}

    def reductions(self) -> Iterator[IndexGroups]:
        """Fewer items, smaller batches, a list."""
        if self.source not in ("list", "unsized", "generator", "old"):
            yield replace(self, source="list")
        yield from (
            replace(self, size=size) for size in sorted({0, self.size // 2, self.size - 1}) if 0 <= size < self.size
        )
        if self.batch_size > 1:
            yield replace(self, batch_size=self.batch_size - 1)

    def code(self) -> str:
        """The sampler in plain torch."""
        source = {
            "sequential": "data.SequentialSampler(range({0}))", "generator": "(i for i in range({0}))",
            "range": "range({0})", "tuple": "tuple(range({0}))", "dict": "dict.fromkeys(range({0}))",
            "old": "OldIterable([*range({0})])", "unsized": "UnsizedIterable([*range({0})])",
        }.get(self.source, "[*range({0})]").format(self.size)  # fmt: skip
        kinds = {"old": OldIterable, "unsized": UnsizedIterable}
        return data_listings.program(
            *data_listings.needed([kinds[self.source]] if self.source in kinds else []),
            f"sampler = data.BatchSampler({source}, {self.batch_size}, {self.drop_last})",
            "print(list(sampler), list(sampler))", "print(len(sampler))",
        )  # fmt: skip


GROUP_SIZES = (10, 0, 1, 2, 3, 5, 9, 31, 32, 64)
SIZED_SOURCES = ("list", "sequential", "range", "tuple", "dict")


def index_groups(cell: Cell, sources: tuple[str, ...] = (*SIZED_SOURCES, "generator", "old", "unsized")) -> Inputs:
    """Any number of items, in batches smaller, as large and larger."""
    from hypothesis import strategies as st

    rows = covering(GROUP_SIZES, (3, 1, 2, 4, 10, 32, 100), (False, True), sources)
    drawn = st.builds(IndexGroups, st.integers(0, 40), st.integers(1, 12), st.booleans(), st.sampled_from(sources))
    return Inputs([IndexGroups(*row) for row in rows], drawn)


def sized_groups(cell: Cell) -> Inputs:
    """Items of which there is a known number."""
    return index_groups(cell, SIZED_SOURCES)


def unsized_groups(cell: Cell) -> Inputs:
    """Items of which nobody knows the number."""
    return Inputs(
        [IndexGroups(5, 2, drop, source) for drop in (False, True) for source in ("generator", "unsized", "old")]
    )


def endless_groups(cell: Cell) -> Inputs:
    """Batches of more items than are needed."""
    return Inputs([IndexGroups(0, size, drop) for size in (1, 3, 32) for drop in (False, True)])


@dataclass(frozen=True)
class Sharding:
    """The DistributedSamplers of all ranks over a dataset of ``size`` samples."""

    size: int
    replicas: int
    shuffle: bool | None = None
    drop_last: bool = False
    seed: int | None = None
    epoch: int | None = None
    source: str = "range"
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    def build(self) -> list[Any]:
        """The samplers, by rank."""
        return [self.sampler(rank) for rank in range(self.replicas)]

    def sampler(self, rank: int) -> Any:
        """The sampler of one rank."""
        source: Any = range(self.size) if self.source == "range" else MapPart([None] * self.size)
        options: dict[str, Any] = {} if self.shuffle is None else {"shuffle": self.shuffle}
        if self.seed is not None:
            options["seed"] = self.seed
        if self.drop_last:
            options["drop_last"] = True
        found = torch.utils.data.DistributedSampler(source, num_replicas=self.replicas, rank=rank, **options)
        if self.epoch is not None:
            found.set_epoch(self.epoch)
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str((self.size, self.replicas))}

    def reductions(self) -> Iterator[Sharding]:
        """Fewer samples, fewer replicas."""
        if self.exact:
            return
        yield from (
            replace(self, size=size) for size in sorted({0, 1, self.size // 2, self.size - 1}) if 0 <= size < self.size
        )
        yield from (replace(self, replicas=n) for n in range(1, self.replicas))

    def code(self) -> str:
        """The samplers in plain torch."""
        source = f"range({self.size})" if self.source == "range" else f"[None] * {self.size}"
        options = {"shuffle": self.shuffle, "seed": self.seed, "drop_last": self.drop_last or None}
        told = "".join(f", {name}={value}" for name, value in options.items() if value is not None)
        return data_listings.program(
            f"for rank in range({self.replicas}):",
            f"    sampler = data.DistributedSampler({source}, {self.replicas}, rank{told})",
            f"    sampler.set_epoch({self.epoch})" if self.epoch is not None else "",
            "    print(len(sampler), list(sampler))",
        )


SHARD_SIZES = (10, 0, 1, 2, 3, 7, 8, 9, 12, 33, 100)


def shardings(
    cell: Cell, drops: tuple[bool, ...] = (False, True), shuffles: tuple[Any, ...] = (None, True, False)
) -> Inputs:
    """More replicas than samples, as many, fewer, with and without a rest."""
    from hypothesis import strategies as st

    rows = covering(SHARD_SIZES, (3, 1, 2, 4, 8, 5), shuffles, drops, (None, 0, 5), (None, 0, 3), ("range", "map"))
    flags = (
        st.sampled_from(shuffles),
        st.sampled_from(drops),
        st.sampled_from([None, 1, 99]),
        st.sampled_from([None, 2]),
    )
    drawn = st.builds(Sharding, st.integers(0, 40), st.integers(1, 9), *flags)
    many = [Sharding(100, 33, shuffles[-1], drop) for drop in drops]
    return Inputs([*(Sharding(*row) for row in rows), *many], drawn)


def padded_shardings(cell: Cell) -> Inputs:
    """Shards that extra indices fill up."""
    return shardings(cell, (False,))


def trimmed_shardings(cell: Cell) -> Inputs:
    """Shards of which the tail is dropped."""
    return shardings(cell, (True,))


def straight_shardings(cell: Cell) -> Inputs:
    """Shards without shuffling, in any epoch."""
    return shardings(cell, shuffles=(False,))


def bare_shardings(cell: Cell) -> Inputs:
    """Shards of which nothing is told but their number, of evenly and unevenly many samples."""
    return Inputs([Sharding(size, n) for size in (100, 7, 33, 2, 64) for n in (1, 3, 4)])


def wide_shardings(cell: Cell) -> Inputs:
    """Shuffled shards of so many samples that no order comes up twice by chance."""
    rows = covering((100, 64, 97), (1, 2, 3), (None, True), (False, True), (None, 3))
    return Inputs([Sharding(size, n, shuffle, drop, seed, exact=True) for size, n, shuffle, drop, seed in rows])
