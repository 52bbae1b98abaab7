"""Arguments of a DataLoader: those that exclude each other, their defaults, and what is set afterwards.

Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.loaders import MapSamples, SizedStream, StreamSamples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FROZEN_ATTRIBUTES = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
# The documented defaults, beside those that later releases brought or changed.
DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("batch_size", 1), ("shuffle", False), ("sampler", None), ("batch_sampler", None), ("num_workers", 0),
    ("collate_fn", None), ("pin_memory", False), ("drop_last", False), ("timeout", 0), ("worker_init_fn", None),
    ("multiprocessing_context", None), ("generator", None), ("persistent_workers", False),
)  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """A DataLoader over eleven numbers of a style ("map", "iterable" or "sized"), with these arguments."""

    style: str
    given: tuple[tuple[str, Any], ...]

    def dataset(self) -> Any:
        """A new dataset."""
        kinds = {"map": MapSamples, "iterable": StreamSamples, "sized": SizedStream}
        return kinds[self.style]("number", 11)

    def build(self, **others: Any) -> Any:
        """The loader; ``others`` are further arguments."""
        return torch.utils.data.DataLoader(self.dataset(), **{**dict(self.given), **others})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arguments."""
        return tuple(name for name, _ in self.given)

    @property
    def said(self) -> str:
        """The call in words."""
        return f"DataLoader(dataset, {', '.join(f'{name}={value!r}' for name, value in self.given)})"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"styles": self.style, "arguments": self.names}

    def code(self) -> str:
        """The loader in plain torch, its attributes, and an epoch where no worker would have to be started."""
        map_style, length = self.style == "map", 11 if self.style == "sized" else None
        shown = [f"{name}=loader.{name}" for name in self.names if name != "shuffle"]
        return data_listings.program(
            data_listings.mapped(11, "3 * key + 1") if map_style
            else data_listings.streamed(11, "3 * key + 1", length=length),
            data_listings.loader("Samples()", *(f"{name}={value!r}" for name, value in self.given)),
            f"print(dict({', '.join(shown)}))" if shown else "",
            "" if dict(self.given).get("num_workers") else "print(list(loader))",
        )  # fmt: skip


def _each(style: str, *rows: dict[str, Any]) -> Inputs:
    return Inputs([Arguments(style, tuple(row.items())) for row in rows])


# What a batch sampler is given beside, each of which it excludes.
_BESIDE_BATCHES: tuple[tuple[str, Any], ...] = (("batch_size", 2), ("batch_size", None), ("shuffle", True),
                                                ("sampler", (1, 0)), ("sampler", ()), ("drop_last", True))  # fmt: skip


def sampler_and_shuffle(cell: Cell) -> Inputs:
    """A sampler, an empty one too, and shuffle=True."""
    return _each(
        "map",
        *({"sampler": keys, "shuffle": True, **more}
          for keys in ((1, 0), (), range(3)) for more in ({}, {"batch_size": None}, {"batch_size": 4})),
    )  # fmt: skip


def batch_sampler_and_others(cell: Cell) -> Inputs:
    """A batch sampler, an empty one too, and one or two of the arguments that it excludes."""
    beside: list[tuple[Any, ...]] = [(pair,) for pair in _BESIDE_BATCHES]
    beside += [(a, b) for a, b in combinations(_BESIDE_BATCHES, 2) if a[0] != b[0]]
    return _each(
        "map", *({"batch_sampler": batches, **dict(pairs)} for pairs in beside for batches in (((0, 1), (2,)), ()))
    )


def samplers_of_streams(cell: Cell) -> Inputs:
    """A sampler or batch sampler for an iterable-style dataset, with a length and without."""
    options = ({"sampler": (0, 1)}, {"sampler": ()}, {"batch_sampler": ((0, 1),)}, {"batch_sampler": ()},
               {"sampler": (0,), "batch_size": None}, {"shuffle": True, "sampler": (0,)},
               {"batch_sampler": ((0,),), "batch_size": None})  # fmt: skip
    return Inputs([Arguments(style, tuple(row.items())) for style in ("iterable", "sized") for row in options])


def shuffled_streams(cell: Cell) -> Inputs:
    """shuffle=True for an iterable-style dataset, with a length and without, in batches and without."""
    return Inputs(
        [Arguments(style, (("shuffle", True), ("batch_size", size)))
         for style in ("iterable", "sized") for size in (1, 4, None)]
    )  # fmt: skip


def unshuffled_streams(cell: Cell) -> Inputs:
    """shuffle=False and None for an iterable-style dataset."""
    return Inputs(
        [Arguments(style, (("shuffle", value), ("batch_size", size)))
         for style in ("iterable", "sized") for value in (False, None) for size in (1, 4, None)]
    )  # fmt: skip


def dropping_without_batches(cell: Cell) -> Inputs:
    """drop_last=True without batches."""
    return Inputs([Arguments(style, (("batch_size", None), ("drop_last", True))) for style in ("map", "iterable")])


def wrong_batch_sizes(cell: Cell) -> Inputs:
    """Batch sizes that are no positive integers."""
    return Inputs(
        [Arguments(style, (("batch_size", size), ("drop_last", drop)))
         for style in ("map", "iterable") for size in (0, -1, -7, 2.0, "2", (2,)) for drop in (False, True)]
    )  # fmt: skip


def negative_numbers_of_workers(cell: Cell) -> Inputs:
    """Fewer workers than none."""
    return Inputs([Arguments(style, (("num_workers", n),)) for style in ("map", "iterable") for n in (-1, -8)])


def negative_timeouts(cell: Cell) -> Inputs:
    """Timeouts below zero, with workers (which are not started) and without."""
    return _each("map", *({"timeout": t, "num_workers": n} for t in (-1, -0.5, -1e-9) for n in (0, 1)))


def contexts_without_workers(cell: Cell) -> Inputs:
    """A multiprocessing context where there are no workers."""
    return _each("map", *({"multiprocessing_context": name} for name in ("fork", "spawn", "no such method")))


def wrong_contexts(cell: Cell) -> Inputs:
    """Multiprocessing contexts that there are not, for workers that are not started."""
    return _each(
        "map",
        *({"multiprocessing_context": name, "num_workers": 1} for name in ("no such method", "", "FORK", 3, b"fork")),
    )  # fmt: skip


def persistence_without_workers(cell: Cell) -> Inputs:
    """persistent_workers=True where there are no workers."""
    return Inputs([Arguments(style, (("persistent_workers", True), *more))
                   for style in ("map", "iterable") for more in ((), (("num_workers", 0),))])  # fmt: skip


def prefetching_without_workers(cell: Cell) -> Inputs:
    """A prefetch factor where there are no workers."""
    return _each("map", *({"prefetch_factor": n} for n in (1, 3, 8)))


def default_prefetching_without_workers(cell: Cell) -> Inputs:
    """The prefetch factor that is the default with workers, where there are none."""
    return _each("map", {"prefetch_factor": 2}, {"prefetch_factor": 2, "num_workers": 0})


def negative_prefetching(cell: Cell) -> Inputs:
    """A prefetch factor below zero, for workers that are not started."""
    return _each("map", *({"prefetch_factor": n, "num_workers": w} for n in (-1, -2) for w in (1, 2)))


def refused_arguments(cell: Cell) -> Inputs:
    """Everything above that each release refuses by a ValueError of its own."""
    sources = (
        sampler_and_shuffle, batch_sampler_and_others, samplers_of_streams, shuffled_streams, dropping_without_batches,
        negative_numbers_of_workers, negative_timeouts, contexts_without_workers, persistence_without_workers,
        prefetching_without_workers,
    )  # fmt: skip
    return Inputs([case for source in sources for case in source(cell).corners])


def no_workers(cell: Cell) -> Inputs:
    """No workers, said and unsaid."""
    return Inputs([Arguments(style, given) for style in ("map", "iterable") for given in ((), (("num_workers", 0),))])


def busy_workers(cell: Cell) -> Inputs:
    """Positive numbers of workers, which are not started."""
    return Inputs([Arguments(style, (("num_workers", n),)) for style in ("map", "iterable") for n in (1, 2)])


def batch_samplers_and_size_one(cell: Cell) -> Inputs:
    """A batch sampler and the batch size that is the default."""
    batches = (((0, 1), (2,)), ((3, 4, 5),), ())
    return _each("map", *({"batch_sampler": some, "batch_size": 1} for some in batches))


def with_defaults(cell: Cell) -> Inputs:
    """Each default given in so many words, and all of them at once."""
    styles = ("map", "iterable")
    return Inputs(
        [Arguments(style, (pair,)) for style in styles for pair in DEFAULTS]
        + [Arguments(style, DEFAULTS) for style in styles]
    )


def in_and_out_of_order(cell: Cell) -> Inputs:
    """in_order given, without workers."""
    return Inputs(
        [Arguments(style, (("in_order", value), ("batch_size", size)))
         for style in ("map", "iterable") for value in (False, True) for size in (None, 1, 4)]
    )  # fmt: skip


def positive_timeouts(cell: Cell) -> Inputs:
    """A timeout where there are no workers."""
    return _each("map", *({"timeout": t, "batch_size": size} for t in (1, 0.5, 1000) for size in (1, None, 4)))


def shown_arguments(cell: Cell) -> Inputs:
    """Arguments that an attribute of the same name shows."""
    return _each(
        "map", {"batch_size": 3}, {"batch_size": None}, {"drop_last": True, "batch_size": 2}, {"sampler": (0, 1)},
        {"batch_sampler": ((0, 1),)}, {"num_workers": 2}, {"pin_memory": True},
        {"timeout": 7, "num_workers": 1}, {"persistent_workers": True, "num_workers": 1},
        {"prefetch_factor": 5, "num_workers": 1}, {"drop_last": False, "num_workers": 1, "batch_size": 4},
    )  # fmt: skip


OTHER_VALUES: dict[str, Any] = {
    "batch_size": 3, "batch_sampler": [[0]], "sampler": [0], "drop_last": True, "dataset": [1],
    "persistent_workers": True,
}  # fmt: skip


@dataclass(frozen=True)
class Assigned:
    """An attribute of a loader that is set after construction, to another value or the same."""

    attribute: str
    same: bool
    style: str = "map"
    begun: bool = False

    def build(self) -> Any:
        """A new loader in batches of two."""
        dataset = (MapSamples if self.style == "map" else StreamSamples)("number", 7)
        return torch.utils.data.DataLoader(dataset, batch_size=2)

    def value(self, loader: Any) -> Any:
        """What is assigned."""
        return getattr(loader, self.attribute) if self.same else OTHER_VALUES[self.attribute]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"attributes": self.attribute, "styles": self.style}

    def code(self) -> str:
        """The assignment in plain torch."""
        value = f"loader.{self.attribute}" if self.same else repr(OTHER_VALUES[self.attribute])
        return data_listings.program(
            (data_listings.mapped if self.style == "map" else data_listings.streamed)(7, "3 * key + 1"),
            data_listings.loader("Samples()", "batch_size=2"),
            "iterator = iter(loader)\nprint(next(iterator))" if self.begun else "",
            f"try:\n    loader.{self.attribute} = {value}\nexcept ValueError as error:\n    print(error)",
            "print(list(iterator))" if self.begun else "",
            "print(list(loader))",
        )


def assigned(cell: Cell) -> Inputs:
    """Each attribute that may not be set, set to another value and to its own, before and in an epoch."""
    return Inputs(
        [Assigned(name, same, style, begun) for name in FROZEN_ATTRIBUTES for same in (False, True)
         for style in ("map", "iterable") for begun in (False, True)]
    )  # fmt: skip
