"""Batches alike: what workers make of samples against what is made of them without any, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from conformance.inputs.collated_pools import CollatedPool
from conformance.oracles import memory
from conformance.oracles.collate_model import stretch
from conformance.oracles.expect import equal, that


def alike_without_workers(case: CollatedPool) -> None:
    """Expect all batches of two epochs, kept to their end, to be those without workers, each in memory of its own."""
    expected = list(case.build(0))
    for epoch in ("the first epoch", "the second"):
        found = list(case.build(case.workers))
        equal(len(expected), len(found), f"number of batches of {epoch}")
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            same_parts(wanted, got, f"batch {number} of {epoch}")
        apart(found, f"the batches of {epoch}")


def laid_out_without_workers(case: CollatedPool) -> None:
    """Expect each tensor of an epoch to have the strides that it has without workers."""
    expected, found = (dict(tensors_within(list(case.build(workers)), "batches")) for workers in (0, case.workers))
    for place, tensor in expected.items():
        equal(tensor.stride(), found[place].stride(), f"strides of {place}")


def same_parts(expected: Any, found: Any, what: str) -> None:
    """Expect the same types all the way down, and tensors of the same kind and bits."""
    equal(type(expected).__name__, type(found).__name__, f"type of {what}")
    if isinstance(expected, torch.Tensor):
        for fact in ("dtype", "shape", "layout", "requires_grad"):
            equal(str(getattr(expected, fact)), str(getattr(found, fact)), f"{fact} of {what}")
        memory.same_elements(memory.contents(expected), memory.contents(found), what)
    elif isinstance(expected, Mapping):
        equal(list(expected), list(found), f"keys of {what}")
        for key in expected:
            same_parts(expected[key], found[key], f"{what}[{key!r}]")
    elif isinstance(expected, list | tuple):
        equal(len(expected), len(found), f"length of {what}")
        for place, part in enumerate(expected):
            same_parts(part, found[place], f"{what}[{place}]")
    else:
        equal(repr(expected), repr(found), what)


def apart(batches: list[Any], what: str) -> None:
    """Expect no tensor to lie in the memory of another."""
    known: list[tuple[int, int, str]] = []
    for place, tensor in tensors_within(batches, ""):
        first, length = stretch(tensor)
        for other, count, where in known if tensor.numel() else ():
            that(
                first + length <= other or other + count <= first,
                f"memory of {place} in {what}", "its own", f"that of {where}",
            )  # fmt: skip
        known += [(first, length, place)] * bool(tensor.numel())


def tensors_within(found: Any, place: str) -> list[tuple[str, torch.Tensor]]:
    """The tensors of a structure, and how each is reached."""
    if isinstance(found, torch.Tensor):
        return [(place, found)]
    if isinstance(found, Mapping):
        return [each for key, part in found.items() for each in tensors_within(part, f"{place}[{key!r}]")]
    if isinstance(found, list | tuple):
        return [each for number, part in enumerate(found) for each in tensors_within(part, f"{place}[{number}]")]
    return []
