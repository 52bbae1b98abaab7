"""Thread modes: threads that are in grad modes of their own at the same time.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.grad_modes import (
    ENABLE_GRAD,
    GRAD_MODES,
    GRAD_OFF,
    GRAD_ON,
    INFERENCE,
    NO_GRAD,
    mode_of,
    under,
)

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class ModeThreads:
    """The modes that this thread is in, those that another is in, and how many more are looked at."""

    here: tuple[str, ...]
    there: tuple[str, ...]
    more: int = 1

    def seen_elsewhere(self, look: Callable[[], Any]) -> list[tuple[tuple[str, ...], Any]]:
        """While this thread is in its modes: a thread that has been in its own, new ones, and one that they start."""
        worker = ModeWorker()
        try:
            worker.enter(self.there)
            return under(self.here, lambda: self._look_around(worker, look))  # type: ignore[no-any-return]
        finally:
            worker.end()

    def _look_around(self, worker: ModeWorker, look: Callable[[], Any]) -> list[tuple[tuple[str, ...], Any]]:
        found: list[tuple[tuple[str, ...], Any]] = [(self.there, worker.do(look))]
        found += [((), run_in_a_thread(look)) for _ in range(self.more)]
        found.append(((), run_in_a_thread(lambda: under(self.here, lambda: run_in_a_thread(look)))))
        return found

    def seen_here(self, look: Callable[[], Any]) -> list[tuple[tuple[str, ...], Any]]:
        """In the default mode and in this thread's modes, while the other thread enters its own, and leaves them."""
        worker = ModeWorker()
        try:
            worker.enter(self.there)
            found = [((), look()), (self.here, under(self.here, look))]
            left = worker.leave(look)
            found += [(self.there[:-number], seen) for number, seen in enumerate(left, 1)]
            return [*found, ((), look()), (self.here, under(self.here, look))]
        finally:
            worker.end()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"modes": [*self.here, *self.there]}

    def reductions(self) -> Iterator[ModeThreads]:
        """Fewer modes."""
        for number in range(len(self.here)):
            yield replace(self, here=self.here[:number] + self.here[number + 1 :])
        for number in range(len(self.there)):
            yield replace(self, there=self.there[:number] + self.there[number + 1 :])

    def code(self) -> str:
        """The same in plain torch."""
        return listings.threads_in_modes(self.here, self.there)


class ModeWorker:
    """A thread that does what it is told, one thing after the other."""

    def __init__(self) -> None:
        self.orders: SimpleQueue[Any] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.modes: list[Any] = []
        self.thread = Thread(target=self._work)
        self.thread.start()

    def do(self, action: Callable[[], Any]) -> Any:
        """The result of the action in that thread."""
        self.orders.put(action)
        done, found = self.answers.get()
        if not done:
            raise found
        return found

    def enter(self, modes: tuple[str, ...]) -> None:
        """Enter modes and stay in them."""
        for mode in modes:
            self.modes.append(self.do(lambda mode=mode: _entered(mode)))  # type: ignore[misc]

    def leave(self, look: Callable[[], Any] = bool) -> list[Any]:
        """Leave them all, the last one first; what is seen in that thread after each."""
        seen = []
        while self.modes:
            manager = self.modes.pop()
            self.do(lambda manager=manager: manager.__exit__(None, None, None))  # type: ignore[misc]
            seen.append(self.do(look))
        return seen

    def end(self) -> None:
        """Leave the modes and end the thread."""
        try:
            self.leave()
        finally:
            self.orders.put(None)
            self.thread.join()

    def _work(self) -> None:
        while (action := self.orders.get()) is not None:
            self.answers.put(outcome_of(action))


def _entered(mode: str) -> Any:
    manager = mode_of(mode)
    manager.__enter__()
    return manager


def outcome_of(action: Callable[[], Any]) -> tuple[bool, Any]:
    """Whether the action came back, and its result or exception."""
    try:
        return True, action()
    except BaseException as error:
        return False, error


def run_in_a_thread(action: Callable[[], Any]) -> Any:
    """The result of the action in a thread of its own."""
    found: list[tuple[bool, Any]] = []
    thread = Thread(target=lambda: found.append(outcome_of(action)))
    thread.start()
    thread.join()
    done, result = found[0]
    if not done:
        raise result
    return result


def mode_threads(cell: Cell) -> Inputs:
    """Each mode here and there, alone and nested."""
    singles: list[tuple[str, ...]] = [(mode,) for mode in GRAD_MODES]
    found = [ModeThreads(here, there) for here in singles for there in singles[:1]]
    found += [ModeThreads(here, there) for here in singles[:1] for there in singles[1:]]
    found += [
        ModeThreads((NO_GRAD, INFERENCE), (INFERENCE,), 2),
        ModeThreads((), (GRAD_OFF, NO_GRAD)),
        ModeThreads((), (NO_GRAD, ENABLE_GRAD)),
        ModeThreads((), (NO_GRAD, GRAD_ON, INFERENCE)),
        ModeThreads((INFERENCE,), ()),
    ]
    return Inputs(found)
