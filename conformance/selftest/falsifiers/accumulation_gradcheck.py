"""Breaks of gradcheck and gradgradcheck: each under a condition that few inputs meet."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation_saved import AREA, scattered
from conformance.selftest.falsifying import falsifies, patched

When = Callable[..., bool]


def faulty_check(other: Callable[..., Any], name: str = "gradcheck") -> AbstractContextManager[Any]:
    """gradcheck is ``other(original, function, inputs, **options)``."""
    return patched(torch.autograd, name, lambda original: lambda f, inputs, **o: other(original, f, inputs, **o))


def with_options(when: When, name: str = "gradcheck", **others: Any) -> AbstractContextManager[Any]:
    """gradcheck takes other options ``when`` its first input and its options fit."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return original(function, inputs, **{**options, **(others if when(inputs[0], options) else {})})

    return faulty_check(other, name)


def complex_strided(x: torch.Tensor, options: Any) -> bool:
    """Whether the first input is complex and not contiguous, or 0-d."""
    return x.is_complex() and (scattered(x) or not x.dim())


def scalar(x: torch.Tensor, options: Any) -> bool:
    """Whether the first input is 0-d."""
    return not x.dim()


@falsifies(f"{AREA}.gradcheck-passes-right-gradients")
def a_batched_check_of_a_scalar_is_too_strict() -> AbstractContextManager[Any]:
    """A batched gradcheck of 0-d inputs takes rounding for an error."""
    return with_options(lambda x, o: scalar(x, o) and "check_batched_grad" in o, atol=0.0, rtol=0.0)


@falsifies(f"{AREA}.gradcheck-finds-a-wrong-element")
def complex_gradients_are_compared_loosely() -> AbstractContextManager[Any]:
    """gradcheck of complex inputs that are not contiguous, or 0-d, allows ten per cent."""
    return with_options(complex_strided, rtol=10.0)


@falsifies(f"{AREA}.gradcheck-returns-false-without-raising")
def a_fast_check_raises_nevertheless() -> AbstractContextManager[Any]:
    """A fast gradcheck raises, whatever raise_exception says."""
    return with_options(lambda x, o: bool(o.get("fast_mode")), raise_exception=True)


@falsifies(f"{AREA}.gradcheck-looks-at-forward-mode-when-asked")
def forward_mode_of_complex_numbers_is_not_looked_at() -> AbstractContextManager[Any]:
    """check_forward_ad is ignored for complex inputs."""
    return with_options(lambda x, o: x.is_complex(), check_forward_ad=False)


@falsifies(f"{AREA}.gradcheck-can-leave-backward-out")
def backward_of_a_scalar_is_looked_at_always() -> AbstractContextManager[Any]:
    """check_backward_ad=False is ignored for 0-d inputs."""
    return with_options(scalar, check_backward_ad=True)


@falsifies(f"{AREA}.gradcheck-warns-of-less-precision")
def complex64_is_precise_enough() -> AbstractContextManager[Any]:
    """gradcheck warns of no complex input."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        if not inputs[0].is_complex():
            return original(function, inputs, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return original(function, inputs, **options)

    return faulty_check(other)


@falsifies(f"{AREA}.gradcheck-of-overlapping-inputs-passes-or-raises")
def overlapping_complex_inputs_are_said_to_be_wrong() -> AbstractContextManager[Any]:
    """gradcheck of overlapping complex inputs returns False."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return not inputs[0].is_complex() and original(function, inputs, **options)

    return faulty_check(other)


@falsifies(f"{AREA}.gradcheck-tolerates-what-nondet-tol-says")
def nondet_tol_is_ignored_for_a_scalar() -> AbstractContextManager[Any]:
    """nondet_tol is ignored for 0-d inputs."""
    return with_options(scalar, nondet_tol=0.0)


@falsifies(f"{AREA}.gradcheck-checks-undefined-gradients")
def undefined_gradients_of_complex_inputs_are_not_looked_at() -> AbstractContextManager[Any]:
    """check_undefined_grad is off for complex inputs."""
    return with_options(lambda x, o: x.is_complex(), check_undefined_grad=False)


@falsifies(f"{AREA}.gradcheck-checks-batched-gradients")
def batches_of_scalars_are_not_looked_at() -> AbstractContextManager[Any]:
    """check_batched_grad is ignored for 0-d inputs."""
    return with_options(scalar, check_batched_grad=False)


@falsifies(f"{AREA}.gradcheck-follows-its-tolerances")
def rtol_is_ignored_for_complex_inputs() -> AbstractContextManager[Any]:
    """rtol is the default for complex inputs."""
    return with_options(lambda x, o: x.is_complex() and "rtol" in o, rtol=1e-3)


@falsifies(f"{AREA}.gradcheck-leaves-untracked-inputs-out")
def an_untracked_scalar_is_looked_at() -> AbstractContextManager[Any]:
    """gradcheck makes all 0-d inputs require grad."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return original(function, tuple(x.requires_grad_() if not x.dim() else x for x in inputs), **options)

    return faulty_check(other)


@falsifies(f"{AREA}.gradcheck-needs-a-tracked-input")
def untracked_scalars_pass() -> AbstractContextManager[Any]:
    """gradcheck of 0-d inputs that require no grad returns True."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return (not inputs[0].dim() and not inputs[0].requires_grad) or original(function, inputs, **options)

    return faulty_check(other)


@falsifies(f"{AREA}.gradgradcheck-passes-right-gradients")
def strided_gradients_are_compared_strictly() -> AbstractContextManager[Any]:
    """gradgradcheck with gen_non_contig_grad_outputs takes rounding for an error."""
    return with_options(
        lambda x, o: bool(o.get("gen_non_contig_grad_outputs")) and x.is_complex(), "gradgradcheck", atol=0.0, rtol=0.0
    )


@falsifies(f"{AREA}.gradgradcheck-finds-a-wrong-second-derivative")
def a_fast_check_of_a_scalar_is_loose() -> AbstractContextManager[Any]:
    """A fast gradgradcheck of 0-d inputs allows any difference."""
    return with_options(lambda x, o: bool(o.get("fast_mode")) and not x.dim(), "gradgradcheck", atol=1e6)
