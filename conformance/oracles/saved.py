"""Saved: what a graph holds for backward, and the gradients that come out of it.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#saved-tensors
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.saved_tensors import SavedUse
from conformance.oracles import memory, numbers


def saved_in(node: Any) -> list[torch.Tensor]:
    """Every tensor that a node of the graph holds, by the names of its attributes; reading them unpacks them."""
    if hasattr(node, "saved_tensors"):
        return [tensor for tensor in node.saved_tensors if tensor is not None]
    names = [name.replace("_raw_saved_", "_saved_") for name in dir(node) if name.startswith("_raw_saved_")]
    return [found for found in (getattr(node, name) for name in names) if found is not None]


def saved_for(result: torch.Tensor) -> list[torch.Tensor]:
    """Every tensor that was saved for ``result``, which has to be alive: some releases free them with it."""
    return saved_in(result.grad_fn)


def handles_in(node: Any) -> dict[str, Any]:
    """The saved tensors of a node of torch's own, as objects that take hooks, by the name of what each holds."""
    names = [name for name in dir(node) if name.startswith("_raw_saved_")]
    held = [name for name in names if getattr(node, name.replace("_raw_saved_", "_saved_")) is not None]
    return {name.removeprefix("_raw_saved_"): getattr(node, name) for name in held}


def derivatives(case: SavedUse, leaf: torch.Tensor, y: torch.Tensor) -> list[np.ndarray]:
    """The gradient by the leaf, once more by another pass, and the gradient of that gradient."""
    upstream = case.upstream(y)
    first = torch.autograd.grad(y, leaf, upstream, retain_graph=True)[0]
    second = torch.autograd.grad(y, leaf, upstream, create_graph=True)[0]
    third = torch.autograd.grad(second, leaf, torch.ones_like(second))[0]
    return [memory.contents(found) for found in (first, second.detach(), third)]


def same_derivatives(case: SavedUse, found: list[np.ndarray], what: str) -> None:
    """Expect gradients to be those of the program without hooks: in every bit, where no kernel has to round.

    A copy may have other strides than the original, and then another kernel computes the sine or the sigmoid.
    """
    leaf, x = case.start()
    expected = derivatives(case, leaf, case.act(x))
    accuracy = "elementary" if case.operation in ("sine", "sigmoid") else "exact"
    names = ("gradient", "gradient of a second pass", "gradient of the gradient")
    for name, one, other in zip(names, expected, found, strict=True):
        numbers.close(one, other, case.plan.dtype, accuracy, f"{name} {what}", both_rounded=True)
