"""Nodes: how many of them hang on a tensor.

Reference: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.Node.next_functions
"""

from __future__ import annotations

from collections.abc import Callable
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


def _keeper(saved: list[torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A hook that notes what is saved for a backward."""

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    return keep


def _unchanged(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def none_in_modes(case: Recording) -> None:
    """Expect a call to make no node in its mode, and at least one with gradients."""
    saved: list[torch.Tensor] = []
    with_gradients = node_count(case.result(""))
    with torch.autograd.graph.saved_tensors_hooks(_keeper(saved), _unchanged):
        count = node_count(case.result(case.mode))
    ratio = count / max(with_gradients, 1)
    tell_ratio(f"{case.act} in {case.mode}", f"{case.act} with gradients", ratio, (ratio, ratio), "0 nodes")
    expect.that(with_gradients > 0, f"nodes of the graph of {case.act} with gradients", "> 0", with_gradients)
    expect.equal(0, count, f"nodes of the graph of {case.act} in {case.mode}")
    what = f"tensors that {case.act} saves for a backward in {case.mode}"
    most = 1 if case.mode == "nested" else 0  # what is done with gradients before it saves one
    expect.that(len(saved) <= most, what, f"<= {most}", len(saved))
