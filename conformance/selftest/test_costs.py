"""Costs: every subject of the catalogues that write has its row, and the arithmetic of exponents and ratios."""

from __future__ import annotations

import pytest

from conformance.engine.evidence import tabled
from conformance.engine.subjects import left_out, rows
from conformance.oracles.exponents import exponent, fitted


def priced(kind: str) -> set[str]:
    """The names of the rows of a kind, without what tells variants apart."""
    return {name.partition("-")[0] for name, row in rows("costs").items() if row.kind == kind}


@pytest.mark.parametrize("catalogue", ["out_functions", "further_out_functions"])
def test_every_out_is_priced_or_left_out_with_a_reason(catalogue: str) -> None:
    """A function that takes an out and that nobody prices could copy its result into it unseen."""
    reasons = {name.removesuffix("-out") for name in left_out("costs") if name.endswith("-out")}

    assert set() == set(rows(catalogue)) - priced("out") - reasons
    assert set() == priced("out") & reasons


def test_every_in_place_operator_is_priced_or_left_out_with_a_reason() -> None:
    """An operator that nobody prices could compute its result elsewhere unseen."""
    reasons = {name.removesuffix("in-place") for name in left_out("costs")}

    assert set() == set(rows("operators")) - priced("in-place") - reasons


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_of_a_power_is_found(power: int) -> None:
    """One point that is far off moves it little."""
    sizes = [1 << n for n in range(6, 25, 3)]
    points = [(n, float(n**power)) for n in sizes]
    found = exponent([*points[:3], (sizes[3], 50.0 * sizes[3] ** power), *points[4:]])

    assert abs(found.slope - power) < 0.05
    assert found.low <= power <= found.high


def test_an_exponent_of_few_points_is_none() -> None:
    """Three points tell nothing, and are no evidence."""
    tabled.clear()

    assert fitted("bytes", [(64, 0), (128, 0), (256, 0)], (0.0, 0.0)) is None
    assert {} == tabled
    assert fitted("bytes", [(64, 0), (128, 0), (256, 0), (512, 0)], (0.0, 0.0)) is not None
    assert 0 == tabled["scaling"][0]["exponent"]
    tabled.clear()
