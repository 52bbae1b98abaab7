"""Breaks of what the state_dict of a module holds, and of what loading one does, each for a rare condition."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "state_dict"
Break = AbstractContextManager[Any]
Module = torch.nn.Module


def saving(other: Callable[..., Any]) -> Break:
    """``_save_to_state_dict`` replaced by ``other(original, module, destination, prefix, keep_vars)``."""

    def make(original: Any) -> Any:
        return lambda self, destination, prefix, keep_vars: other(original, self, destination, prefix, keep_vars)

    return patched(Module, "_save_to_state_dict", make)


def saved(change: Callable[[Any, Any], Any]) -> Break:
    """What the outermost call of state_dict returns, as ``change(module, state)`` gives it."""

    def make(original: Any) -> Any:
        def state_dict(self: Any, *args: Any, **options: Any) -> Any:
            found = original(self, *args, **options)
            return found if args or options.get("destination") is not None else change(self, found)

        return state_dict

    return patched(Module, "state_dict", make)


def given(change: Callable[..., Any]) -> Break:
    """load_state_dict of ``change(module, state, strict)`` in place of the dictionary."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any, strict: bool = True, **options: Any) -> Any:
            return original(self, change(self, state, strict), strict, **options)

        return load_state_dict

    return patched(Module, "load_state_dict", make)


def loaded(change: Callable[..., Any]) -> Break:
    """load_state_dict, after which ``change(module, state, result, **options)`` is done."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any, *args: Any, **options: Any) -> Any:
            found = original(self, state, *args, **options)
            with torch.no_grad():
                change(self, state, found, **options)
            return found

        return load_state_dict

    return patched(Module, "load_state_dict", make)


def copied(state: Any, keys: Any) -> Any:
    """The dictionary with these keys alone, and its metadata."""
    found = OrderedDict((key, state[key]) for key in state if key in keys)
    if hasattr(state, "_metadata"):
        found._metadata = state._metadata  # type: ignore[attr-defined]
    return found


def owner_of(module: Any, key: str) -> tuple[Any, str]:
    """The module that holds what a key names, and its name there."""
    *path, name = key.split(".")
    for part in path:
        module = getattr(module, part)
    return module, name


def tensors(module: Any) -> dict[str, Any]:
    """Parameters and buffers by name, each name of a tensor."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def without(keys: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    """Leaves out of a state what ``keys(key, value)`` picks."""
    return lambda module, state: copied(state, [k for k, v in state.items() if not keys(k, v)])


def each(change: Callable[[Any, str, Any], Any]) -> Callable[[Any, Any], Any]:
    """Puts ``change(module, key, value)`` in the place of every value of a state."""

    def changed(module: Any, state: Any) -> Any:
        for key in list(state):
            state[key] = change(module, key, state[key])
        return state

    return changed


# --- what the state of a module is ------------------------------------------------------------------------------


@falsifies(f"{AREA}.state-holds-parameters-and-persistent-buffers")
def a_deep_scalar_is_not_saved() -> Break:
    """A 0-d tensor two deep is not in the state."""
    return saved(without(lambda key, value: key.count(".") > 1 and not value.dim()))


@falsifies(f"{AREA}.state-keys-are-the-names")
def a_deep_name_loses_a_dot() -> Break:
    """Names three deep are written without their last dot."""

    def change(module: Any, state: Any) -> Any:
        return OrderedDict((k if k.count(".") < 3 else "".join(k.rsplit(".", 1)), v) for k, v in state.items())

    return saved(change)


@falsifies(f"{AREA}.none-is-left-out-of-the-state")
def a_deep_none_buffer_is_saved() -> Break:
    """A buffer that is None is saved as None in a module four deep."""

    def other(original: Any, self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        original(self, destination, prefix, keep_vars)
        if prefix.count(".") == 4:
            destination.update({prefix + name: None for name, x in self._buffers.items() if x is None})

    return saving(other)


@falsifies(f"{AREA}.transient-buffers-are-left-out-of-the-state")
def a_transient_scalar_is_saved() -> Break:
    """A buffer that is not persistent is saved where it is 0-d."""

    def other(original: Any, self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        original(self, destination, prefix, keep_vars)
        for name in self._non_persistent_buffers_set:
            if not self._buffers[name].dim():
                destination[prefix + name] = self._buffers[name]

    return saving(other)


@falsifies(f"{AREA}.tied-tensors-are-saved-under-each-name")
def a_second_name_of_a_buffer_is_left_out() -> Break:
    """The second name of a tied buffer is taken for a duplicate."""

    def change(module: Any, state: Any) -> Any:
        names = {id(x) for x in module.parameters()} and {x.data_ptr() for x in module.parameters()}
        seen: set[int] = set()
        for key in list(state):
            at = state[key].data_ptr()
            if at in seen and at not in names and at:
                del state[key]
            seen.add(at)
        return state

    return saved(change)


@falsifies(f"{AREA}.state-shares-the-memory-of-the-module")
def a_scalar_is_copied_into_the_state() -> Break:
    """0-d tensors are copied."""
    return saved(each(lambda module, key, x: x if x.dim() else x.clone()))


@falsifies(f"{AREA}.state-is-a-copy-of-the-names")
def the_state_of_a_container_is_kept() -> Break:
    """The dictionary of a Sequential is made once and returned again."""

    def change(module: Any, state: Any) -> Any:
        return module.__dict__.setdefault("_kept", state) if isinstance(module, torch.nn.Sequential) else state

    return saved(change)


@falsifies(f"{AREA}.state-is-detached")
def a_bfloat16_parameter_is_not_detached() -> Break:
    """A bfloat16 parameter is saved as it is."""
    return saved(each(lambda module, key, x: x.requires_grad_() if x.dtype is torch.bfloat16 else x))


@falsifies(f"{AREA}.keep-vars-keeps-the-tensors")
def a_frozen_parameter_is_detached_all_the_same() -> Break:
    """keep_vars=True gives an alias of what requires no grad and has a dimension."""

    def other(original: Any, self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        original(self, destination, prefix, keep_vars)
        for name, x in self._parameters.items():
            if x is not None and not x.requires_grad and x.dim():
                destination[prefix + name] = x.detach()

    return saving(other)


@falsifies(f"{AREA}.prefix-begins-every-key")
def a_prefix_gets_its_dot() -> Break:
    """A prefix without a dot at its end is given one."""

    def make(original: Any) -> Any:
        def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
            return original(self, *args, prefix=prefix if prefix[-1:] in ("", ".") else prefix + ".", **options)

        return state_dict

    return patched(Module, "state_dict", make)


@falsifies(f"{AREA}.destination-is-filled-and-returned")
def a_plain_destination_is_copied() -> Break:
    """A destination that is a plain dict is filled, and an OrderedDict returned."""

    def make(original: Any) -> Any:
        def state_dict(self: Any, *args: Any, **options: Any) -> Any:
            found = original(self, *args, **options)
            return OrderedDict(found) if type(found) is dict else found

        return state_dict

    return patched(Module, "state_dict", make)


@falsifies(f"{AREA}.state-is-an-ordered-dict")
def the_state_of_a_layer_is_a_dict() -> Break:
    """Without children the state is a plain dict."""
    return saved(lambda module, state: state if module._modules else dict(state))


@falsifies(f"{AREA}.state-takes-positional-arguments")
def the_third_argument_is_lost() -> Break:
    """keep_vars by position is not heeded."""

    def make(original: Any) -> Any:
        return lambda self, *args, **options: original(self, *args[:2], **options)

    return patched(Module, "state_dict", make)


# --- loading ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.load-copies-every-value")
def deep_counts_are_not_loaded() -> Break:
    """int64 buffers below the root keep their values."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        found = copied(state, list(state))
        for key in own:
            if "." in key and own[key].dtype is torch.int64 and key in found:
                found[key] = own[key].clone()
        return found

    return given(change)


@falsifies(f"{AREA}.load-copies-every-value")
def the_end_of_a_large_tensor_is_not_loaded() -> Break:
    """Of a tensor of many elements those behind the first 32,768 keep their values."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own, found = module.state_dict(), copied(state, list(state))
        for key in own:
            if key in found and found[key].numel() > 32768:
                found[key] = found[key].contiguous().clone()
                found[key].view(-1)[32768:] = own[key].reshape(-1)[32768:]
        return found

    return given(change)


@falsifies(f"{AREA}.load-keeps-the-tensors-of-the-module")
def a_stepped_parameter_becomes_contiguous() -> Break:
    """A parameter that is not contiguous is given new memory."""

    def change(module: Any, state: Any, found: Any) -> None:
        for x in module.parameters():
            if not x.is_contiguous():
                x.data = x.data.contiguous()

    return loaded(change)


@falsifies(f"{AREA}.load-converts-the-element-type")
def doubles_come_in_by_way_of_half() -> Break:
    """A double that is loaded into a single is rounded to half before."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        found = copied(state, list(state))
        own = module.state_dict()
        for key, x in state.items():
            if x.dtype is torch.float64 and own[key].dtype is torch.float32:
                found[key] = x.half().double()
        return found

    return given(change)


@falsifies(f"{AREA}.loaded-values-are-not-shared")
def a_scalar_buffer_is_aliased() -> Break:
    """A 0-d buffer of the type of the value becomes the value's memory."""

    def change(module: Any, state: Any, found: Any) -> None:
        for key, x in module.named_buffers():
            if key in state and not x.dim() and x.dtype is state[key].dtype:
                x.set_(state[key])

    return loaded(change)


@falsifies(f"{AREA}.load-leaves-transient-buffers")
def a_transient_mask_is_reset() -> Break:
    """A bool buffer that is not persistent is zeroed by a load."""

    def change(module: Any, state: Any, found: Any) -> None:
        for part in module.modules():
            for name in part._non_persistent_buffers_set:
                if part._buffers[name].dtype is torch.bool:
                    part._buffers[name].zero_()

    return loaded(change)


@falsifies(f"{AREA}.load-leaves-the-dictionary")
def a_refused_key_is_taken_out() -> Break:
    """With strict=False keys that are not expected are taken out of the caller's dictionary."""
    return loaded(lambda module, state, found, **options: [state.pop(key) for key in found.unexpected_keys])


@falsifies(f"{AREA}.load-leaves-gradients")
def the_gradient_of_a_scalar_is_dropped() -> Break:
    """The gradient of a 0-d parameter is gone after a load."""

    def change(module: Any, state: Any, found: Any) -> None:
        for x in module.parameters():
            if not x.dim():
                x.grad = None

    return loaded(change)


@falsifies(f"{AREA}.state-loads-into-a-module-like-it")
def complex_parameters_come_back_conjugate() -> Break:
    """A complex parameter is conjugated by a load."""

    def change(module: Any, state: Any, found: Any) -> None:
        for x in module.parameters():
            if x.is_complex():
                x.copy_(x.conj().clone())

    return loaded(change)


@falsifies(f"{AREA}.saved-state-loads-into-a-module-like-it")
def a_bfloat16_parameter_loses_its_sign() -> Break:
    """bfloat16 parameters are loaded without their sign."""

    def change(module: Any, state: Any, found: Any) -> None:
        for x in module.parameters():
            if x.dtype is torch.bfloat16:
                x.abs_()

    return loaded(change)


@falsifies(f"{AREA}.tied-tensors-stay-tied")
def a_tied_name_gets_a_parameter_of_its_own() -> Break:
    """The second name of a tied parameter has a new one after a load."""

    def change(module: Any, state: Any, found: Any) -> None:
        seen: set[int] = set()
        for part in module.modules():
            for name, x in part._parameters.items():
                if x is not None and id(x) in seen:
                    part._parameters[name] = torch.nn.Parameter(x.detach(), requires_grad=x.requires_grad)
                seen.add(id(x))

    return loaded(change)


@falsifies(f"{AREA}.merged-states-load")
def a_prefix_loses_its_underscore() -> Break:
    """A prefix that ends with an underscore and a dot loses the underscore."""

    def make(original: Any) -> Any:
        def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
            return original(self, *args, prefix="net." if prefix == "net_." else prefix, **options)

        return state_dict

    return patched(Module, "state_dict", make)


@falsifies(f"{AREA}.one-element-loads-into-a-scalar")
def a_scalar_is_loaded_as_zero() -> Break:
    """One element in one dimension is loaded into a scalar as zero."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        return OrderedDict(
            (key, x * 0 if x.shape == (1,) and not own[key].dim() and not x.is_complex() else x)
            for key, x in state.items()
        )

    return given(change)


# --- strictness -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.missing-keys-are-an-error")
def a_missing_key_three_deep_is_filled_in() -> Break:
    """A key that is missing three deep is taken from the module itself."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        found = copied(state, list(state))
        found.update({k: v for k, v in module.state_dict().items() if k not in state and k.count(".") > 2})
        return found

    return given(change)


@falsifies(f"{AREA}.unexpected-keys-are-an-error")
def an_unexpected_key_two_deep_is_missed() -> Break:
    """An unexpected key is passed over where it is nested two deep."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        return copied(state, [key for key in state if key in own or key.count(".") < 2])

    return given(change)


@falsifies(f"{AREA}.key-below-a-tensor-is-unexpected")
def a_key_below_a_deep_tensor_is_passed_over() -> Break:
    """A key behind the name of a tensor three deep is passed over."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        return copied(state, [key for key in state if key in own or key.count(".") < 4])

    return given(change)


@falsifies(f"{AREA}.key-below-an-absent-child-is-unexpected")
def a_key_below_an_absent_child_is_passed_over() -> Break:
    """A key below a child that is None is passed over in modules that are nested."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        return copied(state, [key for key in state if ".absent." not in key])

    return given(change)


@falsifies(f"{AREA}.lenient-load-reports-the-keys")
def an_unexpected_key_like_another_is_not_told() -> Break:
    """A key that is the name of a tensor and an underscore is not reported."""

    def change(module: Any, state: Any, found: Any, **options: Any) -> None:
        for key in list(found.unexpected_keys):
            if key.endswith("_"):
                found.unexpected_keys.remove(key)

    return loaded(change)


@falsifies(f"{AREA}.lenient-load-takes-what-there-is")
def the_last_value_beside_a_missing_one_is_not_loaded() -> Break:
    """Where keys are missing, the last one that is there is not loaded."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        there = [key for key in own if key in state]
        lacking = len(there) < len(own) and there
        return copied(state, [key for key in state if not (lacking and key == there[-1])])

    return given(change)


@falsifies(f"{AREA}.other-shape-is-an-error")
def one_element_is_broadcast_into_a_matrix() -> Break:
    """With strict=False a value of one element in two dimensions is broadcast."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        found = copied(state, list(state))
        for key, x in state.items():
            if not strict and key in own and tuple(x.shape) == (1, 1) and own[key].dim() == 2:
                found[key] = x.expand(own[key].shape)
        return found

    return given(change)


@falsifies(f"{AREA}.value-for-none-is-an-error")
@falsifies(f"{AREA}.value-for-none-is-an-error-also-with-strict-false")
def a_value_for_a_deep_none_buffer_is_passed_over() -> Break:
    """A key for a buffer that is None is passed over four deep."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        return copied(state, [key for key in state if key in own or key.count(".") < 4])

    return given(change)


@falsifies(f"{AREA}.what-is-no-mapping-is-an-error")
def a_list_of_pairs_is_loaded() -> Break:
    """A list of pairs is taken for a mapping."""
    return given(lambda module, state, strict: dict(state) if isinstance(state, list) else state)


@falsifies(f"{AREA}.load-takes-plain-dictionaries")
def the_first_key_of_a_reversed_dict_is_lost() -> Break:
    """Of a plain dict whose last key is the module's first, that is not loaded."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        own = module.state_dict()
        if type(state) is dict and len(own) > 1 and list(state)[-1] == next(iter(own)):
            return {**state, list(state)[-1]: own[next(iter(own))]}
        return state

    return given(change)


# --- assign -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.assign-takes-the-tensors-of-the-dictionary")
def a_scalar_is_copied_with_assign() -> Break:
    """assign=True takes a copy of a 0-d value."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        return OrderedDict((key, x if x.dim() else x.clone()) for key, x in state.items())

    return given(change)


@falsifies(f"{AREA}.assign-keeps-requires-grad")
def a_frozen_parameter_thaws_with_assign() -> Break:
    """With assign=True a frozen 0-d parameter requires grad."""

    def change(module: Any, state: Any, found: Any, **options: Any) -> None:
        for x in module.parameters():
            if not x.dim() and x.is_floating_point():
                x.requires_grad_()

    return loaded(change)


@falsifies(f"{AREA}.assign-fills-a-module-without-memory")
def a_count_stays_without_memory() -> Break:
    """With assign=True an int64 buffer stays on the meta device."""

    def change(module: Any, state: Any, strict: bool) -> Any:
        return OrderedDict((key, x.to("meta") if x.dtype is torch.int64 else x) for key, x in state.items())

    return given(change)
