"""Parametrized modules: a tensor of a module that is computed from another one by parametrizations.

All numbers are whole or halves, so that every parametrization is exact.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# What each does to a tensor, and back; None where it has no right inverse. Factors are the slopes.
PARAMETRIZING_RULES: dict[str, tuple[str, str | None, float]] = {
    "Doubled": ("x * 2", "x / 2", 2.0),
    "Shifted": ("x + 3", None, 1.0),
    "Lowered": ("x - 1", "x + 1", 1.0),
    "Negated": ("-x", "-x", -1.0),
}
PARAMETRIZING_CHAINS = (
    ("Doubled",), ("Shifted",), ("Doubled", "Lowered"), ("Lowered", "Doubled"), ("Shifted", "Doubled"),
    ("Doubled", "Shifted", "Negated"), ("Negated", "Lowered", "Doubled"), ("Split",), ("Split", "Doubled"),
)  # fmt: skip
PARAMETRIZED_SHAPES: tuple[tuple[int, ...], ...] = ((2, 3), (), (4,), (2, 1, 3))


class Counting(torch.nn.Module):  # type: ignore[misc]
    """A parametrization that counts its calls."""

    rule = "x"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.offered: tuple[Any, ...] = (self.forward,)  # a reproducer leaves out methods that nothing names

    def forward(self, x: Any) -> Any:
        """The rule."""
        self.calls += 1
        return eval(self.rule, {"x": x})


class Inverting(Counting):
    """One that has a right inverse."""

    inverse = "x"

    def __init__(self) -> None:
        super().__init__()
        self.offered += (self.right_inverse,)

    def right_inverse(self, x: Any) -> Any:
        """The way back."""
        return eval(self.inverse, {"x": x})


class Split(Counting):
    """A sum of two tensors, which are halves of what is assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.offered += (self.right_inverse,)

    def forward(self, first: Any, second: Any) -> Any:  # type: ignore[override]
        """The sum."""
        self.calls += 1
        return first + second

    def right_inverse(self, x: Any) -> Any:
        """Three quarters and a quarter."""
        return x * 0.75, x * 0.25


def parametrization(name: str) -> Counting:
    """One of the rules as a module."""
    if name == "Split":
        return Split()
    rule, inverse, _ = PARAMETRIZING_RULES[name]
    made: Counting = Counting() if inverse is None else Inverting()
    made.rule = rule
    if inverse is not None:
        made.inverse = inverse
    return made


class Weighted(torch.nn.Module):  # type: ignore[misc]
    """A module of a parameter or buffer ``weight`` and a parameter ``bias``."""

    def __init__(self, weight: torch.Tensor, buffer: bool, frozen: bool) -> None:
        super().__init__()
        self.offered = (self.forward,)
        if buffer:
            self.register_buffer("weight", weight)
        else:
            self.weight = torch.nn.Parameter(weight, requires_grad=not frozen)
        self.bias = torch.nn.Parameter(torch.ones(1, dtype=weight.dtype, device=weight.device))

    def forward(self, x: Any) -> Any:
        """x times the weight, twice."""
        return x * self.weight + self.weight


@dataclass(frozen=True)
class Parametrized:
    """A module whose ``weight`` has the parametrizations of ``chain``, the first one applied first."""

    chain: tuple[str, ...]
    shape: tuple[int, ...] = (2, 3)
    dtype: str = "float32"
    buffer: bool = False
    frozen: bool = False
    training: bool = True
    unsafe: bool = False
    device: str = "cpu"

    def values(self, start: int = 1) -> np.ndarray:
        """The numbers of the weight."""
        return (np.arange(start, start + int(np.prod(self.shape)), dtype=np.float64) * 4).reshape(self.shape)

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """A tensor of these numbers."""
        kind = {"dtype": getattr(torch, self.dtype), "device": self.device}
        return torch.tensor(values.tolist(), **kind).reshape(self.shape)

    def plain(self) -> Weighted:
        """The module as it is before."""
        made = Weighted(self.tensor(self.values()), self.buffer, self.frozen)
        made.train(self.training)
        return made

    def build(self) -> Weighted:
        """The module with its parametrizations."""
        module = self.plain()
        for name in self.chain:
            torch.nn.utils.parametrize.register_parametrization(
                module, "weight", parametrization(name), unsafe=self.unsafe
            )
        return module

    def invertible(self) -> bool:
        """Whether every parametrization has a right inverse."""
        return all(name == "Split" or PARAMETRIZING_RULES[name][1] is not None for name in self.chain)

    def originals(self, module: Any) -> list[torch.Tensor]:
        """The tensors that the weight is computed from."""
        held = module.parametrizations.weight
        return [held.original0, held.original1] if self.chain[0] == "Split" else [held.original]

    def original_names(self) -> list[str]:
        """Their names."""
        numbers = ("0", "1") if self.chain[0] == "Split" else ("",)
        return [f"parametrizations.weight.original{n}" for n in numbers]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        kind = "buffer" if self.buffer else "frozen" if self.frozen else "parameter"
        return {"dtypes": self.dtype, "shapes": str(self.shape), "chains": " ".join(self.chain), "kinds": kind}

    def reductions(self) -> Iterator[Parametrized]:
        """A shorter chain, and a smaller weight."""
        for n in range(len(self.chain) if len(self.chain) > 1 else 0):
            if "Split" not in self.chain[n:]:
                yield replace(self, chain=self.chain[:n] + self.chain[n + 1 :])
        if self.shape:
            yield replace(self, shape=())

    def code(self) -> str:
        """The same in plain torch."""
        lines = ["import copy", "parametrize = torch.nn.utils.parametrize"]
        for name in dict.fromkeys(self.chain):
            rule, inverse, _ = PARAMETRIZING_RULES.get(name, ("first + second", "x * 0.75, x * 0.25", 1.0))
            given = "first, second" if name == "Split" else "x"
            lines += [f"class {name}(torch.nn.Module):", f"    def forward(self, {given}):", f"        return {rule}"]
            lines += [] if inverse is None else ["    def right_inverse(self, x):", f"        return {inverse}"]
        numbers = f"torch.tensor({self.values().tolist()}, dtype=torch.{self.dtype}, device={self.device!r})"
        numbers += f".reshape({self.shape})"
        lines.append("m = torch.nn.Module()")
        lines.append(
            f"m.register_buffer('weight', {numbers})"
            if self.buffer
            else f"m.weight = torch.nn.Parameter({numbers}, requires_grad={not self.frozen})"
        )
        lines.append(f"m.train({self.training})")
        for name in self.chain:
            unsafe = ", unsafe=True" if self.unsafe else ""
            lines.append(f"parametrize.register_parametrization(m, 'weight', {name}(){unsafe})")
        assign = ["m.weight = m.weight.detach() * 2", "print(m.weight)"] if self.invertible() else []
        return "\n".join([
            *lines, "print(m, m.weight, m.state_dict())", "twin = copy.deepcopy(m)",
            "with parametrize.cached():", "    print(m.weight is m.weight, m.weight is twin.weight)",
            *assign, "print(parametrize.remove_parametrizations(m, 'weight').state_dict())",
        ])  # fmt: skip


# --- sources ----------------------------------------------------------------------------------------------------


def parametrized(cell: Cell) -> Inputs:
    """Each chain on parameters, frozen ones and buffers, of each shape and type in turns."""
    rows = product(PARAMETRIZING_CHAINS, ((False, False), (False, True), (True, False)))
    device = cell.target.device
    return Inputs([
        Parametrized(chain, PARAMETRIZED_SHAPES[n % 4], ("float32", "float64", "float16")[n % 3 if n % 5 else 0],
                     buffer, frozen, n % 2 == 0, n % 4 == 3, device)
        for n, (chain, (buffer, frozen)) in enumerate(rows)
    ])  # fmt: skip


def learning(cell: Cell) -> Inputs:
    """Those whose originals get gradients."""
    return Inputs([case for case in parametrized(cell).corners if not case.buffer and not case.frozen])


def assignable(cell: Cell) -> Inputs:
    """Those whose every parametrization has a right inverse."""
    return Inputs([case for case in parametrized(cell).corners if case.invertible()])


def single_originals(cell: Cell) -> Inputs:
    """Those that are computed from one tensor."""
    return Inputs([case for case in parametrized(cell).corners if case.chain[0] != "Split"])


def split_originals(cell: Cell) -> Inputs:
    """Those that are computed from two tensors."""
    return Inputs([case for case in parametrized(cell).corners if case.chain[0] == "Split"])


def frozen_halves(cell: Cell) -> Inputs:
    """Those that are computed from two tensors, neither of which requires grad."""
    return Inputs([case for case in split_originals(cell).corners if case.frozen])


def whole_parameters(cell: Cell) -> Inputs:
    """All others."""
    return Inputs([case for case in parametrized(cell).corners if not (case.frozen and case.chain[0] == "Split")])
