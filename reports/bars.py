"""Bars: the ratio above which a call became slower, by what all calls of two runs do.

The rounds of a call do not show other work that lasted for all of them; how far apart all calls lie does. Both
``baseline compare`` and what compares two runs go by this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high

FACTOR = 1.5
"""A call became slower where even the lower end of its interval is this far above what nearly all calls do."""
NEAR = 0.95
"""So many calls are nearly all: on a quiet machine they lie within 1.1 times of the median, on a busy one within 2."""
FEWEST = 20
"""Pairs of timings below which nothing can be told of all calls, and a busy machine not from a slow build."""


@dataclass(frozen=True)
class Crowd:
    """What all calls do: ``usual`` is the median of their ratios, and nearly all lie within ``spread`` times of it."""

    pairs: int
    usual: float = 1.0
    spread: float = 1.0

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Crowd:
        """The crowd of some ratios; of few of them nothing is known."""
        if len(ratios) < FEWEST:
            return cls(len(ratios))
        usual = median_high(ratios)
        apart = sorted(abs(math.log(ratio / usual)) for ratio in ratios)
        return cls(len(ratios), usual, math.exp(apart[math.ceil(NEAR * len(apart)) - 1]))

    @property
    def known(self) -> bool:
        """Whether there are enough calls to tell what all do."""
        return self.pairs >= FEWEST

    def bar(self, factor: float = FACTOR) -> float:
        """The ratio above which a call became slower by a factor."""
        return factor * max(self.usual, 1.0) * self.spread
