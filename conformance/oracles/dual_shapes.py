"""Dual rules of operations that take elements apart, reorder them, or put them together.

Dimensions are counted from the front, so that the dimension of the directions at the end is never meant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.oracles.dual_rules import dual_add
from conformance.oracles.duals import Dual, along

Dims = tuple[int, ...]


# views: of both arrays, so that what is written through one is seen through the other


def dual_part(x: Dual, index: tuple[Any, ...]) -> Dual:
    """A basic index (numbers, slices, None): a view."""
    return Dual(x.value[(*index, ...)], x.slope[(*index, ...)])


def dual_permute(x: Dual, order: Dims) -> Dual:
    """The dimensions in another order: a view."""
    return Dual(x.value.transpose(order), x.slope.transpose(*order, len(order)))


def dual_expand(x: Dual, shape: Dims) -> Dual:
    """Broadcast to a shape: a view that is not to be written."""
    return Dual(np.broadcast_to(x.value, shape), np.broadcast_to(x.slope, (*shape, x.slope.shape[-1])))


def dual_reshape(x: Dual, shape: Dims) -> Dual:
    """The elements in row-major order in another shape: a view where one dimension is split."""
    return Dual(x.value.reshape(shape), x.slope.reshape(*shape, x.slope.shape[-1]))


def dual_diagonal(x: Dual, offset: int) -> Dual:
    """A diagonal of a matrix: a view."""
    value, slope = x.value.diagonal(offset), x.slope.diagonal(offset)
    value.flags.writeable = slope.flags.writeable = x.value.flags.writeable
    return Dual(value, slope.T)


def dual_unfold(x: Dual, dim: int, size: int, step: int) -> Dual:
    """Windows along a dimension, as a new last dimension: a view that is not to be written."""
    index = (*[slice(None)] * dim, slice(None, None, step))
    slope = np.lib.stride_tricks.sliding_window_view(x.slope, size, dim)
    return Dual(np.lib.stride_tricks.sliding_window_view(x.value, size, dim)[index], np.moveaxis(slope, -1, -2)[index])


# copies


def dual_taken(x: Dual, indices: tuple[int, ...], dim: int) -> Dual:
    """The slices with these numbers along a dimension: index_select, flip, roll, repeat."""
    return Dual(np.take(x.value, indices, dim), np.take(x.slope, indices, dim))


def dual_gather(x: Dual, index: Any, dim: int) -> Dual:
    """An element for each place of ``index``, which says where it stands along a dimension."""
    numbers = np.asarray(index, np.int64)
    return Dual(np.take_along_axis(x.value, numbers, dim), np.take_along_axis(x.slope, numbers[..., None], dim))


def dual_chosen(x: Dual, mask: Any) -> Dual:
    """The elements where a mask holds, in row-major order."""
    where = np.asarray(mask, bool)
    return Dual(x.value[where], x.slope[where])


def dual_masked(x: Dual, mask: Any, number: float) -> Dual:
    """``number`` where a mask holds, ``x`` elsewhere: masked_fill, tril, triu, index_fill."""
    where = np.broadcast_to(np.asarray(mask, bool), x.value.shape)
    return Dual(np.where(where, number, x.value), np.where(where[..., None], 0.0, x.slope))


def dual_cat(x: Dual, y: Dual, dim: int) -> Dual:
    """One after the other along a dimension."""
    return Dual(np.concatenate((x.value, y.value), dim), np.concatenate((x.slope, y.slope), dim))


def dual_stack(x: Dual, y: Dual, dim: int) -> Dual:
    """One after the other along a new dimension."""
    return Dual(np.stack((x.value, y.value), dim), np.stack((x.slope, y.slope), dim))


def dual_pad(x: Dual, before: int, after: int, number: float) -> Dual:
    """The last dimension with ``number`` before and after."""
    widths = [(0, 0)] * (x.value.ndim - 1) + [(before, after)]
    value = np.pad(x.value, widths, constant_values=number)
    return Dual(value, np.pad(x.slope, [*widths, (0, 0)]))


def dual_embedded(x: Dual) -> Dual:
    """A vector as the diagonal of a matrix."""
    size = len(x.value)
    slope = np.zeros((size, size, x.slope.shape[-1]))
    slope[np.arange(size), np.arange(size)] = x.slope
    return Dual(np.diag(x.value), slope)


def dual_placed(x: Dual, y: Dual, index: tuple[Any, ...], factor: float | None) -> Dual:
    """``y`` at the places of an advanced index of ``x``: written there, or added ``factor`` times."""
    found = Dual(x.value.copy(), x.slope.copy())
    spots = tuple(np.asarray(i, np.int64) if isinstance(i, tuple) else i for i in index)
    if factor is None:
        found.value[spots], found.slope[spots] = y.value, y.slope
    else:
        np.add.at(found.value, spots, factor * y.value)
        np.add.at(found.slope, spots, factor * y.slope)
    return found


def dual_scattered(x: Dual, y: Dual, index: Any, dim: int, factor: float | None) -> Dual:
    """As ``dual_placed``, where ``index`` says of each element of ``y`` where it goes along a dimension."""
    numbers = np.asarray(index, np.int64)
    spots: list[np.ndarray] = list(np.indices(numbers.shape))
    spots[dim] = numbers
    kept = tuple(slice(0, extent) for extent in numbers.shape)
    found = Dual(x.value.copy(), x.slope.copy())
    source = Dual(y.value[kept], y.slope[kept])
    if factor is None:
        found.value[tuple(spots)], found.slope[tuple(spots)] = source.value, source.slope
    else:
        np.add.at(found.value, tuple(spots), factor * source.value)
        np.add.at(found.slope, tuple(spots), factor * source.slope)
    return found


# reductions and scans


def dual_sum(x: Dual, dims: Dims, keep: bool = False, factor: float = 1.0) -> Dual:
    """Sum over dimensions, times a factor: sum, mean, trace of ones."""
    return Dual(factor * x.value.sum(dims, keepdims=keep), factor * x.slope.sum(dims, keepdims=keep))


def dual_prod(x: Dual, dim: int, keep: bool = False) -> Dual:
    """Product over a dimension."""
    others = np.stack([np.delete(x.value, i, dim).prod(dim) for i in range(x.value.shape[dim])], dim)
    return Dual(x.value.prod(dim, keepdims=keep), along(others, x).sum(dim, keepdims=keep))


def dual_cumsum(x: Dual, dim: int) -> Dual:
    """Running sum."""
    return Dual(x.value.cumsum(dim), x.slope.cumsum(dim))


def dual_cumprod(x: Dual, dim: int) -> Dual:
    """Running product."""
    parts = [
        dual_prod(Dual(np.take(x.value, range(i + 1), dim), np.take(x.slope, range(i + 1), dim)), dim)
        for i in range(x.value.shape[dim])
    ]
    return Dual(np.stack([part.value for part in parts], dim), np.stack([part.slope for part in parts], dim))


def dual_ranked(x: Dual, dim: int, ranks: tuple[int, ...] | int, keep: bool = False) -> Dual:
    """The elements of these ranks along a dimension: max, min, median, sort, topk. A number drops the dimension."""
    order = np.argsort(x.value, dim, kind="stable")
    single = isinstance(ranks, int)
    found = dual_gather(x, np.take(order, [ranks] if single else ranks, dim), dim)
    return dual_part(found, (*[slice(None)] * dim, 0)) if single and not keep else found


def dual_softmax(x: Dual, dim: int) -> Dual:
    """Exponentials over their sum along a dimension."""
    powers = np.exp(x.value)
    share = powers / powers.sum(dim, keepdims=True)
    weighted_slopes = along(share, x)
    return Dual(share, weighted_slopes - share[..., None] * weighted_slopes.sum(dim, keepdims=True))


def dual_logsumexp(x: Dual, dim: int, keep: bool = False) -> Dual:
    """Logarithm of the sum of exponentials along a dimension."""
    share = dual_softmax(x, dim).value
    return Dual(np.log(np.exp(x.value).sum(dim, keepdims=keep)), along(share, x).sum(dim, keepdims=keep))


def dual_log_softmax(x: Dual, dim: int) -> Dual:
    """Logarithm of softmax."""
    return dual_add(x, dual_logsumexp(x, dim, True), -1.0)


def dual_var(x: Dual, dim: int, keep: bool = False) -> Dual:
    """Variance along a dimension, divided by one less than the count."""
    count = x.value.shape[dim] - 1
    away = x.value - x.value.mean(dim, keepdims=True)
    return Dual((away**2).sum(dim, keepdims=keep) / count, along(2 * away / count, x).sum(dim, keepdims=keep))


def dual_norm(x: Dual, dims: Dims, keep: bool = False) -> Dual:
    """Length over dimensions."""
    length = np.sqrt((x.value**2).sum(dims, keepdims=True))
    slope = along(x.value / length, x).sum(dims, keepdims=keep)
    return Dual(length if keep else np.squeeze(length, dims), slope)


# products


def dual_einsum(x: Dual, y: Dual, equation: str) -> Dual:
    """A sum of products: matmul, dot, outer and the like, as the equation of einsum says."""
    operands, result = equation.split("->")
    first, second = operands.split(",")
    return Dual(
        np.einsum(equation, x.value, y.value),
        np.einsum(f"{first}Z,{second}->{result}Z", x.slope, y.value)
        + np.einsum(f"{first},{second}Z->{result}Z", x.value, y.slope),
    )


def dual_plus_einsum(x: Dual, y: Dual, z: Dual, equation: str, beta: float, alpha: float) -> Dual:
    """``beta * x + alpha * (y times z)``: addmm and its like."""
    product = dual_einsum(y, z, equation)
    return Dual(beta * x.value + alpha * product.value, beta * x.slope + alpha * product.slope)
