"""Module trees: modules nested in one another, down to the bytes of their parameters, before torch is asked for them.

A tree prints itself as executable Python and knows, without torch, which names its state has.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import representable
from conformance.inputs.frozen_modules import generator_kept
from conformance.inputs.tensors import Strided
from conformance.inputs.values import values

HELD = ("parameter", "frozen", "buffer")  # kinds of slots that are part of the state


@dataclass(frozen=True)
class Slot:
    """One name of a module: a parameter (or a frozen one), a buffer (or one that is not persistent), or None."""

    name: str
    kind: str  # parameter, frozen, buffer, transient, no-parameter, no-buffer, tied, tied-buffer
    plan: Strided | None = None
    to: str = ""  # the path of an earlier slot, of which a tied one is another name


@dataclass(frozen=True)
class Node:
    """One module of a tree, what it holds and its children; a shared one is another name of an earlier module."""

    name: str
    kind: str  # Module, Sequential, ModuleList, ModuleDict, shared, or the call that makes a layer
    slots: tuple[Slot, ...] = ()
    nodes: tuple[Node, ...] = ()
    to: str = ""


@dataclass(frozen=True)
class Tree:
    """A module and all below it."""

    root: Node
    device: str = "cpu"
    look: str = ""  # what the listing does with the module

    def build(self) -> torch.nn.Module:
        """The module."""
        made: dict[str, Any] = {}
        with generator_kept(self.device):
            found: torch.nn.Module = _module(self.root, "", made, self.device)
        return found

    def places(self) -> dict[str, tuple[Slot, str]]:
        """Every name of a slot below the root, None and what is not saved included, and the first name of the same."""
        nodes = dict(self.nodes())
        return {key: (slot, first) for key, slot, first in _places(self.root, "", nodes)}

    def state(self) -> dict[str, tuple[Strided, str]]:
        """What the state holds, by its key: the plan, and the first of the names that the tensor has."""
        found: dict[str, tuple[Strided, str]] = {}
        places = self.places()
        for key, (_, first) in places.items():
            slot = places[first][0]
            if slot.plan is not None and slot.kind in HELD:
                found[key] = (slot.plan, first)
        return found

    def has_ties(self) -> bool:
        """Whether a tensor of the state has several names."""
        firsts = [first for _, first in self.state().values()]
        return len(set(firsts)) < len(firsts)

    def required(self, key: str) -> bool:
        """Whether the tensor of a key is to require grad."""
        places = self.places()
        return places[places[key][1]][0].kind == "parameter"

    def untied(self) -> Tree:
        """The tree without what is another name."""
        return replace(self, root=_without_ties(self.root))

    def narrowed(self) -> Tree:
        """The tree as it is after a way through the types of ``cast`` and back."""
        return replace(self, root=_mapped(self.root, _back))

    def tensors(self) -> dict[str, torch.Tensor]:
        """A dictionary such as the state, made of new tensors without asking a module."""
        made: dict[str, torch.Tensor] = {}
        for key, (plan, first) in self.state().items():
            made[key] = made[first] if first in made else plan.build()
        return made

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """The path and the node of every module that is no other name of one."""
        yield from _nodes(self.root, "")

    def prefixes(self) -> list[str]:
        """What the keys of each module begin with; a shared module has several."""
        return _prefixes(self.root, "", dict(self.nodes()))

    def turned(self, turn: int = 1) -> Tree:
        """The same tree with other numbers in it."""
        return replace(self, root=_mapped(self.root, lambda plan: _turned(plan, turn)))

    def cast(self) -> Tree:
        """The same tree with other element types where numbers are floating or complex."""
        return replace(self, root=_mapped(self.root, _other_type))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        plans = [plan for plan, _ in self.state().values()]
        return {
            "dtypes": [plan.dtype for plan in plans],
            "layouts": [plan.layout for plan in plans],
            "shapes": [str(plan.shape) for plan in plans],
            "modules": [node.kind.partition("(")[0] for _, node in self.nodes()],
        }

    def reductions(self) -> Iterator[Tree]:
        """The tree with one part less, where nothing else is a name of that part."""
        for root in _pruned(self.root):
            smaller = replace(self, root=root)
            if smaller.sound():
                yield smaller

    def sound(self) -> bool:
        """Whether what is shared or tied still has what it is another name of."""
        paths = {path for path, _ in self.nodes()}
        places = {f"{path}.{s.name}".lstrip(".") for path, node in self.nodes() for s in node.slots if not s.to}
        ties = {s.to for _, node in self.nodes() for s in node.slots if s.to}
        return ties <= places and {node.to for node in _every(self.root) if node.kind == "shared"} <= paths

    def code(self) -> str:
        """The module in plain torch."""
        looks = self.look.splitlines()
        return "\n".join(["from torch import nn", "", *_lines(self.root, "m", self.device), *looks])


def reach(module: torch.nn.Module, path: str) -> Any:
    """What a dotted path leads to, without asking for a state_dict."""
    found: Any = module
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    return found


def _module(node: Node, path: str, made: dict[str, Any], device: str) -> Any:
    if node.kind == "shared":
        return made[node.to]
    below = {
        child.name: _module(child, f"{path}.{child.name}".lstrip("."), made, device)
        for child in (node.nodes if node.kind in ("Sequential", "ModuleList", "ModuleDict") else ())
    }
    if node.kind == "Sequential":
        module: torch.nn.Module = torch.nn.Sequential(*below.values())
    elif node.kind == "ModuleList":
        module = torch.nn.ModuleList(below.values())
    elif node.kind == "ModuleDict":
        module = torch.nn.ModuleDict(below)
    elif node.kind == "Module":
        module = torch.nn.Module()
    else:
        name, _, call = node.kind.partition("(")
        module = eval(f"make({call}", {"make": getattr(torch.nn, name)})
    made[path] = module
    for slot in node.slots:
        _put(module, slot, node, made, device)
        made[f"{path}.{slot.name}".lstrip(".")] = getattr(module, slot.name)
    if not below:
        for child in node.nodes:
            setattr(module, child.name, _module(child, f"{path}.{child.name}".lstrip("."), made, device))
    return module


def _put(module: torch.nn.Module, slot: Slot, node: Node, made: dict[str, Any], device: str) -> None:
    if slot.kind == "tied":
        setattr(module, slot.name, made[slot.to])
        return
    if slot.kind == "tied-buffer":
        module.register_buffer(slot.name, made[slot.to])
        return
    value = None if slot.plan is None else replace(slot.plan, device=device).build()
    if slot.kind in ("parameter", "frozen", "no-parameter"):
        made_of = None if value is None else torch.nn.Parameter(value, requires_grad=slot.kind == "parameter")
        if node.kind.startswith("Parameter"):
            container: Any = module
            if node.kind == "ParameterList()":
                container.append(made_of)
            else:
                container[slot.name] = made_of
        else:
            module.register_parameter(slot.name, made_of)
    elif slot.name in module._buffers:
        setattr(module, slot.name, value)
    else:
        module.register_buffer(slot.name, value, persistent=slot.kind != "transient")


def _nodes(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    if node.kind != "shared":
        yield path, node
        for child in node.nodes:
            yield from _nodes(child, f"{path}.{child.name}".lstrip("."))


def _every(node: Node) -> Iterator[Node]:
    yield node
    for child in node.nodes:
        yield from _every(child)


def _prefixes(node: Node, prefix: str, nodes: dict[str, Node]) -> list[str]:
    node = nodes[node.to] if node.kind == "shared" else node
    return [prefix, *(p for child in node.nodes for p in _prefixes(child, f"{prefix}{child.name}.", nodes))]


def _places(node: Node, path: str, nodes: dict[str, Node], origin: str | None = None) -> Iterator[Any]:
    """Key, slot and first name; ``origin`` is the path under which a shared module was first met."""
    if node.kind == "shared":
        yield from _places(nodes[node.to], path, nodes, node.to)
        return
    origin = path if origin is None else origin
    for slot in node.slots:
        own = f"{origin}.{slot.name}".lstrip(".")
        yield f"{path}.{slot.name}".lstrip("."), slot, slot.to or own
    for child in node.nodes:
        name = f".{child.name}"
        yield from _places(child, f"{path}{name}".lstrip("."), nodes, f"{origin}{name}".lstrip("."))


def _mapped(node: Node, change: Any) -> Node:
    slots = tuple(s if s.plan is None else replace(s, plan=change(s.plan)) for s in node.slots)
    return replace(node, slots=slots, nodes=tuple(_mapped(child, change) for child in node.nodes))


def _turned(plan: Strided, turn: int) -> Strided:
    if plan.dtype == "bool":
        return replace(plan, data=tuple(not x for x in plan.data))
    if len(plan.data) == 1:
        others = [x for x in values(plan.dtype, "ordinary") if x != plan.data[0]]
        return replace(plan, data=(others[turn % len(others)],))
    turn = turn % len(plan.data) or 1
    return replace(plan, data=plan.data[turn:] + plan.data[:turn])


def _other_type(plan: Strided) -> Strided:
    others = {"float32": "float64", "float64": "float32", "float16": "float32", "bfloat16": "float32"}
    return replace(plan, dtype=others.get(plan.dtype, plan.dtype), data=tuple(plan.data))


def _back(plan: Strided) -> Strided:
    other = _other_type(plan)
    if other.dtype == plan.dtype:
        return plan
    with np.errstate(all="ignore"):
        numbers = representable(representable(plan.array, other.dtype), plan.dtype)
    return replace(plan, data=tuple(numbers.ravel().tolist()) or plan.data)


def _without_ties(node: Node) -> Node:
    slots = tuple(slot for slot in node.slots if not slot.to)
    return replace(node, slots=slots, nodes=tuple(_without_ties(x) for x in node.nodes if x.kind != "shared"))


def _pruned(node: Node) -> Iterator[Node]:
    names = {"Sequential": True, "ModuleList": True}
    for n, child in enumerate(node.nodes):
        if node.kind not in names or n == len(node.nodes) - 1:
            yield replace(node, nodes=node.nodes[:n] + node.nodes[n + 1 :])
        for smaller in _pruned(child):
            yield replace(node, nodes=(*node.nodes[:n], smaller, *node.nodes[n + 1 :]))
    if node.kind == "Module":
        for n in range(len(node.slots)):
            yield replace(node, slots=node.slots[:n] + node.slots[n + 1 :])


def _lines(node: Node, name: str, device: str) -> list[str]:
    """Lines of plain torch that make a node under a name."""
    if node.kind == "shared":
        return [f"{name} = m" + "".join(f"._modules[{part!r}]" for part in node.to.split(".") if part)]
    lines = [f"{name} = nn.{node.kind}" + ("" if node.kind.endswith(")") else "()")]
    for slot in node.slots:
        plan = None if slot.plan is None else replace(slot.plan, device=device).code()
        if slot.to:
            *path, last = slot.to.split(".")
            same = f"getattr({'m' + ''.join(f'._modules[{part!r}]' for part in path)}, {last!r})"
            lines.append(
                f"setattr({name}, {slot.name!r}, {same})"
                if slot.kind == "tied"
                else f"{name}.register_buffer({slot.name!r}, {same})"
            )
        elif slot.kind in ("parameter", "frozen"):
            flag = ", requires_grad=False" if slot.kind == "frozen" else ""
            made = f"nn.Parameter({plan}{flag})"
            lines.append({
                "ParameterList()": f"{name}.append({made})", "ParameterDict()": f"{name}[{slot.name!r}] = {made}",
            }.get(node.kind, f"setattr({name}, {slot.name!r}, {made})"))  # fmt: skip
        elif slot.kind == "no-parameter":
            lines.append(f"{name}.register_parameter({slot.name!r}, None)")
        else:
            kept = ", persistent=False" if slot.kind == "transient" else ""
            lines.append(f"{name}.register_buffer({slot.name!r}, {plan}{kept})")
    for child in node.nodes:
        made = f"{name}_{child.name}"
        first, *rest = _lines(child, made, device)
        lines += [first, f"{name}.add_module({child.name!r}, {made})", *rest]
    return lines
