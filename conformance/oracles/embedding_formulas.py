"""Embedding formulas: rows of a table, and sums, means and maxima of bags of them.

Reference: https://docs.pytorch.org/docs/stable/nn.html#sparse-layers
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.tensors import strided
from conformance.inputs.valued_calls import LiveValued, state_of
from conformance.oracles import memory
from conformance.oracles.bounded import Bounded, near, near_each, unit_of
from conformance.oracles.expect import Discard

RENORMING_ROOM = 1e-7  # what a kernel may add to a norm, lest it be 0


def embedding_results(live: LiveValued) -> list[Any]:
    """The rows of the table that the indices name."""
    return [live.state["weight"][live.arrays[0]]]


def bag_results(live: LiveValued) -> list[Any]:
    """The sum, the mean or the largest numbers of each bag, without its padding."""
    indices, unit = live.arrays[0], unit_of(live.dtype)
    table = live.state["weight"].astype(np.float64)
    weights = live.given("per_sample_weights")
    padding, mode = live.option("padding_idx"), live.option("mode", "mean")
    if indices.ndim == 2:
        bags = [slice(row * indices.shape[1], (row + 1) * indices.shape[1]) for row in range(len(indices))]
    else:
        offsets = [int(n) for n in live.given("offsets")]  # type: ignore[union-attr]
        ends = offsets[1:] if live.option("include_last_offset", False) else [*offsets[1:], len(indices)]
        bags = [slice(a, b) for a, b in zip(offsets, ends, strict=False)]
    flat, values, errors = indices.reshape(-1), [], []
    for bag in bags:
        kept = [n for n in range(*bag.indices(len(flat))) if flat[n] != padding]
        rows = Bounded(table[flat[kept]].reshape(len(kept), table.shape[1]), unit)
        if weights is not None:
            rows = rows * weights.reshape(-1)[kept].astype(np.float64)[:, None]
        if not kept:
            found = Bounded(np.zeros(table.shape[1]), unit)
        elif mode == "max":
            found = Bounded(rows.value.max(0), unit, rows.error.max(0))
        else:
            found = rows.sum(0) if mode == "sum" else rows.mean(0)
        values.append(found.value)
        errors.append(found.error)
    return [Bounded(values, unit, np.array(errors))]


def rows_are_renormed(case: Any) -> None:
    """Expect rows that are looked up and longer than max_norm to be of that norm in the table, and no others."""
    live = case.build()
    unit, limit, p = unit_of(live.dtype), float(live.option("max_norm")), float(live.option("norm_type", 2.0))
    table = live.state["weight"].astype(np.float64)
    rows = Bounded(table, unit)
    lengths = rows.absolute().sum(1, True) if p == 1 else (rows * rows).sum(1, True).sqrt()
    if p == float("inf"):
        lengths = Bounded(np.abs(table).max(1, keepdims=True), unit)
    scaled = rows * (limit / lengths)
    scaled = Bounded(scaled.value, unit, scaled.error + RENORMING_ROOM * np.abs(table) * limit / lengths.value**2)
    looked_up = np.isin(np.arange(len(table)), live.arrays[0])
    longer = looked_up & (lengths.value[:, 0] > limit)
    if not longer.any():
        raise Discard("no row that is longer than max_norm is looked up")
    value, error = np.where(longer[:, None], scaled.value, table), np.where(longer[:, None], scaled.error, 0.0)
    expected = Bounded(value, unit, error)
    found = live.call()
    near(expected, state_of(live.module)["weight"].detach(), live.dtype, "table after the call")
    untouched = memory.contents(state_of(live.module)["weight"].detach())[~longer]
    memory.same_elements(live.state["weight"][~longer], untouched, "rows that are not too long, or not looked up")
    if case.makes == "Embedding":
        near_each([expected[live.arrays[0]]], [found], live.dtype, case.makes)


def row_gradients_follow(case: Any) -> None:
    """Expect each row's gradient to be the sum of those of its occurrences, and none for the padding."""
    live = case.build()
    found = live.call()
    seed = (np.arange(found.numel()) % 13 - 6).reshape(tuple(found.shape)) / 8
    incoming = strided(live.dtype, tuple(found.shape), "contiguous", tuple(seed.ravel().tolist()), str(found.device))
    (got,) = torch.autograd.grad(found, [live.module.weight], incoming.build())
    unit, indices = unit_of(live.dtype), live.arrays[0].reshape(-1)
    value, size = np.zeros((2, *tuple(got.shape)))
    np.add.at(value, indices, seed.reshape(len(indices), -1))
    np.add.at(size, indices, np.abs(seed).reshape(len(indices), -1))
    times = np.bincount(indices, minlength=len(value))
    total = Bounded(value, unit, np.maximum(times - 1, 0)[:, None] * unit * size)
    if live.option("scale_grad_by_freq"):
        total = total / np.maximum(times, 1).astype(np.float64)[:, None]
    padding = live.option("padding_idx")
    if padding is not None:
        total.value[padding] = total.error[padding] = 0.0
    near(total, got, live.dtype, "gradient by the table")
