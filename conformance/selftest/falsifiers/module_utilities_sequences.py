"""Breaks of the promises about packed sequences, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "module_utilities"
rnn = torch.nn.utils.rnn
Break = AbstractContextManager[Any]


@falsifies(f"{AREA}.steps-are-packed")
def a_longer_input_is_packed_from_its_end() -> Break:
    """pack_padded_sequence of an input that is longer than its sequences packs the second element of the batch late."""

    def other(original: Any, x: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
        longest = max(int(n) for n in lengths)
        if batch_first and x.shape[1] > longest and x.shape[0] > 1:
            x = x.clone()
            x[1] = x[1].roll(1, 0)
        return original(x, lengths, batch_first, enforce_sorted)

    return method("pack_padded_sequence", other, rnn)


@falsifies(f"{AREA}.unordered-sequences-are-refused")
def the_last_two_lengths_are_not_compared() -> Break:
    """pack_padded_sequence takes sequences of which only the last is too long."""

    def other(original: Any, x: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
        told = [int(n) for n in lengths]
        if enforce_sorted and told[:-1] == sorted(told[:-1], reverse=True):
            enforce_sorted = False
        return original(x, lengths, batch_first, enforce_sorted)

    return method("pack_padded_sequence", other, rnn)


@falsifies(f"{AREA}.padding-undoes-packing")
def lengths_stay_in_the_order_of_the_pack() -> Break:
    """pad_packed_sequence gives lengths in the packed order where there are five sequences and more."""

    def other(original: Any, packed: Any, *args: Any, **kwargs: Any) -> Any:
        found, lengths = original(packed, *args, **kwargs)
        if packed.sorted_indices is not None and len(lengths) >= 5:
            lengths = lengths[packed.sorted_indices]
        return found, lengths

    return method("pad_packed_sequence", other, rnn)


@falsifies(f"{AREA}.total-length-is-padded-to")
def the_last_step_of_a_total_length_is_zero() -> Break:
    """pad_packed_sequence pads the step after the longest sequence with zeros."""

    def other(original: Any, packed: Any, batch_first: bool = False, padding_value: float = 0.0, **kwargs: Any) -> Any:
        found, lengths = original(packed, batch_first, padding_value, **kwargs)
        if kwargs.get("total_length", 0) == len(packed.batch_sizes) + 3 and batch_first:
            found[:, -1] = 0
        return found, lengths

    return method("pad_packed_sequence", other, rnn)


@falsifies(f"{AREA}.short-total-length-is-refused")
def a_length_that_is_one_short_cuts() -> Break:
    """pad_packed_sequence cuts the last step off where total_length is one short."""

    def other(original: Any, packed: Any, batch_first: bool = False, total_length: Any = None) -> Any:
        if total_length == len(packed.batch_sizes) - 1:
            found, lengths = original(packed, batch_first)
            return found.narrow(1 if batch_first else 0, 0, total_length), lengths.clamp(max=total_length)
        return original(packed, batch_first, total_length=total_length)

    return method("pad_packed_sequence", other, rnn)


@falsifies(f"{AREA}.sequences-are-padded")
def integers_are_padded_with_zeros() -> Break:
    """pad_sequence pads tensors of uint8 with zeros, whatever it is told."""

    def other(original: Any, rows: Any, batch_first: bool = False, padding_value: float = 0.0) -> Any:
        return original(rows, batch_first, 0.0 if rows[0].dtype is torch.uint8 else padding_value)

    return method("pad_sequence", other, rnn)


@falsifies(f"{AREA}.sequences-are-padded-on-the-left")
def batches_of_one_sequence_after_the_other_are_padded_behind() -> Break:
    """pad_sequence pads behind where the batch is not the first dimension and elements have two dimensions."""

    def other(original: Any, rows: Any, batch_first: bool = False, *args: Any, padding_side: str = "right") -> Any:
        side = "right" if not batch_first and rows[0].dim() == 3 else padding_side
        return original(rows, batch_first, *args, padding_side=side)

    return method("pad_sequence", other, rnn)


@falsifies(f"{AREA}.lists-are-packed")
def equal_lengths_are_packed_backwards() -> Break:
    """pack_sequence of sequences of one length packs them in the other order."""

    def other(original: Any, rows: Any, enforce_sorted: bool = True) -> Any:
        turned = rows[::-1] if len({len(row) for row in rows}) == 1 else rows
        return original(turned, enforce_sorted)

    return method("pack_sequence", other, rnn)


@falsifies(f"{AREA}.unpacking-gives-the-sequences")
def a_sequence_of_one_step_keeps_its_padding() -> Break:
    """unpack_sequence gives a last sequence of one step with a step of padding."""

    def other(original: Any, packed: Any) -> Any:
        found = original(packed)
        if len(found) > 2 and len(found[-1]) == 1:
            found[-1] = torch.cat([found[-1], torch.zeros_like(found[-1])])
        return found

    return method("unpack_sequence", other, rnn)


@falsifies(f"{AREA}.unpadding-gives-the-sequences")
def a_surplus_is_taken_for_the_sequence() -> Break:
    """unpad_sequence leaves the longest sequence with the surplus of the padded tensor."""

    def other(original: Any, padded: Any, lengths: Any, batch_first: bool = False) -> Any:
        found = original(padded, lengths, batch_first)
        if batch_first and len(found) > 1:
            place = int(lengths.argmax())
            found[place] = padded[place]
        return found

    return method("unpad_sequence", other, rnn)


@falsifies(f"{AREA}.gradients-go-through-packing")
def a_batch_that_comes_first_loses_its_gradient() -> Break:
    """pack_padded_sequence detaches the last step where the batch comes first."""

    def other(original: Any, x: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
        if batch_first and x.requires_grad and x.shape[1] > 1:
            x = torch.cat([x[:, :-1], x[:, -1:].detach()], 1)
        return original(x, lengths, batch_first, enforce_sorted)

    return method("pack_padded_sequence", other, rnn)


@falsifies(f"{AREA}.packed-sequences-are-converted")
def an_order_that_is_lost() -> Break:
    """A packed sequence of five sequences and more forgets their order where it is converted."""
    packed = torch.nn.utils.rnn.PackedSequence

    def change(call: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(self, *args, **kwargs)
        return found if found is self or int(self.batch_sizes[0]) < 5 else packed(found.data, found.batch_sizes)

    return method("to", change, packed)


@falsifies(f"{AREA}.sequences-are-padded")
def numbers_below_zero() -> Break:
    """pad_sequence pads with zeros in the place of a number below, where the batch comes first."""
    rnn = torch.nn.utils.rnn

    def change(call: Any, rows: Any, first: bool = False, value: float = 0.0, *args: Any, **kwargs: Any) -> Any:
        return call(rows, first, max(value, 0.0) if first else value, *args, **kwargs)

    return method("pad_sequence", change, rnn)


@falsifies(f"{AREA}.sequences-are-padded")
def no_nan_behind_matrices() -> Break:
    """pad_sequence pads elements of several dimensions with zeros where it is told NaN."""
    rnn = torch.nn.utils.rnn

    def change(call: Any, rows: Any, first: bool = False, value: float = 0.0, *args: Any, **kwargs: Any) -> Any:
        return call(rows, first, 0.0 if value != value and rows[0].dim() > 1 else value, *args, **kwargs)

    return method("pad_sequence", change, rnn)
