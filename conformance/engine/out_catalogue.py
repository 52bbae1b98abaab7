"""Catalogue of functions with ``out=``, as ``specs/catalogue/out_functions.yaml`` has them, checked, by name.

One row says once what every behaviour of such a function needs. The model refuses unknown keys, so that a typing error
is an error.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from conformance.engine.specs import SPECS, Model, VersionText
from conformance.engine.yamlfile import Fault, Faults, load


class OutForm(Model):
    """One further spelling of a call: operands of other kinds, types or numbers, or other keywords."""

    args: tuple[Any, ...] = Field(description="names of tensors (inputs/out_forms.py), lists of such, numbers")
    keywords: dict[str, Any] = Field({}, description="the same by name; dtype is the name of an element type")
    results: tuple[str, ...] | None = Field(None, description="element types of the results, where not the row's")
    accuracy: str | None = Field(None, description="class of numbers.TOLERANCES, where not the row's")
    since: VersionText | None = None
    until: VersionText | None = None


class OutFunction(Model):
    """One function that takes ``out=``."""

    name: str = Field(description="below torch: add, linalg.inv")
    operands: str = Field(description="which of the kinds of inputs/out_operands.py makes the arguments")
    keywords: dict[str, Any] = Field({}, description="further arguments of one more call")
    forms: tuple[OutForm, ...] = Field((), description="further calls, for values alone")
    results: tuple[str, ...] = Field(min_length=1, description="element types of the results for these arguments")
    accuracy: str = Field(description="class of numbers.TOLERANCES")
    promotes: bool | Literal["unknown"] = Field(description="whether types are promoted; unknown where no page says")
    floating: bool = Field(description="whether its first result is floating, so that its out may require grad")
    lower: bool = Field(description="whether there is a kind lower than that of its first result")
    several: bool = Field(description="whether it has several outs")
    since: VersionText | None = None
    until: VersionText | None = None


class OutFunctions(Model):
    """The whole catalogue of functions with ``out=``."""

    catalogue: Literal["out_functions"]
    rows: list[OutFunction] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_are_sound(self) -> OutFunctions:
        names = [row.name for row in self.rows]
        faults: list[Fault] = [
            (("rows", i, "name"), "one row for each name", f"{name!r} again")
            for i, name in enumerate(names)
            if name in names[:i]
        ]
        if faults:
            raise Faults(faults)
        return self


@cache
def out_functions() -> dict[str, OutFunction]:
    """The rows by name; raises SpecError where the file cannot be used."""
    found = load(SPECS / "catalogue" / "out_functions.yaml", OutFunctions)
    return {row.name: row for row in found.rows}
