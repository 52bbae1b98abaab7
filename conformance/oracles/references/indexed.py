"""References of writes at indices, one after the other in the order in which they are given.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_.html and its neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def rows_added(x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray, *, alpha: Any = 1) -> np.ndarray:
    """index_add_: alpha times each row of the source added to the row of self that the index names."""
    found, rows, given = _rows(x, dim, source)
    for i, row in enumerate(index.tolist()):
        rows[row] += given[i] * np.asarray(alpha).astype(x.dtype)
    return found


def rows_copied(x: np.ndarray, dim: int, index: np.ndarray, tensor: np.ndarray) -> np.ndarray:
    """index_copy_: each row of the tensor written over the row of self that the index names."""
    found, rows, given = _rows(x, dim, tensor)
    for i, row in enumerate(index.tolist()):
        rows[row] = given[i]
    return found


def rows_filled(x: np.ndarray, dim: int, index: np.ndarray, value: Any) -> np.ndarray:
    """index_fill_: the rows that the index names filled with one value."""
    found, rows, _ = _rows(x, dim, x)
    for row in index.tolist():
        rows[row] = value
    return found


def rows_reduced(
    x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray, reduce: str, *, include_self: bool = True
) -> np.ndarray:
    """index_reduce_: rows of the source reduced into those of self; rows that no index names stay."""
    found, rows, given = _rows(x, dim, source)
    for row in sorted(set(index.tolist())):
        terms = [given[i] for i, named in enumerate(index.tolist()) if named == row]
        rows[row] = reduced([rows[row].copy(), *terms] if include_self else terms, reduce)
    return found


def reduced(terms: list[Any], reduce: str) -> Any:
    """One of the documented reductions over a list of numbers or arrays."""
    if reduce in ("sum", "mean"):
        total = np.add.reduce(terms, axis=0, dtype=np.asarray(terms[0]).dtype)
        return total / len(terms) if reduce == "mean" else total
    if reduce == "prod":
        return np.multiply.reduce(terms, axis=0, dtype=np.asarray(terms[0]).dtype)
    return {"amax": np.maximum, "amin": np.minimum}[reduce].reduce(terms, axis=0)


def put_at_indices(x: np.ndarray, indices: tuple[Any, ...], values: np.ndarray, accumulate: bool = False) -> np.ndarray:
    """index_put_ with one index tensor, of the first dimension."""
    found = x.copy()
    given = np.broadcast_to(values, (len(indices[0]), *x.shape[1:]))
    for i, row in enumerate(indices[0].tolist()):
        found[row] = found[row] + given[i] if accumulate else given[i]
    return found


def put_at_places(x: np.ndarray, index: np.ndarray, source: np.ndarray, accumulate: bool = False) -> np.ndarray:
    """put_: as if self were 1-D, in the order of its elements."""
    found = x.ravel().copy()
    for place, value in zip(index.ravel().tolist(), source.ravel(), strict=True):
        found[place] = found[place] + value if accumulate else value
    return found.reshape(x.shape)


def filled_where(x: np.ndarray, mask: np.ndarray, value: Any) -> np.ndarray:
    """masked_fill_."""
    return np.where(np.broadcast_to(mask, x.shape), np.asarray(value).astype(x.dtype), x)


def scattered_where(x: np.ndarray, mask: np.ndarray, source: np.ndarray) -> np.ndarray:
    """masked_scatter_: the source's elements, one after the other, where the mask is true."""
    found = x.ravel().copy()
    places = np.flatnonzero(np.broadcast_to(mask, x.shape))
    found[places] = source.ravel()[: len(places)]
    return found.reshape(x.shape)


def written_at_indices(
    x: np.ndarray, dim: int, index: np.ndarray, src: Any, *, reduce: str | None = None
) -> np.ndarray:
    """scatter_: written, added or multiplied at the places that the index names along one dimension, in order."""
    found = x.copy()
    places, values = _targets(x, dim, index, src)
    if reduce is None:
        found.reshape(-1)[places] = values  # NumPy assigns in order, so that the last of several stays
    else:
        (np.add if reduce == "add" else np.multiply).at(found.reshape(-1), places, values)
    return found


def added_at_indices(x: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray) -> np.ndarray:
    """scatter_add_."""
    return written_at_indices(x, dim, index, src, reduce="add")


def reduced_at_indices(
    x: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray, reduce: str, *, include_self: bool = True
) -> np.ndarray:
    """scatter_reduce_: the elements of src that meet at one place of self reduced, with self's own or without."""
    found = x.copy()
    flat = found.reshape(-1)
    places, values = _targets(x, dim, index, src)
    met, first, counts = np.unique(places, return_index=True, return_counts=True)
    further = np.ones(len(places), bool)
    if not include_self:
        flat[met] = values[first]
        further[first] = False
    _REDUCTIONS[reduce].at(flat, places[further], values[further])
    if reduce == "mean":
        flat[met] = flat[met] / (counts + include_self)
    return found


_REDUCTIONS = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _targets(x: np.ndarray, dim: int, index: np.ndarray, src: Any) -> tuple[np.ndarray, np.ndarray]:
    """The places of self, counted in row-major order, that the elements of the index name, and what comes there."""
    coordinates: list[np.ndarray] = list(np.indices(index.shape))
    if coordinates:
        coordinates[dim] = index
    places = np.ravel_multi_index(coordinates, x.shape) if coordinates else np.zeros((), np.intp)
    if isinstance(src, np.ndarray):
        values = src[tuple(map(slice, index.shape))] if src.ndim else src
    else:
        values = np.full(index.shape, np.asarray(src).astype(x.dtype))
    return np.asarray(places).ravel(), values.ravel()


def _rows(x: np.ndarray, dim: int, source: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = x.copy() if x.ndim else x.copy().reshape(1)
    given = source if source.ndim else source.reshape(1)
    return found.reshape(x.shape), np.moveaxis(found, dim, 0), np.moveaxis(given, dim, 0)
