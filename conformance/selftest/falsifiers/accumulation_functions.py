"""Breaks of custom functions: each under a condition that few inputs meet."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction, FunctionCtx

from conformance.selftest.falsifiers.accumulation_saved import AREA, Faulty, scattered
from conformance.selftest.falsifying import falsifies, patched

When = Callable[..., bool]


def faulty_backward(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """The call of a custom function's backward is ``other(original, ctx, *gradients)``."""
    return patched(
        BackwardCFunction, "apply", lambda original: lambda self, *gradients: other(original, self, *gradients)
    )


def given(when: When, change: Callable[[list[Any]], Any]) -> AbstractContextManager[Any]:
    """Backward is given what ``change`` makes of its gradients ``when`` they fit."""
    return faulty_backward(lambda original, ctx, *g: original(ctx, *(change(list(g)) if when(*g) else g)))


def returned(when: When, change: Callable[..., Any]) -> AbstractContextManager[Any]:
    """What backward returns is taken for ``change(ctx, returned, gradients)`` ``when`` its gradients fit."""

    def other(original: Any, ctx: Any, *gradients: Any) -> Any:
        found = original(ctx, *gradients)
        return change(ctx, found, gradients) if when(*gradients) else found

    return faulty_backward(other)


def seen_in_backward(when: When, **others: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """Attributes of ctx in backward are other ones ``when`` the gradients fit."""

    def other(original: Any, ctx: Any, *gradients: Any) -> Any:
        if not when(*gradients):
            return original(ctx, *gradients)
        return original(Faulty(ctx, **{n: (lambda f=f: f(ctx)) for n, f in others.items()}), *gradients)

    return faulty_backward(other)


def faulty_apply(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """The call of a custom function is ``other(apply, cls, *args, **kwargs)``, where apply takes the class first."""

    def broken(original: Any) -> Any:
        return classmethod(lambda cls, *args, **kwargs: other(original.__func__, cls, *args, **kwargs))

    return patched(torch.autograd.Function, "apply", broken)


def came_out(when: When, change: Callable[..., Any]) -> AbstractContextManager[Any]:
    """What a custom function returns is ``change(returned, *args)`` ``when`` class and arguments fit."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        found = apply(cls, *args, **kwargs)
        return change(found, *args) if when(cls, *args) else found

    return faulty_apply(other)


def redefined(when: When, name: str, make: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """A method of the class is ``make(method)`` ``when`` class and arguments fit."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        if when(cls, *args):
            cls = type(cls.__name__, (cls,), {name: staticmethod(make(getattr(cls, name)))})
        return apply(cls, *args, **kwargs)

    return faulty_apply(other)


def of(name: str, when: When = lambda *args: True) -> When:
    """A condition on the class's name and the arguments."""
    return lambda cls, *args: cls.__name__ == name and when(*args)


def scalar(*gradients: Any) -> bool:
    """Whether the first gradient is 0-d."""
    return isinstance(gradients[0], torch.Tensor) and not gradients[0].dim()


def typed(dtype: torch.dtype) -> When:
    """A condition on the type of the first gradient."""
    return lambda *gradients: isinstance(gradients[0], torch.Tensor) and gradients[0].dtype is dtype


def with_gradients_on(function: Any) -> Any:
    """The same with gradients recorded."""
    return torch.enable_grad()(function)


# --- gradients ------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.custom-gradient-is-what-backward-returns")
def gradients_of_two_scalars_change_places() -> AbstractContextManager[Any]:
    """The last two of three or more gradients that backward returns are exchanged for 0-d inputs."""
    return returned(scalar, lambda ctx, f, g: (*f[:-2], f[-1], f[-2]) if len(f) > 3 else f)


@falsifies(f"{AREA}.backward-gets-a-gradient-for-each-output")
def the_last_two_of_three_change_places() -> AbstractContextManager[Any]:
    """Backward is given the gradients of the last two of three bfloat16 outputs in the wrong order."""
    return given(lambda *g: len(g) == 3 and typed(torch.bfloat16)(*g), lambda g: [g[0], g[2], g[1]])


@falsifies(f"{AREA}.backward-gets-none-for-other-objects")
def none_comes_out_as_nothing() -> AbstractContextManager[Any]:
    """A None among three outputs comes out as an empty tuple."""
    return came_out(
        of("Spread", lambda spy, *x: spy.outputs == 3), lambda f, *a: tuple(() if x is None else x for x in f)
    )


@falsifies(f"{AREA}.backward-gets-none-for-other-objects")
def an_object_gets_a_zero() -> AbstractContextManager[Any]:
    """Backward is given a number for the last of two outputs that is no tensor."""
    return given(lambda *g: len(g) == 2 and g[1] is None, lambda g: [g[0], 0.0])


@falsifies(f"{AREA}.miscounted-gradients-raise")
def one_too_many_for_a_scalar_is_dropped() -> AbstractContextManager[Any]:
    """A further gradient is ignored for 0-d inputs."""
    return returned(scalar, lambda ctx, f, g: f[: len(ctx.needs_input_grad)])


@falsifies(f"{AREA}.further-nones-are-ignored")
def further_nones_shift_the_others() -> AbstractContextManager[Any]:
    """Where backward returns further Nones, the gradients of several float16 inputs are exchanged."""
    half = typed(torch.float16)

    def change(ctx: Any, found: Any, gradients: Any) -> Any:
        own = found[: len(ctx.needs_input_grad)]
        return (None, *own[:0:-1]) if len(own) < len(found) else found

    return returned(half, change)


@falsifies(f"{AREA}.unwanted-gradients-are-ignored")
def a_gradient_for_a_constant_is_an_error() -> AbstractContextManager[Any]:
    """A bfloat16 gradient for an input that requires none raises."""

    def change(ctx: Any, found: Any, gradients: Any) -> Any:
        for needed, gradient in zip(ctx.needs_input_grad, found, strict=False):
            if gradient is not None and not needed:
                raise RuntimeError("a gradient for an input that requires none")
        return found

    return returned(typed(torch.bfloat16), change)


@falsifies(f"{AREA}.no-gradient-leaves-none")
def no_gradient_of_an_empty_matrix_is_zero() -> AbstractContextManager[Any]:
    """None is taken for zeros where a single input is empty."""
    return returned(
        lambda *g: g[0].shape == (0, 3),
        lambda ctx, f, g: (None, torch.zeros_like(g[0])) if f == (None, None) else f,
    )


@falsifies(f"{AREA}.misshapen-gradient-raises")
def a_further_dimension_of_a_vector_is_dropped() -> AbstractContextManager[Any]:
    """A gradient with one dimension too many is cut for vectors."""
    return returned(
        lambda *g: g[0].dim() == 1,
        lambda ctx, f, g: tuple(x[..., 0] if x is not None and x.dim() == 2 else x for x in f),
    )


@falsifies(f"{AREA}.gradient-of-an-object-raises")
def a_complex_gradient_of_an_object_is_dropped() -> AbstractContextManager[Any]:
    """A complex64 gradient of what is no tensor is ignored."""
    return returned(typed(torch.complex64), lambda ctx, f, g: (None, *f[1:]))


@falsifies(f"{AREA}.backward-records-with-create-graph")
def the_backward_of_a_scalar_records_always() -> AbstractContextManager[Any]:
    """Gradients are recorded within the backward of 0-d inputs, whatever create_graph says."""

    def other(original: Any, ctx: Any, *gradients: Any) -> Any:
        with torch.set_grad_enabled(torch.is_grad_enabled() or scalar(*gradients)):
            return original(ctx, *gradients)

    return faulty_backward(other)


# --- forward --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.forward-takes-any-object")
def an_object_beside_three_tensors_is_copied() -> AbstractContextManager[Any]:
    """Forward is given a copy of an object beside three tensors."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        return apply(cls, copy.copy(args[0]) if len(args) == 4 else args[0], *args[1:], **kwargs)

    return faulty_apply(other)


@falsifies(f"{AREA}.forward-records-nothing")
def forward_of_three_tensors_records() -> AbstractContextManager[Any]:
    """Gradients are recorded within the forward of three tensors."""
    return redefined(of("Spread", lambda *a: len(a) == 4), "forward", with_gradients_on)


@falsifies(f"{AREA}.custom-function-is-one-node")
def the_second_output_has_a_node_of_its_own() -> AbstractContextManager[Any]:
    """The second of two float16 outputs comes out as an alias."""
    return came_out(
        of("Spread", lambda spy, x, *a: spy.outputs == 2 and x.dtype is torch.float16),
        lambda f, *a: (f[0], f[1].view_as(f[1])),
    )


@falsifies(f"{AREA}.containers-are-not-traversed")
def tensors_in_a_dict_are_tracked() -> AbstractContextManager[Any]:
    """A tensor in a dict takes part in the result."""
    return came_out(
        of("Containing", lambda keeper, container, x: isinstance(container, dict)),
        lambda f, keeper, container, x: f + 0 * container[len(container) - 1],
    )


@falsifies(f"{AREA}.optional-arguments-may-be-left-out")
def a_default_is_one_less_in_half_precision() -> AbstractContextManager[Any]:
    """Where both optional arguments are left out, float16 has another default."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        alone = cls.__name__ == "OptionalArguments" and len(args) == 1 and not kwargs
        return apply(cls, *args, *((1,) if alone and args[0].dtype is torch.float16 else ()), **kwargs)

    return faulty_apply(other)


@falsifies(f"{AREA}.no-graph-without-a-tracked-input")
def no_grad_is_forgotten_for_three_tensors() -> AbstractContextManager[Any]:
    """A custom function of three tensors is recorded under no_grad."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(torch.is_grad_enabled() or len(args) == 4):
            return apply(cls, *args, **kwargs)

    return faulty_apply(other)


@falsifies(f"{AREA}.setup-context-gets-inputs-and-output")
def three_outputs_come_as_a_list() -> AbstractContextManager[Any]:
    """setup_context is given a list where forward returned three tensors."""

    def make(method: Any) -> Any:
        return lambda ctx, inputs, output: method(ctx, inputs, list(output) if isinstance(output, tuple) else output)

    return redefined(of("Spread", lambda spy, *a: spy.outputs == 3), "setup_context", make)


# --- outputs --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.float-outputs-require-grad")
def the_third_complex_output_is_detached() -> AbstractContextManager[Any]:
    """The third complex128 output requires no grad."""
    return came_out(
        of("Spread", lambda spy, x, *a: spy.outputs == 3 and x.dtype is torch.complex128),
        lambda f, *a: (*f[:2], f[2].detach()),
    )


@falsifies(f"{AREA}.integral-outputs-require-no-grad")
def a_block_of_bytes_requires_grad() -> AbstractContextManager[Any]:
    """A uint8 tensor with three dimensions says that it requires grad."""

    def broken(original: Any) -> Any:
        def requires_grad(self: Any) -> bool:
            return bool(original.__get__(self)) or (self.dtype is torch.uint8 and self.dim() == 3)

        return property(requires_grad, lambda self, flag: original.__set__(self, flag))

    return patched(torch.Tensor, "requires_grad", broken)


@falsifies(f"{AREA}.marked-outputs-require-no-grad")
def only_the_first_mark_counts() -> AbstractContextManager[Any]:
    """mark_non_differentiable ignores the second tensor that it is given."""
    return patched(
        FunctionCtx, "mark_non_differentiable", lambda original: lambda self, *marked: original(self, *marked[:1])
    )


@falsifies(f"{AREA}.marked-outputs-get-zeros")
def a_zero_of_a_block_is_a_one() -> AbstractContextManager[Any]:
    """Backward is given ones in place of zeros for (1, 3, 1)."""
    return given(lambda *g: any(x.shape == (1, 3, 1) for x in g), lambda g: [x if (x != 0).any() else x + 1 for x in g])


@falsifies(f"{AREA}.undefined-gradients-come-as-zeros")
def zeros_in_half_precision_are_wider() -> AbstractContextManager[Any]:
    """The zeros that backward is given for a float16 output are of type float32."""
    return given(
        lambda *g: any(x.dtype is torch.float16 for x in g), lambda g: [x if (x != 0).any() else x.float() for x in g]
    )


@falsifies(f"{AREA}.undefined-gradients-come-as-none")
def a_missing_bfloat16_gradient_is_zero() -> AbstractContextManager[Any]:
    """Backward is given zeros for a bfloat16 output whatever set_materialize_grads was told."""
    return given(
        lambda *g: any(x is not None and x.dtype is torch.bfloat16 for x in g),
        lambda g: [torch.zeros_like(next(y for y in g if y is not None)) if x is None else x for x in g],
    )


@falsifies(f"{AREA}.returned-input-is-an-output")
def a_returned_half_is_copied() -> AbstractContextManager[Any]:
    """A float16 input that is returned as it is comes out as a copy."""
    return came_out(of("Passing", lambda keeper, x: x.dtype is torch.float16), lambda f, *a: f.clone())


@falsifies(f"{AREA}.returned-view-keeps-the-memory")
def a_strided_complex_view_is_copied() -> AbstractContextManager[Any]:
    """A view of a complex input that is not contiguous comes out as a copy."""
    return came_out(
        of("Passing", lambda keeper, x: x.is_complex() and scattered(x)),
        lambda f, *a: f.clone(memory_format=torch.preserve_format),
    )


@falsifies(f"{AREA}.returned-view-refuses-writes")
def a_view_of_a_block_can_be_written() -> AbstractContextManager[Any]:
    """A view with three dimensions that a custom function returned can be modified."""
    return came_out(of("Passing", lambda keeper, x: x.dim() == 3), lambda f, *a: f * 1)


def unmarked(when: When) -> AbstractContextManager[Any]:
    """mark_dirty does nothing for a tensor on a condition."""
    return patched(
        FunctionCtx, "mark_dirty", lambda original: lambda self, *x: None if when(x[0]) else original(self, *x)
    )


@falsifies(f"{AREA}.dirty-leaf-raises")
def a_complex_scalar_leaf_can_be_written() -> AbstractContextManager[Any]:
    """mark_dirty ignores a 0-d complex tensor."""
    return unmarked(lambda x: x.is_complex() and not x.dim())


@falsifies(f"{AREA}.dirty-input-must-be-returned")
def a_vector_with_a_tail_need_not_come_back() -> AbstractContextManager[Any]:
    """mark_dirty ignores 17 elements."""
    return unmarked(lambda x: x.shape == (17,))


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
