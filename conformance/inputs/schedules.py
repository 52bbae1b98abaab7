"""Schedules: a learning rate scheduler of the catalogue over an optimizer, some steps, a stop and more steps.

Reference: https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.training_listings import stopped_schedule
from conformance.inputs.trainings import carried

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

METRICS = (3.0, 2.0, 2.5, 2.5, 2.75, 2.625, 1.0, 1.5, 1.25, 1.5, 4.0, 0.5, 0.75)
PART_OPTIONS: dict[str, dict[str, Any]] = {
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "LinearLR": {"start_factor": 0.25, "total_iters": 3},
    "ExponentialLR": {"gamma": 0.5},
    "StepLR": {"step_size": 2, "gamma": 0.75},
}


class Falling:
    """A function of the epoch with state of its own; it can be pickled."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, epoch: int) -> float:
        return self.rate**epoch if self.rate < 0.9 else 1.0 / (1 + epoch)


def falling(epoch: int) -> float:
    """A function of the epoch without state."""
    return 1.0 / (1 + epoch)


@dataclass(frozen=True)
class Schedule:
    """A scheduler, the steps before and after the stop, and the way that the states take in between."""

    makes: str
    options: tuple[tuple[str, Any], ...]
    groups: int = 2
    before: int = 1
    after: int = 4
    way: str = "copy"
    parts: tuple[str, ...] = ()
    metric: bool = False
    momentum: bool = False
    multiplier: str = ""

    def start(self, other: bool = False) -> LiveSchedule:
        """The schedule before its first step; ``other`` has other learning rates, and a function with other state."""
        first = 0.75 if other else 0.1
        groups = [
            {"params": [torch.nn.Parameter(torch.ones(2))], "lr": first * (1 + number)} for number in range(self.groups)
        ]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9 if self.momentum else 0.0)
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in self.options}
        if self.multiplier:
            made = [falling if self.multiplier == "function" else Falling(0.25 if other else 0.5)]
            made *= self.groups
            options["lr_lambda"] = made if self.groups > 1 else made[0]
        kept = scheduler_class(self.makes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is no training between the steps
            parts: list[Any] = [scheduler_class(part)(optimizer, **PART_OPTIONS[part]) for part in self.parts]
            if self.makes == "ChainedScheduler":
                return LiveSchedule(self, optimizer, kept(parts))
            if parts:
                options["schedulers"] = parts
            return LiveSchedule(self, optimizer, kept(optimizer, **options))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"groups": str(self.groups), "ways": self.way, "before": str(self.before)}

    def reductions(self) -> Iterator[Schedule]:
        """Fewer steps and groups."""
        if self.groups > 1:
            yield replace(self, groups=1)
        for name in ("before", "after"):
            if getattr(self, name) > 1:
                yield replace(self, **{name: getattr(self, name) - 1})

    def code(self) -> str:
        """The schedule in plain torch."""
        return stopped_schedule(self)


@dataclass
class LiveSchedule:
    """The optimizer and the scheduler of a schedule that runs."""

    case: Schedule
    optimizer: Any
    scheduler: Any

    def run(self, first: int, last: int) -> list[list[tuple[float, float]]]:
        """The steps from ``first`` up to, not including, ``last``; learning rate and momentum after each."""
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for turn in range(first, last):
                self.optimizer.step()
                self.scheduler.step(*([METRICS[turn % len(METRICS)]] if self.case.metric else []))
                found.append(self.rates())
        return found

    @property
    def epoch(self) -> int | None:
        """The number of steps that the scheduler counts; one that is made of others counts none."""
        found: int | None = getattr(self.scheduler, "last_epoch", None)
        return found

    def rates(self) -> list[tuple[float, float]]:
        """Learning rate and momentum of each group."""
        return [(float(group["lr"]), float(group["momentum"])) for group in self.optimizer.param_groups]

    def resumed(self) -> LiveSchedule:
        """A new optimizer and a new scheduler that have loaded the states of these."""
        found = self.case.start(other=True)
        states = self.optimizer.state_dict(), self.scheduler.state_dict()
        found.scheduler.load_state_dict(carried(states[1], self.case.way))
        found.optimizer.load_state_dict(carried(states[0], self.case.way))
        return found


def scheduler_class(name: str) -> Any:
    """The class of a scheduler."""
    return getattr(torch.optim.swa_utils if name == "SWALR" else torch.optim.lr_scheduler, name)


def schedule_of(cell: Cell, groups: int, before: int, after: int, way: str) -> Schedule:
    """The schedule of a row of the catalogue."""
    row = cell.subject
    options = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in row.options.items())
    extra = {name: getattr(row, name) for name in ("metric", "momentum", "multiplier") if hasattr(row, name)}
    return Schedule(row.makes, options, groups, before, after, way, tuple(getattr(row, "parts", ())), **extra)


def schedules(cell: Cell) -> Inputs:
    """One and two groups, stopped at every step of the first six, by each way."""
    rows = covering((2, 1), (0, 1, 2, 3, 4, 5), (5,), ("copy", "dictionary", "pickle"))
    return Inputs([schedule_of(cell, *row) for row in rows])
