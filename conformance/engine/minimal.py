"""Minimal cases: a failing corner made as simple as it can be while it still fails in the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

STEPS = 300
SECONDS = 5.0


def minimize(case: Any, fails: Callable[[Any], BaseException | None]) -> tuple[Any, BaseException | None]:
    """The simplest case reached from ``case`` by its own ``reductions``, greedily, and how it fails.

    ``fails`` gives the exception of a case that fails as the first did, and None for any other. At most
    ``STEPS`` cases are tried, and none after ``SECONDS``: a failing cell costs little more than a passing one.
    """
    found: BaseException | None = None
    steps = 0
    end = time.monotonic() + SECONDS
    simpler = True
    while simpler and steps < STEPS and time.monotonic() < end:
        simpler = False
        for candidate in getattr(case, "reductions", lambda: ())():
            steps += 1
            error = fails(candidate)
            if error is not None:
                case, found, simpler = candidate, error, True
                break
            if steps >= STEPS or time.monotonic() > end:
                break
    return case, found
