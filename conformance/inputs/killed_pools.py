"""Killed pools: loaders one of whose workers ends before its time.

Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import pool_listings
from conformance.inputs.failing_pools import STREAM, Failure, run_to_failure
from conformance.inputs.pool_endings import CHECKED
from conformance.inputs.pools import Pool
from conformance.inputs.witnesses import HELD, Journal
from conformance.oracles.processes import child_processes

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Killed", "Pool"]


@dataclass(frozen=True)
class Killed:
    """A pool in which the worker that loads a sample ends, by a signal or by leaving with a status.

    A ``timeout`` of the loader is one that nothing takes.
    """

    ways: tuple[str, ...]
    at: int = 2
    pool: Pool = field(default_factory=Pool)
    timeout: float = 0

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.pool.facets(), "endings": self.ways}

    def reductions(self) -> Iterator[Killed]:
        """One way, and a plainer pool."""
        for way in self.ways if len(self.ways) > 1 else ():
            yield replace(self, ways=(way,))
        for simpler in self.pool.reductions():
            if self.at < simpler.size:
                yield replace(self, pool=simpler)

    def code(self) -> str:
        """The case in plain torch, by the first of the ways."""
        return pool_listings.killed(self)


def end_this_process(way: str, wanted: int, key: int) -> None:
    """End the process at one key."""
    if key == wanted:
        if way.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, way))
            signal.pause()
        os._exit(int(way))


def lose_a_worker(case: Killed, way: str) -> Failure:
    """One epoch, and the children that are left after it."""
    if way == "0":
        look_often()
    ended = partial(end_this_process, way, case.at)
    found = run_to_failure(case.pool.build(Journal(), ended, timeout=case.timeout))
    found.children = child_processes()
    return found


def look_often() -> None:
    """Let the main process look sooner whether its workers are there: no signal tells it of a success.

    Where torch does not know the names, it looks when it likes.
    """
    look: Any = getattr(torch.utils.data.dataloader._MultiProcessingDataLoaderIter, "_try_get_data", None)
    seconds = getattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", None)
    if getattr(look, "__defaults__", None) == (seconds,):  # they hold what was there when torch was imported
        look.__defaults__ = (CHECKED,)


def killed_workers(cell: Cell) -> Inputs:
    """Signals and a status, those of one case in processes side by side."""
    return Inputs(
        [
            Killed(("SIGKILL", "SIGTERM", "SIGSEGV", "3", "0"), 2),
            Killed(("SIGABRT",), 6, Pool(3, 7, 1)),
            Killed(("SIGKILL",), 4, STREAM),
            Killed(("SIGKILL",), timeout=HELD),
        ]
    )
