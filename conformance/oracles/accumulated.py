"""Accumulated: what backward passes leave in ``.grad``.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.grad.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.oracles import expect, memory, numbers

# The object, its address, strides and bytes; None where there is no gradient.
GradState = tuple[torch.Tensor, int, tuple[int, ...], bytes] | None


def same_gradient(expected: np.ndarray, found: Any, like: torch.Tensor, what: str, accuracy: str = "value") -> None:
    """Expect a gradient by ``like``: a tensor of its shape, type and device, with these numbers."""
    gradient = expect.tensor(found, what)
    expect.equal(tuple(like.shape), tuple(gradient.shape), f"shape of {what}")
    expect.equal(str(like.dtype), str(gradient.dtype), f"element type of {what}")
    expect.equal(str(like.device), str(gradient.device), f"device of {what}")
    numbers.close(expected, memory.contents(gradient), dtype_name(gradient.dtype), accuracy, what)


def holds_gradient(expected: np.ndarray, leaf: torch.Tensor, what: str = "x", accuracy: str = "value") -> None:
    """Expect these numbers in ``leaf.grad``."""
    same_gradient(expected, leaf.grad, leaf, f"{what}.grad", accuracy)


def hold_gradients(expected: Any, leaves: Any, accuracy: str = "value") -> None:
    """Expect these numbers in ``.grad`` of each of the leaves."""
    for number, (wanted, leaf) in enumerate(zip(expected, leaves, strict=True)):
        holds_gradient(wanted, leaf, f"leaf {number}", accuracy)


def grad_state(leaf: torch.Tensor) -> GradState:
    """All that a pass which leaves ``leaf`` alone must not change."""
    found = leaf.grad
    if found is None:
        return None
    return found, found.data_ptr(), tuple(found.stride()), memory.storage_bytes(found)


def kept_grad(before: GradState, leaf: torch.Tensor, what: str) -> None:
    """Expect ``.grad`` to be what it was: the same object with the same bytes, or None."""
    if before is None:
        expect.equal(None, leaf.grad, what)
        return
    expect.same_object(before[0], leaf.grad, what)
    expect.equal(before[1:3], (before[0].data_ptr(), tuple(before[0].stride())), f"address and strides of {what}")
    memory.same_bytes(before[3], memory.storage_bytes(before[0]), f"storage of {what}")


def lie_apart(tensors: dict[str, torch.Tensor]) -> None:
    """Expect no two of these tensors to have a byte in common."""
    spans = [
        (name, (memory.storage_address(x), len(memory.storage_bytes(x)))) for name, x in tensors.items() if x.numel()
    ]
    for number, (name, span) in enumerate(spans):
        for other, other_span in spans[:number]:
            memory.shares(False, other_span, span, f"{other} and {name}")
