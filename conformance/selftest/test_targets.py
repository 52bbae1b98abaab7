"""Targets: which devices a run is for."""

from __future__ import annotations

import re
import sys
import tokenize
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine import targets
from conformance.engine.cells import Cell
from conformance.engine.specs import load_area
from conformance.engine.targets import Target
from conformance.selftest.projects import ROOT, launch, project
from conformance.selftest.test_plugin import Runner
from conformance.selftest.test_plugin import run as a_run

run = a_run  # the fixture


@pytest.fixture
def two_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two made-up CUDA devices."""
    devices = [Target("cpu", "cpu", "cpu", "an example")]
    devices += [Target(f"cuda:{i}", f"cuda:{i}", "cuda", "Example H200", "cuda 12.8") for i in range(2)]
    monkeypatch.setattr(targets, "available", lambda: tuple(devices))


def names(*wanted: str) -> list[str]:
    """Names of the targets chosen."""
    return [target.name for target in targets.choose(list(wanted))]


@pytest.mark.usefixtures("two_accelerators")
def test_targets_come_in_the_order_asked_for() -> None:
    """Every device by default; those named otherwise, each once; a type alone is its first device."""
    assert ["cpu", "cuda:0", "cuda:1"] == names()
    assert ["cuda:1", "cpu"] == names("cuda:1", "cpu")
    assert ["cpu", "cuda:0"] == names("cpu", "cuda", "cuda:0", "cpu")


@pytest.mark.usefixtures("two_accelerators")
@pytest.mark.parametrize("name", ["cuda:2", "gpu", "CPU", "", "cpu ", "cuda:-1", "meta:0"])
def test_an_unknown_target_is_refused(name: str) -> None:
    """A device that is not there is refused by a line that says which are."""
    with pytest.raises(ValueError) as caught:
        targets.choose(["cpu", name])

    words = f"expected one of cpu, cuda:0, cuda:1 (what this torch can use here) or meta; found {name!r}"
    assert words == str(caught.value)


@pytest.mark.usefixtures("two_accelerators")
def test_meta_is_there_where_it_is_named() -> None:
    """It is no device of this machine, so nobody is asked of it who does not name it."""
    assert ["meta", "cpu"] == names("meta", "cpu")
    assert "meta" not in names()


@pytest.mark.parametrize(
    ("changes", "target", "expected"),
    [
        ({}, targets.META, "it takes values to tell, and meta tensors have none"),
        ({"values": False}, targets.META, None),
        ({"values": False, "devices": "cpu"}, targets.META, None),
        ({"needs": ["several-devices"]}, Target("npu:0", "npu:0", "npu", "one"), "npu:0 has no other of its type"),
        ({"needs": ["streams"]}, Target("npu:0", "npu:0", "npu", "one", capabilities=frozenset({"streams"})), None),
        ({"needs": ["streams"], "devices": "accelerator"}, Target("cpu", "cpu", "cpu", ""),
         "the statement speaks of accelerator; this target is cpu"),
    ],
)  # fmt: skip
def test_what_a_target_cannot_do_is_not_applicable(
    changes: dict[str, Any], target: Target, expected: str | None
) -> None:
    """A capability that it lacks, and values where it has none; told in a few words."""
    loaded = load_area("inplace")
    behaviour = loaded.area.behaviours[0].model_copy(update=changes)

    assert expected == Cell("inplace", behaviour, None, target).out_of_scope()


MODULE = ("is_available", "device_count", "Stream", "current_stream", "stream", "synchronize", "Event")


@pytest.mark.parametrize(
    ("declared", "count", "expected"),
    [
        (None, 1, {"streams", "events", "pinned-memory"}),
        (None, 2, {"streams", "events", "pinned-memory", "several-devices"}),
        (["events", "graphs"], 2, {"events", "several-devices"}),
        ([], 1, set()),
    ],
)
def test_capabilities_are_declared_or_found(
    declared: list[str] | None, count: int, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A type says what it can do, or its module has names for it; what the module has no name for is not there."""
    toy = types.SimpleNamespace(**{name: lambda: True for name in MODULE})
    monkeypatch.setattr(torch, "toy", toy, raising=False)
    targets.resolve.cache_clear()
    found = targets._capabilities(targets.Kind(type="toy", capabilities=declared), count)
    targets.resolve.cache_clear()

    assert expected == found


def test_the_cpu_has_a_compiler_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch.compile would call is looked for, and where it is not there the CPU lacks it."""
    behaviour = load_area("costs").area.behaviours[0].model_copy(update={"needs": ["compiler"]})
    found = []
    for name in (sys.executable, "no-such-compiler"):
        monkeypatch.setenv("CXX", name)
        [target] = targets._targets(targets.Kind(type="cpu"))
        found.append(Cell("costs", behaviour, None, target).out_of_scope())

    assert [None, "cpu has no compiler"] == found


def test_the_cpu_is_always_there() -> None:
    """Whatever this machine has, its CPU comes first and has a model name."""
    cpu = targets.available()[0]

    assert ("cpu", "cpu") == (cpu.name, cpu.type)
    assert cpu.model


TOY = """\
import torch
import types

torch.utils.rename_privateuse1_backend("toy")
toy = types.ModuleType("torch.toy")
toy.is_available = lambda: True
toy.device_count = lambda: 2
toy.get_device_name = lambda index: f"Example toy {index}"
torch._register_device_module("toy", toy)
"""
DESCRIBED = """\
targets:
  - type: doll
    device: cpu
    available: torch.is_grad_enabled
    indexed: false
    model: Example doll
    driver: torch.__version__
    lacks: [int64]
    reason: Dolls have no long integers.
"""


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A project with a back end of its own, which is a module, and a type of devices that a file describes."""
    folder = project(tmp_path / "p", {"passes": "must", "fails": "must"})
    (folder / "torch_toy.py").write_text(TOY)
    (folder / "dolls.yaml").write_text(DESCRIBED)
    return folder


@pytest.mark.skipif(
    not hasattr(torch.utils, "rename_privateuse1_backend"), reason="this torch knows no other back ends"
)
def test_a_back_end_of_somebody_else_is_plugged_in(vendor: Path) -> None:
    """Its module is imported before devices are looked up, in workers and scripts too; what reruns a cell names it."""
    run = launch(vendor, "-n", "1", "--plugin", "torch_toy", "--device", "toy:1", PYTHONPATH=f"{ROOT}:{vendor}")

    assert run.record is not None, run.output
    cells = {cell["id"]: cell for cell in run.record["cells"]}
    assert {"demo.fails[cpu]", "demo.fails[toy:1]", "demo.passes[cpu]", "demo.passes[toy:1]"} == set(cells)
    assert {"name": "toy:1", "type": "toy", "device": "Example toy 1", "driver": None} == run.record["environment"][
        "targets"
    ][1]
    failed = cells["demo.fails[toy:1]"]
    assert "--device toy:1 --profile smoke --plugin torch_toy" in failed["rerun"]
    script = (vendor / "reports" / "runs" / failed["reproducer"]).read_text(encoding="utf-8")
    assert "\nimport torch\nimport torch_toy\n" in script
    assert "\nTARGET = 'toy:1'\n" in script
    assert "torch_toy" not in (vendor / "reports" / "runs" / cells["demo.fails[cpu]"]["reproducer"]).read_text()


def test_a_file_describes_a_target(run: Runner, vendor: Path) -> None:
    """Where its devices live, what they are called, and the element types that they lack: such cases are refused."""
    found = run("--targets", "dolls.yaml", "--device", "doll")

    assert found.record is not None, found.output
    cells = {cell["id"]: cell for cell in found.record["cells"]}
    assert ["unsupported"] * 2 == [cells[f"demo.{name}[doll]"]["verdict"] for name in ("passes", "fails")]
    words = "doll declares that it has no int64 (Dolls have no long integers.)"
    assert words == cells["demo.fails[doll]"]["reason"]
    [doll] = found.record["environment"]["targets"]
    expected = {"name": "doll", "type": "doll", "device": "Example doll", "driver": f"__version__ {torch.__version__}"}
    assert expected == doll


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--plugin", "torch_nowhere"), "found 'torch_nowhere' (ModuleNotFoundError: No module named 'torch_nowhere')"),
        (("--plugin", "a b"), "--plugin: expected the name of a module, such as torch_npu; found 'a b'"),
        (("--plugin", ""), "--plugin: expected the name of a module, such as torch_npu; found ''"),
        (("--targets", "gone.yaml"), "--targets: gone.yaml: expected a readable YAML file, found: No such file"),
        (("--targets", "specs/demo.yaml"), "specs/demo.yaml:1: area: expected: no such key"),
        (("--targets", "dolls.yaml", "--device", "doll:3"), "--device: expected one of cpu, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_cannot_be_plugged_in_is_a_usage_error(
    run: Runner, vendor: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """One line says what is wrong, and nothing runs."""
    found = run(*arguments)

    assert (4, None) == (found.status, found.record)
    assert 1 == sum(expected in line for line in found.output.splitlines()), found.output
    assert "Traceback" not in found.output
    assert vendor.exists()


def test_a_broken_plug_in_is_told(run: Runner, vendor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension that leaves the process is told as one that does not fit."""
    monkeypatch.syspath_prepend(vendor)
    (vendor / "torch_rude.py").write_text("raise SystemExit('wrong\\nversion')\n")
    found = run("--plugin", "torch_rude")

    assert 4 == found.status
    assert "found 'torch_rude' (SystemExit: wrong)" in found.output


RUDE = """
import types

import torch

module = types.ModuleType("torch.rude")
module.is_available = lambda: True
{count}
torch.utils.rename_privateuse1_backend("rude")
torch._register_device_module("rude", module)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import os; os._exit(0)", "found 'torch_rude' (an end of the process with status 0, by os._exit)"),
        (RUDE.format(count="def gone(): raise OSError('no driver')\nmodule.device_count = gone"),
         "found 'rude:0' (torch.rude.device_count: OSError: no driver)"),
        (RUDE.format(count="module.device_count = lambda: 'many'"),
         "found 'rude:0' (torch.rude.device_count: expected a number of devices; found 'many')"),
    ],
    ids=["ends", "raises", "no number"],
)  # fmt: skip
def test_a_back_end_that_has_no_answer_is_told(tmp_path: Path, text: str, expected: str) -> None:
    """What its module raises, or says in the place of a number, is told in the line that refuses its device."""
    folder = project(tmp_path / "p", {"passes": "must"})
    (folder / "torch_rude.py").write_text(text)
    found = launch(folder, "-n", "0", "--plugin", "torch_rude", "--device", "rude:0", PYTHONPATH=f"{folder}:{ROOT}")

    assert 4 == found.status, found.output
    assert 1 == sum(expected in line for line in found.output.splitlines()), found.output


def test_nothing_but_the_list_names_a_type_of_device() -> None:
    """A device that torch does not know of is no stranger to the suite: each place that names one is known, and why."""
    named = re.compile(r"\b(cuda|mps|xpu)\b")
    found = {}
    for path in sorted((ROOT / "conformance").rglob("*.py")):
        if "selftest" not in path.parts:
            names = [name for name in code_of(path) if named.search(name)]
            found.update({path.relative_to(ROOT / "conformance").as_posix(): len(names)} if names else {})

    assert dict.fromkeys(NAMING) == dict.fromkeys(found)


NAMING = {
    "engine/environment.py": "which toolkit torch was built with",
    "engine/misgivings.py": "types that a pattern may speak of on a machine without them",
    "engine/options.py": "an example",
    "engine/switches.py": "the autocast switch of CUDA, which every build has",
    "inputs/device_memory.py": "switches of precision that torch.backends has for CUDA only",
    "inputs/loader_pinning.py": "what pinned memory is for, in releases before torch.accelerator",
    "inputs/stored_archives.py": "a device that is not there",
    "inputs/stored_places.py": "a device that is not there",
    "matrix.py": "the environments of tox",
    "oracles/main_processes.py": "a module that a process of a loader would import anew",
    "test_dataloader.py": "the documented argument pin_memory_device",
    "test_numpy_bridge.py": "numbers of DLPack; streams, of which only CUDA's are documented there; shared memory",
}


def code_of(path: Path) -> Iterator[str]:
    """The names and texts of a module, docstrings left out."""
    with tokenize.open(path) as file:
        before = tokenize.NEWLINE
        for token in tokenize.generate_tokens(file.readline):
            begins = before in (tokenize.NEWLINE, tokenize.INDENT)
            if token.type == tokenize.NAME or (token.type == tokenize.STRING and not begins):
                yield token.string
            if token.type not in (tokenize.NL, tokenize.COMMENT):
                before = token.type
