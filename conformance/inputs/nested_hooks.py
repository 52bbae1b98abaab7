"""Nested hooks: a tree of modules each of which has hooks; and writes where backward hooks forbid them.

Reference: https://docs.pytorch.org/docs/stable/notes/modules.html#module-hooks
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_listings import nested_hooks, written_under_hooks

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def tell_and_call(self: Any, x: Any) -> Any:
    """x plus one, and what the children make of it."""
    self.log.append(f"forward {self.name}")
    x = x + 1
    for child in self.children():
        x = child(x)
    return x


class Telling(torch.nn.Module):  # type: ignore[misc]
    """A module that notes its forward and calls its children, one after the other."""

    forward = tell_and_call

    def __init__(self, name: str, children: tuple[Telling, ...], log: list[str]) -> None:
        super().__init__()
        self.name, self.log = name, log
        for number, child in enumerate(children):
            self.add_module(f"child{number}", child)


@dataclass(frozen=True)
class NestedHooks:
    """A tree by brackets: ``(()())`` is a root with two children; hooks on the modules whose bits are set."""

    tree: str
    hooked: int
    calls: int = 1
    everywhere: bool = False

    def run(self) -> list[str]:
        """Call the root, and note all hooks and forwards."""
        log: list[str] = []
        modules = self.build(log)
        handles: list[Any] = []
        try:
            if self.everywhere:
                handles.append(torch.nn.modules.module.register_module_forward_pre_hook(NotingHook("all before", log)))
                handles.append(torch.nn.modules.module.register_module_forward_hook(NotingHook("all after", log)))
            for number, module in enumerate(modules):
                if self.hooked >> number & 1:
                    module.register_forward_pre_hook(NotingHook("before", log))
                    module.register_forward_hook(NotingHook("after", log))
            for _ in range(self.calls):
                modules[0](torch.zeros(1))
        finally:
            for handle in handles:
                handle.remove()
        return log

    def build(self, log: list[str]) -> list[Telling]:
        """The modules, numbered in the order of their opening brackets."""
        below: list[list[Telling]] = [[]]
        names: list[str] = []
        found: dict[str, Telling] = {}
        count = 0
        for bracket in self.tree:
            if bracket == "(":
                names.append(str(count))
                below.append([])
                count += 1
            else:
                name = names.pop()
                found[name] = Telling(name, tuple(below.pop()), log)
                below[-1].append(found[name])
        return [found[str(number)] for number in range(count)]

    def expected(self) -> list[str]:
        """What has to be noted."""
        log: list[str] = []
        names: list[int] = []
        count = 0
        for bracket in self.tree:
            if bracket == "(":
                names.append(count)
                log += [f"all before {count}"] * self.everywhere + [f"before {count}"] * (self.hooked >> count & 1)
                log.append(f"forward {count}")
                count += 1
            else:
                name = names.pop()
                log += [f"all after {name}"] * self.everywhere + [f"after {name}"] * (self.hooked >> name & 1)
        return log * self.calls

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"trees": self.tree, "hooked": bin(self.hooked)}

    def code(self) -> str:
        """The same in plain torch."""
        return nested_hooks(self)


class NotingHook:
    """A hook that notes the name of its module."""

    def __init__(self, word: str, log: list[str]) -> None:
        self.word, self.log = word, log

    def __call__(self, module: Any, *rest: Any) -> None:
        """Note it."""
        self.log.append(f"{self.word} {module.name}")


def nested(cell: Cell) -> Inputs:
    """Trees up to four modules, all sets of hooks."""
    trees = ("()", "(())", "(()())", "((()))", "((())())")
    return Inputs([
        NestedHooks(tree, hooked, calls, everywhere)
        for tree, calls, everywhere in product(trees, (1, 2), (False, True))
        for hooked in range(1 << tree.count("("))
    ])  # fmt: skip


def write_and_double(self: Any, x: Any) -> Any:
    """The input times two, after the write."""
    if self.write:
        exec(f"x.{self.write}", {"x": x})
    return x * 2


class Writing(torch.nn.Module):  # type: ignore[misc]
    """A module whose forward writes its input in place, where told."""

    forward = write_and_double

    def __init__(self, write: str) -> None:
        super().__init__()
        self.write = write


@dataclass(frozen=True)
class WrittenUnderHooks:
    """A write to the input in forward, or to the output by the caller, of a module with a full backward hook."""

    what: str  # input, output
    write: str
    hook: str
    device: str = "cpu"

    def run(self) -> None:
        """Hook, call, write, go backward."""
        module = Writing(self.write if self.what == "input" else "")
        getattr(module, f"register_{self.hook}")(ignoring_hook)
        found = module(torch.ones(2, device=self.device, requires_grad=True) * 1)
        if self.what == "output":
            exec(f"x.{self.write}", {"x": found})
        found.sum().backward()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"written": self.what, "hooks": self.hook, "writes": self.write}

    def code(self) -> str:
        """The same in plain torch."""
        return written_under_hooks(self)


def ignoring_hook(*arguments: Any) -> None:
    """A hook that does nothing."""


def written(cell: Cell) -> Inputs:
    """Several writes, to input and output, under each kind of hook that the build has."""
    hooks = ("full_backward_hook", "full_backward_pre_hook")
    there = [name for name in hooks if hasattr(torch.nn.Module, f"register_{name}")]
    writes = ("add_(1)", "zero_()", "mul_(2)", "relu_()", "__setitem__(0, 1.0)", "copy_(x.detach())")
    return Inputs([
        WrittenUnderHooks(what, write, hook, cell.target.device)
        for what, write, hook in product(("input", "output"), writes, there)
        if not (what == "output" and hook == "full_backward_pre_hook")  # the page of pre-hooks speaks of inputs only
    ])  # fmt: skip
