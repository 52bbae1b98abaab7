"""The catalogue of layers with a written-out formula against the torch that is installed, and the error bounds."""

from __future__ import annotations

import inspect
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch

from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.specs import load_area
from conformance.engine.subjects import left_out, rows
from conformance.engine.versions import out_of_range
from conformance.inputs.valued_sources import speaks_here, swept_calls
from conformance.oracles.bounded import (
    Bounded,
    contracted,
    log_softmax_of,
    near,
    near_each,
    over_deviation,
    unit_of,
)


def here() -> list[Any]:
    """Rows of this build's release."""
    return [row for row in rows("layer_formulas").values() if not out_of_range(torch.__version__, row.since, row.until)]


@pytest.mark.parametrize("row", here(), ids=lambda row: row.name)
def test_options_of_a_layer_are_arguments(row: Any) -> None:
    """A row names a layer or a function of this build, and each call arguments that it has."""
    made = reduce(getattr, row.name.split("."), torch.nn)
    known = set(inspect.signature(made).parameters) if row.name[0].isupper() else None
    if row.name in ("RNN", "LSTM", "GRU"):
        known = set(inspect.signature(torch.nn.RNNBase).parameters) | {"nonlinearity"}

    for call in row.calls:
        assert known is None or not speaks_here(call) or set(call.get("with", {})) <= known


def test_every_family_has_a_behaviour() -> None:
    """No row is a subject of nothing."""
    behaviours = load_area("layer_values").area.behaviours
    asked = {b.subjects.where.get("family") for b in behaviours if b.subjects is not None}

    assert {row.family for row in rows("layer_formulas").values()} == asked - {None}


def test_every_activation_and_normalisation_is_a_row() -> None:
    """A new activation, pooling, padding, convolution or norm of torch.nn needs its formula."""
    words = ("Pool", "Pad", "Conv", "Norm", "Dropout")
    new = {name for name in dir(torch.nn) if name[0] != "L" or "Lazy" not in name}
    new = {name for name in new if isinstance(getattr(torch.nn, name), type) and any(word in name for word in words)}
    new |= set(torch.nn.modules.activation.__all__)
    known = {row.name for row in rows("layer_formulas").values()}

    assert new - known == set(left_out("layer_formulas")) & new


def test_sweeps_hold_every_pair_of_values() -> None:
    """Each value that a sweep lists is in some call of it, beside what the sweep rules out."""
    for row in here():
        for sweep in getattr(row, "sweeps", ()):
            calls = [call["with"] for call in swept_calls(row)]
            for name, values in sweep["with"].items():
                assert {str(value) for value in values} <= {str(call.get(name)) for call in calls}, (row.name, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_stays_within_the_bounds(dtype: str) -> None:
    """Formulas that NumPy computes in the type itself lie within the bounds of the analysis, and use some of them."""
    draws = np.random.default_rng(5)
    x, w = (draws.normal(size=(50, 40)).astype(dtype) for _ in range(2))
    shifted, squares = x - x.max(1, keepdims=True), (x * x).mean(1, keepdims=True)
    exact, unit = Bounded(x, unit_of(dtype)), unit_of(dtype)
    pairs = [
        (contracted("ni,oi->no", exact, w), x @ w.T),
        (exact.exp().sum(1).log(), np.log(np.exp(x).sum(1))),
        (log_softmax_of(exact, 1), shifted - np.log(np.exp(shifted).sum(1, keepdims=True))),
        ((exact - exact.mean(1, True)) / (exact * exact).mean(1, True).sqrt(),
         (x - x.mean(1, keepdims=True)) / np.sqrt(squares)),
        (exact.tanh() * exact.sigmoid(), np.tanh(x) * (1 / (1 + np.exp(-x)))),
    ]  # fmt: skip

    for bounded, found in pairs:
        near(bounded, torch.from_numpy(np.ascontiguousarray(found)), dtype, "formula")
        assert (bounded.error <= 1e4 * unit * (1 + np.abs(bounded.value))).all()  # and the bounds say something


def test_a_number_outside_of_its_bound_is_told() -> None:
    """The comparison can fail, and names the first place."""
    exact = Bounded(np.ones(3), unit_of("float32")) * 0.3
    found = torch.tensor([0.3, 0.3, 0.3 + 1e-6])

    with pytest.raises(Mismatch, match=r"\(2,\)"):
        near(exact, found, "float32", "formula")


def test_an_unbounded_error_bounds_nothing_after_a_product_with_zero() -> None:
    """A zero by a number of no bound has no bound either: no number is held against it, and other places are."""
    unbounded = Bounded(np.ones(2), unit_of("float32"), np.array([np.inf, 0.0]))
    with np.errstate(invalid="ignore"):
        product = unbounded * np.zeros(2)

    assert near(product, torch.tensor([1e-6, 0.0]), "float32", "formula")
    with pytest.raises(Mismatch, match=r"\(1,\)"):
        near(product, torch.tensor([0.0, 1e-6]), "float32", "formula")


def test_a_result_without_any_bound_is_no_case() -> None:
    """A case none of whose numbers has a bound counts for nothing; one that has shape (0,) counts."""
    unbounded = Bounded(np.ones(2), unit_of("float32"), np.array([np.inf, np.nan]))

    with pytest.raises(Discard, match="has a bound"):
        near_each([unbounded], [torch.ones(2)], "float32", "formula")
    with pytest.raises(Mismatch):
        near_each([unbounded, Bounded(np.ones(1), unit_of("float32"))], [torch.ones(2)] * 2, "float32", "formula")
    near_each([Bounded(np.ones(0), unit_of("float32"))], [torch.ones(0)], "float32", "formula")


def test_the_rows_of_a_norm_have_bounds_however_even_they_are() -> None:
    """By the square root of a variance that rounding makes of nothing, and eps, a number stays bounded."""
    centred, variance = (Bounded(np.full(1, x), unit_of("float32"), np.full(1, 1e-4)) for x in (0.0, 0.0))

    assert np.isinf((centred / (variance + 1e-5).sqrt()).error).all()
    assert (over_deviation(centred, variance, 1e-5).error < 0.1).all()
