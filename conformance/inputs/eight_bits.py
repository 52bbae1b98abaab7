"""Eight bits: tensors of the floating types of one byte, and the numbers that their bit patterns stand for.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-dtype
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.dtypes import torch_dtype
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Exponent and mantissa bits, and the pattern from which on (of each sign) there is no finite number.
EIGHT_BIT_FORMATS = {"float8_e4m3fn": (4, 3, 0x7F), "float8_e5m2": (5, 2, 0x7C)}
# What reads numbers, what takes numbers, and what only moves them; ``x`` is of eight bits, ``y`` of float32.
READINGS_OF_EIGHT = ("x.tolist()", "[n.item() for n in x]", "x.float().tolist()", "x.to(torch.float64).tolist()",
                     "x.clone().to(torch.bfloat16).tolist()")  # fmt: skip
TAKINGS_OF_EIGHT = ("y.to(x.dtype)", "torch.zeros_like(x).copy_(y)", "y.t().to(x.dtype).t()", "y.type(x.dtype)")
MOVES_OF_EIGHT = (
    "x.clone()", "torch.zeros_like(x).copy_(x)", "x.t().contiguous().t()", "x.detach()",
    "x.view(torch.uint8).view(x.dtype)",
    "x.to(x.dtype, copy=True)", "torch.stack([*x])", "[x, b.bitwise_xor_(1)][0].view(torch.uint8).bitwise_xor(1)",
    "[b, x.view(torch.uint8).bitwise_xor_(1)][0].bitwise_xor(1)",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class EightBits:
    """``expression`` of a tensor ``x`` over bytes ``b``, those of ``bits``, or of a float32 tensor ``y``."""

    expression: str
    dtype: str
    bits: Strided
    floats: Strided | None = None

    def evaluate(self) -> Any:
        """What the expression gives."""
        b = self.bits.build()
        scope = {"torch": torch, "b": b, "x": b.view(torch_dtype(self.dtype))}
        return eval(self.expression, {**scope, "y": self.floats.build()} if self.floats is not None else scope)

    def numbers(self) -> np.ndarray:
        """The numbers of the bit patterns."""
        found: np.ndarray = eight_bit_numbers(self.dtype)[self.bits.array]
        return found

    def nearest(self) -> np.ndarray:
        """The bit patterns of the numbers nearest to those of ``floats``, the even one of two."""
        assert self.floats is not None
        finite = EIGHT_BIT_FORMATS[self.dtype][2]
        table = eight_bit_numbers(self.dtype)[:finite]
        size = np.abs(self.floats.array.astype(np.float64))
        upper = np.searchsorted(table, size).clip(1, finite - 1)
        gap = (table[upper] - size) - (size - table[upper - 1])
        lower = (gap > 0) | ((gap == 0) & (upper % 2 == 1))
        found: np.ndarray = np.where(lower, upper - 1, upper) | np.where(np.signbit(self.floats.array), 0x80, 0)
        return found.astype(np.uint8)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"dtypes": self.dtype, "layouts": self.bits.layout, "shapes": str(self.bits.shape)}

    def code(self) -> str:
        """The expression in plain torch."""
        lines = ["import torch", f"b = {self.bits.code()}", f"x = b.view(torch.{self.dtype})"]
        lines += [f"y = {self.floats.code()}"] if self.floats is not None else []
        return "\n".join([*lines, f"print({self.expression})"])

    def reductions(self) -> Iterator[EightBits]:
        """None: the bit patterns are what the case is about."""
        return iter(())


@cache
def eight_bit_numbers(dtype: str) -> np.ndarray:
    """The number that each of the 256 bit patterns stands for."""
    exponents, mantissa, finite = EIGHT_BIT_FORMATS[dtype]
    bias = 2 ** (exponents - 1) - 1
    found = np.zeros(256)
    for bits in range(128):
        exponent, fraction = bits >> mantissa, (bits & (2**mantissa - 1)) / 2**mantissa
        size = (1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias)
        if bits >= finite:
            size = np.inf if finite == bits == 0x7C else np.nan
        found[bits], found[bits + 128] = size, -size
    return found


def _every_pattern(device: str, layout: str, shape: tuple[int, ...] = (256,)) -> Strided:
    return strided("uint8", shape, layout, tuple(range(256)), device)


def eight_bit_readings(cell: Cell) -> Inputs:
    """Every bit pattern, read in every way."""
    forms = product(EIGHT_BIT_FORMATS, READINGS_OF_EIGHT, ("contiguous", "stepped"))
    return Inputs([EightBits(way, dtype, _every_pattern(cell.target.device, layout)) for dtype, way, layout in forms])


def eight_bit_takings(cell: Cell) -> Inputs:
    """Numbers of every pattern, between two of them, and a bit beside that."""
    found = []
    for dtype, way in product(EIGHT_BIT_FORMATS, TAKINGS_OF_EIGHT):
        table = eight_bit_numbers(dtype)[: EIGHT_BIT_FORMATS[dtype][2]]
        middle = (table[1:] + table[:-1]) / 2
        data = np.concatenate([table, middle, middle * (1 + 2.0**-20), middle * (1 - 2.0**-20), [0.1, 1 / 3]])
        data = np.concatenate([data, -data]).astype(np.float32)
        plan = strided("float32", (2, data.size // 2), "contiguous", tuple(data.tolist()), cell.target.device)
        bits = strided("uint8", plan.shape, "contiguous", (0,), cell.target.device)
        found.append(EightBits(way, dtype, bits, plan))
    return Inputs(found)


def eight_bit_moves(cell: Cell) -> Inputs:
    """Every bit pattern, moved in every way."""
    forms = product(EIGHT_BIT_FORMATS, MOVES_OF_EIGHT, ("contiguous", "transposed"))
    device = cell.target.device
    return Inputs([EightBits(way, dtype, _every_pattern(device, layout, (4, 64))) for dtype, way, layout in forms])
