"""Sequence batches: sequences of several lengths, to be padded, packed and taken apart again.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pack_padded_sequence.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isnan, nan, prod
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

SEQUENCE_LENGTHS = (
    (3, 2, 1), (2, 1, 3), (1,), (4,), (2, 2), (3, 3, 1, 3), (1, 5, 2, 5, 4), (1, 1, 1), (5, 1), (1, 2, 3, 4, 5, 6),
)  # fmt: skip
SEQUENCE_TRAILS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (2, 3))
SEQUENCE_TYPES = ("float32", "int64", "float64", "complex64", "bool", "uint8", "bfloat16")
SEQUENCE_PADDINGS = (0.0, 7.0, -2.0, nan)


@dataclass(frozen=True)
class SequenceBatch:
    """Sequences of ``lengths`` whose elements have the shape ``trail``, and how they are padded or packed."""

    lengths: tuple[int, ...]
    trail: tuple[int, ...] = ()
    dtype: str = "float32"
    batch_first: bool = False
    ordered: bool = False  # enforce_sorted
    given: str = "list"  # the lengths, or a tensor of them
    surplus: int = 0  # steps of the padded input behind the longest sequence
    padding: float = 0.0
    total: int | None = None
    side: str = "right"
    device: str = "cpu"

    @property
    def longest(self) -> int:
        """The number of steps of the longest sequence."""
        return max(self.lengths)

    def in_order(self) -> bool:
        """Whether no sequence is longer than the one before."""
        return list(self.lengths) == sorted(self.lengths, reverse=True)

    def numbers(self) -> list[list[list[Any]]]:
        """The elements of each step of each sequence, all different where the type has so many numbers."""
        count, found = prod(self.trail), []
        start = 1
        for length in self.lengths:
            steps = []
            for _ in range(length):
                steps.append([n % 2 == 1 if self.dtype == "bool" else n % 100 for n in range(start, start + count)])
                start += max(count, 1)
            found.append(steps)
        return found

    def tensor(self, flat: list[Any], *shape: int) -> torch.Tensor:
        """A tensor of these numbers and of this shape, with that of an element behind."""
        kind = getattr(torch, self.dtype)
        return torch.tensor(flat, dtype=kind, device=self.device).reshape(*shape, *self.trail)

    def sequences(self) -> list[torch.Tensor]:
        """The sequences by themselves."""
        return [self.tensor([x for step in steps for x in step], len(steps)) for steps in self.numbers()]

    def steps(self, length: int, junk: Any, side: str = "right") -> torch.Tensor:
        """The sequences padded to a length with ``junk``, batch first or not as the case has it."""
        flat: list[Any] = []
        numbers, fill = self.numbers(), [junk] * prod(self.trail)
        rows = [
            steps + [fill] * (length - len(steps)) if side == "right" else [fill] * (length - len(steps)) + steps
            for steps in numbers
        ]
        if self.batch_first:
            for row in rows:
                flat += [x for step in row for x in step]
            return self.tensor(flat, len(rows), length)
        for turn in range(length):
            for row in rows:
                flat += row[turn]
        return self.tensor(flat, length, len(rows))

    def padded(self) -> torch.Tensor:
        """The input of pack_padded_sequence; what lies behind a sequence is no part of it."""
        return self.steps(self.longest + self.surplus, True if self.dtype == "bool" else 77)

    def told_lengths(self) -> Any:
        """The lengths, as they are given."""
        return torch.tensor(self.lengths) if self.given == "tensor" else list(self.lengths)

    def pack(self) -> Any:
        """What pack_padded_sequence makes of it."""
        return torch.nn.utils.rnn.pack_padded_sequence(
            self.padded(), self.told_lengths(), batch_first=self.batch_first, enforce_sorted=self.ordered
        )

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "shapes": str(self.trail), "lengths": str(self.lengths)}

    def reductions(self) -> Iterator[SequenceBatch]:
        """Fewer sequences, of single numbers."""
        for n in range(len(self.lengths) if len(self.lengths) > 1 else 0):
            fewer = replace(self, lengths=self.lengths[:n] + self.lengths[n + 1 :])
            if fewer.in_order() == self.in_order() and (self.total is None or fewer.longest == self.longest):
                yield fewer
        if self.trail:
            yield replace(self, trail=())
        if self.surplus:
            yield replace(self, surplus=0)

    def code(self) -> str:
        """Padded, packed and taken apart in plain torch."""
        place = f", device={self.device!r}" if self.device != "cpu" else ""
        rows = [
            f"torch.tensor({x.reshape(-1).tolist()}, dtype=torch.{self.dtype}{place}).reshape({tuple(x.shape)})"
            for x in self.sequences()
        ]
        first, lengths = f"batch_first={self.batch_first}", repr(list(self.lengths))
        lengths = f"torch.tensor({lengths})" if self.given == "tensor" else lengths
        side = f", padding_side={self.side!r}" if self.side != "right" else ""
        return "\n".join([
            "from math import nan", "rnn = torch.nn.utils.rnn", f"rows = [{', '.join(rows)}]",
            f"padded = rnn.pad_sequence(rows, {first}, padding_value={self.padding}{side})", "print(padded)",
            f"packed = rnn.pack_padded_sequence(padded, {lengths}, {first}, enforce_sorted={self.ordered})",
            "print(packed)",
            f"print(rnn.pad_packed_sequence(packed, {first}, padding_value={self.padding}, total_length={self.total}))",
        ])  # fmt: skip


def padding_of(dtype: str, padding: float) -> float:
    """The number to pad with, which the type has; integers have no NaN."""
    if isnan(padding):
        return padding if dtype.startswith(("float", "bfloat", "complex")) else 0.0
    return 1.0 if dtype == "bool" and padding else abs(padding) if dtype == "uint8" else padding


def sequence_batches(cell: Cell) -> Inputs:
    """Lengths in every order, elements of several shapes and types, in pairs."""
    rows = covering(
        SEQUENCE_LENGTHS, SEQUENCE_TRAILS, SEQUENCE_TYPES, (False, True), ("list", "tensor"), (0, 2), SEQUENCE_PADDINGS
    )
    device = cell.target.device
    return Inputs([
        SequenceBatch(lengths, trail, dtype, first, lengths == tuple(sorted(lengths, reverse=True)) and bool(surplus),
                      given, surplus, padding_of(dtype, padding), device=device)
        for lengths, trail, dtype, first, given, surplus, padding in rows
    ])  # fmt: skip


def _batches_with(cell: Cell, change: Callable[[SequenceBatch, int], SequenceBatch]) -> Inputs:
    return Inputs([change(case, n) for n, case in enumerate(sequence_batches(cell).corners)])


def left_padded(cell: Cell) -> Inputs:
    """The same, padded before each sequence."""
    return _batches_with(cell, lambda case, n: replace(case, side="left"))


def totals(cell: Cell) -> Inputs:
    """The same, with a total length from the longest sequence on."""
    return _batches_with(cell, lambda case, n: replace(case, total=case.longest + n % 4))


def short_totals(cell: Cell) -> Inputs:
    """Total lengths that are too short."""
    cases = [case for case in sequence_batches(cell).corners if case.longest > 1]
    return Inputs([replace(case, total=case.longest - 1 - n % (case.longest - 1)) for n, case in enumerate(cases)])


def unordered(cell: Cell) -> Inputs:
    """Sequences that are not in the order of their lengths, said to be so."""
    every = sequence_batches(cell).corners
    return Inputs([replace(case, ordered=True) for case in every if not case.in_order()])


def real_batches(cell: Cell) -> Inputs:
    """Those of floating-point numbers that have a gradient."""
    every = sequence_batches(cell).corners
    return Inputs([case for case in every if case.dtype in ("float32", "float64")])
