"""Subclasses of Subset that change what a sample is, rightly and wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.utils.data
from torch.utils.data import Subset

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.dataset_parts import BatchedPart, MapPart

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class HalfChangedSubset(Subset[Any]):  # type: ignore[misc]
    """Overrides ``__getitem__`` alone."""

    def __getitem__(self, index: Any) -> Any:
        return -self.dataset[self.indices[index]]


class ChangedSubset(HalfChangedSubset):
    """Overrides both."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Several samples at once, changed like one."""
        return [self[index] for index in indices]


class LaterHalfChanged(HalfChangedSubset):
    """Inherits the override of ``__getitem__`` alone."""


class PlainSubset(Subset[Any]):  # type: ignore[misc]
    """Overrides neither."""


SUBSET_CLASSES: dict[str, Any] = {
    "half": HalfChangedSubset, "later": LaterHalfChanged, "both": ChangedSubset, "neither": PlainSubset,
}  # fmt: skip


@dataclass(frozen=True)
class SubsetKind:
    """A subclass by its name, over a dataset of ten numbers, that does or does not load several at once."""

    name: str
    batched: bool
    indices: tuple[int, ...] = (7, 0, 3)

    def loaded(self) -> list[int]:
        """What a DataLoader yields of it, batch after batch."""
        whole = (BatchedPart if self.batched else MapPart)(list(range(10)))
        subset = SUBSET_CLASSES[self.name](whole, list(self.indices))
        return [x for batch in torch.utils.data.DataLoader(subset, batch_size=2, collate_fn=list) for x in batch]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"subclasses": self.name}

    def code(self) -> str:
        """The call in plain torch."""
        kind = SUBSET_CLASSES[self.name]
        whole = "batched" if self.batched else "map"
        return data_listings.program(
            *data_listings.needed([kind]), *data_listings.parts_made([(whole, 0)])[:-1],
            f"subset = {kind.__name__}({whole.replace('map', 'listed').title()}([*range(10)]), {list(self.indices)})",
            data_listings.loader("subset", "batch_size=2"), "print(list(loader))",
        )  # fmt: skip


def _kinds(*names: str) -> Inputs:
    return Inputs(
        [
            SubsetKind(name, batched, indices)
            for name in names
            for batched in (False, True)
            for indices in ((7, 0, 3), (1,))
        ]
    )


def faulty_subsets(cell: Cell) -> Inputs:
    """Subclasses that override one of the two methods."""
    return _kinds("half", "later")


def sound_subsets(cell: Cell) -> Inputs:
    """Subclasses that override both."""
    return _kinds("both")
