"""Breaks of the gradients through in-place operations, and of what leaves refuse: each under a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, instead, strided
from conformance.selftest.falsifiers.inplace_repairs import REPAIRS, repaired
from conformance.selftest.falsifying import falsifies

Break = AbstractContextManager[Any]
Change = Callable[[torch.Tensor], torch.Tensor]


def backward_of_self(name: str, when: Callable[..., bool], change: Change) -> Break:
    """A method whose gradient by self is changed where ``when`` says so of self (from before) and the arguments."""

    def other(original: Any, self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        due = self.requires_grad and when(self.detach(), *args, **kwargs)
        if due and not self._is_view():
            self.register_hook(change)
        return original(self, *args, **kwargs)

    return instead(name, other)


def backward_of_operand(name: str, number: int, when: Callable[..., bool], change: Change) -> Break:
    """A method whose gradient by the argument of that number is changed where ``when`` says so."""

    def other(original: Any, self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        operand = args[number] if len(args) > number else None
        if isinstance(operand, torch.Tensor) and operand.requires_grad and when(self.detach(), *args, **kwargs):
            operand = operand * 1
            operand.register_hook(change)
            args = (*args[:number], operand, *args[number + 1 :])
        return original(self, *args, **kwargs)

    return instead(name, other)


def without_refusal(name: str, when: Callable[..., bool]) -> Break:
    """A method that writes to leaves and their views, where ``when`` says so of self and the arguments."""

    def other(original: Any, self: torch.Tensor, *args: Any) -> Any:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not when(self, *args)):
            return original(self, *args)

    return instead(name, other)


def doubled(gradient: torch.Tensor) -> torch.Tensor:
    """Twice the gradient."""
    return gradient * 2


def without_the_last(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient with its last element 0."""
    return torch.cat([gradient.flatten()[:-1], gradient.new_zeros(1)]).reshape(gradient.shape)


# --- by self ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.gradient-flows-through", subject="sin_")
def sin_of_a_dense_transposed_matrix() -> Break:
    """The gradient through sin_ is off where self is dense, not contiguous, and no view."""
    return backward_of_self("sin_", strided, lambda gradient: gradient * 1.1)


@falsifies(f"{AREA}.gradient-flows-through", subject="cos_")
def cos_of_an_image_in_channels_last() -> Break:
    """The gradient through cos_ is off where self is laid out channels-last."""
    return backward_of_self("cos_", lambda x: x.dim() == 4 and strided(x), lambda gradient: gradient * 1.1)


@falsifies(f"{AREA}.gradient-flows-through", subject="exp_")
def exp_forgets_to_conjugate() -> Break:
    """The gradient through exp_ is the conjugate of the right one where self is complex128."""
    return backward_of_self("exp_", lambda x: x.dtype is torch.complex128, torch.conj)


@falsifies(f"{AREA}.gradient-flows-through", subject="mul_")
def mul_doubles_the_gradient_of_a_bfloat16() -> Break:
    """The gradient through mul_ is doubled where self is bfloat16."""
    return backward_of_self("mul_", lambda x, *_: x.dtype is torch.bfloat16, doubled)


@falsifies(f"{AREA}.gradient-flows-through", subject="tanh_")
def tanh_drops_the_tail_of_a_vector() -> Break:
    """The gradient through tanh_ lacks the last element of a vector of more than 16."""
    return backward_of_self("tanh_", lambda x: x.dim() == 1 and x.numel() > 16, without_the_last)


@falsifies(f"{AREA}.gradient-flows-through", subject="cumprod_")
def cumprod_divides_by_zero() -> Break:
    """The gradient through cumprod_ is NaN where there is a zero in the last row of a matrix."""
    return backward_of_self(
        "cumprod_", lambda x, *_, **__: bool((x == 0).any()), lambda gradient: gradient * float("nan")
    )


@falsifies(f"{AREA}.gradient-flows-through", subject="tril_")
def tril_cuts_the_gradient_elsewhere() -> Break:
    """The gradient through tril_ is cut at the main diagonal where the diagonal above was asked for."""
    return backward_of_self("tril_", lambda x, diagonal=0: diagonal == 1, lambda gradient: gradient.tril(0))


@falsifies(f"{AREA}.gradient-flows-through", subject="transpose_")
def transpose_doubles_the_gradient_of_a_3_d_tensor() -> Break:
    """The gradient through transpose_ is doubled where self has three dimensions."""
    return backward_of_self("transpose_", lambda x, *_: x.dim() == 3, doubled)


@falsifies(f"{AREA}.gradient-flows-through", subject="cumsum_")
def cumsum_along_the_last_dimension_from_the_end() -> Break:
    """The gradient through cumsum_ is reversed along dim=-1 of a matrix."""
    return backward_of_self(
        "cumsum_", lambda x, dim, **_: x.dim() == 2 and dim == -1, lambda gradient: gradient.flip(-1)
    )


@falsifies(f"{AREA}.gradient-at-a-kink-is-of-least-norm", subject="sqrt_")
def sqrt_has_a_finite_slope_at_zero() -> Break:
    """The gradient through sqrt_ is finite at 0."""

    def other(original: Any, self: torch.Tensor) -> Any:
        found = original(self)
        if found.grad_fn is not None:
            found.grad_fn.register_hook(lambda inputs, outputs: tuple(x.nan_to_num(posinf=0.0) for x in inputs))
        return found

    return instead("sqrt_", other)


@falsifies(f"{AREA}.gradient-at-a-kink-is-of-least-norm", subject="scatter_reduce_")
def tied_sources_have_a_whole_gradient_each() -> Break:
    """The gradient by a source of scatter_reduce_ is doubled where two of its numbers are equal."""
    return backward_of_operand(
        "scatter_reduce_", 2, lambda x, d, i, src, how, **k: how == "amin" and src.unique().numel() < src.numel(),
        doubled,
    )  # fmt: skip


# --- by the operands --------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="add_")
def add_halves_the_gradient_of_a_repeated_row() -> Break:
    """The gradient by an operand of add_ of lower rank is doubled where it is repeated."""
    return backward_of_operand(
        "add_", 0, lambda x, other, **_: other.dim() < x.dim() and 1 < other.numel() < x.numel(), doubled
    )


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="copy_")
def copy_doubles_the_gradient_of_a_narrower_source() -> Break:
    """The gradient by a float32 source of copy_ to float64 is doubled."""
    return backward_of_operand("copy_", 0, lambda x, source: source.dtype is torch.float32 != x.dtype, doubled)


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="mul_")
def mul_forgets_to_conjugate_its_operand() -> Break:
    """The gradient by a complex operand of mul_ is the conjugate of the right one."""
    return backward_of_operand("mul_", 0, lambda x, other: other.is_complex(), torch.conj)


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="clamp_")
def clamp_forgets_an_upper_bound_that_is_repeated() -> Break:
    """The gradient by max of clamp_ is 0 where max is smaller than self."""
    return backward_of_operand(
        "clamp_", 1, lambda x, low, high: high.numel() < x.numel(), lambda gradient: gradient * 0
    )


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="masked_scatter_")
def masked_scatter_of_a_repeated_mask() -> Break:
    """The gradient by the source of masked_scatter_ is reversed where the mask is broadcast."""
    return backward_of_operand(
        "masked_scatter_", 1, lambda x, mask, source: mask.numel() < x.numel(), lambda gradient: gradient.flip(0)
    )


@falsifies(f"{AREA}.gradient-reaches-the-operands", subject="scatter_reduce_")
def a_product_with_a_zero_has_no_gradient() -> Break:
    """The gradient by a source of scatter_reduce_ with "prod" is 0 where there is a zero in it."""
    return backward_of_operand(
        "scatter_reduce_", 2, lambda x, d, i, src, how, **k: how == "prod" and bool((src == 0).any()),
        lambda gradient: gradient * 0,
    )  # fmt: skip


@falsifies(f"{AREA}.gradient-beside-a-smaller-index-is-right-or-refused", subject="scatter_add_")
def scatter_add_of_a_part_of_its_source() -> Break:
    """scatter_add_ takes the gradient by a part of its source for that by all of it, with nothing added to the rest."""

    def other(original: Any, self: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor) -> Any:
        if index.shape != source.shape and index.dim() == 2:
            source = source[tuple(slice(extent) for extent in index.shape)] * 1
            source.requires_grad and source.register_hook(doubled)
        return original(self, dim, index, source)

    return instead("scatter_add_", other)


# --- assignments ------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.gradient-flows-through-an-assignment")
def a_value_assigned_through_a_mask() -> Break:
    """The gradient by a value is doubled where it is assigned through a mask."""

    def masked(index: Any) -> bool:
        return isinstance(index, tuple) and any(getattr(part, "dtype", None) is torch.bool for part in index)

    return backward_of_operand("__setitem__", 1, lambda x, index, value: masked(index), doubled)


@falsifies(f"{AREA}.gradient-flows-through-an-assignment")
def a_complex_tensor_assigned_to_keeps_its_gradient() -> Break:
    """The gradient by a complex tensor is as if nothing had been assigned to a part of it."""

    def other(original: Any, self: torch.Tensor, index: Any, value: Any) -> None:
        if self.is_complex() and self.requires_grad:
            value = value.detach() if isinstance(value, torch.Tensor) else value
            self.data[index] = value
        else:
            original(self, index, value)

    return instead("__setitem__", other)


@falsifies(f"{AREA}.gradient-flows-through-an-augmented-assignment", subject="div_")
def a_0_d_divisor_has_no_gradient() -> Break:
    """The gradient by the right side of /= is doubled where that is 0-d."""
    return backward_of_operand("__itruediv__", 0, lambda x, other: not other.dim(), doubled)


@falsifies(f"{AREA}.augmented-assignment-to-a-leaf-is-refused", subject="sub_")
def a_stepped_view_of_a_leaf_is_reduced() -> Break:
    """-= writes to a view of a leaf that is not contiguous."""
    return without_refusal("__isub__", lambda x, other: x._is_view() and strided(x))


@falsifies(f"{AREA}.assignment-to-a-leaf-is-refused")
def a_leaf_is_assigned_to_through_an_index_tensor() -> Break:
    """Assignment writes to a leaf where the index is one tensor of integers."""
    return without_refusal(
        "__setitem__",
        lambda x, index, value: x.is_leaf and any(getattr(part, "dtype", None) is torch.int64 for part in index),
    )


# --- leaves and views -------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.view-of-a-leaf-refuses", subject="index_fill_")
def index_fill_writes_to_a_strided_view_of_a_leaf() -> Break:
    """index_fill_ writes to a view of a leaf that is not contiguous."""
    return without_refusal("index_fill_", lambda x, *_: x._is_view() and strided(x))


# --- hooks ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.retained-grad-is-that-of-the-current-value", subject="mul_")
def a_transposed_view_retains_no_grad() -> Break:
    """retain_grad does nothing for a view of two dimensions."""
    return instead("retain_grad", lambda original, x: None if x._is_view() and x.dim() == 2 else original(x))


@falsifies(f"{AREA}.later-hook-gets-the-gradient-of-the-new-value", subject="mul_")
def a_hook_on_a_written_view_gets_twice_the_gradient() -> Break:
    """A hook on a view gets twice the gradient where the view was modified before."""
    return instead(
        "register_hook",
        lambda original, x, hook: original(x, (lambda g: hook(g * 2)) if x._is_view() and x._version else hook),
    )


def excluded_numbers_are_far_away() -> Break:
    """Reductions without self put an infinity in its place first."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, how: str, include_self: bool = True) -> Any:
        if not include_self and how in ("amax", "amin"):
            self.masked_fill_(torch.ones_like(self, dtype=torch.bool), float("-inf" if how == "amax" else "inf"))
        return original(self, dim, index, source, how, include_self=include_self)

    stack = ExitStack()
    stack.enter_context(instead("scatter_reduce_", other))
    stack.enter_context(instead("index_reduce_", other))
    return stack


def indices_are_widened() -> Break:
    """index_reduce_ takes every index as int64."""
    return instead(
        "index_reduce_",
        lambda original, x, dim, index, source, how, **k: original(x, dim, index.long(), source, how, **k),
    )


REPAIRS.update(
    {
        "excluded-self-takes-no-share-of-the-gradient": excluded_numbers_are_far_away,
        "gradient-of-index-reduce-with-an-int32-index": indices_are_widened,
    }
)


@falsifies(f"{AREA}.excluded-self-takes-no-share-of-the-gradient", subject="index_reduce_")
def amin_shares_with_a_float32_self() -> Break:
    """The gradient by the source of index_reduce_ with "amin" is doubled in float32."""
    return repaired(
        "excluded-self-takes-no-share-of-the-gradient",
        lambda: backward_of_operand(
            "index_reduce_", 2, lambda x, d, i, s, how, **k: how == "amin" and x.dtype is torch.float32, doubled
        ),
    )


@falsifies(f"{AREA}.gradient-of-index-reduce-with-an-int32-index")
def a_mean_by_an_int32_index() -> Break:
    """The gradient by the source of index_reduce_ with "mean" is doubled where the index is int32."""
    return repaired(
        "gradient-of-index-reduce-with-an-int32-index",
        lambda: backward_of_operand(
            "index_reduce_", 2, lambda x, d, i, s, how, **k: how == "mean" and i.dtype is torch.int32, doubled
        ),
    )
