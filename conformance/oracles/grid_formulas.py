"""Grid formulas: the points of an affine map, and an image sampled at given points.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued
from conformance.oracles.bounded import Bounded, contracted, number_of


def grid_results(live: LiveValued) -> list[Any]:
    """What affine_grid or grid_sample gives."""
    return [affine_points(live) if live.case.makes.endswith("affine_grid") else sampled_at(live)]


def affine_points(live: LiveValued) -> Bounded:
    """theta (x, y, 1) for the places of an image, whose ends -1 and 1 are centres or edges of the outer pixels."""
    theta, aligned = number_of(live, 0), bool(live.option("align_corners"))
    axes = []
    for extent in live.option("size")[2:]:
        places = np.arange(extent)
        axes.append(2 * places / (extent - 1) - 1 if aligned else (2 * places + 1) / extent - 1)
    spread = np.meshgrid(*axes, indexing="ij")[::-1]  # x, which runs along the last dimension, is the first
    points = np.stack([*spread, np.ones_like(spread[0])], -1)
    rounded = Bounded(points, theta.unit, 2 * theta.unit * np.ones_like(points))
    letters = "hwd"[: len(axes)]
    return contracted(f"nij,{letters}j->n{letters}i", theta, rounded)


def sampled_at(live: LiveValued) -> Bounded:
    """The image at each point: the nearest pixel, or those around it by their distances."""
    image = live.arrays[0].astype(np.float64)
    unit, extents = number_of(live, 0).unit, image.shape[2:]
    ways = []
    for axis, extent in enumerate(extents):
        given = live.arrays[1].astype(np.float64)[..., len(extents) - 1 - axis]
        aligned = bool(live.option("align_corners"))
        ways.append(pixels_of(live, pixel_place(live, given, extent, aligned), extent, unit))
    total: Any = None
    batch = np.arange(len(image)).reshape(-1, *[1] * len(extents))
    for corner in product(*ways):
        places = tuple(place for place, _ in corner)
        seen = np.moveaxis(image, 1, -1)[(batch, *places)]  # (N, …, C)
        part: Any = Bounded(seen, unit)
        for _, weight in corner:
            part = part * Bounded(weight.value[..., None], unit, weight.error[..., None])
        total = part if total is None else total + part
    found: Bounded = total.transpose(0, total.value.ndim - 1, *range(1, total.value.ndim - 1))
    return found


def pixel_place(live: LiveValued, given: np.ndarray, extent: int, aligned: bool) -> np.ndarray:
    """From -1 … 1 to pixels, with what is outside at the border or reflected at it."""
    at = (given + 1) / 2 * (extent - 1) if aligned else ((given + 1) * extent - 1) / 2
    mode = live.option("padding_mode", "zeros")
    if mode == "reflection":
        low, span = (0.0, extent - 1.0) if aligned else (-0.5, float(extent))
        turned = np.mod(at - low, 2 * span)
        at = np.minimum(turned, 2 * span - turned) + low
    return at if mode == "zeros" else np.clip(at, 0, extent - 1)


def pixels_of(live: LiveValued, at: np.ndarray, extent: int, unit: float) -> list[tuple[np.ndarray, Bounded]]:
    """The pixels that a place takes, inside of the image, and the weight of each; pixels outside count for nothing."""
    if live.option("mode", "bilinear") == "nearest":
        near = np.rint(at)
        taken = [(near, np.ones_like(at), np.zeros_like(at))]
    else:
        low = np.floor(at)
        room = 8 * unit * (np.abs(at) + 1)
        taken = [(low, 1 - (at - low), room), (low + 1, at - low, room)]
    found = []
    for place, weight, error in taken:
        inside = (place >= 0) & (place < extent)
        kept = np.clip(place, 0, extent - 1).astype(int)
        found.append((kept, Bounded(np.where(inside, weight, 0.0), unit, error)))
    return found
