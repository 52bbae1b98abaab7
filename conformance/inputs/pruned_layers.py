"""Pruned layers: linear layers and what torch.nn.utils.prune is told to take away of their weights, in steps.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.l1_unstructured.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.frozen_modules import generator_kept

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

PRUNED_SHAPE = (4, 6)
PRUNING_STEPS: tuple[tuple[str, ...], ...] = (
    ("identity()",),
    ("l1_unstructured(amount=3)",),
    ("l1_unstructured(amount=0.25)",),
    ("l1_unstructured(amount=0.5)", "l1_unstructured(amount=0.25)"),
    ("l1_unstructured(amount=4)", "l1_unstructured(amount=0.5)", "l1_unstructured(amount=3)"),
    ("ln_structured(amount=1, n=2, dim=0)",),
    ("ln_structured(amount=0.5, n=1, dim=1)",),
    ("ln_structured(amount=2, n=float('inf'), dim=1)",),
    ("ln_structured(amount=1, n=2, dim=0)", "ln_structured(amount=2, n=1, dim=1)"),
    ("ln_structured(amount=1, n=2, dim=0)", "l1_unstructured(amount=0.5)"),
    ("custom_from_mask(mask=MASK)",),
    ("custom_from_mask(mask=MASK)", "l1_unstructured(amount=2)"),
    ("random_unstructured(amount=5)",),
    ("l1_unstructured(amount=6)", "random_unstructured(amount=0.5)"),
    ("random_structured(amount=2, dim=0)",),
    ("random_structured(amount=2, dim=-1)",),
    ("l1_unstructured(amount=0)",),
    ("l1_unstructured(amount=24)",),
    ("l1_unstructured(amount=1.0)",),
)
PRUNING_MASK = tuple(n % 3 != 1 for n in range(24))


@dataclass(frozen=True)
class PrunedLayer:
    """A Linear whose weight is pruned by ``steps``, calls of torch.nn.utils.prune."""

    steps: tuple[str, ...]
    dtype: str = "float32"
    scored: bool = False  # by importance scores in the place of the weight
    device: str = "cpu"

    def weight(self) -> np.ndarray:
        """The numbers of the weight, with different magnitudes."""
        numbers = [(1 if n % 2 else -1) * (1 + n * 11 % 24) for n in range(24)]
        return np.array(numbers, dtype=np.float64).reshape(PRUNED_SHAPE)

    def scores(self) -> np.ndarray:
        """The importance of each number."""
        found = np.array([1 + n * 7 % 24 for n in range(24)], dtype=np.float64).reshape(PRUNED_SHAPE)
        return found if self.scored else np.abs(self.weight())

    def mask(self) -> torch.Tensor:
        """A mask that is given."""
        return torch.tensor(PRUNING_MASK, device=self.device).reshape(PRUNED_SHAPE).to(getattr(torch, self.dtype))

    def plain(self) -> Any:
        """The layer as it is before."""
        with generator_kept(self.device):
            module = torch.nn.Linear(6, 4).to(self.device, getattr(torch, self.dtype))
        with torch.no_grad():
            module.weight.copy_(torch.tensor(self.weight().tolist()))
        return module

    def step(self, module: Any, number: int) -> Any:
        """One of the steps; returns what the function returns."""
        name, _, rest = self.steps[number].partition("(")
        scores = torch.tensor(self.scores().tolist(), dtype=getattr(torch, self.dtype), device=self.device)
        kinds = ("l1_unstructured", "ln_structured")
        given = ", importance_scores=scores" if self.scored and name in kinds else ""
        call = f"prune.{name}(module, 'weight', {rest[:-1]}{given})"
        space = {"prune": pruning(), "module": module, "MASK": self.mask(), "scores": scores}
        with generator_kept(self.device):
            torch.manual_seed(5)
            return eval(call, space)

    def build(self) -> Any:
        """The layer after all steps."""
        module = self.plain()
        for number in range(len(self.steps)):
            self.step(module, number)
        return module

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "calls": [step.partition("(")[0] for step in self.steps]}

    def reductions(self) -> Iterator[PrunedLayer]:
        """Fewer steps."""
        for n in range(len(self.steps) if len(self.steps) > 1 else 0):
            yield replace(self, steps=self.steps[:n] + self.steps[n + 1 :])

    def code(self) -> str:
        """The same in plain torch."""
        lines = [
            "import torch.nn.utils.prune as prune", f"m = torch.nn.Linear(6, 4, dtype=torch.{self.dtype})",
            f"m.weight.data = torch.tensor({self.weight().tolist()}, dtype=torch.{self.dtype})",
        ]  # fmt: skip
        if any("MASK" in step for step in self.steps):
            lines.append(f"MASK = torch.tensor({PRUNING_MASK}).reshape({PRUNED_SHAPE})")
        if self.scored:
            lines.append(f"scores = torch.tensor({self.scores().tolist()})")
        for step in self.steps:
            name, _, rest = step.partition("(")
            given = ", importance_scores=scores" if self.scored and name in ("l1_unstructured", "ln_structured") else ""
            lines.append(f"prune.{name}(m, 'weight', {rest[:-1]}{given})")
        return "\n".join([*lines, "print(m.weight_mask, m.weight, prune.is_pruned(m))", "prune.remove(m, 'weight')",
                          "print(m.state_dict())"])  # fmt: skip


def pruning() -> Any:
    """The module torch.nn.utils.prune."""
    import torch.nn.utils.prune

    return torch.nn.utils.prune


def pruned_layers(cell: Cell) -> Inputs:
    """Each list of steps, in both types."""
    device = cell.target.device
    return Inputs(
        [PrunedLayer(steps, ("float32", "float64")[n % 2], False, device) for n, steps in enumerate(PRUNING_STEPS)]
    )


def scored_layers(cell: Cell) -> Inputs:
    """Steps that go by importance scores."""
    rows = [steps for steps in PRUNING_STEPS if len(steps) == 1 and steps[0].startswith("l")]
    return Inputs([PrunedLayer(steps, "float32", True, cell.target.device) for steps in rows])
