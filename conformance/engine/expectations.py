"""Expectations: deviations that are known and listed, with a reason each, kept outside the checks.

A cell that a deviation matches and that fails is ``known``; one that passes is ``fixed``, and the list is stale.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator, Field

from conformance.engine.cells import Cell
from conformance.engine.specs import SPECS, Link, Model
from conformance.engine.versions import check_specifier, matches
from conformance.engine.yamlfile import load

SHIPPED = SPECS / "deviations.yaml"


class Deviation(Model):
    """A documented behaviour that some released build is known not to have."""

    cells: str = Field(min_length=1, description="Pattern of cell ids; * stands for any text, ? for one character.")
    torch: Annotated[str, AfterValidator(check_specifier)] | None = Field(None, description="PEP 440 specifier.")
    devices: list[str] | None = Field(None, description="Device types; any where left out.")
    reason: str = Field(pattern=r"\S[\s\S]{8,}\S", description="Why it is accepted, in a few words.")
    issue: Link | str = Field(pattern=r"^(https://.+|unreported)$", description="Upstream issue, or 'unreported'.")
    date: date

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The glob as a regular expression; brackets stand for themselves, as cell ids have them."""
        parts = [{"*": ".*", "?": "."}.get(c, re.escape(c)) for c in self.cells]
        return re.compile("".join(parts))

    def speaks_of(self, cell: Cell) -> bool:
        """Whether this deviation is about ``cell`` on the torch under test."""
        if self.devices is not None and cell.target.type not in self.devices:
            return False
        return matches(torch.__version__, self.torch) and self.pattern.fullmatch(cell.id) is not None

    @property
    def link(self) -> str | None:
        """The upstream issue, where there is one."""
        return self.issue if self.issue.startswith("https://") else None


class Deviations(Model):
    """An expectations file."""

    deviations: list[Deviation]


class Expectations:
    """Every deviation of the shipped list and of the files that the user gave."""

    def __init__(self, files: list[Path]) -> None:
        """Load ``files``; raises SpecError."""
        self.deviations = [deviation for file in files for deviation in load(file, Deviations).deviations]

    def of(self, cell: Cell) -> Deviation | None:
        """The first deviation that speaks of ``cell``."""
        return next((d for d in self.deviations if d.speaks_of(cell)), None)
