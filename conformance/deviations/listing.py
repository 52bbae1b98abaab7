"""The text of an expectations file: what a person wrote stays as it is, entry by entry, with the comments above it.

A YAML library that keeps comments would be one more dependency of every environment under test, beside a torch of any
age; entries are whole lines, so that their text can be moved, and one value of it replaced, by the parser's own marks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from conformance.engine.expectations import Deviation, Deviations
from conformance.engine.yamlfile import SpecError, load, shown

NEW = """\
# What builds are known not to do. A cell that an entry speaks of is `known` while it fails, `fixed` where it passes.
deviations:
"""
HEADING = re.compile(r"\s*# --- .+ ---\s*")
LAST = "\U0010ffff"  # where a wildcard sorts: what speaks of one cell stands before what speaks of many


@dataclass(frozen=True)
class Entry:
    """One listed deviation: what it says, its lines, and the comments above them."""

    deviation: Deviation
    text: str
    lead: str = ""
    line: int = 0  # in the file; 0 for one that is not there yet

    @property
    def key(self) -> tuple[str, str]:
        """By cells, then by releases; a pattern after what it covers."""
        return re.sub(r"[*?]", LAST, self.deviation.cells), self.deviation.torch or ""

    def on(self, releases: str) -> Entry:
        """The same entry for other releases."""
        root: Any = yaml.compose(self.text, Loader=yaml.SafeLoader)
        pairs = {key.value: value for key, value in root.value[0].value}
        quoted = json.dumps(releases)
        if "torch" in pairs:
            node = pairs["torch"]
            text = self.text[: node.start_mark.index] + quoted + self.text[node.end_mark.index :]
        elif root.value[0].flow_style:
            end = pairs["cells"].end_mark.index
            text = f"{self.text[:end]}, torch: {quoted}{self.text[end:]}"
        else:
            end = self.text.index("\n", pairs["cells"].end_mark.index - 1) + 1
            margin = " " * root.value[0].start_mark.column
            text = f"{self.text[:end]}{margin}torch: {quoted}\n{self.text[end:]}"
        return replace(self, text=text, deviation=self.deviation.model_copy(update={"torch": releases}))


@dataclass
class Section:
    """Entries below one heading, which may be none."""

    heading: str = ""
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Listing:
    """An expectations file: what stands before the deviations, they themselves, and what stands behind them."""

    path: Path
    head: str
    sections: list[Section]
    tail: str = ""
    margin: str = "  "

    @property
    def entries(self) -> list[Entry]:
        """Every entry, in the order in which they are asked."""
        return [entry for section in self.sections for entry in section.entries]

    def add(self, entry: Entry) -> None:
        """Put an entry into the section of its area: the one that bears its name, or else the last that has some."""
        area = entry.deviation.cells.partition(".")[0]
        named = [each for each in self.sections if re.fullmatch(rf"\s*# --- {re.escape(area)} ---\s*", each.heading)]
        having = [s for s in self.sections if any(e.deviation.cells.partition(".")[0] == area for e in s.entries)]
        headed = any(section.heading for section in self.sections)
        where = [*named, *reversed(having), *([] if headed else self.sections)]
        if not where:
            where = [Section(f"{self.margin}# --- {area} ---\n" if headed else "")]
            self.sections += where
        where[0].entries.append(entry)

    def replace(self, old: Entry, new: Entry | None) -> None:
        """Put another entry into the place of one, or none."""
        for section in self.sections:
            section.entries = [
                found for entry in section.entries if (found := new if entry is old else entry) is not None
            ]

    def written(self) -> str:
        """The file's text, the entries of each section in order."""
        text = self.head
        for section in self.sections:
            entries = sorted(section.entries, key=lambda entry: entry.key)
            if entries:  # the heading of entries that are gone heads nothing
                text += section.heading + "".join(entry.lead + entry.text for entry in entries)
        if not self.entries:
            text = text.rstrip("\n") + " []\n"
        return text + self.tail


def written_out(deviation: Deviation, margin: str) -> str:
    """The lines of a new entry."""
    lines = [f"- cells: {json.dumps(deviation.cells)}"]
    if deviation.torch is not None:
        lines.append(f"  torch: {json.dumps(deviation.torch)}")
    if deviation.devices is not None:
        lines.append(f"  devices: [{', '.join(deviation.devices)}]")
    lines.append(f"  reason: {json.dumps(deviation.reason, ensure_ascii=False)}")
    lines += [f"  issue: {deviation.issue}", f"  date: {deviation.date}"]
    return "".join(f"{margin}{line}\n" for line in lines)


def read(path: Path) -> Listing:
    """The expectations file at ``path``, an empty one where there is none; raises SpecError."""
    if not path.exists():
        return Listing(path, NEW, [])
    found = load(path, Deviations)
    text = path.read_text(encoding="utf-8-sig")
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    place = next(number for number, (key, _) in enumerate(root.value) if key.value == "deviations")
    key, listed = root.value[place]
    if listed.flow_style and listed.value:
        raise SpecError(
            f"{shown(path)}:{key.start_mark.line + 1}: expected one entry a line, found: a list in brackets"
        )
    behind = root.value[place + 1][0].start_mark.line if place + 1 < len(root.value) else len(lines)
    if not listed.value:
        first = key.start_mark.line
        head = "".join(lines[:first]) + "deviations:\n"
        return Listing(path, head, [], "".join(lines[first + 1 :]))
    starts = [node.start_mark.line for node in listed.value]
    first = key.start_mark.line + 1
    listing = Listing(path, "".join(lines[:first]), [Section()])
    listing.margin = " " * (listed.value[0].start_mark.column - 2)
    above = first
    for number, (start, deviation) in enumerate(zip(starts, found.deviations, strict=True)):
        end = starts[number + 1] if number + 1 < len(starts) else behind
        while end > start + 1 and lines[end - 1].lstrip()[:1] in ("#", ""):
            end -= 1  # what stands above the next entry, or below the last
        lead = lines[above:start]
        heads = [index for index, line in enumerate(lead) if HEADING.fullmatch(line.rstrip("\n"))]
        if heads:
            listing.sections.append(Section("".join(lead[: heads[-1] + 1])))
            lead = lead[heads[-1] + 1 :]
        listing.sections[-1].entries.append(Entry(deviation, "".join(lines[start:end]), "".join(lead), start + 1))
        above = end
    listing.tail = "".join(lines[above:])
    return listing
