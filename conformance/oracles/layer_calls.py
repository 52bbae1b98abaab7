"""Layer calls: what the catalogue of modules says of one call, evaluated beside the call itself."""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.layer_uses import OPERAND_NAMES, LayerUse
from conformance.oracles.layer_shapes import SHAPE_FORMULAS, each


def flat_results(found: Any) -> list[torch.Tensor]:
    """Every tensor of a result, in order; None is left out."""
    if isinstance(found, torch.Tensor):
        return [found]
    return [tensor for part in found if part is not None for tensor in flat_results(part)]


def bordered(x: torch.Tensor, padding: Any, mode: str, n: int) -> torch.Tensor:
    """An operand with the borders that a convolution of another padding mode than zeros gives it."""
    if mode == "zeros":
        return x
    widths = [width for own in reversed(each(padding, n)) for width in (own, own)]
    found: torch.Tensor = torch.nn.functional.pad(x, widths, mode)
    return found


def counterpart_result(case: LayerUse, module: torch.nn.Module, operands: list[torch.Tensor]) -> Any:
    """What the functional counterpart gives for the module's own parameters and for copies of its buffers."""
    buffers = {name: None if value is None else value.clone() for name, value in module._buffers.items()}
    names = {
        **SHAPE_FORMULAS, **dict.fromkeys(OPERAND_NAMES), **dict(case.bound), **module._parameters, **buffers,
        **dict(zip(OPERAND_NAMES, operands, strict=False)),
        "F": torch.nn.functional, "torch": torch, "module": module, "training": module.training, "bordered": bordered,
    }  # fmt: skip
    return eval(case.expected, names)


def documented_shapes(case: LayerUse) -> list[tuple[int, ...]]:
    """The shapes of the results, by the formula of the documentation."""
    found = eval(case.expected, shape_names(case))
    return [tuple(shape) for shape in found] if isinstance(found, list) else [tuple(found)]


def shape_names(case: LayerUse) -> dict[str, Any]:
    """What an expression about shapes may name."""
    operands = dict(zip(OPERAND_NAMES, case.shapes, strict=False))
    return {**SHAPE_FORMULAS, **dict.fromkeys(OPERAND_NAMES), **dict(case.bound), **operands}
