"""Pools: DataLoaders with workers over watched datasets, and what is seen when their epochs run.

A pool is a plan. It is run in a process of its own, see ``conformance/oracles/main_processes.py``.
Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch

from conformance.inputs import pool_listings
from conformance.inputs.loaders import Loading
from conformance.inputs.witnesses import (
    Journal,
    SizedWatchedStream,
    WatchedCollate,
    WatchedInit,
    WatchedMap,
    WatchedStream,
)
from conformance.oracles.processes import child_processes


@dataclass(frozen=True)
class Pool:
    """A loader with workers over ``size`` samples, and how many epochs are run.

    ``taken`` batches are drawn of each epoch but the last, or all. ``init`` names what worker_init_fn does, "" stands
    for none. ``seed`` seeds the main process, and ``own_seed`` a generator that the loader is given.
    """

    workers: int = 2
    size: int = 5
    batch_size: int | None = 2
    style: str = "map"
    drop_last: bool = False
    shuffle: bool = False
    persistent: bool = False
    prefetch: int | None = None
    init: str = "note"
    seed: int = 0
    own_seed: int | None = None
    epochs: int = 1
    taken: int | None = None
    sized: bool = False
    in_order: bool = True

    def dataset(self, journal: Journal, before: Callable[[Any], Any] | None = None) -> Any:
        """A new dataset that notes in the journal."""
        if self.style == "map":
            return WatchedMap(journal, self.size, before)
        kind = SizedWatchedStream if self.sized else WatchedStream
        return kind(journal, self.size, self.style == "sharded", before)

    def arguments(self, journal: Journal) -> dict[str, Any]:
        """The arguments beside the dataset; those with their default value are left out."""
        found: dict[str, Any] = {"num_workers": self.workers, "collate_fn": WatchedCollate(journal)}
        if self.batch_size != 1:
            found["batch_size"] = self.batch_size
        if self.drop_last:
            found["drop_last"] = True
        if self.shuffle:
            found["shuffle"] = True
        if self.persistent:
            found["persistent_workers"] = True
        if self.prefetch is not None:
            found["prefetch_factor"] = self.prefetch
        if not self.in_order:
            found["in_order"] = False
        if self.init:
            found["worker_init_fn"] = WatchedInit(journal, self.init)
        if self.own_seed is not None:
            found["generator"] = torch.Generator().manual_seed(self.own_seed)
        return found

    def build(self, journal: Journal, before: Callable[[Any], Any] | None = None, **others: Any) -> Any:
        """A new loader; ``before`` is called with each key in the worker, ``others`` are further arguments."""
        return torch.utils.data.DataLoader(self.dataset(journal, before), **{**self.arguments(journal), **others})

    @property
    def loading(self) -> Loading:
        """The plan that the model knows."""
        return Loading(
            style="map" if self.style == "map" else "iterable", size=self.size, batch_size=self.batch_size,
            drop_last=self.drop_last, workers=self.workers, sharded=self.style == "sharded" or self.init == "shard",
        )  # fmt: skip

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "styles": self.style, "workers": str(self.workers), "sizes": str(self.size), "epochs": str(self.epochs),
            "batching": f"batch_size={self.batch_size}" + (", drop_last" if self.drop_last else ""),
            "init": self.init, "persistent": str(self.persistent),
        }  # fmt: skip

    def reductions(self) -> Iterator[Pool]:
        """Fewer workers, epochs and samples, and fewer arguments."""
        plain = Pool()
        for name in ("workers", "epochs", "size"):
            if getattr(self, name) > 1:
                yield replace(self, **{name: getattr(self, name) - 1})
        for name in ("drop_last", "shuffle", "prefetch", "taken", "seed"):
            if getattr(self, name) != getattr(plain, name):
                yield replace(self, **{name: getattr(plain, name)})

    def code(self) -> str:
        """The loader and its epochs in plain torch."""
        return pool_listings.pool(self)


@dataclass
class EpochSeen:
    """One epoch: what it yielded, the processes that were there for it, and what they noted until it was over.

    ``left`` are the processes that were there still after the last batch that was drawn, while the iterator was.
    """

    batches: list[Any]
    processes: list[int]
    left: list[int] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)

    def notes(self, *kinds: str) -> list[dict[str, Any]]:
        """The notes of some kinds."""
        return [note for note in self.journal if note["what"] in kinds]

    def by_worker(self, kind: str, fact: str) -> dict[int, list[Any]]:
        """A fact of the notes of a kind, in order, for each process."""
        found: dict[int, list[Any]] = {process: [] for process in self.processes}
        for note in self.notes(kind):
            found.setdefault(note["process"], []).append(note[fact])
        return found


@dataclass
class PoolSeen:
    """What is seen of a pool: its epochs, and the main process with what it was told and what its dataset served."""

    main: int
    epochs: list[EpochSeen]
    told: list[str] = field(default_factory=list)
    served: int = 0

    def notes(self, *kinds: str) -> list[dict[str, Any]]:
        """The notes of some kinds, of all epochs."""
        return [note for epoch in self.epochs for note in epoch.notes(*kinds)]


def run_pool(case: Pool) -> PoolSeen:
    """Run the epochs of a pool in this process; ``mark`` is what it changes in its dataset before each."""
    torch.manual_seed(case.seed)
    journal = Journal()
    loader = case.build(journal)
    seen = PoolSeen(os.getpid(), [])
    seen.told += [worker_told("before")]
    before = 0
    for epoch in range(case.epochs):
        loader.dataset.mark = epoch
        iterator = iter(loader)
        processes = child_processes()
        seen.told += [worker_told("with workers")]
        batches = []
        for batch in islice(iterator, case.taken if epoch < case.epochs - 1 else None):
            batches.append(batch)
            seen.told += [worker_told("after a batch")]
        left = child_processes()
        del iterator
        # a worker of an epoch that was broken off may note a sample later: no note may fall between two epochs
        notes = journal.notes()
        seen.epochs.append(EpochSeen(batches, processes, left, notes[before:]))
        before = len(notes)
    seen.told += [worker_told("after the epochs")]
    seen.served = loader.dataset.served
    return seen


def worker_told(when: str) -> str:
    """What get_worker_info tells this process at some time."""
    return f"{torch.utils.data.get_worker_info()!r} {when}"
