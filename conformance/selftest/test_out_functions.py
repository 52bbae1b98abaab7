"""The catalogues of functions with ``out=`` hold every public one of the torch under test, or say why not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from conformance.engine.out_catalogue import OutForm
from conformance.engine.subjects import left_out, rows
from conformance.engine.versions import out_of_range
from conformance.inputs.further_outs import FURTHER_OPERANDS, further_call
from conformance.inputs.out_forms import FORM_OPERANDS
from conformance.inputs.outs import out_forms

FURTHER = rows("further_out_functions")
HOMES = {"": torch, "linalg.": torch.linalg, "fft.": torch.fft, "special.": torch.special}


def takes_out(function: Any) -> bool:
    """Whether a function says that it takes ``out=``, in its docstring or in its signature."""
    if re.search(r"\bout\s*=|\bout \((Tensor|tuple)", function.__doc__ or ""):
        return True
    try:
        return "out" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def installed() -> Iterator[str]:
    """The public functions of the torch under test that take ``out=``."""
    for prefix, home in HOMES.items():
        for name in dir(home):
            found = getattr(home, name)
            if not name.startswith("_") and callable(found) and not isinstance(found, type) and takes_out(found):
                yield f"{prefix}{name}"


def test_every_function_is_in_a_catalogue_or_left_out_with_a_reason() -> None:
    """A function that a new release brings is missed here, and by name."""
    known = {*rows("out_functions"), *FURTHER, *left_out("further_out_functions")}

    assert [] == sorted(set(installed()) - known)


def test_no_function_is_listed_twice() -> None:
    """What is left out is no row, and no function is in both catalogues."""
    lists = [set(rows("out_functions")), set(FURTHER), set(left_out("further_out_functions"))]

    assert not (lists[0] & lists[1] | lists[0] & lists[2] | lists[1] & lists[2])
    assert all(left_out("further_out_functions").values())


def test_every_operand_is_used() -> None:
    """No tensor is made for nothing, and every name is that of one."""
    used = {name for row in FURTHER.values() for name in re.findall(r"'(\w+)'", repr(row.operands))}

    assert used == set(FURTHER_OPERANDS)


@pytest.mark.parametrize("name", ["linalg.svd", "fft.hfft", "lu_unpack", "concat", "isneginf"])
@pytest.mark.parametrize("layout", ["contiguous", "stepped", "transposed", "empty"])
def test_a_call_can_be_run_as_it_is_written(name: str, layout: str) -> None:
    """The listing of a call is a program; its outs are of the layout and hold the results."""
    scope: dict[str, Any] = {"print": lambda *_: None}
    exec(further_call(FURTHER[name], "cpu", layout).code(), scope)

    for result, out in zip(scope["results"], scope["outs"], strict=True):
        assert out.equal(result)
        assert layout in ("contiguous", "empty") or out.dim() < 2 or not out.is_contiguous()


def every_form() -> list[Any]:
    """The calls of all further forms that this release has, on the CPU."""
    here = [row for row in rows("out_functions").values() if not out_of_range(torch.__version__, row.since, row.until)]
    return [call for row in here for call in out_forms(row.name, "cpu")]


def test_every_tensor_of_the_forms_is_used() -> None:
    """No tensor is made for nothing, but for those that behaviours name themselves."""
    used = {
        name
        for row in rows("out_functions").values()
        for form in row.forms
        for name in re.findall(r"'(\w+)'", repr((form.args, list(form.keywords.values()))))
    }

    assert used - {"float32", "float64", "trunc"} == set(FORM_OPERANDS) - {"boxes"}


def test_every_form_can_be_run_as_it_is_written() -> None:
    """The listing of a form is a program, and its outs have the shapes of the results that are written out."""
    for call in every_form():
        scope: dict[str, Any] = {}
        exec(call.code(), scope)

        assert [plan.shape for plan in call.results] == [tuple(scope[f"out{i}"].shape) for i in range(len(call.outs))]


def test_no_two_forms_of_a_row_are_the_same() -> None:
    """Every form is another call."""
    listings = [call.code() for call in every_form()]

    assert len(set(listings)) == len(listings)


def test_a_key_that_no_form_has_is_an_error() -> None:
    """A typing error in a row is told, and is not silently ignored."""
    with pytest.raises(ValidationError, match="keyword"):
        OutForm(args=("x",), keyword={"dim": 1})  # type: ignore[call-arg]
