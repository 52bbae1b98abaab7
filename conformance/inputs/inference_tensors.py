"""Inference tensors: what inference mode allocates, and what is done with it afterwards.

Reference: https://docs.pytorch.org/cppdocs/notes/inference_mode.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.crossings import Form
from conformance.inputs.grad_modes import INFERENCE, INFERENCE_NESTS, NO_GRAD, NO_INFERENCE, under
from conformance.inputs.leaves import COUNTING_TYPES, DIFFERENTIABLE_TYPES, HALVES, LEAF_FORMS, VIEWS_OF_X, planned
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Each allocates in inference mode; a view of such a tensor is an inference tensor too.
ORIGINS = (
    "x.clone()", "x * 1", "torch.zeros_like(x)", "x.clone().view_as(x)", "x.clone()[None][0]", "torch.stack([x, x])[1]",
    "x.new_ones(x.shape)", "x.detach().clone()",
)  # fmt: skip
VIEWING = ("x", "x.detach()", *VIEWS_OF_X)
INFERRED_WRITES = (
    "x.add_(1)", "x.mul_(2)", "x.zero_()", "x.fill_(1)", "x.copy_(torch.ones_like(x))", "x.__setitem__(..., 1)",
    "x.neg_()", "torch.add(torch.ones_like(x), 1, out=x)", "x.view_as(x).add_(1)",
    "x.masked_fill_(x == x, 1)", "x.__iadd__(1)", "x.unsqueeze(0).sub_(1)",
)  # fmt: skip
COUNT_WRITES = (*INFERRED_WRITES[2:6], "x.masked_fill_(x == x, 1)")
# Recorded where y requires grad: the first need x for the gradient by y, of the others that gradient is 1.
SAVING_X = (
    "x * y", "y * x", "y / x", "y.clone().mul_(x)", "x[None] * y", "torch.addcmul(y, x, y)", "torch.addcdiv(y, y, x)",
    "x.view_as(x) * y", "torch.einsum('...,...->...', x, y)", "y.lerp(x, x)",
)  # fmt: skip
NOT_SAVING_X = (
    "x + y",
    "y - x",
    "torch.stack([x, y])",
    "torch.cat([x.reshape(-1), y.reshape(-1)])",
    "y.clone().add_(x)",
)


@dataclass(frozen=True, eq=False)
class Inferred:
    """``x``, made by ``origin`` out of a plan in inference mode, and an expression for later, in modes of its own."""

    plan: Strided
    origin: str
    expression: str
    modes: tuple[str, ...] = ()
    made_in: tuple[str, ...] = (INFERENCE,)

    def build(self) -> torch.Tensor:
        """The inference tensor."""
        start = self.plan.build()
        found: torch.Tensor = under(self.made_in, lambda: eval(self.origin, {"torch": torch, "x": start}))
        return found

    def on(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
        """Evaluate the expression."""
        return under(self.modes, lambda: eval(self.expression, {"torch": torch, "x": x, "y": y}))

    def on_plain(self, x: torch.Tensor) -> torch.Tensor:
        """A normal tensor that was made and written in the same way, without any mode."""
        found: torch.Tensor = eval(self.origin, {"torch": torch, "x": x})
        eval(self.expression, {"torch": torch, "x": found})
        return found

    def other(self) -> torch.Tensor:
        """A leaf ``y`` of the same type and shape that requires grad."""
        return planned(self.plan.device, self.plan.dtype, (self.plan.shape, "contiguous"), 1).build().requires_grad_()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.expression, "origins": self.origin, "modes": self.modes}

    def reductions(self) -> Iterator[Inferred]:
        """The same of a simpler tensor."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def code(self) -> str:
        """The tensor and the call in plain torch."""
        lines = [f"x = {self.plan.code()}", f"with {', '.join(self.made_in)}:", f"    x = {self.origin}"]
        if re.search(r"\by\b", self.expression):
            other = planned(self.plan.device, self.plan.dtype, (self.plan.shape, "contiguous"), 1)
            lines.append(f"y = {other.code()}.requires_grad_()")
        last = f"found = {self.expression}"
        return "\n".join([*lines, *([f"with {', '.join(self.modes)}:", f"    {last}"] if self.modes else [last])])


def make_inferred(
    device: str, expression: str, origin: str, dtype: str, form: Form, modes: Any, made_in: Any
) -> Inferred:
    """An inference tensor and what is done with it."""
    if dtype in HALVES and expression in SAVING_X:
        expression = SAVING_X[SAVING_X.index(expression) % 5]
    return Inferred(planned(device, dtype, form), origin, expression, modes, made_in)


def inferred_cases(
    cell: Cell,
    expressions: tuple[str, ...],
    modes: Any = ((), (NO_GRAD,), (NO_INFERENCE,)),
    types: Any = DIFFERENTIABLE_TYPES,
) -> Inputs:
    """The expressions on inference tensors of every origin, type and form."""
    factors = (expressions, ORIGINS, types, LEAF_FORMS, modes, INFERENCE_NESTS)
    return crossed(make_inferred, cell.target.device, *factors, passes=1)


def kept_tensors(cell: Cell) -> Inputs:
    """Inference tensors and views of them, whether these are taken outside inference mode or within."""
    modes = ((), (NO_GRAD,), (INFERENCE,), (NO_INFERENCE,))
    return inferred_cases(cell, VIEWING, modes, DIFFERENTIABLE_TYPES + COUNTING_TYPES)


def written_outside(cell: Cell) -> Inputs:
    """Writes to inference tensors outside inference mode."""
    found = inferred_cases(cell, INFERRED_WRITES)
    counts = inferred_cases(cell, COUNT_WRITES, types=COUNTING_TYPES)
    return Inputs([*found.corners, *counts.corners], found.samples)


def written_through_detach(cell: Cell) -> Inputs:
    """Writes to what detach makes of inference tensors, outside inference mode."""
    return inferred_cases(
        cell, ("x.detach().mul_(2)", "x.detach().add_(1)", "x.detach().fill_(2)", "x.detach().__setitem__(..., 2)")
    )


def written_inside(cell: Cell) -> Inputs:
    """Writes to inference tensors in inference mode."""
    return inferred_cases(cell, INFERRED_WRITES, ((INFERENCE,), (INFERENCE, NO_GRAD)))


def asked_to_require(cell: Cell) -> Inputs:
    """Inference tensors that are asked to require grad outside inference mode."""
    return inferred_cases(
        cell, ("x.requires_grad_()", "x.__setattr__('requires_grad', True)", "x.view_as(x).requires_grad_()")
    )


def cloned_outside(cell: Cell) -> Inputs:
    """Clones of inference tensors, made outside."""
    return inferred_cases(
        cell, ("x.clone()", "torch.clone(x)", "x.view_as(x).clone()"), ((), (NO_GRAD,), (INFERENCE, NO_INFERENCE))
    )


def saved_outside(cell: Cell) -> Inputs:
    """Recorded operations that need an inference tensor for the gradient."""
    return inferred_cases(cell, SAVING_X, ((), (NO_INFERENCE,)))


def used_outside(cell: Cell) -> Inputs:
    """Recorded operations on an inference tensor whose gradient does not need it."""
    return inferred_cases(cell, NOT_SAVING_X, ((), (NO_INFERENCE,)))


def computed_without_grad(cell: Cell) -> Inputs:
    """Operations on inference tensors that are not recorded."""
    calls = (*NOT_SAVING_X, *SAVING_X[:5])
    return inferred_cases(cell, calls, ((NO_GRAD,), (NO_INFERENCE, NO_GRAD), (INFERENCE,)))
