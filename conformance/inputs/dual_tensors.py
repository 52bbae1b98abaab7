"""DualCall tensors: tensors with a tangent of forward mode, and what is computed from them.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.forward_ad.make_dual.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.crossings import Form
from conformance.inputs.grad_modes import INFERENCE_NESTS, OFF_NESTS, ON_NESTS, under
from conformance.inputs.leaves import DIFFERENTIABLE_TYPES, LEAF_FORMS, planned
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# A tangent is copied into the layout of its tensor, which an expanded one cannot hold.
DUAL_FORMS = tuple(form for form in LEAF_FORMS if form[1] != "expanded")
# Expressions over a dual tensor d, and by what they multiply its tangent; none is a view.
DUAL_CALLS = {"d * 2": 2, "d + 1": 1, "-d": -1, "d.clone()": 1, "d + d": 2, "(d * 4).sub(d)": 3, "d.view_as(d) * 2": 2}


@dataclass(frozen=True, eq=False)
class DualCall:
    """A dual tensor ``d`` and an expression over it, in modes that are entered after ``d`` was made."""

    plan: Strided
    expression: str
    requires: bool = False
    modes: tuple[str, ...] = ()

    def on(self) -> torch.Tensor:
        """The result of the expression; within ``dual_level()`` only."""
        x = self.plan.build().requires_grad_(self.requires)
        d = torch.autograd.forward_ad.make_dual(x, self.tangent_plan().build())
        found: torch.Tensor = under(self.modes, lambda: eval(self.expression, {"d": d}))
        return found

    def tangent_plan(self) -> Strided:
        """The plan of the tangent."""
        return planned(self.plan.device, self.plan.dtype, (self.plan.shape, "contiguous"), 2)

    def expected(self) -> np.ndarray:
        """The tangent of the result."""
        found: np.ndarray = (DUAL_CALLS[self.expression] * self.tangent_plan().array).astype(self.plan.array.dtype)
        return found

    def tangent(self, tensor: torch.Tensor) -> Any:
        """The tangent that a tensor has, or None."""
        return torch.autograd.forward_ad.unpack_dual(tensor).tangent

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.expression, "modes": " > ".join(self.modes) or "none"}

    def reductions(self) -> Iterator[DualCall]:
        """The same of simpler tensors."""
        if self.requires:
            yield replace(self, requires=False)
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def code(self) -> str:
        """The computation in plain torch."""
        inside = (
            [f"with {', '.join(self.modes)}:", f"    y = {self.expression}"]
            if self.modes
            else [f"y = {self.expression}"]
        )
        lines = [
            f"d = fwAD.make_dual({self.plan.code()}.requires_grad_({self.requires}), {self.tangent_plan().code()})"
        ]
        return "\n".join(
            ["import torch.autograd.forward_ad as fwAD", "with fwAD.dual_level():"]
            + [f"    {x}" for x in lines + inside]
            + ["    print(*(fwAD.unpack_dual(tensor).tangent for tensor in (y, y.detach(), y.detach_())))"]
        )


def dual_level() -> Any:
    """The context in which dual tensors have tangents."""
    return torch.autograd.forward_ad.dual_level()


def make_dual_case(device: str, expression: str, modes: Any, requires: bool, dtype: str, form: Form) -> DualCall:
    """A computation with a dual tensor."""
    return DualCall(planned(device, dtype, form), expression, requires, modes)


def _duals(cell: Cell, nests: Any) -> Inputs:
    factors = (tuple(DUAL_CALLS), nests, (False, True), DIFFERENTIABLE_TYPES, DUAL_FORMS)
    return crossed(make_dual_case, cell.target.device, *factors, passes=1)


def duals(cell: Cell) -> Inputs:
    """Computations in the default mode."""
    return _duals(cell, ((),))


def duals_in_inference(cell: Cell) -> Inputs:
    """Computations in inference mode."""
    return _duals(cell, INFERENCE_NESTS)


def duals_without_grad(cell: Cell) -> Inputs:
    """Computations in the other modes."""
    return _duals(cell, OFF_NESTS + tuple(nest for nest in ON_NESTS if "inference" not in str(nest)))
