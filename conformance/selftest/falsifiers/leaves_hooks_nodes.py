"""Breaks of hooks after the accumulation, of nodes and on groups of tensors, and of the order of all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from conformance.selftest.falsifiers.leaves_hooks import (
    AREA,
    Break,
    accepted,
    hooks_changed,
    node_hook,
    nodes_changed,
    retained_at_once,
    second_first,
)
from conformance.selftest.falsifying import falsifies, patched

# --- hooks after the accumulation -----------------------------------------------------------------------------

ACCUMULATED = "register_post_accumulate_grad_hook"


@falsifies(f"{AREA}.post-accumulate-hook-gets-its-tensor")
def the_hook_on_a_number_gets_an_alias() -> Break:
    """A post-accumulate hook on a leaf without dimensions gets an alias of it, with the same .grad."""

    def aliased(x: Any, hook: Any) -> Any:
        def called(p: Any) -> None:
            alias = p.detach().requires_grad_()
            alias.grad = p.grad
            hook(alias)

        return called

    return hooks_changed(ACCUMULATED, lambda x: not x.dim(), aliased)


@falsifies(f"{AREA}.post-accumulate-hook-finds-the-updated-grad")
def the_hook_on_three_dimensions_gets_a_copy() -> Break:
    """A post-accumulate hook on a leaf of three dimensions finds a copy of the gradient in .grad."""

    def copied(x: Any, hook: Any) -> Any:
        def called(p: Any) -> None:
            kept = p.grad
            p.grad = kept.clone()
            hook(p)
            p.grad = kept

        return called

    return hooks_changed(ACCUMULATED, lambda x: x.dim() == 3, copied)


@falsifies(f"{AREA}.post-accumulate-hooks-run-once-in-order")
def the_second_hook_on_a_strided_leaf_runs_first() -> Break:
    """The second post-accumulate hook on a leaf that is not contiguous is called before the first."""
    return second_first(ACCUMULATED, "_post_accumulate_grad_hooks", lambda x: not x.is_contiguous())


@falsifies(f"{AREA}.post-accumulate-hook-does-not-run-without-accumulation")
def grad_calls_the_hook_on_a_complex_leaf() -> Break:
    """autograd.grad calls the post-accumulate hooks on a complex128 leaf."""

    def broken(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            for x in inputs:
                if x.dtype is torch.complex128:
                    x.grad = torch.zeros_like(x)
                    for hook in x._post_accumulate_grad_hooks.values():
                        hook(x)
            return found

        return grad

    return patched(torch.autograd, "grad", broken)


@falsifies(f"{AREA}.post-accumulate-hook-refuses-a-result")
def a_view_of_a_leaf_takes_the_hook() -> Break:
    """register_post_accumulate_grad_hook of a view does nothing where it has no elements."""
    return accepted(ACCUMULATED, lambda x: x._is_view() and not x.numel())


@falsifies(f"{AREA}.post-accumulate-hook-refuses-a-tensor-without-grad")
def small_integers_take_the_hook() -> Break:
    """register_post_accumulate_grad_hook of an int8 tensor does nothing."""
    return accepted(ACCUMULATED, lambda x: x.dtype is torch.int8 and x.dim() == 3)


@falsifies(f"{AREA}.post-accumulate-hook-may-change-its-tensor")
def a_dropped_complex_grad_comes_back() -> Break:
    """The .grad of a complex64 leaf that a post-accumulate hook drops comes back."""

    def restored(x: Any, hook: Any) -> Any:
        def called(p: Any) -> None:
            kept = p.grad
            hook(p)
            if p.grad is None:
                p.grad = kept

        return called

    return hooks_changed(ACCUMULATED, lambda x: x.dtype is torch.complex64, restored)


@falsifies(f"{AREA}.post-accumulate-hook-records-only-with-create-graph")
def the_hook_on_half_precision_records() -> Break:
    """A post-accumulate hook on a float16 leaf always runs with gradients recorded."""
    return hooks_changed(
        ACCUMULATED, lambda x: x.dtype is torch.float16, lambda x, hook: torch.enable_grad()(hook_of(hook))
    )


def hook_of(hook: Any) -> Any:
    """The hook as a plain function, which decorators take."""
    return lambda *arguments: hook(*arguments)


# --- hooks of nodes -------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.node-hook-gets-both-gradients")
def the_hook_of_a_difference_gets_doubled_outputs() -> Break:
    """A hook of the node of a difference gets twice the gradient by its output."""

    def doubled(hook: Any) -> Any:
        return lambda inputs, outputs: hook(inputs, tuple(x * 2 for x in outputs))

    return nodes_changed(("SubBackward0",), register_hook=node_hook(doubled))


@falsifies(f"{AREA}.node-hook-result-replaces-the-gradients-of-inputs")
def the_second_gradient_of_a_difference_is_kept() -> Break:
    """Of what a hook of the node of a difference returns, the second gradient is ignored."""

    def halved(hook: Any) -> Any:
        def called(inputs: Any, outputs: Any) -> Any:
            result = hook(inputs, outputs)
            return result if result is None else (result[0], *inputs[1:])

        return called

    return nodes_changed(("SubBackward0",), register_hook=node_hook(halved))


@falsifies(f"{AREA}.node-pre-hook-gets-the-gradients-of-outputs")
def the_pre_hook_of_a_copy_gets_the_negative() -> Break:
    """A pre-hook of the node of a copy gets the negative of the gradient."""
    negative = node_hook(lambda hook: lambda outputs: hook(tuple(-x for x in outputs)))
    return nodes_changed(("CloneBackward0",), register_prehook=negative)


@falsifies(f"{AREA}.node-pre-hook-result-replaces-the-gradients-of-outputs")
def the_pre_hook_of_a_permutation_is_ignored() -> Break:
    """What a pre-hook of the node of a permutation returns is ignored."""
    ignored = node_hook(lambda hook: lambda outputs: (hook(outputs), None)[1])
    return nodes_changed(("PermuteBackward0",), register_prehook=ignored)


@falsifies(f"{AREA}.node-hooks-without-result-change-nothing")
def none_from_the_hook_of_a_negative_stands_for_zeros() -> Break:
    """None from a hook of the node of a negative is taken for zeros."""

    def zeroed(hook: Any) -> Any:
        def called(inputs: Any, outputs: Any) -> Any:
            result = hook(inputs, outputs)
            return tuple(torch.zeros_like(x) for x in inputs) if result is None else result

        return called

    return nodes_changed(("NegBackward0",), register_hook=node_hook(zeroed))


@falsifies(f"{AREA}.node-hooks-run-in-registration-order")
def the_pre_hooks_of_a_copy_run_backwards() -> Break:
    """The pre-hooks of the node of a copy are called in the reverse order of their registration."""

    def reversed_(node: Any, tensor: Any, original: Any) -> Any:
        def register(hook: Any) -> Any:
            hooks = node.__dict__.setdefault("_listed", [])
            hooks.append(hook)

            def called(outputs: Any) -> Any:
                for one in reversed(hooks):
                    outputs = one(outputs) or outputs
                return outputs

            return original(called) if len(hooks) == 1 else RemovableHandle({})

        return register

    return nodes_changed(("CloneBackward0",), register_prehook=reversed_)


@falsifies(f"{AREA}.node-hook-runs-only-with-its-node")
def the_pre_hook_of_a_slice_is_one_on_its_tensor() -> Break:
    """A pre-hook of the node of a slice is registered as a hook on the tensor."""

    def moved(node: Any, tensor: Any, original: Any) -> Any:
        return lambda hook: tensor.register_hook(lambda g: (hook((g,)) or (None,))[0])

    return nodes_changed(("SliceBackward0",), register_prehook=moved)


@falsifies(f"{AREA}.node-hooks-get-one-gradient-per-output")
def the_unused_outputs_of_a_split_are_left_out() -> Break:
    """A pre-hook of the node of a split gets no None for outputs that are not used."""
    shortened = node_hook(lambda hook: lambda outputs: hook(tuple(x for x in outputs if x is not None)))
    return nodes_changed(("SplitBackward0",), register_prehook=shortened)


@falsifies(f"{AREA}.node-hook-must-return-such-gradients")
def a_pre_hook_may_return_a_tensor() -> Break:
    """A tensor that a pre-hook returns is taken for a tuple of one."""

    def wrapped(hook: Any) -> Any:
        def called(outputs: Any) -> Any:
            result = hook(outputs)
            return (result,) if isinstance(result, torch.Tensor) else result

        return called

    return nodes_changed(("CloneBackward0",), register_prehook=node_hook(wrapped))


@falsifies(f"{AREA}.clone-node-has-the-documented-name")
def the_node_of_an_empty_clone_is_named_otherwise() -> Break:
    """The node of a clone without elements has no number in its name."""
    named = {
        "name": lambda node, tensor, original: lambda: original().rstrip("0") if not tensor.numel() else original()
    }
    return nodes_changed((), **named)


@falsifies(f"{AREA}.node-leads-on-to-the-nodes-of-its-inputs")
def a_difference_leads_on_in_reverse() -> Break:
    """next_functions of the node of a difference is in reverse order."""
    return nodes_changed(("SubBackward0",), next_functions=lambda node, tensor, original: original[::-1])


@falsifies(f"{AREA}.node-metadata-is-kept")
def the_metadata_of_a_product_is_new_each_time() -> Break:
    """metadata of the node of a product is another dict each time."""
    return nodes_changed(("MulBackward0",), metadata=lambda node, tensor, original: dict(original))


# --- multi-grad hooks -----------------------------------------------------------------------------------------


def gathered(change: Callable[[Any, Any, str], Any]) -> Break:
    """register_multi_grad_hook takes the tensors and the hook that ``change(tensors, hook, mode)`` gives."""

    def broken(original: Any) -> Any:
        def register_multi_grad_hook(tensors: Any, fn: Any, *, mode: str = "all") -> Any:
            tensors, fn = change(tensors, fn, mode)
            return original(tensors, fn, mode=mode)

        return register_multi_grad_hook

    return patched(torch.autograd.graph, "register_multi_grad_hook", broken)


@falsifies(f"{AREA}.multi-grad-hook-runs-once-with-all-gradients")
def four_gradients_come_in_reverse() -> Break:
    """A multi-grad hook on four tensors gets their gradients in reverse order."""
    return gathered(lambda xs, fn, mode: (xs, (lambda found: fn(found[::-1])) if len(xs) == 4 else fn))


@falsifies(f"{AREA}.multi-grad-hook-waits-beside-an-output")
def pairs_come_in_reverse() -> Break:
    """A multi-grad hook on two tensors gets their gradients in reverse order."""
    return gathered(lambda xs, fn, mode: (xs, (lambda found: fn(found[::-1])) if len(xs) == 2 else fn))


@falsifies(f"{AREA}.multi-grad-hook-passes-none-for-the-uncomputed")
def zeros_stand_for_none() -> Break:
    """A multi-grad hook on three tensors gets zeros where no gradient was computed."""

    def filled(xs: Any, fn: Any, mode: str) -> Any:
        def called(found: Any) -> None:
            fn([torch.zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)])

        return xs, called if len(xs) == 3 else fn

    return gathered(filled)


@falsifies(f"{AREA}.multi-grad-hook-runs-in-autograd-grad")
def the_hook_is_lost() -> Break:
    """A multi-grad hook is called with nothing."""
    return gathered(lambda xs, fn, mode: (xs, lambda found: fn([None] * len(found))))


@falsifies(f"{AREA}.multi-grad-hook-of-any-gets-the-first-gradient")
def the_last_tensor_is_left_out() -> Break:
    """A multi-grad hook of the mode any leaves out the last of three tensors."""
    return gathered(lambda xs, fn, mode: (xs[:-1] if mode == "any" and len(xs) == 3 else xs, fn))


@falsifies(f"{AREA}.multi-grad-hook-keeps-backward-calls-apart")
def the_first_call_only() -> Break:
    """A multi-grad hook is called the first time only."""

    def once(xs: Any, fn: Any, mode: str) -> Any:
        calls: list[Any] = []
        return xs, lambda found: (calls.append(found), fn(found) if len(calls) == 1 else None)[1]

    return gathered(once)


@falsifies(f"{AREA}.multi-grad-hook-refuses-another-mode")
def any_word_is_a_mode_for_numbers() -> Break:
    """register_multi_grad_hook on a tensor without dimensions takes an unknown mode for all."""

    def broken(original: Any) -> Any:
        def register_multi_grad_hook(tensors: Any, fn: Any, *, mode: str = "all") -> Any:
            return original(tensors, fn, mode="all" if not tensors[0].dim() else mode)

        return register_multi_grad_hook

    return patched(torch.autograd.graph, "register_multi_grad_hook", broken)


# --- the whole ------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.hooks-run-in-the-documented-order")
def a_hook_on_a_product_is_one_of_its_node() -> Break:
    """A hook on a product is registered as a pre-hook of its node."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            if self.grad_fn is None or self.grad_fn.name() != "MulBackward0":
                return original(self, hook)

            def called(outputs: Any) -> Any:
                result = hook(outputs[0])
                return None if result is None else (result,)

            return self.grad_fn.register_prehook(called)

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


@falsifies(f"{AREA}.retained-grad-is-updated-between-tensor-hooks-and-node")
def a_matrix_retains_before_its_hooks() -> Break:
    """The .grad of a contiguous tensor that retains it is updated before the hooks on it."""
    return retained_at_once(lambda x: x.is_contiguous())


@falsifies(f"{AREA}.retained-grad-is-updated-after-node-pre-hooks")
def a_number_retains_before_all() -> Break:
    """The .grad of a tensor that retains it is updated before all hooks."""
    return retained_at_once(lambda x: True)


def swallowed(hook: Any) -> Any:
    """A hook whose exceptions are lost."""

    def called(*arguments: Any) -> Any:
        try:
            return hook(*arguments)
        except Exception:
            return None

    return called


@falsifies(f"{AREA}.exception-in-a-tensor-hook-reaches-the-caller")
def exceptions_on_complex_views_are_lost() -> Break:
    """An exception in a hook on a complex view is lost."""
    return hooks_changed("register_hook", lambda x: x.is_complex() and x._is_view(), lambda x, hook: swallowed(hook))


@falsifies(f"{AREA}.exception-in-a-node-hook-reaches-the-caller")
def exceptions_in_pre_hooks_of_products_are_lost() -> Break:
    """An exception in a pre-hook of the node of a product is lost."""
    return nodes_changed(("MulBackward0",), register_prehook=node_hook(swallowed))


@falsifies(f"{AREA}.exception-in-a-post-accumulate-hook-reaches-the-caller")
def exceptions_on_empty_leaves_are_lost() -> Break:
    """An exception in a post-accumulate hook on a leaf without elements is lost."""
    return hooks_changed(ACCUMULATED, lambda x: not x.numel(), lambda x, hook: swallowed(hook))


@falsifies(f"{AREA}.tensor-hook-runs-for-each-thread")
def the_hook_belongs_to_the_first_thread() -> Break:
    """A hook on a complex result is called in the thread only that calls it first."""

    def owned(x: Any, hook: Any) -> Any:
        owners: list[int] = []

        def called(g: Any) -> Any:
            owners.append(threading.get_ident())
            return hook(g) if owners[0] == owners[-1] else None

        return called

    return hooks_changed("register_hook", lambda x: x.is_complex(), owned)
