"""Registration parts: buffers as objects of a class of their own, and registrations that a global hook watches.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_listings import watched_registration

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class BufferObject:
    """A module with buffers assigned as nn.Buffer; the names in ``transient`` not persistent."""

    names: list[str]
    transient: tuple[str, ...] = ()
    dtype: str = "float32"
    shape: tuple[int, ...] = (2,)
    device: str = "cpu"

    def build(self) -> torch.nn.Module:
        """The module."""
        module = torch.nn.Module()
        for name in self.names:
            tensor = torch.zeros(self.shape, dtype=getattr(torch, self.dtype), device=self.device)
            buffer: Any = torch.nn.Buffer
            setattr(module, name, buffer(tensor, persistent=False) if name in self.transient else buffer(tensor))
        return module

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "shapes": str(self.shape)}

    def code(self) -> str:
        """The same in plain torch."""
        tensor = f"torch.zeros({self.shape}, dtype=torch.{self.dtype}, device={self.device!r})"
        lines = [f"m.{n} = torch.nn.Buffer({tensor}, persistent={n not in self.transient})" for n in self.names]
        return "\n".join(["m = torch.nn.Module()", *lines])


def buffer_objects(cell: Cell) -> Inputs:
    """Buffers of several element types, persistent and not."""
    sets = ((), ("a",), ("b",), ("a", "b"))
    kinds = (("float32", (2,)), ("int64", ()), ("bool", (0, 3)), ("complex64", (2, 3)))
    return Inputs([
        BufferObject(names, transient, dtype, shape, cell.target.device)
        for names, transient, (dtype, shape) in product((["a"], ["a", "b"]), sets, kinds)
        if set(transient) <= set(names)
    ])  # fmt: skip


@dataclass
class WatchedModule:
    """What came of watched registrations."""

    module: torch.nn.Module
    calls: list[tuple[bool, str, bool]]
    given: dict[str, Any]
    replacements: dict[str, Any]


WATCHED_KINDS = ("buffer", "parameter", "module")


@dataclass(frozen=True)
class WatchedRegistration:
    """Things of one kind registered one after the other; the hook gives another one for those in ``replaced``."""

    kind: str
    names: tuple[str, ...] = ("a", "b", "c")
    replaced: tuple[str, ...] = ()
    assigned: bool = False

    def expected_calls(self) -> list[tuple[bool, str, bool]]:
        """For each registration: that the module was right, the name, and that the thing was."""
        return [(True, name, True) for name in self.names]

    def thing(self) -> Any:
        """Something that can be registered."""
        if self.kind == "module":
            return torch.nn.Module()
        return torch.zeros(2) if self.kind == "buffer" else torch.nn.Parameter(torch.zeros(2))

    def run(self) -> WatchedModule:
        """Register the hook, all things, and take the hook away."""
        things = {name: self.thing() for name in self.names}
        others = {name: self.thing() for name in self.replaced}
        found = WatchedModule(torch.nn.Module(), [], things, others)

        def hook(module: Any, name: str, thing: Any) -> Any:
            found.calls.append((module is found.module, name, thing is things.get(name)))
            return others.get(name)

        handle = getattr(torch.nn.modules.module, f"register_module_{self.registrar}_registration_hook")(hook)
        try:
            for name in self.names:
                if self.assigned and self.kind != "buffer":
                    setattr(found.module, name, things[name])
                else:
                    getattr(found.module, f"register_{self.kind}")(name, things[name])
        finally:
            handle.remove()
        self.after(found.module)
        return found

    def after(self, module: torch.nn.Module) -> None:
        """Register one more thing, of which the hook must not know."""
        getattr(module, f"register_{self.kind}")("late", self.thing())

    @property
    def registrar(self) -> str:
        """How the hook's registrar calls the kind."""
        return self.kind

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"kinds": self.kind, "assigned": str(self.assigned)}

    def reductions(self) -> Iterator[WatchedRegistration]:
        """Fewer things."""
        for name in self.names:
            left = tuple(x for x in self.names if x != name)
            if left:
                yield replace(self, names=left, replaced=tuple(x for x in self.replaced if x != name))

    def code(self) -> str:
        """The same in plain torch."""
        return watched_registration(self)


def watched_registrations(cell: Cell) -> Inputs:
    """Each kind, registered and assigned, with none, some and all replaced."""
    replaced = ((), ("a",), ("b",), ("c",), ("a", "c"), ("a", "b", "c"))
    return Inputs([
        WatchedRegistration(kind, replaced=names, assigned=assigned)
        for kind, names, assigned in product(WATCHED_KINDS, replaced, (False, True))
    ])  # fmt: skip
