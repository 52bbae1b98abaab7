"""Weights: the numbers by which the elements of a result are weighted where a single number is to come of them.

No two are equal and none is 0 or 1, so that no element hides behind another.
"""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np


@cache
def weights_for(shape: tuple[int, ...]) -> np.ndarray:
    """The weights of a tensor of this shape; shared, and not to be written."""
    weights: np.ndarray = np.cos(1.0 + np.arange(prod(shape))).reshape(shape)
    return weights
