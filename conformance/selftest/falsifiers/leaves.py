"""Breaks of the promises about leaves, flags, retained gradients, detach and versions, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "leaves"
Break = AbstractContextManager[Any]


def strided(x: Any) -> bool:
    """Whether the elements are not side by side."""
    return not x.is_contiguous()


def reading(name: str, lie: Callable[[Any, Any], Any]) -> Break:
    """An attribute of tensors that says ``lie(tensor, truth)``."""

    def make(original: Any) -> Any:
        return property(
            lambda self: lie(self, original.__get__(self)), lambda self, value: original.__set__(self, value)
        )

    return patched(torch.Tensor, name, make)


def method(name: str, other: Callable[..., Any], owner: Any = torch.Tensor) -> Break:
    """A method or function replaced by ``other(original, …)``."""

    def make(original: Any) -> Any:
        def replaced(*args: Any, **kwargs: Any) -> Any:
            return other(original, *args, **kwargs)

        replaced.__name__ = name
        return replaced

    return patched(owner, name, make)


def truly(name: str, x: Any) -> Any:
    """What an attribute really is, whatever has been patched."""
    return getattr(torch._C.TensorBase, name).__get__(x)


def leaf_below(x: Any) -> Any:
    """The first leaf that the gradient of ``x`` reaches."""
    node = x.grad_fn
    while not hasattr(node, "variable"):
        node = next(below for below, _ in node.next_functions if below is not None)
    return node.variable


def forgiving(name: str, when: Callable[..., bool], owner: Any = torch.Tensor) -> Break:
    """A method that raises nothing where ``when`` says so."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        except RuntimeError:
            if when(self, *args, **kwargs):
                return self
            raise

    return method(name, other, owner)


# --- leaves -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.tensor-without-grad-is-a-leaf")
def a_plain_bfloat16_scalar_is_no_leaf() -> Break:
    """is_leaf is False for a 0-d bfloat16 tensor that requires no grad."""
    return reading("is_leaf", lambda x, truth: truth and not (x.dtype is torch.bfloat16 and not x.dim()))


@falsifies(f"{AREA}.created-tensor-is-a-leaf")
def zeros_like_a_strided_tensor_has_a_history() -> Break:
    """zeros_like of a strided tensor gives the result of an operation."""

    def other(original: Any, x: Any, **kwargs: Any) -> Any:
        found = original(x, **kwargs)
        return found * 1 if strided(x) else found

    return method("zeros_like", other, torch)


@falsifies(f"{AREA}.recorded-result-is-no-leaf")
def as_strided_of_an_empty_tensor_is_not_recorded() -> Break:
    """as_strided of a tensor without elements loses its history."""

    def other(original: Any, x: Any, *args: Any) -> Any:
        found = original(x, *args)
        return found if x.numel() else found.detach()

    return method("as_strided", other)


@falsifies(f"{AREA}.grad-fn-is-a-node")
def the_grad_fn_of_complex_scalars_is_none() -> Break:
    """grad_fn of a 0-d complex64 tensor is something else."""
    return reading(
        "grad_fn", lambda x, truth: truth and (object() if x.dtype is torch.complex64 and not x.dim() else truth)
    )


@falsifies(f"{AREA}.clone-node-has-the-documented-name")
def the_clone_of_a_view_is_an_alias() -> Break:
    """clone of an expanded tensor is recorded as a product."""
    return method("clone", lambda original, x, **k: x * 1 if x.dim() == 2 and 0 in x.stride() else original(x, **k))


@falsifies(f"{AREA}.cast-of-a-requiring-tensor-is-no-leaf")
def bfloat16_of_three_dimensions_is_a_new_leaf() -> Break:
    """bfloat16() of a tensor of three dimensions is a leaf of its own."""

    def other(original: Any, x: Any) -> Any:
        found = original(x)
        return found.detach().requires_grad_() if x.dim() == 3 else found

    return method("bfloat16", other)


@falsifies(f"{AREA}.cast-of-a-plain-tensor-is-a-leaf")
def type_as_of_a_strided_tensor_has_a_history() -> Break:
    """type_as of a strided tensor requires grad and is no leaf."""
    return method(
        "type_as", lambda original, x, y: original(x, y).requires_grad_() * 1 if strided(x) else original(x, y)
    )


@falsifies(f"{AREA}.counts-do-not-require-grad")
def an_empty_mask_requires_grad() -> Break:
    """requires_grad of a bool tensor without elements in two dimensions is True."""
    return reading("requires_grad", lambda x, truth: truth or (x.dtype is torch.bool and x.shape == (0, 3)))


@falsifies(f"{AREA}.recorded-only-if-an-input-requires-grad")
def addcmul_forgets_its_last_operand() -> Break:
    """addcmul is not recorded where only its last operand requires grad."""

    def other(original: Any, x: Any, y: Any, z: Any, **kwargs: Any) -> Any:
        return original(x, y, z if x.requires_grad or y.requires_grad else z.detach(), **kwargs)

    return method("addcmul", other, torch)


@falsifies(f"{AREA}.recorded-only-if-an-input-requires-grad")
def cat_passes_no_gradient_to_the_second() -> Break:
    """cat passes no gradient on to its second tensor."""

    def other(original: Any, tensors: Any, *args: Any) -> Any:
        return original([tensors[0], tensors[1].detach(), *tensors[2:]], *args)

    return method("cat", other, torch)


@falsifies(f"{AREA}.requires-grad-defaults-to-false")
def full_like_a_transposed_tensor_requires_grad() -> Break:
    """full_like of a transposed tensor requires grad by default."""
    return method(
        "full_like",
        lambda original, x, value, requires_grad=None, **k: original(
            x, value, requires_grad=requires_grad if requires_grad is not None else strided(x), **k
        ),
        torch,
    )


# --- the flag ---------------------------------------------------------------------------------------------------


def making_parameters(required: Callable[[Any, bool], bool]) -> Break:
    """Parameters that require grad where ``required(data, flag)`` says so."""
    return method(
        "__new__",
        lambda original, cls, data=None, requires_grad=True: original(cls, data, required(data, requires_grad)),
        torch.nn.Parameter,
    )


@falsifies(f"{AREA}.parameter-requires-grad")
def a_parameter_of_a_complex_scalar_is_frozen() -> Break:
    """A Parameter of a 0-d complex tensor does not require grad."""
    return making_parameters(lambda x, flag: flag and not (x.is_complex() and not x.dim()))


@falsifies(f"{AREA}.parameter-can-be-told-not-to-require-grad")
def a_parameter_of_a_result_always_requires_grad() -> Break:
    """A Parameter of a non-leaf requires grad, whatever it is told."""
    return making_parameters(lambda x, flag: flag or x.grad_fn is not None)


@falsifies(f"{AREA}.requires-grad-can-be-set")
def requires_grad_of_a_parameter_returns_an_alias() -> Break:
    """requires_grad_ of a Parameter returns another tensor."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(x, *args, **kwargs)
        return found.detach() if isinstance(x, torch.nn.Parameter) else found

    return method("requires_grad_", other)


@falsifies(f"{AREA}.requires-grad-begins-recording")
def products_of_complex_scalars_are_not_recorded() -> Break:
    """A complex 0-d leaf times a number is not recorded."""
    return method("__mul__", lambda original, x, y: original(x if x.dim() or not x.is_complex() else x.detach(), y))


@falsifies(f"{AREA}.requires-grad-false-ends-recording")
def the_keyword_is_ignored_by_a_strided_leaf() -> Break:
    """requires_grad_(requires_grad=False) does nothing to a strided tensor."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return x if kwargs and strided(x) else original(x, *args, **kwargs)

    return method("requires_grad_", other)


@falsifies(f"{AREA}.counts-cannot-require-grad")
def a_uint8_tensor_swallows_the_flag() -> Break:
    """requires_grad_ of a strided uint8 tensor raises nothing."""
    return forgiving("requires_grad_", lambda x, *a, **k: x.dtype is torch.uint8)


@falsifies(f"{AREA}.counts-cannot-be-created-to-require-grad")
def zeros_like_a_bool_swallows_the_flag() -> Break:
    """zeros_like of a bool tensor ignores requires_grad=True."""

    def other(original: Any, x: Any, requires_grad: bool = False, **kwargs: Any) -> Any:
        return original(x, requires_grad=requires_grad and x.dtype is not torch.bool, **kwargs)

    return method("zeros_like", other, torch)


@falsifies(f"{AREA}.counts-may-be-told-not-to-require-grad")
def an_empty_count_refuses_any_flag() -> Break:
    """requires_grad_(False) of an int64 tensor without elements raises."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return original(x, *(() if x.dtype is torch.int64 and not x.numel() else args), **kwargs)

    return method("requires_grad_", other)


@falsifies(f"{AREA}.non-leaf-always-requires-grad")
def clearing_the_flag_detaches_three_dimensions() -> Break:
    """requires_grad_(False) of a non-leaf of three dimensions detaches it."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        clears = not x.is_leaf and (args == (False,) or kwargs == {"requires_grad": False})
        return x.detach_() if clears and x.dim() == 3 else original(x, *args, **kwargs)

    return method("requires_grad_", other)


@falsifies(f"{AREA}.flag-of-a-non-leaf-cannot-be-cleared")
def an_expanded_result_swallows_the_flag() -> Break:
    """requires_grad_(False) of a non-leaf without elements raises nothing."""
    return forgiving("requires_grad_", lambda x, *a, **k: not x.numel() and x.dim() == 2)


# --- gradients --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.grad-is-none-at-first")
def an_offset_leaf_begins_with_zeros() -> Break:
    """grad of a leaf of one element begins with zeros."""
    return reading(
        "grad", lambda x, truth: torch.zeros_like(x) if truth is None and x.shape == (1,) and x.is_leaf else truth
    )


def after_backward(spoil: Callable[[Any, Any], None]) -> Break:
    """backward followed by ``spoil(leaf, gradient before)``, for the first leaf below the root."""

    def other(original: Any, root: Any, *args: Any, **kwargs: Any) -> Any:
        leaf = leaf_below(root)
        before = None if leaf.grad is None else leaf.grad.clone()
        original(root, *args, **kwargs)
        spoil(leaf, before)

    return method("backward", other)


@falsifies(f"{AREA}.only-leaves-get-gradients")
def a_channels_last_leaf_gets_it_twice() -> Break:
    """backward leaves twice the gradient in a leaf of four dimensions."""
    return after_backward(lambda leaf, before: leaf.grad.mul_(2) if leaf.dim() == 4 else None)


@falsifies(f"{AREA}.leaves-in-one-storage-have-gradients-of-their-own")
def the_first_leaf_of_a_storage_gets_all() -> Break:
    """backward accumulates into the first leaf that it met at a place in memory, if that one has this shape."""
    first: dict[int, Any] = {}

    def spoil(leaf: Any, before: Any) -> None:
        owner = first.setdefault(leaf.data_ptr(), leaf)  # kept alive, so that no place is used again
        if owner is not leaf and owner.shape == leaf.shape and strided(leaf):
            owner.grad, leaf.grad = leaf.grad, None

    return after_backward(spoil)


@falsifies(f"{AREA}.frozen-parameters-get-no-gradient")
def a_convolution_cannot_be_frozen() -> Break:
    """requires_grad_(False) does nothing to a parameter of four dimensions."""
    return method(
        "requires_grad_", lambda original, x, *a, **k: x if a == (False,) and x.dim() == 4 else original(x, *a, **k)
    )


@falsifies(f"{AREA}.frozen-parameters-get-no-gradient")
def a_frozen_bias_loses_its_gradient() -> Break:
    """backward clears the .grad of a frozen parameter of the first layer."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(x, *args, **kwargs)
        for parameter in made:
            if not parameter.requires_grad and parameter.dim() == 1 and parameter.grad is not None:
                parameter.grad = torch.zeros_like(parameter)
        return found

    made: list[Any] = []

    def keep(original: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(original(cls, *args, **kwargs))
        return made[-1]

    stack = torch_stack()
    stack.enter_context(method("__new__", keep, torch.nn.Parameter))
    stack.enter_context(method("backward", other))
    return stack


def torch_stack() -> Any:
    """Several breaks at once."""
    from contextlib import ExitStack

    return ExitStack()


@falsifies(f"{AREA}.module-requires-grad-sets-every-parameter")
def the_last_grandchild_keeps_its_flag() -> Break:
    """Module.requires_grad_ leaves out the last parameter of a module within a module within it."""

    def other(original: Any, module: Any, flag: bool = True) -> Any:
        named = list(module.named_parameters())
        name, last = named[-1]
        before = last.requires_grad
        found = original(module, flag)
        if name.count(".") >= 2:
            last.requires_grad = before
        return found

    return method("requires_grad_", other, torch.nn.Module)


@falsifies(f"{AREA}.evaluation-mode-records-the-same")
def evaluation_freezes_normalisations() -> Break:
    """eval() of a module freezes the parameters of its batch normalisations."""

    def other(original: Any, module: Any, mode: bool = True) -> Any:
        found = original(module, mode)
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and not mode:
            module.weight.requires_grad = False
        return found

    return method("train", other, torch.nn.Module)


# --- retain_grad ------------------------------------------------------------------------------------------------


def doubling(x: Any) -> None:
    """Make every gradient of ``x`` count twice."""
    x.register_hook(lambda gradient: gradient * 2)


@falsifies(f"{AREA}.retain-grad-keeps-the-gradient")
def retention_is_lost_on_a_view() -> Break:
    """retain_grad does nothing to a view of three dimensions."""
    return method("retain_grad", lambda original, x: None if x._is_view() and x.dim() == 3 else original(x))


@falsifies(f"{AREA}.retain-grad-keeps-the-gradient")
def retention_is_lost_under_no_grad() -> Break:
    """retain_grad does nothing where gradients are off."""
    return method("retain_grad", lambda original, x: original(x) if torch.is_grad_enabled() else None)


@falsifies(f"{AREA}.retain-grad-keeps-the-gradient")
def retention_is_lost_on_a_second_output() -> Break:
    """retain_grad does nothing to the second output of a function."""
    return method("retain_grad", lambda original, x: None if x.output_nr == 1 else original(x))


@falsifies(f"{AREA}.retained-grad-equals-autograd-grad")
def complex_gradients_are_conjugated_once_more() -> Break:
    """autograd.grad conjugates the gradient by a complex view."""

    def other(original: Any, outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(outputs, inputs, *args, **kwargs)
        pairs = zip(found, inputs, strict=True)
        return tuple(g.conj() + 1j if x.is_complex() and x._is_view() else g for g, x in pairs)

    return method("grad", other, torch.autograd)


@falsifies(f"{AREA}.retained-grad-accumulates")
def a_second_backward_overwrites() -> Break:
    """A second backward overwrites the retained gradient of three dimensions."""
    retained: list[Any] = []

    def retain(original: Any, x: Any) -> None:
        original(x)
        if not x.is_leaf and x.dim() == 3:
            retained.append(x)

    def backward(original: Any, root: Any, *args: Any, **kwargs: Any) -> None:
        before = {id(x): truly("grad", x).clone() for x in retained if truly("grad", x) is not None}
        original(root, *args, **kwargs)
        for x in retained:
            if id(x) in before:
                x.grad = truly("grad", x) - before[id(x)]

    stack = torch_stack()
    stack.enter_context(method("retain_grad", retain))
    stack.enter_context(method("backward", backward))
    return stack


@falsifies(f"{AREA}.retain-grad-twice-counts-once")
def a_second_call_counts_the_gradient_twice() -> Break:
    """retain_grad of a vector that retains already makes its gradient count twice."""

    def other(original: Any, x: Any) -> None:
        if x.retains_grad and x.dim() == 1 and x.numel():
            doubling(x)
        original(x)

    return method("retain_grad", other)


@falsifies(f"{AREA}.retain-grad-of-a-leaf-does-nothing")
def a_scalar_leaf_counts_its_gradient_twice() -> Break:
    """retain_grad of a 0-d leaf makes its gradient count twice."""
    return method("retain_grad", lambda original, x: doubling(x) if x.is_leaf and not x.dim() else original(x))


@falsifies(f"{AREA}.retains-grad-tells")
def a_view_forgets_after_backward() -> Break:
    """retains_grad of a view is False once backward has run."""
    return reading("retains_grad", lambda x, truth: truth and not (x._is_view() and truly("grad", x) is not None))


@falsifies(f"{AREA}.retains-grad-is-false-once-detached")
def a_detached_scalar_retains() -> Break:
    """retains_grad of a 0-d leaf is True."""
    return reading("retains_grad", lambda x, truth: truth or (x.is_leaf and not x.dim()))


@falsifies(f"{AREA}.retain-grad-needs-a-gradient")
def a_complex_tensor_retains_nothing_quietly() -> Break:
    """retain_grad of a complex128 tensor that requires no grad raises nothing."""
    return forgiving("retain_grad", lambda x: x.dtype is torch.complex128)


@falsifies(f"{AREA}.retained-grad-is-by-the-value-after-writes-through-views")
def a_view_retains_by_its_old_value() -> Break:
    """retain_grad of a view stays with the value that the view had then."""

    def other(original: Any, x: Any) -> None:
        if not x._is_view():
            original(x)
        else:
            x.register_hook(lambda gradient: setattr(x, "grad", gradient.clone()))

    return method("retain_grad", other)


@falsifies(f"{AREA}.retain-grad-after-a-write-keeps-the-gradient")
def a_written_view_does_not_retain() -> Break:
    """retain_grad of a view that was written in place does nothing."""

    def other(original: Any, x: Any) -> None:
        if not (x._is_view() and not x.is_leaf and x._version):
            original(x)

    return method("retain_grad", other)


@falsifies(f"{AREA}.retained-grad-has-the-shape-of-the-tensor")
def a_matrix_does_not_retain() -> Break:
    """retain_grad of a complex64 matrix does nothing."""
    return method("retain_grad", lambda original, x: None if x.dtype is torch.complex64 else original(x))


# --- detach -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.detach-cuts-the-graph")
def a_transposed_tensor_still_requires_grad() -> Break:
    """detach of a transposed tensor that requires grad gives one that does."""

    def other(original: Any, x: Any) -> Any:
        found = original(x)
        return found.requires_grad_() if x.requires_grad and x.dim() == 2 and x.stride(0) == 1 else found

    return method("detach", other)


@falsifies(f"{AREA}.detach-in-place-makes-a-leaf")
def detaching_three_complex_dimensions_returns_an_alias() -> Break:
    """detach_ of a complex tensor of three dimensions returns another tensor."""

    def other(original: Any, x: Any) -> Any:
        found = original(x)
        return found.view_as(found) if x.is_complex() and x.dim() == 3 else found

    return method("detach_", other)


@falsifies(f"{AREA}.detach-in-place-makes-a-leaf")
def an_empty_tensor_stays_in_the_graph() -> Break:
    """detach_ of a tensor without elements does nothing."""
    return method("detach_", lambda original, x: original(x) if x.numel() else x)


@falsifies(f"{AREA}.views-cannot-be-detached-in-place")
def an_empty_view_is_left_alone() -> Break:
    """detach_ of a view without elements raises nothing."""
    return forgiving("detach_", lambda x: not x.numel())


@falsifies(f"{AREA}.detach-in-place-makes-a-leaf")
def nothing_is_detached_without_grad() -> Break:
    """detach_ under no_grad does nothing."""
    return method("detach_", lambda original, x: original(x) if torch.is_grad_enabled() else x)


@falsifies(f"{AREA}.detach-cuts-the-graph")
def a_conjugate_comes_to_require_grad() -> Break:
    """detach of a conjugate view gives a tensor that requires grad."""
    return method("detach", lambda original, x: original(x).requires_grad_(x.is_conj() and x.requires_grad))


@falsifies(f"{AREA}.views-cannot-be-detached-in-place")
def a_second_chunk_is_left_alone() -> Break:
    """detach_ of a view that is the second output of its function raises nothing."""
    return forgiving("detach_", lambda x: x._is_view() and x.output_nr == 1)


@falsifies(f"{AREA}.refused-detach-leaves-the-view-as-it-is")
def a_plain_view_comes_to_require_grad() -> Break:
    """detach_ of a view of three dimensions raises and makes a plain one require grad."""

    def other(original: Any, x: Any) -> Any:
        try:
            return original(x)
        except RuntimeError:
            if x.dim() == 3 and x.is_leaf:
                x.requires_grad_()
            raise

    return method("detach_", other)


def tangent_of(x: Any) -> Any:
    """The tangent of a dual tensor, if there is a level."""
    forward_ad = torch.autograd.forward_ad
    return forward_ad.unpack_dual(x).tangent if forward_ad._current_level >= 0 else None


@falsifies(f"{AREA}.detach-drops-tangents")
def a_complex_scalar_keeps_its_tangent() -> Break:
    """detach of a complex 0-d tensor keeps the tangent."""

    def other(original: Any, x: Any) -> Any:
        found = original(x)
        tangent = tangent_of(x) if x.is_complex() and not x.dim() else None
        return found if tangent is None else torch.autograd.forward_ad.make_dual(found, tangent)

    return method("detach", other)


@falsifies(f"{AREA}.detach-in-place-drops-tangents")
def a_vector_keeps_its_tangent() -> Break:
    """detach_ of a dual vector does nothing."""
    return method("detach_", lambda original, x: x if x.dim() == 1 and tangent_of(x) is not None else original(x))


# --- edges and versions -----------------------------------------------------------------------------------------


@falsifies(f"{AREA}.gradient-edge-gives-the-gradient")
def the_edge_of_a_view_is_that_of_its_base() -> Break:
    """get_gradient_edge of a view of three dimensions is that of the tensor that it views."""

    def other(original: Any, x: Any) -> Any:
        return original(x._base if x._is_view() and x.dim() == 3 and x._base.requires_grad else x)

    return method("get_gradient_edge", other, torch.autograd.graph)


@falsifies(f"{AREA}.gradient-edge-gives-the-gradient")
def the_edge_of_a_second_output_is_that_of_the_first() -> Break:
    """get_gradient_edge of the second output of a function names the first."""

    def other(original: Any, x: Any) -> Any:
        edge = original(x)
        return edge._replace(output_nr=0) if edge.output_nr == 1 else edge

    return method("get_gradient_edge", other, torch.autograd.graph)


def incrementing(other: Callable[..., Any]) -> Break:
    """increment_version replaced."""
    return method("increment_version", other, torch.autograd.graph)


@falsifies(f"{AREA}.increment-version-counts")
def a_complex_scalar_is_not_counted() -> Break:
    """increment_version does nothing to a 0-d complex64 tensor."""
    return incrementing(lambda original, x: None if x.dtype is torch.complex64 and not x.dim() else original(x))


@falsifies(f"{AREA}.increment-version-takes-several")
def only_the_first_is_counted() -> Break:
    """increment_version of a list of tensors of three dimensions counts the first only."""
    return incrementing(lambda original, x: original(x[:1] if isinstance(x, list) and x[0].dim() == 3 else x))


@falsifies(f"{AREA}.increment-version-lets-foreign-writes-be-noticed")
def an_expanded_tensor_is_not_counted() -> Break:
    """increment_version does nothing to a stepped matrix."""
    return incrementing(lambda original, x: None if x.dim() == 2 and strided(x) else original(x))


@falsifies(f"{AREA}.increment-version-passes-over-inference-tensors")
def an_inference_tensor_of_three_dimensions_is_refused() -> Break:
    """increment_version of an inference tensor of three dimensions asks for its version."""
    return incrementing(lambda original, x: x._version if x.dim() == 3 and x.is_inference() else original(x))


# --- histories --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.flags-follow-the-history")
def a_multiple_of_a_retained_tensor_retains() -> Break:
    """What is computed from a tensor that retains its gradient retains too."""

    def other(original: Any, x: Any, y: Any) -> Any:
        found = original(x, y)
        if x.retains_grad and found.requires_grad:
            found.retain_grad()
        return found

    return method("__mul__", other)


@falsifies(f"{AREA}.flags-follow-the-history")
def a_second_gradient_is_dropped() -> Break:
    """backward clears the gradient of a leaf that had one already."""

    def spoil(leaf: Any, before: Any) -> None:
        if before is not None:
            leaf.grad = None

    def other(original: Any, root: Any, *args: Any, **kwargs: Any) -> Any:
        leaf = root if root.grad_fn is None else leaf_below(root)
        before = leaf.grad
        original(root, *args, **kwargs)
        spoil(leaf, before)

    return method("backward", other)
