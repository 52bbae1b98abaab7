"""Tree sources: which module trees the checks of state dictionaries are fed."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.looks import looked_at
from conformance.inputs.module_trees import HELD, Node, Slot, Tree
from conformance.inputs.tensors import corner
from conformance.inputs.tree_growth import COUNT_PLANS, LAYERS, SLOT_PLANS, grown, layer_node

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def _plans(kind: str, plans: tuple[tuple[str, tuple[int, ...], str], ...]) -> tuple[Slot, ...]:
    return tuple(
        Slot(f"{kind}{n}", kind, corner(dtype, shape, layout, "special" if n % 2 else "ordinary", turn=n))
        for n, (dtype, shape, layout) in enumerate(plans)
    )


# More elements than a loop of one thread takes at once.
LARGE_PLANS = (("float32", (183, 181), "contiguous"), ("bfloat16", (181, 183), "transposed"))
# Every kind of slot in every type and layout; deep nests; tensors and modules with two names.
WRITTEN = (
    Node("", "Module", _plans("parameter", SLOT_PLANS)),
    Node("", "Module", _plans("frozen", SLOT_PLANS)),
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
    Node("", "Module", _plans("parameter", LARGE_PLANS), (Node("a", "Module", _plans("buffer", LARGE_PLANS)),)),
    Node("", "Module"),
)  # fmt: skip


# What listings do with the module ``m``.
OTHER_STATE = "state = {key: torch.zeros_like(x) for key, x in m.state_dict().items()}\n"
TREE_ACTS = {
    "state": "print(m.state_dict())",
    "load": OTHER_STATE + "print(m.load_state_dict(state), m.state_dict())",
    "load doubles": "state = {key: x.double() for key, x in m.state_dict().items()}\n"
    "print(m.load_state_dict(state), m.state_dict())",
    "assign": OTHER_STATE + "m.load_state_dict(state, assign=True)\n"
    "print([x is state[key] or x.data_ptr() == state[key].data_ptr() for key, x in m.state_dict().items()])\n"
    "print([x.requires_grad for x in m.parameters()])",
    "assign from meta": "from copy import deepcopy\nempty = deepcopy(m).to('meta')\n"
    "empty.load_state_dict(m.state_dict(), assign=True)\nprint(empty.state_dict())",
    "file": "import io\nfrom copy import deepcopy\nfile = io.BytesIO()\n"
    "torch.save(m.state_dict(), file)\nfile.seek(0)\n"
    "print(deepcopy(m).load_state_dict(torch.load(file)))",
    "merge": "from copy import deepcopy\nboth = nn.ModuleDict({'a': m, 'b': deepcopy(m)})\n"
    "state = {**both['a'].state_dict(prefix='a.'), **both['b'].state_dict(prefix='b.')}\n"
    "print(both.load_state_dict(state))",
    "state hooks": "for part in m.modules():\n"
    "    part.register_state_dict_pre_hook(lambda part, prefix, keep: print('before', prefix, keep))\n"
    "    part.register_state_dict_post_hook(lambda part, state, prefix, data: print('after', prefix, dict(data)))\n"
    "print(m.state_dict().keys())",
    "load hooks": "for part in m.modules():\n"
    "    part.register_load_state_dict_pre_hook(lambda part, state, prefix, *more: print('before', prefix, more))\n"
    "    part.register_load_state_dict_post_hook(lambda part, keys: print('after', keys))\n"
    "print(m.load_state_dict(m.state_dict()))",
    "adding hook": "m.register_load_state_dict_post_hook(lambda part, keys: keys.missing_keys.append('made.up'))\n"
    "print(m.load_state_dict(m.state_dict(), strict=False))",
    "removed hook": "calls = []\n"
    "hooks = [m.register_load_state_dict_post_hook(lambda *_, n=n: calls.append(n)) for n in 'abc']\n"
    "hooks[1].remove()\nm.load_state_dict(m.state_dict())\nprint(calls)",
    "renaming hook": "def rename(part, state, prefix, *more):\n    for key in list(state):\n"
    "        state[key[4:]] = state.pop(key)\nm.register_load_state_dict_pre_hook(rename)\n"
    "print(m.load_state_dict({f'old.{key}': x for key, x in m.state_dict().items()}))",
    "metadata": "def show(part, state, prefix, metadata, *more):\n    print(prefix, metadata)\n"
    "for part in m.modules():\n    part._register_load_state_dict_pre_hook(show, with_module=True)\n"
    "m.load_state_dict(m.state_dict())\nm.load_state_dict(dict(m.state_dict()))",
    "gradients": "for x in m.parameters():\n    x.grad = torch.ones_like(x)\n" + OTHER_STATE
    + "m.load_state_dict(state)\nprint([x.grad for x in m.parameters()])",
    "swap": "torch.__future__.set_swap_module_params_on_conversion(True)\n" + OTHER_STATE
    + "print(m.load_state_dict(state), m.state_dict())\ntorch.__future__.set_swap_module_params_on_conversion(False)",
    "one element": "state = {key: x.reshape(1) if x.dim() == 0 else x for key, x in m.state_dict().items()}\n"
    "print(m.load_state_dict(state))",
}  # fmt: skip


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
    return Inputs(
        [tree for tree in every.corners if has_slot(tree, kinds)], samples.filter(lambda tree: has_slot(tree, kinds))
    )


def trees_looked_at(act: str, source: Callable[[Cell], Inputs] = module_trees) -> Callable[[Cell], Inputs]:
    """The trees of a source, whose listings end with one of the acts of ``TREE_ACTS``, or with this line."""
    return looked_at(TREE_ACTS.get(act, act), source)


def has_slot(tree: Tree, kinds: tuple[str, ...]) -> bool:
    """Whether a tree has a slot of one of these kinds."""
    return any(slot.kind in kinds for slot, _ in tree.places().values())


def listed(cell: Cell) -> Inputs:
    """The listed trees alone."""
    return Inputs(listed_trees(cell.target.device))


def transient_trees(cell: Cell) -> Inputs:
    """Trees with buffers that are not persistent."""
    return trees_with(cell, "transient")


def empty_slots(cell: Cell) -> Inputs:
    """Trees with names that are registered as None."""
    return trees_with(cell, "no-parameter", "no-buffer")


def tied_trees(cell: Cell) -> Inputs:
    """Trees in which a tensor has several names."""
    every = module_trees(cell)
    assert every.samples is not None
    return Inputs([tree for tree in every.corners if tree.has_ties()], every.samples.filter(Tree.has_ties))


def holding_trees(cell: Cell) -> Inputs:
    """Trees whose state has something in it."""
    return trees_with(cell, *HELD)


def parameter_trees(cell: Cell) -> Inputs:
    """Trees with parameters."""
    return trees_with(cell, "parameter", "frozen")
