"""The documented names of the torch under test, and the behaviours that name them."""

from __future__ import annotations

import json
import re

import pytest

from conformance.__main__ import main
from conformance.engine import surface
from conformance.engine.specs import area_names, load_area


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[str, ...]]:
    """The names of the installed torch with their behaviours."""
    return surface.surface([load_area(name) for name in area_names()])


@pytest.mark.parametrize(
    "name",
    ["torch.abs", "torch.Tensor.add_", "torch.Tensor.grad", "torch.nn.Linear", "torch.nn.Module.apply", "torch.save",
     "torch.nn.functional.relu", "torch.optim.SGD", "torch.utils.data.DataLoader", "torch.linalg.inv",
     "torch.autograd.graph.saved_tensors_hooks", "torch.utils.checkpoint.checkpoint"],
)  # fmt: skip
def test_documented_names_are_listed(found: dict[str, tuple[str, ...]], name: str) -> None:
    """Functions, classes, methods and attributes that have a docstring."""
    assert name in found


@pytest.mark.parametrize(
    "name",
    ["torch.float32", "torch.nn.functional.Callable", "torch.nn.common_types", "torch.Tensor.__add__", "torch"],
)
def test_what_is_no_documented_name_is_not_listed(found: dict[str, tuple[str, ...]], name: str) -> None:
    """Constants, modules, what a module imports from elsewhere, and what Python calls by itself."""
    assert name not in found


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("torch.Tensor.add_", "inplace.returns-self"),  # a subject of the catalogue of methods
        ("torch.linalg.inv", "inplace.out-is-returned"),  # a subject with a dotted name
        ("torch.optim.SGD", "state_dict.optimizer-state-has-two-entries"),  # a row says what makes its subject
        ("torch.optim.lr_scheduler.StepLR", "state_dict.scheduler-state-excludes-the-optimizer"),
        ("torch.nn.ReLU", "inplace.activation-overwrites-its-input"),
        ("torch.Tensor.retain_grad", "leaves.retain-grad-twice-counts-once"),  # the place of the documentation
        ("torch.nn.ModuleList", "modules.module-list-insert-takes-any-index"),  # a method of a documented class
        ("torch.nn.Parameter", "leaves.parameter-requires-grad"),  # documented under another name of the object
        ("torch.no_grad", "leaves.no-grad-results-do-not-require-grad"),
    ],
)
def test_a_name_has_the_behaviours_that_name_it(found: dict[str, tuple[str, ...]], name: str, behaviour: str) -> None:
    """As their subject, or as the object or section of their documentation."""
    assert behaviour in found[name]


def test_a_name_that_nothing_names_has_none(found: dict[str, tuple[str, ...]]) -> None:
    """What the suite does not speak of is shown as such."""
    assert found["torch.AggregationType"] == ()


def test_the_record_writes_equal_lists_once() -> None:
    """Names that the same behaviours name stand together."""
    table = {"torch.a": ("x.y",), "torch.b": (), "torch.c": ("x.y",), "torch.d": ()}

    assert surface.record(table) == [
        {"names": ["torch.a", "torch.c"], "behaviours": ["x.y"]},
        {"names": ["torch.b", "torch.d"], "behaviours": []},
    ]


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the places asked for, then how many of them a behaviour names."""
    assert main(["surface", "torch.utils.dlpack"]) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch("[12] of [12] documented names are named by a behaviour", last)


def test_the_command_leaves_out_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What no behaviour names is what somebody looks for who wants to add one."""
    assert main(["surface", "torch.utils.data", "--without", "--json"]) == 0

    assert {()} == {tuple(behaviours) for behaviours in json.loads(capsys.readouterr().out).values()}


def test_the_command_refuses_other_places(capsys: pytest.CaptureFixture[str]) -> None:
    """A place that is not looked at is told, with those that are."""
    assert main(["surface", "torch.nowhere"]) == 2
    assert capsys.readouterr().err.endswith("found 'torch.nowhere'\n")
