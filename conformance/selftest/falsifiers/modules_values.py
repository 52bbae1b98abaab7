"""Breaks of the promises about conversion, initialisation and utilities of modules, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "modules"
Module = torch.nn.Module
init = torch.nn.init
Break = AbstractContextManager[Any]


def after(name: str, then: Any, owner: Any = Module) -> Break:
    """A method or function after which ``then(result, self, …)`` happens; its result is what is returned."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        with torch.no_grad():
            then(found, self, *args, **kwargs)
        return found

    return method(name, other, owner)


def deep_buffers(module: Any) -> Any:
    """The modules two levels down that have buffers, with the buffers' names."""
    for path, one in module.named_modules():
        if path.count(".") == 1:
            yield from ((one, name) for name, tensor in one._buffers.items() if tensor is not None)


# --- conversion -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.to-casts-floats-only")
def small_integers_are_cast_too() -> Break:
    """to casts buffers of uint8."""

    def then(found: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        for one in self.modules():
            for name, tensor in one._buffers.items():
                if tensor is not None and tensor.dtype is torch.uint8:
                    one._buffers[name] = tensor.float()

    return after("to", then)


@falsifies(f"{AREA}.named-casts-cast-floating-point-only")
def half_forgets_buffers_two_levels_down() -> Break:
    """half leaves floating-point buffers two levels down in float32."""

    def then(found: Any, self: Any) -> None:
        for one, name in deep_buffers(self):
            if one._buffers[name].is_floating_point():
                one._buffers[name] = one._buffers[name].float()

    return after("half", then)


@falsifies(f"{AREA}.type-casts-everything")
def bools_are_not_cast() -> Break:
    """type leaves bools as they are."""

    def other(original: Any, self: Any, dst_type: Any) -> Any:
        return self._apply(lambda x: x if x.dtype is torch.bool else x.type(dst_type))

    return method("type", other, Module)


@falsifies(f"{AREA}.to-refuses-integral-types")
def to_takes_bytes() -> Break:
    """to does nothing where it is given uint8."""
    return method(
        "to",
        lambda original, self, *a, **k: self if torch.uint8 in (*a, *k.values()) else original(self, *a, **k),
        Module,
    )


@falsifies(f"{AREA}.tied-parameters-stay-tied")
def a_parameter_two_levels_down_is_a_new_one() -> Break:
    """to puts new Parameters in the place of those two levels down."""

    def then(found: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        for path, one in self.named_modules():
            if path.count("."):
                for name, parameter in one._parameters.items():
                    if parameter is not None:
                        one._parameters[name] = torch.nn.Parameter(parameter.detach(), parameter.requires_grad)

    return after("to", then)


@falsifies(f"{AREA}.gradients-are-converted")
def a_gradient_in_bfloat16_is_dropped() -> Break:
    """to(bfloat16) loses the gradients of submodules."""

    def then(found: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        for path, parameter in self.named_parameters():
            if "." in path and parameter.dtype is torch.bfloat16:
                parameter.grad = None

    return after("to", then)


@falsifies(f"{AREA}.to-empty-keeps-shapes")
def a_frozen_parameter_is_unfrozen() -> Break:
    """to_empty makes parameters of submodules require grad."""

    def then(found: Any, self: Any, **kwargs: Any) -> None:
        for path, parameter in self.named_parameters():
            if "." in path:
                parameter.requires_grad_()

    return after("to_empty", then)


@falsifies(f"{AREA}.channels-last-is-for-four-dimensions")
def three_dimensions_are_turned_too() -> Break:
    """to(memory_format=…) changes the strides of buffers of three dimensions."""

    def then(found: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        for tensor in self.buffers():
            if tensor.dim() == 3:
                tensor.data = tensor.data.transpose(0, 2).contiguous().transpose(0, 2)

    return after("to", then)


@falsifies(f"{AREA}.constructors-take-dtype-and-device")
def running_statistics_stay_in_float32() -> Break:
    """BatchNorm2d without parameters has its statistics in float32."""

    def then(found: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        if not self.affine:
            self.running_var = self.running_var.float()

    return after("__init__", then, torch.nn.BatchNorm2d)


# --- initialisation ---------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.init-works-in-place")
def a_strided_sparse_tensor_is_replaced() -> Break:
    """sparse_ returns a copy of a tensor that is not contiguous."""
    return method(
        "sparse_", lambda original, x, *a, **k: original(x, *a, **k) if x.is_contiguous() else x.clone(), init
    )


@falsifies(f"{AREA}.init-fills-exactly")
def groups_of_dirac_are_forgotten() -> Break:
    """dirac_ with groups fills the first group only."""
    return after("dirac_", lambda found, x, groups=1: groups > 1 and x[x.shape[0] // groups :].zero_(), init)


@falsifies(f"{AREA}.init-draws-from-the-law")
def fans_are_exchanged_in_four_dimensions() -> Break:
    """kaiming_uniform_ of a kernel with fan_out takes fan_in."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if x.dim() == 4 and kwargs.get("nonlinearity") == "relu":
            kwargs["mode"] = "fan_in"
        return original(x, *args, **kwargs)

    return method("kaiming_uniform_", other, init)


@falsifies(f"{AREA}.trunc-normal-stays-within")
def one_element_lies_on_a_far_bound() -> Break:
    """trunc_normal_ puts an element at the upper bound in bfloat16."""

    def then(found: Any, x: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> None:
        if x.dtype is torch.bfloat16 and std < 0.01:
            x.view(-1)[7] = b

    return after("trunc_normal_", then, init)


@falsifies(f"{AREA}.orthogonal-is-orthogonal")
def the_gain_of_a_kernel_is_ignored() -> Break:
    """orthogonal_ ignores the gain where there are more than two dimensions."""
    return method("orthogonal_", lambda original, x, gain=1: original(x, gain if x.dim() == 2 else 1), init)


@falsifies(f"{AREA}.orthogonal-takes-strided-tensors")
def strided_kernels_are_left_alone() -> Break:
    """orthogonal_ does nothing to a strided tensor of three dimensions."""
    return method("orthogonal_", lambda original, x, gain=1: x if x.dim() > 2 else original(x, gain), init)


@falsifies(f"{AREA}.sparse-zeroes-its-share")
def the_last_column_has_a_zero_less() -> Break:
    """sparse_ of ten rows leaves its last column one zero short."""

    def then(found: Any, x: Any, sparsity: float, std: float = 0.01) -> None:
        if x.shape[0] == 10 and sparsity == 0.25:
            x[:, -1][x[:, -1] == 0] = 0.001

    return after("sparse_", then, init)


@falsifies(f"{AREA}.gains-are-those-of-the-table")
def the_slope_of_an_integer_is_ignored() -> Break:
    """calculate_gain takes an integer slope for the default."""

    def other(original: Any, nonlinearity: str, param: Any = None) -> float:
        return original(nonlinearity, 0.01 if isinstance(param, int) and param else param)

    return method("calculate_gain", other, init)
