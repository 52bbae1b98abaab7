"""What the README says of areas, options and commands is so."""

from __future__ import annotations

import re
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.cells import cells_of
from conformance.engine.plugin import pytest_addoption
from conformance.engine.specs import area_names, load_area
from conformance.engine.targets import Target

CPU = Target("cpu", "cpu", "cpu", "a processor")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def told(pattern: str) -> list[str]:
    return re.findall(pattern, README, re.MULTILINE)


def test_every_area_has_a_line() -> None:
    """The table of areas names each spec file once."""
    assert sorted(told(r"^\| `(\w+)`:")) == sorted(area_names())


@pytest.mark.parametrize("area", area_names())
def test_the_numbers_of_an_area_are_counted(area: str) -> None:
    """Behaviours and cells on the CPU are as ``python -m conformance list`` prints them."""
    loaded = load_area(area)
    cells = sum(1 for behaviour in loaded.area.behaviours for _ in cells_of(loaded, behaviour, [CPU]))

    behaviours = len(loaded.area.behaviours)
    assert told(rf"^\| `{area}`:.*?\| ([\d,]+) \| ([\d,]+) \|") == [(f"{behaviours:,}", f"{cells:,}")]


class Options:
    """Stands for pytest's parser: remembers the options that it is given, but those that are hidden."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *_: str) -> Options:
        return self

    def addoption(self, name: str, **how: Any) -> None:
        if how.get("help") is not SUPPRESS:
            self.names.add(name)


def test_every_option_is_told() -> None:
    """The table of options has each option that this project adds to pytest, and no other."""
    options = Options()
    pytest_addoption(options)  # type: ignore[arg-type]

    assert sorted(told(r"^\| `(--[\w-]+)")) == sorted(options.names)
