"""Stored places: where loaded tensors are put, and what is trusted on the way.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.load.html
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.stored_archives import map_places
from conformance.inputs.stored_files import MAPPED, OPEN_ROUTES, PLAIN, ROUTES, Route
from conformance.inputs.stored_objects import StoredObject
from conformance.inputs.stored_trees import STORED_BOXES, StoredViews, make_stored_views

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

PLACE_GROUPS = (
    ("x", "x.t()", "x.clone()"),
    ("x.clone()", "x"),
    ("x[1:]",),
    ("x", "x.clone()", "x.clone()", "x[:, :1]"),
    ("x.reshape(-1)[3:3]", "x"),
)


@dataclass(frozen=True, eq=False)
class Placed:
    """Tensors in a box, by a route, and where they are to be loaded to."""

    things: StoredViews
    place: str

    def location(self, log: list[Any]) -> Any:
        """The map_location; what a callable among them is asked goes into ``log``."""
        return eval(self.place, {"torch": torch, "log": log, "logged": logged})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.things.facets(), "places": self.place}

    def reductions(self) -> Iterator[Placed]:
        """Fewer tensors."""
        for things in self.things.reductions():
            yield replace(self, things=things)

    def code(self) -> str:
        """The round trip in plain torch."""
        place, text = self.place, self.things.code()
        if place.startswith("logged"):
            text = "\n".join([
                f"answer = {place[len('logged(log, ') : -1]}", "def place(storage, tag):",
                "    print(tag, storage.device)", "    return answer(storage, tag)", text,
            ])  # fmt: skip
            place = "place"
        return text.replace("torch.load(", f"torch.load(map_location={place}, f=")


def logged(log: list[Any], answer: Any) -> Any:
    """A callable for map_location that notes what it was asked, and answers ``answer(storage, tag)``."""

    def place(storage: Any, tag: Any) -> Any:
        log.append((storage, tag))
        return answer(storage, tag)

    return place


def _placed(device: str, places: tuple[str, ...], routes: tuple[Route, ...] = ROUTES) -> Inputs:
    rows = covering(PLACE_GROUPS, places, STORED_BOXES[:5], routes, ("float32", "int64", "complex64"))
    return Inputs(
        [Placed(make_stored_views(device, views, box, dtype, route), place) for views, place, box, route, dtype in rows]
    )


def _devices(device: str) -> tuple[str, ...]:
    names = map_places(device)
    return (*map(repr, names), *(f"torch.device({name!r})" for name in names))


def _dictionaries(device: str) -> tuple[str, ...]:
    tag = tag_of(device)
    return (
        f"{{{tag!r}: 'meta'}}",
        f"{{{tag!r}: 'cpu'}}",
        "{}",
        "{'cuda:63': 'cpu'}",
        f"{{'cuda:62': 'cuda:63', {tag!r}: 'meta'}}",
    )


def everywhere(cell: Cell) -> Inputs:
    """Strings and devices."""
    return _placed(cell.target.device, _devices(cell.target.device))


def remapped(cell: Cell) -> Inputs:
    """Dictionaries with the tag, without it, and with others beside it."""
    return _placed(cell.target.device, _dictionaries(cell.target.device))


def mapped_places(cell: Cell) -> Inputs:
    """Strings, devices, dictionaries, and a callable that returns the storage, for mapped tensors in a box or alone."""
    device = cell.target.device
    places = (*_devices(device), *_dictionaries(device), "logged(log, lambda storage, tag: storage)")
    alone = make_stored_views(device, ("x",), "v[0]", "float32", MAPPED)
    boxed = _placed(device, places, routes=(MAPPED,)).corners
    return Inputs([*boxed, *(Placed(alone, place) for place in places)])


def asked(cell: Cell) -> Inputs:
    """Callables that return nothing, the storage itself, and another one."""
    return _placed(
        cell.target.device,
        (
            "logged(log, lambda storage, tag: storage)",
            "logged(log, lambda storage, tag: None)",
            "logged(log, lambda storage, tag: storage.clone())",
        ),
    )


def answered(cell: Cell) -> Inputs:
    """Callables whose storage has zeros for the saved bytes."""
    return _placed(
        cell.target.device,
        (
            "logged(log, lambda storage, tag: storage.clone().fill_(0))",
            "logged(log, lambda storage, tag: storage.fill_(0))",
        ),
    )


def unanswered(cell: Cell) -> Inputs:
    """No map_location, and callables that return None."""
    return _placed(cell.target.device, ("None", "logged(log, lambda storage, tag: None)"))


def tag_of(device: str) -> str:
    """The location tag of what was saved on a device."""
    found = torch.device(device)
    return "cpu" if found.type == "cpu" else f"{found.type}:{found.index or 0}"


# What no loader may run or build without being told to.
UNTRUSTED = (
    "StoredPair(1, torch.ones(2))",
    "[torch.ones(2), {'deep': [StoredPair(1, 2)]}]",
    "StoredColor.RED",
    "StoredPair",
    "StoredNet",
    "(StoredPoint(1, 2),)",
    "Tripwire()",
    "{'a': torch.ones(1), 'b': (1, [Tripwire()])}",
    "[print]",
    "eval",
    "{'f': open}",
    "__import__('os').system",
    "__import__('pathlib').PurePosixPath('a')",
    "__import__('functools').partial(print, 1)",
    "__import__('fractions').Fraction(1, 3)",
    "[collections.deque([1])]",
    "slice(1, 2)",
    "getattr",
    "exec",
    "__import__",
    "torch.nn.functional.relu",
    "torch.nn.Linear",
    "collections.OrderedDict(a=StoredPair(1, 2))",
    "{StoredColor.RED: 1}",
    "torch.nn.Module()",
    "torch.nn.Sequential(torch.nn.Module())",
)
TRIPPED: list[str] = []


def trip(word: str) -> str:
    """Note that this function was called."""
    TRIPPED.append(word)
    return word


class Tripwire:
    """An object whose loading calls a function."""

    def __reduce__(self) -> Any:
        return trip, ("called",)


@dataclass(frozen=True)
class Untrusted(StoredObject):
    """An object of a class, or a function, that is not on the list of what may be loaded."""

    def __repr__(self) -> str:
        return f"Untrusted({self.expression!r}, {self.route!r})"

    def build(self) -> Any:
        """The object."""
        if "Tripwire" not in self.expression:
            return super().build()
        return eval(self.expression, {"torch": torch, "Tripwire": Tripwire})

    def written(self) -> bytes:
        """The bytes of its file."""
        buffer = io.BytesIO()
        torch.save(self.build(), buffer, **self.route.save_options())
        return buffer.getvalue()

    def reductions(self) -> Iterator[StoredObject]:
        """The archive in the place of the old format."""
        if self.route != PLAIN:
            yield replace(self, route=PLAIN)


def untrusted(cell: Cell) -> Inputs:
    """Every one in both formats."""
    return Inputs([Untrusted(text, route) for text in UNTRUSTED for route in ROUTES[:2]])


def tripwires(cell: Cell) -> Inputs:
    """Those that call a function."""
    texts = (
        "Tripwire()",
        "[Tripwire()]",
        "{'a': torch.ones(1), 'b': (1, [Tripwire()])}",
        "(torch.ones(2), Tripwire(), Tripwire())",
    )
    return Inputs([Untrusted(text, route) for text in texts for route in (*ROUTES[:2], *OPEN_ROUTES[:2])])


@dataclass(frozen=True)
class Trusting(Untrusted):
    """An object, and the names that have to be trusted for it."""

    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Trusting({self.expression!r}, {self.route!r}, names={self.names!r})"

    def code(self) -> str:
        """The round trip in plain torch, refused first and then trusted."""
        text, load = super().code().rsplit("\n", 1)
        within = [f"with torch.serialization.safe_globals([{', '.join(self.names)}]):", f"    {load}"]
        try_ = ["try:", f"    {load}", "except Exception as error:", "    print(error)", "file.seek(0)"]
        return "\n".join([text, *try_, *within, "print(found)"])

    def trusted(self) -> list[Any]:
        """The classes and functions themselves."""
        return [replace(self, expression=name).build() for name in self.names]

    def told(self) -> list[str]:
        """Their full names."""
        return [f"{thing.__module__}.{thing.__qualname__}" for thing in self.trusted()]


def trusting(cell: Cell) -> Inputs:
    """One class, two of them, and a function."""
    rows = (
        ("StoredPair(1, torch.ones(2))", ("StoredPair",)),
        ("[StoredPoint(1, torch.ones(2))]", ("StoredPoint",)),
        ("{'a': StoredPair(StoredPoint(1, 2), [0.5])}", ("StoredPair", "StoredPoint")),
        ("StoredColor.RED", ("StoredColor",)),
        ("[StoredColor.RED, StoredPair(1, 2)]", ("StoredPair", "StoredColor")),
        ("[torch.ones(1), StoredPair]", ("StoredPair",)),
    )
    return Inputs([Trusting(text, route, "cpu", names) for text, names in rows for route in ROUTES[:2]])


@contextmanager
def own_safe_globals() -> Iterator[None]:
    """The list of trusted names is empty for the time being, and as it was afterwards."""
    kept = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(kept)


def answered_as(priority: int, tag: str, log: list[Any], storage: Any, location: str) -> Any:
    """The deserializer of a tag: it notes that it was asked, and returns the storage as it is."""
    if location != tag:
        return None
    log.append((priority, location))
    return storage


@contextmanager
def tag_registered(priority: int, tag: str, log: list[Any]) -> Iterator[None]:
    """Storages get this tag and are found by it, for the time being."""
    registry = torch.serialization._package_registry
    kept = list(registry)
    torch.serialization.register_package(
        priority,
        lambda storage: tag if storage.device.type == "cpu" else None,
        partial(answered_as, priority, tag, log),
    )
    try:
        yield
    finally:
        registry[:] = kept


@contextmanager
def forgotten(module: str) -> Iterator[None]:
    """The module counts as not imported for the time being."""
    kept = sys.modules.pop(module, None)
    try:
        yield
    finally:
        sys.modules.pop(module, None)
        if kept is not None:
            sys.modules[module] = kept
