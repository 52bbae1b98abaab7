"""Tree sources: which module trees the checks of state dictionaries are fed."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.module_trees import Node, Slot, Tree
from conformance.inputs.tensors import corner
from conformance.inputs.tree_growth import COUNT_PLANS, LAYERS, SLOT_PLANS, grown, layer_node

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def _plans(kind: str, plans: tuple[tuple[str, tuple[int, ...], str], ...]) -> tuple[Slot, ...]:
    return tuple(
        Slot(f"{kind}{n}", kind, corner(dtype, shape, layout, "special" if n % 2 else "ordinary", turn=n))
        for n, (dtype, shape, layout) in enumerate(plans)
    )


# Every kind of slot in every type and layout; deep nests; tensors and modules with two names.
WRITTEN = (
    Node("", "Module", _plans("parameter", SLOT_PLANS)),
    Node("", "Module", _plans("frozen", SLOT_PLANS[:4])),
    Node("", "Module", _plans("buffer", COUNT_PLANS)),
    Node("", "Module", (*_plans("transient", COUNT_PLANS[:4]), *_plans("buffer", COUNT_PLANS[:1]))),
    Node("", "Module", (Slot("p", "no-parameter"), Slot("b", "no-buffer"), *_plans("parameter", SLOT_PLANS[:1]))),
    Node("", "Module", (), (
        Node("a", "Module", (), (
            Node("a", "Module", _plans("parameter", SLOT_PLANS[:2]), (
                Node("a", "Module", _plans("buffer", COUNT_PLANS[:2]), (
                    Node("ab", "Module", (*_plans("transient", COUNT_PLANS[:1]), Slot("n", "no-buffer"))),
                )),
            )),
        )),
        Node("ab", "Module", _plans("frozen", SLOT_PLANS[:2])),
    )),
    Node("", "Module", _plans("parameter", SLOT_PLANS[:1]), (
        Node("a", "Module", (Slot("w", "tied", to="parameter0"), Slot("v", "tied", to="parameter0"))),
        Node("b", "Module", (Slot("u", "tied", to="parameter0"), *_plans("buffer", COUNT_PLANS[:1]))),
        Node("c", "Module", (Slot("n", "tied-buffer", to="b.buffer0"),)),
    )),
    Node("", "Module", (), (
        Node("a", "Sequential", (), (layer_node("0", 0), layer_node("1", 2), layer_node("2", 3))),
        Node("b", "shared", to="a"), Node("c", "shared", to="a.1"),
    )),
    *(Node("", "Module", (), (layer_node("a", n, n), layer_node("ab", n, n + 1))) for n in range(len(LAYERS))),
    Node("", "Sequential", (), tuple(layer_node(str(n), n, n) for n in range(len(LAYERS)))),
    Node("", "ModuleDict", (), (
        layer_node("x", 0), Node("xy", "ModuleList", (), (layer_node("0", 0), layer_node("1", 5))),
    )),
    Node("", "Module"),
)  # fmt: skip


@cache
def listed_trees(device: str, count: int = 12) -> tuple[Tree, ...]:
    """The written trees, and trees grown from decisions that are the same each time."""
    draw = random.Random(11)
    more = [grown(bytes(draw.randrange(256) for _ in range(draw.randrange(6, 22))), device) for _ in range(count)]
    return (*(Tree(node, device) for node in WRITTEN), *more)


def module_trees(cell: Cell) -> Inputs:
    """Listed trees, and trees grown from drawn decisions."""
    from hypothesis import strategies as st

    device = cell.target.device
    return Inputs(listed_trees(device), st.builds(grown, st.binary(max_size=20), st.just(device)))


def trees_with(cell: Cell, *kinds: str) -> Inputs:
    """Those of the trees that have a slot of one of these kinds."""
    every = module_trees(cell)
    samples = every.samples
    assert samples is not None
    return Inputs([tree for tree in every.corners if has_slot(tree, kinds)], samples)


def has_slot(tree: Tree, kinds: tuple[str, ...]) -> bool:
    """Whether a tree has a slot of one of these kinds."""
    return any(slot.kind in kinds for slot, _ in tree.places().values())


def transient_trees(cell: Cell) -> Inputs:
    """Trees with buffers that are not persistent."""
    return trees_with(cell, "transient")


def empty_slots(cell: Cell) -> Inputs:
    """Trees with names that are registered as None."""
    return trees_with(cell, "no-parameter", "no-buffer")


def tied_trees(cell: Cell) -> Inputs:
    """Trees in which a tensor has several names."""
    every = module_trees(cell)
    return Inputs([tree for tree in every.corners if tree.has_ties()], every.samples)
