"""Evidence: what a cell's cases met and measured, counted while they run."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import Any

from conformance.engine.mismatch import Discard

# What oracles measured since the engine last looked; one cell runs at a time in a process.
measured: dict[str, float] = {}
tabled: dict[str, list[dict[str, Any]]] = {}
MOST_ROWS = 12  # of one table of a cell


def measure(name: str, value: float) -> None:
    """Keep the largest ``value`` seen under ``name`` (say ``largest_error_ulp``) for the running cell."""
    if value > measured.get(name, -1.0):
        measured[name] = value


def tabulate(name: str, row: dict[str, Any]) -> None:
    """Keep ``row`` in the table ``name`` (``scaling``, ``ratios``) of the running cell, while it has room."""
    kept = tabled.setdefault(name, [])
    if len(kept) < MOST_ROWS:
        kept.append(row)


class FacetError(Exception):
    """A case that cannot say what it shows: a fault of this suite, whatever the behaviour."""


class Evidence:
    """Counts of one cell: cases run, discarded and refused, and the facets that they showed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.corner = 0
        self.sampled = 0
        self.discarded = 0
        self.out_of_scope = ""  # why the first of the discarded was
        self.refused: Counter[str] = Counter()
        self.refusals: dict[str, str] = {}
        self.facets: dict[str, set[str]] = {}
        measured.clear()
        tabled.clear()

    def met(self, case: Any) -> None:
        """Count the facets of a case that ran to its end."""
        describe = getattr(case, "facets", None)
        if describe is None:
            return
        try:
            for name, value in describe().items():
                seen = self.facets.get(name)
                if seen is None:
                    seen = self.facets[name] = set()
                if type(value) is str:
                    seen.add(value)
                else:
                    seen.update(value)
        except Exception as error:
            raise FacetError(f"{type(case).__name__}.facets: {type(error).__name__}: {error}") from error

    def discard(self, reason: Discard) -> None:
        """Count a case that says nothing of the behaviour."""
        self.out_of_scope = self.out_of_scope or " ".join(str(reason).split())[:200]
        self.discarded += 1

    def refuse(self, case: Any, refusal: BaseException) -> None:
        """Count a case that the target says it cannot do."""
        describe = getattr(case, "facets", None)
        dtype = describe().get("dtypes", "any") if describe is not None else "any"
        for name in (dtype,) if isinstance(dtype, str) else dtype:
            self.refused[name] += 1
            self.refusals.setdefault(name, str(refusal).strip().split("\n")[0][:200])

    def record(self) -> dict[str, Any]:
        """The ``evidence`` object of the run record, in a stable order."""
        found: dict[str, Any] = {name: sorted(map(str, seen)) for name, seen in sorted(self.facets.items())}
        found.update((name, float(value)) for name, value in sorted(measured.items()) if isfinite(value))
        found.update((name, list(kept)) for name, kept in sorted(tabled.items()))
        if self.discarded:
            found["discarded"] = self.discarded
        if self.refusals:
            found["unsupported"] = dict(sorted(self.refusals.items()))
        return found
