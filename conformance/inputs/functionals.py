"""Functionals: functions of one or two tensors of which ``torch.autograd.functional`` computes derivatives.

Each function is a polynomial of whole numbers, at most a cubic one, written once for tensors and for arrays: its first
derivatives come out of complex numbers and its second ones out of central differences of those, both without an error.
Reference: https://docs.pytorch.org/docs/stable/autograd.html#functional-higher-level-api
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs.backwards import whole_numbers
from conformance.inputs.covering import crossed
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Functions of x, or of x and y, whatever their shapes.
MAPPINGS = (
    "x * x * x", "(x * x).sum() * 3", "(x * x, x.sum())", "(x * x, x.sum() * y)", "x.sum() * y * y",
    "(x * 3, y * x.sum())", "x.reshape(-1, 1) * y.reshape(1, -1)", "(y * y * y,)",
)  # fmt: skip
SCALARS = (
    "(x * x * x).sum()", "x.sum() * (x * x).sum()", "x.sum() * (y * y).sum()",
    "(x * x * x).sum() + y.sum() * y.sum() * 2", "(y * y * y).sum() + x.sum() * 5",
)  # fmt: skip
ASYMMETRIC = "x * x.sum() * 2"  # of a vector the Jacobian is a square matrix, and not its transpose
OF_ONE_ELEMENT = ("x.reshape(()) * x.reshape(()) * 2", "x.sum() * x.sum() * x.sum()")
JACOBIANS: dict[str, dict[str, Any]] = {
    "plain": {}, "recorded": {"create_graph": True}, "vectorized": {"vectorize": True},
    "forward": {"vectorize": True, "strategy": "forward-mode"},
}  # fmt: skip
HESSIANS: dict[str, dict[str, Any]] = {
    "plain": {}, "recorded": {"create_graph": True}, "vectorized": {"vectorize": True},
    "forward": {"vectorize": True, "outer_jacobian_strategy": "forward-mode"},
}  # fmt: skip
FUNCTIONALS = ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp")


@dataclass(frozen=True, eq=False)
class Functional:
    """The function ``text`` of inputs made as planned; ``way`` says how what is asked for."""

    plans: tuple[Strided, ...]
    text: str
    way: str = "plain"
    tracked: bool = False  # whether the inputs require grad

    @cached_property
    def count(self) -> int:
        """How many inputs there are."""
        return len(self.plans)

    def function(self, *inputs: Any) -> Any:
        """The value, of tensors or of arrays."""
        return functional_mapping(self.text)(*inputs)

    def inputs(self) -> Any:
        """New inputs: a tensor, or a tuple of two."""
        found = tuple(plan.build().requires_grad_(self.tracked) for plan in self.plans)
        return found if self.count > 1 else found[0]

    def outputs(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The values of the function by NumPy."""
        found = self.function(*arrays)
        return [np.asarray(x) for x in (found if isinstance(found, tuple) else (found,))]

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The inputs by NumPy."""
        return [plan.array.astype(np.float64) for plan in self.plans]

    @cached_property
    def jacobians(self) -> list[list[np.ndarray]]:
        """The derivative of each output by each input, in the shape of the one and then of the other."""
        return [list(row) for row in zip(*(self._columns(self.arrays, k) for k in range(self.count)), strict=True)]

    @cached_property
    def hessians(self) -> list[list[np.ndarray]]:
        """The second derivatives of the only output, by each input and then by each."""
        found = []
        for first in range(self.count):
            row = []
            for second in range(self.count):
                size, shape = self.arrays[second].size, self.arrays[second].shape
                blocks = []
                for place in range(size):
                    step = np.eye(1, size, place).reshape(shape)
                    ends = [self._moved(second, sign * step) for sign in (1.0, -1.0)]
                    above, below = (self._columns(arrays, first)[0] for arrays in ends)
                    blocks.append((above - below) / 2)
                own = self.arrays[first].shape
                row.append(
                    np.moveaxis(np.array(blocks), 0, -1).reshape((*own, *shape)) if size else np.zeros(own + shape)
                )
            found.append(row)
        return found

    def _moved(self, number: int, step: np.ndarray) -> list[np.ndarray]:
        return [array + step if k == number else array for k, array in enumerate(self.arrays)]

    def _columns(self, arrays: list[np.ndarray], number: int) -> list[np.ndarray]:
        """The derivative of each output by input ``number``: the imaginary part that a tiny one of the input makes."""
        size, shape = arrays[number].size, arrays[number].shape
        columns = []
        for place in range(size):
            moved = [a.astype(np.complex128) for a in arrays]
            moved[number] = moved[number] + 1e-30j * np.eye(1, size, place).reshape(shape)
            columns.append([x.imag / 1e-30 for x in self.outputs(moved)])
        plain = self.outputs(arrays)
        if not size:
            return [np.zeros(x.shape + shape) for x in plain]
        return [
            np.moveaxis(np.array([np.broadcast_to(c[k], x.shape) for c in columns]), 0, -1).reshape(x.shape + shape)
            for k, x in enumerate(plain)
        ]

    def direction(self, shape: tuple[int, ...], turn: int) -> Strided:
        """The plan of a vector of this shape."""
        plan = self.plans[0]
        return whole_numbers(plan.dtype, shape, "transposed" if turn % 2 else "contiguous", plan.device, turn)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plans[0].facets(), "functions": self.text, "ways": self.way}

    def reductions(self) -> Iterator[Functional]:
        """The same of plainer inputs."""
        if self.tracked:
            yield replace(self, tracked=False)
        plain = tuple(whole_numbers(p.dtype, p.shape, "contiguous", p.device, k) for k, p in enumerate(self.plans))
        if any(plan.layout != "contiguous" for plan in self.plans):
            yield replace(self, plans=plain)

    def code(self) -> str:
        """The function and its inputs in plain torch."""
        made = [f"{name} = {plan.code()}" for name, plan in zip("xy", self.plans, strict=False)]
        names = ", ".join("xy"[: self.count])
        return "\n".join([*made, f"function = lambda {names}: {self.text}"])


@cache
def functional_mapping(text: str) -> Callable[..., Any]:
    """The function that a text is."""
    made: Callable[..., Any] = eval(f"lambda x, y=None: {text}")
    return made


def functional(
    device: str, dtype: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], layout: str, text: str, way: str,
    tracked: bool,
) -> Functional:  # fmt: skip
    """One case of one choice of each factor."""
    count = 2 if "y" in text else 1
    plans = tuple(whole_numbers(dtype, shape, layout, device, k) for k, shape in enumerate(shapes[:count]))
    return Functional(plans, text, way, tracked)


FUNCTIONAL_SHAPES = (
    ((2, 3), (2,)),
    ((), (3,)),
    ((1,), ()),
    ((3,), (1, 2)),
    ((0,), (2,)),
    ((1, 2, 1), (2, 2)),
    ((3,), (3,)),
)


def functionals(
    cell: Cell, texts: tuple[str, ...], ways: tuple[str, ...], shapes: tuple[Any, ...] = FUNCTIONAL_SHAPES
) -> Inputs:
    """Each function in each way, of each type and shape, of leaves and of tensors that require no grad."""
    found = crossed(
        functional, cell.target.device, ("float64", "float32"), shapes, ("contiguous", "transposed", "stepped"), texts,
        ways, (False, True), passes=1,
    )  # fmt: skip
    return Inputs(found.corners)


def mappings(cell: Cell) -> Inputs:
    """Functions of any number of results, and every way to their Jacobian."""
    found = functionals(cell, MAPPINGS, tuple(JACOBIANS), FUNCTIONAL_SHAPES[1:4])
    device = cell.target.device
    every = [
        functional(device, "float64", FUNCTIONAL_SHAPES[0], "transposed", text, way, False)
        for text in MAPPINGS
        for way in JACOBIANS
    ]
    squares = [functional(device, "float64", ((3,), ()), "contiguous", ASYMMETRIC, way, False) for way in JACOBIANS]
    return Inputs([*every, *found.corners, *squares])


def empty_mappings(cell: Cell) -> Inputs:
    """Functions of which a result has no element."""
    return functionals(cell, MAPPINGS[:1], tuple(JACOBIANS), (((0,), ()), ((0, 3), ()), ((2, 0), ())))


def scalar_functions(cell: Cell) -> Inputs:
    """Functions of one number, and every way to their Hessian; none of them is empty."""
    return functionals(cell, SCALARS, tuple(HESSIANS), FUNCTIONAL_SHAPES[:4])


def products_of_mappings(cell: Cell) -> Inputs:
    """The same functions, and both products, recorded or not."""
    return functionals(cell, MAPPINGS, ("vjp", "jvp", "vjp, recorded", "jvp, recorded"))


def products_of_scalars(cell: Cell) -> Inputs:
    """The same of products with the Hessian."""
    return functionals(cell, SCALARS, ("hvp", "vhp", "hvp, recorded", "vhp, recorded"), FUNCTIONAL_SHAPES[:4])


def numbers_of_one(cell: Cell) -> Inputs:
    """Functions of one number: no vector has to be given."""
    return functionals(cell, OF_ONE_ELEMENT, FUNCTIONALS[2:], (((), ()), ((1,), ()), ((1, 1), ())))


def aside_inputs(cell: Cell) -> Inputs:
    """Functions that do not depend on their second input, or on it alone; the way is what is asked for."""
    found = functionals(cell, ("(x * x).sum()", "(y * y).sum()"), FUNCTIONALS, FUNCTIONAL_SHAPES[:4]).corners
    return Inputs([replace(case, plans=two_plans(case)) for case in found])


def pairs_of_inputs(cell: Cell) -> Inputs:
    """Functions of two inputs, and of several results, of which the derivatives come in a nest."""
    mappings = functionals(cell, MAPPINGS[3:], tuple(JACOBIANS), FUNCTIONAL_SHAPES[:4])
    scalars = functionals(cell, SCALARS[2:], ("hessian", "hessian, forward"), FUNCTIONAL_SHAPES[:4])
    return Inputs([*mappings.corners, *scalars.corners])


def two_plans(case: Functional) -> tuple[Strided, ...]:
    """The plans of a case of two inputs, one of which the function may not need."""
    if case.count > 1:
        return case.plans
    plan = case.plans[0]
    return (plan, whole_numbers(plan.dtype, (2,), "contiguous", plan.device, 1))


def recorded_cubes(cell: Cell) -> Inputs:
    """Cubes of leaves; the way is what is asked for. A Jacobian is that of their sum, and that of each, too."""
    found = functionals(cell, ("(x * x * x).sum()",), FUNCTIONALS, (((2, 3), ()), ((), ()), ((1,), ()))).corners
    each = [replace(case, text="x * x * x") for case in found if case.way == "jacobian"]
    return Inputs([replace(case, tracked=True) for case in (*found, *each)])
