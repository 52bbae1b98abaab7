"""Pool endings: iterators that come to their end, are dropped, or lose their main process, and what is left then.

Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import pool_listings
from conformance.inputs.failing_pools import fail_at, run_to_failure
from conformance.inputs.pools import Pool
from conformance.inputs.witnesses import HELD, Gate, Journal
from conformance.oracles.expect import Mismatch
from conformance.oracles.main_processes import PATIENCE
from conformance.oracles.processes import (
    SEGMENTS,
    child_processes,
    open_files,
    running_children,
    segments_of,
    threads_since,
)

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Ended", "Pool"]

STRATEGIES = ("file_descriptor", "file_system")
SETTLED = 3.0  # seconds within which what is being closed has to be closed
STALE = 1.0  # seconds after which segments are not removed any more, once whoever could do so is gone
CHECKED = 0.25  # seconds, which torch has as 5, after which the main process and its workers look for each other
INTERRUPTS = 20  # times that a main process is interrupted which does not notice
CHECKS = 16  # such times within which a worker has to have seen that its main process is gone


@dataclass(frozen=True)
class Ended:
    """A pool whose iterator ends in one of several ways after some batches; tensors go by a sharing strategy.

    ``end`` is "exhausted", "deleted", "cycle" (only the garbage collector finds it), "exception" or "interrupted" (by
    SIGINT, while the main process waits for the last sample).
    """

    end: str
    taken: int = 1
    pool: Pool = field(default_factory=Pool)
    strategy: str = "file_descriptor"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.pool.facets(), "ends": self.end, "strategies": self.strategy, "taken": str(self.taken)}

    def code(self) -> str:
        """The case in plain torch."""
        return pool_listings.ended(self)


class TensorCollate:
    """A collate function that makes one tensor of a batch, large enough to be worth sharing."""

    def __call__(self, batch: Any) -> torch.Tensor:
        return torch.tensor(batch, dtype=torch.float64).reshape(-1, 1).expand(-1, 600).clone()


def end_iterator(case: Ended, loader: Any) -> Any:
    """Draw the batches and end the iterator in the way of the case; an iterator at its end is returned."""
    for _ in range(case.pool.epochs - 1):
        list(loader)
    iterator = iter(loader)
    for _ in range(case.taken):
        next(iterator)
    if case.end == "exhausted":
        list(iterator)
        return iterator
    if case.end == "cycle":
        cycle = [iterator]
        cycle.append(cycle)
        del cycle
    del iterator
    if case.end == "cycle":
        gc.collect()
    return None


def check_often() -> float:
    """Let the main process and the workers forked from it look for each other sooner, where a case waits for that.

    Returned is the limit for what they do then: where torch does not know the name, they look when they like.
    """
    modules = (torch.utils.data._utils, torch.utils.data._utils.worker)
    known = [module for module in modules if hasattr(module, "MP_STATUS_CHECK_INTERVAL")]
    for module in known:
        module.MP_STATUS_CHECK_INTERVAL = CHECKED
    return CHECKS * CHECKED if len(known) == len(modules) else PATIENCE


def children_at_the_end(case: Ended) -> tuple[list[int], list[int]]:
    """The children while the iterator runs, and right after its end."""
    if case.end == "cycle":
        check_often()
    journal = Journal()
    if case.end == "exception":
        loader = case.pool.build(journal, partial(fail_at, "ValueError", case.pool.size - 1))
        run_to_failure(loader)
        return sorted({note["process"] for note in journal.notes("init")}), child_processes()
    if case.end == "interrupted":
        interrupt_the_wait(case, journal)
        return sorted({note["process"] for note in journal.notes("init")}), child_processes()
    loader = case.pool.build(journal)
    kept = end_iterator(case, loader)
    # workers that the garbage collector finds are terminated, in early releases without being waited for
    left = running_children(SETTLED) if case.end == "cycle" else child_processes()
    del kept
    return sorted({note["process"] for note in journal.notes("init")}), left


def interrupt_at(waiting: Gate, noticed: Gate, wanted: int, key: int) -> None:
    """Interrupt the main process at one key once it waits, and again until it has noticed.

    An interrupt that comes where Python cannot raise, such as in a finalizer, is lost.
    """
    if key == wanted:
        waiting.pass_through()
        time.sleep(CHECKED)  # from the gate to the queue it is a few steps, on which an interrupt would be no test
        for _ in range(INTERRUPTS):
            os.kill(os.getppid(), signal.SIGINT)
            if select.select([noticed.reading], [], [], CHECKED)[0]:
                return


def interrupt_the_wait(case: Ended, journal: Journal) -> None:
    """Draw the batches until SIGINT comes, and drop the iterator."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the suite runs in the background
    waiting, noticed = Gate(), Gate()
    iterator = iter(case.pool.build(journal, partial(interrupt_at, waiting, noticed, case.pool.size - 1)))
    try:
        found = [next(iterator) for _ in range((case.pool.size - 1) // (case.pool.batch_size or 1))]
        waiting.open()
        found.append(next(iterator))
    except KeyboardInterrupt as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        noticed.open()
        error.with_traceback(None)  # or it would keep the iterator
        return
    raise Mismatch("next(iterator) when SIGINT comes", "KeyboardInterrupt", f"the batches to the end, {found}")


def children_of_a_loader(case: Ended) -> tuple[list[int], list[int]]:
    """The children after the iterator of persistent workers has ended, and after the loader is gone."""
    loader = case.pool.build(Journal())
    kept = end_iterator(case, loader)
    running = child_processes()
    del kept, loader
    gc.collect()
    return running, child_processes()


def left_open(case: Ended, more: int = 1) -> dict[str, list[str]]:
    """What is open after so many more epochs and was not after the first, once it had the time to be closed."""
    torch.multiprocessing.set_sharing_strategy(case.strategy)
    processes = {os.getpid(), *end_epoch_of_tensors(case)}
    files, threads = open_files(), {thread.ident for thread in threading.enumerate()}
    processes |= {process for _ in range(more) for process in end_epoch_of_tensors(case)}
    found: dict[str, list[str]] = {}
    end, changed = time.monotonic() + SETTLED, time.monotonic()
    while (now := time.monotonic()) < end:
        before = found
        grown = Counter(open_files().values()) - Counter(files.values())
        found = {
            "files": sorted(grown.elements()), "threads": threads_since(threads), "segments": segments_of(processes),
            "children": [str(child) for child in child_processes()],
        }  # fmt: skip
        if not any(found.values()):
            break
        if found != before or any(found[kind] for kind in ("files", "threads", "children")):
            changed = now
        if now - changed > STALE:
            break
        threading.Event().wait(0.02)
    for name in found["segments"]:
        os.unlink(os.path.join(SEGMENTS, name))  # what torch leaves is not left by the suite
    return found


def end_epoch_of_tensors(case: Ended) -> list[int]:
    """One epoch of tensors, ended as the case says; the processes of its workers."""
    journal = Journal()
    if case.end == "exception":
        failing = partial(fail_at, "ValueError", case.pool.size - 1)
        run_to_failure(case.pool.build(journal, failing, collate_fn=TensorCollate()))
    else:
        end_iterator(case, case.pool.build(journal, collate_fn=TensorCollate()))
    gc.collect()
    found = [note["process"] for note in journal.notes("init")]
    journal.close()
    return found


def wait_for_workers(journal: Journal, count: int) -> None:
    """Wait until so many workers load; one that has not begun yet takes whoever it is left to for its main process."""
    end = time.monotonic() + HELD
    while len({note["process"] for note in journal.notes("item")}) < count and time.monotonic() < end:
        threading.Event().wait(0.02)


def abandon(pools: tuple[Pool, ...]) -> Iterator[tuple[list[int], float]]:
    """Draw a batch each of some loaders, say which workers there are and how long they may last, and keep them."""
    limit = check_often()
    journals = [Journal() for _ in pools]
    iterators = [iter(pool.build(journal)) for pool, journal in zip(pools, journals, strict=True)]
    for iterator in iterators:
        next(iterator)
    for pool, journal in zip(pools, journals, strict=True):
        wait_for_workers(journal, pool.workers)
    yield child_processes(), limit
    threading.Event().wait()


def keep_batches(case: Ended) -> list[list[list[float]]]:
    """Two epochs of tensors whose batches are kept and changed one by one; all of them after each change."""
    torch.multiprocessing.set_sharing_strategy(case.strategy)
    loader = case.pool.build(Journal(), collate_fn=TensorCollate())
    kept = [batch for _ in range(2) for batch in loader]
    del loader
    gc.collect()
    found = [[batch[:, 0].tolist() for batch in kept]]
    for number, batch in enumerate(kept):
        batch += 100.0 * (number + 1)
    found.append([batch[:, -1].tolist() for batch in kept])
    return found


# --- sources ----------------------------------------------------------------------------------------------------


def exhausted_pools(cell: Cell) -> Inputs:
    """Iterators drawn from to their end."""
    return Inputs(
        [
            Ended("exhausted", 0), Ended("exhausted", 2, Pool(3, 4, 1, "sharded", seed=1)),
            Ended("exhausted", 1, Pool(1, 3, None, "stream", seed=3)), Ended("exhausted", 0, Pool(2, 0, 2)),
        ]
    )  # fmt: skip


def dropped_pools(cell: Cell) -> Inputs:
    """Iterators dropped before the first batch, half-way, in a cycle, after an exception and after an interrupt."""
    return Inputs(
        [
            Ended("deleted", 0), Ended("deleted", 2, Pool(3, 7, 1)), Ended("cycle", 1, Pool(1, 5, 2)),
            Ended("deleted", 1, Pool(2, 6, 1, "sharded")), Ended("exception", 0), Ended("exception", 0, Pool(3, 7, 1)),
            Ended("interrupted", 0, Pool(2, 5, 2)),
        ]
    )  # fmt: skip


def persistent_ends(cell: Cell) -> Inputs:
    """Loaders with persistent workers, dropped after an epoch, half-way, and before the first batch."""
    return Inputs(
        [
            Ended("exhausted", 0, Pool(persistent=True)), Ended("deleted", 1, Pool(3, 7, 1, persistent=True)),
            Ended("deleted", 0, Pool(persistent=True, style="sharded")),
        ]
    )  # fmt: skip


def tensor_ends(cell: Cell) -> Inputs:
    """Epochs of tensors that end in each way, by each sharing strategy."""
    strategies = [name for name in STRATEGIES if name in torch.multiprocessing.get_all_sharing_strategies()]
    ends = [
        Ended("exhausted", 0), Ended("deleted", 1, Pool(2, 8, 1)), Ended("exception", 0),
        Ended("deleted", 1, Pool(2, 8, 1, persistent=True, epochs=2)), Ended("exhausted", 1, Pool(2, 5, 2, "sharded")),
    ]  # fmt: skip
    alone = Pool(1)  # by a strategy that has a manager process, each worker has one of its own
    return Inputs([*ends, *(Ended("exhausted", 0, alone, name) for name in strategies[1:])])


def dropped_segments(cell: Cell) -> Inputs:
    """Epochs broken off while tensors that go by files are on their way."""
    return Inputs([Ended("deleted", 1, Pool(2, 8, 1), "file_system")])


def kept_batches(cell: Cell) -> Inputs:
    """Epochs of tensors that are kept, by each sharing strategy."""
    strategies = [name for name in STRATEGIES if name in torch.multiprocessing.get_all_sharing_strategies()]
    kept = Ended("exhausted", 0, Pool(1, 4, 1, persistent=True), strategies[-1])
    return Inputs([kept, *(Ended("exhausted", 0, Pool(2, 5, 2), strategy) for strategy in strategies)])


def abandoned_pools(cell: Cell) -> Inputs:
    """Loaders, persistent or not, that are there at once when the main process is killed."""
    return Inputs([Abandoned((Pool(2, 4, 1), Pool(1, 3, None, persistent=True), Pool(2, 9, 2, "stream")))])


@dataclass(frozen=True)
class Abandoned:
    """Loaders of which a batch each is drawn before the main process is killed."""

    pools: tuple[Pool, ...]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"workers": [str(pool.workers) for pool in self.pools], "styles": [pool.style for pool in self.pools]}

    def code(self) -> str:
        """The case in plain torch."""
        return pool_listings.abandoned(self.pools)
