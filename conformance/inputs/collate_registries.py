"""Registries of collate functions: which types have one, and the type of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class RootKind:
    """A type that no default collate function knows."""


class MidKind(RootKind):
    """A type below it."""


class LeafKind(MidKind):
    """A type below that."""


class OtherKind(RootKind):
    """Another type below the root."""


REGISTERED_TYPES: dict[str, type] = {
    "RootKind": RootKind, "MidKind": MidKind, "LeafKind": LeafKind, "OtherKind": OtherKind, "object": object,
    "int": int, "bool": bool, "str": str, "dict": dict, "list": list, "tuple": tuple,
}  # fmt: skip
REGISTERED_SAMPLES: dict[str, Any] = {
    "int": 3,
    "bool": True,
    "str": "ab",
    "dict": {"a": 1},
    "list": [1, 2],
    "tuple": (1,),
}


class NotingCollate:
    """A collate function that notes what it is called with, and returns the name that it is registered by."""

    def __init__(self, name: str, calls: list[Any]) -> None:
        self.name, self.calls = name, calls

    def __call__(self, batch: Any, *, collate_fn_map: Any = None) -> Any:
        self.calls.append((self.name, list(batch), collate_fn_map))
        return f"by {self.name}"


@dataclass(frozen=True)
class CollateRegistry:
    """The types with a collate function, in order (several with one, if joined by "+"), and the samples' type.

    The samples are the elements of a batch, or lie in lists or dicts, by ``around``.
    """

    names: tuple[str, ...]
    sample: str
    count: int = 2
    around: str = "nothing"
    extending: bool = False  # the registry of default_collate, that knows other types besides

    def build(self) -> tuple[list[Any], dict[Any, Any], list[Any], list[Any]]:
        """The batch, the map of collate functions, the list of their calls, and the samples proper."""
        calls: list[Any] = []
        functions: dict[Any, Any] = {}
        for name in self.names:
            kinds = [REGISTERED_TYPES[part] for part in name.split("+")]
            functions[kinds[0] if len(kinds) == 1 else tuple(kinds)] = NotingCollate(name, calls)
        samples = [self.made() for _ in range(self.count)]
        if self.around == "list":
            return [[sample] for sample in samples], functions, calls, samples
        return ([{"k": x} for x in samples] if self.around == "dict" else list(samples)), functions, calls, samples

    def made(self) -> Any:
        """One sample."""
        return REGISTERED_SAMPLES[self.sample] if self.sample in REGISTERED_SAMPLES else REGISTERED_TYPES[self.sample]()

    def inner(self, found: Any) -> Any:
        """What came of the samples proper."""
        return {"list": lambda: found[0], "dict": lambda: found["k"], "nothing": lambda: found}[self.around]()

    @property
    def chosen(self) -> str:
        """The name of the function that has to be called: the one of the type itself, else the first that fits."""
        if self.sample in self.names:
            return self.sample
        kind = REGISTERED_TYPES[self.sample]
        return next(name for name in self.names if any(issubclass(kind, REGISTERED_TYPES[x]) for x in name.split("+")))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"registered": self.names, "samples": self.sample}

    def reductions(self) -> Iterator[CollateRegistry]:
        """Fewer functions, one sample, not in a container."""
        if self.around != "nothing":
            yield replace(self, around="nothing")
        if self.count > 1:
            yield replace(self, count=1)
        for name in self.names:
            if name != self.chosen:
                yield replace(self, names=tuple(x for x in self.names if x != name))

    def code(self) -> str:
        """The call in plain torch."""
        sample = repr(REGISTERED_SAMPLES.get(self.sample)) if self.sample in REGISTERED_SAMPLES else f"{self.sample}()"
        sample = {"list": f"[{sample}]", "dict": f"{{'k': {sample}}}"}.get(self.around, sample)
        keys = [f"({name.replace('+', ', ')})" if "+" in name else name for name in self.names]
        types = [REGISTERED_TYPES[part] for name in (*self.names, self.sample) for part in name.split("+")]
        lines = [f"    {key}: lambda batch, *, collate_fn_map=None: 'by {key}'," for key in keys]
        batch = f"[{sample} for _ in range({self.count})]"
        call = f"torch.utils.data._utils.collate.collate({batch}, collate_fn_map=functions)"
        if self.extending:
            call = f"data.default_collate({batch})"
        return data_listings.program(
            *data_listings.needed(types), "\n".join(["functions = {", *lines, "}"]),
            "data._utils.collate.default_collate_fn_map.update(functions)" if self.extending else "",
            f"print({call})",
        )  # fmt: skip


EXACT = (
    (("MidKind", "LeafKind"), "LeafKind"),
    (("object", "RootKind", "LeafKind"), "LeafKind"),
    (("RootKind",), "RootKind"),
    (("LeafKind", "RootKind"), "RootKind"),
    (("int", "bool"), "bool"),
    (("bool", "int"), "int"),
    (("object", "str"), "str"),
    (("dict",), "dict"),
    (("object", "list"), "list"),
    (("tuple", "list"), "tuple"),
    (("RootKind+int", "MidKind"), "MidKind"),
)
INHERITED = (
    (("RootKind", "MidKind"), "LeafKind"),
    (("MidKind", "RootKind"), "LeafKind"),
    (("OtherKind", "RootKind"), "LeafKind"),
    (("object", "MidKind"), "LeafKind"),
    (("int", "object"), "bool"),
    (("object", "int"), "bool"),
    (("str", "RootKind"), "OtherKind"),
    (("MidKind", "OtherKind", "object"), "RootKind"),
    (("LeafKind", "MidKind", "RootKind", "object"), "OtherKind"),
    (("object",), "dict"),
    (("MidKind", "object"), "list"),
)
JOINED_KEYS = (
    (("int+MidKind", "RootKind"), "LeafKind"),
    (("RootKind", "int+MidKind"), "LeafKind"),
    (("str+OtherKind", "object"), "LeafKind"),
    (("dict+list", "object"), "list"),
)


def _registries(rows: Any, extending: bool = False) -> Inputs:
    around = ("nothing", "list", "dict")
    found = [
        CollateRegistry(names, sample, 1 + n % 3, form, extending)
        for n, (names, sample) in enumerate(rows)
        for form in around
    ]
    return Inputs(
        [
            case
            for case in found
            if not ({"dict", "list", "object"} & {*"+".join(case.names).split("+")}) or case.around == "nothing"
        ]
    )


def exact_registries(cell: Cell) -> Inputs:
    """The type itself is registered, after and before its superclasses."""
    return _registries(EXACT)


def inherited_registries(cell: Cell) -> Inputs:
    """Superclasses are registered, the nearest first and last, beside others."""
    return _registries(INHERITED)


def joined_registries(cell: Cell) -> Inputs:
    """Several types are registered together."""
    return _registries(JOINED_KEYS)


def any_registries(cell: Cell) -> Inputs:
    """The type itself or superclasses are registered."""
    return _registries(EXACT + INHERITED)


def unknown_registries(cell: Cell) -> Inputs:
    """Types that default_collate does not know, for its own registry."""
    rows = (
        (("RootKind",), "RootKind"),
        (("RootKind",), "LeafKind"),
        (("MidKind", "OtherKind"), "OtherKind"),
        (("OtherKind", "RootKind"), "MidKind"),
    )
    return _registries(rows, extending=True)
