"""The module model: what a few modules have and what they list, by plain dicts.

Things are known by name: ``m0`` is a module, ``p1`` a parameter, ``t2`` another tensor.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Things = dict[str, str]
Listed = list[tuple[str, str]]
NOTHING = "None"  # the entry of a name that is registered without a value
MODULE_ATTRIBUTES = frozenset(("parameters", "buffers", "modules", "plain"))


@dataclass
class ModelledModule:
    """What one module has, by attribute; ``transient`` are the buffers that are not persistent."""

    parameters: Things = field(default_factory=dict)
    buffers: Things = field(default_factory=dict)
    modules: Things = field(default_factory=dict)
    plain: Things = field(default_factory=dict)
    transient: set[str] = field(default_factory=set)

    def kind_of(self, attribute: str) -> str:
        """As what an attribute is known: parameters, buffers, modules, plain or nothing."""
        return next((kind for kind in sorted(MODULE_ATTRIBUTES) if attribute in self.things(kind)), "")

    def things(self, kind: str) -> Things:
        """All things of one kind."""
        found: Things = getattr(self, kind)
        return found

    def forget(self, attribute: str) -> None:
        """Take an attribute away."""
        for kind in MODULE_ATTRIBUTES:
            self.things(kind).pop(attribute, None)
        self.transient.discard(attribute)

    def put(self, kind: str, attribute: str, thing: str) -> None:
        """Register a thing; one of the same kind and name keeps its place, any other is forgotten."""
        if self.kind_of(attribute) != kind:
            self.forget(attribute)
        self.things(kind)[attribute] = thing


class ModuleModel:
    """Several modules, and what is done to them."""

    def __init__(self, count: int) -> None:
        self.modules = [ModelledModule() for _ in range(count)]

    def meant(self, name: str, first: int, second: int, attribute: str) -> bool:
        """Whether an action has a meaning now."""
        kind = self.modules[first].kind_of(attribute)
        if name in ("module", "add_module") and second <= first:
            return False  # no module in itself
        if name == "delete":
            return kind != ""
        if name in ("register_parameter", "no_parameter"):
            return kind in ("", "parameters")
        if name in ("buffer", "transient", "no_buffer"):
            return kind in ("", "buffers")
        if name == "add_module":
            return kind in ("", "modules")
        if name == "module":
            return kind != "parameters"  # which take a Parameter or None only
        return name != "tensor" or kind in ("", "buffers", "plain")

    def act(self, name: str, first: int, second: int, attribute: str) -> None:
        """Do it."""
        module = self.modules[first]
        kind = module.kind_of(attribute)
        if name == "delete":
            module.forget(attribute)
        elif name in ("parameter", "register_parameter"):
            module.put("parameters", attribute, f"p{second}")
        elif name == "no_parameter":
            module.put("parameters", attribute, NOTHING)
        elif name in ("module", "add_module"):
            module.put("modules", attribute, f"m{second}")
        elif name == "tensor":
            module.put(kind or "plain", attribute, f"t{second}")
        elif name == "none":
            module.put(kind or "plain", attribute, NOTHING)
        else:
            module.put("buffers", attribute, NOTHING if name == "no_buffer" else f"t{second}")
            module.transient.discard(attribute)
            if name == "transient":
                module.transient.add(attribute)

    # --- what is listed ---------------------------------------------------------------------------------------

    def paths(self, at: int = 0, prefix: str = "", once: bool = True) -> Listed:
        """Each module by its path, a parent before its children; a shared one once, by the first path."""
        found = list(self._paths(at, prefix))
        return first_paths(found) if once else found

    def _paths(self, at: int, prefix: str) -> Iterator[tuple[str, str]]:
        yield prefix, f"m{at}"
        for attribute, thing in self.modules[at].modules.items():
            if thing != NOTHING:
                yield from self._paths(int(thing[1:]), joined(prefix, attribute))

    def children(self, at: int = 0) -> Listed:
        """The immediate children, each once."""
        return first_paths([(a, m) for a, m in self.modules[at].modules.items() if m != NOTHING])

    def parts(self, kind: str, prefix: str = "", recurse: bool = True, once: bool = True) -> Listed:
        """Each parameter (or buffer) by its path; a shared one once, by the first path."""
        places = self.paths(0, prefix, once) if recurse else [(prefix, "m0")]
        found = [
            (joined(path, attribute), thing)
            for path, module in places
            for attribute, thing in self.modules[int(module[1:])].things(kind).items()
            if thing != NOTHING
        ]
        return first_paths(found) if once else found

    def persistent(self) -> set[str]:
        """The paths of all parameters and persistent buffers, shared ones by each path."""
        found = set()
        for path, name in self.paths(once=False):
            module = self.modules[int(name[1:])]
            kept = {**module.parameters, **{k: v for k, v in module.buffers.items() if k not in module.transient}}
            found |= {joined(path, attribute) for attribute, thing in kept.items() if thing != NOTHING}
        return found

    def applied(self, at: int = 0) -> list[str]:
        """The order in which a function is applied: to the children, once for each parent, before the module."""
        below = [name for _, child in self.children(at) for name in self.applied(int(child[1:]))]
        return [*below, f"m{at}"]

    def below_without(self, at: int) -> set[str]:
        """The modules that are reached from the root on ways that do not lead through one module."""
        found = {"m0"} if at else set()
        waiting = [*found]
        while waiting:
            for _, child in self.children(int(waiting.pop()[1:])):
                if child not in found and child != f"m{at}":
                    found.add(child)
                    waiting.append(child)
        return found

    def below(self, at: int = 0) -> set[str]:
        """The modules that are reached."""
        return {name for _, name in self.paths(at)}


def first_paths(pairs: Listed) -> Listed:
    """The pairs without those whose thing came before."""
    seen: set[str] = set()
    return [(path, thing) for path, thing in pairs if not (thing in seen or seen.add(thing))]  # type: ignore[func-returns-value]


def joined(prefix: str, name: str) -> str:
    """A path and a name in it."""
    return f"{prefix}.{name}" if prefix else name
