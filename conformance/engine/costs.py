"""Costs: what cells cost the suite, how many cases a second they manage, and how much of the time was torch's.

A profiler that is written in C (``cProfile``) times every call of a cell where ``--costs`` asks for it: torch's are
those of its extension's functions and of Python code in its folder. That is a lower bound: what has no call of its own,
as ``x + y`` and ``x[0]``, is counted with the line of the suite that it stands in, and so are other processes. The
profiler itself makes calls of Python a little slower, and so the suite's part longer rather than torch's.
"""

from __future__ import annotations

import cProfile
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from conformance.engine.settings import UsageError

TORCH = str(Path(torch.__file__).parent) + os.sep
OF_TORCH = re.compile(r"^<(built-in method torch\.|(method|slot wrapper) '\w+' of 'torch\.)")


class Meter:
    """The seconds that torch had within a block; none where another profiler is at work."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count."""
        profile = cProfile.Profile()
        try:
            profile.enable()
        except ValueError:  # "Another profiling tool is already active", as Python 3.12 says
            yield
            return
        try:
            yield
        finally:
            profile.disable()
            self.seconds = sum(entry.inlinetime for entry in profile.getstats() if _of_torch(entry.code))


def _of_torch(code: Any) -> bool:
    return bool(OF_TORCH.match(code)) if isinstance(code, str) else str(code.co_filename).startswith(TORCH)


class Costs:
    """What the areas of a run cost."""

    def __init__(self) -> None:
        self.areas: dict[str, dict[str, Any]] = {}

    def add(self, entry: dict[str, Any]) -> None:
        """Count the cell of an entry of the record."""
        new = {"area": entry["area"], "cells": 0, "cases": 0, "seconds": 0.0, "under_test": None}
        row = self.areas.setdefault(entry["area"], new)
        row["cells"] += 1
        row["cases"] += sum(entry["cases"].values())
        row["seconds"] += entry["seconds"]
        if (own := entry.get("under_test")) is not None:
            row["under_test"] = (row["under_test"] or 0.0) + own

    def record(self) -> list[dict[str, Any]]:
        """The rows of the run record."""
        rounded = {"seconds", "under_test"}
        rows = [self.areas[name] for name in sorted(self.areas)]
        return [{k: round(v, 6) if k in rounded and v is not None else v for k, v in row.items()} for row in rows]


def asked(given: str | None) -> int | None:
    """How many cells ``--costs`` is to tell of, 0 for all; None where it is not given; raises UsageError."""
    if given is None:
        return None
    if re.fullmatch(r"\d{1,6}", given, re.ASCII) is None:
        raise UsageError(f"--costs: expected a number of cells, such as 20, or 0 for all; found {given!r}")
    return int(given)


def lines(entries: list[dict[str, Any]], most: int) -> Iterator[str]:
    """Two tables: the areas, and the dearest cells."""
    costs = Costs()
    for entry in entries:
        costs.add(entry)
    areas = [
        [row["area"], str(row["cells"]), f"{row['cases']:,}", *_figures(row)]
        for row in sorted(costs.record(), key=lambda row: (-row["seconds"], row["area"]))
    ]
    yield from _table([["area", "cells", "cases", *HEADS], *areas])
    yield ""
    dearest = sorted(entries, key=lambda entry: (-entry["seconds"], entry["id"]))[: most or None]
    cells = [
        [e["id"], f"{sum(e['cases'].values()):,}", *_figures({**e, "cases": sum(e["cases"].values())})] for e in dearest
    ]
    yield from _table([["cell", "cases", *HEADS], *cells])
    yield "torch: seconds in calls of torch, a lower bound; operators that are signs count with the suite"


HEADS = ["seconds", "torch", "suite", "torch, %", "cases/s"]


def _figures(row: dict[str, Any]) -> list[str]:
    seconds, own = row["seconds"], row.get("under_test")
    rate = f"{row['cases'] / seconds:,.0f}" if seconds else "-"
    if own is None:
        return [f"{seconds:.3f}", "-", "-", "-", rate]
    share = f"{100 * own / seconds:.0f}" if seconds else "-"
    return [f"{seconds:.3f}", f"{own:.3f}", f"{max(seconds - own, 0.0):.3f}", share, rate]


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *figures in rows:
        yield "  ".join([name.ljust(widths[0]), *(x.rjust(w) for x, w in zip(figures, widths[1:], strict=True))])
