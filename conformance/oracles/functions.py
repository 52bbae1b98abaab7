"""Functions: what a custom function was given and what came of it, against what its own formulas say.

Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.inputs.functions import FunctionUse, Spy, coefficient
from conformance.inputs.tensors import Strided
from conformance.oracles import memory, numbers
from conformance.oracles.expect import Mismatch, equal, tensor


def leaves_gathered(case: FunctionUse, leaves: list[torch.Tensor]) -> None:
    """Expect each leaf to have the gradient that backward returns for its inputs, and constants to have none."""
    for i, (state, leaf) in enumerate(zip(case.states, leaves, strict=True)):
        if state == "constant":
            equal(None, leaf.grad, f"gradient of input {i}, which requires none")
        elif state != "same":
            found = memory.contents(tensor(leaf.grad, f"gradient of input {i}"))
            memory.same_elements(case.expected_in_leaf(i), found, f"gradient of input {i}")


def given_gradients(case: FunctionUse, spy: Spy, missing: str) -> None:
    """Expect backward to have been given the gradient of each output that went on, and ``missing`` for the others."""
    equal(1, len(spy.gradients), "calls of backward")
    equal(case.outputs, len(spy.gradients[0]), "gradients that backward is given")
    for k, found in enumerate(spy.gradients[0]):
        what = f"gradient of output {k} that backward is given"
        if k not in case.chosen() and missing == "none":
            equal(None, found, what)
            continue
        expected = case.upstream(k).array if k in case.chosen() else np.zeros(case.plan.shape, case.plan.array.dtype)
        equal(case.plan.dtype, dtype_name(tensor(found, what).dtype), f"type of the {what}")
        equal(torch.device(case.plan.device), found.device, f"device of the {what}")
        memory.same_elements(expected, memory.contents(found), what)


def tangents_of(case: FunctionUse, i: int) -> Strided:
    """The tangent of input ``i``."""
    return case.upstream(i)


def expected_tangent(case: FunctionUse, k: int) -> np.ndarray:
    """What jvp returns for output ``k``: of the inputs that have a tangent."""
    found = np.zeros(case.plan.shape, case.plan.array.dtype)
    for i, state in enumerate(case.states):
        if state != "constant":
            found = found + coefficient(i, k) * tangents_of(case, i).array
    return found.astype(case.plan.array.dtype)


def nearly(expected: Any, found: torch.Tensor, what: str) -> None:
    """Expect the numbers ``expected``, but for a few roundings in another order."""
    name = dtype_name(found.dtype)
    numbers.close(np.asarray(expected), memory.contents(found.detach()), name, "elementary", what, both_rounded=True)


def in_the_graph(found: torch.Tensor, flag: bool, what: str) -> None:
    """Expect a tensor that requires grad and has a history, or one that does neither."""
    expected = f"requires_grad={flag} and {'a' if flag else 'no'} grad_fn"
    if found.requires_grad is not flag or (found.grad_fn is not None) is not flag:
        raise Mismatch(what, expected, f"requires_grad={found.requires_grad} and grad_fn {found.grad_fn}")
