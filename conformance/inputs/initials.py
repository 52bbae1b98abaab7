"""Initials: calls of torch.nn.init on planned tensors ``x``.

Reference: https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.generators import generators_put_back
from conformance.inputs.registrations import compiled_action
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

INIT_TYPES = ("float32", "float64", "float16", "bfloat16")
INIT_LAYOUTS = ("contiguous", "transposed", "stepped", "offset")
EXACT_CALLS = (
    ("constant_", (0.25,)), ("constant_", (-3.0,)), ("ones_", ()), ("zeros_", ()), ("eye_", ()), ("dirac_", ()),
    ("dirac_", (2,)),
)  # fmt: skip
DRAWN_CALLS: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = (
    ("uniform_", ()), ("uniform_", (("a", -2.0), ("b", 3.0))), ("normal_", ()),
    ("normal_", (("mean", 1.0), ("std", 0.5))),
    ("xavier_uniform_", ()), ("xavier_uniform_", (("gain", 2.0),)), ("xavier_normal_", ()),
    ("xavier_normal_", (("gain", 3.0),)), ("kaiming_uniform_", ()), ("kaiming_uniform_", (("mode", "fan_out"),)),
    ("kaiming_uniform_", (("a", 0.5),)), ("kaiming_uniform_", (("nonlinearity", "relu"), ("mode", "fan_out"))),
    ("kaiming_normal_", ()), ("kaiming_normal_", (("a", 2.0), ("mode", "fan_out"))),
    ("kaiming_normal_", (("nonlinearity", "tanh"),)), ("kaiming_normal_", (("nonlinearity", "linear"),)),
    ("trunc_normal_", ()), ("trunc_normal_", (("std", 2.0),)),
    ("trunc_normal_", (("mean", 0.5), ("a", 0.0), ("b", 3.0))),
    ("trunc_normal_", (("mean", -1.0), ("std", 0.5), ("a", -2.0), ("b", -1.0))),
    ("trunc_normal_", (("mean", 1.0), ("a", 2.0), ("b", 5.0))),  # of which few draws are kept
)  # fmt: skip
DRAWN_SHAPES = ((120, 50), (60, 90), (16, 6, 7, 9), (80, 2, 35))
FANNED = ("xavier", "kaiming")  # how the names of functions begin that look at the shape
FAN_SHAPE = (14, 5, 3, 4, 7)  # five dimensions, for those
INIT_SEED = 11  # of what is drawn
MANY_SHAPE = (300, 200)  # for the others, to tell a few hundredths


@dataclass(frozen=True)
class Initial:
    """``torch.nn.init.<name>(x, *args, **options)`` of a planned tensor; ``grows`` is whether x requires grad."""

    name: str
    plan: Strided
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    grows: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.plan.shape

    def asked(self, option: str, default: Any) -> Any:
        """What an option was given as."""
        return dict(self.options).get(option, default)

    def build(self) -> torch.Tensor:
        """The tensor."""
        return self.plan.build().requires_grad_(self.grows)

    @property
    def call(self) -> str:
        """The call, as it is written."""
        words = ["x", *map(repr, self.args), *(f"{name}={value!r}" for name, value in self.options)]
        return f"torch.nn.init.{self.name}({', '.join(words)})"

    def on(self, x: torch.Tensor) -> Any:
        """The result of the call; the default generators are as before afterwards."""
        with generators_put_back(str(x.device)):
            torch.manual_seed(INIT_SEED)
            space = {"torch": torch, "x": x}
            exec(compiled_action(f"r = {self.call}"), space)
        return space["r"]

    def by(self, x: torch.Tensor, generator: torch.Generator) -> None:
        """The call with a generator of its own."""
        getattr(torch.nn.init, self.name)(x, *self.args, **dict(self.options), generator=generator)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.name}

    def reductions(self) -> Iterator[Initial]:
        """No gradient asked for."""
        if self.grows:
            yield replace(self, grows=False)

    def code(self) -> str:
        """The same in plain torch."""
        grows = ".requires_grad_()" if self.grows else ""
        seed = "" if self.name in {name for name, _ in EXACT_CALLS} else f"torch.manual_seed({INIT_SEED})\n"
        return f"x = {self.plan.code()}{grows}\n{seed}found = {self.call}"


def planned_initial(name: str, shape: Any, dtype: str, layout: str, device: str, **rest: Any) -> Initial:
    """A call on a tensor of ordinary values."""
    return Initial(name, corner(dtype, shape, layout, device=device), **rest)


def every_initial(cell: Cell) -> Inputs:
    """Each function, over element types and layouts, on leaves that require grad and on tensors that do not."""
    device, found = cell.target.device, []
    for number, (name, args) in enumerate((*EXACT_CALLS, ("sparse_", (0.5,)), ("orthogonal_", ()))):
        for turn, layout in enumerate(INIT_LAYOUTS):
            shape = {"dirac_": (4, 3, 3)}.get(name, (4, 3))
            kinds = INIT_TYPES[:2] if name == "orthogonal_" else INIT_TYPES
            dtype = kinds[(number + turn) % len(kinds)]
            found.append(planned_initial(name, shape, dtype, layout, device, args=args, grows=bool(turn % 2)))
    for number, (name, options) in enumerate(DRAWN_CALLS):
        for turn, layout in enumerate(INIT_LAYOUTS):
            dtype = INIT_TYPES[(number + turn) % len(INIT_TYPES)]
            found.append(planned_initial(name, (4, 3), dtype, layout, device, options=options, grows=bool(turn % 2)))
    return Inputs(found)


def exact_initials(cell: Cell) -> Inputs:
    """The functions that draw nothing, over shapes, types and layouts."""
    device, found = cell.target.device, []
    shapes = {
        "eye_": ((3, 3), (2, 5), (5, 2), (1, 1), (0, 3)),
        "dirac_": ((4, 2, 3), (2, 4, 3, 5), (6, 6, 1), (4, 4, 2, 3, 4), (2, 3, 4), (8, 2, 5)),
    }
    for (name, args), (number, dtype) in product(EXACT_CALLS, enumerate(INIT_TYPES)):
        for turn, shape in enumerate(shapes.get(name, ((), (3,), (0,), (2, 3), (2, 3, 4)))):
            layout = INIT_LAYOUTS[(number + turn) % 4] if len(shape) > 1 else "contiguous"
            found.append(planned_initial(name, shape, dtype, layout, device, args=args))
    return Inputs(found)


def drawn_initials(cell: Cell) -> Inputs:
    """The functions that draw, on tensors of two to five dimensions, and where no fan counts on large ones."""
    device, found = cell.target.device, []
    for number, (name, options) in enumerate(DRAWN_CALLS):
        for turn, shape in enumerate((*DRAWN_SHAPES, FAN_SHAPE if name.startswith(FANNED) else MANY_SHAPE)):
            kinds = INIT_TYPES[:2] if name != "trunc_normal_" else INIT_TYPES
            dtype, layout = kinds[(number + turn) % len(kinds)], INIT_LAYOUTS[(number + turn) % 4]
            found.append(planned_initial(name, shape, dtype, layout, device, options=options))
    return Inputs(found)


def truncated_initials(cell: Cell) -> Inputs:
    """trunc_normal_ with bounds near, far and on one side, in every type."""
    rows: list[tuple[tuple[str, Any], ...]] = [
        (), (("std", 0.02),), (("std", 0.001), ("a", -1.0), ("b", 1.0)), (("mean", 1.0), ("std", 0.125)),
        (("mean", 0.5), ("std", 2.0), ("a", 0.0), ("b", 1.0)), (("mean", 2.0), ("std", 1.0), ("a", -2.0), ("b", 2.0)),
        (("std", 1.0), ("a", -30.0), ("b", 30.0)), (("std", 1.0), ("a", 0.0), ("b", 50.0)),
    ]  # fmt: skip
    kinds = product(rows, INIT_TYPES)
    device = cell.target.device
    return Inputs(
        [planned_initial("trunc_normal_", (50, 60), dtype, "contiguous", device, options=x) for x, dtype in kinds]
    )


def orthogonal_initials(cell: Cell) -> Inputs:
    """Square, wide, high and flattened tensors."""
    shapes = ((4, 4), (3, 7), (7, 3), (1, 5), (5, 1), (2, 3, 4), (6, 2, 2), (5, 2, 1, 2), (1, 1))
    rows = product(
        shapes,
        (
            (),
            (("gain", 3.0),),
        ),
        INIT_TYPES[:2],
        INIT_LAYOUTS[:3],
    )
    device = cell.target.device
    return Inputs([
        planned_initial("orthogonal_", shape, dtype, layout, device, options=options)
        for shape, options, dtype, layout in rows
        if len(shape) == 2 or layout == "contiguous"
    ])  # fmt: skip


def strided_orthogonals(cell: Cell) -> Inputs:
    """Tensors of three and four dimensions that are not contiguous."""
    rows = product(((2, 3, 4), (6, 2, 2), (5, 2, 1, 2)), INIT_TYPES[:2], ("transposed", "stepped"))
    device = cell.target.device
    return Inputs([planned_initial("orthogonal_", shape, dtype, layout, device) for shape, dtype, layout in rows])


def sparse_initials(cell: Cell) -> Inputs:
    """Fractions and shapes."""
    rows = product(
        ((10, 7), (7, 10), (1, 4), (9, 1), (64, 5)), (0.0, 0.1, 0.25, 0.9, 1.0), INIT_TYPES[:2], INIT_LAYOUTS[:3]
    )
    device = cell.target.device
    many = product(((200, 150),), (0.25,), INIT_TYPES[:2], ("contiguous",), ((), (("std", 0.5),)))  # to tell laws by
    return Inputs([
        planned_initial("sparse_", shape, dtype, layout, device, args=(share,), options=options)
        for shape, share, dtype, layout, options in (*((*row, ()) for row in rows), *many)
    ])  # fmt: skip


@dataclass(frozen=True)
class Gain:
    """A nonlinearity of the table, with its parameter."""

    nonlinearity: str
    param: Any = None

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"nonlinearities": self.nonlinearity}

    def code(self) -> str:
        """The same in plain torch."""
        return f"print(torch.nn.init.calculate_gain({self.nonlinearity!r}, {self.param!r}))"


def gains(cell: Cell) -> Inputs:
    """The whole table."""
    names = ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"]
    names += [f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)]
    slopes = [Gain("leaky_relu", slope) for slope in (0, 0.0, 0.2, 1, 1.0, 2.5, -0.5)]
    return Inputs([*map(Gain, names), *slopes])


def generated_initials(cell: Cell) -> Inputs:
    """Each function that draws, in each layout."""
    device = cell.target.device
    calls = [*DRAWN_CALLS, ("orthogonal_", ())]
    return Inputs([
        planned_initial(name, (5, 4), INIT_TYPES[number % 2], INIT_LAYOUTS[number % 4], device, options=options)
        for number, (name, options) in enumerate(calls)
    ])  # fmt: skip


def generated_sparse(cell: Cell) -> Inputs:
    """sparse_ of several fractions."""
    device = cell.target.device
    return Inputs([
        planned_initial("sparse_", (40, 3), dtype, layout, device, options=(("sparsity", share),))
        for share, dtype, layout in product((0.25, 0.5), INIT_TYPES[:2], INIT_LAYOUTS)
    ])  # fmt: skip
