"""Layer tree state: the classes, the numbers and the sharing within a tree of modules, against another and its plan."""

from __future__ import annotations

import torch

from conformance.inputs.module_trees import Tree, reach
from conformance.oracles import module_state
from conformance.oracles.expect import equal


def holds(tree: Tree, found: torch.nn.Module, original: torch.nn.Module, what: str) -> None:
    """Expect the state of a tree, the classes and the sharing of another module made of it, and no memory of its."""
    equal(_classes(original), _classes(found), f"classes of {what}")
    module_state.module_holds(tree, found, what)
    equal(_firsts(original), _firsts(found), f"names of one object in {what}")
    for key in tree.state():
        module_state.tensors_share(False, reach(original, key), reach(found, key), f"{key} of {what}")


def _classes(module: torch.nn.Module) -> dict[str, str]:
    return {path: type(m).__name__ for path, m in module.named_modules(remove_duplicate=False)}


def _firsts(module: torch.nn.Module) -> dict[str, str]:
    """The first path of each module, parameter and buffer, by path."""
    first: dict[int, str] = {}
    found = {}
    for path, m in module.named_modules(remove_duplicate=False):
        for name, thing in [("", m), *m._parameters.items(), *m._buffers.items()]:
            if thing is not None:
                place = f"{path}.{name}"
                found[place] = first.setdefault(id(thing), place)
    return found
