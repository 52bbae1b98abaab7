"""Reading a run record: either the whole record, or faults of one line each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from conformance import __version__
from reports.faults import Fault, UnreadableError
from reports.model import SCHEMA, Run
from reports.opening import AB, RECORD, Kind, content, markup, refuse

LONGEST_FOUND = 80
MOST_FAULTS = 20
SUITE = "torch-conformance"
OWN_KEYS = {"suite", "environment", "settings", "cells"}
"""What a record has and hardly anything else does."""

Model = TypeVar("Model", bound=BaseModel)

_WORDS = re.compile(rb"[\[:,]\s*-?(NaN|Infinity)")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Record:
    """A run and the file that it was read from."""

    path: Path
    run: Run


def shown(value: object) -> str:
    """A value as a fault shows it: JSON, and no longer than a line bears."""
    if isinstance(value, dict):
        return f"an object with {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_FOUND else text[:LONGEST_FOUND] + "…"


def load(path: Path) -> Record:
    """Read a run record, or raise :class:`UnreadableError` with every fault found."""
    found = content(path)
    run = _sound(found) or _examined(path, found)
    if faults := list(_sense(path, run)):
        raise UnreadableError(faults)
    return Record(path, run)


def _sound(data: bytes) -> Run | None:
    """The run of a record without a fault, by a third of the time and memory; None where there is one to name."""
    try:
        # pydantic takes NaN and Infinity for numbers, and JSON has neither
        return None if _WORDS.search(data) else _lean(Run.model_validate_json(data))
    except ValueError:
        return None


def _lean(run: Run) -> Run:
    """The run, its cells sharing what pydantic notes for each of them anew: which keys the record has."""
    known: dict[frozenset[str], set[str]] = {}
    for cell in run.cells:
        for part in (cell, cell.cases, cell.evidence):
            keys = part.model_fields_set
            object.__setattr__(part, "__pydantic_fields_set__", known.setdefault(frozenset(keys), keys))
    return run


def _examined(path: Path, data: bytes) -> Run:
    """The run of a record that may have faults, or all of them."""
    found = document(path, data)
    _version(path, found)
    try:
        return Run.model_validate(found)
    except ValidationError as error:
        _maker(path, found)
        raise UnreadableError(list(shape(path, found, error))) from None


def parsed(path: Path, model: type[Model], kind: Kind) -> Model:
    """A file of another kind by its model, or :class:`UnreadableError` with every fault found."""
    found = document(path, content(path, kind), kind)
    if not isinstance(found, dict):
        refuse(path, "", f"{kind.name} (an object)", shown(found), kind.way)
    if found.get("schema") != kind.schema:
        told = shown(found["schema"]) if "schema" in found else "no such key"
        refuse(path, "schema", f'"{kind.schema}", as {kind.name} has', told, kind.way)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise UnreadableError(list(shape(path, found, error))) from None


def document(path: Path, data: bytes, kind: Kind = RECORD) -> Any:
    """What the JSON of a file says, or one fault that says why it is none."""

    def constant(word: str) -> NoReturn:
        refuse(path, "", "JSON, which has neither NaN nor Infinity", word)

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x}"
        refuse(
            path, f"byte {error.start}", f"{kind.name} as UTF-8 text", byte, f"this is no file that {kind.writer} wrote"
        )
    if what := markup(text, kind):
        refuse(path, "", f"{kind.name} (JSON)", *what)
    try:
        found = json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        if not text.strip():
            refuse(path, place, kind.name, "an empty file", "make it again, or copy the file again")
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            end, rest = "the end of the file (was it cut off?)", f"the rest of {kind.name}"
            refuse(path, place, rest, end, "copy it again: a killed run leaves a whole file too")
        what_else = f"{shown(text[error.pos : error.pos + 20])} ({error.msg})"
        refuse(path, place, "JSON", what_else, kind.way)
    except (RecursionError, ValueError) as error:  # nested beyond all measure; integers of thousands of digits
        refuse(path, "", kind.name, f"JSON that cannot be read ({type(error).__name__})")
    # A lone surrogate can be written in JSON and in nothing else that is written here.
    return _whole(found) if "\\ud" in text.lower() else found


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def _version(path: Path, document: Any) -> None:
    """Refuse what is of another project, and what is of another version than the one that is known here."""
    if not isinstance(document, dict):
        refuse(path, "", "a run record (an object)", shown(document), RECORD.way)
    if document.get("schema") == AB.schema:
        refuse(path, "", RECORD.name, AB.name, "name it with build --ab, beside a run record")
    if len(OWN_KEYS - document.keys()) > 1:  # of a record that lost one, the fault is that one
        names = shown(", ".join(document)) if document else "no key"
        remedy = "this is of another program: name the file that --run-record wrote"
        refuse(path, "", "a run record (an object with suite, environment, cells …)", f"JSON with {names}", remedy)
    found = document.get("schema")
    if found == SCHEMA and not isinstance(found, bool):
        return
    known = f"{SCHEMA} (torch-conformance {__version__} knows no other)"
    suite = document["suite"] if isinstance(document.get("suite"), dict) else {}
    maker = f", as torch-conformance {suite['version']} writes it" if isinstance(suite.get("version"), str) else ""
    if isinstance(found, int) and not isinstance(found, bool) and found > SCHEMA:
        refuse(path, "schema", known, f"{shown(found)}{maker}", "read it with that release of the suite or a newer one")
    told = shown(found) if "schema" in document else "no such key"
    refuse(path, "schema", known, told, "make the run again with this release: no release has written such a record")


def _maker(path: Path, document: dict[str, Any]) -> None:
    """Refuse in one line what another suite wrote and does not fit: its faults by our schema help nobody."""
    suite = document.get("suite")
    name = suite.get("name") if isinstance(suite, dict) else None
    if isinstance(name, str) and name != SUITE:
        refuse(path, "suite.name", f'"{SUITE}", as the record does not fit its schema', shown(name), RECORD.way)


def shape(path: Path, document: Any, error: ValidationError) -> Iterator[Fault]:
    """Where a document does not have the shape of its model."""
    details = error.errors(include_url=False, include_context=True)
    for detail in details[:MOST_FAULTS]:
        yield Fault(str(path), _place(document, detail["loc"]), _expected(detail), _found(detail))
    if len(details) > MOST_FAULTS:
        yield Fault(str(path), "", "no further fault", f"{len(details) - MOST_FAULTS} more")


def _place(document: Any, loc: tuple[int | str, ...]) -> str:
    words: list[str] = []
    for key in loc:
        words.append(f"[{key}]" if isinstance(key, int) else f".{key}" if words else key)
        document = _inside(document, key)
        if isinstance(key, int) and isinstance(document, dict) and isinstance(document.get("id"), str):
            words.append(f" ({document['id'][:LONGEST_FOUND]})")
    return "".join(words)


def _inside(document: Any, key: int | str) -> Any:
    try:
        return document[key]
    except (LookupError, TypeError):
        return None


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "this key"
    if detail["type"] == "extra_forbidden":
        return "no such key"
    if detail["type"] == "literal_error":
        return f"one of {detail['ctx']['expected']}"
    return detail["msg"].removeprefix("Input should be ").removeprefix("String should ").strip()


def _found(detail: ErrorDetails) -> str:
    return "none" if detail["type"] == "missing" else shown(detail["input"])


def _sense(path: Path, run: Run) -> Iterator[Fault]:
    """What a record of the right shape can still contradict itself in."""
    file = str(path)
    levels = {behaviour.id: behaviour.level for behaviour in run.behaviours}
    areas = {area.area for area in run.areas}
    for kind, names in (
        ("areas", [area.area for area in run.areas]),
        ("behaviours", [behaviour.id for behaviour in run.behaviours]),
        ("cells", [cell.id for cell in run.cells]),
    ):
        seen: set[str] = set()
        for number, name in enumerate(names):
            if name in seen:
                yield Fault(file, f"{kind}[{number}]", "each id once", f"{shown(name)} again")
            seen.add(name)
    for behaviour in run.behaviours:
        if behaviour.area not in areas:
            yield Fault(file, f"behaviours ({behaviour.id}).area", "an area of the record", shown(behaviour.area))
    for number, cell in enumerate(run.cells):
        behaviour_id = f"{cell.area}.{cell.behaviour}"
        level = levels.get(behaviour_id)
        if level is None:
            yield Fault(file, f"cells[{number}] ({cell.id})", "a behaviour of the record", shown(behaviour_id))
        elif level != cell.level:
            yield Fault(
                file, f"cells[{number}] ({cell.id}).level", f"{shown(level)}, as of {behaviour_id}", shown(cell.level)
            )
    if (shard := run.settings.shard) is not None:
        part, of = map(int, shard.split("/"))
        if part > of:
            yield Fault(file, "settings.shard", "I/N with I up to N", shown(shard))
    planned = shown(run.planned)
    if len(run.cells) > run.planned:
        yield Fault(file, "cells", f"at most the {planned} planned", str(len(run.cells)))
    elif run.complete and len(run.cells) < run.planned:
        yield Fault(file, "cells", f"the {planned} planned, as the record is complete", str(len(run.cells)))
