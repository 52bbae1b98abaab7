"""Ranges: what a random fill drew, and between which bounds it lies.

Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.oracles import expect, memory
from conformance.oracles.writes import kept_outside, same_frame


def drawn(case: Any) -> np.ndarray:
    """What the call of a random fill left in self, in float64; nothing outside of self may have changed."""
    live = case.build()
    live.apply()
    same_frame(live.self_, case.self_, f"self after {case.method}")
    kept_outside(live.self_, case.self_, f"self after {case.method}")
    return memory.contents(live.self_).astype(np.float64)


def within(low: float, high: float, found: Any, what: str) -> None:
    """Expect every number to lie between two bounds, both included; NaN does not."""
    found = np.asarray(found)
    inside = (found >= low) & (found <= high)
    if not inside.all():
        expect.that(False, what, f"from {low} to {high}", found[~inside].ravel().tolist()[:8])
