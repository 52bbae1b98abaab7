"""Indexed writes, written out: one step of a loop for each index, in NumPy or plain Python.

Each function returns what ``self`` holds after the call. Sums, products and means are formed in float64 or
complex128 (integers in their own type) from operands chosen so that every step of them is exact.
Reference: https://docs.pytorch.org/docs/stable/tensors.html, the entry of each method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.inputs.dtypes import ELEMENT_TYPES

WIDE = {"floating": np.float64, "complex": np.complex128}
STEPS: dict[str, Callable[..., Any]] = {
    "sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum,
}  # fmt: skip
BOOLEAN_STEPS: dict[str, Callable[..., Any]] = {**STEPS, "sum": np.logical_or, "prod": np.logical_and}


def exact_values(plan: Any) -> np.ndarray:
    """A copy of the planned values in a type wide enough for exact sums and products."""
    wide: np.ndarray = plan.array.astype(WIDE.get(ELEMENT_TYPES[plan.dtype].kind, plan.array.dtype), copy=True)
    return wide


def index_positions(index: Any) -> list[int]:
    """The planned index as plain integers, row-major."""
    found: list[int] = index.array.ravel().tolist()
    return found


def rows_along(array: np.ndarray, dim: int) -> np.ndarray:
    """A view of ``array`` whose first axis is ``dim``; a 0-d array counts as one row."""
    return np.moveaxis(array, dim, 0) if array.ndim else array.reshape(1)


def index_added(self_: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> np.ndarray:
    """``self`` after ``index_add_``: row ``index[i]`` grows by ``alpha`` times row ``i`` of the source."""
    result, added = exact_values(self_), exact_values(source)
    for i, j in enumerate(index_positions(index)):
        step = rows_along(added, dim)[i]
        rows_along(result, dim)[j] = reduction_step(
            "sum", rows_along(result, dim)[j], step if alpha == 1 else scaled_row(step, alpha)
        )
    return result


def scaled_row(row: Any, alpha: Any) -> Any:
    """``alpha`` times ``row``, in the type of the row."""
    return (row & bool(alpha)) if np.asarray(row).dtype == bool else row * np.asarray(alpha, np.asarray(row).dtype)


def index_copied(self_: Any, dim: int, index: Any, source: Any) -> np.ndarray:
    """``self`` after ``index_copy_``: row ``index[i]`` is row ``i`` of the source."""
    result: np.ndarray = self_.array.copy()
    for i, j in enumerate(index_positions(index)):
        rows_along(result, dim)[j] = rows_along(source.array, dim)[i]
    return result


def index_copy_candidates(self_: Any, dim: int, index: Any, source: Any) -> list[tuple[Any, ...]]:
    """What each element may be after ``index_copy_`` with duplicates: any of the values copied to it."""
    spots = np.arange(self_.array.size).reshape(self_.array.shape)
    candidates: dict[int, list[Any]] = {}
    for i, j in enumerate(index_positions(index)):
        for spot, value in zip(
            rows_along(spots, dim)[j].ravel().tolist(), rows_along(source.array, dim)[i].ravel(), strict=True
        ):
            candidates.setdefault(spot, []).append(value)
    return [tuple(candidates.get(spot, [value])) for spot, value in enumerate(self_.array.ravel())]


def index_filled(self_: Any, dim: int, index: Any, value: Any) -> np.ndarray:
    """``self`` after ``index_fill_``: rows named by the index hold ``value``."""
    result: np.ndarray = self_.array.copy()
    for j in index_positions(index):
        rows_along(result, dim)[j] = value
    return result


def index_reduced(
    self_: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> np.ndarray:
    """``self`` after ``index_reduce_``: rows that the index names hold the reduction of all that fell on them."""
    shape = (len(index_positions(index)), *rows_along(self_.array, dim).shape[1:])
    spread = np.broadcast_to(index.array.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return _reduced_along(self_, dim, spread, rows_along(exact_values(source), dim), reduce, include_self)


def scatter_steps(self_: Any, dim: int, index: Any) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs (position in the source, position in ``self``) of a scatter, in row-major order of the index."""
    if not self_.shape or not index.shape:
        return [((0,) * len(index.shape), ())] if index.array.size else []
    dim %= len(self_.shape)
    spots = np.ndindex(index.shape)
    return [(spot, (*spot[:dim], j, *spot[dim + 1 :])) for spot, j in zip(spots, index_positions(index), strict=True)]


def scattered(self_: Any, dim: int, index: Any, source: Any) -> np.ndarray:
    """``self`` after ``scatter_`` of a tensor or of a number."""
    result: np.ndarray = self_.array.copy()
    for origin, target in scatter_steps(self_, dim, index):
        result[target] = source.array[origin] if hasattr(source, "array") else source
    return result


def scatter_candidates(self_: Any, dim: int, index: Any, source: Any) -> list[tuple[Any, ...]]:
    """What each element may be after ``scatter_`` with duplicates: any of the values that fell on it."""
    candidates: dict[tuple[int, ...], list[Any]] = {}
    for origin, target in scatter_steps(self_, dim, index):
        candidates.setdefault(target, []).append(source.array[origin])
    return [tuple(candidates.get(spot, [self_.array[spot]])) for spot in np.ndindex(self_.shape)]


def scatter_reduced(
    self_: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> np.ndarray:
    """``self`` after ``scatter_reduce_``, ``scatter_add_`` or ``scatter_(reduce=)`` (names of the first)."""
    targets = rows_along(index.array, dim)
    if hasattr(source, "array"):
        taken = rows_along(exact_values(source)[tuple(map(slice, index.shape))], dim)
    else:
        taken = np.full(targets.shape, source, exact_values(self_).dtype)
    return _reduced_along(self_, dim, targets, taken, reduce, include_self)


def _reduced_along(
    self_: Any, dim: int, targets: np.ndarray, taken: np.ndarray, reduce: str, include_self: bool
) -> np.ndarray:
    """Reduce row after row of ``taken`` into the rows that ``targets`` names, element by element."""
    result = exact_values(self_)
    lines = rows_along(result, dim)
    terms = np.full(lines.shape, int(include_self))
    others: tuple[Any, ...] = tuple(np.indices(targets.shape[1:], sparse=True))
    for target, row in zip(targets, taken, strict=True):
        spot = (target, *others)
        lines[spot] = np.where(terms[spot] == 0, row, reduction_step(reduce, lines[spot], row))
        terms[spot] += 1
    if reduce == "mean":
        counts = np.maximum(terms, 1)
        lines[...] = lines // counts if result.dtype.kind in "iu" else lines / counts
    return result


def reduction_step(reduce: str, a: Any, b: Any) -> Any:
    """One step of a reduction of two numbers or arrays of one type; bools add as "or" and multiply as "and"."""
    step = BOOLEAN_STEPS[reduce] if a.dtype == bool else STEPS[reduce]
    with np.errstate(all="ignore"):
        return step(a, b)


def index_put_steps(self_: Any, indices: tuple[Any, ...], values: Any) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Pairs (position in ``self``, values there) of ``self[indices] = values``, in row-major order of the values.

    Integer indices are broadcast against each other; a bool index stands for the positions where it is True. A position
    has a number for each indexed dimension, and the values are those of the dimensions that follow.
    """
    columns: list[np.ndarray] = []
    for index in indices:
        columns += list(np.nonzero(index.array)) if index.dtype in ("bool", "uint8") else [index.array]
    columns = list(np.broadcast_arrays(*columns))
    spots = [
        [j % extent for j in column.ravel().tolist()] for column, extent in zip(columns, self_.shape, strict=False)
    ]
    tail = self_.shape[len(columns) :]
    spread = np.broadcast_to(values.array, (*columns[0].shape, *tail)).reshape(columns[0].size, *tail)
    return list(zip(zip(*spots, strict=True), spread, strict=True))


def index_put_at(self_: Any, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> np.ndarray:
    """``self`` after ``index_put_``."""
    result = exact_values(self_) if accumulate else self_.array.copy()
    for target, row in index_put_steps(self_, indices, values):
        result[target] = reduction_step("sum", result[target], row.astype(result.dtype)) if accumulate else row
    return result


def put_at(self_: Any, index: Any, source: Any, accumulate: bool = False) -> np.ndarray:
    """``self`` after ``put_``: the elements are counted in row-major order, whatever the strides."""
    result = (exact_values(self_) if accumulate else self_.array).flatten()
    for j, value in zip(index_positions(index), source.array.ravel(), strict=True):
        result[j] = reduction_step("sum", result[j], result.dtype.type(value)) if accumulate else value
    return np.reshape(result, self_.shape)


def masked_filled(self_: Any, mask: Any, value: Any) -> np.ndarray:
    """``self`` after ``masked_fill_``: ``value`` where the broadcast mask is True."""
    result: np.ndarray = self_.array.copy()
    marks = np.broadcast_to(mask.array, self_.shape)
    for spot in np.ndindex(self_.shape):
        if marks[spot]:
            result[spot] = value
    return result


def masked_scattered(self_: Any, mask: Any, source: Any) -> np.ndarray:
    """``self`` after ``masked_scatter_``: the source in row-major order, one element for each True of the mask."""
    result: np.ndarray = self_.array.copy()
    following = iter(source.array.ravel())
    marks = np.broadcast_to(mask.array, self_.shape)
    for spot in np.ndindex(self_.shape):
        if marks[spot]:
            result[spot] = next(following)
    return result


def diagonal_filled(self_: Any, value: Any, wrap: bool = False) -> np.ndarray:
    """``self`` after ``fill_diagonal_``: equal indices hold ``value``; wrapped, every (columns + 1)-th element of a
    tall matrix does, so that a row without a diagonal element parts one diagonal from the next."""
    result: np.ndarray = self_.array.copy()
    for i in range(min(self_.shape)):
        result[(i,) * len(self_.shape)] = value
    if wrap and len(self_.shape) == 2:
        height, width = self_.shape
        for step in range(0, height * width, width + 1):
            result[step // width, step % width] = value
    return result
