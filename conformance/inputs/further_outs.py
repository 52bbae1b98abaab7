"""Further calls with ``out=``: the functions of a catalogue of their own, each held against its call without one.

A row names its operands among the tensors made here; what the outs are like follows from the results of the call.
Reference: https://docs.pytorch.org/docs/stable/notes/out.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name
from conformance.inputs.out_forms import made, written_out
from conformance.inputs.outs import GARBAGE
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# What operands are called in the catalogue: shape and numbers, or element type as well.
FURTHER_OPERANDS: dict[str, tuple[Any, ...]] = {
    "x": ((2, 3), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125)),
    "y": ((2, 3), (0.9375, -2.0, -1.5, 2.5, -0.25, 5.0)),
    "u": ((2, 3), (0.5, 0.125, 0.9375, 0.75, 0.25, 0.3125)),
    "a": ((2, 3), (1.5, 3.25, 2.0, 5.0, 1.125, 7.0)),
    "b": ((2, 3), (2.5, 1.25, 6.0, 3.0, 4.5, 1.75)),
    "v": ((3,), (1.0, -0.5, 2.25)),
    "w": ((3,), (0.5, 3.0, -1.25)),
    "short": ((2,), (0.75, -1.5)),
    "edges": ((4,), (-1.0, 0.5, 2.0, 3.0)),
    "square": ((3, 3), (4.0, 0.5, -1.0, 0.25, 5.0, 1.0, -0.5, 0.75, 6.0)),
    "definite": ((3, 3), (4.0, 0.5, -1.0, 0.5, 5.0, 1.0, -1.0, 1.0, 6.0)),
    "lower": ((3, 3), (2.0, 0.0, 0.0, 0.5, 1.5, 0.0, -1.0, 0.25, 3.0)),
    "sides": ((3, 2), (1.0, -2.0, 0.5, 3.0, -0.75, 0.25)),
    "tall": ((4, 3), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5, 0.9375, -0.25, 5.0, -7.0)),
    "sums": ((2, 4), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5)),
    "batch": ((2, 2, 3), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5, -1.5, 0.9375, -0.25, 5.0, -7.0)),
    "batched": ((2, 3, 4), (0.5, 1.0, -1.5, 2.0, 0.25, -3.0, 0.75)),
    "signal": ((4, 6), (1.0, -2.0, 0.5, 3.25, -0.75, 0.125, 2.5)),
    "spectrum": ((4, 4), (1 + 2j, -2 + 0.5j, 0.5 - 3j, 3.25 + 0.125j, -0.75 - 1.5j, 2j, -1 + 0j), "complex"),
    "i": ((2, 3), (6, 9, 12, 35, 4, -7), "int32"),
    "k": ((2, 3), (1, 3, 2, 0, 4, 1), "int32"),
    "exchanges": ((3,), (1, 3, 3), "int32"),
    "places": ((2, 2), (2, 0, 1, 1), "int64"),
}
COMPLEX_OF = {"float32": "complex64", "float64": "complex128"}
# Layout of the outs, or "empty", and the type of floating operands.
FORMS = (("contiguous", "float64"), ("stepped", "float32"), ("transposed", "float64"), ("empty", "float32"))


@dataclass(frozen=True)
class FurtherOut:
    """``torch.function(*args, **kwargs, out=outs)`` with outs of some layout, or without elements."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    layout: str = "contiguous"
    device: str = "cpu"

    def call(self, **out: Any) -> Any:
        """The call with operands of its own."""
        function = reduce(getattr, self.function.split("."), torch)
        return function(*[made(x) for x in self.args], **self.kwargs, **out)

    def results(self) -> list[torch.Tensor]:
        """What the call gives without an out."""
        found = self.call()
        return [found] if isinstance(found, torch.Tensor) else list(found)

    def plans(self, results: list[torch.Tensor]) -> list[Strided]:
        """Outs for these results, full of something else."""
        found = []
        for result in results:
            name = dtype_name(result.dtype)
            data = {"bool": (True,), "complex": (complex(GARBAGE, GARBAGE),)}.get(ELEMENT_TYPES[name].kind, (GARBAGE,))
            empty = self.layout == "empty"
            shape = (0,) if empty else tuple(result.shape)
            found.append(strided(name, shape, "contiguous" if empty else self.layout, data, self.device))
        return found

    def apply(self, outs: list[torch.Tensor]) -> list[Any]:
        """The call with these outs, and what it returns."""
        found = self.call(out=tuple(outs) if len(outs) > 1 else outs[0])
        return [found] if len(outs) == 1 else list(found)

    def facets(self) -> dict[str, Any]:
        """What evidence counts: the types of the operands, and the layout of the outs."""
        return {"dtypes": sorted({x.dtype for x in leaves_of(self.args)}), "layouts": self.layout}

    def code(self) -> str:
        """Plain torch."""
        shown = [written_out(x) for x in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        call = f"torch.{self.function}({', '.join(shown)}"
        frames = {
            "empty": "torch.empty(0, dtype=result.dtype)", "contiguous": "torch.full_like(result, True)",
            "stepped": "torch.full((*result.shape, 2), True, dtype=result.dtype)[..., 0]",
            "transposed": "torch.full(result.shape[::-1], True, dtype=result.dtype).permute(*range(result.ndim)[::-1])",
        }  # fmt: skip
        lines = [
            "import torch",
            f"found = {call})",
            "results = [found] if isinstance(found, torch.Tensor) else list(found)",
            f"outs = [{frames[self.layout]} for result in results]",
            f"{call}, out=outs[0] if len(outs) == 1 else tuple(outs))",
            "print(results, outs)",
        ]
        return "\n".join(lines)

    def reductions(self) -> Iterator[FurtherOut]:
        """The same with a plain out."""
        if self.layout != "contiguous":
            yield replace(self, layout="contiguous")


def leaves_of(values: Any) -> list[Strided]:
    """The plans among arguments."""
    found = []
    for value in values:
        found += leaves_of(value) if isinstance(value, tuple) else [value] if isinstance(value, Strided) else []
    return found


@cache
def operand(name: str, dtype: str, device: str) -> Strided:
    """A tensor that the catalogue names."""
    shape, data, *own = FURTHER_OPERANDS[name]
    typed = own[0] if own else dtype
    return strided(COMPLEX_OF[dtype] if typed == "complex" else typed, shape, "contiguous", data, device)


def operand_named(value: Any, dtype: str, device: str) -> Any:
    """An argument as a row writes it: a name, a list of such, or a number."""
    if isinstance(value, list | tuple):
        return tuple(operand_named(x, dtype, device) for x in value)
    return operand(value, dtype, device) if isinstance(value, str) else value


def further_call(row: Any, device: str, layout: str = "contiguous", dtype: str = "float32") -> FurtherOut:
    """The call of a row."""
    args = tuple(operand_named(x, dtype, device) for x in row.operands)
    return FurtherOut(row.name, args, dict(getattr(row, "keywords", {})), layout, device)


def further_calls(cell: Cell) -> Inputs:
    """The function with outs of every form."""
    return Inputs([further_call(cell.subject, cell.target.device, layout, dtype) for layout, dtype in FORMS])


def plain_further_calls(cell: Cell) -> Inputs:
    """The function with plain outs."""
    return Inputs([further_call(cell.subject, cell.target.device)])


def every_further_call(cell: Cell) -> Inputs:
    """Every function of the catalogue that the release has, with plain outs."""
    from conformance.engine.subjects import rows
    from conformance.engine.versions import out_of_range

    listed = rows("further_out_functions").values()
    here = [row for row in listed if out_of_range(torch.__version__, row.since, row.until) is None]
    return Inputs([further_call(row, cell.target.device) for row in here])
