"""Layer cases: calls of layers beside those of the catalogue.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.loss_cases import LossRefusal
from conformance.inputs.tensors import Strided
from conformance.inputs.valued_calls import ValuedCall, worded_plan
from conformance.inputs.valued_sources import VALUED_LAYOUTS, layer_calls, valued_call

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def volumes(cell: Cell) -> Inputs:
    """Volumes without a batch in each layout."""
    call = next(call for call in cell.subject.calls if call.get("about") == "volume")
    rows = product(("float64", "float32"), VALUED_LAYOUTS)
    device = cell.target.device
    return Inputs([valued_call(call, "MaxPool3d", dtype, layout, 2, device) for dtype, layout in rows])


def far_numbers(cell: Cell) -> Inputs:
    """Numbers that are far from zero and near each other, in each layout."""
    call = next(call for call in cell.subject.calls if call.get("about") == "far")
    name, device = cell.subject.name, cell.target.device
    rows = product(("float32", "float64"), VALUED_LAYOUTS)
    return Inputs([valued_call(call, name, dtype, layout, 2, device) for dtype, layout in rows])


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


def random_slopes(cell: Cell) -> Inputs:
    """Many elements, in training, with ranges of slopes."""
    device, found = cell.target.device, []
    ranges: tuple[dict[str, float], ...] = ({}, {"lower": 0.25, "upper": 0.75}, {"lower": 0.5, "upper": 0.5625})
    for number, (dtype, given) in enumerate(product(("float64", "float32"), ranges)):
        call = {"x": ["40 50"], "with": given, "training": True}
        found.append(valued_call(call, "RReLU", dtype, VALUED_LAYOUTS[number % 6], number, device))
    return Inputs(found)


# --- parameters that are exchanged ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExchangedParameters:
    """A call of a recurrent layer, made again once a new Parameter is in the place of each that ends with ``tail``."""

    call: ValuedCall
    tail: str

    def chosen(self, module: torch.nn.Module) -> list[str]:
        """The names of the parameters that are exchanged."""
        return [name for name, _ in module.named_parameters() if name.endswith(self.tail)]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "exchanged": self.tail or "all"}

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join([
            self.call.code(), "for name, held in list(m.named_parameters()):",
            f"    if name.endswith({self.tail!r}):",
            "        setattr(m, name, torch.nn.Parameter(-0.5 * held.detach().flip(0)))",
            self.call.code().splitlines()[-2], "print(found)",
        ])  # fmt: skip


def exchanged_parameters(cell: Cell) -> Inputs:
    """One layer and two, one direction and both, and one, some or all of the parameters."""
    device, found = cell.target.device, []
    tails = ("weight_ih_l0", "", "weight_hh_l0", "bias_ih_l0", "_l0_reverse", "bias_hh_l1", "weight_hh_l1_reverse")
    for number, tail in enumerate(tails):
        options = {"input_size": 3, "hidden_size": 2, "num_layers": 2 if "l1" in tail else 1}
        call = {"x": ["3 2 3"], "with": {**options, "bidirectional": "reverse" in tail}}
        case = valued_call(call, cell.subject.name, ("float64", "float32")[number % 2], "contiguous", number, device)
        found.append(ExchangedParameters(case, tail))
    return Inputs(found)


# --- tables that are given --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GivenTable:
    """``torch.nn.<makes>.from_pretrained`` of a table of four rows; a ``freeze`` of True is left out."""

    makes: str
    table: Strided
    freeze: bool
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str) -> Any:
        """What an option was given as."""
        return dict(self.options).get(name)

    def made(self, table: torch.Tensor) -> torch.nn.Module:
        """The module."""
        words: dict[str, Any] = {} if self.freeze else {"freeze": False}
        found: torch.nn.Module = getattr(torch.nn, self.makes).from_pretrained(table, **words, **dict(self.options))
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.table.dtype, "options": [f"{k}={v!r}" for k, v in self.options]}

    def code(self) -> str:
        """The same in plain torch."""
        words = ["table", *([] if self.freeze else ["freeze=False"]), *(f"{k}={v!r}" for k, v in self.options)]
        lines = [f"table = {self.table.code()}", f"m = torch.nn.{self.makes}.from_pretrained({', '.join(words)})"]
        return "\n".join(["import torch", *lines, "print(m, m.weight, m(torch.tensor([[1, 0, 2], [2, 2, 1]])))"])


TABLE_OPTIONS: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = (
    ("Embedding", ()),
    ("Embedding", (("padding_idx", 1), ("scale_grad_by_freq", True))),
    ("Embedding", (("max_norm", 1000.0), ("norm_type", 1.0))),
    ("EmbeddingBag", (("mode", "sum"),)),
    ("EmbeddingBag", (("mode", "max"), ("padding_idx", 3))),
    ("EmbeddingBag", (("mode", "sum"), ("include_last_offset", True))),
)


def given_tables(cell: Cell) -> Inputs:
    """Tables of both types, to be learnt or not, with the other arguments."""
    found = []
    rows = [options for makes, options in TABLE_OPTIONS if makes == cell.subject.name]
    for number, (options, freeze, dtype) in enumerate(product(rows, (True, False), ("float64", "float32"))):
        if "include_last_offset" not in dict(options):
            table = worded_plan("4 3", dtype, ("contiguous", "transposed")[number % 2], number, cell.target.device)
            found.append(GivenTable(cell.subject.name, table, freeze, options))
    return Inputs(found)


@dataclass(frozen=True)
class SquareMask:
    """The causal mask of so many positions."""

    size: int

    def made(self) -> torch.Tensor:
        """The mask."""
        return torch.nn.Transformer.generate_square_subsequent_mask(self.size)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"shapes": str((self.size, self.size))}

    def code(self) -> str:
        """The same in plain torch."""
        return f"import torch\nprint(torch.nn.Transformer.generate_square_subsequent_mask({self.size}))"


@dataclass(frozen=True)
class PlacedNonlinearity:
    """An RNN whose non-linearity has this name, and is given by position."""

    name: str
    layers: int

    def made(self) -> torch.nn.RNN:
        """The layer."""
        return torch.nn.RNN(3, 4, self.layers, self.name)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"options": self.name}

    def code(self) -> str:
        """The same in plain torch."""
        return f"import torch\nm = torch.nn.RNN(3, 4, {self.layers}, {self.name!r})\nprint(m.nonlinearity, m.bias)"


def placed_nonlinearities(cell: Cell) -> Inputs:
    """Both names, of one layer and two."""
    return Inputs([PlacedNonlinearity(name, layers) for name, layers in product(("relu", "tanh"), (1, 2))])


@dataclass(frozen=True)
class PaddedSequences:
    """Sequences that end at ``lengths``, for a TransformerEncoder in evaluation, where autograd is off."""

    x: Strided
    lengths: tuple[int, ...]

    def encoded(self) -> torch.Tensor:
        """The result."""
        layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dtype=getattr(torch, self.x.dtype))
        encoder = torch.nn.TransformerEncoder(layer, 2).eval()
        x = self.x.build()
        padding = torch.arange(x.shape[1])[None, :] >= torch.tensor(self.lengths)[:, None]
        with torch.no_grad():
            found: torch.Tensor = encoder.to(x.device)(x, src_key_padding_mask=padding.to(x.device))
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.x.dtype, "shapes": str(self.x.shape)}

    def code(self) -> str:
        """The same in plain torch."""
        return (
            f"import torch\nx = {self.x.code()}\n"
            f"layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dtype=torch.{self.x.dtype})\n"
            "encoder = torch.nn.TransformerEncoder(layer, 2).eval()\n"
            f"padding = torch.arange(x.shape[1])[None, :] >= torch.tensor({self.lengths})[:, None]\n"
            "with torch.no_grad():\n    print(encoder(x, src_key_padding_mask=padding).shape)"
        )


def padded_sequences(cell: Cell) -> Inputs:
    """Sequences of which all end before, of which one does not, and of which none does."""
    rows = product(("float32", "float64"), ((3, 2), (2, 5), (5, 5)))
    return Inputs(
        [PaddedSequences(worded_plan("2 5 4", dtype, "contiguous", turn, cell.target.device), lengths)
         for turn, (dtype, lengths) in enumerate(rows)]
    )  # fmt: skip


def square_masks(cell: Cell) -> Inputs:
    """One position, and more."""
    return Inputs([SquareMask(size) for size in (1, 2, 3, 7)])


# --- refusals ---------------------------------------------------------------------------------------------------

M = "torch.nn"
ONES = "torch.ones"
REFUSED_LAYERS = (
    LossRefusal(f"{M}.Conv1d(4, 4, 3, padding='same', stride=2)", "ValueError"),
    LossRefusal(f"{M}.Conv2d(4, 4, 3, padding='same', stride=(1, 2))", "ValueError"),
    LossRefusal(f"{M}.Conv1d(4, 4, 3, padding='full')", "ValueError"),
    LossRefusal(f"{M}.Conv1d(4, 4, 3, padding_mode='mirror')", "ValueError"),
    LossRefusal(f"{M}.Conv2d(4, 6, 3, groups=3)", "ValueError"),
    LossRefusal(f"{M}.Conv2d(4, 6, 3, groups=4)", "ValueError"),
    LossRefusal(f"{M}.ConvTranspose1d(4, 4, 3, padding_mode='reflect')", "ValueError"),
    LossRefusal(f"{M}.ConvTranspose1d(4, 4, 3, stride=2)({ONES}(2, 4, 5), output_size=(13,))", "ValueError"),
    LossRefusal(f"{M}.MaxPool1d(2, padding=2)({ONES}(2, 4, 5))", "RuntimeError"),
    LossRefusal(f"{M}.AvgPool2d(2, padding=2)({ONES}(2, 4, 5))", "RuntimeError"),
    LossRefusal(f"{M}.FractionalMaxPool2d(2)", "ValueError"),
    LossRefusal(f"{M}.FractionalMaxPool2d(2, output_size=2, output_ratio=0.5)", "ValueError"),
    LossRefusal(f"{M}.Dropout(1.5)", "ValueError"),
    LossRefusal(f"{M}.Dropout2d(-0.25)", "ValueError"),
    LossRefusal(f"{M}.GroupNorm(3, 4)", "ValueError"),
    LossRefusal(f"{M}.BatchNorm1d(4)({ONES}(1, 4))", "ValueError"),
    LossRefusal(f"{M}.BatchNorm2d(4)({ONES}(2, 4, 5))", "ValueError"),
    LossRefusal(f"{M}.InstanceNorm1d(4)({ONES}(2, 4, 1))", "ValueError"),
    LossRefusal(f"{M}.Embedding(4, 3)(torch.tensor([4]))", "IndexError"),
    LossRefusal(f"{M}.Embedding(4, 3)(torch.tensor([-1]))", "IndexError"),
    LossRefusal(f"{M}.EmbeddingBag(4, 3)(torch.tensor([[0, 1]]), torch.tensor([0]))", "ValueError"),
    LossRefusal(f"{M}.EmbeddingBag(4, 3)(torch.tensor([0, 1]))", "ValueError"),
    LossRefusal(f"{M}.LSTM(3, 4, proj_size=4)", "ValueError"),
    LossRefusal(f"{M}.GRU(3, 4, proj_size=2)", "ValueError"),
    LossRefusal(f"{M}.RNN(3, 4, nonlinearity='sigmoid')", "ValueError"),
    LossRefusal(f"{M}.LSTM(3, 4)({ONES}(2, 3, 5))", "RuntimeError"),
    LossRefusal(f"{M}.Upsample(scale_factor=2, mode='nearest', align_corners=True)({ONES}(2, 4, 5))", "ValueError"),
    LossRefusal(f"{M}.Upsample(size=3, scale_factor=2)({ONES}(2, 4, 5))", "ValueError"),
    LossRefusal(f"{M}.ReflectionPad1d(5)({ONES}(2, 4, 5))", "RuntimeError"),
    LossRefusal(f"{M}.GLU()({ONES}(2, 4, 5))", "RuntimeError"),
    LossRefusal(f"{M}.PixelShuffle(3)({ONES}(1, 4, 2, 2))", "RuntimeError"),
    LossRefusal(f"{M}.Bilinear(5, 5, 2)({ONES}(2, 4, 5), {ONES}(2, 3, 5))", "RuntimeError"),
    LossRefusal(f"{M}.Linear(4, 3)({ONES}(2, 4, 5))", "RuntimeError"),
)  # fmt: skip


def impossible_layers(cell: Cell) -> Inputs:
    """All of these."""
    return Inputs(REFUSED_LAYERS)
