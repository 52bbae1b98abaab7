"""Breaks at the ends of an operation's range, each on top of a repair where released builds are at fault."""

from __future__ import annotations

import math
import os
import signal
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from functools import partial
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, after, instead, spoil, strided
from conformance.selftest.falsifiers.inplace_repairs import REPAIRS, repaired
from conformance.selftest.falsifying import falsifies


def one_by_one(self: Any, numbers: list[Any]) -> Any:
    """``self`` with these numbers, in row-major order."""
    return self.copy_(torch.tensor(numbers, dtype=self.dtype).reshape(self.shape))


def remainder_of_each_element() -> AbstractContextManager[Any]:
    """remainder_ goes through the C library, one element after the other."""

    def other(original: Any, self: Any, divisor: Any) -> Any:
        divisors = torch.as_tensor(divisor, dtype=self.dtype).expand(self.shape).flatten().tolist()
        pairs = zip(self.flatten().tolist(), divisors, strict=True)
        return one_by_one(self, [math.copysign(math.fmod(abs(x), abs(y)), y) for x, y in pairs])

    return instead("remainder_", other)


def division_refuses_the_lowest_integer() -> AbstractContextManager[Any]:
    """div_ raises for -1 under the lowest integer."""

    def other(original: Any, self: Any, divisor: Any, **kwargs: Any) -> Any:
        if bool((torch.as_tensor(divisor) == -1).any()) and not self.is_floating_point():
            raise RuntimeError("the quotient is out of range")
        return original(self, divisor, **kwargs)

    return instead("div_", other)


def numbers_become_tensors() -> AbstractContextManager[Any]:
    """pow_ writes a number out as a tensor."""

    def other(original: Any, self: Any, exponent: Any) -> Any:
        whole = not isinstance(exponent, torch.Tensor)
        return original(self, torch.full(self.shape, float(exponent), dtype=self.dtype) if whole else exponent)

    return instead("pow_", other)


def infinite_beyond_the_largest() -> AbstractContextManager[Any]:
    """i0_ of an infinity is an infinity."""

    def other(original: Any, self: Any) -> Any:
        infinite = self.isinf()
        return original(self).masked_fill_(infinite, float("inf"))

    return instead("i0_", other)


def quotients_of_each_element() -> AbstractContextManager[Any]:
    """div_ of complex numbers goes through Python, one element after the other."""

    def other(original: Any, self: Any, divisor: Any) -> Any:
        scaled = ((x * 2.0**600, y * 2.0**600) for x, y in zip(self.tolist(), divisor.tolist(), strict=True))
        return one_by_one(self, [x / y for x, y in scaled])

    return instead("div_", other)


def directions_of_each_element() -> AbstractContextManager[Any]:
    """sgn_ of complex numbers goes through Python, one element after the other."""

    def other(original: Any, self: Any) -> Any:
        scaled = [x * 2.0**64 for x in self.tolist()]
        return one_by_one(self, [x / abs(x) if x else x for x in scaled])

    return instead("sgn_", other)


def a_series_with_more_terms() -> AbstractContextManager[Any]:
    """polygamma_ of order 1 sums 40 terms of the series and takes the rest from its expansion."""

    def trigamma(x: float) -> float:
        terms = [1 / (x + k) ** 2 for k in range(40)]
        z = x + 40
        rest = 1 / z + 1 / (2 * z**2) + 1 / (6 * z**3) - 1 / (30 * z**5) + 1 / (42 * z**7)
        return math.fsum((*terms, rest))

    def other(original: Any, self: Any, order: int) -> Any:
        return one_by_one(self, [trigamma(x) for x in self.tolist()])

    return instead("polygamma_", other)


def integrals_of_each_element() -> AbstractContextManager[Any]:
    """igamma_ and igammac_ of whole numbers sum the Poisson probabilities, one element after the other."""
    stack = ExitStack()
    for name, upper in (("igamma_", False), ("igammac_", True)):
        stack.enter_context(instead(name, partial(poisson, upper)))
    return stack


def poisson(upper: bool, original: Any, self: Any, other: Any) -> Any:
    """The integral as a sum of exact fractions, which float64 rounds once."""
    if self.dtype is not torch.float64 or (self != self.round()).any() or (self < 20).any():
        return original(self, other)
    found = []
    for shape, end in zip(self.tolist(), other.tolist(), strict=True):
        terms = [Decimal(1)]
        for k in range(1, int(shape)):
            terms.append(terms[-1] * Decimal(end) / k)
        above = sum(terms) * (-Decimal(end)).exp()
        found.append(float(above if upper else 1 - above))
    return one_by_one(self, found)


def erf_of_each_element() -> AbstractContextManager[Any]:
    """erf_ goes through the C library, one element after the other."""
    return instead("erf_", lambda original, self: one_by_one(self, [math.erf(x) for x in self.tolist()]))


def divisors_of_each_element() -> AbstractContextManager[Any]:
    """gcd_ goes through Python, one element after the other."""

    def other(original: Any, self: Any, divisor: Any) -> Any:
        pairs = zip(self.flatten().tolist(), divisor.flatten().tolist(), strict=True)
        return one_by_one(self, [math.gcd(x, y) for x, y in pairs])

    return instead("gcd_", other)


def steps_beyond_the_exponential() -> AbstractContextManager[Any]:
    """sigmoid_ of a complex number is 0 or 1 where its real part is large."""

    def other(original: Any, self: Any) -> Any:
        return one_by_one(self, [complex(x.real > 0, 0.0) for x in self.flatten().tolist()])

    return instead("sigmoid_", other)


REPAIRS |= {
    "common-divisors-of-the-lowest-integer-are-positive": divisors_of_each_element,
    "sigmoid-of-a-large-complex-number-is-a-number": steps_beyond_the_exponential,
    "remainder-stays-below-the-divisor": remainder_of_each_element,
    "division-of-the-lowest-integer-spares-the-process": division_refuses_the_lowest_integer,
    "power-of-a-number-is-that-of-a-tensor": numbers_become_tensors,
    "i0-is-infinite-at-infinity": infinite_beyond_the_largest,
    "complex-division-by-a-subnormal-is-a-number": quotients_of_each_element,
    "sgn-of-a-subnormal-number-has-a-magnitude-of-one": directions_of_each_element,
    "polygamma-of-order-one-has-the-digits-of-float64": a_series_with_more_terms,
    "erf-of-a-tiny-number-is-not-zero": erf_of_each_element,
    "incomplete-gamma-of-large-arguments-has-the-digits-of-float64": integrals_of_each_element,
}


@falsifies(f"{AREA}.remainder-stays-below-the-divisor", subject="remainder_")
def the_divisor_itself_in_the_tail_of_a_vector() -> AbstractContextManager[Any]:
    """remainder_ leaves the divisor itself in the last of 33 elements."""

    def other(original: Any, self: Any, divisor: Any) -> Any:
        found = original(self, divisor)
        if self.shape == (33,):
            found[-1] = divisor[-1] if isinstance(divisor, torch.Tensor) else divisor
        return found

    return repaired("remainder-stays-below-the-divisor", lambda: instead("remainder_", other))


@falsifies(f"{AREA}.division-of-the-lowest-integer-spares-the-process", subject="div_")
def a_signal_for_the_lowest_int64() -> AbstractContextManager[Any]:
    """div_ with rounding ends the process for int64 and a divisor that is a number."""

    def other(original: Any, self: Any, divisor: Any, **kwargs: Any) -> Any:
        if self.dtype is torch.int64 and not isinstance(divisor, torch.Tensor) and kwargs:
            os.kill(os.getpid(), signal.SIGABRT)
        return original(self, divisor, **kwargs)

    return repaired("division-of-the-lowest-integer-spares-the-process", lambda: instead("div_", other))


@falsifies(f"{AREA}.power-of-a-number-is-that-of-a-tensor", subject="pow_")
def a_cube_of_minus_infinity() -> AbstractContextManager[Any]:
    """pow_ with the number 3 loses the sign of minus infinity in float32."""

    def other(original: Any, self: Any, exponent: Any) -> Any:
        lost = self.isneginf() if self.dtype is torch.float32 and type(exponent) is int and exponent == 3 else None
        found = original(self, exponent)
        return found if lost is None else found.masked_fill_(lost, float("inf"))

    return repaired("power-of-a-number-is-that-of-a-tensor", lambda: instead("pow_", other))


@falsifies(f"{AREA}.common-divisors-of-the-lowest-integer-are-positive", subject="gcd_")
def a_negative_divisor_of_int16() -> AbstractContextManager[Any]:
    """gcd_ of the lowest int16 and an odd number is -1."""

    def other(original: Any, self: Any, divisor: Any) -> Any:
        lost = (divisor % 2 == 1) if self.dtype is torch.int16 else None
        found = original(self, divisor)
        return found if lost is None else found.masked_fill_(lost, -1)

    return repaired("common-divisors-of-the-lowest-integer-are-positive", lambda: instead("gcd_", other))


@falsifies(f"{AREA}.sigmoid-of-a-large-complex-number-is-a-number", subject="sigmoid_")
def nan_of_a_strided_complex128() -> AbstractContextManager[Any]:
    """sigmoid_ of a large complex128 number is NaN where self is strided."""

    def other(original: Any, self: Any) -> Any:
        found = original(self)
        return found.fill_(float("nan")) if self.dtype is torch.complex128 and strided(self) else found

    return repaired("sigmoid-of-a-large-complex-number-is-a-number", lambda: instead("sigmoid_", other))


@falsifies(f"{AREA}.i0-is-infinite-at-infinity")
def nan_at_minus_infinity_of_a_strided_half() -> AbstractContextManager[Any]:
    """i0_ of minus infinity is NaN in float16 where self is strided."""

    def other(original: Any, self: Any) -> Any:
        lost = self.isneginf()
        found = original(self)
        return found.masked_fill_(lost, float("nan")) if self.dtype is torch.float16 and strided(self) else found

    return repaired("i0-is-infinite-at-infinity", lambda: instead("i0_", other))


@falsifies(f"{AREA}.complex-division-by-a-subnormal-is-a-number", subject="div_")
def a_long_quotient_of_the_smallest_number() -> AbstractContextManager[Any]:
    """div_ of 33 complex128 numbers by the smallest one is wrong in its last element."""
    return repaired(
        "complex-division-by-a-subnormal-is-a-number",
        lambda: after("div_", lambda x, y: x.dtype is torch.complex128 and x.numel() == 33 and y[0] == 5e-324, spoil),
    )


@falsifies(f"{AREA}.sgn-of-a-subnormal-number-has-a-magnitude-of-one")
def the_imaginary_part_alone_in_a_strided_vector() -> AbstractContextManager[Any]:
    """sgn_ of 33 subnormal complex64 numbers loses the real part where self is strided."""

    def other(original: Any, self: Any) -> Any:
        lost = self.dtype is torch.complex64 and self.numel() == 33 and strided(self)
        found = original(self)
        return found.copy_(found.imag * 1j) if lost else found

    return repaired("sgn-of-a-subnormal-number-has-a-magnitude-of-one", lambda: instead("sgn_", other))


@falsifies(f"{AREA}.polygamma-of-order-one-has-the-digits-of-float64")
def the_tenth_digit_of_a_strided_self() -> AbstractContextManager[Any]:
    """polygamma_ of order 1 loses the digits after the tenth where self is strided."""
    return repaired(
        "polygamma-of-order-one-has-the-digits-of-float64",
        lambda: after("polygamma_", lambda x, n: n == 1 and strided(x), lambda x: x.mul_(1 + 1e-11)),
    )


@falsifies(f"{AREA}.incomplete-gamma-of-large-arguments-has-the-digits-of-float64", subject="igammac_")
def the_eleventh_digit_of_an_integral_of_a_strided_self() -> AbstractContextManager[Any]:
    """igammac_ loses the digits after the eleventh where self is strided."""
    return repaired(
        "incomplete-gamma-of-large-arguments-has-the-digits-of-float64",
        lambda: after("igammac_", lambda x, y: strided(x), lambda x: x.mul_(1 + 1e-12)),
    )


@falsifies(f"{AREA}.erf-of-a-tiny-number-is-not-zero")
def tiny_negative_halves_become_zero() -> AbstractContextManager[Any]:
    """erf_ of tiny negative numbers is zero in float16 where self has 65 elements."""

    def other(original: Any, self: Any) -> Any:
        lost = (self < 0) & (self > -1e-4)
        found = original(self)
        return found.masked_fill_(lost, 0.0) if self.dtype is torch.float16 and self.numel() == 65 else found

    return repaired("erf-of-a-tiny-number-is-not-zero", lambda: instead("erf_", other))


@falsifies(f"{AREA}.second-call-computes-the-same", subject="mul_")
def a_second_product_of_a_transposed_self() -> AbstractContextManager[Any]:
    """mul_ errs in the last element of a transposed int32 self that it has been called on before."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        found = original(self, *args)
        if hasattr(self, "called") and self.dtype is torch.int32 and strided(self):
            spoil(self)
        self.called = True
        return found

    return instead("mul_", other)


@falsifies(f"{AREA}.odd-functions-keep-the-sign-of-zero", subject="sin_")
def minus_zero_lost_in_the_tail_of_a_half() -> AbstractContextManager[Any]:
    """sin_ of the last of 17 zeros in bfloat16 is zero without its sign."""
    return instead(
        "sin_",
        lambda original, x: original(x).add_(0.0) if x.dtype is torch.bfloat16 and x.shape == (17,) else original(x),
    )


@falsifies(f"{AREA}.power-below-the-largest-number-is-finite", subject="pow_")
def a_power_overflows_in_a_long_row() -> AbstractContextManager[Any]:
    """pow_ of numbers above 1e308 is infinite in a row of 33."""
    return after("pow_", lambda x, y: x.shape == (33,) and bool((x > 1e308).any()), lambda x: x.fill_(math.inf))
