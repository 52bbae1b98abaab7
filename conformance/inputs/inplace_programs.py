"""In-place programs: small differentiable computations around one in-place call.

A program copies a leaf, takes a view of the copy, computes something from it, makes the in-place call through some
route, and adds up what came of it. It runs on any numbers, so that finite differences of its value say what its
gradient has to be.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.augmented import augment, symbol_of
from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.inplace_listings import inplace_program
from conformance.inputs.tensors import Strided
from conformance.inputs.weights import weights_for

# How self comes out of the copied leaf: it is the copy itself, or a view of it.
VIEWS = (
    "none",
    "offset",
    "selected",
    "transposed",
    "narrowed",
    "unsqueezed",
    "stepped",
    "chained",
    "strided",
)
# What is computed from self before the call; each saves self, its own result, or nothing for its backward.
USES = ("none", "product", "sine", "exponential", "root", "power", "sum")
# What is done so that self has been saved when it is written: used in a way that saves it, or made by one.
SAVING = ("product", "sine", "result", "root", "power")
# As far as every release computes it with float16 on the CPU.
SAVING_HALF = ("product", "power")
# Through what the call writes to self; "operator" is the augmented assignment that stands for it.
ROUTES = ("itself", "alias", "reshaped", "detached", "without-grad", "data", "operator")
# The type in which finite differences of a program are taken.
FINE = {"floating": "float64", "complex": "complex128"}


@dataclass(frozen=True, eq=False)
class InplaceProgram:
    """``call`` in a program; ``operands`` numbers the arguments whose gradients are asked for, if not self's.

    Finite differences are taken of the same call on the same numbers in float64 or complex128. With ``alone``
    nothing requires grad but the operands.
    """

    call: Call
    view: str = "none"
    use: str = "none"
    route: str = "itself"
    operands: tuple[int, ...] = ()
    alone: bool = False

    @cached_property
    def fine(self) -> Call:
        """The call in the type in which finite differences are taken."""
        plans = (self.call.self_, *self.call.args)
        own, *args = (replace(x, dtype=fine_type(x.dtype)) if isinstance(x, Strided) else x for x in plans)
        return replace(self.call, self_=own, args=tuple(args))

    @cached_property
    def start(self) -> np.ndarray:
        """The leaf's values: self's in their places, and others around them."""
        plan = self.fine.self_
        if self.view == "none":
            return np.array(plan.array)
        shape = base_shape(plan.shape, self.view)
        numbers = torch.arange(prod(shape)).reshape(shape)
        places = np.array(viewed(numbers, self.view, plan.shape).tolist(), np.int64).reshape(plan.shape)
        base = (0.5 + np.arange(prod(shape)) % 64 / 64).astype(plan.array.dtype)
        base[places] = plan.array
        return base.reshape(shape)

    @property
    def operand_starts(self) -> list[np.ndarray]:
        """The values of the operands whose gradients are asked for."""
        return [np.array(self.fine.args[number].array) for number in self.operands]

    def forward(self, call: Call, leaf: torch.Tensor, operands: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """The program's one number; with ``operands`` in the place of the arguments that they are to be."""
        live = call.build_around(leaf)
        for number, operand in zip(self.operands, operands, strict=bool(operands)):
            live.args[number] = operand
        base = leaf.clone()
        target = viewed(base, self.view, call.self_.shape)
        before = used(target, self.use)
        live.self_ = target
        write(live, self.route)
        total = weighted(base)
        if self.view != "none":
            total = total + weighted(target)
        return total if before is None else total + weighted(before)

    def value(self, leaf: np.ndarray, *operands: np.ndarray) -> float:
        """The program's number for these values of the leaf, and of the operands, without autograd."""
        device = self.call.self_.device
        with torch.no_grad():
            tensors = [torch.tensor(x, device=device) for x in (leaf, *operands)]
            return float(self.forward(self.fine, tensors[0], tensors[1:]))

    def value_of_operands(self, *operands: np.ndarray) -> float:
        """The program's number for these values of the operands, without autograd."""
        return self.value(self.start, *operands)

    def leaf(self) -> torch.Tensor:
        """A new leaf that requires grad, unless the operands are to be alone in that."""
        plan = self.call.self_
        if self.view == "none":
            return plan.build().requires_grad_(not self.alone)
        dtype = getattr(torch, plan.dtype)
        return torch.tensor(self.start, dtype=dtype, device=plan.device, requires_grad=not self.alone)

    def operand_leaves(self) -> list[torch.Tensor]:
        """New leaves for the operands."""
        return [self.call.args[number].build().requires_grad_() for number in self.operands]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            **self.call.facets(),
            "views": self.view,
            "routes": self.route,
            "uses": self.use,
        }

    def reductions(self) -> Iterator[InplaceProgram]:
        """Simpler programs around the same call."""
        if self.view != "none":
            yield replace(self, view="none")
        if self.route != "itself":
            yield replace(self, route="itself")
        if len(self.operands) > 1:
            for number in self.operands:
                yield replace(self, operands=(number,))
        for call in self.call.reductions():
            yield replace(self, call=call)

    def made(self) -> str:
        """What goes before a program that an act writes out."""
        return "import torch"

    def code(self) -> str:
        """The program in plain torch."""
        return inplace_program(self, symbol_of(self.call) if self.route == "operator" else "")


def fine_type(dtype: str) -> str:
    """The type of most digits of the kind of ``dtype``, where that has derivatives."""
    return FINE.get(ELEMENT_TYPES[dtype].kind, dtype)


def base_shape(shape: tuple[int, ...], view: str) -> tuple[int, ...]:
    """Shape of the tensor of which ``view`` gives one of ``shape``."""
    if view in ("offset", "strided"):
        return (2 * prod(shape) + 3,)
    if view == "selected":
        return (*shape, 2)
    if view == "transposed":
        return shape[::-1]
    if view in ("narrowed", "stepped"):
        return (2 * shape[0] + 1, *shape[1:]) if shape else (3,)
    if view == "unsqueezed":
        return shape
    return (3, *shape) if view == "chained" else shape


def viewed(base: torch.Tensor, view: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The view of ``base`` that has ``shape``."""
    if view == "offset":
        return base[2 : 2 + prod(shape)].view(shape)
    if view == "strided":
        return base.as_strided(shape, [2 * step for step in Strided("bool", shape, ()).strides], 1)
    if view == "selected":
        return base.select(-1, 1)
    if view == "transposed":
        return base.permute(*reversed(range(len(shape)))) if len(shape) > 1 else base.view(shape)
    if view == "narrowed":
        return base.narrow(0, 1, shape[0]) if shape else base[2]
    if view == "stepped":
        return base[1::2] if shape else base[1]
    if view == "unsqueezed":
        return base.unsqueeze(0).squeeze(0)
    if view == "chained":
        return base[1:][1].view(shape)
    return base


def used(target: torch.Tensor, use: str) -> torch.Tensor | None:
    """What is computed from self before the in-place call."""
    if use == "product":
        return target * target
    if use == "sine":
        return target.sin()
    if use == "exponential":
        return target.exp()
    if use == "root":
        return (target * target + 1).sqrt()
    if use == "power":
        return target.pow(3)
    return target.sum(0, keepdim=True) if use == "sum" else None


def saved(x: torch.Tensor, use: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor like ``x`` that has been saved for backward, and what was computed and needs it there."""
    if use == "factor":  # of something that requires grad: a tensor need not be floating to be saved
        return x, torch.ones(x.shape, device=x.device, requires_grad=True) * x
    target = x.requires_grad_().clone()
    if use == "result":
        target = target.tanh()
        return target, target.clone()
    before = used(target, use)
    assert before is not None
    return target, before


def write(live: Any, route: str) -> None:
    """Make the in-place call on ``live.self_`` itself or through something that shares its memory."""
    target = live.self_
    if route == "alias":
        live.self_ = target.view_as(target)
    elif route == "reshaped":
        live.self_ = target.unsqueeze(0)[0]
    elif route == "detached":
        live.self_ = target.detach()
    elif route == "data":
        live.self_ = target.data
    if route == "without-grad":
        with torch.no_grad():
            live.apply()
    elif route == "operator":
        live.self_ = augment(live)
    else:
        live.apply()


def weighted(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of the elements, each with a weight of its own; of complex ones, of both parts."""
    if tensor.is_complex():
        parts = torch.view_as_real(tensor)
        return (parts * torch.from_numpy(weights_for(tuple(parts.shape))).to(tensor.device)).sum()
    return (tensor * torch.from_numpy(weights_for(tuple(tensor.shape))).to(tensor.device)).sum()


def weights_of(tensor: torch.Tensor) -> np.ndarray:
    """The gradient of ``weighted``: the weight of each element, or of its parts as those of a complex number."""
    if tensor.is_complex():
        parts = weights_for((*tensor.shape, 2))
        return np.asarray(parts[..., 0] + 1j * parts[..., 1])
    return weights_for(tuple(tensor.shape))
