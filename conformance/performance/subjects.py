"""Timed subjects: what the ``performance`` blocks of the spec files ask to be timed, and what they leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.specs import SPECS, LoadedArea, Timing, area_names, load_area
from conformance.engine.subjects import rows, select
from conformance.engine.targets import Target
from conformance.performance.clocks import Untimed
from conformance.performance.makers import GROWS, MAKERS, here
from conformance.performance.snippets import ELEMENTS, Snippet


@dataclass(frozen=True)
class Subject:
    """One call to be timed: of a row, at a size, on a target."""

    area: str
    timing: Timing
    row: Any
    size: str
    dtype: str
    target: Target

    @property
    def id(self) -> str:
        """``in-place-operator-add_-float32-small-cpu``."""
        kind = str(self.timing.kind).replace(" ", "-")
        return f"{kind}-{self.row.name}-{self.dtype}-{self.size}-{self.target.name}"

    @property
    def words(self) -> str:
        """What it is called where it is told of: ``add_ (in-place operator, small, cpu)``."""
        return f"{self.row.name} ({self.timing.kind}, {self.size}, {self.target.name})"

    def snippet(self) -> Snippet:
        """The call; raises Untimed, or whatever torch raises, where there is none."""
        if not here(self.row):
            raise Untimed("not of this release")
        if self.dtype in self.target.lacks:
            raise Untimed(f"{self.target.name} declares that it has no {self.dtype}")
        return MAKERS[str(self.timing.makes)](self.row, ELEMENTS[self.size], self.dtype, self.target.device)


def blocks(specs: Path = SPECS) -> Iterator[tuple[LoadedArea, int, Timing]]:
    """Every ``performance`` block with its area and its number; raises SpecError."""
    for name in area_names(specs):
        loaded = load_area(name, specs)
        for number, timing in enumerate(loaded.area.performance):
            yield loaded, number, timing


def chosen(loaded: LoadedArea, number: int, timing: Timing) -> list[Any]:
    """The rows of a block, in the order of the catalogue; raises SpecError."""
    return select(timing.subjects, loaded.path, ("performance", number, "subjects"))


def subjects(targets: tuple[Target, ...], areas: frozenset[str] | None = None) -> list[Subject]:
    """What is timed on these targets, in the order of the files: the sizes of one call beside each other."""
    found = []
    for loaded, number, timing in blocks():
        if timing.untimed is not None or (areas is not None and loaded.area.area not in areas):
            continue
        for row in chosen(loaded, number, timing):
            sizes = getattr(row, "at", None) or timing.sizes
            if not GROWS.get(str(timing.makes), _any_size)(row):
                sizes = [size for size in sizes if size == "small"]
            found += [
                Subject(loaded.area.area, timing, row, size, dtype, target)
                for target in targets
                if timing.covers_device(target.type) and _reaches(timing, row, target)
                for dtype in timing.dtypes
                for size in sizes
            ]
    return found


def _any_size(row: Any) -> bool:
    return True


def _reaches(timing: Timing, row: Any, target: Target) -> bool:
    """Whether a call has anything to do on a target: what is written out for no device is the host's alone."""
    return timing.makes != "own" or target.type == "cpu" or "{device" in row.setup


def untold(catalogue: str) -> list[str]:
    """Rows of a catalogue that no block times, and none leaves out with a reason."""
    told: set[str] = set()
    for loaded, number, timing in blocks():
        if timing.subjects.catalogue == catalogue:
            told |= {row.name for row in chosen(loaded, number, timing)} | set(timing.subjects.except_)
    return [name for name in rows(catalogue) if name not in told]
