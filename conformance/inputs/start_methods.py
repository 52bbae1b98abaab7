"""Start methods: workers that are forked or spawned.

What is to be done in a worker is sent as text, which every start method can send, and which nothing has to be imported
for: the samples are expressions, and ``eval`` is the collate function.
Reference: https://docs.pytorch.org/docs/stable/data.html#platform-specific-behaviors
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

INFO = "__import__('torch').utils.data.get_worker_info()"
QUESTIONS = (
    f"'id': {INFO}.id", f"'workers': {INFO}.num_workers", f"'seed': {INFO}.seed", f"'samples': len({INFO}.dataset)",
    "'initial_seed': __import__('torch').initial_seed()", "'process': __import__('os').getpid()",
    "'parent': __import__('os').getppid()", "'marked': hasattr(__import__('torch'), 'conformance_mark')",
    "'threshold': __import__('gc').get_threshold()[0]",
    "'draw': int(__import__('torch').randint(2**31, ()))", "'tensor': __import__('torch').arange(3)",
)  # fmt: skip
QUESTION = "{" + ", ".join(QUESTIONS) + "}"
START_LIMIT = 50.0  # seconds; a spawned worker imports torch before anything else


@dataclass(frozen=True)
class Started:
    """A loader whose workers are started by a method, given by its name or as a context."""

    method: str
    workers: int = 1
    as_context: bool = False
    epochs: int = 1  # of workers that are kept, where there are several
    unpicklable: bool = False  # the worker_init_fn is a lambda

    def context(self) -> Any:
        """The argument."""
        return multiprocessing.get_context(self.method) if self.as_context else self.method

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"methods": self.method, "workers": str(self.workers), "contexts": str(self.as_context)}

    def reductions(self) -> Iterator[Started]:
        """Nothing simpler."""
        return iter(())

    def code(self) -> str:
        """The case in plain torch; where workers are not forked, they run the script once more."""
        context = f"multiprocessing.get_context({self.method!r})" if self.as_context else repr(self.method)
        workers = f"num_workers={self.workers}, multiprocessing_context={context}"
        imported = "import gc, multiprocessing" if self.as_context else "import gc"
        if self.unpicklable:
            given = f"[0, 1], {workers}, worker_init_fn=lambda number: None"
            run, lines = f"print(list(data.DataLoader({given})))", ""
        else:
            listed = "".join(f"    {line!r},\n" for line in QUESTIONS)
            lines = f"question = '{{' + ', '.join([\n{listed}]) + '}}'"
            given = f"[question] * {2 * self.workers}, batch_size=None, {workers}"
            acting = "collate_fn=eval, worker_init_fn=gc.set_threshold"
            kept = ", persistent_workers=True" if self.epochs > 1 else ""
            made = f"loader = data.DataLoader({given}, {acting}{kept})"
            run = "\n".join((made, *["print(list(loader))"] * self.epochs))
        guarded = run if self.method == "fork" else f'if __name__ == "__main__":\n{indent(run, "    ")}'
        return data_listings.program(imported, lines, guarded)


def without_a_script() -> None:
    """Keep spawned processes from running the script of this one again, which is none of theirs."""
    sys.modules["__main__"] = types.ModuleType("__main__")


def answers_of_workers(case: Started) -> tuple[int, list[dict[str, Any]]]:
    """The main process, and what the workers say, two answers for each of them in an epoch."""
    without_a_script()
    torch.conformance_mark = True
    loader = torch.utils.data.DataLoader(
        [QUESTION] * (2 * case.workers), batch_size=None, num_workers=case.workers, collate_fn=eval,
        worker_init_fn=gc.set_threshold,  # what every start method can send, and what it did can be asked for
        multiprocessing_context=case.context(), persistent_workers=case.epochs > 1,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    answers = [answer for _ in range(case.epochs) for answer in loader]
    return os.getpid(), [{**answer, "tensor": answer["tensor"].tolist()} for answer in answers]


def draws_by_seed(answers: list[dict[str, Any]]) -> dict[int, list[int]]:
    """What the answers of each worker drew, by the seed that it has."""
    found: dict[int, list[int]] = {}
    for answer in answers:
        found.setdefault(answer["seed"], []).append(answer["draw"])
    return found


def spawn_a_lambda(case: Started) -> str:
    """The exception for an init function that cannot be pickled, "" for none."""
    without_a_script()
    loader = torch.utils.data.DataLoader(
        [0, 1], num_workers=case.workers, worker_init_fn=lambda number: None, multiprocessing_context=case.context()
    )
    try:
        list(loader)
    except Exception as error:
        return repr(error)
    return ""


def start_methods(cell: Cell) -> Inputs:
    """Both start methods where this platform has them; a spawned worker imports torch anew, a second of a processor."""
    cases = [Started("fork", 2, True), Started("fork", 3), Started("spawn", 1, True, epochs=2)]
    return Inputs([case for case in cases if case.method in multiprocessing.get_all_start_methods()])


def spawning_lambdas(cell: Cell) -> Inputs:
    """Spawn, by its name and as a context."""
    return Inputs([Started("spawn", as_context=known, unpicklable=True) for known in (False, True)])


def crowded_loaders(cell: Cell) -> Inputs:
    """Numbers of workers about the number of processors."""
    return Inputs([Crowded(extra) for extra in (0, 1, 5)])


@dataclass(frozen=True)
class Crowded:
    """A loader that is only made, with so many more workers than there are processors for this process."""

    extra: int

    @property
    def workers(self) -> int:
        """The number of workers."""
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return processors + self.extra

    def code(self) -> str:
        """The case in plain torch."""
        return data_listings.program(
            "import os", f"data.DataLoader([0], num_workers=len(os.sched_getaffinity(0)) + {self.extra})"
        )
