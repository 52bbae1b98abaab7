"""Contended leaves: one new leaf that two threads use while anomaly detection looks at who records.

Where an operation is recorded under detection, torch asks Python for a traceback for its node, and for that of the
leaf at its first use. The one that is put in the place of Python's lets the other thread go ahead at the second, so
that both are at the leaf at once, which happens by itself once in some hundred times.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#thread-safety-on-autograd-node
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from operator import getitem
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TRACEBACKS = ("traceback", "torch.fx.traceback")  # whose format_stack one release or another asks
AHEAD = 0.3  # seconds that the other thread gets to come to the leaf


class LingeringTraceback:
    """A traceback that takes its time when it is asked for again, and tells of that."""

    def __init__(self, original: Callable[..., Any], asked: threading.Event) -> None:
        self.original, self.asked, self.count = original, asked, 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        if self.count == 2:
            self.asked.set()
            threading.Event().wait(AHEAD)
        return self.original(*args, **options)


@dataclass(frozen=True, eq=False)
class ContendedLeaf:
    """A leaf as planned, which two threads are the first to use."""

    plan: Strided

    def use(self) -> None:
        """Both threads; what is switched here stays switched, so that a process of its own has to do it."""
        torch.autograd.set_detect_anomaly(True)
        leaf, asked = self.plan.build().requires_grad_(), threading.Event()
        for name in TRACEBACKS:
            with suppress(ImportError):
                module: Any = importlib.import_module(name)
                module.format_stack = LingeringTraceback(module.format_stack, asked)
        first = threading.Thread(target=getitem, args=(leaf, 0))  # an operation that keeps Python to itself
        first.start()
        while first.is_alive() and not asked.wait(AHEAD):
            continue
        getitem(leaf, 1)
        first.join()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def code(self) -> str:
        """The same in plain torch."""
        return listings.contended_leaf(self.plan.code(), AHEAD)


def contended_leaves(cell: Cell) -> Inputs:
    """One leaf: all cases wait as long where threads wait for ever."""
    return Inputs([ContendedLeaf(strided("float32", (2, 3), "contiguous", (1.0, 2.0), cell.target.device))])
