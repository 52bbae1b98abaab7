"""Foreign values: numbers and tensors without dimensions, of another kind than the tensor that they are written to.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.fill_.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

WAYS = ("fill_", "masked_fill_", "index_fill_", "assigned")
FOREIGN = (2.75, 3, True, False, 0.5, -2.75)


@dataclass(frozen=True, eq=False)
class ForeignValue:
    """``value`` written to all elements of ``self_`` in one of ``WAYS``; a plan stands for a 0-d tensor."""

    way: str
    self_: Strided
    value: Any

    def apply(self, x: torch.Tensor) -> None:
        """The write."""
        value = self.value.build() if isinstance(self.value, Strided) else self.value
        if self.way == "assigned":
            x[...] = value
        elif self.way == "fill_":
            x.fill_(value)
        elif self.way == "masked_fill_":
            x.masked_fill_(torch.ones(x.shape, dtype=torch.bool, device=x.device), value)
        else:
            x.index_fill_(0, torch.arange(x.shape[0], device=x.device), value)

    def given(self) -> np.ndarray:
        """The value as an array without dimensions."""
        return self.value.array if isinstance(self.value, Strided) else np.array(self.value)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.self_.facets(), "values": type(self.value).__name__}

    def code(self) -> str:
        """The write in plain torch."""
        value = self.value.code() if isinstance(self.value, Strided) else repr(self.value)
        every = {"masked_fill_": "torch.ones(x.shape, dtype=torch.bool), ", "index_fill_": "0, torch.arange(len(x)), "}
        call = f"x[...] = {value}" if self.way == "assigned" else f"x.{self.way}({every.get(self.way, '')}{value})"
        return f"import torch\nx = {self.self_.code()}\n{call}"

    def reductions(self) -> Iterator[ForeignValue]:
        """The same from a plainer self."""
        for plan in self.self_.reductions():
            if plan.shape == self.self_.shape:
                yield replace(self, self_=plan)


def foreign_values(cell: Cell) -> Inputs:
    """Every element type with every value of another kind, as a number and as a tensor of some other type."""
    device = cell.target.device
    names = family("bool", "integral", "floating", "complex")
    found = []
    for turn, (dtype, value) in enumerate(product(names, FOREIGN)):
        plan = corner(dtype, ((5,), (2, 3), (1,))[turn % 3], DISJOINT[turn % 6], "ordinary", "any", device)
        kind = {"bool": bool, "unsigned": int, "signed": int, "floating": float}.get(ELEMENT_TYPES[dtype].kind)
        if type(value) is kind or (value < 0 and ELEMENT_TYPES[dtype].kind == "unsigned"):
            continue
        of = {bool: "bool", int: "int64", float: "float32"}[type(value)]
        for step in (0, 1):
            way = WAYS[(turn + 2 * step + turn // 5) % len(WAYS)]
            found.append(ForeignValue(way, plan, strided(of, (), "offset", (value,), device) if step else value))
    # from whole numbers and a half every rule of rounding goes elsewhere than towards zero
    for way, dtype, value in product(WAYS, family("integral"), (3.5, -3.5)):
        if value > 0 or ELEMENT_TYPES[dtype].kind == "signed":
            found.append(ForeignValue(way, strided(dtype, (5,), "stepped", (1, 2, 3), device), value))
    flags = corner("bool", (5,), "stepped", "ordinary", "any", device)
    return Inputs([*found, *(ForeignValue(way, flags, value) for way in WAYS for value in (4, 0.25))])
