"""Dual numbers: forward-mode derivatives in NumPy, for programs whose gradients are to be known without autograd.

A ``Dual`` holds the values of a tensor and, along one more dimension at the end, their slopes in as many directions
as are asked for. Views are views of both arrays and share memory as the tensors do; a step that writes in place
writes both. What a program's steps compute is said by their rules (``dual_…`` functions), one for each operation.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from conformance.inputs.weights import weights_for


class Dual(NamedTuple):
    """Values, and their slopes: ``slope[..., k]`` is the derivative of ``value`` in direction ``k``."""

    value: np.ndarray
    slope: np.ndarray


def along(factor: Any, x: Dual) -> Any:
    """The slopes of ``x``, each times the factor of its element."""
    return np.asarray(factor)[..., None] * x.slope


def constant(value: Any, like: Dual) -> Dual:
    """A dual number without slopes, in the same directions as ``like``."""
    array = np.asarray(value, np.float64)
    return Dual(array, np.zeros((*array.shape, like.slope.shape[-1])))


def seeded(arrays: list[np.ndarray], directions: int, first: int = 0) -> list[Dual]:
    """Independent variables: each element of each array has a direction of its own, counted from ``first``."""
    found = []
    for array in arrays:
        slope = np.zeros((array.size, directions))
        slope[np.arange(array.size), first + np.arange(array.size)] = 1.0
        found.append(Dual(np.array(array, np.float64, order="C"), slope.reshape(*array.shape, directions)))
        first += array.size
    return found


def settled(step: Any, operands: list[Dual]) -> Dual:
    """What one step makes of its operands; a step that writes changes the first of them, and is that one."""
    value, slope = step.rule(*operands, *step.numbers)
    if step.kind == "write":
        operands[0].value[...] = value
        operands[0].slope[...] = slope
        return operands[0]
    if step.silent:
        return constant(value, operands[0])
    return Dual(np.asarray(value), np.asarray(slope))


def evaluated(program: Any, starts: list[np.ndarray] | None = None, retained: tuple[int, ...] = ()) -> list[Dual]:
    """Every value of the program, leaves first, with slopes by each element of the leaves, one after another.

    ``starts`` are other values for the leaves. After these directions come those by the elements of the values
    numbered in ``retained``, as the steps that come after see them.
    """
    starts = program.starts() if starts is None else starts
    first = directions = sum(array.size for array in starts)
    if retained:
        plain = evaluated(program, starts)
        directions += sum(plain[i].value.size for i in retained)
    values = seeded(starts, directions)
    for number, step in enumerate(program.steps, len(starts)):
        found = settled(step, [values[i] for i in step.operands])
        if number in retained:
            own = seeded([found.value], directions, first)[0]
            found = Dual(found.value.copy(), found.slope + own.slope)
            first += found.value.size
        values.append(found)
    return values


def slopes_of(program: Any, starts: list[np.ndarray] | None = None, retained: tuple[int, ...] = ()) -> list[np.ndarray]:
    """The derivative of the program's weighted sum by each leaf, and by each value that is retained."""
    values = evaluated(program, starts, retained)
    total = np.zeros(values[0].slope.shape[-1])
    for root in program.roots:
        found = values[root]
        total += (found.slope * weights_for(found.value.shape)[..., None]).sum(tuple(range(found.value.ndim)))
    shapes = [values[i].value.shape for i in (*range(len(program.leaves)), *retained)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(total, ends)[:-1], shapes, strict=True)]


def weighted_value(program: Any, starts: list[np.ndarray]) -> float:
    """The program's weighted sum itself, for these values of the leaves."""
    values = evaluated(program, starts)
    return float(sum((values[root].value * weights_for(values[root].value.shape)).sum() for root in program.roots))
