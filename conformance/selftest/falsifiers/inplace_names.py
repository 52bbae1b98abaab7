"""Breaks of in-place calls whose arguments are given by name."""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifying import falsifies, patched

NAMED = "inplace.takes-its-arguments-by-name"


def lost_by_name(method: str, *names: str) -> AbstractContextManager[Any]:
    """``method`` does nothing where all of ``names`` are given as keywords."""

    def make(original: Any) -> Any:
        def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
            return self if set(names) <= set(kwargs) else original(self, *args, **kwargs)

        return broken

    return patched(torch.Tensor, method, make)


@falsifies(NAMED, subject="add_")
def a_named_operand_of_bfloat16_is_forgotten() -> AbstractContextManager[Any]:
    """x.add_(other=y) adds nothing to a bfloat16 self."""

    def make(original: Any) -> Any:
        def add_(self: Any, *args: Any, **kwargs: Any) -> Any:
            lost = "other" in kwargs and self.dtype is torch.bfloat16
            return self if lost else original(self, *args, **kwargs)

        return add_

    return patched(torch.Tensor, "add_", make)


@falsifies(NAMED, subject="clamp_")
def an_upper_bound_alone_is_forgotten() -> AbstractContextManager[Any]:
    """x.clamp_(max=y) of a tensor does nothing."""

    def make(original: Any) -> Any:
        def clamp_(self: Any, *args: Any, **kwargs: Any) -> Any:
            lost = set(kwargs) == {"max"} and isinstance(kwargs["max"], torch.Tensor)
            return self if lost else original(self, *args, **kwargs)

        return clamp_

    return patched(torch.Tensor, "clamp_", make)


@falsifies(NAMED, subject="scatter_")
def a_number_to_scatter_by_name_is_forgotten() -> AbstractContextManager[Any]:
    """x.scatter_(dim, index, value=2.5) does nothing."""
    return lost_by_name("scatter_", "value")


@falsifies(NAMED, subject="transpose_")
def dimensions_by_name_are_forgotten() -> AbstractContextManager[Any]:
    """x.transpose_(dim0=0, dim1=1) does nothing."""
    return lost_by_name("transpose_", "dim0", "dim1")


@falsifies(NAMED, subject="random_")
def a_lower_bound_by_name_is_forgotten() -> AbstractContextManager[Any]:
    """x.random_(**{"from": 3, "to": 9}) draws from 0 on."""

    def make(original: Any) -> Any:
        def random_(self: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self, *args, **{**kwargs, "from": 0} if "from" in kwargs else kwargs)

        return random_

    return patched(torch.Tensor, "random_", make)


SUBCLASS = "inplace.takes-operands-of-a-subclass"


def lost_operand(method: str, kind: Any) -> AbstractContextManager[Any]:
    """``method`` does nothing where its first operand is of class ``kind``."""

    def make(original: Any) -> Any:
        def broken(self: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
            return self if isinstance(other, kind) else original(self, other, *args, **kwargs)

        return broken

    return patched(torch.Tensor, method, make)


@falsifies(SUBCLASS, subject="add_")
def a_parameter_is_not_added() -> AbstractContextManager[Any]:
    """x.add_(parameter) does nothing."""
    return lost_operand("add_", torch.nn.Parameter)


@falsifies(SUBCLASS, subject="mul_")
def a_single_precision_number_of_numpy_is_not_taken() -> AbstractContextManager[Any]:
    """x.mul_(np.float32(1.5)) does nothing."""
    return lost_operand("mul_", np.float32)


@falsifies(SUBCLASS, subject="bitwise_and_")
def an_enumerated_integer_is_not_taken() -> AbstractContextManager[Any]:
    """x.bitwise_and_(Choice.ONE) does nothing."""
    return lost_operand("bitwise_and_", enum.IntEnum)


@falsifies(SUBCLASS, subject="fill_")
def a_float_of_another_class_is_cut() -> AbstractContextManager[Any]:
    """x.fill_(v) of a subclass of float fills the whole part of v."""

    def make(original: Any) -> Any:
        def fill_(self: Any, value: Any) -> Any:
            cut = isinstance(value, float) and type(value) not in (float, np.float64)
            return original(self, int(value) if cut else value)

        return fill_

    return patched(torch.Tensor, "fill_", make)


@falsifies("inplace.self-stays-out-of-the-graph-under-no-grad", subject="mul_")
def an_operand_drags_self_into_the_graph_under_no_grad() -> AbstractContextManager[Any]:
    """Under no_grad mul_ by a float32 operand that requires grad makes self require it."""

    def make(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            found = original(self, other)
            wrong = isinstance(other, torch.Tensor) and other.requires_grad and not torch.is_grad_enabled()
            return found.requires_grad_() if wrong and self.dtype is torch.float32 else found

        return mul_

    return patched(torch.Tensor, "mul_", make)


@falsifies("inplace.transposing-in-place-rejects-dimensions")
def three_dimensions_are_transposed() -> AbstractContextManager[Any]:
    """t_ of three dimensions exchanges the last two."""
    return patched(
        torch.Tensor, "t_", lambda original: lambda self: self.transpose_(1, 2) if self.dim() == 3 else original(self)
    )


VALUES = "inplace.computes-the-documented-values"


@falsifies(VALUES, subject="mul_")
def false_beside_a_float_is_ignored() -> AbstractContextManager[Any]:
    """x.mul_(False) of a floating x does nothing."""

    def make(original: Any) -> Any:
        return lambda self, other: self if other is False and self.is_floating_point() else original(self, other)

    return patched(torch.Tensor, "mul_", make)


@falsifies("inplace.augmented-assignment-computes-the-operator", subject="div_")
def division_by_three_multiplies() -> AbstractContextManager[Any]:
    """x /= 3 multiplies by the rounded third."""

    def make(original: Any) -> Any:
        return lambda self, other: self.mul_(1 / 3) if type(other) is int and other == 3 else original(self, other)

    return patched(torch.Tensor, "__itruediv__", make)


@falsifies(VALUES, subject="nan_to_num_")
def a_bound_alone_is_mirrored() -> AbstractContextManager[Any]:
    """nan_to_num_(posinf=2.0) puts -2.0 in the place of minus infinity."""

    def make(original: Any) -> Any:
        def nan_to_num_(self: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
            mirrored = posinf is not None and nan is None and neginf is None
            return original(self, nan, posinf, -posinf if mirrored else neginf)

        return nan_to_num_

    return patched(torch.Tensor, "nan_to_num_", make)


@falsifies(VALUES, subject="round_")
def three_decimals_are_two() -> AbstractContextManager[Any]:
    """round_(decimals=3) rounds to two."""

    def make(original: Any) -> Any:
        return lambda self, decimals=0: original(self, decimals=2 if decimals == 3 else decimals)

    return patched(torch.Tensor, "round_", make)
