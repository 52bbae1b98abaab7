"""Reproducers: scripts that need torch and NumPy only, and whose exit status is the answer."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine import reproducer
from conformance.engine.targets import Target
from conformance.selftest import examples
from conformance.selftest.examples import QUOTES, Number, Plain, cell

ALONE = """\
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("conformance", "hypothesis", "pytest", "yaml", "pydantic"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuse())
for name in list(sys.modules):
    assert name.split(".")[0] != "conformance"
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def execute(folder: Path, text: str, *arguments: str, alone: str = ALONE) -> tuple[int, str]:
    """Exit status and output of a script, run where this project cannot be imported."""
    (folder / "alone.py").write_text(alone)
    (folder / "script.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-I", "alone.py", "script.py", *arguments]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "/nowhere"}
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=environment)
    return found.returncode, found.stdout + found.stderr


def script(check: Any, case: Any, **options: Any) -> str:
    """The script for one case of a cell with a hostile statement."""
    of = options.pop("of", None) or cell(statement=f"{QUOTES}.")
    return reproducer.script(of, check, case, QUOTES, QUOTES, **options)


@pytest.mark.parametrize(("value", "expected"), [(9, 1), (3, 0)])
def test_the_exit_status_is_the_answer(tmp_path: Path, value: int, expected: int) -> None:
    """A script ends with 1 where the behaviour is broken and with 0 where it holds, far from this project."""
    status, output = execute(tmp_path, script(examples.stays_small, Number(value, note=QUOTES)))

    assert expected == status, output
    assert "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.add_.html" in output
    assert f"torch {torch.__version__}" in output
    assert "{braces}, {0}" in output.splitlines()[0]
    assert ("BROKEN: number 9" if expected else "HOLDS") in output


def test_an_unexpected_exception_is_broken(tmp_path: Path) -> None:
    """Whatever the check did not expect ends the script with 1, and is shown."""
    status, output = execute(tmp_path, script(examples.refuses, Plain(1)))

    assert 1 == status
    assert "BROKEN: expected: no exception; found: RuntimeError" in output


def test_without_the_target_nothing_is_claimed(tmp_path: Path) -> None:
    """Where this torch cannot use the device, the script says so and ends with 2."""
    target = Target("cuda:99", "cuda:99", "cuda", "Example H200")
    status, output = execute(tmp_path, script(examples.holds, Plain(1), of=cell(target=target)))

    assert 2 == status
    assert "NOT TESTED: this torch has no device cuda:99 here" in output


@pytest.mark.parametrize(
    ("check", "word"),
    [(examples.crashes, "found: the process was killed by SIGABRT"), (examples.hangs, "none within 15 seconds")],
)
def test_a_fault_that_kills_or_hangs_is_broken(tmp_path: Path, check: Any, word: str) -> None:
    """A script for such a fault watches a process of its own, and ends with 1."""
    text = script(check, Number(1), kills=True).replace("TIME_LIMIT = 120", "TIME_LIMIT = 15")
    status, output = execute(tmp_path, text)

    assert 1 == status, output
    assert word in output
    assert "The case runs in a process of its own, for up to 15 seconds." in output.splitlines()
    assert f"torch {torch.__version__}" in output  # what the child said before its end is not lost


def test_a_guarded_script_meets_what_is_patched(tmp_path: Path) -> None:
    """A torch that another program patched before it ran the script is broken in the process of the case too."""
    text = script(examples.dies_of_signbit, Number(1), kills=True)
    broken = f"import torch\ntorch.signbit = lambda x: __import__('os').abort()\n{ALONE}"
    found = execute(tmp_path, text), execute(tmp_path, text, alone=broken)

    assert [0, 1] == [status for status, _ in found], found
    assert "found: the process was killed by SIGABRT" in found[1][1]


def test_a_guarded_script_ends_with_its_child_and_says_how_long_it_may_take(tmp_path: Path) -> None:
    """What it waits for, and for how long, is said at once; a child that ends ends the waiting."""
    (tmp_path / "script.py").write_text(script(examples.crashes, Number(1), kills=True))
    started = time.monotonic()
    found = subprocess.run(
        [sys.executable, "-I", "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert "The case runs in a process of its own, for up to 120 seconds." == found.stdout.splitlines()[0]
    assert 40 > time.monotonic() - started


@pytest.mark.parametrize(
    "text", [QUOTES, "", "\\", '"', '"""', "'''", "a\\", "{x}", "\r\n", "\N{SNOWMAN}", "# -*- coding: x"]
)
def test_any_text_survives(text: str) -> None:
    """Statement, values and notes may hold anything that breaks out of a string, and the script still compiles."""
    of = cell(statement=f"{text}.") if text == text.strip() else cell()
    found = reproducer.script(of, examples.stays_small, Number(1, note=text), text, text)
    tree = ast.parse(found.encode("utf-8"))
    constants = {node.targets[0].id: node.value.value for node in tree.body if isinstance(node, ast.Assign)
                 and isinstance(node.value, ast.Constant) and isinstance(node.targets[0], ast.Name)}  # fmt: skip

    assert of.behaviour.statement == constants["STATEMENT"]
    assert of.behaviour.statement.isprintable() is ("\\x00" not in ast.get_docstring(tree, clean=False))


def test_scripts_lie_under_the_name_of_their_cell(tmp_path: Path) -> None:
    """The path says area, behaviour, subject and target, in characters that every file system takes."""
    path = reproducer.write(tmp_path, cell(target=Target("cuda:0", "cuda:0", "cuda", "")), "text")

    assert tmp_path / "demo" / "stays-small--cuda_0.py" == path


@dataclass(frozen=True)
class Somewhere:
    """A case of a device, with a program that may not say so."""

    text: str
    device: str = "npu:0"

    def code(self) -> str:
        """The program."""
        return self.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = torch.ones(2)", "torch.set_default_device('npu:0')\nx = torch.ones(2)"),
        ("import torch\nx = torch.ones(2)", "import torch\ntorch.set_default_device('npu:0')\nx = torch.ones(2)"),
        ("x = torch.ones(2, device='npu:0')", "x = torch.ones(2, device='npu:0')"),
    ],
)
def test_a_program_says_its_device(text: str, expected: str) -> None:
    """Where its own lines do not, a line ahead of them does; on the CPU nothing needs to."""
    assert expected == reproducer.plain_code(Somewhere(text), examples.stays_small)
    assert text == reproducer.plain_code(Somewhere(text, "cpu"), examples.stays_small)
