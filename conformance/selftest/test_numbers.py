"""Numbers: one wrong number among many is found wherever it stands, also where the right ones repeat."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.engine.evidence import measured
from conformance.engine.mismatch import Mismatch
from conformance.oracles import numbers

PERIOD = (float("nan"), 1.1, 3.0, -0.0, 1.1, float("inf"), 7.3)
COUNT = 32769
TYPES = {"float32": np.float64, "float64": np.longdouble, "complex128": np.clongdouble}


def long_numbers(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Many numbers that repeat a few, in higher precision, and what a call an ULP off at most leaves of them."""
    expected = np.resize(np.array(PERIOD, TYPES[dtype]), COUNT)
    found = np.nextafter(expected.real.astype(dtype if dtype != "complex128" else "float64"), np.inf)
    found[expected == 0] = -0.0
    return expected, found.astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_long_numbers_are_close(dtype: str) -> None:
    """Where every number is within the tolerance none is reported, and the largest error is evidence."""
    expected, found = long_numbers(dtype)
    measured.clear()
    numbers.close(expected, found, dtype, "elementary", "numbers")

    assert 0.5 < measured["largest_error_ulp"] <= 2


@pytest.mark.parametrize(
    "wrong", [slice(1, 2), slice(8, 9), slice(30004, 30005), slice(32768, None), slice(20001, None)]
)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_wrong_number_among_many_is_found(dtype: str, wrong: slice) -> None:
    """The first wrong number is reported, be it one of a kind, the last, or all from some place on."""
    expected, found = long_numbers(dtype)
    found[wrong] = 1.25
    with pytest.raises(Mismatch, match=rf"index \({wrong.start},\)"):
        numbers.close(expected, found, dtype, "elementary", "numbers")


def test_numbers_that_repeat_late_are_all_looked_at() -> None:
    """A wrong number is found where the right ones do not repeat, or only almost do."""
    expected = np.resize(np.arange(150.0), COUNT)
    expected[COUNT - 1] = 0.25
    found = expected.astype("float32")
    found[COUNT - 1] = 0.5
    with pytest.raises(Mismatch, match=rf"index \({COUNT - 1},\)"):
        numbers.close(expected, found, "float32", "exact", "numbers")


def test_the_sign_of_a_late_zero_counts() -> None:
    """A zero of the other sign is wrong where the class of accuracy determines its sign, however late it stands."""
    expected = np.resize(np.array([1.0, -0.0]), COUNT)
    found = expected.astype("float32")
    found[COUNT - 2] = 0.0
    with pytest.raises(Mismatch, match=rf"index \({COUNT - 2},\)"):
        numbers.close(expected, found, "float32", "exact", "numbers")
