"""Kinks: operations at points where they have no derivative, and where they choose among their inputs.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import enumerated
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

KINK_DTYPES = ("float64", "float32", "float16", "bfloat16")
KINK_SHAPES = ((2, 3), (), (2, 3, 4), (17,), (0, 3), (2, 3, 2, 2))
KINK_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "channels_last", "sliced")
# Incoming gradients of an element-wise result, repeated.
KINK_WEIGHTS = (1.0, -2.0, 0.5, 4.0, -1.0)


def written_number(value: Any) -> Any:
    """A number whose ``repr`` is executable: text for those that Python has no literal of."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def function_named(path: str) -> Any:
    """``torch.nn.functional.elu`` of the build under test."""
    return reduce(getattr, path.split(".")[1:], torch)


@dataclass(frozen=True, eq=False)
class Kink:
    """``function`` at plans of its operands, of which ``permitted`` lists the derivatives for each element in turn.

    A function with parentheses is a whole call of ``x`` and ``other``.
    Numbers that have no literal are written as text; ``None`` permits everything.
    """

    function: str
    plans: tuple[Strided, ...]
    permitted: tuple[tuple[tuple[Any, ...] | None, ...], ...] = ()
    args: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()
    whole: bool = False
    along: bool = False

    def leaves(self) -> list[torch.Tensor]:
        """New leaves."""
        return [plan.build().requires_grad_() for plan in self.plans]

    def call(self, *operands: Any) -> torch.Tensor:
        """Call the function."""
        if "(" in self.function:
            named = dict(zip(("x", "other"), operands, strict=False))
            written: torch.Tensor = eval(self.function, {"torch": torch, **named})
            return written
        args = [float(x) if isinstance(x, str) else x for x in self.args]
        found: torch.Tensor = function_named(self.function)(*operands, *args, **dict(self.keywords))
        return found

    def incoming(self, shape: tuple[int, ...]) -> np.ndarray:
        """The gradient that the result is given."""
        return np.resize(np.array(KINK_WEIGHTS), prod(shape)).reshape(shape) if prod(shape) else np.zeros(shape)

    def permits(self, operand: int) -> list[np.ndarray]:
        """For one operand: arrays of its shape, of which one has to be right at each element."""
        choices = self.permitted[operand]
        shape, count = self.plans[operand].shape, max(len(x) for x in choices if x is not None)
        found = []
        for number in range(count):
            column = [np.nan if x is None else float(x[number % len(x)]) for x in choices]
            weight = KINK_WEIGHTS[0] if self.whole else self.incoming((*shape[:-1], 1) if self.along else shape)
            found.append(np.resize(np.array(column), prod(shape)).reshape(shape) * weight)
        return found

    def arbitrary(self, operand: int) -> np.ndarray:
        """At which elements any gradient will do."""
        choices = [x is None for x in self.permitted[operand]]
        return np.resize(np.array(choices), prod(self.plans[operand].shape)).reshape(self.plans[operand].shape)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plans[0].facets()

    def reductions(self) -> Iterator[Kink]:
        """The same on a plainer layout, then on fewer elements where they do not act together."""
        for shape in (self.plans[0].shape, *(() if self.whole or self.along else ((), (1,), (2,), (3,)))):
            if prod(shape) < prod(self.plans[0].shape) or any(plan.layout != "contiguous" for plan in self.plans):
                plain = tuple(strided(p.dtype, shape, data=p.data, device=p.device) for p in self.plans)
                if len(shape) <= len(self.plans[0].shape):
                    yield replace(self, plans=plain)

    def code(self) -> str:
        """The same in plain torch."""
        names = ["x", "other"][: len(self.plans)]
        lines = [f"{n} = {p.code()}.requires_grad_()" for n, p in zip(names, self.plans, strict=True)]
        args = [repr(float(x)) if isinstance(x, str) else repr(x) for x in self.args]
        args = [f"float('{x}')" if x.lstrip("-") in ("inf", "nan") else x for x in args]
        given = ", ".join([*names, *args, *(f"{k}={v!r}" for k, v in self.keywords)])
        lines.append(f"y = {self.function}" if "(" in self.function else f"y = {self.function}({given})")
        return "\n".join([*lines, f"y.backward({listings.repeated(KINK_WEIGHTS, 'y')})"])


def kink_corners(cell: Cell) -> Inputs:
    """The points of a row in each element type, shape and layout, other points around them."""
    row = cell.subject
    usual = KINK_SHAPES if not getattr(row, "whole", False) else ((2, 3), (), (1, 3, 1), (2, 3, 4), (17,))
    shapes = tuple(tuple(shape) for shape in getattr(row, "shapes", usual))
    dtypes = tuple(getattr(row, "dtypes", KINK_DTYPES))
    return enumerated(make_kink, cell.target.device, shapes, KINK_LAYOUTS, dtypes, (_row_written(row),))


def _row_written(row: Any) -> tuple[Any, ...]:
    """Function, values, derivatives, arguments, keywords and what acts together in a row, as a case writes them."""
    permitted = tuple(
        tuple(
            None if x is None else tuple(written_number(y) for y in (x if isinstance(x, list) else [x])) for x in column
        )
        for column in getattr(row, "gradients", ())
    )
    args = tuple(written_number(x) for x in getattr(row, "args", ()))
    values = tuple(tuple(float(x) for x in column) for column in getattr(row, "operands", ()))
    keywords = tuple(getattr(row, "keywords", {}).items())
    return (
        getattr(row, "call", None) or row.function,
        values,
        permitted,
        args,
        keywords,
        getattr(row, "whole", False),
        getattr(row, "along", False),
    )


def make_kink(device: str, shape: tuple[int, ...], layout: str, dtype: str, written: tuple[Any, ...]) -> Kink:
    """The case of one choice of each factor; a second operand is laid out otherwise."""
    function, values, permitted, args, keywords, *together = written
    layouts = (layout, "transposed" if layout == "contiguous" else "contiguous")
    plans = tuple(strided(dtype, shape, where, data, device) for data, where in zip(values, layouts, strict=False))
    return Kink(function, plans, permitted, args, keywords, *together)


def active_corners(cell: Cell) -> Inputs:
    """Operands of which the first decides the result."""
    return _branches(cell, "active")


def inactive_corners(cell: Cell) -> Inputs:
    """Operands of which the first does not decide the result, beside others that do."""
    return _branches(cell, "inactive")


def _branches(cell: Cell, which: str) -> Inputs:
    row = cell.subject
    chosen = getattr(row, which, None) or ()
    others = getattr(row, "active", None) or ()
    values = tuple((float(a), float(b)) for a, b in zip(chosen, others, strict=True))
    written = (*_row_written(row)[:1], values, *_row_written(row)[2:])
    shapes = ((2, 3), (1,), (2, 3, 4), (17,))
    return enumerated(make_kink, cell.target.device, shapes, KINK_LAYOUTS, KINK_DTYPES, (written,))


def random_corners(cell: Cell) -> Inputs:
    """Tensors of probabilities, rates or means that require grad."""
    row = cell.subject
    values = ((0.5, 0.25, 0.75),) * (2 if getattr(row, "twice", False) else 1)
    written = (row.function, values, (), tuple(getattr(row, "args", ())), (), False)
    shapes = ((2, 3), (1,), (17,))
    return enumerated(make_kink, cell.target.device, shapes, KINK_LAYOUTS, ("float64", "float32"), (written,))


@dataclass(frozen=True, eq=False)
class Tie:
    """An extreme of ``plan`` among equals, over all of it or along ``dim``."""

    function: str
    plan: Strided
    dim: int | None = None
    keepdim: bool = False

    def leaf(self) -> torch.Tensor:
        """A new leaf."""
        return self.plan.build().requires_grad_()

    def call(self, x: torch.Tensor) -> Any:
        """Call the function."""
        if self.dim is None:
            return function_named(self.function)(x)
        return function_named(self.function)(x, dim=self.dim, keepdim=self.keepdim)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "dims": str(self.dim)}

    def reductions(self) -> Iterator[Tie]:
        """The same on a plainer layout."""
        if self.keepdim:
            yield replace(self, keepdim=False)
        if self.plan.layout != "contiguous":
            yield replace(self, plan=strided(self.plan.dtype, self.plan.shape, data=self.plan.data))

    def code(self) -> str:
        """The same in plain torch."""
        given = "" if self.dim is None else f", dim={self.dim}, keepdim={self.keepdim}"
        made = f"x = {self.plan.code()}.requires_grad_()\ny = {self.function}(x{given})"
        return f"{made}\n(y if torch.is_tensor(y) else y[0]).sum().backward()\nprint(x.grad)"


TIED = ((2.0, 2.0, -1.0, 2.0, -1.0), (3.0,), (-1.0, 4.0, 4.0), (0.0, 0.0, -0.0, 0.0))


def ties(cell: Cell) -> Inputs:
    """Extremes that occur once, several times or everywhere, over all elements or along one dimension."""
    dims: tuple[int | None, ...] = (
        (0, -1) if cell.subject.rule == "first" or cell.subject.function == "torch.aminmax" else (None, 0, -1)
    )
    if cell.subject.function in ("torch.max", "torch.min") and cell.subject.rule == "even":
        dims = (None,)
    return enumerated(
        make_tie, cell.target.device, ((2, 3), (5,), (2, 3, 4), (1, 3, 1), (4, 1)), KINK_LAYOUTS, KINK_DTYPES, TIED,
        dims, (False, True), (cell.subject.function,),
    )  # fmt: skip


def make_tie(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, data: tuple[float, ...], dim: int | None,
    keepdim: bool, function: str,
) -> Tie:  # fmt: skip
    """The case of one choice of each factor."""
    return Tie(function, strided(dtype, shape, layout, data, device), dim, keepdim)


@dataclass(frozen=True, eq=False)
class CumulativeTie(Tie):
    """A cumulative extreme of ``plan`` along ``dim``, with equals among the elements."""

    def call(self, x: torch.Tensor) -> Any:
        """Call the function."""
        return function_named(self.function)(x, self.dim)

    def code(self) -> str:
        """The same in plain torch."""
        made = f"x = {self.plan.code()}.requires_grad_()\nvalues, indices = {self.function}(x, {self.dim})"
        return f"{made}\nvalues.sum().backward()\nprint(indices, x.grad)"


def cumulative_ties(cell: Cell) -> Inputs:
    """Cumulative extremes among equals, along the first dimension and the last."""
    return enumerated(
        make_cumulative_tie, cell.target.device, ((2, 3), (5,), (2, 3, 4), (1, 3, 1), (4, 1)), KINK_LAYOUTS,
        KINK_DTYPES, TIED, (0, -1), ("torch.cummax", "torch.cummin"),
    )  # fmt: skip


def make_cumulative_tie(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, data: tuple[float, ...], dim: int, function: str
) -> CumulativeTie:
    """The case of one choice of each factor."""
    return CumulativeTie(function, strided(dtype, shape, layout, data, device), dim)


@dataclass(frozen=True, eq=False)
class Selection:
    """The operation ``name`` that uses some elements of ``plan`` and not the others."""

    name: str
    plan: Strided

    def leaf(self) -> torch.Tensor:
        """A new leaf."""
        return self.plan.build().requires_grad_()

    @property
    def numbers(self) -> np.ndarray:
        """The elements' places in row-major order."""
        return np.arange(prod(self.plan.shape)).reshape(self.plan.shape)

    @property
    def used(self) -> Any:
        """Which elements the result is made of."""
        numbers, values = self.numbers, self.plan.array.astype(np.float64)
        if self.name in ("where", "masked_fill", "masked_select", "mask"):
            return numbers % 2 == 0
        if self.name in ("integers", "narrow"):
            return np.broadcast_to(
                np.arange(numbers.shape[0]).reshape(-1, *[1] * (numbers.ndim - 1)) == 1, numbers.shape
            )
        if self.name == "gather":
            return np.broadcast_to(np.arange(numbers.shape[-1]) == 1, numbers.shape)
        if self.name == "tril":
            return np.tril(np.ones(numbers.shape, bool))
        if self.name == "take":
            return numbers == 1
        if self.name in ("max-of-rows", "topk"):
            return values == values.max(-1, keepdims=True)
        if self.name == "vector_norm-of-inf":
            return abs(values) == abs(values).max()
        return values == (values.min() if "min" in self.name else values.max())

    def call(self, x: torch.Tensor) -> torch.Tensor:
        """What is made of the used elements."""
        mask = torch.from_numpy(self.used.copy()).to(x.device)
        if self.name == "where":
            return torch.where(mask, x, torch.zeros_like(x))
        if self.name == "masked_fill":
            return x.masked_fill(~mask, 0.0)
        if self.name == "masked_select":
            return x.masked_select(mask)
        if self.name == "mask":
            return x[mask]
        if self.name == "integers":
            return x[torch.tensor([1], device=x.device)]
        if self.name == "narrow":
            return x.narrow(0, 1, 1)
        if self.name == "gather":
            return x.gather(-1, torch.ones((*x.shape[:-1], 1), dtype=torch.int64, device=x.device))
        if self.name == "tril":
            return x.tril()
        if self.name == "take":
            return x.take(torch.tensor([1], device=x.device))
        if self.name == "max-of-rows":
            return x.max(-1)[0]
        if self.name == "topk":
            return x.topk(1)[0]
        if self.name == "vector_norm-of-inf":
            return torch.linalg.vector_norm(x, float("inf"))
        found: torch.Tensor = function_named("torch." + self.name.removesuffix("-of-all"))(x)
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[Selection]:
        """The same on a plainer layout."""
        if self.plan.layout != "contiguous":
            yield replace(self, plan=strided(self.plan.dtype, self.plan.shape, data=self.plan.data))

    def code(self) -> str:
        """The same in plain torch."""
        made = f"x = {self.plan.code()}.requires_grad_()\ny = {listings.selected(self.name, self.used)}"
        return f"{made}\ny.backward(torch.full_like(y, float('nan')))"


def selections_of(cell: Cell) -> Inputs:
    """Selections from tensors of distinct elements."""
    shapes = ((2, 3), (3, 2), (4, 3))
    return enumerated(make_selection, cell.target.device, shapes, KINK_LAYOUTS, KINK_DTYPES, (cell.subject.name,))


def make_selection(device: str, shape: tuple[int, ...], layout: str, dtype: str, name: str) -> Selection:
    """The case of one choice of each factor."""
    data = tuple(float(x) for x in (3, -1, 2, 7, -4, 5, 1, -3, 6, 4, -2, 9))[: prod(shape)]
    return Selection(name, strided(dtype, shape, layout, data, device))


@dataclass(frozen=True, eq=False)
class Division:
    """``plan`` divided by a tensor that is zero at every other element, the quotients there masked away by ``way``."""

    plan: Strided
    way: str = "index"

    def operands(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Leaf, divisor and the mask of what is kept."""
        divisor = strided(self.plan.dtype, self.plan.shape, "contiguous", (0.0, 2.0), self.plan.device).build()
        return self.plan.build().requires_grad_(), divisor, divisor != 0

    def masked_after(self, x: torch.Tensor, divisor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The quotients that are kept."""
        quotient = x / divisor
        if self.way == "index":
            return quotient[mask]
        if self.way == "where":
            return torch.where(mask, quotient, torch.zeros_like(quotient))
        return quotient.masked_fill(~mask, 0.0) if self.way == "masked_fill" else quotient.masked_select(mask)

    @property
    def safe_gradient(self) -> np.ndarray:
        """One half where the divisor is two, zero where it is zero."""
        return np.resize(np.array([0.0, 0.5]), self.plan.shape)

    @property
    def trapped_gradient(self) -> np.ndarray:
        """The same with NaN for zero."""
        return np.where(self.safe_gradient == 0, np.nan, self.safe_gradient)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "ways": self.way}

    def reductions(self) -> Iterator[Division]:
        """The same on a plainer layout."""
        if self.plan.layout != "contiguous" or len(self.plan.shape) > 1:
            yield replace(self, plan=strided(self.plan.dtype, (2,), data=self.plan.data, device=self.plan.device))

    def code(self) -> str:
        """The same in plain torch."""
        divisor = strided(self.plan.dtype, self.plan.shape, "contiguous", (0.0, 2.0), self.plan.device)
        kept = {
            "index": "y[div != 0]", "where": "torch.where(div != 0, y, torch.zeros_like(y))",
            "masked_fill": "y.masked_fill(div == 0, 0.0)", "masked_select": "y.masked_select(div != 0)",
        }[self.way]  # fmt: skip
        made = f"x = {self.plan.code()}.requires_grad_()\ndiv = {divisor.code()}\ny = x / div"
        return f"{made}\n{kept}.sum().backward()\nprint(x.grad)"


def divisions(cell: Cell) -> Inputs:
    """Quotients by zero among others."""
    ways = ("index", "where", "masked_fill", "masked_select")
    return enumerated(
        make_division, cell.target.device, ((2,), (2, 3), (17,), (2, 3, 4)), KINK_LAYOUTS, KINK_DTYPES, ways
    )


def make_division(device: str, shape: tuple[int, ...], layout: str, dtype: str, way: str) -> Division:
    """The case of one choice of each factor."""
    return Division(strided(dtype, shape, layout, (1.0, 1.0, 3.0, -2.0), device), way)
