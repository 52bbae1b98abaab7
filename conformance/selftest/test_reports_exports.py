"""JUnit XML and badges: what other tools read of a run, and that they read nothing better than it is."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from conformance.selftest import records
from conformance.selftest.test_reports_page import contrast
from reports.badge import COLOURS, badge
from reports.command import main
from reports.junit import xml
from reports.model import Run

EVERY = ("pass", "fail", "known", "fixed", "unsupported", "not-applicable", "inconclusive", "crash", "timeout", "error")


def run(*verdicts: str, **changes: Any) -> Run:
    """A run of one *must* with these verdicts."""
    return Run.model_validate(records.small(*verdicts, **changes))


def tree(found: Run) -> ET.Element:
    """The JUnit XML of a run, read again."""
    return ET.fromstring(xml(found))


def test_every_verdict_has_its_place_in_junit() -> None:
    """What failed is a failure, what the suite broke is an error, what is listed or untested is skipped with why."""
    top = tree(run(*EVERY))

    assert {key: top.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "10", "failures": "3", "errors": "1", "skipped": "4",
    }  # fmt: skip
    skipped = sorted(str(each.get("message")) for each in top.iter("skipped"))
    assert skipped[1].startswith("known: Negative zero is lost on strided input. (https://github.com/")
    failure = next(each for each in top.iter("failure") if each.get("type") == "fail")
    assert failure.get("message", "").startswith("must: self after the call (first difference at index 2): expected")
    assert "the first difference is at index 2" in (failure.text or "")


@pytest.mark.parametrize(("fail_on", "failures"), [("must", 1), ("should", 2), ("none", 0), (None, 1)])
def test_what_the_run_was_told_to_allow_fails_no_job(fail_on: str | None, failures: int) -> None:
    """A failing *may* is skipped and says so; the exit status of the run and its JUnit file agree."""
    statements = [records.behaviour("inplace", number) for number in (0, 3, 4)]
    cells = [records.cell(statement, verdict="fail") for statement in statements]
    assert [each["level"] for each in cells] == ["must", "should", "may"]
    whole = {**records.record(areas=2, behaviours=0), "behaviours": statements, "cells": cells, "planned": 3}

    top = tree(Run.model_validate({**whole, "settings": records.settings(fail_on=fail_on)}))

    assert (top.get("failures"), top.get("skipped")) == (str(failures), str(3 - failures))
    assert all(str(each.get("message")).startswith("fail, allowed, ") for each in top.iter("skipped"))


def test_a_run_that_broke_off_is_no_green_junit_file() -> None:
    """A killed run and a broken suite are errors, even where every cell that ran passed."""
    top = tree(run("pass", complete=False, planned=3, errors=["Traceback\n  …\nKeyError: 'x'"]))

    assert [each.get("message") for each in top.iter("error")] == [
        "KeyError: 'x'",
        "The run was cut off: 1 of 3 planned cells have a verdict.",
    ]


@pytest.mark.parametrize("text", records.HOSTILE)
def test_any_text_is_held_by_xml(tmp_path: Path, text: str) -> None:
    """What XML cannot hold is written as an escape, and what would be markup is none."""
    path = records.save(tmp_path, records.hostile(text))

    assert main(["junit", str(path), "-o", str(tmp_path / "junit.xml")]) == 0
    assert main(["badge", str(path), "-o", str(tmp_path)]) == 0

    top = ET.parse(tmp_path / "junit.xml").getroot()
    assert [each.tag for each in top] == ["testsuite", "testsuite"]
    picture = ET.parse(tmp_path / "badge.svg").getroot()
    assert [each.tag.rpartition("}")[2] for each in picture.iter()] == [
        "svg",
        "title",
        "rect",
        "rect",
        "g",
        "text",
        "text",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (run("pass"), "conformant"),
        (run("pass", "known"), "conformant but for 1 listed deviation"),
        (run("pass", "fail", "crash"), "2 failing musts"),
        (run("pass", "fail", available=9), "1 failing must (a selection)"),
        (run("pass", available=9), "no must fails (a selection)"),
        (run("pass", settings=records.settings(shard="1/2")), "no must fails (a part)"),
        (run("pass", complete=False, planned=5), "incomplete run"),
        (run("fail", complete=False, planned=5), "1 failing must (incomplete)"),
        (run("pass", "error", errors=["broken"]), "undecided, 2 suite errors"),
        (run("unsupported"), "not tested"),
    ],
)
def test_a_badge_says_no_more_than_the_run(found: Run, expected: str) -> None:
    """Only a whole run is conformant; no badge has a percentage."""
    drawn = badge(found)

    assert drawn.message == expected
    assert drawn.label == "PyTorch conformance, torch 2.13.0+cpu"
    assert f'aria-label="PyTorch conformance, torch 2.13.0+cpu: {expected}"' in drawn.svg()
    assert drawn.endpoint() == {
        "schemaVersion": 1, "label": drawn.label, "message": expected, "color": drawn.colour[1:],
    }  # fmt: skip


def test_badges_can_be_read() -> None:
    """White stands out from every colour of a badge."""
    assert all(contrast("#fff", colour) >= 4.5 for colour in COLOURS.values())


def test_the_badge_is_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture, and an endpoint for a badge service."""
    path = records.save(tmp_path, records.small("pass"))

    assert main(["badge", str(path), "-o", str(tmp_path / "public")]) == 0

    names = [tmp_path / "public" / name for name in ("badge.svg", "badge.json")]
    assert capsys.readouterr().out.splitlines() == [str(name) for name in names]
    assert json.loads(names[1].read_text())["message"] == "conformant"


@pytest.mark.parametrize("before", [True, False], ids=["replaced", "new"])
@pytest.mark.parametrize("obstacle", ["a folder", "no room"])
def test_both_files_of_a_badge_are_written_or_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, before: bool, obstacle: str
) -> None:
    """Where the second file cannot be written, the first is what it was: a page never shows two runs."""
    path, public = records.save(tmp_path, records.small("pass")), tmp_path / "public"
    public.mkdir()
    if before:
        (public / "badge.svg").write_text("before")
    if obstacle == "a folder":
        (public / "badge.json").mkdir()
    else:
        replace = os.replace

        def full(source: Path, target: Path) -> None:
            if target.name == "badge.json":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            replace(source, target)

        monkeypatch.setattr(os, "replace", full)
    names = sorted(each.name for each in public.iterdir())

    assert main(["badge", str(path), "-o", str(public)]) == 2

    assert names == sorted(each.name for each in public.iterdir())
    assert not before or (public / "badge.svg").read_text() == "before"
    assert "nothing was written" in capsys.readouterr().err
