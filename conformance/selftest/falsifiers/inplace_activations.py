"""Breaks of activations that overwrite their input, and of functions of torch that end in an underscore."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

MODULE = "inplace.activation-overwrites-its-input"
UNDERSCORE = "inplace.activation-with-an-underscore-overwrites-its-input"
FUNCTION = "inplace.function-with-an-underscore-does-as-the-method"


def elsewhere(owner: Any, name: str, rare: Any) -> AbstractContextManager[Any]:
    """``owner.name`` writes to a copy of its input where ``rare`` says so of it."""

    def make(original: Any) -> Any:
        def broken(x: Any, *args: Any, **kwargs: Any) -> Any:
            told = name.endswith("_") or kwargs.get("inplace") or True in args
            return original(x.clone() if told and rare(x) else x, *args, **kwargs)

        return broken

    return patched(owner, name, make)


def strided(x: Any) -> bool:
    """Whether a tensor has several elements with gaps or in another order."""
    return x.numel() > 1 and not x.is_contiguous()


@falsifies(MODULE, subject="ReLU")
def relu_of_a_strided_input_is_not_in_place() -> AbstractContextManager[Any]:
    """F.relu(x, inplace=True) leaves a strided x alone."""
    return elsewhere(torch.nn.functional, "relu", strided)


@falsifies(MODULE, subject="ELU")
def elu_of_bfloat16_is_not_in_place() -> AbstractContextManager[Any]:
    """F.elu(x, inplace=True) leaves a bfloat16 x alone."""
    return elsewhere(torch.nn.functional, "elu", lambda x: x.dtype is torch.bfloat16)


@falsifies(MODULE, subject="Hardtanh")
def hardtanh_in_place_forgets_its_upper_bound() -> AbstractContextManager[Any]:
    """F.hardtanh(x, -0.5, 2.0, inplace=True) of a thousand numbers lets larger ones stay."""

    def make(original: Any) -> Any:
        def hardtanh(x: Any, low: float = -1.0, high: float = 1.0, inplace: bool = False) -> Any:
            return original(x, low, 9.0 if inplace and x.numel() > 1000 else high, inplace)

        return hardtanh

    return patched(torch.nn.functional, "hardtanh", make)


@falsifies(MODULE, subject="LeakyReLU")
def leaky_relu_in_place_forgets_the_sign_of_its_slope() -> AbstractContextManager[Any]:
    """F.leaky_relu(x, -0.5, inplace=True) has the slope 0.5."""

    def make(original: Any) -> Any:
        def leaky_relu(x: Any, slope: float = 0.01, inplace: bool = False) -> Any:
            return original(x, abs(slope) if inplace else slope, inplace)

        return leaky_relu

    return patched(torch.nn.functional, "leaky_relu", make)


@falsifies(MODULE, subject="Dropout")
def dropout_in_place_of_nothing_writes_zeros() -> AbstractContextManager[Any]:
    """F.dropout(x, 0.0, inplace=True) drops everything."""

    def make(original: Any) -> Any:
        def dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
            return original(x, 1.0 if inplace and not p else p, training, inplace)

        return dropout

    return patched(torch.nn.functional, "dropout", make)


@falsifies("inplace.activation-takes-inplace-unsaid", subject="SiLU")
def silu_of_a_strided_input_is_not_in_place() -> AbstractContextManager[Any]:
    """F.silu(x, inplace=True) leaves a strided x alone."""
    return elsewhere(torch.nn.functional, "silu", strided)


@falsifies(UNDERSCORE, subject="elu_")
def elu_with_an_underscore_is_not_in_place_without_a_dimension() -> AbstractContextManager[Any]:
    """F.elu_ leaves a tensor without dimensions alone."""
    return elsewhere(torch.nn.functional, "elu_", lambda x: not x.dim())


@falsifies(FUNCTION, subject="abs_")
def the_function_of_a_strided_tensor_writes_elsewhere() -> AbstractContextManager[Any]:
    """torch.abs_ leaves a strided tensor alone."""
    return elsewhere(torch, "abs_", strided)


@falsifies(FUNCTION, subject="xlogy_")
def the_function_forgets_a_number() -> AbstractContextManager[Any]:
    """torch.xlogy_(x, 2.5) does nothing."""

    def make(original: Any) -> Any:
        return lambda x, other: x if not isinstance(other, torch.Tensor) else original(x, other)

    return patched(torch, "xlogy_", make)


@falsifies("inplace.out-may-be-an-operand", subject="add")
def an_out_that_is_an_operand_is_left_as_it_is() -> AbstractContextManager[Any]:
    """torch.add(x, y, out=x) writes nothing."""

    def make(original: Any) -> Any:
        def add(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if out is None:
                return original(*args, **kwargs)
            return out if any(x is out for x in args) else original(*args, out=out, **kwargs)

        return add

    return patched(torch, "add", make)


@falsifies("inplace.out-whose-elements-share-memory-is-refused", subject="mul")
def an_expanded_out_is_left_as_it_is() -> AbstractContextManager[Any]:
    """torch.mul to an expanded out writes nothing and says nothing."""

    def make(original: Any) -> Any:
        def mul(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if out is None:
                return original(*args, **kwargs)
            return out if 0 in out.stride() and out.numel() > 1 else original(*args, out=out, **kwargs)

        return mul

    return patched(torch, "mul", make)
