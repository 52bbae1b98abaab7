"""Stateful modules: modules with state of their own beside tensors, and lazy ones before their first forward.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.frozen_modules import generator_kept
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def _recalled(module: Any) -> Any:
    return module.memory


def _remembered(module: Any, state: Any) -> None:
    module.told.append(state)
    module.memory = state


class Remembering(torch.nn.Module):  # type: ignore[misc]
    """A module with a parameter, and extra state that it notes each time it is set."""

    # torch alone calls these, so that a reproducer would leave methods out
    get_extra_state = _recalled
    set_extra_state = _remembered

    def __init__(self, memory: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.memory = memory
        self.told: list[Any] = []


MEMORIES: tuple[Any, ...] = ({"count": 3, "names": ["a"]}, 7, None, "text", (), {"deep": {"er": [1.5, None]}}, "tensor")


@dataclass(frozen=True)
class Memories:
    """A chain of modules, each within the one before; some remember something, the others hold one parameter."""

    memories: tuple[Any, ...]  # "-" for a module that has no extra state
    name: str = "a"

    def build(self, blank: bool = False) -> torch.nn.Module:
        """The outermost module; ``blank`` ones remember something else."""
        with generator_kept("cpu"):
            return self._chain(blank)

    def _chain(self, blank: bool) -> torch.nn.Module:
        root: Any = None
        inner: Any = None
        for memory in self.memories:
            made: torch.nn.Module
            if memory == "-":
                made = torch.nn.Linear(1, 2)
            else:
                made = Remembering("blank" if blank else torch.arange(3) if memory == "tensor" else memory)
            if root is None:
                root = made
            else:
                setattr(inner, self.name, made)
            inner = made
        found: torch.nn.Module = root
        return found

    def remembering(self, module: torch.nn.Module) -> list[Remembering]:
        """The modules that have extra state, from the outermost on."""
        return [m for m in module.modules() if isinstance(m, Remembering)]

    def code(self) -> str:
        """The same in plain torch."""
        lines = [
            "class Remembering(torch.nn.Module):", "    def __init__(self, memory):", "        super().__init__()",
            "        self.memory = memory", "    def get_extra_state(self):", "        return self.memory",
            "    def set_extra_state(self, state):", "        self.memory = state", "def chain(blank):",
        ]  # fmt: skip
        place = "m"
        for memory in self.memories:
            held = "torch.arange(3)" if memory == "tensor" else repr(memory)
            made = "torch.nn.Linear(1, 2)" if memory == "-" else f"Remembering('blank' if blank else {held})"
            lines.append(f"    {place} = {made}")
            place += f".{self.name}"
        return "\n".join([
            *lines, "    return m", "m = chain(blank=True)",
            "print(m.load_state_dict(chain(blank=False).state_dict()))",
            "print(m.state_dict())", "lacking = {k: v for k, v in m.state_dict().items() if 'extra' not in k}",
            "print(m.load_state_dict(lacking, strict=False))",
        ])  # fmt: skip


def remembering_modules(cell: Cell) -> Inputs:
    """Each memory by itself, nested, and between modules that have none."""
    chains: list[tuple[Any, ...]] = [(memory,) for memory in MEMORIES]
    chains += [(MEMORIES[n], "-", MEMORIES[(n + 2) % 7], MEMORIES[(n + 3) % 7]) for n in range(7)]
    chains += [("-", memory) for memory in MEMORIES] + [("-", "-", "-", MEMORIES[0])]
    return Inputs([Memories(chain, name) for n, chain in enumerate(chains) for name in (("a", "weights")[n % 2],)])


# A lazy module, the regular one that it becomes, and the shape of an input.
LAZY_MODULES: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("LazyLinear(3)", "Linear(2, 3)", (4, 2)),
    ("LazyLinear(1, bias=False)", "Linear(3, 1, bias=False)", (3,)),
    ("LazyConv1d(2, 2)", "Conv1d(3, 2, 2)", (1, 3, 4)),
    ("LazyConv2d(2, 1)", "Conv2d(1, 2, 1)", (1, 1, 2, 2)),
    ("LazyConv3d(1, 1)", "Conv3d(2, 1, 1)", (1, 2, 1, 1, 2)),
    ("LazyConvTranspose1d(2, 2)", "ConvTranspose1d(3, 2, 2)", (1, 3, 4)),
    ("LazyConvTranspose2d(2, 1)", "ConvTranspose2d(1, 2, 1)", (1, 1, 2, 2)),
    ("LazyConvTranspose3d(1, 1)", "ConvTranspose3d(2, 1, 1)", (1, 2, 1, 1, 2)),
    ("LazyBatchNorm1d()", "BatchNorm1d(3)", (2, 3)),
    ("LazyBatchNorm2d()", "BatchNorm2d(2)", (2, 2, 1, 3)),
    ("LazyBatchNorm3d()", "BatchNorm3d(2)", (2, 2, 1, 1, 3)),
    ("LazyInstanceNorm1d(affine=True, track_running_stats=False)", "InstanceNorm1d(3, affine=True)", (2, 3, 4)),
    ("LazyInstanceNorm2d(affine=True, track_running_stats=True)",
     "InstanceNorm2d(2, affine=True, track_running_stats=True)", (2, 2, 2, 3)),
)  # fmt: skip


@dataclass(frozen=True)
class LazyLoad:
    """A lazy module, alone or deeper in a container, and the regular module whose state it loads."""

    lazy: str
    regular: str
    shape: tuple[int, ...]
    depth: int = 0
    device: str = "cpu"

    def build(self) -> torch.nn.Module:
        """The lazy module, not yet initialized."""
        with warnings.catch_warnings(), generator_kept(self.device):
            warnings.simplefilter("ignore")  # older releases say that lazy modules are new
            return self._nested(eval(f"torch.nn.{self.lazy}", {"torch": torch}))

    def source(self) -> dict[str, torch.Tensor]:
        """The state of the regular module, with numbers that are the same each time."""
        with generator_kept(self.device):
            module = self._nested(eval(f"torch.nn.{self.regular}", {"torch": torch}))
        return {
            key: corner(
                str(value.dtype).removeprefix("torch."), tuple(value.shape), "contiguous", "ordinary", "any",
                self.device, number,
            ).build()
            for number, (key, value) in enumerate(module.state_dict().items())
        }  # fmt: skip

    def input(self) -> torch.Tensor:
        """An input of the forward."""
        return corner("float32", self.shape, "contiguous", device=self.device).build()

    def _nested(self, module: torch.nn.Module) -> torch.nn.Module:
        for _ in range(self.depth):
            module = torch.nn.Sequential(torch.nn.Identity(), module)
        return module.to(self.device).eval()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"modules": self.lazy, "depths": str(self.depth)}

    def code(self) -> str:
        """The same in plain torch."""
        regular, lazy = f"torch.nn.{self.regular}", f"torch.nn.{self.lazy}"
        for _ in range(self.depth):
            regular, lazy = (f"torch.nn.Sequential(torch.nn.Identity(), {x})" for x in (regular, lazy))
        return f"state = {regular}.state_dict()\nm = {lazy}\nm.load_state_dict(state)\nprint(m, m.state_dict())"


def lazy_loads(cell: Cell) -> Inputs:
    """Each lazy module, alone and two deep."""
    return Inputs([LazyLoad(*row, depth, cell.target.device) for row, depth in product(LAZY_MODULES, (0, 2))])


def lazy_runs(cell: Cell) -> Inputs:
    """The same without instance norms."""
    return Inputs([case for case in lazy_loads(cell).corners if "InstanceNorm" not in case.lazy])


def lazy_instance_norms(cell: Cell) -> Inputs:
    """The lazy instance norms alone."""
    return Inputs([case for case in lazy_loads(cell).corners if "InstanceNorm" in case.lazy])
