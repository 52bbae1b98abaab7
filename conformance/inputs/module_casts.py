"""Module casts: modules of several element types, and a call that converts the first of them.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.to
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.registrations import (
    PART_COUNT,
    RegisteredModules,
    Registration,
    compiled_action,
    mixed_registrations,
)

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

REAL_PARTS = ("float32", "float64", "float16", "bfloat16", "float32", "float64")
REAL_TENSORS = ("float64", "int64", "bool", "float32", "float16", "uint8")
# A buffer of each element type, in the root and below it.
BUFFER_ACTIONS = (
    ("buffer", 0, 0, "a"), ("buffer", 0, 1, "b"), ("buffer", 0, 2, "c"), ("module", 0, 1, "weight"),
    ("buffer", 1, 3, "a"), ("buffer", 1, 4, "b"), ("transient", 1, 5, "c"),
)  # fmt: skip
TO_CALLS = (
    ("to(torch.{0})", False), ("to(dtype=torch.{0})", False), ("to({1!r}, torch.{0})", False),
    ("to(torch.zeros(1, dtype=torch.{0}, device={1!r}))", False), ("to(device={1!r}, dtype=torch.{0})", False),
    ("to(torch.{0}, True)", False),
)  # fmt: skip


@dataclass(frozen=True)
class ModuleCast:
    """A call on the root of a history; ``dtype`` is what it casts to, ``kinds`` what it casts: floating, both, all."""

    history: Registration
    call: str
    dtype: str
    kinds: str = "both"

    def build(self) -> RegisteredModules:
        """The modules."""
        return self.history.build()

    def on(self, made: RegisteredModules) -> Any:
        """The result of the call."""
        space = {"m": made.m, "torch": torch}
        exec(compiled_action(f"r = m[0].{self.call}"), space)
        return space["r"]

    def casts(self, dtype: torch.dtype) -> bool:
        """Whether an element type is cast."""
        return (
            dtype.is_floating_point or self.kinds == "all" or (dtype.is_complex and self.kinds == "both")
        )  # fmt: skip

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": self.call, "dtypes": [self.dtype, *self.history.facets()["dtypes"]]}

    def reductions(self) -> Iterator[ModuleCast]:
        """Simpler modules."""
        for history in self.history.reductions():
            yield replace(self, history=history)

    def code(self) -> str:
        """The same in plain torch."""
        return f"{self.history.code()}\nfound = m[0].{self.call}"


def histories_of(cell: Cell, real: bool) -> list[Registration]:
    """Histories of several element types; without complex ones if ``real``."""
    found: list[Registration] = list(mixed_registrations(cell).corners)
    if real:
        turned = [n % PART_COUNT for n in range(len(found))]
        found = [
            replace(one, parameters=REAL_PARTS[n:] + REAL_PARTS[:n], tensors=REAL_TENSORS[n:] + REAL_TENSORS[:n])
            for one, n in zip(found, turned, strict=True)
        ]
    return found


def casts_by_to(cell: Cell) -> Inputs:
    """Each form of to, to real and complex types."""
    device, found = cell.target.device, []
    for number, (call, _) in enumerate(TO_CALLS):
        for real, dtypes in (
            (True, ("float64", "float32", "float16", "bfloat16")),
            (False, ("complex128", "complex64")),
        ):
            histories = histories_of(cell, real)[number::3]
            for turn, history in enumerate(histories):
                dtype = dtypes[turn % len(dtypes)]
                found.append(ModuleCast(history, call.format(dtype, device), dtype))
        history = Registration(BUFFER_ACTIONS, REAL_PARTS, REAL_TENSORS, device)
        found += [ModuleCast(history, call.format(dtype, device), dtype) for dtype in ("float32", "float64")]
    return Inputs(found)


def casts_by_name(cell: Cell) -> Inputs:
    """half, float, double and bfloat16."""
    names = (("half", "float16"), ("float", "float32"), ("double", "float64"), ("bfloat16", "bfloat16"))
    rows = product(names, histories_of(cell, False)[::2])
    return Inputs([ModuleCast(history, f"{name}()", dtype, "floating") for (name, dtype), history in rows])


def casts_by_to_and_name(cell: Cell) -> Inputs:
    """The casts of both kinds."""
    return Inputs([*casts_by_to(cell).corners, *casts_by_name(cell).corners])


def casts_by_type(cell: Cell) -> Inputs:
    """type, given a dtype or its old name."""
    forms = (
        ("type(torch.float64)", "float64"),
        ("type(torch.float16)", "float16"),
        ("type(dst_type=torch.float32)", "float32"),
    )
    rows = product(forms, histories_of(cell, True)[::2])
    return Inputs([ModuleCast(history, call, dtype, "all") for (call, dtype), history in rows])


def integral_casts(cell: Cell) -> Inputs:
    """to with integers and bool."""
    rows = product(("int64", "int8", "uint8", "bool"), histories_of(cell, True)[:20:3])
    calls = ("to(torch.{0})", "to(dtype=torch.{0})", "to({1!r}, torch.{0})")
    device = cell.target.device
    return Inputs([
        ModuleCast(history, calls[n % 3].format(dtype, device), dtype) for n, (dtype, history) in enumerate(rows)
    ])  # fmt: skip


def emptied_modules(cell: Cell) -> Inputs:
    """to_empty to the device itself and to meta, with and without submodules."""
    calls = [f"to_empty(device={device!r})" for device in ("meta", cell.target.device)]
    calls += [f"to_empty(device={device!r}, recurse=False)" for device in ("meta", cell.target.device)]
    return Inputs([ModuleCast(history, call, "") for call, history in product(calls, histories_of(cell, False)[::3])])


@dataclass(frozen=True)
class BuiltLayer:
    """A layer constructed with dtype and device."""

    layer: str
    dtype: str
    device: str = "cpu"

    def build(self) -> torch.nn.Module:
        """The layer; the default generators are as before afterwards."""
        with torch.random.fork_rng(devices=[]):
            made: torch.nn.Module = eval(
                f"torch.nn.{self.layer[:-1]}, dtype=torch.{self.dtype}, device={self.device!r})", {"torch": torch}
            )
        return made

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer, "dtypes": self.dtype}

    def code(self) -> str:
        """The same in plain torch."""
        return f"m = torch.nn.{self.layer[:-1]}, dtype=torch.{self.dtype}, device={self.device!r})"


def built_layers(cell: Cell) -> Inputs:
    """Layers with parameters, with buffers, and with both."""
    layers = (
        "Linear(3, 2)", "Conv2d(1, 2, 3)", "BatchNorm1d(4)", "BatchNorm2d(3, affine=False)", "LSTM(2, 3)",
        "Embedding(4, 3)",
        "LayerNorm(5)", "ConvTranspose1d(2, 2, 2)", "Bilinear(2, 3, 4)", "MultiheadAttention(4, 2)", "GroupNorm(2, 4)",
        "PReLU(2)", "InstanceNorm1d(3, affine=True, track_running_stats=True)", "TransformerEncoderLayer(4, 2, 8)",
        "GRUCell(2, 3)", "RNN(2, 3, bidirectional=True)", "EmbeddingBag(4, 3)",
    )  # fmt: skip
    found = [BuiltLayer(layer, "float64", cell.target.device) for layer in layers]
    return Inputs([*found, *(BuiltLayer(x, "float64", "meta") for x in layers if x[:5] in ("Layer", "Group", "Batch"))])


def channels_last(cell: Cell) -> Inputs:
    """to(memory_format=torch.channels_last), and with a dtype."""
    calls = ("to(memory_format=torch.channels_last)",)
    return Inputs([ModuleCast(history, call, "") for call, history in product(calls, histories_of(cell, True)[::2])])


def swapped_casts(cell: Cell) -> Inputs:
    """Some of the casts of parameters."""
    return Inputs(list(casts_by_to(cell).corners)[::5] + list(casts_by_name(cell).corners)[::5])
