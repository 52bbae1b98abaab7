"""Lazy operands: calls whose self, or one of whose operands, has its conjugate or its negative bit set.

Memory then holds the conjugate, or the negative, of the numbers that the tensor stands for.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.conj.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.corners import corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.selections import spread
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

WHOLE_TYPES = {"float16": "complex32", "float32": "complex64", "float64": "complex128"}
OPERAND_NAMES = ("other", "another", "third", "fourth")
FEW_LAZY = 16


@dataclass(frozen=True, eq=False)
class LazyCall:
    """``call`` with its argument number ``place`` (-1: self) seen through a view that has a bit set."""

    call: Call
    place: int

    def build(self) -> LiveCall:
        """Fresh tensors, ready to be called."""
        live = self.call.build()
        if self.place < 0:
            live.self_ = lazily(self.call.self_)
        else:
            live.args[self.place] = lazily(self.call.args[self.place])
        return live

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.call.facets()

    def reductions(self) -> Iterator[LazyCall]:
        """The same with plainer operands."""
        for call in self.call.reductions():
            yield replace(self, call=call)

    def code(self) -> str:
        """The call in plain torch."""
        name = "x" if self.place < 0 else OPERAND_NAMES[self.place]
        plan = self.call.self_ if self.place < 0 else self.call.args[self.place]
        lines = self.call.code().splitlines()
        shown = f"{name} = {flipped(plan).code()}.conj(){'' if is_complex(plan) else '.imag'}"
        return "\n".join(shown if line.startswith(f"{name} = ") else line for line in lines)


def is_complex(plan: Strided) -> bool:
    """Whether a plan's numbers are complex."""
    return ELEMENT_TYPES[plan.dtype].kind == "complex"


def flipped(plan: Strided) -> Strided:
    """A complex plan whose conjugate is ``plan``, or has it as its imaginary part."""
    if is_complex(plan):
        return replace(plan, data=tuple(complex(x).conjugate() for x in plan.data))
    return replace(plan, dtype=WHOLE_TYPES[plan.dtype], data=tuple(complex(1.0, -x) for x in plan.data))


def lazily(plan: Strided) -> torch.Tensor:
    """The tensor of a plan, over memory that holds the conjugate or the negative of its numbers."""
    whole = flipped(plan).build().conj()
    return whole if is_complex(plan) else whole.imag


# --- sources --------------------------------------------------------------------------------------------------


def lazy_operands(cell: Cell) -> Inputs:
    """Calls with a lazy operand, each operand in turn."""
    return Inputs(
        [
            LazyCall(call, place)
            for call in _candidates(cell)
            for place, value in enumerate(call.args)
            if isinstance(value, Strided) and value.array.size and _able(value)
        ]
    )


def lazy_selves(cell: Cell) -> Inputs:
    """Calls on a lazy self."""
    return Inputs([LazyCall(call, -1) for call in _candidates(cell) if call.self_.layout in DISJOINT])


def _able(plan: Strided) -> bool:
    return is_complex(plan) or plan.dtype in ("float32", "float64")


def _candidates(cell: Cell) -> list[Call]:
    """Calls on lazily representable numbers, each type with each layout and some shapes and operands."""
    row, device = cell.subject, cell.target.device
    known = [call for call in corners_of(row, device) if call.reference is not None and _able(call.self_)]
    shown = [call for call in known if 1 < call.self_.array.size < 100 and call.kind == "ordinary"]
    if row.kind == "matrix":  # of whose many sizes few are shown with such numbers
        shown += [call for call in known if call.self_.array.size > 1 and call.kind == "special" and _summed(call)]
    single = [call for call in known if call.self_.array.size == 1]
    return [*spread(shown, FEW_LAZY, _lazy_traits), *spread(single, 4, _lazy_traits)]


def _summed(call: Call) -> bool:
    return all(plan.array.size for plan in call.args if isinstance(plan, Strided))


def _lazy_traits(call: Call) -> list[Any]:
    plan = call.self_
    operands = tuple(x.dtype if isinstance(x, Strided) else type(x).__name__ for x in call.args)
    return [(plan.dtype, operands), (is_complex(plan), plan.layout)]
