"""Pruned model: which numbers of a weight are taken away, in NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.l1_unstructured.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.pruned_layers import PRUNED_SHAPE, PRUNING_MASK, PrunedLayer, pruning
from conformance.oracles import expect, memory


def kept_after(step: str, scores: np.ndarray, kept: np.ndarray) -> np.ndarray | None:
    """What a step leaves of what is left; None where chance decides."""
    name, _, rest = step.partition("(")
    if name == "identity":
        return kept
    if name == "custom_from_mask":
        found: np.ndarray = kept & np.array(PRUNING_MASK).reshape(PRUNED_SHAPE)
        return found
    options = eval(f"dict({rest}", {"dict": dict, "float": float})
    if name.startswith("random"):
        return None
    amount = options["amount"]
    found = kept.copy()
    if name == "l1_unstructured":
        count = amount if isinstance(amount, int) else round(amount * int(kept.sum()))
        order = np.argsort(np.where(kept, scores, np.inf), axis=None)
        found.reshape(-1)[order[:count]] = False
        return found
    dim, n = options["dim"], options["n"]
    slices = np.moveaxis(np.abs(scores), dim, 0).reshape(scores.shape[dim], -1)
    left = np.moveaxis(kept, dim, 0).reshape(scores.shape[dim], -1).any(1)
    norms = slices.max(1) if n == float("inf") else (slices**n).sum(1) ** (1 / n)
    count = amount if isinstance(amount, int) else round(amount * int(left.sum()))
    for place in np.argsort(np.where(left, norms, np.inf))[:count]:
        np.moveaxis(found, dim, 0)[place] = False
    return found


def pruned_by_chance(step: str, before: np.ndarray, found: np.ndarray) -> None:
    """Expect as many numbers, or whole slices, taken away of what was left as the step says."""
    name, _, rest = step.partition("(")
    options = eval(f"dict({rest}", {"dict": dict})
    expect.equal(False, bool((found & ~before).any()), f"whether {step} has put back what was taken away")
    left: Any = before
    now: Any = found
    if name == "random_structured":
        dim = options["dim"]
        left, now = (np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1) for x in (before, found))
        expect.equal(True, bool((now.all(1) | ~now.any(1)).all()), f"whether {step} takes whole slices")
        left, now = left.any(1), now.any(1)
    amount = options["amount"]
    count = amount if isinstance(amount, int) else round(amount * int(left.sum()))
    expect.equal(int(left.sum()) - count, int(now.sum()), f"what {step} leaves")


def is_pruned_by_steps(case: PrunedLayer) -> None:
    """Expect after each step its mask, the original in its place, and the weight where the mask is not zero."""
    module, kept = case.plain(), np.ones(PRUNED_SHAPE, bool)
    parameter = module.weight
    for number, step in enumerate(case.steps):
        expect.same_object(module, case.step(module, number), f"what {step} returns")
        found = memory.contents(module.weight_mask).astype(bool)
        wanted = kept_after(step, case.scores(), kept)
        if wanted is None:
            pruned_by_chance(step, kept, found)
        else:
            memory.same_elements(wanted.astype(float), found.astype(float), f"mask after {step}")
        kept = found
        weight = np.where(kept, case.weight(), 0.0)
        magnitudes = np.abs(memory.contents(module.weight.detach())).astype("float64")
        memory.same_elements(np.abs(weight), magnitudes, f"magnitudes of the weight after {step}")
    expect.same_object(parameter, module.weight_orig, "weight_orig")
    expect.equal({"bias", "weight_orig"}, {name for name, _ in module.named_parameters()}, "names of the parameters")
    expect.equal(["weight_mask"], [name for name, _ in module.named_buffers()], "names of the buffers")
    expect.equal(True, pruning().is_pruned(module), "is_pruned")
    expect.equal(
        True, pruning().is_pruned(torch.nn.Sequential(torch.nn.Identity(), module)), "is_pruned of a container"
    )
    expect.equal(False, pruning().is_pruned(case.plain()), "is_pruned of a plain layer")


def stays_pruned(case: PrunedLayer) -> None:
    """Expect the weight of each forward to be the original under the mask, and its gradient too."""
    module = case.build()
    kept = memory.contents(module.weight_mask).astype(bool)
    with torch.no_grad():
        module.weight_orig.mul_(2)
    x = torch.ones(2, 6, dtype=module.bias.dtype, device=case.device)
    module(x).sum().backward()
    weight = np.where(kept, case.weight() * 2, 0.0)
    memory.same_elements(np.abs(weight), np.abs(memory.contents(module.weight.detach())).astype("float64"), "weight")
    gradient = memory.contents(expect.tensor(module.weight_orig.grad, "gradient of weight_orig")).astype("float64")
    memory.same_elements(np.where(kept, 2.0, 0.0), np.abs(gradient), "gradient of weight_orig")


def is_removed(case: PrunedLayer) -> None:
    """Expect a plain layer with the pruned weight as its parameter."""
    module = case.build()
    kept = memory.contents(module.weight_mask).astype(bool)
    expect.same_object(module, pruning().remove(module, "weight"), "what remove returns")
    expect.equal({"weight", "bias"}, {name for name, _ in module.named_parameters()}, "names of the parameters")
    expect.equal([], list(module.named_buffers()), "buffers")
    expect.equal(False, pruning().is_pruned(module), "is_pruned")
    weight = np.abs(memory.contents(module.weight.detach())).astype("float64")
    memory.same_elements(np.where(kept, np.abs(case.weight()), 0.0), weight, "weight")
    with torch.no_grad():
        module.weight.fill_(1)
        module(torch.ones(1, 6, dtype=module.bias.dtype, device=case.device))
    expect.equal(24, int(torch.count_nonzero(module.weight)), "numbers of the weight that are not zero, once set")


def is_pruned_together(case: PrunedLayer) -> None:
    """Expect the numbers of the lowest magnitude of two layers together to be taken away."""
    first, second = case.plain(), case.plain()
    with torch.no_grad():
        second.weight.mul_(1.5).add_(0.25)
    amount: Any = 10 if case.dtype == "float32" else 0.25
    tool: Any = pruning()
    tool.global_unstructured([(first, "weight"), (second, "weight")], tool.L1Unstructured, amount=amount)
    weights = [case.weight(), case.weight() * 1.5 + 0.25]
    scores = np.abs(np.concatenate([x.ravel() for x in weights]))
    kept = np.ones(48, bool)
    kept[np.argsort(scores, kind="stable")[: 10 if amount == 10 else 12]] = False
    for number, module in enumerate((first, second)):
        wanted = kept[24 * number : 24 * number + 24].reshape(PRUNED_SHAPE)
        memory.same_elements(wanted.astype("float64"), memory.contents(module.weight_mask).astype("float64"), "mask")
