"""Breaks of backward passes in rare surroundings: several roots, modes left early, leaves of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched


def backward_given(change: Any) -> AbstractContextManager[Any]:
    """torch.autograd.backward with other roots and gradients: ``change`` of both, given as lists."""

    def broken(original: Any) -> Any:
        def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **options: Any) -> Any:
            if isinstance(tensors, list | tuple) and isinstance(grad_tensors, list | tuple):
                tensors, grad_tensors = change(list(tensors), list(grad_tensors))
            return original(tensors, grad_tensors, *args, **options)

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies("accumulation.roots-are-summed")
def a_third_root_is_forgotten() -> AbstractContextManager[Any]:
    """Roots behind the second count for nothing."""
    return backward_given(lambda roots, gradients: (roots[:2], gradients[:2]))


@falsifies("accumulation.roots-are-summed")
def one_root_has_one_gradient() -> AbstractContextManager[Any]:
    """Of a root that is given twice the first gradient counts twice."""

    def change(roots: list[Any], gradients: list[Any]) -> Any:
        return roots, [gradients[next(k for k, x in enumerate(roots) if x is root)] for root in roots]

    return backward_given(change)


@falsifies("accumulation.gradients-have-a-history-as-create-graph-says")
def no_history_under_no_grad() -> AbstractContextManager[Any]:
    """create_graph is forgotten where gradients are not recorded."""

    def broken(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **options: Any) -> Any:
            if not torch.is_grad_enabled():
                options["create_graph"] = False
            return original(tensors, *args, **options)

        return backward

    return patched(torch.autograd, "backward", broken)


def grads_after_backward(change: Any) -> AbstractContextManager[Any]:
    """``change(leaf, had)`` of each leaf that a pass reached; ``had`` is the .grad from before."""

    def leaves_behind(roots: Any) -> list[torch.Tensor]:
        found, nodes = [], [root.grad_fn for root in roots]
        while nodes:
            node = nodes.pop()
            if node is None:
                continue
            if hasattr(node, "variable"):
                found.append(node.variable)
            nodes += [following for following, _ in node.next_functions]
        return found

    def broken(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **options: Any) -> Any:
            roots = tensors if isinstance(tensors, list | tuple) else [tensors]
            before = [(leaf, leaf.grad) for leaf in leaves_behind(roots)]
            original(tensors, *args, **options)
            for leaf, had in before:
                if leaf.grad is not None:
                    change(leaf, had)

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies("accumulation.accumulation-keeps-the-grad-object")
def the_grad_of_a_parameter_is_replaced() -> AbstractContextManager[Any]:
    """The .grad of a Parameter is another tensor after each pass."""

    def change(leaf: torch.Tensor, had: Any) -> None:
        if had is leaf.grad and isinstance(leaf, torch.nn.Parameter):
            leaf.grad = had.clone()

    return grads_after_backward(change)


@falsifies("accumulation.accumulation-keeps-the-grad-object")
def the_grad_of_a_hooked_leaf_is_replaced() -> AbstractContextManager[Any]:
    """The .grad of a leaf with a hook on it is another tensor after each pass."""

    def change(leaf: torch.Tensor, had: Any) -> None:
        if had is leaf.grad and leaf._backward_hooks:
            leaf.grad = had.clone()

    return grads_after_backward(change)


@falsifies("accumulation.first-grad-has-the-strides-of-a-dense-leaf")
def the_grad_of_channels_last_volumes_is_contiguous() -> AbstractContextManager[Any]:
    """The first .grad of a leaf of five dimensions whose channels come last is row-major."""

    def change(leaf: torch.Tensor, had: Any) -> None:
        if had is None and leaf.dim() == 5 and not leaf.is_contiguous() and leaf.grad is not None:
            leaf.grad = leaf.grad.contiguous()

    return grads_after_backward(change)


@falsifies("accumulation.checkpoint-keeps-autocast")
def the_second_run_in_bfloat16() -> AbstractContextManager[Any]:
    """The second run has autocast to bfloat16 where the first had it to float16."""

    def broken(original: Any) -> Any:
        def kept(*args: Any, **options: Any) -> Any:
            device, cpu = original(*args, **options)
            return device, {**cpu, "dtype": torch.bfloat16} if cpu["dtype"] is torch.float16 else cpu

        return kept

    return patched(torch.utils.checkpoint, "_get_autocast_kwargs", broken)


@falsifies("accumulation.custom-function-is-differentiated-again")
def a_tensor_saved_again_is_constant() -> AbstractContextManager[Any]:
    """Of a tensor that is saved twice the second has no history."""

    def broken(original: Any) -> Any:
        def save_for_backward(self: Any, *tensors: Any) -> None:
            known = [any(x is y for y in tensors[:k]) for k, x in enumerate(tensors)]
            original(self, *(x.detach() if again else x for x, again in zip(tensors, known, strict=True)))

        return save_for_backward

    return patched(torch.autograd.function.FunctionCtx, "save_for_backward", broken)


@falsifies("accumulation.once-differentiable-refuses-a-second-time")
def once_differentiable_of_one_output_only() -> AbstractContextManager[Any]:
    """once_differentiable does nothing for functions of several outputs."""

    def broken(original: Any) -> Any:
        def once_differentiable(method: Any) -> Any:
            once = original(method)
            return lambda ctx, *upstream: (method if len(upstream) > 1 else once)(ctx, *upstream)

        return once_differentiable

    return patched(torch.autograd.function, "once_differentiable", broken)


def hooks_that_stay(kind: type[BaseException]) -> AbstractContextManager[Any]:
    """Default hooks stay in place where their block is left by an exception of a kind; they are gone in the end."""
    pops = torch._C._autograd._pop_saved_tensors_default_hooks
    left: list[int] = []

    def broken(original: Any) -> Any:
        def leave(self: Any, error: Any, *args: Any) -> Any:
            if error is not None and issubclass(error, kind):
                left.append(1)
                return None
            return original(self, error, *args)

        return leave

    @contextmanager
    def applied() -> Iterator[None]:
        with patched(torch.autograd.graph.saved_tensors_hooks, "__exit__", broken):
            yield
        for _ in left:
            if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:  # the engine may have been there
                pops()

    return applied()


@falsifies("accumulation.only-the-innermost-hooks-apply")
def hooks_stay_after_a_value_error() -> AbstractContextManager[Any]:
    """A pair of hooks stays in place where its block is left by a ValueError."""
    return hooks_that_stay(ValueError)


@falsifies("accumulation.saved-tensor-hooks-object-serves-again")
def hooks_serve_twice() -> AbstractContextManager[Any]:
    """A pair of hooks that is entered for the third time packs nothing."""

    def broken(original: Any) -> Any:
        def enter(self: Any) -> Any:
            self.times = getattr(self, "times", 0) + 1
            if self.times < 3:
                return original(self)
            torch._C._autograd._push_saved_tensors_default_hooks(lambda x: x, lambda x: x)
            return None

        return enter

    return patched(torch.autograd.graph.saved_tensors_hooks, "__enter__", broken)


@falsifies("accumulation.decorating-changes-no-layout-policy")
def decorating_switches_the_policy() -> AbstractContextManager[Any]:
    """What enforce_grad_layout_policy decorates, it switches for good (issue 183867)."""

    def broken(original: Any) -> Any:
        def decorate(self: Any, function: Any) -> Any:
            found = original(self, function)
            torch._C._set_grad_layout_enforcement_enabled(False)
            return found

        return decorate

    return patched(torch.autograd.grad_mode.enforce_grad_layout_policy, "__call__", broken)


@falsifies("accumulation.backward-without-multithreading-stays-in-its-thread")
def backward_in_a_thread_without_multithreading() -> AbstractContextManager[Any]:
    """Where multithreading is off, backward runs in a thread of its own for roots of two dimensions."""
    from conformance.inputs.backward_threads import in_another_thread

    def broken(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **options: Any) -> Any:
            root = tensors if isinstance(tensors, torch.Tensor) else tensors[0]
            if torch._C._is_multithreading_enabled() or root.dim() != 2:
                return original(tensors, *args, **options)
            return in_another_thread(lambda: original(tensors, *args, **options))

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies("accumulation.multithreading-mode-ends-with-its-context")
def multithreading_stays_off_after_an_exception() -> AbstractContextManager[Any]:
    """The switch is not put back where its block is left by an exception."""

    def broken(original: Any) -> Any:
        return lambda self, error, *args: None if error is not None else original(self, error, *args)

    return patched(torch.autograd.grad_mode.set_multithreading_enabled, "__exit__", broken)
