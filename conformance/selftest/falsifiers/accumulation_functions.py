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


@falsifies(f"{AREA}.optional-arguments-may-be-given-by-keyword")
def keywords_in_another_order_change_the_factor() -> AbstractContextManager[Any]:
    """Where keywords come in another order than that of forward, the factor is another."""

    def other(apply: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        if cls.__name__ == "OptionalArguments" and next(iter(kwargs), "") == "term":
            return apply(cls, *args, **{**kwargs, "factor": 3})
        return apply(cls, *args, **kwargs)

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
