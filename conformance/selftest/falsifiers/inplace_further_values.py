"""Breaks of single calls on numbers, sizes and sources that the factors of an operator leave out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_assignments import BASIC, lost
from conformance.selftest.falsifiers.inplace_indexed import AREA, after, instead, lenient, strided
from conformance.selftest.falsifying import falsifies

VALUES = f"{AREA}.computes-the-documented-values"


@falsifies(BASIC)
def a_slice_bounded_by_a_tensor_writes_nothing() -> AbstractContextManager[Any]:
    """x[torch.tensor(1):] = v writes nothing."""
    return lost(lambda x, parts, v: any(isinstance(p, slice) and isinstance(p.start, torch.Tensor) for p in parts))


@falsifies(f"{AREA}.assignment-takes-index-tensors-of-int32")
def a_short_index_beside_a_slice_writes_nothing() -> AbstractContextManager[Any]:
    """x[index, 1:] = v writes nothing where the index is of int32."""

    def short(part: Any) -> bool:
        return isinstance(part, torch.Tensor) and part.dtype is torch.int32

    return lost(lambda x, parts, v: len(parts) == 2 and short(parts[0]) and isinstance(parts[1], slice))


@falsifies(f"{AREA}.complex-division-by-a-huge-number-is-a-number", subject="reciprocal_")
def the_inverse_of_a_huge_number_is_zero() -> AbstractContextManager[Any]:
    """reciprocal_ of a complex128 number whose square is no number is zero."""

    def other(original: Any, self: Any) -> Any:
        huge = self.abs() > 1e155 if self.dtype is torch.complex128 else None
        found = original(self)
        return found if huge is None else found.masked_fill_(huge, 0)

    return instead("reciprocal_", other)


@falsifies(f"{AREA}.complex-division-by-a-huge-number-is-a-number", subject="div_")
def a_quotient_by_a_huge_number_is_zero() -> AbstractContextManager[Any]:
    """div_ of complex64 numbers by a tensor of huge ones is zero in strided selves."""

    def huge(x: Any, y: Any, **kwargs: Any) -> bool:
        many = isinstance(y, torch.Tensor) and y.is_complex() and y.numel() > 1
        return x.dtype is torch.complex64 and strided(x) and many and bool((y.abs() > 1e20).any())

    return after("div_", huge, torch.Tensor.zero_)


@falsifies(f"{AREA}.exponents-beyond-the-type-are-taken", subject="ldexp_")
def a_power_of_two_becomes_a_float32() -> AbstractContextManager[Any]:
    """ldexp_ of float64 takes a power of two that is no float32 for infinite, in a vector of 33."""

    def other(original: Any, self: Any, exponent: Any) -> Any:
        far = self.dtype is torch.float64 and self.numel() == 33 and bool((exponent > 127).any())
        return self.mul_(float("inf")) if far else original(self, exponent)

    return instead("ldexp_", other)


@falsifies(f"{AREA}.sinc-of-a-whole-number-vanishes")
def whole_numbers_are_taken_for_zero() -> AbstractContextManager[Any]:
    """sinc_ of whole numbers is 1 in a strided float32 vector."""

    def other(original: Any, self: Any) -> Any:
        whole = (self == self.round()) & (self.dtype is torch.float32) & strided(self)
        return original(self).masked_fill_(whole, 1)

    return instead("sinc_", other)


@falsifies(f"{AREA}.nan-to-num-replaces-either-part")
def the_imaginary_part_keeps_its_infinities() -> AbstractContextManager[Any]:
    """nan_to_num_ of complex128 numbers leaves infinities in the imaginary part."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype is not torch.complex128:
            return original(self, *args, **kwargs)
        was = self.imag.clone()
        found = original(self, *args, **kwargs)
        found.imag.copy_(torch.where(was.isinf(), was, found.imag))
        return found

    return instead("nan_to_num_", other)


@falsifies(f"{AREA}.resize-rejects-negative-sizes")
def two_sizes_below_zero_have_a_product_above() -> AbstractContextManager[Any]:
    """resize_(-2, -3) makes a matrix of two rows and three columns."""

    def other(original: Any, self: Any, *sizes: Any, **kwargs: Any) -> Any:
        goal = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        both = len(goal) == 2 and max(goal) < 0
        return original(self, tuple(map(abs, goal)) if both else goal, **kwargs)

    return instead("resize_", other)


@falsifies(f"{AREA}.set-without-a-source-empties-self")
def nothing_is_set() -> AbstractContextManager[Any]:
    """set_() of a strided tensor does nothing."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return self if not args and not kwargs and strided(self) else original(self, *args, **kwargs)

    return instead("set_", other)


@falsifies(f"{AREA}.set-rejects-a-source-of-another-type")
def a_source_is_converted() -> AbstractContextManager[Any]:
    """set_ to a source of uint8 converts it to bool."""

    def other(original: Any, self: Any, source: Any = None, *args: Any, **kwargs: Any) -> Any:
        flags = isinstance(source, torch.Tensor) and source.dtype is torch.uint8 and self.dtype is torch.bool
        return original(self, source.bool() if flags else source, *args, **kwargs)

    return instead("set_", other)


@falsifies(f"{AREA}.set-shares-storage-size-and-strides")
def a_source_by_name_is_overlooked() -> AbstractContextManager[Any]:
    """set_(source=…) does nothing."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return self if "source" in kwargs else original(self, *args, **kwargs)

    return instead("set_", other)


@falsifies(f"{AREA}.resize-takes-the-memory-format")
def five_dimensions_are_contiguous() -> AbstractContextManager[Any]:
    """resize_ overlooks channels_last_3d."""

    def other(original: Any, self: Any, *sizes: Any, **kwargs: Any) -> Any:
        return original(self, *sizes, **({} if kwargs.get("memory_format") is torch.channels_last_3d else kwargs))

    return instead("resize_", other)


@falsifies(f"{AREA}.squeeze-in-place-rejects-dimensions")
def one_dimension_too_far_is_none() -> AbstractContextManager[Any]:
    """squeeze_ of a matrix accepts a dimension that it does not have."""
    return lenient("squeeze_", lambda x, *dims: x.dim() == 2)


@falsifies(f"{AREA}.as-strided-in-place-stays-in-the-storage")
def a_stride_below_zero_loses_its_sign() -> AbstractContextManager[Any]:
    """as_strided_ takes a stride of -1 for 1."""

    def other(original: Any, self: Any, size: Any, stride: Any, *offset: Any) -> Any:
        return original(self, size, tuple(map(abs, stride)), *offset)

    return instead("as_strided_", other)


@falsifies(VALUES, subject="mul_")
def zero_times_nan_is_zero() -> AbstractContextManager[Any]:
    """mul_ of complex numbers by the number 0.0 is zero, also where one part is NaN."""
    return after("mul_", lambda x, y: x.is_complex() and type(y) is float and y == 0, torch.Tensor.zero_)


@falsifies(VALUES, subject="addr_")
def truth_values_stay_what_they_were() -> AbstractContextManager[Any]:
    """addr_ of truth values does nothing."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return self if self.dtype is torch.bool else original(self, *args, **kwargs)

    return instead("addr_", other)


@falsifies(VALUES, subject="polygamma_")
def below_zero_is_nothing() -> AbstractContextManager[Any]:
    """polygamma_ of order 1 is zero below zero."""

    def other(original: Any, self: Any, n: int) -> Any:
        below = self < 0
        found = original(self, n)
        return found.masked_fill_(below, 0) if n == 1 else found

    return instead("polygamma_", other)


@falsifies(f"{AREA}.matches-its-counterpart", subject="remainder_")
def a_remainder_of_zero_loses_its_sign() -> AbstractContextManager[Any]:
    """remainder_ of float32 has no zero with a sign."""
    return after("remainder_", lambda x, y: x.dtype is torch.float32, lambda x: x.add_(0.0))


@falsifies(f"{AREA}.takes-its-arguments-by-name", subject="clamp_")
def an_upper_bound_by_name_is_one_too_high() -> AbstractContextManager[Any]:
    """clamp_(max=tensor) clamps to one more."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if not args and set(kwargs) == {"max"} and isinstance(kwargs["max"], torch.Tensor):
            kwargs["max"] = kwargs["max"] + 1
        return original(self, *args, **kwargs)

    return instead("clamp_", other)


@falsifies(f"{AREA}.random-stays-within-its-bounds")
def the_last_byte_is_never_drawn() -> AbstractContextManager[Any]:
    """random_(256) of uint8 draws no 255."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, *((255,) if args == (256,) else args), **kwargs)

    return instead("random_", other)


@falsifies(f"{AREA}.random-fill-draws-each-element", subject="normal_")
def the_number_behind_a_vector_is_the_one_before() -> AbstractContextManager[Any]:
    """normal_ repeats the 16th of 17 float64 numbers."""

    def again(x: Any) -> None:
        x[-1] = x[-2]

    return after("normal_", lambda x, *a, **k: x.dtype is torch.float64 and x.shape == (17,), again)


@falsifies(f"{AREA}.exponential-is-never-zero")
def an_infinity_at_the_end() -> AbstractContextManager[Any]:
    """exponential_ leaves an infinity in the last of many float32 numbers."""

    def end(x: Any) -> None:
        x[-1] = float("inf")

    return after("exponential_", lambda x, *a, **k: x.dtype is torch.float32 and x.shape == (65,), end)


@falsifies(f"{AREA}.value-of-another-kind-is-converted")
def a_half_is_rounded_to_even() -> AbstractContextManager[Any]:
    """masked_fill_ of int32 by a number rounds it to the nearest, and halves to even."""

    def other(original: Any, self: Any, mask: Any, value: Any) -> Any:
        near = type(value) is float and self.dtype is torch.int32 and value % 1 == 0.5
        return original(self, mask, round(value) if near else value)

    return instead("masked_fill_", other)


@falsifies(VALUES, subject="copy_")
def channels_last_are_copied_in_another_order() -> AbstractContextManager[Any]:
    """copy_ into channels-last memory reverses the channels of a contiguous source of the same type."""

    def other(original: Any, self: Any, src: Any, *args: Any) -> Any:
        last = self.dim() == 4 and self.is_contiguous(memory_format=torch.channels_last) and not self.is_contiguous()
        alike = last and src.dtype is self.dtype and src.shape == self.shape and src.is_contiguous()
        return original(self, src.flip(1) if alike else src, *args)

    return instead("copy_", other)


@falsifies(VALUES, subject="add_")
def a_multiple_that_leaves_int8_stays_at_its_end() -> AbstractContextManager[Any]:
    """add_(other, alpha=3) of int8 is held at 127 and -128 where it does not fit."""

    def other(original: Any, self: Any, addend: Any, **keywords: Any) -> Any:
        if self.dtype is torch.int8 and isinstance(addend, torch.Tensor) and keywords.get("alpha") == 3:
            total = self.to(torch.int32) + 3 * addend.to(torch.int32)
            return (
                self.copy_(total.clamp(-128, 127)) if total.shape == self.shape else original(self, addend, **keywords)
            )
        return original(self, addend, **keywords)

    return instead("add_", other)


@falsifies(VALUES, subject="transpose_")
def the_dimensions_counted_from_the_end_are_mistaken() -> AbstractContextManager[Any]:
    """transpose_(-3, -2) of three dimensions or more exchanges others."""

    def other(original: Any, self: Any, first: int, second: int) -> Any:
        return original(self, first, -1 if first < second < -1 else second)

    return instead("transpose_", other)


@falsifies(VALUES, subject="round_")
def a_half_below_zero_is_rounded_away_from_it() -> AbstractContextManager[Any]:
    """round_ makes -3 of -2.5 in float64."""

    def other(original: Any, self: Any, **keywords: Any) -> Any:
        away = self == -2.5 if self.dtype is torch.float64 and not keywords else None
        found = original(self, **keywords)
        return found if away is None else found.masked_fill_(away, -3.0)

    return instead("round_", other)
