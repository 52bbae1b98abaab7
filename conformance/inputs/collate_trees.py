"""Trees of data: samples that nest tensors, arrays, numbers and strings in mappings and sequences of any type.

A tree is a ``Box`` of trees, or a leaf: a plan of a tensor (``Strided``) or of a lazy view of one (``Seen``), of an
array (``Array``), of a NumPy scalar (``Scalar``), or plain data (``Data``).
Reference: https://docs.pytorch.org/docs/stable/data.html#working-with-collate-fn
"""

from __future__ import annotations

from array import array as standard_array
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from conformance.inputs import data_listings
from conformance.inputs.bridges import Array, Data, Scalar, Seen, Strided
from conformance.inputs.ndarrays import literal

__all__ = ["Array", "Box", "Data", "DataBatch", "DataSample", "Scalar", "Seen", "Strided"]

PairBox = namedtuple("PairBox", ["x", "y"])
SingleBox = namedtuple("SingleBox", ["only"])


class NotedDict(dict[Any, Any]):
    """A dict that has an attribute besides."""

    note = "default"


class NotedList(list[Any]):
    """A list that has an attribute besides."""

    note = "default"


class FixedMap(Mapping[Any, Any]):
    """A mapping that cannot be made from a dict, nor changed."""

    def __init__(self, keys: tuple[Any, ...], values: list[Any]) -> None:
        self.held = dict(zip(keys, values, strict=True))

    def __getitem__(self, key: Any) -> Any:
        return self.held[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class FrozenRow(Sequence[Any]):
    """A sequence that can be made from a list, and not changed."""

    def __init__(self, items: Any) -> None:
        self.held = tuple(items)

    def __getitem__(self, index: Any) -> Any:
        return self.held[index]

    def __len__(self) -> int:
        return len(self.held)


class FixedRow(FrozenRow):
    """A sequence that cannot be made from a list, nor changed."""

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__((first, second))


MAPPING_TYPES: dict[str, Any] = {
    "dict": dict, "ordered": OrderedDict, "user": UserDict, "proxy": MappingProxyType, "default": defaultdict,
    "noted": NotedDict, "counter": Counter, "fixed": FixedMap,
}  # fmt: skip
SEQUENCE_TYPES: dict[str, Any] = {
    "list": list, "tuple": tuple, "pair": PairBox, "single": SingleBox, "userlist": UserList, "deque": deque,
    "notedlist": NotedList, "frozenrow": FrozenRow, "fixedrow": FixedRow, "range": range, "array": standard_array,
}  # fmt: skip


CONTAINER_TYPES = {**MAPPING_TYPES, **SEQUENCE_TYPES}


def boxed(kind: str, values: list[Any], keys: tuple[Any, ...]) -> Any:
    """A container of one kind with these values."""
    if kind in ("fixedrow", "pair", "single"):
        return SEQUENCE_TYPES[kind](*values)
    if kind == "fixed":
        return FixedMap(keys, values)
    if kind == "default":
        return defaultdict(list, zip(keys, values, strict=True))
    if kind == "deque":
        return deque(values, maxlen=len(values) + 3)
    if kind == "array":
        return standard_array("d", values)
    if kind == "range":
        return range(values[0], values[0] + len(values))
    if kind in MAPPING_TYPES:
        found = MAPPING_TYPES[kind](dict(zip(keys, values, strict=True)))
    else:
        found = SEQUENCE_TYPES[kind](values)
    if kind.startswith("noted"):
        found.note = "taken along"
    return found


@dataclass(frozen=True, eq=False)
class Box:
    """A container of one kind, its parts, and its keys if it is a mapping."""

    kind: str
    parts: tuple[Any, ...]
    keys: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"Box({self.kind!r}, {self.parts!r}{f', {self.keys!r}' if self.keys else ''})"

    def build(self) -> Any:
        """The container, over fresh parts."""
        return boxed(self.kind, [part.build() for part in self.parts], self.keys)

    def code(self) -> str:
        """One expression that makes it, given its type."""
        parts = [tree_code(part) for part in self.parts]
        name = CONTAINER_TYPES[self.kind].__name__.replace("mappingproxy", "MappingProxyType")
        listed = f"[{', '.join(parts)}]"
        if self.kind == "fixed":
            return f"{name}({self.keys!r}, {listed})"
        if self.kind in MAPPING_TYPES:
            items = f"{{{', '.join(f'{key!r}: {part}' for key, part in zip(self.keys, parts, strict=True))}}}"
            made = items if self.kind == "dict" else f"{name}({'list, ' * (self.kind == 'default')}{items})"
        elif self.kind in ("list", "tuple"):
            made = listed if self.kind == "list" else f"({', '.join(parts)}{',' * (len(parts) == 1)})"
        elif self.kind == "array":
            made = f'array("d", {listed})'
        elif self.kind == "range":
            made = f"range({parts[0]}, {self.parts[0].value + len(parts)})"
        elif self.kind in ("pair", "single", "fixedrow"):
            made = f"{name}({', '.join(parts)})"
        else:
            made = f"{name}({listed}{f', maxlen={len(parts) + 3}' * (self.kind == 'deque')})"
        return f"noted({made})" if self.kind.startswith("noted") else made

    def kinds(self) -> Iterator[str]:
        """The kinds of containers in it."""
        yield self.kind
        for part in self.parts:
            if isinstance(part, Box):
                yield from part.kinds()


NOTED = "def noted(container):\n    container.note = 'taken along'\n    return container\n"


LAID_OUT = """\
def laid_out(values, size, offset, strides):
    found = np.ndarray(values.shape, values.dtype, np.zeros(size, np.uint8), offset, strides)
    found[...] = values
    return found
"""


def _placed(leaf: Any) -> bool:
    """Whether a leaf is an array with a memory layout of its own, which has a size then."""
    return isinstance(leaf, Array) and leaf.size is not None


def tree_program(call: str, *trees: Any) -> str:
    """The program of a call, with the types of the containers that are in these trees."""
    kinds = dict.fromkeys(kind for tree in trees for kind in tree_kinds(tree))
    return data_listings.program(
        *data_listings.needed([CONTAINER_TYPES[kind] for kind in kinds if kind != "proxy"]),
        "from types import MappingProxyType" if "proxy" in kinds else "",
        NOTED if any(kind.startswith("noted") for kind in kinds) else "",
        LAID_OUT if any(_placed(leaf) for tree in trees for leaf in leaves_of(tree)) else "",
        f"found = {call}\nprint(found)",
    )  # fmt: skip


def tree_code(tree: Any) -> str:
    """One expression that makes a tree."""
    if isinstance(tree, Array):
        made = f"np.array({literal(tree.array.tolist())}, {tree.dtype!r}).reshape({tree.shape})"
        return f"laid_out({made}, {tree.size}, {tree.offset}, {tree.strides})" if _placed(tree) else made
    if isinstance(tree, Scalar):
        return f"np.dtype({tree.dtype!r}).type({literal(tree.value)})"
    if isinstance(tree, Data):
        return literal(tree.value)
    if isinstance(tree, Seen):
        return ".".join((tree.base.code(), *tree.steps))
    found: str = tree.code()
    return found


def leaves_of(tree: Any) -> Iterator[Any]:
    """The leaves of a tree."""
    if isinstance(tree, Box):
        for part in tree.parts:
            yield from leaves_of(part)
    else:
        yield tree


def leaf_types(tree: Any) -> Iterator[str]:
    """The element types of the leaves, or the types of plain data."""
    for leaf in leaves_of(tree):
        yield leaf.dtype if hasattr(leaf, "dtype") else type(leaf.value).__name__


@dataclass(frozen=True, eq=False)
class DataSample:
    """One sample, for conversion without batching."""

    tree: Any

    def __repr__(self) -> str:
        return f"DataSample({self.tree!r})"

    def build(self) -> Any:
        """The sample."""
        return self.tree.build()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": list(leaf_types(self.tree)), "containers": list(tree_kinds(self.tree))}

    def reductions(self) -> Iterator[DataSample]:
        """A part of it alone, or all but one."""
        yield from (DataSample(tree) for tree in smaller_trees(self.tree))

    def code(self) -> str:
        """The call in plain torch."""
        return tree_program(f"data.default_convert({tree_code(self.tree)})", self.tree)


def tree_kinds(tree: Any) -> Iterator[str]:
    """The kinds of containers in a tree."""
    return tree.kinds() if isinstance(tree, Box) else iter(())


def smaller_trees(tree: Any) -> Iterator[Any]:
    """The parts of a tree, the tree without one of them, and with one of them smaller."""
    if not isinstance(tree, Box):
        return
    yield from tree.parts
    fixed = tree.kind in ("pair", "single", "fixedrow", "range")
    for number, part in enumerate(tree.parts):
        before, after = tree.parts[:number], tree.parts[number + 1 :]
        if not fixed and len(tree.parts) > 1:
            yield replace(tree, parts=(*before, *after), keys=tree.keys[:number] + tree.keys[number + 1 :])
        for smaller in smaller_trees(part):
            yield replace(tree, parts=(*before, smaller, *after))


@dataclass(frozen=True, eq=False)
class DataBatch:
    """Several samples of one structure."""

    samples: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"DataBatch({self.samples!r})"

    def build(self) -> list[Any]:
        """The samples."""
        return [tree.build() for tree in self.samples]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        first = self.samples[0]
        return {
            "dtypes": list(leaf_types(first)),
            "containers": list(tree_kinds(first)),
            "shapes": str(len(self.samples)),
        }

    def reductions(self) -> Iterator[DataBatch]:
        """Fewer samples, or the same part of each."""
        for number in range(len(self.samples) if len(self.samples) > 1 else 0):
            yield DataBatch(self.samples[:number] + self.samples[number + 1 :])
        for smaller in zip(*map(smaller_trees, self.samples), strict=False):
            yield DataBatch(smaller)

    def code(self) -> str:
        """The call in plain torch."""
        samples = "".join(f"    {tree_code(tree)},\n" for tree in self.samples)
        return tree_program(f"data.default_collate([\n{samples}])", *self.samples)
