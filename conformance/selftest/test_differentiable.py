"""The catalogue of differentiable functions holds every public function of the torch under test, or says why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
import torch

from conformance.engine.catalogue import differentiable_functions, operators
from conformance.engine.subjects import rows
from conformance.inputs.derivation_sources import functions, points

HOMES = {
    "": torch,
    "nn.functional.": torch.nn.functional,
    "linalg.": torch.linalg,
    "fft.": torch.fft,
    "special.": torch.special,
}
LEFT_OUT = [name for group in differentiable_functions().excluded for name in group.names]


def of_torch(name: str) -> Any:
    """What ``torch.<name>`` is; None where this torch has no such thing."""
    return reduce(lambda owner, part: getattr(owner, part, None), name.split("."), torch)


def called() -> set[str]:
    """The functions that the calls of the rows name."""
    found = {row.functional for row in operators().rows().values()}
    for row in rows("differentiable").values():
        texts = [row.text.format(name=row.name, call=call) for call in row.calls]
        texts += [(point.text or row.text).format(name=row.name, call=point.call) for point in row.points]
        found |= set(re.findall(r"torch\.([A-Za-z_][\w.]*)\(", " ".join(texts)))
    return found - {None}


def documented() -> Iterator[str]:
    """Public functions with a docstring; those with a last underscore write in place, and types have a capital."""
    for prefix, home in HOMES.items():
        for name, found in vars(home).items():
            function = callable(found) and not isinstance(found, type)
            if function and found.__doc__ and name[0].islower() and name[-1] != "_":
                yield f"{prefix}{name}"


def test_every_function_is_called_or_left_out_with_a_reason() -> None:
    """A function that a new release brings is missed here, and by name; another name of one is not another one."""
    same = {id(of_torch(name)) for name in called()}
    missed = {name for name in documented() if id(of_torch(name)) not in same}

    assert [] == sorted(missed - set(LEFT_OUT))


def test_what_is_left_out_is_called_nowhere() -> None:
    """No function is left out twice, and none that a row calls as its own."""
    names = {row.text.format(name=row.name, call="").split("(")[0] for row in rows("differentiable").values()}

    assert len(LEFT_OUT) == len(set(LEFT_OUT))
    assert set() == {f"torch.{name}" for name in LEFT_OUT} & names


def test_every_row_can_be_called() -> None:
    """Each name after torch in a row is one of this torch, unless it belongs to another release."""
    here = {name for name in called() if of_torch(name) is None}
    other = {row.name for row in rows("differentiable").values() if row.since or row.until}

    assert here <= other | {row.functional for row in operators().rows().values()}


@pytest.mark.parametrize("name", ["seeded_draws", "frexp", "Tensor.unfold"])
def test_a_listing_is_a_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The code of a row's calls can be run, and prints the gradients."""
    row = rows("differentiable")[name]
    for case in [*functions(row, "cpu", "float64"), *(case for case, _ in points(row, "cpu"))]:
        with torch.random.fork_rng(devices=[]):
            exec(case.code(), {})

        assert "tensor(" in capsys.readouterr().out


def test_seeded_draws_leave_the_generator_alone() -> None:
    """Random functions are asked for their derivatives with one seed, and what others draw stays the same."""
    before = torch.get_rng_state()
    (first, *_) = functions(rows("differentiable")["seeded_draws"], "cpu", "float64")

    assert first.loss(first.starts()) == first.loss(first.starts())
    assert torch.equal(before, torch.get_rng_state())
