"""Breaks of metadata, extra state, hooks and lazy modules around state_dict, each for a rare condition."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

from conformance.selftest.falsifiers.state_dict import AREA, Break, Module, copied, given, loaded, saved
from conformance.selftest.falsifying import falsifies, patched


def registering(name: str, change: Any) -> Break:
    """A registration of a hook that registers ``change(module, hook)`` in its place; None registers nothing."""

    def make(original: Any) -> Any:
        def register(self: Any, hook: Any) -> Any:
            return original(self, change(self, hook))

        return register

    return patched(Module, name, make)


def silent(*args: Any) -> None:
    """A hook that does nothing."""


# --- metadata and extra state -----------------------------------------------------------------------------------


@falsifies(f"{AREA}.load-passes-each-module-its-metadata")
def deep_metadata_is_lost() -> Break:
    """The metadata of modules two deep is not passed on."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        found = copied(state, list(state))
        if hasattr(state, "_metadata"):
            found._metadata = OrderedDict((k, v) for k, v in state._metadata.items() if k.count(".") < 2)
        return found

    return given(change)


@falsifies(f"{AREA}.metadata-of-a-plain-dictionary-is-empty")
def a_container_gets_metadata() -> Break:
    """A plain dictionary is taken for one of the first version by modules with children."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        found = copied(state, list(state))
        if not hasattr(state, "_metadata") and module._modules:
            found._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
        return found

    return given(change)


@falsifies(f"{AREA}.extra-state-is-saved")
def extra_state_that_is_none_is_left_out() -> Break:
    """Extra state that is None is not saved two deep."""

    def change(module: Any, state: Any) -> Any:
        for key in [key for key, value in state.items() if value is None and key.count(".") == 2]:
            del state[key]
        return state

    return saved(change)


@falsifies(f"{AREA}.extra-state-is-loaded")
def extra_state_is_set_twice() -> Break:
    """Extra state of a module without children is set a second time."""

    def change(module: Any, state: Any, found: Any) -> None:
        for part in module.modules():
            if hasattr(part, "told") and part.told and not part._modules:
                part.set_extra_state(part.told[-1])

    return loaded(change)


@falsifies(f"{AREA}.missing-extra-state-is-an-error")
def missing_extra_state_is_passed_over_below() -> Break:
    """Extra state that is missing below the root is not told."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        found = copied(state, list(state))
        for key, value in module.state_dict().items():
            if not isinstance(value, torch.Tensor) and "." in key:
                found.setdefault(key, value)
        return found

    return given(change)


# --- hooks ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.state-pre-hook-runs-before")
def a_pre_hook_of_a_list_is_not_called() -> Break:
    """A state_dict pre-hook on a ModuleList is not called."""
    return registering(
        "register_state_dict_pre_hook", lambda m, hook: silent if isinstance(m, torch.nn.ModuleList) else hook
    )


@falsifies(f"{AREA}.state-post-hook-changes-the-state")
def a_post_hook_of_a_layer_gets_a_copy() -> Break:
    """A state_dict post-hook on a module without children gets a copy of the dictionary."""

    def change(module: Any, hook: Any) -> Any:
        if module._modules:
            return hook
        return lambda part, state, prefix, metadata: hook(part, dict(state), prefix, metadata)

    return registering("register_state_dict_post_hook", change)


@falsifies(f"{AREA}.load-pre-hook-runs-before")
def a_pre_hook_of_a_parameter_list_is_not_called() -> Break:
    """A load_state_dict pre-hook on a ParameterList is not called."""
    return registering(
        "register_load_state_dict_pre_hook",
        lambda m, hook: silent if isinstance(m, torch.nn.ParameterList) else hook,
    )


@falsifies(f"{AREA}.load-pre-hook-renames-keys")
def a_pre_hook_of_a_container_gets_a_copy() -> Break:
    """What a load_state_dict pre-hook on a Sequential changes is lost."""

    def change(module: Any, hook: Any) -> Any:
        if not isinstance(module, torch.nn.Sequential):
            return hook
        return lambda part, state, *more: hook(part, dict(state), *more)

    return registering("register_load_state_dict_pre_hook", change)


@falsifies(f"{AREA}.load-post-hook-runs-after")
def a_post_hook_is_not_told_deep_missing_keys() -> Break:
    """A load_state_dict post-hook does not get missing keys three deep."""

    def change(module: Any, hook: Any) -> Any:
        def called(part: Any, keys: Any) -> Any:
            return hook(part, type(keys)([k for k in keys[0] if k.count(".") < 3], keys[1]))

        return called

    return registering("register_load_state_dict_post_hook", change)


@falsifies(f"{AREA}.load-post-hook-may-clear-the-keys")
def cleared_unexpected_keys_come_back() -> Break:
    """A load_state_dict post-hook clears a copy of the unexpected keys where there are missing ones too."""

    def change(module: Any, hook: Any) -> Any:
        def called(part: Any, keys: Any) -> Any:
            return hook(part, type(keys)(keys[0], list(keys[1]) if keys[0] else keys[1]))

        return called

    return registering("register_load_state_dict_post_hook", change)


@falsifies(f"{AREA}.load-post-hook-may-add-keys")
def an_added_unexpected_key_of_a_layer_is_lost() -> Break:
    """What a load_state_dict post-hook adds to the unexpected keys is lost on a module that has a parent."""

    def change(module: Any, hook: Any) -> Any:
        if module._modules or not module._parameters:
            return hook
        return lambda part, keys: hook(part, type(keys)(keys[0], list(keys[1])))

    return registering("register_load_state_dict_post_hook", change)


@falsifies(f"{AREA}.removed-load-post-hook-is-not-called")
def a_removed_hook_takes_the_last_with_it() -> Break:
    """remove() takes away the hook that was registered last, on a BatchNorm."""

    def make(original: Any) -> Any:
        def register(self: Any, hook: Any) -> Any:
            handle = original(self, hook)
            if isinstance(self, torch.nn.BatchNorm2d):
                handle.remove = lambda: self._load_state_dict_post_hooks.popitem()
            return handle

        return register

    return patched(Module, "register_load_state_dict_post_hook", make)


# --- lazy modules -----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.lazy-state-shows-uninitialized-parameters")
def a_lazy_bias_is_not_shown() -> Break:
    """An uninitialized bias two deep is not in the state."""
    lazy = torch.nn.UninitializedParameter

    def change(module: Any, state: Any) -> Any:
        return copied(state, [k for k, v in state.items() if not (isinstance(v, lazy) and k == "1.1.bias")])

    return saved(change)


@falsifies(f"{AREA}.lazy-module-loads-initialized-state")
def a_lazy_convolution_is_loaded_by_reference() -> Break:
    """The weight of a lazy transposed convolution of three dimensions becomes the value itself."""

    def change(module: Any, state: Any, found: Any) -> None:
        for key, x in module.named_parameters():
            if x.dim() == 5:
                x.data = state[key]

    return loaded(change)


def initialized_again(kind: str) -> Break:
    """The first forward of a lazy module of a kind initializes it, whatever it has loaded."""

    def make(original: Any) -> Any:
        def called(self: Any, *args: Any, **options: Any) -> Any:
            found = original(self, *args, **options)
            if kind in type(self).__name__ and self.weight is not None:
                with torch.no_grad():
                    self.weight.fill_(0.5)
            return found

        return called

    return patched(Module, "__call__", make)


@falsifies(f"{AREA}.loaded-lazy-state-survives-the-dry-run")
def a_loaded_batch_norm_is_initialized_again() -> Break:
    """The first forward of a lazy batch norm of three dimensions initializes it, whatever it has loaded."""
    return initialized_again("BatchNorm3d")


@falsifies(f"{AREA}.loaded-lazy-instance-norm-survives-the-dry-run")
def a_loaded_instance_norm_is_initialized_again() -> Break:
    """The first forward of a lazy instance norm initializes it, whatever it has loaded."""
    return initialized_again("InstanceNorm")
