"""The data of the pictures: what is read of runs and of A/B files, and what is not."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest import records, timings
from reports import alternation, embedding
from reports.command import main
from reports.reading import load


def unpacked(folder: Path, *runs: records.Json) -> Any:
    """What the page has for the pictures of these runs."""
    found = embedding.pictures([load(records.save(folder, run, f"{n}.json")) for n, run in enumerate(runs)])
    return found if found is None else json.loads(zlib.decompress(base64.b64decode(found)))


def test_a_record_of_before_has_no_pictures(tmp_path: Path) -> None:
    """A record without timings, growth and ratios is shown as ever, and its page has nothing to unpack."""
    record = load(records.save(tmp_path, records.small("pass")))

    assert embedding.pictures([record]) is None
    assert embedding.index([record])["performance"] is False


def test_the_timings_of_a_subject_stand_together(tmp_path: Path) -> None:
    """A row for each subject, target and dtype, and in it a list of sizes for each run, the smallest first."""
    one, other = timings.timed(), timings.timed(seconds=9.0)
    other["performance"] = timings.performance(subjects=9, seed=1)
    one["performance"]["measurements"].reverse()

    found = unpacked(tmp_path, one, other)

    assert len(found["timings"]) == 9
    rows = {found["texts"][subject]: runs for subject, *_, runs in found["timings"]}
    assert [point[1] for point in rows["add_"][0]] == [64, 16384, 4194304]
    assert [len(points) for points in rows["exp_"]] == [0, 3]


def test_only_cells_with_evidence_of_costs_are_in_the_pictures(tmp_path: Path) -> None:
    """A cell without growth or ratios takes no room there."""
    found = unpacked(tmp_path, timings.timed())

    assert [cell for cell, _ in found["scaling"]] == [0]
    assert [cell for cell, _ in found["ratios"]] == [1]


def test_what_the_suite_costs_is_counted_of_its_cells(tmp_path: Path) -> None:
    """Cells, cases and seconds of an area come from its cells, and the seconds inside torch from the record."""
    assert unpacked(tmp_path, timings.timed())["expense"] == [
        ["inplace", "In-place operations", [[3, 375, 0.0369, 0.0118]]]
    ]


def test_a_page_is_built_with_two_builds_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``build RUN --ab FILE`` writes one page, whether or not the run has timings of its own."""
    run = records.save(tmp_path, records.small("pass"))
    pair = timings.save(tmp_path, timings.alternation())

    status = main(["build", str(run), "--ab", str(pair), "-o", str(tmp_path / "out")])

    assert (status, capsys.readouterr().err) == (0, "")
    assert (tmp_path / "out" / "index.html").exists()


def broken(**changes: Any) -> str:
    """The text of an A/B file with other values."""
    return json.dumps({**timings.alternation(subjects=1), **changes})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "expected an A/B file (a file that python -m conformance ab wrote), found nothing of this name"),
        ("", "expected an A/B file, found an empty file"),
        (broken()[:400], "expected the rest of an A/B file, found the end of the file (was it cut off?)"),
        ("[1]", "expected an A/B file (an object), found a list of 1; name the file that python -m"),
        (json.dumps(records.small("pass")), 'schema: expected "ab/1", as an A/B file has, found 1'),
        (broken(schema="ab/2"), 'schema: expected "ab/1", as an A/B file has, found "ab/2"'),
        ("<!doctype html><html>", "expected an A/B file (JSON), found an HTML page"),
        (
            broken(rows=[{**timings.alternation(subjects=1)["rows"][0], "ratio": 0}]),
            "rows[0].ratio: expected greater than 0, found 0",
        ),
        (broken(rows=[{}]), "rows[0].subject: expected this key, found none"),
    ],
)  # fmt: skip
def test_what_is_no_ab_file_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, expected: str
) -> None:
    """A wrong, a truncated and a missing file: where, expected, found, exit status 2, and no page."""
    run, pair = records.save(tmp_path, records.small("pass")), tmp_path / "pair.json"
    if text is not None:
        pair.write_text(text, encoding="utf-8")

    status = main(["build", str(run), "--ab", str(pair), "-o", str(tmp_path / "out")])

    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert expected in lines[0]
    assert lines[0].startswith(str(pair))
    assert not (tmp_path / "out").exists()


def test_an_ab_file_in_the_place_of_a_run_is_told_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever names an A/B file as a run reads which option takes it."""
    pair = timings.save(tmp_path, timings.alternation(subjects=1))

    status = main(["build", str(pair), "-o", str(tmp_path / "out")])

    assert status == 2
    assert "found an A/B file; name it with build --ab, beside a run record" in capsys.readouterr().err


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_text_stays_in_the_packed_data(tmp_path: Path, text: str) -> None:
    """A page of hostile timings has nothing of them outside its packed data, and A/B files are read with any text."""
    pair = alternation.load(timings.save(tmp_path, timings.hostile_alternation(text)))

    found = unpacked(tmp_path, timings.hostile(text))

    told = text.replace("\ud800", "\ufffd")
    assert found["texts"][0] == told
    assert pair.pair.rows[0].subject == told


def alone() -> records.Json:
    """A run of timings alone: no cell was asked for."""
    return records.small(performance=timings.performance(subjects=2), areas=[], behaviours=[])


def test_a_run_of_timings_alone_is_called_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no run in which nothing could be tested: nothing was asked for, and so many calls were timed."""
    path = records.save(tmp_path, alone())

    assert main(["summary", str(path)]) == 0

    assert capsys.readouterr().out == (
        "## Not tested: torch 2.13.0+cpu on cpu\n\nNo cell was asked for. 6 calls were timed.\n"
    )


def test_the_evidence_of_a_cell_is_the_record_s(tmp_path: Path) -> None:
    """The details hold every key of the evidence and no other, those of the suites of others too."""
    run = timings.timed()
    run["cells"][2]["evidence"]["colour"] = {"of": ["red"]}
    [packed] = embedding.details([load(records.save(tmp_path, run))])
    found = json.loads(zlib.decompress(base64.b64decode(packed)))
    at = 1 + found["fields"].index("evidence")

    for row, cell in zip(found["rows"], run["cells"], strict=True):
        flat = [found["pool"][number] for number in found["pool"][row[0][at]]]
        assert dict(zip(flat[::2], flat[1::2], strict=True)) == cell["evidence"]
