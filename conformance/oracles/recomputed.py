"""Recomputed: results and gradients of a checkpointed call against those of the plain one.

Reference: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from conformance.oracles import memory
from conformance.oracles.expect import equal, tensor


def gradients_in(leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """The gradients that leaves have gathered, which are forgotten there."""
    found = [tensor(leaf.grad, "gradient of a leaf") for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return found


def same_results(expected: Any, found: Any, what: str) -> None:
    """Expect the results of two calls to be equal in number, type, shape and every bit."""
    one = expected if isinstance(expected, tuple | list) else (expected,)
    other = found if isinstance(found, tuple | list) else (found,)
    equal(len(one), len(other), f"number of {what}")
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        equal(a.dtype, b.dtype, f"type of {what} {k}")
        memory.same_elements(memory.contents(a.detach()), memory.contents(b.detach()), f"{what} {k}")


def laid_out_as(x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A hook that lays a gradient out as x, as a reentrant checkpoint does with the one by its input.

    A kernel may round an element otherwise where it lies elsewhere, so that bits are compared in one layout only.
    """
    frame = x.detach()
    return lambda gradient: torch.empty_like(frame).copy_(gradient)


def operations_in(action: Callable[[], Any]) -> list[str]:
    """The operations that reach the dispatcher while ``action`` runs, by name."""
    from torch.utils._python_dispatch import TorchDispatchMode

    names: list[str] = []

    class Listening(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            names.append(str(function))
            return function(*args, **(kwargs or {}))

    with Listening():
        action()
    return names
