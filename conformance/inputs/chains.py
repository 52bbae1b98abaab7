"""Chains: a leaf and a few steps, one after the other, whose gradients are known without autograd.

Each step is pulled back by NumPy, in numbers that every element type holds exactly.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.leaves import DIFFERENTIABLE_TYPES, LEAF_FORMS, planned
from conformance.inputs.listings import within
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

CHAIN_SEED = (1, -2, 0.5, 4, -0.25)  # what backward starts from: exact in every type
CHAIN_STEPS = {
    "scaled": "{} * 2", "negated": "-{}", "shifted": "{} + 1", "added": "{0} + {0}", "squared": "{0} * {0}",
    "cloned": "{}.clone()", "viewed": "{0}.view_as({0})", "turned": "{0}.permute(tuple(reversed(range({0}.dim()))))",
    "flattened": "{}.reshape(-1)", "picked": "{}[..., :1]", "widened": "{0}.expand(2, *{0}.shape)",
    "summed": "{}.sum()", "lifted": "{}.unsqueeze(0)", "unbound": "{0}.expand(2, *{0}.shape).unbind(0)[1]",
    "chunked": "{0}.expand(2, *{0}.shape).clone().chunk(2)[1]",
}  # fmt: skip
CHAIN_VIEWS = ("viewed", "turned", "lifted", "picked", "widened", "unbound", "chunked")
# The last step of each is not a view, so that nothing is computed for nobody.
CHAIN_ROUTES = (
    ("scaled", "negated"), ("viewed", "scaled"), ("cloned", "turned", "added"), ("squared", "flattened", "scaled"),
    ("lifted", "widened", "summed"), ("scaled", "lifted", "squared"), ("turned", "cloned", "lifted", "shifted"),
    ("added", "viewed", "unbound", "negated"), ("cloned", "lifted", "picked", "scaled"), ("negated", "summed", "added"),
    ("flattened", "flattened", "squared", "summed"), ("chunked", "turned", "widened", "scaled"),
)  # fmt: skip
MOMENTS = ("while built", "when built", "without grad")


@dataclass(frozen=True, eq=False)
class Chain:
    """``steps`` from a leaf on; ``retain_grad`` of the values numbered in ``kept`` (0 is the leaf).

    ``moment`` says when: as soon as the value is there, when the whole chain is built, or then and under no_grad.
    ``rounds`` is how often backward runs.
    """

    plan: Strided
    steps: tuple[str, ...]
    kept: tuple[int, ...] = ()
    moment: str = "while built"
    rounds: int = 1

    def build(self) -> list[torch.Tensor]:
        """The leaf and what each step made, with gradients retained as asked for."""
        values = [self.plan.build().requires_grad_()]
        for number in range(len(self.steps) + 1):
            if self.moment == "while built" and number in self.kept:
                values[number].retain_grad()
            if number < len(self.steps):
                values.append(step_from(values[number], self.steps[number]))
        if self.moment != "while built":
            with torch.set_grad_enabled(self.moment == "when built"):
                for number in self.kept:
                    values[number].retain_grad()
        return values

    def backward(self, values: list[torch.Tensor]) -> None:
        """Run backward from the last value as often as asked for."""
        for number in range(self.rounds):
            values[-1].backward(self.seed(values).build(), retain_graph=number + 1 < self.rounds)

    def seed(self, values: list[torch.Tensor]) -> Strided:
        """The gradient that backward starts from."""
        return strided(self.plan.dtype, tuple(values[-1].shape), "contiguous", CHAIN_SEED, self.plan.device)

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The values, as NumPy computes them."""
        wide = np.complex128 if self.plan.dtype.startswith("complex") else np.float64
        found = [self.plan.array.astype(wide)]
        for step in self.steps:
            found.append(step_of_array(found[-1], step))
        return found

    @cached_property
    def gradients(self) -> list[np.ndarray]:
        """The gradient by each of the values after one backward."""
        last = self.arrays[-1]
        found = [np.resize(np.array(CHAIN_SEED), last.shape).astype(last.dtype)]
        for step, value in zip(reversed(self.steps), reversed(self.arrays[:-1]), strict=True):
            found.append(pulled_back(found[-1], step, value))
        return found[::-1]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "steps": self.steps, "moments": self.moment, "rounds": str(self.rounds)}

    def reductions(self) -> Iterator[Chain]:
        """Shorter chains from simpler leaves."""
        for number in range(len(self.steps)):
            if len(self.steps) > 1:
                # what is retained stays retained, though of another step's value
                kept = tuple(max(k - (k > number), min(k, 1)) for k in self.kept)
                kept = kept if len(set(self.kept)) < len(self.kept) else tuple(dict.fromkeys(kept))
                yield replace(self, steps=self.steps[:number] + self.steps[number + 1 :], kept=kept)
        if self.rounds > 1:
            yield replace(self, rounds=1)
        if self.moment != "while built":
            yield replace(self, moment="while built")
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def code(self) -> str:
        """The chain in plain torch."""
        lines = [f"v0 = {self.plan.code()}.requires_grad_()"]
        early = self.moment == "while built"
        for number in range(len(self.steps) + 1):
            lines += [f"v{number}.retain_grad()"] * self.kept.count(number) if early else []
            if number < len(self.steps):
                lines.append(f"v{number + 1} = {CHAIN_STEPS[self.steps[number]].format(f'v{number}')}")
        retained = [] if early else [f"v{number}.retain_grad()" for number in self.kept]
        lines += [within(["torch.no_grad()"], *retained)] if retained and "without" in self.moment else retained
        last = f"v{len(self.steps)}"
        seed = f"torch.tensor({CHAIN_SEED}, dtype={last}.dtype).repeat({last}.numel())[:{last}.numel()].view_as({last})"
        shown = f"print([v.grad for v in ({', '.join(f'v{n}' for n in range(len(self.steps) + 1))})])"
        return "\n".join([*lines, *[f"{last}.backward({seed}, retain_graph=True)"] * self.rounds, shown])


def step_from(x: torch.Tensor, step: str) -> torch.Tensor:
    """One step by torch."""
    found: torch.Tensor = eval(CHAIN_STEPS[step].format("x"), {"x": x})
    return found


def step_of_array(x: np.ndarray, step: str) -> np.ndarray:
    """One step by NumPy."""
    if step == "scaled" or step == "added":
        return np.asarray(2 * x)
    if step == "squared":
        return np.asarray(x * x)
    if step == "turned":
        return x.transpose()
    if step == "flattened":
        return x.reshape(-1)
    if step == "picked":
        return x[..., :1]
    if step == "widened":
        return np.stack([x, x])
    if step == "summed":
        return np.asarray(x.sum())
    if step in ("lifted", "chunked"):
        return x[None]
    return {"negated": -x, "shifted": x + 1}.get(step, x)


def pulled_back(gradient: np.ndarray, step: str, x: np.ndarray) -> np.ndarray:
    """The gradient by what a step started from, by the chain rule."""
    if step == "scaled" or step == "added":
        return np.asarray(2 * gradient)
    if step == "squared":
        return np.asarray(2 * gradient * np.conj(x))
    if step == "turned":
        return gradient.transpose()
    if step == "picked":
        found = np.zeros_like(x)
        found[..., :1] = gradient
        return found
    if step == "widened":
        return np.asarray(gradient.sum(0))
    if step == "summed":
        return np.full(x.shape, gradient)
    if step in ("flattened", "lifted", "chunked"):
        return gradient.reshape(x.shape)
    return -gradient if step == "negated" else gradient


# --- sources ----------------------------------------------------------------------------------------------------


def _chains(cell: Cell, kept: tuple[str, ...], rounds: tuple[int, ...]) -> Inputs:
    from hypothesis import strategies as st

    factors = (CHAIN_ROUTES, DIFFERENTIABLE_TYPES, LEAF_FORMS, kept, MOMENTS, rounds)
    device = cell.target.device
    return Inputs(
        [make_chain(device, *row) for row in covering(*factors)],
        st.tuples(*map(st.sampled_from, factors)).map(lambda row: make_chain(device, *row)),
    )


def make_chain(device: str, steps: Any, dtype: str, form: Any, which: str, moment: str, rounds: int) -> Chain:
    """A chain; ``which`` of its values keep their gradient."""
    last = len(steps)
    kept = {
        "none": (), "leaf": (0,), "first": (1,), "last": (last,), "views": tuple(
            number + 1 for number, step in enumerate(steps) if step in CHAIN_VIEWS
        ), "all": tuple(range(last + 1)), "inner": tuple(range(1, last)), "twice": (1, 1, 1),
    }[which]  # fmt: skip
    if "picked" in steps and not form[0]:
        form = ((1,), form[1])
    return Chain(planned(device, dtype, form), steps, kept, moment, rounds)


def plain_chains(cell: Cell) -> Inputs:
    """Chains that retain nothing."""
    return _chains(cell, ("none",), (1,))


def keeping_chains(cell: Cell) -> Inputs:
    """Chains that retain gradients of one value, of several, of all views or of all."""
    return _chains(cell, ("first", "last", "views", "all", "inner"), (1,))


def repeated_chains(cell: Cell) -> Inputs:
    """The same, with two and three backward calls."""
    return _chains(cell, ("first", "last", "views", "all"), (2, 3))


def chains_kept_twice(cell: Cell) -> Inputs:
    """Chains with several calls of retain_grad on one value."""
    return _chains(cell, ("twice",), (1, 2))


def chains_kept_at_the_leaf(cell: Cell) -> Inputs:
    """Chains with retain_grad on the leaf."""
    return _chains(cell, ("leaf",), (1, 2))
