"""Disguises: operands of a subclass of what an operand is documented to be, such as a Parameter or an IntEnum.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.add.html, of which other is "Tensor or Number"
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.corners import corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.selections import spread, unreferenced
from conformance.inputs.supplements import plain_forms
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

NUMBERS = {int: ("IntEnum", "np.int64", "np.uint8"), float: ("subclass of float", "np.float64", "np.float32")}
FEW_DISGUISED = 14


class OwnFloat(float):
    """A float of a class of its own."""


class Choice(enum.IntEnum):
    """Numbers with names."""

    FIRST = 3


@dataclass(frozen=True, eq=False)
class DisguisedCall:
    """``call`` with its argument number ``place`` as what ``disguise`` names."""

    call: Call
    place: int
    disguise: str

    def build(self) -> LiveCall:
        """Fresh tensors, and the argument in its disguise."""
        live = self.call.build()
        live.args[self.place] = disguised(live.args[self.place], self.disguise)
        return live

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "disguises": self.disguise}

    def reductions(self) -> Iterator[DisguisedCall]:
        """The same of plainer operands."""
        for call in self.call.reductions():
            if type(call.args[self.place]) is type(self.call.args[self.place]):
                yield replace(self, call=call)

    def code(self) -> str:
        """The call in plain torch."""
        return f"{self.call.code()}  # with argument {self.place} as {self.disguise}"


def disguised(value: Any, disguise: str) -> Any:
    """The value as a number or tensor of another class."""
    if disguise == "Parameter":
        return torch.nn.Parameter(value, requires_grad=False)
    if disguise == "IntEnum":
        return Choice(value)
    if disguise == "subclass of float":
        return OwnFloat(value)
    return getattr(np, disguise.removeprefix("np."))(value)


def disguised_calls(cell: Cell) -> Inputs:
    """A few calls with an operand that is a number or a tensor, in each of its disguises, of several types of self."""
    row, device = cell.subject, cell.target.device
    found = []
    for call in spread((*corners_of(row, device)[::-1], *plain_forms(row, device)), 60, _traits):
        place = len(call.args) - 1 - len(row.variants[0].args)
        own, value = ELEMENT_TYPES[call.self_.dtype].kind, call.args[place] if place >= 0 else None
        if not 4 < call.self_.array.size < 100 or len(row.arguments) > len(call.args) or own == "bool":
            continue
        if isinstance(value, Strided):
            if ELEMENT_TYPES[value.dtype].kind in ("floating", "complex"):
                found.append(DisguisedCall(unreferenced(call), place, "Parameter"))
        elif value is not None:
            for number in (int(Choice.FIRST), 2.5) if own in ("floating", "complex") else (int(Choice.FIRST),):
                args = (*call.args[:place], number, *call.args[place + 1 :])
                plain = unreferenced(replace(call, args=args))
                found += [DisguisedCall(plain, place, disguise) for disguise in NUMBERS[type(number)]]
    return Inputs(spread(found, FEW_DISGUISED, lambda case: [case.disguise, (case.disguise, case.call.self_.dtype)]))


def _traits(call: Call) -> list[Any]:
    return [(call.self_.dtype, *(type(x).__name__ for x in call.args)), call.self_.layout]
