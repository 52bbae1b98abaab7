"""Layer gradients: that what a backward pass gives reaches the parameters of a module and its first operand."""

from __future__ import annotations

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.inputs.layer_uses import LayerUse
from conformance.inputs.tensors import corner
from conformance.oracles import memory
from conformance.oracles.expect import Mismatch, equal, that
from conformance.oracles.layer_calls import counterpart_result, flat_results
from conformance.oracles.layer_state import alike_results


def reach(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect gradients of every parameter, and of the first operand where it has one."""
    first, *rest = case.operands()
    floating = first.is_floating_point() or first.is_complex()
    with case.seeded():
        # a leaf cannot be written in place
        found = flat_results(module(first.requires_grad_() * 1 if floating else first, *rest))
    results = [tensor for tensor in found if tensor.requires_grad]
    that(bool(results), "results", "one at least that requires grad", "none")
    weighted = [_weighted(tensor) for tensor in results]
    torch.stack(weighted).sum().backward()
    for name, tensor in [*module.named_parameters(), *([("the first operand", first)] if floating else [])]:
        arrives(tensor, name)


def same_gradients(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect the functional counterpart to have the gradients that the module has, of first operand and parameters."""
    gradients = []
    for functional in (True, False):
        first, *rest = case.operands()
        floating = [first.requires_grad_()] if first.is_floating_point() or first.is_complex() else []
        given = [first * 1 if floating else first, *rest]  # a leaf cannot be written in place
        with case.seeded():
            found = flat_results(counterpart_result(case, module, given) if functional else module(*given))
        total = torch.stack([_weighted(tensor) for tensor in found if tensor.requires_grad]).sum()
        gradients.append(torch.autograd.grad(total, [*floating, *module.parameters()], allow_unused=True))
    names = [*["the first operand"][: len(floating)], *(name for name, _ in module.named_parameters())]
    for name, expected, got in zip(names, *gradients, strict=True):
        equal(expected is None, got is None, f"absence of a gradient of {name}")
        if expected is not None:
            pair = [x.to_dense() if x.is_sparse else x for x in (expected, got)]
            # in place, a derivative is computed from the result, which has lost some digits of the operand
            alike_results(pair[:1], pair[1:], f"gradient of {name}")


def _weighted(tensor: torch.Tensor) -> torch.Tensor:
    """A sum with weights that differ, so that nothing cancels that only the plain sum would make constant."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    dtype, device = dtype_name(real.dtype), str(real.device)
    weights = corner(dtype, tuple(real.shape), "contiguous", "ordinary", "coarse-nonzero", device, 3).build()
    found: torch.Tensor = (real * weights).sum()
    return found


def arrives(tensor: torch.Tensor, name: str) -> None:
    """Expect a gradient of a tensor's shape and type, of finite numbers that are not all zero."""
    gradient = tensor.grad
    if gradient is None:
        raise Mismatch(f"gradient of {name}", "a tensor", "None")
    equal((tuple(tensor.shape), tensor.dtype), (tuple(gradient.shape), gradient.dtype), f"gradient of {name}")
    numbers = memory.contents(gradient.to_dense() if gradient.is_sparse else gradient)
    that(bool(np.isfinite(numbers).all()), f"gradient of {name}", "finite numbers", numbers.tolist())
    that(bool(numbers.any()), f"gradient of {name}", "not zero everywhere", "zeros")
