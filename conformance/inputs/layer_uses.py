"""Layer uses: one class of torch.nn, constructed as the catalogue of modules says and called on planned operands.

A use holds the arguments by name and the expression of the catalogue that its check needs, so that it stands alone.
Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.generators import generators_put_back
from conformance.inputs.loaders import torch_seeded
from conformance.inputs.tensors import Strided, corner, strided

OPERAND_NAMES = "xyzuvw"
# Wide enough to differ, narrow enough to keep tanh and softmax away from where their slope is lost.
WEIGHT_DOMAIN = "unit"


@dataclass(frozen=True, eq=False)
class LayerUse:
    """A module, and operands of these shapes for it.

    ``kinds`` says what numbers each operand holds (see the catalogue), ``bound`` the arguments by name, and
    ``expected`` what the catalogue says of the call: the expression that the check evaluates.
    """

    name: str
    arguments: str
    shapes: tuple[tuple[int, ...], ...] = ()
    kinds: tuple[str, ...] = ("coarse",)
    dtype: str = "float32"
    layout: str = "contiguous"
    training: bool = True
    bound: tuple[tuple[str, Any], ...] = ()
    expected: str = ""
    device: str = "cpu"
    look: str = ""  # what the listing does in the end

    def new(self, more: str = "") -> torch.nn.Module:
        """The module as it is constructed; the generators are as before afterwards."""
        arguments = ", ".join(x for x in (self.arguments, more) if x)
        with layer_seed(1):
            made: torch.nn.Module = eval(f"nn.{self.name}({arguments})", {"nn": torch.nn, "torch": torch})
        return made

    def build(self, turn: int = 0) -> torch.nn.Module:
        """The module on the device, of the element type, in its mode, with state that a turn makes another."""
        module: torch.nn.Module = self.new().to(self.device, getattr(torch, self.dtype)).train(self.training)
        fill_state(module, turn)
        return module

    def filled(self, module: torch.nn.Module) -> torch.nn.Module:
        """A module with planned numbers in its state."""
        fill_state(module)
        return module

    def seeded(self) -> AbstractContextManager[None]:
        """The generators from the seed on from which results are drawn."""
        return layer_seed(7, self.device)

    def contiguous(self) -> LayerUse:
        """The same with contiguous operands."""
        return replace(self, layout="contiguous")

    def out_of_place(self) -> torch.nn.Module:
        """The module of the same arguments but inplace."""
        given = {k: v for k, v in self.bound if k not in ("inplace", "device", "dtype")}
        return replace(self, arguments=", ".join(f"{k}={v!r}" for k, v in given.items())).build()

    def regular(self) -> torch.nn.Module:
        """The module that a lazy one is to become."""
        with layer_seed(1):
            made: torch.nn.Module = eval(f"nn.{self.expected}", {"nn": torch.nn})
        return made.to(self.device)

    def plans(self) -> list[Strided]:
        """The operands."""
        last = len(self.kinds) - 1
        return [
            operand_plan(self.kinds[min(n, last)], shape, self.dtype, self.layout, self.device, n)
            for n, shape in enumerate(self.shapes)
        ]

    def operands(self) -> list[torch.Tensor]:
        """The operands, as new tensors."""
        return [plan.build() for plan in self.plans()]

    def inplace(self) -> bool:
        """Whether it may write to its operand."""
        return dict(self.bound).get("inplace") is True

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "dtypes": self.dtype, "layouts": self.layout, "shapes": " ".join(map(str, self.shapes)),
            "constructions": f"{self.name}({self.arguments})", "training": str(self.training),
        }  # fmt: skip

    def reductions(self) -> Iterator[LayerUse]:
        """The same of contiguous operands, and of the common element type."""
        if self.layout != "contiguous":
            yield replace(self, layout="contiguous")
        if self.dtype != "float32":
            yield replace(self, dtype="float32")

    def code(self) -> str:
        """The call in plain torch."""
        return "\n".join([*self.lines(), *self.look.splitlines()])

    def lines(self) -> list[str]:
        """The lines that construct and call the module."""
        mode = "" if self.training else ".eval()"
        moved = f"torch.{self.dtype}" if self.device == "cpu" else f"{self.device!r}, torch.{self.dtype}"
        names = OPERAND_NAMES[: len(self.shapes)]
        return [
            "from torch import nn",
            "torch.manual_seed(1)",
            f"m = nn.{self.name}({self.arguments}).to({moved}){mode}",
            *(f"{name} = {plan.code()}" for name, plan in zip(names, self.plans(), strict=True)),
            *([f"found = m({', '.join(names)})"] if names else []),
        ]


@contextmanager
def layer_seed(seed: int, device: str = "cpu") -> Iterator[None]:
    """The generators of CPU and device from a seed on, and as they were afterwards.

    torch.random.fork_rng does the same in a hundred times the time, for every kind of device that there is.
    """
    if device != "cpu":
        with generators_put_back(device):
            torch.manual_seed(seed)
            yield
        return
    with torch_seeded(seed):
        yield


def fill_state(module: torch.nn.Module, turn: int = 0) -> None:
    """Numbers for every parameter and buffer that are the same each time, and others for another turn."""
    with torch.no_grad():
        for place, (name, tensor) in enumerate([*module.named_parameters(), *module.named_buffers()]):
            dtype = str(tensor.dtype).removeprefix("torch.")
            if ELEMENT_TYPES[dtype].kind in ("floating", "complex"):
                domain = "coarse-positive" if name.endswith("running_var") else WEIGHT_DOMAIN
                tensor.copy_(state_plan(dtype, tuple(tensor.shape), domain, place + turn).build())
            else:
                tensor.fill_(3 + turn)


@cache
def state_plan(dtype: str, shape: tuple[int, ...], domain: str, turn: int) -> Strided:
    """Numbers for one parameter or buffer, each with a bit so low that a narrower type loses it, or rounds it up."""
    domain = "any" if ELEMENT_TYPES[dtype].kind == "complex" else domain
    plan = corner(dtype, shape, "contiguous", "ordinary", domain, "cpu", turn)
    low = 2.0 ** (4 - ELEMENT_TYPES[dtype].mantissa)
    return replace(plan, data=tuple(x * (1 - low if n % 2 else 1 + low) for n, x in enumerate(plan.data)))


def operand_plan(kind: str, shape: tuple[int, ...], dtype: str, layout: str, device: str, turn: int) -> Strided:
    """The plan of one operand: numbers of a domain, or whole numbers that a kind describes."""
    word, _, number = kind.partition(":")
    if word == "signs":
        return strided(dtype, shape, layout, (1.0, -1.0, -1.0), device)
    if word == "distinct":
        return strided(dtype, shape, layout, tuple(5 * k % 2003 / 16 for k in range(prod(shape))) or (1.0,), device)
    if not number and word != "order":
        domain = "any" if ELEMENT_TYPES[dtype].kind == "complex" else word
        return corner(dtype, shape, layout, "ordinary", domain, device, turn)
    count = prod(shape)
    if word == "index":
        data = [(5 * k + k // 3) % int(number) for k in range(count)]
    elif word == "all":
        data = [int(number)] * count
    elif word == "places":
        plane = prod(shape[-int(number) :])
        data = (np.arange(count) % max(plane, 1)).tolist()
    else:
        data = list(range(count))
    return strided("int64", shape, layout, tuple(data) or (0,), device)
