"""Choices: how a small number becomes the arguments of a step.

A choice takes the number and the operands and gives the words that go into the step's text and the numbers that go to
its rule, or None where the operation cannot be applied to them. None is reached from a check: they make programs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from conformance.inputs.program_needs import MARGIN
from conformance.oracles.duals import Dual

Chosen = tuple[tuple[Any, ...], tuple[Any, ...]] | None


def nothing(n: int, *operands: Dual) -> Chosen:
    """No arguments."""
    return (), ()


def given(*numbers: Any) -> Callable[..., Chosen]:
    """The same numbers always: they stand in the text and go to the rule."""

    def choose(n: int, *operands: Dual) -> Chosen:
        return numbers, numbers

    return choose


def one_of(*rows: tuple[Any, ...]) -> Callable[..., Chosen]:
    """One of several lists of numbers."""

    def choose(n: int, *operands: Dual) -> Chosen:
        return rows[n % len(rows)], rows[n % len(rows)]

    return choose


def along_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension, counted from either end in the text."""
    rank = x.value.ndim
    if not rank:
        return None
    dim = n % rank
    return (dim - rank if n // rank % 2 else dim,), (dim,)


def full_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension along which there is an element."""
    chosen = along_dim(n, x)
    return chosen if chosen and x.value.shape[chosen[1][0]] else None


def kept_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension with elements, and whether it is kept."""
    chosen, keep = full_dim(n, x), n // 8 % 2 == 1
    return chosen and ((*chosen[0], keep), (*chosen[1], keep))


def some_dims(n: int, x: Dual, *others: Dual) -> Chosen:
    """One dimension, or the first and the last, and whether they are kept."""
    rank, keep = x.value.ndim, n // 8 % 2 == 1
    if not rank:
        return None
    dims = (0, rank - 1) if rank > 1 and n % 3 == 2 else (n % rank,)
    words = tuple(dim - rank for dim in dims) if n // 2 % 2 else dims
    return (words, keep), (dims, keep)


def mean_dims(n: int, x: Dual, *others: Dual) -> Chosen:
    """Dimensions to take the mean over, and one over the number of elements there."""
    chosen = some_dims(n, x)
    count = chosen and prod(x.value.shape[dim] for dim in chosen[1][0])
    return chosen and ((chosen[0], (*chosen[1], 1 / count)) if count else None)


def every_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """All dimensions."""
    return (), (tuple(range(x.value.ndim)),)


def ranked(rank: Callable[[int, int], Any]) -> Callable[..., Chosen]:
    """A dimension, the rank or ranks that ``rank(n, extent)`` says, and whether the dimension is kept."""

    def choose(n: int, x: Dual, *others: Dual) -> Chosen:
        chosen, keep = full_dim(n, x), n // 8 % 2 == 1
        return chosen and ((*chosen[0], keep), (*chosen[1], rank(n, x.value.shape[chosen[1][0]]), keep))

    return choose


def two_dims(n: int, x: Dual, *others: Dual) -> Chosen:
    """Two dimensions to swap, and the order that comes of it."""
    rank = x.value.ndim
    if rank < 2:
        return None
    first, second = n % rank, (n + 1 + n // rank % (rank - 1)) % rank
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return (first, second - rank if n // 4 % 2 else second), (tuple(order),)


def new_order(n: int, x: Dual, *others: Dual) -> Chosen:
    """The dimensions in another order."""
    rank = x.value.ndim
    order = tuple((i + 1 + n % max(rank - 1, 1)) % rank for i in range(rank))
    return ((order,), (order,)) if rank > 1 else None


def part_of_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension, a start and a length, as narrow takes them."""
    chosen = full_dim(n, x)
    if chosen is None:
        return None
    dim = chosen[1][0]
    extent = x.value.shape[dim]
    start = n // 4 % extent
    length = 1 + n // 8 % (extent - start)
    return (chosen[0][0], start, length), ((*[slice(None)] * dim, slice(start, start + length)),)


def place_in_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension and a number in it, as select takes them."""
    chosen = full_dim(n, x)
    if chosen is None:
        return None
    dim = chosen[1][0]
    extent = x.value.shape[dim]
    place = n // 4 % extent
    return (chosen[0][0], place - extent if n // 2 % 2 else place), ((*[slice(None)] * dim, place),)


def every_other(n: int, x: Dual, *others: Dual) -> Chosen:
    """Every second element of the last dimension, from the first or the second."""
    if not x.value.ndim:
        return None
    return (n % 2,), ((*[slice(None)] * (x.value.ndim - 1), slice(n % 2, None, 2)),)


def new_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A place for a new dimension."""
    if x.value.ndim > 3:
        return None
    dim = n % (x.value.ndim + 1)
    return (dim,), ((*[slice(None)] * dim, None),)


def without_ones(n: int, x: Dual, *others: Dual) -> Chosen:
    """All dimensions of size 1 left out."""
    return (), (tuple(0 if extent == 1 else slice(None) for extent in x.value.shape),)


def wider(n: int, x: Dual, *others: Dual) -> Chosen:
    """A shape to which x broadcasts: a dimension more, or dimensions of size 1 made larger."""
    shape = tuple(2 + n % 2 if extent == 1 else extent for extent in x.value.shape)
    shape = (2, *shape) if shape == x.value.shape or n // 2 % 2 else shape
    return (shape,), (shape,)


def split_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """A shape in which one dimension is split: always a view."""
    shape = x.value.shape
    even = [dim for dim, extent in enumerate(shape) if extent and extent % 2 == 0]
    dim = even[n % len(even)] if even else n % max(len(shape), 1)
    if len(shape) > 3:
        return None
    parts = (2, shape[dim] // 2) if even else (1, *shape[dim : dim + 1])
    split = (*shape[:dim], *parts, *shape[dim + 1 :])
    return (split,), (split,)


def other_shape(n: int, x: Dual, *others: Dual) -> Chosen:
    """Any shape with as many elements."""
    size = x.value.size
    shape = ((size,), (1, size), (size, 1), (2, size // 2) if size and size % 2 == 0 else (size, 1, 1))[n % 4]
    words = tuple(-1 if extent == size and size > 1 and n // 4 % 2 else extent for extent in shape)
    return (words if words.count(-1) < 2 else shape,), (shape,)


def a_diagonal(n: int, x: Dual, *others: Dual) -> Chosen:
    """A diagonal of a matrix, with an offset within it."""
    if x.value.ndim != 2 or not x.value.size:
        return None
    offset = (0, 1, -1)[n % 3]
    offset = offset if -x.value.shape[0] < offset < x.value.shape[1] else 0
    return (offset,), (offset,)


def windows(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension, a window's size and a step."""
    chosen = full_dim(n, x)
    if chosen is None or x.value.ndim > 3:
        return None
    size = min(2, x.value.shape[chosen[1][0]])
    return (*chosen[0], size, 1 + n % 2), (*chosen[1], size, 1 + n % 2)


def numbers_in_dim(n: int, x: Dual, *others: Dual) -> Chosen:
    """Numbers along a dimension, one of them twice, and the dimension."""
    chosen = full_dim(n, x)
    if chosen is None:
        return None
    extent = x.value.shape[chosen[1][0]]
    indices = tuple((n + k) % extent for k in (1, 0, 1))
    return (*chosen[0], indices), (indices, *chosen[1])


def turned(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension turned around."""
    chosen = along_dim(n, x)
    return chosen and (chosen[0], (tuple(reversed(range(x.value.shape[chosen[1][0]]))), *chosen[1]))


def rolled(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension rolled by a few places."""
    chosen = full_dim(n, x)
    if chosen is None:
        return None
    extent, by = x.value.shape[chosen[1][0]], 1 + n // 4 % 3
    return (by, *chosen[0]), (tuple((i - by) % extent for i in range(extent)), *chosen[1])


def repeated(n: int, x: Dual, *others: Dual) -> Chosen:
    """Each slice along a dimension twice."""
    chosen = along_dim(n, x)
    return chosen and (chosen[0], (tuple(i // 2 for i in range(2 * x.value.shape[chosen[1][0]])), *chosen[1]))


def index_like(n: int, x: Dual, *others: Dual) -> Chosen:
    """A dimension and for each place of x a number in it, repeated here and there: as gather takes them."""
    chosen = full_dim(n, x)
    if chosen is None or not x.value.size:
        return None
    index = ((np.arange(x.value.size) * 5 + n) // 2 % x.value.shape[chosen[1][0]]).reshape(x.value.shape)
    return (*chosen[0], tupled(index)), (tupled(index), *chosen[1])


def mask_like(number: float | None = None) -> Callable[..., Chosen]:
    """A mask of the shape of x, and a number to put where it holds."""

    def choose(n: int, x: Dual, *others: Dual) -> Chosen:
        shape = np.broadcast_shapes(*(operand.value.shape for operand in (x, *others)))
        mask = tupled(((np.arange(prod(shape)) * 3 + n) % 5 < 2).reshape(shape))
        numbers = (mask,) if number is None else (mask, number)
        if not prod(shape) or not shape:  # nested tuples cannot tell an empty shape
            return None
        return numbers, numbers

    return choose


def triangle(upper: bool) -> Callable[..., Chosen]:
    """A diagonal, and the mask of what is beyond it."""

    def choose(n: int, x: Dual, *others: Dual) -> Chosen:
        if x.value.ndim < 2 or not x.value.size:  # nested tuples cannot tell an empty shape
            return None
        diagonal = (0, 1, -1)[n % 3]
        ones = np.ones(x.value.shape[-2:], bool)
        return (diagonal,), (tupled(~(np.triu if upper else np.tril)(ones, diagonal)), 0.0)

    return choose


def between_values(n: int, x: Dual, *others: Dual) -> Chosen:
    """Two numbers that lie in gaps between the elements, or beyond them: bounds to clamp to."""
    values = np.sort(x.value, None)
    ends = [-9.5, *values.tolist(), 9.5]
    gaps = [(a + b) / 2 for a, b in pairwise(ends) if b - a > 2 * MARGIN]
    low = gaps[n % max(len(gaps) // 2, 1)]
    high = gaps[-1 - n // 4 % max(len(gaps) // 2, 1)]
    if not low < high:
        return None
    low, high = round(low, 4), round(high, 4)
    bounds: tuple[float | None, float | None] = ((low, high), (None, high), (low, None))[n // 2 % 3]
    return bounds, bounds


def rows_to(factor: float | None, slices: bool = True) -> Callable[..., Chosen]:
    """A dimension and numbers in it, each once, at which y is to be put or added: index_add, index_copy."""

    def choose(n: int, x: Dual, y: Dual) -> Chosen:
        chosen = full_dim(n, x)
        if chosen is None or not x.value.ndim:
            return None
        dim = chosen[1][0]
        extent, count = x.value.shape[dim], y.value.shape[dim] if y.value.ndim == x.value.ndim else 0
        others = (y.value.shape[:dim], y.value.shape[dim + 1 :]) == (x.value.shape[:dim], x.value.shape[dim + 1 :])
        if not count or not others or (factor is None and count > extent):
            return None
        indices = tuple((n // 2 + i) % extent for i in range(count))
        return (*chosen[0], indices), ((*[slice(None)] * dim, indices), factor)

    return choose


def scattered(factor: float | None) -> Callable[..., Chosen]:
    """A dimension and, for each element of y, its number there: scatter, scatter_add."""

    def choose(n: int, x: Dual, y: Dual) -> Chosen:
        chosen = full_dim(n, x)
        if chosen is None or not x.value.size or x.value.shape != y.value.shape:
            return None
        dim = chosen[1][0]
        extent = x.value.shape[dim]
        index = np.indices(x.value.shape)[dim]
        index = (index + n) % extent if factor is None else (index + n) // 2 % extent
        return (*chosen[0], tupled(index)), (tupled(index), dim, factor)

    return choose


def padded(n: int, x: Dual, *others: Dual) -> Chosen:
    """Widths before and after the last dimension, and what stands there."""
    widths = ((1, 0, 0.0), (0, 1, 0.5), (1, 1, 0.0))[n % 3]
    return (widths, widths) if x.value.ndim else None


def joined(n: int, x: Dual, y: Dual) -> Chosen:
    """A dimension along which x and y can be put together."""
    chosen = along_dim(n, x)
    if chosen is None or x.value.ndim != y.value.ndim:
        return None
    dim = chosen[1][0]
    fits = all(a == b for i, (a, b) in enumerate(zip(x.value.shape, y.value.shape, strict=True)) if i != dim)
    return chosen if fits else None


def stacked(n: int, x: Dual, y: Dual) -> Chosen:
    """A new dimension along which x and y are put together."""
    if x.value.shape != y.value.shape or x.value.ndim > 2:
        return None
    dim = n % (x.value.ndim + 1)
    return (dim,), (dim,)


def product(equation: str, *constants: Any) -> Callable[..., Chosen]:
    """The equation of a sum of products, where the last two operands have its shapes (and x that of the result)."""
    inputs, result = equation.split("->")

    def choose(n: int, *operands: Dual) -> Chosen:
        extents: dict[str, int] = {}
        terms = [*inputs.split(","), result] if len(operands) == 3 else inputs.split(",")
        for term, operand in zip(terms, (*operands[-2:], operands[0]), strict=False):
            if len(term) != operand.value.ndim:
                return None
            for letter, extent in zip(term, operand.value.shape, strict=True):
                if extents.setdefault(letter, extent) != extent:
                    return None
        return constants, (equation, *constants)

    return choose


def tupled(array: Any) -> Any:
    """An array as nested tuples of Python numbers, which print as they are."""
    return tuple(tupled(part) for part in array) if np.ndim(array) else array.item()
