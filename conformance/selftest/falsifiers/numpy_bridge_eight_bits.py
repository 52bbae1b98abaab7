"""Breaks of the floating types of one byte."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "numpy_bridge"


@falsifies(f"{AREA}.float8-stands-for-its-numbers")
def the_largest_number_is_read_as_nan() -> AbstractContextManager[Any]:
    """item() of the largest number of float8_e4m3fn is NaN."""

    def broken(original: Any) -> Any:
        def item(self: Any) -> Any:
            found = original(self)
            return float("nan") if self.dtype is torch.float8_e4m3fn and found == 448 else found

        return item

    return patched(torch.Tensor, "item", broken)


@falsifies(f"{AREA}.float8-takes-the-nearest-number")
def ties_are_rounded_away_from_zero() -> AbstractContextManager[Any]:
    """copy_ to float8_e5m2 rounds the tie below its smallest number up."""

    def broken(original: Any) -> Any:
        def copy_(self: Any, other: Any, *args: Any) -> Any:
            found = original(self, other, *args)
            if self.dtype is torch.float8_e5m2 and other.dtype is torch.float32:
                bits = self.view(torch.uint8)
                original(bits, torch.where(other == 2.0**-17, torch.ones_like(bits), bits))
            return found

        return copy_

    return patched(torch.Tensor, "copy_", broken)


@falsifies(f"{AREA}.float8-moves-keep-the-bits")
def a_clone_makes_one_nan_of_all() -> AbstractContextManager[Any]:
    """clone of float8_e5m2 writes every NaN with the same bits."""

    def broken(original: Any) -> Any:
        def clone(self: Any, **kwargs: Any) -> Any:
            found = original(self, **kwargs)
            if found.dtype is torch.float8_e5m2:
                bits = found.view(torch.uint8)
                bits[(bits & 0x7F) > 0x7C] = 0x7F
            return found

        return clone

    return patched(torch.Tensor, "clone", broken)
