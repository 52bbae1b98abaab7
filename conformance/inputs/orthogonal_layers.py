"""Orthogonal layers: layers whose weight is parametrized as an orthogonal matrix, or as a batch of such.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.frozen_modules import generator_kept

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ORTHOGONAL_LAYERS = ("Linear(3, 5)", "Linear(5, 3)", "Linear(4, 4)", "Linear(3, 1)", "Conv1d(3, 2, 2)")


@dataclass(frozen=True)
class OrthogonalLayer:
    """A layer with an orthogonal weight, by a map, with or without the trivialization."""

    layer: str
    by: str | None = None
    trivialized: bool = True
    dtype: str = "float64"
    device: str = "cpu"

    def build(self) -> Any:
        """The layer, parametrized."""
        with generator_kept(self.device):
            torch.manual_seed(3)
            module = eval(f"nn.{self.layer}", {"nn": torch.nn}).to(self.device, getattr(torch, self.dtype))
            made = torch.nn.utils.parametrizations.orthogonal
            return made(module, "weight", self.by, use_trivialization=self.trivialized)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer.partition("(")[0], "dtypes": self.dtype, "maps": str(self.by)}

    def code(self) -> str:
        """The same in plain torch."""
        options = f"'weight', {self.by!r}, use_trivialization={self.trivialized}"
        return "\n".join([
            "import torch", f"m = torch.nn.{self.layer}.to({self.device!r}, torch.{self.dtype})",
            f"m = torch.nn.utils.parametrizations.orthogonal(m, {options})",
            "for w in (m.weight, m.weight.mT):", "    print(w @ w.mT)",
        ])  # fmt: skip


def orthogonal_layers(cell: Cell) -> Inputs:
    """Each layer and map, and the map that is chosen where none is said."""
    rows = product(ORTHOGONAL_LAYERS, (None, "matrix_exp", "cayley", "householder"), (True, False))
    found = []
    for number, (layer, by, trivialized) in enumerate(rows):
        dtype = ("float64", "float32")[number % 3 == 0]
        found.append(OrthogonalLayer(layer, by, trivialized, dtype, cell.target.device))
    return Inputs(found)
