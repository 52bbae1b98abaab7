"""The matrix: several releases in turn, one report, and an environment of tox for each minor release."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import matrix
from conformance.__main__ import main
from conformance.selftest.projects import ROOT, environment

MINORS = ["1.13", *(f"2.{minor}" for minor in range(16))]


def test_every_minor_release_has_its_environments() -> None:
    """tox.ini pins torch and NumPy for each minor release: the newest patch, and no NumPy 2 before torch 2.3."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    [section] = [name for name in parser.sections() if name.startswith("testenv:torch{")]
    lines = [line.partition(": ") for line in parser[section]["deps"].split("\n") if line]
    names = [minor.replace(".", "") for minor in MINORS]

    assert f"testenv:torch{{{','.join(names)}}}-{{cpu,cuda}}" == section
    expected = {f"torch{name}": f"{{env:TORCH:torch~={minor}.0}}" for name, minor in zip(names, MINORS, strict=True)}
    assert expected == {factor: pin for factor, _, pin in lines if "torch~=" in pin}
    numpy = {pin: re.findall(r"\d+", factor) for factor, _, pin in lines if "torch~=" not in pin}
    early = names[: MINORS.index("2.3")]
    assert {"numpy<2": early, "{env:NUMPY:numpy}": names[len(early) :]} == numpy


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "expected releases, such as 2.4.1, or --python PATH, before the options of the suite; found none"),
        (("--profile", "smoke"), "before the options of the suite; found ['--profile', 'smoke']"),
        (("--python", "gone"), "expected an interpreter that has a torch; found 'gone': No such file or directory"),
        (("--python", "false"), "expected torch and what the suite needs in 'false'; found exit status 1"),
        (
            ("2.4.1", "--device", "npu:0"),
            "--device: expected cpu or cuda, for which tox.ini has environments; found 'npu",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_run_is_told(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and nothing runs."""
    assert 2 == main(["matrix", *arguments])

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("matrix: ")
    assert expected in line


def test_releases_come_before_the_options_of_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers behind an option are its values; a patch release is pinned, a minor one is what tox.ini pins."""
    monkeypatch.setattr(subprocess, "call", lambda *args, **keywords: 0)
    known = subprocess.CompletedProcess([], 0, "torch24-cpu\ntorch24-cuda\ntorch213-cpu\ntorch213-cuda\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **keywords: known)
    monkeypatch.setenv("TOX_ENV_NAME", "matrix")
    found = list(matrix.planned(["2.4.1", "2.13"], [], ["cpu", "cuda"], ["--timeout", "2.5"], Path()))

    names = ["torch-2.4.1-cpu", "torch-2.4.1-cuda", "torch-2.13-cpu", "torch-2.13-cuda"]
    assert names == [one.name for one in found]
    assert ["torch==2.4.1", "torch==2.4.1", None, None] == [one.environment.get("TORCH") for one in found]
    assert ["torch24-cpu", "torch24-cuda", "torch213-cpu", "torch213-cuda"] == [
        one.command[one.command.index("-e") + 1] for one in found
    ]
    assert all(["--timeout", "2.5"] == one.command[-2:] for one in found)
    assert not [key for one in found for key in one.environment if key.startswith("TOX_")]
    with pytest.raises(matrix.MatrixError, match=r"found 2\.99 \(torch299-cpu\)"):
        list(matrix.planned(["2.99"], [], ["cpu"], [], Path()))


@pytest.mark.timeout(600)
def test_interpreters_are_run_in_turn(tmp_path: Path) -> None:
    """Each has a record and a column of one page; the exit status is that of the worst."""
    area = ROOT / "conformance" / "test_numpy_bridge.py"
    command = [sys.executable, "-m", "conformance", "matrix", "--python", sys.executable, "--python", sys.executable]
    options = ["--report", "out", "--records", "runs", "-n", "0", "--profile", "smoke", "-p", "no:cacheprovider", "-k"]
    done = subprocess.run(
        [*command, *options, "numpy_bridge.is-shared-tells[cpu]", str(area)], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"torch-.* +0 ", line)]

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 2 == len(rows)
    assert rows[0][0] + "-2" == rows[1][0]
    assert all(["1", *["0"] * 6, "1"] == row[2:] for row in rows)
    records = [json.loads((tmp_path / "runs" / f"{row[0]}.json").read_text(encoding="utf-8")) for row in rows]
    assert all(record["complete"] for record in records)
    assert (tmp_path / "out" / "index.html").stat().st_size > 10_000
