"""Gradient sets: parameters with gradients of several shapes, types and layouts, some of them without one.

Reference: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_listings import replaced_call

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

GRADIENT_SHAPES = ((2, 3), (), (4,), (0,), (2, 1, 3), (1,))


@dataclass(frozen=True)
class GradientSet:
    """Parameters of ``shapes``; those in ``without`` have no gradient, those in ``turned`` a transposed one."""

    shapes: tuple[tuple[int, ...], ...]
    dtype: str = "float64"
    without: tuple[int, ...] = ()
    turned: bool = False
    special: str = ""  # nan, inf or -inf: the last element of the last gradient that has one
    given: str = "list"  # or generator, or tensor for the first parameter alone
    norm: str = "2.0"
    limit: float = 1.0
    foreach: bool | None = None
    device: str = "cpu"
    act: str = "norm"  # or value, read, write: what the listing does with the parameters

    def arrays(self) -> list[np.ndarray]:
        """The gradients, whether a parameter has it or not."""
        found, start = [], 1
        for shape in self.shapes:
            count = int(np.prod(shape))
            found.append(((np.arange(start, start + count) % 7 - 3.25) * 0.5).reshape(shape))
            start += count
        places = [n for n, array in enumerate(found) if array.size and n not in self.without]
        if self.special and places:
            found[places[-1]].reshape(-1)[-1] = float(self.special)
        return found

    def build(self) -> list[torch.nn.Parameter]:
        """The parameters, zeros, with their gradients."""
        made = []
        for number, array in enumerate(self.arrays()):
            kind = {"dtype": getattr(torch, self.dtype), "device": self.device}
            tensor = torch.nn.Parameter(torch.zeros(array.shape, **kind))
            if number not in self.without:
                gradient = torch.tensor(array.tolist(), **kind).reshape(array.shape)
                if self.turned and array.ndim > 1:
                    gradient = gradient.transpose(0, -1).contiguous().transpose(0, -1)
                tensor.grad = gradient
            made.append(tensor)
        return made

    def passed(self, parameters: list[torch.nn.Parameter]) -> Any:
        """The parameters as they are given to a function."""
        if self.given == "tensor":
            return parameters[0]
        return (parameter for parameter in parameters) if self.given == "generator" else parameters

    def taken(self) -> list[int]:
        """The places of the gradients that the function has to take."""
        places = [n for n in range(len(self.shapes)) if n not in self.without]
        return [n for n in places if n == 0] if self.given == "tensor" else places

    def has_empty(self) -> bool:
        """Whether a gradient that is taken has no element."""
        return any(0 in self.shapes[n] for n in self.taken())

    def options(self) -> dict[str, Any]:
        """foreach, where it is asked for."""
        return {} if self.foreach is None else {"foreach": self.foreach}

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype, "norms": self.norm, "given": self.given, "shapes": str(self.shapes)}

    def reductions(self) -> Iterator[GradientSet]:
        """Fewer parameters."""
        for number in range(len(self.shapes)):
            if not self.without and not self.special:
                yield replace(self, shapes=self.shapes[:number] + self.shapes[number + 1 :])

    def code(self) -> str:
        """The parameters in plain torch."""
        lines = ["from math import inf, nan", "p = []"]
        for number, array in enumerate(self.arrays()):
            kind = f"dtype=torch.{self.dtype}, device={self.device!r}"
            numbers = f"torch.tensor({array.tolist()}, {kind}).reshape({array.shape})"
            if self.turned and array.ndim > 1 and number not in self.without:
                numbers += ".transpose(0, -1).contiguous().transpose(0, -1)"
            if self.act in ("read", "write"):
                lines.append(f"p.append(torch.nn.Parameter({numbers}))")
                continue
            lines.append(f"p.append(torch.nn.Parameter(torch.zeros({array.shape}, {kind})))")
            if number not in self.without:
                lines.append(f"p[-1].grad = {numbers}")
        return "\n".join([*lines, *self._deed()])

    def _deed(self) -> list[str]:
        """The call, and what shows its result."""
        p = {"list": "p", "generator": "(x for x in p)", "tensor": "p[0]"}[self.given]
        finite = ", error_if_nonfinite=True" if self.special else ""
        way = "" if self.foreach is None else f", foreach={self.foreach}"
        return {
            "norm": [f"print(torch.nn.utils.clip_grad_norm_({p}, {self.limit}, norm_type={self.norm}{finite}{way}))"],
            "value": [f"torch.nn.utils.clip_grad_value_({p}, {self.limit}{way})"],
            "read": [f"print(torch.nn.utils.parameters_to_vector({p}))"],
            "write": [
                "vector = torch.cat([x.detach().reshape(-1) * 2 for x in p])",
                f"torch.nn.utils.vector_to_parameters(vector, {p})",
            ],
        }[self.act] + ["print(p)" if self.act in ("read", "write") else "print([x.grad for x in p])"]


def _sets(cell: Cell, **rest: Any) -> list[GradientSet]:
    shapes = (GRADIENT_SHAPES, ((2, 3), (3, 2)), ((),), ((3,), (0,)), ((2, 2), (2, 2), (5,)))
    rows = product(shapes, ("float64", "float32"), ((), (0,), (1,)), (False, True))
    device = cell.target.device
    return [GradientSet(one, kind, without, turned, device=device, **rest) for one, kind, without, turned in rows]


def clipped_norms(cell: Cell) -> Inputs:
    """Norms of several kinds, limits above and below, lists, generators and single tensors."""
    settings = product(("2.0", "1.0", "3.0", "inf", "0.5"), ("list", "generator", "tensor"), (0.5, 1e6, 3.0))
    choices = list(settings)
    found = []
    for number, one in enumerate(_sets(cell) * 3):
        norm, given, limit = choices[number % len(choices)]
        found.append(replace(one, norm=norm, given=given, limit=limit))
    return Inputs([one for one in found if not (one.norm == "inf" and one.has_empty())])


def empty_gradients(cell: Cell) -> Inputs:
    """Infinity norms where a gradient has no element."""
    found = [replace(one, norm="inf", limit=limit) for one in _sets(cell) for limit in (0.5, 1e6)]
    return Inputs([one for one in found if one.has_empty()])


def nonfinite_norms(cell: Cell) -> Inputs:
    """Gradients with NaN and infinities."""
    rows = product(("nan", "inf", "-inf"), ("2.0", "1.0", "inf"), ((), (2,)))
    shapes = ((2, 3), (4,), ())
    device = cell.target.device
    return Inputs([
        GradientSet(shapes, special=special, norm=norm, without=without, device=device)
        for special, norm, without in rows
    ])  # fmt: skip


def clipped_values(cell: Cell) -> Inputs:
    """Values clipped at several limits; NaN among them."""
    found = []
    for number, one in enumerate(_sets(cell) * 2):
        limit = (0.5, 1.62, 0.0, 100.0, 0.87)[number % 5]  # some of them just below an element
        given = ("list", "generator", "tensor")[number % 3]
        found.append(replace(one, limit=limit, given=given, act="value"))
    return Inputs([one for one in found if one.taken()])


def either_implementation(cell: Cell) -> Inputs:
    """Norms and values clipped in one go, and one parameter after the other."""
    sets = [*list(clipped_norms(cell).corners)[::5], *list(clipped_values(cell).corners)[::4]]
    return Inputs([replace(one, foreach=number % 2 == 0) for number, one in enumerate(sets) if not one.has_empty()])


def no_gradients(cell: Cell) -> Inputs:
    """Parameters none of which has a gradient."""
    sets = [GradientSet(((2, 3),), without=(0,), given=given) for given in ("list", "generator", "tensor")]
    return Inputs([replace(one, act="value") for one in (*sets, GradientSet(((), (3,)), without=(0, 1)))])


def vectors(cell: Cell) -> Inputs:
    """Contiguous parameters, as lists and generators."""
    found = [replace(one, given=("list", "generator")[n % 2]) for n, one in enumerate(_sets(cell, act="read"))]
    return Inputs([one for one in found if not one.turned])


def strided_vectors(cell: Cell) -> Inputs:
    """Parameters of which some are not contiguous."""
    sets = _sets(cell, act="read")
    return Inputs([one for one in sets if one.turned and len(one.shapes[0]) == 2 and 0 not in one.without])


def filled_vectors(cell: Cell) -> Inputs:
    """Parameters of any layout."""
    sets = _sets(cell, act="write")
    return Inputs([replace(one, given=("list", "generator")[n % 2]) for n, one in enumerate(sets)])


@dataclass(frozen=True)
class SkippedInit:
    """A layer by its class and arguments."""

    layer: str
    args: tuple[Any, ...] = ()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer}

    def code(self) -> str:
        """The same in plain torch."""
        call = f"torch.nn.utils.skip_init(torch.nn.{self.layer}, *{self.args})"
        return f"before = torch.get_rng_state()\nprint({call})\nprint(torch.equal(before, torch.get_rng_state()))"


def skipped_inits(cell: Cell) -> Inputs:
    """Layers that draw in their constructor."""
    return Inputs([
        SkippedInit("Linear", (3, 2)), SkippedInit("Linear", (3, 2, False)), SkippedInit("Conv2d", (1, 2, 3)),
        SkippedInit("Embedding", (4, 3)), SkippedInit("Bilinear", (2, 3, 4)),
        SkippedInit("ConvTranspose1d", (2, 3, 2)), SkippedInit("GRUCell", (2, 3)),
    ])  # fmt: skip


@dataclass(frozen=True)
class ReplacedCall:
    """A module called with those of its parameters and buffers replaced whose bits are set in ``picked``."""

    picked: int
    split: bool = False  # given as a tuple of two dictionaries
    fails: bool = False
    device: str = "cpu"

    def build(self) -> torch.nn.Module:
        """A module with a parameter, a buffer, and both of a submodule."""
        module, child = Weighing(self.fails), Weighing(False)
        for number, one in enumerate((module, child)):
            one.weight = torch.nn.Parameter(torch.full((1,), 2.0 + number, device=self.device))
            one.register_buffer("shift", torch.full((1,), 10.0 + number, device=self.device))
        module.child = child
        return module

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"picked": bin(self.picked), "fails": str(self.fails)}

    def code(self) -> str:
        """The same in plain torch."""
        return replaced_call(self)


class WeighingTrouble(Exception):
    """What a forward raises on purpose."""


def weigh(self: Any, x: Any) -> Any:
    """x * weight + shift, and what the child makes of it."""
    x = x * self.weight + self.shift
    child = self._modules.get("child")
    if self.fails:
        raise WeighingTrouble
    return x if child is None else child(x)


class Weighing(torch.nn.Module):  # type: ignore[misc]
    """x * weight + shift."""

    forward = weigh
    weight: Any
    child: Any

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails


def replaced_calls(cell: Cell) -> Inputs:
    """Every set of names, in one dictionary or two, with and without an exception."""
    rows = product(range(16), (False, True), (False, True))
    return Inputs([ReplacedCall(*row, device=cell.target.device) for row in rows])


@dataclass(frozen=True)
class LazyLayer:
    """A lazy layer, the shape of its first input, the regular class and the shapes of its parameters."""

    layer: str
    shape: tuple[int, ...]
    regular: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    device: str = "cpu"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer, "shapes": str(self.shape)}

    def code(self) -> str:
        """The same in plain torch."""
        made = f"m = torch.nn.{self.layer}.to({self.device!r})"
        return f"{made}\nm(torch.zeros({self.shape}, device={self.device!r}))\nprint(m)"


def lazy_layers(cell: Cell) -> Inputs:
    """Lazy layers of each family."""
    rows = (
        ("LazyLinear(2)", (4, 3), "Linear", (("weight", (2, 3)), ("bias", (2,)))),
        ("LazyLinear(2)", (7,), "Linear", (("weight", (2, 7)), ("bias", (2,)))),
        ("LazyLinear(5, bias=False)", (2, 3, 6), "Linear", (("weight", (5, 6)),)),
        ("LazyConv1d(2, 3)", (1, 4, 5), "Conv1d", (("weight", (2, 4, 3)), ("bias", (2,)))),
        ("LazyConv2d(4, 3, groups=2)", (1, 6, 5, 5), "Conv2d", (("weight", (4, 3, 3, 3)), ("bias", (4,)))),
        ("LazyConv3d(2, 1)", (1, 3, 2, 2, 2), "Conv3d", (("weight", (2, 3, 1, 1, 1)), ("bias", (2,)))),
        ("LazyConvTranspose1d(2, 3)", (1, 4, 5), "ConvTranspose1d", (("weight", (4, 2, 3)), ("bias", (2,)))),
        ("LazyConvTranspose2d(2, 1, bias=False)", (1, 4, 3, 3), "ConvTranspose2d", (("weight", (4, 2, 1, 1)),)),
        ("LazyBatchNorm1d()", (4, 3), "BatchNorm1d", (("weight", (3,)), ("bias", (3,)))),
        ("LazyBatchNorm2d()", (2, 5, 2, 2), "BatchNorm2d", (("weight", (5,)), ("bias", (5,)))),
        ("LazyInstanceNorm1d(affine=True)", (2, 4, 3), "InstanceNorm1d", (("weight", (4,)), ("bias", (4,)))),
    )
    return Inputs([replace(LazyLayer(*row), device=cell.target.device) for row in rows])
