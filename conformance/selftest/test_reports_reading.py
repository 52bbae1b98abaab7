"""A run record is read whole, or refused in lines that say where, what was expected and what was found."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.selftest import records
from reports import reading, schema
from reports.faults import UnreadableError
from reports.opening import content
from reports.reading import load


def faults(path: Path) -> list[str]:
    """The faults of a file, each a line."""
    with pytest.raises(UnreadableError) as caught:
        load(path)
    return [str(fault) for fault in caught.value.faults]


def read(path: Path) -> list[str]:
    """The faults of a file, if it has any."""
    with contextlib.suppress(UnreadableError):
        load(path)
        return []
    return faults(path)


def changed(**changes: Any) -> records.Json:
    """A small record with other top keys."""
    return {**records.small("pass", "fail"), **changes}


def with_cell(**changes: Any) -> records.Json:
    """A small record whose first cell has other values."""
    found = records.small("pass")
    found["cells"][0] |= changes
    return found


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What the suite writes comes back key by key."""
    expected = records.record()

    found = load(records.save(tmp_path, expected)).run.model_dump(mode="json", by_alias=True, exclude_unset=True)

    assert found == expected


def test_a_run_still_going_on_is_read(tmp_path: Path) -> None:
    """An incomplete record with fewer cells than planned is no fault."""
    record = changed(complete=False, planned=10, finished=None, seconds=None)

    assert load(records.save(tmp_path, record)).run.complete is False


def test_evidence_may_have_further_keys(tmp_path: Path) -> None:
    """Evidence is open: what a check adds to it is kept."""
    record = with_cell(evidence={"workers": [0, 2], "nested": {"deep": None}})

    evidence = load(records.save(tmp_path, record)).run.cells[0].evidence

    assert evidence.model_dump()["workers"] == [0, 2]
    assert evidence.model_dump()["nested"] == {"deep": None}


def test_lone_surrogates_become_replacement_characters(tmp_path: Path) -> None:
    """JSON can hold half a character, and no file that is written here can."""
    record = with_cell(message="half \ud800 a character")

    assert load(records.save(tmp_path, record)).run.cells[0].message == "half \ufffd a character"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (changed(schema=2), "schema: expected 1 (torch-conformance 0.1.0 knows no other), found 2, as torch-conf"),
        (changed(schema=2), "; read it with that release of the suite or a newer one"),
        (changed(schema=True), "no other), found true; make the run again with this release"),
        (changed(schema="1"), 'no other), found "1"; make the run again with this release'),
        (changed(schema=0), "no other), found 0; make the run again with this release"),
        (changed(complete="yes"), 'complete: expected a valid boolean, found "yes"'),
        (changed(seconds="12"), 'seconds: expected a valid number, found "12"'),
        (changed(planned=2.5), "planned: expected a valid integer, found 2.5"),
        (changed(colour="red"), 'colour: expected no such key, found "red"'),
        (changed(cells={}), "cells: expected a valid list, found an object with 0 keys"),
        (changed(planned=1), "cells: expected at most the 1 planned, found 2"),
        (changed(planned=3), "cells: expected the 3 planned, as the record is complete, found 2"),
        (changed(behaviours=[]), 'cells[0] (inplace.returns-self[add_-cpu]): expected a behaviour of the record'),
        (changed(areas=[]), 'behaviours (inplace.returns-self).area: expected an area of the record, found "inplace"'),
        (with_cell(verdict="passed"), "cells[0] (inplace.returns-self[add_-cpu]).verdict: expected one of 'pass'"),
        (with_cell(level="may"), 'cells[0] (inplace.returns-self[add_-cpu]).level: expected "must", as of inplace.ret'),
        (with_cell(cases={"corner": -1, "sampled": 0}), "cases.corner: expected greater than or equal to 0, found -1"),
        (with_cell(cases={"corner": 1}), "cases.sampled: expected this key, found none"),
        (with_cell(evidence={"dtypes": "float32"}), 'evidence.dtypes: expected a valid list, found "float32"'),
        (with_cell(evidence={"largest_error_ulp": float("inf")}), "expected JSON, which has neither NaN nor Infinity"),
        (changed(cells=[*records.small("pass")["cells"]] * 2), "cells[1]: expected each id once, found"),
        (changed(settings=records.settings(shard="5/4")), 'settings.shard: expected I/N with I up to N, found "5/4"'),
        (changed(settings=records.settings(shard="1/" + "9" * 5000)), "settings.shard: expected match pattern"),
        (changed(planned=10**400), f"cells: expected the 1{'0' * 79}… planned, as the record is complete, found 2"),
        (changed(schema=10**400), f"knows no other), found 1{'0' * 79}…, as torch-conformance"),
    ],
)  # fmt: skip
def test_a_fault_says_place_expected_and_found(tmp_path: Path, record: records.Json, expected: str) -> None:
    """Each fault is one line with the file, the place, what was expected and what was found."""
    path = records.save(tmp_path, record)

    found = faults(path)

    assert any(expected in fault for fault in found), found
    assert all(fault.startswith(f"{path}: ") and "\n" not in fault for fault in found)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "found an empty file"),
        (b"  \n", "found an empty file"),
        (b"<!DOCTYPE html><title>404</title>", "found an HTML page; name the run record that the page"),
        (
            b'<?xml version="1.0"?>\n<testsuites name="pytest">',
            "found a JUnit XML file; name the file that --run-record",
        ),
        (b"<coverage/>", "expected a run record (JSON), found XML; name the file that --run-record wrote"),
        (b"\x1f\x8b\x08\x00", "as UTF-8 text), found gzip-compressed data; unpack it first"),
        (b"PK\x03\x04rest", "as UTF-8 text), found a ZIP archive; unpack it first"),
        ("{}".encode("utf-16"), "as UTF-8 text), found UTF-16 text; save it as UTF-8"),
        (b"\x7fELF\xff", "byte 4: expected a run record as UTF-8 text, found byte 0xff; this is no file that --run"),
        (b"verdict,cell", 'line 1 column 1: expected JSON, found "verdict,cell" (Expecting value); name the file that'),
        (b"[1, 2]", "expected a run record (an object), found a list of 2"),
        (b"null", "expected a run record (an object), found null"),
        (b'{"name": "package"}', 'cells …), found JSON with "name"; this is of another program'),
        (
            b'{"schema": 1, "environment": {"os": "x"}, "tests": []}',
            'JSON with "schema, environment, tests"; this is of',
        ),
        (
            b'{"schema": 1, "suite": {"name": "other"}, "environment": {}, "settings": {}, "cells": []}',
            'suite.name: expected "torch-conformance", as the record does not fit its schema, found "other"; name the',
        ),
        (b"[" * 100_000, "expected a run record, found JSON that cannot be read (RecursionError)"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "expected a run record, found JSON that cannot be read (ValueError)"),
    ],
    ids=[
        "empty",
        "blank",
        "html",
        "junit",
        "xml",
        "gzip",
        "zip",
        "utf16",
        "binary",
        "csv",
        "list",
        "null",
        "foreign",
        "report",
        "other",
        "deep",
        "digits",
    ],
)
def test_a_foreign_file_is_one_fault(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that never was a run record is refused in one line."""
    path = tmp_path / "run.json"
    path.write_bytes(content)

    found = faults(path)

    assert len(found) == 1
    assert expected in found[0]


def pipe(path: Path) -> Path:
    """A named pipe that something will write a record into."""
    os.mkfifo(path)
    text = json.dumps(records.small("pass")).encode()
    threading.Thread(target=path.write_bytes, args=(text,), daemon=True).start()
    return path


PLACES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "folder": (lambda at: at / "runs", "found a folder; name a record in it: {0}/runs/a.json or {0}/runs/b.json"),
    "bare folder": (lambda at: at / "bare", "found a folder; name a record; there is no .json file in this folder"),
    "missing": (lambda at: at / "runs" / "aa.json", "found nothing of this name; did you mean {0}/runs/a.json"),
    "strange": (lambda at: at / "zzzz", "found nothing of this name; see what is in {0}"),
    "far": (lambda at: at / "no" / "run.json", "found nothing of this name; there is no folder {0}/no either"),
    "circle": (lambda at: at / "circle", "found a link that leads in a circle; name the file itself"),
    "dangling": (lambda at: at / "dangling", "found a link to nowhere, which is not there; name a file that is there"),
    "below a file": (lambda at: at / "runs" / "a.json" / "x", "found a file in the place of a folder on the way to it"),
    "stdin": (lambda at: Path("-"), "found - (the standard input is not read); save the record to a file and name"),
    "device": (lambda at: Path("/dev/null"), "found a device or a socket; name a file"),
    "null byte": (lambda at: at / "a\0b", "found a file that cannot be read (embedded null byte); name another file"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_path_that_leads_to_no_record_is_one_fault(tmp_path: Path, name: str) -> None:
    """What is there, what was expected, and the way out, in one line with the name that was given."""
    (tmp_path / "bare").mkdir()
    for file in ("b", "a"):
        records.save(tmp_path / "runs", records.small("pass"), f"{file}.json")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    of, expected = PLACES[name]
    path = of(tmp_path)

    [found] = faults(path)

    assert found.startswith(f"{path}: expected a run record (a file that --run-record wrote), ".replace("\0", "\\x00"))
    assert expected.format(tmp_path) in found


def test_a_file_without_permission_is_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be read says so, and who can help."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = records.save(tmp_path, records.small("pass"))
    monkeypatch.setattr(Path, "read_bytes", refuse)  # whoever runs this as root may read everything

    [found] = faults(path)

    assert "found a file that you may not read; have somebody allow it (chmod a+r), or read it as its owner" in found


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """A record that comes through a pipe is a record, and a faulty one has its own fault and not that of a void."""
    assert load(pipe(tmp_path / "pipe")).run.planned == 1


def test_every_truncation_is_told_as_one(tmp_path: Path) -> None:
    """A record that was cut off anywhere is refused in one line that says so."""
    text = records.save(tmp_path, records.small("pass", "fail")).read_text(encoding="utf-8")
    path = tmp_path / "cut.json"

    for length in range(1, len(text) - 1, 7):
        path.write_text(text[:length], encoding="utf-8")

        found = faults(path)

        assert len(found) == 1, text[:length]
        assert "line 1 column" in found[0]


def test_many_faults_are_cut_short(tmp_path: Path) -> None:
    """A file with a fault in each of thousand cells does not fill a screen."""
    record = records.record(areas=10, behaviours=10, subjects=5)
    for cell in record["cells"]:
        cell["verdict"] = "perhaps"

    found = faults(records.save(tmp_path, record))

    assert len(found) == 21
    assert found[-1].endswith("expected no further fault, found 480 more")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_wrong_value_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands in the place of a value, there is no traceback, and the published schema agrees."""
    record = records.small("fail", "unsupported")
    holder: Any = record
    key: Any = data.draw(st.sampled_from(sorted(record)))
    while isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key] = data.draw(JSON)
    path = records.save(tmp_path_factory.mktemp("run"), record)
    shaped = jsonschema.Draft202012Validator(json.loads(schema.text())).is_valid(record)

    found = read(path)

    if shaped:  # then it can still contradict itself, which no schema says
        assert all(" once" in fault or "planned" in fault or " of " in fault for fault in found)
    else:
        assert found


def test_the_published_schema_is_in_step() -> None:
    """``reports/run.schema.json`` is what ``python -m reports schema`` writes."""
    assert schema.PUBLISHED.read_text(encoding="utf-8") == schema.text()


def test_the_published_schema_is_a_schema() -> None:
    """The schema itself is valid, and takes records of every verdict."""
    published = json.loads(schema.text())

    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.Draft202012Validator(published).validate(records.record(areas=3, behaviours=10, subjects=10))


@pytest.mark.parametrize(
    "found", [records.record(), records.small("fail", "timeout", "error"), records.hostile(records.HOSTILE[0])]
)
def test_a_sound_record_takes_the_short_way_to_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: records.Json
) -> None:
    """A record without a fault is parsed once, straight into what it means; that is what the long way makes of it."""
    path = records.save(tmp_path, found)
    expected = reading._examined(path, content(path))
    monkeypatch.setattr(reading, "_examined", lambda path, found: pytest.fail("the long way"))

    run = load(path).run

    assert expected == run
    assert expected.model_dump(exclude_unset=True) == run.model_dump(exclude_unset=True)


@pytest.mark.parametrize("word", ["NaN", "-Infinity", "Infinity"])
def test_no_short_way_round_the_rules(tmp_path: Path, word: str) -> None:
    """What only the parser of the short way takes for a number is refused, in evidence of any name too."""
    found = records.small("pass")
    found["cells"][0]["evidence"]["more"] = [1, "here"]
    path = records.save(tmp_path, found)
    path.write_text(path.read_text().replace('"here"', word))

    with pytest.raises(UnreadableError, match="JSON, which has neither NaN nor Infinity"):
        load(path)


OTHERS = (None, True, 1, -1, 1.0, 0.5, 1e300, "", "1", [], {}, [1], ["a"], {"a": 1}, 10**30, "\ud800")


def places(value: Any, *keys: int | str) -> Iterator[tuple[int | str, ...]]:
    """The keys to every value of a document; of a list, to its first."""
    yield keys
    first = enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in value.items() if isinstance(value, dict) else first:
        yield from places(inner, *keys, key)


def test_the_short_way_takes_nothing_that_the_long_way_refuses(tmp_path: Path) -> None:
    """Any value of a record may be of any other type: the short way leaves it to the long one, or finds the same."""
    base = records.small("fail", "unsupported")
    path = tmp_path / "run.json"
    for keys in list(places(base))[1:]:
        for other in OTHERS:
            found = inside = json.loads(json.dumps(base))
            for key in keys[:-1]:
                inside = inside[key]
            inside[keys[-1]] = other
            path.write_text(json.dumps(found))
            short = reading._sound(content(path))

            assert short is None or short == reading._examined(path, content(path)), (keys, other)
