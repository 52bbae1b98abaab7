"""Streams and samplers without an end, and samples that are as good as nothing.

Reference: https://docs.pytorch.org/docs/stable/data.html#iterable-style-datasets
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import coverings
from conformance.inputs.loader_pinning import ListedStream
from conformance.inputs.loaders import listed_samples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FALSY = ("None", "0", "''", "[]", "False", "{}", "0.0", "()", "b''", "set()")


class EndlessStream(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """0, 1, 2, and so on without an end."""

    def __iter__(self) -> Iterator[int]:
        return count()


class UncountedMap(torch.utils.data.Dataset):  # type: ignore[misc]
    """Any integer as it is, and no length."""

    def __getitem__(self, key: int) -> int:
        return key


class EndlessMap(UncountedMap):
    """Any integer as it is, and a length that leads astray."""

    def __len__(self) -> int:
        return 3


class EndlessBatches:
    """Batches of 0, 1, 2, and so on without an end."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[list[int]]:
        return ([*range(start, start + self.size)] for start in count(0, self.size))


def unchanged(sample: Any) -> Any:
    """A collate_fn for single samples that gives them back."""
    return sample


def last_of(samples: list[Any]) -> Any:
    """A collate_fn that takes the last of the samples."""
    return samples[-1]


@dataclass(frozen=True)
class Falsy:
    """A loader over samples that are false, written as expressions; batches are lists, or the last sample of each."""

    samples: tuple[str, ...]
    style: str = "map"
    batch_size: int | None = None
    keeping: bool = True
    workers: int = 0

    def values(self) -> list[Any]:
        """The samples."""
        return [eval(sample) for sample in self.samples]

    def build(self, samples: list[Any]) -> Any:
        """A loader over these."""
        dataset = samples if self.style == "map" else ListedStream(samples)
        collate = unchanged if self.batch_size is None else list if self.keeping else last_of
        return torch.utils.data.DataLoader(
            dataset, batch_size=self.batch_size, collate_fn=collate, num_workers=self.workers
        )

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"samples": self.samples, "styles": self.style, "batching": f"batch_size={self.batch_size}",
                "workers": str(self.workers)}  # fmt: skip

    def reductions(self) -> Iterator[Falsy]:
        """Fewer samples."""
        for number in range(len(self.samples) if len(self.samples) > 1 else 0):
            yield replace(self, samples=self.samples[:number] + self.samples[number + 1 :])

    def code(self) -> str:
        """The loader in plain torch."""
        collate = "lambda x: x" if self.batch_size is None else "list" if self.keeping else "lambda x: x[-1]"
        streamed = self.style != "map"
        return data_listings.program(
            data_listings.LISTED_STREAM if streamed else "", f"samples = [{', '.join(self.samples)}]",
            data_listings.loader(
                "Stream()" if streamed else "samples", f"batch_size={self.batch_size}", f"collate_fn={collate}",
                f"num_workers={self.workers}" if self.workers else "",
            ),
            "print(list(loader))",
        )  # fmt: skip


@dataclass(frozen=True)
class Endless:
    """A loader over an endless stream, or by an endless sampler, of which some batches are drawn.

    Where there are workers, a map-style dataset has no length.
    """

    kind: str
    batch_size: int | None
    drop_last: bool
    drawn: int
    workers: int = 0

    def build(self) -> Any:
        """The loader."""
        keyed: Any = UncountedMap() if self.workers else EndlessMap()
        common: dict[str, Any] = {"collate_fn": listed_samples, "num_workers": self.workers}
        if self.kind == "batch_sampler":
            return torch.utils.data.DataLoader(keyed, batch_sampler=EndlessBatches(self.batch_size or 1), **common)
        dataset, more = (EndlessStream(), {}) if self.kind == "stream" else (keyed, {"sampler": EndlessStream()})
        options: dict[str, Any] = {"batch_size": self.batch_size, "drop_last": self.drop_last, **more}
        return torch.utils.data.DataLoader(dataset, **options, **common)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"endless": self.kind, "batching": f"batch_size={self.batch_size}", "workers": str(self.workers)}

    def code(self) -> str:
        """The loader in plain torch."""
        keyed: list[type] = [UncountedMap] if self.workers else [UncountedMap, EndlessMap]
        kinds: dict[str, list[type]] = {"stream": [EndlessStream], "sampler": [*keyed, EndlessStream]}
        options = {
            "batch_sampler": [f"batch_sampler=EndlessBatches({self.batch_size})"],
            "sampler": [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}", "sampler=EndlessStream()"],
        }.get(self.kind, [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}"])
        return data_listings.program(
            *data_listings.needed(kinds.get(self.kind, [*keyed, EndlessBatches])),
            data_listings.loader(
                "EndlessStream()" if self.kind == "stream" else f"{keyed[-1].__name__}()",
                *options,
                f"num_workers={self.workers}" if self.workers else "",
            ),
            data_listings.several(self.drawn),
        )


def endless(cell: Cell) -> Inputs:
    """Endless streams in batches and without."""
    return _endless("stream")


def endless_samplers(cell: Cell) -> Inputs:
    """Endless samplers, in batches and without, and endless batch samplers."""
    return Inputs([*_endless("sampler").corners, *(Endless("batch_sampler", size, False, 4) for size in (1, 3))])


def _endless(kind: str) -> Inputs:
    return Inputs([Endless(kind, size, drop and size is not None, drawn) for size in (None, 1, 3)
                   for drop in (False, True) for drawn in (1, 4)])  # fmt: skip


def endless_samplers_of_workers(cell: Cell) -> Inputs:
    """An endless sampler and an endless batch sampler of two workers, over what has no length."""
    return Inputs([Endless("sampler", 3, False, 4, workers=2), Endless("batch_sampler", 2, False, 3, workers=2)])


def falsy_samples(cell: Cell) -> Inputs:
    """Samples that are false: each alone, one after the other, and among others."""
    twice = tuple(sample for one in FALSY for sample in (one, one))
    kinds = (*((sample,) for sample in FALSY), FALSY, ("1", *FALSY, "2"), twice)
    rows = coverings(1, kinds, ("map", "iterable"), (None, 1, 2, 3), (True, False))
    return Inputs([Falsy(*row) for row in rows])


def falsy_samples_in_workers(cell: Cell) -> Inputs:
    """Samples that are false, of two workers: by themselves, and as what collate_fn makes of a batch."""
    return Inputs([Falsy(FALSY, "iterable", None, workers=2), Falsy(("1", *FALSY), "map", 1, False, workers=2)])
