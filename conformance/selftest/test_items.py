"""Items are cells, as pytest collects, orders and runs them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from conformance.engine.items import CellItem, by_subject


def item(file: str, behaviour: str, subject: str | None, costly: bool = False) -> Any:
    """An item of ``file``, an area that is costly or not."""
    made = CellItem.__new__(CellItem)
    made.path, made.name = Path(file), behaviour
    made.parent = SimpleNamespace(costly=costly)  # type: ignore[assignment]
    made.cell = SimpleNamespace(subject_name=subject)  # type: ignore[assignment]
    return made


def test_the_cells_of_one_subject_are_side_by_side():
    """Workers get all cells of a subject together, in the order of the spec file, and files stay together."""
    items = [item("a", "first", "x"), item("a", "first", "y"), item("a", "alone", None), item("a", "second", "x"),
             item("b", "first", "x"), item("a", "third", "y")]  # fmt: skip

    found = [(str(each.path), each.cell.subject_name, each.name) for each in by_subject(items)]

    assert found == [
        ("a", "x", "first"), ("a", "x", "second"), ("a", "y", "first"), ("a", "y", "third"), ("a", None, "alone"),
        ("b", "x", "first"),
    ]  # fmt: skip


def test_the_cells_of_costly_areas_come_first():
    """Workers are handed out costly cells while there are many others, and those of a subject stay together."""
    items = [item("a", "first", None), item("b", "first", "x", True), item("b", "first", "y", True),
             item("b", "second", "x", True), item("c", "first", None)]  # fmt: skip

    found = [(str(each.path), each.cell.subject_name, each.name) for each in by_subject(items)]

    assert found == [
        ("b", "x", "first"), ("b", "x", "second"), ("b", "y", "first"), ("a", None, "first"), ("c", None, "first"),
    ]  # fmt: skip
