"""Breaks of single formulas: at a zero, of one shape, of one order, of one argument that is given by keyword."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA
from conformance.selftest.falsifiers.accumulation_functions import faulty_apply
from conformance.selftest.falsifying import falsifies, patched

Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
FUNCTIONS = f"{AREA}.functions-have-the-gradients-of-their-values"


class Twisted(torch.autograd.Function):
    """The identity, with ``change(gradient, x)`` for a gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, change: Change) -> torch.Tensor:
        ctx.x, ctx.change = x.detach(), change
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        return ctx.change(grads[0], ctx.x), None


def twisting(
    name: str, when: Callable[..., bool], change: Change, place: int = 0, owner: Any = torch
) -> AbstractContextManager[Any]:
    """Another gradient by argument number ``place`` of ``owner.name``, in calls of which ``when`` holds."""

    def make(original: Any) -> Any:
        def other(*args: Any, **options: Any) -> Any:
            given = args[place] if place < len(args) else None
            if isinstance(given, torch.Tensor) and given.requires_grad and when(*args, **options):
                args = (*args[:place], Twisted.apply(given, change), *args[place + 1 :])
            return original(*args, **options)

        return other

    return patched(owner, name, make)


def doubled(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Twice the gradient."""
    return 2 * gradient


def lost_at_zero(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The gradient, and none where x is zero."""
    return torch.where(x == 0, torch.zeros_like(gradient), gradient)


def undefined_at_zero(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The gradient, and NaN where x is zero."""
    return torch.where(x == 0, torch.full_like(gradient, torch.nan), gradient)


@falsifies(FUNCTIONS, subject="trace")
def the_trace_of_a_wide_matrix_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of the trace of a matrix with more columns than rows is doubled."""
    return twisting("trace", lambda x: x.shape[0] < x.shape[1], doubled)


@falsifies(FUNCTIONS, subject="polygamma")
def the_second_polygamma_has_another_sign() -> AbstractContextManager[Any]:
    """The gradient of polygamma of order 2 has the wrong sign."""
    return twisting("polygamma", lambda n, x: n == 2, lambda g, x: -g, place=1)


@falsifies(FUNCTIONS, subject="ldexp")
def the_exponent_of_ldexp_is_by_another_base() -> AbstractContextManager[Any]:
    """The gradient by a broadcast exponent of ldexp lacks the logarithm of two."""
    return twisting("ldexp", lambda x, y: y.is_floating_point() and x.dim() > y.dim(), doubled, place=1)


@falsifies(FUNCTIONS, subject="block_diag")
def a_row_in_block_diag_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of an operand of one dimension in block_diag is doubled."""
    return twisting("block_diag", lambda *xs: len(xs) > 1 and xs[1].dim() == 1, doubled, place=1)


@falsifies(FUNCTIONS, subject="prod")
def a_product_of_two_zeros_is_divided() -> AbstractContextManager[Any]:
    """The gradient of prod along a dimension is NaN at zeros of which there are two."""

    def when(x: torch.Tensor, *dim: Any, **options: Any) -> bool:
        return bool(dim) and bool(((x.detach() == 0).sum(*dim) > 1).any())

    return twisting("prod", when, undefined_at_zero)


@falsifies(FUNCTIONS, subject="pools_by_keyword")
def a_dilated_pool_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of max_pool1d with a dilation is doubled."""
    functional = torch.nn.functional
    return twisting("max_pool1d", lambda x, *_, **options: options.get("dilation", 1) > 1, doubled, owner=functional)


@falsifies(FUNCTIONS, subject="losses_by_keyword")
def a_poisson_loss_of_rates_is_that_of_logarithms() -> AbstractContextManager[Any]:
    """The gradient of poisson_nll_loss of rates has the wrong sign."""
    functional = torch.nn.functional
    return twisting(
        "poisson_nll_loss", lambda x, y, **o: o.get("log_input") is False, lambda g, x: -g, owner=functional
    )


@falsifies(FUNCTIONS, subject="fft_by_keyword")
def the_forward_norm_of_irfft_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of irfft with the norm forward is doubled."""
    return twisting("irfft", lambda x, **options: options.get("norm") == "forward", doubled, owner=torch.fft)


@falsifies(FUNCTIONS, subject="linalg.norm")
def the_smallest_singular_value_is_taken_for_the_norm() -> AbstractContextManager[Any]:
    """The gradient of linalg.norm of the order -1 is doubled."""
    return twisting("norm", lambda x, *order: order[:1] == (-1,), doubled, owner=torch.linalg)


@falsifies(FUNCTIONS, subject="take_along_dim")
def what_is_taken_without_a_dimension_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of take_along_dim is doubled where no dimension is given."""
    return twisting("take_along_dim", lambda x, indices, *dim: not dim, doubled)


@falsifies(FUNCTIONS, subject="kron")
def the_longer_factor_of_a_vector_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of kron by a matrix beside a vector is doubled."""
    return twisting("kron", lambda x, y: x.dim() > y.dim(), doubled)


@falsifies(FUNCTIONS, subject="quantile")
def a_midpoint_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of quantile with the interpolation midpoint is doubled."""
    return twisting("quantile", lambda x, *_, **options: options.get("interpolation") == "midpoint", doubled)


@falsifies(FUNCTIONS, subject="take")
def what_is_taken_from_the_end_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of take at indices below zero is doubled."""
    return twisting("take", lambda x, indices: bool((indices < 0).any()), doubled)


@falsifies(FUNCTIONS, subject="gather")
def what_is_gathered_along_a_dimension_from_the_end() -> AbstractContextManager[Any]:
    """The gradient of gather along a dimension counted from the end is doubled."""
    return twisting("gather", lambda x, dim, *_, **options: dim < 0, doubled)


@falsifies(f"{AREA}.convex-kink-takes-the-shortest-subgradient", subject="copysign-of-a-positive")
def copysign_of_zero_has_a_slope() -> AbstractContextManager[Any]:
    """copysign has the gradient of its sign at zero, as of a positive number."""

    def rising(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x == 0, torch.ones_like(gradient), gradient)

    return twisting("copysign", lambda x, other: x.dtype is torch.float32, rising)


@falsifies(f"{AREA}.differentiable-point-takes-the-derivative", subject="xlogy")
def xlogy_of_zero_has_no_slope() -> AbstractContextManager[Any]:
    """xlogy has no gradient at zero, where it is a logarithm."""
    return twisting("xlogy", lambda x, y: not x.is_contiguous(), lost_at_zero)


@falsifies(f"{AREA}.differentiable-point-takes-the-derivative", subject="pow-of-0.0")
def the_power_of_zero_is_undefined_at_zero() -> AbstractContextManager[Any]:
    """pow with the exponent 0.0 has the gradient NaN at zero."""
    return twisting("pow", lambda x, y: y == 0.0 and isinstance(y, float), undefined_at_zero, owner=torch.Tensor)


@falsifies(f"{AREA}.optional-arguments-may-be-given-by-keyword")
def a_tensor_by_keyword_is_a_constant() -> AbstractContextManager[Any]:
    """A tensor that is given by keyword takes no part in the graph."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        if cls.__name__ == "OptionalArguments":
            kwargs = {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
        return apply(cls, *args, **kwargs)

    return faulty_apply(other)


@falsifies(f"{AREA}.functional-is-recorded-as-create-graph-says")
def a_jacobian_of_four_dimensions_is_detached() -> AbstractContextManager[Any]:
    """A recorded Jacobian of more than three dimensions has no history."""

    def make(original: Any) -> Any:
        def jacobian(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            return found.detach() if isinstance(found, torch.Tensor) and found.dim() > 3 else found

        return jacobian

    return patched(torch.autograd.functional, "jacobian", make)


@falsifies(f"{AREA}.anomaly-detection-lets-threads-use-one-leaf")
def a_leaf_is_never_made_under_anomaly_detection() -> AbstractContextManager[Any]:
    """Under anomaly detection a tensor that is told to require grad waits for what does not come."""

    def make(original: Any) -> Any:
        def requires_grad_(x: torch.Tensor, flag: bool = True) -> torch.Tensor:
            if torch.is_anomaly_enabled():
                threading.Event().wait()
            return original(x, flag)

        return requires_grad_

    return patched(torch.Tensor, "requires_grad_", make)


@falsifies(f"{AREA}.hard-sample-is-differentiated-as-the-soft-one")
def a_hard_sample_along_the_first_dimension_passes_the_gradient_on() -> AbstractContextManager[Any]:
    """A hard sample along dimension 0 passes the incoming gradient straight to the logits."""

    def broken(original: Any) -> Any:
        def gumbel_softmax(logits: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            found = original(logits, *args, **options)
            if options.get("hard") and options.get("dim") == 0:
                found = found.detach() + logits - logits.detach()
            return found

        return gumbel_softmax

    return patched(torch.nn.functional, "gumbel_softmax", broken)


@falsifies(FUNCTIONS, subject="seeded_draws")
def dropout_passes_the_gradient_of_zeroed_elements() -> AbstractContextManager[Any]:
    """The gradient of an element that dropout has zeroed is what came in."""

    def broken(original: Any) -> Any:
        def dropout(x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            found = original(x, *args, **options)
            return found + torch.where(found == 0, x - x.detach(), 0.0)

        return dropout

    return patched(torch.nn.functional, "dropout", broken)


@falsifies(FUNCTIONS, subject="frexp")
def a_mantissa_forgets_its_exponent() -> AbstractContextManager[Any]:
    """The gradient by what frexp splits is that by the mantissa."""

    def broken(original: Any) -> Any:
        def frexp(x: torch.Tensor) -> Any:
            mantissa, exponent = original(x.detach())
            return mantissa + x - x.detach(), exponent

        return frexp

    return patched(torch, "frexp", broken)


@falsifies(FUNCTIONS, subject="copies_of_views")
def a_copy_of_a_slice_is_detached() -> AbstractContextManager[Any]:
    """What slice_copy returns with a step leads nowhere."""

    def broken(original: Any) -> Any:
        def slice_copy(x: torch.Tensor, *args: Any) -> torch.Tensor:
            found: torch.Tensor = original(x, *args)
            return found.detach() + 0 * x.sum() if args[-1] == 2 else found

        return slice_copy

    return patched(torch, "slice_copy", broken)
