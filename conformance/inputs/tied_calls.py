"""Tied calls: functional_call of a module two of whose names are one parameter.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TIED_NAMES = ("first", "second", "shift", "stranger")
TIED_VALUES = {"first": 1.0, "second": 1.0, "shift": 4.0}


def tied_sum(self: Any, x: Any) -> Any:
    """x * first + 10 * second + 100 * shift."""
    return x * self.first + 10 * self.second + 100 * self.shift


class TiedSum(torch.nn.Module):  # type: ignore[misc]
    """A module whose parameters ``first`` and ``second`` are one, and with a buffer ``shift``."""

    forward = tied_sum

    def __init__(self, device: str) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.ones(1, device=device))
        self.second = self.first
        self.register_buffer("shift", torch.full((1,), 4.0, device=device))


@dataclass(frozen=True)
class TiedCall:
    """A call with values for the names of ``given``; ``same`` gives both tied names one tensor."""

    given: tuple[str, ...]
    tie: bool = True
    strict: bool = False
    same: bool = False
    split: bool = False
    device: str = "cpu"

    def values(self) -> dict[str, torch.Tensor]:
        """What is given."""
        found = {name: torch.full((1,), 2.0 + n, device=self.device) for n, name in enumerate(self.given)}
        if self.same and {"first", "second"} <= set(found):
            found["second"] = found["first"]
        return found

    def call(self, module: Any) -> Any:
        """The result."""
        values, x = self.values(), torch.ones(1, device=self.device)
        given = ({k: values[k] for k in list(values)[::2]}, {k: values[k] for k in list(values)[1::2]})
        found = torch.func.functional_call(
            module, given if self.split else values, (x,), tie_weights=self.tie, strict=self.strict
        )
        return found.item()

    def wanted(self) -> float | None:
        """The number that comes out, or None for an error."""
        values = {name: x.item() for name, x in self.values().items()}
        both = {"first", "second"} <= set(values)
        if self.tie and both and not self.same:
            return None
        tied = self.tie and bool({"first", "second"} & set(values))
        if self.strict and ("stranger" in values or "shift" not in values or not (both or tied)):
            return None
        used: dict[str, float] = {**TIED_VALUES, **values}
        if tied and not both:
            used["first"] = used["second"] = values.get("first", values.get("second", 0.0))
        return used["first"] + 10 * used["second"] + 100 * used["shift"]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"given": " ".join(self.given), "options": f"tie={self.tie} strict={self.strict}"}

    def code(self) -> str:
        """The same in plain torch."""
        values = ", ".join(f"{name!r}: torch.full((1,), {2.0 + n})" for n, name in enumerate(self.given))
        same = ["given['second'] = given['first']"] if self.same else []
        split = ["given = (dict(list(given.items())[::2]), dict(list(given.items())[1::2]))"] if self.split else []
        return "\n".join([
            "class Sum(torch.nn.Module):", "    def __init__(self):", "        super().__init__()",
            "        self.first = self.second = torch.nn.Parameter(torch.ones(1))",
            "        self.register_buffer('shift', torch.full((1,), 4.0))", "    def forward(self, x):",
            "        return x * self.first + 10 * self.second + 100 * self.shift", f"given = {{{values}}}",
            *same, *split,
            "call = torch.func.functional_call",
            f"print(call(Sum(), given, (torch.ones(1),), tie_weights={self.tie}, strict={self.strict}))",
        ])  # fmt: skip


def _calls(cell: Cell, strict: bool) -> list[TiedCall]:
    device, found = cell.target.device, []
    for number, tie, same in product(range(16), (True, False), (False, True)):
        given = tuple(name for n, name in enumerate(TIED_NAMES) if number >> n & 1)
        if (same and not {"first", "second"} <= set(given)) or ("stranger" in given and not strict):
            continue
        found.append(TiedCall(given, tie, strict, same, number % 4 == 1, device))
    return found


def tied_calls(cell: Cell) -> Inputs:
    """Every set of names, with and without ties, not strict."""
    return Inputs(_calls(cell, strict=False))


def strict_calls(cell: Cell) -> Inputs:
    """Every set of names, an unknown one too, strict."""
    return Inputs([case for case in _calls(cell, strict=True) if case.tie or case.wanted() is not None])
