"""Gradients: finite differences of a program's value, and the comparison of a gradient with them.

A central difference of a float64 program with step ``STEP`` errs by about the third derivative times the square of
the step and by the rounding of the loss over the step; ``TOLERANCE`` leaves room for both where the operands are
moderate numbers, and is far below what a wrong formula shows. The gradient of a real number by a complex one is
that by its real part, and that by its imaginary part as the imaginary part.
Reference: https://docs.pytorch.org/docs/stable/notes/gradcheck.html
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name
from conformance.oracles.expect import Mismatch
from conformance.oracles.memory import contents

STEP = 1e-5
TOLERANCE = 2e-5
TOLERANCE_IN_FLOAT32 = 1e-3  # a few roundings of float32, some of them where terms cancel
ROUNDINGS_OF_A_HALF = 16  # of float16 and bfloat16, by their own precision
TOLERANCES_BY_TYPE = {
    **dict.fromkeys(("float32", "complex64"), TOLERANCE_IN_FLOAT32),
    **{name: ROUNDINGS_OF_A_HALF * 2.0 ** -(ELEMENT_TYPES[name].mantissa + 1) for name in ("float16", "bfloat16")},
}


def numeric_gradient(loss: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Gradient of ``loss`` (an array in, a number out) at ``at``, by central differences."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        for unit in (1, 1j) if at.dtype.kind == "c" else (1,):
            ends = []
            for step in (STEP, -STEP):
                moved = at.copy()
                moved[index] += step * unit
                ends.append(loss(moved))
            gradient[index] += unit * (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def check_gradient(
    loss: Callable[[np.ndarray], float], at: np.ndarray, found: np.ndarray, what: str, dtype: str = "float64"
) -> None:
    """Expect ``found``, computed in ``dtype``, to be the gradient of ``loss`` at ``at``."""
    check_gradients(loss, [at], [found], [what], dtype)


def check_gradients(
    loss: Callable[..., float],
    at: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    whats: Sequence[str],
    dtype: str = "float64",
) -> None:
    """Expect ``found`` to be the gradients of ``loss`` by its arguments at ``at``: along one direction, at first.

    In a direction in general position no wrong element hides behind another. Where the slope is not the one that
    ``found`` says, each element is looked at by itself, which names the wrong one, and decides.
    """
    tolerance = TOLERANCES_BY_TYPE.get(dtype, TOLERANCE)
    directions = [general_direction(x, number) for number, x in enumerate(at)]
    if all(x.shape == y.shape for x, y in zip(at, found, strict=True)):
        ahead, behind = (
            loss(*(x + step * way for x, way in zip(at, directions, strict=True))) for step in (STEP, -STEP)
        )
        parts = [np.real(np.conj(x) * way) for x, way in zip(found, directions, strict=True)]
        largest = max(abs(x).max(initial=0.0) for x in parts)
        if abs((ahead - behind) / (2 * STEP) - sum(x.sum() for x in parts)) <= tolerance * max(0.25, largest):
            return
    for number, (x, gradient, what) in enumerate(zip(at, found, whats, strict=True)):
        numeric = numeric_gradient(lambda moved, n=number: loss(*at[:n], moved, *at[n + 1 :]), x)  # type: ignore[misc]
        close_gradients(numeric, gradient, what, dtype=dtype)


def general_direction(at: np.ndarray, number: int) -> np.ndarray:
    """A direction from ``at``, along no axis and no diagonal; a different one for each ``number``."""
    numbers = np.arange(at.size) * 0.6180339887 + number * 0.137
    direction = (0.5 + numbers % 0.5) * np.where(np.arange(at.size) % 2, -1, 1)
    if at.dtype.kind == "c":
        direction = direction + 1j * (0.5 + (numbers * 1.7) % 0.5)
    return np.asarray(direction.reshape(at.shape))


def close_gradients(
    expected: np.ndarray,
    found: np.ndarray,
    what: str,
    tolerance: float | None = None,
    source: str = "finite differences",
    whole: bool = False,
    dtype: str | None = None,
) -> None:
    """Expect the gradient ``found``, computed in ``dtype`` (its own one by default), to agree with ``expected``.

    ``source`` says where ``expected`` comes from. Without a ``tolerance`` it is that of finite differences, as far as
    the type goes. It is meant of each element; with ``whole`` of the largest one, where elements come from sums of
    such numbers.
    """
    if tolerance is None:
        tolerance = TOLERANCES_BY_TYPE.get(dtype or found.dtype.name, TOLERANCE)
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
