"""Area ``module_utilities``: parametrizations, normed weights, pruning, packed sequences and fused layers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    fused_layers,
    gradient_sets,
    initials,
    module_casts,
    normed_weights,
    orthogonal_layers,
    parametrized_modules,
    pruned_layers,
    sequence_batches,
    tied_calls,
    tree_sources,
)
from conformance.inputs.fused_layers import FusedPair
from conformance.inputs.gradient_sets import GradientSet
from conformance.inputs.initials import Initial
from conformance.inputs.module_casts import ModuleCast
from conformance.inputs.module_trees import Tree, reach
from conformance.inputs.normed_weights import NormedLayer
from conformance.inputs.orthogonal_layers import OrthogonalLayer
from conformance.inputs.parametrized_modules import Parametrized
from conformance.inputs.pruned_layers import PrunedLayer
from conformance.inputs.sequence_batches import SequenceBatch
from conformance.inputs.tied_calls import TiedCall, TiedSum
from conformance.oracles import (
    expect,
    fused_model,
    memory,
    module_conversion,
    module_state,
    module_utilities,
    normed_model,
    parametrized_model,
    pruned_model,
)
from conformance.oracles.packed_model import gradients_by_step, packed_is_converted, packs, same_rows, same_tensor

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


@cases(sequence_batches.sequence_batches)
def test_packed_sequences_are_converted(case: SequenceBatch) -> None:
    """PackedSequence.to gives itself where the type is the same, and else a packed sequence of the same steps and order."""  # noqa: E501
    packed_is_converted(case)


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


@cases(parametrized_modules.parametrized)
def test_cached_copies_have_tensors_of_their_own(case: Parametrized) -> None:
    """Within cached() a deep copy of a parametrized module has the tensor of its own originals, whichever of the two was asked first."""  # noqa: E501
    parametrized_model.cached_apart(case)


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
def test_former_type_is_told(case: Parametrized) -> None:
    """type_before_parametrizations gives the class that a module had, and of any other module its class."""
    told = torch.nn.utils.parametrize.type_before_parametrizations
    plain, module = case.plain(), case.build()
    expect.equal([type(plain)] * 2, [told(plain), told(module)], "of a plain and of a parametrized module")
    expect.equal(False, type(module) is type(plain), "whether the parametrized module has its former class")


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


# --- normed weights ---------------------------------------------------------------------------------------------


@cases(normed_weights.parametrized_norms)
def test_weight_norm_is_the_formula(case: NormedLayer) -> None:
    """parametrizations.weight_norm leaves the weight, and makes it g v / ||v|| of magnitudes and directions that learn."""  # noqa: E501
    normed_model.is_normed(case)


@cases(normed_weights.hooked_norms)
def test_hooked_weight_norm_is_the_formula(case: NormedLayer) -> None:
    """torch.nn.utils.weight_norm leaves the weight, and makes it g v / ||v|| of weight_g and weight_v before each forward."""  # noqa: E501
    normed_model.is_normed(case)


@cases(normed_weights.parametrized_norms)
def test_parts_of_weight_norm_get_gradients(case: NormedLayer) -> None:
    """Magnitude and direction of a normed weight get the gradients of the formula."""
    normed_model.parts_learn(case)


@cases(normed_weights.hooked_norms)
def test_hooked_parts_of_weight_norm_get_gradients(case: NormedLayer) -> None:
    """weight_g and weight_v get the gradients of the formula."""
    normed_model.parts_learn(case)


@cases(normed_weights.hooked_norms)
def test_removed_weight_norm_leaves_a_plain_weight(case: NormedLayer) -> None:
    """After remove_weight_norm the layer has its weight as a Parameter, and nothing recomputes it."""
    normed_model.is_plain_again(case)


@cases(normed_weights.parametrized_norms)
def test_weight_norm_loads_the_old_state(case: NormedLayer) -> None:
    """parametrizations.weight_norm loads a state_dict of torch.nn.utils.weight_norm."""
    old, new = replace(case, way="hook").build(), case.build()
    with torch.no_grad():
        old.weight_g.mul_(3)
    found = new.load_state_dict(old.state_dict())
    expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")
    normed_model.near_weight(case, case.weight() * 3, new.weight, "weight")


@cases(normed_weights.spectral_weights)
def test_spectral_norm_divides_by_the_largest_singular_value(case: NormedLayer) -> None:
    """A weight with spectral norm is divided by its largest singular value, as many iterations find it, and evaluation changes nothing."""  # noqa: E501
    normed_model.has_unit_norm(case)


@cases(normed_weights.spectral_weights)
def test_removed_spectral_norm_leaves_a_plain_weight(case: NormedLayer) -> None:
    """After the removal of a spectral norm the layer has its weight as a Parameter, and nothing recomputes it."""
    normed_model.is_plain_again(case)


@cases(orthogonal_layers.orthogonal_layers)
def test_orthogonal_weight_is_orthogonal(case: OrthogonalLayer) -> None:
    """parametrizations.orthogonal makes a weight of orthonormal columns, or of rows where it is wide, also after its original has changed."""  # noqa: E501
    normed_model.is_orthogonal(case)


# --- pruning ----------------------------------------------------------------------------------------------------


@cases(pruned_layers.pruned_layers)
def test_pruning_takes_the_lowest(case: PrunedLayer) -> None:
    """Each call of torch.nn.utils.prune takes as many of the remaining numbers or slices as it is told, by their norm or by chance, and keeps mask and original."""  # noqa: E501
    pruned_model.is_pruned_by_steps(case)


@cases(pruned_layers.scored_layers)
def test_pruning_goes_by_importance_scores(case: PrunedLayer) -> None:
    """With importance_scores what has the lowest score is taken away."""
    pruned_model.is_pruned_by_steps(case)


@cases(pruned_layers.pruned_layers)
def test_pruned_weight_is_computed_before_each_forward(case: PrunedLayer) -> None:
    """Before each forward a pruned weight is the original where the mask is 1 and zero elsewhere, and so is the original's gradient."""  # noqa: E501
    pruned_model.stays_pruned(case)


@cases(pruned_layers.pruned_layers)
def test_removed_pruning_is_permanent(case: PrunedLayer) -> None:
    """prune.remove leaves the pruned weight as the parameter, without mask, original and hook."""
    pruned_model.is_removed(case)


@cases(pruned_layers.pruned_layers)
def test_global_pruning_compares_all_weights(case: PrunedLayer) -> None:
    """global_unstructured takes away the lowest of all weights together."""
    pruned_model.is_pruned_together(case)


# --- fused layers -----------------------------------------------------------------------------------------------


@cases(fused_layers.fused_convolutions)
def test_fused_convolution_gives_the_same(case: FusedPair) -> None:
    """fuse_conv_bn_eval makes a new convolution that gives what the batch norm makes of the convolution, and leaves both."""  # noqa: E501
    fused_model.fused_gives_the_same(case)


@cases(fused_layers.grouped_transposed)
def test_fused_convolution_may_have_groups(case: FusedPair) -> None:
    """fuse_conv_bn_eval takes transposed convolutions of groups as it takes others."""
    fused_model.fused_gives_the_same(case)


@cases(fused_layers.fused_linears)
def test_fused_linear_gives_the_same(case: FusedPair) -> None:
    """fuse_linear_bn_eval makes a new Linear that gives what the batch norm makes of the Linear, and leaves both."""
    fused_model.fused_gives_the_same(case)


@cases(fused_layers.linears_under_plain_norms)
def test_fused_linear_takes_a_norm_without_weight(case: FusedPair) -> None:
    """fuse_linear_bn_eval takes a batch norm with affine=False as fuse_conv_bn_eval does."""
    fused_model.fused_gives_the_same(case)


# --- gradients, calls and conversions ---------------------------------------------------------------------------


@cases(gradient_sets.clipped_norms)
def test_total_norm_is_of_one_vector(case: GradientSet) -> None:
    """get_total_norm gives the norm of all tensors taken as one vector."""
    parameters = case.build()
    gradients = [parameters[n].grad for n in case.taken()]
    given: Any = (x for x in gradients) if case.given == "generator" else gradients
    found = torch.nn.utils.get_total_norm(given, float(case.norm))
    found = memory.contents(expect.tensor(found, "what get_total_norm returns"))
    module_utilities.near(module_utilities.total_norm(case), found, case.dtype, "total norm")


@cases(gradient_sets.nonfinite_norms)
def test_total_norm_raises_if_nonfinite(case: GradientSet) -> None:
    """With error_if_nonfinite=True get_total_norm raises where the norm is NaN or infinite."""
    gradients = [x.grad for x in case.build() if x.grad is not None]
    norm = partial(torch.nn.utils.get_total_norm, gradients, float(case.norm))
    expect.raises(RuntimeError, partial(norm, error_if_nonfinite=True), "error_if_nonfinite=True")
    expect.equal(False, bool(torch.isfinite(norm())), "whether the norm is finite")


@cases(gradient_sets.clipped_norms)
def test_gradients_are_clipped_with_a_given_norm(case: GradientSet) -> None:
    """clip_grads_with_norm_ scales every gradient, in its own tensor, by max_norm / (total_norm + 1e-6), and never up."""  # noqa: E501
    parameters = case.build()
    before = [parameter.grad for parameter in parameters]
    total = torch.tensor(2.5, dtype=torch.float64, device=case.device)
    torch.nn.utils.clip_grads_with_norm_(case.passed(parameters), case.limit, total)
    factor = min(1.0, case.limit / (2.5 + 1e-6))
    wanted = [array * factor for array in case.arrays()]
    module_utilities.left_gradients(case, parameters, before, wanted)


@cases(tied_calls.tied_calls)
def test_tied_weights_are_replaced_together(case: TiedCall) -> None:
    """functional_call gives tied names one value, and raises for two, or with tie_weights=False keeps them apart."""
    calls_as_wanted(case)


@cases(tied_calls.strict_calls)
def test_strict_call_wants_every_name(case: TiedCall) -> None:
    """With strict=True functional_call raises for a name that is missing, tied ones apart, or unknown."""
    calls_as_wanted(case)


def calls_as_wanted(case: TiedCall) -> None:
    """Expect the number or an error, and the module as it was."""
    module, wanted = TiedSum(case.device), case.wanted()
    parameter = module.first
    if wanted is None:
        expect.raises((RuntimeError, ValueError), partial(case.call, module), f"a call with {case.given}")
    else:
        expect.equal(wanted, case.call(module), f"result with {case.given}")
    expect.same_object(parameter, module.first, "first after the call")
    expect.same_object(parameter, module.second, "second after the call")
    expect.equal((1.0, 4.0), (module.first.item(), module.shift.item()), "first and shift after the call")


@cases(initials.generated_initials)
def test_init_draws_from_the_generator(case: Initial) -> None:
    """Functions of torch.nn.init draw from the generator that they are given, and from no other."""
    draws_from_its_generator(case)


@cases(initials.generated_sparse)
def test_sparse_draws_from_the_generator(case: Initial) -> None:
    """sparse_ draws numbers and places from the generator that it is given, and from no other."""
    draws_from_its_generator(case)


def draws_from_its_generator(case: Initial) -> None:
    """Expect the same elements by generators of one seed, others by another, and the default generator as it was."""
    drawn = []
    before = torch.get_rng_state()
    for seed in (7, 7, 8):
        x = case.build()
        case.by(x, torch.Generator(x.device).manual_seed(seed))
        drawn.append(memory.contents(x.detach()))
    expect.that(torch.equal(before, torch.get_rng_state()), "default generator", "as it was", "another state")
    memory.same_elements(drawn[0], drawn[1], "elements by two generators of one seed")
    expect.equal(False, bool((drawn[0] == drawn[2]).all()), "whether another seed gives the same elements")


@cases(module_casts.swapped_casts)
def test_swapped_conversion_keeps_the_parameters(case: ModuleCast) -> None:
    """Under set_swap_module_params_on_conversion a conversion leaves every parameter the object that it was, converted."""  # noqa: E501
    with module_conversion.swapping():
        module_conversion.converted(case)
        module_conversion.stays_tied(case)


@cases(tree_sources.trees_looked_at("swap", tree_sources.listed))
def test_swapped_load_keeps_the_tensors(case: Tree) -> None:
    """Under set_swap_module_params_on_conversion load_state_dict leaves every tensor the object that it was, with the values of the dictionary."""  # noqa: E501
    module, other = case.build(), case.turned()
    before = {key: reach(module, key) for key in case.state()}
    with module_conversion.swapping():
        found = module.load_state_dict(other.tensors())
    expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")
    module_state.module_holds(other, module, "the module")
    for key, tensor in before.items():
        expect.same_object(tensor, reach(module, key), key)
        expect.equal(case.required(key), tensor.requires_grad, f"requires_grad of {key}")
