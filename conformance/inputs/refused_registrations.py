"""Refused registrations: what a module must not be told, as one line of Python after others that prepare it.

Reference: https://docs.pytorch.org/docs/stable/notes/modules.html#module-state
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class Unready(torch.nn.Module):  # type: ignore[misc]
    """A module that does something before it calls the constructor of Module."""

    def __init__(self, line: str) -> None:
        exec(line, {"m": self, "torch": torch})
        super().__init__()


@dataclass(frozen=True)
class Refusal:
    """A module ``m`` after the lines of ``ready``, and a line that it must refuse with an exception of ``kind``."""

    ready: tuple[str, ...]
    line: str
    kind: str

    def build(self) -> torch.nn.Module:
        """The module."""
        module = torch.nn.Module()
        self.run(module, *self.ready)
        return module

    def run(self, module: torch.nn.Module, *lines: str) -> None:
        """Execute lines on the module."""
        for line in lines:
            exec(line, {"m": module, "torch": torch})

    def error(self) -> type[Exception]:
        """The exception that the line has to raise."""
        kinds: dict[str, type[Exception]] = {
            "TypeError": TypeError, "KeyError": KeyError, "AttributeError": AttributeError, "ValueError": ValueError,
            "any": Exception,
        }  # fmt: skip
        return kinds[self.kind]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"refused": self.line}

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join(["m = torch.nn.Module()", *self.ready, self.line])


@dataclass(frozen=True)
class EarlyLine(Refusal):
    """A line before the constructor of Module has run."""

    def code(self) -> str:
        """The same in plain torch."""
        lines = ["class Early(torch.nn.Module):", "    def __init__(m):", f"        {self.line}"]
        return "\n".join([*lines, "        super(Early, m).__init__()", "Early()"])


PARAMETER = "torch.nn.Parameter(torch.ones(2))"
NOT_PARAMETERS = ("torch.ones(2)", "1.5", "'x'", "[1]", "torch.ones(2, requires_grad=True)", "torch.ones(())", "False")
NOT_BUFFERS = ("1.5", "'x'", "[torch.ones(1)]", "(1,)", "False", "0")
REGISTRARS = {
    "register_parameter": PARAMETER, "register_buffer": "torch.ones(2)", "add_module": "torch.nn.Module()",
}  # fmt: skip
TAKEN = {
    "register_parameter": ("m.a = torch.ones(2)", "m.register_buffer('a', torch.ones(2))", "m.a = torch.nn.Module()"),
    "register_buffer": ("m.a = 1", f"m.a = {PARAMETER}", "m.a = torch.nn.Module()"),
    "add_module": ("m.a = 'x'", f"m.a = {PARAMETER}", "m.register_buffer('a', torch.ones(2))"),
}


def assigned_to_parameters(cell: Cell) -> Inputs:
    """What is no Parameter, assigned to a name of one and of a None."""
    names = (f"m.a = {PARAMETER}", "m.register_parameter('a', None)", f"m.register_parameter('a', {PARAMETER})")
    emptied = (f"m.a = {PARAMETER}", "m.a = None")
    ready = [(name,) for name in names] + [emptied]
    return Inputs([Refusal(lines, f"m.a = {value}", "TypeError") for lines in ready for value in NOT_PARAMETERS])


def assigned_to_others(cell: Cell) -> Inputs:
    """What is no tensor, assigned to a buffer's name, and what is no module, to a submodule's."""
    names = ("m.register_buffer('a', torch.ones(2))", "m.register_buffer('a', None)", "m.a = torch.nn.Module()")
    found = [Refusal((name,), f"m.a = {value}", "TypeError") for name in names for value in NOT_BUFFERS]
    return Inputs([*found, *(Refusal((names[2],), f"m.a = {value}", "TypeError") for value in ("torch.ones(2)",))])


def before_init(cell: Cell) -> Inputs:
    """What is assigned and registered before the constructor of Module has run."""
    lines = [f"m.a = {value}" for value in (PARAMETER, "torch.nn.Linear(1, 1)")]
    lines += [f"m.{name}('a', {value})" for name, value in REGISTRARS.items() if name != "add_module"]
    return Inputs([EarlyLine((), line, "AttributeError") for line in lines])


def bad_names(cell: Cell) -> Inputs:
    """Names that are empty, have a dot, or are taken by something else."""
    found = []
    for name, value in REGISTRARS.items():
        found += [Refusal((), f"m.{name}({bad!r}, {value})", "KeyError") for bad in ("", "a.b", ".", "a.")]
        found += [Refusal((), f"m.{name}({bad!r}, None)", "KeyError") for bad in ("", "a.b")]
        found += [Refusal((ready,), f"m.{name}('a', {value})", "KeyError") for ready in TAKEN[name]]
        found += [
            Refusal((), f"m.{name}({bad!r}, {value})", "KeyError") for bad in ("forward", "parameters", "training")
        ]
    return Inputs(found)


def other_kinds(cell: Cell) -> Inputs:
    """Things of another kind, and names that are no strings."""
    found = []
    for name, value in REGISTRARS.items():
        bad = {"register_parameter": NOT_PARAMETERS[:4], "add_module": ("torch.ones(2)", "torch.nn.Linear", "1")}
        found += [Refusal((), f"m.{name}('a', {x})", "TypeError") for x in bad.get(name, NOT_BUFFERS)]
        found += [Refusal((), f"m.{name}({x}, {value})", "TypeError") for x in ("1", "None", "b'a'")]
    return Inputs(found)


def with_history(cell: Cell) -> Inputs:
    """Parameters that are the results of an operation."""
    made = ("(torch.ones(2, requires_grad=True) * 1).as_subclass(torch.nn.Parameter)",)
    return Inputs([Refusal((), f"m.register_parameter('a', {value})", "ValueError") for value in made])


def wrong_modes(cell: Cell) -> Inputs:
    """What is no bool, given to train."""
    ready = "m.a = torch.nn.Module()"
    return Inputs(
        [Refusal((ready,), f"m.train({value})", "ValueError") for value in ("1", "0", "None", "'eval'", "1.0")]
    )
