"""History: whether gradients find their way back through a copy.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.oracles import sharing
from conformance.oracles.expect import Mismatch


def flows_back(tensor: torch.Tensor, found: torch.Tensor, what: str) -> None:
    """Expect a result that repeats ``tensor``'s values to hand the gradient 1 of each of them back to it."""
    if not found.requires_grad:
        raise Mismatch(what, "a result that requires grad", "one that does not")
    (gradient,) = torch.autograd.grad(found, tensor, torch.ones_like(found), allow_unused=True)
    if gradient is None:
        raise Mismatch(f"gradient of x through {what}", "ones", "none: the history is lost")
    sharing.shows(np.ones(tuple(tensor.shape)), dtype_name(tensor.dtype), gradient, f"gradient of x through {what}")


def graph_state(tensor: torch.Tensor) -> str:
    """``requires_grad``, ``is_leaf`` and the presence of a ``grad_fn``, in words."""
    history = "a history" if tensor.grad_fn is not None else "no history"
    return f"requires_grad={tensor.requires_grad}, {'a leaf' if tensor.is_leaf else 'no leaf'}, {history}"
