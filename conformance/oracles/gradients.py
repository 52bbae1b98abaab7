"""Gradients: finite differences of a program's value, and the comparison of a gradient with them.

A central difference of a float64 program with step ``STEP`` errs by about the third derivative times the square of
the step and by the rounding of the loss over the step; ``TOLERANCE`` leaves room for both where the operands are
moderate numbers, and is far below what a wrong formula shows.
Reference: https://docs.pytorch.org/docs/stable/notes/gradcheck.html
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name
from conformance.oracles.expect import Mismatch
from conformance.oracles.memory import contents

STEP = 1e-5
TOLERANCE = 2e-5
TOLERANCE_IN_FLOAT32 = 1e-3  # a few roundings of float32, some of them where terms cancel


def numeric_gradient(loss: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Gradient of ``loss`` (a float64 array in, a number out) at ``at``, by central differences."""
    gradient = np.zeros_like(at, dtype=np.float64)
    for index in np.ndindex(at.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = at.copy()
            moved[index] += step
            ends.append(loss(moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def check_gradient(loss: Callable[[np.ndarray], float], at: np.ndarray, found: np.ndarray, what: str) -> None:
    """Expect ``found`` to be the gradient of ``loss`` at ``at``: along one direction in general position, at first.

    In such a direction no wrong element hides behind another. Where the slope is not the one that ``found`` says,
    each element is looked at by itself, which names the wrong one, and decides.
    """
    numbers = np.arange(at.size) * 0.6180339887
    direction = ((0.5 + numbers % 0.5) * np.where(np.arange(at.size) % 2, -1, 1)).reshape(at.shape)
    if found.shape == at.shape:
        slope = (loss(at + STEP * direction) - loss(at - STEP * direction)) / (2 * STEP)
        tolerance = TOLERANCE if found.dtype == np.float64 else TOLERANCE_IN_FLOAT32
        parts = found * direction
        if abs(slope - parts.sum()) <= tolerance * max(0.25, abs(parts).max(initial=0.0)):
            return
    close_gradients(numeric_gradient(loss, at), found, what)


def close_gradients(
    expected: np.ndarray,
    found: np.ndarray,
    what: str,
    tolerance: float | None = None,
    source: str = "finite differences",
    whole: bool = False,
) -> None:
    """Expect the gradient ``found`` to agree with ``expected``, which ``source`` says.

    Without a ``tolerance`` it is that of finite differences, as far as the type of ``found`` goes. It is meant of each
    element; with ``whole`` of the largest one, where elements come from sums of such numbers.
    """
    if tolerance is None:
        tolerance = TOLERANCE if found.dtype == np.float64 else TOLERANCE_IN_FLOAT32
    if expected.shape != found.shape:
        raise Mismatch(what, f"shape {expected.shape}", f"shape {found.shape}")
    wrong = ~(
        np.abs(expected - found)
        <= tolerance * np.maximum(1.0, np.abs(expected).max(initial=0.0) if whole else np.abs(expected))
    )
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Mismatch(what, f"{expected[first]:.8g} (by {source})", f"{found[first]:.8g}", f"index {first}")


def numbers_of(gradient: torch.Tensor) -> np.ndarray:
    """The numbers of a gradient, also of one that is known to be zero and has no memory."""
    if getattr(gradient, "_is_zerotensor", bool)():
        return np.zeros(tuple(gradient.shape), ELEMENT_TYPES[dtype_name(gradient.dtype)].carrier)
    return contents(torch.zeros(gradient.shape, dtype=gradient.dtype, device=gradient.device) + gradient)


def gradient_in(leaf: torch.Tensor) -> np.ndarray:
    """The gradient that backward left in ``leaf``: zeros where it left none."""
    return np.zeros(tuple(leaf.shape)) if leaf.grad is None else numbers_of(leaf.grad)
