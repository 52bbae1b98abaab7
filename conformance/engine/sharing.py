"""Sharing: what is costly to find out and judged by several cells is found out once in a run, and plans once a subject.

Findings only while cells of a run are judged, where torch is one and the same: a self-test that breaks torch, a driver
of breaks and a reproducer call ``run_cell`` or a check themselves, and each finds out anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ParamSpec, TypeVar

FoundT = TypeVar("FoundT")
GivenP = ParamSpec("GivenP")

PLANS: list[Any] = []  # the caches of ``once_a_subject``


@dataclass
class Findings:
    """What was found out, by the action and its case, where it may be kept."""

    kept: dict[Any, Any] = field(default_factory=dict)
    keeping: bool = False


FINDINGS = Findings()


def once(action: Callable[[Any], FoundT], case: Any) -> FoundT:
    """What the action finds out of a case; an exception is raised each time anew."""
    if not FINDINGS.keeping:
        return action(case)
    key = (action.__module__, action.__qualname__, case)
    if key not in FINDINGS.kept:
        FINDINGS.kept[key] = action(case)
    found: FoundT = FINDINGS.kept[key]
    return found


@contextmanager
def among_cells() -> Iterator[None]:
    """Keep what a cell of a run finds out for the others."""
    FINDINGS.keeping = True
    try:
        yield
    finally:
        FINDINGS.keeping = False


def once_a_subject(make: Callable[GivenP, FoundT]) -> Callable[GivenP, FoundT]:
    """Keep the plans that ``make`` makes, as ``functools.cache`` does, until ``forget_plans`` lets them go.

    Cells come subject by subject; plans of all subjects would be half of a worker's memory, and memory costs time.
    """
    kept = cache(make)
    PLANS.append(kept)
    return kept  # type: ignore[return-value]


def forget_plans() -> None:
    """Let the plans of the subjects so far go."""
    for kept in PLANS:
        kept.cache_clear()
