"""Fused model: a fused layer gives what the pair gives, by the formula of a batch norm in evaluation mode.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fusion.fuse_conv_bn_eval.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.fused_layers import FusedPair
from conformance.oracles import expect, memory
from conformance.oracles.normed_model import EPSILONS


def normed(case: FusedPair, norm: Any, x: np.ndarray) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps) * weight + bias of each channel, in NumPy."""
    spread = (1, -1, *(1,) * (x.ndim - 2))
    mean, variance, *learnt = [
        memory.contents(one.detach()).astype("float64").reshape(spread)
        for one in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        if one is not None
    ]
    found: np.ndarray = (x - mean) / np.sqrt(variance + norm.eps)
    return found * learnt[0] + learnt[1] if learnt else found


def largest(tensor: Any) -> float:
    """The largest magnitude in a tensor, 0 for None."""
    return 0.0 if tensor is None else float(np.abs(memory.contents(tensor.detach())).max(initial=0.0))


def fusing_error(case: FusedPair, layer: Any, norm: Any) -> float:
    """By how much two ways to the same sums may part.

    An output is a sum of k products, each at most the largest weight times the largest input, and the layer's bias and
    the mean beside it; either way is off by at most k and a few roundings of it, then multiplied by weight / deviation.
    """
    terms = layer.weight.numel() // min(layer.weight.shape[:2]) + 6
    whole = terms * largest(layer.weight) * largest(case.input()) + largest(layer.bias) + largest(norm.running_mean)
    deviation = float(np.sqrt(memory.contents(norm.running_var).astype("float64").min() + norm.eps))
    factor = (1.0 if norm.weight is None else largest(norm.weight)) / deviation
    return float(2 * terms * EPSILONS[case.dtype] * (whole * factor + largest(norm.bias)))


def fused_gives_the_same(case: FusedPair) -> None:
    """Expect a new layer of the same class that gives what the norm makes of the layer's result, and both as before.

    The layer's own result is the reference's input, so that sums of the same terms are compared.
    """
    layer, norm = case.build()
    states = [{name: memory.contents(x.detach()) for name, x in m.state_dict().items()} for m in (layer, norm)]
    fusion: Any = torch.nn.utils.fusion
    if case.layer.startswith("Linear"):
        fused = fusion.fuse_linear_bn_eval(layer, norm)
    elif case.transposed:
        fused = fusion.fuse_conv_bn_eval(layer, norm, transpose=True)
    else:
        fused = fusion.fuse_conv_bn_eval(layer, norm)
    expect.equal(type(layer).__name__, type(fused).__name__, "class of the fused layer")
    expect.equal(False, fused is layer, "whether the fused layer is the layer itself")
    x = case.input()
    wanted = normed(case, norm, memory.contents(layer(x).detach()).astype("float64"))
    found = memory.contents(fused(x).detach()).astype("float64")
    expect.equal(wanted.shape, found.shape, "shape of the result")
    bound, distance = fusing_error(case, layer, norm), float(np.abs(wanted - found).max())
    told = f"within {bound:.3g} of {wanted.tolist()}"
    expect.that(distance <= bound, "result of the fused layer", told, found.tolist())
    expect.equal(layer.weight.dtype, fused.weight.dtype, "type of the fused weight")
    for module, state in zip((layer, norm), states, strict=True):
        for name, tensor in module.state_dict().items():
            memory.same_elements(state[name], memory.contents(tensor.detach()), f"{name} of the pair afterwards")
