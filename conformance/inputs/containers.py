"""Containers: programs of a few lines that a container of torch.nn and a plain list or dict execute alike.

In a line ``c`` is the container (or its model), ``v`` a list of things to put into it, ``r`` what the line gives.
Reference: https://docs.pytorch.org/docs/stable/nn.html#containers
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_listings import ADDING
from conformance.inputs.registrations import compiled_action

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

THING_COUNT = 8
INDICES = ("0", "1", "2", "-1", "-2", "5", "-6")
SLICES = ("0:2", "1:", ":-1", "::2", "::-1", "1:1", "-2:", "7:", ":", "3:0:-2")
MODULE_LIST_LINES = (
    "c.append(v[{n}])", "c.extend([v[{n}], v[{k}]])", "c.extend(v[i] for i in ({n}, {k}))", "c.insert(0, v[{n}])",
    "c.insert(len(c), v[{n}])", "c.insert(len(c) // 2, v[{n}])", "c[{i}] = v[{n}]", "del c[{i}]", "del c[{s}]",
    "r = c.pop({i})", "r = c[{i}]", "r = list(c[{s}])", "c += [v[{n}], v[{k}]]", "c = c + [v[{n}]]", "c = c[{s}]",
    "r = len(c)", "r = v[{n}] in c", "r = list(reversed(c))", "r = list(c)", "c.append(v[{n}])",
)  # fmt: skip
SEQUENTIAL_LINES = (
    "c.append(v[{n}])", "c.insert(0, v[{n}])", "c.insert(len(c) // 2, v[{n}])", "c[{i}] = v[{n}]", "del c[{i}]",
    "del c[{s}]", "r = c.pop({i})", "r = c[{i}]", "r = list(c[{s}])", "r = len(c)", "r = list(c)",
    "c.append(v[{n}])", "c.extend([v[{n}], v[{k}]])", "c.insert(-1, v[{n}]) if len(c) else None",
    "c.insert(-2, v[{n}]) if len(c) > 1 else None",
)  # fmt: skip
PARAMETER_LIST_LINES = (
    "c.append(v[{n}])", "c.extend([v[{n}], v[{k}]])", "c.extend((v[{n}],))", "c[{i}] = v[{n}]", "r = c[{i}]",
    "r = list(c[{s}])", "c += [v[{n}], v[{k}]]", "r = len(c)", "r = list(c)", "c = c[{s}]", "c.append(v[{n}])",
    "r = list(reversed(c))",
)  # fmt: skip
KEYS = ("a", "b", "c", "0", "weight")
MODULE_DICT_LINES = (
    "c[{a!r}] = v[{n}]", "c[{a!r}] = v[{n}]", "del c[{a!r}]", "r = c.pop({a!r})", "r = c[{a!r}]", "r = {a!r} in c",
    "r = list(c)", "r = list(c.keys())", "r = list(c.values())", "r = list(c.items())", "r = len(c)", "c.clear()",
    "c.update(OrderedDict([({a!r}, v[{n}]), ({b!r}, v[{k}])]))", "c.update([({a!r}, v[{n}]), ({b!r}, v[{k}])])",
    "c.update({{{a!r}: v[{n}], {b!r}: v[{k}]}})", "c[{b!r}] = v[{k}]",
    "c.update({{'x': v[{n}], {a!r}: v[{k}], 'y': v[0]}})",
)  # fmt: skip
ORDERED_LINES = (
    "c[{a!r}] = v[{n}]", "c.update(OrderedDict([({a!r}, v[{n}]), ({b!r}, v[{k}])]))",
    "c.update([({a!r}, v[{n}]), ({b!r}, v[{k}])])", "c.update({{{a!r}: v[{n}], {b!r}: v[{k}]}})",
    "c = type(c)(OrderedDict([({a!r}, v[{n}]), ({b!r}, v[{k}])]))", "c = type(c)([({a!r}, v[{n}]), ({b!r}, v[{k}])])",
    "c = type(c)({{{a!r}: v[{n}], {b!r}: v[{k}]}})", "d = type(c)([({a!r}, v[{n}])]); d[{b!r}] = v[{k}]; c.update(d)",
    "del c[{a!r}]",
)  # fmt: skip
PARAMETER_DICT_LINES = (
    "c[{a!r}] = v[{n}]", "c[{b!r}] = v[{k}]", "del c[{a!r}]", "r = {a!r} in c and c.pop({a!r})", "r = c.popitem()",
    "r = {a!r} in c and c[{a!r}]",
    "r = {a!r} in c", "r = list(c)", "r = list(reversed(c))", "r = list(c.values())", "r = list(c.items())",
    "r = c.get({a!r})", "r = c.get({a!r}, 7)", "r = c.setdefault({a!r}, v[{n}])", "c.clear()", "r = list(c.keys())",
    "c.update(OrderedDict([({a!r}, v[{n}]), ({b!r}, v[{k}])]))", "c.update([({a!r}, v[{n}]), ({b!r}, v[{k}])])",
    "c = c.copy()", "r = c.copy() is c",
    "d = c.copy(); d[{a!r}] = v[{n}]; d['new'] = v[{k}]; r = list(c.values())", "r = len(c)",
    "c |= type(c)([({a!r}, v[{n}])])", "c = c | type(c)([({a!r}, v[{n}])])",
)  # fmt: skip
PLAIN_DICT_LINES = (
    "c.update({{{a!r}: v[{n}], {b!r}: v[{k}]}})", "c = type(c)({{{a!r}: v[{n}], {b!r}: v[{k}], 'x': v[0]}})",
    "c[{a!r}] = v[{n}]",
)  # fmt: skip
NO_MODULES = ("1", "torch.ones(1)", "torch.nn.Parameter(torch.ones(1))", "torch.nn.Linear")
ASSIGNED_PARAMETER = "c[0] = torch.nn.Parameter(torch.ones(1))"
LISTS = ("ModuleList", "Sequential", "ParameterList")


@dataclass(frozen=True)
class ContainerProgram:
    """A container of ``kind`` that begins with the first ``start`` things, and the lines that it executes.

    ``things``: modules, parameters, or others (Parameters, tensors and objects of Python in turn).
    """

    kind: str
    lines: tuple[str, ...]
    start: int = 3
    things: str = "modules"
    device: str = "cpu"

    def values(self) -> list[Any]:
        """The things ``v``."""
        if self.things == "modules":
            return [AddingModule(number + 1) for number in range(THING_COUNT)]
        made: list[Any] = [torch.nn.Parameter(torch.ones(n + 1, device=self.device)) for n in range(THING_COUNT)]
        if self.things == "mixed":
            made[1:7:3] = [torch.full((2, 1), 5.0, device=self.device), torch.zeros((), device=self.device)]
            made[2:8:3] = [7, "text"]
        return made

    def made(self, values: list[Any]) -> Any:
        """The container."""
        first = values[: self.start]
        named = list(zip(KEYS, first, strict=False))
        if self.kind == "Sequential":
            return torch.nn.Sequential(*first)
        return getattr(torch.nn, self.kind)(first if self.kind in LISTS else named)

    def model(self, values: list[Any]) -> Any:
        """The list or dict that it should be like."""
        first = values[: self.start]
        return list(first) if self.kind in LISTS else dict(zip(KEYS, first, strict=False))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"containers": self.kind, "things": self.things, "lines": list(self.lines)[:3]}

    def reductions(self) -> Iterator[ContainerProgram]:
        """Fewer lines, and fewer things to begin with."""
        for number in range(len(self.lines)):
            yield replace(self, lines=self.lines[:number] + self.lines[number + 1 :])
        if self.start:
            yield replace(self, start=self.start - 1)

    def code(self) -> str:
        """The same in plain torch."""
        thing = (
            "Adding(n + 1)"
            if self.things == "modules"
            else f"torch.nn.Parameter(torch.ones(n + 1, device={self.device!r}))"
        )
        first = f"v[:{self.start}]" if self.kind in LISTS else f"list(zip({KEYS}, v[:{self.start}]))"
        first = f"*{first}" if self.kind == "Sequential" else first
        head = [ADDING] if self.things == "modules" else []
        head.append(f"v = [{thing} for n in range({THING_COUNT})]")
        if self.things == "mixed":
            place = f"device={self.device!r}"
            head.append(f"v[1:7:3] = [torch.full((2, 1), 5.0, {place}), torch.zeros((), {place})]")
            head.append("v[2:8:3] = [7, 'text']")
        shown = [line + "; print(r)" * (line.startswith("r = ") or "; r = " in line) for line in self.lines]
        # a list or dict raises there, too, and the next line follows
        early = [f"with suppress(IndexError, KeyError, AttributeError):\n    {line}" for line in shown[:-1]]
        imports = ["from collections import OrderedDict", *["from contextlib import suppress"] * bool(early)]
        made = f"c = torch.nn.{self.kind}({first})"
        return "\n".join([*imports, *head, made, *early, *shown[-1:], "print(c)"])


def add_and_double(self: Any, x: Any) -> Any:
    """Two modules in another order give another result."""
    return x * 2 + self.number


class AddingModule(torch.nn.Module):  # type: ignore[misc]
    """x * 2 + number."""

    forward = add_and_double

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def executed_line(line: str, space: dict[str, Any]) -> Any:
    """Execute a line; what it left in ``r``, or the exception that a list or dict may raise."""
    space.pop("r", None)
    try:
        exec(compiled_action(line), space)
    except (IndexError, KeyError, AttributeError) as error:
        return type(error)
    return space.get("r")


def container_space(container: Any, values: list[Any]) -> dict[str, Any]:
    """The names that a line may use."""
    return {"c": container, "v": values, "OrderedDict": OrderedDict}


# --- sources ----------------------------------------------------------------------------------------------------


@cache
def _programs(
    kind: str, templates: tuple[str, ...], things: str, count: int, device: str
) -> tuple[ContainerProgram, ...]:
    draw = random.Random(len(templates))
    found = [
        ContainerProgram(kind, (_filled(template, draw),), start, things, device)
        for template in dict.fromkeys(templates)
        for start in (0, 1, 4)
    ]
    indexed = [template for template in dict.fromkeys(templates) if "{i}" in template]
    found += [
        ContainerProgram(kind, (_filled(template.replace("{i}", index), draw),), 3, things, device)
        for template in indexed
        for index in INDICES
    ]
    for _ in range(count):
        lines = tuple(_filled(draw.choice(templates), draw) for _ in range(draw.randrange(3, 10)))
        found.append(ContainerProgram(kind, lines, draw.randrange(5), things, device))
    return tuple(found)


def _filled(template: str, draw: random.Random) -> str:
    return template.format(
        n=draw.randrange(THING_COUNT), k=draw.randrange(THING_COUNT), i=draw.choice(INDICES), s=draw.choice(SLICES),
        a=draw.choice(KEYS), b=draw.choice(KEYS),
    )  # fmt: skip


def container_inputs(cell: Cell, kind: str, templates: tuple[str, ...], things: str, count: int = 40) -> Inputs:
    """Each template on containers of no, one and four things; programs by chance, and others drawn."""
    from hypothesis import strategies as st

    device = cell.target.device
    line = st.builds(
        filled_line, st.sampled_from(templates), st.integers(0, THING_COUNT**2 - 1), st.sampled_from(INDICES),
        st.sampled_from(SLICES), st.sampled_from(KEYS), st.sampled_from(KEYS),
    )  # fmt: skip
    drawn = st.lists(line, max_size=8).map(tuple)
    program = st.builds(
        ContainerProgram, st.just(kind), drawn, st.integers(0, 4), st.just(things), st.just(device)
    )  # fmt: skip
    return Inputs(_programs(kind, templates, things, count, device), program)


def filled_line(template: str, numbers: int, index: str, piece: str, key: str, other: str) -> str:
    """A template with its places filled."""
    n, k = divmod(numbers, THING_COUNT)
    return template.format(n=n, k=k, i=index, s=piece, a=key, b=other)


def module_lists(cell: Cell) -> Inputs:
    """Programs of a ModuleList."""
    return container_inputs(cell, "ModuleList", MODULE_LIST_LINES, "modules", 80)


def sequentials(cell: Cell) -> Inputs:
    """Programs of a Sequential, and each slice of it."""
    found = container_inputs(cell, "Sequential", SEQUENTIAL_LINES, "modules")
    slices = [ContainerProgram("Sequential", (f"r = list(c[{piece}])",), 4) for piece in SLICES]
    return Inputs([*found.corners, *slices], found.samples)


def module_dicts(cell: Cell) -> Inputs:
    """Programs of a ModuleDict."""
    return container_inputs(cell, "ModuleDict", MODULE_DICT_LINES, "modules", 80)


def ordered_module_dicts(cell: Cell) -> Inputs:
    """Updates and constructions of a ModuleDict."""
    return container_inputs(cell, "ModuleDict", ORDERED_LINES, "modules")


def parameter_lists(cell: Cell) -> Inputs:
    """Programs of a ParameterList of Parameters, and a generator that it is extended with."""
    found = container_inputs(cell, "ParameterList", PARAMETER_LIST_LINES, "parameters")
    line = "c.extend(v[i] for i in (5, 6))"
    device = cell.target.device
    more = [ContainerProgram("ParameterList", (line,), start, "parameters", device) for start in (0, 3)]
    return Inputs([*found.corners, *more], found.samples)


def mixed_parameter_lists(cell: Cell) -> Inputs:
    """Programs of a ParameterList of Parameters, tensors and other objects; nothing but a like thing is replaced."""
    lines = tuple(line for line in PARAMETER_LIST_LINES if "c[{i}] =" not in line)
    return container_inputs(cell, "ParameterList", (*lines, "c[0] = v[{n}] if {n} % 3 < 2 else c[0]"), "mixed")


def parameter_dicts(cell: Cell) -> Inputs:
    """Programs of a ParameterDict of Parameters."""
    return container_inputs(cell, "ParameterDict", PARAMETER_DICT_LINES, "parameters", 80)


def mixed_parameter_dicts(cell: Cell) -> Inputs:
    """New keys of a ParameterDict with Parameters, tensors and other objects."""
    lines = ("c[{a!r} + 'x{n}'] = v[{n}]", "c.update(OrderedDict([({a!r} + 'y{n}', v[{n}])]))",
             "c.update([({a!r} + 'z{n}', v[{n}]), ({b!r} + 'w{k}', v[{k}])])")  # fmt: skip
    return container_inputs(cell, "ParameterDict", lines, "mixed")


def plain_parameter_dicts(cell: Cell) -> Inputs:
    """Updates and constructions with plain dicts."""
    return container_inputs(cell, "ParameterDict", PLAIN_DICT_LINES, "parameters")


@dataclass(frozen=True)
class OneLine:
    """One line on a ContainerProgram that begins with three things."""

    program: ContainerProgram
    line: str

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"containers": self.program.kind, "lines": self.line}

    def code(self) -> str:
        """The same in plain torch."""
        return f"{self.program.code()}\n{self.line}"


def far_inserts(cell: Cell) -> Inputs:
    """insert at each index from beyond one end to beyond the other."""
    return Inputs([
        ContainerProgram("ModuleList", (f"c.insert({index}, v[7])", "r = c[-1]", "c.append(v[6])"), start)
        for start in (0, 1, 3)
        for index in (-1, -2, -3, -9, start + 1, start + 7)
    ])  # fmt: skip


def no_modules(cell: Cell) -> Inputs:
    """What is no module, given to a ModuleList in each way."""
    lines = ("c.append({})", "c.extend([{}])", "c[0] = {}", "torch.nn.ModuleList([{}])", "c += [{}]")
    things = NO_MODULES
    program = ContainerProgram("ModuleList", ())
    found = [OneLine(program, line.format(thing)) for line in lines for thing in things]
    found = [one for one in found if one.line != ASSIGNED_PARAMETER]
    return Inputs([*found, OneLine(program, "c.extend(v[0])"), OneLine(program, "c.extend(3)")])


def inserted_no_modules(cell: Cell) -> Inputs:
    """What is no module, inserted into a ModuleList."""
    program = ContainerProgram("ModuleList", ())
    lines = [f"c.insert({place}, {thing})" for place in (1, 0, 3) for thing in NO_MODULES]
    return Inputs([OneLine(program, line) for line in (*lines, ASSIGNED_PARAMETER)])


def changed_slices(cell: Cell) -> Inputs:
    """A slice of a Sequential that is appended to, extended, inserted into and shortened."""
    changes = ("c.append(v[5])", "c.extend([v[5], v[6]])", "c.insert(0, v[5])", "del c[0]", "c[0] = v[5]", "c.pop(-1)")
    pieces = ("1:", "::2", "-1:", "2:0:-1")
    return Inputs([ContainerProgram("Sequential", (f"c = c[{piece}]", one), 4) for piece in pieces for one in changes])


def missing_keys(cell: Cell) -> Inputs:
    """Keys that are not there, of which some are attributes of every module."""
    lines = ("r = c[{!r}]", "r = c.pop({!r})")
    keys = ("z", "weight", "training", "forward", "")
    return Inputs(
        [ContainerProgram("ParameterDict", (line.format(key),), 3, "parameters") for line in lines for key in keys]
    )


def other_items(cell: Cell, kind: str, place: str) -> Inputs:
    """A Parameter replaced by something else, in the middle of a container."""
    device = cell.target.device
    values = ("7", "'text'", "None", "[1]", "v[3]", "(v[4],)", "{'k': 1}")
    return Inputs([ContainerProgram(kind, (f"c[{place}] = {value}",), 3, "parameters", device) for value in values])


def other_list_items(cell: Cell) -> Inputs:
    """A Parameter in a list replaced by something else."""
    return other_items(cell, "ParameterList", "1")


def other_dict_items(cell: Cell) -> Inputs:
    """A Parameter in a dict replaced by something else."""
    return other_items(cell, "ParameterDict", "'b'")


@dataclass(frozen=True)
class NamedChain:
    """A Sequential made of an OrderedDict with these names, of modules with these numbers."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]

    def build(self) -> tuple[torch.nn.Sequential, list[Any]]:
        """The container, and its modules."""
        modules = [AddingModule(number) for number in self.numbers]
        return torch.nn.Sequential(OrderedDict(zip(self.names, modules, strict=True))), modules

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"names": ", ".join(self.names)}

    def code(self) -> str:
        """The same in plain torch."""
        made = f"modules = [Adding(number) for number in {self.numbers}]"
        act = f"c = torch.nn.Sequential(OrderedDict(zip({self.names}, modules)))"
        return "\n".join(["from collections import OrderedDict", ADDING, made, act, "print(list(c.named_children()))"])


def named_chains(cell: Cell) -> Inputs:
    """Names in several orders, digits among them."""
    names = (("a",), ("b", "a"), ("1", "0"), ("conv", "act", "b"), ("z", "y", "x", "w"), ("10", "9", "2", "1"), ())
    return Inputs([NamedChain(one, tuple(range(1, len(one) + 1))) for one in names])
