"""Autograd flags: what a tensor says of its place in the graph, and the gradients that it holds.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_leaf.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.oracles import expect, memory, numbers
from conformance.oracles.history import graph_state
from conformance.oracles.modes import silence

PLAIN_STATE = "requires_grad=False, a leaf, no history"
LEAF_STATE = "requires_grad=True, a leaf, no history"
RECORDED_STATE = "requires_grad=True, no leaf, a history"


def in_state(expected: str, found: Any, what: str) -> torch.Tensor:
    """Expect a tensor that is ``PLAIN_STATE``, ``LEAF_STATE`` or ``RECORDED_STATE``, and return it."""
    tensor = expect.tensor(found, what)
    expect.equal(expected, graph_state(tensor), f"graph of {what}")
    return tensor


def gradient_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """``.grad``, without the warning that a non-leaf gives."""
    with silence():
        return tensor.grad


def has_gradient(expected: np.ndarray, tensor: torch.Tensor, what: str) -> None:
    """Expect ``.grad`` to be a tensor of the tensor's own type and shape that holds these numbers exactly."""
    found = expect.tensor(gradient_of(tensor), f".grad of {what}")
    expect.equal(dtype_name(tensor.dtype), dtype_name(found.dtype), f"element type of .grad of {what}")
    numbers.close(expected, memory.contents(found), dtype_name(found.dtype), "value", f".grad of {what}")


def has_no_gradient(tensor: torch.Tensor, what: str) -> None:
    """Expect ``.grad`` to be None."""
    found = gradient_of(tensor)
    expect.that(found is None, f".grad of {what}", "None", "a tensor")


def chain_has_gradients(case: Any, values: list[torch.Tensor], kept: tuple[int, ...]) -> None:
    """Expect the leaf of a chain and the values numbered in ``kept`` to hold their gradients, and no others."""
    for number, value in enumerate(values):
        what = "the leaf" if number == 0 else f"value {number} ({case.steps[number - 1]})"
        if number == 0 or number in kept:
            has_gradient(case.rounds * case.gradients[number], value, what)
        else:
            has_no_gradient(value, what)


def counts_up(before: int, tensor: torch.Tensor, what: str) -> None:
    """Expect a version above ``before``."""
    expect.that(tensor._version > before, f"version of {what}", f"more than {before}", tensor._version)
