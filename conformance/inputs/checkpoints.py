"""Checkpoints: functions to be checkpointed, what notes how often they run, and cases that run them.

Reference: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.checkpoint

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import crossed
from conformance.inputs.generators import generator_state_of, generators_put_back
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.regions import REGIONS, Holder
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# --- functions that note their runs ---------------------------------------------------------------------------


class Noted:
    """A function that notes each of its calls: whether gradients were recorded, and the steps that it came through."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.function = function
        self.recording: list[bool] = []
        self.steps: list[str] = []

    def __call__(self, x: torch.Tensor) -> Any:
        self.recording.append(torch.is_grad_enabled())
        if self.function is not None:
            return self.function(x)
        self.steps.append("begin")
        inner = x.sin()
        self.steps.append("middle")
        found = inner.sin()
        self.steps.append("end")
        return found * 1


class Scaled:
    """x times a tensor that is no argument."""

    def __init__(self, factor: torch.Tensor) -> None:
        self.factor = factor

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        found: torch.Tensor = (args[0] * self.factor).sin()
        return found


def plain_sequence(x: torch.Tensor) -> torch.Tensor:
    """checkpoint_sequential without a mode."""
    found: torch.Tensor = torch.utils.checkpoint.checkpoint_sequential([torch.sin, torch.cos], 2, x)
    return found


def five_steps() -> list[Noted]:
    """A sequence of five functions that note their runs."""
    return [Noted(function) for function in (torch.sin, torch.sigmoid, torch.cos, torch.square, torch.sin)]


def sequence(functions: list[Any], segments: int, x: torch.Tensor, mode: str) -> torch.Tensor:
    """The checkpointed sequence."""
    chosen = {"use_reentrant": mode == "reentrant"} if len(modes_of_sequences()) > 1 else {}
    found: torch.Tensor = torch.utils.checkpoint.checkpoint_sequential(functions, segments, x, **chosen)
    return found


def modes_of_sequences() -> tuple[str, ...]:
    """Both modes; the reentrant one alone where checkpoint_sequential has no argument for it."""
    taken = inspect.signature(torch.utils.checkpoint.checkpoint_sequential).parameters
    return ("reentrant", "non-reentrant") if "use_reentrant" in taken else ("reentrant",)


class Differing:
    """A function whose second run saves another tensor than the first, in element type or in shape, by ``way``."""

    def __init__(self, way: str) -> None:
        self.way, self.runs = way, 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        if self.runs == 1:
            return x.sin() * 1
        if self.way == "dtype":
            other = torch.float32 if x.dtype is torch.float64 else torch.float64
            return x.to(other).exp().to(x.dtype) * 1
        return x.expand(2, *x.shape).exp()[0] * 1


class Holding:
    """A function that computes with an array whose memory is watched, which is given up when nothing holds it."""

    def __init__(self) -> None:
        self.memory: list[Any] = []

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        array = np.ones(tuple(x.shape))
        self.memory.append(weakref.ref(array))
        return x * torch.from_numpy(array) * 1


class Drawing:
    """A function that drops elements out."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(x, 0.5) * 1


class Combining:
    """A function of three tensors that drops elements out of the first."""

    def __call__(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(x * y, 0.5) * z


class Nesting:
    """A checkpoint within a function that drops elements out before."""

    def __init__(self, use: CheckpointUse) -> None:
        self.use = use

    def __call__(self, x: torch.Tensor) -> Any:
        return self.use.checkpoint(Drawing(), torch.nn.functional.dropout(x, 0.25).sin())


class Casting:
    """A matrix product that notes its element type."""

    def __init__(self, factor: torch.Tensor) -> None:
        self.factor = factor
        self.types: list[torch.dtype] = []

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.mm(x, self.factor)
        self.types.append(found.dtype)
        return found.sin()


class Watching:
    """A context that notes into ``log`` when it is entered and left."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def __enter__(self) -> None:
        self.log.append(f"enter {self.name}")

    def __exit__(self, *error: Any) -> None:
        self.log.append(f"leave {self.name}")


class WatchedContexts:
    """A context_fn: two watching contexts, and a function that notes its runs between them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def contexts(self) -> tuple[Watching, Watching]:
        """The contexts of the first run and of the second."""
        return Watching(self.log, "first"), Watching(self.log, "second")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.log.append("run")
        return x.sin().sin()


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Generators with this seed, put back afterwards."""
    with generators_put_back(device):
        if device == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed queues a call for each other device
        else:
            torch.manual_seed(seed)
        yield


def generator_state(device: str) -> torch.Tensor:
    """The state of the device's generator."""
    return generator_state_of(device)


# --- cases ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CheckpointUse:
    """A region checkpointed in one mode, of x, which is a leaf made as ``plan`` or made of it."""

    plan: Strided
    mode: str = "non-reentrant"
    state: str = "leaf"
    way: str = ""

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The leaf, and x."""
        leaf = self.plan.build().requires_grad_()
        x = leaf * 1 if self.state == "product" else leaf
        return leaf, x[...] if self.state == "view" else x

    def checkpoint(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The checkpointed call."""
        return torch.utils.checkpoint.checkpoint(function, *args, use_reentrant=self.mode == "reentrant", **options)

    def draw(self, x: torch.Tensor, checkpointed: bool) -> Any:
        """Random steps of ``way``: in a sequence, within one another, of three tensors."""
        if self.way == "sequence":
            steps = [Drawing(), torch.sin, Drawing(), torch.sin]
            return sequence(steps, 2, x, self.mode) if checkpointed else steps[3](steps[2](steps[1](steps[0](x))))
        if self.way == "nested":
            inside = torch.nn.functional.dropout
            return self.checkpoint(Nesting(self), x) if checkpointed else Drawing()(inside(x, 0.25).sin())
        twos, halves = torch.full_like(x, 2.0).detach(), torch.full_like(x, -0.5).detach()
        # the tracked one comes first, or second
        given = (x, twos, halves) if self.state == "leaf" else (twos, x, halves)
        named = {"z": given[2]} if self.way == "one by keyword" else {}
        given = given[: 3 - len(named)]
        return self.checkpoint(Combining(), *given, **named) if checkpointed else Combining()(*given, **named)

    def go_back(self, found: Any) -> None:
        """Backward from all results, with gradients of which no two neighbours are equal."""
        results = found if isinstance(found, tuple) else (found,)
        torch.autograd.backward(list(results), [self.upstream(y) for y in results])

    def upstream(self, y: torch.Tensor) -> torch.Tensor:
        """The gradient of a result."""
        name = str(y.dtype).removeprefix("torch.")
        return corner(name, tuple(y.shape), "contiguous", "ordinary", "any", self.plan.device, 3).build()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[CheckpointUse]:
        """The same with plainer values, of a leaf."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)
        if self.state != "leaf":
            yield replace(self, state="leaf")

    def code(self) -> str:
        """The same in plain torch."""
        return listings.checkpointed(self, REGIONS)


CHECKPOINT_DTYPES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
CHECKPOINT_SHAPES = ((2, 3), (), (0,), (1,), (0, 3), (1, 3, 1), (2, 3, 5), (17,))
BOTH_MODES = ("reentrant", "non-reentrant")


def checkpoint_use(
    device: str, dtype: str, shape: tuple[int, ...], layout: str, mode: str, state: str, way: str
) -> CheckpointUse:
    """One case of one choice of each factor."""
    return CheckpointUse(corner(dtype, shape, layout, "ordinary", "binary-nonzero", device), mode, state, way)


def checkpoints(
    cell: Cell, modes: tuple[str, ...], ways: tuple[str, ...] = ("",), dtypes: tuple[str, ...] = CHECKPOINT_DTYPES,
    states: tuple[str, ...] = ("leaf", "product", "view"),
) -> Inputs:  # fmt: skip
    """Each way on each type, shape, layout and state, in these modes."""
    return crossed(
        checkpoint_use, cell.target.device, dtypes, CHECKPOINT_SHAPES, DISJOINT, modes, states, ways, passes=1
    )


def regions(cell: Cell) -> Inputs:
    """Every region in both modes."""
    return checkpoints(cell, BOTH_MODES, tuple(REGIONS))


def regions_without_reentry(cell: Cell) -> Inputs:
    """Regions in the mode that needs no reentrant autograd."""
    return checkpoints(cell, ("non-reentrant",), ("sines", "two results", "a write", "views", "a region"))


def reentrant_regions(cell: Cell) -> Inputs:
    """Regions in the reentrant mode."""
    return checkpoints(cell, ("reentrant",), ("sines", "two results", "a write", "views"))


def checkpoints_in_both_modes(cell: Cell) -> Inputs:
    """One function in both modes."""
    return checkpoints(cell, BOTH_MODES)


def reentrant_checkpoints(cell: Cell) -> Inputs:
    """One function in the reentrant mode."""
    return checkpoints(cell, ("reentrant",))


def non_reentrant_checkpoints(cell: Cell) -> Inputs:
    """One function in the other mode."""
    return checkpoints(cell, ("non-reentrant",))


def branching_checkpoints(cell: Cell) -> Inputs:
    """Of inputs whose own history can be gone through twice: a product frees its factor the first time."""
    return checkpoints(cell, ("non-reentrant",), states=("leaf", "view"))


def real_checkpoints(cell: Cell) -> Inputs:
    """Real numbers in both modes."""
    return checkpoints(cell, BOTH_MODES, dtypes=("float64", "float32", "bfloat16"))


def random_checkpoints(cell: Cell) -> Inputs:
    """Random steps in a sequence, within one another and of three tensors, in both modes; by keyword in the one."""
    ways = ("sequence", "nested", "three tensors", "one by keyword")
    found = checkpoints(cell, BOTH_MODES, ways, dtypes=("float64", "float32", "bfloat16"))
    modes = {"sequence": modes_of_sequences(), "one by keyword": ("non-reentrant",)}
    return Inputs([case for case in found.corners if case.mode in modes.get(case.way, BOTH_MODES)])


def nested_arguments(cell: Cell) -> Inputs:
    """Where tensors lie in the arguments."""
    return checkpoints(
        cell, ("non-reentrant",), ("list", "tuple", "dict", "object", "deep", "keyword", "nested keyword")
    )


def hidden_arguments(cell: Cell) -> Inputs:
    """Where tensors lie that are no direct arguments."""
    return checkpoints(cell, BOTH_MODES, ("list", "dict", "object", "closure"))


def differing_functions(cell: Cell) -> Inputs:
    """Ways in which the second run differs."""
    return checkpoints(cell, ("non-reentrant",), ("dtype", "shape"), ("float64", "float32", "float16", "bfloat16"))


def explained_functions(cell: Cell) -> Inputs:
    """The same of one shape: a trace of every operator is slow to make. The corners exhaust it."""
    found = crossed(
        checkpoint_use, cell.target.device, ("float64", "float32", "bfloat16"), ((2, 3),), DISJOINT[:2],
        ("non-reentrant",), ("leaf", "view"), ("dtype", "shape"), passes=1,
    )  # fmt: skip
    return Inputs(found.corners)


def differing_types(cell: Cell) -> Inputs:
    """A second run of another type, which goes unnoticed without the check."""
    return checkpoints(cell, BOTH_MODES, ("dtype",), ("float64", "float32"))


def sequences(cell: Cell) -> Inputs:
    """Numbers of segments of a sequence of five."""
    return checkpoints(cell, modes_of_sequences(), ("1", "2", "3", "4", "5"))


def disabled_early_stops(cell: Cell) -> Inputs:
    """How stopping early is asked for."""
    return checkpoints(cell, ("non-reentrant",), ("context", "nested contexts"))


def autocast_uses(cell: Cell) -> Inputs:
    """Forward within autocast and backward outside, and the other way round, in both modes."""
    return crossed(
        checkpoint_use, cell.target.device, ("float32",), ((2, 3), (1, 3), (4, 3), (0, 3)), DISJOINT, BOTH_MODES,
        ("leaf", "product", "view"), autocasts(cell.target.device), passes=1,
    )  # fmt: skip


def autocasts(device: str) -> tuple[str, ...]:
    """Which pass is within autocast, and to which type; early releases refuse float16 on the CPU."""
    found = ["forward in bfloat16", "backward in bfloat16"]
    with suppress(RuntimeError), torch.autocast(device.split(":")[0], dtype=torch.float16):
        found += ["forward in float16", "backward in float16"]
    return tuple(found)


def arguments_of(way: str, x: torch.Tensor, y: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments in which x and y lie."""
    found: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "list": (([x, y],), {}),
        "tuple": (((x, y),), {}),
        "dict": (({"x": x, "y": y},), {}),
        "object": ((Holder([x, y]),), {}),
        "deep": (([{"x": (x, [Holder(y)])}],), {}),
        "keyword": ((x,), {"y": y}),
        "nested keyword": ((), {"both": {"x": [x], "y": (y,)}}),
    }
    return found[way]
