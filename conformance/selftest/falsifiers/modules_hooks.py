"""Breaks of the promises about module hooks, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "modules"
Module = torch.nn.Module
modules_of_torch = torch.nn.modules.module
Break = AbstractContextManager[Any]


def hooked(kind: str, change: Any, owner: Any = Module) -> Break:
    """A registrar that wraps each hook: ``change(number of the hook in its module, hook)``."""

    def other(original: Any, *args: Any, **kwargs: Any) -> Any:
        self = args[0] if owner is Module else None
        hooks = getattr(self, f"_{kind.replace('full_', '')}s", {}) if self is not None else {}
        return original(*args[:-1], change(len(hooks), args[-1]), **kwargs)

    return method(f"register_{kind}", other, owner)


def registered(kind: str, change: Any, owner: Any = Module) -> Break:
    """A registrar whose keyword arguments ``change(hooks there, keyword arguments)`` changes."""

    def other(original: Any, *args: Any, **kwargs: Any) -> Any:
        hooks = getattr(args[0], f"_{kind.replace('full_', '')}s", {}) if owner is Module else {}
        return original(*args, **change(hooks, dict(kwargs)))

    return method(f"register_{kind}", other, owner)


@falsifies(f"{AREA}.forward-pre-hooks-may-replace-arguments")
def the_second_pre_hook_returns_its_first_value_only() -> Break:
    """Of the tuple that the second pre-hook returns the first value counts only."""

    def change(number: int, hook: Any) -> Any:
        def changed(*seen: Any) -> Any:
            found = hook(*seen)
            return found[:1] if number == 1 and isinstance(found, tuple) else found

        return changed

    return hooked("forward_pre_hook", change)


@falsifies(f"{AREA}.forward-pre-hooks-may-replace-arguments")
def a_list_is_taken_for_the_arguments() -> Break:
    """A list that a pre-hook returns is taken for a tuple of arguments, and not for a single one."""

    def change(number: int, hook: Any) -> Any:
        def changed(*seen: Any) -> Any:
            found = hook(*seen)
            return tuple(found) if isinstance(found, list) else found

        return changed

    return hooked("forward_pre_hook", change)


@falsifies(f"{AREA}.forward-hooks-may-replace-the-output")
def what_the_third_hook_returns_is_ignored() -> Break:
    """What the third forward hook returns is ignored."""
    return hooked("forward_hook", lambda n, hook: hook if n < 2 else lambda *seen: (hook(*seen), None)[1])


@falsifies(f"{AREA}.forward-hooks-may-replace-the-output")
def a_tuple_for_the_output_becomes_a_list() -> Break:
    """A tuple that a forward hook returns is a list for the hooks after it and for the caller."""

    def change(number: int, hook: Any) -> Any:
        def changed(*seen: Any) -> Any:
            found = hook(*seen)
            return list(found) if isinstance(found, tuple) else found

        return changed

    return hooked("forward_hook", change)


@falsifies(f"{AREA}.forward-hooks-run-in-order")
def the_fourth_hook_runs_first() -> Break:
    """The fourth forward hook of a module runs first."""
    return registered("forward_hook", lambda hooks, options: {**options, "prepend": len(hooks) == 3})


@falsifies(f"{AREA}.prepended-hooks-run-first")
def a_second_prepended_hook_comes_second() -> Break:
    """A hook prepended where three are there is not prepended."""
    return registered(
        "forward_pre_hook",
        lambda hooks, options: {k: v for k, v in options.items() if k != "prepend" or len(hooks) != 3},
    )


@falsifies(f"{AREA}.prepended-hooks-run-first")
def a_hook_that_is_always_called_is_not_prepended() -> Break:
    """A forward hook with always_call=True comes last, also with prepend=True."""
    return registered(
        "forward_hook",
        lambda hooks, options: {k: v for k, v in options.items() if k != "prepend" or "always_call" not in options},
    )


@falsifies(f"{AREA}.prepended-hooks-run-first")
def a_hook_with_keyword_arguments_is_not_prepended() -> Break:
    """A pre-hook that gets keyword arguments too comes last, also with prepend=True."""
    return registered(
        "forward_pre_hook",
        lambda hooks, options: {k: v for k, v in options.items() if k != "prepend" or "with_kwargs" not in options},
    )


@falsifies(f"{AREA}.global-hooks-run-before-those-of-the-module")
def a_global_hook_does_not_change_what_the_module_gives() -> Break:
    """What a global forward hook returns is ignored where keyword arguments are given."""
    return method(
        "register_module_forward_hook",
        lambda original, hook: original(
            lambda m, a, out: (hook(m, a, out), None)[1] if len(a) > 1 else hook(m, a, out)
        ),
        modules_of_torch,
    )


@falsifies(f"{AREA}.hooks-get-positional-arguments-only")
def a_hook_gets_what_was_given_by_keyword() -> Break:
    """Forward hooks see the argument y in its place though it was given by keyword."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and len(kwargs) == 2 and self._forward_hooks:
            return original(self, *args, kwargs.pop("y"), **kwargs)
        return original(self, *args, **kwargs)

    return method("_call_impl", other, Module)


@falsifies(f"{AREA}.hooks-with-kwargs-get-them")
def keyword_arguments_of_the_third_hook_are_ignored() -> Break:
    """The keyword arguments that a second hook returns are ignored."""

    def change(number: int, hook: Any) -> Any:
        def changed(*seen: Any) -> Any:
            found = hook(*seen)
            kept = number and len(seen) == 3 and isinstance(found, tuple) and isinstance(found[-1], dict)
            return (found[0], seen[2]) if kept else found

        return changed

    return hooked("forward_pre_hook", change)


@falsifies(f"{AREA}.always-called-hooks-run-after-errors")
def a_second_always_called_hook_is_not_called() -> Break:
    """A hook registered second is called without errors only."""
    return registered("forward_hook", lambda hooks, options: {**options, "always_call": False} if hooks else options)


@falsifies(f"{AREA}.removed-hooks-run-no-more")
def removing_the_last_hook_removes_nothing() -> Break:
    """A handle of a hook that comes after two others does not remove it."""

    def other(original: Any, self: Any) -> None:
        hooks = self.hooks_dict_ref()
        if hooks is None or len(hooks) < 3 or list(hooks)[-1] != self.id:
            original(self)

    return method("remove", other, torch.utils.hooks.RemovableHandle)


@falsifies(f"{AREA}.removed-hooks-run-no-more")
def a_second_removal_removes_another() -> Break:
    """remove() of a hook that is not there any more takes away the first that is."""

    def other(original: Any, self: Any) -> None:
        hooks = self.hooks_dict_ref()
        if hooks and self.id not in hooks:
            hooks.pop(next(iter(hooks)))
        original(self)

    return method("remove", other, torch.utils.hooks.RemovableHandle)


@falsifies(f"{AREA}.hooks-of-submodules-run-within")
def the_hooks_of_the_second_child_run_late() -> Break:
    """Forward hooks of a second child are not run where the parent has hooks."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        hooks = dict(self._forward_hooks)
        if getattr(self, "name", "") == "2":
            self._forward_hooks.clear()
        try:
            return original(self, *args, **kwargs)
        finally:
            self._forward_hooks.update(hooks)

    return method("_call_impl", other, Module)


# --- backward ---------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.full-backward-hooks-get-the-gradients")
def the_gradient_of_a_second_output_is_none() -> Break:
    """A full backward hook gets None for the last of three outputs."""
    return hooked(
        "full_backward_hook",
        lambda n, hook: (
            lambda m, inputs, outputs: (
                hook(m, inputs, outputs[:-1] + (None,) * (len(outputs) > 2))
                if len(outputs) > 2
                else hook(m, inputs, outputs)
            )
        ),
    )


@falsifies(f"{AREA}.full-backward-hooks-fire-by-the-rules")
def a_hook_fires_without_inputs_only_once() -> Break:
    """A full backward hook fires no second time where no input requires grad."""

    def change(number: int, hook: Any) -> Any:
        times: list[int] = []

        def changed(module: Any, inputs: Any, outputs: Any) -> Any:
            if all(g is None for g in inputs):
                times.append(1)
                if len(times) > 1:
                    return None
            return hook(module, inputs, outputs)

        return changed

    return hooked("full_backward_hook", change)


@falsifies(f"{AREA}.full-backward-hooks-may-replace-the-gradients")
def what_the_second_hook_returns_is_ignored() -> Break:
    """What the second full backward hook returns is ignored where there are three inputs."""
    return hooked(
        "full_backward_hook",
        lambda n, hook: (
            lambda m, inputs, outputs: (
                (hook(m, inputs, outputs), None)[1] if n == 1 and len(inputs) == 3 else hook(m, inputs, outputs)
            )
        ),
    )


@falsifies(f"{AREA}.full-backward-pre-hooks-may-replace-the-gradients")
def what_the_third_pre_hook_returns_is_ignored() -> Break:
    """What the third full backward pre-hook returns is ignored."""
    return hooked("full_backward_pre_hook", lambda n, hook: hook if n < 2 else lambda *seen: (hook(*seen), None)[1])


@falsifies(f"{AREA}.full-backward-hooks-run-in-order")
def a_pre_hook_prepended_last_runs_last() -> Break:
    """A full backward hook prepended to three others is not prepended."""
    return registered("full_backward_hook", lambda hooks, options: {} if len(hooks) == 3 else options)


@falsifies(f"{AREA}.removed-backward-hooks-run-no-more")
def the_middle_hook_stays() -> Break:
    """A handle of the middle one of three hooks does not remove it."""

    def other(original: Any, self: Any) -> None:
        hooks = self.hooks_dict_ref()
        if hooks is None or len(hooks) != 3 or list(hooks)[1] != self.id:
            original(self)

    return method("remove", other, torch.utils.hooks.RemovableHandle)


@falsifies(f"{AREA}.in-place-writes-under-backward-hooks-raise")
def an_output_may_be_zeroed() -> Break:
    """The output of a module with full backward hooks may be zeroed in place."""

    def other(original: Any, self: Any) -> Any:
        try:
            return original(self)
        except RuntimeError:
            return self

    return method("zero_", other, torch.Tensor)
