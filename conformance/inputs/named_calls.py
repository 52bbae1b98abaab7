"""Named calls: in-place calls whose arguments are given by name, and by their places.

The names are those of the page of the function that the method is the in-place version of, such as
https://docs.pytorch.org/docs/stable/generated/torch.index_add.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.corners import corners_of
from conformance.inputs.reframing import as_strided_cases
from conformance.inputs.selections import spread, unreferenced

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Names of arguments in their order, where the catalogue does not name them all.
NAMES = {
    "cumsum_": ("dim",), "cumprod_": ("dim",), "renorm_": ("p", "dim", "maxnorm"), "polygamma_": ("n",),
    "mvlgamma_": ("p",), "tril_": ("diagonal",), "triu_": ("diagonal",), "nan_to_num_": ("nan",), "logit_": ("eps",),
    "index_add_": ("dim", "index", "source"), "index_copy_": ("dim", "index", "source"),
    "index_fill_": ("dim", "index", "value"), "index_reduce_": ("dim", "index", "source", "reduce"),
    "scatter_": ("dim", "index", "src"), "scatter_add_": ("dim", "index", "src"),
    "scatter_reduce_": ("dim", "index", "src", "reduce"), "fill_diagonal_": ("fill_value", "wrap"),
    "cauchy_": ("median", "sigma"), "exponential_": ("lambd",), "geometric_": ("p",), "normal_": ("mean", "std"),
    "log_normal_": ("mean", "std"), "uniform_": ("from", "to"), "random_": ("from", "to"), "squeeze_": ("dim",),
    "unsqueeze_": ("dim",), "transpose_": ("dim0", "dim1"), "swapdims_": ("dim0", "dim1"),
    "swapaxes_": ("axis0", "axis1"), "as_strided_": ("size", "stride", "storage_offset"),
    "requires_grad_": ("requires_grad",),
}  # fmt: skip
FEW_NAMED = 12


@dataclass(frozen=True, eq=False)
class NamedCall:
    """``call`` with its arguments given by ``names``; an argument of None is left out by name."""

    call: Call
    names: tuple[str, ...]

    def named(self) -> LiveCall:
        """Fresh tensors, ready to be called by name."""
        live = self.call.build()
        given = {name: value for name, value in zip(self.names, live.args, strict=True) if value is not None}
        live.args, live.kwargs = [], {**given, **live.kwargs}
        return live

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "names": ", ".join(self.names)}

    def reductions(self) -> Iterator[NamedCall]:
        """The same of plainer operands."""
        for call in self.call.reductions():
            if len(call.args) == len(self.names):
                yield replace(self, call=call)

    def code(self) -> str:
        """The call by name in plain torch, with operands called as ``Call.code`` does."""
        return f"{self.call.code()}  # with the arguments by name: {', '.join(self.names)}"


def named_calls(cell: Cell) -> Inputs:
    """A few calls of each element type, layout and kind of operand; of the bounds of ``clamp_`` each alone."""
    row = cell.subject
    able = [call for call in corners_of(row, cell.target.device) if call.args and _shows(call)]
    calls = [unreferenced(call) for call in spread(able, FEW_NAMED, _kinds)]
    if row.name == "as_strided_":
        calls = spread(list(as_strided_cases(cell).corners), FEW_NAMED, _kinds)
    if row.name in ("clamp_", "clip_"):
        alone = [call for call in calls if len(call.args) == 1]
        alone += [call for call in able if len(call.args) == 1 and call.tensors()][:2]
        calls += [replace(call, args=(None, *call.args), kwargs={}) for call in alone]
    return Inputs([NamedCall(call, _names_of(call, row)) for call in calls])


def _shows(call: Call) -> bool:
    return 1 < call.self_.array.size < 100


def _kinds(call: Call) -> list[Any]:
    return [tuple(type(x).__name__ for x in call.args), tuple(call.kwargs), call.self_.layout, call.self_.dtype]


def _names_of(call: Call, row: Any) -> tuple[str, ...]:
    names = NAMES.get(call.method, tuple(argument.name for argument in row.arguments))
    if call.method == "random_" and len(call.args) == 1:
        names = names[1:]  # a bound that is alone is the upper one
    if call.method == "scatter_" and isinstance(call.args[2], bool | int | float | complex):
        names = ("dim", "index", "value")
    return tuple(names[: len(call.args)])
