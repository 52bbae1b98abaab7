"""The catalogues of optimizers and schedulers against the torch that is installed."""

from __future__ import annotations

import inspect
from functools import reduce
from typing import Any

import pytest
import torch

from conformance.engine.subjects import rows
from conformance.engine.versions import out_of_range
from conformance.inputs.schedules import scheduler_class

BASES = {"Optimizer", "LRScheduler", "_LRScheduler"}


def here(catalogue: str) -> list[Any]:
    """Rows of this build's release."""
    return [row for row in rows(catalogue).values() if not out_of_range(torch.__version__, row.since, row.until)]


def classes(*modules: Any) -> set[str]:
    """Public classes that a module has of its own, but the bases."""
    return {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and name[0] != "_" and hasattr(value, "step") and name not in BASES
    }


def test_every_optimizer_is_in_the_catalogue() -> None:
    """Each optimizer of this build has a row, and each row of this release names one."""
    assert classes(torch.optim) == {row.makes.removeprefix("optim.") for row in here("optimizers")}


def test_every_scheduler_is_in_the_catalogue() -> None:
    """Each scheduler of this build has a row, and each row of this release names one."""
    found = classes(torch.optim.lr_scheduler, torch.optim.swa_utils)

    assert found == {row.makes for row in here("schedulers")}


@pytest.mark.parametrize("row", here("optimizers"), ids=lambda row: row.name)
def test_options_of_an_optimizer_are_arguments(row: Any) -> None:
    """A row names arguments that the optimizer has."""
    made = reduce(getattr, row.makes.split("."), torch)

    assert set(row.options) <= set(inspect.signature(made).parameters)


@pytest.mark.parametrize("row", here("schedulers"), ids=lambda row: row.name)
def test_options_of_a_scheduler_are_arguments(row: Any) -> None:
    """A row names arguments that the scheduler has."""
    assert set(row.options) <= set(inspect.signature(scheduler_class(row.makes)).parameters)


def test_implementations_have_rows() -> None:
    """Each optimizer with an argument foreach or fused has a row in which it is true, of a later release maybe."""
    listed = rows("optimizers").values()
    for makes in {row.makes for row in here("optimizers")}:
        made = reduce(getattr, makes.split("."), torch)
        for name in {"foreach", "fused"} & set(inspect.signature(made).parameters):
            assert any(row.makes == makes and row.options.get(name) for row in listed), (makes, name)
