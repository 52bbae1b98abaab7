"""Layer laws: what layers of torch.nn promise beside one formula: of random slopes, saturated dropout, given tables.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from math import log, prod, sqrt
from typing import Any

import numpy as np
import torch

from conformance.inputs.layer_cases import GivenTable, SquareMask
from conformance.inputs.layer_uses import layer_seed
from conformance.oracles import expect, memory
from conformance.oracles.bounded import near_each, number_of, unit_of
from conformance.oracles.dropout_laws import DROPOUT_ERROR
from conformance.oracles.norm_formulas import local_response


def drawn(case: Any) -> tuple[Any, np.ndarray]:
    """A case as it was built, and its result from a seed on."""
    live = case.build()
    with layer_seed(17, str(live.inputs[0].device)):
        return live, memory.contents(expect.tensor(live.call(), "result")).astype(np.float64)


def slopes_lie_within(case: Any) -> None:
    """Expect negative numbers by slopes from lower to upper, not all of them in one half, and others as they are."""
    live, found = drawn(case)
    x, below = live.arrays[0].astype(np.float64), live.arrays[0] < 0
    memory.same_elements(x[~below], found[~below], "elements that are not negative")
    slopes, room = found[below] / x[below], 8 * unit_of(live.dtype)
    low, high = float(live.option("lower", 1 / 8)), float(live.option("upper", 1 / 3))
    inside = bool(((slopes >= low * (1 - room)) & (slopes <= high * (1 + room))).all())
    expect.that(inside, "slopes", f"{low:.6g} to {high:.6g}", f"{slopes.min():.6g} to {slopes.max():.6g}")
    share = float((slopes < (low + high) / 2).mean())
    error = sqrt(log(2 / DROPOUT_ERROR) / (2 * len(slopes)))
    expect.that(abs(share - 0.5) <= error, "share of slopes in the lower half", f"0.5 within {error:.4g}", share)


def mean_and_deviation_stay(case: Any) -> None:
    """Expect one number in the place of about p of the elements, or channels, and a line through the others.

    The line and the number have to keep a mean of 0 and a deviation of 1, which ties them to p.
    """
    live, found = drawn(case)
    x, p = live.arrays[0].astype(np.float64), float(live.option("p"))
    expect.equal(x.shape, found.shape, "shape of the result")
    if p == 0:
        memory.same_elements(x, found, "result with p=0")
        return
    planes = prod(x.shape[2:]) if case.makes.startswith("Feature") else 1
    rows, results = x.reshape(-1, planes), found.reshape(-1, planes)
    values, times = np.unique(results, return_counts=True)
    number = values[times.argmax()]  # no number of the input is as frequent as it is masked
    masked = (results == number).all(1)
    share, error = float(masked.mean()), sqrt(log(2 / DROPOUT_ERROR) / (2 * len(rows)))
    expect.that(abs(share - p) <= error, "share of masked elements or channels", f"{p} within {error:.4g}", share)
    kept_x, kept = rows[~masked].ravel(), results[~masked].ravel()
    first, second = int(kept_x.argmin()), int(kept_x.argmax())
    slope = (kept[second] - kept[first]) / (kept_x[second] - kept_x[first])
    shift, room = kept[first] - slope * kept_x[first], 64 * unit_of(live.dtype)
    off = float(np.abs(kept - (slope * kept_x + shift)).max())
    expect.that(off <= room * 8, "elements that are kept", f"{slope:.6g} x + {shift:.6g}", f"off by {off:.3g}")
    mean = (1 - p) * shift + p * number
    square = (1 - p) * (slope**2 + shift**2) + p * number**2
    expect.that(abs(mean) <= 4 * room, "mean of the result for a mean of 0", "0", f"{mean:.6g}")
    expect.that(abs(square - 1) <= 4 * room, "mean square of the result for a deviation of 1", "1", f"{square:.6g}")


def even_window_follows(case: Any) -> None:
    """Expect the formula over as many channels as size says, or over one more: the page can be read as either."""
    live = case.build()
    found = [live.call()]
    try:
        near_each([local_response(live, number_of(live, 0))], found, live.dtype, case.makes)
    except expect.Mismatch:
        near_each(
            [local_response(live, number_of(live, 0), 1)], found, live.dtype, f"{case.makes}, or one channel less"
        )


def table_is_taken(case: GivenTable) -> None:
    """Expect the numbers of a table in the module, as frozen as it was told, and what is looked up in them."""
    table = case.table.build()
    module = case.made(table)
    memory.same_elements(case.table.array, memory.contents(module.weight.detach()), "weight")
    expect.equal(not case.freeze, module.weight.requires_grad, "requires_grad of weight")
    for name, value in case.options:
        expect.equal(value, getattr(module, name), name)
    indices = torch.tensor([[1, 0, 2], [2, 2, 1]], device=case.table.device)
    found = memory.contents(module(indices).detach())
    rows = case.table.array[[[1, 0, 2], [2, 2, 1]]]
    expected = rows if case.makes == "Embedding" else rows.max(1) if case.option("mode") == "max" else rows.sum(1)
    memory.same_elements(expected, found, "result")


def causal_mask_is_square(case: SquareMask) -> None:
    """Expect -inf above the diagonal, and zeros elsewhere."""
    expected = np.where(np.tril(np.ones((case.size, case.size), bool)), np.float32(0), np.float32(-np.inf))
    memory.same_elements(expected, memory.contents(expect.tensor(case.made(), "mask")), f"mask of {case.size}")
