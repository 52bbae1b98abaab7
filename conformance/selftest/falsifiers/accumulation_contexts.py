"""Breaks of what custom functions do with their context, of higher orders, forward mode and transforms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction, FunctionCtx

from conformance.selftest.falsifiers.accumulation_functions import (
    When,
    faulty_backward,
    of,
    redefined,
    returned,
    scalar,
    seen_in_backward,
    typed,
)
from conformance.selftest.falsifiers.accumulation_saved import AREA, Faulty
from conformance.selftest.falsifying import falsifies, patched

# --- context --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.needs-input-grad-mirrors-the-inputs")
def three_inputs_need_gradients_always() -> AbstractContextManager[Any]:
    """Of three tensors each needs a gradient, whatever its flag."""
    return seen_in_backward(
        lambda *g: True,
        needs_input_grad=lambda ctx: (
            (False, True, True, True) if len(ctx.needs_input_grad) == 4 else ctx.needs_input_grad
        ),
    )


@falsifies(f"{AREA}.saved-tensors-come-back-in-order")
def complex_tensors_come_back_in_reverse() -> AbstractContextManager[Any]:
    """ctx.saved_tensors is in reverse for complex gradients."""
    return seen_in_backward(typed(torch.complex64), saved_tensors=lambda ctx: ctx.saved_tensors[::-1])


def saving(change: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """save_for_backward saves ``change(tensor)`` of each tensor."""

    def broken(original: Any) -> Any:
        return lambda self, *tensors: original(self, *[None if t is None else change(t) for t in tensors])

    return patched(FunctionCtx, "save_for_backward", broken)


@falsifies(f"{AREA}.stale-saved-tensor-raises")
def a_saved_bfloat16_tensor_is_copied() -> AbstractContextManager[Any]:
    """save_for_backward copies bfloat16 tensors, so that no later write is noticed."""
    return saving(lambda t: t.clone() if t.dtype is torch.bfloat16 else t)


@falsifies(f"{AREA}.saved-tensors-are-freed-by-backward")
def a_saved_scalar_stays_on_ctx() -> AbstractContextManager[Any]:
    """save_for_backward keeps 0-d tensors on ctx as well."""

    def broken(original: Any) -> Any:
        def save_for_backward(self: Any, *tensors: Any) -> None:
            self.kept = [t for t in tensors if t is not None and not t.dim()]
            original(self, *tensors)

        return save_for_backward

    return patched(FunctionCtx, "save_for_backward", broken)


def remembered(when: When) -> AbstractContextManager[Any]:
    """ctx.saved_tensors is read once for the whole of backward."""

    def other(original: Any, ctx: Any, *gradients: Any) -> Any:
        if not when(*gradients):
            return original(ctx, *gradients)
        kept = ctx.saved_tensors
        return original(Faulty(ctx, saved_tensors=lambda: kept), *gradients)

    return faulty_backward(other)


@falsifies(f"{AREA}.cleared-saved-tensors-raise")
def saved_scalars_can_be_read_again() -> AbstractContextManager[Any]:
    """ctx.saved_tensors of 0-d tensors can be read twice, whatever the class says."""
    return remembered(scalar)


@falsifies(f"{AREA}.cleared-saved-tensors-are-freed-in-backward")
def saved_matrices_stay_until_the_end() -> AbstractContextManager[Any]:
    """The saved tensors of matrices are held until backward is done."""
    return remembered(lambda *g: g[0].dim() == 2)


@falsifies(f"{AREA}.boxed-gradients-come-as-a-list")
def boxed_scalars_come_in_reverse() -> AbstractContextManager[Any]:
    """A backward that takes a list is given 0-d gradients in the wrong order."""

    def broken(original: Any) -> Any:
        return lambda self, boxed: original(self, boxed[::-1] if scalar(*boxed) else boxed)

    return patched(BackwardCFunction, "apply_boxed", broken)


@falsifies(f"{AREA}.vjp-stands-for-backward")
def vjp_of_a_scalar_is_taken_for_another() -> AbstractContextManager[Any]:
    """The gradient that a vjp returns for a 0-d input is doubled."""
    return returned(lambda *g: scalar(*g), lambda ctx, f, g: f * 2 if type(ctx).__name__ == "FormulaBackward" else f)


@falsifies(f"{AREA}.vjp-beside-backward-raises")
def backward_wins_for_a_scalar() -> AbstractContextManager[Any]:
    """A vjp beside a backward is ignored for 0-d inputs."""
    default = torch.autograd.Function.vjp
    return redefined(of("Formula", lambda x: not x.dim()), "vjp", lambda method: default)


# --- higher orders --------------------------------------------------------------------------------------------


def faulty_once(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """once_differentiable makes a backward that is ``other(original, function, ctx, gradient)``."""

    def broken(original: Any) -> Any:
        return lambda function: lambda ctx, gradient: other(original, function, ctx, gradient)

    return patched(torch.autograd.function, "once_differentiable", broken)


@falsifies(f"{AREA}.once-differentiable-keeps-the-gradient")
def a_complex_gradient_is_conjugated() -> AbstractContextManager[Any]:
    """With create_graph once_differentiable conjugates complex gradients."""

    def other(original: Any, function: Any, ctx: Any, gradient: Any) -> Any:
        found = original(function)(ctx, gradient)
        return found.conj() if torch.is_grad_enabled() and found.is_complex() else found

    return faulty_once(other)


@falsifies(f"{AREA}.once-differentiable-refuses-a-second-time")
def a_scalar_can_be_differentiated_again() -> AbstractContextManager[Any]:
    """once_differentiable does nothing for 0-d gradients."""
    return faulty_once(lambda original, function, ctx, g: (function if not g.dim() else original(function))(ctx, g))


@falsifies(f"{AREA}.custom-function-is-differentiated-again")
def a_saved_block_loses_its_history() -> AbstractContextManager[Any]:
    """save_for_backward detaches tensors with three dimensions."""
    return saving(lambda t: t.detach() if t.dim() == 3 else t)


@falsifies(f"{AREA}.intermediate-on-ctx-is-constant")
def the_slope_of_a_complex_scalar_is_tracked() -> AbstractContextManager[Any]:
    """A gradient that depends on nothing tracked requires grad for 0-d complex tensors."""

    def change(ctx: Any, found: Any, gradients: Any) -> Any:
        return found.detach().requires_grad_() if found.is_complex() else found

    return returned(scalar, change)


# --- forward mode, vmap and torch.func ------------------------------------------------------------------------


def faulty_jvp(change: Callable[[Any, Any], Any]) -> AbstractContextManager[Any]:
    """The call of a custom function's jvp is ``change(jvp, tangents)``."""

    def broken(original: Any) -> Any:
        return lambda self, *tangents: change(lambda *t: original(self, *t), tangents)

    return patched(BackwardCFunction, "apply_jvp", broken)


@falsifies(f"{AREA}.forward-mode-uses-jvp")
def tangents_of_three_outputs_change_places() -> AbstractContextManager[Any]:
    """The tangents of the last two of three outputs are exchanged."""

    def change(jvp: Any, tangents: Any) -> Any:
        found = jvp(*tangents)
        return (found[0], found[2], found[1]) if isinstance(found, tuple) and len(found) == 3 else found

    return faulty_jvp(change)


@falsifies(f"{AREA}.jvp-sees-what-was-saved-for-forward")
def the_third_saved_tensor_is_dropped() -> AbstractContextManager[Any]:
    """save_for_forward saves two tensors at most."""
    return patched(
        FunctionCtx, "save_for_forward", lambda original: lambda self, *tensors: original(self, *tensors[:2])
    )


@falsifies(f"{AREA}.missing-tangents-come-as-zeros")
def a_missing_bfloat16_tangent_stays_none() -> AbstractContextManager[Any]:
    """jvp is given None for bfloat16 tensors without a tangent."""

    def change(jvp: Any, tangents: Any) -> Any:
        def cut(t: Any) -> Any:
            return None if t is not None and t.dtype is torch.bfloat16 and t.numel() and not t.any() else t

        return jvp(*[cut(t) for t in tangents])

    return faulty_jvp(change)


@falsifies(f"{AREA}.missing-jvp-raises")
def a_scalar_has_a_zero_tangent() -> AbstractContextManager[Any]:
    """Without a jvp the tangent of a 0-d result is zero."""

    def change(jvp: Any, tangents: Any) -> Any:
        return jvp(*tangents) if tangents[0].dim() else (tangents[0] * 0, tangents[0] * 0)

    return faulty_jvp(change)


def faulty_vmap(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """torch.vmap makes a function that is ``other(original, function, args, in_dims, out_dims, **options)``."""

    def broken(original: Any) -> Any:
        def vmap(function: Any, in_dims: Any = 0, out_dims: Any = 0, **options: Any) -> Any:
            return lambda *args: other(original, function, args, in_dims, out_dims, **options)

        return vmap

    return patched(torch, "vmap", broken)


@falsifies(f"{AREA}.generated-vmap-rule-maps-the-function")
def slices_of_the_last_dimension_are_in_reverse() -> AbstractContextManager[Any]:
    """vmap over the last dimension puts the slices in reverse order."""

    def other(original: Any, function: Any, args: Any, in_dims: Any, out_dims: Any, **options: Any) -> Any:
        found = original(function, in_dims, out_dims, **options)(*args)
        return found.flip(-1) if in_dims == -1 else found

    return faulty_vmap(other)


@falsifies(f"{AREA}.vmap-method-is-given-the-batch")
def randomness_is_lost_for_the_last_dimension() -> AbstractContextManager[Any]:
    """vmap over the last dimension forgets its randomness option."""

    def other(original: Any, function: Any, args: Any, in_dims: Any, out_dims: Any, **options: Any) -> Any:
        last = isinstance(in_dims, tuple) and in_dims[0] == -1
        return original(function, in_dims, out_dims, **({} if last else options))(*args)

    return faulty_vmap(other)


@falsifies(f"{AREA}.vmap-needs-a-rule")
def a_block_is_mapped_by_a_loop() -> AbstractContextManager[Any]:
    """Without a rule vmap runs a loop over a tensor with three dimensions."""

    def other(original: Any, function: Any, args: Any, in_dims: Any, out_dims: Any, **options: Any) -> Any:
        if args[0].dim() == 3:
            return torch.stack([function(x) for x in args[0]])
        return original(function, in_dims, out_dims, **options)(*args)

    return faulty_vmap(other)


@falsifies(f"{AREA}.transforms-follow-a-custom-function")
def the_hessian_of_one_element_is_a_gradient() -> AbstractContextManager[Any]:
    """torch.func.hessian of one element is half of what it is."""

    def broken(original: Any) -> Any:
        return lambda f: lambda x: original(f)(x) / (2 if x.numel() == 1 else 1)

    return patched(torch.func, "hessian", broken)


@falsifies(f"{AREA}.transforms-refuse-a-combined-forward")
def vjp_of_a_block_is_lenient() -> AbstractContextManager[Any]:
    """torch.func.vjp of a tensor with three dimensions takes a combined forward."""

    def broken(original: Any) -> Any:
        def vjp(f: Any, x: Any) -> Any:
            return (x, lambda g: (g,)) if x.dim() == 3 else original(f, x)

        return vjp

    return patched(torch.func, "vjp", broken)
