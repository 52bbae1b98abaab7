"""Breaks of the calls of single layers: their results, gradients, modes and running statistics."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies, patched


def instead(condition: Any, other: Any) -> Any:
    """A break of forward: another result where a condition on module and operand holds."""

    def make(original: Any) -> Any:
        def forward(self: Any, x: Any, *rest: Any, **options: Any) -> Any:
            if condition(self, x):
                return other(original, self, x, *rest, **options)
            return original(self, x, *rest, **options)

        return forward

    return make


@falsifies("layers.result-has-the-documented-shape", subject="AvgPool2d")
def the_last_row_of_an_unbatched_ceiling():
    """AvgPool2d with ceil_mode loses the last row of an operand without batch."""
    change = instead(lambda m, x: m.ceil_mode and x.dim() == 3, lambda original, m, x: original(m, x)[:, :-1])
    return patched(nn.AvgPool2d, "forward", change)


@falsifies("layers.result-has-the-documented-shape", subject="LSTM")
def a_cell_state_as_wide_as_the_projection():
    """LSTM with a projection gives a cell state of the projection's size for an operand without batch."""

    def narrow(original: Any, module: Any, x: Any) -> Any:
        found, (h, c) = original(module, x)
        return found, (h, c[..., : module.proj_size])

    return patched(nn.LSTM, "forward", instead(lambda m, x: m.proj_size and x.dim() == 2, narrow))


@falsifies("layers.equals-its-functional-form", subject="Conv2d")
def groups_in_evaluation_a_little_off():
    """Conv2d with groups is off by a thousandth in evaluation."""
    change = instead(lambda m, x: m.groups > 1 and not m.training, lambda original, m, x: original(m, x) * 1.001)
    return patched(nn.Conv2d, "forward", change)


@falsifies("layers.equals-its-functional-form", subject="CrossEntropyLoss")
def an_ignored_class_smoothed():
    """CrossEntropyLoss forgets label_smoothing for operands with more dimensions."""

    def forget(original: Any, module: Any, x: Any, y: Any) -> Any:
        return functional.cross_entropy(x, y, reduction=module.reduction)

    return patched(nn.CrossEntropyLoss, "forward", instead(lambda m, x: m.label_smoothing and x.dim() == 3, forget))


@falsifies("layers.equals-its-functional-form", subject="Embedding")
def rows_too_long_left_as_they_are():
    """Embedding renormalises no row where the operand has no dimensions."""

    def long(original: Any, module: Any, x: Any) -> Any:
        return functional.embedding(x, module.weight)

    return patched(nn.Embedding, "forward", instead(lambda m, x: m.max_norm is not None and x.dim() == 0, long))


@falsifies("layers.gradients-equal-those-of-the-functional-form", subject="Embedding")
def a_padding_that_learns():
    """Embedding gives the row that is its padding a gradient."""

    def learning(original: Any, module: Any, x: Any) -> Any:
        return functional.embedding(x, module.weight)

    return patched(nn.Embedding, "forward", instead(lambda m, x: m.padding_idx is not None, learning))


@falsifies("layers.layout-of-an-operand-does-not-matter", subject="GELU")
def a_transposed_operand_read_backwards():
    """GELU reads an operand whose last stride is not 1 from its end."""

    def backwards(original: Any, module: Any, x: Any) -> Any:
        return original(module, x.reshape(-1).flip(0).reshape(x.shape))

    return patched(nn.GELU, "forward", instead(lambda m, x: x.dim() == 3 and x.stride(-1) != 1, backwards))


@falsifies("layers.layout-of-an-operand-does-not-matter", subject="TransformerEncoderLayer")
def attention_to_an_offset_operand_is_coarser():
    """TransformerEncoderLayer loses some bits of an operand that does not begin its storage."""

    def coarser(original: Any, module: Any, x: Any, *args: Any, **options: Any) -> Any:
        return original(module, x, *args, **options) * (1 + 2e-5)

    when = instead(lambda m, x, *args, **options: bool(x.storage_offset()), coarser)
    return patched(nn.TransformerEncoderLayer, "forward", when)


@falsifies("layers.calls-leave-operands-alone", subject="Softmax")
def an_operand_shifted():
    """Softmax adds to an operand of three dimensions what does not change the result."""

    def shift(original: Any, module: Any, x: Any) -> Any:
        found = original(module, x)
        with torch.no_grad():
            x.add_(1)
        return found

    return patched(nn.Softmax, "forward", instead(lambda m, x: x.dim() == 3, shift))


@falsifies("layers.in-place-writes-the-operand", subject="ELU")
def a_scalar_not_written():
    """ELU with inplace gives another tensor where the operand has no dimensions."""

    def elsewhere(original: Any, module: Any, x: Any) -> Any:
        return functional.elu(x, module.alpha)

    return patched(nn.ELU, "forward", instead(lambda m, x: m.inplace and x.dim() == 0, elsewhere))


@falsifies("layers.gradients-reach-parameters-and-operands", subject="LayerNorm")
def a_bias_detached_for_three_dimensions():
    """LayerNorm takes its bias detached for an operand of three dimensions."""

    def detached(original: Any, module: Any, x: Any) -> Any:
        return functional.layer_norm(x, module.normalized_shape, module.weight, module.bias.detach(), module.eps)

    return patched(nn.LayerNorm, "forward", instead(lambda m, x: m.bias is not None and x.dim() == 3, detached))


@falsifies("layers.evaluation-is-deterministic", subject="Dropout2d")
def a_number_drawn_in_evaluation():
    """Dropout2d with a large p draws a number in evaluation, and does nothing with it."""

    def drawing(original: Any, module: Any, x: Any) -> Any:
        torch.rand((), device=x.device)
        return original(module, x)

    return patched(nn.Dropout2d, "forward", instead(lambda m, x: not m.training and m.p > 0.5, drawing))


@falsifies("layers.evaluation-is-deterministic", subject="BatchNorm1d")
def a_batch_counted_in_evaluation():
    """BatchNorm1d counts a batch in evaluation where momentum is None."""

    def count(original: Any, module: Any, x: Any) -> Any:
        module.num_batches_tracked.add_(1)
        return original(module, x)

    return patched(nn.BatchNorm1d, "forward", instead(lambda m, x: not m.training and m.momentum is None, count))


@falsifies("layers.training-draws-from-the-generator", subject="GRU")
def a_seed_of_its_own():
    """A GRU with dropout draws from the same seed on at each call."""

    def seeded(original: Any, module: Any, x: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return original(module, x)

    return patched(nn.GRU, "forward", instead(lambda m, x: m.dropout and m.training, seeded))


@falsifies("layers.modes-differ-where-documented", subject="InstanceNorm2d")
def instances_normalised_by_themselves_in_evaluation():
    """An affine InstanceNorm2d that tracks statistics does not use them in evaluation."""

    def alone(original: Any, module: Any, x: Any) -> Any:
        kept, module.training = module.training, True
        try:
            return original(module, x)
        finally:
            module.training = kept

    condition = instead(lambda m, x: m.affine and m.track_running_stats and not m.training, alone)
    return patched(nn.InstanceNorm2d, "forward", condition)


@falsifies("layers.modes-agree-elsewhere", subject="GroupNorm")
def a_group_of_one_scaled_in_evaluation():
    """GroupNorm with one channel a group is off by a thousandth in evaluation."""

    def scaled(original: Any, module: Any, x: Any) -> Any:
        return original(module, x) * 1.001

    condition = instead(lambda m, x: m.num_groups == m.num_channels and not m.training, scaled)
    return patched(nn.GroupNorm, "forward", condition)


@falsifies("layers.running-statistics-move-in-training-only", subject="BatchNorm1d")
def a_biased_variance_averaged():
    """BatchNorm1d averages the biased variance where momentum is None."""

    def biased(original: Any, module: Any, x: Any) -> Any:
        before = module.running_var.clone()
        found = original(module, x)
        part, count = 1 / float(module.num_batches_tracked), x.numel() // x.shape[1]
        module.running_var -= (module.running_var - (1 - part) * before) / count
        return found

    return patched(nn.BatchNorm1d, "forward", instead(lambda m, x: m.training and m.momentum is None, biased))


@falsifies("layers.running-statistics-move-in-training-only", subject="BatchNorm3d")
def the_second_batch_forgotten():
    """BatchNorm3d does not count the second batch and those after it."""

    def forgets(original: Any, module: Any, x: Any) -> Any:
        found = original(module, x)
        module.num_batches_tracked.sub_(module.num_batches_tracked > 4)
        return found

    condition = instead(lambda m, x: m.training and m.track_running_stats and m.momentum is not None, forgets)
    return patched(nn.BatchNorm3d, "forward", condition)


@falsifies("layers.normalisation-takes-the-biased-variance", subject="BatchNorm2d")
def an_unbiased_variance_without_weights():
    """A BatchNorm2d without weights normalises with the unbiased variance."""

    def unbiased(original: Any, module: Any, x: Any) -> Any:
        count = x.numel() // x.shape[1]
        return original(module, x) * ((count - 1) / count) ** 0.5

    return patched(nn.BatchNorm2d, "forward", instead(lambda m, x: m.training and not m.affine, unbiased))


@falsifies("layers.deep-copies-are-independent", subject="LSTM")
def weights_of_a_copy_that_nobody_sees() -> Any:
    """A copy of an LSTM computes with weights beside its parameters, which hold the same numbers."""

    def change(call: Any, self: Any, state: Any) -> None:
        call(self, state)
        self._flat_weights = [weight.detach().clone() for weight in self._flat_weights if weight is not None]

    return method("__setstate__", change, torch.nn.RNNBase)


@falsifies("layers.saved-module-round-trip", subject="GRU")
def weights_of_the_last_layer_that_nobody_sees() -> Any:
    """A GRU that was saved computes with a last weight beside its parameters."""

    def change(call: Any, self: Any, state: Any) -> None:
        call(self, state)
        self._flat_weights = [*self._flat_weights[:-1], self._flat_weights[-1].detach().clone()]

    return method("__setstate__", change, torch.nn.RNNBase)
