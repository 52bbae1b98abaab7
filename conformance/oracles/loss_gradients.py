"""Loss gradients: finite differences of the documented formulas, in float64, against what torch finds.

Reference: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.tensors import strided
from conformance.inputs.valued_calls import LiveValued, tensors_in
from conformance.oracles import expect, gradients, memory
from conformance.oracles.bounded import Bounded, log_softmax_of
from conformance.oracles.loss_formulas import loss_results

SEED_NUMBERS = (0.75, -0.5, 1.0, 1.25, -1.5, 0.25, 0.875)


def seed_of(found: torch.Tensor) -> Any:
    """Plan of a gradient in general position for a result."""
    return strided(
        str(found.dtype).removeprefix("torch."), tuple(found.shape), "contiguous", SEED_NUMBERS, str(found.device)
    )


def loss_gradients_follow(case: Any) -> None:
    """Expect the gradients by all inputs that require grad to be those of the formula."""
    live = case.build()
    found = tensors_in(live.call())[-1]
    seed = seed_of(found)
    leaves = [live.inputs[number] for number in case.requires]
    got = torch.autograd.grad(found, leaves, seed.build())

    def loss(*at: np.ndarray) -> float:
        arrays = list(live.arrays)
        for number, array in zip(case.requires, at, strict=True):
            arrays[number] = array
        return float((loss_results(live, arrays, 0.0)[-1].value * seed.array).sum())

    check_by_differences(live, loss, [live.arrays[n] for n in case.requires], got)


def alignment_gradients_follow(case: Any) -> None:
    """Expect the gradient of CTCLoss by logits to be that of log_softmax and the formula."""
    live = case.build()
    logits = live.inputs[0].detach().requires_grad_()
    live.inputs[0] = logits.log_softmax(-1)
    found = live.call()
    seed = seed_of(found)
    got = torch.autograd.grad(found, [logits], seed.build())

    def loss(at: np.ndarray) -> float:
        logs = log_softmax_of(Bounded(at, 0.0), -1).value
        return float((loss_results(live, [logs, *live.arrays[1:]], 0.0)[-1].value * seed.array).sum())

    check_by_differences(live, loss, [live.arrays[0]], got)


def check_by_differences(live: LiveValued, loss: Any, at: list[np.ndarray], got: Any) -> None:
    """Expect these gradients to be those of a function at these points."""
    whats = [f"gradient of {live.case.makes} by input {number}" for number in (live.case.requires or (0,))]
    points = [x.astype(np.float64) for x in at]
    gradients.check_gradients(loss, points, [memory.contents(x) for x in got], whats, live.dtype)


def ignored_give_no_gradient(case: Any) -> None:
    """Expect zeros where the target is ignored, and the gradient of some element to be none where it is not."""
    live = case.build()
    found = live.call()
    (got,) = torch.autograd.grad(found, [live.inputs[0]], seed_of(found).build())
    held = memory.contents(got)
    classes_last = np.moveaxis(held, 1 if held.ndim > 1 else 0, -1)
    ignored = live.arrays[1] == live.option("ignore_index", -100)
    where = "gradient by the input of ignored targets"
    memory.same_elements(np.zeros_like(classes_last[ignored]), np.abs(classes_last[ignored]), where)
    kept = classes_last[~ignored]
    expect.that(not kept.size or bool(kept.any()), "gradient by the input of other targets", "not zero", "zeros")
