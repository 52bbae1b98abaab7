"""The area of accelerators, and every other, on an accelerator that is made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine.specs import area_names, load_area
from conformance.engine.targets import CAPABILITIES
from conformance.selftest.projects import ROOT, environment

pytestmark = pytest.mark.skipif(not hasattr(torch._C, "_acc"), reason="this torch takes no back end written in Python")
ACCELERATOR = "conformance.selftest.accelerator"
PROGRAM = f"""\
import {ACCELERATOR}, torch
m, x = torch.fake, torch.arange(6.0, device="fake:0").reshape(2, 3)
s = m.Stream()
"""


def told(*arguments: str, **changes: str) -> str:
    """What Python prints, in a process of its own: a back end is there once and for all."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment(OMP_NUM_THREADS="1", **changes), capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def verdicts() -> dict[str, Any]:
    """The verdicts of the area, whole and under each falsifier."""
    found: dict[str, Any] = json.loads(told("-m", ACCELERATOR))
    return found


def test_every_check_of_the_area_runs_and_passes() -> None:
    """None is left out on a device that can do everything."""
    expected = {behaviour.id: "pass" for behaviour in load_area("cuda").area.behaviours}

    assert expected == verdicts()["whole"]


def test_every_falsifier_of_the_area_turns_its_check_red() -> None:
    """By what the check expects, or by an exception that it did not expect."""
    green = {name: verdict for name, verdict in verdicts()["broken"].items() if not verdict.startswith("fail ")}

    assert {} == green
    assert {"fail Mismatch", "fail RuntimeError"} >= set(verdicts()["broken"].values())


def test_the_made_up_accelerator_is_one() -> None:
    """Its tensors are of its devices; work of a stream waits; what the host has no business with, it cannot read."""
    program = PROGRAM + (
        "print(x.device, x.t().sum(0).tolist(), (x[1:] * 2).cpu().tolist())\n"
        "with m.stream(s):\n    x.fill_(7)\n"
        "print(x.cpu()[0, 0].item())\nm.current_stream().wait_stream(s)\nprint(x.cpu()[0, 0].item())\n"
        "try:\n    x.numpy()\nexcept TypeError:\n    print('no array')\n"
        "y = torch.ones(3, device='fake:0', requires_grad=True)\n(y * y).sum().backward()\nprint(y.grad)\n"
    )
    expected = [
        "fake:0 [3.0, 12.0] [[6.0, 8.0, 10.0]]", "0.0", "7.0", "no array",
        "tensor([2., 2., 2.], device='fake:0')",
    ]  # fmt: skip

    assert expected == told("-c", program).splitlines()
    assert expected == told("-c", program, CONFORMANCE_FAKE_GUARDED="1").splitlines()


@pytest.mark.skipif(os.name != "posix", reason="memory is guarded by mprotect")
def test_its_memory_cannot_be_read() -> None:
    """Who reads it from the host, dies: so no oracle does."""
    program = PROGRAM + "import ctypes\nctypes.string_at(x.data_ptr(), 4)"
    guarded = environment(CONFORMANCE_FAKE_GUARDED="1")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=guarded, capture_output=True, timeout=300)

    assert done.returncode < 0


def test_capabilities_are_known() -> None:
    """What behaviours need of a target is something that a target can declare."""
    needed = {need for name in area_names() for b in load_area(name).area.behaviours for need in b.needs}

    assert needed <= set(CAPABILITIES)
    assert needed == set(CAPABILITIES), "expected: no capability that nobody needs"


@pytest.mark.parametrize(
    ("area", "names"),
    [
        ("leaves", "created_tensor_is_a_leaf or detach_cuts_the_graph"),
        ("costs", "copies_allocate and clone"),
        ("numpy_bridge", "shorthands"),
    ],
)
def test_other_areas_run_on_it(area: str, names: str, tmp_path: Path) -> None:
    """Neither errors nor failures, and nothing reads a device's memory from the host."""
    record = tmp_path / "run.json"
    told(
        "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-q", "--profile", "smoke", "--plugin", ACCELERATOR,
        "--device", "fake:0", f"--run-record={record}", f"conformance/test_{area}.py", "-k", names,
        CONFORMANCE_FAKE_GUARDED="1",
    )  # fmt: skip
    found = [cell["verdict"] for cell in json.loads(record.read_text())["cells"]]

    assert "pass" in found
    assert {"pass", "known", "not-applicable", "unsupported"} >= set(found)
