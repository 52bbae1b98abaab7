"""Putting the shards of a run together again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from reports.model import Run
from reports.opening import same_file
from reports.reading import MOST_FAULTS, Record, shown
from reports.tally import counted, limit


class UnmergeableError(Exception):
    """Records that are not the parts of one run; a line for each reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def merge(records: Sequence[Record], into: Path, *, allow_gaps: bool = False) -> Run:
    """One run of the shards, as it is written to ``into``.

    Shards of different builds, devices or settings, a cell that two shards have, a shard that is missing
    or was cut off: each is a reason not to merge. With ``allow_gaps`` missing and cut-off shards make an
    incomplete run instead.
    """
    reasons = [*_overwritten(records, into), *_strangers(records)]
    if not reasons:  # the parts of two runs have cells in common, and nothing is gained by naming them
        reasons = [*_duplicates(records), *_contradictions(records)]
    gaps = list(_gaps(records))
    if not allow_gaps:
        reasons += gaps
    if reasons:
        raise UnmergeableError(reasons)
    first = records[0].run
    runs = [record.run for record in records]
    finished = [run.finished for run in runs if run.finished is not None]
    cells = [cell for record in records for cell in _moved(record, into)]
    merged = {
        **first.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "complete": not gaps,
        "settings": {
            **first.settings.model_dump(exclude_unset=True),
            "shard": None,
            "arguments": [*_arguments(first.settings.arguments), *(_shards(runs) if gaps else [])],
        },
        "started": min(run.started for run in runs),
        "finished": max(finished) if len(finished) == len(runs) else None,
        "seconds": sum(run.seconds or 0 for run in runs),
        "planned": sum(run.planned for run in runs),
        "available": runs[0].available,
        "areas": list({area.area: area.model_dump(exclude_unset=True) for run in runs for area in run.areas}.values()),
        "behaviours": list(
            {each.id: each.model_dump(exclude_unset=True) for run in runs for each in run.behaviours}.values()
        ),
        "errors": list(dict.fromkeys(error for run in runs for error in run.errors)),
        **_timings(runs),
        **_costs(runs),
        "cells": sorted(cells, key=lambda cell: str(cell["id"])),
    }
    return Run.model_validate(merged)


def _timings(runs: Sequence[Run]) -> dict[str, Any]:
    """The timings of the first shard that has any: those of two machines make no one set."""
    found = next((run.performance for run in runs if run.performance is not None), None)
    return {} if found is None else {"performance": found.model_dump(mode="json", exclude_unset=True)}


def _costs(runs: Sequence[Run]) -> dict[str, Any]:
    """What each area cost, in all shards."""
    found: dict[str, dict[str, Any]] = {}
    for cost in (cost for run in runs for cost in run.costs):
        row = found.setdefault(cost.area, {"area": cost.area, "cells": 0, "cases": 0, "seconds": 0.0})
        for name in ("cells", "cases", "seconds", "under_test"):
            if (value := getattr(cost, name)) is not None:
                row[name] = row.get(name, 0) + value
    return {"costs": list(found.values())} if found else {}


def _overwritten(records: Sequence[Record], into: Path) -> list[str]:
    """A shard that the merged record would replace: with it, the only record of its cells would be gone."""
    return [
        f"{record.path}: expected an output beside the records that are merged, found -o {into}, which is this very "
        "record: name another file"
        for record in records
        if same_file(record.path, into)
    ][:1]


def _shards(runs: Sequence[Run]) -> list[str]:
    """The arguments that name the shards there are, so that a reader of the record knows which are not."""
    return [f"--shard={run.settings.shard}" for run in runs if run.settings.shard is not None]


def _loss(run: Run) -> str:
    left = run.planned - len(run.cells)
    if left > 0:
        return f"the run was cut off, {counted(left, 'planned cell')} without a verdict"
    found = limit(run)
    return found.says.rstrip(".") if found else "the run did not end as it should"


# What must be the same. The machine may differ: shards are made to run on several.
_SAME: dict[str, Callable[[Run], Any]] = {
    "suite": lambda run: run.suite.model_dump(),
    "torch": lambda run: run.environment.torch.model_dump(),
    "NumPy": lambda run: run.environment.numpy,
    "Python": lambda run: run.environment.python,
    "targets": lambda run: [
        (target.name, target.type, None if target.type == "cpu" else (target.device, target.driver))
        for target in run.environment.targets
    ],
    "settings": lambda run: run.settings.model_dump(exclude={"shard", "arguments"}),
}


def _strangers(records: Sequence[Record]) -> list[str]:
    first = records[0]
    found = []
    for record in records[1:]:
        for name, of in _SAME.items():
            expected, met = of(first.run), of(record.run)
            if expected != met:
                found.append(f"{record.path}: {name}: {_difference(expected, met, first.path)}")
    return found


def _difference(expected: Any, found: Any, where: Path) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        key = next(key for key in expected if expected[key] != found.get(key))
        return f"{key}: expected {shown(expected[key])} as in {where}, found {shown(found[key])}"
    return f"expected {expected} as in {where}, found {found}"


def _duplicates(records: Sequence[Record]) -> list[str]:
    """A line for each pair of records that have cells in common: both files, how many cells, and the first of them."""
    owners: dict[str, int] = {}
    shared: dict[tuple[int, int], list[str]] = {}
    for number, record in enumerate(records):
        for cell in record.run.cells:
            owner = owners.setdefault(cell.id, number)
            if owner != number:
                shared.setdefault((number, owner), []).append(cell.id)
    return [
        f"{records[number].path}: {counted(len(cells), 'cell')} {'is' if len(cells) == 1 else 'are'} in "
        f"{records[owner].path} too: {', '.join(cells[:3])}{', …' if len(cells) > 3 else ''}"
        for (number, owner), cells in shared.items()
    ]


def _contradictions(records: Sequence[Record]) -> list[str]:
    known: dict[str, Any] = {}
    found = []
    for record in records:
        for behaviour in record.run.behaviours:
            if known.setdefault(behaviour.id, behaviour) != behaviour:
                found.append(f"{record.path}: behaviour {behaviour.id} is defined otherwise than in {records[0].path}")
    return found[:MOST_FAULTS]


def _gaps(records: Sequence[Record]) -> list[str]:
    """What is missing for the whole: shards, and the rest of shards that were cut off."""
    found = []
    for record in records:
        run = record.run
        if not run.complete:
            found.append(f"{record.path}: {_loss(run)}")
    shards = [record.run.settings.shard for record in records]
    if all(shard is None for shard in shards):
        return found
    for record, shard in zip(records, shards, strict=True):
        if shard is None:
            return [*found, f"{record.path}: expected a shard as the other records are, found a run that is not one"]
    parts = [tuple(map(int, str(shard).split("/"))) for shard in shards]
    total = parts[0][1]
    for record, (_, of) in zip(records, parts, strict=True):
        if of != total:
            return [*found, f"{record.path}: expected a shard of {total}, found shard {record.run.settings.shard}"]
    there = {part for part, _ in parts}
    missing = islice((part for part in range(1, total + 1) if part not in there), MOST_FAULTS)
    found += [f"shard {part}/{total} is missing" for part in missing]
    more = total - len(there) - MOST_FAULTS
    return [*found, f"{counted(more, 'more shard')} {'is' if more == 1 else 'are'} missing"] if more > 0 else found


def _moved(record: Record, into: Path) -> list[dict[str, Any]]:
    """The cells, with the paths of reproducers seen from the folder of the merged record."""
    folder = os.path.relpath(record.path.parent.resolve(), into.parent.resolve())
    cells = []
    for cell in record.run.cells:
        found = cell.model_dump(mode="json", exclude_unset=True)
        if cell.reproducer is not None:
            found["reproducer"] = os.path.normpath(os.path.join(folder, cell.reproducer)).replace(os.sep, "/")
        cells.append(found)
    return cells


def _arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that are of one shard only."""
    own = ("--shard", "--run-record")
    found, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in own:
            skip = True
        elif not argument.startswith(tuple(f"{name}=" for name in own)):
            found.append(argument)
    return found
