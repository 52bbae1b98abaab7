"""Area ``module_utilities``: parametrizations, normed weights, pruning, packed sequences and fused layers."""

from __future__ import annotations

import torch

from conformance.engine.cases import cases
from conformance.inputs import sequence_batches
from conformance.inputs.sequence_batches import SequenceBatch
from conformance.oracles import expect, memory
from conformance.oracles.packed_model import gradients_by_step, packs, same_rows, same_tensor

# --- packed sequences -------------------------------------------------------------------------------------------


@cases(sequence_batches.sequence_batches)
def test_steps_are_packed(case: SequenceBatch) -> None:
    """pack_padded_sequence holds the steps of all sequences, the first ones of all before the second ones, without padding, and how many there are of each."""  # noqa: E501
    packs(case, case.pack())


@cases(sequence_batches.unordered)
def test_unordered_sequences_are_refused(case: SequenceBatch) -> None:
    """With enforce_sorted=True pack_padded_sequence refuses sequences that are not in the order of decreasing length."""  # noqa: E501
    expect.raises(RuntimeError, case.pack, f"lengths {case.lengths} with enforce_sorted=True")


@cases(sequence_batches.sequence_batches)
def test_padding_undoes_packing(case: SequenceBatch) -> None:
    """pad_packed_sequence gives the sequences of a packed sequence back, in the order in which they were packed, padded to the longest, and their lengths."""  # noqa: E501
    found, lengths = torch.nn.utils.rnn.pad_packed_sequence(case.pack(), case.batch_first, case.padding)
    same_tensor(case.steps(case.longest, case.padding), found, "the padded tensor")
    expect.equal(list(case.lengths), lengths.tolist(), "the lengths")


@cases(sequence_batches.totals)
def test_total_length_is_padded_to(case: SequenceBatch) -> None:
    """pad_packed_sequence pads to total_length where that is given."""
    found, lengths = torch.nn.utils.rnn.pad_packed_sequence(
        case.pack(), batch_first=case.batch_first, padding_value=case.padding, total_length=case.total
    )
    same_tensor(case.steps(case.total or 0, case.padding), found, "the padded tensor")
    expect.equal(list(case.lengths), lengths.tolist(), "the lengths")


@cases(sequence_batches.short_totals)
def test_short_total_length_is_refused(case: SequenceBatch) -> None:
    """pad_packed_sequence raises ValueError for a total_length below that of the longest sequence."""
    packed = case.pack()
    expect.raises(
        ValueError,
        lambda: torch.nn.utils.rnn.pad_packed_sequence(packed, case.batch_first, total_length=case.total),
        f"total_length={case.total} for sequences of up to {case.longest}",
    )


@cases(sequence_batches.sequence_batches)
def test_sequences_are_padded(case: SequenceBatch) -> None:
    """pad_sequence stacks sequences along a new dimension, each padded behind with padding_value to the longest."""
    found = torch.nn.utils.rnn.pad_sequence(case.sequences(), case.batch_first, case.padding)
    same_tensor(case.steps(case.longest, case.padding), found, "the padded tensor")


@cases(sequence_batches.left_padded)
def test_sequences_are_padded_on_the_left(case: SequenceBatch) -> None:
    """With padding_side left pad_sequence pads before each sequence."""
    found = torch.nn.utils.rnn.pad_sequence(case.sequences(), case.batch_first, case.padding, padding_side=case.side)
    same_tensor(case.steps(case.longest, case.padding, side="left"), found, "the padded tensor")


@cases(sequence_batches.sequence_batches)
def test_lists_are_packed(case: SequenceBatch) -> None:
    """pack_sequence packs a list of sequences as pad_sequence and pack_padded_sequence one after the other do."""
    packs(case, torch.nn.utils.rnn.pack_sequence(case.sequences(), enforce_sorted=case.ordered))


@cases(sequence_batches.sequence_batches)
def test_unpacking_gives_the_sequences(case: SequenceBatch) -> None:
    """unpack_sequence gives the sequences that were packed, each by itself, in their order."""
    same_rows(case, torch.nn.utils.rnn.unpack_sequence(case.pack()), "what unpack_sequence returns")


@cases(sequence_batches.sequence_batches)
def test_unpadding_gives_the_sequences(case: SequenceBatch) -> None:
    """unpad_sequence gives the sequences of a padded tensor, each by itself, with the lengths given."""
    lengths = torch.tensor(case.lengths)
    found = torch.nn.utils.rnn.unpad_sequence(case.padded(), lengths, batch_first=case.batch_first)
    same_rows(case, found, "what unpad_sequence returns")


@cases(sequence_batches.real_batches)
def test_gradients_go_through_packing(case: SequenceBatch) -> None:
    """The gradient of a padded tensor that is packed and padded again is that of its sequences, and zero in its padding."""  # noqa: E501
    found, wanted = gradients_by_step(case)
    memory.same_elements(memory.contents(wanted), memory.contents(found), "gradient of the padded input")
