"""Shared leaves: two leaves that require grad and lie, in part or wholly, in one storage.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.grad.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.crossings import Form
from conformance.inputs.leaves import DIFFERENTIABLE_TYPES, LEAF_FORMS, planned
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# How the second leaf is made of the first one's memory.
SHARINGS = ("x.detach()", "x.detach()[..., :1]", "x.detach().permute(tuple(reversed(range(x.dim()))))",
            "x.detach().view_as(x)", "x.data", "torch.nn.Parameter(x.detach())", "x.detach()[None]")  # fmt: skip


@dataclass(frozen=True, eq=False)
class SharedLeaves:
    """A leaf, another one in its memory, and how often backward reaches the one and the other."""

    plan: Strided
    sharing: str
    uses: tuple[int, int]

    def build(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Both leaves."""
        x = self.plan.build().requires_grad_()
        return x, eval(self.sharing, {"torch": torch, "x": x}).requires_grad_()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.sharing, "uses": str(self.uses)}

    def reductions(self) -> Iterator[SharedLeaves]:
        """Simpler leaves."""
        for plan in self.plan.reductions():
            if plan.shape or "..." not in self.sharing:
                yield replace(self, plan=plan)

    def code(self) -> str:
        """The leaves in plain torch."""
        made = [f"x = {self.plan.code()}.requires_grad_()", f"y = {self.sharing}.requires_grad_()"]
        for name, factor, times in zip("xy", (2, -3), self.uses, strict=True):
            made += [f"for _ in range({times}):", f"    ({name} * {factor}).backward(torch.ones_like({name}))"]
        return "\n".join(made)


def make_shared(device: str, sharing: str, dtype: str, form: Form, uses: tuple[int, int]) -> SharedLeaves:
    """Two leaves; those of no dimension have nothing to slice."""
    return SharedLeaves(planned(device, dtype, form), sharing if form[0] or "..." not in sharing else SHARINGS[0], uses)


def shared_leaves(cell: Cell) -> Inputs:
    """Both leaves used, or one, or one of them twice."""
    uses = ((1, 1), (1, 0), (0, 1), (2, 1), (1, 2))
    return crossed(make_shared, cell.target.device, SHARINGS, DIFFERENTIABLE_TYPES, LEAF_FORMS, uses, passes=1)
