"""Priced: a call at a size, whose memory is to be accounted for.

The calls are rows of the catalogue ``costs``; the setups make their operands, of ``n`` elements, on the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from textwrap import indent
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.registrations import compiled_action
from conformance.oracles.allocations import Account, account

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

PRICED_MATRIX = "x = torch.arange({n}, device={device!r}).reshape({n} // 8, 8).to(torch.{dtype})"
PRICED_PAIR = (PRICED_MATRIX, "y = x.clone()", "k = x > 3")
PRICED_ARRAY = ("a = np.arange({n}, dtype=np.{dtype})", "b = bytearray(a.tobytes())", "x = torch.tensor(a)")
PRICED_SETUPS = {
    "matrix": (PRICED_MATRIX,),
    "row": (PRICED_MATRIX, "y = x[:1]"),
    "complex matrix": ("z = torch.zeros({n} // 8, 8, dtype=torch.complex64, device={device!r})",),
    "same shapes": PRICED_PAIR,
    "with out": (
        *PRICED_PAIR,
        "i = torch.arange(len(x), device=x.device)",
        "o, o2, p, q = (torch.empty(shape, device=x.device) for shape in (x.shape, (2, 8), (8, 8), (len(x),)))",
    ),
    "array": PRICED_ARRAY,
    "trained": (
        "m = torch.nn.Sequential(torch.nn.Linear({n} // 8, 8), torch.nn.BatchNorm1d(8)).to({device!r})",
        "o = torch.optim.Adam(m.parameters())",
        "m(torch.ones(2, {n} // 8, device={device!r})).sum().backward()",
        "o.step()",
        "s = m.state_dict()",
    ),
}  # fmt: skip
PRICED_SIZES = (64, 65536)
SHARED_SIZES = (64, 1 << 20)  # at the last one an array is more than what Python needs for itself
PRICED_TYPES = {"view": ("float32", "float64", "bfloat16", "int64", "bool"), "expanded": ("float32", "int64")}
PRICED_LAYOUTS = {
    "contiguous": (),
    "transposed": ("x, y, k = x.t(), y.t(), k.t()",),
    "stepped": ("x, y, k = x[:, ::2], y[:, ::2], k[:, ::2]",),
}
LAID_OUT_KINDS = ("in-place",)
SAMPLED_KINDS = ("view", "expanded", "shared", "copy")  # of the others, what is allocated hangs on no size


@dataclass(frozen=True)
class Priced:
    """``act`` on what a setup makes of ``n`` elements (a multiple of 8) of ``dtype``."""

    setup: str
    act: str
    n: int
    dtype: str = "float32"
    layout: str = "contiguous"
    device: str = "cpu"

    @property
    def lines(self) -> tuple[str, ...]:
        """What is done beforehand."""
        made = (line.format(n=self.n, dtype=self.dtype, device=self.device) for line in PRICED_SETUPS[self.setup])
        return (*made, *PRICED_LAYOUTS[self.layout])

    @property
    def nbytes(self) -> int:
        """Bytes of the ``n`` elements; half of them where every other column is left out."""
        size: int = torch.empty((), dtype=getattr(torch, self.dtype)).element_size()
        return self.n * size // (2 if self.layout == "stepped" else 1)

    def account(self) -> Account:
        """The account of the call alone."""
        return account_of(self.lines, self.act, self.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"dtypes": self.dtype, "layouts": self.layout, "shapes": f"({self.n // 8}, 8)"}

    def reductions(self) -> Iterator[Priced]:
        """Fewer elements, the simplest layout and type."""
        smaller = [replace(self, n=n) for n in PRICED_SIZES if n < self.n]
        yield from smaller
        if self.layout != "contiguous":
            yield replace(self, layout="contiguous")
        if self.dtype != "float32":
            yield replace(self, dtype="float32")

    def code(self) -> str:
        """In plain torch; the profiler shows what is allocated."""
        return priced_code(self.lines, (self.act,))


def account_of(lines: tuple[str, ...], act: str, device: str) -> Account:
    """The account of some lines, after others that are not charged for; the value of an expression is held."""
    space: dict[str, Any] = {}
    needed = ("import copy", "import io", "import numpy as np", "import torch")
    before, paid = compiled_action("\n".join((*needed, *lines))), compiled_action(kept(act))
    return account(lambda: exec(before, space), lambda: exec(paid, space), device)


def kept(act: str) -> str:
    """Statements as they are, and an expression with a name for its value."""
    try:
        compile(act, "act", "eval")
    except SyntaxError:
        return act
    return f"result = {act}"


def priced_code(lines: tuple[str, ...], acts: tuple[str, ...]) -> str:
    """A program that prints the bytes that each of some pieces has torch hand out, or, negative, give back."""
    text = "\n".join((*lines, *acts))
    needed = [f"import {name}" for name in ("copy", "io") if f"{name}." in text]
    return "\n".join((*needed, *(_measured(lines, act) for act in acts)))


def _measured(lines: tuple[str, ...], act: str) -> str:
    """The act between two operations on nothing, which the profile shows."""
    inside = "\n".join((*lines, "torch.zeros(0).swapdims_(0, 0)", kept(act), "torch.zeros(0).swapdims_(0, 0)"))
    return f"""with torch.autograd.profiler.profile(profile_memory=True) as profile:
{indent(inside, "    ")}
names = [(event.name(), event.nbytes()) for event in profile.kineto_results.events()]
begin, end = (i for i, (name, _) in enumerate(names) if name == "aten::swapdims_")
print([nbytes for name, nbytes in names[begin:end] if name == "[memory]" and nbytes])"""


def priced(cell: Cell) -> Inputs:
    """The row's call at every size, of each element type and layout that its kind is asked in."""
    row = cell.subject
    types = PRICED_TYPES.get(row.kind, ("float32",))
    layouts = tuple(PRICED_LAYOUTS) if row.kind in LAID_OUT_KINDS else ("contiguous",)
    every = product(SHARED_SIZES if row.kind == "shared" else PRICED_SIZES, types, layouts)
    made = [Priced(row.setup, row.act, n, dtype, layout, cell.target.device) for n, dtype, layout in every]

    if row.kind not in SAMPLED_KINDS:
        return Inputs(made)

    from hypothesis import strategies as st

    def resized(draw: tuple[Priced, int]) -> Priced:
        return replace(draw[0], n=8 * draw[1])

    return Inputs(made, st.tuples(st.sampled_from(made), st.integers(8, 2048)).map(resized))
