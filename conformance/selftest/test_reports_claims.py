"""What a run says of the claims of tutorials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.selftest import records
from reports import claims, command, page
from reports.merging import merge
from reports.model import Run
from reports.reading import load


def decided(claim: records.Json, *verdicts: str, **changes: object) -> tuple[str, str]:
    """The verdict and the reason of one claim in a run with these verdicts of ``inplace.returns-self``."""
    whole = {"id": "a.b", "section": "S", "claim": "C.", **claim}
    run = Run.model_validate(records.small(*verdicts, claims=[whole], **changes))
    [found] = claims.decisions(run.claims, run)
    return found.words, found.why


HOLDS = {"decided_by": ["inplace.returns-self"]}
SUBJECT = {"decided_by": ["inplace.returns-self[sub_]"]}
FAILS = {**HOLDS, "expects": "fails"}


@pytest.mark.parametrize(
    ("claim", "verdicts", "words", "why"),
    [
        (HOLDS, ["pass"], "confirmed", ""),
        (HOLDS, ["pass", "fixed", "unsupported"], "confirmed", ""),
        ({**HOLDS, "condition": "If so."}, ["pass"], "confirmed with a condition", "If so."),
        (HOLDS, ["pass", "known"], "confirmed with a condition", "inplace.returns-self fails here in 1 of 2 cells."),
        (HOLDS, ["fail"], "false", "inplace.returns-self fails here."),
        (HOLDS, ["crash", "timeout"], "false", "inplace.returns-self fails here."),
        (SUBJECT, ["fail", "pass"], "confirmed", ""),
        (SUBJECT, ["pass", "known"], "false", "inplace.returns-self[sub_] fails here."),
        (SUBJECT, ["pass"], "cannot be decided here", "inplace.returns-self[sub_] was not tested in this run."),
        (HOLDS, ["inconclusive"], "cannot be decided here", "inplace.returns-self was not tested in this run."),
        (HOLDS, ["error"], "cannot be decided here", "inplace.returns-self was not tested in this run."),
        (
            HOLDS, ["not-applicable"], "cannot be decided here",
            "inplace.returns-self speaks of other releases, devices or builds.",
        ),
        (FAILS, ["pass"], "false", "inplace.returns-self holds, and says the contrary."),
        (FAILS, ["pass", "fail"], "false", "inplace.returns-self holds, and says the contrary."),
        (FAILS, ["fail", "known"], "confirmed", "inplace.returns-self fails here."),
        (
            {**FAILS, "outdated_since": "1.8"}, ["pass"], "outdated since 1.8",
            "inplace.returns-self holds, and says the contrary.",
        ),
        ({"undecidable": "Advice."}, ["pass"], "cannot be decided here", "Advice."),
        ({}, ["pass"], "cannot be decided here", "No behaviour decides it."),
        (
            {"decided_by": ["inplace.returns-self", "a.b", "a.c"]}, ["pass"], "cannot be decided here",
            "a.b and a.c were not tested in this run.",
        ),
        (
            {"decided_by": ["inplace.returns-self", "a.b"]}, ["fail"], "false",
            "inplace.returns-self fails here.",
        ),
    ],
)  # fmt: skip
def test_a_claim_follows_from_its_cells(claim: records.Json, verdicts: list[str], words: str, why: str) -> None:
    """What holds confirms, what fails refutes, and what was not tested decides nothing."""
    assert decided(claim, *verdicts) == (words, why)


def test_what_is_out_of_scope_leaves_the_word_to_the_others() -> None:
    """A behaviour of other releases neither confirms nor hinders."""
    run = records.small("pass")
    other = records.behaviour("inplace", 3)
    run["behaviours"].append(other)
    run["cells"].append(records.cell(other, "add_", verdict="not-applicable"))
    run["claims"] = [{"id": "a.b", "section": "S", "claim": "C.", "decided_by": ["inplace.returns-self", other["id"]]}]
    read = Run.model_validate(run | {"planned": 2})

    assert [found.words for found in claims.decisions(read.claims, read)] == ["confirmed"]


def test_the_page_writes_each_reason_once() -> None:
    """Runs that say the same of a claim share the words, and of many claims too."""
    runs = [Run.model_validate(records.small("fail", claims=records.claims(), seconds=n)) for n in (1.0, 2.0)]

    found = claims.index(runs)

    assert len(found["rows"]) == 6
    assert len(found["whys"]) == len(set(found["whys"])) == 4


def test_the_command_lists_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each claim that was asked for, and the counts of all."""
    path = records.save(tmp_path, records.small("pass", claims=records.claims()))

    assert command.main(["claims", str(path), "--only", "false", "outdated"]) == 0
    lines = capsys.readouterr().out.splitlines()
    contrary = "holds, and says the contrary."

    assert lines == [
        f"false               alias.returns-none: An in-place method returns None. (inplace.returns-self {contrary})",
        f"outdated since 0.4  old.names: Methods have other names. (inplace.returns-self[add_] {contrary})",
        "",
        "6 claims: 1 confirmed, 1 confirmed with a condition, 1 outdated, 1 false, 2 cannot be decided here.",
    ]


def test_the_command_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets each claim with its verdict and the reason."""
    path = records.save(tmp_path, records.small("pass", claims=records.claims()))

    command.main(["claims", str(path), "--format", "json"])
    found = json.loads(capsys.readouterr().out)

    assert found["counts"] == {"confirmed": 1, "conditional": 1, "outdated": 1, "false": 1, "undecided": 2}
    assert found["claims"][0]["verdict"] == "confirmed"


def test_an_old_record_has_no_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record from before the tables is read as ever."""
    path = records.save(tmp_path, records.small("pass"))

    assert command.main(["claims", str(path)]) == 0
    assert capsys.readouterr().out == "The record has no claims.\n"
    assert page.html([load(path)])


def test_merged_shards_decide_together(tmp_path: Path) -> None:
    """The tables are of the suite, so that shards have the same; the verdicts are those of all cells."""
    whole = records.small("pass", "known", claims=records.claims(), surface=records.surface())
    shards = []
    for number in (1, 2):
        cells = [whole["cells"][number - 1]]
        settings = records.settings(shard=f"{number}/2")
        shard = {**whole, "cells": cells, "planned": 1, "settings": settings}
        shards.append(load(records.save(tmp_path, shard, f"{number}.json")))

    merged = merge(shards, tmp_path / "whole.json")

    assert merged.surface == Run.model_validate(whole).surface
    assert claims.decisions(merged.claims, merged)[0].words == "confirmed with a condition"


def test_a_list_without_claims_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no claim has the verdicts asked for, the first line says it, and the counts follow."""
    path = records.save(tmp_path, records.small("pass", claims=records.claims()[:1]))

    assert command.main(["claims", str(path), "--only", "false", "outdated"]) == 0

    assert capsys.readouterr().out == "No claim is false or outdated.\n\n1 claim: 1 confirmed.\n"
