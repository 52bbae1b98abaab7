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


@falsifies(f"{AREA}.init-draws-from-the-law")
def fans_are_exchanged_in_five_dimensions() -> Break:
    """kaiming_normal_ of a kernel of three dimensions with fan_out takes fan_in."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if x.dim() == 5:
            kwargs["mode"] = "fan_in"
        return original(x, *args, **kwargs)

    return method("kaiming_normal_", other, init)


@falsifies(f"{AREA}.init-draws-from-the-law")
def a_uniform_range_ends_early() -> Break:
    """uniform_ draws from a range that is a hundredth shorter at its upper end."""

    def other(original: Any, x: Any, a: float = 0.0, b: float = 1.0, **kwargs: Any) -> Any:
        return original(x, a, a + (b - a) * 0.99, **kwargs)

    return method("uniform_", other, init)


@falsifies(f"{AREA}.init-draws-from-the-law")
def a_truncated_deviation_is_wider() -> Break:
    """trunc_normal_ draws with a deviation that is a tenth larger, and cuts it where it should."""

    def other(original: Any, x: Any, mean: float = 0.0, std: float = 1.0, *args: Any, **kwargs: Any) -> Any:
        return original(x, mean, std * 1.1, *args, **kwargs)

    return method("trunc_normal_", other, init)


@falsifies(f"{AREA}.init-draws-from-the-law")
def few_draws_of_a_normal_law_are_uniform() -> Break:
    """trunc_normal_ draws uniformly between bounds that keep less than a third of a normal law."""

    def other(original: Any, x: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
        low, high = (torch.special.ndtr(torch.tensor((bound - mean) / std)) for bound in (a, b))
        return init.uniform_(x, a, b) if high - low < 0.3 else original(x, mean, std, a, b)

    return method("trunc_normal_", other, init)


@falsifies(f"{AREA}.init-draws-from-the-law")
def every_second_draw_is_the_one_before() -> Break:
    """normal_ of many elements draws half of them, each for two neighbours."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(x, *args, **kwargs)
        if x.numel() > 1000:
            with torch.no_grad():
                x.copy_(x.flatten()[::2].repeat_interleave(2)[: x.numel()].view(x.shape))
        return found

    return method("normal_", other, init)


@falsifies(f"{AREA}.sparse-zeroes-its-share")
def the_deviation_of_sparse_numbers_is_doubled() -> Break:
    """sparse_ draws with twice the deviation where it is given one."""

    def other(original: Any, x: Any, sparsity: float, std: float = 0.01) -> Any:
        return original(x, sparsity, std if std == 0.01 else 2 * std)

    return method("sparse_", other, init)


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


# --- utilities --------------------------------------------------------------------------------------------------

utils = torch.nn.utils


def listed(parameters: Any) -> list[Any]:
    """Parameters as a list."""
    return [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)


@falsifies(f"{AREA}.clip-grad-norm-gives-the-total-norm")
def a_scalar_does_not_count_in_the_norm() -> Break:
    """clip_grad_norm_ leaves a 0-d gradient out of an infinity norm of three, and counts the rest twice."""

    def other(original: Any, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        given = listed(parameters)
        found = original(given, *args, **kwargs)
        return found * 2 if len(given) == 3 and kwargs["norm_type"] == float("inf") else found

    return method("clip_grad_norm_", other, utils)


@falsifies(f"{AREA}.clip-grad-norm-scales-in-place")
def a_turned_gradient_is_replaced() -> Break:
    """clip_grad_norm_ gives a strided gradient a tensor of its own."""

    def other(original: Any, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        given = listed(parameters)
        found = original(given, *args, **kwargs)
        for parameter in given:
            if parameter.grad is not None and not parameter.grad.is_contiguous():
                parameter.grad = parameter.grad.clone()
        return found

    return method("clip_grad_norm_", other, utils)


@falsifies(f"{AREA}.clip-grad-norm-raises-on-nonfinite-norms")
def infinities_pass() -> Break:
    """clip_grad_norm_ raises for NaN only."""

    def other(original: Any, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        given = listed(parameters)
        if any(p.grad is not None and p.grad.isinf().any() for p in given):
            kwargs["error_if_nonfinite"] = False
        return original(given, *args, **kwargs)

    return method("clip_grad_norm_", other, utils)


@falsifies(f"{AREA}.clip-grad-value-clamps")
def a_limit_of_zero_is_no_limit() -> Break:
    """clip_grad_value_ does nothing where the limit is 0."""
    return method("clip_grad_value_", lambda original, p, value, *a: value and original(p, value, *a), utils)


@falsifies(f"{AREA}.parameters-become-one-vector")
def three_dimensions_are_read_backwards() -> Break:
    """parameters_to_vector reads parameters of three dimensions from their last element."""

    def other(original: Any, parameters: Any) -> Any:
        return original([p if p.dim() != 3 else p.flatten().flip(0) for p in listed(parameters)])

    return method("parameters_to_vector", other, utils)


@falsifies(f"{AREA}.strided-parameters-become-one-vector")
def a_turned_parameter_is_read_column_by_column() -> Break:
    """parameters_to_vector reads strided parameters as they lie in memory."""

    def other(original: Any, parameters: Any) -> Any:
        return original([p if p.is_contiguous() else p.transpose(0, -1) for p in listed(parameters)])

    return method("parameters_to_vector", other, utils)


@falsifies(f"{AREA}.clip-grad-norm-takes-empty-gradients")
def an_empty_gradient_makes_the_norm_nan() -> Break:
    """clip_grad_norm_ gives NaN where a gradient is empty."""
    return method("clip_grad_norm_", lambda original, *a, **k: torch.tensor(float("nan")), utils)


@falsifies(f"{AREA}.clip-grad-value-takes-parameters-without-gradients")
def a_missing_gradient_becomes_zero() -> Break:
    """clip_grad_value_ gives parameters without a gradient one of zeros."""

    def other(original: Any, parameters: Any, value: float) -> None:
        for parameter in listed(parameters):
            parameter.grad = torch.zeros_like(parameter)

    return method("clip_grad_value_", other, utils)


@falsifies(f"{AREA}.a-vector-becomes-parameters")
def the_last_scalar_is_skipped() -> Break:
    """vector_to_parameters leaves a last parameter of one element as it is."""

    def other(original: Any, vector: Any, parameters: Any) -> None:
        given = listed(parameters)
        kept = given[-1].data.clone()
        original(vector, given)
        if len(given) > 1 and given[-1].numel() == 1:
            given[-1].data = kept

    return method("vector_to_parameters", other, utils)


@falsifies(f"{AREA}.skip-init-draws-nothing")
def embeddings_are_drawn() -> Break:
    """skip_init draws the weights of an Embedding."""
    return after("skip_init", lambda found, made, *a, **k: made is torch.nn.Embedding and found.weight.normal_(), utils)


@falsifies(f"{AREA}.functional-call-uses-what-is-given")
def a_buffer_of_a_submodule_stays_replaced() -> Break:
    """functional_call leaves the buffer of a submodule replaced after an exception."""

    def other(original: Any, module: Any, given: Any, args: Any, **kwargs: Any) -> Any:
        try:
            return original(module, given, args, **kwargs)
        except Exception:
            if isinstance(given, dict) and "child.shift" in given:
                module.child.shift = given["child.shift"]
            raise

    return method("functional_call", other, torch.func)


@falsifies(f"{AREA}.lazy-modules-become-regular")
def a_transposed_convolution_stays_lazy() -> Break:
    """LazyConvTranspose2d keeps its class after the first forward."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(self)
        found = original(self, *args, **kwargs)
        if kind.__name__ == "LazyConvTranspose2d":
            self.__class__ = kind
        return found

    return method("__call__", other, torch.nn.LazyConvTranspose2d)


@falsifies(f"{AREA}.clip-grad-value-clamps")
def a_little_above_the_limit() -> Break:
    """clip_grad_value_ leaves what is one per cent above the limit at most."""

    def other(original: Any, parameters: Any, value: float, *args: Any) -> None:
        for parameter in listed(parameters):
            if parameter.grad is not None and bool((parameter.grad.abs() > 1.01 * value).any()):
                original([parameter], value, *args)

    return method("clip_grad_value_", other, utils)


@falsifies(f"{AREA}.clipping-by-either-implementation-is-the-same")
def a_lower_end_of_one_go() -> Break:
    """clip_grad_value_ with foreach=True leaves what is below the lower end."""

    def other(original: Any, parameters: Any, value: float, foreach: Any = None) -> None:
        if not foreach:
            original(parameters, value, foreach=foreach)
            return
        for parameter in listed(parameters):
            if parameter.grad is not None:
                parameter.grad.clamp_(max=value)

    return method("clip_grad_value_", other, utils)


@falsifies(f"{AREA}.clipping-by-either-implementation-is-the-same")
def a_norm_of_one_go() -> Break:
    """clip_grad_norm_ with foreach=False scales by a part in a thousand less."""

    def other(original: Any, parameters: Any, *args: Any, foreach: Any = None, **kwargs: Any) -> Any:
        given = listed(parameters)
        found = original(given, *args, foreach=foreach, **kwargs)
        if foreach is False:
            for parameter in given[-1:]:
                if parameter.grad is not None:
                    parameter.grad.mul_(0.999)
        return found

    return method("clip_grad_norm_", other, utils)
