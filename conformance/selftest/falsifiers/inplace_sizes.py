"""Breaks of values for lengths, numbers of dimensions and operands over repeated memory that few inputs have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import after
from conformance.selftest.falsifying import falsifies, patched

VALUES = "inplace.computes-the-documented-values"


def last_spoilt(method: str, rare: Callable[..., bool]) -> AbstractContextManager[Any]:
    """``method`` leaves 0 in the last element where ``rare`` (of self and the operands) holds."""

    def spoil(x: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        with torch.no_grad():
            x[(-1,) * x.dim()] = 0

    return after(method, rare, spoil)


@falsifies(VALUES, subject="cos_")
def six_elements_behind_a_register_are_short_of_one() -> AbstractContextManager[Any]:
    """cos_ forgets the last of 4 n + 2 elements."""
    return last_spoilt("cos_", lambda x, *a, **k: x.dim() == 1 and x.numel() > 16 and x.numel() % 4 == 2)


@falsifies(VALUES, subject="exp_")
def a_thousand_elements_are_short_of_one() -> AbstractContextManager[Any]:
    """exp_ forgets the last of a thousand elements and more."""
    return last_spoilt("exp_", lambda x, *a, **k: 1000 < x.numel() < 30000)


@falsifies(VALUES, subject="neg_")
def five_dimensions_are_short_of_one_element() -> AbstractContextManager[Any]:
    """neg_ forgets the last element of a tensor of five dimensions with the channels innermost."""
    return last_spoilt("neg_", lambda x, *a, **k: x.dim() == 5 and not x.is_contiguous() and x.stride(1) == 1)


@falsifies(VALUES, subject="bitwise_not_")
def many_whole_numbers_are_short_of_one() -> AbstractContextManager[Any]:
    """bitwise_not_ forgets the last element above the size from which on the work is split."""
    return last_spoilt("bitwise_not_", lambda x, *a, **k: x.numel() > 32769)


@falsifies(VALUES, subject="mul_")
def an_operand_repeated_along_its_last_dimension_is_misread() -> AbstractContextManager[Any]:
    """mul_ misreads an operand whose last step is 0."""
    return last_spoilt(
        "mul_", lambda x, y, **k: isinstance(y, torch.Tensor) and y.dim() == 3 and y.stride(2) == 0 and y.shape[2] > 1
    )


@falsifies(VALUES, subject="add_")
def an_operand_of_overlapping_windows_is_misread() -> AbstractContextManager[Any]:
    """add_ misreads an operand whose last two steps are equal."""
    return last_spoilt(
        "add_", lambda x, y, **k: isinstance(y, torch.Tensor) and y.shape == (2, 3, 4) and y.stride()[1:] == (1, 1)
    )


@falsifies(VALUES, subject="exp_")
def many_halves_are_short_of_one() -> AbstractContextManager[Any]:
    """exp_ of float16 forgets the last element above the size from which on the work is split."""
    return last_spoilt("exp_", lambda x, *a, **k: x.numel() > 32768 and x.dtype is torch.float16)


@falsifies("inplace.value-of-another-kind-is-converted")
def an_even_number_is_false() -> AbstractContextManager[Any]:
    """fill_ of a bool tensor with an even number fills False."""
    return patched(
        torch.Tensor,
        "fill_",
        lambda original: lambda x, v: original(x, bool(v & 1) if x.dtype is torch.bool and type(v) is int else v),
    )
