"""Hook steps: the operations that hooked graphs are made of, in torch and in NumPy.

Each is linear or a product, so that the gradients of small numbers are exact in every element type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# Steps by the number of tensors that they take. ``written`` changes its tensor in place, ``custom`` is a custom
# function whose backward is listened to as well.
UNARY_STEPS = ("doubled", "negated", "copied", "shared", "turned", "tail", "squared", "custom")
BINARY_STEPS = ("added", "subtracted", "multiplied")

STEP_CODES = {
    "doubled": "{0} * 2",
    "negated": "-{0}",
    "copied": "{0}.clone()",
    "shared": "{0}.view_as({0})",
    "turned": "{0}.permute(tuple(reversed(range({0}.dim()))))",
    "tail": "{0}[1:] if {0}.dim() else {0}.view(())",
    "squared": "{0} * {0}",
    "custom": "FiveTimes.apply({0})",
    "written": "{0}.mul_(3)",
    "added": "{0} + {1}",
    "subtracted": "{0} - {1}",
    "multiplied": "{0} * {1}",
}


def stepped_values(name: str, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """What a step computes, by NumPy."""
    factors = {"doubled": 2, "negated": -1, "custom": 5, "written": 3, "copied": 1, "shared": 1}
    if name in factors:
        return np.asarray(x * factors[name])
    if name == "turned":
        return x.T
    if name == "tail":
        return x[1:] if x.ndim else x
    other = x if y is None else y
    return np.asarray(x + other if name == "added" else x - other if name == "subtracted" else x * other)


def five_times(ctx: Any, x: torch.Tensor, live: Any, at: int) -> torch.Tensor:
    """Forward of the custom function."""
    ctx.live, ctx.at = live, at
    return x * 5


def five_times_backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
    """Backward of the custom function: says that its node is being executed."""
    ctx.live.note(ctx.at, "node", -1, (gradient,))
    return gradient * 5, None, None


def five_times_function() -> Any:
    """The custom function."""
    methods = {"forward": staticmethod(five_times), "backward": staticmethod(five_times_backward)}
    return type("FiveTimes", (torch.autograd.Function,), methods)


def stepped(name: str, x: torch.Tensor, y: torch.Tensor | None, live: Any, at: int) -> torch.Tensor:
    """What a step makes, as tensor number ``at`` of a live graph."""
    if name == "custom":
        found: torch.Tensor = five_times_function().apply(x, live, at)
        return found
    if name == "shared":
        return x.view_as(x)
    if name == "turned":
        return x.permute(*reversed(range(x.dim()))) if x.dim() else x.view(())
    if name == "tail":
        return x[1:] if x.dim() else x.view(())
    if name == "written":
        return x.mul_(3)
    if name in ("doubled", "negated", "copied"):
        return x.clone() if name == "copied" else x * 2 if name == "doubled" else -x
    if y is None:
        return x * x
    return x + y if name == "added" else x - y if name == "subtracted" else x * y
