"""Program gradients: what a program's leaves are to hold after backward, by dual numbers.

Both sides are computed in float64 from written-out derivatives, so they part by roundings only; a program that is
partly in float32 has the roundings of float32.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.programs import LiveProgram, Program
from conformance.inputs.weights import weights_for
from conformance.oracles.duals import slopes_of
from conformance.oracles.expect import Discard, Mismatch
from conformance.oracles.gradients import STEP, close_gradients, numbers_of

ROUNDINGS = 1e-9
ROUNDINGS_IN_FLOAT32 = 5e-4
SECOND = 2e-5  # of a central difference of exact gradients
REFUSAL = "modified by an inplace operation"


def close_to_duals(program: Program, expected: list[np.ndarray], found: list[Any], names: list[str]) -> None:
    """Expect gradients (None where there is none) to be the expected ones; the largest of each array sets the scale."""
    for array, gradient, name in zip(expected, found, names, strict=True):
        numbers = np.zeros(array.shape) if gradient is None else numbers_of(gradient)
        close_values(program, array, numbers, name)


def close_values(program: Program, expected: np.ndarray, found: np.ndarray, what: str) -> None:
    """Expect numbers of a program to be those of its evaluation in NumPy."""
    tolerance = ROUNDINGS if program.exact else ROUNDINGS_IN_FLOAT32
    close_gradients(expected, found, what, tolerance, "dual numbers", whole=True)


def leaf_names(program: Program) -> list[str]:
    """What messages call the leaves' gradients."""
    return [f"gradient of leaf {name}" for name in program.names()[: len(program.leaves)]]


def backward_or_refused(live: LiveProgram, **options: Any) -> None:
    """Backward; a refusal since something was modified in place ends the case where that may have been needed."""
    try:
        live.backward(**options)
    except RuntimeError as error:
        if REFUSAL in str(error) and live.plan.ledger.stale:
            raise Discard("backward refuses what was overwritten") from None
        raise


def backward_accepted(live: LiveProgram) -> None:
    """Expect backward not to be refused."""
    try:
        live.backward()
    except RuntimeError as error:
        if REFUSAL in str(error):
            found = str(error).split("\n")[0]
            raise Mismatch("backward of a program that overwrites nothing needed", "no exception", found) from error
        raise


def second_slopes(program: Program) -> list[np.ndarray]:
    """Derivative, by each leaf, of the gradients weighted by ``weights_for``: by differences of the dual gradients."""
    starts = program.starts()
    ends = []
    for step in (STEP, -STEP):
        moved = [start + step * weights_for(start.shape) for start in starts]
        ends.append(slopes_of(program, moved))
    return [(above - below) / (2 * STEP) for above, below in zip(*ends, strict=True)]


def second_gradients(live: LiveProgram) -> list[torch.Tensor | None]:
    """The same of torch: gradients of the weighted gradients."""
    gradients = live.gradients(create_graph=True)
    total = [
        (gradient * torch.tensor(weights_for(tuple(gradient.shape)), device=gradient.device)).sum()
        for gradient in gradients
        if gradient is not None and gradient.requires_grad
    ]
    if not total:
        return [None] * len(live.leaves)
    return list(torch.autograd.grad(total, live.leaves, allow_unused=True))
