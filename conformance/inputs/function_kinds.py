"""Kinds of custom functions: those that save, that return views, that are differentiated twice, and the like.

Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.functions import FUNCTION_DTYPES, FUNCTION_SHAPES, function_of, function_styles
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class Cube:
    """x to the third, whose backward autograd can follow."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x."""
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """Three times x squared."""
        (x,) = ctx.saved_tensors
        return upstream * (3 * x * x).conj()

    @staticmethod
    def tangent(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
        """The same of a tangent."""
        (x,) = ctx.saved_tensors
        return tangent * (3 * x * x)


class CubeWithSlope:
    """x to the third, and the slope as a second output, which is saved."""

    @staticmethod
    def compute(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The value and its derivative."""
        return x * x * x, 3 * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x and the slope."""
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """By the value, and by the slope."""
        x, slope = ctx.saved_tensors
        return upstream * slope.conj() + slopes * (6 * x).conj()


class CubeByNested:
    """x to the third, whose backward applies another custom function."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """Three times x squared, by a custom function."""
        (x,) = ctx.saved_tensors
        slope: torch.Tensor = function_of(TripledSquare).apply(x)
        return upstream * slope.conj()


class TripledSquare:
    """Three times x squared."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return 3 * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """Six times x."""
        (x,) = ctx.saved_tensors
        return upstream * (6 * x).conj()


class CubeWithConstant:
    """x to the third, whose slope is an intermediate that is kept on ctx."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the slope without saving it."""
        ctx.slope = 3 * inputs[0] * inputs[0]

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """The slope as it is."""
        return upstream * ctx.slope.conj()


class OnceCube:
    """x to the third, whose backward can be differentiated no further."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Three times x squared, and no graph of it."""
        return torch.autograd.function.once_differentiable(Cube.gradient)(ctx, upstream)


class OnceCubeWithSlope(CubeWithSlope):
    """The same of two outputs."""

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor, slopes: torch.Tensor) -> Any:
        """By the value, and by the slope, and no graph of it."""
        return torch.autograd.function.once_differentiable(CubeWithSlope.gradient)(ctx, upstream, slopes)


class CubeSavedTwice:
    """x to the third, which saves x two times."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save x, and x."""
        ctx.save_for_backward(inputs[0], inputs[0])

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """Three times x squared, of which each x is another of those saved."""
        first, second = ctx.saved_tensors
        return upstream * (3 * first * second).conj()


CUBES: dict[str, Any] = {
    "saved": Cube, "slope": CubeWithSlope, "nested": CubeByNested, "constant": CubeWithConstant, "once": OnceCube,
    "saved twice": CubeSavedTwice, "once, with the slope": OnceCubeWithSlope,
}  # fmt: skip


def value_of_cube(case: FunctionKind, x: torch.Tensor) -> torch.Tensor:
    """The cube of x by the function that the case names, the first of its outputs."""
    found = function_of(CUBES[case.way], case.style).apply(x)
    value: torch.Tensor = found[0] if isinstance(found, tuple) else found
    return value


class Keeper:
    """An argument that is no tensor, by which a function and its caller talk: lists of what was seen."""

    def __init__(self, way: str = "") -> None:
        self.way = way
        self.seen: list[Any] = []
        self.memory: list[Any] = []  # weak references to the memory of what was saved


class Saving:
    """Twice x; what is saved is said by the keeper: the input, the result, both, or an intermediate array."""

    @staticmethod
    def compute(keeper: Keeper, x: torch.Tensor) -> torch.Tensor:
        """The value."""
        return x * 2

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what the keeper says."""
        ctx.keeper, x = inputs
        if ctx.keeper.way == "array":
            array = np.ones(tuple(x.shape))
            ctx.keeper.memory.append(weakref.ref(array))
            ctx.save_for_backward(torch.from_numpy(array))
        else:
            saved = {"input": (x,), "output": (output,), "both": (output, None, x), "view": (x[...],)}
            ctx.save_for_backward(*saved[ctx.keeper.way])

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Twice the upstream gradient."""
        ctx.keeper.seen.append([None if t is None else t.detach().clone() for t in ctx.saved_tensors])
        ctx.keeper.seen.append([found() is not None for found in ctx.keeper.memory])
        return None, upstream * 2


class SavingTwice(Saving):
    """The same, whose backward reads its saved tensors twice."""

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Twice the upstream gradient."""
        first, second = ctx.saved_tensors, ctx.saved_tensors
        return None, upstream * (2 if len(first) == len(second) else 0)


class Passing:
    """Returns its input as it is, or a view of it, which the keeper says."""

    @staticmethod
    def compute(keeper: Keeper, x: torch.Tensor) -> torch.Tensor:
        """The input or a view."""
        part = x[..., :1] if x.dim() else x[None]
        return {"input": x, "alias": x.view_as(x), "transposed": x.transpose(0, -1), "part": part}[keeper.way]

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the shape."""
        ctx.keeper, ctx.shape = inputs[0], inputs[1].shape

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Five, wherever x is."""
        return None, upstream.new_full(ctx.shape, 5)


class Dirtied:
    """Doubles its input in place and says so; returns it, or a copy, which the keeper says."""

    @staticmethod
    def compute(keeper: Keeper, x: torch.Tensor) -> torch.Tensor:
        """The doubled input, or a copy."""
        x.mul_(2)
        return x if keeper.way == "returned" else x.clone()

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Mark the input."""
        ctx.mark_dirty(inputs[1])

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Twice the upstream gradient."""
        return None, upstream * 2


class Boxed:
    """Two outputs, and a backward that takes its gradients as one list."""

    @staticmethod
    def compute(keeper: Keeper, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Twice and three times x."""
        return x * 2, x * 3

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the keeper."""
        ctx.keeper = inputs[0]

    @staticmethod
    def gradient(ctx: Any, gradients: Any) -> Any:
        """Both gradients, taken out of the list one by one."""
        ctx.keeper.seen.append((type(gradients), [g.detach().clone() for g in gradients]))
        first, second = gradients[0], gradients[1]
        gradients[0] = gradients[1] = None
        return None, first * 5 + second * 7


class OptionalArguments:
    """x times a factor and plus a term, both of which may be left out."""

    @staticmethod
    def compute(x: torch.Tensor, factor: Any = 2, term: Any = None) -> torch.Tensor:
        """The value."""
        return x * factor if term is None else x * factor + term

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the factor, and whether there is a term."""
        ctx.factor = inputs[1] if len(inputs) > 1 else 2
        ctx.term = len(inputs) > 2 and inputs[2] is not None

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """The factor, and None for all that is left out."""
        return upstream * ctx.factor, None, upstream if ctx.term else None


def vjp_function(name: str) -> Any:
    """Three times x by a class that defines ``vjp``, or both ``vjp`` and ``backward``."""

    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 1

    def formula(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        return upstream * 3

    names = ("vjp",) if name == "vjp" else ("vjp", "backward")
    members = {"forward": staticmethod(forward)} | {n: staticmethod(formula) for n in names}
    return type("Formula", (torch.autograd.Function,), members)


@dataclass(frozen=True, eq=False)
class FunctionKind:
    """A custom function of one kind, applied to x, made as ``plan``: ``way`` says which or how."""

    plan: Strided
    style: str = "ctx"
    state: str = "leaf"
    way: str = ""

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The leaf, and x."""
        leaf = self.plan.build().requires_grad_()
        x = leaf * 1 if "product" in self.state else leaf
        return leaf, x[...] if "view" in self.state else x

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[FunctionKind]:
        """The same with plainer values, of a leaf."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)
        if self.state == "view":
            yield replace(self, state="leaf")

    def made(self) -> str:
        """The leaf and x in plain torch."""
        made = "leaf * 1" if "product" in self.state else "leaf"
        made = f"({made})[...]" if "view" in self.state else made
        return f"leaf = {self.plan.code()}.requires_grad_()\nx = {made}"


def function_kind(
    device: str, dtype: str, shape: tuple[int, ...], layout: str, style: str, state: str, way: str
) -> FunctionKind:
    """One case of one choice of each factor; the real numbers are powers of two."""
    domain = "any" if dtype.startswith("complex") else "binary-nonzero"
    return FunctionKind(corner(dtype, shape, layout, "ordinary", domain, device), style, state, way)


def kinds_by(
    cell: Cell, ways: tuple[str, ...], states: tuple[str, ...] = ("leaf", "product", "view"),
    styles: tuple[str, ...] | None = None,
) -> Inputs:  # fmt: skip
    """Each way on each type, shape and layout, in each style and state."""
    return crossed(
        function_kind, cell.target.device, FUNCTION_DTYPES, FUNCTION_SHAPES, DISJOINT, styles or function_styles(),
        states, ways, passes=1,
    )  # fmt: skip


def saving_functions(cell: Cell) -> Inputs:
    """Functions that save their input, their result, both or a view."""
    return kinds_by(cell, ("input", "output", "both", "view"))


def stale_functions(cell: Cell) -> Inputs:
    """The same of inputs that no leaf is, so that they can be modified in between."""
    return kinds_by(cell, ("input", "output", "both", "view"), ("product", "view of a product"))


def array_functions(cell: Cell) -> Inputs:
    """Functions that save an array that nobody else holds."""
    return kinds_by(cell, ("array",))


def cubes(cell: Cell) -> Inputs:
    """Functions that can be differentiated any number of times."""
    return kinds_by(cell, ("saved", "slope", "nested", "saved twice"))


def once_cubes(cell: Cell) -> Inputs:
    """Functions that are marked as differentiable once, of one output and of two."""
    return kinds_by(cell, ("once", "once, with the slope"))


def constant_cubes(cell: Cell) -> Inputs:
    """A function that keeps an intermediate on ctx."""
    return kinds_by(cell, ("constant",), styles=("ctx",))


def passing_functions(cell: Cell) -> Inputs:
    """Functions that return a view of their input."""
    return kinds_by(cell, ("alias", "transposed", "part"))


def returning_functions(cell: Cell) -> Inputs:
    """Functions that return their input as it is."""
    return kinds_by(cell, ("input",))


def plain_kinds(cell: Cell) -> Inputs:
    """One way only."""
    return kinds_by(cell, ("",))


def optional_functions(cell: Cell) -> Inputs:
    """Calls that leave out both optional arguments, one, or none."""
    return kinds_by(cell, ("both", "one", "none"))


def keyword_functions(cell: Cell) -> Inputs:
    """Calls that give the factor, the term or both, in their order or not, to a forward that names them."""
    return kinds_by(cell, ("factor", "both", "reversed", "term"), styles=("setup",))


def combined_kinds(cell: Cell) -> Inputs:
    """The style with a combined forward alone."""
    return kinds_by(cell, ("",), styles=("ctx",))
