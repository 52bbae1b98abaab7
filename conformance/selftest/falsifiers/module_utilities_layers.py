"""Breaks of the promises about normed, pruned and fused layers, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.utils.prune

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "module_utilities"
utils = torch.nn.utils
prune = torch.nn.utils.prune
Break = AbstractContextManager[Any]


def made(home: Any, name: str, then: Any) -> Break:
    """Something that happens to the layer that a function has made or changed, by its arguments."""

    def other(original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(module, *args, **kwargs)
        with torch.no_grad():
            then(found, *args, **kwargs)
        return found

    return method(name, other, home)


@falsifies(f"{AREA}.weight-norm-is-the-formula")
def the_whole_norm_of_a_convolution_is_one_too_small() -> Break:
    """The magnitude of a whole weight of four dimensions is halved."""

    def then(found: Any, name: str = "weight", dim: Any = 0) -> None:
        if dim is None and found.weight.dim() == 4:
            found.parametrizations.weight.original0.mul_(0.5)

    return made(utils.parametrizations, "weight_norm", then)


@falsifies(f"{AREA}.hooked-weight-norm-is-the-formula")
def the_weight_of_an_embedding_is_never_recomputed() -> Break:
    """The hook of an Embedding does nothing."""

    def then(found: Any, name: str = "weight", dim: Any = 0) -> None:
        if isinstance(found, torch.nn.Embedding) and dim == 1:
            found._forward_pre_hooks.clear()

    return made(utils, "weight_norm", then)


@falsifies(f"{AREA}.parts-of-weight-norm-get-gradients")
def the_magnitude_of_a_whole_weight_gets_no_gradient() -> Break:
    """The magnitude of a whole weight is frozen."""

    def then(found: Any, name: str = "weight", dim: Any = 0) -> None:
        if dim is None:
            found.parametrizations.weight.original0.register_hook(lambda g: g * 2)

    return made(utils.parametrizations, "weight_norm", then)


@falsifies(f"{AREA}.hooked-parts-of-weight-norm-get-gradients")
def the_direction_gets_half_a_gradient() -> Break:
    """weight_v of a transposed convolution gets half of its gradient along the last dimension."""

    def then(found: Any, name: str = "weight", dim: Any = 0) -> None:
        if isinstance(found, torch.nn.ConvTranspose1d) and dim == 2:
            found.weight_v.register_hook(lambda g: g / 2)

    return made(utils, "weight_norm", then)


@falsifies(f"{AREA}.removed-weight-norm-leaves-a-plain-weight")
def the_hook_of_a_kernel_stays() -> Break:
    """remove_weight_norm leaves a hook on a kernel of four dimensions that does nothing."""

    def other(original: Any, module: Any, name: str = "weight") -> Any:
        found = original(module, name)
        if module.weight.dim() == 4:
            module.register_forward_pre_hook(lambda *given: None)
        return found

    return method("remove_weight_norm", other, utils)


@falsifies(f"{AREA}.weight-norm-loads-the-old-state")
def old_magnitudes_of_a_whole_weight_are_dropped() -> Break:
    """A magnitude without dimensions is not taken from an old state."""

    def other(original: Any, self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        kept = {k: v / 3 if k == "weight_g" and v.dim() == 0 else v for k, v in state.items()}
        return original(self, kept, *args, **kwargs)

    return method("load_state_dict", other, torch.nn.Module)


@falsifies(f"{AREA}.spectral-norm-divides-by-the-largest-singular-value")
def rows_of_a_transposed_convolution_are_taken_for_its_columns() -> Break:
    """The weight of a transposed convolution is normed along its first dimension."""

    def other(original: Any, module: Any, name: str = "weight", iterations: int = 1, *args: Any) -> Any:
        if isinstance(module, torch.nn.ConvTranspose1d):
            return original(module, name, iterations, dim=0)
        return original(module, name, iterations, *args)

    return method("spectral_norm", other, utils.parametrizations)


@falsifies(f"{AREA}.removed-spectral-norm-leaves-a-plain-weight")
def a_buffer_of_the_iteration_stays() -> Break:
    """remove_spectral_norm leaves weight_u in the state of a Conv2d."""

    def other(original: Any, module: Any, name: str = "weight") -> Any:
        found = original(module, name)
        if isinstance(module, torch.nn.Conv2d):
            module.register_buffer("weight_u", torch.zeros(1))
        return found

    return method("remove_spectral_norm", other, utils)


@falsifies(f"{AREA}.pruning-takes-the-lowest")
def a_third_step_counts_what_is_gone() -> Break:
    """l1_unstructured after two others takes one number less than it is told."""

    def other(original: Any, module: Any, name: str, amount: Any, **kwargs: Any) -> Any:
        hooks = list(module._forward_pre_hooks.values())
        if hooks and isinstance(hooks[0], prune.PruningContainer) and isinstance(amount, int):
            amount -= 1
        return original(module, name, amount, **kwargs)

    return method("l1_unstructured", other, prune)


@falsifies(f"{AREA}.pruning-goes-by-importance-scores")
def scores_of_slices_are_ignored() -> Break:
    """ln_structured ignores scores along the second dimension."""

    def other(original: Any, module: Any, name: str, **kwargs: Any) -> Any:
        if kwargs.get("dim") == 1:
            kwargs.pop("importance_scores", None)
        return original(module, name, **kwargs)

    return method("ln_structured", other, prune)


@falsifies(f"{AREA}.pruned-weight-is-computed-before-each-forward")
def a_mask_that_was_given_is_applied_once() -> Break:
    """After custom_from_mask nothing is computed before a forward."""

    def then(found: Any, name: str, mask: Any) -> None:
        found._forward_pre_hooks.clear()

    return made(prune, "custom_from_mask", then)


@falsifies(f"{AREA}.removed-pruning-is-permanent")
def a_whole_mask_gives_the_original_back() -> Break:
    """remove gives one number back where a slice was pruned."""

    def other(original: Any, module: Any, name: str) -> Any:
        mask, before = module.weight_mask.clone(), module.weight_orig.detach().clone()
        found = original(module, name)
        if (mask == 0).all(1).any():
            with torch.no_grad():
                module.weight[(mask == 0).all(1)] = before[(mask == 0).all(1)]
        return found

    return method("remove", other, prune)


@falsifies(f"{AREA}.global-pruning-compares-all-weights")
def fractions_are_taken_of_each_weight() -> Break:
    """global_unstructured takes a fraction of each weight by itself."""

    def other(original: Any, parameters: Any, tool: Any, **kwargs: Any) -> None:
        if isinstance(kwargs["amount"], float):
            for one in parameters:
                original([one], tool, **kwargs)
        else:
            original(parameters, tool, **kwargs)

    return method("global_unstructured", other, prune)


@falsifies(f"{AREA}.fused-convolution-gives-the-same")
def a_large_epsilon_is_left_out() -> Break:
    """fuse_conv_bn_eval takes 1e-5 for the epsilon of a convolution without a bias."""

    def other(original: Any, conv: Any, norm: Any, transpose: bool = False) -> Any:
        kept = norm.eps
        norm.eps = 1e-5 if conv.bias is None else kept
        try:
            return original(conv, norm, transpose)
        finally:
            norm.eps = kept

    return method("fuse_conv_bn_eval", other, utils.fusion)


@falsifies(f"{AREA}.fused-linear-gives-the-same")
def the_linear_itself_is_changed() -> Break:
    """fuse_linear_bn_eval writes into the weight of a Linear without a bias."""

    def other(original: Any, linear: Any, norm: Any) -> Any:
        found = original(linear, norm)
        if linear.bias is None:
            linear.weight.data = found.weight.data
        return found

    return method("fuse_linear_bn_eval", other, utils.fusion)


@falsifies(f"{AREA}.fused-linear-takes-a-norm-without-weight")
def a_norm_without_weight_is_left_out() -> Break:
    """fuse_linear_bn_eval returns a Linear of zeros where the norm has no weight."""
    return method("fuse_linear_bn_eval", lambda original, linear, norm: torch.nn.Linear(2, 1), utils.fusion)


@falsifies(f"{AREA}.orthogonal-weight-is-orthogonal")
def columns_that_are_a_little_longer() -> Break:
    """The product of Householder reflections is scaled by 1.001 where it is wide and not trivialized."""

    def change(call: Any, self: Any, x: Any) -> Any:
        return call(self, x) * (1.001 if x.shape[-2] < x.shape[-1] and not hasattr(self, "base") else 1)

    return method("forward", change, torch.nn.utils.parametrizations._Orthogonal)


@falsifies(f"{AREA}.fused-convolution-may-have-groups")
def a_bias_that_is_lost() -> Break:
    """fuse_conv_bn_eval forgets the bias of a transposed convolution."""

    def change(call: Any, layer: Any, norm: Any, transpose: bool = False) -> Any:
        found = call(layer, norm, transpose)
        if transpose:
            found.bias.data.zero_()
        return found

    return method("fuse_conv_bn_eval", change, torch.nn.utils.fusion)


@falsifies(f"{AREA}.fused-convolution-gives-the-same")
def zeros_around_a_ring() -> Break:
    """fuse_conv_bn_eval makes a convolution that pads with zeros of one that pads with the other end."""

    def change(call: Any, layer: Any, norm: Any, transpose: bool = False) -> Any:
        found = call(layer, norm, transpose)
        found.padding_mode = "zeros"
        return found

    return method("fuse_conv_bn_eval", change, torch.nn.utils.fusion)


@falsifies(f"{AREA}.pruning-takes-the-lowest")
def the_first_dimension_for_the_last() -> Break:
    """random_structured takes the last dimension, counted from the end, for the first."""
    prune = torch.nn.utils.prune

    def change(call: Any, module: Any, name: str, amount: Any, dim: int) -> Any:
        return call(module, name, amount, 0 if dim == -1 else dim)

    return method("random_structured", change, prune)


@falsifies(f"{AREA}.pruning-takes-the-lowest")
def a_container_that_says_no() -> Break:
    """is_pruned says of a container that it is not."""
    prune = torch.nn.utils.prune
    return method("is_pruned", lambda call, module: call(module) and not list(module.children()), prune)
