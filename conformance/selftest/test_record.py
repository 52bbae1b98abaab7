"""The run record: readable after every cell, whole at the end, and true to its schema."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.engine.environment import environment, suite
from conformance.engine.items import sendable, settle
from conformance.engine.record import RunRecord, write_atomically
from conformance.engine.words import Verdict
from conformance.selftest import examples
from conformance.selftest.examples import CPU, QUOTES, Number, cell, run
from conformance.selftest.projects import launch, project
from conformance.selftest.test_settings import settings

SCHEMA = json.loads((Path(__file__).parents[2] / "reports" / "run.schema.json").read_text(encoding="utf-8"))


def entry(folder: Path, number: int = 0, check: Any = examples.holds, **changes: Any) -> dict[str, Any]:
    """The entry of one cell in the record."""
    of = cell(id=f"cell-{number}", **changes)
    outcome = run(check, [Number(9, note=QUOTES)], of=of)
    return settle(of, check, outcome, settings(folder), f"vendor/test_demo.py::test_cell_{number}[cpu]")


def started(path: Path) -> RunRecord:
    """A record at ``path`` whose run has begun."""
    return RunRecord(
        path,
        {
            "suite": suite(),
            "environment": environment((CPU,)),
            "settings": settings(path.parent).record_settings(60.0),
        },
    )


def read(path: Path) -> dict[str, Any]:
    """The record in a file, held to the schema."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    jsonschema.validate(found, SCHEMA)
    return found


def test_the_file_is_valid_after_every_cell(tmp_path: Path) -> None:
    """At any moment a reader finds a record with the cells so far, marked as incomplete."""
    path = tmp_path / "run.json"
    record = started(path)
    record.plan(4, [], [])
    found = [len(read(path)["cells"])]
    for number in (3, 1, 2):
        record.add(entry(tmp_path, number))
        found.append(len(read(path)["cells"]))

    assert [0, 1, 2, 3] == found
    assert (False, 4, None) == tuple(read(path)[key] for key in ("complete", "planned", "finished"))
    record.finish()
    assert ["demo.cell-1[cpu]", "demo.cell-2[cpu]", "demo.cell-3[cpu]"] == [each["id"] for each in read(path)["cells"]]
    assert not read(path)["complete"]


def test_a_full_disk_leaves_the_cells_that_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half a cell is taken and no more, the file holds the cells before it; with room again, it gets all."""
    path = tmp_path / "run.json"
    record = started(path)
    record.plan(3, [], [])
    record.add(entry(tmp_path, 0))
    room, write = path.stat().st_size + 100, os.pwrite

    def pwrite(descriptor: int, data: bytes, place: int) -> int:
        if place >= room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: room - place], place)

    monkeypatch.setattr(os, "pwrite", pwrite)
    for number in (1, 2):
        record.add(entry(tmp_path, number))

    assert (["demo.cell-0[cpu]"], "No space left on device") == (
        [each["id"] for each in read(path)["cells"]],
        record.lost,
    )
    record.finish()
    assert (True, 3, None) == (read(path)["complete"], len(read(path)["cells"]), record.lost)


def test_a_record_is_complete_with_its_last_cell(tmp_path: Path) -> None:
    """Every planned cell and no error make a complete record; a cell counts once."""
    record = started(tmp_path / "run.json")
    record.plan(2, [], [])
    for number in (0, 1, 1):
        record.add(entry(tmp_path, number))
    record.finish()
    whole = read(tmp_path / "run.json")

    assert (True, 2) == (whole["complete"], len(whole["cells"]))
    assert whole["seconds"] >= 0


def test_the_tables_of_the_suite_are_in_the_record(tmp_path: Path) -> None:
    """Claims, documented names and the number of cells there are stand in a record from before a cell to its end."""
    record = started(tmp_path / "run.json")
    tables = {
        "claims": [{"id": "a.b", "section": "S", "claim": "C.", "undecidable": "So."}],
        "surface": [{"names": ["torch.add"], "behaviours": []}],
    }
    record.plan(1, [], [])
    record.survey(3, tables)
    begun = read(tmp_path / "run.json")
    record.add(entry(tmp_path))
    record.finish()
    whole = read(tmp_path / "run.json")

    expected = {**tables, "planned": 1, "available": 3}
    assert [expected] * 2 == [{name: found[name] for name in expected} for found in (begun, whole)]
    assert 1 == len(whole["cells"])


def test_a_survey_without_room_is_written_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for the tables, cells are still written, and the end writes the tables too."""
    record = started(tmp_path / "run.json")
    record.plan(1, [], [])
    with monkeypatch.context() as full:
        full.setattr("conformance.engine.record.write_atomically", no_room)
        record.survey(3, {"claims": []})
    record.add(entry(tmp_path))
    meanwhile = read(tmp_path / "run.json")
    record.finish()
    whole = read(tmp_path / "run.json")

    assert (1, None) == (len(meanwhile["cells"]), meanwhile["available"])
    assert (1, 3, []) == (len(whole["cells"]), whole["available"], whole["claims"])


def no_room(path: Path, text: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_errors_make_a_record_incomplete(tmp_path: Path) -> None:
    """A run with an error of its own is not shown as whole."""
    record = started(tmp_path / "run.json")
    record.plan(1, [], [])
    record.add(entry(tmp_path))
    record.errors.append("specs/demo.yaml:1: a fault")
    record.finish()

    assert (False, ["specs/demo.yaml:1: a fault"]) == (
        read(tmp_path / "run.json")["complete"],
        read(tmp_path / "run.json")["errors"],
    )


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (examples.holds, Verdict.PASS),
        (examples.stays_small, Verdict.FAIL),
        (examples.says_hostile_things, Verdict.FAIL),
        (examples.refuses, Verdict.UNSUPPORTED),
        (examples.discards, Verdict.INCONCLUSIVE),
        (examples.breaks, Verdict.ERROR),
    ],
)
def test_every_verdict_fits_the_schema(tmp_path: Path, check: Any, verdict: Verdict) -> None:
    """Whatever came of a cell, its entry is what the published schema says, in whatever characters."""
    found = entry(tmp_path, check=check)
    record = started(tmp_path / "run.json")
    record.plan(1, [], [])
    record.add(found)

    assert verdict.value == found["verdict"] == read(tmp_path / "run.json")["cells"][0]["verdict"]
    assert (verdict in (Verdict.FAIL, Verdict.ERROR)) is (found["message"] is not None)
    assert (verdict is Verdict.FAIL) is (found["reproducer"] is not None)


def test_listed_deviations_change_the_verdict(tmp_path: Path) -> None:
    """A listed cell that fails is known and one that passes is fixed, each with the reason and the issue."""
    link = "https://github.com/pytorch/pytorch/issues/1"
    (tmp_path / "e.yaml").write_text(
        f"deviations:\n- {{cells: 'demo.*[cpu]', reason: 'small on purpose', issue: {link}, date: 2026-01-01}}\n"
    )
    listed = settings(tmp_path, expectations=[str(tmp_path / "e.yaml")])
    found = {}
    for check in (examples.stays_small, examples.holds, examples.refuses, examples.breaks):
        outcome = run(check, [Number(9)])
        found[check.__name__] = settle(cell(), check, outcome, listed, "node")

    assert ["known", "fixed", "unsupported", "error"] == [each["verdict"] for each in found.values()]
    assert ("small on purpose", link) == (found["stays_small"]["reason"], found["stays_small"]["issue"])
    assert "passes, but is listed: small on purpose" == found["holds"]["reason"]


def test_a_verdict_survives_a_case_that_cannot_be_written_out(tmp_path: Path) -> None:
    """Where no reproducer can be made the cell fails all the same, and its message says why there is none."""

    class Secret:
        """A case whose repr is no Python."""

    outcome = run(lambda case: examples.stays_small(Number(9)), [Secret()])
    found = settle(cell(), examples.stays_small, outcome, settings(tmp_path), "node")

    assert ("fail", None) == (found["verdict"], found["reproducer"])
    assert "reproducer: none could be written: SyntaxError" in found["message"]


def test_a_message_reads_in_the_order_of_need(tmp_path: Path) -> None:
    """Statement, level and link, minimal input, expected, found, versions, the command, the script."""
    message = entry(tmp_path, check=examples.stays_small)["message"]
    parts = [
        "FAIL demo.cell-0[cpu]",
        "must: A number stays small.",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.add_.html",
        "minimal input (corner case):",
        "x = torch.tensor(7)",
        "expected: below 7",
        "found:    7",
        "torch ",
        "rerun:      ",
        "pytest -n 1 --device cpu --profile smoke 'vendor/test_demo.py::test_cell_0[cpu]'",
        "reproducer: ",
    ]
    places = [message.find(part) for part in parts]

    assert -1 not in places
    assert sorted(places) == places
    assert 24 > len(message.splitlines())


def test_the_command_for_one_cell_judges_as_the_run_did(tmp_path: Path) -> None:
    """It names the expectations files of the user, which decide what is a failure, as pytest takes them there."""
    (tmp_path / "our own.yaml").write_text("deviations: []\n")
    listed = settings(tmp_path, expectations=[str(tmp_path / "our own.yaml")])
    found = settle(cell(), examples.stays_small, run(examples.stays_small, [Number(9)]), listed, "node")

    assert " --expectations 'our own.yaml' " in found["rerun"]
    assert " --expectations 'our own.yaml' " in found["message"]


def test_what_no_channel_carries_is_made_plain() -> None:
    """Numbers of NumPy, infinities, lone surrogates and sets become what JSON and a worker's channel can carry."""
    import numpy as np

    value = {"a": np.float64(0.5), "b": float("inf"), "c": "\ud800", "d": {1}, 3: np.int64(4), "e": [None, True, 2]}

    assert {"a": 0.5, "b": None, "c": "\\ud800", "d": [1], "3": 4, "e": [None, True, 2]} == sendable(value)


def test_a_write_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last step fails, the old file is whole and nothing else is left."""
    path = tmp_path / "run.json"
    path.write_text("old")

    def full(source: object, target: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "new")

    assert [("run.json", "old")] == [(each.name, each.read_text()) for each in tmp_path.iterdir()]


LONG = """
import time
from conformance.engine import recorder
class Long(recorder.Surroundings):
    def __init__(self, *given):
        super().__init__(*given)
        time.sleep(1.5)
recorder.Surroundings = Long
"""


def test_a_survey_takes_no_time_from_a_cell(tmp_path: Path) -> None:
    """Where one process does it all, what a cell may take is not spent on the look at the suite."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must"})
    (folder / "conftest.py").write_text((folder / "conftest.py").read_text() + LONG)
    run = launch(folder, "-n", "0", "--timeout", "1")

    assert {"passes": "pass", "fails": "fail"} == run.verdicts(), run.output
    assert [] == run.record["errors"]


def test_a_file_that_cannot_be_opened_anew_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no descriptor is left for the file with the tables, nothing is written into another's, all at the end."""
    record = started(tmp_path / "run.json")
    record.plan(1, [], [])
    opened = os.open

    def none_left(file: Any, flags: int, *rest: Any, **more: Any) -> int:
        if file == record.path:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(file, flags, *rest, **more)

    with monkeypatch.context() as full:
        full.setattr(os, "open", none_left)
        record.survey(3, {"claims": []})
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)  # has the number of what was closed, if anything was
    record.add(entry(tmp_path))
    written = os.fstat(other).st_size
    record.finish()

    assert 0 == written
    assert other == os.dup2(other, other), "the record closed what is not its own"
    os.close(other)
    whole = read(record.path)
    assert (True, 1, 3) == (whole["complete"], len(whole["cells"]), whole["available"])
