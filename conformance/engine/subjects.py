"""Subjects: the rows of a catalogue that a behaviour is asserted of."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from conformance.engine import catalogue as operators
from conformance.engine.module_catalogue import modules
from conformance.engine.out_catalogue import out_functions
from conformance.engine.specs import SPECS, Model, Subjects, VersionText
from conformance.engine.yamlfile import Faults, SpecError, load, shown, worded


class Row(BaseModel):
    """A row of a catalogue that needs no model of its own: a name, and whatever its checks read."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(
        pattern=worded(r"^[^\s\[\]:/\\]+$", "a name without blanks, brackets, colons and slashes"),
        description="Part of the node id; without blanks, brackets, colons, slashes.",
    )
    since: VersionText | None = None
    until: VersionText | None = None


class Rows(Model):
    """A catalogue file with free rows."""

    catalogue: str
    rows: list[Row] = Field(min_length=1)
    excluded: list[operators.Excluded] = Field([], description="what the catalogue leaves out, each with its reason")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Rows:
        names = [row.name for row in self.rows]
        twice = [i for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise Faults([(("rows", i, "name"), "one row for each name", f"{names[i]!r} again") for i in twice])
        return self


def left_out(name: str, specs: Path = SPECS) -> dict[str, str]:
    """What a catalogue of free rows leaves out, with the reasons; raises SpecError."""
    found = load(specs / "catalogue" / f"{name}.yaml", Rows)
    return {each.name: each.reason for each in found.excluded}


@cache
def rows(name: str, specs: Path = SPECS) -> dict[str, Any]:
    """The rows of ``<specs>/catalogue/<name>.yaml`` by name, or of the one shipped here; raises SpecError."""
    path = specs / "catalogue" / f"{name}.yaml"
    if specs != SPECS and not path.is_file():
        return rows(name)
    if name == "operators" and specs == SPECS:
        return dict(operators.rows())
    if name == "differentiable" and specs == SPECS:
        return dict(operators.differentiable_functions().rows())
    if name == "modules" and specs == SPECS:
        return dict(modules().rows())
    if name == "out_functions" and specs == SPECS:
        return dict(out_functions())
    found = load(path, Rows)
    if found.catalogue != name:
        raise SpecError(f"{shown(path)}:1: catalogue: expected: {name!r}; found: {found.catalogue!r}")
    return {row.name: row for row in found.rows}


def _is_there(name: str, specs: Path) -> bool:
    return any((folder / "catalogue" / f"{name}.yaml").is_file() for folder in (specs, SPECS))


def select(wanted: Subjects, where: str, specs: Path = SPECS) -> list[Any]:
    """The rows that ``wanted`` describes, in catalogue order; ``where`` is the place to name in an error."""
    try:
        table = rows(wanted.catalogue, specs)
    except SpecError as error:
        if _is_there(wanted.catalogue, specs):  # the same for every behaviour: its own lines say it all
            raise
        raise SpecError(f"{where}: subjects.catalogue: {error}") from None
    for name in [*(wanted.names or ()), *wanted.except_]:
        if name not in table:
            raise SpecError(f"{where}: subjects: expected: a name of catalogue {wanted.catalogue!r}; found: {name!r}")
    found = [
        row
        for name, row in table.items()
        if (wanted.names is None or name in wanted.names) and name not in wanted.except_ and _fits(row, wanted, where)
    ]
    if not found:
        raise SpecError(f"{where}: subjects: expected: at least one row that fits; found: none for {wanted.where!r}")
    return found


def _fits(row: Any, wanted: Subjects, where: str) -> bool:
    for key, allowed in wanted.where.items():
        if not hasattr(row, key):
            raise SpecError(f"{where}: subjects.where: expected: an attribute of the rows; found: {key!r}")
        value = getattr(row, key)
        choices = allowed if isinstance(allowed, list) else [allowed]
        values = value if isinstance(value, list | tuple) else [value]
        if not any(v in choices for v in values):
            return False
    return True
