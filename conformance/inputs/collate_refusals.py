"""Batches that cannot be collated: ragged ones, different shapes, missing keys, types that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.bridges import Data
from conformance.inputs.collate_sources import INT, STR, TENSOR, VECTOR, box, leaf_plan, mapping, planted
from conformance.inputs.collate_trees import Array, Box, DataBatch, Scalar, Strided
from conformance.inputs.data_calls import DataCall

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

__all__ = ["Array", "Box", "Data", "ExactBatch", "Scalar", "Strided"]


@dataclass(frozen=True, eq=False)
class ExactBatch(DataBatch):
    """A batch that is in the statement's scope as it stands, and no simpler one need be."""

    def __repr__(self) -> str:
        return f"ExactBatch({self.samples!r})"

    def reductions(self) -> Iterator[DataBatch]:
        """None."""
        return iter(())


def _around(samples: list[Any]) -> Iterator[ExactBatch]:
    """The samples, and the same in a list, a dict and a namedtuple beside something else."""
    yield ExactBatch(tuple(samples))
    beside = [leaf_plan(STR, n) for n in range(len(samples))]
    yield ExactBatch(tuple(Box("list", (x, tree)) for x, tree in zip(beside, samples, strict=True)))
    yield ExactBatch(tuple(Box("dict", (tree, x), ("a", "b")) for x, tree in zip(beside, samples, strict=True)))
    yield ExactBatch(tuple(Box("pair", (x, tree)) for x, tree in zip(beside, samples, strict=True)))


def ragged_batches(cell: Cell) -> Inputs:
    """Sequences of which the first, one in the middle or the last is shorter or longer than the others."""
    found = []
    for kind in ("list", "tuple", "userlist", "deque", "frozenrow", "notedlist"):
        for count, odd in ((2, 0), (2, 1), (3, 1), (3, 2), (4, 3)):
            for length, other in ((2, 1), (2, 3), (1, 0), (0, 1)):
                sizes = [other if n == odd else length for n in range(count)]
                samples = [
                    planted(box(kind, *[(INT, TENSOR, VECTOR)[count - 2]] * size), n) for n, size in enumerate(sizes)
                ]
                found += (
                    list(_around(samples))
                    if kind in ("list", "tuple") and length == 2
                    else [ExactBatch(tuple(samples))]
                )
    return Inputs(found)


def unequal_batches(cell: Cell) -> Inputs:
    """Tensors or arrays of which one has another shape, of as many elements too."""
    found = []
    for form in ("tensor", "array"):
        for count, odd in ((2, 0), (2, 1), (3, 1), (4, 3)):
            for shape, other in (
                ((3,), (2,)),
                ((2, 3), (3, 2)),
                ((), (1,)),
                ((1, 3), (3,)),
                ((0,), (1,)),
                ((2, 1), (2, 3)),
            ):
                leaves = [(form, "float32", other if n == odd else shape, "contiguous") for n in range(count)]
                found += list(_around([leaf_plan(leaf, n) for n, leaf in enumerate(leaves)]))
    return Inputs(found)


def keyless_batches(cell: Cell) -> Inputs:
    """Mappings of which a later one has not a key of the first."""
    found = []
    for kind in ("dict", "ordered", "user"):
        for count, odd in ((2, 1), (3, 1), (3, 2)):
            for other in (mapping(kind, a=INT), mapping(kind, b=INT), mapping(kind), mapping(kind, a=INT, c=INT)):
                found += list(
                    _around([planted(other if n == odd else mapping(kind, a=INT, b=INT), n) for n in range(count)])
                )
    return Inputs(found)


UNKNOWN_DATA = (
    "None", "object()", "{1, 2}", "frozenset({1})", "1j", "len", "int", "torch.float32", "slice(3)", "...",
    "np.array(['a'])", "np.array([b'a'])", "np.array([None], dtype=object)", "iter([1])",
)  # fmt: skip


def _calls_around(template: str, data: tuple[str, ...]) -> Inputs:
    wrapped = ("[{0}, {0}]", "[{0}]", "[[1, {0}], [2, {0}]]", "[{{'a': 1, 'b': {0}}}]", "[({0}, 'a')] * 3")
    return Inputs([DataCall(template.format(wrap.format(x))) for x in data for wrap in wrapped])


def unknown_batches(cell: Cell) -> Inputs:
    """Objects of all sorts, alone and in containers."""
    return _calls_around("data.default_collate({0})", UNKNOWN_DATA)


def sparse_batches(cell: Cell) -> Inputs:
    """Sparse tensors of every layout, and nested ones."""
    makers = (
        "torch.eye(2).to_sparse()", "torch.eye(2).to_sparse_csr()", "torch.eye(2).to_sparse_csc()",
        "torch.eye(2).to_sparse_bsr((1, 1))", "torch.eye(2).to_sparse_bsc((1, 1))",
        "torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])",
    )  # fmt: skip
    return _calls_around("data.default_collate({0})", makers)


def mapless_batches(cell: Cell) -> Inputs:
    """Tensors, arrays and numbers."""
    leaves = ("torch.ones(2)", "np.ones(2)", "1", "0.5", "True", "None")
    return _calls_around("data._utils.collate.collate({0})", leaves)


class CountOf(int):
    """A kind of int."""


class LengthOf(float):
    """A kind of float."""


class NameOf(str):
    """A kind of str."""


class BytesOf(bytes):
    """A kind of bytes."""


class ArrayOf(np.ndarray):
    """A kind of array."""


DERIVED_CODE = {
    "CountOf": "[CountOf(n) for n in (3, -1, 2**40)]",
    "LengthOf": "[LengthOf(x) for x in (0.5, -0.0, 1 / 3)]",
    "NameOf": "[NameOf(x) for x in ('a', '', 'bc')]",
    "BytesOf": "[BytesOf(x) for x in (b'a', b'', b'bc')]",
    "ArrayOf": "[np.array([n, 2], 'int16').view(ArrayOf) for n in (1, -5, 300)]",
    "memmap": "[np.array([[n], [2]], 'float32').view(np.memmap) for n in (1, -5, 300)]",
    "HTTPStatus": "[HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.CONTINUE]",
    "str_": "[np.str_(x) for x in ('a', '', 'bc')]",
    "bytes_": "[np.bytes_(x) for x in (b'a', b'', b'bc')]",
}
DERIVED_TYPES: dict[str, type] = {
    "CountOf": CountOf, "LengthOf": LengthOf, "NameOf": NameOf, "BytesOf": BytesOf, "ArrayOf": ArrayOf,
    "HTTPStatus": HTTPStatus,
}  # fmt: skip
DERIVED: dict[str, Any] = {name: eval(text, {"np": np, **DERIVED_TYPES}) for name, text in DERIVED_CODE.items()}


@dataclass(frozen=True)
class DerivedBatch:
    """Some samples of a derived type, by its name; ``dtype`` is that of the batch, or empty for strings."""

    name: str
    dtype: str
    count: int

    def build(self) -> list[Any]:
        """The samples."""
        return list(DERIVED[self.name][: self.count])

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"data": self.name, "shapes": str(self.count)}

    def code(self) -> str:
        """The call in plain torch."""
        return data_listings.program(
            *data_listings.needed([DERIVED_TYPES[self.name]] if self.name in DERIVED_TYPES else []),
            f"found = data.default_collate({DERIVED_CODE[self.name]}[:{self.count}])\nprint(found)",
        )


def derived_batches(cell: Cell) -> Inputs:
    """Each type, one to three samples."""
    types = {"CountOf": "int64", "LengthOf": "float64", "ArrayOf": "int16", "memmap": "float32", "HTTPStatus": "int64"}
    return Inputs([DerivedBatch(name, types.get(name, ""), count) for name in DERIVED for count in (1, 2, 3)])


@dataclass(frozen=True)
class UnchangedData:
    """An expression for something that default_convert is to return as it is."""

    expression: str

    def build(self) -> Any:
        """The thing."""
        return DataCall(self.expression).run()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"data": self.expression}

    def code(self) -> str:
        """The call in plain torch."""
        return data_listings.program(f"found = data.default_convert({self.expression})\nprint(found)")


def unchanged_data(cell: Cell) -> Inputs:
    """Numbers, strings, tensors of any layout, and objects of all sorts."""
    plain = (
        "0", "2**70", "0.5", "float('nan')", "True", "1j", "''", "'abc'", "b'abc'", "None", "object()", "{1, 2}", "len",
        "int", "slice(3)", "...", "np.float32", "np.str_('a')", "torch.float32", "torch.ones(2)", "torch.ones(())",
        "torch.ones(2, 3).t()", "torch.ones(0)", "torch.eye(2).to_sparse()", "torch.ones(2, requires_grad=True)",
        "torch.nn.Parameter(torch.ones(2))", "torch.ones(2, requires_grad=True) * 2", "torch.Generator()", "iter([1])",
    )  # fmt: skip
    return Inputs([UnchangedData(expression) for expression in plain])


def numpy_bytes(cell: Cell) -> Inputs:
    """NumPy bytes."""
    return Inputs([UnchangedData(f"np.bytes_({x!r})") for x in (b"a", b"", b"long " * 9)])


def string_arrays(cell: Cell) -> Inputs:
    """Arrays of strings, bytes and objects, of any shape."""
    makers = (
        "np.array(['a', 'bc'])", "np.array([b'a', b'bc'])", "np.array([None, 1], dtype=object)", "np.array('a')",
        "np.array([['a'], ['b']])", "np.array([], dtype='U3')", "np.array([{}, []], dtype=object)[::-1]",
    )  # fmt: skip
    return Inputs([UnchangedData(expression) for expression in makers])
