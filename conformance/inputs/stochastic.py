"""Stochastic modules: rows of the catalogue ``stochastic_modules``, built and applied to one tensor.

Reference: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.checkpoints import BOTH_MODES, CheckpointUse, seeded
from conformance.inputs.covering import covering
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class StochasticUse(CheckpointUse):
    """The same of what a row of the catalogue makes, with a seed."""

    makes: str = "nn.Dropout"
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    call: str = "module"
    seed: int = 0

    def make(self) -> RandomStep:
        """The module, in training and of the plan's type and device, or the function."""
        made = reduce(getattr, self.makes.split("."), torch)
        options = dict(self.options)
        if self.call in ("function", "factor", "query"):
            return RandomStep(made, self.call, options)
        module = made(*self.args, **options).to(device=self.plan.device, dtype=getattr(torch, self.plan.dtype))
        return RandomStep(module.train(), self.call, {})

    def run(self, call: Any, step: RandomStep) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The result of ``call``, from this seed on, and the gradients by the leaf and by the step's parameters."""
        leaf, x = self.start()
        leaves = [leaf, *step.parameters()]
        with seeded(self.seed, self.plan.device):
            found = call(x)
            torch.rand(5, device=self.plan.device)  # as whatever comes before backward draws
            if found.requires_grad:
                self.go_back(found)
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        for parameter in step.parameters():
            parameter.grad = None
        return found, gradients

    def reductions(self) -> Iterator[StochasticUse]:
        """The same of a leaf."""
        if self.state != "leaf":
            yield replace(self, state="leaf")

    def code(self) -> str:
        """What the case does, in plain torch."""
        options = "".join(f", {name}={value!r}" for name, value in self.options)
        given = {"attention": "x, x, x", "query": "x, x, x", "memory": "x, x", "copied": "x * 1"}.get(self.call, "x")
        if self.call == "factor":
            step = f"step = lambda x: (x * torch.{self.makes}(x.detach(){options})).sin()"
        elif self.call in ("function", "query"):
            step = f"step = lambda x: torch.{self.makes}({given}{options})"
        else:
            made = ", ".join([*map(repr, self.args), *([options.removeprefix(", ")] if options else [])])
            step = f"module = torch.{self.makes}({made}).to(torch.{self.plan.dtype})\nstep = lambda x: module({given})"
        result = "(found[0] if isinstance(found, tuple) else found).sum().backward()"
        call = "found = step(x)" if self.mode == "plain" else (
            f"found = checkpoint(step, x, use_reentrant={self.mode == 'reentrant'})"
        )  # fmt: skip
        made = f"x = {self.plan.code()}.requires_grad_()"
        return "\n".join(
            [listings.CHECKPOINT, f"torch.manual_seed({self.seed})", made, step, call, result, "print(found, x.grad)"]
        )


class RandomStep:
    """One random step of a network, from one tensor to one tensor."""

    def __init__(self, step: Any, call: str, options: dict[str, Any]) -> None:
        self.step, self.call, self.options = step, call, options

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        given = {"attention": (x, x, x), "query": (x, x, x), "memory": (x, x), "copied": (x * 1,)}.get(self.call, (x,))
        found = self.step(*(v.detach() for v in given), **self.options) if self.call == "factor" else None
        if found is not None:
            return (x * found).sin()
        found = self.step(*given, **self.options)
        result: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return result * 1

    def parameters(self) -> list[torch.Tensor]:
        """The parameters of a module, and none of a function."""
        return list(self.step.parameters()) if isinstance(self.step, torch.nn.Module) else []


def packed_stochastic_uses(cell: Cell) -> Inputs:
    """One row by itself, in each state; types and seeds take turns, since modes meet every pair of them."""
    return stochastic_corners(
        cell, [("leaf", "float32", "plain", 0), ("product", "float64", "plain", 7), ("view", "float32", "plain", 7)]
    )


def stochastic_uses(cell: Cell) -> Inputs:
    """One row in both modes, of two types, in each state, with several seeds."""
    return stochastic_corners(cell, covering(("leaf", "product", "view"), ("float32", "float64"), BOTH_MODES, (0, 7)))


def stochastic_corners(cell: Cell, rows: list[Any]) -> Inputs:
    """Corners alone: what differs from call to call are the random numbers, and these follow from the seed."""
    row = cell.subject
    fixed = (row.makes, tuple(row.args), tuple(row.options.items()), row.call, tuple(row.shape))
    return Inputs(
        [stochastic_use(cell.target.device, fixed, dtype, mode, state, seed) for state, dtype, mode, seed in rows]
    )


def stochastic_use(device: str, fixed: tuple[Any, ...], dtype: str, mode: str, state: str, seed: int) -> StochasticUse:
    """One case of one choice of each factor."""
    makes, args, options, call, shape = fixed
    plan = corner(dtype, shape, "contiguous", "ordinary", "any", device)
    return StochasticUse(plan, mode, state, "", makes, args, options, call, seed)
