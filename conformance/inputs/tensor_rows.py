"""Tensors of a TensorDataset: several of them with the same number of rows, of any type, shape and layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import coverings
from conformance.inputs.dtypes import family
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ROW_TYPES = family("bool", "integral", "floating", "complex")
ROW_TAILS: tuple[tuple[int, ...], ...] = ((), (2,), (1, 3), (0,), (2, 2))
ROW_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "expanded", "sliced")


@dataclass(frozen=True)
class TensorRows:
    """The plans of the tensors."""

    plans: tuple[Strided, ...]
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.plans[0].shape[0]

    def build(self) -> list[Any]:
        """The tensors."""
        return [plan.build() for plan in self.plans]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "dtypes": [plan.dtype for plan in self.plans],
            "layouts": [plan.layout for plan in self.plans],
            "shapes": [str(plan.shape) for plan in self.plans],
        }

    def reductions(self) -> Iterator[TensorRows]:
        """Fewer tensors, and simpler ones with as many rows."""
        for number, plan in enumerate(() if self.exact else self.plans):
            before, after = self.plans[:number], self.plans[number + 1 :]
            if len(self.plans) > 1:
                yield TensorRows((*before, *after))
            yield from (TensorRows((*before, x, *after)) for x in plan.reductions() if x.shape[:1] == plan.shape[:1])

    def code(self) -> str:
        """The dataset in plain torch."""
        tensors = "".join(f"    {plan.code()},\n" for plan in self.plans)
        return data_listings.program(
            f"whole = data.TensorDataset(\n{tensors})",
            "print(len(whole), [whole[n] for n in range(len(whole))], whole[1:])",
        )


def planned_rows(
    device: str, size: int, dtype: str, layout: str, tail: tuple[int, ...], count: int, kind: str
) -> TensorRows:
    turns = [(number + len(tail), ROW_TAILS[(ROW_TAILS.index(tail) + number) % 5]) for number in range(count)]
    types = [ROW_TYPES[(ROW_TYPES.index(dtype) + 3 * number) % len(ROW_TYPES)] for number in range(count)]
    layouts = [ROW_LAYOUTS[(ROW_LAYOUTS.index(layout) + number) % 6] for number in range(count)]
    return TensorRows(
        tuple(
            corner(types[n], (size, *shape), layouts[n], kind, device=device, turn=turn)
            for n, (turn, shape) in enumerate(turns)
        )
    )


def tensor_rows(cell: Cell) -> Inputs:
    """One to four tensors with up to seven rows."""
    from hypothesis import strategies as st

    device = cell.target.device
    factors = ((3, 1, 0, 7), ROW_TYPES, ROW_LAYOUTS, ROW_TAILS, (1, 2, 3, 4), ("ordinary", "special"))
    drawn = st.tuples(*map(st.sampled_from, factors)).map(lambda choices: planned_rows(device, *choices))
    return Inputs([planned_rows(device, *row) for row in coverings(1, *factors)], drawn)


def uneven_rows(cell: Cell) -> Inputs:
    """Two to four tensors of which one, at every place, has another number of rows."""
    found = []
    for count in (2, 3, 4):
        for place in range(count):
            for turn, other in enumerate((0, 1, 4)):
                sizes = [other if n == place else 3 for n in range(count)]
                tails = [ROW_TAILS[(place + n + turn) % 5] for n in range(count)]
                found.append(
                    TensorRows(
                        tuple(
                            corner("float32", (size, *tail), "contiguous", device=cell.target.device)
                            for size, tail in zip(sizes, tails, strict=True)
                        ),
                        exact=True,
                    )
                )
    return Inputs(found)
