"""Projects for tests: an area outside of this repository, with a check for every way to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
CONFTEST = 'pytest_plugins = ["conformance.engine.plugin"]\n'
HEAD = '''\
"""Checks of a demonstration."""

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass

from conformance.engine.cases import Inputs, cases
from conformance.engine.mismatch import Discard, Mismatch


@dataclass(frozen=True)
class Number:
    value: int

    def facets(self):
        return {"dtypes": "int64"}

    def reductions(self):
        return [Number(self.value - 1)] if self.value else []

    def code(self):
        return f"x = {self.value}"


def small(cell):
    from hypothesis import strategies as st

    return Inputs([Number(value) for value in range(5)], st.integers(0, 99).map(Number))


def corners(cell):
    return Inputs([Number(value) for value in range(5)])

'''
CHECK = '''
@cases({source})
def test_{name}(case):
    """It holds."""
    {body}

'''
BEHAVIOUR = """\
  - id: {id}
    statement: A number {id}.
    level: {level}
    docs: {{object: torch.Tensor.add_, says: In-place version}}
"""
BODIES = {
    "passes": "pass",
    "fails": 'if case.value > 2: raise Mismatch("value", "at most 2", case.value)',
    "segfaults": "if case.value == 3: ctypes.string_at(0)",
    "aborts": "if case.value > 4: os.abort()",
    "kills-itself": "if case.value == 3: os.kill(os.getpid(), signal.SIGKILL)",
    "leaves": "if case.value == 3: os._exit(0)",
    "exits": "sys.exit(3)",
    "gives-up": 'import pytest; pytest.fail("no idea")',
    "expects-failure": 'import pytest; pytest.xfail("some day")',
    "skips": 'import pytest; pytest.skip("no")',
    "sleeps": "if case.value == 3: time.sleep(1000)",
    "sleeps-late": "if case.value > 4: time.sleep(1000)",
    "locks-up": (
        "lock = ctypes.create_string_buffer(128); lib = ctypes.PyDLL(None); lib.pthread_mutex_init(lock, None)\n"
        "    while case.value == 3: lib.pthread_mutex_lock(lock)"
    ),
    "dawdles": "time.sleep(0.02)",
    "refuses": 'raise NotImplementedError("no numbers here")',
    "discards": 'raise Discard("not this")',
    "breaks": "nonsense",
    "shouts": 'print("noise"); print("noise", file=sys.stderr); raise Mismatch("a", "\\udcff", "\\ud800\\x00")',
}


class Found(NamedTuple):
    """What became of one run."""

    status: int
    output: str
    record: dict[str, Any] | None

    def verdicts(self) -> dict[str, str]:
        """Verdict of each cell, by its name without area and target."""
        assert self.record is not None, self.output
        return {cell["id"].removeprefix("demo.").replace("[cpu]", ""): cell["verdict"] for cell in self.record["cells"]}

    def cell(self, name: str) -> dict[str, Any]:
        """The entry of one cell."""
        assert self.record is not None, self.output
        return next(cell for cell in self.record["cells"] if cell["id"].startswith(f"demo.{name}["))


def project(
    folder: Path,
    names: dict[str, str],
    *,
    rows: dict[str, int] | None = None,
    source: str = "small",
    spec: Callable[[str], str] = str,
    module: Callable[[str], str] = str,
) -> Path:
    """An area ``demo`` in ``folder`` with the behaviours ``names`` (each with its level).

    ``rows`` gives a behaviour that many subjects; ``spec`` and ``module`` change the files' text.
    """
    rows = rows or {}
    behaviours, checks = "", HEAD
    for name, level in names.items():
        behaviours += BEHAVIOUR.format(id=name, level=level)
        if name in rows:
            listed = [f"t{number}" for number in range(rows[name])]
            behaviours += f"    subjects: {{catalogue: tools, names: [{', '.join(listed)}]}}\n"
        checks += CHECK.format(source=source, name=name.replace("-", "_"), body=BODIES[name])
    (folder / "vendor").mkdir(parents=True)
    (folder / "specs" / "catalogue").mkdir(parents=True)
    area = "area: demo\ntitle: A demonstration\npage: https://docs.pytorch.org/docs/stable/tensors.html\n"
    (folder / "specs" / "demo.yaml").write_text(spec(f"{area}behaviours:\n{behaviours}"))
    if rows:
        lines = "".join(f"- {{name: t{number}}}\n" for number in range(max(rows.values())))
        (folder / "specs" / "catalogue" / "tools.yaml").write_text(f"catalogue: tools\nrows:\n{lines}")
    (folder / "vendor" / "test_demo.py").write_text(module(checks), encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def command(*arguments: str) -> list[str]:
    """The command line of a run in a process of its own."""
    return [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--device",
        "cpu",
        "--profile",
        "smoke",
        "--assert=plain",  # as the project's own configuration has it: workers come from the server
        *arguments,
    ]


def environment(**changes: str) -> dict[str, str]:
    """The environment of such a run: this project can be imported, and the outer pytest is not seen."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **changes}


def launch(folder: Path, *arguments: str, **changes: str) -> Found:
    """Run pytest in ``folder`` in a process of its own."""
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment(**changes), capture_output=True, text=True, timeout=300
    )
    return found(folder, done.returncode, done.stdout + done.stderr)


def found(folder: Path, status: int, output: str) -> Found:
    """What a run left behind."""
    path = folder / "reports" / "runs" / "latest.json"
    return Found(int(status), output, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None)


def once(folder: Path, make: Callable[[Path], Found]) -> Found:
    """The result of ``make``, which only the first of several parallel test processes calls.

    ``folder`` is shared by them; the others wait for its result.
    """
    result = folder / "result.json"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        while not result.exists():
            time.sleep(0.1)
        return Found(*json.loads(result.read_text(encoding="utf-8")))
    made = make(folder / "project")
    partial = folder / "partial.json"
    partial.write_text(json.dumps(made), encoding="utf-8")
    partial.rename(result)
    return made
