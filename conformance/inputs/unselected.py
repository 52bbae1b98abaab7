"""Unselected: operations that use some elements of a tensor whose others are NaN or infinite.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import enumerated
from conformance.inputs.kinks import KINK_DTYPES, KINK_LAYOUTS, Selection, make_selection
from conformance.inputs.tensors import strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class SelectionBesideNaN(Selection):
    """A selection from a tensor in which NaN and infinities stand for the elements that are not used."""

    def code(self) -> str:
        """The same in plain torch."""
        made = f"x = {self.plan.code()}.requires_grad_()\ny = {listings.selected(self.name, self.used)}"
        return f"{made}\ny.sum().backward()\nprint(x.grad)"


def selections_beside_nan(cell: Cell) -> Inputs:
    """Selections from tensors that are NaN or infinite wherever they are not selected."""
    shapes = ((2, 3), (3, 2), (4, 3))
    return enumerated(
        make_selection_beside_nan, cell.target.device, shapes, KINK_LAYOUTS, KINK_DTYPES, (cell.subject.name,),
        (("nan",), ("nan", "inf", "-inf"), ("-inf",)),
    )  # fmt: skip


def make_selection_beside_nan(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, name: str, others: tuple[str, ...]
) -> SelectionBesideNaN:
    """The case of one choice of each factor."""
    plain = make_selection(device, shape, layout, dtype, name)
    odd = np.resize(np.array([float(x) for x in others]), shape)
    data = np.where(plain.used, plain.plan.array.astype(np.float64), odd)
    return SelectionBesideNaN(name, strided(dtype, shape, layout, tuple(data.reshape(-1).tolist()), device))
