"""What was stored and what came back: bit for bit, flag for flag, and with the same sharing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.inputs.layouts import places
from conformance.oracles import expect, memory


def stored_bits(tensor: torch.Tensor) -> bytes:
    """The elements' bytes in row-major order, read from the memory, whatever the element type."""
    size = tensor.element_size()
    if not tensor.numel():
        return b""
    elements = np.frombuffer(memory.storage_bytes(tensor), np.uint8)
    elements = elements[: len(elements) // size * size].reshape(-1, size)
    spots = places(tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())
    found: bytes = elements[spots].tobytes()
    return found


def same_stored(expected: torch.Tensor, found: Any, what: str) -> torch.Tensor:
    """Expect a tensor of this element type, shape, layout and device with these very bits; returns it."""
    found = expect.tensor(found, what)
    for noun in ("dtype", "layout", "device"):
        expect.equal(getattr(expected, noun), getattr(found, noun), f"{noun} of {what}")
    expect.equal(tuple(expected.shape), tuple(found.shape), f"shape of {what}")
    if expected.layout is not torch.strided:
        for part in parts_of(expected):
            same_stored(getattr(expected, part)(), getattr(found, part)(), f"{part}() of {what}")
        return found
    if expected.device.type == "meta":
        return found
    if expected.is_conj() or expected.is_neg() or found.is_conj() or found.is_neg():
        memory.same_elements(memory.contents(expected), memory.contents(found), what)
    else:
        memory.same_bytes(stored_bits(expected), stored_bits(found), f"elements of {what}")
    return found


def parts_of(tensor: torch.Tensor) -> tuple[str, ...]:
    """The methods that show what a sparse tensor is made of."""
    if tensor.layout is torch.sparse_coo:
        return ("_indices", "_values")
    return ("crow_indices", "col_indices", "values")


def same_placement(expected: torch.Tensor, found: torch.Tensor, what: str) -> None:
    """Expect the strides and the storage offset of ``expected``; a step along an extent of 1 leads nowhere."""
    for axis, extent in enumerate(expected.shape):
        if extent > 1:
            expect.equal(expected.stride(axis), found.stride(axis), f"stride {axis} of {what}")
    expect.equal(expected.storage_offset(), found.storage_offset(), f"storage offset of {what}")


def own_memory(source: torch.Tensor, found: torch.Tensor, what: str) -> None:
    """Expect no byte of ``found`` to be one of ``source``."""
    first, second = (
        (memory.storage_address(x), memory.storage_of(x).nbytes()) for x in (source.detach(), found.detach())
    )
    if first[1] and second[1]:
        memory.shares(False, first, second, what)


def sharing_of(tensors: list[torch.Tensor]) -> list[tuple[int, int]]:
    """For each tensor: the number of the first one in its storage, and its distance in bytes from there."""
    addresses = [memory.storage_address(x) for x in tensors]
    return [
        (addresses.index(at), x.storage_offset() * x.element_size()) for at, x in zip(addresses, tensors, strict=True)
    ]


def flags_come_back(case: Any) -> None:
    """Expect what is loaded to require grad as what was saved, to be a leaf, and of the same type."""
    x = case.build()
    for found in (case.route.carry(x), case.route.carry(x, map_location=x.device)):
        expect.equal(type(x), type(found), "type of the loaded tensor")
        expect.equal(x.requires_grad, found.requires_grad, "requires_grad of the loaded tensor")
        leaf = (found.is_leaf, found.grad_fn)
        expect.equal((True, None), leaf, "whether the loaded tensor is a leaf, and its grad_fn")


def same_sharing(expected: list[torch.Tensor], found: list[torch.Tensor], what: str) -> None:
    """Expect the tensors to lie in common storages, or in their own, as the expected ones do."""
    expect.equal(len(expected), len(found), f"number of {what}")
    for number, (wanted, got) in enumerate(zip(sharing_of(expected), sharing_of(found), strict=True)):
        expect.that(
            wanted == got,
            f"place of {what} {number}",
            f"byte {wanted[1]} of the storage of number {wanted[0]}",
            f"byte {got[1]} of the storage of number {got[0]}",
        )


def same_tree(expected: Any, found: Any, what: str = "the object") -> None:
    """Expect an object of the same types and values throughout; NaN is NaN, and a zero has its sign."""
    if isinstance(expected, torch.Tensor):
        expect.equal(type(expected), type(found), f"type of {what}")
        expect.equal(expected.requires_grad, same_stored(expected, found, what).requires_grad, f"flag of {what}")
        return
    if type(expected) is not type(found):
        raise expect.Mismatch(what, f"an object of {type(expected).__name__}", f"one of {type(found).__name__}")
    if isinstance(expected, dict):
        same_tree(list(expected), list(found), f"keys of {what}")
        for key in expected:
            same_tree(expected[key], found[key], f"{what}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        expect.equal(len(expected), len(found), f"length of {what}")
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            same_tree(wanted, got, f"{what}[{number}]")
    elif isinstance(expected, (float, complex)):
        expect.equal(repr(expected), repr(found), what)
    else:
        expect.equal(expected, found, what)


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Every tensor of nested containers, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def stored_marks(tensor: torch.Tensor) -> dict[str, Any]:
    """What saving must leave as it is."""
    return {
        "bytes": memory.storage_bytes(tensor.detach()),
        "address": tensor.data_ptr(),
        "version": tensor._version,
        "requires_grad": tensor.requires_grad,
        "strides": tensor.stride(),
        "leaf": tensor.is_leaf,
        "gradient": tensor.grad if tensor.is_leaf else None,
        "attributes": sorted(vars(tensor)),
    }


def writes_are_seen(tensors: list[torch.Tensor], found: list[torch.Tensor]) -> None:
    """Expect a write to a loaded tensor to reach the others exactly where it would have reached the saved ones."""
    for number in range(len(found)):
        for group in (tensors, found):
            target = group[number].detach()
            if target.numel():
                target[tuple(0 for _ in target.shape)] = 1 if target.dtype is torch.bool else 100 + number
                target[tuple(extent - 1 for extent in target.shape)] = 0
        for other, (expected, got) in enumerate(zip(tensors, found, strict=True)):
            what = f"elements of loaded tensor {other} after a write to number {number}"
            memory.same_bytes(stored_bits(expected), stored_bits(got), what)


def same_module(expected: Any, found: Any, what: str = "the loaded module") -> None:
    """Expect a module of the same classes, modes, attributes, parameters and buffers, tied alike."""
    parts = [list(module.named_modules()) for module in (expected, found)]
    expect.equal([name for name, _ in parts[0]], [name for name, _ in parts[1]], f"parts of {what}")
    for (name, wanted), (_, got) in zip(*parts, strict=True):
        place = f"part {name!r} of {what}"
        expect.equal(type(wanted), type(got), f"class of {place}")
        expect.equal(wanted.training, got.training, f"mode of {place}")
        expect.equal(sorted(vars(wanted)), sorted(vars(got)), f"attributes of {place}")
        expect.equal(wanted.extra_repr(), got.extra_repr(), f"description of {place}")
        for kind in ("_parameters", "_buffers"):
            same_tree(dict(getattr(wanted, kind)), dict(getattr(got, kind)), f"{kind} of {place}")
        expect.equal(
            wanted._non_persistent_buffers_set, got._non_persistent_buffers_set, f"buffers not saved of {place}"
        )
        expect.equal(getattr(wanted, "note", None), getattr(got, "note", None), f"attribute of {place}")
    both = [[*module.parameters(), *module.buffers()] for module in (expected, found)]
    named = [[name for name, _ in module.named_parameters()] for module in (expected, found)]
    expect.equal(named[0], named[1], f"parameters of {what}, each once")
    same_sharing(both[0], both[1], f"tensor of {what}")


def hand_made_values(case: Any, found: Any, storage: np.ndarray) -> None:
    """Expect the tensor that a hand-made archive speaks of, with these elements in its storage."""
    found = expect.tensor(found, "what is loaded")
    expect.equal(case.dtype, dtype_name(found.dtype), "element type of the loaded tensor")
    expect.equal((case.shape, "cpu"), (tuple(found.shape), found.device.type), "shape and device of the loaded tensor")
    elements = np.asarray(storage)[places(case.shape, case.stride, case.offset)].reshape(case.shape)
    memory.same_elements(elements, memory.contents(found), "the loaded tensor")


def hand_made_bits(case: Any, found: Any, storage: np.ndarray) -> None:
    """The same, of values that may be any."""
    if case.dtype not in ("bool", "bfloat16"):
        hand_made_values(case, found, storage)


def reversed_words(values: np.ndarray) -> list[bytes]:
    """Each number (each part of a complex one) with its bytes the other way round."""
    parts = values.view(values.real.dtype)
    width = parts.itemsize
    bits = parts.tobytes()
    return [bits[at : at + width][::-1] for at in range(0, len(bits), width)]


def not_refused(action: Callable[[], Any], what: str) -> Any:
    """Expect no refusal of a class that is trusted; returns what was loaded."""
    try:
        return action()
    except pickle.UnpicklingError as error:
        raise expect.Mismatch(
            what, "an object of the trusted class", f"UnpicklingError: …{str(error)[-200:]}"
        ) from error


def same_copy(case: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Expect a copy with the same type, bits and flag, in memory of its own; returns both."""
    x = case.case.build()
    found = same_stored(x, case.copied(x), "the copy")
    expect.equal((type(x), x.requires_grad), (type(found), found.requires_grad), "type and flag of the copy")
    own_memory(x, found, "the copy and the first one")
    return x, found
