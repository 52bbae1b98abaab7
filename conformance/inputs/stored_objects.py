"""Stored objects: containers, objects of a user's classes, modules and the state of optimizers, in a file.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html#saving-and-loading-tensors
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.frozen_modules import generator_kept
from conformance.inputs.stored_files import OPEN_ROUTES, PLAIN, ROUTES, Route

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Everything that is loaded without being trusted: numbers, strings, tensors, lists, tuples, dictionaries.
TRUSTED_OBJECTS = (
    "None",
    "True",
    "False",
    "0",
    "-3",
    "2**31",
    "2**70",
    "-2**63",
    "'é\\x00\\n'",
    "''",
    "[]",
    "()",
    "{}",
    "(1,)",
    "(1, 2, 3, 4, 5)",
    "[[], [()], {}]",
    "[(1, 'a'), (), [2]]",
    "([1], (2,), {3: 4})",
    "{1: {2: {3: [None]}}, 'a': (True, False)}",
    "{(1, 2): 3, 'k': -1}",
    "list(range(300))",
    "'k' * 300",
    "{'t': torch.arange(3), 'n': [torch.zeros(0), (torch.tensor(1.5),)]}",
    "['a', 'a', 'a']",
    "collections.OrderedDict([('b', 1), ('a', torch.ones(2))])",
    "{'z': 1, 'y': 2, 'x': [3]}",
    "[torch.ones(1)] * 2",
    "torch.Size([2, 3])",
    "torch.float32",
    "{'dtype': torch.int64}",
    "torch.nn.Parameter(torch.ones(2))",
)
TRUSTED_FLOATS = (
    "0.5",
    "-0.0",
    "float('nan')",
    "float('-inf')",
    "1e-310",
    "[1.5, {'a': (2.5,)}]",
    "{'lr': 0.1, 'betas': (0.9, 0.999)}",
)
OTHER_OBJECTS = (
    "b'a\\x00\\xff'",
    "bytearray(b'ab')",
    "{1, 2}",
    "frozenset({1})",
    "1+2j",
    "complex('nan')",
    "slice(1, 2)",
    "range(3)",
    "collections.Counter('aab')",
    "collections.deque([1, 2])",
    "torch.device('cpu')",
    "torch.strided",
    "...",
    "{'t': {torch.float16: b'x'}}",
    "[StoredPair(torch.ones(2), [1.5])]",
    "StoredPair(StoredPair(None, {1}), torch.zeros(0))",
    "StoredColor.RED",
    "{'named': StoredPoint(1, torch.ones(1))}",
    "StoredPair",
)


class StoredPair:
    """A class of a user, with tensors in its attributes."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def __eq__(self, other: Any) -> bool:
        return type(other) is StoredPair and repr(vars(self)) == repr(vars(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StoredPair({self.first!r}, {self.second!r})"


StoredPoint = collections.namedtuple("StoredPoint", ["x", "y"])


class StoredColor(enum.Enum):
    """An enumeration of a user, which is pickled by its value; some Pythons of 3.11 would do it by ``getattr``."""

    RED = 1

    def __reduce_ex__(self, protocol: Any) -> Any:
        return StoredColor, (self.value,)


class StoredNet(torch.nn.Module):  # type: ignore[misc]
    """A module of a user: a tied parameter, buffers of both kinds, an attribute, and a part in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 3)
        self.norm = torch.nn.BatchNorm1d(3).eval()
        self.last = torch.nn.Linear(3, 3, bias=False)
        self.last.weight = self.first.weight
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("scratch", torch.tensor([1.0, 2.0]), persistent=False)
        self.register_parameter("missing", None)
        self.note = {"name": "net"}

    def forward(self, x: Any) -> Any:
        """Through all three."""
        return self.last(self.norm(self.first(x)))


# What people need beside an expression that names one of these.
STORED_SOURCES = {
    "StoredPair": """class StoredPair:
    def __init__(self, first, second):
        self.first, self.second = first, second
""",
    "StoredPoint": "StoredPoint = collections.namedtuple('StoredPoint', ['x', 'y'])\n",
    "StoredColor": """class StoredColor(__import__("enum").Enum):
    RED = 1

    def __reduce_ex__(self, protocol):
        return StoredColor, (self.value,)
""",
    "StoredNet": """class StoredNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 3)
        self.norm = torch.nn.BatchNorm1d(3).eval()
        self.last = torch.nn.Linear(3, 3, bias=False)
        self.last.weight = self.first.weight
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("scratch", torch.tensor([1.0, 2.0]), persistent=False)
        self.register_parameter("missing", None)
        self.note = {"name": "net"}
""",
    "Tripwire": """class Tripwire:
    def __reduce__(self):
        return print, ("called",)
""",
    "groups": """first, second = (torch.nn.Parameter(torch.ones(count)) for count in (3, 2))
groups = [{"params": [first]}, {"params": [second], "lr": 0.05}]
""",
}


def stored_sources(expression: str) -> list[str]:
    """The imports and classes that an expression needs, in plain Python."""
    needed = [source for name, source in STORED_SOURCES.items() if name in expression]
    return ["import collections", "import torch", *needed]


@dataclass(frozen=True)
class StoredObject:
    """An expression that makes what is saved, and the route that it takes."""

    expression: str
    route: Route = PLAIN
    device: str = "cpu"

    def __repr__(self) -> str:
        device = f", device={self.device!r}" if self.device != "cpu" else ""
        return f"StoredObject({self.expression!r}, {self.route!r}{device})"

    def build(self) -> Any:
        """The object."""
        return eval(
            self.expression,
            {
                "torch": torch,
                "collections": collections,
                "device": self.device,
                "StoredPair": StoredPair,
                "StoredPoint": StoredPoint,
                "StoredColor": StoredColor,
                "StoredNet": StoredNet,
            },
        )

    def module(self) -> Any:
        """The module of the expression, on the device, with its parameters drawn from a generator that is put back."""
        with generator_kept(self.device):
            return self.build().to(self.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": self.expression[:60], "routes": self.route.words()}

    def reductions(self) -> Iterator[StoredObject]:
        """A plainer route."""
        for plain in (PLAIN, Route(weights_only=False)):
            if self.route != plain:
                yield replace(self, route=plain)

    @property
    def made(self) -> list[str]:
        """What is made of the object before it is saved, in plain torch."""
        return []

    def code(self) -> str:
        """The round trip in plain torch."""
        return "\n".join([*stored_sources(self.expression), f"x = {self.expression}", *self.made, *self.route.lines()])


def _listed_objects(expressions: tuple[str, ...], routes: tuple[Route, ...], device: str = "cpu") -> Inputs:
    return Inputs([StoredObject(text, route, device) for text, route in covering(expressions, routes)])


def _nested_objects(leaves: tuple[str, ...], routes: tuple[Route, ...]) -> Any:
    """Samples: lists, tuples and dictionaries of the leaves, nested as deep as they come."""
    from hypothesis import strategies as st

    trees = st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: f"({', '.join(parts)},)"),
            st.lists(inner, max_size=2).map(
                lambda parts: "{" + ", ".join(f"{k}: {p}" for k, p in enumerate(parts)) + "}"
            ),
        ),
        max_leaves=6,
    )
    return st.builds(StoredObject, trees, st.sampled_from(routes))


def trusted_objects(cell: Cell) -> Inputs:
    """Primitive objects and tensors in lists, tuples and dictionaries."""
    return Inputs(_listed_objects(TRUSTED_OBJECTS, ROUTES[:4]).corners, _nested_objects(TRUSTED_OBJECTS, ROUTES))


def trusted_floats(cell: Cell) -> Inputs:
    """Floating-point numbers, which the state of every optimizer holds."""
    return _listed_objects(TRUSTED_FLOATS, ROUTES[:2])


def protocols(cell: Cell) -> Inputs:
    """Every protocol that torch can load."""
    routes = tuple(Route(weights_only=False, protocol=number) for number in (2, 3, 4, 5))
    return _listed_objects((*TRUSTED_OBJECTS[:8], *OTHER_OBJECTS[:4], "torch.ones(2, 3).t()"), routes)


def other_objects(cell: Cell) -> Inputs:
    """Whatever else can be pickled, where every class is loaded."""
    return _listed_objects((*OTHER_OBJECTS, *TRUSTED_OBJECTS[::3], *TRUSTED_FLOATS), OPEN_ROUTES)


STORED_MODULES = (
    "torch.nn.Linear(2, 3)",
    "StoredNet()",
    "torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2), StoredNet())",
    "StoredNet().eval()",
    "torch.nn.ModuleDict({'a': StoredNet(), 'b': torch.nn.Embedding(3, 2)}).double()",
    "torch.nn.Linear(2, 3).requires_grad_(False)",
    "torch.nn.LSTM(2, 3, 2)",
    "torch.nn.ParameterList([torch.ones(2), torch.zeros(())])",
    "torch.nn.Linear(0, 3)",
    "torch.nn.BatchNorm1d(3, track_running_stats=True)",
    "torch.nn.Linear(2, 3, dtype=torch.bfloat16)",
    "torch.nn.Linear(2, 3).to(memory_format=torch.contiguous_format)",
    "torch.nn.Module()",
)


def stored_modules(cell: Cell) -> Inputs:
    """Whole modules, which need every class to be loaded."""
    return _listed_objects(STORED_MODULES, OPEN_ROUTES[:2], cell.target.device)


@dataclass(frozen=True)
class StoredState(StoredObject):
    """A module or an optimizer, whose state is kept."""

    @property
    def made(self) -> list[str]:
        """The state, after a step where it is that of an optimizer."""
        step = ["first.grad, second.grad = torch.ones(3), torch.ones(2)", "x.step()"]
        return [*step * ("torch.optim" in self.expression), "x = x.state_dict()"]


def stored_states(cell: Cell) -> Inputs:
    """The state dictionaries of modules."""
    rows = covering(STORED_MODULES, ROUTES[:3])
    return Inputs([StoredState(text, route, cell.target.device) for text, route in rows])


STORED_OPTIMIZERS = (
    "torch.optim.SGD(groups, lr=0.1, momentum=0.9)",
    "torch.optim.Adam(groups, lr=0.1)",
    "torch.optim.AdamW(groups, lr=0.1, amsgrad=True)",
    "torch.optim.Adagrad(groups, lr=0.1)",
    "torch.optim.RMSprop(groups, lr=0.1, centered=True)",
    "torch.optim.Rprop(groups)",
)


def stored_optimizers(cell: Cell) -> Inputs:
    """Optimizers with two groups."""
    rows = covering(STORED_OPTIMIZERS, ROUTES[:2])
    return Inputs([StoredState(text, route, cell.target.device) for text, route in rows])


def optimizer_of(case: StoredObject) -> tuple[Any, list[torch.Tensor]]:
    """The optimizer over two groups of parameters, and these; the second group has a rate of its own."""
    data = ([1.0, -2.0, 0.5], [[3.0]], [0.25, 4.0])
    parameters = [torch.nn.Parameter(torch.tensor(row, device=case.device)) for row in data]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.05}]
    return eval(case.expression, {"torch": torch, "groups": groups}), parameters


def optimizer_steps(optimizer: Any, parameters: list[torch.Tensor], count: int) -> None:
    """So many steps down the square of every parameter."""
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = parameter.detach() * 2
        optimizer.step()
