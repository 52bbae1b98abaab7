"""Pinned pools: loaders with workers that are asked for batches in pinned memory.

Reference: https://docs.pytorch.org/docs/stable/data.html#memory-pinning
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.loader_pinning import has_accelerator
from conformance.oracles.expect import Discard

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

LATEST = 30.0  # seconds for a batch; the pinning thread may hang as well as a worker


class Pair(NamedTuple):
    """Two things under names."""

    x: Any
    y: Any


class OwnBatch:
    """A batch of a type of the program's own, with its own way to be pinned."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def pin_memory(self) -> OwnBatch:
        """Pin what is in it."""
        return OwnBatch(self.x.pin_memory())


def batch_in(form: str, x: torch.Tensor) -> Any:
    """A tensor in a structure."""
    if form == "mapping":
        return {"x": x, "deep": [x + 1, {"y": x + 2}], "name": "s"}
    if form == "tuple":
        return (x, [x + 1], "s", 3)
    if form == "namedtuple":
        return Pair(x, Pair(x + 1, "s"))
    return OwnBatch(x) if form == "own" else x


def tensors_in(found: Any) -> list[torch.Tensor]:
    """The tensors of a structure, in order."""
    if isinstance(found, torch.Tensor):
        return [found]
    if isinstance(found, OwnBatch):
        return [found.x]
    if isinstance(found, Mapping):
        return [x for value in found.values() for x in tensors_in(value)]
    return [x for value in found for x in tensors_in(value)] if isinstance(found, list | tuple) else []


def values_in(found: Any) -> list[list[float]]:
    """The values of the tensors of a structure."""
    return [x.tolist() for x in tensors_in(found)]


def pinned_in(found: Any) -> list[bool]:
    """Whether each tensor of a structure is pinned."""
    return [x.is_pinned() for x in tensors_in(found)]


class FormedBatches(torch.utils.data.Dataset):  # type: ignore[misc]
    """Batches of a form."""

    def __init__(self, form: str, count: int) -> None:
        self.form, self.count = form, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        return batch_in(self.form, torch.tensor([float(number), -1.0]))


@dataclass(frozen=True)
class Pinned:
    """A loader with pin_memory over ``count`` batches of a form."""

    form: str
    workers: int = 2
    persistent: bool = False
    count: int = 3

    def build(self) -> Any:
        """A new loader."""
        return torch.utils.data.DataLoader(
            FormedBatches(self.form, self.count), batch_size=None, num_workers=self.workers, pin_memory=True,
            persistent_workers=self.persistent, timeout=LATEST,
        )  # fmt: skip

    def batches(self) -> list[Any]:
        """One epoch."""
        return list(self.build())

    def expected(self, number: int) -> list[list[float]]:
        """The values of the tensors of a batch."""
        counts = {"mapping": 3, "tuple": 2, "namedtuple": 2}
        return [[number + more, -1.0 + more] for more in map(float, range(counts.get(self.form, 1)))]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"forms": self.form, "workers": str(self.workers), "persistent": str(self.persistent)}

    def reductions(self) -> Iterator[Pinned]:
        """A plain tensor, one worker, one batch."""
        for simpler in (replace(self, form="tensor"), replace(self, workers=1), replace(self, count=1)):
            if simpler != self:
                yield simpler

    def code(self) -> str:
        """The case in plain torch."""
        text = {
            "mapping": "{'x': x, 'deep': [x + 1, {'y': x + 2}], 'name': 's'}", "tuple": "(x, [x + 1], 's', 3)",
            "namedtuple": "Pair(x, Pair(x + 1, 's'))", "own": "OwnBatch(x)",
        }.get(self.form, "x")  # fmt: skip
        kinds: dict[str, type] = {"own": OwnBatch}
        pair = "from collections import namedtuple\nPair = namedtuple('Pair', ['x', 'y'])" if "Pair" in text else ""
        options = ["batch_size=None", f"num_workers={self.workers}", "pin_memory=True"]
        options += ["persistent_workers=True"] if self.persistent else []
        return data_listings.program(
            pair, *data_listings.needed([kinds[self.form]] if self.form in kinds else []),
            data_listings.mapped(self.count, text, "x = torch.tensor([float(key), -1.0])"),
            data_listings.loader("Samples()", *options), "print(list(loader))",
        )  # fmt: skip


def load_unpinned(case: Pinned) -> tuple[list[tuple[str, Any, Any]], bool]:
    """The type and the values of each batch and whether they are pinned, and whether there was a warning of it."""
    if has_accelerator():
        raise Discard("there is an accelerator")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = case.batches()
    seen = [(type(batch).__name__, values_in(batch), pinned_in(batch)) for batch in batches]
    return seen, any("pin_memory" in str(w.message) for w in caught)


def pinned_pools(cell: Cell) -> Inputs:
    """A plain tensor, and structures of them."""
    forms = ("tensor", "mapping", "tuple", "namedtuple", "own")
    return Inputs([Pinned(form, 1 + number % 2, number % 2 == 1) for number, form in enumerate(forms)])


def unpinned_pools(cell: Cell) -> Inputs:
    """The same, where there is no accelerator."""
    return Inputs([Pinned("mapping"), Pinned("own", 1)])
