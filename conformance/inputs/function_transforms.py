"""Function transforms: custom functions under forward mode, vmap and torch.func.

Reference: https://docs.pytorch.org/docs/stable/notes/extending.func.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.function_kinds import Cube, FunctionKind, Keeper
from conformance.inputs.functions import MIXED_STATES, TRACKED_STATES, applications, function_of
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class MappedSum:
    """x + y beside a keeper, with a vmap method of its own."""

    @staticmethod
    def compute(keeper: Keeper, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sum, found without an operation that vmap could follow."""
        numbers = x.detach().cpu().tolist() if keeper.way == "opaque" else None
        found = x + y
        return found if numbers is None else torch.tensor(numbers, dtype=x.dtype, device=x.device).reshape(x.shape) + y

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is saved."""

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> Any:
        """Twice and three times the upstream gradient."""
        return None, upstream * 2, upstream * 3

    @staticmethod
    def batched(info: Any, in_dims: tuple[Any, ...], keeper: Keeper, x: torch.Tensor, y: torch.Tensor) -> Any:
        """The function of all at once, and where the batch is."""
        keeper.seen.append((info.batch_size, info.randomness, in_dims, tuple(x.shape), tuple(y.shape)))
        x = x.movedim(in_dims[1], 0) if in_dims[1] is not None else x[None]
        y = y.movedim(in_dims[2], 0) if in_dims[2] is not None else y[None]
        found = function_of(MappedSum, "setup").apply(keeper, x, y)
        return found.movedim(0, -1), -1


def cube(style: str = "setup") -> Callable[[torch.Tensor], torch.Tensor]:
    """x to the third by a custom function for which vmap makes a rule."""
    found: Callable[[torch.Tensor], torch.Tensor] = function_of(Cube, style, generate_vmap_rule=True).apply
    return found


def cube_without_a_rule() -> Callable[[torch.Tensor], torch.Tensor]:
    """The same without a rule."""
    found: Callable[[torch.Tensor], torch.Tensor] = function_of(Cube, "setup").apply
    return found


def cube_with_two_rules() -> Callable[[torch.Tensor], torch.Tensor]:
    """The same with a rule of its own, and one that is to be made."""
    members = {"generate_vmap_rule": True, "vmap": staticmethod(MappedSum.batched)}
    made: Any = type("TwoRules", (function_of(Cube, "setup"),), members)
    found: Callable[[torch.Tensor], torch.Tensor] = made.apply
    return found


def summed(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The sum of the function's values, which torch.func can differentiate."""
    return function(x).sum()


def transform(way: str, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """One transform of torch.func of ``function`` at x; a derivative that is diagonal as its diagonal."""
    total, func, flat = partial(summed, function), torch.func, x.reshape(-1)
    found: torch.Tensor = {
        "grad": lambda: func.grad(total)(x),
        "vjp": lambda: func.vjp(function, x)[1](torch.full_like(x, 2))[0],
        "jacrev": lambda: func.jacrev(function)(flat).diagonal().reshape(x.shape),
        "jvp": lambda: func.jvp(function, (x,), (torch.full_like(x, 2),))[1],
        "jacfwd": lambda: func.jacfwd(function)(flat).diagonal().reshape(x.shape),
        "hessian": lambda: func.hessian(total)(flat).diagonal().reshape(x.shape),
        "vmap": lambda: func.vmap(function)(x),
        "vmap of grad": lambda: func.vmap(func.grad(total))(x),
        "grad of vmap": lambda: func.grad(lambda v: func.vmap(function)(v).sum())(x),
    }[way]()
    return found


def expected_of_transform(way: str, array: np.ndarray) -> np.ndarray:
    """The same of x to the third in closed form."""
    doubled = {"vjp": 2, "jvp": 2}.get(way, 1)
    return 6 * array if way == "hessian" else doubled * 3 * array**2


TRANSFORM_SHAPES = ((2, 3), (1,), (3,), (1, 3, 1), (2, 3, 5), (0, 3), (0,))
TRANSFORM_DTYPES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")


def transformed(device: str, dtype: str, shape: tuple[int, ...], layout: str, way: str) -> FunctionKind:
    """One case of one choice of each factor."""
    return FunctionKind(corner(dtype, shape, layout, "ordinary", "binary-nonzero", device), "setup", "leaf", way)


def mapped_functions(cell: Cell) -> Inputs:
    """Shapes that have something to map over, by the first dimension or the last."""
    shapes = tuple(shape for shape in TRANSFORM_SHAPES if 0 not in shape)
    return crossed(transformed, cell.target.device, TRANSFORM_DTYPES, shapes, DISJOINT, ("0", "-1", "opaque"), passes=1)


def transformed_functions(cell: Cell) -> Inputs:
    """Each transform of torch.func, of real numbers."""
    ways = ("grad", "vjp", "jacrev", "jvp", "jacfwd", "hessian", "vmap of grad", "grad of vmap")
    return crossed(
        transformed, cell.target.device, TRANSFORM_DTYPES[:2], TRANSFORM_SHAPES[:5], DISJOINT, ways, passes=1
    )


def combined_transforms(cell: Cell) -> Inputs:
    """Transforms that a function with a combined forward has not."""
    return crossed(
        transformed, cell.target.device, TRANSFORM_DTYPES[:2], TRANSFORM_SHAPES[:5], DISJOINT, ("grad", "vjp", "vmap"),
        passes=1,
    )  # fmt: skip


def dual_functions(cell: Cell) -> Inputs:
    """Functions some or all of whose inputs have tangents."""
    return applications(cell, TRACKED_STATES[:4] + MIXED_STATES, ((1, "all"), (2, "all"), (3, "all")))


def partly_dual_functions(cell: Cell) -> Inputs:
    """Functions some of whose inputs have no tangent."""
    return applications(cell, MIXED_STATES, ((1, "all"), (2, "all"), (3, "all")))
