"""Trainings: an optimizer of the catalogue over parameters in one or several groups, some steps, a stop and more steps.

Gradients are written numbers, so that two trainings differ in nothing but the stop.
Reference: https://docs.pytorch.org/docs/stable/optim.html
"""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.tensors import Strided, corner
from conformance.inputs.training_listings import stopped_training

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Shapes of the parameters of each group.
GROUPINGS: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...] = (
    (((2, 3), (3,)), ((), (2, 3, 4)), ((2, 1),)),
    (((2, 3), (4,), ()),),
    (((3,),), ((2, 2), (17,))),
)
MATRIX_GROUPINGS: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...] = (
    (((2, 3), (3, 2)), ((4, 4),)), (((2, 3), (3, 1)),), (((1, 2),), ((2, 2), (5, 2))),
)  # fmt: skip
WAYS_OF_STATE = ("dictionary", "copy", "file")
STOPS = (1, 3, 0)


@dataclass(frozen=True)
class Training:
    """An optimizer, its groups, the steps before and after the stop, and the way that its state takes in between."""

    makes: str
    options: tuple[tuple[str, Any], ...]
    groups: tuple[tuple[tuple[int, ...], ...], ...]
    before: int = 1
    after: int = 2
    dtype: str = "float32"
    way: str = "copy"
    idle: bool = False  # whether the last parameter of each group has no gradient before the stop
    traits: tuple[str, ...] = ()  # of the catalogue's row: closure, sparse, tensor_lr
    device: str = "cpu"

    @property
    def count(self) -> int:
        """The number of parameters."""
        return sum(len(group) for group in self.groups)

    def start(self, other: bool = False) -> LiveTraining:
        """The training before its first step; ``other`` is one with other learning rates."""
        shapes = [shape for group in self.groups for shape in group]
        parameters = [
            torch.nn.Parameter(corner(self.dtype, shape, "contiguous", "ordinary", "any", self.device, n).build())
            for n, shape in enumerate(shapes)
        ]
        return self.over(parameters, other)

    def over(self, parameters: list[torch.nn.Parameter], other: bool = False, named: str = "") -> LiveTraining:
        """A new optimizer over these parameters; ``named`` begins the names that they are given, if any."""
        options: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in self.options}
        options["lr"] = options["lr"] * (3 if other else 1)
        groups, start = [], 0
        for number, group in enumerate(self.groups):
            own: list[Any] = parameters[start : start + len(group)]
            if named:
                own = [(f"{named}{start + n}", parameter) for n, parameter in enumerate(own)]
            groups.append({"params": own, **({"lr": self._rate(options["lr"] / (1 + number))} if number else {})})
            start += len(group)
        options["lr"] = self._rate(options["lr"])
        optimizer = reduce(getattr, self.makes.split("."), torch)
        lone = len(groups) == 1
        return LiveTraining(self, parameters, optimizer(groups[0]["params"] if lone else groups, **options))

    def _rate(self, number: float) -> Any:
        return torch.tensor(number) if "tensor_lr" in self.traits else number

    def gradient(self, turn: int, place: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The gradient of a parameter at a step."""
        plan = self.planned_gradient(turn, place, shape)
        if plan is None:
            return None
        return plan.build().to_sparse() if "sparse" in self.traits else plan.build()

    def planned_gradient(self, turn: int, place: int, shape: tuple[int, ...]) -> Strided | None:
        """The plan of that gradient, dense."""
        ends = [sum(len(group) for group in self.groups[: n + 1]) - 1 for n in range(len(self.groups))]
        if self.idle and turn < self.before and place in ends:
            return None
        return corner(self.dtype, shape, "contiguous", "ordinary", "any", self.device, 3 + 5 * turn + 7 * place)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        shapes = [str(shape) for group in self.groups for shape in group]
        return {"dtypes": self.dtype, "shapes": shapes, "groups": str(len(self.groups)), "ways": self.way}

    def reductions(self) -> Iterator[Training]:
        """Fewer steps, groups and parameters."""
        if len(self.groups) > 1:
            for n in range(len(self.groups)):
                yield replace(self, groups=self.groups[:n] + self.groups[n + 1 :])
        for n, group in enumerate(self.groups):
            if len(group) > 1:
                yield replace(self, groups=(*self.groups[:n], group[:1], *self.groups[n + 1 :]))
        if self.before > 1:
            yield replace(self, before=1)
        if self.after > 1:
            yield replace(self, after=1)
        if self.idle:
            yield replace(self, idle=False)

    def code(self) -> str:
        """The training in plain torch."""
        return stopped_training(self)


@dataclass
class LiveTraining:
    """The parameters and the optimizer of a training that runs."""

    case: Training
    parameters: list[torch.nn.Parameter]
    optimizer: Any

    def run(self, first: int, last: int) -> LiveTraining:
        """The steps from ``first`` up to, not including, ``last``."""
        for turn in range(first, last):
            if "closure" in self.case.traits:
                self.optimizer.step(self.loss)
                continue
            for place, parameter in enumerate(self.parameters):
                parameter.grad = self.case.gradient(turn, place, tuple(parameter.shape))
            self.optimizer.step()
        return self

    def loss(self) -> torch.Tensor:
        """A loss with its gradients, for optimizers that ask for it again."""
        self.optimizer.zero_grad()
        with torch.enable_grad():
            parts = [((p - 0.25) ** 2).sum() * (1 + n) for n, p in enumerate(self.parameters)]
            found: torch.Tensor = sum(parts[1:], parts[0])
            found.backward()
        return found

    def resumed(self, other: bool = False) -> LiveTraining:
        """A new optimizer over parameters of the same numbers."""
        copies = [
            torch.nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)
            for parameter in self.parameters
        ]
        return self.case.over(copies, other)

    def continued(self) -> LiveTraining:
        """A new optimizer that has loaded the state of this one."""
        found = self.resumed()
        found.optimizer.load_state_dict(self.state())
        return found

    def state(self) -> Any:
        """The optimizer's state_dict after its way."""
        return carried(self.optimizer.state_dict(), self.case.way)


def carried(state: Any, way: str) -> Any:
    """A state after its way: as it is, as a deep copy, pickled, or saved and loaded."""
    if way == "copy":
        return copy.deepcopy(state)
    if way == "pickle":
        return pickle.loads(pickle.dumps(state))
    if way == "file":
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return torch.load(file)
    return state


# --- sources ----------------------------------------------------------------------------------------------------


def training_of(cell: Cell, number: int, *rest: Any) -> Training:
    """The training of a row of the catalogue over one of the groupings."""
    row = cell.subject
    traits = tuple(x for x in ("closure", "sparse", "tensor_lr") if getattr(row, x, False))
    groupings = MATRIX_GROUPINGS if getattr(row, "matrices", False) else GROUPINGS
    groups = groupings[number]
    if getattr(row, "sparse", False):
        groups = tuple(tuple(shape or (1,) for shape in group) for group in groups)
    if getattr(row, "lone", False):
        groups = (tuple(shape for group in groups for shape in group),)
    before, after, dtype, way, idle = rest
    idle = idle and not traits and not getattr(row, "steady", False)
    return Training(
        row.makes, tuple(row.options.items()), groups, before, after, dtype, way, idle, traits, cell.target.device
    )


def trainings(cell: Cell) -> Inputs:
    """Each grouping, with each number of steps before the stop, way and type in pairs."""
    return _trainings(cell, "float32", "float64")


def single_trainings(cell: Cell) -> Inputs:
    """The same in float32 only, which every optimizer goes on from, also one that loses digits of a double."""
    return _trainings(cell, "float32")


def _trainings(cell: Cell, *dtypes: str) -> Inputs:
    rows = covering((0, 1, 2), STOPS, (2, 1), dtypes, WAYS_OF_STATE, (False, True))
    return Inputs([training_of(cell, *row) for row in rows])


def stopped_trainings(cell: Cell) -> Inputs:
    """Each grouping after some steps."""
    rows = (
        (0, 2, 1, "float32", "dictionary", False),
        (1, 1, 1, "float64", "copy", True),
        (2, 0, 1, "float32", "dictionary", True),
    )
    return Inputs([training_of(cell, *row) for row in rows])


def named_trainings(cell: Cell) -> Inputs:
    """Trainings by two optimizers, without regard to the catalogue."""
    adam, sgd = (("lr", 0.1), ("amsgrad", True)), (("lr", 0.1), ("momentum", 0.9))
    return Inputs(
        [
            Training(makes, options, groups, before, 1, "float32", way, idle, (), cell.target.device)
            for makes, options in (("optim.Adam", adam), ("optim.SGD", sgd))
            for groups, before, way, idle in zip(GROUPINGS, (1, 2, 0), WAYS_OF_STATE, (True, False, False), strict=True)
        ]
    )
