"""Dropout laws: how many elements a dropout may zero, and what becomes of the others.

By Hoeffding's inequality the share of zeros among n independent draws lies further from p than
sqrt(log(2 / e) / (2 n)) with a probability of e at most; e is ``DROPOUT_ERROR``.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
"""

from __future__ import annotations

from math import log, prod, sqrt
from typing import Any

import numpy as np

from conformance.inputs.layer_uses import layer_seed
from conformance.inputs.valued_calls import LiveValued
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, unit_of

DROPOUT_ERROR = 1e-9


def drops_and_scales(case: Any) -> None:
    """Expect zeros of about the probability asked for, of whole channels or of elements, and the others scaled."""
    live = case.build()
    with layer_seed(17, str(live.inputs[0].device)):
        found = memory.contents(expect.tensor(live.call(), "result"))
    x, p = live.arrays[0], float(live.option("p"))
    expect.equal(x.shape, found.shape, "shape of the result")
    zeroed = (found == 0) & (x != 0)
    unit_dropped = zeroed
    if case.makes != "Dropout":
        count = int(case.makes[-2])
        planes = zeroed.reshape(-1, prod(x.shape[-count:]))
        shown = (x != 0).reshape(planes.shape)
        unit_dropped = planes.any(1)
        expect.that(bool((planes == (shown & unit_dropped[:, None])).all()), "channels", "zeroed as a whole", "in part")
    draws = np.count_nonzero(x) if unit_dropped is zeroed else len(unit_dropped)
    room = sqrt(log(2 / DROPOUT_ERROR) / (2 * draws)) if 0 < p < 1 else 0.0
    share = np.count_nonzero(unit_dropped) / draws
    expect.that(
        bool(abs(share - p) <= room), "share of zeros", f"{p} within {room:.4g} ({draws} draws)", f"{share:.6g}"
    )
    if p < 1:
        scaled = Bounded(x, unit_of(live.dtype)) * (1 / (1 - p))
        kept = Bounded(np.where(zeroed, 0.0, scaled.value), scaled.unit, np.where(zeroed, 0.0, scaled.error))
        wrong = np.abs(found - kept.value) > 2 * kept.error + np.abs(kept.value) * 2 * scaled.unit
        expect.that(not wrong.any(), "elements that are kept", "scaled by 1 / (1 - p)", f"{found[wrong][:3]}")


def identity_results(live: LiveValued) -> list[Any]:
    """The input."""
    return [live.arrays[0]]
