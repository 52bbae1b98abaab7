"""Layer sources: which uses of a class of torch.nn the checks of the area layers are fed."""

from __future__ import annotations

from typing import Any

import torch

from conformance.engine.module_catalogue import Construction, ModuleRow
from conformance.engine.versions import out_of_range
from conformance.inputs.layer_uses import LayerUse

LAYER_LAYOUTS = ("contiguous", "transposed", "stepped", "offset")


def constructions(row: ModuleRow) -> list[Construction]:
    """The constructions of a row that this release has."""
    return [x for x in row.arguments if out_of_range(torch.__version__, x.since, x.until) is None]


def shapes_of(text: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of the operands that one text of the catalogue describes."""
    return tuple(() if part == "-" else tuple(map(int, part.split("x"))) for part in text.split())


def layer_use(row: ModuleRow, made: Construction, shapes: str, **more: Any) -> LayerUse:
    """One use of one construction; ``more`` are its other fields."""
    bound = {**row.bound(made.call), **row.names}
    kinds = tuple(_counted(kind, bound) for kind in row.operands)
    return LayerUse(row.name, made.call, shapes_of(shapes), kinds, bound=tuple(bound.items()), **more)


def _counted(kind: str, bound: dict[str, Any]) -> str:
    word, colon, number = kind.partition(":")
    return f"{word}:{bound.get(number, number)}" if colon else kind


def calls_of(row: ModuleRow, full: bool = True) -> list[tuple[Construction, str]]:
    """Constructions with their inputs: each pair, or each construction and each input at least once."""
    found: dict[tuple[str, str], tuple[Construction, str]] = {}
    for n, made in enumerate(constructions(row)):
        inputs = row.inputs if made.inputs is None else made.inputs
        for k, shapes in enumerate(inputs):
            if full or k == n % len(inputs) or (n == k % len(row.arguments)):
                found[made.call, shapes] = made, shapes
    return list(found.values())
