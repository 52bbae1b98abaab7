"""Grad modes: the context managers that switch gradients and inference mode, and the ways to use them.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#grad-modes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.bridges import Applied, Seen
from conformance.inputs.covering import covering, crossed
from conformance.inputs.crossings import Form
from conformance.inputs.leaves import (
    DIFFERENTIABLE_TYPES,
    FACTORIES,
    GROWN_STATES,
    LEAF_FORMS,
    LEAF_STATES,
    RESULT_CALLS,
    VIEWS_OF_X,
    make_applied_state,
    planned,
)
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Applied", "ModeNest", "Seen", "Strided", "Under"]

NO_GRAD, ENABLE_GRAD = "torch.no_grad()", "torch.enable_grad()"
GRAD_OFF, GRAD_ON = "torch.set_grad_enabled(False)", "torch.set_grad_enabled(True)"
INFERENCE, NO_INFERENCE = "torch.inference_mode()", "torch.inference_mode(False)"
GRAD_MODES = (NO_GRAD, ENABLE_GRAD, GRAD_OFF, GRAD_ON, INFERENCE, NO_INFERENCE)
# Nests in which nothing is recorded, and in which everything is that requires grad.
OFF_NESTS = ((NO_GRAD,), (GRAD_OFF,), (ENABLE_GRAD, NO_GRAD), (NO_GRAD, GRAD_ON, GRAD_OFF), (NO_GRAD, NO_GRAD))
ON_NESTS = (
    (ENABLE_GRAD,), (NO_GRAD, ENABLE_GRAD), (GRAD_OFF, GRAD_ON), (GRAD_OFF, ENABLE_GRAD), (NO_GRAD, GRAD_ON),
    (NO_GRAD, ENABLE_GRAD, GRAD_OFF, GRAD_ON), (NO_INFERENCE,), (INFERENCE, NO_INFERENCE),
    (NO_GRAD, NO_GRAD, ENABLE_GRAD),
)  # fmt: skip
INFERENCE_NESTS = (
    (INFERENCE,), (NO_GRAD, INFERENCE), (INFERENCE, ENABLE_GRAD), (INFERENCE, GRAD_ON),
    (ENABLE_GRAD, INFERENCE, NO_GRAD), (INFERENCE, INFERENCE), (NO_INFERENCE, INFERENCE),
    (INFERENCE, NO_INFERENCE, INFERENCE), ("torch.inference_mode(True)",),
)  # fmt: skip


class Bailing(Exception):
    """What a case raises to leave its modes by an exception."""


# Exceptions that leave a mode, those that a handler of Exception does not see among them.
LEAVING: dict[str, type[BaseException]] = {
    "Bailing": Bailing, "KeyboardInterrupt": KeyboardInterrupt, "StopIteration": StopIteration,
    "SystemExit": SystemExit, "GeneratorExit": GeneratorExit, "KeyError": KeyError, "ValueError": ValueError,
    "RuntimeError": RuntimeError, "TypeError": TypeError, "AssertionError": AssertionError, "OSError": OSError,
}  # fmt: skip


def mode_of(text: str) -> Any:
    """A new context manager of that spelling."""
    return eval(text, {"torch": torch})


@contextmanager
def gradients_kept() -> Iterator[None]:
    """Gradients are switched back at the end, so that a mode that leaks is seen in the case that leaks it only."""
    before = torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(before)


def under(modes: tuple[str, ...], action: Callable[[], Any]) -> Any:
    """The result of the action in all of the modes, the last one innermost."""
    with ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode_of(mode))
        return action()


@dataclass(frozen=True, eq=False)
class Under:
    """A call on ``x``, which is made outside, in a nest of modes."""

    modes: tuple[str, ...]
    call: Applied

    def build(self) -> torch.Tensor:
        """The operand, made in the mode that is there already."""
        found: torch.Tensor = self.call.build()
        return found

    def on(self, x: torch.Tensor) -> Any:
        """Make the call in the modes."""
        return under(self.modes, lambda: self.call.on(x))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "modes": " > ".join(self.modes)}

    def reductions(self) -> Iterator[Under]:
        """The same of simpler operands."""
        for call in self.call.reductions():
            yield replace(self, call=call)

    def code(self) -> str:
        """The call in plain torch."""
        made, _, last = self.call.code().rpartition("\n")
        return f"{made}\nwith {', '.join(self.modes)}:\n    {last}"


@dataclass(frozen=True)
class ModeNest:
    """Modes entered one after the other and left again; ``ways`` says how each is entered.

    With ``caught`` an exception, ``leaving``, is raised in the innermost and caught around the mode of that number.
    """

    modes: tuple[str, ...]
    ways: tuple[str, ...]
    caught: int | None = None
    leaving: str = "Bailing"

    def run(self, look: Callable[[], Any]) -> list[tuple[str, int, Any]]:
        """What ``look`` sees on entering and after leaving each depth: ``("in", 2, seen)``, ``("out", 1, seen)``.

        Last comes ``("end", 0, seen)``.

        Where the exception should have come out of a mode and did not, that is ``("swallowed", 1, seen)``.
        """
        log: list[tuple[str, int, Any]] = []
        with gradients_kept():
            self._descend(0, look, log)
            log.append(("end", 0, look()))
        return log

    def _descend(self, depth: int, look: Callable[[], Any], log: list[tuple[str, int, Any]]) -> None:
        log.append(("in", depth, look()))
        if depth == len(self.modes):
            if self.caught is not None:
                raise LEAVING[self.leaving]
            return
        try:
            if self.ways[depth] == "with":
                with mode_of(self.modes[depth]):
                    self._descend(depth + 1, look, log)
            elif self.ways[depth] == "decorator":
                mode_of(self.modes[depth])(self._descend)(depth + 1, look, log)
            else:
                mode = mode_of(self.modes[depth])
                with ExitStack() as stack:
                    stack.enter_context(mode)
                    self._descend(depth + 1, look, log)
        except LEAVING[self.leaving]:
            log.append(("out", depth, look()))
            if self.caught != depth:
                raise
            return
        swallowed = self.caught is not None and depth >= self.caught
        log.append(("swallowed" if swallowed else "out", depth, look()))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        raised = {} if self.caught is None else {"raised": self.leaving}
        return {"modes": self.modes, "ways": self.ways, "depths": str(len(self.modes)), **raised}

    def reductions(self) -> Iterator[ModeNest]:
        """Fewer modes, in plain with statements."""
        for number in range(len(self.modes)):
            if len(self.modes) > 1:
                caught = None if self.caught is None else min(self.caught, len(self.modes) - 2)
                ways = self.ways[:number] + self.ways[number + 1 :]
                yield ModeNest(self.modes[:number] + self.modes[number + 1 :], ways, caught, self.leaving)
        if set(self.ways) != {"with"}:
            yield replace(self, ways=("with",) * len(self.ways))
        if self.leaving != "Bailing":
            yield replace(self, leaving="Bailing")

    def made(self) -> str:
        """A leaf, and a look at the mode."""
        return f"import contextlib\n{listings.OUTSIDE}\n{listings.LOOK}"

    def code(self) -> str:
        """The nest in plain torch."""
        escape = "ArithmeticError" if self.leaving == "Bailing" else self.leaving
        lines = ["print('inside:', look())", *([] if self.caught is None else [f"raise {escape}"])]
        for depth in reversed(range(len(self.modes))):
            if self.ways[depth] == "decorator":
                body = listings.indented("\n".join(lines))
                lines = [f"@{self.modes[depth]}\ndef body():\n{body}", "body()"]
            else:
                lines = [listings.within([self.modes[depth]], *lines)]
            if self.caught == depth:
                lines = [listings.within([f"contextlib.suppress({escape})"], *lines)]
            if self.caught is None or depth <= self.caught:
                lines.append(f"print('around {depth}:', look())")
        return "\n".join([self.made(), *lines])


# --- sources ----------------------------------------------------------------------------------------------------


def make_under(device: str, modes: Any, expression: str, steps: Any, dtype: str, form: Form) -> Under:
    """A call of a tensor in a state, in modes."""
    return Under(modes, make_applied_state(device, expression, steps, dtype, form))


def calls_under(
    cell: Cell, nests: Any, expressions: tuple[str, ...], states: Any = LEAF_STATES + GROWN_STATES
) -> Inputs:
    """The calls in the nests, over every form and type."""
    factors = (nests, expressions, states, DIFFERENTIABLE_TYPES, LEAF_FORMS)
    return crossed(make_under, cell.target.device, *factors, passes=1)


def results_without_grad(cell: Cell) -> Inputs:
    """Operations that make new tensors, in modes without gradients."""
    return calls_under(cell, OFF_NESTS, RESULT_CALLS)


def views_without_grad(cell: Cell) -> Inputs:
    """Views, in modes without gradients."""
    return calls_under(cell, OFF_NESTS, VIEWS_OF_X)


def results_with_grad(cell: Cell) -> Inputs:
    """Operations and views where gradients have been switched on again."""
    return calls_under(cell, ON_NESTS, RESULT_CALLS + VIEWS_OF_X)


def results_in_inference(cell: Cell) -> Inputs:
    """Operations that make new tensors, in inference mode, whatever else is switched on."""
    return calls_under(cell, INFERENCE_NESTS, RESULT_CALLS)


def views_in_inference(cell: Cell) -> Inputs:
    """Views in inference mode."""
    return calls_under(cell, INFERENCE_NESTS, VIEWS_OF_X)


def factories_without_grad(cell: Cell) -> Inputs:
    """Factories that are told to make a tensor that requires grad, in modes without gradients."""
    calls = tuple(
        call.format(
            "dtype=x.dtype, requires_grad=True" + ("" if "x." in call or "_like" in call else ", device=x.device")
        )
        for call in FACTORIES
    )
    return calls_under(cell, OFF_NESTS, calls, ((),))


def parameters_without_grad(cell: Cell) -> Inputs:
    """Parameters made in modes without gradients."""
    states = ((), *LEAF_STATES, *GROWN_STATES)
    calls = ("torch.nn.Parameter(x)", "torch.nn.Parameter(x * 1)", "torch.nn.Parameter(torch.ones_like(x))")
    return calls_under(cell, OFF_NESTS, calls, states)


def nest_of(
    modes: tuple[str, ...], ways: tuple[str, ...], caught: int | None = None, leaving: str = "Bailing"
) -> ModeNest:
    """A nest; that set_grad_enabled decorates is a behaviour of its own."""
    plain = ("with" if "set_grad" in mode else way for mode, way in zip(modes, ways, strict=True))
    return ModeNest(modes, tuple(plain), caught, leaving)


@cache
def _nests(raising: bool) -> tuple[ModeNest, ...]:
    ways = ("with", "decorator", "entered")
    rows = list(covering(GRAD_MODES, GRAD_MODES, GRAD_MODES, ways, ways, ways, (0, 1, 2)))
    found = [nest_of(row[:3], row[3:6], row[6] if raising else None) for row in rows]
    for number, pair in enumerate(product(GRAD_MODES, GRAD_MODES)):
        found.append(nest_of(pair, (ways[number % 3], ways[number // 3 % 3]), number % 2 if raising else None))
    if not raising:
        return (*found, *(nest_of((mode,), (way,)) for mode, way in product(GRAD_MODES, ways)))
    kinds = tuple(LEAVING)
    found = [replace(nest, leaving=kinds[number % len(kinds)]) for number, nest in enumerate(found)]
    # each kind leaves each mode, and in each way
    singles = covering(GRAD_MODES, kinds, ways)
    return (*found, *(nest_of((mode,), (way,), 0, kind) for mode, kind, way in singles))


def _drawn_nests(deepest: int, caught: int | None) -> Any:
    from hypothesis import strategies as st

    level = st.tuples(st.sampled_from(GRAD_MODES), st.sampled_from(("with", "decorator")))
    drawn = st.lists(level, min_size=1, max_size=deepest)
    return drawn.map(lambda rows: nest_of(tuple(mode for mode, _ in rows), tuple(way for _, way in rows), caught))


def nests(cell: Cell) -> Inputs:
    """One, two and three modes, in every order of two and in most of three, entered in every way."""
    return Inputs(_nests(False), _drawn_nests(6, None))


def raising_nests(cell: Cell) -> Inputs:
    """The same, left by an exception that is caught around each of them in turn."""
    return Inputs(_nests(True), _drawn_nests(5, 0))


def flag_sequences(cell: Cell) -> Inputs:
    """set_grad_enabled called one to four times, with every sequence of arguments."""
    return Inputs(
        [ModeNest(modes, ("with",) * n) for n in (1, 2, 3, 4) for modes in product((GRAD_ON, GRAD_OFF), repeat=n)]
    )


def modes_with_a_switch(cell: Cell) -> Inputs:
    """Each manager in each mode, and set_grad_enabled called inside it, once or twice."""
    around = (NO_GRAD, ENABLE_GRAD, GRAD_OFF, GRAD_ON, INFERENCE)
    switches = ((GRAD_ON,), (GRAD_OFF,), (GRAD_OFF, GRAD_ON), (GRAD_ON, GRAD_OFF))
    found = [(*pair, *calls) for pair in product(around, GRAD_MODES) for calls in switches]
    return Inputs([ModeNest(modes, ("with",) * len(modes)) for modes in found])


def reused_modes(cell: Cell) -> Inputs:
    """An object of each manager, entered in two modes one after the other."""
    ambients = (NO_GRAD, ENABLE_GRAD, GRAD_OFF, GRAD_ON, INFERENCE)
    managers = (NO_GRAD, ENABLE_GRAD, INFERENCE)
    return Inputs([ModeNest((m, a, b), ("with",) * 3) for m in managers for a in ambients for b in ambients if a != b])


def writes_in_inference(cell: Cell) -> Inputs:
    """Writes to normal tensors in inference mode."""
    writes = ("x.add_(1)", "x.zero_()", "x.view_as(x).mul_(2)", "x.detach().fill_(1)", "x.__setitem__(..., 2)")
    forms = tuple(form for form in LEAF_FORMS if form[1] != "expanded")  # which cannot be written
    factors = (INFERENCE_NESTS, writes, ((), ("detach()",), ("clone()",)), DIFFERENTIABLE_TYPES, forms)
    return crossed(make_under, cell.target.device, *factors, passes=1)


def planned_leaf(device: str = "cpu") -> torch.Tensor:
    """A leaf to look at modes with."""
    return planned(device, "float32", ((2,), "contiguous")).build().requires_grad_()
