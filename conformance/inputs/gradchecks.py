"""Gradchecks: functions whose gradients are right, or wrong in one place, for torch's own checks of gradients.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import crossed
from conformance.inputs.functions import function_of, function_styles
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def one_wrong(gradient: torch.Tensor, where: int, factor: float = 1.1) -> torch.Tensor:
    """The gradient with its first or last element (``where`` is 0 or -1) multiplied."""
    factors = torch.ones(gradient.numel(), dtype=gradient.dtype, device=gradient.device)
    factors[where] = factor
    return gradient * factors.reshape(gradient.shape)


class Judged:
    """x squared times y, and x plus y squared; ``flaw`` says where a gradient or a tangent is wrong."""

    @staticmethod
    def compute(flaw: str, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both values."""
        return x * x * y, x + y * y

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save both inputs."""
        ctx.flaw = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def gradient(ctx: Any, first: torch.Tensor, second: torch.Tensor) -> Any:
        """Both gradients, with the flaw."""
        x, y = ctx.saved_tensors
        held = x.detach() if ctx.flaw == "second derivative" else x
        square = (held * x if ctx.flaw == "second derivative" else x * x).conj()
        by_x = first * ((2 * x * y) if ctx.flaw == "conjugate" else (2 * x * y).conj()) + second
        other = one_wrong(second, -1) if ctx.flaw == "last by the second output" else second
        by_y = first * square + other * (2 * y).conj()
        if ctx.flaw == "first by x":
            by_x = one_wrong(by_x, 0)
        if ctx.flaw == "last by x":
            by_x = one_wrong(by_x, -1)
        if ctx.flaw == "last by y":
            by_y = one_wrong(by_y, -1)
        if ctx.flaw == "sign by y":
            by_y = one_wrong(by_y, 0, -1)
        return None, by_x, by_y

    @staticmethod
    def tangent(ctx: Any, _: Any, x_tangent: torch.Tensor, y_tangent: torch.Tensor) -> Any:
        """Both tangents, with the flaw."""
        x, y = ctx.saved_tensors
        first, second = 2 * x * y * x_tangent + x * x * y_tangent, x_tangent + 2 * y * y_tangent
        if ctx.flaw == "last tangent":
            second = one_wrong(second, -1)
        if ctx.flaw == "first tangent":
            first = one_wrong(first, 0)
        return first, second


class JudgedCall:
    """The function as gradcheck takes it: of two tensors."""

    def __init__(self, flaw: str, style: str) -> None:
        self.flaw, self.style = flaw, style

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return function_of(Judged, self.style).apply(self.flaw, x, y)


class JudgedThird:
    """The same of three tensors, the third of which takes the place of y."""

    def __init__(self, flaw: str, style: str) -> None:
        self.flaw, self.style = flaw, style

    def __call__(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> Any:
        return (*function_of(Judged, self.style).apply(self.flaw, x, z), x * y)


class Noting:
    """Twice x; notes how far each x that it is called with is from the first."""

    def __init__(self, x: torch.Tensor) -> None:
        self.first, self.distances = x.detach().clone(), [0.0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel():
            self.distances.append(float((x.detach() - self.first).abs().max()))
        return x * 2


class Moody:
    """x squared, with a backward that is right, but changes with each call, guesses its gradient or reads it."""

    @staticmethod
    def compute(mood: Any, x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x."""
        ctx.mood = inputs[0]
        ctx.save_for_backward(inputs[1])
        ctx.set_materialize_grads(not isinstance(ctx.mood, Demanding))

    @staticmethod
    def gradient(ctx: Any, upstream: Any) -> Any:
        """Twice x, in its mood."""
        (x,) = ctx.saved_tensors
        if isinstance(ctx.mood, Demanding) and upstream is None:
            upstream = torch.ones_like(x)
        if isinstance(ctx.mood, Unbatched):
            upstream.sum().item()  # which no batch can have
        noise = 0.0
        if isinstance(ctx.mood, Restless):
            ctx.mood.calls += 1
            noise = 1e-6 * ctx.mood.calls
        return None, upstream * (2 * x).conj() * (1 + noise)


class Restless:
    """A call of ``Moody`` whose gradient is a little more each time."""

    def __init__(self, style: str) -> None:
        self.style, self.calls = style, 0

    def __call__(self, x: torch.Tensor) -> Any:
        return function_of(Moody, self.style).apply(self, x)


class Demanding:
    """A call of ``Moody`` whose backward takes an undefined gradient for ones."""

    def __init__(self, style: str) -> None:
        self.style = style

    def __call__(self, x: torch.Tensor) -> Any:
        return function_of(Moody, self.style).apply(self, x)


class Unbatched:
    """A call of ``Moody`` whose backward reads numbers."""

    def __init__(self, style: str) -> None:
        self.style = style

    def __call__(self, x: torch.Tensor) -> Any:
        return function_of(Moody, self.style).apply(self, x)


@dataclass(frozen=True, eq=False)
class Checked:
    """``Judged`` with a flaw, or none, of two tensors as planned; ``mode`` is the way to check."""

    plan: Strided
    other: Strided
    flaw: str = "none"
    style: str = "ctx"
    mode: str = "slow"

    def function(self) -> Any:
        """What is checked."""
        if self.flaw == "last by a third":
            return JudgedThird("last by y", self.style)
        return JudgedCall(self.flaw, self.style)

    def inputs(self) -> tuple[torch.Tensor, ...]:
        """Two tensors that require grad, or three."""
        plans = (self.plan, self.other, self.other) if self.flaw == "last by a third" else (self.plan, self.other)
        return tuple(plan.build().requires_grad_() for plan in plans)

    def options(self) -> dict[str, Any]:
        """The options of the way to check."""
        return {
            "slow": {}, "fast": {"fast_mode": True}, "forward": {"check_forward_ad": True},
            "batched": {"check_batched_grad": True},
        }[self.mode]  # fmt: skip

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[Checked]:
        """The same by the slow way."""
        if self.mode != "slow":
            yield replace(self, mode="slow")

    def code(self) -> str:
        """The same in plain torch."""
        options = "".join(f", {name}={value}" for name, value in self.options().items())
        forward = self.mode == "forward" or "tangent" in self.flaw
        options += ", check_forward_ad=True" if forward and self.mode != "forward" else ""
        names = "xyz"[: len(self.inputs())]
        plans = zip(names, (self.plan, self.other, self.other), strict=False)
        made = [f"{name} = {plan.code()}.requires_grad_()" for name, plan in plans]
        checked = "Function.apply" if len(names) == 2 else "lambda x, y, z: (*Function.apply(x, z), x * y)"
        called = f"print(torch.autograd.gradcheck({checked}, ({', '.join(names)}){options}))"
        return "\n".join([listings.judged_function(self.flaw, forward), *made, called])


GRADCHECK_SHAPES = ((2,), (), (1,), (1, 2, 1))
FLAWS = ("first by x", "last by x", "last by y", "sign by y", "last by the second output", "last by a third")


def checked(device: str, dtype: str, shape: tuple[int, ...], layout: str, style: str, flaw: str, mode: str) -> Checked:
    """One case of one choice of each factor."""
    kind = "conjugate" if flaw == "first by x" and dtype.startswith("complex") else flaw
    domain = "any" if dtype.startswith("complex") else "binary-nonzero"
    plans = [corner(dtype, shape, layout, "ordinary", domain, device, turn) for turn in (0, 1)]
    return Checked(plans[0], plans[1], kind, style, mode)


def checked_functions(
    cell: Cell, flaws: tuple[str, ...], modes: tuple[str, ...] = ("slow", "fast"),
    dtypes: tuple[str, ...] = ("float64", "complex128"), shapes: tuple[Any, ...] = GRADCHECK_SHAPES,
    layouts: tuple[str, ...] = DISJOINT[:3],
) -> Inputs:  # fmt: skip
    """Each flaw on each type, shape and layout, in each style, by each way to check; few samples, which cost much."""
    found = crossed(checked, cell.target.device, dtypes, shapes, layouts, function_styles(), flaws, modes, passes=1)
    return replace(found, share=5)


def right_functions(cell: Cell) -> Inputs:
    """No flaw, by every way to check."""
    return checked_functions(cell, ("none",), ("slow", "fast", "forward", "batched"))


def wrong_functions(cell: Cell) -> Inputs:
    """Every flaw of backward; the fast way weighs elements, so that it sees a flaw of real numbers for sure."""
    return checked_functions(cell, FLAWS, ("slow", "fast"))


def perturbed_functions(cell: Cell) -> Inputs:
    """No flaw, of real numbers in every layout, by the slow way, which perturbs one element at a time."""
    return checked_functions(cell, ("none",), ("slow",), ("float64",), shapes=((2,), (), (1, 2, 1)))


def wrong_by_the_second(cell: Cell) -> Inputs:
    """Flaws of the gradient by y."""
    return checked_functions(cell, ("last by y", "sign by y"))


def wrong_tangents(cell: Cell) -> Inputs:
    """Flaws of jvp."""
    return checked_functions(cell, ("first tangent", "last tangent"), ("slow",))


def imprecise_functions(cell: Cell) -> Inputs:
    """Types of less than double precision."""
    return checked_functions(cell, ("none",), ("slow", "fast"), ("float32", "float16", "bfloat16", "complex64"))


def overlapping_functions(cell: Cell) -> Inputs:
    """Inputs that share memory with themselves."""
    shapes = ((2,), (2, 2), (3,), (1, 2, 1))
    return checked_functions(cell, ("none",), shapes=shapes, layouts=("expanded", "overlapping"))


def twice_right_functions(cell: Cell) -> Inputs:
    """No flaw, on few small shapes; corners alone, each of which costs as much as a hundred other cases."""
    return Inputs(checked_functions(cell, ("none",), ("slow", "fast"), shapes=((2,), (), (1,))).corners)


def twice_wrong_functions(cell: Cell) -> Inputs:
    """A wrong second derivative, on the same."""
    return Inputs(checked_functions(cell, ("second derivative",), ("slow", "fast"), shapes=((2,), (), (1,))).corners)
