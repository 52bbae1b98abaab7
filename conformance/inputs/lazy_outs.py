"""Lazy outs: outs that have their conjugate or their negative bit set.

Memory then holds the conjugate, or the negative, of the numbers that the out stands for.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.conj.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.lazy_operands import lazily
from conformance.inputs.tensors import Strided, strided
from conformance.oracles.references.whole import running_sum

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# What is written by ``torch.<name>(*args, out=out)``, in NumPy.
LAZY_FUNCTIONS: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "square": np.square, "mm": np.matmul,
    "cumsum": running_sum,
}  # fmt: skip
SQUARE = (1 + 2j, -2 + 0.5j, 0.5 - 3j, 3.25 + 0.125j)
OTHER_SQUARE = (2.5 - 0.5j, 2j, -1 + 0j, 0.25 + 0.75j)


@dataclass(frozen=True, eq=False)
class LazyOut:
    """``torch.function(*args, out=out)`` with a plan of ``out`` that is seen through a view that has a bit set."""

    function: str
    args: tuple[Any, ...]
    out: Strided

    def apply(self, out: torch.Tensor) -> Any:
        """The call."""
        function: Any = getattr(torch, self.function)
        return function(*[x.build() if isinstance(x, Strided) else x for x in self.args], out=out)

    def build(self) -> torch.Tensor:
        """The out."""
        return lazily(self.out)

    def expected(self) -> np.ndarray:
        """What it is to hold."""
        arrays = [x.array if isinstance(x, Strided) else x for x in self.args]
        return np.asarray(LAZY_FUNCTIONS[self.function](*arrays))

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return self.out.facets()

    def code(self) -> str:
        """The call in plain torch."""
        shown = [x.code() if isinstance(x, Strided) else repr(x) for x in self.args]
        lazy = "conj()" if self.out.dtype.startswith("complex") else "imag"
        whole = f"torch.zeros({self.out.shape}, dtype=torch.complex128).conj()"
        out = whole if lazy == "conj()" else f"{whole}.imag"
        return f"import torch\nout = {out}\nprint(torch.{self.function}({', '.join([*shown, 'out=out'])}))"

    def reductions(self) -> Iterator[LazyOut]:
        """The same with a plainer out."""
        if self.out.layout != "contiguous":
            yield replace(self, out=replace(self.out, stride=None, offset=0, size=None, layout="contiguous"))


def lazy_outs(cell: Cell) -> Inputs:
    """Every function with a conjugated out and a negated one, in several layouts."""
    found = []
    for dtype in ("complex128", "complex64", "float64", "float32"):
        numbers = [
            data if dtype.startswith("complex") else tuple(z.real for z in data) for data in (SQUARE, OTHER_SQUARE)
        ]
        x, y = (strided(dtype, (2, 2), "contiguous", data, cell.target.device) for data in numbers)
        for turn, name in enumerate(LAZY_FUNCTIONS):
            args = {"neg": (x,), "square": (x,), "cumsum": (x, 1)}.get(name, (x, y))
            out = strided(dtype, (2, 2), ("contiguous", "transposed", "stepped")[turn % 3], (77,), cell.target.device)
            found.append(LazyOut(name, args, out))
    return Inputs(found)
