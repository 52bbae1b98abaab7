"""Faults: exceptions that come out of a dataset, a sampler or collate_fn in the midst of an epoch.

Reference: https://docs.pytorch.org/docs/stable/data.html#single-process-data-loading-default
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.loaders import MapSamples, StreamSamples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FAULT_PLACES = ("dataset", "collate_fn", "sampler", "__getitems__")


class TwoArguments(Exception):
    """An exception that cannot be made of a message alone."""

    def __init__(self, one: int, two: str) -> None:
        super().__init__(one, two)


# As expressions, so that a case prints itself.
FAULTS = (
    "ValueError('no')", "KeyError('k')", "IndexError(3)", "RuntimeError('no')", "TypeError()", "OSError(2, 'no file')",
    "TwoArguments(1, 'two')", "AttributeError('a')", "NotImplementedError('later')", "AssertionError()",
)  # fmt: skip


class FaultySamples(MapSamples):
    """A map-style dataset that raises at one key, and at that only."""

    def __init__(self, size: int, at: int, error: BaseException) -> None:
        super().__init__("number", size)
        self.at, self.error = at, error

    def __getitem__(self, key: int) -> Any:
        if key == self.at:
            raise self.error
        return super().__getitem__(key)


class FaultyBulks(FaultySamples):
    """A map-style dataset that raises at the batch with one key, and has each sample by itself."""

    def __init__(self, size: int, at: int, error: BaseException) -> None:
        super().__init__(size, -1, error)
        self.missing = at

    def __getitems__(self, keys: list[int]) -> list[Any]:
        if self.missing in keys:
            raise self.error
        return [self[key] for key in keys]


class FaultyStream(StreamSamples):
    """An iterable-style dataset that raises in the place of one sample."""

    def __init__(self, size: int, at: int, error: BaseException) -> None:
        super().__init__("number", size)
        self.at, self.error = at, error

    def __iter__(self) -> Iterator[Any]:
        for key, sample in enumerate(super().__iter__()):
            if key == self.at:
                raise self.error
            yield sample


class FaultySampler:
    """A sampler that raises in the place of one key."""

    def __init__(self, size: int, at: int, error: BaseException) -> None:
        self.size, self.at, self.error = size, at, error

    def __iter__(self) -> Iterator[int]:
        for key in range(self.size):
            if key == self.at:
                raise self.error
            yield key

    def __len__(self) -> int:
        return self.size


class FaultyCollate:
    """A collate_fn that raises where it is given the sample with one key."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at, self.error = at, error

    def __call__(self, batch: Any) -> Any:
        if 3 * self.at + 1 in (batch if isinstance(batch, list) else [batch]):
            raise self.error
        return batch


@dataclass(frozen=True)
class FaultyLoading:
    """A loader over seven numbers; at one of them, in one place, an exception is raised."""

    style: str
    place: str
    at: int
    fault: str
    batch_size: int | None = 2
    size: int = 7

    def error(self) -> BaseException:
        """The exception."""
        found: BaseException = eval(self.fault, {"TwoArguments": TwoArguments})
        return found

    def build(self, error: BaseException) -> Any:
        """The loader; what it yields is what collate_fn gets."""
        at = self.at if self.place in ("dataset", "__getitems__") else -1
        if self.style == "iterable":
            dataset: Any = FaultyStream(self.size, at, error)
        else:
            dataset = (FaultyBulks if self.place == "__getitems__" else FaultySamples)(self.size, at, error)
        more = {"sampler": FaultySampler(self.size, self.at, error)} if self.place == "sampler" else {}
        collate = FaultyCollate(self.at if self.place == "collate_fn" else -1, error)
        return torch.utils.data.DataLoader(dataset, batch_size=self.batch_size, collate_fn=collate, **more)

    @property
    def raiser(self) -> str:
        """The name of the function in which the exception is raised."""
        if self.place == "collate_fn":
            return "__call__"
        if self.place == "__getitems__":
            return "__getitems__"
        return "__iter__" if self.place == "sampler" or self.style == "iterable" else "__getitem__"

    @property
    def before(self) -> int:
        """How many batches come before the one that fails."""
        return self.at // (self.batch_size or 1)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"styles": self.style, "places": self.place, "exceptions": self.fault, "batching": str(self.batch_size)}

    def reductions(self) -> Iterator[FaultyLoading]:
        """An earlier fault, fewer samples after it."""
        if self.at:
            yield replace(self, at=self.at - 1)
        if self.size > self.at + 1:
            yield replace(self, size=self.size - 1)

    def code(self) -> str:
        """The loader in plain torch."""
        faults = {place: self.fault if place == self.place else "" for place in FAULT_PLACES}
        item = data_listings.raising("key", self.at, faults["dataset"])
        if self.style == "iterable":
            dataset = data_listings.streamed(self.size, "3 * key + 1", *item)
        else:
            missing = [f"if {self.at} in keys:", f"    raise {self.fault}"]
            bulk = data_listings.method("__getitems__(self, keys)", *missing, "return [self[key] for key in keys]")
            more = [bulk] if self.place == "__getitems__" else []
            dataset = data_listings.mapped(self.size, "3 * key + 1", *item, more=more)
        options = [f"batch_size={self.batch_size}", "collate_fn=collate"]
        keys = data_listings.keyed(f"range({self.size})", self.size, *data_listings.raising("key", self.at, self.fault))
        collate = f"{3 * self.at + 1} in (batch if isinstance(batch, list) else [batch])"
        failing = f"    if {collate}:\n        raise {self.fault}\n" if faults["collate_fn"] else ""
        return data_listings.program(
            *data_listings.needed([TwoArguments] if "TwoArguments" in self.fault else []),
            dataset, keys if self.place == "sampler" else "", f"def collate(batch):\n{failing}    return batch\n",
            data_listings.loader("Samples()", *options, "sampler=Keys()" if self.place == "sampler" else ""),
            data_listings.FAULTS_SHOWN,
        )  # fmt: skip


# What there is no __getitems__ or sampler for.
def _possible(style: str, place: str, batch_size: int | None) -> bool:
    return not (style == "iterable" and place in ("sampler", "__getitems__")) and (
        place != "__getitems__" or batch_size is not None
    )


def _faulty(faults: tuple[str, ...]) -> Inputs:
    from hypothesis import strategies as st

    # each exception in each place at each of the samples: an exception may be lost in the last batch alone
    places = [(style, place) for style in ("map", "iterable") for place in FAULT_PLACES]
    rows = [
        (style, place, at, fault, size)
        for (style, place), at, (n, fault) in product(places, (0, 2, 3, 6), enumerate(faults))
        for size in ((2, 1, 4, None)[(n + at) % 4], 2)
    ]
    drawn = st.builds(
        FaultyLoading, st.sampled_from(("map", "iterable")), st.sampled_from(("dataset", "collate_fn")),
        st.integers(0, 6), st.sampled_from(faults), st.sampled_from((None, 1, 2, 3, 7)),
    )  # fmt: skip
    return Inputs(
        [FaultyLoading(style, place, at, fault, size) for style, place, at, fault, size in dict.fromkeys(rows)
         if _possible(style, place, size)],
        drawn,
    )  # fmt: skip


def faulty_loadings(cell: Cell) -> Inputs:
    """Each exception, in each place, at the first sample, the last, and between."""
    return _faulty(FAULTS)


def stopping_maps(cell: Cell) -> Inputs:
    """A StopIteration out of a map-style dataset, or out of collate_fn."""
    return Inputs(
        [FaultyLoading("map", place, at, "StopIteration()", size) for place in ("dataset", "__getitems__", "collate_fn")
         for at in (0, 2, 3, 6) for size in (2, 1, 4, None) if _possible("map", place, size)]
    )  # fmt: skip
