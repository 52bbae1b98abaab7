"""Custom functions: what ``torch.autograd.Function`` is made of here, in both styles, and cases that apply it.

A class with ``compute``, ``setup`` and ``gradient`` says once what a function does; ``function_of`` writes it in the
style of a forward that takes ctx, or of a forward beside a setup_context.
Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@cache
def function_of(parts: Any, style: str = "ctx", **attributes: Any) -> Any:
    """The custom function of ``parts``, in the style ``ctx`` or ``setup``; ``attributes`` are the class's own."""

    def combined(ctx: Any, *inputs: Any) -> Any:
        output = parts.compute(*inputs)
        parts.setup(ctx, inputs, output)
        return output

    methods = {"forward": combined, "backward": parts.gradient}
    if style == "setup":
        methods |= {"forward": parts.compute, "setup_context": parts.setup}
    if hasattr(parts, "tangent"):
        methods["jvp"] = parts.tangent
    if hasattr(parts, "batched"):
        methods["vmap"] = parts.batched
    members = {name: staticmethod(method) for name, method in methods.items()} | attributes
    return type(parts.__name__, (torch.autograd.Function,), members)


def function_styles() -> tuple[str, ...]:
    """The styles that the build has: setup_context came with 2.0."""
    return ("ctx", "setup") if hasattr(torch.autograd.Function, "setup_context") else ("ctx",)


# --- a function that notes what it is given -------------------------------------------------------------------


def coefficient(i: int, k: int) -> int:
    """What ``Spread`` gives input ``i`` of the gradient of output ``k``: nothing that follows from its forward."""
    return 1 + i + 3 * k


class Spy:
    """An argument of ``Spread`` that is no tensor: says what it is to do, and notes what it was given."""

    def __init__(
        self, outputs: int = 1, *, materialize: bool = True, marked: tuple[int, ...] = (), kinds: tuple[str, ...] = (),
        answer: str = "right",
    ) -> None:  # fmt: skip
        self.outputs, self.materialize, self.marked, self.answer = outputs, materialize, marked, answer
        self.kinds = kinds or ("same",) * outputs
        self.forwards: list[tuple[bool, list[bool]]] = []  # grad mode; whether products of the inputs require grad
        self.setups: list[tuple[Any, Any]] = []
        self.gradients: list[tuple[Any, ...]] = []
        self.needs: list[tuple[bool, ...]] = []
        self.recording: list[bool] = []
        self.tangents: list[tuple[Any, ...]] = []
        self.saved: list[tuple[Any, ...]] = []

    def output(self, total: torch.Tensor, k: int) -> Any:
        """Output ``k``, of its kind."""
        number = total * (k + 1)
        made = {"same": number, "text": "no tensor", "none": None}
        if self.kinds[k] in made:
            return made[self.kinds[k]]
        return (total != 0).to(getattr(torch, self.kinds[k]))

    def answers(self, gradients: list[Any]) -> tuple[Any, ...]:
        """What backward returns: the gradients, or something else that ``answer`` says."""
        some = next(g for g in gradients if g is not None)
        return {
            "right": (None, *gradients),
            "nones": (None, *gradients, None, None),
            "fewer": (None, *gradients[:-1]),
            "more": (None, *gradients, some),
            "object": (some, *gradients),
            "empty": (None, *[None] * len(gradients)),
            "shape": (None, *[g.new_zeros((*g.shape, 5)) for g in gradients]),
        }[self.answer]


class Spread:
    """Any number of tensors to any number of outputs, multiples of their sum, beside a ``Spy``."""

    @staticmethod
    def compute(spy: Spy, *tensors: torch.Tensor) -> Any:
        """The outputs: a single one is no tuple."""
        spy.forwards.append((torch.is_grad_enabled(), [(x * 2).requires_grad for x in tensors]))
        total = tensors[0] * 1
        for other in tensors[1:]:
            total = total + other
        outputs = tuple(spy.output(total, k) for k in range(spy.outputs))
        return outputs if spy.outputs > 1 else outputs[0]

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the spy and the inputs, and do with ctx what the spy says."""
        spy = ctx.spy = inputs[0]
        spy.setups.append((inputs, output))
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])
        if not spy.materialize:
            ctx.set_materialize_grads(False)
        if spy.marked:
            ctx.mark_non_differentiable(*[(output if spy.outputs > 1 else (output,))[k] for k in spy.marked])

    @staticmethod
    def gradient(ctx: Any, *upstream: Any) -> Any:
        """Multiples of the upstream gradients."""
        spy = ctx.spy
        spy.gradients.append(upstream)
        spy.needs.append(ctx.needs_input_grad)
        spy.recording.append(torch.is_grad_enabled())
        spy.saved.append(ctx.saved_tensors)
        given = [(k, g) for k, g in enumerate(upstream) if g is not None and spy.kinds[k] == "same"]
        gradients = [sum(coefficient(i, k) * g for k, g in given) for i in range(len(ctx.saved_tensors))]
        return spy.answers(gradients)

    @staticmethod
    def tangent(ctx: Any, _: Any, *tangents: Any) -> Any:
        """Multiples of the tangents, which follow from nothing in forward either."""
        spy = ctx.spy
        spy.tangents.append(tangents)
        spy.saved.append(ctx.saved_tensors)
        found = [
            sum(coefficient(i, k) * t for i, t in enumerate(tangents) if t is not None) for k in range(spy.outputs)
        ]
        return tuple(found) if spy.outputs > 1 else found[0]


# so small that every type holds the sums of their multiples, and seven, so that no two slices of a shape are equal
FUNCTION_UPSTREAM = (1, -2, 3, 2, -1, -3, 4)


@dataclass(frozen=True, eq=False)
class FunctionUse:
    """``Spread`` applied to tensors that are made as ``plan``, one for each of ``states``; ``used`` outputs go on.

    A state is leaf, product (of a leaf), view (of a leaf), constant (requires no grad) or same (as the first).
    """

    plan: Strided
    style: str = "ctx"
    states: tuple[str, ...] = ("leaf",)
    outputs: int = 1
    used: str = "all"
    way: str = ""

    def start(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The leaf of each input, and the input."""
        leaves: list[torch.Tensor] = []
        inputs: list[torch.Tensor] = []
        for state in self.states:
            leaf = leaves[0] if state == "same" else self.plan.build().requires_grad_(state != "constant")
            leaves.append(leaf)
            made = {"product": leaf * 1, "view": leaf[...]}.get(state, leaf)
            inputs.append(inputs[0] if state == "same" else made)
        return leaves, inputs

    def apply(self, spy: Spy, *inputs: torch.Tensor) -> Any:
        """The custom function's result."""
        return function_of(Spread, self.style).apply(spy, *inputs)

    def chosen(self) -> tuple[int, ...]:
        """The outputs that go on."""
        return {"all": tuple(range(self.outputs)), "first": (0,), "last": (self.outputs - 1,)}[self.used]

    def upstream(self, k: int) -> Strided:
        """The gradient of output ``k``."""
        data = FUNCTION_UPSTREAM[k:] + FUNCTION_UPSTREAM[:k]
        return strided(self.plan.dtype, self.plan.shape, "contiguous", data, self.plan.device)

    def go_back(self, found: Any, **options: Any) -> None:
        """Backward from the outputs that go on."""
        outputs = found if isinstance(found, tuple) else (found,)
        chosen = self.chosen()
        torch.autograd.backward([outputs[k] for k in chosen], [self.upstream(k).build() for k in chosen], **options)

    def expected(self, i: int) -> np.ndarray:
        """What backward returns for input ``i``."""
        found = np.zeros(self.plan.shape, self.plan.array.dtype)
        for k in self.chosen():
            found = found + coefficient(i, k) * self.upstream(k).array
        return found.astype(self.plan.array.dtype)

    def expected_in_leaf(self, i: int) -> np.ndarray:
        """What the leaf of input ``i`` gathers, by this input and by those that are the same."""
        twins = [j for j, state in enumerate(self.states) if j == i or (i == 0 and state == "same")]
        return np.asarray(sum(self.expected(j) for j in twins), self.plan.array.dtype)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[FunctionUse]:
        """The same with plainer values, of leaves, with fewer outputs."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)
        if any(state not in ("leaf", "constant") for state in self.states):
            yield replace(self, states=tuple("constant" if s == "constant" else "leaf" for s in self.states))
        if self.outputs > 2 or (self.outputs == 2 and self.used == "all"):
            yield replace(self, outputs=self.outputs - 1)

    def made(self) -> str:
        """The leaves and the inputs in plain torch."""
        made = [f"leaf{i} = {self.plan.code()}" for i, s in enumerate(self.states) if s != "same"]
        flags = [f"leaf{i}.requires_grad_()" for i, s in enumerate(self.states) if s not in ("same", "constant")]
        forms = {"product": "leaf{0} * 1", "view": "leaf{0}[...]", "same": "x0"}
        taken = [f"x{i} = {forms.get(s, 'leaf{0}').format(i)}" for i, s in enumerate(self.states)]
        return "\n".join([*made, *flags, *taken])


class Refusing:
    """Passes its input on, and has no gradient for it."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * 1

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is saved."""

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> None:
        """None."""


def refused_elsewhere(case: FunctionUse, outputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The outputs that go on, with the others' way on ending in a function that has no gradient for them."""
    if case.way != "refused":
        return outputs
    others = [x for k, x in enumerate(outputs) if k not in case.chosen()]
    refused = sum(function_of(Refusing).apply(x) for x in others)
    return tuple(x + refused if k in case.chosen() else x for k, x in enumerate(outputs))


class Containing:
    """A tensor, beside a container of tensors that it reads."""

    @staticmethod
    def compute(keeper: Any, container: Any, x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * 1

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the container."""
        ctx.container = inputs[1]

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """The upstream gradient for x."""
        return None, None, upstream


def with_tangents(case: FunctionUse) -> list[torch.Tensor]:
    """The inputs of a case as dual tensors: those that are no constants, each with a tangent of its own."""
    found: list[torch.Tensor] = []
    for i, state in enumerate(case.states):
        plain = case.plan.build()
        made = torch.autograd.forward_ad.make_dual(plain, case.upstream(i).build()) if state != "constant" else plain
        found.append(made)
    return found


FUNCTION_DTYPES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
FUNCTION_SHAPES = ((2, 3), (), (0,), (1,), (0, 3), (1, 3, 1), (2, 3, 5), (17,))
ONE_OUTPUT = ((1, "all"),)
SEVERAL_OUTPUTS = ((2, "all"), (2, "first"), (2, "last"), (3, "first"), (3, "last"), (3, "all"))
PARTLY_USED = ((2, "first"), (2, "last"), (3, "first"), (3, "last"))
TRACKED_STATES = (
    ("leaf",), ("product",), ("view",), ("leaf", "leaf"), ("product", "view"), ("leaf", "same"), ("view", "same"),
    ("leaf", "product", "view"),
)  # fmt: skip
MIXED_STATES = (
    ("leaf", "constant"), ("constant", "product"), ("view", "constant", "leaf"), ("constant", "leaf", "constant"),
)  # fmt: skip


def function_use(
    device: str, dtype: str, shape: tuple[int, ...], layout: str, style: str, states: tuple[str, ...],
    outputs: tuple[int, str], way: str = "",
) -> FunctionUse:  # fmt: skip
    """One case of one choice of each factor."""
    plan = corner(dtype, shape, layout, "ordinary", "any", device)
    return FunctionUse(plan, style, states, outputs[0], outputs[1], way)


def applications(
    cell: Cell, states: tuple[Any, ...], outputs: tuple[Any, ...], ways: tuple[str, ...] = ("",),
    styles: tuple[str, ...] | None = None, shapes: tuple[Any, ...] = FUNCTION_SHAPES,
) -> Inputs:  # fmt: skip
    """The custom function on each type, shape and layout, in each style, with these states, outputs and ways."""
    return crossed(
        function_use, cell.target.device, FUNCTION_DTYPES, shapes, DISJOINT, styles or function_styles(), states,
        outputs, ways, passes=1,
    )  # fmt: skip


def applied_functions(cell: Cell) -> Inputs:
    """Inputs that are tracked, and inputs that are not."""
    return applications(cell, TRACKED_STATES + MIXED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS)


def tracked_functions(cell: Cell) -> Inputs:
    """Inputs that are tracked."""
    return applications(cell, TRACKED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS)


def mixed_functions(cell: Cell) -> Inputs:
    """Some inputs that are tracked, and some that are not."""
    return applications(cell, MIXED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS)


def constant_functions(cell: Cell) -> Inputs:
    """No input that is tracked, or no_grad around the call."""
    ways = ("constant", "no_grad")
    return applications(cell, TRACKED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS, ways)


def partly_used_functions(cell: Cell) -> Inputs:
    """Several outputs of which one goes on, and the others end, or end in a function that has no gradient for them."""
    return applications(cell, TRACKED_STATES, PARTLY_USED, ("unused", "refused"))


def marked_functions(cell: Cell) -> Inputs:
    """Several outputs of which some, at least one, are marked as not differentiable."""
    return applications(cell, TRACKED_STATES + MIXED_STATES, ((2, "first"), (2, "last"), (3, "first"), (3, "last")))


def kinds_of_functions(cell: Cell) -> Inputs:
    """Outputs one of which is of another type, or is no tensor."""
    kinds = ("bool", "uint8", "int16", "int32", "int64")
    return applications(cell, TRACKED_STATES, ((2, "first"), (3, "first"), (3, "last")), kinds)


def objects_of_functions(cell: Cell) -> Inputs:
    """Outputs one of which is no tensor."""
    return applications(cell, TRACKED_STATES, ((2, "first"), (3, "first"), (3, "last")), ("text", "none"))


def miscounting_functions(cell: Cell) -> Inputs:
    """Backwards that return one gradient too few or too many."""
    return applications(cell, TRACKED_STATES + MIXED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS, ("fewer", "more"))


def misshaping_functions(cell: Cell) -> Inputs:
    """Shapes to which another one cannot be summed up, as any can to a single element."""
    shapes = tuple(shape for shape in FUNCTION_SHAPES if shape not in ((), (1,)))
    return applications(cell, TRACKED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS, shapes=shapes)


def setup_functions(cell: Cell) -> Inputs:
    """The style with a setup_context alone."""
    return applications(cell, TRACKED_STATES + MIXED_STATES, ONE_OUTPUT + SEVERAL_OUTPUTS, styles=("setup",))
