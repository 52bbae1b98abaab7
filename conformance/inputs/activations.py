"""Activations: modules and functions of torch.nn that overwrite their input where they are told to.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class Activation:
    """``name``, a class of torch.nn or a function of torch.nn.functional, called to overwrite ``self_``."""

    name: str
    self_: Strided
    function: str
    args: tuple[float, ...]
    accuracy: str

    def on(self, x: torch.Tensor) -> Any:
        """The call, of the module for a class' name, and of the function for another."""
        if self.name[0].isupper():
            return getattr(torch.nn, self.name)(*self.args, inplace=True)(x)
        inplace = {} if self.name.endswith("_") else {"inplace": True}
        return getattr(torch.nn.functional, self.name)(x, *self.args, **inplace)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.self_.facets(), "calls": self.name}

    def reductions(self) -> Iterator[Activation]:
        """The same of a plainer input."""
        for plan in self.self_.reductions():
            yield replace(self, self_=plan)

    def code(self) -> str:
        """The call in plain torch."""
        shown = ", ".join(map(repr, self.args))
        if self.name[0].isupper():
            call = f"torch.nn.{self.name}({f'{shown}, ' if shown else ''}inplace=True)(x)"
        else:
            inplace = "" if self.name.endswith("_") else ", inplace=True"
            call = f"torch.nn.functional.{self.name}(x{f', {shown}' if shown else ''}{inplace})"
        return f"import torch\nx = {self.self_.code()}\n{call}"


def activations(cell: Cell) -> Inputs:
    """Inputs of several types, shapes and layouts; of a module's row the function of the same name too."""
    row, found = cell.subject, []
    names = (row.name,) if row.form == "function" else (row.name, row.function)
    shapes = ((2, 3), (17,), (), (2, 3, 4), (1030,), (0, 3), (2, 3, 2, 2))
    for turn, layout in enumerate(DISJOINT * 2):
        for step, dtype in enumerate(family("float32", "float64", "bfloat16")):
            shape = shapes[(turn + step) % len(shapes)]
            plan = corner(dtype, shape, layout, "ordinary", "any", cell.target.device, turn)
            found.append(
                Activation(names[(turn + step) % len(names)], plan, row.function, tuple(row.args), row.accuracy)
            )
    for args in getattr(row, "others", ()):
        plan = corner("float32", (17,), "contiguous", "ordinary", "any", cell.target.device, 0)
        found += [Activation(name, plan, row.function, tuple(args), row.accuracy) for name in names]
    return Inputs(found)
