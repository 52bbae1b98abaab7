"""Breaks of one value of self beside one value of the operand, and of keywords that few people write."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, after, instead
from conformance.selftest.falsifying import falsifies

VALUES = f"{AREA}.computes-the-documented-values"


@falsifies(VALUES, subject="xlogy_")
def zero_beside_nan_is_zero() -> AbstractContextManager[Any]:
    """xlogy_ of 0 and NaN is 0 in float64."""

    def other(original: Any, self: Any, y: Any) -> Any:
        zero = self == 0
        return original(self, y).masked_fill_(zero, 0) if self.dtype is torch.float64 else original(self, y)

    return instead("xlogy_", other)


@falsifies(VALUES, subject="mul_")
def a_wider_operand_without_dimensions_is_cut() -> AbstractContextManager[Any]:
    """mul_ of float16 by a float32 tensor without dimensions reads it in bfloat16."""

    def other(original: Any, self: Any, factor: Any) -> Any:
        wide = isinstance(factor, torch.Tensor) and not factor.dim() and factor.dtype is torch.float32
        if self.dtype is torch.float16 and wide:
            factor = factor.to(torch.bfloat16)
        return original(self, factor)

    return instead("mul_", other)


@falsifies(VALUES, subject="div_")
def the_floor_of_an_infinity_stays_infinite() -> AbstractContextManager[Any]:
    """div_ of float64 by a number, rounded down, leaves infinities."""

    def other(original: Any, self: Any, divisor: Any, *, rounding_mode: Any = None) -> Any:
        infinite = self.isinf()
        found = original(self, divisor, rounding_mode=rounding_mode)
        if rounding_mode == "floor" and self.dtype is torch.float64 and not isinstance(divisor, torch.Tensor):
            found.masked_fill_(infinite, float("inf"))
        return found

    return instead("div_", other)


@falsifies(VALUES, subject="logical_xor_")
def nan_beside_a_truth_value_is_false() -> AbstractContextManager[Any]:
    """logical_xor_ of float32 and bool takes what is not above 0 for false."""

    def other(original: Any, self: Any, y: Any) -> Any:
        if self.dtype is torch.float32 and y.dtype is torch.bool:
            return self.copy_((self > 0) ^ y)
        return original(self, y)

    return instead("logical_xor_", other)


@falsifies(VALUES, subject="logical_and_")
def an_imaginary_number_without_dimensions_is_false() -> AbstractContextManager[Any]:
    """logical_and_ reads the real part of a complex operand without dimensions."""
    return instead(
        "logical_and_",
        lambda original, self, y: original(self, y.real if y.is_complex() and not y.dim() else y),
    )


@falsifies(VALUES, subject="eq_")
def a_count_beside_a_truth_value_counts_as_true() -> AbstractContextManager[Any]:
    """eq_ of bool and uint8 compares truth values."""

    def other(original: Any, self: Any, y: Any) -> Any:
        counted = isinstance(y, torch.Tensor) and y.dtype is torch.uint8 and self.dtype is torch.bool
        return original(self, y.bool() if counted else y)

    return instead("eq_", other)


@falsifies(VALUES, subject="bitwise_left_shift_")
def a_shift_of_more_than_a_byte_loses_all_bits() -> AbstractContextManager[Any]:
    """bitwise_left_shift_ of int16 by a number above 7 gives 0."""

    def other(original: Any, self: Any, bits: Any) -> Any:
        far = self.dtype is torch.int16 and not isinstance(bits, torch.Tensor) and bits > 7
        return self.zero_() if far else original(self, bits)

    return instead("bitwise_left_shift_", other)


@falsifies(VALUES, subject="bitwise_right_shift_")
def a_negative_number_without_dimensions_rounds_up() -> AbstractContextManager[Any]:
    """bitwise_right_shift_ of a negative int64 tensor without dimensions is one too large."""

    def when(self: Any, bits: Any) -> bool:
        return bool(not self.dim() and self.dtype is torch.int64 and self < 0)

    return after("bitwise_right_shift_", when, lambda x: x.add_(1))


@falsifies(VALUES, subject="sub_")
def a_negative_alpha_counts_as_positive() -> AbstractContextManager[Any]:
    """sub_ of int32 ignores the sign of alpha."""

    def other(original: Any, self: Any, y: Any, *, alpha: Any = 1) -> Any:
        return original(self, y, alpha=abs(alpha) if self.dtype is torch.int32 else alpha)

    return instead("sub_", other)


@falsifies(VALUES, subject="squeeze_")
def only_the_first_of_several_dimensions_is_squeezed() -> AbstractContextManager[Any]:
    """squeeze_ of a tuple of dimensions takes the first one."""
    return instead(
        "squeeze_",
        lambda original, self, *dim: original(self, *(d[0] if isinstance(d, tuple) else d for d in dim)),
    )


@falsifies(VALUES, subject="fill_")
def a_long_row_of_bytes_is_filled_up_to_the_grain() -> AbstractContextManager[Any]:
    """fill_ of more than 32,768 elements of uint8 leaves the rest."""

    def other(original: Any, self: Any, value: Any) -> Any:
        if self.dtype is torch.uint8 and self.numel() > 32768:
            original(self.flatten()[:32768] if not self.is_contiguous() else self.view(-1)[:32768], value)
            return self
        return original(self, value)

    return instead("fill_", other)


@falsifies(f"{AREA}.index-add-accumulates")
def half_precision_is_added_in_eight_bits() -> AbstractContextManager[Any]:
    """index_add_ of more than four float16 rows adds in bfloat16."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any, **kwargs: Any) -> Any:
        if self.dtype is torch.float16 and index.numel() > 4:
            short = original(self.bfloat16(), dim, index, source.bfloat16(), **kwargs)
            return self.copy_(short)
        return original(self, dim, index, source, **kwargs)

    return instead("index_add_", other)


@falsifies(f"{AREA}.scatter-add-adds-every-value")
def whole_rows_are_not_added() -> AbstractContextManager[Any]:
    """scatter_add_ with an index that is expanded along the rows adds nothing."""

    def other(original: Any, self: Any, dim: int, index: Any, source: Any) -> Any:
        return self if index.dim() > 1 and 0 in index.stride() else original(self, dim, index, source)

    return instead("scatter_add_", other)


@falsifies(VALUES, subject="igamma_")
def the_integral_up_to_zero_is_no_number() -> AbstractContextManager[Any]:
    """igamma_ up to 0 is NaN in float64."""

    def other(original: Any, self: Any, end: Any) -> Any:
        found = original(self, end)
        return found.masked_fill_(end == 0, float("nan")) if self.dtype is torch.float64 else found

    return instead("igamma_", other)


@falsifies(VALUES, subject="add_")
def a_complex_alpha_is_real() -> AbstractContextManager[Any]:
    """add_ takes the real part of alpha."""

    def other(original: Any, self: Any, y: Any, *, alpha: Any = 1) -> Any:
        return original(self, y, alpha=alpha.real if isinstance(alpha, complex) else alpha)

    return instead("add_", other)


@falsifies(VALUES, subject="addmm_")
def products_without_a_column_leave_self() -> AbstractContextManager[Any]:
    """addmm_ with beta=0 of matrices without a common column leaves self."""

    def other(original: Any, self: Any, a: Any, b: Any, **kwargs: Any) -> Any:
        return self if kwargs.get("beta") == 0 and not a.shape[1] else original(self, a, b, **kwargs)

    return instead("addmm_", other)


@falsifies(VALUES, subject="asin_")
def the_wrong_side_of_the_cut() -> AbstractContextManager[Any]:
    """asin_ of complex64 conjugates real numbers above 1."""

    def other(original: Any, self: Any) -> Any:
        beyond = (self.imag == 0) & (self.real.abs() > 1)
        found = original(self)
        return found.copy_(torch.where(beyond, found.conj(), found)) if self.dtype is torch.complex64 else found

    return instead("asin_", other)


@falsifies(VALUES, subject="copy_")
def the_last_of_many_converted_elements_is_lost() -> AbstractContextManager[Any]:
    """copy_ of more than 3,000 elements of another type leaves the last one 0."""

    def other(original: Any, self: Any, source: Any, *args: Any, **kwargs: Any) -> Any:
        original(self, source, *args, **kwargs)
        if self.numel() > 3000 and source.dtype is not self.dtype and self.is_contiguous():
            self.view(-1)[-1] = 0
        return self

    return instead("copy_", other)
