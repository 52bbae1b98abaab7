"""Histories: what may be done to a few tensors, one thing after the other, that changes their autograd flags.

An action is a name and two numbers, which pick tensors among those that there are. An action that no page gives a
meaning in the state reached is left out, so that any list of actions is a history.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import family

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ACTIONS = (
    "scale", "add", "leaf", "view", "scale", "retain", "backward", "detach", "require", "release", "no_grad",
    "enable_grad", "close", "write", "detach_", "constant", "clone", "clear", "backward", "add",
)  # fmt: skip
HISTORY_TYPES = family("floating", "complex")


@dataclass(frozen=True)
class History:
    """A leaf that requires grad, a constant, and then the actions."""

    dtype: str
    actions: tuple[tuple[str, int, int], ...]
    device: str = "cpu"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "actions": [name for name, _, _ in self.actions]}

    def reductions(self) -> Iterator[History]:
        """Fewer actions, on the first tensors."""
        for number in range(len(self.actions)):
            yield replace(self, actions=self.actions[:number] + self.actions[number + 1 :])
        for number, (name, first, second) in enumerate(self.actions):
            if first or second:
                for other in ((name, 0, 0), (name, first // 2, second // 2)):
                    yield replace(self, actions=(*self.actions[:number], other, *self.actions[number + 1 :]))

    def code(self) -> str:
        """The start in plain torch; the actions print themselves in the case."""
        kind = f"dtype=torch.{self.dtype}, device={self.device!r}"
        return f"t = [torch.ones(2, {kind}, requires_grad=True), torch.ones(2, {kind})]\n# then: {self.actions}"


def perform(tensors: list[torch.Tensor], name: str, first: int, second: int) -> None:
    """Do one thing to the tensors; ``first`` and ``second`` are places in the list."""
    x, y = tensors[first], tensors[second]
    if name == "scale":
        tensors.append(x * 2)
    elif name == "add":
        tensors.append(x + y)
    elif name == "clone":
        tensors.append(x.clone())
    elif name == "view":
        tensors.append(x.view(1, 2)[0])
    elif name == "detach":
        tensors.append(x.detach())
    elif name in ("leaf", "constant"):
        tensors.append(torch.ones(2, dtype=x.dtype, device=x.device, requires_grad=name == "leaf"))
    elif name == "write":
        x.add_(y)
    elif name == "detach_":
        x.detach_()
    elif name == "retain":
        x.retain_grad()
    elif name == "require":
        x.requires_grad_()
    elif name == "release":
        x.requires_grad_(False)
    elif name == "clear":
        x.grad = None
    elif name == "backward":
        x.backward(torch.ones_like(x), retain_graph=True)


# --- sources ----------------------------------------------------------------------------------------------------


@cache
def _listed(device: str, count: int) -> tuple[History, ...]:
    draw = random.Random(3)
    found = []
    for number in range(count):
        length = draw.randrange(6, 15)
        actions = [(draw.choice(ACTIONS), draw.randrange(12), draw.randrange(12)) for _ in range(length)]
        found.append(History(HISTORY_TYPES[number % len(HISTORY_TYPES)], tuple(actions), device))
    return tuple(found)


def histories(cell: Cell) -> Inputs:
    """A fixed list of histories of six to fourteen actions, and others drawn."""
    from hypothesis import strategies as st

    device = cell.target.device
    action = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11), st.integers(0, 11))
    drawn = st.lists(action, min_size=1, max_size=14).map(tuple)
    return Inputs(_listed(device, 150), st.builds(History, st.sampled_from(HISTORY_TYPES), drawn, st.just(device)))
