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


class EndlessMap(torch.utils.data.Dataset):  # type: ignore[misc]
    """Any integer as it is."""

    def __getitem__(self, key: int) -> int:
        return key

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
    """A loader over an endless stream, or by an endless sampler, of which some batches are drawn."""

    kind: str
    batch_size: int | None
    drop_last: bool
    drawn: int

    def build(self) -> Any:
        """The loader."""
        if self.kind == "batch_sampler":
            batches = EndlessBatches(self.batch_size or 1)
            return torch.utils.data.DataLoader(EndlessMap(), batch_sampler=batches, collate_fn=listed_samples)
        dataset, more = (EndlessStream(), {}) if self.kind == "stream" else (EndlessMap(), {"sampler": EndlessStream()})
        options: dict[str, Any] = {"batch_size": self.batch_size, "drop_last": self.drop_last, **more}
        return torch.utils.data.DataLoader(dataset, collate_fn=listed_samples, **options)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"endless": self.kind, "batching": f"batch_size={self.batch_size}"}

    def code(self) -> str:
        """The loader in plain torch."""
        kinds: dict[str, list[type]] = {"stream": [EndlessStream], "sampler": [EndlessMap, EndlessStream]}
        options = {
            "batch_sampler": [f"batch_sampler=EndlessBatches({self.batch_size})"],
            "sampler": [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}", "sampler=EndlessStream()"],
        }.get(self.kind, [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}"])
        return data_listings.program(
            *data_listings.needed(kinds.get(self.kind, [EndlessMap, EndlessBatches])),
            data_listings.loader("EndlessStream()" if self.kind == "stream" else "EndlessMap()", *options),
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


def falsy_samples(cell: Cell) -> Inputs:
    """Samples that are false: each alone, one after the other, and among others."""
    twice = tuple(sample for one in FALSY for sample in (one, one))
    kinds = (*((sample,) for sample in FALSY), FALSY, ("1", *FALSY, "2"), twice)
    rows = coverings(1, kinds, ("map", "iterable"), (None, 1, 2, 3), (True, False))
    return Inputs([Falsy(*row) for row in rows])


def falsy_samples_in_workers(cell: Cell) -> Inputs:
    """Samples that are false, of two workers: by themselves, and as what collate_fn makes of a batch."""
    return Inputs([Falsy(FALSY, "iterable", None, workers=2), Falsy(("1", *FALSY), "map", 1, False, workers=2)])
