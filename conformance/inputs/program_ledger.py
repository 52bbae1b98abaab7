"""The ledger of a program: which values share memory, which depend on which leaves, and what was overwritten.

It is a model of what the documentation says: views share memory, detach shares memory and no history, a write in
place changes the history of all that shares it, and only what a derivative needs can be spoilt by a write.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

from __future__ import annotations

from typing import Any


class Ledger:
    """What is known of each value, leaves first; ``add`` is told of one step after the other."""

    def __init__(self, leaves: int) -> None:
        self.memory = list(range(leaves))  # values with one number lie in one memory
        self.history = list(range(leaves))  # and these have one history: a tensor and its views
        self.reached = {n: frozenset([n]) for n in range(leaves)}  # leaves that a history may depend on
        self.frozen = set(range(leaves))  # memories that are not to be written: leaves, and what may be an alias
        self.readonly: set[int] = set()  # values that are not to be written: they repeat places, or have no history
        self.saved: set[int] = set()  # memories whose values the derivative of some step is known to need
        self.related: set[int] = set()  # operands and results of steps whose derivative depends on values at all
        self.written: set[int] = set()  # memories that some step has written
        self.stale = False  # whether something that a derivative may need was overwritten

    def add(self, step: Any) -> None:
        """Take note of one step; its value gets the next number."""
        number, first = len(self.memory), step.operands[0]
        if step.kind == "fresh":
            self.memory.append(number)
            self.history.append(number)
            self.reached[number] = frozenset() if step.silent else self._sources(step)
        else:
            self.memory.append(self.memory[first])
            self.history.append(number if step.kind == "detached" else self.history[first])
            if first in self.readonly or step.kind in ("detached", "repeating"):
                self.readonly.add(number)
        if step.kind == "detached":
            self.reached[number] = frozenset()
        elif step.kind == "maybe":
            self.frozen.add(self.memory[first])
        elif step.kind == "write":
            self.written.add(self.memory[first])
            self.stale |= self.memory[first] in self.related
            if not self.leaves_of(first) and self._sources(step):
                self._join(first)
            self.reached[self.history[first]] |= self._sources(step)
        if not step.silent and self.leaves_of(number):
            self._save(step, number)

    def leaves_of(self, value: int) -> frozenset[int]:
        """Numbers of the leaves on which a value may depend."""
        return self.reached[self.history[value]]

    def may_be_written(self, value: int) -> bool:
        """Whether a step may write to this value in place."""
        return value not in self.readonly and self.memory[value] not in self.frozen

    def _join(self, written: int) -> None:
        """A constant becomes part of the graph: views of it that are there already are not to be written.

        That is a behaviour of its own (view-of-a-constant-that-joined-the-graph-can-be-written).
        """
        base = self.history[written]
        self.readonly.update(i for i, own in enumerate(self.history) if own == base and i not in (base, written))

    def _sources(self, step: Any) -> frozenset[int]:
        return frozenset().union(*(self.leaves_of(i) for i in step.operands))

    def _save(self, step: Any, number: int) -> None:
        """What the derivative of the step needs: operands by their letters, or the result ("r")."""
        if step.keeps:  # a release or a device may compute it from any of them
            self.related |= {self.memory[number], *(self.memory[i] for i in step.operands)}
        for letter, operand in zip("xyz", step.operands, strict=False):
            if letter not in step.keeps or (step.kind == "write" and letter == "x"):
                continue  # of what a step overwrites by itself it has to keep a copy
            if step.kind == "write" and self.memory[operand] == self.memory[number]:
                self.stale = True  # the target once more, as another operand
            self.saved.add(self.memory[operand])
        if "r" in step.keeps:
            self.saved.add(self.memory[number])


def ledger_of(leaves: int, steps: tuple[Any, ...]) -> Ledger:
    """The ledger of a whole program."""
    found = Ledger(leaves)
    for step in steps:
        found.add(step)
    return found
