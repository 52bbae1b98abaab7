"""Element copies: calls of ``copy_`` between any two element types, layouts and shapes.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES, family, representable
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import corner, strided
from conformance.inputs.values import values

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
    """Every pair of element types, twice, each time with another pair of layouts and shapes."""
    names = family("bool", "integral", "barebones", "floating", "complex", "half-complex")
    device = cell.target.device
    found = []
    for turn, (target, source) in enumerate(product(names, names)):
        shape, given = COPIED_SHAPES[turn % len(COPIED_SHAPES)]
        layout, lies = DISJOINT[turn // 3 % 6], COPIED_LAYOUTS[turn // 2 % 8]
        found.append(_element_copy(target, source, shape, given, layout, lies, device, turn))
        length = ((33,), (5, 7), (17,))[turn % 3]
        gaps = ("stepped", "contiguous", "sliced")[turn % 3]
        found.append(_element_copy(target, source, length, length, gaps, "stepped", device, turn + 1))
    return Inputs([*found, *(_turned(name, device) for name in names)])


def _turned(name: str, device: str) -> Call:
    """A copy of a transposed matrix that is large enough to be copied in blocks."""
    source = corner(name, (64, 65), "transposed", "ordinary", "any", device, 1)
    return Call("copy_", corner(name, (64, 65), "contiguous", "ordinary", "any", device), (source,), {})


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
    kind = "special" if turn % 2 else "ordinary"
    data = _convertible(source, target, kind)
    start = turn % len(data)
    keywords: dict[str, Any] = {"non_blocking": True} if turn % 5 == 0 else {}
    return Call(
        "copy_", corner(target, shape, layout, "ordinary", "any", device),
        (strided(source, given, lies, data[start:] + data[:start], device),), keywords, kind=kind,
    )  # fmt: skip


# Numbers with more digits than a narrower type has, and their neighbours at the end of float16 and of float32.
_MANY_DIGITS = (0.1, 1 / 3, 2.7182818284590452, 65504.0, 65519.0, 3.4028234663852886e38, 3.402823466e38)


def _convertible(source: str, target: str, kind: str) -> tuple[Any, ...]:
    """Source values for which the conversion is defined."""
    given, wanted = ELEMENT_TYPES[source].kind, ELEMENT_TYPES[target].kind
    if given in ("floating", "complex") and wanted in ("signed", "unsigned"):
        return values(source, "ordinary", "small-nonnegative" if given == "floating" else "small-complex")
    data = values(source, kind, "any")
    if given == "floating" and wanted == "floating":
        exact = representable(np.array(_MANY_DIGITS), source)
        data += tuple(exact[np.isfinite(exact)].tolist())
    return data
