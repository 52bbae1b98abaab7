"""Sightings: which cells some runs saw fail and which they saw pass, by release and type of device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

from conformance.engine.cells import cells_of
from conformance.engine.expectations import Deviation
from conformance.engine.specs import area_names, load_area
from conformance.engine.targets import Target
from conformance.engine.versions import matches, release
from reports.model import Cell, Run
from reports.reading import Record

FAILS = frozenset({"fail", "crash", "timeout", "known"})
PASSES = frozenset({"pass", "fixed"})


@dataclass
class Release:
    """What was seen of one release on one type of device."""

    version: Version
    device: str
    failing: dict[str, Cell] = field(default_factory=dict)
    passing: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)  # planned, and neither seen to hold nor seen to fail
    wavering: set[str] = field(default_factory=set)
    paths: list[Path] = field(default_factory=list)

    @property
    def told(self) -> set[str]:
        """Cells that were seen to hold, or not to."""
        return {*self.failing, *self.passing}

    def spoken_of(self, deviation: Deviation) -> bool:
        """Whether a deviation is about this release and this type of device."""
        devices = deviation.devices
        return (devices is None or self.device in devices) and matches(str(self.version), deviation.torch)


def seen(records: Iterable[Record]) -> list[Release]:
    """What run records show, the oldest release first.

    A cell that one run of a release saw fail fails there, whatever other runs of it saw.
    """
    found: dict[tuple[Version, str], Release] = {}
    for record in records:
        version = release(record.run.environment.torch.version)
        types = _types(record.run)
        for cell in record.run.cells:
            device = types[cell.target]
            one = found.setdefault((version, device), Release(version, device))
            _note(one, cell)
            if record.path not in one.paths:
                one.paths.append(record.path)
    for one in found.values():
        one.wavering = one.passing & set(one.failing)
        one.passing -= one.wavering
        one.silent -= one.told
    return [found[key] for key in sorted(found)]


def _types(run: Run) -> dict[str, str]:
    """The type of each target of a run."""
    return {target.name: target.type for target in run.environment.targets}


def _note(one: Release, cell: Cell) -> None:
    if cell.verdict in FAILS:
        one.failing.setdefault(cell.id, cell)
    elif cell.verdict in PASSES:
        one.passing.add(cell.id)
    elif cell.verdict != "error":
        one.silent.add(cell.id)


def behaviour(cell: str) -> str:
    """``inplace.returns-self`` of ``inplace.returns-self[add_-cpu]``."""
    return cell.partition("[")[0]


class Subjects:
    """Which cells each behaviour has on a type of device, which a run of a selection does not show."""

    def __init__(self, records: Iterable[Record]) -> None:
        """Read the areas that the runs are about; raises SpecError."""
        self.cells: dict[tuple[str, str], set[str]] = defaultdict(set)
        runs = [record.run for record in records]
        targets = [
            Target(*found, "") for found in {(t.name, t.name, t.type) for r in runs for t in r.environment.targets}
        ]
        known = set(area_names())
        for name in sorted(known & {area.area for run in runs for area in run.areas}):
            loaded = load_area(name)
            for each in loaded.area.behaviours:
                for target in targets:
                    cells = {cell.id for cell in cells_of(loaded, each, (target,))}
                    self.cells[f"{name}.{each.id}", target.type] |= cells
        for run in runs:
            if run.complete and run.planned == run.available:  # an area of somebody else is known from a whole run
                types = _types(run)
                for cell in run.cells:
                    if cell.area not in known:
                        self.cells[behaviour(cell.id), types[cell.target]].add(cell.id)

    def of(self, name: str, device: str) -> set[str]:
        """The cells of a behaviour on a type of device; none where nobody can say which there are."""
        return self.cells.get((name, device), set())
