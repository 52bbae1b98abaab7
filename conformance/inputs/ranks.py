"""Ranks: what takes elements of a tensor by their order, with equals among them.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import enumerated
from conformance.inputs.kinks import KINK_LAYOUTS
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

RANKED = ((2.0, 2.0, -1.0, 2.0, -1.0), (3.0,), (-1.0, 4.0, 4.0), (0.0, 0.0, -0.0, 1.0), (5.0, 1.0, 3.0, -2.0, 4.0))
# Incoming gradients, repeated: no sum of some of them is another one, and all are exact.
RANK_WEIGHTS = (2.0, 16.0, 1.0, 8.0, 4.0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """``call`` of ``x``, which takes elements by their order, along ``dim`` where it says so."""

    text: str
    plan: Strided
    dim: int

    @property
    def call(self) -> str:
        """The call in plain torch."""
        return self.text.format(dim=self.dim)

    @property
    def along(self) -> int | None:
        """The dimension along which elements are taken; None for all of them."""
        return self.dim if "{dim}" in self.text else 0 if "msort" in self.text else None

    def leaf(self) -> torch.Tensor:
        """A new leaf."""
        return self.plan.build().requires_grad_()

    def taken(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The values, and the indices where it returns them."""
        found = eval(self.call, {"torch": torch, "x": x})
        return (found, None) if isinstance(found, torch.Tensor) else (found[0], found[1])

    def pulled_back(self, values: torch.Tensor, leaf: torch.Tensor) -> tuple[np.ndarray, Any]:
        """The gradient that the values are given, and what the leaf gets of it."""
        incoming = np.resize(np.array(RANK_WEIGHTS), prod(values.shape)).reshape(tuple(values.shape))
        (found,) = torch.autograd.grad(values, leaf, torch.from_numpy(incoming).to(values.device, values.dtype))
        return incoming, found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "dims": str(self.along)}

    def reductions(self) -> Iterator[Ranking]:
        """The same on a plainer layout, then on a vector."""
        for shape, dim in ((self.plan.shape, self.dim), ((5,), 0), ((3,), 0)):
            if prod(shape) < prod(self.plan.shape) or self.plan.layout != "contiguous":
                plain = strided(self.plan.dtype, shape, data=self.plan.data, device=self.plan.device)
                yield replace(self, plan=plain, dim=dim)

    def code(self) -> str:
        """The same in plain torch."""
        made = f"x = {self.plan.code()}.requires_grad_()\ny = {self.call}\ny = y if torch.is_tensor(y) else y[0]"
        return f"{made}\ny.backward({listings.repeated(RANK_WEIGHTS, 'y')})\nprint(x.grad)"


def make_ranking(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, data: tuple[float, ...], dim: int, text: str
) -> Ranking:
    """The case of one choice of each factor."""
    return Ranking(text, strided(dtype, shape, layout, data, device), dim)


def rankings(cell: Cell) -> Inputs:
    """Vectors and more in which some elements, all or none are equal."""
    shapes = ((5,), (2, 3), (3, 2), (2, 3, 4), (4, 33))
    return enumerated(
        make_ranking, cell.target.device, shapes, KINK_LAYOUTS, ("float64", "float32"), RANKED, (-1, 0),
        (cell.subject.call,),
    )  # fmt: skip
