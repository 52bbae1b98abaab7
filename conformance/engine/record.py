"""The run record: one JSON file that is valid after every cell, and complete at the end.

While the run goes on, each cell is put in front of the closing brackets in a single write, so that a killed run
leaves a readable record whose ``complete`` is false. The end rewrites the file at one stroke, sorted by cell id.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = 1
TAIL = b"\n]}\n"
LISTS = ("claims", "surface", "costs", "cells")


class RunRecord:
    """The record of one run, written to ``path`` as cells arrive."""

    def __init__(self, path: Path, header: dict[str, Any], going_on: dict[str, Any] | None = None) -> None:
        """Start the file, with the cells of a record that goes on; raises OSError where it cannot be written."""
        self.path = path
        self.header = {
            "schema": SCHEMA,
            "complete": False,
            **header,
            "started": _now(),
            "finished": None,
            "seconds": None,
        }
        self.before = 0.0  # seconds that a run took before it was cut off
        self.cells: dict[str, str] = {}
        self.errors: list[str] = []
        self.planned = 0
        self.available: int | None = None
        self.descriptor = -1
        self.lost: str | None = None  # why cells could not be written
        self.areas: list[dict[str, Any]] = []
        self.behaviours: list[dict[str, Any]] = []
        self.tables: dict[str, list[dict[str, Any]]] = {}  # of the suite, whatever was run: claims, surface
        if going_on is not None:
            self.header["started"], self.before = going_on["started"], going_on["seconds"]
            self.planned, self.available = going_on["planned"], going_on["available"]
            self.areas, self.behaviours = going_on["areas"], going_on["behaviours"]
            self.tables = going_on["tables"]
            self.cells = {cell["id"]: json.dumps(cell, allow_nan=False) for cell in going_on["cells"]}
        self.kept = len(self.cells)
        self.began = datetime.now(UTC)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._start_file()

    def plan(self, cells: int, areas: list[dict[str, Any]], behaviours: list[dict[str, Any]]) -> None:
        """Say how many cells this run means to have, and of what; before the first of them."""
        self.planned = cells
        self.areas, self.behaviours = _joined(self.areas, areas, "area"), _joined(self.behaviours, behaviours, "id")
        if len(self.cells) == self.kept:
            self._start_file()

    def survey(self, available: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        """Say how many cells there are, asked for or not, and the tables of the suite.

        Where there is no room for them the file goes on as it is; the end writes them, or says why it cannot.
        """
        self.available, self.tables = available, tables or self.tables
        with suppress(OSError):
            self._start_file()

    def add(self, cell: dict[str, Any]) -> None:
        """Append one cell; a second verdict for one cell replaces the first in the end.

        Where it cannot be written, as on a full disk, the file stays as it was, and no more is tried before the end.
        """
        self.cells[cell["id"]] = json.dumps(cell, allow_nan=False)
        text = (b",\n" if self.written else b"\n") + self.cells[cell["id"]].encode()
        if self.lost is not None:
            return
        try:
            put(self.descriptor, text + TAIL, self.end)
        except OSError as error:
            self.lost = _words(error)
            with suppress(OSError):  # the room for these few bytes was there before
                put(self.descriptor, TAIL, self.end)
                os.ftruncate(self.descriptor, self.end + len(TAIL))
            return
        self.end += len(text)
        self.written += 1

    def finish(self, more: bool = False) -> None:
        """Rewrite the whole record in its final form; it is complete where every planned cell has its verdict.

        It is not where ``more`` is to come: the serial phase, which says so itself (``appendix``).

        Where there is no room for it, ``lost`` says why, and the file stays as the last cell left it.
        """
        os.close(self.descriptor)
        self.descriptor = -1
        now = datetime.now(UTC)
        complete = not more and not self.errors and len(self.cells) == self.planned
        whole = {
            **self.header, "complete": complete, "finished": stamp(now),
            "seconds": round(self.before + (now - self.began).total_seconds(), 3), "planned": self.planned,
            "available": self.available,
            "areas": self.areas, "behaviours": self.behaviours, "errors": self.errors,
        }  # fmt: skip
        lists = {name: [json.dumps(row) for row in rows] for name, rows in self.tables.items()}
        lists["cells"] = [self.cells[key] for key in sorted(self.cells)]
        text = _with_lists(json.dumps(whole, indent=1, default=str)[:-2], lists) + "}\n"
        try:
            write_atomically(self.path, text)
        except OSError as error:
            self.lost = _words(error)
        else:
            self.lost = None

    def _start_file(self) -> None:
        head = {
            **self.header, "planned": self.planned, "available": self.available, "areas": self.areas,
            "behaviours": self.behaviours, "errors": self.errors, **self.tables,
        }  # fmt: skip
        cells = ",\n".join(self.cells.values())
        text = json.dumps(head, default=str).encode()[:-1] + b', "cells": [' + (f"\n{cells}" if cells else "").encode()
        write_atomically(self.path, (text + TAIL).decode())
        descriptor = os.open(self.path, os.O_WRONLY)
        if self.descriptor >= 0:  # only now: its number may be another's as soon as it is closed
            os.close(self.descriptor)
        self.descriptor = descriptor
        self.end, self.written = len(text), len(self.cells)


def text_of(document: dict[str, Any], parts: dict[str, str]) -> str:
    """A record as ``finish`` writes it, with further parts that are text already, and without its last bracket."""
    lists = {name: [json.dumps(row) for row in document[name]] for name in LISTS if document.get(name) is not None}
    whole = {name: value for name, value in document.items() if name not in lists}
    text = _with_lists(json.dumps(whole, indent=1)[:-2], lists)
    return text + "".join(f',\n "{name}": {part}' for name, part in parts.items())


def _with_lists(text: str, lists: dict[str, list[str]]) -> str:
    """The beginning of a record and its lists, with a line for each entry."""
    return text + "".join(f',\n "{name}": [\n' + ",\n".join(rows) + "\n]" for name, rows in lists.items())


def _joined(old: list[dict[str, Any]], new: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The rows of two tables, those that are in both once."""
    return list({row[key]: row for row in [*old, *new]}.values())


def put(descriptor: int, data: bytes, place: int) -> None:
    """Write all of ``data``; the system may take less at a time, as it does where the room ends."""
    while data:
        count = os.pwrite(descriptor, data, place)
        data, place = data[count:], place + count


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def write_atomically(path: Path, text: str) -> None:
    """Put ``text`` into ``path`` so that no reader ever sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _now() -> str:
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
