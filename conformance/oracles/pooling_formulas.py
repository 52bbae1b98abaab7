"""Pooling formulas: windows over the input and what becomes of each, by loops.

Reference: https://docs.pytorch.org/docs/stable/nn.html#pooling-layers
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued, tensors_in
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, number_of, unit_of
from conformance.oracles.convolution_formulas import every

# One dimension of a pooling: for each output the first and the last place (exclusive) of its window and the step, and
# how many places count where padding is counted.
Windows = list[tuple[range, int]]


def pooling_results(live: LiveValued) -> list[Any]:
    """The values of a pooling, each of its window."""
    name, x = live.case.makes, live.arrays[0].astype(np.float64)
    count = int(name[-2])
    windows = windows_of(live, x.shape[-count:])
    sizes = tuple(map(len, windows))
    rows: Any = x.reshape(-1, *x.shape[-count:])
    value, error = np.zeros((2, len(rows), *sizes))
    unit = unit_of(live.dtype)
    for at in product(*map(range, sizes)):
        spans = [windows[axis][place] for axis, place in enumerate(at)]
        seen = rows[(slice(None), *np.ix_(*(span for span, _ in spans)))].reshape(len(rows), -1)
        counted = prod(width for _, width in spans)
        found = window_value(live, Bounded(seen, unit), counted)
        value[(slice(None), *at)], error[(slice(None), *at)] = found.value, found.error
    shape = (*x.shape[:-count], *sizes)
    return [Bounded(value.reshape(shape), unit, error.reshape(shape))]


def window_value(live: LiveValued, seen: Bounded, counted: int) -> Bounded:
    """The largest number of a window, the mean or the norm."""
    name = live.case.makes
    if "Max" in name:
        return Bounded(seen.value.max(1), seen.unit)
    if "LP" in name:
        p = float(live.option("norm_type"))
        terms = seen if p == 1 else seen.power(p)
        return terms.sum(1) if p == 1 else terms.sum(1).power(1 / p)
    if "Adaptive" in name:
        return seen.mean(1)
    inside = seen.shape[1]
    divisor = live.option("divisor_override") or (counted if live.option("count_include_pad", True) else inside)
    return seen.sum(1) / float(divisor)


def windows_of(live: LiveValued, extents: tuple[int, ...]) -> list[Windows]:
    """The windows of each dimension."""
    count = len(extents)
    if "Adaptive" in live.case.makes:
        given = live.option("output_size")
        wanted = [given] * count if isinstance(given, int) else list(given)
        return [
            adaptive_windows(extent, extent if size is None else size)
            for extent, size in zip(extents, wanted, strict=True)
        ]
    kernel = every(live.option("kernel_size"), count)
    stride = kernel if live.option("stride") is None else every(live.option("stride"), count)
    padding, dilation = every(live.option("padding", 0), count), every(live.option("dilation", 1), count)
    up = bool(live.option("ceil_mode", False))
    return [sliding_windows(*row, up) for row in zip(extents, kernel, stride, padding, dilation, strict=True)]


def adaptive_windows(extent: int, size: int) -> Windows:
    """Windows from floor(i L / n) to ceil((i + 1) L / n)."""
    spans = [range(i * extent // size, -(-((i + 1) * extent) // size)) for i in range(size)]
    return [(span, len(span)) for span in spans]


def sliding_windows(extent: int, kernel: int, stride: int, padding: int, dilation: int, up: bool) -> Windows:
    """Windows of one size; with ``up`` also those that go over the end, where they start within input or padding."""
    room = extent + 2 * padding - dilation * (kernel - 1) - 1
    size = (-(-room // stride) if up else room // stride) + 1
    if up and (size - 1) * stride >= extent + padding:
        size -= 1  # it would start in the padding on the right
    found = []
    for start in range(-padding, -padding + size * stride, stride):
        span = range(start, start + dilation * (kernel - 1) + 1, dilation)
        counted = sum(place < extent + padding for place in span)
        inside = [place for place in span if 0 <= place < extent]
        found.append((range(inside[0], inside[-1] + 1, dilation), counted))
    return found


def indices_point_at_maxima(case: Any) -> None:
    """Expect, for each output, an index into its input at which the value is that of the output."""
    live = case.build()
    found, indices = tensors_in(live.call())
    count = int(case.makes[-2])
    values = memory.contents(found)
    places: Any = memory.contents(indices)
    expect.equal("torch.int64", str(indices.dtype), "element type of the indices")
    expect.equal(values.shape, places.shape, "shape of the indices")
    flat = live.arrays[0].reshape(-1, prod(live.arrays[0].shape[-count:]))
    rows = places.reshape(len(flat), -1)
    expect.that(
        bool(((rows >= 0) & (rows < flat.shape[1])).all()),
        "indices",
        f"below {flat.shape[1]}",
        f"{rows.min()} to {rows.max()}",
    )
    chosen = np.take_along_axis(flat, rows, 1).reshape(values.shape)
    memory.same_elements(chosen, values, "values at the indices")
    if "Fractional" not in case.makes:
        expected = pooling_results(live)[0]
        memory.same_elements(expected.value, values.astype(np.float64), "values beside the indices")
        windows = windows_of(live, live.arrays[0].shape[-count:])
        for at in product(*(range(len(each)) for each in windows)):
            inside = np.ix_(*(windows[axis][place][0] for axis, place in enumerate(at)))
            numbers = np.arange(flat.shape[1]).reshape(live.arrays[0].shape[-count:])[inside]
            picked = places[(..., *at)]
            expect.that(
                bool(np.isin(picked, numbers).all()), f"indices at {at}", "within the window", f"{picked.ravel()[:8]}"
            )


def fractional_results_are_maxima(case: Any) -> None:
    """Expect the asked size, and at each output the number at its index, from steps that go on and start at 0."""
    live = case.build()
    found, indices = tensors_in(live.call())
    count = int(case.makes[-2])
    extents = live.arrays[0].shape[-count:]
    ratio = live.option("output_ratio")
    if ratio is None:
        wanted = every(live.option("output_size"), count)
    else:
        ratios = (ratio,) * count if isinstance(ratio, float) else ratio
        wanted = tuple(int(extent * each) for extent, each in zip(extents, ratios, strict=True))
    expect.equal(wanted, tuple(found.shape[-count:]), "sizes of the result")
    indices_point_at_maxima(case)
    kernel = every(live.option("kernel_size"), count)
    places = np.unravel_index(memory.contents(indices), extents)
    for axis, (extent, width) in enumerate(zip(extents, kernel, strict=True)):
        # the outputs of one plane that share a place of this dimension share its window
        planes = np.moveaxis(places[axis].reshape(-1, *wanted), axis + 1, 1).reshape(
            -1, wanted[axis], prod(wanted) // wanted[axis]
        )
        low, high = planes.min(2), planes.max(2)
        expect.that(
            bool((high - low < width).all()), f"windows of dimension {axis}", f"{width} places", f"{low} to {high}"
        )
        expect.that(bool((low[:, 0] < width).all()), "first windows", "such as begin at 0", f"{low[:, 0]}")
        expect.that(
            bool((high[:, -1] >= extent - width).all()), "last windows", f"such as end at {extent}", f"{high[:, -1]}"
        )


def unpooling_results(live: LiveValued) -> list[Any]:
    """Zeros, but for the inputs at the places that the indices name."""
    x, indices = live.arrays[0], live.arrays[1]
    count = int(live.case.makes[-2])
    kernel = every(live.option("kernel_size"), count)
    stride = kernel if live.option("stride") is None else every(live.option("stride"), count)
    padding = every(live.option("padding", 0), count)
    sizes = live.option("output_size") or tuple(
        (extent - 1) * jump - 2 * p + size
        for extent, jump, p, size in zip(x.shape[-count:], stride, padding, kernel, strict=True)
    )
    rows = x.reshape(-1, prod(x.shape[-count:]))
    found = np.zeros((len(rows), prod(sizes)), x.dtype)
    np.put_along_axis(found, indices.reshape(rows.shape), rows, 1)
    return [found.reshape(*x.shape[:-count], *sizes)]


def distance_results(live: LiveValued) -> list[Any]:
    """x1 · x2 / max(|x1| |x2|, eps), or the p-norm of x1 - x2 + eps."""
    x, y = number_of(live, 0), number_of(live, 1)
    eps = float(live.option("eps", 1e-8 if live.case.makes == "CosineSimilarity" else 1e-6))
    if live.case.makes == "CosineSimilarity":
        axis = int(live.option("dim", 1))
        lengths = (x * x).sum(axis).sqrt() * (y * y).sum(axis).sqrt()
        return [(x * y).sum(axis) / lengths.at_least(eps)]
    difference, p = (x - y + eps).absolute(), float(live.option("p", 2.0))
    keep = bool(live.option("keepdim", False))
    if p == float("inf"):
        return [Bounded(difference.value.max(-1, keepdims=keep), x.unit, difference.error.max(-1, keepdims=keep))]
    if p == 1:
        return [difference.sum(-1, keep)]
    return [
        (difference * difference).sum(-1, keep).sqrt() if p == 2 else difference.power(p).sum(-1, keep).power(1 / p)
    ]
