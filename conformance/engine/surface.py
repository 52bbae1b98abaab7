"""The surface: the documented public names of the torch under test, each with the behaviours that name it."""

from __future__ import annotations

import inspect
from collections.abc import Container, Iterable, Iterator
from functools import cache
from typing import Any

from conformance.engine.documentation import MISSING, resolve
from conformance.engine.specs import Behaviour, LoadedArea
from conformance.engine.subjects import subjects_of
from conformance.engine.yamlfile import SpecError

PLACES = (
    "torch", "torch.Tensor", "torch.autograd", "torch.autograd.Function", "torch.autograd.function.FunctionCtx",
    "torch.autograd.forward_ad", "torch.autograd.functional", "torch.autograd.graph", "torch.autograd.graph.Node",
    "torch.nn", "torch.nn.Module", "torch.nn.functional", "torch.nn.init", "torch.nn.utils",
    "torch.nn.utils.parametrizations", "torch.nn.utils.parametrize", "torch.nn.utils.rnn", "torch.optim",
    "torch.optim.Optimizer", "torch.optim.lr_scheduler", "torch.utils.data", "torch.utils.checkpoint",
    "torch.utils.dlpack", "torch.serialization", "torch.linalg", "torch.fft", "torch.special", "torch.func",
)  # fmt: skip
"""The modules and classes whose public members are looked at."""

PARENTS = ("torch", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.special", "torch.optim.lr_scheduler")
"""Where the subjects of a catalogue are looked for."""
METHODS = {"operators": ("torch.Tensor",), "costs": ("torch.Tensor", "torch", "torch.nn")}
"""Where those of the catalogues are looked for whose subjects are methods of the tensor."""


def names() -> dict[str, list[str]]:
    """The documented public names of each place that this build has, in order."""
    found = {}
    for place in PLACES:
        owner = resolve(place)
        if owner is not MISSING:
            found[place] = sorted(name for name, value in _members(owner) if _documented(value))
    return found


def _members(owner: Any) -> Iterator[tuple[str, Any]]:
    """What a module exports, and what a class has that object has not."""
    listed = None if inspect.isclass(owner) else getattr(owner, "__all__", None)
    for name in listed if listed is not None else dir(owner):
        if name.startswith("_") or hasattr(object, name):
            continue
        try:
            value = inspect.getattr_static(owner, name) if inspect.isclass(owner) else getattr(owner, name)
        except Exception:  # parts of torch raise RuntimeError, and others, for what this build has not
            continue
        made_elsewhere = not str(getattr(value, "__module__", None) or "torch").startswith("torch")
        if not (listed is None and not inspect.isclass(owner) and made_elsewhere):
            yield name, value


def _documented(value: Any) -> bool:
    """Whether this is something to call or to read that has a docstring of its own."""
    value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    kind = callable(value) or inspect.isdatadescriptor(value)
    text = getattr(value, "__doc__", None)
    return kind and isinstance(text, str) and bool(text.strip())


def surface(areas: Iterable[LoadedArea]) -> dict[str, tuple[str, ...]]:
    """The full ids of the behaviours that name each documented name, as subject or in their documentation."""
    found: dict[str, dict[str, None]] = {
        f"{place}.{name}": {} for place, members in names().items() for name in members
    }
    known: dict[int, list[str]] = {}
    for name in found:
        known.setdefault(id(resolve(name)), []).append(name)
    named = cache(lambda path: _named(path, found, known))  # a catalogue's subjects come back with each behaviour
    for loaded in areas:
        for behaviour in loaded.area.behaviours:
            for path in _paths(behaviour, loaded):
                for name in named(path):
                    found[name][f"{loaded.area.area}.{behaviour.id}"] = None
    return {name: tuple(behaviours) for name, behaviours in found.items()}


def _paths(behaviour: Behaviour, loaded: LoadedArea) -> Iterator[str]:
    """The dotted paths that a behaviour names: its documentation's, and those of its subjects."""
    docs, wanted = behaviour.docs, behaviour.subjects
    if docs.object and "{" not in docs.object:
        yield docs.object
    if docs.section and docs.section.startswith("torch."):
        yield docs.section
    try:
        rows = subjects_of(loaded, behaviour)
    except SpecError:
        rows = []  # said by the collection, where it matters
    for row in rows:
        if docs.object and "{" in docs.object:
            yield str(docs.path(str(row.name)))
        made = str(getattr(row, "makes", None) or row.name.partition("-")[0])
        catalogue = wanted.catalogue if wanted else ""
        yield from (f"{parent}.{made}" for parent in METHODS.get(catalogue, PARENTS))


def _named(path: str, found: Container[str], known: dict[int, list[str]]) -> list[str]:
    """The documented names that a path stands for: those of its object, or of the class that it is a part of."""
    while path.count(".") and path not in PLACES:
        value = resolve(path)
        if value is not MISSING and id(value) in known:
            return known[id(value)]
        path = path.rpartition(".")[0]
    return [path] if path in found else []


def record(found: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """The surface as a run record has it: the names that the same behaviours name stand together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, behaviours in found.items():
        groups.setdefault(behaviours, []).append(name)
    return [{"names": members, "behaviours": list(behaviours)} for behaviours, members in groups.items()]
