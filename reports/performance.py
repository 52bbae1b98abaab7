"""What the view *performance* draws: times of calls, growth with size, ways against each other, the suite's own cost.

All of it is packed into one text that the browser unpacks when somebody looks: the first view waits for none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.alternation import Alternation
from reports.model import Cell, Measurement, Run
from reports.pool import Pool

SIZES = ("small", "medium", "large")
DEAREST = 20
"""So many of the cells that took longest are named."""
MOST_POINTS = 64
"""So many points of a scaling are drawn; a picture shows no more."""


def shown(runs: Sequence[Run], alternations: Sequence[Alternation] = ()) -> bool:
    """Whether there is anything to show; a record of before these keys has nothing."""
    return bool(alternations) or any(
        run.performance is not None
        or run.costs
        or any(cell.evidence.scaling or cell.evidence.ratios for cell in run.cells)
        for run in runs
    )


def index(
    runs: Sequence[Run], numbers: Mapping[str, int], alternations: Sequence[Alternation] = ()
) -> dict[str, object] | None:
    """Everything that the view shows, each text once; ``numbers`` are those of the cells."""
    if not shown(runs, alternations):
        return None
    texts = Pool()
    return {
        "machines": [_machine(run) for run in runs],
        "timings": _timings(runs, texts),
        "scaling": _evidence(runs, numbers, _scaling),
        "ratios": _evidence(runs, numbers, _ratios),
        "alternations": [_alternation(each) for each in alternations],
        "expense": _expense(runs),
        "dearest": [_dearest(run, numbers) for run in runs],
        "texts": texts.values,
    }


def _machine(run: Run) -> dict[str, object] | None:
    """Where the times of a run were taken, and what everything else is told in."""
    found = run.performance
    if found is None:
        return None
    return {
        "fingerprint": found.fingerprint.model_dump(),
        "threads": found.threads,
        "seconds": found.seconds,
        "timed": len(found.measurements),
        "yardsticks": [
            [each.name, each.target, each.elements, _brief(each.median), _brief(each.iqr), each.rounds]
            for each in found.yardsticks
        ],
        "skipped": [[each.subject, each.reason] for each in found.skipped],
    }


def _timings(runs: Sequence[Run], texts: Pool) -> list[list[Any]]:
    """A row for each subject, target and dtype: what it is, then its sizes in each run."""
    rows: dict[tuple[str, str, str, str], list[Any]] = {}
    for number, run in enumerate(runs):
        for each in run.performance.measurements if run.performance else []:
            key = (each.subject, each.kind, each.target, each.dtype)
            row = rows.setdefault(
                key,
                [
                    *(texts.number(text) for text in key),
                    [texts.number(name) for name in each.behaviours],
                    [[] for _ in runs],
                ],
            )
            row[-1][number].append(_measurement(each, texts))
    for row in rows.values():
        for points in row[-1]:
            points.sort(key=lambda point: (point[1], point[0]))
    return list(rows.values())


def _measurement(each: Measurement, texts: Pool) -> list[Any]:
    shape = ", ".join(map(str, each.shape)) + ("," if len(each.shape) == 1 else "")
    return [
        SIZES.index(each.size),
        each.elements,
        _brief(each.median),
        _brief(each.iqr),
        each.rounds,
        each.calls,
        texts.number(f"({shape})"),
    ]


def _evidence(runs: Sequence[Run], numbers: Mapping[str, int], of: Any) -> list[list[Any]]:
    """The cells with such evidence: each with its number and what it has in each run."""
    rows: dict[int, list[Any]] = {}
    for number, run in enumerate(runs):
        for cell in run.cells:
            if found := of(cell):
                rows.setdefault(numbers[cell.id], [[] for _ in runs])[number] = found
    return [[cell, found] for cell, found in sorted(rows.items())]


def _scaling(cell: Cell) -> list[list[Any]]:
    return [
        [
            each.quantity,
            [[_brief(value) for value in point] for point in each.points[:MOST_POINTS]],
            *map(_brief, (each.exponent, *each.interval, *each.expected)),
        ]
        for each in cell.evidence.scaling
    ]


def _ratios(cell: Cell) -> list[list[Any]]:
    return [
        [each.one, each.other, *map(_brief, (each.ratio, *each.interval)), each.expected]
        for each in cell.evidence.ratios
    ]


def _alternation(found: Alternation) -> dict[str, object]:
    pair = found.pair
    return {
        "file": found.path.name,
        "complete": pair.complete,
        "sides": [{"torch": side.torch, "python": side.python, "numpy": side.numpy} for side in (pair.a, pair.b)],
        "fingerprint": pair.fingerprint.model_dump(),
        "target": pair.target,
        "skipped": [[each.subject, each.reason] for each in pair.skipped],
        "rows": [
            [
                row.subject,
                row.kind,
                row.dtype,
                row.size,
                row.elements,
                *map(_brief, (row.a, row.b, row.ratio, *row.interval)),
                row.pairs,
            ]
            for row in pair.rows
        ],
    }


def _expense(runs: Sequence[Run]) -> list[list[Any]]:
    """Cells, cases, seconds, and where they were measured the seconds in the code under test, area by area."""
    rows: dict[str, list[Any]] = {}
    titles = {area.area: area.title for run in reversed(runs) for area in run.areas}
    for number, run in enumerate(runs):
        measured = {cost.area: cost.under_test for cost in run.costs}
        spent: dict[str, list[Any]] = {}
        for cell in run.cells:
            found = spent.setdefault(cell.area, [0, 0, 0.0])
            found[0] += 1
            found[1] += cell.cases.corner + cell.cases.sampled
            found[2] += cell.seconds
        for area, (cells, cases, seconds) in spent.items():
            row = rows.setdefault(area, [0 for _ in runs])
            under_test = measured.get(area)
            row[number] = [cells, cases, _brief(seconds), None if under_test is None else _brief(under_test)]
    return [[area, titles.get(area, area), row] for area, row in rows.items()]


def _dearest(run: Run, numbers: Mapping[str, int]) -> list[list[Any]]:
    """The cells that took longest, with their cases and the seconds in the code under test."""
    cells = sorted(run.cells, key=lambda cell: (-cell.seconds, cell.id))[:DEAREST]
    return [
        [
            numbers[cell.id],
            _brief(cell.seconds),
            cell.cases.corner + cell.cases.sampled,
            None if cell.under_test is None else _brief(cell.under_test),
        ]
        for cell in cells
    ]


def _brief(value: float) -> float | int:
    """Four digits: more than a clock can tell, and a third of the bytes."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
