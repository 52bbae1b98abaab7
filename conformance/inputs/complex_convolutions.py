"""Complex convolutions: layers of complex numbers, any of whose operands may be a view that is conjugated lazily.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.tensors import Strided
from conformance.inputs.valued_calls import worded_plan

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

CONVOLVED = ("input", "weight", "bias")
CONVOLVED_OPTIONS: tuple[tuple[tuple[str, Any], ...], ...] = (
    (),
    (("stride", 2), ("padding", 1)),
    (("padding", "same"), ("dilation", 2)),
    (("groups", 2), ("padding", 2)),
    (("padding", 1), ("padding_mode", "circular")),
)


@dataclass(frozen=True, eq=False)
class ComplexConvolution:
    """``torch.nn.<makes>`` with these operands, those in ``conjugated`` as conjugated views of the numbers."""

    makes: str
    operands: tuple[Strided, ...]  # as CONVOLVED names them; no bias where there are two
    conjugated: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str, default: Any = None) -> Any:
        """What an option was given as."""
        return dict(self.options).get(name, default)

    def built(self) -> list[torch.Tensor]:
        """The operands."""
        made = zip(CONVOLVED, self.operands, strict=False)
        return [plan.build().conj() if name in self.conjugated else plan.build() for name, plan in made]

    def arrays(self) -> list[Any]:
        """Their numbers."""
        made = zip(CONVOLVED, self.operands, strict=False)
        return [plan.array.conj() if name in self.conjugated else plan.array for name, plan in made]

    def arguments(self) -> dict[str, Any]:
        """Those of the constructor."""
        outs, inputs, kernel = *self.operands[1].shape[:2], self.operands[1].shape[2]
        sizes = {"in_channels": inputs * int(self.option("groups", 1)), "out_channels": outs, "kernel_size": kernel}
        return {**sizes, "bias": len(self.operands) == 3, **dict(self.options)}

    def run(self, operands: list[torch.Tensor]) -> torch.Tensor:
        """The result of the layer."""
        x, *held = operands
        with torch.random.fork_rng(devices=[]):  # drawn, and replaced at once
            layer = getattr(torch.nn, self.makes)(**self.arguments(), dtype=x.dtype, device=x.device)
        for name, tensor in zip(CONVOLVED[1:], held, strict=False):
            setattr(layer, name, torch.nn.Parameter(tensor))
        found: torch.Tensor = layer(x)
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "dtypes": self.operands[0].dtype,
            "layouts": self.operands[0].layout,
            "conjugated": self.conjugated or "none",
            "options": [f"{name}={value!r}" for name, value in self.options],
        }

    def reductions(self) -> Iterator[ComplexConvolution]:
        """The same with less that is conjugated, and with fewer options."""
        for name in self.conjugated:
            yield replace(self, conjugated=tuple(other for other in self.conjugated if other != name))
        if self.options and "groups" not in dict(self.options):
            yield replace(self, options=())

    def code(self) -> str:
        """The same in plain torch."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        lines = ["import torch"]
        for name, plan in zip(CONVOLVED, self.operands, strict=False):
            lines.append(f"{name} = {plan.code()}" + (".conj()" if name in self.conjugated else ""))
        lines.append(f"m = torch.nn.{self.makes}({given}, dtype=input.dtype, device=input.device)")
        lines += [f"m.{name} = torch.nn.Parameter({name})" for name in CONVOLVED[1 : len(self.operands)]]
        return "\n".join([*lines, "print(m(input))"])


def complex_convolutions(cell: Cell) -> Inputs:
    """Each set of operands conjugated, with types, layouts and options by turns."""
    count, found = int(cell.subject.name[-2]), []
    for number, chosen in enumerate(product((False, True), repeat=3), count):
        dtype = ("float64", "float32")[number % 2]
        options = CONVOLVED_OPTIONS[number % len(CONVOLVED_OPTIONS)]
        inputs = 4 // int(dict(options).get("groups", 1))
        layout = ("contiguous", "transposed", "stepped", "channels_last")[number % 4]
        kernel, extent = (2, 3) if count == 3 else (3, 4)
        words = (f"2 4{f' {extent}' * count} complex", f"4 {inputs}{f' {kernel}' * count} complex", "4 complex")
        layouts = (layout, "contiguous", "contiguous")
        plans = tuple(
            worded_plan(one, dtype, kind, number + 3 * turn, cell.target.device)
            for turn, (one, kind) in enumerate(zip(words, layouts, strict=True))
        )
        names = tuple(name for name, taken in zip(CONVOLVED, chosen, strict=True) if taken)
        plans = plans if "bias" in names or number % 4 else plans[:2]
        found.append(ComplexConvolution(cell.subject.name, plans, names, options))
    return Inputs(found)
