"""Expectations: deviations that are known and listed, with a reason each, kept outside the checks.

A cell that a deviation matches and that fails is ``known``; one that passes is ``fixed``, and the list is stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Annotated, TypeVar

import torch
from pydantic import AfterValidator, Field

from conformance.engine.cells import Cell
from conformance.engine.specs import SPECS, Model
from conformance.engine.versions import check_specifier, matches
from conformance.engine.yamlfile import load, worded

SHIPPED = SPECS / "deviations.yaml"
OF_CELLS = "Pattern of cell ids; * stands for any text, ? for one character."


class Listed(Model):
    """What an entry of an expectations file says of some cells on some builds."""

    cells: str = Field(min_length=1, description=OF_CELLS)
    torch: Annotated[str, AfterValidator(check_specifier)] | None = Field(None, description="PEP 440 specifier.")
    devices: list[str] | None = Field(None, min_length=1, description="Device types; any where left out.")
    reason: str = Field(
        pattern=worded(r"\S[\s\S]{8,}\S", "at least 10 characters that give a reason"),
        description="Why it is accepted, in a few words.",
    )
    issue: str = Field(
        pattern=worded("^(https://.+|unreported)$", "the link of an issue (https://…) or 'unreported'"),
        description="Upstream issue, or 'unreported'.",
    )
    date: date

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The glob as a regular expression; brackets stand for themselves, as cell ids have them."""
        parts = [{"*": ".*", "?": "."}.get(c, re.escape(c)) for c in self.cells]
        return re.compile("".join(parts))

    @property
    def beginning(self) -> str:
        """What every id begins with that the glob fits: all before the first ``*`` or ``?``."""
        return re.split(r"[*?]", self.cells, maxsplit=1)[0]

    def speaks_of_this_torch(self) -> bool:
        """Whether this entry is about the torch under test."""
        return matches(torch.__version__, self.torch)

    def speaks_of(self, cell: Cell) -> bool:
        """Whether this entry is about ``cell`` on the torch under test."""
        if self.devices is not None and cell.target.type not in self.devices:
            return False
        return self.speaks_of_this_torch() and self.pattern.fullmatch(cell.id) is not None

    @property
    def link(self) -> str | None:
        """The upstream issue, where there is one."""
        return self.issue if self.issue.startswith("https://") else None


ListedT = TypeVar("ListedT", bound=Listed)


def _narrow(pattern: str) -> str:
    """``pattern``, or ValueError where it fits whatever there is."""
    if not re.search(r"[^*?.\[\]-]", pattern):
        raise ValueError(
            "a pattern that names an area at least, and better a behaviour, such as 'inplace.*[lerp_-cpu]'"
        )
    return pattern


class Deviation(Listed):
    """A documented behaviour that some released build is known not to have."""

    cells: Annotated[str, AfterValidator(_narrow)] = Field(
        min_length=1, description=f"{OF_CELLS} It names an area at least."
    )


class Refusal(Listed):
    """Element types that some released build refuses in some cases of a cell and takes in others.

    No documentation of such a build says where it takes them, so that a refusal there is no failure. It stays in
    the cell's evidence, and the cases that are not refused are judged as any other.
    """

    dtypes: list[str] = Field(min_length=1, description="Element types, as torch names them.")


class Deviations(Model):
    """An expectations file."""

    deviations: list[Deviation]
    refusals: list[Refusal] = Field(default_factory=list)


class Expectations:
    """Every deviation of the shipped list and of the files that the user gave."""

    def __init__(self, files: list[Path]) -> None:
        """Load ``files``; raises SpecError."""
        found = [load(file, Deviations) for file in files]
        self.files = {file: each for file, each in zip(files, found, strict=True) if file != SHIPPED}
        self.deviations = [deviation for each in found for deviation in each.deviations]
        self.refusals = [refusal for each in found for refusal in each.refusals]
        # asked of every cell: what is about other releases or behaviours is left out once
        self._deviations_of = cache(partial(_of_behaviour, [x for x in self.deviations if x.speaks_of_this_torch()]))
        self._refusals_of = cache(partial(_of_behaviour, [x for x in self.refusals if x.speaks_of_this_torch()]))

    def of(self, cell: Cell) -> Deviation | None:
        """The first deviation that speaks of ``cell``."""
        return next((listed for listed in self._deviations_of(_name(cell)) if listed.speaks_of(cell)), None)

    def refused(self, cell: Cell) -> frozenset[str]:
        """The element types of which a refusal in some cases of ``cell`` is no failure."""
        found = (refusal for refusal in self._refusals_of(_name(cell)) if refusal.speaks_of(cell))
        return frozenset(name for refusal in found for name in refusal.dtypes)

    @property
    def own(self) -> Iterator[tuple[Path, str, int, Listed]]:
        """The entries of the user's files: file, key of the list, place in it, entry."""
        for file, each in self.files.items():
            yield from ((file, "deviations", number, entry) for number, entry in enumerate(each.deviations))
            yield from ((file, "refusals", number, entry) for number, entry in enumerate(each.refusals))


def _name(cell: Cell) -> str:
    return f"{cell.area}.{cell.behaviour.id}["


def _of_behaviour(entries: list[ListedT], name: str) -> list[ListedT]:
    """The entries whose globs begin as the ids of a behaviour's cells do."""
    return [x for x in entries if name.startswith(x.beginning) or x.beginning.startswith(name)]
