"""Breaks of random fills: of what they draw, how often, and from which generator."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, after, instead, strided
from conformance.selftest.falsifying import falsifies, patched


@falsifies(f"{AREA}.random-stays-within-its-bounds")
def a_range_above_32_bits_is_drawn_of_32() -> AbstractContextManager[Any]:
    """random_ into a strided int64 self below a bound above 2**32 draws 32 bits."""

    def other(original: Any, self: Any, *bounds: Any, **kwargs: Any) -> Any:
        wide = len(bounds) == 1 and bounds[0] > 2**32 and strided(self)
        return original(self, *((2**32,) if wide else bounds), **kwargs)

    return instead("random_", other)


@falsifies(f"{AREA}.random-does-not-favour-small-numbers")
def a_remainder_favours_small_numbers() -> AbstractContextManager[Any]:
    """random_ below three quarters of 2**32 takes the remainder of 32 bits."""

    def other(original: Any, self: Any, *bounds: Any, **kwargs: Any) -> Any:
        if bounds != (3 * 2**30,):
            return original(self, *bounds, **kwargs)
        return original(self, 2**32, **kwargs).remainder_(3 * 2**30)

    return instead("random_", other)


@falsifies(f"{AREA}.random-without-bounds-fills-the-mantissa")
def the_lowest_bit_is_never_set() -> AbstractContextManager[Any]:
    """random_ of float64 without bounds draws even numbers."""
    return after("random_", lambda x, *b, **k: not b and x.dtype is torch.float64, lambda x: x.div_(2).floor_().mul_(2))


@falsifies(f"{AREA}.random-without-bounds-spans-the-type")
def int64_has_31_bits() -> AbstractContextManager[Any]:
    """random_ of int64 without bounds draws 31 bits."""
    return after("random_", lambda x, *b, **k: not b and x.dtype is torch.int64, lambda x: x.bitwise_and_(2**31 - 1))


@falsifies(f"{AREA}.random-without-bounds-spans-the-type")
def strided_int8_goes_below_zero() -> AbstractContextManager[Any]:
    """random_ of a strided int8 self without bounds draws negative numbers."""
    return after("random_", lambda x, *b, **k: not b and x.dtype is torch.int8 and strided(x), lambda x: x.neg_())


@falsifies(f"{AREA}.uniform-stays-within-its-bounds")
def bfloat16_is_drawn_of_the_square() -> AbstractContextManager[Any]:
    """uniform_ of a large bfloat16 self between 0 and 1 draws squares of uniform numbers."""
    large = 1000
    return after(
        "uniform_",
        lambda x, *b, **k: x.dtype is torch.bfloat16 and not b and x.numel() > large,
        lambda x: x.square_(),
    )


@falsifies(f"{AREA}.uniform-stays-within-its-bounds")
def float64_is_drawn_in_float32() -> AbstractContextManager[Any]:
    """uniform_ of float64 draws the 24 bits of float32."""
    return after("uniform_", lambda x, *b, **k: x.dtype is torch.float64, lambda x: x.copy_(x.float().nan_to_num()))


@falsifies(f"{AREA}.normal-draws-around-the-mean")
def a_small_deviation_is_its_root() -> AbstractContextManager[Any]:
    """normal_ with a deviation below 1 and a mean takes the deviation to the power of 1.5."""
    return instead(
        "normal_",
        lambda original, x, mean=0.0, std=1.0, **k: original(x, mean, std**1.5 if std < 1 and mean else std, **k),
    )


@falsifies(f"{AREA}.normal-draws-around-the-mean")
def a_keyword_is_not_read() -> AbstractContextManager[Any]:
    """normal_ with the deviation alone as a keyword draws the standard normal distribution."""

    def other(original: Any, self: Any, *law: Any, **kwargs: Any) -> Any:
        kept = {k: v for k, v in kwargs.items() if k != "std" or "mean" in kwargs}
        return original(self, *law, **kept)

    return instead("normal_", other)


@falsifies(f"{AREA}.normal-draws-around-the-mean")
def the_second_half_repeats_the_first() -> AbstractContextManager[Any]:
    """normal_ into many elements in one piece draws half of them, and the others with the opposite sign."""

    def negated(x: torch.Tensor) -> None:
        half = x.numel() // 2
        x.view(-1)[half : 2 * half] = -x.view(-1)[:half]

    return after("normal_", lambda x, *law, **k: x.numel() > 2000 and x.is_contiguous() and not law, negated)


@falsifies(f"{AREA}.complex-normal-splits-its-variance")
def a_strided_complex_number_has_twice_the_variance() -> AbstractContextManager[Any]:
    """normal_ of a strided complex64 self draws each part with the whole variance."""
    return after("normal_", lambda x, *a, **k: x.dtype is torch.complex64 and strided(x), lambda x: x.mul_(2**0.5))


@falsifies(f"{AREA}.complex-normal-splits-its-variance")
def both_parts_are_one() -> AbstractContextManager[Any]:
    """normal_ of complex128 draws one number for both parts."""
    return after("normal_", lambda x, *a, **k: x.dtype is torch.complex128, lambda x: x.imag.copy_(x.real))


@falsifies(f"{AREA}.exponential-follows-its-density")
def a_rate_above_1_is_its_inverse() -> AbstractContextManager[Any]:
    """exponential_ of float16 with a rate above 1 takes it for the mean."""
    return instead(
        "exponential_",
        lambda original, x, lambd=1.0, **k: original(
            x, 1 / lambd if lambd > 1 and x.dtype is torch.float16 else lambd, **k
        ),
    )


@falsifies(f"{AREA}.geometric-follows-its-probabilities")
def int8_counts_failures() -> AbstractContextManager[Any]:
    """geometric_ of a transposed int8 self takes p for the probability of failure."""
    return instead(
        "geometric_",
        lambda original, x, p, **k: original(x, 1 - p if x.dtype is torch.int8 and strided(x) else p, **k),
    )


@falsifies(f"{AREA}.cauchy-follows-its-density")
def a_keyword_scale_is_not_read() -> AbstractContextManager[Any]:
    """cauchy_ with the scale as a keyword draws with a scale of 1."""
    return instead("cauchy_", lambda original, x, *law, sigma=1.0, **k: original(x, *law, **k))


@falsifies(f"{AREA}.log-normal-is-positive")
def a_bfloat16_has_a_quarter_of_the_deviation() -> AbstractContextManager[Any]:
    """log_normal_ of bfloat16 draws with a quarter of the deviation."""
    return instead(
        "log_normal_",
        lambda original, x, mean=1.0, std=2.0, **k: original(
            x, mean, std / 4 if x.dtype is torch.bfloat16 else std, **k
        ),
    )


@falsifies(f"{AREA}.log-normal-is-positive")
def the_mean_is_not_read() -> AbstractContextManager[Any]:
    """log_normal_ with a mean below 0 draws around 0."""
    return instead("log_normal_", lambda original, x, mean=1.0, std=2.0, **k: original(x, max(mean, 0.0), std, **k))


@falsifies(f"{AREA}.bernoulli-draws-zero-or-one")
def a_quarter_is_a_half() -> AbstractContextManager[Any]:
    """bernoulli_ of a bool self with a probability of a quarter takes a half."""
    return instead(
        "bernoulli_",
        lambda original, x, p=0.5, **k: original(x, 0.5 if p == 0.25 and x.dtype is torch.bool else p, **k),
    )


@falsifies(f"{AREA}.bernoulli-draws-zero-or-one")
def neighbours_are_equal() -> AbstractContextManager[Any]:
    """bernoulli_ into many elements in one piece draws one number for two of them."""

    def doubled(x: torch.Tensor) -> None:
        x.view(-1)[1::2] = x.view(-1)[0:-1:2]

    return after("bernoulli_", lambda x, *p, **k: x.numel() > 2000 and x.is_contiguous() and p != (1.0,), doubled)


@falsifies(f"{AREA}.bernoulli-follows-each-probability")
def probabilities_are_rounded() -> AbstractContextManager[Any]:
    """bernoulli_ rounds probabilities in float16."""
    return instead(
        "bernoulli_",
        lambda original, x, p=0.5, **k: original(
            x, p.round() if isinstance(p, torch.Tensor) and p.dtype is torch.float16 else p, **k
        ),
    )


@falsifies(f"{AREA}.random-fill-draws-each-element", subject="exponential_")
def a_vector_repeats_its_beginning() -> AbstractContextManager[Any]:
    """exponential_ into a vector of more than 24 has the first four numbers again at its end."""

    def again(x: torch.Tensor) -> None:
        x.view(-1)[-4:] = x.view(-1)[:4].clone()

    return after("exponential_", lambda x, *a, **k: x.dim() == 1 and x.numel() > 24 and x.is_contiguous(), again)


# ---- generators ----


@falsifies(f"{AREA}.random-fill-resumes-from-a-state", subject="normal_")
def an_odd_number_is_left_over() -> AbstractContextManager[Any]:
    """normal_ into three elements draws from the default generator."""
    return instead(
        "normal_",
        lambda original, x, *a, generator=None, **k: original(
            x, *a, generator=None if x.numel() == 3 else generator, **k
        ),
    )


@falsifies(f"{AREA}.random-fill-goes-on-drawing", subject="uniform_")
def a_strided_self_is_seeded_anew() -> AbstractContextManager[Any]:
    """uniform_ into a strided self seeds the generator anew."""

    def other(original: Any, self: Any, *bounds: Any, generator: Any = None, **kwargs: Any) -> Any:
        if generator is not None and strided(self):
            generator.manual_seed(0)
        return original(self, *bounds, generator=generator, **kwargs)

    return instead("uniform_", other)


@falsifies(f"{AREA}.random-fill-refuses-parameters", subject="normal_")
def a_deviation_below_zero_is_taken() -> AbstractContextManager[Any]:
    """normal_ of a strided self takes a deviation below 0 for its size."""
    return instead(
        "normal_",
        lambda original, x, mean=0.0, std=1.0, **k: original(x, mean, abs(std) if strided(x) else std, **k),
    )


@falsifies(f"{AREA}.random-fill-follows-manual-seed", subject="uniform_")
def every_seed_is_one() -> AbstractContextManager[Any]:
    """torch.manual_seed sets the same state for every seed."""
    return patched(torch, "manual_seed", lambda original: lambda seed: original(0))


@falsifies(f"{AREA}.random-fill-follows-manual-seed", subject="geometric_")
def int16_draws_from_a_generator_of_its_own() -> AbstractContextManager[Any]:
    """geometric_ of int16 without a generator draws from one that manual_seed does not reach."""
    apart = torch.Generator()

    def other(original: Any, self: Any, p: float, generator: Any = None) -> Any:
        return original(self, p, generator=apart if self.dtype is torch.int16 and generator is None else generator)

    return instead("geometric_", other)


@falsifies(f"{AREA}.random-fill-follows-manual-seed", subject="random_")
def a_generator_moves_the_default_one() -> AbstractContextManager[Any]:
    """random_ of float16 with a generator draws one number from the default one too."""

    def other(original: Any, self: Any, *bounds: Any, generator: Any = None, **kwargs: Any) -> Any:
        if generator is not None and self.dtype is torch.float16:
            torch.empty(1).uniform_()
        return original(self, *bounds, generator=generator, **kwargs)

    return instead("random_", other)
