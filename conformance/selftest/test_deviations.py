"""Keeping the list of deviations: what runs show goes in, what they do not show stays out, and nothing else changes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.__main__ import main
from conformance.deviations.listing import read
from conformance.deviations.ranges import narrowed, spans, widened
from conformance.deviations.sightings import Release, Subjects
from conformance.deviations.sightings import behaviour as stem
from conformance.deviations.updating import Update
from conformance.engine.expectations import SHIPPED, Deviations
from conformance.engine.versions import release
from conformance.engine.yamlfile import load
from reports.model import Cell

HEAD = """\
# a list of ours
deviations:
"""
TAIL = """\
# what some kernels take
refusals:
  - {cells: "demo.*", dtypes: [float16], reason: Taken by some of them., issue: unreported, date: 2026-01-01}
"""


def block(cells: str, torch: str | None = "==2.4.1", reason: str = "It is known to us.", more: str = "") -> str:
    """An entry as a person writes it."""
    versions = f'    torch: "{torch}"\n' if torch else ""
    return f'  - cells: "{cells}"\n{versions}{more}    reason: {reason}\n    issue: unreported\n    date: 2026-01-01\n'


def run_file(folder: Path, torch: str, verdicts: dict[str, str], *, whole: bool = True, device: str = "cpu") -> Path:
    """A run record of an area of somebody else."""
    cells = [
        {
            "id": name, "area": name.partition(".")[0], "behaviour": stem(name).partition(".")[2], "subject": None,
            "target": device, "level": "must", "verdict": verdict, "cases": {"corner": 1, "sampled": 0},
            "evidence": {}, "seconds": 0.0, "compared": "x", "expected": "1", "found": "2",
        }
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    behaviours = [
        {"id": each, "area": each.partition(".")[0], "behaviour": each.partition(".")[2], "statement": "It holds.",
         "level": "must", "docs": {}}
        for each in dict.fromkeys(map(stem, verdicts))
    ]  # fmt: skip
    found = {
        "schema": 1, "complete": True, "suite": {"name": "torch-conformance", "version": "0.1.0"},
        "environment": {"torch": {"version": torch}, "python": "3.11.0",
                        "targets": [{"name": device, "type": device.partition(":")[0]}]},
        "settings": {"profile": "smoke"}, "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z",
        "seconds": 1.0, "planned": len(cells), "available": len(cells) if whole else len(cells) + 1,
        "areas": [{"area": "demo", "title": "A demonstration"}, {"area": "new", "title": "Another"}],
        "behaviours": behaviours, "errors": [], "cells": cells,
    }  # fmt: skip
    number = len(list(folder.glob("run-*.json")))
    path = folder / f"run-{number}.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def three(*verdicts: str, name: str = "demo.holds", device: str = "cpu") -> dict[str, str]:
    """Verdicts of a behaviour's cells."""
    return {f"{name}[{subject}-{device}]": verdict for subject, verdict in zip("abc", verdicts, strict=True)}


class Kept:
    """A list in a file, and what the command makes of it."""

    def __init__(self, folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.capsys = folder / "accepted.yaml", capsys
        if text:
            self.path.write_text(text, encoding="utf-8")
        self.output = ""

    def update(self, *arguments: object) -> int:
        """Exit status of an update; raises where the file that it writes cannot be read."""
        command = ["deviations", "update", "--file", str(self.path), "--date", "2026-02-02", *map(str, arguments)]
        status = main(command)
        self.output, errors = self.capsys.readouterr()
        assert not errors
        load(self.path, Deviations)
        return status

    @property
    def entries(self) -> list[tuple[str, str | None, str]]:
        """Cells, releases and reason of each entry."""
        return [(e.deviation.cells, e.deviation.torch, e.deviation.reason) for e in read(self.path).entries]


@pytest.fixture
def kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Makes lists."""
    return lambda text="": Kept(tmp_path, text, capsys)


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        ("==2.4.1", "2.4.1", None),
        (">=1.13.1,<=2.15.0", "2.15.0", ">=1.13.1,<2.15.0"),
        (">=1.13.1,<=2.15.0", "1.13.1", ">1.13.1,<=2.15.0"),
        (">=1.13.1,<=2.15.0", "2.4.1", ">=1.13.1,!=2.4.1,<=2.15.0"),
        (">=2.4.1,<=2.4.1", "2.4.1", None),
        (">2.4,<=2.5", "2.5", ">2.4,<2.5"),
        ("<2.4", "2.3.1", "!=2.3.1,<2.4"),
        (None, "2.4.1", "!=2.4.1"),
    ],
)
def test_a_range_loses_one_release(before: str | None, gone: str, after: str | None) -> None:
    """What passes at an end moves the end; between the ends it is left out by name."""
    assert after == narrowed(before, release(gone))


@pytest.mark.parametrize(
    ("before", "further", "after"),
    [
        ("==2.4.1", "2.8.0", ">=2.4.1,<=2.8.0"),
        (">=2.4.1,<=2.8.0", "1.13.1", ">=1.13.1,<=2.8.0"),
        (">=2.4.1,<2.8.0", "2.8.0", ">=2.4.1,<=2.8.0"),
        (">=2.4.1,!=2.5.0,<=2.8.0", "2.5.0", ">=2.4.1,<=2.8.0"),
        ("~=2.4", "3.0", None),
        ("==2.4.*", "2.5.0", None),
    ],
)
def test_a_range_gains_one_release(before: str, further: str, after: str | None) -> None:
    """An end moves to the release, and no further; what has no ends is left alone."""
    assert after == widened(before, release(further))


def test_a_release_that_passes_parts_two_ranges() -> None:
    """Releases that fail are one range only where none between them was seen to pass."""
    told = [release(text) for text in ("1.13.1", "2.0.1", "2.4.1", "2.8.0")]

    assert [told[:2], told[3:]] == spans(told, [told[0], told[1], told[3]])


def test_the_shipped_list_is_read_word_for_word() -> None:
    """Nothing of a file is lost between reading and writing: headings, comments, order of what stands behind."""
    listing = read(SHIPPED)
    text = "".join(
        section.heading + "".join(entry.lead + entry.text for entry in section.entries) for section in listing.sections
    )

    assert SHIPPED.read_text(encoding="utf-8") == listing.head + text + listing.tail


def test_what_fails_is_listed_once(kept: Any, tmp_path: Path) -> None:
    """One cell that fails has an entry of its own, with what was found, and a second update changes nothing."""
    mine = kept()
    run = run_file(tmp_path, "2.13.0+cpu", three("pass", "fail", "pass"))
    status = mine.update(run)
    text = mine.path.read_text(encoding="utf-8")
    again = mine.update(run)

    assert (0, 0) == (status, again)
    assert [("demo.holds[b-cpu]", "==2.13.0", "Not yet explained: x: expected 1; found 2")] == mine.entries
    assert text == mine.path.read_text(encoding="utf-8")
    assert "devices: [cpu]" in text
    assert "date: 2026-02-02" in text


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("fail", "crash", "timeout"), ["demo.holds[*]"]),
        (("fail", "fail", "not-applicable"), ["demo.holds[*]"]),
        (("fail", "fail", "pass"), ["demo.holds[a-cpu]", "demo.holds[b-cpu]"]),
        (("fail", "not-applicable", "unsupported"), ["demo.holds[a-cpu]"]),
        (("fail", "fail", "error"), ["demo.holds[a-cpu]", "demo.holds[b-cpu]"]),
    ],
)
def test_subjects_are_one_entry_where_all_fail(
    kept: Any, tmp_path: Path, verdicts: tuple[str, ...], expected: list[str]
) -> None:
    """A star stands for subjects only where every one that can be tested fails."""
    mine = kept()
    mine.update(run_file(tmp_path, "2.13.0", three(*verdicts)))

    assert expected == [cells for cells, _, _ in mine.entries]


def test_a_selection_makes_no_star(kept: Any, tmp_path: Path) -> None:
    """Where a run had some of the cells, nobody knows of the others."""
    mine = kept()
    mine.update(run_file(tmp_path, "2.13.0", three("fail", "fail", "fail"), whole=False))

    assert 3 == len(mine.entries)


def test_a_star_takes_the_place_of_what_nobody_explained(kept: Any, tmp_path: Path) -> None:
    """Entries that the tool made before give way to one for all; reasons that a person gave stay."""
    mine = kept(HEAD + block("demo.holds[c-cpu]", "==2.13.0", more="    devices: [cpu]\n"))
    mine.update(run_file(tmp_path, "2.13.0", three("fail", "pass", "known")))
    mine.update(run_file(tmp_path, "2.13.0", three("fail", "fail", "known")))

    assert [("demo.holds[a-cpu]", "Not"), ("demo.holds[b-cpu]", "Not"), ("demo.holds[c-cpu]", "It")] == [
        (cells, reason.partition(" ")[0]) for cells, _, reason in mine.entries
    ]


def test_no_entry_is_widened_unasked(kept: Any, tmp_path: Path) -> None:
    """A listed cell that fails on a further release is told, and the list changes only where that is asked for."""
    text = HEAD + block("demo.holds[a-cpu]") + TAIL
    mine = kept(text)
    run = run_file(tmp_path, "2.8.0", three("fail", "pass", "pass"))
    status = mine.update(run)

    assert (1, text) == (status, mine.path.read_text(encoding="utf-8"))
    line = "--widen for demo.holds[a-cpu] ==2.4.1 to >=2.4.1,<=2.8.0: demo.holds[a-cpu] fails on torch 2.8.0"
    assert f"wanting   {line}" in mine.output.splitlines()

    assert 0 == mine.update(run, "--widen")
    assert [("demo.holds[a-cpu]", ">=2.4.1,<=2.8.0", "It is known to us.")] == mine.entries
    assert "WIDENED   demo.holds[a-cpu] ==2.4.1 to >=2.4.1,<=2.8.0" in mine.output


def test_an_entry_is_not_widened_over_what_passes(kept: Any, tmp_path: Path) -> None:
    """A pattern that would take in passing cells of the further release is left alone; the failing cell has its own."""
    mine = kept(HEAD + block("demo.holds[*]"))
    mine.update(run_file(tmp_path, "2.8.0", three("fail", "pass", "pass")), "--widen")

    assert [("demo.holds[a-cpu]", "==2.8.0"), ("demo.holds[*]", "==2.4.1")] == [each[:2] for each in mine.entries]


def test_what_passes_leaves_the_list(kept: Any, tmp_path: Path) -> None:
    """A stale entry goes, one of several releases is narrowed, and comments and all other text stay as they are."""
    other = "  # seen by hand\n" + block("demo.other[*]", ">=1.13.1,<=2.8.0", "'Quoted: by a person.'")
    mine = kept(HEAD + block("demo.holds[a-cpu]") + other + TAIL)
    verdicts = {**three("fixed", "pass", "pass"), "demo.other[cpu]": "fixed"}
    mine.update(run_file(tmp_path, "2.4.1", {**verdicts, "demo.other[cpu]": "known"}))
    mine.update(run_file(tmp_path, "2.8.0", verdicts))

    narrower = other.replace(">=1.13.1,<=2.8.0", ">=1.13.1,<2.8.0")
    assert HEAD + narrower + TAIL == mine.path.read_text(encoding="utf-8")


def test_a_pattern_that_is_too_wide_is_parted(kept: Any, tmp_path: Path) -> None:
    """Where some of its cells pass, a pattern gives way to the cells that fail, with its reason and date."""
    mine = kept(HEAD + block("demo.holds[*]"))
    mine.update(run_file(tmp_path, "2.4.1", three("known", "fixed", "known")))

    assert [
        ("demo.holds[a-cpu]", "==2.4.1", "It is known to us."),
        ("demo.holds[c-cpu]", "==2.4.1", "It is known to us."),
    ] == mine.entries
    assert date(2026, 1, 1) == read(mine.path).entries[0].deviation.date


def test_another_device_is_another_matter(kept: Any, tmp_path: Path) -> None:
    """A pass on one type of device leaves what fails on another listed, for that one."""
    mine = kept(HEAD + block("demo.holds[*]"))
    mine.update(
        run_file(tmp_path, "2.4.1", three("known", "known", "known")),
        run_file(tmp_path, "2.4.1", three("fixed", "fixed", "fixed", device="cuda:0"), device="cuda:0"),
    )

    assert [("demo.holds[*]", ["cpu"])] == [
        (entry.deviation.cells, entry.deviation.devices) for entry in read(mine.path).entries
    ]


def test_a_cell_that_wavers_stays_listed(kept: Any, tmp_path: Path) -> None:
    """What one run saw fail and another saw pass fails, and is told."""
    mine = kept(HEAD + block("demo.holds[a-cpu]"))
    runs = [run_file(tmp_path, "2.4.1", three(verdict, "pass", "pass")) for verdict in ("fixed", "known")]
    mine.update(*runs)

    assert [("demo.holds[a-cpu]", "==2.4.1", "It is known to us.")] == mine.entries
    assert "doubtful  demo.holds[a-cpu]: expected one verdict on torch 2.4.1" in mine.output


def test_entries_are_sorted_within_their_sections(kept: Any, tmp_path: Path) -> None:
    """New entries go to the section of their area; what speaks of one cell stands before what speaks of many."""
    sections = (
        "  # --- zeta ---\n" + block("zeta.it[*]") + "  # --- demo ---\n" + block("demo.x[*]") + block("demo.a[*]")
    )
    mine = kept(HEAD + sections)
    mine.update(run_file(tmp_path, "2.4.1", {"demo.x[a-cpu]": "known", "demo.b[cpu]": "fail", "new.y[cpu]": "fail"}))

    assert ["zeta.it[*]", "demo.a[*]", "demo.b[cpu]", "demo.x[*]", "new.y[cpu]"] == [each[0] for each in mine.entries]
    text = mine.path.read_text(encoding="utf-8")
    assert ["# --- zeta ---", "# --- demo ---", "# --- new ---"] == [
        line.strip() for line in text.splitlines() if "---" in line
    ]


def test_a_dry_run_writes_nothing(kept: Any, tmp_path: Path) -> None:
    """It tells what would change."""
    mine = kept(HEAD + block("demo.holds[a-cpu]"))
    mine.update(run_file(tmp_path, "2.4.1", three("known", "fail", "pass")), "--dry-run")

    assert 1 == len(mine.entries)
    assert "added     demo.holds[b-cpu] ==2.4.1" in mine.output


def test_one_line_entries_are_edited_in_place(kept: Any, tmp_path: Path) -> None:
    """An entry in braces gets its releases where it has none."""
    line = "  - {cells: 'demo.holds[a-cpu]', reason: Known to us all., issue: unreported, date: 2026-01-01}  # braces\n"
    mine = kept(HEAD + line)
    mine.update(run_file(tmp_path, "2.4.1", three("fixed", "pass", "pass")))

    expected = line.replace("'demo.holds[a-cpu]'", "'demo.holds[a-cpu]', torch: \"!=2.4.1\"")
    assert HEAD + expected == mine.path.read_text(encoding="utf-8")


def test_check_tells_stale_entries_by_run(kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stale entries by line, release and run; failing cells that are not listed; status 1 for either."""
    mine = kept(HEAD + block("demo.holds[*]"))
    good = run_file(tmp_path, "2.4.1", three("known", "known", "known"))
    stale = run_file(tmp_path, "2.4.1", {**three("fixed", "pass", "pass"), "demo.other[cpu]": "fail"})
    found = [main(["deviations", "check", "--file", str(mine.path), str(run)]) for run in (good, stale)]
    lines = capsys.readouterr().out.splitlines()

    assert [0, 1] == found
    assert "1 entries: 0 stale, 0 unexplained; 0 failing cells unlisted" == lines[0]
    assert (
        f"{mine.path}:3: demo.holds[*]: expected to fail on torch 2.4.1 (cpu); found to pass in {stale}: " in lines[1]
    )
    assert "demo.other[cpu]: expected an entry, since it fails on torch 2.4.1 (cpu); found none" == lines[2]


@pytest.mark.parametrize("act", ["check", "update"])
def test_what_is_no_record_is_refused(kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], act: str) -> None:
    """A file of another kind is told as such, and the list is not touched."""
    mine = kept(HEAD + block("demo.holds[*]"))
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    before = mine.path.read_text(encoding="utf-8")

    assert 2 == main(["deviations", act, "--file", str(mine.path), str(tmp_path / "notes.json")])
    assert "notes.json" in capsys.readouterr().err
    assert before == mine.path.read_text(encoding="utf-8")


def test_the_list_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Each entry by file and line; those of one release on request."""
    assert 0 == main(["deviations", "list"])
    every = capsys.readouterr().out.splitlines()
    assert 0 == main(["deviations", "list", "--torch", "2.13.0", "--json"])
    some = json.loads(capsys.readouterr().out)

    assert len(load(SHIPPED, Deviations).deviations) == len(every)
    assert 0 < len(some) < len(every)
    assert all(":" in row["source"] for row in some)


class AllOfThem(Subjects):
    """Three subjects a behaviour, on every type of device."""

    def __init__(self) -> None:
        """No records are needed."""

    def of(self, name: str, device: str) -> set[str]:
        """The cells of a behaviour."""
        return {f"{name}[{subject}-{device}]" for subject in "abc"}


def failing(name: str) -> Cell:
    """A failing cell, as far as an update looks at it."""
    return Cell.model_construct(id=name, verdict="fail", compared=None, expected=None, found="no", reason=None)


VERDICTS = ("pass", "fail", "silent")
RELEASES = ("1.13.1", "2.0.1", "2.4.1", "2.8.0")


@given(st.data())
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_a_list_in_step_fits_any_runs(data: st.DataObject) -> None:
    """Whatever was listed and seen: what passes is not listed, what fails is, and a second update changes nothing."""
    draw = data.draw
    seen = []
    for version, device in draw(st.sets(st.tuples(st.sampled_from(RELEASES), st.sampled_from(["cpu", "cuda"])))):
        cells = [f"demo.{name}[{subject}-{device}]" for name in ("x", "y") for subject in "abc"]
        told = {cell: draw(st.sampled_from(VERDICTS)) for cell in cells}
        one = Release(release(version), device)
        one.failing = {c: failing(c) for c in cells if told[c] == "fail"}
        one.passing = {c for c in cells if told[c] == "pass"}
        one.silent = {c for c in cells if told[c] == "silent"}
        seen.append(one)
    seen.sort(key=lambda one: (one.version, one.device))
    patterns = ["demo.x[*]", "demo.*", "demo.y[a-cpu]", "demo.?[b-*]", "demo.x[c-cuda]"]
    ranges = [None, "==2.4.1", ">=1.13.1,<=2.8.0", ">=2.0.1,<2.8.0", "<2.1"]
    listed = draw(st.lists(st.tuples(st.sampled_from(patterns), st.sampled_from(ranges)), max_size=4))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.yaml"
        path.write_text(HEAD + "".join(block(*each) for each in listed) if listed else "deviations: []\n")
        changes = Update(read(path), seen, AllOfThem(), date(2026, 2, 2), widen=draw(st.booleans()))
        wanting = changes.made().wanting
        path.write_text(changes.listing.written())
        entries = [entry.deviation for entry in read(path).entries]
        again = Update(read(path), seen, AllOfThem(), date(2026, 2, 2), changes.widen)
        made = again.made()

    for one in seen:
        about = [deviation for deviation in entries if one.spoken_of(deviation)]
        covered = {cell for cell in one.told if any(deviation.pattern.fullmatch(cell) for deviation in about)}
        assert not covered & one.passing
        left = [line for line in wanting if f" fails on torch {one.version}" in line]
        assert {cell for cell in one.failing if not any(cell in line for line in left)} <= covered
        assert not changes.widen or not left
    assert [] == made.made
    assert changes.listing.written() == again.listing.written()
