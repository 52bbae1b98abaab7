"""Snippets: a call to be timed, as a line of plain torch and the names that it mentions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import torch

ELEMENTS = {"small": 2**6, "medium": 2**14, "large": 2**22}
# Copies of what a call changes, for the calls of one round: all of a round in the second cache, or one of them.
MOST_BYTES = 2**20
MOST_COPIES = 512


@dataclass
class Snippet:
    """``act`` on the names of ``space``.

    What is named in ``fresh`` the call changes, so that each call of a round has a copy of its own: a second ``exp_``
    of the same numbers would be one of infinities.
    """

    act: str
    space: dict[str, Any]
    shape: tuple[int, ...]
    elements: int
    dtype: str = "float32"
    fresh: tuple[str, ...] = ()
    _kept: dict[str, Any] = field(default_factory=dict)

    def copies(self) -> int:
        """How many calls of one round there may be."""
        if not self.fresh:
            return 2**20
        nbytes = sum(_nbytes(self.space[name]) for name in self.fresh)
        return 1 << (max(1, min(MOST_COPIES, MOST_BYTES // max(nbytes, 1))).bit_length() - 1)


class Batch:
    """So many calls of a snippet, one after the other, without anything of ours between them but a loop."""

    def __init__(self, snippet: Snippet, calls: int) -> None:
        self.snippet, self.calls = snippet, calls
        names = [name for name in snippet.space if name not in snippet.fresh]
        self.constants = {name: snippet.space[name] for name in names}
        self.starts = [tuple(snippet.space[name] for name in snippet.fresh)]
        self.steps: list[Any] = self._new() if snippet.fresh else [None] * calls
        self.function = compiled(snippet.act, snippet.fresh, tuple(names))

    def refill(self) -> None:
        """Have every call of the next round meet what the first one met."""
        if not self.snippet.fresh:
            return
        if not all(isinstance(part, torch.Tensor) for part in self.starts[0]):
            self.steps = self._new()
            return
        with torch.no_grad():
            for step in self.steps:
                for copied, start in zip(step, self.starts[0], strict=True):
                    copied.copy_(start)

    def __call__(self) -> None:
        self.function(self.steps, **self.constants)

    def _new(self) -> list[Any]:
        # one deep copy for all names, so that what one of them holds of the other is held by its copy
        return [copy.deepcopy(self.starts[0]) for _ in range(self.calls)]


def compiled(act: str, fresh: tuple[str, ...], names: tuple[str, ...]) -> Callable[..., None]:
    """``act`` in a loop; what it mentions are arguments of the function, the cheapest names that there are."""
    target = f"{', '.join(fresh)}," if fresh else "_"
    text = f"def batch(steps, *, {', '.join(names)}):\n" if names else "def batch(steps):\n"
    text += f"    for {target} in steps:\n{indent(act, ' ' * 8)}\n"
    space: dict[str, Any] = {"torch": torch}
    exec(compile(text, "<timed>", "exec"), space)
    made: Callable[..., None] = space["batch"]
    return made


def _nbytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return int(value.numel() * value.element_size())
    return MOST_BYTES // 16  # of an object, copies cost more than memory
