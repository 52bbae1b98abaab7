"""Tree growth: module trees that are grown from bytes.

Each byte is one decision, so that fewer and smaller bytes make a simpler tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.inputs.module_trees import HELD, Node, Slot, Tree
from conformance.inputs.tensors import corner

Leaf = Callable[[str, int, int], Node]
# Names of which one begins like another.
NODE_NAMES = ("a", "ab", "weight", "a_", "w", "ab_", "bias")
SLOT_PLANS: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("float32", (2, 3), "contiguous"), ("float64", (), "contiguous"), ("float32", (3,), "stepped"),
    ("complex64", (2, 3), "transposed"), ("float16", (0, 3), "contiguous"), ("bfloat16", (1, 3, 1), "contiguous"),
    ("float64", (2, 3, 4), "transposed"), ("float32", (1,), "offset"),
)  # fmt: skip
COUNT_PLANS: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("int64", (), "contiguous"), ("bool", (3,), "contiguous"), ("uint8", (2, 3), "transposed"), *SLOT_PLANS[1:6],
)  # fmt: skip
# Layers, and the names and shapes of what they hold.
LAYERS: tuple[tuple[str, tuple[tuple[str, str, tuple[int, ...]], ...]], ...] = (
    ("Linear(3, 2)", (("weight", "parameter", (2, 3)), ("bias", "parameter", (2,)))),
    ("Linear(2, 3, bias=False)", (("weight", "parameter", (3, 2)), ("bias", "no-parameter", ()))),
    ("BatchNorm1d(2)", (
        ("weight", "parameter", (2,)), ("bias", "parameter", (2,)), ("running_mean", "buffer", (2,)),
        ("running_var", "buffer", (2,)), ("num_batches_tracked", "count", ()),
    )),
    ("ReLU()", ()),
    ("BatchNorm2d(3, affine=False, track_running_stats=False)", (
        ("weight", "no-parameter", ()), ("bias", "no-parameter", ()), ("running_mean", "no-buffer", ()),
        ("running_var", "no-buffer", ()), ("num_batches_tracked", "no-buffer", ()),
    )),
    ("Embedding(3, 2)", (("weight", "parameter", (3, 2)),)),
    ("Conv2d(1, 2, 2)", (("weight", "parameter", (2, 1, 2, 2)), ("bias", "parameter", (2,)))),
    ("PReLU()", (("weight", "parameter", (1,)),)),
    ("LSTM(2, 1)", (
        ("weight_ih_l0", "parameter", (4, 2)), ("weight_hh_l0", "parameter", (4, 1)),
        ("bias_ih_l0", "parameter", (4,)), ("bias_hh_l0", "parameter", (4,)),
    )),
    ("ParameterList()", (("0", "parameter", (2,)), ("1", "frozen", ()))),
    ("ParameterDict()", (("k", "parameter", (1, 3)), ("ka", "parameter", (2,)))),
)  # fmt: skip


@dataclass
class _Growing:
    """A node while it grows."""

    name: str
    kind: str
    slots: list[Slot] = field(default_factory=list)
    nodes: list[_Growing | Node] = field(default_factory=list)

    def fresh(self, choice: int) -> str:
        """A name that the node has not got yet."""
        if self.kind in ("Sequential", "ModuleList"):
            return str(len(self.nodes))
        taken = {x.name for x in [*self.slots, *self.nodes]}
        names = [*NODE_NAMES[choice % 7 :], *NODE_NAMES, *(f"a{n}" for n in range(40))]
        return next(x for x in names if x not in taken)

    def done(self) -> Node:
        """The node as it is now."""
        below = tuple(x.done() if isinstance(x, _Growing) else x for x in self.nodes)
        return Node(self.name, self.kind, tuple(self.slots), below)


def grown(decisions: bytes, device: str = "cpu", leaf: Leaf | None = None) -> Tree:
    """The tree that a list of decisions makes; ``leaf`` makes a layer of a name and two numbers."""
    leaf = layer_node if leaf is None else leaf
    root = _Growing("", "Module")
    open_: list[_Growing] = [root]
    ties: list[tuple[str, str]] = []
    closed: list[str] = []
    for decision in decisions:
        action, choice = decision % 16, decision // 16
        here = open_[-1]
        path = ".".join(x.name for x in open_[1:])
        if action == 0:
            if len(open_) > 1:
                open_.pop()
                closed.append(path)
        elif action in (1, 2, 3, 4):
            kind = ("Module", "Sequential", "ModuleList", "ModuleDict")[action - 1]
            child = _Growing(here.fresh(choice), kind)
            here.nodes.append(child)
            open_.append(child)
        elif action >= 10 and here.kind == "Module" and action < 15:
            kind = ("parameter", "frozen" if choice % 2 else "parameter", "buffer", "transient", "none")[action - 10]
            slot = _slot(here.fresh(choice), kind, choice)
            here.slots.append(slot)
            if slot.kind in HELD:
                ties.append((f"{path}.{slot.name}".lstrip("."), "tied-buffer" if slot.kind == "buffer" else "tied"))
        elif action == 15 and here.kind == "Module" and ties and choice % 2 == 0:
            # what lies below is made later
            able = [tie for tie in ties if tie[0].rpartition(".")[0] == path or not _below(tie[0], path)]
            if able:
                to, kind = able[choice % len(able)]
                here.slots.append(Slot(here.fresh(choice), kind, to=to))
        elif action == 15 and closed and here.kind == "Module":
            to = closed[choice % len(closed)]
            if not _below(path, to):
                here.nodes.append(Node(here.fresh(choice), "shared", to=to))
        else:
            layer = leaf(here.fresh(choice), action + choice, choice)
            here.nodes.append(layer)
            closed.append(f"{path}.{layer.name}".lstrip("."))
    return Tree(root.done(), device)


def _below(path: str, above: str) -> bool:
    return not above or path.startswith(f"{above}.")


def layer_node(name: str, number: int, turn: int = 0) -> Node:
    """A layer of the table, its state filled with special values on odd turns."""
    kind, held = LAYERS[number % len(LAYERS)]
    slots = []
    for place, (slot, what, shape) in enumerate(held):
        if what.startswith("no-"):
            slots.append(Slot(slot, what))
        else:
            numbers = "ordinary" if what == "count" or turn % 2 == 0 else "special"
            dtype = "int64" if what == "count" else "float32"
            plan = corner(dtype, shape, "contiguous", numbers, "any", "cpu", place + turn)
            slots.append(Slot(slot, "buffer" if what == "count" else what, plan))
    return Node(name, kind, tuple(slots))


def _slot(name: str, kind: str, choice: int) -> Slot:
    if kind == "none":
        return Slot(name, "no-parameter" if choice % 2 else "no-buffer")
    plans = COUNT_PLANS if kind in ("buffer", "transient") else SLOT_PLANS
    dtype, shape, layout = plans[choice % len(plans)]
    return Slot(name, kind, corner(dtype, shape, layout, "special" if choice > 7 else "ordinary", turn=choice))
