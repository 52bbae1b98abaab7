"""What became slower: paired times of runs of one machine, beside what all cells do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.selftest import records
from reports.command import main
from reports.model import Run
from reports.slowness import Slower, incomparable, slowness


def timed(*milliseconds: int, **changes: object) -> records.Json:
    """A run whose cells, all of which pass, took these times."""
    statement = records.behaviour("inplace")
    cells = [records.cell(statement, f"s{n:02}", seconds=ms / 1000) for n, ms in enumerate(milliseconds)]
    return {**records.small(), "cells": cells, "planned": len(cells), "available": len(cells), **changes}


def found(one: records.Json, other: records.Json) -> list[str]:
    """The subjects that became slower, the most so first."""
    return [pair.cell[21:24] for pair in slowness(Run.model_validate(one), Run.model_validate(other)).cells]


BEFORE = [100] * 10


def test_a_cell_that_takes_twice_as_long_is_slower() -> None:
    """The pair is told with both times, the slowest first; one below the factor is not."""
    one, other = timed(*BEFORE), timed(400, 199, 200, *BEFORE[3:])

    pairs = slowness(Run.model_validate(one), Run.model_validate(other))

    assert pairs.cells == [
        Slower("inplace.returns-self[s00-cpu]", 100, 400),
        Slower("inplace.returns-self[s02-cpu]", 100, 200),
    ]
    assert (10, 1.0) == (pairs.pairs, pairs.usual)


def test_a_slower_machine_makes_no_cell_slower() -> None:
    """Where all cells take three times as long, only the one that takes six times and more stands out."""
    assert found(timed(*BEFORE), timed(599, 600, *[300] * 8)) == ["s01"]


def test_a_faster_machine_hides_none_and_accuses_none() -> None:
    """Where all cells take half as long, one that takes as long as before is none that became slower."""
    assert found(timed(*BEFORE), timed(100, 200, *[50] * 8)) == ["s01"]


def test_short_cells_are_left_out() -> None:
    """Below 50 ms in either run a time says nothing; of a few pairs nothing is told."""
    assert found(timed(49, *BEFORE), timed(400, *BEFORE)) == []
    assert found(timed(*BEFORE[:7]), timed(400, *BEFORE[:6])) == []


@pytest.mark.parametrize("verdict", ["fail", "unsupported", "known"])
def test_what_ends_otherwise_is_not_compared(verdict: str) -> None:
    """A cell that ends early is quick for another reason."""
    one, other = timed(*BEFORE), timed(400, *BEFORE[1:])
    one["cells"][0]["verdict"] = verdict

    assert found(one, other) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, None),
        ({"settings": records.settings(profile="default", samples=50)}, "profile"),
        ({"settings": records.settings(seed=7)}, "profile"),
        ({"environment": {**records.environment("2.13.0+cpu", ["cpu"]), "processor": "Other"}}, "processor"),
        ({"environment": {**records.environment("2.13.0+cpu", ["cpu"]), "cpus": 64}}, "processor"),
        ({"environment": records.environment("2.14.0", ["cpu"])}, None),
    ],
)
def test_times_of_other_machines_are_not_compared(changes: records.Json, field: str | None) -> None:
    """Another processor, profile or seed makes times of two builds incomparable; another torch does not."""
    assert incomparable(Run.model_validate(timed()), Run.model_validate(timed(**changes))) == field


def test_the_command_tells_and_does_not_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``diff`` lists what became slower, and its exit status is of verdicts alone."""
    one = records.save(tmp_path, timed(*BEFORE), "1.json")
    other = records.save(tmp_path, timed(400, *BEFORE[1:], started="2026-11-22T00:30:00Z"), "2.json")

    assert main(["diff", str(one), str(other)]) == 0
    text = capsys.readouterr().out
    assert main(["diff", str(one), str(other), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["slower"]

    assert "1 cell slower, of 10 that take at least 50 ms (indicative;" in text
    assert "  100 ms → 400 ms  inplace.returns-self[s00-cpu]\n" in text
    for form in ("markdown", "html"):
        assert main(["diff", str(one), str(other), "--format", form]) == 0
        shown = capsys.readouterr().out
        assert "1 cell slower, of 10 that take at least 50 ms (indicative; in the median they take 1.0 times" in shown
        assert "100 ms → 400 ms" in shown
    assert told["cells"] == [{"cell": "inplace.returns-self[s00-cpu]", "before": 100, "after": 400}]
