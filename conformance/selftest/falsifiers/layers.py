"""Breaks of single layers: of their state, what becomes of it in files and copies, and of their conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from conformance.selftest.falsifying import falsifies, patched


def afterwards(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """A break that lets a method run and then changes the module, or what it returned."""

    def make(original: Any) -> Any:
        def broken(self: Any, *args: Any, **options: Any) -> Any:
            found = original(self, *args, **options)
            changed = change(self, found)
            return found if changed is None else changed

        return broken

    return make


@falsifies("layers.state-as-documented", subject="BatchNorm2d")
def a_scale_where_there_is_no_weight():
    """A BatchNorm2d that is not affine has a buffer of its own beside."""
    change = afterwards(lambda m, _: m.affine or m.register_buffer("scale", torch.ones(m.num_features)))
    return patched(nn.BatchNorm2d, "__init__", change)


@falsifies("layers.state-as-documented", subject="LSTM")
def the_projection_of_the_other_way_round():
    """An LSTM with projections has them transposed."""

    def change(module: Any, found: Any) -> None:
        if module.proj_size:
            module.weight_hr_l0 = nn.Parameter(module.weight_hr_l0.detach().t().contiguous())

    return patched(nn.LSTM, "__init__", afterwards(change))


@falsifies("layers.first-values-as-documented", subject="Linear")
def a_single_bias_beyond_its_bound():
    """The bias of a Linear with one output is drawn from a range that is too wide."""

    def change(module: Any, found: Any) -> None:
        if module.out_features == 1:
            nn.init.constant_(module.bias, 1.01 * module.in_features**-0.5)

    return patched(nn.Linear, "reset_parameters", afterwards(change))


@falsifies("layers.built-of-the-type-asked-for", subject="BatchNorm1d")
def a_running_variance_of_the_default_type():
    """A BatchNorm1d with a cumulative average keeps running_var in float32."""

    def change(module: Any, found: Any) -> None:
        if module.momentum is None:
            module.running_var = module.running_var.float()

    return patched(nn.BatchNorm1d, "__init__", afterwards(change))


@falsifies("layers.state-dict-round-trip", subject="InstanceNorm1d")
def a_running_mean_that_is_the_other_s():
    """Loading puts running_mean of the dictionary in the place of the module's, where the module is affine."""

    def make(original: Any) -> Any:
        def _load_from_state_dict(self: Any, state: Any, prefix: str, *rest: Any) -> None:
            original(self, state, prefix, *rest)
            if self.affine and self.track_running_stats:
                self.running_mean = state[f"{prefix}running_mean"]

        return _load_from_state_dict

    return patched(nn.InstanceNorm1d, "_load_from_state_dict", make)


@falsifies("layers.saved-state-round-trip", subject="GRU")
def the_last_bias_of_a_file_lost():
    """torch.load zeroes what is called bias_hh of the second layer, backwards."""

    def make(original: Any) -> Any:
        def load(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            if isinstance(found, dict) and "bias_hh_l1_reverse" in found:
                found["bias_hh_l1_reverse"].zero_()
            return found

        return load

    return patched(torch, "load", make)


@falsifies("layers.saved-module-round-trip", subject="Dropout")
def the_mode_lost_in_a_file():
    """A Dropout that was saved in evaluation is in training once it is loaded."""
    return patched(nn.Dropout, "__setstate__", afterwards(lambda m, _: setattr(m, "training", True)))


@falsifies("layers.saved-module-round-trip", subject="Softplus")
def an_argument_lost_in_a_file():
    """A Softplus forgets its threshold in a file."""
    return patched(nn.Softplus, "__setstate__", afterwards(lambda m, _: setattr(m, "threshold", 20.0)))


@falsifies("layers.deep-copies-are-independent", subject="PReLU")
def one_slope_for_a_module_and_its_copy():
    """A parameter of one element is not copied."""

    def make(original: Any) -> Any:
        def copied(self: Any, memo: Any) -> Any:
            return self if self.numel() == 1 else original(self, memo)

        return copied

    return patched(nn.Parameter, "__deepcopy__", make)


@falsifies("layers.follows-to", subject="BatchNorm3d")
def a_running_variance_left_behind():
    """to(dtype) leaves running_var of a BatchNorm3d without weights in float32."""

    def change(module: Any, found: Any) -> None:
        if not module.affine:
            module.running_var = module.running_var.float()

    return patched(nn.BatchNorm3d, "_apply", afterwards(change))


@falsifies("layers.follows-named-casts", subject="EmbeddingBag")
def a_bag_of_halves_stays_in_single_precision():
    """half() leaves the table of an EmbeddingBag that takes the maximum in float32."""

    def change(module: Any, found: Any) -> None:
        if module.mode == "max" and module.weight.dtype == torch.float16:
            module.weight.data = module.weight.data.float()

    return patched(nn.EmbeddingBag, "_apply", afterwards(change))


@falsifies("layers.follows-named-casts", subject="Linear")
def halves_are_cut_off():
    """half() cuts the numbers of a Linear off in the place of rounding them up."""

    def make(original: Any) -> Any:
        def half(self: Any) -> Any:
            before = [x.detach().clone() for x in self.parameters()]
            original(self)
            for parameter, wide in zip(self.parameters(), before, strict=True):
                above = parameter.data.to(wide.dtype).abs() > wide.abs()
                parameter.data = torch.where(above, parameter.data.nextafter(parameter.data * 0), parameter.data)
            return self

        return half

    return patched(nn.Linear, "half", make)


@falsifies("layers.follows-to-a-device", subject="Embedding")
def an_embedding_frozen_on_its_way():
    """to(device) freezes an Embedding that has a padding index."""

    def change(module: Any, found: Any) -> None:
        if module.padding_idx is not None:
            module.weight.requires_grad_(False)

    return patched(nn.Embedding, "_apply", afterwards(change))


@falsifies("layers.repr-shows-the-arguments", subject="Conv1d")
def a_dilation_not_shown():
    """extra_repr of a Conv1d leaves its dilation out."""
    return patched(nn.Conv1d, "extra_repr", afterwards(lambda m, text: text.replace(", dilation=(2,)", "")))


@falsifies("layers.lazy-modules-become-regular", subject="LazyConv1d")
def a_lazy_weight_without_gradient():
    """The weight of a LazyConv1d without bias does not require grad once it is there."""

    def change(module: Any, found: Any) -> None:
        if module.bias is None:
            module.weight.requires_grad_(False)

    return patched(nn.LazyConv1d, "initialize_parameters", afterwards(change))


@falsifies("layers.lazy-modules-become-regular", subject="LazyBatchNorm2d")
def a_lazy_eps_forgotten():
    """A LazyBatchNorm2d takes the default eps at its first call."""
    return patched(nn.LazyBatchNorm2d, "initialize_parameters", afterwards(lambda m, _: setattr(m, "eps", 1e-5)))


@falsifies("layers.trees-of-layers-load-their-state")
def a_slope_two_deep_not_loaded():
    """A PReLU that is nested two deep does not load its weight, and reports nothing."""

    def make(original: Any) -> Any:
        def _load_from_state_dict(self: Any, state: Any, prefix: str, *rest: Any) -> None:
            if prefix.count(".") < 2:
                original(self, state, prefix, *rest)

        return _load_from_state_dict

    return patched(nn.PReLU, "_load_from_state_dict", make)


@falsifies("layers.trees-of-layers-are-saved-and-loaded")
def padding_of_a_loaded_tree_zeroed():
    """torch.load of a tree zeroes the row of an Embedding that is its padding."""

    def make(original: Any) -> Any:
        def load(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            with torch.no_grad():
                for module in found.modules() if isinstance(found, nn.Module) else ():
                    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                        module.weight[module.padding_idx] = 0
            return found

        return load

    return patched(torch, "load", make)


@falsifies("layers.trees-of-layers-are-copied")
def a_slope_shared_by_copied_trees():
    """A parameter of one element is not copied with the tree that it belongs to."""

    def make(original: Any) -> Any:
        def copied(self: Any, memo: Any) -> Any:
            return self if self.numel() == 1 else original(self, memo)

        return copied

    return patched(nn.Parameter, "__deepcopy__", make)
