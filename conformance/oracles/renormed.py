"""Renormed tensors: slices whose norm is no higher than a bound, by NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.renorm.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.oracles import numbers
from conformance.oracles.expect import Mismatch

# A scaled slice is rounded in each element, and so is the norm that it was scaled by; torch adds 1e-7 to that norm.
ROUNDINGS = 4
NUDGE = 1e-6


def renormed(before: np.ndarray, found: np.ndarray, dtype: str, arguments: tuple[float, int, float], what: str) -> None:
    """Expect slices below the bound to be what they were, and the others scaled to it.

    ``arguments`` are the order of the norm, the dimension that numbers the slices, and the bound.
    """
    order, dim, bound = arguments
    old, new = np.moveaxis(before, dim, 0), np.moveaxis(found, dim, 0)
    for number, (was, now) in enumerate(zip(old, new, strict=True)):
        norm = _norm(was, order)
        place = f"slice {number} along dimension {dim}"
        if norm < bound * (1 - NUDGE):
            if not np.array_equal(was, now):
                raise Mismatch(what, f"unchanged, as its norm of {norm:.6g} is below {bound}", "other numbers", place)
            continue
        wanted = was * (min(1.0, bound / norm) if norm else 1.0)
        slack = ROUNDINGS * numbers.spacing(np.maximum(abs(was), abs(wanted)), dtype) + NUDGE * abs(wanted)
        if not (abs(now - wanted) <= slack).all():
            raise Mismatch(what, f"a norm of {bound}", f"{_norm(now, order):.8g}, or another direction", place)


def _norm(values: np.ndarray, order: float) -> float:
    size: Any = abs(values.astype(np.complex128)).ravel()
    if not size.size:
        return 0.0
    return float(size.max() if order == np.inf else (size**order).sum() ** (1 / order))
