"""Aliases: tensors that share their memory with the self of a call.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.augmented import SYMBOLS
from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.corners import corners_of
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.inplace_programs import VIEWS, base_shape, viewed
from conformance.inputs.selections import few_calls, grad_calls, spread, unreferenced

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Views of a tensor of any shape; those of SAME_SHAPE can be written in its place.
SAME_SHAPE = ("alias", "reindexed", "restrided", "detached-view")
ALIAS_FORMS = (*SAME_SHAPE, "unsqueezed", "flattened", "first", "expanded", "transposed", "pieces")
PIECES = ("unbind", "split", "chunk")
# Views of a leaf, of any shape and with any strides; "alias" is a view of all of it.
LEAF_VIEWS = ("alias", *VIEWS[1:])


@dataclass(frozen=True, eq=False)
class Alias:
    """A call, and a tensor that is ``form`` of its self; the call goes through the alias if ``through``."""

    call: Call
    form: str
    through: bool = False

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "views": self.form}

    def reductions(self) -> Iterator[Alias]:
        """The same with a plainer self."""
        for call in self.call.reductions():
            yield replace(self, call=call)

    def made(self) -> str:
        """Self and the operands in plain torch."""
        return self.call.code().rpartition("\n")[0]

    def words(self) -> dict[str, str]:
        """What the words of an act stand for: the call on x, and on its alias, which is a view of x."""
        act = self.call.code().rpartition("\n")[2]
        written = f"whole, x = x, alias\n{act}\nx = whole" if self.through else act
        symbol = SYMBOLS.get(self.call.method, ("", ""))[1]
        return {"act": act, "written": written, "view": ALIAS_CODE.get(self.form, "x.view_as(x)"), "symbol": symbol}


ALIAS_CODE = {
    "alias": "x.view_as(x)", "reindexed": "x.unsqueeze(0)[0]", "detached": "x.detach()",
    "restrided": "x.as_strided(x.shape, x.stride(), x.storage_offset())", "detached-view": "x.view_as(x).detach()",
    "unsqueezed": "x.unsqueeze(-1)", "flattened": "x.unsqueeze(0).flatten(0, 1) if x.dim() else x.view(1)",
    "first": "x[:1] if x.dim() else x[None]", "expanded": "x.unsqueeze(0).expand(2, *x.shape)",
    "pieces": "(x if x.dim() else x.view(1)).split(max(len(x) // 3, 1) if x.dim() else 1)[0]",
    "transposed": "x.permute(tuple(reversed(range(x.dim()))))",
}  # fmt: skip


def alias_of(x: torch.Tensor, form: str) -> torch.Tensor:
    """A tensor that shares memory with ``x``."""
    if form == "alias":
        return x.view_as(x)
    if form == "reindexed":
        return x.unsqueeze(0)[0]
    if form == "restrided":
        return x.as_strided(x.shape, x.stride(), x.storage_offset())
    if form in ("detached", "detached-view"):
        return x.detach() if form == "detached" else x.view_as(x).detach()
    if form == "unsqueezed":
        return x.unsqueeze(-1)
    if form == "flattened":
        return x.unsqueeze(0).flatten(0, 1) if x.dim() else x.view(1)
    if form == "first":
        return x[:1] if x.dim() else x[None]
    if form == "expanded":
        return x.unsqueeze(0).expand(2, *x.shape)
    if form == "pieces":
        return (x if x.dim() else x.view(1)).split(max(len(x) // 3, 1) if x.dim() else 1)[0]
    return x.permute(tuple(reversed(range(x.dim()))))


def split_off(live: LiveCall, way: str) -> torch.Tensor:
    """A tensor of self's values and shape that is one of several outputs of a view of a non-leaf."""
    x = live.self_.detach().clone()
    if way == "unbind" or not x.dim():
        return torch.stack([x, x]).requires_grad_().clone().unbind(0)[1]
    base = torch.cat([x, x]).requires_grad_().clone()
    return (base.split(max(x.shape[0], 1)) if way == "split" else base.chunk(2))[-1]


def view_of_a_leaf(x: torch.Tensor, form: str) -> torch.Tensor:
    """A view, of the shape and the type of ``x``, of a leaf that requires grad; ``x`` itself, if it is to be "leaf"."""
    if form in ("leaf", "alias"):
        leaf = x.requires_grad_()
        return leaf if form == "leaf" else leaf.view_as(leaf)
    shape = tuple(x.shape)
    return viewed(torch.ones(base_shape(shape, form), dtype=x.dtype, device=x.device).requires_grad_(), form, shape)


# --- sources --------------------------------------------------------------------------------------------------


def viewed_calls(cell: Cell) -> Inputs:
    """Each form of view beside calls on each layout, shape and element type; half are made through the view."""
    found = []
    for turn, call in enumerate(few_calls(cell.subject, cell.target.device)):
        found.append(Alias(call, ALIAS_FORMS[turn % len(ALIAS_FORMS)]))
        found.append(Alias(call, SAME_SHAPE[turn % len(SAME_SHAPE)], through=True))
    return Inputs(found)


def detached_calls(cell: Cell) -> Inputs:
    """Calls beside a detached tensor, and through one."""
    calls = few_calls(cell.subject, cell.target.device)
    return Inputs([Alias(call, "detached", through=turn % 2 == 0) for turn, call in enumerate((*calls, *calls[:3]))])


def split_calls(cell: Cell) -> Inputs:
    """Calls on an output of unbind, split and chunk."""
    calls = [c for c in grad_calls(cell.subject, cell.target.device) if not c.self_.shape or c.self_.shape[0]]
    return Inputs([Alias(call, PIECES[turn % 3]) for turn, call in enumerate((*calls, *calls[:1]))])


def leaf_view_calls(cell: Cell) -> Inputs:
    """Calls on each kind of view of a leaf."""
    calls = grad_calls(cell.subject, cell.target.device)
    found = [Alias(call, "alias", through=True) for call in calls[::3]]
    return Inputs([*found, *(Alias(c, LEAF_VIEWS[n % len(LEAF_VIEWS)], through=True) for n, c in enumerate(calls))])


def leaf_augmented_assignments(cell: Cell) -> Inputs:
    """Augmented assignments to a leaf, and to each kind of view of one."""
    corners = corners_of(cell.subject, cell.target.device)
    able = [
        call
        for call in corners
        if len(call.args) == 1 and not call.kwargs and ELEMENT_TYPES[call.self_.dtype].kind in ("floating", "complex")
    ]
    assert cell.subject.name in SYMBOLS
    kept = spread(able, 40, lambda call: [(call.self_.dtype, call.self_.layout), call.self_.shape, type(call.args[0])])
    forms = ("leaf", *LEAF_VIEWS)
    return Inputs([Alias(unreferenced(call), forms[n % len(forms)], through=True) for n, call in enumerate(kept)])
