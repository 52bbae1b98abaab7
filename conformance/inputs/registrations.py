"""Registrations: histories of a few modules that get parameters, buffers and submodules, and lose them again.

A history is a list of actions on the modules ``m``, the parameters ``p`` and the tensors ``t``. An action that no page
gives a meaning in the state reached is left out, so that any list of actions is a history.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.looks import looked_at
from conformance.oracles.module_model import ModuleModel

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

MODULE_COUNT = 6
PART_COUNT = 6
ATTRIBUTES = ("a", "b", "c", "weight")
REGISTERED_LINES = {
    "parameter": "m[{0}].{2} = p[{1}]",
    "register_parameter": "m[{0}].register_parameter({2!r}, p[{1}])",
    "no_parameter": "m[{0}].register_parameter({2!r}, None)",
    "buffer": "m[{0}].register_buffer({2!r}, t[{1}])",
    "transient": "m[{0}].register_buffer({2!r}, t[{1}], persistent=False)",
    "no_buffer": "m[{0}].register_buffer({2!r}, None)",
    "tensor": "m[{0}].{2} = t[{1}]",
    "module": "m[{0}].{2} = m[{1}]",
    "add_module": "m[{0}].add_module({2!r}, m[{1}])",
    "none": "m[{0}].{2} = None",
    "delete": "del m[{0}].{2}",
}
REGISTERING = (
    "parameter", "register_parameter", "parameter", "buffer", "transient", "module", "add_module", "module", "module",
    "tensor", "no_parameter", "no_buffer", "none", "delete", "parameter", "buffer",
)  # fmt: skip
PART_TYPES_ALL = ("float32", "float64", "float16", "complex64", "bfloat16", "float32")
TENSOR_TYPES_ALL = ("float64", "int64", "bool", "float32", "complex128", "uint8")


@dataclass(frozen=True)
class Registration:
    """Modules that are told in turn what they have; ``m[0]`` is the root that is looked at."""

    actions: tuple[tuple[str, int, int, str], ...]
    parameters: tuple[str, ...] = ("float32",) * PART_COUNT
    tensors: tuple[str, ...] = ("float32",) * PART_COUNT
    device: str = "cpu"
    look: str = "print(m[0], m[0].state_dict())"  # how the listing looks at the root

    def model(self) -> ModuleModel:
        """What the modules have in the end."""
        return self._followed()[1]

    def lines(self) -> list[str]:
        """The actions that have a meaning, as lines of Python."""
        return self._followed()[0]

    def _followed(self) -> tuple[list[str], ModuleModel]:
        model, lines = ModuleModel(MODULE_COUNT), []
        for name, first, second, attribute in self.actions:
            if model.meant(name, first, second, attribute):
                model.act(name, first, second, attribute)
                lines.append(REGISTERED_LINES[name].format(first, second, attribute))
        return lines, model

    def build(self) -> RegisteredModules:
        """The modules, made anew, after all actions."""
        made = RegisteredModules(
            [torch.nn.Module() for _ in range(MODULE_COUNT)],
            [torch.nn.Parameter(tensor) for tensor in map(self._part, range(PART_COUNT), self.parameters)],
            [self._part(number, dtype) for number, dtype in enumerate(self.tensors)],
        )
        space = {"m": made.m, "p": made.p, "t": made.t}
        for line in self.lines():
            exec(compiled_action(line), space)
        return made

    def _part(self, number: int, dtype: str) -> torch.Tensor:
        return torch.tensor(part_numbers(number, dtype), dtype=getattr(torch, dtype), device=self.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"actions": [action[0] for action in self.actions], "dtypes": sorted({*self.parameters, *self.tensors})}

    def reductions(self) -> Iterator[Registration]:
        """Fewer actions."""
        for number in range(len(self.actions)):
            yield replace(self, actions=self.actions[:number] + self.actions[number + 1 :])

    def code(self) -> str:
        """The same in plain torch."""
        parts, tensors = (
            [
                f"torch.tensor({part_numbers(number, dtype)}, dtype=torch.{dtype}, device={self.device!r})"
                for number, dtype in enumerate(dtypes)
            ]
            for dtypes in (self.parameters, self.tensors)
        )
        return "\n".join([
            f"m = [torch.nn.Module() for _ in range({MODULE_COUNT})]",
            f"p = [{', '.join(f'torch.nn.Parameter({part})' for part in parts)}]",
            f"t = [{', '.join(tensors)}]",
            *self.lines(),
            self.look,
        ])  # fmt: skip


def part_numbers(number: int, dtype: str) -> Any:
    """What a parameter or a tensor holds: a row, two numbers, or one number without dimensions."""
    if ELEMENT_TYPES[dtype].kind not in ("floating", "complex"):
        return [3, number]
    return ([number + 0.5, 1.25], [[number + 1, 0, 2]], number + 0.25)[number % 3]


@dataclass
class RegisteredModules:
    """The modules, parameters and tensors of a history."""

    m: list[torch.nn.Module]
    p: list[torch.nn.Parameter]
    t: list[torch.Tensor]

    @property
    def root(self) -> torch.nn.Module:
        """The module that is looked at."""
        return self.m[0]

    def name_of(self, thing: Any) -> str:
        """What the model calls one of the modules, parameters and tensors."""
        for letter, things in (("m", self.m), ("p", self.p), ("t", self.t)):
            for number, one in enumerate(things):
                if one is thing:
                    return f"{letter}{number}"
        return "None" if thing is None else f"another {type(thing).__name__}"

    def named(self, pairs: Any) -> list[tuple[str, str]]:
        """Pairs of a name and a thing, the thing by its name in the model."""
        return [(name, self.name_of(thing)) for name, thing in pairs]


@cache
def compiled_action(line: str) -> Any:
    """A line of Python, compiled once."""
    return compile(line, line, "exec")


# --- sources ----------------------------------------------------------------------------------------------------

# Shapes of trees that chance seldom makes: a diamond, a module twice in one parent, parameters tied over levels, a
# buffer that is also a plain attribute elsewhere, entries that are None, replaced, removed and put back.
DIAMOND = (("module", 0, 1, "a"), ("module", 0, 2, "b"), ("module", 1, 3, "a"), ("module", 2, 3, "b"),
           ("parameter", 3, 0, "weight"), ("buffer", 3, 1, "c"))  # fmt: skip
CORNER_HISTORIES: tuple[tuple[tuple[str, int, int, str], ...], ...] = (
    (),
    (("parameter", 0, 0, "a"),),
    DIAMOND,
    (*DIAMOND, ("parameter", 0, 0, "c"), ("parameter", 2, 0, "a"), ("buffer", 1, 1, "b")),
    (("module", 0, 1, "a"), ("module", 0, 1, "b"), ("parameter", 1, 2, "a"), ("buffer", 1, 0, "b")),
    (("parameter", 0, 1, "b"), ("parameter", 0, 1, "a"), ("buffer", 0, 0, "c"), ("buffer", 0, 0, "weight")),
    (("module", 0, 1, "a"), ("module", 1, 2, "a"), ("module", 2, 3, "a"), ("module", 3, 4, "a"),
     ("parameter", 4, 0, "a"), ("transient", 4, 2, "b"), ("parameter", 2, 0, "b"), ("buffer", 1, 2, "c")),
    (("module", 0, 2, "a"), ("module", 2, 4, "c"), ("module", 4, 5, "b"), ("parameter", 4, 5, "weight"),
     ("module", 0, 3, "c"), ("module", 3, 4, "b"), ("parameter", 3, 3, "weight"), ("buffer", 3, 4, "c"),
     ("buffer", 4, 3, "a"), ("tensor", 0, 5, "b"), ("tensor", 2, 4, "b")),
    (("parameter", 0, 0, "a"), ("parameter", 0, 1, "b"), ("parameter", 0, 2, "c"), ("delete", 0, 0, "b")),
    (("buffer", 0, 0, "a"), ("buffer", 0, 1, "b"), ("transient", 0, 2, "c"), ("delete", 0, 0, "b")),
    (("module", 0, 1, "a"), ("module", 0, 2, "b"), ("module", 0, 3, "c"), ("delete", 0, 0, "b")),
    (("parameter", 0, 0, "weight"), ("parameter", 0, 1, "c"), ("parameter", 0, 2, "b"), ("parameter", 0, 3, "a")),
    (("module", 0, 1, "c"), ("buffer", 0, 0, "weight"), ("buffer", 0, 1, "a"), ("module", 1, 2, "b"),
     ("module", 2, 3, "a"), ("module", 3, 4, "weight"), ("parameter", 4, 4, "c"), ("parameter", 3, 5, "b"),
     ("buffer", 4, 4, "b"), ("transient", 3, 5, "a"), ("tensor", 3, 2, "c")),
    (("no_parameter", 0, 0, "a"), ("no_buffer", 0, 0, "b"), ("module", 0, 1, "c"), ("none", 0, 0, "c")),
    (("no_parameter", 0, 0, "a"), ("parameter", 0, 2, "a"), ("no_buffer", 0, 0, "b"), ("tensor", 0, 1, "b")),
    (("parameter", 0, 0, "a"), ("none", 0, 0, "a"), ("parameter", 0, 1, "a"), ("delete", 0, 0, "a"),
     ("tensor", 0, 3, "a")),
    (("buffer", 0, 0, "a"), ("parameter", 0, 0, "a"), ("module", 0, 2, "b"), ("parameter", 0, 3, "b")),
    (("parameter", 0, 0, "a"), ("module", 0, 1, "a"), ("tensor", 0, 0, "b"), ("parameter", 0, 2, "b")),
    (("parameter", 0, 0, "a"), ("parameter", 0, 1, "b"), ("parameter", 0, 2, "a"), ("delete", 0, 0, "b"),
     ("parameter", 0, 1, "b"), ("parameter", 0, 3, "c")),
    (("module", 0, 3, "weight"), ("module", 0, 1, "a"), ("module", 0, 2, "b"), ("delete", 0, 0, "a"),
     ("add_module", 0, 4, "a"), ("parameter", 4, 1, "b"), ("parameter", 3, 1, "b")),
    (("transient", 0, 0, "a"), ("buffer", 0, 1, "a"), ("transient", 0, 2, "b"), ("none", 0, 0, "b"),
     ("module", 0, 1, "c"), ("transient", 1, 2, "c"), ("tensor", 1, 3, "c")),
)  # fmt: skip


@cache
def _registered_histories(device: str, count: int, mixed: bool) -> tuple[Registration, ...]:
    draw = random.Random(5)
    lists = list(CORNER_HISTORIES)
    for _ in range(count):
        skeleton = [("module", draw.randrange(n), n, draw.choice(ATTRIBUTES)) for n in range(1, draw.randrange(1, 6))]
        lists.append((*skeleton, *(_drawn_action(draw) for _ in range(draw.randrange(5, 20)))))
    types = [(PART_TYPES_ALL, TENSOR_TYPES_ALL) if mixed else (("float32",) * PART_COUNT,) * 2 for _ in lists]
    return tuple(
        Registration(actions, parts[n % 4 :] + parts[: n % 4], tensors[n % 4 :] + tensors[: n % 4], device)
        for n, (actions, (parts, tensors)) in enumerate(zip(lists, types, strict=True))
    )


def _drawn_action(draw: random.Random) -> tuple[str, int, int, str]:
    name = draw.choice(REGISTERING)
    return name, draw.choice((0, 0, 0, 1, 1, 2, 2, 3, 4)), draw.randrange(PART_COUNT), draw.choice(ATTRIBUTES)


def registrations(cell: Cell) -> Inputs:
    """Fixed histories, some written out and some by chance, and others drawn."""
    from hypothesis import strategies as st

    action = st.tuples(
        st.sampled_from(REGISTERING), st.integers(0, 4), st.integers(0, PART_COUNT - 1), st.sampled_from(ATTRIBUTES)
    )
    drawn = st.lists(action, max_size=12).map(tuple)
    return Inputs(
        _registered_histories(cell.target.device, 30, False),
        st.builds(Registration, drawn, device=st.just(cell.target.device)),
    )


def mixed_registrations(cell: Cell) -> Inputs:
    """The same histories with parameters and tensors of several element types."""
    return Inputs(_registered_histories(cell.target.device, 30, True))


def registrations_looked_at(lines: str) -> Callable[[Cell], Inputs]:
    """The histories, whose listings end with these lines."""
    return looked_at(lines, registrations)
