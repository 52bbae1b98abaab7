"""Hooked graphs: small computations with hooks at chosen places, built, run and listened to.

A graph is a list of leaves and of steps, each of which makes one more tensor out of earlier ones. Hooks of every kind
are registered as soon as their tensor is made, so that a hook at a tensor that a later step writes in place is one
from before the change. What every hook was called with is kept, in the order of the calls.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#backward-hooks-execution
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from conformance.inputs import listings
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.hook_steps import STEP_CODES, stepped, stepped_values
from conformance.inputs.layouts import REPEATING
from conformance.inputs.tensors import Strided, strided

# The numbers that the gradient of the last tensor starts with: exact in every type, and so is what becomes of them.
SEED_REAL = (1, -2, 3, -1, 2)
SEED_COMPLEX = (1 + 2j, -2 + 1j, 3 - 1j, -1 - 1j, 2 - 3j)

HOOK_KINDS = ("tensor", "pre", "post", "accumulated")


@dataclass(frozen=True)
class GraphHook:
    """A hook at tensor number ``at``: on the tensor, before or after its node, or after its accumulation.

    It multiplies what it may replace by ``factor``, or returns None where that is None. It is removed before the
    backward call number ``removed``, and registered behind all others where it is ``late``. One that ``raises``
    raises that one of HOOK_ERRORS instead, one that ``removes`` another hook, or itself, does so when it is called,
    one that is ``added`` is registered before the backward call of that number, and one that is ``unrecorded`` is
    registered while gradients are not recorded.
    """

    at: int
    kind: str = "tensor"
    factor: float | None = None
    removed: int | None = None
    late: bool = False
    raises: str = ""
    added: int = 0
    removes: int | None = None
    unrecorded: bool = False

    def __repr__(self) -> str:
        return unlike_default(self)


class HookError(Exception):
    """What a hook raises that is to raise."""


class HookInterrupt(BaseException):
    """The same as an interruption, which is no Exception."""


HOOK_ERRORS: dict[str, type[BaseException]] = {
    "error": HookError, "iteration": StopIteration, "interrupt": HookInterrupt,
}  # fmt: skip


@dataclass
class HookEvent:
    """One call: of hook ``number`` (-1: of none, the node itself ran), with what it saw and which .grad there was."""

    turn: int
    at: int
    kind: str
    number: int
    seen: tuple[Any, ...]
    given: tuple[Any, ...] = ()  # gradients of the outputs, where a hook gets both
    grad: Any = None
    recording: bool = False
    argument: Any = None  # the very object that a hook got


@dataclass(frozen=True, eq=False)
class HookedGraph:
    """A computation with hooks: tensors are numbered, leaves first and then the result of each of ``steps``.

    ``entry`` says how the gradients of the last tensor are asked for: by ``backward`` with a gradient, by the ``sum``
    of its elements, by backward of all results, the ``roots``, or by ``grad`` or backward with ``inputs`` for the
    tensors ``wanted``.
    """

    leaves: tuple[Strided, ...]
    steps: tuple[tuple[Any, ...], ...]
    hooks: tuple[GraphHook, ...] = ()
    entry: str = "backward"
    wanted: tuple[int, ...] = ()
    retained: tuple[int, ...] = ()
    passes: int = 1
    rebuilt: bool = False  # whether a later pass computes the steps anew, from the same leaves
    create_graph: bool = False
    removal: str = "remove"
    leaf_kind: str = "tensor"  # tensor, parameter, joint (leaves that share one storage)
    gathered: tuple[int, ...] = ()  # tensors of a multi-grad hook
    mode: str = "all"
    ungathered: int | None = None  # backward call before which the multi-grad hook is removed

    def __repr__(self) -> str:
        return unlike_default(self)

    @property
    def count(self) -> int:
        """How many tensors there are."""
        return len(self.leaves) + len(self.steps)

    @property
    def dtype(self) -> str:
        """Element type of all of them."""
        return self.leaves[0].dtype

    def arguments(self, at: int) -> tuple[int, ...]:
        """Numbers of the tensors that tensor ``at`` is made of; none for a leaf."""
        return () if at < len(self.leaves) else tuple(self.steps[at - len(self.leaves)][1:])

    @cached_property
    def values(self) -> list[np.ndarray]:
        """The value of every tensor, by NumPy and in double precision."""
        wide = np.complex128 if ELEMENT_TYPES[self.dtype].kind == "complex" else np.float64
        found: list[Any] = [plan.array.astype(wide) for plan in self.leaves]
        for name, *numbers in self.steps:
            found.append(stepped_values(name, *(found[n] for n in numbers)))
        return found

    @property
    def roots(self) -> tuple[int, ...]:
        """Numbers of the tensors that backward starts from."""
        last = self.count - 1
        return (last, *range(len(self.leaves), last)) if self.entry == "roots" else (last,)

    def seed(self, at: int) -> Strided:
        """Plan of the gradient that backward starts with at a tensor."""
        layout = self.leaves[0].layout if self.leaves[0].layout not in REPEATING else "contiguous"
        data = SEED_COMPLEX if ELEMENT_TYPES[self.dtype].kind == "complex" else SEED_REAL
        return strided(self.dtype, self.values[at].shape, layout, data, self.leaves[0].device)

    def build(self) -> LiveGraph:
        """The graph in torch, its hooks registered."""
        return LiveGraph(self)

    def run(self) -> LiveGraph:
        """The graph in torch after all its backward calls."""
        live = LiveGraph(self)
        live.run()
        return live

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            **self.leaves[0].facets(),
            "entries": self.entry,
            "steps": [step[0] for step in self.steps],
            "hooks": [hook.kind for hook in self.hooks] + ["multi-grad"] * bool(self.gathered),
        }

    def reductions(self) -> Iterator[HookedGraph]:
        """The same with fewer hooks, fewer passes, and plainer leaves."""
        for n, hook in enumerate(self.hooks):
            if hook.raises:
                continue
            yield replace(self, hooks=self.hooks[:n] + self.hooks[n + 1 :])
        if self.passes > 1:
            yield replace(self, passes=self.passes - 1)
        if self.retained:
            yield replace(self, retained=())
        if self.leaf_kind != "tensor":
            yield replace(self, leaf_kind="tensor")
        plain = [strided(plan.dtype, (2,), "contiguous", plan.data, plan.device) for plan in self.leaves]
        if any(plan.shape != (2,) or plan.layout != "contiguous" for plan in self.leaves):
            yield replace(self, leaves=tuple(plain))

    def code(self) -> str:
        """The graph, its hooks and its backward calls in plain torch."""
        steps = []
        for n, (name, *numbers) in enumerate(self.steps, len(self.leaves)):
            steps.append(f"t{n} = {STEP_CODES[name].format(*(f't{k}' for k in numbers))}")
        return listings.hooked(self, steps, [self.seed(root).code() for root in self.roots])


def unlike_default(plan: Any) -> str:
    """A dataclass as the call that makes it, without what is as by default."""
    parts = []
    for part in fields(plan):
        value = getattr(plan, part.name)
        if part.default is MISSING or value != part.default:
            parts.append(f"{part.name}={value!r}")
    return f"{type(plan).__name__}({', '.join(parts)})"


class Listener:
    """The hook number ``number`` of a live graph: tells the graph of its call, and multiplies."""

    def __init__(self, live: LiveGraph, number: int, hook: GraphHook) -> None:
        self.live, self.number, self.hook = live, number, hook

    def __call__(self, *arguments: Any) -> Any:
        """Say what was seen; the result is what a hook of this kind may return."""
        if self.hook.removes is not None:
            self.live.handles[self.hook.removes].remove()
        at, kind, factor = self.hook.at, self.hook.kind, self.hook.factor
        if self.hook.raises:
            self.live.raised = HOOK_ERRORS[self.hook.raises](f"raised by hook {self.number}")
            raise self.live.raised
        if kind == "accumulated":
            self.live.note(at, kind, self.number, (arguments[0].grad,), argument=arguments[0])
            if factor is not None:
                arguments[0].grad.mul_(factor)
            return None
        seen = arguments[:1] if kind == "tensor" else tuple(arguments[0])
        if kind == "post":
            # the node has edges to constants too, whose gradients nobody asks for
            edges = self.live.nodes[at].next_functions
            seen = tuple(x for x, edge in zip(seen, edges, strict=True) if edge[0] is not None)
            self.live.note(at, kind, self.number, seen, tuple(arguments[1]), arguments)
        else:
            self.live.note(at, kind, self.number, seen, (), arguments[0])
        if factor is None:
            return None
        if kind == "tensor":
            return arguments[0] * factor
        return tuple(None if x is None else x * factor for x in arguments[0])


class GatheredListener:
    """A multi-grad hook of a live graph."""

    def __init__(self, live: LiveGraph) -> None:
        self.live = live

    def __call__(self, found: Any) -> None:
        """Say what was seen: a list of gradients, or one in the mode ``any``."""
        seen = (found,) if self.live.case.mode == "any" else tuple(found)
        self.live.note(-1, "gathered", -1, seen, (), found)


class LiveGraph:
    """A hooked graph in torch: its tensors, the node of each, and all that the hooks told."""

    def __init__(self, case: HookedGraph) -> None:
        self.case = case
        self.turn = 0
        self.tensors: list[torch.Tensor] = []
        self.nodes: list[Any] = []  # as they were when the tensors were made, where a hook or the case needs them
        self.events: list[HookEvent] = []
        self.handles: list[Any] = [None] * len(case.hooks)
        self.gathered: Any = None
        self.raised: BaseException | None = None
        self.grads: list[dict[int, Any]] = []  # after each call: .grad of the leaves, of the retained and the wanted
        self.results: list[tuple[Any, ...]] = []  # what grad returned
        self._needs_nodes = {hook.at for hook in case.hooks if hook.kind in ("pre", "post")}
        self._make_leaves()
        self.forward()
        for number, hook in enumerate(case.hooks):
            if hook.late and not hook.added:
                self._register(number, hook)

    def _make_leaves(self) -> None:
        made = [plan.build() for plan in self.case.leaves]
        if self.case.leaf_kind == "joint":
            storage = torch.stack([x.contiguous() for x in made])
            made = [storage[n] for n in range(len(made))]
        for leaf in made:
            leaf = torch.nn.Parameter(leaf) if self.case.leaf_kind == "parameter" else leaf.requires_grad_()
            self._add(leaf)

    def forward(self) -> None:
        """Compute the steps from the leaves, as far as there are some, and register the hooks of what they make."""
        case, leaves = self.case, len(self.case.leaves)
        del self.tensors[leaves:], self.nodes[leaves:]
        for name, *numbers in case.steps:
            x, *other = (self.tensors[n] for n in numbers)
            self._add(stepped(name, x, other[0] if other else None, self, len(self.tensors)))
        if case.gathered and not self.turn:
            options = {} if case.mode == "all" else {"mode": case.mode}
            members = [self.tensors[n] for n in case.gathered]
            self.gathered = torch.autograd.graph.register_multi_grad_hook(members, GatheredListener(self), **options)

    def _add(self, tensor: torch.Tensor) -> None:
        at = len(self.tensors)
        self.tensors.append(tensor)
        self.nodes.append(node_of(tensor) if at in self._needs_nodes or not self.case.hooks else None)
        if self.turn:
            return
        if at in self.case.retained:
            tensor.retain_grad()
        for number, hook in enumerate(self.case.hooks):
            if hook.at == at and not hook.late and not hook.added:
                self._register(number, hook)

    def _register(self, number: int, hook: GraphHook) -> None:
        with torch.set_grad_enabled(not hook.unrecorded):
            self._attach(number, hook)

    def _attach(self, number: int, hook: GraphHook) -> None:
        tensor, listener = self.tensors[hook.at], Listener(self, number, hook)
        if hook.kind == "tensor":
            self.handles[number] = tensor.register_hook(listener)
        elif hook.kind == "accumulated":
            self.handles[number] = tensor.register_post_accumulate_grad_hook(listener)
        else:
            node = self.nodes[hook.at]
            self.handles[number] = (
                node.register_prehook(listener) if hook.kind == "pre" else node.register_hook(listener)
            )

    def run(self) -> None:
        """Make every backward call, with the removals between them."""
        for turn in range(self.case.passes):
            self.turn = turn
            if turn and self.case.rebuilt:
                self.forward()
            for number, hook in enumerate(self.case.hooks):
                if hook.removed == turn:
                    take_away(self.handles[number], self.case.removal)
                if hook.added and hook.added == turn:
                    self._register(number, hook)
            if self.case.ungathered == turn:
                take_away(self.gathered, self.case.removal)
            self.backward()

    def backward(self) -> None:
        """Ask for the gradients once, and keep what came of it."""
        case, last = self.case, self.tensors[-1]
        options: dict[str, Any] = {"retain_graph": self.turn + 1 < case.passes and not case.rebuilt}
        options["create_graph"] = case.create_graph
        wanted = [self.tensors[n] for n in case.wanted]
        seed = case.seed(case.count - 1).build() if case.entry != "sum" else None
        if case.entry == "grad":
            found = torch.autograd.grad(last, wanted, seed, **options)
            self.results.append(tuple(kept_tensor(x) for x in found))
        elif case.entry == "sum":
            last.sum().backward(**options)
        elif case.entry == "roots":
            seeds = [case.seed(at).build() for at in case.roots]
            torch.autograd.backward([self.tensors[at] for at in case.roots], seeds, **options)
        else:
            last.backward(seed, **options, **({"inputs": wanted} if case.entry == "inputs" else {}))
        shown = {*range(len(case.leaves)), *case.retained, *case.wanted}
        self.grads.append({at: kept_tensor(self.tensors[at].grad) for at in sorted(shown)})

    def note(
        self, at: int, kind: str, number: int, seen: tuple[Any, ...], given: tuple[Any, ...] = (), argument: Any = None
    ) -> None:
        """Keep one call."""
        has_grad = 0 <= at < len(self.case.leaves) or at in self.case.retained
        grad = kept_tensor(self.tensors[at].grad) if has_grad else None
        kept = tuple(kept_tensor(x) for x in seen), tuple(kept_tensor(x) for x in given)
        event = HookEvent(self.turn, at, kind, number, *kept, grad, torch.is_grad_enabled(), argument)
        self.events.append(event)


def node_of(tensor: torch.Tensor) -> Any:
    """The node that the gradient of the tensor goes to: its ``grad_fn``, or what accumulates into a leaf."""
    if tensor.grad_fn is not None:
        return tensor.grad_fn
    view: Any = tensor.view_as(tensor)
    return view.grad_fn.next_functions[0][0]


def kept_tensor(found: Any) -> Any:
    """A copy of a tensor, as it is now; None and what is no tensor as they are."""
    return found.detach().clone() if isinstance(found, torch.Tensor) else found


def take_away(handle: Any, how: str) -> None:
    """Remove a hook by its handle, in one of the ways to do it."""
    if how in ("remove", "twice"):
        handle.remove()
    if how == "twice":
        handle.remove()
    if how == "with":
        with handle:
            pass
    if how in ("raising", "interrupted"):
        kind = KeyError if how == "raising" else HookInterrupt
        with suppress(kind), handle:
            raise kind("leaves the block by an exception")
