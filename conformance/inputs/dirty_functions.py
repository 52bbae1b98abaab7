"""Dirty functions: custom autograd functions that write to their input.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.function.FunctionCtx.mark_dirty.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def tripled_by_method(ctx: Any, x: torch.Tensor) -> torch.Tensor:
    """Multiplies by three in place with a torch method, and marks before."""
    ctx.mark_dirty(x)
    return x.mul_(3)


def tripled_by_numpy(ctx: Any, x: torch.Tensor) -> torch.Tensor:
    """Multiplies by three in place through NumPy, unseen by torch, and marks after."""
    array = x.numpy()
    array *= 3
    ctx.mark_dirty(x)
    return x


def second_tripled(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Multiplies the second of two inputs by three in place, and marks that one."""
    ctx.mark_dirty(y)
    return x + 0, y.mul_(3)


def both_tripled(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Multiplies two inputs by three in place, and marks both at once."""
    ctx.mark_dirty(x, y)
    return x.mul_(3), y.mul_(3)


def tripled_gradient(ctx: Any, *gradients: torch.Tensor) -> Any:
    """The gradient of each of these functions: of what was multiplied, three times."""
    return gradients[0] * 3 if len(gradients) == 1 else (gradients[0], gradients[1] * 3)


def custom_function(forward: Callable[..., Any]) -> Any:
    """The custom function with this forward."""
    methods = {"forward": staticmethod(forward), "backward": staticmethod(tripled_gradient)}
    return type("Tripled", (torch.autograd.Function,), methods)


@dataclass(frozen=True, eq=False)
class Dirtying:
    """A custom function named ``function`` applied to a copy of ``plan``, from which ``use`` was computed before."""

    plan: Strided
    function: str = "method"
    use: str = "product"

    def apply(self, x: torch.Tensor) -> Any:
        """Apply the custom function to ``x``."""
        if self.function in ("second", "both"):
            forward = second_tripled if self.function == "second" else both_tripled
            return custom_function(forward).apply(x.detach() + 1, x)[1]
        return custom_function(tripled_by_method if self.function == "method" else tripled_by_numpy).apply(x)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[Dirtying]:
        """The same with plainer values."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def made(self) -> str:
        """A copy of a leaf in plain torch."""
        return f"leaf = {self.plan.code()}.requires_grad_()\na = leaf.clone()"

    def words(self) -> dict[str, str]:
        """What the words of an act stand for."""
        two = self.function in ("second", "both")
        first = "x.mul_(3)" if self.function == "both" else "x + 0"
        marks = {"second": "y", "both": "x, y"}.get(self.function, "x")
        written = ["x.numpy()[...] *= 3", "return x"] if self.function == "numpy" else ["return x.mul_(3)"]
        body = [f"ctx.mark_dirty({marks})", *([f"return {first}, y.mul_(3)"] if two else written)]
        back = "gradients[0], gradients[1] * 3" if two else "gradients[0] * 3"
        lines = "\n".join(f"        {line}" for line in body)
        function = (
            "class Tripled(torch.autograd.Function):\n    @staticmethod\n"
            f"    def forward(ctx, x{', y' if two else ''}):\n{lines}\n\n    @staticmethod\n"
            f"    def backward(ctx, *gradients):\n        return {back}\n"
        )
        call = "Tripled.apply(a.detach() + 1, a)[1]" if two else "Tripled.apply(a)"
        return {"function": function, "call": call, "use": DIRTY_USES[self.use]}


DIRTY_USES = {"product": "a * a", "sine": "a.sin()", "power": "a.pow(3)"}


def dirtying_functions(cell: Cell) -> Inputs:
    """Each custom function on each layout, shape, floating type and way to save the input."""
    device = cell.target.device
    functions = ("method", "numpy", "second", "both") if device == "cpu" else ("method", "second", "both")
    rows = covering(
        ("float32", "float64", "complex64"), DISJOINT, ((), (0,), (1,), (2, 3), (17,), (2, 0, 3)), functions,
        ("product", "sine", "power"),
    )  # fmt: skip
    return Inputs(
        [
            Dirtying(corner(dtype, shape, layout, "ordinary", "any", device, turn), function, use)
            for turn, (dtype, layout, shape, function, use) in enumerate(rows)
        ]
    )
