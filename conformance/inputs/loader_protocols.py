"""Protocols: what may stand for a dataset, a sampler and a key in a DataLoader beside the classes made for it.

Reference: https://docs.pytorch.org/docs/stable/data.html#dataset-types
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.covering import coverings
from conformance.inputs.loaders import MapSamples, StreamSamples, listed_samples, sample_of

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

DATASET_KINDS = ("list", "tuple", "range", "ndarray", "tensor", "mapping", "deque", "own class", "with __iter__",
                 "without __getitems__", "TensorDataset", "Subset", "ConcatDataset", "text")  # fmt: skip
SAMPLER_KINDS = ("list", "tuple", "deque", "dict", "ndarray", "tensor", "generator with length", "no length", "Sampler")
# Keys as expressions: anything that a sampler may yield and a dataset may take.
KEY_EXPRESSIONS = (
    "0", "-1", "'name'", "(1, 'a')", "2.5", "None", "True", "np.int64(3)", "torch.tensor(2)", "slice(0, 2)",
    "frozenset({1})", "[0, 1]", "''", "()",
)  # fmt: skip


class OwnMap:
    """Nothing but __getitem__ and __len__."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __getitem__(self, key: int) -> int:
        return 10 * range(self.size)[key]

    def __len__(self) -> int:
        return self.size


class IteratedMap(OwnMap):
    """The same, with an __iter__ that leads astray."""

    def __iter__(self) -> Iterator[int]:
        return iter([-5] * self.size)


class SingleMap(OwnMap):
    """The same, which says that it cannot give several samples at once."""

    __getitems__ = None


class IndexedStream(StreamSamples):
    """An IterableDataset with a __getitem__ and a __len__ that lead astray."""

    def __getitem__(self, key: int) -> int:
        return -5

    def __len__(self) -> int:
        return self.size


class EchoMap(torch.utils.data.Dataset):  # type: ignore[misc]
    """A dataset whose samples are the keys themselves, which it also notes."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __getitem__(self, key: Any) -> Any:
        self.asked.append(key)
        return ("sample", key)

    def __len__(self) -> int:
        return 1


class UnsizedMap(torch.utils.data.Dataset):  # type: ignore[misc]
    """A dataset with samples of a form, and no length."""

    def __init__(self, form: str, size: int) -> None:
        self.form, self.end = form, size

    def __getitem__(self, key: int) -> Any:
        return sample_of(self.form, range(self.end)[key])


class BulkMap(MapSamples):
    """A dataset that gives the samples of a batch at once, and notes the lists of keys."""

    def __init__(self, form: str, size: int) -> None:
        super().__init__(form, size)
        self.bulks: list[Any] = []

    def __getitems__(self, keys: list[int]) -> list[Any]:
        self.bulks.append(keys)
        found = [sample_of(self.form, key) for key in keys]
        self.given += found
        return found


class TurningSampler:
    """An iterable of keys that makes a new generator each time, and counts how often."""

    def __init__(self, keys: Sequence[Any]) -> None:
        self.keys, self.times = keys, 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        yield from self.keys


class SizedSampler(TurningSampler):
    """The same with a length."""

    def __len__(self) -> int:
        return len(self.keys)


class Whereabouts:
    """Notes of where code runs: the process, the thread, and what get_worker_info says there."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, Any]] = []

    def note(self, what: str) -> None:
        """Note where this is."""
        self.seen.append((what, os.getpid(), threading.get_ident(), torch.utils.data.get_worker_info()))

    def __call__(self, batch: Any) -> Any:
        """As a collate_fn."""
        self.note("collate_fn")
        return batch


class WatchedMap(MapSamples):
    """A map-style dataset that notes where it is asked."""

    def __init__(self, size: int, log: Whereabouts) -> None:
        super().__init__("number", size)
        self.log = log

    def __getitem__(self, key: int) -> Any:
        self.log.note("dataset")
        return super().__getitem__(key)


class WatchedStream(StreamSamples):
    """An iterable-style dataset that notes where it is iterated over."""

    def __init__(self, size: int, log: Whereabouts) -> None:
        super().__init__("number", size)
        self.log = log

    def __iter__(self) -> Iterator[Any]:
        self.log.note("dataset")
        for sample in super().__iter__():
            self.log.note("dataset")
            yield sample


OWN_MAPS = {"own class": OwnMap, "with __iter__": IteratedMap, "without __getitems__": SingleMap}


def samples_in(kind: str, size: int) -> Any:
    """A dataset of a kind with the samples 0, 10, 20, …."""
    numbers = [10 * key for key in range(size)]
    if kind == "range":
        return range(0, 10 * size, 10)
    if kind == "mapping":
        return OrderedDict(enumerate(numbers))
    if kind == "text":
        return "".join(chr(number + 65) for number in numbers)
    if kind in OWN_MAPS:
        return OWN_MAPS[kind](size)
    if kind == "TensorDataset":
        return torch.utils.data.TensorDataset(torch.tensor(numbers, dtype=torch.int64))
    if kind == "Subset":
        return torch.utils.data.Subset([*reversed(numbers), 7], range(size - 1, -1, -1))
    if kind == "ConcatDataset":
        return torch.utils.data.ConcatDataset([numbers[: size // 2], numbers[size // 2 :]])
    return sequence_in(kind, numbers)


def sequence_in(kind: str, values: Sequence[Any]) -> Any:
    """A collection of a kind, or a sampler."""
    if kind == "ndarray":
        return np.array(values, dtype=np.int64)
    if kind == "tensor":
        return torch.tensor(values, dtype=torch.int64)
    if kind == "dict":
        return dict.fromkeys(values)
    kinds: dict[str, Any] = {
        "tuple": tuple, "deque": deque, "generator with length": SizedSampler, "no length": TurningSampler,
    }  # fmt: skip
    return kinds.get(kind, list)(values)


def sequence_written(kind: str, values: Sequence[Any]) -> str:
    """The same collection as an expression."""
    listed = [*values]
    return {
        "ndarray": f"np.array({listed}, dtype=np.int64)", "tensor": f"torch.tensor({listed}, dtype=torch.int64)",
        "dict": f"dict.fromkeys({listed})", "deque": f"deque({listed})", "tuple": repr(tuple(values)),
    }.get(kind, repr(listed))  # fmt: skip


def _imports(kind: str) -> list[str]:
    kinds = {"deque": deque, "mapping": OrderedDict}
    return [*data_listings.needed([kinds[kind]] if kind in kinds else [])]


def sample_in(kind: str, key: int) -> Any:
    """One of its samples, in a list that collate_fn got."""
    return chr(10 * key + 65) if kind == "text" else [10 * key] if kind == "TensorDataset" else 10 * key


@dataclass(frozen=True)
class MapLike:
    """A loader over a map-style dataset of a kind."""

    kind: str
    size: int = 5
    batch_size: int = 2

    def build(self) -> Any:
        """The loader; a batch is a list of samples."""
        dataset = samples_in(self.kind, self.size)
        return torch.utils.data.DataLoader(dataset, batch_size=self.batch_size, collate_fn=list)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"datasets": self.kind, "sizes": str(self.size), "batching": f"batch_size={self.batch_size}"}

    def code(self) -> str:
        """The loader in plain torch."""
        numbers = [10 * key for key in range(self.size)]
        dataset = {
            "range": f"range(0, {10 * self.size}, 10)",
            "mapping": f"OrderedDict({dict(enumerate(numbers))})",
            "text": repr(samples_in("text", self.size)),
            "TensorDataset": f"data.TensorDataset(torch.tensor({numbers}, dtype=torch.int64))",
            "Subset": f"data.Subset({[*reversed(numbers), 7]}, range({self.size - 1}, -1, -1))",
            "ConcatDataset": f"data.ConcatDataset([{numbers[: self.size // 2]}, {numbers[self.size // 2 :]}])",
            **{kind: f"{own.__name__}({self.size})" for kind, own in OWN_MAPS.items()},
        }.get(self.kind) or sequence_written(self.kind, numbers)
        return data_listings.program(
            *_imports(self.kind), *data_listings.needed([OWN_MAPS[self.kind]] if self.kind in OWN_MAPS else []),
            data_listings.loader(dataset, f"batch_size={self.batch_size}", "collate_fn=list"),
            "print(list(loader))",
        )  # fmt: skip

    def reductions(self) -> Iterator[MapLike]:
        """Fewer samples."""
        if self.size > 1:
            yield replace(self, size=self.size - 1)


@dataclass(frozen=True)
class SamplerLike:
    """A loader with a sampler of a kind over these keys, in batches or without."""

    kind: str
    keys: tuple[int, ...] = (3, 0, 4)
    batch_size: int | None = 2

    def sampler(self) -> Any:
        """A new sampler."""
        return sequence_in(self.kind, self.keys)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"samplers": self.kind, "batching": f"batch_size={self.batch_size}"}

    def code(self) -> str:
        """The loader in plain torch."""
        keyed = self.kind in ("generator with length", "no length")
        length = len(self.keys) if self.kind == "generator with length" else None
        return data_listings.program(
            *_imports(self.kind), data_listings.keyed(repr(self.keys), length) if keyed else "",
            f"sampler = {'Keys()' if keyed else sequence_written(self.kind, self.keys)}",
            data_listings.loader("range(9)", f"batch_size={self.batch_size}", "sampler=sampler"),
            data_listings.EPOCHS,
        )  # fmt: skip

    def reductions(self) -> Iterator[SamplerLike]:
        """Fewer keys."""
        for number in range(len(self.keys)):
            yield replace(self, keys=self.keys[:number] + self.keys[number + 1 :])


@dataclass(frozen=True)
class Relisted:
    """A loader by a list of keys, or of batches of keys, that holds others after the first epoch."""

    way: str
    keys: tuple[int, ...] = (3, 0, 4)
    later: tuple[int, ...] = (8, 1)

    def listed(self, keys: tuple[int, ...]) -> list[Any]:
        """Keys as the list that the loader is given."""
        return [[key] for key in keys] if self.way == "batch_sampler" else [*keys]

    def epoch(self, keys: tuple[int, ...]) -> list[Any]:
        """What an epoch by these keys yields."""
        return [["collated", key if self.way == "single" else [key]] for key in keys]

    def build(self, listed: list[Any]) -> Any:
        """The loader; each sample is a batch of its own, or comes by itself."""
        arguments: dict[str, Any] = {self.way: listed} if self.way == "batch_sampler" else {"sampler": listed}
        if self.way == "single":
            arguments["batch_size"] = None
        return torch.utils.data.DataLoader(range(9), collate_fn=listed_samples, **arguments)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"batching": self.way}

    def code(self) -> str:
        """The loader in plain torch."""
        given = "batch_sampler=keys" if self.way == "batch_sampler" else "sampler=keys"
        return data_listings.program(
            f"keys = {self.listed(self.keys)}",
            data_listings.loader("range(9)", given, "batch_size=None" if self.way == "single" else ""),
            f"print(list(loader))\nkeys[:] = {self.listed(self.later)}\nprint(list(loader), len(loader))",
        )

    def reductions(self) -> Iterator[Relisted]:
        """Fewer keys."""
        for number in range(len(self.keys)):
            yield replace(self, keys=self.keys[:number] + self.keys[number + 1 :])


@dataclass(frozen=True)
class Keyed:
    """A loader whose sampler, or batch sampler, yields keys of any kind, written as expressions."""

    keys: tuple[str, ...]
    way: str = "sampler"

    def values(self) -> list[Any]:
        """The keys, each a new object."""
        return [eval(key, {"np": np, "torch": torch}) for key in self.keys]

    def build(self, dataset: Any, keys: list[Any]) -> Any:
        """The loader; a batch is what collate_fn gets."""
        if self.way == "sampler":
            return torch.utils.data.DataLoader(dataset, batch_size=2, sampler=keys, collate_fn=list)
        if self.way == "single":
            return torch.utils.data.DataLoader(dataset, batch_size=None, sampler=keys, collate_fn=tuple)
        return torch.utils.data.DataLoader(dataset, batch_sampler=[keys[:1], keys[1:]], collate_fn=list)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"keys": self.keys, "batching": self.way}

    def code(self) -> str:
        """The loader in plain torch."""
        arguments = {
            "sampler": "batch_size=2, sampler=keys, collate_fn=list",
            "single": "batch_size=None, sampler=keys, collate_fn=tuple",
            "batch_sampler": "batch_sampler=[keys[:1], keys[1:]], collate_fn=list",
        }[self.way]
        return data_listings.program(
            data_listings.ECHO, f"keys = [{', '.join(self.keys)}]", data_listings.loader("Echo()", arguments),
            "print(list(loader))",
        )  # fmt: skip

    def reductions(self) -> Iterator[Keyed]:
        """Fewer keys."""
        for number in range(len(self.keys) if len(self.keys) > 1 else 0):
            yield replace(self, keys=self.keys[:number] + self.keys[number + 1 :])


# --- sources ------------------------------------------------------------------------------------------------------


def samplers_without_length(cell: Cell) -> Inputs:
    """Samplers that have no length."""
    keys = ((3, 0, 4), (1,), (), (8, 7, 6, 5, 0))
    return Inputs([SamplerLike("no length", some, size) for some in keys for size in (1, 2, 3, None)])


def map_likes(cell: Cell) -> Inputs:
    """Each kind of dataset, of several sizes, in batches."""
    from hypothesis import strategies as st

    rows = coverings(1, DATASET_KINDS, (1, 2, 5), (1, 2, 3))
    drawn = st.builds(MapLike, st.sampled_from(DATASET_KINDS), st.integers(1, 9), st.integers(1, 5))
    return Inputs([MapLike(*row) for row in rows], drawn)


def sampler_likes(cell: Cell) -> Inputs:
    """Each kind of sampler, in batches and without."""
    from hypothesis import strategies as st

    rows = coverings(1, SAMPLER_KINDS, ((3, 0, 4), (1,), (), (8, 7, 6, 5, 0)), (2, None, 3))
    keys = st.lists(st.integers(0, 8), max_size=9, unique=True).map(tuple)
    drawn = st.builds(SamplerLike, st.sampled_from(SAMPLER_KINDS), keys, st.sampled_from((None, 1, 2, 3)))
    return Inputs([SamplerLike(*row) for row in rows], drawn)


def relisted(cell: Cell) -> Inputs:
    """Lists of keys that are changed between two epochs: as many, fewer, more and none."""
    later = ((4, 0, 3), (8, 1), (5, 5, 6, 7), ())
    return Inputs([Relisted(way, later=keys) for way in ("sampler", "single", "batch_sampler") for keys in later])


def keyed(cell: Cell) -> Inputs:
    """Keys of each kind, alone and beside others."""
    from hypothesis import strategies as st

    ways = ("sampler", "single", "batch_sampler")
    corners = [Keyed(keys, way) for way in ways for keys in (*((key,) for key in KEY_EXPRESSIONS), KEY_EXPRESSIONS)]
    keys = st.lists(st.sampled_from(KEY_EXPRESSIONS), min_size=1, max_size=6).map(tuple)
    return Inputs(corners, st.builds(Keyed, keys, st.sampled_from(ways)))
