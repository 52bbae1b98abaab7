"""Histories: what may be done to a few tensors, one thing after the other, that changes their autograd flags.

An action is a name and two numbers, which pick tensors, counted from the newest. An action that no page gives a
meaning in the state reached is left out, so that any list of actions is a history.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import family
from conformance.oracles.flag_model import FlagModel

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ACTIONS = (
    "scale", "retain", "scale", "backward", "add", "view", "clone", "detach", "require", "release", "no_grad",
    "enable_grad", "close", "write", "detach_", "constant", "leaf", "clear", "scale", "retain", "backward", "add",
    "leaf", "view", "write", "clone", "close",
)  # fmt: skip
RECENT = (0, 0, 0, 1, 1, 2, 3, 5, 7)
HISTORY_TYPES = family("floating", "complex")


# What each action is; {0} and {1} are places in the list t.
LINES = {
    "scale": "t.append(t[{0}] * 2)",
    "add": "t.append(t[{0}] + t[{1}])",
    "clone": "t.append(t[{0}].clone())",
    "view": "t.append(t[{0}].view(1, 2)[0])",
    "detach": "t.append(t[{0}].detach())",
    "leaf": "t.append(torch.ones_like(t[{0}], requires_grad=True))",
    "constant": "t.append(torch.ones_like(t[{0}], requires_grad=False))",
    "write": "t[{0}].add_(t[{1}])",
    "detach_": "t[{0}].detach_()",
    "retain": "t[{0}].retain_grad()",
    "require": "t[{0}].requires_grad_()",
    "release": "t[{0}].requires_grad_(False)",
    "clear": "t[{0}].grad = None",
    "backward": "t[{0}].backward(torch.ones_like(t[{0}]), retain_graph=True)",
    "no_grad": "modes.append(torch.no_grad()); modes[-1].__enter__()",
    "enable_grad": "modes.append(torch.enable_grad()); modes[-1].__enter__()",
    "close": "modes.pop().__exit__(None, None, None)",
}


@dataclass(frozen=True)
class History:
    """A constant, a leaf that requires grad, and then the actions."""

    dtype: str
    actions: tuple[tuple[str, int, int], ...]
    device: str = "cpu"

    def steps(self) -> Iterator[tuple[str, FlagModel]]:
        """Each action that has a meaning, as a line of Python, and the flags that it leaves."""
        model = FlagModel()
        for name, one, two in self.actions:
            first, second = (len(model.tensors) - 1 - number % len(model.tensors) for number in (one, two))
            if model.meant(name, first, second):
                model.act(name, first, second)
                yield LINES[name].format(first, second), model

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "actions": [name for name, _, _ in self.actions]}

    def reductions(self) -> Iterator[History]:
        """Fewer actions, on the newest tensors."""
        for number in range(len(self.actions)):
            yield replace(self, actions=self.actions[:number] + self.actions[number + 1 :])
        for number, (name, first, second) in enumerate(self.actions):
            if first or second:
                for other in ((name, 0, 0), (name, first // 2, second // 2)):
                    yield replace(self, actions=(*self.actions[:number], other, *self.actions[number + 1 :]))

    def code(self) -> str:
        """The history in plain torch."""
        return "\n".join([f"t, modes = {self.start}, []", *(line for line, _ in self.steps())])

    @property
    def start(self) -> str:
        """The list of the two tensors that there are at first."""
        kind = f"dtype=torch.{self.dtype}" + ("" if self.device == "cpu" else f", device={self.device!r}")
        return f"[torch.ones(2, {kind}), torch.ones(2, {kind}, requires_grad=True)]"


@cache
def compiled_line(line: str) -> Any:
    """A line of Python, compiled once."""
    return compile(line, line, "exec")


# --- sources ----------------------------------------------------------------------------------------------------


@cache
def _listed(device: str, count: int) -> tuple[History, ...]:
    draw = random.Random(3)
    found = []
    for number in range(count):
        length = draw.randrange(8, 20)
        actions = [(draw.choice(ACTIONS), draw.choice(RECENT), draw.choice(RECENT)) for _ in range(length)]
        found.append(History(HISTORY_TYPES[number % len(HISTORY_TYPES)], tuple(actions), device))
    return tuple(found)


def action_histories(cell: Cell) -> Inputs:
    """A fixed list of histories of eight to nineteen actions, and others drawn."""
    from hypothesis import strategies as st

    device = cell.target.device
    action = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7), st.integers(0, 7))
    drawn = st.lists(action, min_size=1, max_size=14).map(tuple)
    return Inputs(_listed(device, 300), st.builds(History, st.sampled_from(HISTORY_TYPES), drawn, st.just(device)))
