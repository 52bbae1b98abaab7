"""The collate model: what a batch has to be, part by part, from the plans of its samples.

Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from conformance.inputs.bridges import Array, Data, Scalar, Seen, Strided
from conformance.inputs.collate_trees import MAPPING_TYPES, SEQUENCE_TYPES, Box
from conformance.oracles import memory
from conformance.oracles.expect import equal, same_object, tensor, that

# What comes out for containers that cannot be made anew, and for tuples, of which the documentation says two things.
FALLBACKS: dict[str, tuple[type, ...]] = {
    "fixed": (dict,),
    "fixedrow": (list,),
    "range": (list,),
    "array": (list, tuple),
    "tuple": (list, tuple),
}
NUMBER_TYPES: dict[type, str] = {bool: "bool", int: "int64", float: "float64"}


def same_batch(trees: tuple[Any, ...], found: Any, what: str) -> None:
    """Expect ``found`` to be these samples as one batch."""
    first = trees[0]
    if isinstance(first, Box):
        same_container(first, found, what)
        for number, part in enumerate(parts_of(first, found)):
            same_batch(tuple(tree.parts[number] for tree in trees), part, f"{what}{part_place(first, number)}")
    elif isinstance(first, Data) and isinstance(first.value, str | bytes):
        same_strings([tree.value for tree in trees], found, what)
    else:
        dtype = NUMBER_TYPES[type(first.value)] if isinstance(first, Data) else first.dtype
        device = first.device if isinstance(first, Strided | Seen) else "cpu"
        same_tensor(dtype, np.stack([leaf_array(tree, dtype) for tree in trees]), found, what, device)


def same_row(plan: Strided, expected: Any, found: Any, what: str) -> None:
    """Expect a tensor of the plan's type and device with these elements."""
    equal(f"torch.{plan.dtype}", str(tensor(found, what).dtype), f"dtype of {what}")
    equal(plan.device.split(":")[0], found.device.type, f"device of {what}")
    memory.same_elements(np.asarray(expected, plan.array.dtype), memory.contents(found), what)


def tuples_became(kind: type, tree: Any, found: Any, what: str) -> None:
    """Expect each tuple of the samples to have become this type."""
    if not isinstance(tree, Box):
        return
    if tree.kind == "tuple":
        equal(kind.__name__, type(found).__name__, f"type of {what}")
    for number, (part, inner) in enumerate(zip(tree.parts, parts_of(tree, found), strict=True)):
        tuples_became(kind, part, inner, f"{what}{part_place(tree, number)}")


def leaf_array(tree: Any, dtype: str) -> np.ndarray:
    """The value of a leaf as NumPy has it."""
    found: np.ndarray = np.array(tree.value, dtype) if isinstance(tree, Data) else tree.array
    return found


def same_tensor(dtype: str, expected: np.ndarray, found: Any, what: str, device: str = "cpu") -> None:
    """Expect a tensor of this type on this device with these elements, bit for bit."""
    equal(f"torch.{dtype}", str(tensor(found, what).dtype), f"dtype of {what}")
    equal(device.split(":")[0], found.device.type, f"device of {what}")
    equal(expected.shape, tuple(found.shape), f"shape of {what}")
    memory.same_elements(expected, memory.contents(found), what)


def same_strings(expected: list[Any], found: Any, what: str) -> None:
    """Expect the very strings, in a list; a tuple is as good where they are parts of a sequence."""
    that(isinstance(found, list | tuple), what, "a list of what went in", f"{found!r} ({type(found).__name__})")
    equal(len(expected), len(found), f"number of strings in {what}")
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        that(
            wanted is got or (type(wanted) is type(got) and wanted == got), f"{what}[{number}]", repr(wanted), repr(got)
        )


def same_container(tree: Box, found: Any, what: str) -> None:
    """Expect the container that the type of a sample's one calls for, with the same keys or as many parts."""
    wanted = FALLBACKS.get(tree.kind) or ({**MAPPING_TYPES, **SEQUENCE_TYPES}[tree.kind],)
    names = " or ".join(kind.__name__ for kind in wanted)
    that(type(found) in wanted, f"type of {what}", names, type(found).__name__)
    if tree.kind in MAPPING_TYPES:
        equal(set(tree.keys), set(found), f"keys of {what}")
    else:
        equal(len(tree.parts), len(found), f"number of parts of {what}")


def parts_of(tree: Box, live: Any) -> list[Any]:
    """The parts of a live container in the order of its plan."""
    return [live[key] for key in tree.keys] if tree.kind in MAPPING_TYPES else [live[n] for n in range(len(tree.parts))]


def part_place(tree: Box, number: int) -> str:
    """How a part is reached."""
    return f"[{tree.keys[number]!r}]" if tree.kind in MAPPING_TYPES else f"[{number}]"


def same_conversion(tree: Any, given: Any, found: Any, what: str) -> None:
    """Expect ``found`` to be ``given``, built from ``tree``, with tensors in the place of arrays."""
    if isinstance(tree, Box):
        same_container(tree, found, what)
        for number, (wanted, got) in enumerate(zip(parts_of(tree, given), parts_of(tree, found), strict=True)):
            same_conversion(tree.parts[number], wanted, got, f"{what}{part_place(tree, number)}")
    elif isinstance(tree, Array) or (isinstance(tree, Scalar) and isinstance(found, torch.Tensor)):
        same_tensor(tree.dtype, tree.array, found, what)
    elif isinstance(tree, Strided | Scalar) or not isinstance(tree.value, int | float):
        same_object(given, found, what)
    else:
        equal(repr(given), repr(found), what)  # a range makes its numbers anew


def extras(tree: Any, live: Any) -> list[Any]:
    """What containers have besides their parts: an attribute, a default, a largest length."""
    if not isinstance(tree, Box):
        return []
    names = {"noted": "note", "notedlist": "note", "default": "default_factory", "deque": "maxlen"}
    own = [(tree.kind, getattr(live, names[tree.kind], "lost"))] if tree.kind in names else []
    return own + [x for part, inner in zip(tree.parts, parts_of(tree, live), strict=True) for x in extras(part, inner)]


def sample_state(live: Any) -> Any:
    """All that may be seen of a sample: its objects and their order, and the bytes of tensors and arrays."""
    if isinstance(live, torch.Tensor):
        return id(live), tuple(live.shape), memory.contents(live).tobytes()
    if isinstance(live, np.ndarray):
        return id(live), live.shape, live.tobytes()
    if isinstance(live, Mapping):
        return id(live), type(live), [(key, sample_state(value)) for key, value in live.items()]
    if isinstance(live, Sequence) and not isinstance(live, str | bytes):
        return id(live), type(live), [sample_state(value) for value in live]
    return repr(live)


def as_they_were(states: list[Any], samples: list[Any], what: str) -> None:
    """Expect samples to show what they did."""
    for number, (state, sample) in enumerate(zip(states, samples, strict=True)):
        that(state == sample_state(sample), f"sample {number} after {what}", "the sample as it was", repr(sample)[:200])


def collated_tensors(tree: Any, found: Any) -> list[Any]:
    """The tensors and arrays of a live tree."""
    if not isinstance(tree, Box):
        return [found] if isinstance(found, torch.Tensor | np.ndarray) else []
    return [
        x for part, inner in zip(tree.parts, parts_of(tree, found), strict=True) for x in collated_tensors(part, inner)
    ]


def stretch(data: Any) -> tuple[int, int]:
    """Address and length of the memory of a tensor's storage or of an array."""
    if isinstance(data, torch.Tensor):
        return memory.storage_address(data), memory.storage_of(data).nbytes()
    bounds: Any = getattr(np.lib, "array_utils", np)  # NumPy 2 has moved the function
    low, high = bounds.byte_bounds(data)
    return low, high - low


def containers_of(tree: Any, live: Any) -> list[Any]:
    """The containers of a live tree."""
    if not isinstance(tree, Box):
        return []
    return [live] + [
        x for part, y in zip(tree.parts, parts_of(tree, live), strict=True) for x in containers_of(part, y)
    ]
