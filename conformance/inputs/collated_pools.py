"""Collated pools: samples of nested structures that workers make batches of by the default collate_fn.

Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Array, Data, Scalar, Seen, Strided
from conformance.inputs.collate_sources import (
    BOOL,
    BYTES,
    BYTES_ARRAY,
    FLOAT,
    HALF,
    INT,
    LAZY_LEAVES,
    SCALAR,
    STR,
    TENSOR,
    VECTOR,
    box,
    mapping,
    planted_batch,
)
from conformance.inputs.collate_trees import (
    Box,
    DataBatch,
    leaf_types,
    smaller_trees,
    tree_code,
    tree_kinds,
    tree_program,
)

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Array", "Box", "CollatedPool", "Data", "Scalar", "Seen", "Strided"]


class TreeSamples(torch.utils.data.Dataset):  # type: ignore[misc]
    """A map-style dataset that builds each tree when it is asked for it."""

    def __init__(self, trees: tuple[Any, ...]) -> None:
        self.trees = trees

    def __len__(self) -> int:
        return len(self.trees)

    def __getitem__(self, key: int) -> Any:
        return self.trees[key].build()


@dataclass(frozen=True, eq=False)
class CollatedPool:
    """A loader with the default collate_fn over samples of one structure, in batches, or as they are (None)."""

    samples: tuple[Any, ...]
    batch_size: int | None = 2
    workers: int = 2

    def __repr__(self) -> str:
        return f"CollatedPool({self.samples!r}, {self.batch_size}, {self.workers})"

    def build(self, workers: int) -> Any:
        """A new loader with so many workers."""
        return torch.utils.data.DataLoader(TreeSamples(self.samples), batch_size=self.batch_size, num_workers=workers)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        first = self.samples[0]
        return {
            "dtypes": list(leaf_types(first)), "containers": list(tree_kinds(first)),
            "batching": f"batch_size={self.batch_size}", "workers": str(self.workers),
        }  # fmt: skip

    def reductions(self) -> Iterator[CollatedPool]:
        """One worker, fewer samples, or the same part of each."""
        if self.workers > 1:
            yield replace(self, workers=1)
        for number in range(len(self.samples) if len(self.samples) > 1 else 0):
            yield replace(self, samples=self.samples[:number] + self.samples[number + 1 :])
        for smaller in zip(*map(smaller_trees, self.samples), strict=False):
            yield replace(self, samples=smaller)

    def code(self) -> str:
        """The loader in plain torch, with its workers and without."""
        samples = "".join(f"    {tree_code(tree)},\n" for tree in self.samples)
        loader = f"data.DataLoader([\n{samples}], batch_size={self.batch_size}, num_workers=workers)"
        return tree_program(f"[list({loader}) for workers in (0, {self.workers})]", *self.samples)


# Everything that a batch may hold, in one structure, and single leaves whose memory is laid out in its own way.
EVERYTHING = mapping(
    "dict", pair=box("pair", TENSOR, INT), single=box("single", STR), row=box("list", VECTOR, FLOAT),
    deep=mapping("dict", pair=box("pair", box("pair", BOOL, HALF), box("tuple", SCALAR, BYTES)), bytes=BYTES_ARRAY),
    none=("tensor", "int16", (0,), "contiguous"), zero=("tensor", "float64", (), "contiguous"),
    hollow=("tensor", "float32", (2, 0, 3), "contiguous"),
)  # fmt: skip
LAID = box(
    "tuple", ("tensor", "float64", (2, 3), "transposed"), ("tensor", "complex64", (2, 3), "stepped"),
    ("tensor", "float32", (2, 3, 4), "channels_last"), ("tensor", "int64", (3,), "expanded"),
    ("array", "float64", (2, 3), "fortran"), ("tensor", "uint8", (2, 3), "offset"),
)  # fmt: skip
DERIVED = box("pair", mapping("ordered", b=FLOAT, a=TENSOR), box("list", mapping("default", x=INT, y=STR)))


def collated_pools(cell: Cell) -> Inputs:
    """Batches of everything at once, whole and incomplete, several of each worker; and samples without batches."""
    return Inputs(
        [
            pooled(EVERYTHING, 7),
            pooled(LAID, 9, workers=1),
            pooled(DERIVED, 4, batch_size=1),
            pooled(EVERYTHING, 3, batch_size=None),
            pooled(box("pair", VECTOR, STR), 2, batch_size=None, workers=1),
        ]
    )


def lazy_pools(cell: Cell) -> Inputs:
    """Batches of conjugated tensors, of negated ones, and of such as are conjugated and such as are not."""
    return Inputs([pooled((form, "complex64", (2, 3), "contiguous"), 2, workers=1) for form in LAZY_LEAVES])


def laid_out_pools(cell: Cell) -> Inputs:
    """Batches of leaves whose memory is laid out in its own way."""
    return Inputs([pooled(LAID, 3)])


def pooled(template: Any, count: int, batch_size: int | None = 2, workers: int = 2) -> CollatedPool:
    """A pool over so many samples of one structure."""
    batch: DataBatch = planted_batch(template, count)
    return CollatedPool(batch.samples, batch_size, workers)
