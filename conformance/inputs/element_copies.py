"""Element copies: calls of ``copy_`` between any two element types, layouts and shapes.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Shapes of self, and of a source that broadcasts to it.
COPIED_SHAPES = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((17,), (1,)),
    ((), ()),
    ((2, 3, 4), (3, 1)),
    ((33,), (33,)),
    ((2, 0, 3), (1, 3)),
    ((3,), ()),
    ((1, 3, 1), (1, 1)),
    ((0,), (1,)),
    ((2, 3, 2, 2), (2, 3, 2, 2)),
    ((65,), (65,)),
)
COPIED_LAYOUTS = (*DISJOINT, "expanded", "overlapping")
UNCOPYABLE = (
    ((3,), (2, 3)),
    ((), (2,)),
    ((0,), (2,)),
    ((2, 1), (2, 3)),
    ((2, 3), (2,)),
    ((4,), (3,)),
    ((1,), (0,)),
)


def converting_copies(cell: Cell) -> Inputs:
    """Every pair of element types, each with another pair of layouts and shapes."""
    names = family("bool", "integral", "barebones", "floating", "complex", "half-complex")
    found = []
    for turn, (target, source) in enumerate(product(names, names)):
        shape, given = COPIED_SHAPES[turn % len(COPIED_SHAPES)]
        layout, lies = DISJOINT[turn // 3 % 6], COPIED_LAYOUTS[turn // 2 % 8]
        found.append(_element_copy(target, source, shape, given, layout, lies, cell.target.device, turn))
        if turn % 3 == 0:
            found.append(_element_copy(target, source, (33,), (33,), "stepped", "stepped", cell.target.device, turn))
    return Inputs(found)


def refused_copies(cell: Cell) -> Inputs:
    """Sources that do not broadcast to self."""
    names = family("bool", "integral", "floating", "complex")
    found = []
    for turn, (shape, given) in enumerate(UNCOPYABLE * 3):
        target, layout = names[turn % len(names)], DISJOINT[turn % 6]
        found.append(_element_copy(target, "float32", shape, given, layout, "contiguous", cell.target.device, turn))
    return Inputs(found)


def _element_copy(
    target: str,
    source: str,
    shape: tuple[int, ...],
    given: tuple[int, ...],
    layout: str,
    lies: str,
    device: str,
    turn: int,
) -> Call:
    kind, domain = _convertible(source, target, turn)
    keywords: dict[str, Any] = {"non_blocking": True} if turn % 5 == 0 else {}
    return Call(
        "copy_", corner(target, shape, layout, "ordinary", "any", device),
        (corner(source, given, lies, kind, domain, device, turn),), keywords, kind=kind,
    )  # fmt: skip


def _convertible(source: str, target: str, turn: int) -> tuple[str, str]:
    """Kind and domain of source values for which the conversion is defined."""
    given, wanted = ELEMENT_TYPES[source].kind, ELEMENT_TYPES[target].kind
    if given in ("floating", "complex") and wanted in ("signed", "unsigned"):
        return "ordinary", "small-nonnegative" if given == "floating" else "small-complex"
    return ("special" if turn % 2 else "ordinary"), "any"
