"""Breaks of hooks on tensors, of their removal, and where tensors are modified in place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from conformance.selftest.falsifying import falsifies, patched

AREA = "leaves"
Break = AbstractContextManager[Any]


def hooks_changed(method: str, when: Callable[[Any], bool], change: Callable[[Any, Any], Any]) -> Break:
    """Tensor.<method> registers ``change(tensor, hook)`` in place of a hook where ``when(tensor)``."""

    def broken(original: Any) -> Any:
        def register(self: Any, hook: Any) -> Any:
            return original(self, change(self, hook) if when(self) else hook)

        return register

    return patched(torch.Tensor, method, broken)


def accepted(method: str, when: Callable[[Any], bool]) -> Break:
    """Tensor.<method> does nothing, and raises nothing, where ``when(tensor)``."""

    def broken(original: Any) -> Any:
        return lambda self, hook: None if when(self) else original(self, hook)

    return patched(torch.Tensor, method, broken)


class FaultyNode:
    """A node of which some attributes are replaced by ``make(node, tensor, original attribute)``."""

    def __init__(self, node: Any, tensor: Any, faults: dict[str, Any]) -> None:
        self.__dict__.update(_node=node, _tensor=tensor, _faults=faults)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._node, name)
        return self._faults[name](self, self._tensor, found) if name in self._faults else found


def nodes_changed(names: tuple[str, ...], **faults: Any) -> Break:
    """``grad_fn`` gives nodes with faults where the node has one of these names, or where there are no names."""

    def broken(original: Any) -> Any:
        def grad_fn(self: Any) -> Any:
            node = original.__get__(self, type(self))
            chosen = node is not None and (not names or node.name() in names)
            return FaultyNode(node, self, faults) if chosen else node

        return property(grad_fn)

    return patched(torch.Tensor, "grad_fn", broken)


def node_hook(change: Callable[[Any], Any]) -> Any:
    """A fault of ``register_hook`` or ``register_prehook``: registers ``change(hook)``."""
    return lambda node, tensor, original: lambda hook: original(change(hook))


def without_hooks(inputs: Any, action: Callable[[], Any]) -> Any:
    """What the action returns while no hooks are on the tensors."""
    kept = [(x, dict(x._backward_hooks)) for x in inputs if x._backward_hooks]
    for x, _ in kept:
        x._backward_hooks.clear()
    try:
        return action()
    finally:
        for x, hooks in kept:
            x._backward_hooks.update(hooks)


def result_ignored(x: Any, hook: Any) -> Any:
    """The hook, whose result nobody gets."""
    return lambda g: (hook(g), None)[1]


def grad_without_hooks(when: Callable[[Any], bool]) -> Break:
    """autograd.grad ignores the hooks on the tensors that it is asked for, where ``when(first of them)``."""

    def broken(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            listed = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
            if not when(listed[0]):
                return original(outputs, inputs, *args, **kwargs)
            return without_hooks(listed, lambda: original(outputs, inputs, *args, **kwargs))

        return grad

    return patched(torch.autograd, "grad", broken)


# --- hooks on tensors -----------------------------------------------------------------------------------------


@falsifies(f"{AREA}.tensor-hook-gets-the-gradient")
def a_hook_on_three_dimensions_sees_the_gradient_reversed() -> Break:
    """A hook on a non-leaf of three dimensions gets the last dimension of the gradient reversed."""
    return hooks_changed(
        "register_hook", lambda x: x.dim() == 3 and not x.is_leaf, lambda x, hook: lambda g: hook(g.flip(-1))
    )


@falsifies(f"{AREA}.tensor-hook-gets-the-gradient")
def a_hook_on_an_empty_leaf_is_not_called() -> Break:
    """A hook on a leaf without elements is not called."""
    return hooks_changed("register_hook", lambda x: x.is_leaf and not x.numel(), lambda x, hook: lambda g: None)


@falsifies(f"{AREA}.tensor-hook-gets-a-gradient-like-its-tensor")
def a_hook_on_half_precision_gets_single() -> Break:
    """A hook on a float16 view gets the gradient in float32."""

    def single(x: Any, hook: Any) -> Any:
        def called(g: Any) -> Any:
            result = hook(g.float())
            return None if result is None else result.to(g.dtype)

        return called

    return hooks_changed("register_hook", lambda x: x.dtype is torch.float16 and not x.is_leaf, single)


def at_most(count: int) -> Any:
    """A change of a hook: it is called so many times only."""

    def limited(x: Any, hook: Any) -> Any:
        calls: list[Any] = []

        def called(g: Any) -> Any:
            calls.append(g)
            return hook(g) if len(calls) <= count else None

        return called

    return limited


@falsifies(f"{AREA}.tensor-hook-runs-in-each-backward-call")
def a_hook_on_a_result_runs_twice_at_most() -> Break:
    """A hook on a contiguous result is not called in the third backward call."""
    return hooks_changed("register_hook", lambda x: not x.is_leaf and x.is_contiguous(), at_most(2))


@falsifies(f"{AREA}.leaf-hook-runs-for-each-graph")
def a_hook_on_a_strided_leaf_runs_for_one_graph() -> Break:
    """A hook on a leaf that is not contiguous is called for the first graph only."""
    return hooks_changed("register_hook", lambda x: not x.is_contiguous(), at_most(1))


@falsifies(f"{AREA}.tensor-hook-runs-once-with-the-whole-gradient")
def a_hook_on_complex_numbers_gets_two_halves() -> Break:
    """A hook on a complex64 tensor is called twice, with half of the gradient each time."""

    def halved(x: Any, hook: Any) -> Any:
        def called(g: Any) -> Any:
            first, second = hook(g / 2), hook(g / 2)
            return None if first is None else first + second

        return called

    return hooks_changed("register_hook", lambda x: x.dtype is torch.complex64, halved)


@falsifies(f"{AREA}.tensor-hook-result-replaces-the-gradient")
def the_result_for_a_number_is_ignored() -> Break:
    """The result of a hook on a view without dimensions is ignored."""
    return hooks_changed("register_hook", lambda x: not x.dim() and x._is_view(), result_ignored)


@falsifies(f"{AREA}.tensor-hooks-run-in-registration-order")
def the_result_of_the_second_hook_is_ignored() -> Break:
    """The result of the second hook on a tensor is ignored, and only that."""
    return hooks_changed("register_hook", lambda x: len(x._backward_hooks or ()) == 1, result_ignored)


@falsifies(f"{AREA}.tensor-hook-without-result-changes-nothing")
def none_stands_for_zeros_in_bfloat16() -> Break:
    """None from a hook on a bfloat16 result is taken for zeros."""

    def zeroed(x: Any, hook: Any) -> Any:
        def called(g: Any) -> Any:
            result = hook(g)
            return torch.zeros_like(g) if result is None else result

        return called

    return hooks_changed("register_hook", lambda x: x.dtype is torch.bfloat16 and not x.is_leaf, zeroed)


def retained_at_once(when: Callable[[Any], bool]) -> Break:
    """retain_grad keeps the gradient as the hooks from before it left it, where ``when(tensor)``."""

    def broken(original: Any) -> Any:
        def retain_grad(self: Any) -> Any:
            if not when(self):
                return original(self)

            def store(g: Any) -> None:
                self.grad = g.clone() if self.grad is None else self.grad + g

            self.register_hook(store)
            return None

        return retain_grad

    return patched(torch.Tensor, "retain_grad", broken)


@falsifies(f"{AREA}.tensor-hook-result-is-retained")
def a_view_retains_what_was_before_the_hooks() -> Break:
    """A view retains the gradient from before the hooks that are registered later."""
    return retained_at_once(lambda x: x._is_view())


@falsifies(f"{AREA}.tensor-hook-result-is-what-grad-returns")
def grad_by_a_float32_result_ignores_hooks() -> Break:
    """autograd.grad by a float32 result calls none of the hooks on it."""
    return grad_without_hooks(lambda x: x.dtype is torch.float32 and not x.is_leaf)


@falsifies(f"{AREA}.tensor-hook-result-is-what-grad-returns-beside-others")
def grad_by_several_ignores_hooks_on_the_first() -> Break:
    """autograd.grad by several tensors calls none of the hooks on them."""
    return grad_without_hooks(lambda x: x.dim() < 3)


@falsifies(f"{AREA}.tensor-hook-result-is-accumulated-into-inputs")
def backward_to_a_parameter_ignores_hooks() -> Break:
    """backward with a Parameter as its input calls none of the hooks on it."""

    def broken(original: Any) -> Any:
        def backward(*args: Any, inputs: Any = None, **kwargs: Any) -> Any:
            if not inputs or not isinstance(inputs[0], torch.nn.Parameter):
                return original(*args, inputs=inputs, **kwargs)
            return without_hooks(inputs, lambda: original(*args, inputs=inputs, **kwargs))

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies(f"{AREA}.tensor-hook-of-an-uncomputed-gradient-does-not-run")
def hooks_on_other_leaves_get_zeros() -> Break:
    """autograd.grad in complex64 calls the hooks on leaves that it is not asked for with zeros."""
    known: list[Any] = []

    def remembering(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            if self.dtype is torch.complex64 and self.is_leaf:
                known.append((self, hook))
            return original(self, hook)

        return register_hook

    def broken(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            for tensor, hook in known:
                if all(tensor is not x for x in inputs):
                    hook(torch.zeros_like(tensor))
            known.clear()
            return found

        return grad

    return both(patched(torch.Tensor, "register_hook", remembering), patched(torch.autograd, "grad", broken))


def both(*breaks: Break) -> Break:
    """Several breaks at once."""
    stack = ExitStack()
    for one in breaks:
        stack.enter_context(one)
    return stack


@falsifies(f"{AREA}.tensor-hook-is-not-called-without-a-gradient")
def a_hook_on_an_unused_part_is_called_at_once() -> Break:
    """A hook on one of several outputs is called with zeros when it is registered."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            hook(torch.zeros_like(self))
            return original(self, hook)

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


def second_first(method: str, hooks: str, when: Callable[[Any], bool]) -> Break:
    """The second of the hooks on a tensor is called first, where ``when(tensor)``."""

    def broken(original: Any) -> Any:
        def register(self: Any, hook: Any) -> Any:
            found = original(self, hook)
            listed = getattr(self, hooks)
            if len(listed) == 2 and when(self):
                first = next(iter(listed))
                listed[first] = listed.pop(first)
            return found

        return register

    return patched(torch.Tensor, method, broken)


@falsifies(f"{AREA}.tensor-hooks-run-in-registration-order")
def the_second_hook_on_a_view_runs_first() -> Break:
    """The second hook on a view of a result is called before the first."""
    return second_first("register_hook", "_backward_hooks", lambda x: x._is_view() and not x._base.is_leaf)


@falsifies(f"{AREA}.function-registered-twice-is-called-twice")
def one_function_on_a_view_is_one_hook() -> Break:
    """A function that is registered on a view of three dimensions twice is registered once."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            known = (self._backward_hooks or {}).items() if self.dim() == 3 and self._is_view() else ()
            for key, other in known:
                if other == hook:
                    handle = RemovableHandle(self._backward_hooks)
                    handle.id = key
                    return handle
            return original(self, hook)

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


@falsifies(f"{AREA}.multi-grad-hook-refuses-or-ignores-a-tensor-without-grad")
def a_tensor_without_grad_makes_the_hook_deaf() -> Break:
    """A multi-grad hook on a tensor that requires no grad and has no elements is never called."""

    def broken(original: Any) -> Any:
        def register_multi_grad_hook(tensors: Any, fn: Any, **options: Any) -> Any:
            if not all(x.requires_grad for x in tensors) and not tensors[0].numel():
                return RemovableHandle({})
            return original(tensors, fn, **options)

        return register_multi_grad_hook

    return patched(torch.autograd.graph, "register_multi_grad_hook", broken)


@falsifies(f"{AREA}.tensor-hook-refuses-a-tensor-without-grad")
def bytes_take_hooks() -> Break:
    """register_hook of a uint8 tensor without dimensions does nothing."""
    return accepted("register_hook", lambda x: x.dtype is torch.uint8 and not x.dim())


@falsifies(f"{AREA}.tensor-hook-must-return-such-a-gradient")
def a_result_of_another_type_is_cast() -> Break:
    """What a hook on a bfloat16 tensor returns in another floating type is cast."""

    def cast(x: Any, hook: Any) -> Any:
        def called(g: Any) -> Any:
            result = hook(g)
            return result.to(g.dtype) if isinstance(result, torch.Tensor) else result

        return called

    return hooks_changed("register_hook", lambda x: x.dtype is torch.bfloat16, cast)


@falsifies(f"{AREA}.tensor-hook-result-is-differentiated")
def the_result_for_an_expanded_leaf_is_detached() -> Break:
    """What a hook on a leaf that is not contiguous returns is cut off from the graph of the derivative."""
    return hooks_changed(
        "register_hook", lambda x: x.is_leaf and not x.is_contiguous(), lambda x, hook: lambda g: hook(g).detach()
    )


# --- removal --------------------------------------------------------------------------------------------------


def kept_at(position: int) -> Break:
    """remove() does nothing for the hook at this position of three."""

    def broken(original: Any) -> Any:
        def remove(self: Any) -> None:
            hooks = self.hooks_dict_ref()
            if hooks is None or len(hooks) != 3 or list(hooks)[position] != self.id:
                original(self)

        return remove

    return patched(RemovableHandle, "remove", broken)


@falsifies(f"{AREA}.removed-tensor-hook-is-not-called")
def the_first_of_three_hooks_stays() -> Break:
    """remove() of the first of three hooks on a tensor does nothing."""
    return kept_at(0)


@falsifies(f"{AREA}.removed-node-hook-is-not-called")
def the_second_of_three_node_hooks_stays() -> Break:
    """remove() of the second of three hooks of a node does nothing."""
    return hooks_of_nodes_stay("NegBackward0")


def hooks_of_nodes_stay(name: str) -> Break:
    """remove() of a hook of a node with this name does nothing."""

    def stays(node: Any, tensor: Any, original: Any) -> Any:
        def register(hook: Any) -> Any:
            original(hook)
            return RemovableHandle({})

        return register

    return nodes_changed((name,), register_hook=stays)


@falsifies(f"{AREA}.removed-post-accumulate-hook-is-not-called")
def the_last_of_three_hooks_stays() -> Break:
    """remove() of the last of three hooks after the accumulation does nothing."""
    return kept_at(2)


@falsifies(f"{AREA}.removed-multi-grad-hook-is-not-called")
def hooks_on_pairs_stay() -> Break:
    """remove() of a multi-grad hook on two tensors does nothing."""

    def broken(original: Any) -> Any:
        return lambda self: None if len(self.handles) == 2 else original(self)

    return patched(torch.autograd.graph._MultiHandle, "remove", broken)


@falsifies(f"{AREA}.hook-can-be-removed-inside-a-hook")
def a_hook_that_removes_itself_takes_the_next() -> Break:
    """A hook of three that removes itself inside a backward call removes the next one too."""

    def broken(original: Any) -> Any:
        def remove(self: Any) -> None:
            hooks = self.hooks_dict_ref()
            listed = list(hooks or ())
            if torch._C._current_graph_task_id() != -1 and len(listed) == 3 and listed[0] == self.id:
                del hooks[listed[1]]
            original(self)

        return remove

    return patched(RemovableHandle, "remove", broken)


@falsifies(f"{AREA}.hook-from-between-backward-calls-is-called")
def a_later_hook_on_a_slice_is_lost() -> Break:
    """A hook that is added to the node of a slice after its first execution is lost."""

    def late(node: Any, tensor: Any, original: Any) -> Any:
        def register(hook: Any) -> Any:
            if node.metadata.get("done"):
                return RemovableHandle({})
            node.metadata.setdefault("watched", original(lambda *gradients: node.metadata.update(done=True)))
            return original(hook)

        return register

    return nodes_changed(("SliceBackward0", "NegBackward0"), register_hook=late)


@falsifies(f"{AREA}.hook-from-between-backward-calls-is-called")
def a_second_hook_on_a_view_runs_first() -> Break:
    """The second hook on a view is called before the first."""
    return second_first("register_hook", "_backward_hooks", lambda x: x._is_view())


@falsifies(f"{AREA}.hook-can-be-removed-twice")
def the_second_removal_takes_the_last_hook() -> Break:
    """remove() of a hook that is gone removes the last of the others."""

    def broken(original: Any) -> Any:
        def remove(self: Any) -> None:
            hooks = self.hooks_dict_ref()
            if hooks and self.id not in hooks:
                hooks.popitem()
            original(self)

        return remove

    return patched(RemovableHandle, "remove", broken)


@falsifies(f"{AREA}.hook-is-removed-by-the-end-of-a-block")
def an_exception_leaves_the_hook() -> Break:
    """A with block that an exception ends leaves the hook where it is."""

    def broken(original: Any) -> Any:
        return lambda self, kind, value, trace: None if kind else original(self, kind, value, trace)

    return patched(RemovableHandle, "__exit__", broken)


# --- changes in place -----------------------------------------------------------------------------------------


@falsifies(f"{AREA}.tensor-hook-keeps-to-the-value-of-its-registration")
def hooks_move_with_a_second_write() -> Break:
    """The hooks on a tensor move to its new value where it is written for the second time."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            hooks = dict(self._backward_hooks or {}) if self._version == 1 else {}
            if hooks:
                self._backward_hooks.clear()
                self._backward_hooks = None
            found = original(self, other)
            for hook in hooks.values():
                self.register_hook(hook)
            return found

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies(f"{AREA}.hook-on-a-base-keeps-to-its-value-through-views")
def hooks_on_the_base_are_doubled() -> Break:
    """A write through a view of three dimensions registers the hooks on its base once more."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            base = self._base
            hooks = dict(base._backward_hooks or {}) if base is not None and base.dim() == 3 else {}
            found = original(self, other)
            for hook in hooks.values():
                base.register_hook(hook)
            return found

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies(f"{AREA}.hook-on-a-view-keeps-to-the-value-before-its-write")
def a_hook_on_a_view_is_never_called() -> Break:
    """A hook on a view is never called."""
    return hooks_changed("register_hook", lambda x: x._is_view(), lambda x, hook: lambda g: None)


@falsifies(f"{AREA}.hook-on-a-view-stays-with-what-used-it")
def a_hook_on_a_view_of_float16_is_lost() -> Break:
    """A hook on a float16 view is called with the gradient by a value that nothing has used."""
    return hooks_changed(
        "register_hook",
        lambda x: x._is_view() and x.dtype is torch.float16,
        lambda x, hook: lambda g: hook(torch.zeros_like(g)),
    )


@falsifies(f"{AREA}.hook-on-a-view-of-a-written-base-is-called")
def a_hook_on_a_modified_view_is_lost() -> Break:
    """A hook on a view that was modified is not registered."""
    return accepted("register_hook", lambda x: x._is_view() and x._version > 0)
