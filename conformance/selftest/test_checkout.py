"""The checkout: which tests pytest takes from it, and how it is run from another folder."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.engine.options import OPTIONS
from conformance.selftest.projects import ROOT, environment

QUIET = ("-n", "0", "-p", "no:cacheprovider", "--device", "cpu", "--profile", "smoke")


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m`` with these arguments, in ``folder``."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=110)


@pytest.mark.parametrize("place", [".", "conformance", str(ROOT)], ids=["root", "package", "path"])
def test_pytest_takes_the_areas_only(tmp_path: Path, place: str) -> None:
    """Whatever folder is named, pytest runs the areas; nobody who tests a torch build runs our own tests by chance."""
    folder = tmp_path if place == str(ROOT) else ROOT
    output = called(folder, "pytest", *QUIET, "--collect-only", "-q", place).stdout

    files = {line.partition("::")[0].rpartition("conformance/")[2] for line in output.splitlines() if "::" in line}
    assert {path.name for path in (ROOT / "conformance").glob("test_*.py")} == files


@pytest.mark.parametrize("place", ["selftest/test_schema.py", "performance"])
def test_the_projects_own_tests_run_by_their_path(place: str) -> None:
    """Named by a path of their own, they are collected."""
    output = called(ROOT, "pytest", *QUIET, "--collect-only", "-q", f"conformance/{place}").stdout

    assert f"conformance/{place}" in output.splitlines()[0]


def test_paths_belong_to_the_folder_the_user_stands_in(tmp_path: Path) -> None:
    """What ``python -m conformance run`` is given, it reads and writes where the user is; it says the same paths."""
    (tmp_path / "e.yaml").write_text("deviations: []\n")
    done = called(
        tmp_path, "conformance", "run", *QUIET, "-k", "inplace.returns-self[add_-cpu]", "--expectations", "e.yaml",
        "--run-record", "new/run.json", "--junitxml", "junit.xml", "--report", "page",
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    record = json.loads((tmp_path / "new" / "run.json").read_text(encoding="utf-8"))
    assert ["inplace.returns-self[add_-cpu]"] == [cell["id"] for cell in record["cells"]]
    assert record["settings"]["expectations"][-1] == "e.yaml"
    assert len(record["claims"]) == 573
    assert {"names", "behaviours"} == set(record["surface"][0])
    assert not [a for a in record["settings"]["arguments"] if str(ROOT) in a]
    assert (tmp_path / "junit.xml").exists()
    assert {"run record:   new/run.json", "page:         page/index.html"} <= set(done.stdout.splitlines())
    assert (tmp_path / "page" / "index.html").exists()
    assert {"e.yaml", "junit.xml", "new", "page"} == {path.name for path in tmp_path.iterdir()}


def test_a_listing_may_be_cut_off(tmp_path: Path) -> None:
    """A reader that has read enough ends a listing without a word."""
    command = f"{shlex.quote(sys.executable)} -m conformance list --cells | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=110
    )

    assert (0, "", 1) == (done.returncode, done.stderr, len(done.stdout.splitlines()))


def test_help_has_every_option_with_an_example(tmp_path: Path) -> None:
    """``run --help`` shows what the suite adds, by what it is for, and what of pytest is used most; pytest has ours."""
    shown = called(tmp_path, "conformance", "run", "--help").stdout.splitlines()
    of_pytest = " ".join(called(ROOT, "pytest", "--help").stdout.split())

    for purpose, options in OPTIONS.items():
        for option in options:
            written = f"{option.name} {option.example}".rstrip()
            place = next(n for n, line in enumerate(shown) if line.startswith(f"  {written} "))
            assert shown.index(f"{purpose}:") < place
            value = f"={option.metavar} {option.says}; such as {written}" if option.flag is None else f" {option.says}"
            assert option.name + value in of_pytest
    assert [line for line in shown if line.startswith("  -k 'inplace.returns-self[add_-cpu]' ")]


def test_the_report_line_works_where_the_user_stands(tmp_path: Path) -> None:
    """Pasted into a shell, the line under the summary makes the page of the record."""
    done = called(
        tmp_path, "conformance", "run", *QUIET, "-k", "inplace.returns-self[add_-cpu]", "--run-record", "r.json"
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("report:"))
    made = subprocess.run(
        line.partition(":")[2], shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=110
    )

    assert (0, "reports/out/index.html") == (made.returncode, made.stdout.strip()), made.stderr
    assert (tmp_path / "reports" / "out" / "index.html").exists()


def test_a_test_file_is_the_users_too(tmp_path: Path) -> None:
    """A path of tests is read as every other path is: the areas stand in for none, not for a wrong one."""
    done = called(tmp_path, "conformance", "run", *QUIET, "conformance/test_inplace.py")

    assert 4 == done.returncode
    assert "file or directory not found: conformance/test_inplace.py" in done.stderr
    assert not (tmp_path / "reports").exists()
