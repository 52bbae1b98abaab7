"""Settings: each option that cannot be followed is one line that says what is possible."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.settings import LARGEST_SEED, Settings, UsageError, seconds_of
from conformance.engine.words import Level, Verdict
from conformance.selftest.examples import cell


def settings(folder: Path, **options: Any) -> Settings:
    """Settings from the options' defaults and these."""
    given = {
        "device": ["cpu"], "profile": "smoke", "level": "may", "expectations": None, "shard": None,
        "run_record": str(folder / "run.json"), "fail_on": "must", "seed": None, "hypothesis_seed": None,
        "collectonly": False, "plugin": None, "targets": None, "example_database": None, **options,
    }  # fmt: skip
    return Settings.of(Namespace(**given), ("--profile", "smoke"), folder)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"profile": "fast"}, "--profile: expected one of smoke, default, thorough; found 'fast'"),
        ({"level": "most"}, "--level: expected one of must, should, may; found 'most'"),
        ({"fail_on": "may"}, "--fail-on: expected one of must, should, none; found 'may'"),
        *(
            ({"shard": text}, f"--shard: expected I/N with 1 <= I <= N, such as 1/4; found {text!r}")
            for text in (
                "5/4",
                "0/4",
                "1/0",
                "0/0",
                "1",
                "-1/4",
                "1/4/2",
                "a/b",
                "a",
                "",
                "1 / 4",
                "١/٢",
                "1/1" + "0" * 9,
            )
        ),
        *(
            (
                {name: text},
                f"--{name.replace('_', '-')}: expected a whole number from 0 to {LARGEST_SEED}; found {text!r}",
            )
            for name in ("seed", "hypothesis_seed")
            for text in ("x", "", "-1", "1.5", "1e400", "٣", " 1", "9007199254740992", "9" * 5000)
        ),
        ({"expectations": [""]}, "--expectations: expected the path of a YAML file; found ''"),
        ({"run_record": ""}, "--run-record: expected the path of a file, such as run.json; found ''"),
    ],
)
def test_a_bad_option_says_what_is_possible(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    """The message names the option, what is possible and what was found."""
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, **options)

    assert expected == str(caught.value)


@pytest.mark.parametrize("text", ["x", "", "-1", "nan", "inf", "-inf", "1e300", "٣ s", "1:00", "8640001"])
def test_a_number_of_seconds_is_one(text: str) -> None:
    """What no timer takes is told in one line, whatever the option."""
    with pytest.raises(
        UsageError, match=r"^--collection-timeout: expected seconds from 0 .any time. to 8640000, such as"
    ):
        seconds_of("--collection-timeout", text)
    assert [0.0, 1.5, 300.0] == [seconds_of("--collection-timeout", good) for good in ("0", 1.5, "3e2")]


def test_a_bad_device_says_what_is_there(tmp_path: Path) -> None:
    """The message lists the devices of this machine."""
    with pytest.raises(UsageError, match=r"^--device: expected one of cpu.*; found 'toaster:7'$"):
        settings(tmp_path, device=["toaster:7"])


def test_a_record_must_be_a_plain_file(tmp_path: Path) -> None:
    """Folders, files below files and devices such as /dev/null, which the record would replace, are refused."""
    (tmp_path / "file").touch()
    for name in (tmp_path, tmp_path / "file" / "below.json", Path("/dev/null"), tmp_path / ("a" * 300)):
        with pytest.raises(UsageError, match=r"^--run-record: expected a file that can be written, such as run.json; "):
            settings(tmp_path, run_record=str(name))

    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("text", ["area: demo\n", "{}", "[1]", '{"$schema": "x", "schema": "y"}', "{", "\udcff"])
def test_a_record_replaces_nothing_but_a_record(tmp_path: Path, text: str) -> None:
    """A spec file, a test or any other file in the record's place is told and left alone; a record is replaced."""
    path = tmp_path / "run.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"run.json'?: a file that is no run record, and that would be lost$"):
        settings(tmp_path)

    assert text.encode(errors="surrogateescape") == path.read_bytes()
    for record in ("", '{"schema": 1, "complete": false, "cells": [', '{"cells": [],\n "schema": 1}'):
        path.write_text(record)
        assert path == settings(tmp_path).record


def test_collecting_makes_no_folder(tmp_path: Path) -> None:
    """``--collect-only`` writes nothing, so that it needs no place for a record."""
    found = settings(tmp_path, collectonly=True, run_record=str(tmp_path / "new" / "run.json"))

    assert [] == list(tmp_path.iterdir())
    assert tmp_path / "new" / "run.json" == found.record


def test_a_bad_expectations_file_is_named(tmp_path: Path) -> None:
    """A file that is not there, or is malformed, is named with its faults."""
    (tmp_path / "e.yaml").write_text("deviations: 3\n")
    with pytest.raises(UsageError, match=r"--expectations: .*gone.yaml: .*No such file"):
        settings(tmp_path, expectations=[str(tmp_path / "gone.yaml")])
    with pytest.raises(UsageError, match=r"--expectations: .*e.yaml:1: deviations: expected: a list; found: 3"):
        settings(tmp_path, expectations=[str(tmp_path / "e.yaml")])


def test_the_seed_may_be_hypothesis_own(tmp_path: Path) -> None:
    """``--seed`` wins over ``--hypothesis-seed``; without either the seed is 0."""
    assert 0 == settings(tmp_path).seed
    assert 7 == settings(tmp_path, hypothesis_seed="7").seed
    assert 3 == settings(tmp_path, seed=3, hypothesis_seed="7").seed


def test_levels_decide_what_runs_and_what_fails(tmp_path: Path) -> None:
    """``--level`` leaves out weaker statements; ``--fail-on`` forgives them; an error of the suite always fails."""
    strict, lax = settings(tmp_path, level="should", fail_on="should"), settings(tmp_path, fail_on="none")

    assert [True, True, False] == [strict.wants(cell(level=level)) for level in ("must", "should", "may")]
    assert [True, True, False] == [strict.fails(level, Verdict.FAIL) for level in Level]
    assert [False, False, False] == [lax.fails(level, Verdict.CRASH) for level in Level]
    assert all(each.fails(Level.MAY, Verdict.ERROR) for each in (strict, lax))
    assert not any(strict.fails(Level.MUST, v) for v in (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE, Verdict.KNOWN))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_every_cell_is_in_exactly_one_shard(tmp_path: Path, count: int) -> None:
    """The shards of a run share no cell and leave none out."""
    shards = [settings(tmp_path, shard=f"{i}/{count}") for i in range(1, count + 1)]
    cells = [cell(id=f"cell-{number}") for number in range(40)]

    assert [1] * len(cells) == [sum(shard.wants(each) for shard in shards) for each in cells]


def test_shards_are_of_like_size(tmp_path: Path) -> None:
    """No shard is left with next to nothing."""
    quarter = settings(tmp_path, shard="2/4")
    found = sum(quarter.wants(cell(id=f"cell-{number}")) for number in range(400))

    assert 70 < found < 130


def test_a_cell_has_one_digest_everywhere() -> None:
    """The number that shards and seeds come from is the same in every process, whatever its hash seed."""
    program = "import hashlib; print(int.from_bytes(hashlib.sha256(b'demo.stays-small[cpu]').digest()[:8], 'big'))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert int(found.stdout) == cell().digest()
