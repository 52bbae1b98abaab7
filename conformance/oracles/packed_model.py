"""Packed model: what padding, packing and their inverses have to make of sequences, in plain Python.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
"""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.sequence_batches import SequenceBatch
from conformance.oracles import expect, memory


def same_tensor(expected: torch.Tensor, found: Any, what: str) -> None:
    """Expect a tensor of the type, shape, device and elements of another."""
    found = expect.tensor(found, what)
    kind = (expected.dtype, tuple(expected.shape), expected.device)
    expect.equal(kind, (found.dtype, tuple(found.shape), found.device), f"type, shape and device of {what}")
    memory.same_elements(memory.contents(expected), memory.contents(found.detach()), what)


def order_of(case: SequenceBatch, packed: Any) -> list[int]:
    """The places of the sequences, longest first, as the packed sequence has them; they have to be in order."""
    if packed.sorted_indices is None:
        expect.equal(True, case.ordered, "whether the sequences were said to be in order")
        expect.equal(None, packed.unsorted_indices, "unsorted_indices")
        return list(range(len(case.lengths)))
    for name in ("sorted_indices", "unsorted_indices"):
        found = getattr(packed, name)
        expect.equal((torch.int64, packed.data.device), (found.dtype, found.device), f"type and device of {name}")
    order: list[int] = packed.sorted_indices.tolist()
    expect.equal(list(range(len(case.lengths))), sorted(order), "sorted_indices, sorted")
    lengths = [case.lengths[place] for place in order]
    expect.equal(sorted(lengths, reverse=True), lengths, "lengths in the order of sorted_indices")
    back = [order.index(place) for place in range(len(order))]
    expect.equal(back, packed.unsorted_indices.tolist(), "unsorted_indices")
    return order


def packs(case: SequenceBatch, packed: Any) -> None:
    """Expect the steps of the sequences, those of the longest first, and how many there are of each step."""
    order, numbers = order_of(case, packed), case.numbers()
    steps = [
        numbers[place][turn] for turn in range(case.longest) for place in order if case.lengths[place] > turn
    ]  # fmt: skip
    same_tensor(case.tensor([x for step in steps for x in step], len(steps)), packed.data, "data")
    sizes = [sum(length > turn for length in case.lengths) for turn in range(case.longest)]
    found = packed.batch_sizes
    expect.equal((torch.int64, "cpu"), (found.dtype, found.device.type), "type and device of batch_sizes")
    expect.equal(sizes, found.tolist(), "batch_sizes")


def same_rows(case: SequenceBatch, found: Any, what: str) -> None:
    """Expect the sequences in a list, each by itself."""
    expect.equal(list, type(found), f"type of {what}")
    expect.equal(len(case.lengths), len(found), f"length of {what}")
    for number, (sequence, one) in enumerate(zip(case.sequences(), found, strict=True)):
        same_tensor(sequence, one, f"sequence {number} of {what}")


def gradients_by_step(case: SequenceBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of the padded input by the weighted sum of the packed steps, found and expected."""
    padded = case.padded().requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        padded, case.told_lengths(), batch_first=case.batch_first, enforce_sorted=case.ordered
    )
    total, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=case.batch_first)
    (total * total).sum().backward()
    found = expect.tensor(padded.grad, "gradient of the padded input")
    wanted = case.steps(case.longest + case.surplus, 0) * 2
    return found, wanted


def packed_is_converted(case: SequenceBatch) -> None:
    """Expect to() to give the packed sequence itself, or one of the other type with the same steps and order."""
    packed = case.pack()
    expect.same_object(packed, packed.to(packed.data.dtype), "what to() of the same type returns")
    found = packed.to(torch.complex128)
    same_tensor(packed.data.to(torch.complex128), found.data, "data")
    expect.equal(packed.batch_sizes.tolist(), found.batch_sizes.tolist(), "batch_sizes")
    for name in ("sorted_indices", "unsorted_indices"):
        first, second = (getattr(each, name) for each in (packed, found))
        expect.equal(None if first is None else first.tolist(), None if second is None else second.tolist(), name)
