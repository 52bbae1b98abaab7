"""Formulas: calls of functions whose derivatives are known in closed form.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import enumerated
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.kinks import function_named
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

_REAL_POINTS = (0.5, 1.25, 0.75, 1.0, 0.25, 1.75)
_COMPLEX_POINTS = (0.5 + 0.25j, 1.25 - 0.5j, -0.75 + 0.5j, 1.0 + 0j, 0.25 - 0.75j, -0.5 - 0.25j)
_REAL_CODE = {
    "squared-modulus": "(x * x.conj()).real", "cosine": "torch.exp(1j * x).real + y",
    "modulus": "torch.complex(x, y).abs()", "polar": "torch.polar(x, y).imag",
    "product": "(torch.complex(x, y) * torch.complex(y, x)).imag", "square": "(torch.complex(x, y) ** 2).real",
    "logarithm": "torch.log(torch.complex(x, y)).imag",
}  # fmt: skip
_WAYS = ("grad", "backward")
FORMULA_SHAPES = ((2, 3), (), (1,), (1, 3, 1), (2, 3, 4), (17,))
FORMULA_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "expanded")
REAL_FUNCTIONS = ("cosine", "modulus", "polar", "product", "square", "logarithm")


@dataclass(frozen=True, eq=False)
class Formula:
    """``function`` of ``plan``; gradients are asked for in one of the ways, for these incoming gradients."""

    function: str
    plan: Strided
    name: str
    way: str = "grad"
    args: tuple[Any, ...] = ()

    def leaf(self) -> torch.Tensor:
        """A new leaf."""
        return self.plan.build().requires_grad_()

    def call(self, x: torch.Tensor) -> torch.Tensor:
        """Call the function."""
        if self.function == "squared-modulus":
            return (x * x.conj()).real
        found: torch.Tensor = function_named(self.function)(x, *self.args)
        return found

    def incoming(self, root: torch.Tensor, turn: int = 0) -> Strided:
        """Plan of the gradient that is handed to ``root``."""
        dtype = str(root.dtype).removeprefix("torch.")
        data: tuple[Any, ...] = (1.5, -0.5, 2.0, 1.0, -1.25)
        if ELEMENT_TYPES[dtype].kind == "complex":
            data = (1.5 - 1j, -0.5 + 0.25j, 2j, 1 + 0j, -1.25 - 0.5j)
        return strided(dtype, tuple(root.shape), "contiguous", data[turn:] + data[:turn], self.plan.device)

    def gradient(self, root: torch.Tensor, leaf: torch.Tensor, incoming: Strided, create_graph: bool) -> torch.Tensor:
        """The gradient of ``root`` by ``leaf``; .grad is None again afterwards."""
        if self.way == "grad":
            return torch.autograd.grad(root, leaf, incoming.build(), create_graph=create_graph)[0]
        root.backward(incoming.build(), create_graph=create_graph)
        found, leaf.grad = leaf.grad, None
        assert found is not None
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "ways": self.way}

    def reductions(self) -> Iterator[Formula]:
        """The same on a plainer tensor."""
        for shape in (self.plan.shape, (), (1,), (2,)):
            if len(shape) < len(self.plan.shape) or self.plan.layout != "contiguous":
                plan = strided(self.plan.dtype, shape, data=self.plan.data, device=self.plan.device)
                yield replace(self, plan=plan)

    def code(self) -> str:
        """The same in plain torch."""
        args = "".join(f", {x!r}" for x in self.args)
        called = _REAL_CODE.get(self.function, f"{self.function}(x{args})")
        made = [f"x = {self.plan.code()}.requires_grad_()"]
        made += ["y = torch.flip(x.detach(), (0,)) if x.dim() else x.detach() * 1"] if "y" in called else []
        data = (1.5 - 1j, -0.5 + 0.25j, 2j, 1 + 0j, -1.25 - 0.5j)
        upstream = f"torch.tensor({data}).repeat(found.numel())[: found.numel()].reshape(found.shape)"
        upstream = f"({upstream} if found.is_complex() else {upstream}.real).to(found.dtype)"
        return "\n".join([*made, f"found = {called}", f"print(torch.autograd.grad(found, x, {upstream}))"])


def twice_differentiable(cell: Cell) -> Inputs:
    """A function at real and complex points."""
    return _formulas(cell, ("float64", "float32", "complex128", "complex64"))


def complex_formulas(cell: Cell) -> Inputs:
    """A function at complex points."""
    return _formulas(cell, ("complex128", "complex64"))


def _formulas(cell: Cell, dtypes: tuple[str, ...]) -> Inputs:
    row = cell.subject
    written = (row.function, row.name, tuple(getattr(row, "args", ())))
    return enumerated(make_formula, cell.target.device, FORMULA_SHAPES, FORMULA_LAYOUTS, dtypes, _WAYS, (written,))


def make_formula(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, way: str, written: tuple[Any, ...]
) -> Formula:
    """The case of one choice of each factor."""
    data = _COMPLEX_POINTS if ELEMENT_TYPES[dtype].kind == "complex" else _REAL_POINTS
    return Formula(written[0], strided(dtype, shape, layout, data, device), written[1], way, written[2])


def real_functions(cell: Cell) -> Inputs:
    """Real functions of two real tensors that go through complex numbers."""
    return enumerated(
        make_real_function, cell.target.device, FORMULA_SHAPES, FORMULA_LAYOUTS, ("float64", "float32"),
        REAL_FUNCTIONS, _WAYS,
    )  # fmt: skip


def make_real_function(device: str, shape: tuple[int, ...], layout: str, dtype: str, name: str, way: str) -> Formula:
    """The case of one choice of each factor."""
    return Formula(name, strided(dtype, shape, layout, _REAL_POINTS, device), name, way)


def through_complex(name: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A real function of ``x`` and ``y``, computed by complex operations."""
    if name == "cosine":
        return torch.exp(1j * x).real + y
    if name == "modulus":
        return torch.complex(x, y).abs()
    if name == "polar":
        return torch.polar(x, y).imag
    if name == "product":
        return (torch.complex(x, y) * torch.complex(y, x)).imag
    if name == "square":
        return (torch.complex(x, y) ** 2).real
    return torch.log(torch.complex(x, y)).imag
