"""Parts of datasets: small datasets whose samples are known by identity, and the compounds that are made of them.

A part is a kind and a size. Its samples are objects of their own, so that a sample that was copied, converted or
taken from a neighbour is told from the right one.
Reference: https://docs.pytorch.org/docs/stable/data.html#dataset-types
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch.utils.data
from torch.utils.data import Dataset, IterableDataset

from conformance.inputs import data_listings


class PartSample:
    """A sample that equals nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


class MapPart(Dataset[Any]):  # type: ignore[misc]
    """A map-style dataset over a list; ``asked`` notes the keys that it was asked for."""

    def __init__(self, items: Any) -> None:
        self.items, self.asked = items, list[Any]()

    def __getitem__(self, key: Any) -> Any:
        self.asked.append(key)
        return [self.items[k] for k in key] if isinstance(key, list) else self.items[key]

    def __len__(self) -> int:
        return len(self.items)


class BatchedPart(MapPart):
    """A map-style dataset that loads several samples at once; ``batches`` notes which."""

    def __init__(self, items: Any) -> None:
        super().__init__(items)
        self.batches = list[Any]()

    def __getitems__(self, keys: Any) -> list[Any]:
        """Several samples at once."""
        self.batches.append(keys)
        return [self.items[key] for key in keys]


class ShortPart(BatchedPart):
    """A faulty dataset: one sample is missing where several are asked for."""

    def __getitems__(self, keys: Any) -> list[Any]:
        return super().__getitems__(keys)[:-1]


class StreamPart(IterableDataset[Any]):  # type: ignore[misc]
    """An iterable dataset that notes in ``events`` where it is begun, what it yields and where it ends."""

    def __init__(self, items: list[Any], events: list[Any], sized: bool = True) -> None:
        self.items, self.events, self.sized = items, events, sized

    def __iter__(self) -> Iterator[Any]:
        self.events.append(("begin", self.items))
        for item in self.items:
            self.events.append(("yield", item))
            yield item
        self.events.append(("end", self.items))

    def __len__(self) -> int:
        if not self.sized:
            raise TypeError("a stream of unknown length")
        return len(self.items)


MAP_KINDS = ("map", "list", "tuple", "batched", "subset", "joined")


def part_samples(name: str, size: int) -> list[Any]:
    """Samples by the names of ``name``: ``<a0>``, ``<a1>``, …"""
    return [PartSample(f"{name}{number}") for number in range(size)]


def part_dataset(kind: str, items: list[Any]) -> Any:
    """A dataset of one kind with these samples."""
    if kind == "map":
        return MapPart(items)
    if kind == "batched":
        return BatchedPart(items)
    if kind == "subset":
        return torch.utils.data.Subset(MapPart(items[::-1]), range(len(items) - 1, -1, -1))
    if kind == "joined":
        half = len(items) // 2
        return torch.utils.data.ConcatDataset([MapPart(items[:half]), MapPart(items[half:])])
    return tuple(items) if kind == "tuple" else items


@dataclass(frozen=True)
class DataParts:
    """Several parts to be concatenated, chained, added or stacked, and the form in which they are given."""

    parts: tuple[tuple[str, int], ...]
    given: str = "list"
    joint: str = "concatenate"
    exact: bool = False  # in the statement's scope as it stands, and no simpler one need be

    def build(self) -> tuple[list[Any], list[list[Any]]]:
        """The datasets, and the samples of each."""
        samples = [part_samples(name, size) for name, (_, size) in zip("abcdefgh", self.parts, strict=False)]
        return [part_dataset(kind, items) for (kind, _), items in zip(self.parts, samples, strict=True)], samples

    def streams(self, events: list[Any], sized: bool = True) -> tuple[list[Any], list[list[Any]]]:
        """Iterable datasets of these sizes, and the samples of each."""
        samples = [part_samples(name, size) for name, (_, size) in zip("abcdefgh", self.parts, strict=False)]
        return [StreamPart(items, events, sized) for items in samples], samples

    def mixed(self) -> list[Any]:
        """The datasets, iterable ones among them."""
        parts, samples = self.build()
        return [
            StreamPart(items, []) if kind == "stream" else part
            for (kind, _), part, items in zip(self.parts, parts, samples, strict=True)
        ]

    def handed(self, datasets: list[Any]) -> Any:
        """The datasets in the form in which they are given."""
        if self.given == "values":
            return dict(enumerate(datasets)).values()
        forms: dict[str, Any] = {"list": list, "tuple": tuple, "iterator": iter}
        return forms[self.given](datasets)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"parts": [kind for kind, _ in self.parts], "shapes": str([size for _, size in self.parts])}

    def reductions(self) -> Iterator[DataParts]:
        """Fewer parts, smaller ones and plainer ones."""
        for number, (kind, size) in enumerate(() if self.exact else self.parts):
            before, after = self.parts[:number], self.parts[number + 1 :]
            if len(self.parts) > 1:
                yield replace(self, parts=(*before, *after))
            for simpler in ([("map", size)] if kind not in ("map", "stream") else []) + [
                (kind, n) for n in range(size)
            ]:
                yield replace(self, parts=(*before, simpler, *after))

    def code(self) -> str:
        """The parts in plain torch, and what is made of them."""
        names = ", ".join(data_listings.NAMES[: len(self.parts)])
        forms = {
            "iterator": f"iter([{names}])", "tuple": f"({names},)", "values": f"dict(enumerate([{names}])).values()",
        }  # fmt: skip
        given = forms.get(self.given, f"[{names}]")
        joint = "add_three" if self.joint == "add" and len(self.parts) > 2 else self.joint
        return data_listings.program(*data_listings.parts_made(self.parts), data_listings.JOINTS[joint].format(given))


@dataclass(frozen=True)
class DataStack:
    """Several parts of one size to be stacked, by position or by these names."""

    size: int
    kinds: tuple[str, ...]
    names: tuple[str, ...] = ()
    lacking: bool = False  # each part in turn is to load one sample less than it is asked for

    def build(self) -> tuple[Any, list[list[Any]], list[Any]]:
        """The stack, the samples of each part, and the parts."""
        joint = DataParts(tuple((kind, self.size) for kind in self.kinds))
        parts, samples = joint.build()
        return self.stacked(parts), samples, parts

    def stacked(self, parts: list[Any]) -> Any:
        """A stack of these datasets."""
        named = dict(zip(self.names, parts, strict=True)) if self.names else {}
        return torch.utils.data.StackDataset(**named) if named else torch.utils.data.StackDataset(*parts)

    def sample(self, samples: list[list[Any]], index: int) -> Any:
        """The sample that a stack has at an index."""
        taken = [items[index] for items in samples]
        return dict(zip(self.names, taken, strict=True)) if self.names else tuple(taken)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"parts": self.kinds, "shapes": str((len(self.kinds), self.size))}

    def reductions(self) -> Iterator[DataStack]:
        """Fewer parts, smaller ones and plainer ones."""
        for number in range(len(self.kinds) if len(self.kinds) > 1 else 0):
            kinds = self.kinds[:number] + self.kinds[number + 1 :]
            yield replace(self, kinds=kinds, names=self.names[: len(kinds)])
        yield from (replace(self, size=size) for size in range(1, self.size))
        for number, kind in enumerate(self.kinds):
            if kind != "map":
                yield replace(self, kinds=(*self.kinds[:number], "map", *self.kinds[number + 1 :]))

    def code(self) -> str:
        """The stack in plain torch; of the parts that lack a sample, the first."""
        parts, kinds = data_listings.NAMES[: len(self.kinds)], [*self.kinds]
        if self.lacking:
            kinds[0] = "short"
        named = [f"{name}={part}" for name, part in zip(self.names, parts, strict=False)]
        return data_listings.program(
            *data_listings.parts_made([(kind, self.size) for kind in kinds]),
            f"whole = data.StackDataset({', '.join(named or parts)})", data_listings.SAMPLED,
        )  # fmt: skip


@dataclass(frozen=True)
class DataSelection:
    """A dataset of some kind and the indices of a subset of it; the indices are given as a list, a tuple, …"""

    kind: str
    size: int
    indices: tuple[Any, ...]
    given: str = "list"

    def build(self) -> tuple[Any, list[Any], Any]:
        """The subset, the samples that it has to have, and the whole."""
        items = part_samples("a", self.size)
        whole = part_dataset(self.kind, items)
        if self.kind == "keys":
            whole = MapPart({f"k{number}": item for number, item in enumerate(items)})
            return torch.utils.data.Subset(whole, [f"k{i}" for i in self.indices]), self.chosen(items), whole
        return torch.utils.data.Subset(whole, self.handed()), self.chosen(items), whole

    def handed(self) -> Any:
        """The indices in the form in which they are given."""
        if self.given == "range":
            return range(self.indices[0], self.indices[-1] + 1) if self.indices else range(0)
        return tuple(self.indices) if self.given == "tuple" else list(self.indices)

    def chosen(self, items: list[Any]) -> list[Any]:
        """The samples at the indices."""
        return [items[index] for index in self.indices]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"parts": self.kind, "shapes": str((self.size, len(self.indices))), "given": self.given}

    def reductions(self) -> Iterator[DataSelection]:
        """Fewer indices of plainer datasets."""
        if self.kind not in ("map", "keys", "batched"):
            yield replace(self, kind="map")
        if self.given == "tuple":
            yield replace(self, given="list")
        for number in range(len(self.indices)):
            yield replace(self, indices=self.indices[:number] + self.indices[number + 1 :], given="list")

    def code(self) -> str:
        """The subset in plain torch."""
        keyed = self.kind == "keys"
        items = {f"k{number}": f"a{number}" for number in range(self.size)}
        indices = [f"k{i}" for i in self.indices] if keyed else self.handed()
        parts = (
            [data_listings.LISTED, f"a = Listed({items})"]
            if keyed
            else data_listings.parts_made([(self.kind, self.size)])
        )
        listed = "print(whole[[*range(len(whole))][::-1]])" if self.kind in ("map", "batched") else ""
        return data_listings.program(*parts, f"whole = data.Subset(a, {indices})", data_listings.SAMPLED, listed)
