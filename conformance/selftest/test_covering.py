"""Covering arrays cover what they say, and the same way every time."""

from __future__ import annotations

from itertools import combinations

import pytest

from conformance.inputs.covering import covering, coverings

FACTORS = ("abcdefgh", "ABCDEF", "12345", "xy", "pqr")


@pytest.mark.parametrize("count", range(1, len(FACTORS) + 1))
def test_every_pair_of_choices_occurs(count: int) -> None:
    """Any two choices of two factors meet in at least one row."""
    rows = covering(*FACTORS[:count])

    for a, b in combinations(range(count), 2):
        assert len({(row[a], row[b]) for row in rows}) == len(FACTORS[a]) * len(FACTORS[b])
    assert all(len(row) == count for row in rows)


def test_rows_are_deterministic() -> None:
    """Two calls give the same rows in the same order."""
    assert covering(*FACTORS) == covering(*FACTORS)


def test_further_passes_add_triples() -> None:
    """A second pass keeps the first and brings triples that it had not."""
    once, twice = coverings(1, *FACTORS), coverings(2, *FACTORS)

    assert twice[: len(once)] == once
    assert len({row[1:4] for row in twice}) > len({row[1:4] for row in once})
