"""Pinning: batches of every structure, put into page-locked memory by ``pin_memory=True``.

Reference: https://docs.pytorch.org/docs/stable/data.html#memory-pinning
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import coverings

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

PinnedPoint = namedtuple("PinnedPoint", ["x", "y"])
# Structures of a batch in which tensors are recognized.
PINNED_STRUCTURES = ("tensor", "tuple", "list", "mapping", "ordered mapping", "namedtuple", "mapping subclass",
                     "nested", "no tensors", "empty", "strided", "half")  # fmt: skip


class TaggedMapping(dict):  # type: ignore[type-arg]
    """A mapping with something more to it."""

    tag = "kept"


class PinnableBatch:
    """A custom batch that knows how to pin its memory."""

    def __init__(self, tensor: Any) -> None:
        self.tensor, self.calls = tensor, 0

    def pin_memory(self) -> PinnableBatch:
        """Pin the tensor, and count."""
        self.calls += 1
        self.tensor = self.tensor.pin_memory()
        return self


class OpaqueBatch:
    """A custom batch that does not."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def structured(structure: str, number: float) -> Any:
    """A batch of a structure, with numbers of its own."""
    x, y = torch.tensor([number, 1.0]), torch.tensor([[int(number)]])
    if structure == "tensor":
        return x
    if structure == "strided":
        return torch.arange(12.0).reshape(3, 4).t()[1:] + number
    if structure == "half":
        return torch.tensor([number], dtype=torch.bfloat16)
    if structure in ("tuple", "list"):
        return (x, y) if structure == "tuple" else [x, y, "text"]
    if structure == "namedtuple":
        return PinnedPoint(x, y)
    if structure in ("mapping", "ordered mapping", "mapping subclass"):
        kinds = {"mapping": dict, "ordered mapping": OrderedDict, "mapping subclass": TaggedMapping}
        return kinds[structure]({"x": x, "y": y, "n": 3})
    if structure == "nested":
        return {"p": PinnedPoint([x], {"y": (y,)}), "more": [[x, None], ()]}
    return torch.zeros(0, 3) if structure == "empty" else ("text", b"bytes", 1, 2.5, None, [], {})


def tensors_in(batch: Any) -> list[Any]:
    """The tensors of a batch, in order."""
    if isinstance(batch, torch.Tensor):
        return [batch]
    if isinstance(batch, PinnableBatch | OpaqueBatch):
        return [batch.tensor]
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def shape_of(batch: Any) -> Any:
    """The types that a batch is made of."""
    if isinstance(batch, dict):
        return (type(batch).__name__, {name: shape_of(part) for name, part in batch.items()})
    return (type(batch).__name__, [shape_of(part) for part in batch] if isinstance(batch, list | tuple) else None)


def first_of(samples: Any) -> Any:
    """A collate_fn that takes the first of the samples."""
    return samples[0]


@dataclass(frozen=True)
class PinnedLoading:
    """A loader with ``pin_memory=True`` over batches of a structure, collated or taken as they are."""

    structure: str
    way: str = "collated"
    style: str = "map"

    def batches(self) -> list[Any]:
        """Three new batches."""
        if self.structure in ("pinnable", "opaque"):
            kind = PinnableBatch if self.structure == "pinnable" else OpaqueBatch
            return [kind(torch.tensor([number])) for number in (0.5, 1.5, 2.5)]
        return [structured(self.structure, number) for number in (0.5, 1.5, 2.5)]

    def build(self, batches: list[Any], **options: Any) -> Any:
        """A loader that yields these."""
        dataset = batches if self.style == "map" else ListedStream(batches)
        if self.way == "single":
            return torch.utils.data.DataLoader(dataset, batch_size=None, **options)
        return torch.utils.data.DataLoader(dataset, batch_size=1, collate_fn=first_of, **options)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"structures": self.structure, "batching": self.way, "styles": self.style}

    def code(self) -> str:
        """The loader in plain torch."""
        options = ["batch_size=None"] if self.way == "single" else ["collate_fn=lambda samples: samples[0]"]
        kinds = (PinnedPoint, OrderedDict, TaggedMapping, PinnableBatch, OpaqueBatch)
        streamed = self.style != "map"
        return data_listings.program(
            *data_listings.needed([kind for kind in kinds if kind.__name__ in data_listings.PINNED[self.structure]]),
            data_listings.LISTED_STREAM if streamed else "", data_listings.structures(self.structure),
            data_listings.loader("Stream()" if streamed else "samples", *options, "pin_memory=True"),
            "print(list(loader))",
        )  # fmt: skip


class ListedStream(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """An iterable-style dataset over a list."""

    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __iter__(self) -> Any:
        return iter(self.samples)


def has_accelerator() -> bool:
    """Whether there is a device that page-locked memory is good for."""
    if hasattr(torch, "accelerator"):
        return bool(torch.accelerator.is_available())
    return bool(torch.cuda.is_available())


def pinned_structures(cell: Cell) -> Inputs:
    """Each structure in which tensors are recognized."""
    return _pinned(*PINNED_STRUCTURES)


def plain_structures(cell: Cell) -> Inputs:
    """Samples of each structure, taken one by one."""
    return Inputs([PinnedLoading(name, "single", style) for name in PINNED_STRUCTURES for style in ("map", "iterable")])


def pinnable_batches(cell: Cell) -> Inputs:
    """Custom batches with a method pin_memory."""
    return _pinned("pinnable")


def opaque_batches(cell: Cell) -> Inputs:
    """Custom batches without it."""
    return _pinned("opaque")


def _pinned(*structures: str) -> Inputs:
    rows = coverings(1, structures, ("collated", "single"), ("map", "iterable"))
    return Inputs([PinnedLoading(*row) for row in rows])
