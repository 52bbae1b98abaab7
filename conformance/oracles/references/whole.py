"""References of operations on a whole tensor: fills, copies, running sums, triangles, shapes.

Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.inputs.layouts import places
from conformance.oracles.conversions import converted


def filled(x: np.ndarray, value: Any) -> np.ndarray:
    """fill_: every element is the value."""
    return np.full(x.shape, value, dtype=x.dtype)


def zeros_of(x: np.ndarray) -> np.ndarray:
    """zero_."""
    return np.zeros(x.shape, x.dtype)


def source_copied(x: np.ndarray, src: np.ndarray, *, dtype: str = "float32") -> np.ndarray:
    """copy_: the source broadcast and converted."""
    return np.broadcast_to(converted(src, dtype), x.shape)


def filled_diagonal(x: np.ndarray, fill_value: Any, wrap: bool = False) -> np.ndarray:
    """fill_diagonal_: elements with equal indices; in a tall matrix again from each N + 1 rows on, if wrapped."""
    found = x.copy()
    if x.ndim == 2:
        rows, columns = x.shape
        for row in range(rows):
            column = row % (columns + 1) if wrap else row
            if column < columns:
                found[row, column] = fill_value
    else:
        for i in range(min(x.shape)):
            found[(i,) * x.ndim] = fill_value
    return found


def running_sum(x: np.ndarray, dim: int) -> Any:
    """cumsum."""
    return np.add.accumulate(x, axis=dim) if x.ndim else x


def running_product(x: np.ndarray, dim: int) -> Any:
    """cumprod."""
    return np.multiply.accumulate(x, axis=dim) if x.ndim else x


def lower_triangle(x: np.ndarray, diagonal: int = 0) -> np.ndarray:
    """tril: zero above the diagonal."""
    return np.where(_column_less_row(x) <= diagonal, x, np.zeros((), x.dtype))


def upper_triangle(x: np.ndarray, diagonal: int = 0) -> np.ndarray:
    """triu: zero below the diagonal."""
    return np.where(_column_less_row(x) >= diagonal, x, np.zeros((), x.dtype))


def restrided(
    x: np.ndarray, size: tuple[int, ...], stride: tuple[int, ...], offset: int, *, plan: Any = None
) -> np.ndarray:
    """as_strided: the elements that lie where size, strides and offset say, in the storage of ``plan``."""
    storage = np.zeros(int(plan.places.max(initial=-1)) + 1, x.dtype)
    storage[plan.places] = x.ravel()
    found: np.ndarray = storage[places(size, stride, offset)].reshape(size)
    return found


def without_ones(x: np.ndarray, dim: int | tuple[int, ...] | None = None) -> np.ndarray:
    """squeeze: without the dimensions of extent 1, or without those of them that are named."""
    named = {axis % max(x.ndim, 1) for axis in (dim if isinstance(dim, tuple) else (dim,)) if axis is not None}
    kept = [
        extent for axis, extent in enumerate(x.shape)
        if extent != 1 or (dim is not None and axis not in named)
    ]  # fmt: skip
    return x.reshape(kept)


def two_axes_swapped(x: np.ndarray, first: int = 0, second: int = -1) -> np.ndarray:
    """transpose, and t, which leaves vectors as they are."""
    return np.swapaxes(x, first, second) if x.ndim else x


def function_applied(x: np.ndarray, *rest: Any) -> np.ndarray:
    """apply_, map_ and map2_: the function's value for each element and those at its place."""
    *others, function = rest
    operands = [np.broadcast_to(other, x.shape).ravel().tolist() for other in (x, *others)]
    found = [function(*numbers) for numbers in zip(*operands, strict=True)]
    return np.array(found, dtype=x.dtype).reshape(x.shape)


def _column_less_row(x: np.ndarray) -> np.ndarray:
    rows, columns = x.shape[-2:]
    return np.arange(columns)[None, :] - np.arange(rows)[:, None]
