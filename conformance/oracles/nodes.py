"""Nodes: how many of them hang on a tensor.

Reference: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.Node.next_functions
"""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.recordings import Recording
from conformance.oracles import expect
from conformance.oracles.contested import tell_ratio


def node_count(tensor: torch.Tensor) -> int:
    """The functions that a backward from the tensor would call."""
    found: set[Any] = set()
    waiting = [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [next_node for next_node, _ in node.next_functions]
    return len(found)


def none_in_modes(case: Recording) -> None:
    """Expect a call to make no node in its mode, and at least one with gradients."""
    with_gradients = node_count(case.result(""))
    count = node_count(case.result(case.mode))
    ratio = count / max(with_gradients, 1)
    tell_ratio(f"{case.act} in {case.mode}", f"{case.act} with gradients", ratio, (ratio, ratio), "0 nodes")
    expect.that(with_gradients > 0, f"nodes of the graph of {case.act} with gradients", "> 0", with_gradients)
    expect.equal(0, count, f"nodes of the graph of {case.act} in {case.mode}")
