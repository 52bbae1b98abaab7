"""The shipped areas: each spec file has its module of checks, and each behaviour its check."""

from __future__ import annotations

import importlib

import pytest

from conformance.engine.binding import bind
from conformance.engine.specs import area_names, load_area


@pytest.mark.parametrize("name", area_names())
def test_every_behaviour_has_its_check(name: str) -> None:
    """A spec file that nothing checks would promise what the suite does not do."""
    loaded = load_area(name)

    checks = bind(loaded, importlib.import_module(f"conformance.test_{name}"))

    assert [behaviour.id for behaviour in loaded.area.behaviours] == list(checks)
