"""Layer statistics: what a batch norm averages and normalises, by the formula of its documentation in NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layer_uses import LayerUse
from conformance.inputs.tensors import Strided
from conformance.oracles import memory
from conformance.oracles.expect import Mismatch, equal

# Steps in which a mean, a variance or a normalised element may each be rounded: n sums, a division, a root, a product.
ROUNDED_STEPS = 64


def channel_rows(x: np.ndarray) -> np.ndarray:
    """One row of numbers for each channel of a batch."""
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def statistics_after(case: LayerUse, before: dict[str, np.ndarray], calls: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The buffers of a batch norm after these calls in training."""
    after = {name: value.astype(np.float64) for name, value in before.items()}
    momentum = dict(case.bound)["momentum"]
    for x in calls:
        rows = channel_rows(x.astype(np.float64))
        after["num_batches_tracked"] = after["num_batches_tracked"] + 1
        part = 1 / after["num_batches_tracked"] if momentum is None else momentum
        after["running_mean"] = (1 - part) * after["running_mean"] + part * rows.mean(1)
        after["running_var"] = (1 - part) * after["running_var"] + part * rows.var(1, ddof=1)
    return after


def moves_in_training(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect the buffers to follow two calls in training, and no call in evaluation."""
    before = _buffers(module)
    (plan,) = case.plans()
    calls = [plan.array, plan.array[::-1] * 0.5]
    for x in calls:
        module.train()(plan_tensor(case, x))
    expected = statistics_after(case, before, calls) if before else {}
    largest = max([float(np.abs(x).max()) ** 2 for x in (plan.array, *before.values())])
    same_statistics(expected, module, largest, case.dtype)
    after = _buffers(module)
    module.eval()(plan_tensor(case, plan.array))
    for name, value in after.items():
        memory.same_elements(value, _buffers(module)[name], f"{name} after a call in evaluation")


def normalises(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect the normalised batch in training and in evaluation."""
    (plan,) = case.plans()
    tracked = bool(_buffers(module))
    for training in (True, False):
        expected = normalised(case, module, plan.array, training or not tracked)
        found = module.train(training)(plan_tensor(case, plan.array))
        # a difference to the mean is rounded as its terms are, and then multiplied
        scale = float(np.abs(plan.array).max()) / float(dict(case.bound)["eps"]) ** 0.5
        near(expected, memory.contents(found.detach()), scale, case.dtype, f"result with training={training}")


def plan_tensor(case: LayerUse, x: np.ndarray) -> torch.Tensor:
    """A batch as a tensor."""
    return Strided(case.dtype, x.shape, tuple(x.ravel().tolist()), device=case.device).build()


def _buffers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: memory.contents(value) for name, value in module.named_buffers()}


def same_statistics(expected: dict[str, np.ndarray], module: torch.nn.Module, largest: float, dtype: str) -> None:
    """Expect the buffers of a module; ``largest`` is the size of what was summed, whose rounding is left to them."""
    found: dict[str, Any] = {name: memory.contents(value) for name, value in module.named_buffers()}
    equal(sorted(expected), sorted(found), "names of the buffers")
    for name, value in expected.items():
        near(value, found[name].astype(np.float64), largest, dtype, name)


def normalised(case: LayerUse, module: torch.nn.Module, x: np.ndarray, batch: bool) -> np.ndarray:
    """A batch normalised with its own mean and biased variance, or with the running ones."""
    rows = channel_rows(x.astype(np.float64))
    state = {name: memory.contents(value.detach()).astype(np.float64) for name, value in module.named_parameters()}
    if batch:
        mean, variance = rows.mean(1), rows.var(1)
    else:
        buffers = {name: memory.contents(value).astype(np.float64) for name, value in module.named_buffers()}
        mean, variance = buffers["running_mean"], buffers["running_var"]
    weight, bias = state.get("weight", np.ones(len(rows))), state.get("bias", np.zeros(len(rows)))
    shape = (1, -1, *(1,) * (x.ndim - 2))
    scale = weight / np.sqrt(variance + dict(case.bound)["eps"])
    found: np.ndarray = (x - mean.reshape(shape)) * scale.reshape(shape) + bias.reshape(shape)
    return found


def near(expected: Any, found: Any, largest: float, dtype: str, what: str) -> None:
    """Expect numbers that differ by no more than some roundings to the type of what they were computed from."""
    allowed = ROUNDED_STEPS * 2.0 ** -(ELEMENT_TYPES[dtype].mantissa + 1) * max(largest, 1.0)
    wrong = ~(np.abs(np.asarray(expected) - found) <= allowed)
    if wrong.any():
        first = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise Mismatch(
            what, f"{np.asarray(expected)[first].item()!r} (within {allowed:.3g})", f"{found[first].item()!r}",
            f"index {first}",
        )  # fmt: skip
