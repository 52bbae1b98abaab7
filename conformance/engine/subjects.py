"""Subjects: the rows of a catalogue that a behaviour is asserted of."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from conformance.engine import catalogue as operators
from conformance.engine.module_catalogue import modules
from conformance.engine.out_catalogue import out_functions
from conformance.engine.specs import SPECS, Behaviour, LoadedArea, Model, Subjects, VersionText
from conformance.engine.yamlfile import Faults, SpecError, brief, fault_at, load, shown, worded


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


def subjects_of(loaded: LoadedArea, behaviour: Behaviour) -> list[Any]:
    """The rows that a behaviour is asserted of, none where it has no catalogue; raises SpecError."""
    if behaviour.subjects is None:
        return []
    return select(behaviour.subjects, loaded.path, ("behaviours", loaded.number(behaviour), "subjects"))


def select(wanted: Subjects, file: Path, keys: tuple[str | int, ...]) -> list[Any]:
    """The rows that ``wanted`` describes, in the order of the catalogue; raises SpecError.

    ``keys`` lead to ``wanted`` in ``file``, a spec beside whose folder ``catalogue`` it looks.
    """
    table = _table(wanted, file, keys)
    for key, named in (("names", wanted.names or []), ("except", list(wanted.except_))):
        for number, name in enumerate(named):
            if name not in table:
                raise fault_at(
                    file,
                    (*keys, key, number if key == "names" else name),
                    f"a name of catalogue {wanted.catalogue!r}{_nearest(name, table)}",
                    repr(name),
                )
    for key in wanted.where:
        lacking = next((name for name, row in table.items() if not hasattr(row, key)), None)
        if lacking is not None:
            there = ", ".join(sorted({each for row in table.values() for each in _attributes(row)}))
            raise fault_at(
                file, (*keys, "where", key), f"an attribute of every row ({there})", f"{key!r}, which {lacking!r} lacks"
            )
    found = [
        row
        for name, row in table.items()
        if (wanted.names is None or name in wanted.names) and name not in wanted.except_ and _fits(row, wanted)
    ]
    if not found:
        raise _nothing_fits(wanted, table, file, keys)
    return found


def _table(wanted: Subjects, file: Path, keys: tuple[str | int, ...]) -> dict[str, Any]:
    """The rows of the catalogue by name; raises SpecError, at the key that names it where there is none."""
    folders = [folder / "catalogue" for folder in (file.parent, SPECS)]
    if not any((folder / f"{wanted.catalogue}.yaml").is_file() for folder in folders):
        there = sorted({each.stem for folder in folders for each in folder.glob("*.yaml")})
        raise fault_at(file, (*keys, "catalogue"), f"one of {', '.join(there)}", repr(wanted.catalogue))
    return rows(wanted.catalogue, file.parent)


def _fits(row: Any, wanted: Subjects) -> bool:
    """Whether each attribute that is asked for equals the value, is one of several, or contains it."""
    return all(any(v in _listed(allowed) for v in _listed(getattr(row, key))) for key, allowed in wanted.where.items())


def _nothing_fits(wanted: Subjects, table: dict[str, Any], file: Path, keys: tuple[str | int, ...]) -> SpecError:
    """The fault of conditions that leave no row: at the first that no row meets, or at all of them."""
    for key, allowed in wanted.where.items():
        there = [v for row in table.values() for v in _listed(getattr(row, key))]
        if not any(v in _listed(allowed) for v in there):
            choices = ", ".join(sorted({repr(v) for v in there}))
            return fault_at(file, (*keys, "where", key), f"a value that a row has: {choices}", repr(allowed))
    expected = f"at least one row of catalogue {wanted.catalogue!r} that fits all that is asked"
    return fault_at(file, keys, expected, f"none for {brief(wanted.model_dump(exclude_defaults=True))}")


def _attributes(row: Any) -> list[str]:
    """What a row says of itself."""
    return [name for name in (*type(row).model_fields, *(row.model_extra or ())) if not name.startswith("_")]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _nearest(name: str, table: dict[str, Any]) -> str:
    """The names that are most like one that is not there, as a message has them."""
    near = ", ".join(repr(each) for each in get_close_matches(str(name), list(table), 3))
    return f" (nearest: {near})" if near else ""
