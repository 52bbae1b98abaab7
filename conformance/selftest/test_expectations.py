"""Expectations: listed deviations, and the cells that they are about."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conformance.engine.expectations import SHIPPED, Deviation, Expectations
from conformance.engine.targets import Target
from conformance.selftest.examples import cell

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
        ("*", True),
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


@pytest.mark.parametrize(("version", "expected"), [("2.4.1+cpu", True), ("2.5.0a0+git1", False), ("2.3.0", False)])
def test_a_condition_on_versions_is_held(monkeypatch: pytest.MonkeyPatch, version: str, expected: bool) -> None:
    """A deviation of some releases says nothing of others, and a pre-release counts as its release."""
    monkeypatch.setattr(torch, "__version__", version)

    assert expected is deviation("*", torch=">=2.4,<2.5").speaks_of(cell())


def test_a_condition_on_devices_is_held() -> None:
    """A deviation of one type of device says nothing of the others."""
    listed = deviation("*", devices=["cuda"])

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


def test_a_pattern_of_the_user_that_fits_no_cell_is_told(tmp_path: Path) -> None:
    """Of the user's files, and on whatever torch: a pattern that no cell has is misspelt, most likely."""
    entry = "- {{cells: '{}', torch: '{}', reason: an accepted one, issue: unreported, date: 2026-01-01}}\n"
    (tmp_path / "a.yaml").write_text(
        "deviations:\n" + entry.format("demo.stays-*", "<1.0") + entry.format("demo.stay[*]", ">=1.0")
    )

    assert ["demo.stay[*]"] == Expectations([SHIPPED, tmp_path / "a.yaml"]).silent(["demo.stays-small[add_-cpu]"])
