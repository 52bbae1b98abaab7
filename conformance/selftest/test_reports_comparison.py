"""The difference of two runs, read aloud: what differs around them, what broke, what was repaired, what is new."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from conformance.selftest import records
from reports.command import main

Capture = pytest.CaptureFixture[str]


def two(folder: Path) -> list[str]:
    """Two runs between which something of every kind happened, and around them too."""
    first = records.small("pass", "fail", "inconclusive", "fail", "pass", "pass")
    second = records.small("fail", "pass", "pass", "crash", "unsupported", "pass", "pass")
    second["cells"] = [cell for cell in second["cells"] if cell["subject"] != records.SUBJECTS[5]]
    second |= {"planned": 6, "available": 6}
    second["environment"] = records.environment("2.14.0", ["cuda:0"])
    second["settings"] = records.settings(profile="default", samples=50)
    return [str(records.save(folder, run, f"{n}.json")) for n, run in enumerate((first, second))]


def put(capsys: Capture, *arguments: str, status: int) -> str:
    """What the command prints."""
    assert main(["diff", *arguments]) == status
    return capsys.readouterr().out


def test_the_order_is_that_of_interest(tmp_path: Path, capsys: Capture) -> None:
    """The runs and what differs around them, then broken, lost, repaired, gained, changed, new and gone, the answer."""
    lines = put(capsys, *two(tmp_path), status=1).splitlines()

    assert lines[:2] == ["A  torch 2.13.0+cpu, 6 cells", "B  torch 2.14.0, 6 cells"]
    assert lines[3] == "What differs around them:"
    assert lines[4].split() == ["torch", "2.13.0+cpu", "→", "2.14.0"]
    assert "  profile  smoke → default" in lines
    assert "  targets  cpu, Example 9000 → cuda:0, Example H200, 580.65" in lines
    assert [line for line in lines if line.startswith(("1 cell", "2 cells"))] == [
        "1 cell fails now:",
        "1 cell can no longer be tested:",
        "1 cell fails no more:",
        "1 cell can be tested now:",
        "1 cell differs in another way:",
        "1 cell is in B only:",
        "1 cell is in A only:",
    ]
    assert lines[-1] == "B is worse than A: 1 cell fails now, 1 cell can no longer be tested."


def test_several_cells_have_a_plural(tmp_path: Path, capsys: Capture) -> None:
    """Two cells fail, and one fails; and where nothing around the runs differs, that is said."""
    first = records.save(tmp_path, records.small("pass", "pass"), "a.json")
    second = records.save(tmp_path, records.small("fail", "fail"), "b.json")

    out = put(capsys, str(first), str(second), status=1)

    assert "\nNothing else differs: build, devices, versions and settings are the same.\n" in out
    assert "\n2 cells fail now:\n" in out


def test_a_build_that_is_better_is_told_so(tmp_path: Path, capsys: Capture) -> None:
    """Status 0, and what there is to be glad of."""
    first = records.save(tmp_path, records.small("fail"), "a.json")
    second = records.save(tmp_path, records.small("pass"), "b.json")

    assert put(capsys, str(first), str(second), status=0).endswith("\nB is not worse than A: 1 cell fails no more.\n")
    assert put(capsys, str(first), str(first), status=0).endswith("\nNo cell differs.\n")


def test_a_program_gets_it_all(tmp_path: Path, capsys: Capture) -> None:
    """JSON has the fields that differ, the counts of each kind, and every cell."""
    found = json.loads(put(capsys, *two(tmp_path), "--format", "json", status=1))

    assert found["worse"] is True
    assert found["differing"][0] == {"field": "torch", "first": "2.13.0+cpu", "second": "2.14.0"}
    assert set(found["counts"].values()) == {1}
    assert len(found["cells"]) == 7


def test_markdown_is_for_a_job_page(tmp_path: Path, capsys: Capture) -> None:
    """The answer as the heading, a table of what differs, a list of each kind."""
    out = put(capsys, *two(tmp_path), "--format", "markdown", status=1)

    assert out.startswith("## B is worse than A: 1 cell fails now, 1 cell can no longer be tested.\n\n| | A | B |\n")
    assert "\n| torch | 2.13.0+cpu | 2.14.0 |\n" in out
    assert "\n### 1 cell fails now\n\n- **must** `inplace.returns-self[add_-cpu]` ✓ pass → ✕ fail: `self after" in out


def test_html_is_one_file_that_asks_for_nothing(tmp_path: Path, capsys: Capture) -> None:
    """A page under a policy, with every cell that differs and no script."""
    out = put(capsys, *two(tmp_path), "--format", "html", status=1)

    assert out.startswith("<!DOCTYPE html>")
    assert "default-src 'none'; script-src 'none'; style-src 'sha256-" in unescape(out)
    assert "<h1>B is worse than A: 1 cell fails now, 1 cell can no longer be tested.</h1>" in out
    assert out.count("inplace.returns-self[") == 7
    assert "<script" not in out


@pytest.mark.parametrize("text", records.HOSTILE)
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_nothing_of_a_run_becomes_markup(tmp_path: Path, capsys: Capture, form: str, text: str) -> None:
    """Text stays text and on its own line, in every form."""

    def drawn(word: str, folder: str) -> str:
        before = {**records.hostile(word), "settings": records.settings(seed=3)}
        before["cells"] = [{**before["cells"][0], "verdict": "pass"}]
        runs = (before, records.hostile(word))
        paths = [records.save(tmp_path / folder, run, f"{n}.json") for n, run in enumerate(runs)]
        return put(capsys, *map(str, paths), "--format", form, status=1)

    plain, found = drawn("harmless", "plain"), drawn(text, "hostile")

    assert found.count("\n") == plain.count("\n")
    if form == "html":
        assert re.findall(r"</?[a-z]+", found) == re.findall(r"</?[a-z]+", plain)
    if form == "markdown":
        outside = [part for line in found.splitlines() for part in line.split("`")[::2]]
        assert not [part for part in outside if "<img" in part or "<svg" in part]
        tables = [line for line in found.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {4}


def test_code_keeps_its_pipes(tmp_path: Path, capsys: Capture) -> None:
    """A type such as ``int | None`` is shown as it was found, in backticks that nothing in it can end."""
    run = records.small("fail")
    run["cells"][0] |= {"expected": "`int | None`", "found": "``|``"}

    assert main(["summary", str(records.save(tmp_path, run))]) == 0

    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("- **must**"))
    assert line.endswith(
        "``` self after the call (first difference at index 2): expected `int | None`, found ``|`` ```"
    )


def test_runs_without_a_common_cell_are_not_compared(tmp_path: Path, capsys: Capture) -> None:
    """Two disjoint selections say nothing of each other: no build is called worse, and the status is one of its own."""
    first, second = records.small("pass", "fail"), records.small("pass", "pass", "fail", "fail")
    second["cells"] = [cell for cell in second["cells"] if cell["subject"] in records.SUBJECTS[2:4]]
    for run in (first, second):
        run |= {"planned": 2, "available": 4}
    one, other = (str(records.save(tmp_path, run, f"{n}.json")) for n, run in enumerate((first, second)))

    assert put(capsys, one, other, status=3).endswith("\nA and B cannot be compared: no cell is in both.\n")
    told = json.loads(put(capsys, one, other, "--format", "json", status=3))
    assert (False, False) == (told["worse"], told["comparable"])
    assert {"added": 2, "removed": 2} == {kind: n for kind, n in told["counts"].items() if n}


@pytest.mark.parametrize(
    ("cells", "others", "complete", "status"),
    [(["pass"], [], True, 3), ([], ["pass"], True, 3), (["pass"], [], False, 1), ([], [], True, 0)],
)
def test_a_run_without_a_cell_is_not_called_as_good(
    tmp_path: Path, capsys: Capture, cells: list[str], others: list[str], complete: bool, status: int
) -> None:
    """A selection that met nothing, or timings alone, are no evidence; a run that was cut off has lost its cells."""
    one = str(records.save(tmp_path, records.small(*cells), "a.json"))
    other = str(
        records.save(
            tmp_path, records.small(*others, complete=complete, planned=len(others) if complete else 9), "b.json"
        )
    )

    said = put(capsys, one, other, status=status).splitlines()[-1]

    assert (
        said
        == {
            3: "A and B cannot be compared: no cell is in both.",
            1: "B is worse than A: 1 cell can no longer be tested.",
            0: "No cell differs.",
        }[status]
    )


def test_a_cell_that_a_selection_left_out_is_no_loss(tmp_path: Path, capsys: Capture) -> None:
    """What fails in B, and was not asked for in A, was perhaps as bad before: B is not worse; a whole A had no such."""
    second = str(records.save(tmp_path, records.small("pass", "fail"), "b.json"))
    for available, status in ((2, 0), (1, 1)):
        first = str(records.save(tmp_path, records.small("pass", available=available), "a.json"))
        assert ("not worse" in put(capsys, first, second, status=status)) is (not status)
