"""Failing pools: loaders in whose workers an exception is raised, or a batch is late.

Reference: https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import pool_listings
from conformance.inputs.pools import Pool
from conformance.inputs.witnesses import Gate, Journal, WatchedCollate, WatchedInit

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Failing", "Late", "Pool"]

REASON = "sample 17 is broken"


class PlainError(Exception):
    """An exception of a program's own, made from one message."""


class MessageError(Exception):
    """An exception whose message is an argument of that name and an attribute."""

    message = "nothing"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TwoPartError(ValueError):
    """An exception that cannot be made from one message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first, second)


class KeywordError(Exception):
    """An exception that cannot be made from a message at all."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


def raise_here(kind: str) -> None:
    """Raise the exception of a kind."""
    if kind == "TwoPartError":
        raise TwoPartError(REASON, "and so on")
    if kind == "KeywordError":
        raise KeywordError(reason=REASON)
    if kind == "UnicodeDecodeError":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, REASON)
    kinds = {"PlainError": PlainError, "MessageError": MessageError}
    builtin = {
        error.__name__: error
        for error in (
            ValueError, KeyError, IndexError, TypeError, StopIteration, RuntimeError, AssertionError, OSError,
            FileNotFoundError, MemoryError, NotImplementedError, EOFError, ArithmeticError,
        )
    }  # fmt: skip
    raise {**kinds, **builtin}[kind](REASON)


class FailingCollate(WatchedCollate):
    """A collate function that fails where a batch has the key, or is it."""

    def __init__(self, journal: Journal, kind: str, key: int) -> None:
        super().__init__(journal)
        self.kind, self.key = kind, key

    def __call__(self, batch: Any) -> Any:
        if self.key in (batch if isinstance(batch, list) else [batch]):
            raise_here(self.kind)
        return super().__call__(batch)


class FailingInit(WatchedInit):
    """An init function that fails in one worker."""

    def __init__(self, journal: Journal, kind: str, worker: int) -> None:
        super().__init__(journal)
        self.kind, self.worker = kind, worker

    def __call__(self, number: int) -> None:
        super().__call__(number)
        if number == self.worker:
            raise_here(self.kind)


class FailingStream(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """An iterable-style dataset that cannot be begun in one worker."""

    def __init__(self, kind: str, worker: int) -> None:
        self.kind, self.worker = kind, worker

    def __iter__(self) -> Iterator[int]:
        worker = torch.utils.data.get_worker_info()
        if worker is not None and worker.id == self.worker:
            raise_here(self.kind)
        return iter(range(3))


class FailingSampler(torch.utils.data.Sampler):  # type: ignore[misc]
    """A sampler of the keys in order that fails where it comes to one."""

    def __init__(self, kind: str, size: int, key: int) -> None:
        self.kind, self.size, self.key = kind, size, key

    def __iter__(self) -> Iterator[int]:
        for key in range(self.size):
            if key == self.key:
                raise_here(self.kind)
            yield key

    def __len__(self) -> int:
        return self.size


def fail_at(kind: str, wanted: int, key: int) -> None:
    """Raise at one key."""
    if key == wanted:
        raise_here(kind)


def fail_before_the_first(gate: Gate, kind: str, wanted: int, key: int) -> None:
    """Raise at one key; the first key is held back."""
    if key == 0:
        gate.pass_through()
    fail_at(kind, wanted, key)


@dataclass(frozen=True)
class Failing:
    """A pool in which ``where`` raises: dataset, collate or sampler at a key, init or iter in that worker.

    Where it is "later", the dataset raises at a key while the worker that has the first key is held back: until the
    epoch has ended, or for so long that the exception has come.
    """

    kind: str
    at: int
    where: str = "dataset"
    pool: Pool = field(default_factory=Pool)

    def build(self, gate: Gate) -> Any:
        """A new loader; the gate holds the first key where an exception has to come before it."""
        journal = Journal()
        if self.where == "collate":
            return self.pool.build(journal, collate_fn=FailingCollate(journal, self.kind, self.at))
        if self.where == "sampler":
            return self.pool.build(journal, sampler=FailingSampler(self.kind, self.pool.size, self.at))
        if self.where == "iter":
            arguments = self.pool.arguments(journal)
            return torch.utils.data.DataLoader(FailingStream(self.kind, self.at), **arguments)
        if self.where == "init":
            return self.pool.build(journal, worker_init_fn=FailingInit(journal, self.kind, self.at))
        if self.where == "later":
            return self.pool.build(journal, partial(fail_before_the_first, gate, self.kind, self.at))
        return self.pool.build(journal, partial(fail_at, self.kind, self.at))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.pool.facets(), "exceptions": self.kind, "raised in": self.where}

    def reductions(self) -> Iterator[Failing]:
        """A plainer pool, which has the sample still; none where it takes certain workers."""
        for simpler in self.pool.reductions() if self.where not in ("init", "iter", "later") else ():
            if self.at < simpler.size:
                yield replace(self, pool=simpler)

    def code(self) -> str:
        """The case in plain torch."""
        own: dict[str, type] = {each.__name__: each for each in (PlainError, MessageError, TwoPartError, KeywordError)}
        arguments = {
            "TwoPartError": f"{REASON!r}, 'and so on'", "KeywordError": f"reason={REASON!r}",
            "UnicodeDecodeError": f"'utf-8', b'\\xff', 0, 1, {REASON!r}",
        }.get(self.kind, repr(REASON))  # fmt: skip
        kinds = [own[self.kind]] if self.kind in own else []
        return pool_listings.failing(self, f"{self.kind}({arguments})", kinds)


@dataclass
class Failure:
    """How an epoch ended: what came before, and the type and the message of the exception, or "" and ""."""

    batches: list[Any]
    kind: str
    message: str
    later: list[Any] = field(default_factory=list)
    again: str = ""
    children: list[int] = field(default_factory=list)


def run_to_failure(loader: Any, release: Callable[[], None] | None = None) -> Failure:
    """Draw from an iterator until it raises; StopIteration without a word is the end.

    ``release`` is called before the iterator goes, which waits for workers that are held.
    """
    found = Failure([], "", "")
    try:
        iterator = iter(loader)
        while True:
            found.batches.append(next(iterator))
    except Exception as error:
        if not isinstance(error, StopIteration) or str(error):
            found.kind, found.message = type(error).__name__, str(error)
        if release is not None:
            release()
        error.with_traceback(None)  # or it would keep the iterator, of which it is a cycle
    return found


def fail_once(case: Failing) -> Failure:
    """One epoch."""
    gate = Gate(patience=5)
    return run_to_failure(case.build(gate), gate.open)


def fail_and_go_on(case: Failing) -> Failure:
    """An epoch that fails, the batches of another over the same loader in which nothing does, and one that fails."""
    loader = case.pool.build(Journal(), partial(fail_but_once_at, Gate(), Gate(), case.kind, case.at))
    found = run_to_failure(loader)
    found.later = list(loader)
    found.again = run_to_failure(loader).kind
    return found


def fail_but_once_at(failed: Gate, passed: Gate, kind: str, wanted: int, key: int) -> None:
    """Raise at one key each time but the second that it is met in any process."""
    if key == wanted and failed.is_open() and not passed.is_open():
        passed.open()
    elif key == wanted:
        failed.open()
        raise_here(kind)


# --- late batches -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Late:
    """A pool with a timeout, in whose last epoch one sample is held back for longer than that."""

    slow: int
    pool: Pool = field(default_factory=Pool)
    timeout: float = 0.2

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.pool.facets(), "late samples": str(self.slow)}

    def reductions(self) -> Iterator[Late]:
        """A plainer pool, which has the sample still."""
        for simpler in self.pool.reductions():
            if self.slow < simpler.size:
                yield replace(self, pool=simpler)

    def code(self) -> str:
        """The case in plain torch."""
        return pool_listings.late(self)


def hold_at(gate: Gate, armed: Gate, wanted: int, key: int) -> None:
    """Wait at one key until the gate opens, once it is armed."""
    if key == wanted and armed.is_open():
        gate.pass_through()


def wait_for_the_late(case: Late) -> Failure:
    """One epoch; the sample is held until the iterator has raised."""
    gate, armed = Gate(20 * case.timeout), Gate()
    loader = case.pool.build(Journal(), partial(hold_at, gate, armed, case.slow), timeout=case.timeout)
    for _ in range(case.pool.epochs - 1):
        run_to_failure(loader)  # a batch may be late here too, where the machine is slow
    armed.open()
    return run_to_failure(loader, gate.open)


# --- dead workers -----------------------------------------------------------------------------------------------


# --- sources ----------------------------------------------------------------------------------------------------

STREAM = Pool(style="sharded", workers=2, size=5, batch_size=2)
ALONE = Pool(1, 3, None)


def failing_datasets(cell: Cell) -> Inputs:
    """Exceptions of many types at the first sample, in the middle, and in the last batch, which is incomplete."""
    return Inputs(
        [
            Failing("ValueError", 0), Failing("KeyError", 4), Failing("PlainError", 5, pool=Pool(3, 7, 1)),
            Failing("StopIteration", 2), Failing("MessageError", 4, pool=STREAM), Failing("IndexError", 0, pool=STREAM),
            Failing("NotImplementedError", 2, pool=Pool(1, 3, None, persistent=True)),
            Failing("FileNotFoundError", 4, pool=Pool(3, 5, 2)), Failing("ValueError", 1, "iter", STREAM),
            Failing("ValueError", 2, pool=Pool(1, 3, None, "stream")),
        ]
    )  # fmt: skip


def failing_collates(cell: Cell) -> Inputs:
    """Exceptions in collate_fn, at the first batch and the last, with and without batches."""
    return Inputs(
        [
            Failing("TypeError", 0, "collate"), Failing("KeyError", 4, "collate"),
            Failing("RuntimeError", 4, "collate", STREAM), Failing("PlainError", 2, "collate", Pool(3, 3, None)),
        ]
    )  # fmt: skip


def failing_inits(cell: Cell) -> Inputs:
    """Exceptions in worker_init_fn of the first worker, another, and of one that gets nothing to load but the call."""
    return Inputs(
        [
            Failing("ValueError", 0, "init"), Failing("KeyError", 1, "init", Pool(persistent=True)),
            Failing("PlainError", 2, "init", Pool(3, 7, 1, "sharded")), Failing("OSError", 0, "init", ALONE),
        ]
    )  # fmt: skip


def failing_samplers(cell: Cell) -> Inputs:
    """Exceptions of a sampler while batches are loaded ahead, once they are taken, and at the very first key."""
    return Inputs(
        [
            Failing("ValueError", 3, "sampler"), Failing("KeyError", 8, "sampler", Pool(2, 9, 1, prefetch=1)),
            Failing("PlainError", 0, "sampler", Pool(3, 3, None)),
        ]
    )  # fmt: skip


def telling_failures(cell: Cell) -> Inputs:
    """Exceptions of types whose message is not simply their argument, in each place; most are met elsewhere too."""
    return Inputs(
        [
            Failing("KeyError", 4), Failing("FileNotFoundError", 2, "collate"), Failing("OSError", 0, "init", ALONE),
            Failing("KeyError", 4, "collate"), Failing("MessageError", 4, pool=STREAM), Failing("TwoPartError", 4),
            Failing("PlainError", 5, pool=Pool(3, 7, 1)),
        ]
    )  # fmt: skip


def unmakeable_failures(cell: Cell) -> Inputs:
    """Exceptions that cannot be made from one message."""
    return Inputs(
        [
            Failing("TwoPartError", 4), Failing("KeywordError", 0, "collate"),
            Failing("UnicodeDecodeError", 2, pool=STREAM), Failing("TwoPartError", 1, "init"),
        ]
    )  # fmt: skip


def failures_after_batches(cell: Cell) -> Inputs:
    """Exceptions in a later batch, the last among them."""
    return Inputs(
        [
            Failing("StopIteration", 2), Failing("KeyError", 6, pool=Pool(3, 7, 1)), Failing("KeyError", 4, "collate"),
            Failing("MessageError", 4, pool=STREAM),
        ]
    )  # fmt: skip


def survived_failures(cell: Cell) -> Inputs:
    """Exceptions that persistent workers survive."""
    return Inputs(
        [
            Failing("ValueError", 0, pool=Pool(3, 9, 1, persistent=True)),
            Failing("KeyError", 4, pool=Pool(2, 5, 2, persistent=True)),
            Failing("ValueError", 2, pool=Pool(2, 6, 1, persistent=True, style="sharded", prefetch=1)),
        ]
    )  # fmt: skip


def late_samples(cell: Cell) -> Inputs:
    """The first batch late, a later sample of an iterable-style dataset, the last batch, in the second epoch."""
    return Inputs([Late(0), Late(4, Pool(3, 7, None, "sharded")), Late(4, Pool(2, 5, 2, persistent=True, epochs=2))])
