"""NumPy numbers: augmented assignments whose right-hand side is a scalar of NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.add.html
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

NUMPY_SYMBOLS = {"iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ipow": "**=", "ifloordiv": "//="}
NUMPY_REALS = (("float32", 2.5), ("float16", 0.5), ("float64", -1.5))
NUMPY_WHOLES = (("int64", 3), ("uint8", 2), ("int16", 2))


@dataclass(frozen=True, eq=False)
class NumpyNumber:
    """``x += np.float32(2.5)`` and its like."""

    function: str
    self_: Strided
    kind: str
    value: Any

    def apply(self, x: torch.Tensor, number: Any) -> Any:
        """The assignment with some number; what the name is bound to afterwards."""
        return getattr(operator, self.function)(x, number)

    def number(self) -> Any:
        """The number as NumPy has it."""
        return getattr(np, self.kind)(self.value)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {**self.self_.facets(), "values": self.kind}

    def code(self) -> str:
        """The assignment in plain torch."""
        call = f"x {NUMPY_SYMBOLS[self.function]} np.{self.kind}({self.value})"
        return f"import numpy as np\nimport torch\nx = {self.self_.code()}\n{call}\nprint(x)"

    def reductions(self) -> Iterator[NumpyNumber]:
        """The same from a plainer self."""
        for plan in self.self_.reductions():
            yield replace(self, self_=plan)


def numpy_numbers(cell: Cell) -> Inputs:
    """Every assignment with each NumPy number that self's type can take."""
    found, device = [], cell.target.device
    names = ("float32", "float64", "bfloat16", "int64", "int16", "complex64")
    for turn, (function, dtype) in enumerate(product(NUMPY_SYMBOLS, names)):
        kind = ELEMENT_TYPES[dtype].kind
        if (function, kind) in (("ifloordiv", "complex"), ("itruediv", "signed")):
            continue
        for step, (name, value) in enumerate(NUMPY_WHOLES if kind == "signed" else (*NUMPY_REALS, *NUMPY_WHOLES)):
            shape, layout = (((), (3,), (2, 3))[(turn + step) % 3], ("contiguous", "stepped", "transposed")[step % 3])
            domain = "coarse-nonzero" if kind == "complex" else "small-positive"
            self_ = corner(dtype, shape, layout, "ordinary", domain, device)
            found.append(NumpyNumber(function, self_, name, value))
    return Inputs(found)
