"""Packings: ways to pack a saved tensor into another object, and hooks that note what they are given.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors
"""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Callable
from typing import Any

import torch


def packed_to_numpy(tensor: torch.Tensor) -> Any:
    """A NumPy array of the values, the type and the device."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    wide = plain.float() if plain.dtype is torch.bfloat16 else plain
    return wide.numpy().copy(), tensor.dtype, tensor.device


def unpacked_from_numpy(packed: Any) -> torch.Tensor:
    """The tensor of these values."""
    array, dtype, device = packed
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def packed_to_bytes(tensor: torch.Tensor) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(tensor.detach(), buffer)
    return buffer.getvalue()


def unpacked_from_bytes(packed: bytes) -> torch.Tensor:
    """What torch.load reads."""
    found: torch.Tensor = torch.load(io.BytesIO(packed))
    return found


def packed_to_file(tensor: torch.Tensor) -> Any:
    """A temporary file that is removed with the object."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the graph
    torch.save(tensor.detach(), file)
    return file


def unpacked_from_file(packed: Any) -> torch.Tensor:
    """What the file holds."""
    packed.seek(0)
    found: torch.Tensor = torch.load(packed)
    return found


def packed_to_numbers(tensor: torch.Tensor) -> Any:
    """A tuple of Python numbers, type and device."""
    return tensor.detach().tolist(), tuple(tensor.shape), tensor.dtype, tensor.device


def unpacked_from_numbers(packed: Any) -> torch.Tensor:
    """The tensor of these numbers."""
    numbers, shape, dtype, device = packed
    return torch.tensor(numbers, dtype=dtype, device=device).reshape(shape)


def packed_detached(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory without a history."""
    return tensor.detach()


def packed_copy(tensor: torch.Tensor) -> torch.Tensor:
    """Memory of its own."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def packed_deeply(tensor: torch.Tensor) -> torch.Tensor:
    """A copy of the whole storage, with the same strides."""
    return copy.deepcopy(tensor.detach())


def unpacked_as_is(packed: torch.Tensor) -> torch.Tensor:
    """The packed tensor itself."""
    return packed


def unpacked_with_a_history(packed: torch.Tensor) -> torch.Tensor:
    """The same content with a graph of its own, which is to be overwritten."""
    with torch.enable_grad():
        return packed.clone().requires_grad_().view_as(packed)


PACKINGS: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[Any], torch.Tensor]]] = {
    "detached": (packed_detached, unpacked_as_is),
    "copy": (packed_copy, unpacked_as_is),
    "deep copy": (packed_deeply, unpacked_as_is),
    "numpy": (packed_to_numpy, unpacked_from_numpy),
    "bytes": (packed_to_bytes, unpacked_from_bytes),
    "file": (packed_to_file, unpacked_from_file),
    "numbers": (packed_to_numbers, unpacked_from_numbers),
    "history": (packed_copy, unpacked_with_a_history),
}


class Packer:
    """A pair of hooks that packs by ``way`` and notes what it was given and what it gave."""

    def __init__(self, way: str = "detached") -> None:
        self.way = way
        self.values: list[torch.Tensor] = []  # copies of what was to be packed
        self.recording: list[bool] = []  # whether gradients were recorded meanwhile
        self.packed: list[Any] = []
        self.unpacked: list[Any] = []

    def pack(self, tensor: torch.Tensor) -> Any:
        """The pack hook."""
        self.recording.append(torch.is_grad_enabled())
        self.values.append(tensor.detach().clone())
        self.packed.append(PACKINGS[self.way][0](tensor))
        return self.packed[-1]

    def unpack(self, packed: Any) -> torch.Tensor:
        """The unpack hook."""
        self.unpacked.append(packed)
        return PACKINGS[self.way][1](packed)

    def context(self) -> Any:
        """The context in which this pair applies."""
        return torch.autograd.graph.saved_tensors_hooks(self.pack, self.unpack)

    def calls_for_each(self) -> list[int]:
        """How often each packed object came back, in the order of packing."""
        return [sum(found is packed for found in self.unpacked) for packed in self.packed]
