"""The catalogue of losses against the torch that is installed."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conformance.engine.subjects import rows
from conformance.engine.versions import out_of_range
from conformance.inputs.loss_sources import smooth_losses
from conformance.inputs.valued_calls import tensors_in

# Classes that are no loss of their own.
EXCLUDED = {"NLLLoss2d": "a deprecated name of NLLLoss without a page"}
# Arguments that change no number of the formula, or that a row of another kind covers.
OTHER_ARGUMENTS = {
    "size_average", "reduce", "reduction", "device", "dtype", "bias", "in_features", "n_classes", "cutoffs",
    "num_classes", "out_features", "options", "distance_function",
}  # fmt: skip


def here() -> list[Any]:
    """Rows of this build's release."""
    return [row for row in rows("losses").values() if not out_of_range(torch.__version__, row.since, row.until)]


def losses() -> set[str]:
    """Public losses of torch.nn."""
    named = {name for name in dir(torch.nn) if "Loss" in name and isinstance(getattr(torch.nn, name), type)}
    return {name for name in named if issubclass(getattr(torch.nn, name), torch.nn.Module)} - set(EXCLUDED)


def test_every_loss_is_in_the_catalogue() -> None:
    """Each loss of this build has a row, and each row of this release names one."""
    assert losses() == {row.name for row in here()}


def test_every_loss_function_is_in_the_catalogue() -> None:
    """Each public function of torch.nn.functional that is the loss of a module has its row."""
    named = {
        name for name in dir(torch.nn.functional) if name.endswith(("_loss", "kl_div", "_entropy")) and name[0] != "_"
    }
    named |= {"binary_cross_entropy_with_logits"}

    assert named - {"linear_cross_entropy"} == {row.function for row in here() if row.functional}


@pytest.mark.parametrize("row", here(), ids=lambda row: row.name)
def test_every_argument_of_a_loss_has_a_call(row: Any) -> None:
    """A row names the arguments that change the numbers, and some call gives each of them."""
    arguments = set(inspect.signature(getattr(torch.nn, row.name)).parameters) - OTHER_ARGUMENTS

    assert arguments == set(row.options)
    given = {name for call in row.calls for name in {**call.get("with", {}), **call.get("built", {})}}
    assert arguments <= given


@pytest.mark.parametrize("row", here(), ids=lambda row: row.name)
def test_older_arguments_are_told(row: Any) -> None:
    """A row says whether there are size_average and reduce."""
    assert row.older == ("size_average" in inspect.signature(getattr(torch.nn, row.name)).parameters)


@pytest.mark.parametrize("row", here(), ids=lambda row: row.name)
def test_what_is_differentiated_is_finite(row: Any) -> None:
    """No case whose gradients are compared is a mean of nothing, which is NaN."""
    cell: Any = SimpleNamespace(subject=row, target=SimpleNamespace(device="cpu"))
    for case in smooth_losses(cell).corners:
        assert bool(torch.isfinite(tensors_in(case.build().call())[-1]).all()), case.code()
