"""Minimal cases: a failing corner made as simple as it can be while it still fails in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STEPS = 300


def minimize(case: Any, fails: Callable[[Any], BaseException | None]) -> tuple[Any, BaseException | None]:
    """The simplest case reached from ``case`` by its own ``reductions``, greedily, and how it fails.

    ``fails`` gives the exception of a case that fails as the first did, and None for any other. At most
    ``STEPS`` cases are tried: the budget of one failing cell stays a fraction of a second.
    """
    found: BaseException | None = None
    steps = 0
    simpler = True
    while simpler and steps < STEPS:
        simpler = False
        for candidate in getattr(case, "reductions", lambda: ())():
            steps += 1
            error = fails(candidate)
            if error is not None:
                case, found, simpler = candidate, error, True
                break
            if steps >= STEPS:
                break
    return case, found
