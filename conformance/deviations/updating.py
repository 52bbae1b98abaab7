"""Bringing a list of deviations into step with runs: as little as they show, and nothing that they did not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from packaging.version import Version

from conformance.deviations.listing import Entry, Listing, written_out
from conformance.deviations.ranges import narrowed, spanning, spans, widened
from conformance.deviations.sightings import Release, Subjects, behaviour
from conformance.engine.expectations import Deviation
from conformance.engine.versions import matches
from reports.model import Cell

UNEXPLAINED = "Not yet explained: "
LONGEST = 140  # characters of a reason that nobody has written yet


@dataclass
class Changes:
    """What became of a list: a line for each change, and for each cell that only a wider entry would speak of."""

    made: list[str] = field(default_factory=list)
    wanting: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Origin:
    """What an entry says beside cells and releases: that of one which spoke of the cells before, or nothing yet."""

    reason: str | None = None
    issue: str = "unreported"
    date: date | None = None


@dataclass
class Update:
    """One update of ``listing`` by what was seen; ``widen`` lets entries speak of more releases than they did."""

    listing: Listing
    seen: list[Release]
    subjects: Subjects
    today: date
    widen: bool = False

    def made(self) -> Changes:
        """Change the list."""
        self.changes = Changes()
        for one in self.seen:
            for cell in sorted(one.wavering):
                self.changes.doubts.append(
                    f"{cell}: expected one verdict on torch {one.version}; found a pass in one run and a failure in "
                    "another: it counts as failing"
                )
        origins = self._narrow()
        self._list(self._unlisted(), origins)
        return self.changes

    def _narrow(self) -> dict[tuple[Version, str, str], Entry]:
        """Take from entries the releases on which cells pass; the cells that fail there, each with its old entry."""
        origins: dict[tuple[Version, str, str], Entry] = {}
        for entry in self.listing.entries:
            releases = entry.deviation.torch
            gone: list[str] = []
            for one in self._about(entry):
                passing = {cell for cell in one.passing if entry.deviation.pattern.fullmatch(cell)}
                if not passing or not matches(str(one.version), releases):
                    continue
                for cell in one.failing:
                    if entry.deviation.pattern.fullmatch(cell):
                        origins[one.version, one.device, cell] = entry
                releases = narrowed(releases, one.version)
                gone.append(f"{_count(passing)} on torch {one.version}")
                if releases is None:
                    break
            if not gone:
                continue
            why = f"passes: {', '.join(gone)}"
            # what other devices and cells still show is listed anew, with the same words
            for one in self._about(entry):
                if releases is None or not matches(str(one.version), releases):
                    for cell in one.failing:
                        if entry.deviation.pattern.fullmatch(cell):
                            origins.setdefault((one.version, one.device, cell), entry)
            if releases is None:
                self.changes.made.append(f"removed   {_named(entry.deviation)}: {why}")
                self.listing.replace(entry, None)
            else:
                self.changes.made.append(f"narrowed  {_named(entry.deviation)} to {releases}: {why}")
                self.listing.replace(entry, entry.on(releases))
        return origins

    def _about(self, entry: Entry) -> list[Release]:
        return [one for one in self.seen if one.spoken_of(entry.deviation)]

    def _unlisted(self) -> Iterator[tuple[Release, Cell]]:
        """The failing cells of which no entry speaks."""
        for one in self.seen:
            about = [entry.deviation for entry in self.listing.entries if one.spoken_of(entry.deviation)]
            for cell in one.failing.values():
                if not any(deviation.pattern.fullmatch(cell.id) for deviation in about):
                    yield one, cell

    def _list(self, found: Iterable[tuple[Release, Cell]], origins: dict[tuple[Version, str, str], Entry]) -> None:
        failing: dict[tuple[str, str, _Origin], dict[str, dict[Version, Cell]]] = defaultdict(lambda: defaultdict(dict))
        for one, cell in list(found):
            before = origins.get((one.version, one.device, cell.id))
            if before is None and self._wider(one, cell.id):
                continue
            origin = _Origin()
            if before is not None:
                origin = _Origin(before.deviation.reason, before.deviation.issue, before.deviation.date)
            failing[behaviour(cell.id), one.device, origin][cell.id][one.version] = cell
        for (name, device, origin), cells in failing.items():
            self._list_behaviour(name, device, origin, cells)

    def _list_behaviour(self, name: str, device: str, origin: _Origin, cells: dict[str, dict[Version, Cell]]) -> None:
        """Entries for the failing cells of one behaviour: one for all where no other cell of it can pass."""
        groups: dict[tuple[Version, ...], dict[str, Cell]] = defaultdict(dict)
        for cell, by_release in cells.items():
            told = [one.version for one in self.seen if one.device == device and cell in one.told]
            for span in spans(told, by_release):
                groups[tuple(span)][cell] = by_release[span[0]]
        for group, here in groups.items():
            if len(here) > 1 and self._are_all(name, device, group, set(here)):
                self._absorb(name, device, group, set(here))
                self._new(f"{name}[*]", device, group, origin, next(iter(here.values())), len(here))
            else:
                for cell, found in here.items():
                    self._new(cell, device, group, origin, found)

    def _are_all(self, name: str, device: str, group: tuple[Version, ...], here: set[str]) -> bool:
        """Whether every cell of a behaviour fails on these releases, those that cannot be tested there left out."""
        every = self.subjects.of(name, device)
        there = [one for one in self.seen if one.device == device and one.version in group]
        return bool(every) and all(every <= {*one.failing, *one.silent} and here <= set(one.failing) for one in there)

    def _absorb(self, name: str, device: str, group: tuple[Version, ...], here: set[str]) -> None:
        """Drop entries that nobody has explained yet, and that one of the whole behaviour says again."""
        for entry in self.listing.entries:
            listed = entry.deviation
            same = (listed.torch, listed.devices) == (spanning(group), [device])
            if same and behaviour(listed.cells) == name and listed.reason.startswith(UNEXPLAINED):
                self.changes.made.append(f"removed   {_named(listed)}: every cell of {name} fails, as one entry says")
                self.listing.replace(entry, None)

    def _new(
        self, cells: str, device: str, group: tuple[Version, ...], origin: _Origin, cell: Cell, count: int = 1
    ) -> None:
        reason = origin.reason or _words(cell, count)
        deviation = Deviation(
            cells=cells, torch=spanning(group), devices=[device], reason=reason, issue=origin.issue,
            date=origin.date or self.today,
        )  # fmt: skip
        self.listing.add(Entry(deviation, written_out(deviation, self.listing.margin)))
        self.changes.made.append(f"added     {_named(deviation)}: {reason}")

    def _wider(self, one: Release, cell: str) -> bool:
        """Whether an entry about other releases could speak of this one too, and was made to where that is allowed."""
        for entry in self.listing.entries:
            listed = entry.deviation
            if not listed.pattern.fullmatch(cell) or (listed.devices is not None and one.device not in listed.devices):
                continue
            if matches(str(one.version), listed.torch):  # widened for a cell before this one
                return True
            releases = widened(listed.torch, one.version)
            if releases is None or self._would_pass(listed, releases):
                continue
            line = f"{_named(listed)} to {releases}: {cell} fails on torch {one.version}"
            if not self.widen:
                self.changes.wanting.append(line)
                return True
            self.changes.made.append(f"WIDENED   {line}")
            self.listing.replace(entry, entry.on(releases))
            return True
        return False

    def _would_pass(self, listed: Deviation, releases: str) -> bool:
        """Whether an entry would speak of cells that were seen to pass, if it were about these releases."""
        wide = listed.model_copy(update={"torch": releases})
        return any(
            one.spoken_of(wide) and any(listed.pattern.fullmatch(cell) for cell in one.passing) for one in self.seen
        )


def _named(deviation: Deviation) -> str:
    return f"{deviation.cells} {deviation.torch or 'of any torch'}"


def _count(cells: set[str]) -> str:
    return next(iter(cells)) if len(cells) == 1 else f"{len(cells)} cells"


def _words(cell: Cell, count: int) -> str:
    """What the run says of a failure, for whoever will explain it."""
    first = [
        (text or "").strip().partition("\n")[0] for text in (cell.compared, cell.expected, cell.found, cell.reason)
    ]
    compared, expected, found, reason = first
    told = f"{compared}: expected {expected}; found {found}" if expected else found or reason or cell.verdict
    told = f"{told} ({count} cells)" if count > 1 else told
    told = "".join(character if character.isprintable() else " " for character in UNEXPLAINED + told)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
