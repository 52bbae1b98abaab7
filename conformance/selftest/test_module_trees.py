"""Module trees: the program that a tree prints makes the module that the tree builds."""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.tree_sources import listed_trees
from conformance.oracles import memory


def told(module: torch.nn.Module) -> list[tuple[Any, ...]]:
    """What is seen of a module's state, but for the numbers."""
    state = module.state_dict(keep_vars=True)
    return [(key, type(x), x.dtype, x.shape, x.stride(), x.requires_grad) for key, x in state.items()]


def test_a_printed_tree_makes_the_module_that_is_built():
    """The program's module is shown as the built one is, containers of Parameters too, and has the same state."""
    for tree in listed_trees("cpu"):
        names: dict[str, Any] = {"torch": torch}
        torch.manual_seed(0)
        built = tree.build()

        exec(tree.code(), names)

        assert repr(built) == repr(names["m"]), tree.code()
        assert told(built) == told(names["m"]), tree.code()
        for key, x in built.state_dict().items():
            memory.same_elements(memory.contents(x), memory.contents(names["m"].state_dict()[key]), key)


def test_every_container_of_parameters_is_in_some_tree():
    """Some listed tree has a ParameterList and some a ParameterDict, each with Parameters in it."""
    full = {node.kind for tree in listed_trees("cpu") for _, node in tree.nodes() if node.slots}

    assert {"ParameterList()", "ParameterDict()"} <= full
