"""The catalogue of torch.nn against the torch that is installed."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from conformance.engine.module_catalogue import ModuleRow, modules
from conformance.engine.versions import out_of_range
from conformance.inputs.layer_sources import calls_of, constructions, layer_use, shapes_of
from conformance.inputs.values import DOMAINS
from conformance.oracles.layer_calls import documented_shapes

ROWS = [row for row in modules().rows().values() if not out_of_range(torch.__version__, row.since, row.until)]
# Arguments that no construction should use: private, or deprecated in favour of ``reduction`` and ``min_val``.
OTHERS = {"size_average", "reduce", "min_value", "max_value", "_weight", "_freeze", "_random_samples", "args", "kwargs"}


def public_modules() -> set[str]:
    """Every public class of torch.nn of this build that is a module."""
    return {
        name
        for name, value in vars(torch.nn).items()
        if isinstance(value, type) and issubclass(value, torch.nn.Module) and name[0] != "_"
    }


def by_name(row: ModuleRow) -> str:
    return row.name


def test_every_module_is_in_the_catalogue() -> None:
    """Each public class of torch.nn of this build has a row or a reason, and each row of this release names one."""
    excluded = {x.name for x in modules().excluded if not out_of_range(torch.__version__, x.since, x.until)}

    assert public_modules() == {row.name for row in ROWS} | excluded


def test_no_module_is_both_in_and_out() -> None:
    """No class has a row and is excluded as well, and what is left out has its reason."""
    assert {x.name for x in modules().excluded} & set(modules().rows()) == set()
    assert all(len(x.reason) > 10 for x in modules().excluded)


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_has_the_arguments_of_its_class(row: ModuleRow) -> None:
    """The signature is the constructor's, in its order and with its defaults, but what is private or deprecated."""
    parameters = inspect.signature(getattr(torch.nn, row.name)).parameters
    found = {name: value.default for name, value in parameters.items() if name not in OTHERS}
    later = {name for name, first in row.later.items() if out_of_range(torch.__version__, first, None)}
    expected = {name: value for name, value in row.defaults.items() if name not in later}

    if found:  # some take whatever comes and say in their docstring what that is
        assert [name for name in expected if name in found] == [name for name in found if name in expected]
        assert set(found) - set(row.defaults) == set()
        assert set(expected) - set(found) == set()
        assert {k: v for k, v in expected.items() if plain(v)} == {
            k: v for k, v in found.items() if plain(expected.get(k, v))
        }
    else:
        text = getattr(torch.nn, row.name).__doc__ or ""
        assert all(name in text for name in row.defaults if name not in ("device", "dtype"))


def plain(value: Any) -> bool:
    """Whether a default can be written as it is: not missing, and no function."""
    return isinstance(value, bool | int | float | str | tuple) and value != "relu"


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_names_what_there_is(row: ModuleRow) -> None:
    """Ranges, hidden and later arguments are arguments; element types and kinds of operands exist."""
    named = {*row.ranges, *row.hidden, *row.later} - {"each"}

    assert named <= set(row.defaults)
    assert all(hasattr(torch, dtype) for dtype in row.dtypes)
    assert all(":" in kind or kind in DOMAINS or kind in ("signs", "order", "distinct") for kind in row.operands)
    assert row.becomes is None or row.becomes in modules().rows()


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_constructions_lie_within_the_ranges(row: ModuleRow) -> None:
    """Each argument of each construction has a value that the row's range admits, and each construction works."""
    for made in constructions(row):
        for name, value in row.given(made.call).items():
            for part in value if isinstance(value, tuple | list) else (value,):
                assert name not in row.ranges or eval(row.ranges[name], {"v": part}), (made.call, name, part)
        layer_use(row, made, "-").new()


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind != "lazy"], ids=by_name)
def test_every_argument_has_a_construction(row: ModuleRow) -> None:
    """Each argument has somewhere another value than its default, or the reason why not is known here."""
    met = {name for made in row.arguments for name in row.given(made.call)}

    assert set(row.defaults) - met - UNMET.get(row.name, set()) - UNMET["each"] == set()


# `each`: met by checks of their own, or by no value that a test without files or process groups could give.
UNMET: dict[str, set[str]] = {
    "each": {"device", "dtype"},
    "Transformer": {"custom_encoder", "custom_decoder"},
    "LinearCrossEntropyLoss": {"options"},
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.output], ids=by_name)
def test_shapes_can_be_computed(row: ModuleRow) -> None:
    """The formula of a row gives shapes for each of its calls."""
    for made, shapes in calls_of(row):
        found = documented_shapes(layer_use(row, made, shapes, expected=str(row.output)))
        assert all(all(isinstance(size, int) and size >= 0 for size in shape) for shape in found)


def test_shapes_are_read() -> None:
    """A text of the catalogue is a list of shapes."""
    assert ((2, 3), (), (0, 3)) == shapes_of("2x3 - 0x3")
