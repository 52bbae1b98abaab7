"""Exponents: by which power of the number of elements a cost grows, with an interval, from a few sizes.

The slope of Theil and Sen is the median of the slopes between any two points of the logarithms, so that a few points
that something disturbed move it little; the interval is that of Kendall's rank statistic.
Reference: https://en.wikipedia.org/wiki/Theil%E2%80%93Sen_estimator
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from statistics import median
from typing import Any

from conformance.engine.evidence import tabulate

SURE = 1.96  # standard deviations of a normal distribution that 95 % lie within
FEWEST_POINTS = 4
LEAST_COST = {"bytes": 1.0, "seconds": 1e-9}  # what less counts as


@dataclass(frozen=True)
class Exponent:
    """The slope, and the interval that it lies in with 95 % confidence."""

    slope: float
    low: float
    high: float


def exponent(points: Sequence[tuple[int, float]], least: float = 1.0) -> Exponent:
    """The power by which the second of each pair grows with the first."""
    logs = [(log(size), log(max(cost, least))) for size, cost in points]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(logs) for b in logs[i + 1 :])
    count, pairs = len(logs), len(slopes)
    spread = SURE * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(int((pairs - spread) / 2), 0)
    high = min(int((pairs + spread) / 2 + 0.5), pairs - 1)
    return Exponent(median(slopes), slopes[low], slopes[high])


def fitted(quantity: str, points: Sequence[tuple[int, float]], expected: tuple[float, float]) -> Exponent | None:
    """The exponent of some points, kept as evidence; None for so few of them that they tell nothing."""
    if len(points) < FEWEST_POINTS:
        return None
    found = exponent(points, LEAST_COST[quantity])
    row: dict[str, Any] = {
        "quantity": quantity,
        "points": [[size, float(f"{cost:.4g}")] for size, cost in points],
        "exponent": round(found.slope, 3),
        "interval": [round(found.low, 3), round(found.high, 3)],
        "expected": list(expected),
    }
    tabulate("scaling", row)
    return found
