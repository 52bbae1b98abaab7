"""Breaks of derivatives at points of their own, and of anomaly detection."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA, backward, leaves_of, spoiling
from conformance.selftest.falsifying import falsifies, patched

Change = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Misled(torch.autograd.Function):
    """A function with its own values and with a gradient that ``change(gradient, x, incoming)`` spoils."""

    @staticmethod
    def forward(ctx: Any, function: Any, change: Change, x: torch.Tensor, *rest: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.function, ctx.change, ctx.rest = function, change, rest
        return function(x.detach(), *rest)

    @staticmethod
    def backward(ctx: Any, incoming: torch.Tensor) -> Any:
        (saved,) = ctx.saved_tensors
        with torch.enable_grad():
            x = saved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(ctx.function(x, *ctx.rest), x, incoming.detach())
        return None, None, ctx.change(gradient.detach(), saved.detach(), incoming), *(None for _ in ctx.rest)


def misleading(
    name: str, when: Callable[[torch.Tensor], bool], change: Change, owner: Any = torch
) -> AbstractContextManager[Any]:
    """A spoilt gradient of ``owner.name`` for operands of which ``when`` holds."""

    def make(original: Any) -> Any:
        def other(x: torch.Tensor, *rest: Any, **options: Any) -> Any:
            if options or not (x.requires_grad and torch.is_grad_enabled()) or not when(x):
                return original(x, *rest, **options)
            return Misled.apply(original, change, x, *rest)

        return other

    return patched(owner, name, make)


# --- higher derivatives, and complex ones


@falsifies(f"{AREA}.created-graph-gives-higher-derivatives", subject="sinh")
def the_gradient_of_sinh_is_detached() -> AbstractContextManager[Any]:
    """The gradient of sinh of a tensor with an offset does not know its operand any more."""
    return misleading("sinh", lambda x: x.storage_offset() == 3, lambda g, x, v: g)


@falsifies(f"{AREA}.created-graph-gives-higher-derivatives", subject="tanh")
def the_third_derivative_of_tanh_is_missing() -> AbstractContextManager[Any]:
    """The second derivative of a float32 tanh is not differentiable."""

    def when(x: torch.Tensor) -> bool:
        return x.dtype is torch.float32

    return misleading("tanh", when, lambda g, x, v: v * (1 - x.tanh() ** 2))


@falsifies(f"{AREA}.complex-gradient-is-by-the-conjugate", subject="tan")
def the_gradient_of_a_transposed_tan_is_conjugated() -> AbstractContextManager[Any]:
    """The gradient of tan of a complex64 tensor that is transposed is that of JAX's convention."""

    def when(x: torch.Tensor) -> bool:
        return x.dtype is torch.complex64 and not x.is_contiguous()

    return misleading("tan", when, lambda g, x, v: v * (1 + x.tan() ** 2))


@falsifies(f"{AREA}.complex-gradient-is-by-the-conjugate", subject="abs")
def the_gradient_of_a_scalar_abs_is_doubled() -> AbstractContextManager[Any]:
    """The gradient of abs of a complex number without dimensions is doubled."""
    return misleading("abs", lambda x: x.is_complex() and not x.dim(), lambda g, x, v: 2 * g)


@falsifies(f"{AREA}.real-function-through-complex-numbers")
def the_radius_of_polar_gets_the_other_part() -> AbstractContextManager[Any]:
    """The gradient of a float32 radius in polar has the wrong sign."""
    return misleading("polar", lambda x: x.dtype is torch.float32, lambda g, x, v: -g)


@falsifies(f"{AREA}.real-leaf-of-a-complex-root-gets-a-real-gradient")
def the_second_pass_from_complex_numbers_is_twice_as_large() -> AbstractContextManager[Any]:
    """A pass from a complex64 root adds to a real .grad that is there with twice the weight."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        held = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
        original(tensors, gradients, **options)
        for leaf, before in zip(leaves, held, strict=True):
            if before is not None and leaf.dtype is torch.float32:
                leaf.grad.add_(leaf.grad - before)

    return backward(instead)


# --- points without a derivative


@falsifies(f"{AREA}.convex-kink-takes-the-shortest-subgradient", subject="relu")
def relu_of_a_strided_zero_has_slope_one() -> AbstractContextManager[Any]:
    """relu of a float16 tensor with gaps has the gradient 1 at 0."""

    def when(x: torch.Tensor) -> bool:
        return x.dtype is torch.float16 and x.storage_offset() == 1

    return misleading("relu", when, lambda g, x, v: torch.where(x == 0, v, g))


@falsifies(f"{AREA}.convex-kink-takes-the-shortest-subgradient", subject="vector_norm-3")
def a_norm_of_zero_is_nan() -> AbstractContextManager[Any]:
    """vector_norm of a zero without dimensions has the gradient NaN."""
    return misleading("vector_norm", lambda x: not x.dim(), lambda g, x, v: g / x, torch.linalg)


@falsifies(f"{AREA}.concave-kink-takes-the-shortest-supergradient", subject="hardtanh-at-max")
def hardtanh_at_its_upper_bound_has_slope_one() -> AbstractContextManager[Any]:
    """hardtanh of a float32 tensor of three dimensions has the gradient 1 at its upper bound."""

    def when(x: torch.Tensor) -> bool:
        return x.dtype is torch.float32 and x.dim() == 3

    return misleading("hardtanh", when, lambda g, x, v: torch.where(x == 1, v, g), torch.nn.functional)


@falsifies(f"{AREA}.tied-tensors-share-the-gradient", subject="minimum")
def the_first_of_two_equal_tensors_gets_all() -> AbstractContextManager[Any]:
    """minimum of two equal bfloat16 tensors hands the gradient to the first."""

    def make(original: Any) -> Any:
        def minimum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.where(a <= b, a, b) if a.dtype is torch.bfloat16 else original(a, b)

        return minimum

    return patched(torch, "minimum", make)


@falsifies(f"{AREA}.other-points-take-a-limit", subject="sqrt")
def the_root_of_zero_is_flat() -> AbstractContextManager[Any]:
    """sqrt of a transposed tensor has the gradient 0 at 0."""

    def when(x: torch.Tensor) -> bool:
        return x.dim() == 2 and not x.is_contiguous()

    return misleading("sqrt", when, lambda g, x, v: torch.where(x == 0, torch.zeros_like(g), g))


@falsifies(f"{AREA}.other-points-take-a-limit", subject="hardswish")
def hardswish_takes_the_mean_at_its_kink() -> AbstractContextManager[Any]:
    """hardswish of a float64 vector has the mean of both limits at 3."""

    def when(x: torch.Tensor) -> bool:
        return x.dtype is torch.float64 and x.dim() == 1

    return misleading("hardswish", when, lambda g, x, v: torch.where(x == 3, v * 1.25, g), torch.nn.functional)


@falsifies(f"{AREA}.differentiable-point-takes-the-derivative", subject="prod-of-one-zero")
def prod_divides_by_its_zero() -> AbstractContextManager[Any]:
    """prod of a column has the gradient 0 at its zero."""
    return misleading("prod", lambda x: x.dim() == 3, lambda g, x, v: torch.where(x == 0, torch.zeros_like(g), g))


def spread_of_one_element(name: str) -> AbstractContextManager[Any]:
    """The function without a correction has the gradient NaN where it is of one element."""

    def make(original: Any) -> Any:
        def other(x: torch.Tensor, *rest: Any, **options: Any) -> Any:
            if options.get("correction") == 0 and x.numel() == 1 and x.requires_grad:
                return Misled.apply(lambda *a: original(*a, **options), lambda g, x, v: g * torch.nan, x, *rest)
            return original(x, *rest, **options)

        return other

    return patched(torch, name, make)


@falsifies(f"{AREA}.differentiable-point-takes-the-derivative", subject="std-of-one-element")
def std_of_one_element_divides_by_zero() -> AbstractContextManager[Any]:
    """std without a correction has the gradient NaN where it is of one element."""
    return spread_of_one_element("std")


@falsifies(f"{AREA}.differentiable-point-takes-the-derivative", subject="var-of-one-element")
def var_of_one_element_divides_by_zero() -> AbstractContextManager[Any]:
    """var without a correction has the gradient NaN where it is of one element."""
    return spread_of_one_element("var")


@falsifies(f"{AREA}.undefined-point-spoils-no-other", subject="sqrt-of-a-negative")
def a_negative_spoils_its_neighbour() -> AbstractContextManager[Any]:
    """sqrt of a vector with a negative element has the gradient NaN everywhere."""
    return misleading("sqrt", lambda x: x.dim() == 1, lambda g, x, v: g + g.sum() * 0)


@falsifies(f"{AREA}.equal-extremes-share-the-gradient", subject="amin")
def amin_feeds_the_first_minimum_only() -> AbstractContextManager[Any]:
    """amin with keepdim of a float16 tensor hands the gradient to one minimum."""

    def make(original: Any) -> Any:
        def amin(x: torch.Tensor, dim: Any = (), keepdim: bool = False) -> torch.Tensor:
            if keepdim and x.dtype is torch.float16:
                return x.min(dim, keepdim=True)[0]
            return original(x, dim=dim, keepdim=keepdim)

        return amin

    return patched(torch, "amin", make)


@falsifies(f"{AREA}.extreme-along-a-dimension-feeds-one-element", subject="max-along")
def max_along_the_last_dimension_shares() -> AbstractContextManager[Any]:
    """max along the last dimension of three hands the gradient to all maxima."""

    def make(original: Any) -> Any:
        def maximum(x: torch.Tensor, dim: int, keepdim: bool = False) -> Any:
            values, indices = original(x, dim=dim, keepdim=keepdim)
            return (x.amax(dim, keepdim), indices) if x.dim() == 3 and dim == -1 else (values, indices)

        return maximum

    return patched(torch, "max", make)


@falsifies(f"{AREA}.random-function-has-no-gradient", subject="rand_like")
def rand_like_of_a_strided_tensor_requires_grad() -> AbstractContextManager[Any]:
    """rand_like of a float32 tensor with gaps requires grad."""

    def make(original: Any) -> Any:
        def rand_like(x: torch.Tensor) -> torch.Tensor:
            found = original(x)
            return found + x * 0 if x.dtype is torch.float32 and x.storage_offset() == 1 else found

        return rand_like

    return patched(torch, "rand_like", make)


@falsifies(f"{AREA}.nan-gradient-is-passed-on", subject="maximum")
def maximum_swallows_nan() -> AbstractContextManager[Any]:
    """maximum of tensors of three dimensions takes NaN for zero on its way back."""

    def make(original: Any) -> Any:
        def maximum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            found = original(a, b)
            if found.dim() == 3:
                found.register_hook(torch.nan_to_num)
            return found

        return maximum

    return patched(torch, "maximum", make)


@falsifies(f"{AREA}.nan-gradient-stays-out-of-what-is-inactive", subject="relu")
def relu_multiplies_by_its_mask() -> AbstractContextManager[Any]:
    """relu of a bfloat16 tensor multiplies by a mask."""
    return misleading("relu", lambda x: x.dtype is torch.bfloat16, lambda g, x, v: v * (x > 0))


@falsifies(f"{AREA}.nan-gradient-reaches-what-is-selected-only", subject="where")
def where_multiplies_by_its_mask() -> AbstractContextManager[Any]:
    """where of a transposed tensor multiplies by a mask."""

    def make(original: Any) -> Any:
        def where(mask: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return original(mask, a, b) if a.is_contiguous() else a * mask + b * ~mask

        return where

    return patched(torch, "where", make)


@falsifies(f"{AREA}.masking-after-a-division-by-zero-leaves-nan")
def a_quotient_by_zero_has_no_gradient() -> AbstractContextManager[Any]:
    """Division of a float16 tensor of three dimensions has the gradient 0 where the divisor is 0."""

    def make(original: Any) -> Any:
        def divide(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            found = original(x, y)
            if x.dim() == 3 and x.dtype is torch.float16:
                return torch.where(y == 0, found.detach(), original(x, torch.where(y == 0, torch.ones_like(y), y)))
            return found

        return divide

    return patched(torch.Tensor, "__truediv__", make)


@falsifies(f"{AREA}.masking-before-a-division-by-zero-is-safe")
def assignment_through_a_mask_is_doubled() -> AbstractContextManager[Any]:
    """Assignment through a mask of three dimensions has twice the gradient."""

    def make(original: Any) -> Any:
        def assign(self: torch.Tensor, index: Any, value: Any) -> None:
            if isinstance(index, torch.Tensor) and index.dim() == 3 and value.requires_grad:
                value = 2 * value - value.detach()
            original(self, index, value)

        return assign

    return patched(torch.Tensor, "__setitem__", make)


# --- anomaly detection


@falsifies(f"{AREA}.anomaly-detection-raises-on-nan")
def the_function_looks_for_no_nan() -> AbstractContextManager[Any]:
    """set_detect_anomaly does not look for NaN."""
    return patched(
        torch.autograd, "set_detect_anomaly", lambda original: lambda mode, check_nan=True: original(mode, False)
    )


@falsifies(f"{AREA}.anomaly-detection-may-let-nan-pass")
def the_context_always_looks_for_nan() -> AbstractContextManager[Any]:
    """detect_anomaly looks for NaN whatever it is told."""
    return patched(torch.autograd, "detect_anomaly", lambda original: lambda check_nan=True: original())


@falsifies(f"{AREA}.anomaly-detection-shows-the-forward-call")
def the_traceback_ends_too_early() -> AbstractContextManager[Any]:
    """The traceback that is kept of a forward call lacks its innermost frames."""
    stack = ExitStack()
    for module in (traceback, importlib.import_module("torch.fx.traceback")):  # which one torch asks is its own affair
        stack.enter_context(patched(module, "format_stack", lambda original: lambda *args: original(*args)[:1]))
    return stack


@falsifies(f"{AREA}.anomaly-detection-changes-no-gradient")
def detection_doubles_gradients_in_bfloat16() -> AbstractContextManager[Any]:
    """Under anomaly detection bfloat16 gradients are doubled."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if torch.is_anomaly_enabled() and leaf.dtype is torch.bfloat16:
            leaf.grad.mul_(2)

    return spoiling(change)


@falsifies(f"{AREA}.anomaly-detection-ends-with-its-context")
def an_exception_leaves_the_check_switched() -> AbstractContextManager[Any]:
    """set_detect_anomaly left by an exception does not switch the check for NaN back."""

    def make(original: Any) -> Any:
        def leave(self: Any, *error: Any) -> Any:
            checked = torch.is_anomaly_check_nan_enabled()
            found = original(self, *error)
            if error[0] is not None:
                torch.set_anomaly_enabled(torch.is_anomaly_enabled(), checked)
            return found

        return leave

    return patched(torch.autograd.set_detect_anomaly, "__exit__", make)


@falsifies(f"{AREA}.set-detect-anomaly-is-a-function-too")
def the_check_stays_off() -> AbstractContextManager[Any]:
    """set_detect_anomaly(False) does nothing where NaN was not looked for."""

    def make(original: Any) -> Any:
        def switch(mode: bool, check_nan: bool = True) -> Any:
            stuck = torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled()
            return original(mode or stuck, check_nan)

        return switch

    return patched(torch.autograd, "set_detect_anomaly", make)


@falsifies(f"{AREA}.convex-kink-takes-the-shortest-subgradient", subject="vector_norm-2-of-a-zero-row")
def a_zero_row_spoils_all_norms() -> AbstractContextManager[Any]:
    """The gradient of the norms of the rows is NaN where one of several rows is zero."""

    def when(x: torch.Tensor) -> bool:
        return x.dim() > 1 and bool((x == 0).all(-1).any())

    return misleading("vector_norm", when, lambda g, x, v: g * float("nan"), torch.linalg)


@falsifies(f"{AREA}.cumulative-extreme-feeds-the-elements-that-it-names")
def cummin_feeds_all_of_two_equals() -> AbstractContextManager[Any]:
    """cummin of a tensor of one dimension hands half of the gradient to the first element."""

    def make(original: Any) -> Any:
        def cummin(x: torch.Tensor, dim: int) -> Any:
            values, indices = original(x, dim)
            if x.dim() == 1 and x.requires_grad:
                values = values + (x[0] - x[0].detach())
            return values, indices

        return cummin

    return patched(torch, "cummin", make)


def embedding_without(option: str, left: Any, when: Any) -> AbstractContextManager[Any]:
    """embedding, of the function, that takes ``left`` for an option where ``when`` says so of the indices."""

    def make(original: Any) -> Any:
        def embedding(indices: torch.Tensor, weight: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            names = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
            given = {**dict(zip(names, args, strict=False)), **options}
            if option in given and when(indices, given[option]):
                given[option] = left
            return original(indices, weight, **given)

        return embedding

    return patched(torch.nn.functional, "embedding", make)


@falsifies(f"{AREA}.embedding-scales-gradients-by-frequency")
def frequencies_of_two_dimensions_are_not_counted() -> AbstractContextManager[Any]:
    """embedding leaves gradients unscaled where the indices have two dimensions."""
    return embedding_without("scale_grad_by_freq", False, lambda indices, _: indices.dim() == 2)


@falsifies(f"{AREA}.embedding-padding-gathers-no-gradient")
def padding_counted_from_the_back_gathers_gradient() -> AbstractContextManager[Any]:
    """embedding forgets a padding_idx below zero."""
    return embedding_without("padding_idx", None, lambda _, given: given is not None and given < 0)


@falsifies(f"{AREA}.embedding-gradient-may-be-sparse")
def the_gradient_of_int32_indices_is_dense() -> AbstractContextManager[Any]:
    """embedding by indices of 32 bits makes a dense gradient."""
    return embedding_without("sparse", False, lambda indices, _: indices.dtype is torch.int32)


@falsifies(f"{AREA}.embedding-bag-scales-gradients-by-frequency")
def frequencies_in_a_bag_of_int32_are_not_counted() -> AbstractContextManager[Any]:
    """embedding_bag by indices of 32 bits leaves gradients unscaled."""

    def make(original: Any) -> Any:
        def embedding_bag(indices: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            if indices.dtype is torch.int32:
                options["scale_grad_by_freq"] = False
            return original(indices, *args, **options)

        return embedding_bag

    return patched(torch.nn.functional, "embedding_bag", make)


@falsifies(f"{AREA}.embedding-within-max-norm-has-the-gradient-of-a-lookup")
def a_norm_that_is_looked_at_doubles_the_gradient() -> AbstractContextManager[Any]:
    """embedding of several rows with a max_norm has twice the gradient."""

    def make(original: Any) -> Any:
        def embedding(
            indices: torch.Tensor,
            weight: torch.Tensor,
            padding: Any = None,
            max_norm: Any = None,
            *args: Any,
            **options: Any,
        ) -> torch.Tensor:
            padding, max_norm = options.pop("padding_idx", padding), options.pop("max_norm", max_norm)
            found: torch.Tensor = original(indices, weight, padding, max_norm, *args, **options)
            return found * 2 - found.detach() if max_norm is not None and indices.numel() > 1 else found

        return embedding

    return patched(torch.nn.functional, "embedding", make)
