"""YAML files: every fault is one line that names file, line, key, expected and found."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from conformance.engine.catalogue import Operators
from conformance.engine.expectations import Deviations
from conformance.engine.schema import schemas
from conformance.engine.specs import Area, load_area
from conformance.engine.subjects import Rows
from conformance.engine.yamlfile import PATTERNS, SpecError, load

GOOD = """\
area: demo
title: A demonstration
page: https://docs.pytorch.org/docs/stable/tensors.html
behaviours:
  - id: stays-small
    statement: A number stays small.
    level: must
    docs: {object: torch.Tensor.add_}
"""
SECOND = GOOD.partition("behaviours:\n")[2]


def faults(folder: Path, content: str | bytes, model: type = Area) -> list[str]:
    """What ``load`` says of a file with this content, less the folder."""
    path = folder / "demo.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SpecError) as caught:
        load(path, model)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_sound_file_is_loaded(tmp_path: Path) -> None:
    """A file without faults gives its model, with a byte order mark and Windows' line ends too."""
    for content in (GOOD.encode(), b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()):
        (tmp_path / "demo.yaml").write_bytes(content)

        assert "stays-small" == load_area("demo", tmp_path).area.behaviours[0].id


@pytest.mark.parametrize(
    ("content", "line", "key", "expected", "found"),
    [
        (GOOD + "    nope: 1\n", 9, "behaviours.0.nope", "no such key", "1"),
        (GOOD.replace("    level: must\n", ""), 5, "behaviours.0.level", "a key 'level'", "nothing"),
        (GOOD.replace("title: A demonstration", "title: 5"), 2, "title", "text", "5"),
        (GOOD.replace("level: must", "level: most"), 7, "behaviours.0.level", "'must', 'should' or 'may'", "'most'"),
        (GOOD.replace("level: must", "since: 1.13\n    level: must"), 7, "behaviours.0.since", "in quotes", "1.13"),
        (GOOD.replace("level: must", "since: soon\n    level: must"), 7, "behaviours.0.since", "'2.13'", "'soon'"),
        (
            GOOD.replace("level: must", "devices: {a: 1}\n    level: must"),
            7,
            "behaviours.0.devices",
            "a list",
            "{'a': 1}",
        ),
        (
            GOOD.replace("level: must", "devices: CPU\n    level: must"),
            7,
            "behaviours.0.devices",
            "lower-case",
            "'CPU'",
        ),
        (GOOD.replace("level: must", "devices: []\n    level: must"), 7, "behaviours.0.devices", "at least one", "[]"),
        (
            GOOD.replace("level: must", "requires: a b\n    level: must"),
            7,
            "behaviours.0.requires",
            "a dotted name",
            "'a b'",
        ),
        (GOOD.replace("{object: torch.Tensor.add_}", "[]"), 8, "behaviours.0.docs", "a mapping", "[]"),
        (GOOD.replace("{object: torch.Tensor.add_}", "{}"), 8, "behaviours.0.docs", "a key 'object' or", "{}"),
        (GOOD.replace("small.", "small"), 6, "behaviours.0.statement", "full stop", "'A number stays small'"),
        (GOOD.replace("stays-small", "Stays_Small"), 5, "behaviours.0.id", "lower-case words", "'Stays_Small'"),
        (GOOD + SECOND, 9, "behaviours.1.id", "each id once", "'stays-small' again"),
        (
            GOOD.replace("must", 'must\n    since: "2.2"\n    until: "2.1"'),
            9,
            "behaviours.0.until",
            "after '2.2'",
            "'2.1'",
        ),
        (GOOD.replace("https:", "http:"), 3, "page", "begins with https:", "'http:"),
        (GOOD.split("behaviours")[0] + "behaviours: []\n", 4, "behaviours", "a list of at least one entry", "[]"),
        (GOOD.split("behaviours")[0] + "behaviours: 3\n", 4, "behaviours", "a list", "3"),
        ("- area\n", 1, "the file", "a mapping", "['area']"),
        ("", 1, "the file", "a mapping", "nothing"),
        ("# nothing but a remark\n", 1, "the file", "a mapping", "nothing"),
    ],
)
def test_a_fault_of_content_names_its_key(
    tmp_path: Path, content: str, line: int, key: str, expected: str, found: str
) -> None:
    """A file that is YAML but no spec gives one line: place, key, what was expected, what was found."""
    (fault,) = faults(tmp_path, content)

    assert fault.startswith(f"demo.yaml:{line}: {key}: expected: ")
    assert expected in fault.partition("; found: ")[0]
    assert fault.partition("; found: ")[2].startswith(found)


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        (GOOD.replace("    level: must\n", "    level: must\n    level: may\n"), 8, "key 'level': expected once"),
        (GOOD.replace("  - id", "\t- id"), 5, "found: a tab where spaces indent"),
        (GOOD.replace("    level", "\tlevel"), 7, "found: a tab where spaces indent"),
        ("a: *\n", 1, "found: a star that begins an alias (text that begins with * stands in quotes)"),
        ("area: [", 2, "node content"),
        ("area: !!python/object/apply:os.system [ls]", 1, "no constructor"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("? [a, list]\n: b", 1, "no text"),
        ("a: 1\nb: \x00", 2, "control characters"),
        ("a: &a [*a]", 1, "an alias inside"),
        ("a: &x 1\nb: &x 2\n", 2, "the anchor '&x' again (each name once)"),
        ("[" * 3000, 1, "levels of nesting"),
        ("- " * 100_000, 1, "levels of nesting"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_yaml_names_its_line(tmp_path: Path, content: str, line: int, found: str) -> None:
    """A file that no safe YAML loader takes gives one line with its place."""
    (fault,) = faults(tmp_path, content)

    assert fault.startswith(f"demo.yaml:{line}: expected valid YAML, found: ")
    assert found in fault.replace("could not determine a constructor", "no constructor")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a: !!int word", "demo.yaml:1: a: expected valid YAML, found: 'word', which is no int ("),
        ("a: 1\nb:\n- {c: &it 1}\n- c: !!timestamp now", "demo.yaml:4: b.1.c: expected valid YAML, found: 'now', "),
    ],
)
def test_a_tag_that_does_not_fit_names_its_key(tmp_path: Path, content: str, place: str) -> None:
    """A value that is not what its own tag says is told with its line and its keys."""
    (fault,) = faults(tmp_path, content)

    assert fault.startswith(place)


def test_what_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    """A file in another encoding gives the line of the first byte that does not fit."""
    expected = ["demo.yaml:2: expected UTF-8 text, found: byte 0xe9"]

    assert expected == faults(tmp_path, b"area: demo\ntitle: caf\xe9\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder, and a file that is not there, are faults like any other."""
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")  # to read it would never end
    for path, reason in (
        (tmp_path, "a folder"), (tmp_path / "gone.yaml", "No such file or directory"),
        (tmp_path / "loop.yaml", "Too many levels of symbolic links"), (tmp_path / "pipe.yaml", "no plain file"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=f"{path.name}: expected a readable YAML file, found: {reason}"):
            load(path, Area)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Nobody writes so much; the message says how much may be."""
    with open(tmp_path / "huge.yaml", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(
        SpecError, match=r"huge.yaml: expected a YAML file of at most 4,000,000 bytes, found: 1,099,511"
    ):
        load(tmp_path / "huge.yaml", Area)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-21", "2026-02-30", "20260101", "2026-01-01 10:00:00", "''", "[2026]"]
)
def test_a_date_is_one(tmp_path: Path, text: str) -> None:
    """What is no date is told as YAML has it, beside one that is."""
    entry = f"deviations:\n- {{cells: a.b, reason: an accepted one, issue: unreported, date: {text}}}\n"
    (tmp_path / "e.yaml").write_text(entry)
    with pytest.raises(
        SpecError, match=r"e.yaml:2: deviations.0.date: expected: a date such as 2026-01-31; found: "
    ) as e:
        load(tmp_path / "e.yaml", Deviations)
    assert "datetime" not in str(e.value)


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    """Ten aliases of ten aliases of … are refused at once, in few words."""
    letters = "abcdefghijklm"
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{inner}'] * 10)}]\n" for inner, name in pairwise(letters)
    )
    started = time.monotonic()
    (fault,) = faults(tmp_path, bomb)

    assert "aliases that stand for more than 1,000,000 values" in fault
    assert 2 > time.monotonic() - started


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    """Several faults give several lines, in the order of the file, and no value fills the screen."""
    found = faults(tmp_path, GOOD.replace("A demonstration", "[" + "word, " * 500 + "]").replace("must", "most"))

    assert ["demo.yaml:2: title", "demo.yaml:7: behaviours.0.level"] == [
        line.partition(": expected")[0] for line in found
    ]
    assert 250 > max(map(len, found))


def test_an_area_has_the_name_of_its_file(tmp_path: Path) -> None:
    """``specs/demo.yaml`` holds the area ``demo``."""
    (tmp_path / "other.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=r"other.yaml:1: area: expected: 'other', the file's own name; found: 'demo'"):
        load_area("other", tmp_path)


def test_rows_of_operators_name_their_own_line(tmp_path: Path) -> None:
    """A fault inside a row is found at the row and not at the catalogue."""
    rows = [
        "{name: add_, kind: nope, dtypes: [float32], zip: 1}",
        "{name: add_, kind: view, dtypes: [float32]}",
        "{kind: view}",
        "{name: b_, alias_of: c_, kind: view, dtypes: [float32]}",
        "{name: d_, kind: view, dtypes: [float32], arguments: 5}",
    ]
    content = "catalogue: operators\ntitle: T\npage: P\ngroups:\n- title: G\n  rows:\n" + "".join(
        f"  - {r}\n" for r in rows
    )
    found = [line.partition("; found")[0] for line in faults(tmp_path, content, Operators)]

    assert found[0].startswith("demo.yaml:7: groups.0.rows.0.kind: expected: 'elementwise'")
    assert found[1].startswith("demo.yaml:7: groups.0.rows.0.zip: expected: no such key")
    assert [
        "demo.yaml:8: groups.0.rows.1.name: expected: one row for each name",
        "demo.yaml:9: groups.0.rows.2: expected: a key 'name' with text",
        "demo.yaml:10: groups.0.rows.3.alias_of: expected: the name of another row",
    ] == found[2:5]
    assert found[5].startswith("demo.yaml:11: groups.0.rows.4.arguments: expected: ")


def test_a_fault_of_a_group_is_told_once(tmp_path: Path) -> None:
    """What a group's defaults get wrong is no fault of its rows, nor of their aliases in other groups."""
    content = (
        "catalogue: operators\ntitle: T\npage: P\ngroups:\n- title: G\n  defaults: {kimd: view, dtypes: [float32]}\n"
        "  rows: [{name: a_}, {name: b_}]\n- title: H\n  rows: [{name: c_, alias_of: a_}]\n"
    )
    (fault,) = faults(tmp_path, content, Operators)

    assert fault.startswith("demo.yaml:6: groups.0.defaults.kimd: expected: no such key")


def test_rows_of_a_catalogue_have_names_of_their_own(tmp_path: Path) -> None:
    """A name that is there twice, or that no node id can carry, is a fault at its line."""
    content = "catalogue: demo\nrows:\n- {name: a}\n- {name: 'b c'}\n- {name: 'b::c'}\n- nope\n"
    twice = "catalogue: demo\nrows:\n- {name: a}\n- {name: a}\n"

    assert ["demo.yaml:4: rows.1.name", "demo.yaml:5: rows.2.name", "demo.yaml:6: rows.3"] == [
        line.partition(": expected")[0] for line in faults(tmp_path, content, Rows)
    ]
    assert ["demo.yaml:4: rows.1.name: expected: one row for each name; found: 'a' again"] == faults(
        tmp_path, twice, Rows
    )


@pytest.mark.parametrize(
    ("entry", "key", "expected"),
    [
        ("{cells: a, issue: unreported, date: 2026-01-01}", ".reason", "a key 'reason'"),
        (
            "{cells: a, reason: '            ', issue: unreported, date: 2026-01-01}",
            ".reason",
            "at least 10 characters that give a reason; found: '  ",
        ),
        (
            "{cells: a, reason: a good reason, issue: somewhere, date: 2026-01-01}",
            ".issue",
            "the link of an issue (https://…) or 'unreported'; found: 'somewhere'",
        ),
        ("{cells: a, reason: a good reason, issue: unreported, date: yesterday}", ".date", "date"),
        (
            "{cells: a, reason: a good reason, issue: unreported, date: 2026-01-01, torch: '2.4'}",
            ".torch",
            "'>=2.4,<2.6'",
        ),
        ("{cells: '', reason: a good reason, issue: unreported, date: 2026-01-01}", ".cells", "at least 1"),
        ("{cells: [a], reason: a good reason, issue: unreported, date: 2026-01-01}", ".cells", "text"),
        ("a", "", "a mapping"),
    ],
)
def test_a_fault_of_an_expectation_names_its_key(tmp_path: Path, entry: str, key: str, expected: str) -> None:
    """An expectations file is held to its format like any other; a reason is mandatory."""
    (fault,) = faults(tmp_path, f"deviations:\n- {entry}\n", Deviations)

    assert fault.startswith(f"demo.yaml:2: deviations.0{key}: expected: ")
    assert expected in fault


def test_every_pattern_is_said_in_words() -> None:
    """No message shows a regular expression: each that a model has stands in the table of words."""

    def patterns(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from [node["pattern"]] if isinstance(node.get("pattern"), str) else []
            node = list(node.values())
        for inner in node if isinstance(node, list) else []:
            yield from patterns(inner)

    found = {pattern for text in schemas().values() for pattern in patterns(json.loads(text))}

    assert set() == found - set(PATTERNS)
