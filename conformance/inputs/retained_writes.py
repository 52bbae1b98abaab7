"""Retained writes: a non-leaf and a view of it, of which gradients are retained, and then one of them is written.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.chains import CHAIN_SEED
from conformance.inputs.covering import covering
from conformance.inputs.leaves import DIFFERENTIABLE_TYPES, planned
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

VIEWS_OF_BASE = (
    "base[..., :1]",
    "base.view_as(base)",
    "base.unsqueeze(0)",
    "base[...]",
    "base.reshape(-1)",
    "base.detach()",
)
WRITES_TO_IT = (
    "mul_(2)", "add_(1)", "copy_(torch.ones_like({}))", "zero_()", "neg_().mul_(4)", "mul_(2).add_(1)",
    "mul_(2).add_(1).neg_().mul_(2)",
)  # fmt: skip
RESHAPED_BY = ("t_()", "unsqueeze_(0)", "transpose_(0, 1)", "unsqueeze_(-1).mul_(2)", "squeeze_()")
WRITTEN_SHAPES = ((2, 3), (3, 1), (1, 2), (4, 4))


@dataclass(frozen=True, eq=False)
class RetainedWrite:
    """``base = leaf * 1`` and a view; those ``kept`` retain, ``target`` is written, backward starts at ``root``.

    They are told to retain before the write, or ``late``: after it.
    """

    plan: Strided
    view: str
    kept: tuple[str, ...]
    target: str
    write: str
    root: str
    late: bool = False

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Base and view after backward."""
        leaf = self.plan.build().requires_grad_()
        base = leaf * 1
        view = eval(self.view, {"base": base})
        tensors = {"base": base, "view": view}
        if not self.late:
            self.retain(tensors)
        eval(f"x.{self.write.format('x')}", {"torch": torch, "x": tensors[self.target]})
        if self.late:
            self.retain(tensors)
        root = tensors[self.root]
        root.backward(strided(self.plan.dtype, tuple(root.shape), "contiguous", CHAIN_SEED, self.plan.device).build())
        return base, view

    def retain(self, tensors: dict[str, torch.Tensor]) -> None:
        """Tell those that are to retain their gradient."""
        for name in self.kept:
            tensors[name].retain_grad()

    def gradient(self, name: str) -> np.ndarray:
        """The gradient by the current value of the root itself: what backward started from."""
        shape = np.empty(self.plan.shape)
        if name == "view":
            shape = eval(
                self.view.replace("view_as(base)", "view()").replace("unsqueeze(0)", "reshape(1, *base.shape)"),
                {"base": shape},
            )
        if self.write in RESHAPED_BY:
            shape = reshaped_array(shape, self.write)
        return np.resize(np.array(CHAIN_SEED), shape.shape).astype(self.plan.array.dtype)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            **self.plan.facets(),
            "views": self.view,
            "written": self.target,
            "writes": self.write,
            "roots": self.root,
        }

    def reductions(self) -> Iterator[RetainedWrite]:
        """Fewer tensors that retain, in the same frame."""
        if len(self.kept) > 1:
            yield replace(self, kept=(self.root,))

    def code(self) -> str:
        """The computation in plain torch."""
        lines = [f"leaf = {self.plan.code()}.requires_grad_()", "base = leaf * 1", f"view = {self.view}"]
        told = [f"{name}.retain_grad()" for name in self.kept]
        written = [f"{self.target}.{self.write.format(self.target)}"]
        lines += written + told if self.late else told + written
        return "\n".join([*lines, f"{self.root}.backward({listings.repeated(CHAIN_SEED, self.root)})"])


def reshaped_array(array: np.ndarray, write: str) -> np.ndarray:
    """What a method that changes the shape in place makes of an array."""
    if write.startswith("unsqueeze_"):
        return array[None] if "(0)" in write else array[..., None]
    return array.squeeze() if write == "squeeze_()" else array.swapaxes(0, 1)


def writes_through_views(cell: Cell, late: bool = False) -> Inputs:
    """Base or view retains, base or view is written, and backward starts at the one that retains."""
    keeping = (("base",), ("view",), ("base", "view"))
    found = []
    for view, kept, target, write, dtype, shape in covering(
        VIEWS_OF_BASE[:-1], keeping, ("base", "view"), WRITES_TO_IT, DIFFERENTIABLE_TYPES, WRITTEN_SHAPES
    ):
        for root in kept:
            found.append(
                RetainedWrite(
                    planned(cell.target.device, dtype, (shape, "contiguous")),
                    view,
                    kept,
                    target,
                    write,
                    root,
                    late,
                )
            )
    return Inputs(found)


def written_before_it_retains(cell: Cell) -> Inputs:
    """The same with base or view told to retain once the write is done."""
    return writes_through_views(cell, late=True)


def reframings(cell: Cell) -> Inputs:
    """The tensor retains, and then its shape changes in place."""
    rows = covering(RESHAPED_BY, DIFFERENTIABLE_TYPES, WRITTEN_SHAPES)
    device = cell.target.device
    return Inputs(
        [
            RetainedWrite(
                planned(device, dtype, (shape, "contiguous")), "base.detach()", ("base",), "base", write, "base"
            )
            for write, dtype, shape in rows
        ]
    )
