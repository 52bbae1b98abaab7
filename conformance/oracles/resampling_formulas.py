"""Resampling formulas: interpolation between the elements of a grid, and of a grid at given points.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued
from conformance.oracles.bounded import Bounded, contracted, number_of, unit_of
from conformance.oracles.convolution_formulas import every

MODES = {"UpsamplingNearest2d": ("nearest", None), "UpsamplingBilinear2d": ("bilinear", True)}


def resampling_results(live: LiveValued) -> list[Any]:
    """Each dimension after the channels resampled by itself, by a matrix of weights."""
    x = number_of(live, 0)
    mode, corners = MODES.get(live.case.makes, (live.option("mode", "nearest"), live.option("align_corners")))
    count = len(x.shape) - 2
    size, factor = live.option("size"), live.option("scale_factor")
    factors: tuple[Any, ...] = (None,) * count
    if size is None:
        factors = (float(factor),) * count if isinstance(factor, int | float) else tuple(map(float, factor))
        sizes = tuple(floor(extent * ratio) for extent, ratio in zip(x.shape[2:], factors, strict=True))
        if live.option("recompute_scale_factor"):
            factors = (None,) * count
    else:
        sizes = every(size, count)
    for axis in range(count):
        extent = x.shape[axis + 2]
        weights = resampling_weights(mode, bool(corners), extent, sizes[axis], factors[axis], unit_of(live.dtype))
        order = [n for n in range(count + 2) if n != axis + 2]
        moved = x.transpose(*order, axis + 2)
        flat = moved.reshape(-1, extent)
        found = contracted("ni,oi->no", flat, weights)
        if mode.startswith("nearest"):
            found = Bounded(found.value, found.unit)
        x = found.reshape(*moved.shape[:-1], sizes[axis]).transpose(*np.argsort([*order, axis + 2]))
    return [x]


def resampling_weights(mode: str, corners: bool, extent: int, size: int, factor: float | None, unit: float) -> Bounded:
    """What each output takes of each input; a position of some size errs by so many roundings."""
    step = 1 / factor if factor is not None else extent / size
    value, error = np.zeros((2, size, extent))
    for n in range(size):
        if mode == "nearest":
            value[n, min(floor(n * step), extent - 1)] = 1
            continue
        if mode == "nearest-exact":
            value[n, min(floor((n + 0.5) * step), extent - 1)] = 1
            continue
        if mode == "area":
            low, high = n * extent // size, -(-(n + 1) * extent // size)
            value[n, low:high], error[n, low:high] = 1 / (high - low), unit / (high - low)
            continue
        at = n * (extent - 1) / max(size - 1, 1) if corners else (n + 0.5) * step - 0.5
        at = at if mode == "bicubic" else max(at, 0.0)
        start = floor(at)
        offsets = cubic_weights(at - start) if mode == "bicubic" else {0: 1 - (at - start), 1: at - start}
        room = (4 if mode != "bicubic" else 16) * unit * (abs(at) + 1)
        for offset, weight in offsets.items():
            place = min(max(start + offset, 0), extent - 1)
            value[n, place] += weight
            error[n, place] += room
    return Bounded(value, unit, error)


def cubic_weights(t: float, a: float = -0.75) -> dict[int, float]:
    """The weights of the four neighbours of a point by the cubic convolution algorithm."""
    near = {0: t, 1: 1 - t}
    found = {offset: ((a + 2) * d - (a + 3)) * d * d + 1 for offset, d in near.items()}
    far = {-1: 1 + t, 2: 2 - t}
    return found | {offset: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a for offset, d in far.items()}
