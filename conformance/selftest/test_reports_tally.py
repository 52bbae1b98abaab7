"""What is counted, and what the counts are said to come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.selftest import records
from reports.labels import labels, letter
from reports.model import Run
from reports.reading import Record
from reports.tally import Tally, limit, share, standing, whole
from reports.verdicts import MEANINGS, VERDICTS


def run(*verdicts: str, **changes: object) -> Run:
    """A run of one *must* with these verdicts."""
    return Run.model_validate(records.small(*verdicts, **changes))


def test_every_verdict_has_its_own_symbol_and_word() -> None:
    """No two verdicts look alike to somebody who sees no colours."""
    assert set(MEANINGS) == set(VERDICTS)
    assert len({meaning.symbol for meaning in MEANINGS.values()}) == len(VERDICTS)
    assert len({meaning.word for meaning in MEANINGS.values()}) == len(VERDICTS)


def test_could_not_test_is_neither_passed_nor_failed() -> None:
    """Unsupported, not-applicable and inconclusive are counted apart, and errors of the suite apart from those."""
    tally = Tally.of(run("unsupported", "not-applicable", "inconclusive", "error", "pass", "crash").cells)

    assert tally.counts == {"failed": 1, "known": 0, "error": 1, "passed": 1, "untested": 3}
    assert tally.decided == 2


@pytest.mark.parametrize(
    ("found", "words", "detail"),
    [
        (run("pass", "pass"), "Conformant", "Every must that could be tested holds."),
        (run("pass", "fixed"), "Conformant", "Every must that could be tested holds."),
        (run("pass", "unsupported"), "Conformant", "1 cell of a must could not be tested."),
        (run("pass", "known"), "Conformant but for 1 listed deviation", "No must fails that is not listed."),
        (run("pass", "fail"), "Not conformant", "1 cell of 1 behaviour breaks a must."),
        (run("timeout", "crash", "known"), "Not conformant", "2 cells of 1 behaviour break a must. 1 listed deviation"),
        (run("fail", complete=False, planned=5), "Not conformant", "1 of 5 planned cells have a verdict."),
        (run("pass", complete=False, planned=5), "Incomplete", "The run was cut off: 1 of 5 planned cells"),
        (run("pass", settings=records.settings(shard="1/4")), "A part: no must fails", "This is shard 1/4 alone"),
        (run("pass", available=9), "A selection: no must fails", "1 of 9 cells was asked for."),
        (run("pass", "known", available=9), "A selection: no must fails but for 1 listed deviation", "2 of 9 cells"),
        (run("fail", available=9), "Not conformant", "1 cell of 1 behaviour breaks a must. 1 of 9 cells was asked"),
        (run("unsupported", available=9), "Not tested", "No must could be tested. 1 of 9 cells was asked for."),
        (run("pass", "error", available=9), "Undecided", "2 of 9 cells were asked for."),
        (run("pass", complete=False, planned=5, available=9), "Incomplete", "was cut off: 1 of 5 planned cells"),
        (run("pass", "error"), "Undecided", "The suite itself broke in 1 place."),
        (run("pass", errors=["no such catalogue"]), "Undecided", "The suite itself broke in 1 place."),
        (run("unsupported", "inconclusive"), "Not tested", "No must could be tested."),
        (run(), "Not tested", "No cell was asked for."),
    ],
)  # fmt: skip
def test_the_standing_says_what_the_run_allows(found: Run, words: str, detail: str) -> None:
    """A broken must outweighs everything, and a run that broke off or broke down is never called conformant."""
    said = standing(found)

    assert said.words == words
    assert detail in said.detail


def test_only_a_run_that_lost_something_is_incomplete() -> None:
    """A selection is a selection: it is complete, and it is not the whole."""
    found = limit(run("pass", available=9))

    assert found is not None
    assert found.kind == "part"
    assert whole(run("pass", available=9)) is False
    assert limit(run("pass")) is None


def test_behaviours_of_two_areas_are_two() -> None:
    """Two areas may have a behaviour of the same name, and each counts."""
    statements = [records.behaviour("inplace"), records.behaviour("leaves")]
    cells = [records.cell(statement, verdict="fail") for statement in statements]
    record = {**records.record(areas=3, behaviours=0), "behaviours": statements, "cells": cells, "planned": 2}

    assert standing(Run.model_validate(record)).detail == "2 cells of 2 behaviours break a must."


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (run("pass", "fail", "unsupported"), "50.0 %"),
        (run(*["pass"] * 2, "known"), "66.6 %"),
        (run("pass"), "100.0 %"),
        (run("pass", complete=False, planned=2), None),
        (run("pass", settings=records.settings(shard="1/2")), None),
        (run("pass", available=9), None),
        (run("pass", errors=["broken"]), None),
        (run("unsupported"), None),
    ],
)
def test_a_share_is_of_decided_cells_of_a_whole_run(found: Run, expected: str | None) -> None:
    """The share leaves out what could not be tested, is rounded down, and is not made of a part of a run."""
    assert share(found, Tally.of(found.cells)) == expected


def test_runs_of_one_torch_are_told_apart_by_what_differs() -> None:
    """Labels grow by the first thing that tells the runs apart, and by no more."""
    first, second = records.small("pass"), records.small("pass")
    second["environment"]["python"] = "3.12.1"
    other = records.record(torch="2.14.0", targets=["cuda:0"])
    runs = [Record(Path("run.json"), Run.model_validate(each)) for each in (first, second, other)]

    assert [str(label) for label in labels(runs)] == [
        "A 2.13.0+cpu (cpu, Python 3.11.7)",
        "B 2.13.0+cpu (cpu, Python 3.12.1)",
        "C 2.14.0 (cuda:0)",
    ]
    assert [label.short for label in labels(runs)] == [
        "2.13.0+cpu, Python 3.11.7",
        "2.13.0+cpu, Python 3.12.1",
        "2.14.0",
    ]


def made(path: str = "run.json", **changes: object) -> Record:
    """A record of one torch."""
    return Record(Path(path), run("pass", **changes))


CUDA = [records.environment("2.13.0", ["cuda:0"]), records.environment("2.13.0", ["cuda:0"])]
CUDA[1]["targets"][0]["device"] = "Example B200"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ([made(), made(environment=records.environment("2.14.0", ["cpu"]))], ["2.13.0+cpu", "2.14.0"]),
        ([made(environment=CUDA[0]), made(environment=CUDA[1])], ["Example H200", "Example B200"]),
        ([made(), made(settings=records.settings(seed=7))], ["seed 0", "seed 7"]),
        ([made(), made(settings=records.settings(profile="default"))], ["smoke profile", "default profile"]),
        ([made(), made(settings=records.settings(shard="1/2"))], ["no shard", "shard 1/2"]),
        ([made(), made(started="2026-11-22T00:30:00+02:00")], ["2026-11-21 01:36 UTC", "2026-11-21 22:30 UTC"]),
        ([made("a.json"), made("b.json")], ["a.json", "b.json"]),
        ([made("a/run.json"), made("b/run.json", started="2026-11-21T01:36:50Z")], ["a/run.json", "b/run.json"]),
        ([made(), made(started="2026-11-21T01:36:50Z")], ["2026-11-21 01:36:44 UTC", "2026-11-21 01:36:50 UTC"]),
        ([made(), made()], ["A 2.13.0+cpu", "B 2.13.0+cpu"]),
        ([made(started="9999-99-99T99:99:99Z"), made()], ["9999-99-99T99:99:99Z", "2026-11-21 01:36 UTC"]),
    ],
)
def test_a_short_name_is_what_tells_a_run_apart(pair: list[Record], expected: list[str]) -> None:
    """Two runs never have one name: the torch version, or else the device, seed, profile, date or file."""
    assert [label.short for label in labels(pair)] == expected


def test_letters_go_on_after_z() -> None:
    """The 27th run has a letter too."""
    assert [letter(number) for number in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]
