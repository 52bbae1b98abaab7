"""Expectations: listed deviations, and the cells that they are about."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conformance.engine.expectations import SHIPPED, Deviation, Expectations
from conformance.engine.misgivings import misgivings
from conformance.engine.targets import Target
from conformance.engine.yamlfile import SpecError
from conformance.selftest.examples import cell

ENTRY = "- {{cells: '{}', torch: '>=1.0', reason: an accepted one, issue: unreported, date: 2026-01-01}}\n"
CUDA = Target("cuda:0", "cuda:0", "cuda", "Example H200")


def deviation(cells: str, **changes: Any) -> Deviation:
    """A listed deviation."""
    return Deviation(
        **{"cells": cells, "reason": "an accepted one", "issue": "unreported", "date": date(2026, 1, 1), **changes}
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("demo.stays-small[add_-cpu]", True),
        ("demo.stays-small[*-cpu]", True),
        ("demo.*[add_-cpu]", True),
        ("demo.stays-small[ad?_-cpu]", True),
        ("demo*", True),
        ("demo.stays-small*", True),
        ("demo.stays-small", False),
        ("demo.stays-small[add_-cpu", False),
        ("demo.stays-small[ab]add_-cpu]", False),
        ("demo.stays-small[[]add_-cpu]", False),
        ("demo.stays.small[add_-cpu]", False),
        ("stays-small[add_-cpu]", False),
        ("Demo.stays-small[add_-cpu]", False),
    ],
)
def test_a_pattern_covers_whole_ids(pattern: str, expected: bool) -> None:
    """A star stands for any text and a question mark for one character; brackets and dots stand for themselves."""
    assert expected is deviation(pattern).speaks_of(cell(SimpleNamespace(name="add_")))


@pytest.mark.parametrize(
    "pattern", ["demo.stays-small[add_-cpu]", "demo.*[add_-cpu]", "demo.st?ys*", "dem?.*", "demo.stays*"]
)
def test_an_entry_is_found_by_behaviour(tmp_path: Path, pattern: str) -> None:
    """An entry is found wherever its stars stand, and one of another behaviour is passed over."""
    file = tmp_path / "mine.yaml"
    file.write_text("deviations:\n" + ENTRY.format("demo.stays-smaller[*") + ENTRY.format(pattern))
    found = Expectations([file]).of(cell(SimpleNamespace(name="add_")))

    assert found is not None
    assert pattern == found.cells


@pytest.mark.parametrize(("version", "expected"), [("2.4.1+cpu", True), ("2.5.0a0+git1", False), ("2.3.0", False)])
def test_a_condition_on_versions_is_held(monkeypatch: pytest.MonkeyPatch, version: str, expected: bool) -> None:
    """A deviation of some releases says nothing of others, and a pre-release counts as its release."""
    monkeypatch.setattr(torch, "__version__", version)

    assert expected is deviation("demo.*", torch=">=2.4,<2.5").speaks_of(cell())


def test_a_condition_on_devices_is_held() -> None:
    """A deviation of one type of device says nothing of the others."""
    listed = deviation("demo.*", devices=["cuda"])

    assert listed.speaks_of(cell(target=CUDA))
    assert not listed.speaks_of(cell())


def test_the_first_that_speaks_of_a_cell_counts(tmp_path: Path) -> None:
    """Files are read in the order given, and the first entry that fits is the reason."""
    entry = "deviations:\n- {{cells: '{}', reason: {}, issue: {}, date: 2026-01-01}}\n"
    (tmp_path / "a.yaml").write_text(entry.format("demo.other*", "the other cells", "unreported"))
    (tmp_path / "b.yaml").write_text(
        entry.format("demo.*", "the second file", "https://github.com/pytorch/pytorch/issues/1")
    )
    listed = Expectations([tmp_path / "a.yaml", tmp_path / "b.yaml"])

    found = listed.of(cell())

    assert found is not None
    assert ("the second file", "https://github.com/pytorch/pytorch/issues/1") == (found.reason, found.link)
    assert listed.of(cell(id="other-thing")).link is None
    assert listed.of(cell(area="another")) is None


def test_refusals_are_those_that_speak_of_the_cell(tmp_path: Path) -> None:
    """The element types of every entry that fits count, on the releases and cells that it names."""
    entry = "- {{cells: '{}', dtypes: {}, torch: '{}', reason: in some kernels, issue: unreported, date: 2026-01-01}}\n"
    (tmp_path / "a.yaml").write_text(
        "deviations: []\nrefusals:\n"
        + entry.format("demo.*", "[float16, bool]", ">=1.0")
        + entry.format("*", "[uint8]", ">=1.0")
        + entry.format("*", "[int8]", "<1.0")
    )
    listed = Expectations([tmp_path / "a.yaml"])

    assert {"float16", "bool", "uint8"} == listed.refused(cell())
    assert {"uint8"} == listed.refused(cell(area="another"))


@pytest.mark.parametrize("pattern", ["*", "*.*", "**", "?*", "*[*]", "*.*[*]", "*-*]", "", "."])
def test_a_pattern_of_everything_is_an_error(tmp_path: Path, pattern: str) -> None:
    """A list that accepts whatever fails is no list of deviations: file, line, key, expected and found are told."""
    (tmp_path / "a.yaml").write_text(f"deviations:\n{ENTRY.format(pattern)}")
    with pytest.raises(
        SpecError, match=r"a\.yaml:2: deviations\.0\.cells: expected: .*; found: '" + re.escape(pattern)
    ):
        Expectations([tmp_path / "a.yaml"])


CELLS = [f"demo.{name}[{end}]" for name in ("stays-small", "stays-even") for end in ("add_-cpu", "mul_-cpu")]
CELLS += ["other.holds[cpu]", "other.lasts[cpu]"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("demo.stays-small[*]", None),
        ("*.stays-small[*]", None),
        ("demo.stays-small[add_-cuda:3]", None),
        ("demo.*[add_-cuda*]", None),
        ("other.holds[mps]", None),
        ("elsewhere.stays-smal[*]", None),
        ("demo.stay[*]", "fits none; nearest: demo.stays-even[add_-cpu], "),
        ("demo.stays-smal[ad_-cpu]", "fits none; nearest: demo.stays-small[add_-cpu], "),
        ("demo.stays-small[ad_-cpu]", "fits none; nearest: demo.stays-small[add_-cpu], demo.stays-small[mul_-cpu]"),
        ("damo.stays-small[add_-cpu]", "fits none; nearest: demo.stays-small[add_-cpu], "),
        ("demo.stays-small[add_-gpu]", "fits none; nearest: demo.stays-small[add_-cpu], "),
        ("demo.stays_small", "fits none; nearest: demo.stays-small[add_-cpu], "),
        ("xyz", "'xyz', which fits none"),
        ("demo.*", "expected a pattern of some cells of an area; found 'demo.*', which accepts all 4 cells of demo"),
        ("*[*-cpu]", "which accepts all 4 cells of demo"),
        ("*cpu]", "which accepts all 2 cells of other, all 4 cells of demo"),
    ],
)
def test_a_pattern_that_is_misspelt_or_too_wide_is_told(tmp_path: Path, pattern: str, expected: str | None) -> None:
    """By file, line and the nearest cells, on whatever torch; cells of devices and areas that are not here may be."""
    good = ENTRY.format("demo.stays-small[add_-cpu]")
    bad = ENTRY.format(pattern).replace("torch: '>=1.0'", "torch: '<1.0'")
    (tmp_path / "a.yaml").write_text(f"# mine\ndeviations:\n{good}{bad}")
    found = misgivings(Expectations([SHIPPED, tmp_path / "a.yaml"]), CELLS, frozenset({"elsewhere"}))

    assert [expected is not None] == [bool(found)]
    for line in found:
        assert "a.yaml:4: cells: expected a pattern " in line
        assert expected is not None
        assert expected in line


def test_a_misspelt_refusal_is_told_too(tmp_path: Path) -> None:
    """Refusals are patterns of the same kind; one of every cell is no accident there."""
    entries = "".join(
        ENTRY.format(cells).replace("torch: '>=1.0'", "dtypes: [int8]") for cells in ("*", "demo.stay[*]")
    )
    (tmp_path / "a.yaml").write_text(f"deviations: []\nrefusals:\n{entries}")
    found = misgivings(Expectations([SHIPPED, tmp_path / "a.yaml"]), CELLS)

    assert ["a.yaml:4: cells: expected"] == [line[line.index("a.yaml") :][:25] for line in found]
