"""Waits: whether workers wait at the same time."""

from __future__ import annotations

from conformance.inputs.waiting_pools import WaitingPool
from conformance.oracles import expect
from conformance.oracles.contested import tell_ratio
from conformance.oracles.main_processes import MainProcess


def epochs_of(case: WaitingPool) -> list[list[bool]]:
    """Whether workers met, for each sample of each epoch."""
    return case.epochs()


def side_by_side(case: WaitingPool) -> None:
    """Expect every sample to be waited for at the same time as one of each other worker."""
    with MainProcess(epochs_of, case) as process:
        epochs = process.answer("the epochs")
    alone = sum(not met for epoch in epochs for met in epoch)
    count = sum(map(len, epochs))
    waits = alone + (count - alone) / case.workers
    ratio = waits / max(count, 1)
    tell_ratio(f"num_workers={case.workers}", "num_workers=0", ratio, (ratio, ratio), f"<= 1/{case.workers}")
    expected = (1 + case.persistent) * case.workers * case.rounds
    expect.equal(expected, count, "number of samples")
    what = f"samples of {count} that are waited for while no other worker waits, with {case.workers} workers"
    expect.equal(0, alone, what)
