"""The hook model: which hooks a backward pass calls, in which order and with what, computed by NumPy.

The model follows the documented order tensor by tensor, from the last to the first: hooks on the tensor, pre-hooks of
its node, the ``.grad`` that it retains, the node, hooks after the accumulation, hooks of the node.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#the-order-in-which-the-different-hooks-are-fired
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.inputs.hooks import HOOK_ERRORS, HookedGraph, HookEvent, LiveGraph
from conformance.oracles import memory, numbers
from conformance.oracles.expect import Mismatch, equal, raises, that

ANYTHING = "anything"  # stands for a gradient of which nothing is promised, such as one that nobody needs
HOOK_NAMES = {
    "tensor": "tensor hook",
    "pre": "node pre-hook",
    "node": "backward of the node",
    "accumulated": "post-accumulate hook",
    "post": "node hook",
    "gathered": "multi-grad hook",
}


@dataclass
class HookRun:
    """What the backward calls of a graph came to: the calls of the hooks, and the gradients after each call."""

    events: list[HookEvent] = field(default_factory=list)
    grads: list[dict[int, Any]] = field(default_factory=list)
    results: list[tuple[Any, ...]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[HookEvent]:
        """The calls of hooks of these kinds, or of all."""
        return [event for event in self.events if not kinds or event.kind in kinds]

    def at(self, turn: int, place: int) -> list[HookEvent]:
        """The calls at one tensor in one backward call, in order."""
        return [event for event in self.events if (event.turn, event.at) == (turn, place)]


def expected_run(case: HookedGraph) -> HookRun:
    """What has to come of a graph."""
    model = HookModel(case)
    for turn in range(case.passes):
        model.backward(turn)
    return model.run


def found_run(live: LiveGraph) -> HookRun:
    """What came of a graph, its tensors as arrays."""
    events = [
        HookEvent(
            event.turn, event.at, event.kind, event.number, tuple(array_of(x) for x in event.seen),
            tuple(array_of(x) for x in event.given), array_of(event.grad), event.recording, event.argument,
        )
        for event in live.events
    ]  # fmt: skip
    grads = [{at: array_of(x) for at, x in shown.items()} for shown in live.grads]
    return HookRun(events, grads, [tuple(array_of(x) for x in found) for found in live.results])


def array_of(found: Any) -> Any:
    """The elements of a tensor; None and what is no tensor as they are."""
    return memory.contents(found) if hasattr(found, "data_ptr") else found


class HookModel:
    """The state of the model: the gradients that leaves and retaining tensors hold."""

    def __init__(self, case: HookedGraph) -> None:
        self.case = case
        self.run = HookRun()
        self.held: dict[int, Any] = {}
        self.incoming: dict[int, Any] = {}

    def backward(self, turn: int) -> None:
        """One backward call."""
        case = self.case
        self.incoming = {at: case.seed(at).array.astype(case.values[at].dtype) for at in case.roots}
        if case.entry == "sum":
            self.incoming = {case.count - 1: np.ones_like(case.values[-1])}
        captured: dict[int, Any] = {}
        gathered: dict[int, Any] = {}
        for at in reversed(range(case.count)):
            if at in self.incoming and (self.executes(at) or at in case.wanted or not self.selective):
                captured[at] = self._tensor(turn, at, gathered)
        self._gathered(turn, gathered)
        shown = {*range(len(case.leaves)), *case.retained, *case.wanted}
        self.run.grads.append({at: self.held.get(at) for at in sorted(shown)})
        if case.entry == "grad":
            self.run.results.append(tuple(captured.get(at) for at in case.wanted))

    @property
    def selective(self) -> bool:
        """Whether only the gradients of certain tensors are asked for."""
        return self.case.entry in ("grad", "inputs")

    def executes(self, at: int) -> bool:
        """Whether the node of a tensor has to be executed."""
        arguments = self.case.arguments(at)
        if not self.selective:
            return True
        if not arguments:
            return self.case.entry == "inputs" and at in self.case.wanted
        return any(n in self.case.wanted or self._leads_on(n) for n in arguments)

    def _leads_on(self, at: int) -> bool:
        return any(n in self.case.wanted or self._leads_on(n) for n in self.case.arguments(at))

    def _active(self, turn: int, at: int, kind: str) -> list[tuple[int, Any]]:
        """The hooks of a kind at a tensor that are registered by then, in order."""
        new = turn and self.case.rebuilt and at >= len(self.case.leaves)
        hooks = [
            (number, hook)
            for number, hook in enumerate(self.case.hooks)
            if (hook.at, hook.kind) == (at, kind) and not new and hook.added <= turn < self._end(number)
        ]
        return sorted(hooks, key=registration)

    def _end(self, number: int) -> int:
        """The backward call from which on a hook is gone."""
        by_others = [1 + hook.added for hook in self.case.hooks if hook.removes == number]
        removed = self.case.hooks[number].removed
        return min([*by_others, self.case.passes if removed is None else removed])

    def _tensor(self, turn: int, at: int, gathered: dict[int, Any]) -> Any:
        """All that happens at one tensor; returns its gradient as the hooks on it left it."""
        gradient = self.incoming[at]
        waiting = at in self.case.gathered
        for number, hook in self._active(turn, at, "tensor"):
            if hook.late and waiting:
                gathered[at], waiting = gradient, False
            self._say(turn, at, "tensor", number, (gradient,))
            gradient = gradient if hook.factor is None else gradient * hook.factor
        if waiting:
            gathered[at] = gradient
        captured = gradient
        if at in self.case.wanted and self.case.entry == "inputs" and self.case.arguments(at):
            self._hold(at, gradient)
        if not self.executes(at):
            if at in self.case.retained and self.case.arguments(at):
                self._hold(at, gradient)
            return captured
        for number, hook in self._active(turn, at, "pre"):
            self._say(turn, at, "pre", number, (gradient,))
            gradient = gradient if hook.factor is None else gradient * hook.factor
        if at in self.case.retained and self.case.arguments(at) and not (
            at in self.case.wanted and self.case.entry == "inputs"
        ):  # fmt: skip
            self._hold(at, gradient)
        self._node(turn, at, gradient)
        return captured

    def _node(self, turn: int, at: int, gradient: Any) -> None:
        case, numbers_ = self.case, self.case.arguments(at)
        if not numbers_:
            self._hold(at, gradient)
            given: Any = gradient
            for number, hook in self._active(turn, at, "accumulated"):
                self._say(turn, at, "accumulated", number, (self.held[at],))
                if hook.factor is not None:
                    self.held[at] = self.held[at] * hook.factor
                    given = ANYTHING  # .grad may be the very gradient, and the hook has changed it in place
            for number, _ in self._active(turn, at, "post"):
                self._say(turn, at, "post", number, (), (given,))
            return
        name = case.steps[at - len(case.leaves)][0]
        if name == "custom":
            self._say(turn, at, "node", -1, (gradient,))
        results = step_gradients(name, gradient, [case.values[n] for n in numbers_])
        targets = numbers_ * len(results) if len(numbers_) < len(results) else numbers_
        needed = [not self.selective or n in case.wanted or self._leads_on(n) for n in targets]
        for number, hook in self._active(turn, at, "post"):
            seen = tuple(x if need else ANYTHING for x, need in zip(results, needed, strict=True))
            self._say(turn, at, "post", number, seen, (gradient,))
            results = results if hook.factor is None else [x * hook.factor for x in results]
        for target, result, need in zip(targets, results, needed, strict=True):
            if need:
                self.incoming[target] = self.incoming[target] + result if target in self.incoming else result

    def _hold(self, at: int, gradient: Any) -> None:
        self.held[at] = gradient if self.held.get(at) is None else self.held[at] + gradient

    def _say(self, turn: int, at: int, kind: str, number: int, seen: Any, given: Any = ()) -> None:
        recording = self.case.create_graph
        self.run.events.append(HookEvent(turn, at, kind, number, seen, given, self.held.get(at), recording))

    def _gathered(self, turn: int, found: dict[int, Any]) -> None:
        case = self.case
        if not found or (case.ungathered is not None and turn >= case.ungathered):
            return
        self._say(turn, -1, "gathered", -1, tuple(found.get(at) for at in case.gathered))


def registration(item: tuple[int, Any]) -> tuple[int, bool, int]:
    """Sorts hooks by their registration."""
    return item[1].added, item[1].late, item[0]


def step_gradients(name: str, gradient: Any, values: list[Any]) -> list[Any]:
    """What the backward of a step gives to each tensor that it takes; a square takes its tensor twice."""
    factors = {"doubled": 2, "negated": -1, "custom": 5, "written": 3, "copied": 1, "shared": 1}
    if name in factors:
        return [gradient * factors[name]]
    if name == "turned":
        return [gradient.T]
    if name == "tail":
        if not values[0].ndim:
            return [gradient]
        whole = np.zeros_like(values[0])
        whole[1:] = gradient
        return [whole]
    if name == "squared":
        return [gradient * np.conj(values[0])] * 2
    if name == "multiplied":
        return [gradient * np.conj(values[1]), gradient * np.conj(values[0])]
    return [gradient, gradient if name == "added" else -gradient]


def said(event: HookEvent) -> str:
    """A call in words."""
    name = HOOK_NAMES[event.kind]
    place = f" at t{event.at}" if event.at >= 0 else ""
    return f"{name}{f' {event.number}' if event.number >= 0 else ''}{place}"


def same_calls(expected: HookRun, found: HookRun, *kinds: str) -> None:
    """Expect the same hooks of these kinds to have been called as often, in each backward call."""
    wanted = [(event.turn, said(event)) for event in expected.of(*kinds)]
    got = [(event.turn, said(event)) for event in found.of(*kinds)]
    for turn, name in sorted({*wanted, *got}):
        equal(wanted.count((turn, name)), got.count((turn, name)), f"calls of {name} in backward call {turn}")


def same_order(case: HookedGraph, expected: HookRun, found: HookRun, *kinds: str) -> None:
    """Expect the calls at each tensor in the same order, in each backward call."""
    for turn in range(case.passes):
        for at in reversed(range(case.count)):
            wanted = [said(event) for event in expected.at(turn, at) if not kinds or event.kind in kinds]
            got = [said(event) for event in found.at(turn, at) if not kinds or event.kind in kinds]
            equal(wanted, got, f"order of the calls at t{at} in backward call {turn}")


def same_seen(case: HookedGraph, expected: HookRun, found: HookRun, *kinds: str) -> None:
    """Expect each hook of these kinds to have been called as often, and with the same gradients."""
    same_calls(expected, found, *kinds)
    for wanted, got in paired_events(expected, found, kinds):
        what = f"in backward call {wanted.turn} by {said(wanted)}"
        same_arrays(case, wanted.seen, got.seen, f"gradients got {what}")
        same_arrays(case, wanted.given, got.given, f"gradients of the outputs got {what}")


def without_doubtful(case: HookedGraph, run: HookRun) -> HookRun:
    """The run without the calls of hooks that are removed in the very backward call that removes them by a hook."""
    doubtful = {(hook.added, hook.removes) for hook in case.hooks if hook.removes is not None}
    events = [event for event in run.events if (event.turn, event.number) not in doubtful]
    return HookRun(events, run.grads, run.results)


def paired_events(expected: HookRun, found: HookRun, kinds: tuple[str, ...]) -> list[tuple[HookEvent, HookEvent]]:
    """The calls of each hook in both runs, which have as many."""
    wanted = sorted(expected.of(*kinds), key=hook_key)
    return list(zip(wanted, sorted(found.of(*kinds), key=hook_key), strict=True))


def hook_key(event: HookEvent) -> tuple[int, int, str, int]:
    """Sorts calls by hook."""
    return event.turn, event.at, event.kind, event.number


def same_arrays(case: HookedGraph, expected: Any, found: Any, what: str) -> None:
    """Expect several gradients, None among them."""
    equal(len(expected), len(found), f"number of {what}")
    for n, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        if wanted is not ANYTHING:
            same_array(case, wanted, got, f"{what}, position {n}" if len(expected) > 1 else what)


def same_array(case: HookedGraph, expected: Any, found: Any, what: str) -> None:
    """Expect one gradient, or None."""
    if expected is None or found is None:
        that(expected is found, what, "None" if expected is None else "a gradient", "None" if found is None else "one")
        return
    numbers.close(expected, found, case.dtype, "value", what)


def same_gradients(case: HookedGraph, expected: HookRun, found: HookRun) -> None:
    """Expect the same .grad of leaves, of retaining and of wanted tensors after each backward call, and results."""
    for turn, (wanted, got) in enumerate(zip(expected.grads, found.grads, strict=True)):
        for at, gradient in wanted.items():
            same_array(case, gradient, got[at], f".grad of t{at} after backward call {turn}")
    for turn, (results, returned) in enumerate(zip(expected.results, found.results, strict=True)):
        same_arrays(case, results, returned, f"result of autograd.grad in call {turn}")


def same_grad_then(case: HookedGraph, expected: HookRun, found: HookRun, *kinds: str) -> None:
    """Expect hooks of these kinds to have found the same .grad in their tensor."""
    same_calls(expected, found, *kinds)
    for wanted, got in paired_events(expected, found, kinds):
        same_array(case, wanted.grad, got.grad, f".grad of t{wanted.at} as {said(wanted)} found it, call {wanted.turn}")


def consumers_first(case: HookedGraph, found: HookRun) -> None:
    """Expect nothing at a tensor before all is done at those that are computed from it."""
    for turn in range(case.passes):
        events = [event for event in found.events if event.turn == turn and event.at >= 0]
        for n, event in enumerate(events):
            for after in events[n + 1 :]:
                if event.at in case.arguments(after.at):
                    raise Mismatch("order of the calls", f"{said(after)} before {said(event)}", "after it")


def after_all(case: HookedGraph, found: HookRun) -> None:
    """Expect a multi-grad hook to be called after the earlier hooks of every tensor that it gathers."""
    for turn in range(case.passes):
        events = [event for event in found.events if event.turn == turn]
        for n, event in enumerate(events):
            if event.kind == "gathered":
                early = [
                    x for x in events[n + 1 :] if x.kind == "tensor" and x.at in case.gathered and is_early(case, x)
                ]
                that(not early, "time of the multi-grad hook", "after the last gradient", f"before {said(event)}")


def is_early(case: HookedGraph, event: HookEvent) -> bool:
    """Whether a call was that of a hook from before the multi-grad hook."""
    return not case.hooks[event.number].late


def first_seen(case: HookedGraph, expected: HookRun, found: HookRun) -> None:
    """Expect one call in each backward call, with the gradient of a tensor that no other of them is computed from."""
    calls = [event for event in found.events if event.kind == "gathered"]
    wanted = expected.of("gathered")
    equal([event.turn for event in wanted], [event.turn for event in calls], "backward calls with the hook")
    for complete, event in zip(wanted, calls, strict=True):
        computed = {at: x for at, x in zip(case.gathered, complete.seen, strict=True) if x is not None}
        first = [x for at, x in computed.items() if not any(leads_to(case, other, at) for other in computed)]
        what = f"the gradient that the hook got in backward call {event.turn}"
        for n, gradient in enumerate(first):
            try:
                same_arrays(case, (gradient,), event.seen, what)
                break
            except Mismatch:
                if n + 1 == len(first):
                    raise


def leads_to(case: HookedGraph, start: int, end: int) -> bool:
    """Whether tensor ``start`` is computed from another tensor ``end``."""
    return any(n == end or leads_to(case, n, end) for n in case.arguments(start))


def same_lists(dtype: str, expected: dict[str, np.ndarray], found: dict[str, list[Any]], *names: str) -> None:
    """Expect each hook named to have been called once, with the gradient expected."""
    for name in names:
        equal(1, len(found[name]), f"calls of the hook on the {name}")
        same_number(dtype, expected[name], found[name][0], f"gradient that the hook on the {name} got")


def same_number(dtype: str, expected: np.ndarray | None, found: Any, what: str) -> None:
    """Expect a tensor with these elements, or None."""
    if expected is None or found is None:
        that(expected is found, what, "None" if expected is None else "a tensor", "None" if found is None else "one")
        return
    numbers.close(expected, memory.contents(found), dtype, "value", what)


def raises_and_recovers(case: HookedGraph) -> None:
    """Expect the first backward call to raise what the hook raised, and another one without the hook to be right."""
    live = replace(case, passes=2).build()
    kinds = tuple(HOOK_ERRORS[hook.raises] for hook in case.hooks if hook.raises)
    error = raises(kinds, live.backward, "backward with a hook that raises")
    that(error is live.raised, "exception that reached the caller", "the one that the hook raised", repr(error))
    hooks = []
    for hook, handle in zip(case.hooks, live.handles, strict=True):
        if hook.raises:
            handle.remove()
        hooks.append(replace(hook, raises="", removed=0 if hook.raises else None))
    live.events.clear()
    for leaf in live.tensors[: len(case.leaves)]:
        leaf.grad = None
    live.backward()
    after = replace(case, hooks=tuple(hooks), passes=1)
    found = found_run(live)
    same_seen(after, expected_run(after), found)
    same_gradients(after, expected_run(after), found)
