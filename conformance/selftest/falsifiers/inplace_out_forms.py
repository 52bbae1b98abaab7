"""Breaks of ``out=`` in further forms of a call: numbers, other types, several dimensions or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, spoil
from conformance.selftest.falsifiers.inplace_outs import with_out
from conformance.selftest.falsifying import falsifies

KEEPS = f"{AREA}.out-of-the-right-shape-keeps-its-strides"
RESIZED = f"{AREA}.out-without-elements-is-resized"


def spoiled_where(name: str, rare: Callable[..., bool], owner: Any = torch) -> AbstractContextManager[Any]:
    """A function whose (last) out is wrong in one element for rare arguments."""

    def other(original: Any, out: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(*args, out=out, **kwargs)
        if rare(*args, **kwargs):
            spoil(out[-1] if isinstance(out, tuple) else out)
        return found

    return with_out(name, other, owner)


@falsifies(KEEPS, subject="clamp")
def clamp_errs_with_the_lower_bound_alone() -> AbstractContextManager[Any]:
    """clamp errs where it has a lower bound alone."""
    return spoiled_where("clamp", lambda x, *bounds, **named: not bounds and "max" not in named)


@falsifies(RESIZED, subject="clamp")
def clamp_errs_with_tensors() -> AbstractContextManager[Any]:
    """clamp errs where its bounds are tensors."""
    return spoiled_where("clamp", lambda x, *bounds, **named: any(isinstance(b, torch.Tensor) for b in bounds))


@falsifies(KEEPS, subject="pow")
def pow_errs_for_a_number_as_base() -> AbstractContextManager[Any]:
    """pow errs where the base is a number."""
    return spoiled_where("pow", lambda x, y: not isinstance(x, torch.Tensor))


@falsifies(RESIZED, subject="max")
def max_of_two_tensors_errs() -> AbstractContextManager[Any]:
    """max of two tensors errs, where it has one out."""
    return spoiled_where("max", lambda x, y, **named: isinstance(y, torch.Tensor))


@falsifies(KEEPS, subject="cat")
def cat_leaves_out_a_third_tensor() -> AbstractContextManager[Any]:
    """cat errs where it has more than two tensors."""
    return spoiled_where("cat", lambda tensors, *dim, **named: len(tensors) > 2)


@falsifies(KEEPS, subject="mean")
def mean_over_several_dimensions_errs() -> AbstractContextManager[Any]:
    """mean over more than one dimension errs."""
    return spoiled_where("mean", lambda x, dim, **named: isinstance(dim, tuple))


@falsifies(KEEPS, subject="bmm")
def bmm_conjugates_a_complex_batch() -> AbstractContextManager[Any]:
    """bmm conjugates its first operand where it is complex."""
    return with_out("bmm", lambda original, out, x, y: original(x.conj(), y, out=out))


@falsifies(RESIZED, subject="addmm")
def addmm_keeps_what_is_not_a_number() -> AbstractContextManager[Any]:
    """addmm adds NaN that is to be ignored."""

    def other(original: Any, out: Any, matrix: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(matrix, *args, out=out, **kwargs)
        return found.copy_(found + kwargs["beta"] * matrix) if kwargs.get("beta") == 0 else found

    return with_out("addmm", other)


@falsifies(KEEPS, subject="arange")
def arange_errs_for_steps() -> AbstractContextManager[Any]:
    """arange errs where it is given a step."""
    return spoiled_where("arange", lambda *bounds: len(bounds) == 3)


@falsifies(KEEPS, subject="sort")
def sort_forgets_that_it_is_stable() -> AbstractContextManager[Any]:
    """sort takes equal values in the opposite order although it is to be stable."""

    def other(original: Any, out: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(x, *args, out=out, **kwargs)
        if kwargs.get("stable"):
            back = original(x.flip(-1), *args, **kwargs)
            out[1].copy_(x.shape[-1] - 1 - back[1])
        return found

    return with_out("sort", other)


@falsifies(KEEPS, subject="mul")
def mul_errs_in_four_dimensions() -> AbstractContextManager[Any]:
    """mul errs where it has four dimensions."""
    return spoiled_where("mul", lambda x, y: x.dim() == 4)


@falsifies(f"{AREA}.out-of-a-folded-matmul-keeps-its-strides")
def matmul_errs_for_a_batch_and_a_matrix() -> AbstractContextManager[Any]:
    """matmul errs for a batch and a matrix."""
    return spoiled_where("matmul", lambda x, y: x.dim() == 3 and y.dim() == 2)


@falsifies(f"{AREA}.out-of-batched-triangles-keeps-its-strides")
def tril_of_batches_errs() -> AbstractContextManager[Any]:
    """tril of several batch dimensions errs."""
    return spoiled_where("tril", lambda x: x.dim() == 4)


@falsifies(f"{AREA}.out-of-a-choice-of-numbers-receives-it")
def where_with_a_number_leaves_its_out() -> AbstractContextManager[Any]:
    """where leaves its out as it is where one of its operands is a number."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        return out if any(not isinstance(x, torch.Tensor) for x in args) else original(*args, out=out)

    return with_out("where", other)
