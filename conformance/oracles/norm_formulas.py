"""Norm formulas: normalisation over batches, layers, groups, instances and channels, and what it keeps.

Reference: https://docs.pytorch.org/docs/stable/nn.html#normalization-layers
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued, state_of
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, follows, near, number_of, over_deviation, stacked, unit_of


def norm_results(live: LiveValued) -> list[Any]:
    """(x - E[x]) / sqrt(Var[x] + eps) * weight + bias over the documented elements."""
    name, x = live.case.makes, number_of(live, 0)
    if name == "LocalResponseNorm":
        return [local_response(live, x)]
    if name == "functional.normalize":
        return [over_its_norm(live, x)]
    if name in ("LayerNorm", "RMSNorm"):
        axes = tuple(range(len(x.shape) - len(live.option("normalized_shape")), len(x.shape)))
        found = root_mean_square(live, x, axes) if name == "RMSNorm" else standardised(live, x, axes)
        return [affine(live, found, ())]
    if name == "GroupNorm":
        groups = int(live.option("num_groups"))
        parts = x.reshape(x.shape[0], groups, -1)
        return [affine(live, standardised(live, parts, (2,)).reshape(*x.shape), x.shape)]
    if name.startswith("InstanceNorm"):
        count = int(name[-2])
        batch = x if len(x.shape) == count + 2 else x.reshape(1, *x.shape)
        axes = tuple(range(2, count + 2))
        kept = "running_mean" in live.state and not live.case.training
        found = by_running(live, batch) if kept else standardised(live, batch, axes)
        found = affine(live, found, batch.shape)
        return [found if batch is x else found[0]]
    axes = (0, *range(2, len(x.shape)))
    if "running_mean" in live.state and not live.case.training:
        return [affine(live, by_running(live, x), x.shape)]
    return [affine(live, standardised(live, x, axes), x.shape)]


def standardised(live: LiveValued, x: Bounded, axes: tuple[int, ...]) -> Any:
    """Less the mean, by the square root of the biased variance and eps."""
    centred = x - x.mean(axes, True)
    variance = (centred * centred).mean(axes, True)
    return over_deviation(centred, variance, float(live.option("eps", 1e-5)))


def by_running(live: LiveValued, x: Bounded) -> Any:
    """With the statistics that are kept in place of those of the input."""
    shape = (1, -1, *[1] * (len(x.shape) - 2))
    mean, variance = (Bounded(live.state[f"running_{name}"].reshape(shape), x.unit) for name in ("mean", "var"))
    found = (x - mean) / (variance + float(live.option("eps", 1e-5))).sqrt()
    # scale and shift may be joined before they meet the input
    spread = np.sqrt(variance.value + float(live.option("eps", 1e-5)))
    return Bounded(found.value, x.unit, found.error + 4 * x.unit * (np.abs(x.value) + np.abs(mean.value)) / spread)


def affine(live: LiveValued, x: Bounded, shape: tuple[int, ...]) -> Any:
    """By the weight and with the bias, of the normalised shape or of the channels."""
    for name in ("weight", "bias"):
        if name in live.state:
            held = live.state[name].reshape(-1, *[1] * (len(shape) - 2)) if shape else live.state[name]
            x = x * held if name == "weight" else x + held
    return x


def root_mean_square(live: LiveValued, x: Bounded, axes: tuple[int, ...]) -> Any:
    """By the root of the mean square and eps, which is the type's own where none is given."""
    eps = live.option("eps")
    eps = 2 * unit_of(live.dtype) if eps is None else float(eps)
    # types of half the width are computed in float32, whose eps is far below any number here
    room = (2 * unit_of(live.dtype)) if live.option("eps") is None else 0.0
    squares = (x * x).mean(axes, True) + eps
    return x / Bounded(squares.value, x.unit, squares.error + room).sqrt()


def local_response(live: LiveValued, x: Bounded, more: int = 0) -> Any:
    """By (k + alpha / n * sum of squares of the neighbouring channels, and ``more`` after them) ** beta."""
    size, channels = int(live.option("size")), x.shape[1]
    sums = []
    for channel in range(channels):
        low, high = max(0, channel - size // 2), min(channels - 1, channel + (size - 1) // 2 + more)
        sums.append((x[:, low : high + 1] * x[:, low : high + 1]).sum(1))
    scale = stacked(sums, 1) * (float(live.option("alpha", 1e-4)) / size) + float(live.option("k", 1.0))
    return x / scale.power(float(live.option("beta", 0.75)))


def over_its_norm(live: LiveValued, x: Bounded) -> Any:
    """v / max(|v|, eps) along a dimension."""
    p, axis = float(live.option("p", 2.0)), int(live.option("dim", 1))
    if p == 1:
        length = x.absolute().sum(axis, True)
    elif p == float("inf"):
        length = Bounded(np.abs(x.value).max(axis, keepdims=True), x.unit)
    else:
        length = (x * x).sum(axis, True).sqrt() if p == 2 else x.absolute().power(p).sum(axis, True).power(1 / p)
    return x / length.at_least(float(live.option("eps", 1e-12)))


def statistics_follow(case: Any) -> None:
    """Expect running statistics to follow the batches: (1 - momentum) of the old and momentum of the new one.

    Without a momentum they are the means over all batches; the variance that is kept is the unbiased one.
    """
    live = case.build()
    x = number_of(live, 0)
    count = int(case.makes[-2])
    batch = x if len(x.shape) == count + 2 or not case.makes.startswith("Instance") else x.reshape(1, *x.shape)
    axes = tuple(range(2, len(batch.shape))) if case.makes.startswith("Instance") else (0, *range(2, len(batch.shape)))
    mean = batch.mean(axes)
    centred = batch - batch.mean(axes, True)
    number = batch.value.size // max(mean.value.size, 1)
    variance = (centred * centred).sum(axes) / float(number - 1)
    if case.makes.startswith("Instance"):  # the mean over the samples
        mean, variance = mean.mean(0), variance.mean(0)
    momentum = live.option("momentum", 0.1)
    running = [Bounded(live.state[f"running_{name}"], x.unit) for name in ("mean", "var")]
    start = int(live.state["num_batches_tracked"])
    for turn in range(3):
        live.call()
        share = 1.0 / (start + turn + 1) if momentum is None else float(momentum)
        running = [old * (1.0 - share) + new * share for old, new in zip(running, (mean, variance), strict=True)]
        held = state_of(live.module)
        if case.makes.startswith("Batch"):  # of instances nobody needs the number
            expect.equal(start + turn + 1, int(memory.contents(held["num_batches_tracked"])), "num_batches_tracked")
        for name, wanted in zip(("mean", "var"), running, strict=True):
            near(wanted, held[f"running_{name}"], live.dtype, f"running_{name} after call {turn}")


def statistics_stay(case: Any) -> None:
    """Expect the numbers of the formula with the statistics that are kept, and these to stay as they were."""
    follows(case, norm_results)
    live = case.build()
    before = {name: memory.contents(held).tobytes() for name, held in state_of(live.module).items()}
    live.call()
    for name, held in state_of(live.module).items():
        memory.same_bytes(before[name], memory.contents(held).tobytes(), f"{name} after a call in eval mode")
