"""Lookups: rows that an embedding takes out of its weight, and the gradient that the weight gets of them.

Every value is a small whole number or a power of two, so that sums and quotients of them are exact.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.backwards import whole_numbers
from conformance.inputs.covering import enumerated
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Indices into four rows. Each row is looked up once, twice, four times or never, so that its share is a power of two.
LOOKUPS: tuple[tuple[Any, ...], ...] = (
    (0, 2, 2, 1), (3, 3, 3, 3), ((1, 0), (1, 3)), (), (2,), (0, 1, 3), (3, 0, 3, 1, 3, 3), (1, 1),
    tuple(n % 4 for n in range(64)),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lookup:
    """``indices`` of type ``counts`` into four rows; ``entry`` says by the function, the module or a bag of sums."""

    plan: Strided
    indices: tuple[Any, ...]
    counts: str = "int64"
    entry: str = "function"
    padding: int | None = None
    frequency: bool = False
    sparse: bool = False
    max_norm: float | None = None
    then: str = ""  # what a second pass gives: a sparse or a dense gradient

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments, without those that are not asked for."""
        given = {
            "padding_idx": self.padding, "max_norm": self.max_norm, "scale_grad_by_freq": self.frequency,
            "sparse": self.sparse,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None and value is not False}

    def gradient(self) -> Any:
        """The gradient that the weight gets for ones, times three."""
        leaf = self.plan.build().requires_grad_()
        indices = torch.tensor(self.indices, dtype=getattr(torch, self.counts), device=self.plan.device)
        if self.entry == "bag":
            offsets = torch.zeros(1, dtype=indices.dtype, device=self.plan.device)
            options = {**self.options, "mode": "sum"}
            found = torch.nn.functional.embedding_bag(indices.reshape(-1), leaf, offsets, **options)
        elif self.entry == "module":
            module = torch.nn.Embedding.from_pretrained(leaf.detach(), freeze=False, **self.options)
            found, leaf = module(indices), module.weight
        else:
            found = torch.nn.functional.embedding(indices, leaf, **self.options)
        found.backward(torch.full_like(found, 4))
        if self.then:
            found = torch.nn.functional.embedding(indices, leaf, sparse=self.then == "sparse")
            found.backward(torch.full_like(found, 4))
        return leaf.grad

    @property
    def expected(self) -> np.ndarray:
        """The same by the documented rules."""
        found = np.zeros(self.plan.shape)
        flat = np.asarray(self.indices, np.int64).reshape(-1)
        for row in flat:
            found[row] += 4 / np.sum(flat == row) if self.frequency else 4
        if self.padding is not None:
            found[self.padding] = 0
        return found * 2 if self.then else found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "entries": self.entry, "index types": self.counts}

    def reductions(self) -> Iterator[Lookup]:
        """The same of fewer indices, of a plainer weight."""
        if self.entry != "function":
            yield replace(self, entry="function")
        if len(self.indices) > 4:
            yield replace(self, indices=self.indices[:4])
        for plan in self.plan.reductions():
            if plan.shape == self.plan.shape:
                yield replace(self, plan=plan)

    def code(self) -> str:
        """The same in plain torch."""
        given = "".join(f", {name}={value}" for name, value in self.options.items())
        made = f"weight = {self.plan.code()}.requires_grad_()\n"
        made += f"indices = torch.tensor({self.indices}, dtype=torch.{self.counts}, device={self.plan.device!r})\n"
        call = f"found = torch.nn.functional.embedding(indices, weight{given})"
        if self.entry == "bag":
            offsets = "indices.new_zeros(1)"
            call = (
                f"found = torch.nn.functional.embedding_bag(indices.reshape(-1), weight, {offsets}, mode='sum'{given})"
            )
        elif self.entry == "module":
            call = f"module = torch.nn.Embedding.from_pretrained(weight.detach(), freeze=False{given})\n"
            call += "weight, found = module.weight, module(indices)"
        back = "\nfound.backward(torch.full_like(found, 4))"
        if self.then:
            sparse = self.then == "sparse"
            back += f"\nfound = torch.nn.functional.embedding(indices, weight, sparse={sparse}){back}"
        return f"{made}{call}{back}\nprint(weight.grad)"


def make_lookup(
    device: str, indices: tuple[Any, ...], dtype: str, layout: str, width: int, counts: str, entry: str,
    padding: int | None, frequency: bool, sparse: bool, max_norm: float | None, then: str = "",
) -> Lookup:  # fmt: skip
    """One case of one choice of each factor."""
    entry = "function" if entry == "bag" and not indices else entry
    plan = whole_numbers(dtype, (4, width), layout, device)
    return Lookup(plan, indices, counts, entry, padding, frequency, sparse, max_norm, then)


def lookups(
    cell: Cell, padding: tuple[int | None, ...] = (None,), frequency: tuple[bool, ...] = (False,),
    sparse: tuple[bool, ...] = (False,), entries: tuple[str, ...] = ("function", "module"),
    max_norms: tuple[float | None, ...] = (None,),
) -> Inputs:  # fmt: skip
    """Indices of each kind into weights of each type and layout, with each of these options."""
    # bags of bfloat16 came after 1.13
    types = ("float64", "float32", "float16", *(() if "bag" in entries else ("bfloat16",)))
    return enumerated(
        make_lookup, cell.target.device, LOOKUPS, types, ("contiguous", "transposed", "stepped"), (3, 1, 17),
        ("int64", "int32"), entries, padding, frequency, sparse, max_norms,
    )  # fmt: skip


def scaled_lookups(cell: Cell) -> Inputs:
    """Lookups whose gradients are scaled by how often a row occurs."""
    return lookups(cell, padding=(None, 1), frequency=(True,))


def scaled_bags(cell: Cell) -> Inputs:
    """The same of bags."""
    return lookups(cell, padding=(None, 1), frequency=(True,), entries=("bag",))


def padded_lookups(cell: Cell) -> Inputs:
    """Lookups with a row that is padding, counted from the front or from the back."""
    return lookups(cell, padding=(0, 3, -1, -3), sparse=(False, True))


def sparse_lookups(cell: Cell) -> Inputs:
    """Lookups whose gradient is to be sparse."""
    return lookups(cell, sparse=(True,))


def repeated_lookups(cell: Cell) -> Inputs:
    """Lookups after one another: sparse ones, a sparse and a dense one, a dense and a sparse one."""
    orders = ((True, "sparse"), (True, "dense"), (False, "sparse"))
    found = [lookups(cell, sparse=(first,), entries=("function",)).corners for first, _ in orders]
    pairs = [(case, then) for (_, then), part in zip(orders, found, strict=True) for case in part]
    # sparse tensors of the half types cannot be added up on the CPU
    return Inputs([replace(case, then=then) for case, then in pairs if case.plan.dtype in ("float64", "float32")])


def bounded_lookups(cell: Cell) -> Inputs:
    """Lookups with a ``max_norm`` that no row exceeds."""
    return lookups(cell, padding=(None, 1), sparse=(False, True), max_norms=(1000.0,))
