"""Kinks: calls at a point where the operation has no derivative, and the gradient that is documented there.

Of a convex function it is the sub-gradient of least norm, of a concave one the super-gradient of least norm, and else
the limit, which may be infinite. Numbers that tie share a gradient evenly, since that is of the least norm.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

INFINITY = float("inf")
THIRD = 1 / 3
MODES = ("amax", "amin")
# Method, self, operands, and the gradients of the sum of self by self and by each tensor among the operands.
TIES: tuple[tuple[str, tuple[float, ...], tuple[Any, ...], dict[str, Any], tuple[tuple[float, ...], ...]], ...] = (
    *((name, (0.0, -0.0, 2.0, -3.0), (), {}, ((0, 0, 1, -1),)) for name in ("abs_", "absolute_")),
    ("relu_", (0.0, -0.0, 2.0, -3.0), (), {}, ((0, 0, 1, 0),)),
    ("sqrt_", (0.0, 4.0), (), {}, ((INFINITY, 0.25),)),
    ("hypot_", (0.0, 3.0, 0.0), ((0.0, 4.0, -2.0),), {}, ((0, 0.6, 0), (0, 0.8, -1))),
    *((name, (1.0, 0.0, 2.0, 1.5, 3.0), (1.0, 2.0), {}, ((0, 0, 0, 1, 0),)) for name in ("clamp_", "clip_")),
    *((name, (1.0, 0.0, 2.0), ((1.0, 1.0, 1.0),), {}, ((0.5, 0, 1), (0.5, 1, 0))) for name in ("clamp_", "clip_")),
    ("clamp_min_", (1.0, 0.0, 2.0), (1.0,), {}, ((0, 0, 1),)),
    ("clamp_min_", (1.0, 0.0, 2.0), ((1.0, 1.0, 1.0),), {}, ((0.5, 0, 1), (0.5, 1, 0))),
    ("clamp_max_", (1.0, 0.0, 2.0), (1.0,), {}, ((0, 1, 0),)),
    ("clamp_max_", (1.0, 0.0, 2.0), ((1.0, 1.0, 1.0),), {}, ((0.5, 1, 0), (0.5, 0, 1))),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Kink:
    """``call``, and the gradients of the sum of self that it should have: by self, then by each tensor operand."""

    call: Call
    gradients: tuple[tuple[float, ...], ...]

    def __repr__(self) -> str:
        numbers = repr(self.gradients).replace("inf", "float('inf')")
        return f"Kink({self.call!r}, {numbers})"

    def expected(self) -> list[np.ndarray]:
        """The gradients, each of the shape of its tensor."""
        plans = [self.call.self_, *(self.call.args[number] for number in self.operands())]
        return [np.array(x, np.float64).reshape(p.shape) for x, p in zip(self.gradients, plans, strict=True)]

    def operands(self) -> list[int]:
        """The numbers of the arguments whose gradients are asked for."""
        return [n for n, x in enumerate(self.call.args) if isinstance(x, Strided) and x.dtype != "int64"]

    def gradients_of_the_sum(self) -> list[torch.Tensor]:
        """The gradients that backward leaves of the sum of self after the call: by self, and by each tensor operand."""
        live, leaf = self.call.build(), self.call.self_.build().requires_grad_()
        leaves = [leaf, *(live.args[number].requires_grad_() for number in self.operands())]
        live.self_ = leaf.clone()
        live.apply()
        live.self_.sum().backward()
        return [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.call.facets()

    def reductions(self) -> Iterator[Kink]:
        """None: each element is a case of its own."""
        return iter(())

    def code(self) -> str:
        """The call in plain torch."""
        return self.call.code()


def tied_calls(cell: Cell) -> Inputs:
    """The row's kinks, in the types that have derivatives."""
    name, device = cell.subject.name, cell.target.device
    found = [
        Kink(Call(name, own, args, keywords), gradients)
        for dtype in ("float64", "float32")
        for method, numbers, operands, keywords, gradients in (*TIES, *_reductions())
        if method == name
        for own in [strided(dtype, (len(numbers),), "contiguous", numbers, device)]
        for args in [tuple(_plan(x, dtype, device) if isinstance(x, tuple) else x for x in operands)]
    ]
    return Inputs(found)


def _plan(numbers: tuple[Any, ...], dtype: str, device: str) -> Strided:
    whole = all(isinstance(x, int) for x in numbers)
    return strided("int64" if whole else dtype, (len(numbers),), "contiguous", numbers, device)


def _reductions() -> Iterator[tuple[str, tuple[float, ...], tuple[Any, ...], dict[str, Any], Any]]:
    """amax and amin of two tied sources, of which self is a third, is none, or does not count."""
    for name in ("index_reduce_", "scatter_reduce_"):
        for mode in MODES:
            far = 9.0 if mode == "amin" else -9.0
            operands = (0, (0, 0, 1, 1), (2.5, 2.5, 1.5, 1.5), mode)
            yield name, (2.5, far), operands, {}, ((THIRD, 0), (THIRD, THIRD, 0.5, 0.5))
            yield name, (7.5, far), operands, {"include_self": False}, ((0, 0), (0.5, 0.5, 0.5, 0.5))


def excluded_ties(cell: Cell) -> Inputs:
    """Reductions without self, where self holds the number that comes out of them."""
    name, device = cell.subject.name, cell.target.device
    found = []
    for dtype in ("float64", "float32"):
        for mode in MODES:
            own = strided(dtype, (2,), "contiguous", (2.5, 1.5), device)
            args = (0, _plan((0, 1), dtype, device), _plan((2.5, 1.5), dtype, device), mode)
            found.append(Kink(Call(name, own, args, {"include_self": False}), ((0, 0), (1, 1))))
    return Inputs(found)
