"""The A/B mode: two torches timed by turns."""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance import ab
from conformance.__main__ import main
from reports.alternation import load

Capture = pytest.CaptureFixture[str]
ROW = {
    "id": "in-place-operator-add_-float32-small-cpu",
    "subject": "add_",
    "kind": "in-place operator",
    "size": "small",
}


class FakeSide:
    """A side that answers at once, and notes in which order it was asked."""

    def __init__(self, name: str, asked: list[str], seconds: float, **changes: Any) -> None:
        self.name, self.asked, self.seconds = name, asked, seconds
        self.call = {"calls": 8, "rounds": 3, "dtype": "float32", "elements": 64, **changes}

    def ask(self, **what: Any) -> dict[str, Any]:
        """What a worker would say."""
        if "id" in what:
            return self.call if "error" not in self.call else {"error": self.call["error"]}
        self.asked.append(self.name)
        return {"seconds": self.seconds}


def test_calls_are_timed_by_turns() -> None:
    """In the order A B B A, so that what becomes faster or slower with time does so for both."""
    asked: list[str] = []
    row = ab.row_of(FakeSide("a", asked, 1e-6), FakeSide("b", asked, 3e-6), ROW, 4)  # type: ignore[arg-type]

    assert list("abbaabba") == asked
    assert (1e-6, 3e-6, 4) == (row["a"], row["b"], row["pairs"])
    assert 3.0 == pytest.approx(row["ratio"])
    assert [3.0, 3.0] == pytest.approx(row["interval"])


def test_what_one_side_lacks_is_skipped_with_its_reason() -> None:
    """A call that one release refuses has no ratio; nor has one that is another call there."""
    asked: list[str] = []
    a, b = FakeSide("a", asked, 1e-6), FakeSide("b", asked, 1e-6, error="Untimed: not of this release")
    other = FakeSide("b", asked, 1e-6, elements=32)

    assert {"subject": "add_", "reason": "B: Untimed: not of this release"} == ab.row_of(a, b, ROW, 4)  # type: ignore[arg-type]
    assert "another call" in ab.row_of(a, other, ROW, 4)["reason"]  # type: ignore[arg-type]
    assert [] == asked


@pytest.mark.parametrize("count", [6, 12, 25])
def test_the_interval_has_the_median_as_often_as_it_says(count: int) -> None:
    """In nineteen of twenty samples, whatever the distribution: here one with a long tail."""
    rng = random.Random(count)
    median = 1.0
    hits = 0
    for _ in range(2000):
        ratios = sorted(median * rng.lognormvariate(0, 0.5) ** 2 for _ in range(count))
        low, high = ab.interval(ratios)
        hits += low <= median <= high

    assert 0.95 <= hits / 2000
    assert ab.interval([1.0, 2.0]) == (1.0, 2.0)


def test_two_interpreters_are_compared(tmp_path: Path, capsys: Capture) -> None:
    """The file has both environments, the machine and a row for each call; the table says what came of it."""
    file = tmp_path / "ab.json"
    words = [sys.executable, sys.executable, "-k", "view-slice-float32-small", "--pairs", "6", "-o", str(file)]
    status = main(["ab", *words])
    found = json.loads(file.read_text())

    assert status == 0
    assert ("ab/1", ["slice"], []) == (found["schema"], [row["subject"] for row in found["rows"]], found["skipped"])
    assert {"torch", "git", "python", "numpy"} == set(found["a"]) == set(found["b"])
    [row] = found["rows"]
    assert row["interval"][0] <= row["ratio"] <= row["interval"][1]
    assert {"subject", "kind", "dtype", "size", "elements", "a", "b", "ratio", "interval", "pairs"} == set(row)
    assert found["complete"] is True
    assert str(tmp_path) not in file.read_text()
    assert "1 calls, geometric mean" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no/such/python", sys.executable], "No such file"),
        ([sys.executable, sys.executable, "-k", "nothing of the kind"], "which fits none"),
        ([sys.executable, sys.executable, "--pairs", "1"], "from 2 to 1000"),
        ([sys.executable, sys.executable, "--device", "nowhere"], "nowhere"),
        ([sys.executable, sys.executable, "--turns"], "--turns"),
        ([sys.executable, sys.executable, "-k", "scheduler", "--size", "large"], "fits none of size large"),
        ([sys.executable], "two sides"),
        (["2.4.1", "2.8.0", "--python", sys.executable], "two sides"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path: Path, capsys: Capture, words: list[str], said: str) -> None:
    """Exit status 2, no file, and a line that says what is wrong."""
    status = main(["ab", *words, "-o", str(tmp_path / "ab.json")])
    [line] = capsys.readouterr().err.splitlines()

    assert status == 2
    assert said in line
    assert [] == list(tmp_path.iterdir())


SLICES = ["-k", "view-slice-", "--size", "small", "--pairs", "2"]


def test_interpreters_are_named_as_those_of_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--python`` names a side, and sides may stand behind options."""
    named: list[str] = []

    def python_of(side: str, device: str) -> str:
        named.append(side)
        return side

    def torch_of(python: str) -> str:
        raise ab.MatrixError("far enough")

    monkeypatch.setattr(ab, "python_of", python_of)
    monkeypatch.setattr(ab, "torch_of", torch_of)
    for words in (
        ["one", "other"], ["--python", "one", "--python", "other"], ["one", "-k", "add_", "--python", "other"],
        ["-k", "add_", "one", "other"], ["one", "--size", "small", "other"],
    ):  # fmt: skip
        assert main(["ab", *words]) == 2
        assert ["one", "other"] == named
        named.clear()


@pytest.mark.parametrize("text", [None, "somebody's notes", "[]", '{"schema": 1}'])
def test_a_file_that_cannot_be_written_is_told_before_all_is_timed(
    tmp_path: Path, capsys: Capture, text: str | None
) -> None:
    """Neither a folder nor a file of another program is replaced: a line, and exit status 2."""
    file = tmp_path / "there"
    if text is None:
        file.mkdir()
    else:
        file.write_text(text)

    assert main(["ab", "no/such/python", "no/such/python", "-o", str(file)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ab: -o: expected")
    assert text is None or text == file.read_text()


def broken(folder: Path, what: str) -> str:
    """An interpreter in whose worker a second thing happens at the third call that is made ready."""
    (folder / "sitecustomize.py").write_text(f"""
import sys
if "conformance.performance.worker" in sys.orig_argv:
    import os, signal
    from conformance.performance.subjects import Subject
    made, snippet = [], Subject.snippet
    def counted(self):
        made.append(self)
        if len(made) == 3:
            {what}
        return snippet(self)
    Subject.snippet = counted
""")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{folder}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_a_call_that_kills_its_process_costs_no_other_its_ratio(tmp_path: Path, capsys: Capture) -> None:
    """The process is started anew for the other calls, and the call is told with what became of it."""
    python = broken(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    file = tmp_path / "ab.json"

    assert main(["ab", sys.executable, python, *SLICES, "-o", str(file)]) == 0
    found = json.loads(file.read_text())

    assert "B: it ended by signal 9" in {each["reason"] for each in found["skipped"]}
    assert 2 < len(found["rows"])
    assert "not compared: " in capsys.readouterr().out


def test_what_was_timed_before_ctrl_c_is_kept(tmp_path: Path, capsys: Capture) -> None:
    """The file has the calls until then and says that it is not complete; the exit status is 130, in a line."""
    python = broken(tmp_path, "os.kill(os.getppid(), signal.SIGINT)")
    file = tmp_path / "ab.json"

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is begun in the background hears none
    try:
        assert main(["ab", sys.executable, python, *SLICES, "-o", str(file)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    found = json.loads(file.read_text())

    assert (False, 2) == (found["complete"], len(found["rows"]))
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ab: broken off after 2 of ")
    assert not load(file).pair.complete


def test_a_release_has_its_environment_of_tox(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made as ``matrix`` makes it, for the exact release, and its interpreter is what is timed."""
    called = []

    def call(command: list[str], **how: Any) -> int:
        called.append((command, how))
        return 0

    listed = SimpleNamespace(stdout="torch24-cpu\ntorch213-cpu\n")
    monkeypatch.setattr(ab.subprocess, "call", call)
    monkeypatch.setattr(ab.subprocess, "run", lambda *args, **how: listed)
    python = ab.python_of("2.4.1", "cpu")

    assert python.endswith("torch24-cpu/bin/python")
    command, how = called[-1]
    assert command[-3:] == ["-e", "torch24-cpu", "--notest"]
    assert how["env"]["TORCH"] == "torch==2.4.1"
    with pytest.raises(ab.MatrixError, match=r"2\.99"):
        ab.python_of("2.99", "cpu")
