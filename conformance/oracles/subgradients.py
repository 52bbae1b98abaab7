"""Subgradients: gradients at points where several may be right.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions
"""

from __future__ import annotations

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.oracles import expect, memory, numbers
from conformance.oracles.expect import Mismatch


def takes_one_of(
    permitted: list[np.ndarray], arbitrary: np.ndarray, leaf: torch.Tensor, found: object, what: str
) -> None:
    """Expect each element of a gradient to be one of those permitted there, unless it is arbitrary."""
    gradient = expect.tensor(found, what)
    expect.equal(tuple(leaf.shape), tuple(gradient.shape), f"shape of {what}")
    expect.equal(str(leaf.dtype), str(gradient.dtype), f"element type of {what}")
    held = contents_of_gradient(gradient)
    name, tolerance = dtype_name(gradient.dtype), numbers.TOLERANCES["elementary"]
    right = arbitrary.copy()
    for choice in permitted:
        right |= numbers.ulp_errors(choice, held, name) <= tolerance
    if not right.all():
        first = tuple(int(i) for i in np.argwhere(~right)[0])
        wanted = dict.fromkeys(repr(choice[first].item()) for choice in permitted)
        raise Mismatch(what, " or ".join(wanted), repr(held[first].item()), f"index {first}")


def contents_of_gradient(gradient: torch.Tensor) -> np.ndarray:
    """The numbers of a gradient, also of one that is known to be zero and has no memory."""
    if getattr(gradient, "_is_zerotensor", bool)():
        return np.zeros(tuple(gradient.shape))
    return memory.contents(gradient)


def shared_evenly(values: np.ndarray, dim: int | None, largest: bool, incoming: np.ndarray) -> np.ndarray:
    """The gradient of an extreme: what is incoming, in equal parts for each element that equals the extreme."""
    extreme = values.max(axis=dim, keepdims=True) if largest else values.min(axis=dim, keepdims=True)
    tied = values == extreme
    share = incoming.reshape(extreme.shape) / tied.sum(axis=dim, keepdims=True)
    return np.where(tied, share, 0.0)


def only_where_used(used: np.ndarray, found: np.ndarray, what: str) -> None:
    """Expect NaN at every element that was used, and zero at every other."""
    expected = np.where(used, np.nan, 0.0)
    wrong = ~((np.isnan(expected) & np.isnan(found)) | (expected == found))
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Mismatch(what, repr(expected[first].item()), repr(found[first].item()), f"index {first}")


def equals_get_together(
    leaf: torch.Tensor, values: torch.Tensor, incoming: np.ndarray, dim: int | None, found: object, what: str
) -> None:
    """Expect the gradient at equal elements, summed over them, to be what came in at the values equal to them."""
    gradient = expect.tensor(found, what)
    expect.equal(tuple(leaf.shape), tuple(gradient.shape), f"shape of {what}")
    held, numbers_of_leaf, taken = contents_of_gradient(gradient), memory.contents(leaf), memory.contents(values)
    name, tolerance = dtype_name(gradient.dtype), numbers.TOLERANCES["elementary"]
    columns = [columns_along(x, held.ndim, dim) for x in (numbers_of_leaf, held, taken, incoming)]
    for place, (elements, gradients, picked, given) in enumerate(zip(*columns, strict=True)):
        for value in dict.fromkeys(elements.tolist()):
            expected = np.array(given[picked == value].sum())
            total = np.array(gradients[elements == value].astype(np.float64).sum())
            if not (numbers.ulp_errors(expected, total, name) <= tolerance).all():
                where = f"elements equal to {value!r} of row {place}"
                raise Mismatch(f"sum of the {what}", repr(expected.item()), repr(total.item()), where)


def columns_along(array: np.ndarray, dims: int, dim: int | None) -> np.ndarray:
    """The rows along one dimension of an array, which may lack it; all elements in one row for None."""
    if dim is None:
        return array.reshape(1, -1)
    array = array if array.ndim == dims else np.expand_dims(array, dim)
    last = np.moveaxis(array, dim, -1)
    return last.reshape(-1, last.shape[-1])
