"""Checks that fail on released builds pass on a repaired one, and fail there again under a break."""

from __future__ import annotations

import pytest

from conformance.engine.words import Verdict
from conformance.selftest.falsifiers.inplace_indexed import AREA
from conformance.selftest.falsifiers.inplace_repairs import REPAIRS
from conformance.selftest.falsifying import FALSIFIERS
from conformance.selftest.test_falsifiers import cell_of, run


@pytest.mark.parametrize("behaviour", REPAIRS)
def test_a_repair_turns_the_cell_green(behaviour: str) -> None:
    """The check fails for torch's sake: it passes where torch does what its documentation says."""
    falsifier = next(found for found in FALSIFIERS if found.behaviour == f"{AREA}.{behaviour}")
    cell = cell_of(falsifier)
    with REPAIRS[behaviour]():
        mended = run(cell)
    with falsifier.in_place():
        broken = run(cell)

    assert mended.verdict is Verdict.PASS, mended
    assert broken.verdict is Verdict.FAIL, broken
