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
