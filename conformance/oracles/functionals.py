"""Functionals: what ``torch.autograd.functional`` returned, against matrices of derivatives.

Reference: https://docs.pytorch.org/docs/stable/autograd.html#functional-higher-level-api
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.functionals import Functional
from conformance.oracles import expect, memory, numbers


def same_nest(expected: Any, found: Any, dtype: str, what: str) -> None:
    """Expect an array as a tensor of this type, and a list of them as a tuple, or as a list."""
    if isinstance(expected, list):
        expect.that(isinstance(found, tuple | list), what, "a tuple", f"{found!r} ({type(found).__name__})")
        expect.equal(len(expected), len(found), f"length of {what}")
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            same_nest(one, other, dtype, f"{what}[{number}]")
        return
    tensor = expect.tensor(found, what)
    expect.equal(tuple(expected.shape), tuple(tensor.shape), f"shape of {what}")
    expect.equal(f"torch.{dtype}", str(tensor.dtype), f"element type of {what}")
    numbers.close(expected, memory.contents(tensor.detach()), dtype, "value", what)


def kinds_of_nest(found: Any) -> set[str]:
    """What the levels of a nest are."""
    if isinstance(found, torch.Tensor):
        return set()
    return {type(found).__name__}.union(*(kinds_of_nest(part) for part in found))


def as_nested(case: Functional, rows: list[list[np.ndarray]]) -> Any:
    """Rows of matrices as they are returned: a single input, or a result that is no tuple, makes no level."""
    columns: list[Any] = [row if case.count > 1 else row[0] for row in rows]
    return columns if several(case) else columns[0]


def several(case: Functional) -> bool:
    """Whether the function returns a tuple."""
    return isinstance(case.function(*case.arrays), tuple)


def vector_for(case: Functional, name: str) -> tuple[Any, list[np.ndarray]]:
    """A vector for the product of this name, as it is handed over and as arrays: like the results, or the inputs."""
    shapes = [x.shape for x in (case.outputs(case.arrays) if name == "vjp" else case.arrays)]
    plans = [case.direction(shape, turn) for turn, shape in enumerate(shapes)]
    tensors = tuple(plan.build() for plan in plans)
    given = tensors if (several(case) if name == "vjp" else case.count > 1) else tensors[0]
    return given, [plan.array.astype(np.float64) for plan in plans]


def times_jacobian(case: Functional, name: str, vector: list[np.ndarray]) -> list[np.ndarray]:
    """``v`` times the Jacobian, or the Jacobian times ``v``."""
    rows = case.jacobians
    if name == "vjp":
        return [sum(contracted(v, row[k]) for v, row in zip(vector, rows, strict=True)) for k in range(case.count)]
    return [sum(applied(part, v) for part, v in zip(row, vector, strict=True)) for row in rows]


def times_hessian(case: Functional, vector: list[np.ndarray]) -> list[np.ndarray]:
    """The Hessian, which is symmetric, times ``v``."""
    return [sum(applied(part, v) for part, v in zip(row, vector, strict=True)) for row in case.hessians]


def contracted(vector: np.ndarray, matrix: np.ndarray) -> Any:
    """The vector times a matrix whose first axes are the vector's."""
    return np.tensordot(vector, matrix, vector.ndim)


def applied(matrix: np.ndarray, vector: np.ndarray) -> Any:
    """A matrix whose last axes are the vector's, times the vector."""
    return np.tensordot(matrix, vector, vector.ndim)


def or_alone(found: list[np.ndarray], nested: bool) -> Any:
    """The list, or its only member."""
    return [np.asarray(x) for x in found] if nested else np.asarray(found[0])


def derivative_part(name: str, found: Any) -> Any:
    """The derivatives in what a functional returned; products come behind the value of the function."""
    return found if name in ("jacobian", "hessian") else found[1]


def called(case: Functional, name: str, **options: Any) -> Any:
    """What the functional of this name returns, of a vector of ones where it takes one."""
    inputs = case.inputs()
    if name in ("jacobian", "hessian"):
        return getattr(torch.autograd.functional, name)(case.function, inputs, **options)
    like = tuple(torch.ones_like(x) for x in inputs) if case.count > 1 else torch.ones_like(inputs)
    vector = None if name == "vjp" else like
    return getattr(torch.autograd.functional, name)(case.function, inputs, vector, **options)
