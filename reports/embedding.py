"""The data of the page: an index that every view needs, and the details of each behaviour, packed.

A report of ten runs of 20,000 cells holds 200,000 results. The index keeps one character of verdict for
each, and a number for the set of dtypes; whatever only a drill-down shows is packed for each behaviour
apart (JSON, deflate, base64), and the browser unpacks it when somebody looks.
"""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from reports import claims, performance, reproducer, surface
from reports.alternation import Alternation
from reports.bars import FEWEST
from reports.deviations import deviations
from reports.differences import KINDS
from reports.headline import headline
from reports.labels import labels
from reports.model import Behaviour, Cell, Evidence, Run
from reports.pool import Pool
from reports.reading import Record
from reports.slowness import incomparable, slowness
from reports.tally import Tally, by_level, limit, share, standing
from reports.verdicts import GROUP_MEANINGS, LEVELS, MEANINGS, VERDICTS

LONGEST_TEXT = 64 * 1024
FIELDS = (
    "cases", "message", "compared", "expected", "found", "minimal", "rerun", "reason", "issue", "reproducer",
    "evidence",
)  # fmt: skip
MOST_SLOWER = 60
"""So many of the calls that became slower from one run to another are named."""
OF_VIEWS = {"schema_", "areas", "behaviours", "claims", "surface", "performance", "costs", "cells"}
"""The keys of a run that have a place of their own in the page."""
NAMED_EVIDENCE = tuple(Evidence.model_fields)
DOCUMENTATION = {"quoted": "q", "changed": "c", "missing": "m", "unchecked": "u", None: "."}


def script_json(value: Any) -> str:
    """JSON that can stand inside a script element: ASCII, and without a character that HTML reads."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def index(records: Sequence[Record], alternations: Sequence[Alternation] = ()) -> dict[str, Any]:
    """What every view needs, column by column."""
    behaviours = _behaviours(records)
    order = _order(records, behaviours)
    strings, sets = Pool(), Pool()
    by_id = [{cell.id: cell for cell in record.run.cells} for record in records]
    starts: list[int] = []
    subjects: list[int] = []
    targets: list[int] = []
    names: list[str] = []
    for behaviour, cells in order.items():
        starts.append(len(names))
        for cell in cells:
            names.append(cell.id.removeprefix(behaviour))
            subjects.append(strings.number(cell.subject or ""))
            targets.append(strings.number(cell.target))
    ids = [cell.id for cells in order.values() for cell in cells]
    numbers = {name: number for number, name in enumerate(ids)}
    runs = [record.run for record in records]
    return {
        "verdicts": [{"verdict": verdict, **asdict(MEANINGS[verdict])} for verdict in VERDICTS],
        "groups": {name: asdict(meaning) for name, meaning in GROUP_MEANINGS.items()},
        "levels": LEVELS,
        "runs": _runs(records),
        "areas": _areas(records),
        "behaviours": [_behaviour(records, behaviours[name]) for name in order],
        "starts": [*starts, len(names)],
        "names": names,
        "subjects": subjects,
        "targets": targets,
        "results": ["".join(_verdict(cells.get(name)) for name in ids) for cells in by_id],
        "documentation": ["".join(_documentation(cells.get(name)) for name in ids) for cells in by_id],
        "dtypes": [[sets.number(_dtypes(cells.get(name))) for name in ids] for cells in by_id],
        "headlines": [_headlines(cells, ids, strings) for cells in by_id],
        "sets": sets.values,
        "strings": strings.values,
        "kinds": KINDS,
        "deviations": [asdict(each) for each in deviations(runs, numbers)],
        "slower": {"fewest": FEWEST, "pairs": _slower(runs)},
        "claims": claims.index(runs),
        "surface": surface.index(runs),
        "performance": performance.shown(runs, alternations),
    }


def details(records: Sequence[Record]) -> list[str]:
    """What a drill-down shows, one packed text for each behaviour, in the order of the index."""
    order = _order(records, _behaviours(records))
    by_id = [{cell.id: cell for cell in record.run.cells} for record in records]
    packed = []
    for cells in order.values():
        pool = Pool()
        rows = [
            [_result(record, found.get(cell.id), pool) for record, found in zip(records, by_id, strict=True)]
            for cell in cells
        ]
        packed.append(_pack({"fields": FIELDS, "pool": pool.values, "rows": rows}))
    return packed


def pictures(records: Sequence[Record], alternations: Sequence[Alternation] = ()) -> str | None:
    """What the view *performance* draws, packed; none where there is nothing to draw."""
    order = _order(records, _behaviours(records))
    numbers = {cell.id: number for number, cell in enumerate(cell for cells in order.values() for cell in cells)}
    found = performance.index([record.run for record in records], numbers, alternations)
    return None if found is None else _pack(found)


def _pack(value: Any) -> str:
    plain = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return base64.b64encode(zlib.compress(plain, 9)).decode("ascii")


def _behaviours(records: Sequence[Record]) -> dict[str, Behaviour]:
    """The behaviours of all runs, area by area, as the first run that has them states them."""
    areas: dict[str, dict[str, Behaviour]] = {}
    for record in records:
        for behaviour in record.run.behaviours:
            areas.setdefault(behaviour.area, {}).setdefault(behaviour.id, behaviour)
    return {name: behaviour for found in areas.values() for name, behaviour in found.items()}


def _order(records: Sequence[Record], behaviours: dict[str, Behaviour]) -> dict[str, list[Cell]]:
    """The cells of all runs, each once, under their behaviours."""
    found: dict[str, dict[str, Cell]] = {name: {} for name in behaviours}
    for record in records:
        for cell in record.run.cells:
            found[f"{cell.area}.{cell.behaviour}"].setdefault(cell.id, cell)
    return {name: [cells[key] for key in sorted(cells)] for name, cells in found.items()}


def _runs(records: Sequence[Record]) -> list[dict[str, Any]]:
    runs = []
    for record, label in zip(records, labels(records), strict=True):
        run, tally = record.run, Tally.of(record.run.cells)
        runs.append(
            {
                **asdict(label),
                "file": record.path.name,
                "standing": asdict(standing(run)),
                "share": share(run, tally),
                "limit": asdict(found) if (found := limit(run)) else None,
                "command": shlex.join(["pytest", *run.settings.arguments]),
                "counts": tally.counts,
                "levels": {level: found.counts for level, found in by_level(run).items()},
                **run.model_dump(mode="json", exclude=OF_VIEWS),
                "cells": len(run.cells),
            }
        )
    return runs


def _areas(records: Sequence[Record]) -> list[dict[str, Any]]:
    areas: dict[str, dict[str, Any]] = {}
    for record in records:
        for area in record.run.areas:
            areas.setdefault(area.area, area.model_dump())
    return list(areas.values())


def _behaviour(records: Sequence[Record], behaviour: Behaviour) -> dict[str, Any]:
    """A behaviour, and how the runs' suites that state it otherwise do."""
    others: list[dict[str, Any]] = []
    for number, record in enumerate(records):
        for other in record.run.behaviours:
            if other.id == behaviour.id and (other.statement, other.level) != (behaviour.statement, behaviour.level):
                others.append({"run": number, "statement": other.statement, "level": other.level})
    return {**behaviour.model_dump(), "others": others}


def _verdict(cell: Cell | None) -> str:
    return "." if cell is None else str(VERDICTS.index(cell.verdict))


def _documentation(cell: Cell | None) -> str:
    """Whether the build has the quoted phrase; of no interest where the statement does not speak of the build."""
    if cell is None or cell.verdict == "not-applicable":
        return "."
    return DOCUMENTATION[cell.evidence.documentation]


def _dtypes(cell: Cell | None) -> list[str]:
    return [] if cell is None else sorted({*cell.evidence.dtypes, *cell.evidence.unsupported})


def _headlines(cells: dict[str, Cell], ids: list[str], strings: Pool) -> list[int]:
    """What a cell has to say, in a line: cell, string, cell, string, …"""
    found = []
    for number, name in enumerate(ids):
        if (cell := cells.get(name)) and (line := headline(cell)):
            found += [number, strings.number(line)]
    return found


def _slower(runs: Sequence[Run]) -> list[list[Any]]:
    """From each run to each: the calls that became slower, or why times are not compared."""
    return [[_slower_pair(one, other) for other in runs] for one in runs]


def _slower_pair(one: Run, other: Run) -> str | dict[str, Any] | None:
    if one is other:
        return None
    if why := incomparable(one, other):
        return why
    found = slowness(one, other)
    return {
        "pairs": found.pairs,
        **{name: float(f"{getattr(found, name):.4g}") for name in ("usual", "spread", "bar")},
        "slower": len(found.calls),
        "calls": [
            [each.call, each.subject]
            + [float(f"{x:.4g}") for x in (each.before, each.after, each.ratio, *each.interval)]
            for each in found.calls[:MOST_SLOWER]
        ],
    }


def _result(record: Record, cell: Cell | None, pool: Pool) -> list[int | float] | None:
    """A cell's result: its seconds, then a number of the pool for each field."""
    if cell is None:
        return None
    values: dict[str, Any] = {
        **{name: _bounded(getattr(cell, name)) for name in FIELDS[1:-2]},
        "cases": {"corner": cell.cases.corner, "sampled": cell.cases.sampled},
        "reproducer": asdict(reproducer.read(record.path.parent, cell.reproducer)) if cell.reproducer else None,
        "evidence": [pool.number(part) for item in _evidence(cell).items() for part in item],
    }
    return [float(f"{cell.seconds:.3g}"), *(pool.number(values[name]) for name in FIELDS)]


def _evidence(cell: Cell) -> dict[str, Any]:
    """The evidence, key by key: there are 200,000 of them, and dumping a model takes three times as long."""
    evidence = cell.evidence
    found = {name: getattr(evidence, name) for name in NAMED_EVIDENCE} | (evidence.__pydantic_extra__ or {})
    for name in ("scaling", "ratios"):  # hardly a cell has these, and every cell would pay for saying so
        if costs := found.pop(name):
            found[name] = [each.model_dump(mode="json") for each in costs]
    return found


def _bounded(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} characters more in the run record."
