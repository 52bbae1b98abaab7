"""Area ``module_utilities``: parametrizations, normed weights, pruning, packed sequences and fused layers."""

from __future__ import annotations

from functools import partial

import torch

from conformance.engine.cases import cases
from conformance.inputs import parametrized_modules, sequence_batches
from conformance.inputs.parametrized_modules import Parametrized
from conformance.inputs.sequence_batches import SequenceBatch
from conformance.oracles import expect, memory, parametrized_model
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


# --- parametrizations -------------------------------------------------------------------------------------------


@cases(parametrized_modules.parametrized)
def test_parametrized_tensor_is_computed(case: Parametrized) -> None:
    """A parametrized parameter or buffer is what its parametrizations, one after the other, make of the original."""
    module = case.build()
    wanted = parametrized_model.through(case, parametrized_model.first_original(case))
    parametrized_model.has_numbers(case, wanted, module.weight, "weight")
    x = case.tensor(case.values(2))
    parametrized_model.has_numbers(case, case.values(2) * wanted + wanted, module(x), "result of forward")
    with torch.no_grad():
        for original in case.originals(module):
            original.mul_(2)
    wanted = parametrized_model.through(case, parametrized_model.first_original(case) * 2)
    parametrized_model.has_numbers(case, wanted, module.weight, "weight after the original was doubled")


@cases(parametrized_modules.parametrized)
def test_original_is_kept(case: Parametrized) -> None:
    """The original, or each that right_inverse returns, is listed in the place of the parametrized tensor, with the value of the first right inverse."""  # noqa: E501
    parametrized_model.has_originals(case, case.build(), parametrized_model.first_original(case))


@cases(parametrized_modules.parametrized)
def test_without_right_inverse_the_tensor_is_the_original(case: Parametrized) -> None:
    """Where the first parametrization has no right inverse, the original is the tensor that was parametrized."""
    module = case.plain()
    tensor = module.weight
    torch.nn.utils.parametrize.register_parametrization(module, "weight", parametrized_modules.Counting())
    expect.same_object(tensor, module.parametrizations.weight.original, "the original")


@cases(parametrized_modules.learning)
def test_original_gets_the_gradient(case: Parametrized) -> None:
    """backward differentiates through the parametrizations, and the originals get the gradients."""
    module = case.build()
    module.weight.sum().backward()
    wanted = parametrized_model.through(case, case.values()) * 0 + parametrized_model.slope(case)
    for name, original in zip(case.original_names(), case.originals(module), strict=True):
        parametrized_model.has_numbers(case, wanted, original.grad, f"gradient of {name}")


@cases(parametrized_modules.assignable)
def test_assignment_goes_through_the_right_inverses(case: Parametrized) -> None:
    """What is assigned to a parametrized tensor goes through all right inverses, the last first, into the originals, which stay the tensors that they are."""  # noqa: E501
    module = case.build()
    before = case.originals(module)
    module.weight = case.tensor(case.values(3))
    parametrized_model.has_originals(case, module, parametrized_model.back(case, case.values(3)))
    for name, old, new in zip(case.original_names(), before, case.originals(module), strict=True):
        expect.same_object(old, new, name)
    parametrized_model.has_numbers(case, case.values(3), module.weight, "weight")


@cases(parametrized_modules.parametrized)
def test_cached_tensors_are_computed_once(case: Parametrized) -> None:
    """Within cached() a parametrized tensor is computed once, for each module, and after it, also after an exception, anew."""  # noqa: E501
    parametrized_model.cached_once(case)


@cases(parametrized_modules.whole_parameters)
def test_removal_leaves_the_parametrized_tensor(case: Parametrized) -> None:
    """remove_parametrizations makes the tensor a plain one again with its present value, and the module one of its former class."""  # noqa: E501
    parametrized_model.removed(case, leave=True)


@cases(parametrized_modules.frozen_halves)
def test_removal_leaves_a_frozen_parameter(case: Parametrized) -> None:
    """A frozen parameter of two originals is a frozen Parameter after remove_parametrizations too."""
    parametrized_model.removed(case, leave=True)


@cases(parametrized_modules.single_originals)
def test_removal_gives_the_original_back(case: Parametrized) -> None:
    """With leave_parametrized=False remove_parametrizations makes the tensor the original again."""
    parametrized_model.removed(case, leave=False)


@cases(parametrized_modules.split_originals)
def test_removal_refuses_several_originals(case: Parametrized) -> None:
    """remove_parametrizations raises ValueError for a tensor that is not parametrized, and with leave_parametrized=False for one of several originals."""  # noqa: E501
    module, remove = case.build(), torch.nn.utils.parametrize.remove_parametrizations
    expect.raises(ValueError, lambda: remove(module, "bias"), "removal from the bias")
    expect.raises(ValueError, lambda: remove(case.plain(), "weight"), "removal from a plain module")
    action = lambda: remove(module, "weight", leave_parametrized=False)  # noqa: E731
    expect.raises(ValueError, action, "leave_parametrized=False")
    parametrized_model.has_originals(case, module, case.values())


@cases(parametrized_modules.parametrized)
def test_parametrized_tensors_are_told(case: Parametrized) -> None:
    """is_parametrized tells whether a tensor of a module, or any of them, is parametrized."""
    told = torch.nn.utils.parametrize.is_parametrized
    module = case.build()
    found = [told(module), told(module, "weight"), told(module, "bias"), told(case.plain()), told(module, "none")]
    expect.equal([True, True, False, False, False], found, "of module, weight, bias, a plain module, no tensor")


@cases(parametrized_modules.parametrized)
def test_parametrization_takes_the_mode_of_its_module(case: Parametrized) -> None:
    """A parametrization is in the training mode that its module has when it is registered."""
    modes = [part.training for part in case.build().parametrizations.weight]
    expect.equal([case.training] * len(case.chain), modes, "training of each parametrization")


@cases(parametrized_modules.parametrized)
def test_other_names_cannot_be_parametrized(case: Parametrized) -> None:
    """register_parametrization raises ValueError for a name that is neither a parameter nor a buffer."""
    module, register = case.plain(), torch.nn.utils.parametrize.register_parametrization
    for name in ("none", "forward", "training"):
        part = parametrized_modules.Counting()
        expect.raises(ValueError, partial(register, module, name, part), f"the name {name}")


@cases(parametrized_modules.parametrized)
def test_parametrization_keeps_type_and_shape(case: Parametrized) -> None:
    """register_parametrization raises ValueError for a parametrization that changes type or shape, and changes nothing."""  # noqa: E501
    for rule in ("x.unsqueeze(0)", "x.bool()", "x + 0j", "None"):
        parametrized_model.refuses_change(case, rule)


@cases(parametrized_modules.parametrized)
def test_parametrized_state_is_loaded(case: Parametrized) -> None:
    """The state_dict of a parametrized module gives another one like it the same tensors."""
    module, other = case.build(), case.build()
    with torch.no_grad():
        for original in case.originals(module):
            original.mul_(2)
    found = other.load_state_dict(module.state_dict())
    expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")
    wanted = parametrized_model.through(case, parametrized_model.first_original(case) * 2)
    parametrized_model.has_numbers(case, wanted, other.weight, "weight of the other module")


@cases(parametrized_modules.parametrized)
def test_parametrized_module_is_copied(case: Parametrized) -> None:
    """A deep copy of a parametrized module is parametrized alike, over originals of its own."""
    parametrized_model.copied(case)
