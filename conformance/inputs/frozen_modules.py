"""Frozen modules: modules of which some parameters are told not to require grad, in training and evaluation mode.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import covering
from conformance.inputs.generators import generators_put_back
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# A module, and the shape of an input for it.
FREEZABLE: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("torch.nn.Linear(3, 2)", (4, 3)),
    ("torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))", (4, 3)),
    ("torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))", (4, 3)),
    ("torch.nn.Conv2d(1, 2, 2)", (2, 1, 3, 3)),
    ("torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2), torch.nn.Flatten(1))", (2, 1, 3, 3)),
    ("torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.Sequential(torch.nn.PReLU(), torch.nn.Linear(3, 1)))",
     (2, 3)),
)  # fmt: skip
FREEZING = ("requires_grad_", "attribute", "submodule")
PRESETS = ("none", "ones")


@dataclass(frozen=True)
class Frozen:
    """A module; the bits of ``picked`` say which parameters are frozen, ``preset`` what .grad they have before."""

    module: str
    shape: tuple[int, ...]
    picked: int = 0
    way: str = "requires_grad_"
    preset: str = "none"
    training: bool = True
    device: str = "cpu"

    def build(self) -> torch.nn.Module:
        """The module in float64, with parameters that are the same each time."""
        module: torch.nn.Module = (
            eval(self.module, {"torch": torch}).to(self.device, torch.float64).train(self.training)
        )
        with torch.no_grad():
            for number, parameter in enumerate(module.parameters()):
                parameter.copy_(corner("float64", tuple(parameter.shape), "contiguous", turn=number).build())
        return module

    def input(self) -> torch.Tensor:
        """An input."""
        return corner("float64", self.shape, "contiguous", device=self.device).build()

    def forward(self, module: torch.nn.Module, training: bool) -> torch.Tensor:
        """The result of the module, put into training or evaluation mode."""
        found: torch.Tensor = module.train(training)(self.input())
        return found

    def freeze(self, module: torch.nn.Module) -> list[torch.nn.Parameter]:
        """Freeze the picked parameters, or the picked submodules; those frozen."""
        if self.way == "submodule":
            children = [m for m in module.modules() if not list(m.children()) and list(m.parameters())]
            frozen = [child.requires_grad_(False) for n, child in enumerate(children) if self.picked >> n & 1]
            found = [parameter for child in frozen for parameter in child.parameters()]
        else:
            found = [p for n, p in enumerate(module.parameters()) if self.picked >> n & 1]
            for parameter in found:
                if self.way == "attribute":
                    parameter.requires_grad = False
                else:
                    parameter.requires_grad_(False)
        for parameter in found:
            parameter.grad = torch.ones_like(parameter) if self.preset == "ones" else None
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"modules": self.module, "ways": self.way, "training": str(self.training)}

    def reductions(self) -> Iterator[Frozen]:
        """Fewer parameters frozen."""
        for bit in range(8):
            if self.picked >> bit & 1:
                yield replace(self, picked=self.picked & ~(1 << bit))

    def code(self) -> str:
        """The same in plain torch."""
        return listings.frozen(self)


@contextmanager
def generator_kept(device: str) -> Iterator[None]:
    """Modules draw their parameters, and dropout its mask, from the generators of CPU and device: both are put back."""
    with generators_put_back(device):
        torch.manual_seed(1)
        yield


def frozen_modules(cell: Cell) -> Inputs:
    """Each module, with one, some and all parameters frozen in each way."""
    rows = covering(FREEZABLE, (1, 2, 3, 5, 0b1010, 0xFF, 0), FREEZING, PRESETS, (True, False))
    device = cell.target.device
    return Inputs(
        [Frozen(name, shape, picked, way, preset, mode, device) for (name, shape), picked, way, preset, mode in rows]
    )


def modules_to_switch(cell: Cell) -> Inputs:
    """The same, and a module that has a parameter without dimensions and an empty one, and no forward."""
    odd = "torch.nn.ParameterList([torch.nn.Parameter(torch.ones(s)) for s in ((), (2,), (0, 3))])"
    rows = [Frozen(odd, (), picked, way, device=cell.target.device) for picked in (1, 6) for way in FREEZING[:2]]
    return Inputs([*frozen_modules(cell).corners, *rows])


def modes_of_modules(cell: Cell) -> Inputs:
    """Each module with no, some and all parameters frozen."""
    return Inputs(
        [Frozen(name, shape, picked, device=cell.target.device) for name, shape in FREEZABLE for picked in (0, 1, 0xFF)]
    )
