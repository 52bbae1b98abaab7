"""Stored trees: views of one storage, containers, modules and state that are saved together.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html#saving-and-loading-tensors-preserves-views
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed, enumerated
from conformance.inputs.stored_files import MAPPED, PLAIN, ROUTES, Route
from conformance.inputs.stored_tensors import ROUTE_DRAWS
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# What is put into a file, of the tensors ``v`` in their order.
STORED_BOXES = (
    "list(v)",
    "tuple(v)",
    "dict(enumerate(v))",
    "[[y] for y in v]",
    "{'a': v[:1], 'b': {'c': tuple(v[1:])}}",
    "[v[0], {'rest': v[1:]}, None]",
    "collections.OrderedDict((str(k), y) for k, y in enumerate(v))",
)
STORED_VIEWS = (
    "x",
    "x.reshape(-1)[1::2]",
    "x[1:]",
    "x.t()",
    "x.reshape(-1)[-1]",
    "x.detach()",
    "x[:, :1]",
    "x.reshape(-1)[3:3]",
    "x.expand(2, *x.shape)",
    "x.unsqueeze(0)",
)


@dataclass(frozen=True, eq=False)
class StoredViews:
    """Tensors made of one planned matrix ``x``, in a box, and the route that they take together."""

    plan: Strided
    views: tuple[str, ...]
    box: str = "list(v)"
    route: Route = PLAIN
    look: str = "print(found)"  # what the listing does in the end

    def tensors(self) -> list[torch.Tensor]:
        """The tensors in their order."""
        x = self.plan.build()
        return [eval(view, {"torch": torch, "x": x}) for view in self.views]

    def boxed(self, tensors: list[torch.Tensor]) -> Any:
        """The same in their box."""
        return eval(self.box, {"v": tensors, "collections": collections})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "views": " ".join(self.views), "routes": self.route.words()}

    def reductions(self) -> Iterator[StoredViews]:
        """Fewer views in a list, by a plainer route."""
        if self.box != "list(v)":
            yield replace(self, box="list(v)")
        if self.route != PLAIN:
            yield replace(self, route=PLAIN)
        for k in range(len(self.views) if len(self.views) > 2 else 0):
            yield replace(self, views=self.views[:k] + self.views[k + 1 :])

    def code(self) -> str:
        """The round trip in plain torch."""
        made = [
            "import collections",
            f"x = {self.plan.code()}",
            f"v = [{', '.join(self.views)}]",
            f"things = {self.box}",
        ]
        return "\n".join(made[self.box.find("collections") < 0 :] + self.route.lines("things") + [self.look])


ORDERS = tuple(
    tuple(order)
    for group in (
        ("x", "x.reshape(-1)[1::2]", "x.t()"),
        ("x.reshape(-1)[-1]", "x", "x[1:]"),
        ("x[1:]", "x[:, :1]", "x.detach()"),
        ("x.reshape(-1)[3:3]", "x", "x.expand(2, *x.shape)"),
    )
    for order in permutations(group)
)


def make_stored_views(
    device: str, views: tuple[str, ...], box: str, dtype: str, route: Route, layout: str = "contiguous"
) -> StoredViews:
    """Views of a matrix of three by four."""
    if layout == "transposed":
        views = tuple(view for view in views if "reshape" not in view) or ("x", "x.t()")
    return StoredViews(corner(dtype, (3, 4), layout, device=device), views, box, route)


def stored_views(cell: Cell) -> Inputs:
    """Groups of three views in every order, and longer ones."""
    return _stored_views(cell.target.device, ORDERS, STORED_BOXES, ROUTE_DRAWS)


def mapped_views(cell: Cell) -> Inputs:
    """The same in mapped files, which take longer."""
    return _stored_views(cell.target.device, ORDERS[::5], STORED_BOXES[::2], (MAPPED,))


def _stored_views(device: str, orders: tuple[tuple[str, ...], ...], boxes: tuple[str, ...], routes: Any) -> Inputs:
    types = ("float32", "bool", "complex64", "bfloat16")
    groups = (*orders, STORED_VIEWS, STORED_VIEWS[::-1], STORED_VIEWS[1:], ("x", "x"), ("x.detach()", "x.t()"))
    return crossed(
        make_stored_views,
        device,
        groups,
        boxes,
        types,
        routes,
        ("contiguous", "offset", "transposed"),
        passes=1,
    )


def stored_copies(cell: Cell) -> Inputs:
    """Equal tensors with storages of their own, between views of one."""
    groups = (
        ("x", "x.clone()"),
        ("x.clone()", "x", "x.t()"),
        ("x[1:]", "x[1:].clone()", "x"),
        ("x.clone()", "x.clone()", "x"),
        ("x", "x.clone()", "x.detach()", "x.clone()"),
    )
    types = ("float32", "int64", "complex64", "bool")
    return enumerated(make_stored_views, cell.target.device, groups, STORED_BOXES[:5], types, ROUTES)


def stored_twice(cell: Cell) -> Inputs:
    """One tensor several times, with and without others between."""
    groups = (("x", "x"), ("x", "x.t()", "x"), ("x", "x", "x"))
    return enumerated(
        make_stored_views, cell.target.device, groups, STORED_BOXES[:5], ("float32", "int64", "complex64"), ROUTES
    )


def stored_reinterpreted(cell: Cell) -> Inputs:
    """One storage seen as two element types."""
    groups = (
        ("x", "x.view(torch.int16)"),
        ("x.view(torch.uint8)", "x"),
        ("x", "x.t()", "x.view(torch.int32)"),
        ("x.view(torch.int8)[1:]", "x"),
        ("x", "x[1:].view(torch.uint8)"),
    )
    return enumerated(make_stored_views, cell.target.device, groups, STORED_BOXES[:5], ("float32", "int64"), ROUTES)
