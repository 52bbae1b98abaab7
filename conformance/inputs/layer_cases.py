"""Layer cases: calls of layers beside those of the catalogue.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.valued_calls import ValuedCall
from conformance.inputs.valued_sources import VALUED_LAYOUTS, layer_calls, valued_call

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def volumes(cell: Cell) -> Inputs:
    """Volumes without a batch in each layout."""
    call = next(call for call in cell.subject.calls if call.get("about") == "volume")
    rows = product(("float64", "float32"), VALUED_LAYOUTS)
    device = cell.target.device
    return Inputs([valued_call(call, "MaxPool3d", dtype, layout, 2, device) for dtype, layout in rows])


def dropouts(cell: Cell) -> Inputs:
    """The calls of a row in training mode, in each type."""
    return Inputs([replace(case, training=True) for case in layer_calls(cell).corners])


def embedding_gradients(cell: Cell) -> Inputs:
    """Embeddings with and without a padding index and a division by frequencies."""
    found: list[ValuedCall] = []
    for number, (padding, scaled, words) in enumerate(product((None, 0, 2), (False, True), ("9", "2 5", "3 4"))):
        call = {
            "x": [f"{words} below-5"],
            "with": {"num_embeddings": 5, "embedding_dim": 3, "scale_grad_by_freq": scaled, "padding_idx": padding},
        }
        dtype = ("float64", "float32")[number % 2]
        found.append(valued_call(call, "Embedding", dtype, VALUED_LAYOUTS[number % 6], number, cell.target.device))
    return Inputs(found)
