"""Waiting pools: loaders over a dataset each of whose samples waits for one of every other worker.

So nothing is timed: where the workers do not wait at the same time, they never meet, however fast the machine is.
Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any

import torch
import torch.utils.data

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

MEETING = 10.0  # seconds in which workers meet, however loaded the machine is


class MeetingMap(torch.utils.data.Dataset):  # type: ignore[misc,type-arg,unused-ignore]
    """Samples that say whether they met one of every other worker."""

    def __init__(self, workers: int, size: int) -> None:
        self.size, self.barrier = size, multiprocessing.get_context("fork").Barrier(workers)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> torch.Tensor:
        if torch.utils.data.get_worker_info() is None:
            return torch.tensor(False)
        try:
            self.barrier.wait(MEETING)
        except BrokenBarrierError:  # as it then is for all that come later
            return torch.tensor(False)
        return torch.tensor(True)


class MeetingStream(torch.utils.data.IterableDataset):  # type: ignore[misc,type-arg,unused-ignore]
    """The same as a stream; each worker has its share."""

    def __init__(self, workers: int, size: int) -> None:
        self.samples, self.share = MeetingMap(workers, size), size // workers

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self.samples[index] for index in range(self.share))


@dataclass(frozen=True)
class WaitingPool:
    """A loader over ``rounds`` samples for each worker, or batches of samples."""

    workers: int
    rounds: int = 2
    style: str = "map"
    persistent: bool = False
    prefetch: int = 1
    batch: int = 1

    def epochs(self) -> list[list[bool]]:
        """For each sample of each epoch, whether its worker met the others."""
        kind = MeetingMap if self.style == "map" else MeetingStream
        loader: Any = torch.utils.data.DataLoader(
            kind(self.workers, self.workers * self.rounds), batch_size=self.batch, num_workers=self.workers,
            persistent_workers=self.persistent, prefetch_factor=self.prefetch, multiprocessing_context="fork",
        )  # fmt: skip
        return [[bool(sample) for batch in loader for sample in batch] for _ in range(1 + self.persistent)]

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"workers": str(self.workers), "styles": self.style}

    def reductions(self) -> Iterator[WaitingPool]:
        """None: the fewer meet, the less is seen."""
        return iter(())

    def code(self) -> str:
        """In plain torch: a dataset that waits, and the seconds of an epoch with workers and without."""
        return f"""import time
import torch
class Waiting(torch.utils.data.Dataset):
    def __len__(self): return {self.workers * self.rounds}
    def __getitem__(self, index):
        time.sleep(0.5)
        return index
for workers in (0, {self.workers}):
    more = dict(batch_size={self.batch})
    if workers: more.update(persistent_workers={self.persistent}, prefetch_factor={self.prefetch})
    start = time.monotonic()
    list(torch.utils.data.DataLoader(Waiting(), num_workers=workers, **more))
    print(workers, time.monotonic() - start)"""


def waiting(cell: Cell) -> Inputs:
    """Two and three workers, over both kinds of datasets, for one epoch and for two, in batches of a sample and two."""
    streams = WaitingPool(3, style="stream", prefetch=2)
    return Inputs([WaitingPool(2, batch=2), streams, WaitingPool(2, 1, persistent=True)])
