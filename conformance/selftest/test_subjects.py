"""Subjects and scope: which cells a behaviour has, and of which it does not speak."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from conformance.engine.cells import cells_of
from conformance.engine.specs import load_area
from conformance.engine.targets import Target
from conformance.engine.yamlfile import SpecError
from conformance.selftest.examples import CPU, cell
from conformance.selftest.test_yamlfile import GOOD

CUDA = Target("cuda:0", "cuda:0", "cuda", "Example H200")
ROWS = (
    "catalogue: tools\nrows:\n- {name: saw, kind: [hand, sharp], loud: true}\n- {name: pen, kind: hand, loud: false}\n"
)


def ids(folder: Path, subjects: str, *targets: Target) -> list[str]:
    """Ids of the cells of one behaviour with these subjects."""
    (folder / "catalogue").mkdir(exist_ok=True)
    (folder / "catalogue" / "tools.yaml").write_text(ROWS)
    (folder / "demo.yaml").write_text(GOOD + f"    subjects: {subjects}\n")
    loaded = load_area("demo", folder)
    return [each.id for each in cells_of(loaded, loaded.area.behaviours[0], targets or (CPU,))]


def test_cells_are_subjects_times_targets(tmp_path: Path) -> None:
    """Every subject comes with every target, subjects in the order of their catalogue."""
    expected = [f"demo.stays-small[{name}]" for name in ("saw-cpu", "saw-cuda:0", "pen-cpu", "pen-cuda:0")]

    assert expected == ids(tmp_path, "{catalogue: tools}", CPU, CUDA)


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ("{catalogue: tools, where: {kind: sharp}}", ["saw"]),
        ("{catalogue: tools, where: {kind: hand}}", ["saw", "pen"]),
        ("{catalogue: tools, where: {kind: [sharp, blunt]}}", ["saw"]),
        ("{catalogue: tools, where: {loud: false}}", ["pen"]),
        ("{catalogue: tools, names: [pen, saw]}", ["saw", "pen"]),
        ("{catalogue: tools, except: {saw: too loud}}", ["pen"]),
    ],
)
def test_conditions_choose_rows(tmp_path: Path, subjects: str, expected: list[str]) -> None:
    """Attributes equal a value, are one of several, or contain it; names and exceptions choose directly."""
    assert [f"demo.stays-small[{name}-cpu]" for name in expected] == ids(tmp_path, subjects)


@pytest.mark.parametrize(
    ("subjects", "line", "key", "expected", "found"),
    [
        ("{catalogue: tools, names: [pen, axe]}", 9, "names.1", "a name of catalogue 'tools'", "'axe'"),
        ("{catalogue: tools, names: [saws]}", 9, "names.0", "a name of catalogue 'tools' (nearest: 'saw')", "'saws'"),
        ("{catalogue: tools, except: {axe: sharp}}", 9, "except.axe", "a name of catalogue 'tools'", "'axe'"),
        (
            "{catalogue: tools,\n      where: {size: 3}}",
            10,
            "where.size",
            "an attribute of every row (kind, loud, name, since, until)",
            "'size', which 'saw' lacks",
        ),
        (
            "{catalogue: tools,\n      where: {loud: true,\n              kind: blunt}}",
            11,
            "where.kind",
            "a value that a row has: 'hand', 'sharp'",
            "'blunt'",
        ),
    ],
)
def test_subjects_that_are_not_there_are_faults(
    tmp_path: Path, subjects: str, line: int, key: str, expected: str, found: str
) -> None:
    """A name, an attribute or a value that is not there is a fault at its own line and keys, with what there is."""
    with pytest.raises(SpecError) as caught:
        ids(tmp_path, subjects)

    assert f"{tmp_path}/demo.yaml:{line}: behaviours.0.subjects.{key}: expected: {expected}; found: {found}" == str(
        caught.value
    )


def test_a_catalogue_that_is_not_there_is_a_fault_that_names_those_that_are(tmp_path: Path) -> None:
    """The catalogues beside the file and those that are shipped are the choice."""
    with pytest.raises(SpecError) as caught:
        ids(tmp_path, "{catalogue: toys}")

    assert f"{tmp_path}/demo.yaml:9: behaviours.0.subjects.catalogue: expected: one of activations, " in str(
        caught.value
    )
    assert ", tools; found: 'toys'" in str(caught.value)


def test_conditions_that_no_row_meets_at_once_are_a_fault(tmp_path: Path) -> None:
    """Where each condition fits some row, what is wrong is all of them."""
    with pytest.raises(SpecError) as caught:
        ids(tmp_path, "{catalogue: tools, where: {kind: sharp, loud: false}}")

    expected = "expected: at least one row of catalogue 'tools' that fits all that is asked; found: none for "
    assert f"{tmp_path}/demo.yaml:9: behaviours.0.subjects: {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"since": "99.0"}, f"holds since torch 99.0; this is {torch.__version__}"),
        ({"until": "1.0"}, f"held until torch 1.0; this is {torch.__version__}"),
        ({"devices": "accelerator"}, "the statement speaks of accelerator; this target is cpu"),
        ({"devices": ["cuda", "mps"]}, "the statement speaks of ['cuda', 'mps']; this target is cpu"),
        ({"devices": ["cpu"]}, None),
        ({"requires": "torch.func.vmap"}, None),
        ({"requires": ["torch.func.vmap", "torch.brew"]}, "this build has no torch.brew"),
        (
            {"subject": SimpleNamespace(name="axe_", since="99.0")},
            f"axe_ holds since torch 99.0; this is {torch.__version__}",
        ),
    ],
)
def test_what_a_statement_does_not_speak_of_has_a_reason(changes: dict[str, object], expected: str | None) -> None:
    """Version, device, capability and subject each may put a cell out of scope, and say so."""
    assert expected == cell(**changes).out_of_scope()
