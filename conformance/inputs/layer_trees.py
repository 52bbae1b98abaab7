"""Layer trees: trees of modules whose leaves are classes of the catalogue, with numbers for all that they hold."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.engine.module_catalogue import Construction, ModuleRow, modules
from conformance.inputs.layer_sources import constructions, here, layer_use
from conformance.inputs.module_trees import Node, Slot, Tree
from conformance.inputs.tensors import corner
from conformance.inputs.tree_growth import grown
from conformance.oracles.layer_shapes import stated_shapes

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@cache
def tree_leaves() -> tuple[tuple[str, tuple[tuple[str, str, tuple[int, ...]], ...]], ...]:
    """Every construction whose state the documentation gives: its call, and name, kind and shape of what it holds."""
    return tuple(
        (f"{row.name}({made.call})", held)
        for row in modules().rows().values()
        if here(row) and row.kind == "layer" and isinstance(row.state, dict | str)
        for made in constructions(row)
        for held in [_held(row, made)]
    )


def _held(row: ModuleRow, made: Construction) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    use = layer_use(row, made, "")
    shapes = stated_shapes(row.state, dict(use.bound))
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    none = {name: "no-buffer" if name in buffers else "no-parameter" for name, shape in shapes.items() if shape is None}
    return tuple(
        (name, none.get(name, "buffer" if name in buffers else "parameter"), shape or ())
        for name, shape in shapes.items()
    )


def catalogue_node(name: str, number: int, turn: int = 0) -> Node:
    """A leaf of the tree: one construction, its state filled with special values on odd turns."""
    call, held = tree_leaves()[number % len(tree_leaves())]
    slots = []
    for place, (slot, kind, shape) in enumerate(held):
        if kind.startswith("no-"):
            slots.append(Slot(slot, kind))
            continue
        dtype = "int64" if slot == "num_batches_tracked" else "float32"
        numbers = "ordinary" if dtype == "int64" or turn % 2 == 0 else "special"
        slots.append(Slot(slot, kind, corner(dtype, shape, "contiguous", numbers, "any", "cpu", place + turn)))
    return Node(name, call, tuple(slots))


def _drawn_node(name: str, number: int, turn: int) -> Node:
    """A leaf for two small numbers, such that neighbours are of different classes."""
    return catalogue_node(name, number * 13 + turn * 5, turn)


def catalogue_tree(decisions: bytes, device: str = "cpu") -> Tree:
    """The tree that a list of decisions makes of the classes of the catalogue."""
    return grown(decisions, device, _drawn_node)


@cache
def listed_layer_trees(device: str) -> tuple[Tree, ...]:
    """Every leaf once, in trees of some, and trees of decisions that are the same each time."""
    count = len(tree_leaves())
    kinds = ("Sequential", "Module", "ModuleList", "ModuleDict")
    found = []
    for first in range(0, count, 12):
        kind = kinds[first // 12 % 4]
        names = range(first, min(first + 12, count))
        leaves = tuple(catalogue_node(str(n - first) if kind[-1] in "lt" else f"a{n}", n, n // 5) for n in names)
        found.append(Tree(Node("", "Module", (), (Node("w", kind, (), leaves),)), device))
    draw = random.Random(7)
    more = (bytes(draw.randrange(256) for _ in range(draw.randrange(8, 24))) for _ in range(10))
    return (*found, *(catalogue_tree(decisions, device) for decisions in more))


def layer_trees(cell: Cell) -> Inputs:
    """Listed trees, and trees grown from drawn decisions."""
    from hypothesis import strategies as st

    device = cell.target.device
    return Inputs(listed_layer_trees(device), st.builds(catalogue_tree, st.binary(max_size=20), st.just(device)))
