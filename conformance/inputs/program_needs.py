"""Needs: where an operation is smooth, so that a program can keep away from every kink, pole and cut.

A need takes the operands and the numbers of a step, and says whether the step's derivative is beyond doubt there. None
is reached from a check: they make programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.oracles.duals import Dual

MARGIN = 0.02  # how far numbers stay from a kink: more than float32 or a finite difference moves them


def anywhere(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No need at all."""
    return True


def between(low: float, high: float) -> Callable[..., bool]:
    """Every element of x lies between two numbers."""

    def need(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
        x = operands[0].value
        return bool((x >= low).all() and (x <= high).all())

    return need


def off_zero(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No element of x is close to zero."""
    return bool((np.abs(operands[0].value) >= MARGIN).all())


def off_whole(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No element of x is close to a whole number."""
    x = operands[0].value
    return bool((np.abs(x - np.round(x)) >= MARGIN).all())


def divisible(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No element of the last operand is small."""
    return bool((np.abs(operands[-1].value) >= 0.25).all())


def logarithmic(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """Every element of the last operand is positive, and not small."""
    return bool((operands[-1].value >= 0.05).all())


def powers(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """A positive base, not small, and moderate exponents."""
    x, y = operands[0].value, operands[1].value
    return bool((x >= 0.05).all() and (x <= 4).all() and (np.abs(y) <= 3).all())


def unequal(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No element of x is close to that of y, but where they are one and the same."""
    x, y = operands
    away = np.abs(x.value - y.value) >= MARGIN
    return bool((away | (x.slope == y.slope).all(-1) & (x.value == y.value)).all())


def not_both_zero(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No point is close to the origin."""
    return bool((np.hypot(operands[0].value, operands[1].value) >= 0.1).all())


def off_the_cut(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No point is close to the origin or to where the angle jumps from one half turn to the other."""
    x, y = operands[0].value, operands[1].value
    return not_both_zero(operands, numbers) and bool(((y > MARGIN) | (np.abs(x) >= MARGIN)).all())


def distinct(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """No two elements of x are close, but where they are one and the same."""
    x = operands[0]
    order = np.argsort(x.value, None)
    values, slopes = x.value.ravel()[order], x.slope.reshape(x.value.size, x.slope.shape[-1])[order]
    near = np.diff(values) < MARGIN / 10
    same = (slopes[1:] == slopes[:-1]).all(-1) & (values[1:] == values[:-1])
    return bool((~near | same).all())


def spread(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """Two elements at least along the dimension, and not all alike."""
    x, dim = operands[0].value, numbers[0]
    return x.size > 0 and x.shape[dim] > 1 and bool((x.var(dim) >= 0.01).all())


def long(operands: list[Dual], numbers: tuple[Any, ...]) -> bool:
    """A length over the dimensions that is not small."""
    return bool(((operands[0].value ** 2).sum(numbers[0]) >= 0.01).all())
