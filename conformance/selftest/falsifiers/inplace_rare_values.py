"""Breaks for values and outs that are rarely met: NumPy scalars, values that require grad, lazy ones, long integers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, instead, strided
from conformance.selftest.falsifiers.inplace_outs import with_out
from conformance.selftest.falsifying import falsifies, patched


@falsifies(f"{AREA}.augmented-assignment-takes-numpy-numbers")
def a_numpy_half_makes_a_new_tensor() -> AbstractContextManager[Any]:
    """x *= np.float16(…) binds the name to another tensor where x is bfloat16."""

    def broken(original: Any) -> Any:
        def imul(self: Any, other: Any) -> Any:
            apart = isinstance(other, np.float16) and self.dtype is torch.bfloat16
            return self.mul(float(other)) if apart else original(self, other)

        return imul

    return patched(torch.Tensor, "__imul__", broken)


@falsifies(f"{AREA}.value-that-requires-grad-is-written-without-grad")
def a_history_from_a_value_that_is_no_leaf() -> AbstractContextManager[Any]:
    """index_put_ under no_grad makes self require grad where the value is no leaf."""

    def broken(original: Any) -> Any:
        def index_put_(self: Any, indices: Any, values: Any, *args: Any) -> Any:
            found = original(self, indices, values, *args)
            return self.requires_grad_() if values.grad_fn is not None and not torch.is_grad_enabled() else found

        return index_put_

    return patched(torch.Tensor, "index_put_", broken)


@falsifies(f"{AREA}.out-with-a-lazy-bit-receives-the-result")
def the_bit_of_a_strided_out_is_overlooked() -> AbstractContextManager[Any]:
    """square writes to a conjugated out that is strided as if it had no bit."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        original(*args, out=out.conj() if out.is_conj() and strided(out) else out)
        return out

    return with_out("square", other)


@falsifies(f"{AREA}.computes-the-documented-values", subject="add_")
def long_integers_are_scaled_as_doubles() -> AbstractContextManager[Any]:
    """add_ of int64 with an alpha computes in float64."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
            if (
                self.dtype is torch.int64
                and isinstance(other, torch.Tensor)
                and other.dtype is torch.int64
                and alpha != 1
            ):
                return self.copy_(self.double() + other.double() * alpha)
            return original(self, other, alpha=alpha)

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies(f"{AREA}.computes-the-documented-values", subject="sub_")
def bytes_saturate_under_a_negative_factor() -> AbstractContextManager[Any]:
    """sub_ of int8 with a negative alpha ends at the extremes in the place of wrapping."""

    def broken(original: Any) -> Any:
        def sub_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
            if self.dtype is torch.int8 and isinstance(other, torch.Tensor) and alpha < 0:
                return self.copy_((self.long() - other.long() * alpha).clamp(-128, 127))
            return original(self, other, alpha=alpha)

        return sub_

    return patched(torch.Tensor, "sub_", broken)


def through_doubles(name: str) -> AbstractContextManager[Any]:
    """A method that computes what it does to int64 in float64."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype is not torch.int64:
            return original(self, *args, **kwargs)
        given = [x.double() if isinstance(x, torch.Tensor) and x.dtype is torch.int64 else x for x in args]
        return self.copy_(original(self.double(), *given, **kwargs))

    return instead(name, other)


@falsifies(f"{AREA}.computes-the-documented-values", subject="addmm_")
def a_matrix_product_of_long_integers_is_one_of_doubles() -> AbstractContextManager[Any]:
    """addmm_ of int64 computes in float64."""
    return through_doubles("addmm_")


@falsifies(f"{AREA}.computes-the-documented-values", subject="addr_")
def an_outer_product_of_long_integers_is_one_of_doubles() -> AbstractContextManager[Any]:
    """addr_ of int64 computes in float64."""
    return through_doubles("addr_")


@falsifies(f"{AREA}.computes-the-documented-values", subject="addcmul_")
def a_product_of_long_integers_is_added_as_a_double() -> AbstractContextManager[Any]:
    """addcmul_ of int64 computes in float64."""
    return through_doubles("addcmul_")


@falsifies(f"{AREA}.computes-the-documented-values", subject="map_")
def a_function_of_long_integers_is_stored_as_a_single() -> AbstractContextManager[Any]:
    """map_ of int64 stores what float32 holds of the function's values."""

    def other(original: Any, self: Any, tensor: Any, function: Any) -> Any:
        found = original(self, tensor, function)
        return self.copy_(self.float()) if self.dtype is torch.int64 else found

    return instead("map_", other)


@falsifies(f"{AREA}.lazy-operand-is-read-as-its-numbers", subject="baddbmm_")
def the_second_batch_is_not_conjugated() -> AbstractContextManager[Any]:
    """baddbmm_ by a second batch that is conjugated lazily multiplies by what lies in memory."""

    def other(original: Any, self: Any, first: Any, second: Any, **kwargs: Any) -> Any:
        return original(self, first, second.conj() if second.is_conj() else second, **kwargs)

    return instead("baddbmm_", other)


@falsifies(f"{AREA}.lazy-operand-is-read-as-its-numbers", subject="fill_")
def a_conjugated_value_is_filled_in_as_it_lies() -> AbstractContextManager[Any]:
    """fill_ with a value that is conjugated lazily fills in what lies in memory."""

    def other(original: Any, self: Any, value: Any) -> Any:
        return original(self, value.conj() if isinstance(value, torch.Tensor) and value.is_conj() else value)

    return instead("fill_", other)
