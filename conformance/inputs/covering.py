"""Covering arrays: short lists of combinations in which every pair of choices of two factors occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from conformance.engine.cases import Inputs


def covering(*factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows with one choice of each factor, in which every pair of two factors' choices occurs.

    The two largest factors are crossed in full and the others dealt out to the pair least met so far, so that
    most triples with a large factor occur too. The rows depend on the number of choices alone.
    """
    return [
        tuple(factor[choice] for factor, choice in zip(factors, row, strict=True))
        for row in covering_numbers(*map(len, factors))
    ]


@cache
def covering_numbers(*sizes: int) -> tuple[tuple[int, ...], ...]:
    """The same for factors of these sizes, as numbers of the choices."""
    order = sorted(range(len(sizes)), key=lambda factor: -sizes[factor])
    met = {(a, b): np.zeros((sizes[a], sizes[b]), np.int64) for a in order for b in order if a != b}
    rows = []
    for first in range(sizes[order[0]]):
        for second in range(sizes[order[1]]) if len(order) > 1 else (None,):
            row = {order[0]: first} | ({order[1]: second} if second is not None else {})
            rows.append(_dealt(sizes, order, row, met))
    for a, b in combinations(order, 2):
        for x, y in np.argwhere(met[a, b] == 0).tolist():
            if not met[a, b][x, y]:
                rows.append(_dealt(sizes, order, {a: x, b: y}, met))
    return tuple(rows)


# What a pair is worth that was met so many times before.
_MERIT = np.array([1_000_000, *range(-1, -1000, -1)])


def _dealt(
    sizes: tuple[int, ...], order: list[int], row: dict[int, int], met: dict[tuple[int, int], np.ndarray]
) -> tuple[int, ...]:
    for factor in order:
        if factor in row:
            continue
        # as many pairs as possible that were not met yet; among equals those that were met least; the first of these
        merit = sum(_MERIT[np.minimum(met[factor, other][:, choice], 999)] for other, choice in row.items())
        row[factor] = int(np.argmax(merit))
    for a, b in met:
        met[a, b][row[a], row[b]] += 1
    return tuple(row[factor] for factor in range(len(sizes)))


def coverings(passes: int, *factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Several covering arrays, each with the smaller factors dealt out anew, so that most triples occur as well."""
    crossed_in_full = sorted(range(len(factors)), key=lambda k: -len(factors[k]))[:2]
    rows = []
    for turn in range(passes):
        shifts = [0 if k in crossed_in_full else turn * (k + 1) for k in range(len(factors))]
        turned = [[f[(i + shift) % len(f)] for i in range(len(f))] for f, shift in zip(factors, shifts, strict=True)]
        rows += covering(*turned)
    return rows


def crossed(make: Callable[..., Any], device: str, *factors: tuple[Any, ...] | Varied, passes: int = 3) -> Inputs:
    """Inputs whose corners are ``make(device, *choices)`` over coverings of the factors' choices.

    Samples choose freely, and a ``Varied`` factor draws them from its strategy.
    """
    from hypothesis import strategies as st

    listed = [factor.listed if isinstance(factor, Varied) else factor for factor in factors]
    draws = [f.strategy() if isinstance(f, Varied) else st.sampled_from(f) for f in factors]
    return Inputs(
        [make(device, *row) for row in coverings(passes, *listed)],
        st.tuples(*draws).map(lambda choices: make(device, *choices)),
    )


def enumerated(make: Callable[..., Any], device: str, *factors: Sequence[Any], passes: int = 1) -> Inputs:
    """The same corners and no samples, for factors that the corners all but exhaust."""
    return Inputs([make(device, *row) for row in coverings(passes, *factors)])


class Varied:
    """A factor whose corners are listed, and whose samples come from a strategy (a function that makes one)."""

    def __init__(self, listed: tuple[Any, ...], strategy: Callable[[], Any]) -> None:
        self.listed, self.strategy = listed, strategy
