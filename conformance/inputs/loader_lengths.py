"""Lengths: samplers and streams whose ``__len__`` says something else than they yield, and some that have none.

Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import coverings
from conformance.inputs.loader_protocols import TurningSampler
from conformance.inputs.loaders import StreamSamples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class ReportedStream(StreamSamples):
    """An iterable-style dataset of numbers that reports another length than it has."""

    def __init__(self, size: int, reported: int) -> None:
        super().__init__("number", size)
        self.reported = reported

    def __len__(self) -> int:
        return self.reported


class ReportedSampler(TurningSampler):
    """A sampler over so many keys that reports another length."""

    def __init__(self, size: int, reported: int) -> None:
        super().__init__(range(size))
        self.reported = reported

    def __len__(self) -> int:
        return self.reported


@dataclass(frozen=True)
class Reported:
    """A loader over ``size`` samples of which ``__len__`` says that they are ``reported``."""

    kind: str
    size: int
    reported: int
    batch_size: int | None = 1
    drop_last: bool = False

    def build(self) -> Any:
        """The loader; the length is that of a stream, a sampler or a batch sampler."""
        options: dict[str, Any] = {"batch_size": self.batch_size, "drop_last": self.drop_last, "collate_fn": str}
        if self.kind == "stream":
            return torch.utils.data.DataLoader(ReportedStream(self.size, self.reported), **options)
        sampler = ReportedSampler(self.size, self.reported)
        if self.kind == "batch_sampler":
            sampler.keys = [[key] for key in range(self.size)]
            return torch.utils.data.DataLoader(range(99), batch_sampler=sampler, collate_fn=str)
        return torch.utils.data.DataLoader(range(99), sampler=sampler, **options)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"kinds": self.kind, "batching": f"batch_size={self.batch_size}", "reported": str(self.reported)}

    def reductions(self) -> Iterator[Reported]:
        """Fewer samples, with the length that differs as much."""
        if self.size and self.reported:
            yield replace(self, size=self.size - 1, reported=self.reported - 1)
        if self.batch_size is not None and self.batch_size > 1:
            yield replace(self, batch_size=self.batch_size - 1)

    def code(self) -> str:
        """The loader in plain torch."""
        options = [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}"]
        batches = self.kind == "batch_sampler"
        keys = f"[[key] for key in range({self.size})]" if batches else f"range({self.size})"
        streamed = self.kind == "stream"
        return data_listings.program(
            data_listings.streamed(self.size, "3 * key + 1", length=self.reported) if streamed
            else data_listings.keyed(keys, self.reported),
            data_listings.loader(
                "Samples()" if streamed else "range(99)", "" if streamed else f"{self.kind}=Keys()",
                *([] if batches else options),
            ),
            "print(len(loader))\nprint(list(loader))",
        )  # fmt: skip


def reported_lengths(cell: Cell) -> Inputs:
    """Samplers and batch samplers whose length is not the number of their keys."""
    from hypothesis import strategies as st

    factors = (("sampler", "batch_sampler"), (0, 3, 7), (0, 1, 6, 8, 50), (1, 2, 3, None), (False, True))
    rows = coverings(1, *factors)
    kinds, numbers = st.sampled_from(factors[0]), st.integers(0, 60)
    drawn = st.builds(_reported, kinds, st.integers(0, 9), numbers, st.sampled_from(factors[3]), st.booleans())
    return Inputs([_reported(*row) for row in rows], drawn)


def _reported(kind: str, size: int, reported: int, batch_size: int | None, drop_last: bool) -> Reported:
    if kind == "batch_sampler":
        return Reported(kind, size, reported)
    return Reported(kind, size, reported, batch_size, drop_last and batch_size is not None)


def overlong_streams(cell: Cell) -> Inputs:
    """Streams with more samples than they report, one at a time."""
    rows = coverings(1, (1, 2, 5, 8), (0, 1, 3, 4, 7), (1, None))
    return Inputs([Reported("stream", reported + more, reported, size) for more, reported, size in rows])


def overlong_batched_streams(cell: Cell) -> Inputs:
    """The same in batches, of which there are no more than samples were reported."""
    rows = coverings(1, (1, 2, 5), (4, 7, 9), (2, 3))
    found = [Reported("stream", reported + more, reported, size, False) for more, reported, size in rows]
    return Inputs([case for case in found if -(-case.size // (case.batch_size or 1)) <= case.reported])


def streams_within_their_length(cell: Cell) -> Inputs:
    """Streams with no more samples than they report, and with as many."""
    rows = coverings(1, (0, 1, 4), (0, 1, 3, 6), (1, None, 2), (False, True))
    return Inputs(
        [Reported("stream", size, size + more, batch, drop and batch is not None) for more, size, batch, drop in rows]
    )


def streams_of_any_length(cell: Cell) -> Inputs:
    """Streams with more samples than they report, as many, and fewer."""
    rows = coverings(1, (0, 1, 5, 8), (0, 1, 5, 7), (1, None, 2, 3), (False, True))
    return Inputs(
        [Reported("stream", size, reported, batch, drop and batch is not None) for size, reported, batch, drop in rows]
    )
