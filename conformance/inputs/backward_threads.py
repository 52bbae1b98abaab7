"""Threads: the same actions in several threads, which are all joined before anything is looked at.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#multithreaded-autograd
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.backwards import Pass, backward_passes

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class ThreadedAction:
    """An action in a thread of its own: what it returned, or the exception that it ended with."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action, self.result, self.error = action, None, None
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Act, and keep what comes of it."""
        try:
            self.result = self.action()
        except Exception as error:  # raised where the threads are joined
            self.error = error  # type: ignore[assignment]

    def outcome(self) -> Any:
        """Wait for the thread; returns the result or raises the exception."""
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.result


class ThreadNoter:
    """A hook that notes in which threads it was called."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self, *gradients: Any) -> None:
        self.threads.append(threading.get_ident())


def in_another_thread(action: Callable[[], Any]) -> Any:
    """Act in another thread, and wait for it."""
    threaded = ThreadedAction(action)
    threaded.thread.start()
    return threaded.outcome()


def in_threads_at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Act in a thread each, all at once, and wait for all of them."""
    threaded = [ThreadedAction(action) for action in actions]
    for one in threaded:
        one.thread.start()
    for one in threaded:
        one.thread.join()
    return [one.outcome() for one in threaded]


def threaded_passes(cell: Cell) -> Inputs:
    """Passes in two to four threads."""
    return backward_passes(cell, forms=("2", "3", "4"))


def train_leaves(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Forward and backward, as in the documented example."""
    case.run(case.root(leaves))


def differentiate_leaves(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> Any:
    """Forward, and the gradients by the leaves."""
    return torch.autograd.grad(case.root(leaves), leaves, case.gradient.build())
