"""Normed weights: layers with weight or spectral normalization, and layers that are pruned.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.frozen_modules import generator_kept

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# A layer, the shape of its weight, and of an input.
NORMED_LAYERS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("Linear(3, 4)", (4, 3), (2, 3)),
    ("Linear(4, 1, bias=False)", (1, 4), (3, 4)),
    ("Conv1d(2, 3, 2)", (3, 2, 2), (1, 2, 5)),
    ("Conv2d(2, 4, 3)", (4, 2, 3, 3), (1, 2, 4, 4)),
    ("ConvTranspose1d(2, 3, 2)", (2, 3, 2), (1, 2, 5)),
    ("Embedding(4, 3)", (4, 3), ()),
)
SEPARATED = np.array([4.0, 1.0, 0.5, 0.25, 0.125, 0.1, 0.05, 0.025])


@dataclass(frozen=True)
class NormedLayer:
    """A layer whose ``weight`` is normed: by ``hook`` of old, or by ``parametrization``."""

    layer: str
    shape: tuple[int, ...]
    taken: tuple[int, ...]
    norm: str = "weight"  # or spectral
    way: str = "parametrization"
    dim: int | None = 0
    dtype: str = "float64"
    iterations: int = 1
    device: str = "cpu"

    def weight(self) -> np.ndarray:
        """The numbers of the weight; for spectral norms of a matrix of known singular values."""
        count = int(np.prod(self.shape))
        numbers = (np.arange(count, dtype=np.float64) * 7 % 11 - 4.5) / 4
        if self.norm == "weight":
            return numbers.reshape(self.shape)
        front = self.shape[self.rows_dim]
        rest = tuple(n for place, n in enumerate(self.shape) if place != self.rows_dim)
        matrix = numbers.reshape(front, -1)
        left, _, right = np.linalg.svd(matrix + np.eye(*matrix.shape), full_matrices=False)
        found = (left * SEPARATED[: min(matrix.shape)]) @ right
        return np.moveaxis(found.reshape(front, *rest), 0, self.rows_dim)

    @property
    def rows_dim(self) -> int:
        """The dimension of the outputs."""
        return 1 if self.layer.startswith("ConvTranspose") else 0

    def plain(self) -> Any:
        """The layer without a norm."""
        with generator_kept(self.device):
            module = eval(f"nn.{self.layer}", {"nn": torch.nn}).to(self.device, getattr(torch, self.dtype))
        with torch.no_grad():
            module.weight.copy_(torch.tensor(self.weight().tolist(), dtype=torch.float64))
        return module

    def apply(self, module: Any) -> Any:
        """The norm on a layer; returns what the function returns."""
        home: Any = torch.nn.utils if self.way == "hook" else torch.nn.utils.parametrizations
        with generator_kept(self.device):
            torch.manual_seed(3)
            if self.norm == "weight":
                return home.weight_norm(module, "weight", self.dim)
            return home.spectral_norm(module, "weight", self.iterations)

    def build(self) -> Any:
        """The layer with its norm."""
        return self.apply(self.plain())

    def input(self) -> torch.Tensor:
        """Something that the layer takes."""
        if not self.taken:
            return torch.tensor([0, 3, 1], device=self.device)
        count = int(np.prod(self.taken))
        numbers = torch.tensor([n % 5 - 1.5 for n in range(count)], dtype=getattr(torch, self.dtype))
        return numbers.reshape(self.taken).to(self.device)

    def parts(self, module: Any) -> tuple[Any, Any]:
        """Magnitude and direction."""
        if self.way == "hook":
            return module.weight_g, module.weight_v
        return module.parametrizations.weight.original0, module.parametrizations.weight.original1

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer.partition("(")[0], "dtypes": self.dtype, "dims": str(self.dim), "ways": self.way}

    def reductions(self) -> Iterator[NormedLayer]:
        """Another layer."""
        layer, shape, taken = NORMED_LAYERS[0]
        if self.layer != layer and self.dim in (0, None):
            yield replace(self, layer=layer, shape=shape, taken=taken)

    def code(self) -> str:
        """The same in plain torch."""
        home = "torch.nn.utils" if self.way == "hook" else "torch.nn.utils.parametrizations"
        rest = f", dim={self.dim}" if self.norm == "weight" else f", n_power_iterations={self.iterations}"
        kind = f"dtype=torch.{self.dtype}, device={self.device!r}"
        return "\n".join([
            f"m = torch.nn.{self.layer}.to({self.device!r}, torch.{self.dtype})",
            f"m.weight.data = torch.tensor({self.weight().tolist()}, {kind})", "before = m.weight.detach().clone()",
            f"m = {home}.{self.norm}_norm(m, 'weight'{rest})", "print(m.state_dict())",
            f"x = torch.tensor({self.input().tolist()}, device={self.device!r})", "x = x.to(m.weight.dtype)"
            if self.taken else "x = x", "print(m(x), m.weight, before)",
        ])  # fmt: skip


def normed_weights(cell: Cell) -> Inputs:
    """Each layer, dimension and way of weight norms, in both types."""
    device, found = cell.target.device, []
    rows = product(NORMED_LAYERS, (0, 1, None, "last"), ("parametrization", "hook"))
    for number, (row, place, way) in enumerate(rows):
        dim = len(row[1]) - 1 if isinstance(place, str) else place
        found.append(NormedLayer(*row, "weight", way, dim, ("float64", "float32")[number % 3 == 0], device=device))
    return Inputs(found)


def parametrized_norms(cell: Cell) -> Inputs:
    """Those by parametrizations."""
    return Inputs([case for case in normed_weights(cell).corners if case.way == "parametrization"])


def hooked_norms(cell: Cell) -> Inputs:
    """Those by hooks."""
    return Inputs([case for case in normed_weights(cell).corners if case.way == "hook"])


def spectral_weights(cell: Cell) -> Inputs:
    """Each layer with the spectral norm, many iterations of it."""
    rows = product(NORMED_LAYERS[:-1], ("parametrization", "hook"), ("float64", "float32"))
    device = cell.target.device
    return Inputs([NormedLayer(*row, "spectral", way, 0, dtype, 40, device) for row, way, dtype in rows])
