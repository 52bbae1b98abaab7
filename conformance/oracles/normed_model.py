"""Normed model: what weight and spectral normalization make of a weight, in NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.normed_weights import SEPARATED, NormedLayer
from conformance.inputs.orthogonal_layers import OrthogonalLayer
from conformance.oracles import expect, memory

EPSILONS = {"float64": 2.0**-52, "float32": 2.0**-23}


def norm_over(case: NormedLayer, v: np.ndarray) -> np.ndarray:
    """The norm of each slice along the dimension, in a shape that spreads; of the whole where that is None."""
    axes = None if case.dim is None else tuple(n for n in range(v.ndim) if n != case.dim)
    found: np.ndarray = np.sqrt((v**2).sum(axes, keepdims=case.dim is not None))
    return found


def near_weight(case: NormedLayer, expected: Any, found: Any, what: str, more: float = 1.0) -> None:
    """Expect numbers within the rounding of a norm of so many terms, a quotient and a product.

    The sum of n squares is off by up to n eps / 2 of itself, its root by half of that and one rounding; quotient and
    product add one rounding each. ``more`` is how much of the largest number may be lost where terms cancel.
    """
    found = expect.tensor(found, what).detach()
    expect.equal(getattr(torch, case.dtype), found.dtype, f"type of {what}")
    got, wanted = memory.contents(found).astype("float64"), np.asarray(expected)
    expect.equal(wanted.shape, got.shape, f"shape of {what}")
    bound = more * (wanted.size + 6) * EPSILONS[case.dtype] * max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    distance = float(np.abs(got - wanted).max(initial=0.0))
    expect.that(distance <= bound, what, f"within {bound:.3g} of {wanted.tolist()}", got.tolist())


def is_normed(case: NormedLayer) -> None:
    """Expect the weight as before, magnitudes that are its norms, and after a change the weight by the formula."""
    plain = case.plain()
    module = case.apply(plain)
    expect.same_object(plain, module, "what weight_norm returns")
    weight = case.weight()
    near_weight(case, weight, module.weight, "weight after registration")
    magnitude, direction = case.parts(module)
    near_weight(case, norm_over(case, weight), magnitude, "magnitude")
    near_weight(case, weight, direction, "direction")
    for name, part in (("magnitude", magnitude), ("direction", direction)):
        expect.equal(True, isinstance(part, torch.nn.Parameter) and part.requires_grad, f"whether {name} learns")
    with torch.no_grad():
        magnitude.mul_(2).add_(1)
        direction.mul_(0.5).add_(0.25)
    module(case.input())
    g, v = norm_over(case, weight) * 2 + 1, weight * 0.5 + 0.25
    near_weight(case, g * v / norm_over(case, v), module.weight, "weight after a forward with other parts", more=4)


def parts_learn(case: NormedLayer) -> None:
    """Expect the gradients of magnitude and direction by their closed forms."""
    module, weight = case.build(), case.weight()
    rates = np.cos(np.arange(weight.size, dtype=np.float64)).reshape(weight.shape)
    factor = torch.tensor(rates.tolist(), dtype=getattr(torch, case.dtype), device=case.device)
    (module.weight * factor).sum().backward()
    magnitude, direction = case.parts(module)
    norm = norm_over(case, weight)
    axes = None if case.dim is None else tuple(n for n in range(weight.ndim) if n != case.dim)
    along = (rates * weight).sum(axes, keepdims=case.dim is not None)
    near_weight(case, along / norm, magnitude.grad, "gradient of the magnitude", more=16)
    wanted = rates - weight * along / norm**2
    near_weight(case, wanted, direction.grad, "gradient of the direction", more=16)


def is_plain_again(case: NormedLayer) -> None:
    """Expect the layer that it was, with its weight as a Parameter, and what it gives."""
    module = case.build()
    keys = set(case.plain().state_dict())
    if case.way == "hook":
        remove = torch.nn.utils.remove_weight_norm if case.norm == "weight" else torch.nn.utils.remove_spectral_norm
        remove(module)
    else:
        torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
    expect.equal(keys, set(module.state_dict()), "keys of state_dict()")
    expect.equal(True, isinstance(module.weight, torch.nn.Parameter), "whether the weight is a Parameter")
    expect.equal(0, len(module._forward_pre_hooks), "number of forward pre-hooks")
    with torch.no_grad():
        module.weight.zero_()
        module(case.input())
    expect.equal(0, int(torch.count_nonzero(module.weight)), "numbers in the weight after it was set to zero")


def has_unit_norm(case: NormedLayer) -> None:
    """Expect the weight divided by its largest singular value, in training mode after many iterations."""
    module = case.build()
    for _ in range(2):
        module(case.input())
    wanted = case.weight() / SEPARATED[0]
    near_weight(case, wanted, module.weight, "weight", more=8)
    module.eval()
    state = {name: memory.contents(x.detach()) for name, x in module.state_dict().items()}
    for _ in range(2):
        module(case.input())
        near_weight(case, wanted, module.weight, "weight in evaluation mode", more=8)
    for name, x in module.state_dict().items():
        memory.same_elements(state[name], memory.contents(x.detach()), f"{name} after forwards in evaluation mode")


def is_orthogonal(case: OrthogonalLayer) -> None:
    """Expect orthonormal rows or columns, whichever are fewer, before and after a change of the original.

    The diagonal of the original holds signs, which no gradient changes.
    """
    module = case.build()
    original = module.parametrizations.weight.original
    for change in (0.0, 0.375):
        with torch.no_grad():
            rows, columns = (torch.arange(n, device=case.device) for n in original.shape[-2:])
            original.add_((rows[:, None] * 2 - columns).abs() % 5 * change * (rows[:, None] != columns))
        weight = memory.contents(module.weight.detach()).astype("float64")
        tall = weight.swapaxes(-1, -2) if weight.shape[-2] < weight.shape[-1] else weight
        products = tall.swapaxes(-1, -2) @ tall
        distance = float(np.abs(products - np.eye(products.shape[-1])).max())
        bound = 64 * tall.shape[-2] * EPSILONS[case.dtype]
        expect.that(distance <= bound, "distance of the products from the identity", f"at most {bound:.3g}", distance)
