"""Witnesses: datasets, collate functions and init functions that note where and when they are called.

A note goes through a pipe that every process forked later inherits: what a worker saw is known without any queue of
torch's, also of a worker that is gone. A gate holds a worker back until it is opened, for the patience of a note.
Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import json
import os
import random
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

HELD = 20.0  # seconds that a gate holds, or that notes are waited for


class Journal:
    """Notes of all processes, in the order in which they were made."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.rest = b""
        self.read: list[dict[str, Any]] = []

    def note(self, what: str, **facts: Any) -> None:
        """Make a note; one write of few bytes is never torn."""
        facts = {"what": what, "process": os.getpid(), **facts}
        os.write(self.writing, json.dumps(facts).encode() + b"\n")

    def notes(self, *kinds: str) -> list[dict[str, Any]]:
        """All notes so far, or those of some kinds."""
        while select.select([self.reading], [], [], 0)[0]:
            self.rest += os.read(self.reading, 65536)
        *lines, self.rest = self.rest.split(b"\n")
        self.read += [json.loads(line) for line in lines]
        return [note for note in self.read if not kinds or note["what"] in kinds]

    def wait_for(self, count: int, *kinds: str) -> list[dict[str, Any]]:
        """The notes of some kinds as soon as there are so many; fewer where there are none within the patience."""
        end = time.monotonic() + HELD
        while len(found := self.notes(*kinds)) < count and time.monotonic() < end:
            select.select([self.reading], [], [], max(0.0, end - time.monotonic()))
        return found

    def close(self) -> None:
        """Close both ends in this process."""
        os.close(self.reading)
        os.close(self.writing)


class Gate:
    """Holds whoever passes until it is opened, or for so many seconds."""

    def __init__(self, patience: float = HELD) -> None:
        self.reading, self.writing = os.pipe()
        self.patience = patience

    def pass_through(self) -> None:
        """Wait here; once open, a gate stays open."""
        select.select([self.reading], [], [], self.patience)

    def is_open(self) -> bool:
        """Whether it was opened, by any process."""
        return bool(select.select([self.reading], [], [], 0)[0])

    def open(self) -> None:
        """Let all pass."""
        os.write(self.writing, b".")

    def close(self) -> None:
        """Close both ends in this process."""
        os.close(self.reading)
        os.close(self.writing)


def circumstances(dataset: Any = None) -> dict[str, Any]:
    """What the process in which this is called knows of itself as a worker; ``own`` is whether it is this dataset's."""
    worker = torch.utils.data.get_worker_info()
    found = {"initial_seed": torch.initial_seed(), "worker": None, "workers": None, "seed": None, "own": None}
    if worker is not None:
        found |= {"worker": worker.id, "workers": worker.num_workers, "seed": worker.seed}
        found |= {"own": worker.dataset is dataset}
    return found


def id_in_a_thread() -> int | None:
    """The id of the worker as another thread of this process is told it."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(torch.utils.data.get_worker_info()))
    thread.start()
    thread.join()
    return None if found[0] is None else int(found[0].id)


def id_beside_a_loader() -> int | None:
    """The id of the worker as it is told once a loader without workers has been run in it."""
    list(torch.utils.data.DataLoader([0], generator=torch.Generator()))
    worker = torch.utils.data.get_worker_info()
    return None if worker is None else int(worker.id)


def draws() -> list[int]:
    """A random number each of torch, NumPy and Python."""
    return [int(torch.randint(2**31, ())), int(np.random.randint(2**31 - 1)), random.getrandbits(31)]


def handed_out(dataset: Any, key: Any) -> Any:
    """A key that a watched dataset gives out: counted, noted, and shown to whoever is asked before."""
    dataset.served += 1
    dataset.journal.note(
        "item", key=key, served=dataset.served, first=dataset.first, mark=dataset.mark, draws=draws(),
        **circumstances(dataset),
    )  # fmt: skip
    if dataset.before is not None:
        dataset.before(key)
    return key


class WatchedMap(torch.utils.data.Dataset):  # type: ignore[misc]
    """A map-style dataset of its own keys; ``before`` is called with each key before it is given out."""

    def __init__(self, journal: Journal, size: int, before: Callable[[Any], Any] | None = None) -> None:
        self.journal, self.size, self.before = journal, size, before
        self.served = 0
        self.first, self.mark = 0, 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Any:
        return handed_out(self, key)


class WatchedStream(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """An iterable-style dataset of the keys from ``first`` on; sharded, each worker takes every so manieth."""

    def __init__(
        self, journal: Journal, size: int, sharded: bool = False, before: Callable[[Any], Any] | None = None
    ) -> None:
        self.journal, self.size, self.sharded, self.before = journal, size, sharded, before
        self.served = 0
        self.first, self.step, self.mark = 0, 1, 0

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info()
        first, step = self.first, self.step
        if self.sharded and worker is not None:
            first, step = worker.id, worker.num_workers
        self.journal.note("iter", **circumstances(self))
        return self.samples(first, step)

    def samples(self, first: int, step: int) -> Iterator[Any]:
        """The keys; apart from ``__iter__``, so that the latter's body runs when it is called and not later."""
        for key in range(first, self.size, step):
            yield handed_out(self, key)


class SizedWatchedStream(WatchedStream):
    """The same, with the length that it had if there were no workers."""

    def __len__(self) -> int:
        return self.size


class WatchedCollate:
    """A collate function that keeps what it is given."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __call__(self, batch: Any) -> Any:
        self.journal.note("collate", keys=batch, **circumstances())
        return batch


class WatchedInit:
    """An init function that notes its call, and then does what its name says."""

    def __init__(self, journal: Journal, action: str = "") -> None:
        self.journal, self.action = journal, action

    def __call__(self, number: int) -> None:
        self.journal.note(
            "init", number=number, kind=type(number).__name__, threaded=id_in_a_thread(),
            nested=id_beside_a_loader(), **circumstances(),
        )  # fmt: skip
        worker = torch.utils.data.get_worker_info()
        if self.action == "recipe":
            seed = torch.initial_seed() % 2**32
            np.random.seed(seed)
            random.seed(seed)
        elif self.action == "seed":
            torch.manual_seed(1000 + number)
        elif self.action == "shard" and worker is not None:
            worker.dataset.first, worker.dataset.step = worker.id, worker.num_workers


class WatchedSampler(torch.utils.data.Sampler):  # type: ignore[misc]
    """A sampler over given keys, or batches of keys, that notes each one that is drawn."""

    def __init__(self, journal: Journal, keys: list[Any]) -> None:
        self.journal, self.keys = journal, keys

    def __iter__(self) -> Iterator[Any]:
        for key in self.keys:
            self.journal.note("drawn", keys=key, **circumstances())
            yield key

    def __len__(self) -> int:
        return len(self.keys)
