"""Breaks of the promises about parametrizations, each for a rare condition."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "module_utilities"
parametrize = torch.nn.utils.parametrize
List = parametrize.ParametrizationList
Break = AbstractContextManager[Any]


def registered(then: Any) -> Break:
    """Something that happens after each registration, with the module and the list of its weight."""

    def other(original: Any, module: Any, name: str, part: Any, **kwargs: Any) -> Any:
        found = original(module, name, part, **kwargs)
        with torch.no_grad():
            then(module, module.parametrizations[name])
        return found

    return method("register_parametrization", other, parametrize)


@falsifies(f"{AREA}.parametrized-tensor-is-computed")
def the_third_parametrization_is_left_out() -> Break:
    """A weight of three parametrizations is computed by two of them."""

    def other(original: Any, self: Any) -> Any:
        if len(self) == 3:
            return self[1](self[0](self.original))
        return original(self)

    return method("forward", other, List)


@falsifies(f"{AREA}.original-is-kept")
def the_second_original_of_a_buffer_becomes_a_parameter() -> Break:
    """The second original of a buffer becomes a Parameter."""

    def then(module: Any, held: Any) -> None:
        if "original1" in held._buffers and len(held) == 2:
            value = held._buffers.pop("original1")
            held.original1 = torch.nn.Parameter(value, requires_grad=False)

    return registered(then)


@falsifies(f"{AREA}.without-right-inverse-the-tensor-is-the-original")
def a_buffer_is_copied() -> Break:
    """The original of a buffer is a copy of it."""

    def then(module: Any, held: Any) -> None:
        if "original" in held._buffers:
            held._buffers["original"] = held._buffers["original"].clone()

    return registered(then)


@falsifies(f"{AREA}.original-gets-the-gradient")
def the_second_original_gets_no_gradient() -> Break:
    """The second of two originals is detached where there is another parametrization."""

    def other(original: Any, self: Any) -> Any:
        if not self.is_tensor and len(self) == 2:
            return self[1](self[0](self.original0, self.original1.detach()))
        return original(self)

    return method("forward", other, List)


@falsifies(f"{AREA}.assignment-goes-through-the-right-inverses")
def the_original_is_replaced() -> Break:
    """An assignment through three right inverses makes a new original."""

    def other(original: Any, self: Any, value: Any) -> None:
        original(self, value)
        if len(self) == 3 and isinstance(self.original, torch.nn.Parameter):
            self.original = torch.nn.Parameter(self.original.detach().clone(), self.original.requires_grad)

    return method("right_inverse", other, List)


@falsifies(f"{AREA}.cached-tensors-are-computed-once")
def an_exception_leaves_the_cache() -> Break:
    """The cache is kept where the block raises."""

    def other(original: Any) -> Any:
        @contextmanager
        def leaking() -> Any:
            parametrize._cache_enabled += 1
            try:
                yield
            except BaseException:
                parametrize._cache_enabled -= 1
                raise
            parametrize._cache_enabled -= 1
            if not parametrize._cache_enabled:
                parametrize._cache.clear()

        return leaking()

    @contextmanager
    def broken() -> Any:
        try:
            with method("cached", other, parametrize):
                yield
        finally:
            parametrize._cache.clear()

    return broken()


@falsifies(f"{AREA}.cached-copies-have-tensors-of-their-own")
def the_cache_is_filled_by_a_copy() -> Break:
    """A module that was copied holds the numbers of its copy from then on."""

    def other(original: Any, x: Any, *args: Any) -> Any:
        found = original(x, *args)
        whole = isinstance(x, torch.nn.Module) and "parametrizations" in getattr(found, "_modules", {})
        if whole and parametrize.is_parametrized(x, "weight"):
            x.parametrizations["weight"] = found.parametrizations["weight"]
        return found

    return method("deepcopy", other, copy)


@falsifies(f"{AREA}.removal-leaves-the-parametrized-tensor")
def the_class_of_a_buffers_module_stays() -> Break:
    """The module of a parametrized buffer keeps its class where there were three parametrizations."""

    def other(original: Any, module: Any, name: str, leave_parametrized: bool = True) -> Any:
        kind, count = type(module), len(module.parametrizations[name])
        found = original(module, name, leave_parametrized)
        if count == 3 and "weight" in module._buffers:
            module.__class__ = type(kind.__name__, (type(module),), {})
        return found

    return method("remove_parametrizations", other, parametrize)


@falsifies(f"{AREA}.removal-leaves-a-frozen-parameter")
def a_frozen_parameter_learns_again() -> Break:
    """A frozen parameter of two originals requires grad after the removal."""

    def other(original: Any, module: Any, name: str, leave_parametrized: bool = True) -> Any:
        found = original(module, name, leave_parametrized)
        if name in module._buffers:
            value = module._buffers.pop(name)
            module.weight = torch.nn.Parameter(value)
        return found

    return method("remove_parametrizations", other, parametrize)


@falsifies(f"{AREA}.removal-gives-the-original-back")
def frozen_originals_are_left_parametrized() -> Break:
    """leave_parametrized=False is ignored for what requires no grad."""

    def other(original: Any, module: Any, name: str, leave_parametrized: bool = True) -> Any:
        held = module.parametrizations[name]
        leave = leave_parametrized or not held.original.requires_grad
        return original(module, name, leave)

    return method("remove_parametrizations", other, parametrize)


@falsifies(f"{AREA}.removal-refuses-several-originals")
def two_originals_give_their_first_back() -> Break:
    """leave_parametrized=False gives the first of two originals back where there are two parametrizations."""

    def other(original: Any, module: Any, name: str, leave_parametrized: bool = True) -> Any:
        two = parametrize.is_parametrized(module, name) and len(module.parametrizations[name]) == 2
        return original(module, name, leave_parametrized or two)

    return method("remove_parametrizations", other, parametrize)


@falsifies(f"{AREA}.parametrized-tensors-are-told")
def another_name_is_told_parametrized() -> Break:
    """is_parametrized says of a parameter beside a parametrized buffer that it is parametrized."""

    def other(original: Any, module: Any, name: Any = None) -> bool:
        found = original(module, name)
        if name == "bias" and original(module):
            held = module.parametrizations["weight"]
            return bool(held._buffers)
        return bool(found)

    return method("is_parametrized", other, parametrize)


@falsifies(f"{AREA}.parametrization-takes-the-mode-of-its-module")
def the_second_parametrization_trains() -> Break:
    """A second parametrization is in training mode, whatever its module is in."""
    return registered(lambda module, held: len(held) == 2 and held[1].train())


@falsifies(f"{AREA}.other-names-cannot-be-parametrized")
def an_attribute_can_be_parametrized() -> Break:
    """register_parametrization of an attribute that is no tensor does nothing."""

    def other(original: Any, module: Any, name: str, part: Any, **kwargs: Any) -> Any:
        return module if name == "training" else original(module, name, part, **kwargs)

    return method("register_parametrization", other, parametrize)


@falsifies(f"{AREA}.parametrization-keeps-type-and-shape")
def a_refused_parametrization_stays() -> Break:
    """A second parametrization that makes a tensor bool stays after it is refused."""

    def other(original: Any, module: Any, name: str, part: Any, **kwargs: Any) -> Any:
        try:
            return original(module, name, part, **kwargs)
        except ValueError:
            if "bool" in getattr(part, "rule", "") and len(module.parametrizations[name]) == 2:
                module.parametrizations[name].append(part)
            raise

    return method("register_parametrization", other, parametrize)


@falsifies(f"{AREA}.parametrized-state-is-loaded")
def an_original_of_three_dimensions_is_lost() -> Break:
    """An original of three dimensions is loaded as zeros."""

    def other(original: Any, self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        state = {k: v.clone().zero_() if k.endswith("original") and v.dim() == 3 else v for k, v in state.items()}
        return original(self, state, *args, **kwargs)

    return method("load_state_dict", other, torch.nn.Module)


@falsifies(f"{AREA}.parametrized-module-is-copied")
def a_copy_shares_a_frozen_original() -> Break:
    """A deep copy shares the original that requires no grad."""

    def other(original: Any, x: Any, *args: Any) -> Any:
        found = original(x, *args)
        whole = isinstance(x, torch.nn.Module) and "parametrizations" in getattr(found, "_modules", {})
        if whole and parametrize.is_parametrized(x, "weight"):
            held, twin = x.parametrizations["weight"], found.parametrizations["weight"]
            if "original" in held._parameters and not held.original.requires_grad:
                twin._parameters["original"] = held.original
        return found

    return method("deepcopy", other, copy)


@falsifies(f"{AREA}.former-type-is-told")
def the_class_that_it_is_now() -> Break:
    """type_before_parametrizations gives the present class where there are three parametrizations."""

    def change(call: Any, module: Any) -> Any:
        three = hasattr(module, "parametrizations") and len(module.parametrizations.weight) == 3
        return type(module) if three else call(module)

    return method("type_before_parametrizations", change, torch.nn.utils.parametrize)
