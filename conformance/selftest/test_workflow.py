"""The workflow for GitHub Actions: what it asks of the project is there, and its scripts do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.engine.options import OPTIONS
from conformance.engine.specs import SPECS
from conformance.selftest import records
from conformance.selftest.projects import ROOT
from reports.parser import parser

FILE = ROOT / ".github" / "workflows" / "conformance.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step and "name" in step}


def commands(program: str) -> Iterator[list[str]]:
    """The words of each command of the workflow that begins as ``program`` does."""
    for step in STEPS:
        text = re.sub(r"\$\(.*?\)|\$\{\{.*?\}\}", "x", step.get("run", "").replace("\\\n", " "))
        for line in re.split(r"\n|;|&&|\|\|", text):
            words = shlex.split(line, comments=True)
            if words[: len(program.split())] == program.split():
                yield words[len(program.split()) :]


def test_every_command_of_the_reports_is_there() -> None:
    """Each is taken by the command line as it stands."""
    found = []
    for words in commands("python -m reports"):
        end = words.index(">>") if ">>" in words else len(words)
        found.append(parser().parse_args(words[:end]).command)

    assert ["merge", "validate", "build", "summary", "junit", "diff"] == found


def test_the_shard_is_run_with_options_that_there_are() -> None:
    """tox has the environments of the matrix, and the suite the options."""
    [words] = commands("python -m tox")
    options = {word for word in words[words.index("--") :] if word.startswith("--") and word != "--"}
    known = {option.name for group in OPTIONS.values() for option in group}
    matrix = WORKFLOW["jobs"]["run"]["strategy"]["matrix"]
    factors = re.search(r"^\[testenv:torch\{(.*)\}-\{(.*)\}\]$", (ROOT / "tox.ini").read_text(), re.M)

    assert {"--profile", "--shard", "--fail-on", "--run-record"} == options
    assert options <= known
    assert factors is not None
    assert {release.removeprefix("torch") for release in matrix["release"]} <= set(factors[1].split(","))
    assert set(matrix["device"]) <= set(factors[2].split(","))
    assert list(range(1, WORKFLOW["env"]["SHARDS"] + 1)) == matrix["shard"]


def test_every_file_that_it_names_is_there() -> None:
    """What it hashes, what it installs from, what its comments point to."""
    text = FILE.read_text(encoding="utf-8")

    for name in ("tox.ini", "pyproject.toml", "docs/matrix.md"):
        assert name in text
        assert (ROOT / name).is_file()
    assert SPECS.is_dir()
    assert WORKFLOW[True]["push"]["branches"] == ["main"]  # YAML 1.1 takes "on" for a flag


class Job:
    """The folder of the job that makes the report, and what its scripts do there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        python = folder / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        self.summary = folder / "summary.md"

    def step(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step, as GitHub's shell does."""
        environment = {
            **os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.summary), "BASE": "main",
        }  # fmt: skip
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", SCRIPTS[name]], cwd=self.folder,
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def shards(self, *names: str, missing: int = 0, failing: bool = False) -> None:
        """Put the records of two shards a run there."""
        for seed, name in enumerate(names):
            whole = records.record(areas=2, behaviours=3, subjects=4, seed=seed)
            for cell in whole["cells"]:
                cell.update(verdict="pass", reason=None)
            if failing:
                whole["cells"][0]["verdict"] = "fail"
            for part in (1, 2):
                cells = whole["cells"][part - 1 :: 2]
                settings = records.settings(shard=f"{part}/2", arguments=["--shard", f"{part}/2"])
                shard = {**whole, "cells": cells, "planned": len(cells), "settings": settings}
                if part != missing:
                    records.save(self.folder / "runs", shard, f"{name}.{part}.json")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job that has not begun."""
    return Job(tmp_path)


MERGE, SAY, HOLD = "Put the shards together", "Say it on the page of this job", "Hold it against the base branch"


def test_the_job_makes_one_page_of_all_shards(job: Job) -> None:
    """Every run is whole again, has a summary and JUnit XML, and is a column of the page."""
    job.shards("torch24-cpu", "torch213-cpu")
    done = [job.step(MERGE), job.step(SAY), job.step(HOLD)]

    assert [0, 0, 0] == [step.returncode for step in done], [step.stderr for step in done]
    merged = {path.name: json.loads(path.read_text()) for path in (job.folder / "merged").glob("*.json")}
    assert {"torch24-cpu.json", "torch213-cpu.json"} == set(merged)
    assert all(record["complete"] and record["planned"] == 24 for record in merged.values())
    assert {"index.html", "torch24-cpu.junit.xml", "torch213-cpu.junit.xml"} == {
        path.name for path in (job.folder / "report").iterdir()
    }
    text = job.summary.read_text()
    assert "torch213-cpu.json: no record of main to hold it against" in text


@pytest.mark.parametrize(("change", "status"), [({}, 0), ({"failing": True}, 1), ({"missing": 2}, 1)])
def test_the_gate_is_the_base_branch(job: Job, change: dict[str, Any], status: int) -> None:
    """A cell that fails now, or a shard that is gone, ends the job; the same verdicts do not."""
    job.shards("torch213-cpu")
    job.step(MERGE)
    (job.folder / "base").mkdir()
    (job.folder / "merged").rename(job.folder / "base" / "merged")
    for path in (job.folder / "runs").iterdir():
        path.unlink()
    job.shards("torch213-cpu", **change)
    merged = job.step(MERGE)
    held = job.step(HOLD)

    assert 0 == merged.returncode, merged.stderr
    assert status == held.returncode, held.stdout + held.stderr
    assert job.summary.stat().st_size > 100
