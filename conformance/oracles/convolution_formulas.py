"""Convolution formulas: linear maps, convolutions by loops over the kernel, unfolding and folding.

Reference: https://docs.pytorch.org/docs/stable/nn.html#convolution-layers
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.complex_convolutions import CONVOLVED, ComplexConvolution
from conformance.inputs.valued_calls import LiveValued
from conformance.oracles import memory
from conformance.oracles.bounded import Bounded, contracted, near, number_of, unit_of

PAD_MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
PART_TYPES = {"complex64": "float32", "complex128": "float64"}


def every(value: Any, count: int) -> tuple[int, ...]:
    """A number for each dimension, where one number may stand for all."""
    return (int(value),) * count if isinstance(value, int | float) else tuple(map(int, value))


def linear_results(live: LiveValued) -> list[Any]:
    """x A^T + b, or x1^T A x2 + b."""
    x, weight = number_of(live, 0), live.state["weight"]
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    if live.case.makes == "Bilinear":
        others = number_of(live, 1).reshape(-1, live.arrays[1].shape[-1])
        left = contracted("ni,oij->noj", rows, weight)
        products = left * others.value[:, None, :]
        found = products.sum(-1)
    else:
        found = contracted("ni,oi->no", rows, weight)
    found = found.reshape(*x.shape[:-1], len(weight))
    return [found + live.state["bias"] if "bias" in live.state else found]


def convolution_results(live: LiveValued) -> list[Any]:
    """The cross-correlation of input and weight, or its transpose, and the bias."""
    x, weight = number_of(live, 0), live.state["weight"]
    count = weight.ndim - 2
    batched = len(x.shape) == count + 2
    x = x if batched else x.reshape(1, *x.shape)
    found = transposed_sum(live, x, weight) if "Transpose" in live.case.makes else correlation(live, x, weight)
    if "bias" in live.state:
        found = found + live.state["bias"].reshape(-1, *[1] * count)
    return [found if batched else found[0]]


def complex_convolution_follows(case: ComplexConvolution) -> None:
    """Expect the cross-correlation of complex numbers, and operands as they were.

    The imaginary part may be made of one real convolution of sums, from which those of the parts are taken away.
    """
    operands = case.built()
    found = case.run(operands)
    x, weight, *bias = case.arrays()
    unit = unit_of(PART_TYPES[case.operands[0].dtype])
    parts = [Bounded(x.real, unit), Bounded(x.imag, unit)]
    real, imag = correlation(case, parts[0], weight.real), correlation(case, parts[1], weight.imag)
    crossed = correlation(case, parts[0], weight.imag) + correlation(case, parts[1], weight.real)
    whole = correlation(case, parts[0] + parts[1], weight.real + weight.imag) - real - imag
    crossed = Bounded(crossed.value, unit, np.maximum(crossed.error, whole.error))
    real = real - imag
    if bias:
        shape = (-1, *[1] * (weight.ndim - 2))
        real, crossed = real + bias[0].real.reshape(shape), crossed + bias[0].imag.reshape(shape)
    held = torch.view_as_real(found.detach().resolve_conj())
    for number, (part, name) in enumerate(((real, "real"), (crossed, "imaginary"))):
        near(part, held[..., number], PART_TYPES[case.operands[0].dtype], f"{name} part of {case.makes}")
    for name, array, tensor in zip(CONVOLVED, case.arrays(), operands, strict=False):
        memory.same_elements(array, memory.contents(tensor.resolve_conj()), f"{name} after {case.makes}")


def correlation(live: LiveValued | ComplexConvolution, x: Bounded, weight: np.ndarray) -> Bounded:
    """For each output the sum over channels of its group and places of the kernel."""
    count = weight.ndim - 2
    kernel, groups = weight.shape[2:], int(live.option("groups", 1))
    stride, dilation = every(live.option("stride", 1), count), every(live.option("dilation", 1), count)
    widths = padding_widths(live.option("padding", 0), kernel, dilation)
    mode = live.option("padding_mode", "zeros")
    around = [(0, 0), (0, 0), *widths]
    shown: Any = np.pad(x.value, around, mode=PAD_MODES[mode])
    patches = patches_of(shown, kernel, stride, dilation)
    errors: Any = None
    if x.error.any():
        seen: Any = np.pad(x.error, around, mode=PAD_MODES[mode])
        errors = patches_of(seen, kernel, stride, dilation)
    batch, channels, places, *sizes = patches.shape
    shape = (batch, groups, channels // groups * places, -1)
    columns = Bounded(patches.reshape(shape), x.unit, None if errors is None else errors.reshape(shape))
    filters = weight.reshape(groups, len(weight) // groups, -1)
    return contracted("ngkp,gok->ngop", columns, filters).reshape(batch, len(weight), *sizes)


def padding_widths(padding: Any, kernel: Any, dilation: Any) -> list[tuple[int, int]]:
    """How much is added on both sides of each dimension; 'same' adds the odd one on the right."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(width, width) for width in every(padding, len(kernel))]


def patches_of(x: np.ndarray, kernel: Any, stride: Any, dilation: Any) -> np.ndarray:
    """What each place of the kernel sees: an array of (N, C, places of the kernel, *sizes of the output)."""
    sizes = [
        (extent - step * (size - 1) - 1) // jump + 1
        for extent, size, jump, step in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    seen = []
    for place in product(*map(range, kernel)):
        starts = [at * step for at, step in zip(place, dilation, strict=True)]
        cut = [slice(a, a + (n - 1) * jump + 1, jump) for a, n, jump in zip(starts, sizes, stride, strict=True)]
        seen.append(x[(slice(None), slice(None), *cut)])
    return np.stack(seen, 2)


def transposed_sum(live: LiveValued, x: Bounded, weight: np.ndarray) -> Bounded:
    """Each input adds the kernel, times itself, to the outputs that it would be computed from."""
    count = weight.ndim - 2
    kernel, groups = weight.shape[2:], int(live.option("groups", 1))
    stride, dilation = every(live.option("stride", 1), count), every(live.option("dilation", 1), count)
    padding, extra = every(live.option("padding", 0), count), every(live.option("output_padding", 0), count)
    batch, channels, *sizes = x.shape
    outs = weight.shape[1] * groups
    whole = [
        (extent - 1) * jump + step * (size - 1) + 1 + more
        for extent, size, jump, step, more in zip(sizes, kernel, stride, dilation, extra, strict=True)
    ]
    if live.option("output_size") is not None:  # so much that is added at the end that the result has this size
        whole = [size + 2 * p for size, p in zip(every(live.option("output_size"), count), padding, strict=True)]
    inputs = x.value.reshape(batch, groups, channels // groups, -1)
    filters: Any = weight.reshape(groups, channels // groups, weight.shape[1], *kernel)
    value, size = np.zeros((batch, outs, *whole)), np.zeros((batch, outs, *whole))
    for place in product(*map(range, kernel)):
        part = filters[(slice(None), slice(None), slice(None), *place)]
        cut = [slice(at * step, at * step + (n - 1) * jump + 1, jump)
               for at, step, n, jump in zip(place, dilation, sizes, stride, strict=True)]  # fmt: skip
        where = (slice(None), slice(None), *cut)
        value[where] += np.einsum("ngcp,gco->ngop", inputs, part).reshape(batch, outs, *sizes)
        size[where] += np.einsum("ngcp,gco->ngop", abs(inputs), abs(part)).reshape(batch, outs, *sizes)
    kept = (slice(None), slice(None), *(slice(p, extent - p) for p, extent in zip(padding, whole, strict=True)))
    terms = channels // groups * prod(kernel)
    return Bounded(value[kept], x.unit, terms * x.unit * size[kept])


def folding_results(live: LiveValued) -> list[Any]:
    """Unfold: the patches as columns. Fold: the sum of columns at their places."""
    x = live.arrays[0].astype(np.float64)
    kernel = every(live.option("kernel_size"), 2)
    stride, dilation = every(live.option("stride", 1), 2), every(live.option("dilation", 1), 2)
    padding = every(live.option("padding", 0), 2)
    unit = number_of(live, 0).unit
    if live.case.makes == "Unfold":
        batched = x.ndim == 4
        rows = np.pad(x if batched else x[None], [(0, 0), (0, 0), *((p, p) for p in padding)])
        patches = patches_of(rows, kernel, stride, dilation)
        found = patches.reshape(len(rows), rows.shape[1] * prod(kernel), -1)
        return [Bounded(found if batched else found[0], unit)]
    batched = x.ndim == 3
    rows = x if batched else x[None]
    whole = [extent + 2 * p for extent, p in zip(every(live.option("output_size"), 2), padding, strict=True)]
    sizes = [(e - d * (k - 1) - 1) // s + 1 for e, d, k, s in zip(whole, dilation, kernel, stride, strict=True)]
    columns = rows.reshape(len(rows), -1, prod(kernel), *sizes)
    value, size = np.zeros((2, len(rows), columns.shape[1], *whole))
    for number, place in enumerate(product(*map(range, kernel))):
        cut = [slice(at * step, at * step + (n - 1) * jump + 1, jump)
               for at, step, n, jump in zip(place, dilation, sizes, stride, strict=True)]  # fmt: skip
        value[(slice(None), slice(None), *cut)] += columns[:, :, number]
        size[(slice(None), slice(None), *cut)] += abs(columns[:, :, number])
    kept = (slice(None), slice(None), *(slice(p, extent - p) for p, extent in zip(padding, whole, strict=True)))
    total = Bounded(value[kept], unit, (prod(kernel) - 1) * unit * size[kept])
    return [total if batched else total[0]]


# --- padding, and what only moves elements ----------------------------------------------------------------------


def padding_results(live: LiveValued) -> list[Any]:
    """What is around the input: zeros or a number, its mirror image, its edge, or its other end."""
    x, name = live.arrays[0], live.case.makes
    count = int(name[-2]) if name[-1] == "d" and name != "functional.pad" else 0
    given = live.option("pad" if not count else "padding")
    pairs = [(given, given)] * count if isinstance(given, int) else list(zip(given[::2], given[1::2], strict=True))
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    mode = live.option("mode", "constant") if not count else name.removesuffix(name[-5:]).lower()
    mode = {"reflection": "reflect", "replication": "replicate", "zero": "constant"}.get(mode, mode)
    kept = tuple(slice(max(-a, 0), extent - max(-b, 0)) for (a, b), extent in zip(widths, x.shape, strict=True))
    around = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode != "constant":
        return [np.pad(x[kept], around, mode=PAD_MODES[mode])]
    return [np.pad(x[kept], around, constant_values=live.option("value", 0.0) or 0.0)]


def shuffling_results(live: LiveValued) -> list[Any]:
    """Elements between channels and positions, or among channels."""
    x, name = live.arrays[0], live.case.makes
    if name == "Identity":
        return [x]
    if name == "ChannelShuffle":
        groups = int(live.option("groups"))
        parts = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
        return [np.ascontiguousarray(parts.swapaxes(1, 2).reshape(x.shape))]
    *lead, channels, height, width = x.shape
    factor = int(live.option("upscale_factor" if name == "PixelShuffle" else "downscale_factor"))
    rows = x.reshape(-1, channels, height, width)
    if name == "PixelShuffle":
        found = np.zeros((len(rows), channels // factor**2, height * factor, width * factor), x.dtype)
        for c, i, j in product(range(channels // factor**2), range(factor), range(factor)):
            found[:, c, i::factor, j::factor] = rows[:, c * factor**2 + i * factor + j]
    else:
        found = np.zeros((len(rows), channels * factor**2, height // factor, width // factor), x.dtype)
        for c, i, j in product(range(channels), range(factor), range(factor)):
            found[:, c * factor**2 + i * factor + j] = rows[:, c, i::factor, j::factor]
    return [found.reshape(*lead, *found.shape[1:])]
