"""Hook case sources: which refusals, wrong results, written views and multi-grad hooks are tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.hook_cases import (
    AccumulationChange,
    DifferentiatedHook,
    HookCase,
    HookRefusal,
    HookTarget,
    NestedCall,
    SplitHook,
    ThreadedHook,
    WrittenView,
    WrongResult,
)
from conformance.inputs.hook_sources import (
    HOOK_DTYPES,
    HOOK_LAYOUTS,
    HOOK_PLACES,
    HOOK_SHAPES,
    LEAF_PLACES,
    RESULT_PLACES,
    bytes_of,
    graph_by_bytes,
    hook_leaf,
    placed_graph,
    placed_graphs,
    some,
)
from conformance.inputs.hooks import HOOK_ERRORS, GraphHook, HookedGraph
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def hook_cases(
    cell: Cell, kind: type[HookCase], ways: tuple[str, ...], dtypes: Any = HOOK_DTYPES, shapes: Any = HOOK_SHAPES
) -> Inputs:
    """Cases of a kind: each way with each element type, shape and layout."""
    rows = covering(ways, dtypes, shapes, HOOK_LAYOUTS)
    return Inputs(
        [kind(hook_leaf(dtype, shape, layout, cell.target.device), way) for way, dtype, shape, layout in rows]
    )


def untracked_tensors(cell: Cell) -> Inputs:
    """Tensors that require no grad, for one reason or another, integers and bools among them."""
    found = list(hook_cases(cell, HookRefusal, ("plain", "detached", "without recording", "frozen")).corners)
    whole = ("int64", "int32", "int16", "int8", "uint8", "bool")
    for dtype, shape, layout in covering(whole, HOOK_SHAPES, HOOK_LAYOUTS):
        found.append(HookRefusal(corner(dtype, shape, layout, device=cell.target.device), "plain"))
    return Inputs(found)


def tracked_tensors(cell: Cell) -> Inputs:
    """Tensors that require grad: leaves, results and views."""
    return hook_cases(cell, HookTarget, ("leaf", "result", "view"))


def results_and_views(cell: Cell) -> Inputs:
    """Tensors that require grad and are no leaves."""
    return hook_cases(cell, HookRefusal, ("result", "view"))


def wrong_results(cell: Cell) -> Inputs:
    """Hooks on tensors that return another shape, another type, or no tensor."""
    return hook_cases(cell, WrongResult, ("shape", "element type", "string", "number"))


def wrong_node_results(cell: Cell) -> Inputs:
    """Hooks of nodes that return no tuple, or one of another length."""
    return hook_cases(cell, WrongResult, ("pre no tuple", "pre too many", "post no tuple", "post too many"))


def views_written_through(cell: Cell) -> Inputs:
    """Views that are written, with hooks on their base."""
    return hook_cases(cell, WrittenView, ("view", "view used"), ("float64", "float32", "float16"), VIEWED_SHAPES)


def bases_written(cell: Cell) -> Inputs:
    """Bases that are written, with a hook on their view from before, of which something was computed or not."""
    ways = ("base refreshed", "base used refreshed")
    return hook_cases(cell, WrittenView, ways, ("float64", "float32", "float16"), VIEWED_SHAPES)


def unread_views(cell: Cell) -> Inputs:
    """Bases that are written, with a hook on their view registered next."""
    ways = ("base", "base unhooked")
    return hook_cases(cell, WrittenView, ways, ("float64", "float32"), VIEWED_SHAPES)


VIEWED_SHAPES = ((3,), (2, 3), (3, 1, 2), (4, 2))


def split_hooks(cell: Cell) -> Inputs:
    """Functions with several outputs."""
    return hook_cases(cell, SplitHook, ("unbind", "split", "chunk"), HOOK_DTYPES, ((2,), (3, 2), (2, 1, 3), (4, 0)))


def accumulation_changes(cell: Cell) -> Inputs:
    """Hooks that change the leaf or its .grad."""
    ways = ("step", "drop", "zero", "replace", "step and drop")
    layouts = HOOK_LAYOUTS[:-1]  # the elements of an expanded leaf cannot be written one by one
    rows = covering(ways, ("float64", "float32", "complex64"), HOOK_SHAPES, layouts)
    device = cell.target.device
    return Inputs(
        [AccumulationChange(hook_leaf(dtype, shape, layout, device), way) for way, dtype, shape, layout in rows]
    )


def differentiated_hooks(cell: Cell) -> Inputs:
    """Hooks on a leaf and on a result, in a first derivative that is differentiated again."""
    ways = ("leaf twice", "leaf square", "result twice", "result square")
    return hook_cases(cell, DifferentiatedHook, ways, ("float64", "float32"))


def threaded_hooks(cell: Cell) -> Inputs:
    """Two threads."""
    return hook_cases(cell, ThreadedHook, ("one graph", "two graphs"), ("float64", "complex64"), HOOK_SHAPES[:5])


def nested_calls(cell: Cell) -> Inputs:
    """A backward call within another; in a thread on the CPU only, where no thread of a device waits for it."""
    ways = ("nested", "thread") if cell.target.device == "cpu" else ("nested",)
    return hook_cases(cell, NestedCall, ways, ("float64", "complex64"), HOOK_SHAPES[:5])


def raising_hooks(cell: Cell, kinds: tuple[str, ...]) -> Inputs:
    """A hook that raises, among two that do not."""
    found: list[HookedGraph] = []
    places = LEAF_PLACES if kinds == ("accumulated",) else tuple(HOOK_PLACES)
    rows = covering(places, ("float64", "complex64"), HOOK_SHAPES, HOOK_LAYOUTS, kinds, (0, 1, 2))
    for place, dtype, shape, layout, kind, number in rows if kinds == ("accumulated",) else some(rows):
        at = HOOK_PLACES[place][2]
        hooks = [GraphHook(at, kind, factor) for factor in (None, 2, -1)]
        hooks[number] = GraphHook(at, kind, raises=tuple(HOOK_ERRORS)[len(found) % len(HOOK_ERRORS)])
        found.append(placed_graph(place, dtype, shape, layout, cell.target.device, hooks=tuple(hooks), passes=2))
    return Inputs(found)


def raising_tensor_hooks(cell: Cell) -> Inputs:
    """Hooks on tensors of which one raises."""
    return raising_hooks(cell, ("tensor",))


def raising_node_hooks(cell: Cell) -> Inputs:
    """Hooks of nodes of which one raises."""
    return raising_hooks(cell, ("pre", "post"))


def raising_accumulation_hooks(cell: Cell) -> Inputs:
    """Hooks after the accumulation of which one raises."""
    return raising_hooks(cell, ("accumulated",))


def recording_hooks(cell: Cell) -> Inputs:
    """Hooks after the accumulation, with and without create_graph."""
    found = placed_graphs(cell, LEAF_PLACES, ("backward", "sum"), "accumulated", ((None,),), True)
    return Inputs([replace(case, create_graph=bool(n % 2)) for n, case in enumerate(found.corners)])


def retaining_graphs(cell: Cell, kinds: tuple[str, ...]) -> Inputs:
    """A tensor that retains its gradient, with hooks that return None on it or at its node."""
    found = []
    for case in placed_graphs(cell, RESULT_PLACES, ("backward", "sum"), factors=((None,), (3,))).corners:
        hook = case.hooks[0]
        more = tuple(GraphHook(hook.at, kind) for kind in kinds)
        found.append(replace(case, hooks=(*case.hooks, *more), retained=(hook.at,)))
    return Inputs([replace(case, passes=1 + n % 2) for n, case in enumerate(found)])


def retained_before_the_node(cell: Cell) -> Inputs:
    """Retaining tensors with hooks on them and of their nodes."""
    return retaining_graphs(cell, ("post",))


def retained_and_pre_hooks(cell: Cell) -> Inputs:
    """Retaining tensors with pre-hooks of their nodes."""
    return retaining_graphs(cell, ("pre",))


# Multi-grad hooks: leaves, steps, and the tensors gathered.
_TREE = (("multiplied", 0, 1), ("multiplied", 0, 1), ("added", 2, 0), ("doubled", 4))
GATHERINGS: tuple[tuple[int, Any, tuple[int, ...]], ...] = (
    (2, (("multiplied", 0, 1),), (0, 1, 2)),
    (2, (("multiplied", 0, 1),), (2, 0)),
    (1, (("doubled", 0), ("negated", 1), ("copied", 2)), (1, 3)),
    (1, (("doubled", 0), ("added", 0, 1)), (1, 0, 2)),
    (2, _TREE, (5, 0, 2, 1)),
    (2, _TREE, (3, 4, 1)),  # tensor 3 is beside the way
    (2, (("tail", 0), ("custom", 2)), (2, 1, 3)),  # leaf 1 is no part of the graph
    (1, (("squared", 0),), (0,)),
    (2, (("multiplied", 0, 1),), (0, 0, 1)),  # one tensor twice
)


def gathering_graphs(cell: Cell, entries: tuple[str, ...], mode: str = "all", **parts: Any) -> Inputs:
    """Graphs with a multi-grad hook, some with hooks on its tensors from before and from after it.

    None of its tensors is the one that backward starts from; see ``gatherings_of_outputs``.
    """
    found = []
    rows = covering(
        GATHERINGS, ("float64", "complex64", "float32"), HOOK_SHAPES, HOOK_LAYOUTS, entries, (0, 1, 2), (1, 2)
    )
    for (leaves, steps, members), dtype, shape, layout, entry, hooked, passes in rows:
        if entry == "sum" and ELEMENT_TYPES[dtype].kind == "complex":
            entry = "backward"
        last = leaves + len(steps) - 1
        steps = (*steps, ("copied", last))
        wanted = (0,) if entry == "inputs" else ()
        hooks = tuple(GraphHook(at, "tensor", (2, -1, None)[at % 3]) for at in members[:1] * (hooked > 0))
        hooks += tuple(GraphHook(at, "tensor", 3, late=True) for at in members[-1:] * (hooked > 1))
        plans = tuple(hook_leaf(dtype, shape, layout, cell.target.device, n) for n in range(leaves))
        case = HookedGraph(plans, steps, hooks, entry, wanted, (), passes, gathered=members, mode=mode)
        found.append(replace(case, **parts))
    return Inputs(found)


def gatherings(cell: Cell) -> Inputs:
    """Multi-grad hooks in full backward calls."""
    return gathering_graphs(cell, ("backward", "sum"))


def gatherings_of_outputs(cell: Cell) -> Inputs:
    """Multi-grad hooks of which one tensor is the one that backward starts from."""
    found = []
    for case in gathering_graphs(cell, ("backward", "inputs")).corners:
        if case.count - 2 in case.gathered:
            found.append(replace(case, steps=case.steps[:-1]))
    return Inputs(found)


def partial_gatherings(cell: Cell) -> Inputs:
    """Multi-grad hooks in backward calls to one leaf."""
    return gathering_graphs(cell, ("inputs",))


def gatherings_of_first(cell: Cell) -> Inputs:
    """Multi-grad hooks that want the first gradient only."""
    return gathering_graphs(cell, ("backward", "sum", "inputs"), "any")


def removed_gatherings(cell: Cell) -> Inputs:
    """Multi-grad hooks that are removed before the first or the second backward call."""
    found = []
    for n, case in enumerate(gathering_graphs(cell, ("backward",)).corners):
        found.append(replace(case, passes=3, ungathered=n % 3, removal=("remove", "twice")[n % 2]))
    return Inputs(found)


def gatherings_by_grad(cell: Cell) -> Inputs:
    """Multi-grad hooks in calls of autograd.grad for one of their leaves."""
    found = []
    for case in gathering_graphs(cell, ("inputs",)).corners:
        if 0 in case.gathered:
            found.append(replace(case, entry="grad", passes=1))
    return Inputs(found)


def named_graphs(cell: Cell) -> Inputs:
    """Graphs of all shapes, without hooks."""
    found = [graph_by_bytes(bytes_of(n), cell.target.device) for n in range(100, 130)]
    return Inputs([replace(case, hooks=(), retained=(), passes=1) for case in found])
