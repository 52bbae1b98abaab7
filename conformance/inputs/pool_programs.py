"""Pool programs: what a main process does with a loader beyond running its epochs, and what it gets to see.

Each is run in a process of its own, see ``conformance/oracles/main_processes.py``.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch

from conformance.inputs import data_listings, pool_listings
from conformance.inputs.loader_streams import Endless, Falsy
from conformance.inputs.loaders import Loading
from conformance.inputs.pools import Pool
from conformance.inputs.witnesses import HELD, Gate, Journal, WatchedSampler
from conformance.oracles.loader_model import epoch, plain
from conformance.oracles.processes import child_processes


def load_plainly(case: Loading) -> list[Any]:
    """One epoch, in plain Python."""
    return [plain(batch) for batch in case.build()]


def orders_by_workers(case: Loading) -> tuple[list[Any], list[Any]]:
    """Two epochs of the loader without workers, and of the same with them, after the same seed."""
    found = []
    for workers in (0, case.workers):
        torch.manual_seed(11)
        loader = replace(case, workers=workers).build()
        found.append([[plain(batch) for batch in loader] for _ in range(2)])
    return found[0], found[1]


class Overtaking:
    """Holds the sample ``slow`` until the sample ``quick`` is loaded, or until the main process opens the gate."""

    def __init__(self, slow: int, quick: int) -> None:
        self.slow, self.quick, self.gate = slow, quick, Gate()

    def __call__(self, key: int) -> None:
        if key == self.slow:
            self.gate.pass_through()
        elif key == self.quick:
            self.gate.open()


@dataclass(frozen=True)
class Overtaken:
    """A pool of single samples of which ``slow`` is held back until ``quick`` is loaded, by another worker."""

    slow: int
    quick: int
    workers: int = 2
    size: int = 8
    prefetch: int = 2
    kept: bool = False  # persistent workers, which have loaded another epoch before

    @property
    def pool(self) -> Pool:
        """The pool."""
        return Pool(self.workers, self.size, batch_size=1, prefetch=self.prefetch, persistent=self.kept)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"workers": str(self.workers), "slow samples": str(self.slow)}

    def reductions(self) -> Iterator[Overtaken]:
        """Nothing simpler."""
        return iter(())

    def code(self) -> str:
        """The case in plain torch."""
        return pool_listings.overtaken(self)


def load_overtaken(case: Overtaken, **arguments: Any) -> list[Any]:
    """The samples in the order in which they come."""
    loader = case.pool.build(Journal(), Overtaking(case.slow, case.quick), **arguments)
    return [key for batch in loader for key in batch]


def load_in_any_order(case: Overtaken | Pool) -> list[list[list[Any]]]:
    """The batches of each epoch with in_order=False, in the order in which they come."""
    if isinstance(case, Overtaken):
        return [[[key] for key in load_overtaken(case, in_order=False)]]
    loader = case.build(Journal())
    return [
        [*map(listed_batch, islice(loader, case.taken if epoch < case.epochs - 1 else None))]
        for epoch in range(case.epochs)
    ]


def listed_batch(batch: Any) -> list[Any]:
    """The keys of a batch, or of what comes in the place of one."""
    return batch if isinstance(batch, list) else [batch]


def load_before_the_slow(case: Overtaken) -> list[Any]:
    """The samples in the order in which they come where the slow one is held until another has come."""
    held, keys = Overtaking(case.slow, -1), [case.slow + 1]
    loader = case.pool.build(Journal(), held, in_order=False, sampler=keys)
    if case.kept:
        list(loader)
    keys[:] = range(case.size)
    found: list[Any] = []
    for batch in loader:
        found += batch
        held.gate.open()
    return found


def take_in_turns(case: Pool) -> tuple[list[list[Any]], list[int], list[dict[str, Any]]]:
    """What two iterators of one loader yield in turns, the processes at that time, and the notes."""
    journal = Journal()
    loader = case.build(journal)
    iterators = [iter(loader), iter(loader)]
    processes = child_processes()
    found: list[list[Any]] = [[], []]
    running = [0, 1]
    while running:
        for number in list(running):
            batch = next(iterators[number], None)
            if batch is None:
                running.remove(number)
            else:
                found[number].append(batch)
    return found, processes, journal.notes()


def draw_endless(case: Endless) -> list[Any]:
    """The first batches."""
    return [batch for _, batch in islice(case.build(), case.drawn)]


def load_falsy(case: Falsy) -> list[str]:
    """What an epoch over samples that are false yields, each written out."""
    return [repr(found) for found in case.build(case.values())]


class AskedAtOnce(torch.utils.data.Dataset):  # type: ignore[misc]
    """A dataset that gives the samples of a batch at once; each sample tells what was asked for together."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Any:
        return [key], "alone"

    def __getitems__(self, keys: Any) -> Any:
        return [(keys, "at once") for _ in keys]


@dataclass(frozen=True)
class Bulks:
    """A loader with workers over a dataset that gives the samples of a batch at once."""

    workers: int = 2
    size: int = 5
    batch_size: int = 2

    def build(self) -> Any:
        """The loader."""
        return torch.utils.data.DataLoader(
            AskedAtOnce(self.size), batch_size=self.batch_size, num_workers=self.workers, collate_fn=list
        )

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"workers": str(self.workers), "batching": f"batch_size={self.batch_size}"}

    def code(self) -> str:
        """The loader in plain torch."""
        options = [f"batch_size={self.batch_size}", f"num_workers={self.workers}", "collate_fn=list"]
        return data_listings.program(
            *data_listings.needed([AskedAtOnce]), data_listings.loader(f"AskedAtOnce({self.size})", *options),
            "print(list(loader))",
        )  # fmt: skip


def load_at_once(case: Bulks) -> list[Any]:
    """The batches of an epoch."""
    return list(case.build())


def keys_of_any_type(case: Pool) -> list[Any]:
    """Keys that a sampler may yield: a map-style dataset is asked for what it wants to be asked for."""
    return [*reversed(range(case.size)), "a", ("b", 1), 2.5, True, None, ("c",)]


def draw_from_a_sampler(case: Pool) -> tuple[int, list[dict[str, Any]], list[Any]]:
    """The main process, the notes of an epoch whose keys come from a sampler, and what it yields."""
    journal = Journal()
    batches = list(case.build(journal, sampler=WatchedSampler(journal, keys_of_any_type(case))))
    return os.getpid(), journal.notes(), batches


def ask_at_the_end(case: Pool) -> tuple[list[str], list[Any]]:
    """What a spent iterator gives when it is asked again, and the batches of another epoch."""
    loader = case.build(Journal())
    iterator = iter(loader)
    list(iterator)
    found = [str(next(iterator, "StopIteration")) for _ in range(3)]
    return found, list(loader)


def draws_of_main(case: Pool) -> dict[str, Any]:
    """Seeds of the workers' of two runs after one seed and of one after another, and the main generator's draws."""
    found: dict[str, Any] = {}
    for name, seed in (("first", case.seed), ("second", case.seed), ("other", case.seed + 1)):
        torch.manual_seed(seed)
        journal = Journal()
        iterator = iter(case.build(journal))
        found[f"{name} draw"] = int(torch.randint(2**62, ()))
        list(iterator)
        found[f"{name} seeds"] = sorted((note["number"], note["seed"]) for note in journal.notes("init"))
    torch.manual_seed(case.seed)
    found["undisturbed draw"] = int(torch.randint(2**62, ()))
    return found


def warned_lengths(case: Pool) -> tuple[list[Any], int, list[str]]:
    """What is yielded, the length that was asked for before, and the categories of warnings about it."""
    loader = case.build(Journal())
    for _ in range(case.epochs - 1):
        list(loader)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        length = len(loader)
        found = [key for batch in loader for key in (batch if case.batch_size else [batch])]
    return found, length, [str(warning.message) for warning in caught if "ength" in str(warning.message)]


def load_overtaken_in_order(case: Overtaken) -> list[Any]:
    """The samples in the order in which they come, with in_order=True."""
    return load_overtaken(case, in_order=True)


def load_ahead(case: Pool) -> tuple[int, list[dict[str, Any]]]:
    """How many batches of the last epoch the model wants loaded by now, and the notes of all that was at the end."""
    journal = Journal()
    others = {} if case.style != "map" else {"sampler": WatchedSampler(journal, list(range(case.size)))}
    loader = case.build(journal, **others)
    for _ in range(case.epochs - 1):
        list(loader)
    before = len(journal.notes())
    loaded = len(journal.notes("collate"))
    iterator = iter(loader)
    for _ in range(case.taken or 0):
        next(iterator)
    journal.wait_for(loaded + batches_ahead(case), "collate")
    del iterator, loader
    return batches_ahead(case), journal.notes()[before:]


def batches_ahead(case: Pool) -> int:
    """How many batches are loaded once ``taken`` were drawn: those, and the prefetch factor for each worker."""
    ahead = (2 if case.prefetch is None else case.prefetch) * case.workers + (case.taken or 0)
    return min(ahead, len(epoch(case.loading)))


class LeapingClock:
    """A clock of this process that can be put on, as if the time had passed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.ahead = clock, 0.0

    def __call__(self) -> float:
        return self.clock() + self.ahead


def run_with_a_timeout(case: Pool) -> list[list[Any]]:
    """The batches of each epoch with a timeout that no batch reaches; the epoch does, since the clock leaps."""
    clocks = {name: LeapingClock(getattr(time, name)) for name in ("monotonic", "time", "perf_counter")}
    vars(time).update(clocks)  # of this process alone, which ends with the epochs
    loader = case.build(Journal(), timeout=HELD)
    epochs: list[list[Any]] = []
    for _ in range(case.epochs):
        epochs.append([])
        for batch in loader:
            epochs[-1].append(batch)
            for clock in clocks.values():
                clock.ahead += HELD
    return epochs
