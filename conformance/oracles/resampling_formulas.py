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
        if live.option("antialias", False):
            weights = filtered_weights(mode, extent, sizes[axis], factors[axis], unit_of(live.dtype))
        else:
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
        # a position that rounding takes over a pixel meets one more
        offsets |= {min(offsets) - 1: 0.0} if at - start <= room else {}
        offsets |= {max(offsets) + 1: 0.0} if at - start >= 1 - room else {}
        for offset, weight in offsets.items():
            place = min(max(start + offset, 0), extent - 1)
            value[n, place] += weight
            error[n, place] += room
    return Bounded(value, unit, error)


def filtered_weights(mode: str, extent: int, size: int, factor: float | None, unit: float) -> Bounded:
    """What each output takes of the inputs under a filter about its middle, which is as wide as a step at least.

    So Pillow resamples. A middle of some size errs by so many roundings, and a weight by that times the filter's slope.
    """
    step = 1 / factor if factor is not None else extent / size
    wide = max(step, 1.0)
    reach = (2 if mode == "bicubic" else 1) * wide
    value, error = np.zeros((2, size, extent))
    for n in range(size):
        middle = (n + 0.5) * step
        first, last = max(int(middle - reach + 0.5), 0), min(int(middle + reach + 0.5), extent)
        shares = np.array([filter_at(mode, (place + 0.5 - middle) / wide) for place in range(first, last)])
        value[n, first:last] = shares / shares.sum()
        error[n, max(first - 1, 0) : last + 1] = 16 * unit * (middle + 1) / shares.sum()
    return Bounded(value, unit, error)


def filter_at(mode: str, distance: float, a: float = -0.5) -> float:
    """The triangle, or Pillow's cubic, at a distance from its middle."""
    d = abs(distance)
    if mode == "bilinear":
        return max(1 - d, 0.0)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    return near if d < 1 else (((d - 5) * d + 8) * d - 4) * a if d < 2 else 0.0


def cubic_weights(t: float, a: float = -0.75) -> dict[int, float]:
    """The weights of the four neighbours of a point by the cubic convolution algorithm."""
    near = {0: t, 1: 1 - t}
    found = {offset: ((a + 2) * d - (a + 3)) * d * d + 1 for offset, d in near.items()}
    far = {-1: 1 + t, 2: 2 - t}
    return found | {offset: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a for offset, d in far.items()}
