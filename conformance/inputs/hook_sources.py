"""Hook sources: which hooked graphs the behaviours of hooks are checked with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.hook_steps import BINARY_STEPS, UNARY_STEPS
from conformance.inputs.hooks import HOOK_KINDS, GraphHook, HookedGraph
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

LEAF_REAL = (1, -2, 0.5, 4, -1, 3)
LEAF_COMPLEX = (1 + 2j, -2j, 3 - 1j, -1 + 0.5j, 2 + 0j)
HOOK_DTYPES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
HOOK_SHAPES = ((2, 3), (), (0,), (1,), (0, 3), (1, 3, 1), (2, 3, 4))
HOOK_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "sliced", "expanded")

Steps = tuple[tuple[Any, ...], ...]
# Places of a tensor in a graph: leaves, steps, and its number.
HOOK_PLACES: dict[str, tuple[int, Steps, int]] = {
    "leaf": (1, (("doubled", 0),), 0),
    "leaf alone": (1, (), 0),
    "leaf used thrice": (1, (("doubled", 0), ("added", 0, 1), ("subtracted", 2, 0)), 0),
    "both operands": (1, (("squared", 0),), 0),
    "result": (1, (("doubled", 0), ("negated", 1)), 1),
    "result used twice": (1, (("doubled", 0), ("negated", 1), ("added", 1, 2)), 1),
    "copy": (1, (("copied", 0), ("doubled", 1)), 1),
    "output": (1, (("doubled", 0),), 1),
    "view of a leaf": (1, (("tail", 0), ("doubled", 1)), 1),
    "view of a result": (1, (("copied", 0), ("turned", 1), ("doubled", 2)), 2),
    "base of views": (1, (("copied", 0), ("tail", 1), ("tail", 1), ("doubled", 2), ("added", 3, 4)), 1),
    "custom": (1, (("custom", 0), ("doubled", 1)), 1),
    "input of a custom function": (1, (("negated", 0), ("custom", 1)), 1),
    "second leaf": (2, (("doubled", 1), ("subtracted", 0, 2)), 1),
    "difference": (1, (("doubled", 0), ("subtracted", 1, 0), ("negated", 2)), 2),
    "product": (2, (("multiplied", 0, 1), ("doubled", 2)), 2),
    "first of two factors": (2, (("multiplied", 0, 1), ("added", 2, 0)), 0),
}
LEAF_PLACES = ("leaf", "leaf alone", "leaf used thrice", "both operands", "second leaf", "first of two factors")
RESULT_PLACES = tuple(place for place in HOOK_PLACES if place not in LEAF_PLACES)
# Steps whose gradient needs more bits than half precision has.
_WIDE = ("squared", "multiplied")


def hook_leaf(dtype: str, shape: tuple[int, ...], layout: str, device: str, turn: int = 0) -> Strided:
    """Plan of a leaf whose numbers are exact in its type."""
    data = LEAF_COMPLEX if ELEMENT_TYPES[dtype].kind == "complex" else LEAF_REAL
    start = turn % len(data)
    return strided(dtype, shape, layout, data[start:] + data[:start], device)


def some(rows: list[Any]) -> list[Any]:
    """About half of the rows, chosen without a period that could leave out a choice of some factor."""
    return [row for n, row in enumerate(rows) if n * 0.6180339887 % 1 < 0.55]


def placed_graph(place: str, dtype: str, shape: tuple[int, ...], layout: str, device: str, **parts: Any) -> HookedGraph:
    """The graph of a place, without hooks."""
    leaves, steps, _ = HOOK_PLACES[place]
    return HookedGraph(tuple(hook_leaf(dtype, shape, layout, device, n) for n in range(leaves)), steps, **parts)


def placed_graphs(
    cell: Cell, places: tuple[str, ...], entries: tuple[str, ...], kind: str = "tensor",
    factors: tuple[tuple[float | None, ...], ...] = ((None,), (3,)), whole: bool = False, **parts: Any,
) -> Inputs:  # fmt: skip
    """Graphs with one hook for each factor at the place, whose gradient grad and inputs ask for.

    The covering of all choices crosses places and shapes in full; where not the ``whole`` of it is asked for, half is
    taken, and the rest meets in the graphs of other kinds of hooks.
    """
    found: list[HookedGraph] = []
    rows = covering(places, HOOK_DTYPES, HOOK_SHAPES, HOOK_LAYOUTS, entries, factors, ("tensor", "parameter", "joint"))
    for place, dtype, shape, layout, entry, row, leaf_kind in rows if whole else some(rows):
        if entry == "sum" and ELEMENT_TYPES[dtype].kind == "complex":
            entry = "backward"
        at = HOOK_PLACES[place][2]
        # a period that no factor of the covering has: hooks registered where gradients are not recorded
        hooks = tuple(GraphHook(at, kind, factor, unrecorded=len(found) % 5 == 2) for factor in row)
        case = placed_graph(
            place, dtype, shape, layout, cell.target.device, hooks=hooks, entry=entry, leaf_kind=leaf_kind
        )
        if entry in ("grad", "inputs"):
            case = replace(case, wanted=(at,))
        found.append(replace(case, **parts))
    return Inputs(found)


def tensor_hooks(cell: Cell) -> Inputs:
    """One hook on a tensor at each place."""
    return placed_graphs(cell, tuple(HOOK_PLACES), ("backward", "sum", "roots"), whole=True)


def silent_tensor_hooks(cell: Cell) -> Inputs:
    """One hook that returns None at each place."""
    return placed_graphs(cell, tuple(HOOK_PLACES), ("backward", "sum"), factors=((None,),))


def replacing_tensor_hooks(cell: Cell) -> Inputs:
    """One hook that returns another gradient at each place."""
    return placed_graphs(
        cell, tuple(HOOK_PLACES), ("backward", "sum", "roots"), factors=((3,), (-2,), (0.5,)), whole=True
    )


def several_tensor_hooks(cell: Cell) -> Inputs:
    """Several hooks on one tensor, of which some return None."""
    rows: tuple[tuple[float | None, ...], ...] = ((2, -1), (None, 3), (-1, None, 2), (2, 3, -1), (-2, None, None, 0.5))
    return placed_graphs(cell, tuple(HOOK_PLACES), ("backward", "sum", "roots"), factors=rows)


def repeated_tensor_hooks(cell: Cell) -> Inputs:
    """Two hooks, called by several backward calls through one graph."""
    found = placed_graphs(cell, tuple(HOOK_PLACES), ("backward", "sum", "roots"), factors=((None, 2), (-1,)))
    return Inputs([replace(case, passes=2 + n % 2) for n, case in enumerate(found.corners)])


def rebuilt_tensor_hooks(cell: Cell) -> Inputs:
    """Hooks on leaves, of which several graphs are made one after another."""
    return placed_graphs(
        cell, LEAF_PLACES, ("backward", "sum"), factors=((None,), (2, -1)), whole=True, passes=3, rebuilt=True
    )


def several_uses(cell: Cell) -> Inputs:
    """A hook on a tensor that is used several times."""
    places = ("leaf used thrice", "both operands", "result used twice", "base of views", "first of two factors")
    return placed_graphs(cell, places, ("backward", "sum", "roots"), whole=True)


def retained_with_hooks(cell: Cell) -> Inputs:
    """Hooks that replace the gradient of a tensor that retains it."""
    found = placed_graphs(cell, RESULT_PLACES, ("backward", "sum", "roots"), factors=((3,), (2, -1), (None, -2)))
    return Inputs(
        [replace(case, retained=(case.hooks[0].at,), passes=1 + n % 2) for n, case in enumerate(found.corners)]
    )


def asked_for_alone(cell: Cell) -> Inputs:
    """Gradients by one tensor with hooks, by autograd.grad."""
    return placed_graphs(cell, tuple(HOOK_PLACES), ("grad",), factors=((3,), (None,), (2, -1)))


def asked_for_with_inputs(cell: Cell) -> Inputs:
    """Gradients by one tensor with hooks, by backward with inputs."""
    return placed_graphs(cell, tuple(HOOK_PLACES), ("inputs",), factors=((3,), (None,), (2, -1)))


def asked_for_together(cell: Cell) -> Inputs:
    """Gradients by a result with hooks and by the leaf that it is made of, by one call of autograd.grad."""
    found = placed_graphs(cell, RESULT_PLACES, ("grad",), factors=((3,), (None, -2), (2, -1)))
    return Inputs(
        [replace(case, wanted=(case.hooks[0].at, 0)[:: 1 - 2 * (n % 2)]) for n, case in enumerate(found.corners)]
    )


def beside_the_way(cell: Cell) -> Inputs:
    """Hooks on tensors whose gradients nobody asks for: beside the way, or behind what is asked for."""
    device = cell.target.device
    found = []
    for n, (shape, layout) in enumerate(covering(HOOK_SHAPES, HOOK_LAYOUTS)):
        leaves = tuple(
            hook_leaf(("float64", "complex64", "float32")[n % 3], shape, layout, device, k) for k in range(2)
        )
        entry = ("grad", "inputs")[n % 2]
        # t2 = t0 * 2, t3 = -t1, t4 = t2 + t3
        steps = (("doubled", 0), ("negated", 1), ("added", 2, 3))
        hooks = tuple(GraphHook(at, "tensor", 2) for at in range(5))
        found.append(HookedGraph(leaves, steps, hooks, entry, ((2,), (1,), (3,), (0,))[n % 4]))
        # t2 = t0 * 2 is not what backward starts from
        found.append(HookedGraph(leaves, (("doubled", 0), ("negated", 1)), hooks[:4], "backward"))
    return Inputs(found)


def removed_hooks(cell: Cell, kinds: tuple[str, ...], ways: tuple[str, ...] = ("remove",)) -> Inputs:
    """Three hooks of a kind, of which one is removed before the first, the second or the third backward call."""
    found = []
    places = tuple(HOOK_PLACES) if kinds != ("accumulated",) else LEAF_PLACES
    rows = covering(places, ("float64", "bfloat16", "complex64"), HOOK_SHAPES, (0, 1, 2), (0, 1, 2), kinds, ways)
    for n, (place, dtype, shape, gone, turn, kind, way) in enumerate(some(rows)):
        at = HOOK_PLACES[place][2]
        hooks = [GraphHook(at, kind, factor) for factor in (2, None, -1)]
        hooks[gone] = replace(hooks[gone], removed=turn)
        layout = HOOK_LAYOUTS[n % len(HOOK_LAYOUTS)]
        passes = 3 if dtype != "bfloat16" or kind != "accumulated" else 2
        parts = {"hooks": tuple(hooks), "passes": passes, "removal": way}
        found.append(placed_graph(place, dtype, shape, layout, cell.target.device, **parts))
    return Inputs(found)


def removed_tensor_hooks(cell: Cell) -> Inputs:
    """Removals of hooks on tensors."""
    return removed_hooks(cell, ("tensor",))


def removed_node_hooks(cell: Cell) -> Inputs:
    """Removals of hooks of nodes."""
    return removed_hooks(cell, ("pre", "post"))


def removed_accumulation_hooks(cell: Cell) -> Inputs:
    """Removals of hooks after the accumulation."""
    return removed_hooks(cell, ("accumulated",))


def removed_inside(cell: Cell) -> Inputs:
    """Three hooks of a kind, of which one removes itself, an earlier or a later one, which returns None.

    In every third case a hook on another tensor of the graph removes the only hook of its tensor.
    """
    found = []
    rows = covering(tuple(HOOK_PLACES), ("float64", "complex64"), HOOK_SHAPES, (0, 1, 2), (0, 1, 2), HOOK_KINDS)
    for n, (place, dtype, shape, first, second, kind) in enumerate(some(rows)):
        at = HOOK_PLACES[place][2]
        kind = "tensor" if kind == "accumulated" and place not in LEAF_PLACES else kind
        hooks = [GraphHook(at, kind, None if k == second else factor) for k, factor in enumerate((2, -1, 2))]
        hooks[first] = replace(hooks[first], removes=second)
        leaves, steps, _ = HOOK_PLACES[place]
        if n % 3 == 1 and steps:
            hooks = [GraphHook(0 if at else leaves + len(steps) - 1, removes=1), GraphHook(at, kind)]
        layout = HOOK_LAYOUTS[n % len(HOOK_LAYOUTS)]
        found.append(
            placed_graph(place, dtype, shape, layout, cell.target.device, hooks=tuple(hooks), passes=2 + n % 2)
        )
    return Inputs(found)


def added_hooks(cell: Cell) -> Inputs:
    """Hooks of each kind that are registered before the second or the third backward call, behind one from before."""
    found = []
    rows = covering(tuple(HOOK_PLACES), ("float64", "complex64"), HOOK_SHAPES, (1, 2), ((None, 2), (-1, 3)), HOOK_KINDS)
    for n, (place, dtype, shape, added, factors, kind) in enumerate(some(rows)):
        at = HOOK_PLACES[place][2]
        kind = "tensor" if kind == "accumulated" and place not in LEAF_PLACES else kind
        hooks = (GraphHook(at, kind, factors[0]), GraphHook(at, kind, factors[1], added=added))
        layout = HOOK_LAYOUTS[n % len(HOOK_LAYOUTS)]
        found.append(placed_graph(place, dtype, shape, layout, cell.target.device, hooks=hooks[n % 3 == 2 :], passes=3))
    return Inputs(found)


def removed_twice(cell: Cell) -> Inputs:
    """Hooks that are removed twice."""
    return removed_hooks(cell, ("tensor",), ("twice",))


def removed_by_a_block(cell: Cell) -> Inputs:
    """Hooks that are removed by the end of a with block, by an exception too."""
    return removed_hooks(cell, ("tensor",), ("with", "raising", "interrupted"))


def written_graphs(cell: Cell) -> Inputs:
    """Tensors that are modified in place, with hooks from before, between and after the changes."""
    found = []
    chains: tuple[Steps, ...] = (
        (("copied", 0), ("written", 1)),
        (("doubled", 0), ("written", 1), ("written", 2)),
        (("copied", 0), ("doubled", 1), ("written", 1), ("added", 2, 3)),
        (("custom", 0), ("written", 1), ("negated", 2)),
        (("negated", 0), ("written", 1), ("turned", 2), ("doubled", 3)),
    )
    factors: tuple[tuple[float | None, ...], ...] = ((None, None, None), (2, -1, 0.5), (None, 3, None))
    rows = covering(chains, HOOK_DTYPES, HOOK_SHAPES, HOOK_LAYOUTS, factors, ("backward", "sum"))
    for steps, dtype, shape, layout, row, entry in rows:
        if entry == "sum" and ELEMENT_TYPES[dtype].kind == "complex":
            entry = "backward"
        hooks = tuple(GraphHook(at, "tensor", factor) for at, factor in enumerate(row, 1) if at <= len(steps))
        found.append(HookedGraph((hook_leaf(dtype, shape, layout, cell.target.device),), steps, hooks, entry))
    return Inputs(found)


def accumulation_hooks(cell: Cell) -> Inputs:
    """Hooks after the accumulation into leaves, over several backward calls."""
    rows: tuple[tuple[float | None, ...], ...] = ((None,), (2,), (2, None, -1))
    found = placed_graphs(cell, LEAF_PLACES, ("backward", "sum", "inputs"), "accumulated", rows, True)
    return Inputs([replace(case, passes=1 + n % 2) for n, case in enumerate(found.corners)])


def unaccumulated(cell: Cell) -> Inputs:
    """Hooks after the accumulation where nothing is accumulated: by autograd.grad, or for other inputs."""
    found = list(placed_graphs(cell, LEAF_PLACES, ("grad",), "accumulated", ((None,), (2,)), True).corners)
    device = cell.target.device
    for n, (shape, layout) in enumerate(covering(HOOK_SHAPES, HOOK_LAYOUTS)):
        leaves = tuple(hook_leaf(("float64", "complex64")[n % 2], shape, layout, device, k) for k in range(2))
        hooks = (GraphHook(0, "accumulated", 2), GraphHook(1, "accumulated", 2))
        found.append(HookedGraph(leaves, (("multiplied", 0, 1), ("added", 2, 0)), hooks, "inputs", (n % 2,)))
    return Inputs(found)


def node_hooks(cell: Cell, kind: str, factors: tuple[tuple[float | None, ...], ...]) -> Inputs:
    """Hooks of the nodes of tensors at each place, leaves too, over one or two backward calls."""
    found = placed_graphs(cell, tuple(HOOK_PLACES), ("backward", "sum", "roots"), kind, factors)
    return Inputs([replace(case, passes=1 + n % 2) for n, case in enumerate(found.corners)])


def post_hooks(cell: Cell) -> Inputs:
    """One hook of a node."""
    return node_hooks(cell, "post", ((None,), (3,)))


def replacing_post_hooks(cell: Cell) -> Inputs:
    """One hook of a node that returns other gradients of its inputs."""
    return node_hooks(cell, "post", ((2,), (3,), (-0.5,)))


def pre_hooks(cell: Cell) -> Inputs:
    """One pre-hook of a node."""
    return node_hooks(cell, "pre", ((None,), (3,)))


def replacing_pre_hooks(cell: Cell) -> Inputs:
    """One pre-hook of a node that returns other gradients of its outputs."""
    return node_hooks(cell, "pre", ((2,), (3,), (-0.5,)))


def silent_node_hooks(cell: Cell) -> Inputs:
    """A hook and a pre-hook that both return None."""
    found = node_hooks(cell, "post", ((None,),)).corners
    return Inputs([replace(case, hooks=(*case.hooks, replace(case.hooks[0], kind="pre"))) for case in found])


def several_node_hooks(cell: Cell) -> Inputs:
    """Several hooks and several pre-hooks of one node."""
    rows: tuple[tuple[float | None, ...], ...] = ((2, -1), (None, 3), (2, None, -1))
    pre = list(node_hooks(cell, "pre", rows).corners)[::2]
    return Inputs([*pre, *list(node_hooks(cell, "post", rows).corners)[1::2]])


def unexecuted_nodes(cell: Cell) -> Inputs:
    """Hooks of nodes where autograd.grad asks for the gradient by the tensor alone, or by what it is made of too."""
    found = []
    for kind in ("pre", "post"):
        graphs = placed_graphs(cell, tuple(HOOK_PLACES), ("grad",), kind, ((None,), (3,))).corners
        for n, case in enumerate(graphs):
            at = case.hooks[0].at
            found.append(replace(case, wanted=(0,) if n % 2 and case.arguments(at) else (at,)))
    return Inputs(found)


def graph_by_bytes(choices: bytes, device: str, dtype: str = "float64") -> HookedGraph:
    """A graph of one to five steps with hooks of all kinds, as a string of bytes chooses them."""
    draw = iter(choices)
    leaves, steps = _drawn_steps(draw)
    count = leaves + len(steps)
    shape = HOOK_SHAPES[next(draw) % len(HOOK_SHAPES)]
    layout = HOOK_LAYOUTS[next(draw) % len(HOOK_LAYOUTS)]
    retained = (
        (leaves + next(draw) % len(steps),) if next(draw) % 2 and not any(s[0] == "written" for s in steps) else ()
    )
    hooks: list[GraphHook] = []
    at = 0
    for _ in range(2 + next(draw) % 6):
        # every other hook, about, is at the tensor of the one before it
        choice, kind = next(draw), ("tensor", "pre", "post", "accumulated")[next(draw) % 4]
        at = choice // 2 % count if choice % 2 or not hooks else at
        if kind == "accumulated" and at >= leaves:
            kind = "tensor"
        factor = (None, 2, -1, 0.5, 3)[next(draw) % 5]
        hooks.append(GraphHook(at, kind, None if kind == "pre" and at in retained else factor))
    passes = 1 + next(draw) % 2
    plans = tuple(hook_leaf(dtype, shape, layout, device, n) for n in range(leaves))
    return HookedGraph(plans, steps, tuple(hooks), ("backward", "sum")[next(draw) % 2], (), retained, passes)


def _drawn_steps(draw: Iterator[int]) -> tuple[int, Steps]:
    """Leaves and steps; only a fresh copy is written in place, and only before anything else uses it."""
    leaves = 1 + next(draw) % 2
    current, steps, products = list(range(leaves)), list[tuple[Any, ...]](), 0
    wanted = 1 + next(draw) % 5
    while len(steps) < wanted:
        choice, first, second = next(draw), next(draw), next(draw)
        made = leaves + len(steps)
        # what was made last is used most, so that graphs grow long
        at = current[-1 - first % len(current)]
        if choice % 4 == 3 and wanted - len(steps) >= 2 and choice % 8 == 3:
            steps += [("copied", at), ("written", made)]
            current.append(made + 1)
            continue
        name = BINARY_STEPS[choice % 3] if second % 2 else UNARY_STEPS[choice % len(UNARY_STEPS)]
        products += name in _WIDE
        if products > 2 and name in _WIDE:
            name = "doubled"
        if name in ("turned", "tail"):
            name = "shared"
        steps.append((name, at, current[second % len(current)]) if name in BINARY_STEPS else (name, at))
        current.append(made)
    return leaves, tuple(steps)


def bytes_of(number: int) -> bytes:
    """Sixty-four bytes that belong to a number."""
    return hashlib.sha512(b"%d" % number).digest()


def random_graphs(cell: Cell) -> Inputs:
    """Graphs of all shapes with hooks of all kinds; sampled ones have choices of their own."""
    from hypothesis import strategies as st

    device = cell.target.device
    corners = [graph_by_bytes(bytes_of(n), device, ("float64", "complex128")[n % 2]) for n in range(80)]
    corners = [replace(c, entry="backward") if c.dtype == "complex128" else c for c in corners]
    drawn = st.binary(min_size=64, max_size=64)
    return Inputs(corners, drawn.map(lambda choices: graph_by_bytes(choices, device)))
