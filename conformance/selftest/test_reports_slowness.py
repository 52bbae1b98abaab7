"""What became slower: the calls that both runs timed, beside what all calls do, and never what a cell took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.selftest import records
from reports.command import main
from reports.model import Run
from reports.slowness import incomparable, slowness


def timed(*microseconds: float, spread: float = 0.01, seconds: float = 0.1, **changes: object) -> records.Json:
    """A run that timed calls of these medians, and whose cells all took these seconds."""
    statement = records.behaviour("inplace")
    cells = [records.cell(statement, f"s{n:02}", seconds=seconds) for n in range(len(microseconds))]
    measurements = [
        records.measurement(subject=f"s{n:02}", median=us * 1e-6, iqr=us * 1e-6 * spread)
        for n, us in enumerate(microseconds)
    ]
    run = {**records.small(), "cells": cells, "planned": len(cells), "available": len(cells)}
    return {**run, "performance": records.performance(*measurements), **changes}


def found(one: records.Json, other: records.Json) -> list[str]:
    """The subjects that became slower, the most so first."""
    return [call.subject for call in slowness(Run.model_validate(one), Run.model_validate(other)).calls]


BEFORE = [100.0] * 80


def test_a_call_that_takes_longer_beyond_its_noise_is_slower() -> None:
    """The call is told with both times and the interval of its ratio, the slowest first; one below the bar is not."""
    one, other = timed(*BEFORE), timed(400, 150, 200, *BEFORE[3:])

    told = slowness(Run.model_validate(one), Run.model_validate(other))

    assert [("s00", 4.0), ("s02", 2.0)] == [(call.subject, round(call.ratio, 6)) for call in told.calls]
    assert told.calls[0].call == "s00 (in-place operator, float32, small, cpu)"
    assert pytest.approx((1e-4, 4e-4)) == (told.calls[0].before, told.calls[0].after)
    assert all(1.5 < call.interval[0] < call.ratio < call.interval[1] for call in told.calls)
    assert (80, 1.0, 1.0, 1.5) == (told.pairs, told.usual, told.spread, told.bar)


def test_a_median_of_rounds_that_were_far_apart_accuses_none() -> None:
    """Twice as long is nothing where the rounds of either run were as far apart."""
    assert found(timed(*BEFORE), timed(200, *BEFORE[1:], spread=1.5)) == []
    assert found(timed(*BEFORE, spread=1.5), timed(200, *BEFORE[1:])) == []


def test_what_cells_took_accuses_none() -> None:
    """A cell is measured once, beside other work: a hundred times as long says nothing of the build."""
    assert found(timed(*BEFORE), timed(*BEFORE, seconds=10.0)) == []


def test_a_slower_machine_makes_no_call_slower() -> None:
    """Where all calls take three times as long, only the one that takes six times and more stands out."""
    assert found(timed(*BEFORE), timed(440, 600, *[300] * 78)) == ["s01"]


def test_a_faster_machine_hides_none_and_accuses_none() -> None:
    """Where all calls take half as long, one that takes as long as before is none that became slower."""
    assert found(timed(*BEFORE), timed(100, 200, *[50] * 78)) == ["s01"]


def test_a_machine_that_disturbs_many_calls_accuses_none() -> None:
    """Other work that lasts for all rounds of some calls, in either run, is told by how far apart all calls lie."""
    disturbed = [200] * 3 + [100] * 69 + [50] * 8

    assert found(timed(*BEFORE), timed(*disturbed)) == []
    assert found(timed(*disturbed), timed(*BEFORE)) == []
    assert found(timed(*BEFORE), timed(400, *disturbed[1:])) == ["s00"]


def test_of_a_few_calls_nothing_is_told() -> None:
    """Of nineteen calls nobody can tell a slow build from a busy machine."""
    assert found(timed(*BEFORE[:19]), timed(400, *BEFORE[:18])) == []
    assert found(timed(*BEFORE[:20]), timed(400, *BEFORE[:19])) == ["s00"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"settings": records.settings(profile="default", samples=50, seed=7)}, None),
        ({"environment": records.environment("2.14.0", ["cpu"])}, None),
        ({"performance": None}, "B was not timed"),
        ({"performance": {**records.performance(), "measurements": []}}, "B was not timed"),
        ({"performance": records.performance(threads=2)}, "the numbers of threads differ"),
        (
            {"performance": records.performance(fingerprint=records.fingerprint(id="ba9876543210"))},
            "they were taken on two machines",
        ),
    ],
)
def test_times_of_other_machines_are_not_compared(changes: records.Json, why: str | None) -> None:
    """Another machine makes times incomparable; another torch, profile or seed does not."""
    assert incomparable(Run.model_validate(timed(1)), Run.model_validate(timed(1, **changes))) == why


def test_runs_without_timings_are_not_compared() -> None:
    """A record of before has none."""
    untimed = Run.model_validate(records.small("pass"))

    assert incomparable(untimed, untimed) == "neither run was timed"
    assert incomparable(untimed, Run.model_validate(timed(1))) == "A was not timed"


def test_the_command_tells_and_does_not_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``diff`` lists what became slower, and its exit status is of verdicts alone."""
    one = records.save(tmp_path, timed(*BEFORE), "1.json")
    other = records.save(tmp_path, timed(400, *BEFORE[1:], started="2026-11-22T00:30:00Z"), "2.json")
    heading = (
        "1 call takes over 1.5 times as long, noise excluded, of 80 that both runs timed "
        "(1.0 times in the median, nineteen of twenty within 1.00 times of it)"
    )
    times = "100 us → 400 us, 4.0 times as long (3.8 to 4.2)"

    assert main(["diff", str(one), str(other)]) == 0
    text = capsys.readouterr().out
    assert main(["diff", str(one), str(other), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert f"{heading}:\n  s00 (in-place operator, float32, small, cpu): {times}\n" in text
    for form in ("markdown", "html"):
        assert main(["diff", str(one), str(other), "--format", form]) == 0
        shown = capsys.readouterr().out
        assert heading in shown
        assert times in shown
    assert [call["subject"] for call in told["slower"]["calls"]] == ["s00"]
    assert told["untimed"] is None


def test_the_command_says_why_it_compares_no_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the comparison is not left to take silence for speed."""
    one = records.save(tmp_path, timed(*BEFORE), "1.json")
    other = records.save(tmp_path, records.small("pass"), "2.json")

    main(["diff", str(one), str(other), "--format", "json"])
    told = json.loads(capsys.readouterr().out)

    assert (None, "B was not timed") == (told["slower"], told["untimed"])
