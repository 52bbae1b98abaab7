"""Findings: the page, and the tool that runs its scripts."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from conformance.engine.specs import area_names, load_area
from conformance.findings import PAGE, Finding, FindingsError, fault, findings, main, release_of, seen

TABLE = "| | | 2.4.1 | 2.13.0 | upstream |\n| ---: | --- | --- | --- | --- |\n"
BEHAVIOUR = re.compile(r"\b([a-z_]+\.[a-z0-9-]+[a-z0-9])\b(?=\[|[,.;:]| |$)")


def test_every_finding_has_a_script_a_row_and_the_next_number() -> None:
    """The page is in order: what its table counts stands below it."""
    found = findings(PAGE.read_text(encoding="utf-8"))

    assert list(range(1, len(found) + 1)) == [one.number for one in found]


def test_findings_name_behaviours_that_there_are() -> None:
    """Who reads a finding can run its cells."""
    known = {f"{area}.{one.id}" for area in area_names() for one in load_area(area).area.behaviours}
    lines = re.findall(r"^Cells: (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for line in lines for name in BEHAVIOUR.findall(line) if name.partition(".")[0] in area_names()}

    assert len(named) > 100
    assert set() == named - known


def finding(script: str, **told: str) -> Finding:
    """One finding that is not on the page."""
    return Finding(1, "", script, told)


ENDS = [
    ("assert True", ""),
    ("raise SystemExit(0)", ""),
    ("assert 1 == 2", "x"),
    ("raise SystemExit('no')", "x"),
    ("import os; os.abort()", "x"),
    ("import torch; torch.no_such_function()", "-"),
    ("import torch; torch.ones(1).no_such_method()", "-"),
    ("from torch import no_such_name", "-"),
    ("None.device", "x"),
    ("import torch; torch.nn.Dropout(no_such_argument=1)", "-"),
    ("class Box: pass\nassert __name__ == '__main__'\nimport pickle; pickle.loads(pickle.dumps(Box()))", ""),
]


def test_a_script_is_told_by_how_it_ends() -> None:
    """Errors and signals are seen, want of a name is not, and nothing a script prints is taken for an answer."""
    scripts = [Finding(number, "", f"print('[1, 0, 0]')\n{script}", {}) for number, (script, _) in enumerate(ENDS)]
    words = [(number, word) for number, word, _ in seen(sys.executable, scripts)]

    assert list(enumerate(word for _, word in ENDS)) == words


@pytest.mark.parametrize(
    ("told", "word", "expected"),
    [
        ("x", "x", ""),
        ("", "", ""),
        ("-", "x", ""),
        ("x", "", "2.4.1: expected x by the page, found nothing"),
        ("", "x", "2.4.1: expected nothing by the page, found x"),
        ("x", "-", "2.4.1: expected x by the page, found -"),
    ],
)
def test_the_page_is_held_against_what_is_seen(told: str, word: str, expected: str) -> None:
    """A release without a promise may do as it likes; of the others the page says what they do."""
    assert expected == fault(finding("", **{"2.4.1": told}), "2.4.1", word)


def test_a_release_that_the_page_has_not_is_no_fault() -> None:
    """One may ask it of a build of one's own."""
    assert fault(finding(""), "2.99.0", "x") == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table of releases"),
        (f"{TABLE}| 1 | A | x | | y |\n\n### 1. A\n\nNothing.\n", "finding 1: expected one script.*found 0 and 2"),
        (f"{TABLE}| 1 | A | x | y |\n\n### 1. A\n\n```python\npass\n```\n", "row of 2 releases; found 1 and 1"),
        (f"{TABLE}\n### 1. A\n\n```python\npass\n```\n", "row of 2 releases; found 1 and 0"),
    ],
)
def test_a_malformed_page_is_refused(text: str, message: str) -> None:
    """The number of the finding is told, and what it lacks."""
    with pytest.raises(FindingsError, match=message):
        findings(text)


def test_an_interpreter_without_torch_is_refused(tmp_path: Path) -> None:
    """The last line that it wrote says why."""
    (tmp_path / "python").write_text("#!/bin/sh\necho 'No module named torch' >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "python").chmod(0o755)

    with pytest.raises(FindingsError, match=r"expected an interpreter that has torch.*No module named torch"):
        release_of(str(tmp_path / "python"))
    with pytest.raises(FindingsError, match="No such file"):
        release_of(str(tmp_path / "none"))


def test_the_command_tells_numbers_that_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error has status 2 and one line."""
    assert main([sys.executable, "--only", "0"]) == 2
    assert re.fullmatch(
        r"findings: --only: expected numbers of findings, 1 to \d+; found \[0\]\n", capsys.readouterr().err
    )
