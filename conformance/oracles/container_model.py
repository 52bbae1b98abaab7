"""The container model: a container of torch.nn beside the plain list or dict that executes the same lines.

Reference: https://docs.pytorch.org/docs/stable/nn.html#containers
"""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.containers import (
    KEYS,
    LISTS,
    ContainerProgram,
    NamedChain,
    OneLine,
    container_space,
    executed_line,
)
from conformance.oracles import expect, memory


class Followed:
    """A container and its model, brought through a program side by side."""

    def __init__(self, case: ContainerProgram) -> None:
        self.case, self.values = case, case.values()
        self.real = container_space(case.made(self.values), self.values)
        self.ideal = container_space(case.model(self.values), self.values)

    def step(self, line: str) -> tuple[Any, Any]:
        """Execute a line on both; what it gives by the model, and by the container."""
        return executed_line(line, self.ideal), executed_line(line, self.real)

    def shown(self, value: Any) -> Any:
        """A value with the things in it by their names."""
        for number, thing in enumerate(self.values):
            if thing is value:
                return f"v{number}"
        if isinstance(value, list | tuple):
            return tuple(self.shown(x) for x in value)
        return f"another {type(value).__name__}" if isinstance(value, torch.Tensor | torch.nn.Module) else value

    def items(self, space: dict[str, Any]) -> list[tuple[str, Any]]:
        """Keys, or places, and what is there."""
        container = space["c"]
        if self.case.kind in LISTS:
            return [(str(place), self.shown(thing)) for place, thing in enumerate(container)]
        return [(key, self.shown(container[key])) for key in container]


def same_as_plain(case: ContainerProgram) -> None:
    """Expect every line to give, to raise and to leave what it does with the plain list or dict."""
    pair = Followed(case)
    for line in case.lines:
        before = pair.ideal["c"], pair.real["c"]
        wanted, found = pair.step(line)
        same = before[0] is pair.ideal["c"]
        expect.equal(same, before[1] is pair.real["c"], f"whether the container is the same object after {line}")
        expect.equal(pair.shown(wanted), pair.shown(found), f"what {line} gives or raises")
        expect.equal(pair.items(pair.ideal), pair.items(pair.real), f"container after {line}")
        expect.equal(len(pair.ideal["c"]), len(pair.real["c"]), f"length after {line}")
        if case.kind not in LISTS:
            there, found_there = ([key in space["c"] for key in KEYS] for space in (pair.ideal, pair.real))
            expect.equal(there, found_there, f"whether {', '.join(KEYS)} are in the container after {line}")
        expect.equal(case.kind, type(pair.real["c"]).__name__, f"type of the container after {line}")


def members_registered(case: ContainerProgram) -> None:
    """Expect the children to be the members by place or key after every line, a shared one by its first."""
    pair = Followed(case)
    for line in case.lines:
        pair.step(line)
        container, wanted = pair.real["c"], pair.items(pair.ideal)
        once = [item for n, item in enumerate(wanted) if item[1] not in [x[1] for x in wanted[:n]]]
        found = [(name, pair.shown(child)) for name, child in container.named_children()]
        expect.equal(once, found, f"named_children() after {line}")
        for name, thing in wanted:
            expect.equal(thing, pair.shown(container.get_submodule(name)), f"get_submodule({name!r}) after {line}")


def chains(case: ContainerProgram) -> None:
    """Expect a call to chain what the model holds, after every line."""
    pair = Followed(case)
    for line in ("", *case.lines):
        pair.step(line)
        x: Any = 1
        for module in pair.ideal["c"]:
            x = x * 2 + module.number
        expect.equal(x, pair.real["c"](1), f"result of the call after {line or 'construction'}")


def chains_by_name(case: NamedChain) -> None:
    """Expect names and chain in the order of the dict."""
    container, modules = case.build()
    wanted = list(zip(case.names, map(id, modules), strict=True))
    expect.equal(wanted, [(name, id(child)) for name, child in container.named_children()], "named_children()")
    expect.equal([id(m) for m in modules], [id(m) for m in container], "modules in the order of iteration")
    x: Any = 1
    for number in case.numbers:
        x = x * 2 + number
    expect.equal(x, container(1), "result of the call")


def refuses_line(case: OneLine) -> None:
    """Expect TypeError, and the container as it was."""
    values = case.program.values()
    space = {**container_space(case.program.made(values), values), "torch": torch}
    before = list(space["c"])
    expect.raises(TypeError, lambda: executed_line(case.line, space), case.line)
    if not case.line.startswith(("c.extend([", "c +=")):  # part of which may have been taken
        expect.that(before == list(space["c"]), "container after the refusal", "as before", list(space["c"]))


def parameters_listed(case: ContainerProgram) -> None:
    """Expect the Parameters by place, and no other object, in named_parameters after every line.

    One that has several places is listed once, under any of them: no page says under which.
    """
    pair = Followed(case)
    for line in case.lines:
        pair.step(line)
        container = pair.real["c"]
        items = list(enumerate(container)) if case.kind in LISTS else [(key, container[key]) for key in container]
        wanted = [(str(key), id(thing)) for key, thing in items if isinstance(thing, torch.nn.Parameter)]
        found = [(name, id(parameter)) for name, parameter in container.named_parameters()]
        places = dict(wanted)
        wrong = [name for name, thing in found if places.get(name) != thing]
        expect.equal([], wrong, f"names in named_parameters() after {line} under which the list has no such Parameter")
        listed = [thing for _, thing in found]
        wrong = [place for place, thing in wanted if listed.count(thing) != 1]
        expect.equal([], wrong, f"places of Parameters that named_parameters() does not give once, after {line}")


def tensors_converted(case: ContainerProgram) -> None:
    """Expect each item to be the very object put in, or a Parameter over a tensor's memory."""
    pair = Followed(case)
    for line in case.lines:
        pair.step(line)
        ideal, real = pair.ideal["c"], pair.real["c"]
        expect.equal(len(ideal), len(real), f"length after {line}")
        places = range(len(ideal)) if case.kind in LISTS else list(ideal)
        for place in places:
            wanted, found = ideal[place], real[place]
            what = f"c[{place!r}] after {line}"
            if not isinstance(wanted, torch.Tensor) or isinstance(wanted, torch.nn.Parameter):
                expect.same_object(wanted, found, what)
                continue
            expect.that(isinstance(found, torch.nn.Parameter), what, "a Parameter", type(found).__name__)
            expect.equal(memory.storage_address(wanted), memory.storage_address(found), f"address of {what}")
            expect.equal(tuple(wanted.shape), tuple(found.shape), f"shape of {what}")


def same_in_any_order(case: ContainerProgram) -> None:
    """Expect the same items after every line, in any order."""
    pair = Followed(case)
    for line in case.lines:
        pair.step(line)
        expect.equal(sorted(pair.items(pair.ideal)), sorted(pair.items(pair.real)), f"items after {line}")
