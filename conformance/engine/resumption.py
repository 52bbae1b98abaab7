"""Resumption: an unfinished run that goes on where it was cut off.

What was decided is kept, as long as it was decided by the same suite, on the same build and in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from conformance.engine.settings import UsageError
from conformance.engine.words import Level, Verdict

# What may differ: what matters in the arguments is in the other settings, and in which cells there are.
TABLES = ("claims", "surface")
ANY = {"settings": ("arguments",), "environment": ("cpus",)}


@dataclass(frozen=True)
class Resumed:
    """The record of the run that goes on: its file, as the user named it, and what it says."""

    named: str
    document: dict[str, Any]
    until: float  # seconds from its start to its last cell

    @property
    def decided(self) -> dict[str, dict[str, Any]]:
        """The cells that have a verdict."""
        return {cell["id"]: cell for cell in self.document["cells"]}

    def check(self, header: dict[str, Any]) -> None:
        """Raise UsageError where the run that begins is another than the one that goes on."""
        found = [
            f"{key} {_brief(new)} (was {_brief(old)})"
            for part in ("suite", "environment", "settings")
            for key, old, new in _differences(part, self.document.get(part), header[part])
        ]
        if found:
            raise UsageError(f"--resume: expected everything as it was in {self.named}; found {'; '.join(found)}")

    def check_cells(self, there: int) -> None:
        """Raise UsageError where the cells of this run are not those that were planned."""
        planned = self.document["planned"]
        if there < planned or (there > planned > 0 and not self.document.get("errors")):  # what failed may be there now
            given = " ".join(self.document["settings"].get("arguments", [])) or "none"
            raise UsageError(
                f"--resume: expected the {planned} cells that were planned in {self.named}; found {there} (paths, -k "
                f"and -m must be as they were; the arguments were: {given})"
            )

    def going_on(self) -> dict[str, Any]:
        """What the record of the run that goes on keeps."""
        document = self.document
        return {
            "cells": list(self.decided.values()), "areas": document.get("areas") or [], "started": document["started"],
            "behaviours": document.get("behaviours") or [], "planned": document["planned"],
            "tables": {name: document[name] for name in TABLES if document.get(name)},
            "available": document.get("available"), "seconds": document.get("seconds") or self.until,
        }  # fmt: skip


def load(named: str) -> Resumed:
    """The unfinished run in a file; raises UsageError."""
    asked = "--resume: expected the record of a run that was cut off, such as reports/runs/latest.json; found"
    path = Path(named)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        written = path.stat().st_mtime
    except OSError as error:
        raise UsageError(f"{asked} {named!r}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{asked} {named!r}: no JSON") from None
    parts = {"suite": dict, "environment": dict, "settings": dict, "cells": list, "planned": int, "started": str}
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise UsageError(f"{asked} {named!r}: no run record of schema 1")
    for key, kind in parts.items():
        if not isinstance(document.get(key), kind):
            raise UsageError(f"{asked} {named!r}: no {key!r} in it")
    for number, cell in enumerate(document["cells"]):
        wrong = _unfit(cell)
        if wrong is not None:
            raise UsageError(f"{asked} {named!r}: cells.{number}: {wrong}")
    if document.get("complete"):
        raise UsageError(f"{asked} {named!r}: a run that is complete, with {len(document['cells'])} cells")
    try:
        started = datetime.fromisoformat(document["started"].replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise UsageError(f"{asked} {named!r}: no time in 'started': {document['started']!r}") from None
    return Resumed(named, document, max(written - started, 0.0))


def _unfit(cell: Any) -> str | None:
    """What keeps an entry from being a cell that is decided; None where nothing does."""
    if not isinstance(cell, dict):
        return f"expected a cell; found {_brief(cell)}"
    words: dict[str, type[Enum] | None] = {"id": None, "area": None, "level": Level, "verdict": Verdict}
    for key, kind in words.items():
        value = cell.get(key)
        if not isinstance(value, str):
            return f"expected its {key}; found {_brief(value)}"
        if kind is not None and value not in [each.value for each in kind]:
            return f"expected a {key}; found {_brief(value)}"
    return None


def _differences(part: str, old: Any, new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    old = old if isinstance(old, dict) else {}
    # as a file has it: a tuple is a list there
    for key, value in json.loads(json.dumps(new)).items():
        if key in ANY.get(part, ()):
            continue
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from ((f"{key} {inner}", was, now) for inner, was, now in _differences(part, before, value))
        elif before != value:
            yield key, before, value


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
