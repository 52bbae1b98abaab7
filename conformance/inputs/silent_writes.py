"""Silent writes: values that require grad, written to a tensor while no gradients are recorded.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# The write of a value ``v`` of one row to a tensor ``x`` of two, and the same in NumPy, where that is another.
SILENT_WRITES = {
    "x[1] = v": "", "x[-1] = v[0]": "", "x[:, ...] = v": "", "x[[1, 0]] = v": "", "x[x > -100] = v[0]": "",
    "x.copy_(v)": "x[...] = v", "x.add_(v)": "x += v", "x.mul_(v)": "x *= v", "x.sub_(v, alpha=2)": "x -= 2 * v",
    "x.index_put_((torch.tensor([1]),), v)": "x[[1]] = v", "x.fill_(v[0])": "x[...] = v[0]",
    "x.masked_fill_(x > -100, v[0])": "x[...] = v[0]", "x.index_copy_(0, torch.tensor([1]), v[None])": "x[1] = v",
    "x.index_fill_(0, torch.tensor([1]), v[0])": "x[1] = v[0]",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SilentWrite:
    """``with torch.no_grad(): write``, of a leaf that requires grad or of what is computed from one."""

    write: str
    self_: Strided
    value: Strided
    leaf: bool

    def run(self, x: torch.Tensor) -> None:
        """The write to ``x``."""
        v = self.value.build().requires_grad_()
        scope = {"torch": torch, "x": x, "v": v if self.leaf else v * 1}
        with torch.no_grad():
            exec(self.write, scope)

    def expected(self) -> np.ndarray:
        """What NumPy makes of it."""
        scope = {"x": self.self_.array.copy(), "v": self.value.array}
        exec(SILENT_WRITES[self.write] or self.write, scope)
        found: np.ndarray = scope["x"]
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return self.self_.facets()

    def code(self) -> str:
        """The write in plain torch."""
        value = f"{self.value.code()}.requires_grad_(){'' if self.leaf else ' * 1'}"
        lines = [
            "import torch",
            f"x = {self.self_.code()}",
            f"v = {value}",
            "with torch.no_grad():",
            f"    {self.write}",
        ]
        return "\n".join([*lines, "print(x)"])

    def reductions(self) -> Iterator[SilentWrite]:
        """The same of a plainer self."""
        for plan in self.self_.reductions():
            if plan.shape == self.self_.shape:
                yield replace(self, self_=plan)


def silent_writes(cell: Cell) -> Inputs:
    """Every write to a tensor of each layout, of a leaf and of another."""
    found = []
    for turn, (write, leaf) in enumerate(product(SILENT_WRITES, (True, False))):
        dtype = ("float32", "float64", "complex64")[turn % 3] if ">" not in write else "float64"
        layout = ("contiguous", "transposed", "stepped", "offset")[turn % 4]
        self_ = strided(dtype, (2, 3), layout, (1.0, -2.0, 0.5, 3.25), cell.target.device)
        value = strided(dtype, (3,), "contiguous", (2.5, -0.75, 7.0), cell.target.device)
        found.append(SilentWrite(write, self_, value, leaf))
    return Inputs(found)
