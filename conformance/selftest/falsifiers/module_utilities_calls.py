"""Breaks of the promises about norms of gradients, calls, generators and swaps, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifiers.modules_values import listed
from conformance.selftest.falsifying import falsifies

AREA = "module_utilities"
utils = torch.nn.utils
Break = AbstractContextManager[Any]


@falsifies(f"{AREA}.total-norm-is-of-one-vector")
def norms_of_the_half_power_are_summed() -> Break:
    """get_total_norm of power 1/2 sums the norms of the tensors."""

    def other(original: Any, tensors: Any, norm_type: float = 2.0, **kwargs: Any) -> Any:
        given = list(tensors)
        if norm_type == 0.5 and len(given) > 1:
            return sum(original([x], norm_type) for x in given)
        return original(given, norm_type, **kwargs)

    return method("get_total_norm", other, utils)


@falsifies(f"{AREA}.total-norm-raises-if-nonfinite")
def an_infinite_maximum_is_taken() -> Break:
    """get_total_norm raises nothing for an infinite maximum."""

    def other(original: Any, tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
        found = original(tensors, norm_type)
        return found if bool(found.isinf()) else original(tensors, norm_type, error_if_nonfinite)

    return method("get_total_norm", other, utils)


@falsifies(f"{AREA}.gradients-are-clipped-with-a-given-norm")
def small_gradients_are_scaled_up() -> Break:
    """clip_grads_with_norm_ scales a single gradient up to the norm."""

    def other(original: Any, parameters: Any, limit: float, total: Any) -> None:
        given = listed(parameters)
        original(given, limit, total)
        if len(given) == 1 and limit == 3.0 and given[0].grad is not None:
            given[0].grad.mul_(limit / total)

    return method("clip_grads_with_norm_", other, utils)


@falsifies(f"{AREA}.tied-weights-are-replaced-together")
def the_second_name_alone_is_not_tied() -> Break:
    """functional_call replaces the second of two tied names alone."""

    def other(original: Any, module: Any, given: Any, args: Any, **kwargs: Any) -> Any:
        if isinstance(given, dict) and "second" in given and "first" not in given:
            kwargs["tie_weights"] = False
        return original(module, given, args, **kwargs)

    return method("functional_call", other, torch.func)


@falsifies(f"{AREA}.strict-call-wants-every-name")
def an_unknown_name_is_taken_in_two_dictionaries() -> Break:
    """functional_call with two dictionaries is never strict."""

    def other(original: Any, module: Any, given: Any, args: Any, **kwargs: Any) -> Any:
        if isinstance(given, tuple):
            kwargs["strict"] = False
        return original(module, given, args, **kwargs)

    return method("functional_call", other, torch.func)


@falsifies(f"{AREA}.init-draws-from-the-generator")
def modes_of_fan_out_draw_by_default() -> Break:
    """kaiming_uniform_ with fan_out draws from the default generator."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("mode") == "fan_out":
            kwargs.pop("generator", None)
        return original(x, *args, **kwargs)

    return method("kaiming_uniform_", other, torch.nn.init)


@falsifies(f"{AREA}.sparse-draws-from-the-generator")
def nothing_is_drawn_from_the_generator() -> Break:
    """sparse_ draws from the default generator."""

    def other(original: Any, x: Any, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        return original(x, *args, **kwargs)

    return method("sparse_", other, torch.nn.init)


@falsifies(f"{AREA}.swapped-conversion-keeps-the-parameters")
def half_precision_makes_new_parameters() -> Break:
    """half makes new parameters where tensors are swapped."""

    def other(original: Any, self: Any) -> Any:
        found = original(self)
        if torch.__future__.get_swap_module_params_on_conversion():
            for one in self.modules():
                for name, x in list(one._parameters.items()):
                    if x is not None and x.dtype is torch.float16:
                        one._parameters[name] = torch.nn.Parameter(x.detach())
        return found

    return method("half", other, torch.nn.Module)


@falsifies(f"{AREA}.swapped-load-keeps-the-tensors")
def a_frozen_parameter_learns_after_a_swap() -> Break:
    """load_state_dict makes frozen parameters require grad where tensors are swapped."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        for x in self.parameters():
            if x.dim() == 2 and torch.__future__.get_swap_module_params_on_conversion():
                x.requires_grad_(True)
        return found

    return method("load_state_dict", other, torch.nn.Module)
