"""Loaders: configurations of a DataLoader over samples that a number makes, map-style and iterable-style.

A configuration is a plan: what the dataset holds, the arguments, and nothing that torch has computed. What has to come
out of it says ``conformance/oracles/loader_model.py``.
Reference: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from conformance.inputs import data_listings

# What one sample is, made of its key.
FORMS = ("number", "tensor", "pair", "mapping", "array", "text")
# How the keys are put in order: the arguments that decide it.
SEQUENTIAL, SHUFFLED, SAMPLER, BATCH_SAMPLER = "sequential", "shuffled", "sampler", "batch_sampler"


def sample_of(form: str, key: int) -> Any:
    """The sample with a key, as a dataset returns it; no two keys have equal ones."""
    if form == "number":
        return 3 * key + 1
    if form == "tensor":
        return torch.tensor([float(key), -float(key)])
    if form == "pair":
        return torch.tensor([key / 2]), 100 + key
    if form == "mapping":
        return {"x": torch.tensor([[float(key)]]), "name": f"s{key}"}
    if form == "array":
        return np.array([key, 7], dtype=np.int16)
    return f"s{key}"


class MapSamples(torch.utils.data.Dataset):  # type: ignore[misc]
    """A map-style dataset that notes the keys that it is asked for, and the samples that it gives."""

    def __init__(self, form: str, size: int) -> None:
        self.form, self.size = form, size
        self.asked: list[Any] = []
        self.given: list[Any] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: int) -> Any:
        self.asked.append(key)
        if not 0 <= key < self.size:
            raise IndexError(key)
        self.given.append(sample_of(self.form, key))
        return self.given[-1]


class StreamSamples(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """An iterable-style dataset: the samples 0, 1, 2, …, in a worker each or its share of them."""

    def __init__(self, form: str, size: int, sharded: bool = False) -> None:
        self.form, self.size, self.sharded = form, size, sharded
        self.asked: list[Any] = []
        self.given: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        keys = range(self.size)
        worker = torch.utils.data.get_worker_info()
        if self.sharded and worker is not None:
            keys = keys[worker.id :: worker.num_workers]
        for key in keys:
            self.asked.append(key)
            self.given.append(sample_of(self.form, key))
            yield self.given[-1]


class SizedStream(StreamSamples):
    """The same, with a length."""

    def __len__(self) -> int:
        return self.size


class KeySampler(torch.utils.data.Sampler):  # type: ignore[misc]
    """A sampler over given keys, or batches of keys; it has a length."""

    def __init__(self, keys: Sequence[Any]) -> None:
        self.keys = keys

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


@contextmanager
def torch_seeded(seed: int = 1) -> Iterator[None]:
    """The global generator of the CPU at a seed, and put back afterwards.

    ``torch.manual_seed`` would note a traceback for each device that is not initialized yet, at a millisecond a call.
    """
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def listed_samples(batch: Any) -> Any:
    """A collate_fn that marks and keeps what it is given."""
    return ["collated", batch]


class CollateLog:
    """A collate_fn that notes what it is given, and returns an object of its own each time."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.made: list[Any] = []

    def __call__(self, batch: Any) -> Any:
        self.seen.append(batch)
        self.made.append(object())
        return self.made[-1]


@dataclass(frozen=True)
class Loading:
    """A DataLoader: ``size`` samples of a form, and the arguments.

    ``keys`` are what a sampler yields, or the batches of a batch sampler. ``batch_size=None`` means no batches.
    ``sharded`` iterable datasets give each worker every nth sample. ``sized`` ones have a length.
    """

    style: str = "map"
    form: str = "number"
    size: int = 5
    batch_size: int | None = 1
    drop_last: bool = False
    order: str = SEQUENTIAL
    keys: tuple[Any, ...] = ()
    collate: str = "default"
    workers: int = 0
    seed: int | None = None
    sharded: bool = False
    sized: bool = True

    @property
    def batched(self) -> bool:
        """Whether samples come in batches."""
        return self.batch_size is not None or self.order == BATCH_SAMPLER

    def dataset(self) -> Any:
        """A new dataset."""
        if self.style == "map":
            return MapSamples(self.form, self.size)
        return (SizedStream if self.sized else StreamSamples)(self.form, self.size, self.sharded)

    def arguments(self) -> dict[str, Any]:
        """The arguments beside the dataset; those with their default value are left out."""
        found: dict[str, Any] = {}
        if self.order == BATCH_SAMPLER:
            found["batch_sampler"] = KeySampler([list(batch) for batch in self.keys])
        elif self.batch_size != 1:
            found["batch_size"] = self.batch_size
        if self.drop_last:
            found["drop_last"] = True
        if self.order == SAMPLER:
            found["sampler"] = KeySampler(self.keys)
        if self.order == SHUFFLED:
            found["shuffle"] = True
        if self.collate != "default":
            found["collate_fn"] = listed_samples
        if self.workers:
            found["num_workers"] = self.workers
        if self.seed is not None:
            found["generator"] = torch.Generator().manual_seed(self.seed)
        return found

    def build(self, **others: Any) -> Any:
        """A new DataLoader over a new dataset; ``others`` are further arguments."""
        return torch.utils.data.DataLoader(self.dataset(), **{**self.arguments(), **others})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        batching = "batch_sampler" if self.order == BATCH_SAMPLER else f"batch_size={self.batch_size}"
        return {
            "styles": self.style, "samples": self.form, "sizes": str(self.size), "orders": self.order,
            "batching": batching + (", drop_last" if self.drop_last else ""), "workers": str(self.workers),
        }  # fmt: skip

    def reductions(self) -> Iterator[Loading]:
        """Plainer samples, fewer workers, fewer samples."""
        if self.form != "number":
            yield replace(self, form="number")
        if self.workers:
            yield replace(self, workers=self.workers - 1)
        if self.size and not self.keys and self.order != SHUFFLED:  # few samples are seldom reshuffled
            yield replace(self, size=self.size // 2)
            yield replace(self, size=self.size - 1)
        for number in range(len(self.keys)):
            yield replace(self, keys=self.keys[:number] + self.keys[number + 1 :])
        if self.batch_size is not None and self.batch_size > 1:
            yield replace(self, batch_size=self.batch_size - 1)

    def code(self) -> str:
        """The loader in plain torch, and two of its epochs."""
        length = self.size if self.sized else None
        dataset = data_listings.loaded(self.size, self.style, data_listings.SAMPLES[self.form], length, self.sharded)
        written = [f"{name}={value!r}" for name, value in self.written().items()]
        return data_listings.program(
            dataset, "torch.manual_seed(1)" if self.order == SHUFFLED and self.seed is None else "",
            data_listings.loader("Samples()", *written),
            "print(len(loader))" if self.sized or self.style == "map" or self.order == BATCH_SAMPLER else "",
            data_listings.EPOCHS,
        )  # fmt: skip

    def written(self) -> dict[str, Any]:
        """The arguments, those that are objects as the values they stand for."""
        return {
            name: _Name(f"torch.Generator().manual_seed({self.seed})") if name == "generator"
            else _Name("lambda batch: ['collated', batch]") if name == "collate_fn"
            else list(self.keys) if name == "sampler"
            else [list(batch) for batch in self.keys] if name == "batch_sampler" else value
            for name, value in self.arguments().items()
        }  # fmt: skip


class _Name(str):
    """An expression that prints as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
