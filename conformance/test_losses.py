"""Checks of ``specs/losses.yaml``: the losses of torch.nn against the formulas of their pages.

Reference: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np

from conformance.engine.cases import cases
from conformance.inputs import loss_cases, loss_sources
from conformance.inputs.loss_cases import (
    GivenDistance,
    LossRefusal,
    NumberVariance,
    StepsAndLabels,
    StridedLabels,
    TwoForms,
)
from conformance.inputs.valued_calls import ValuedCall
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, near, unit_of
from conformance.oracles.class_losses import adaptive_logs
from conformance.oracles.loss_formulas import (
    equal_results,
    given_distance_loss,
    loss_follows_its_formula,
    number_variance_loss,
    weighted_loss_follows,
)
from conformance.oracles.loss_gradients import (
    alignment_gradients_follow,
    ignored_give_no_gradient,
    loss_gradients_follow,
)

calls = loss_sources.loss_calls

# --- the formula and its reduction ------------------------------------------------------------------------------


@cases(partial(calls, reduction="none"))
def test_unreduced_loss_follows_its_formula(case: ValuedCall) -> None:
    """With reduction='none' a loss gives the documented term of each element or sample, in the documented shape."""
    loss_follows_its_formula(case)


@cases(partial(calls, reduction="mean"))
def test_mean_follows_its_formula(case: ValuedCall) -> None:
    """With reduction='mean', the default, a loss is the documented mean of its terms, a weighted one where the page says so."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(partial(calls, reduction="sum"))
def test_sum_follows_its_formula(case: ValuedCall) -> None:
    """With reduction='sum' a loss is the sum of its terms."""
    loss_follows_its_formula(case)


@cases(partial(calls, reduction="batchmean"))
def test_batchmean_divides_by_the_batch(case: ValuedCall) -> None:
    """With reduction='batchmean' KLDivLoss is the sum of its terms by the size of the batch."""
    loss_follows_its_formula(case)


@cases(loss_cases.older_reductions)
def test_older_arguments_override_the_reduction(case: ValuedCall) -> None:
    """reduce and size_average, where given, say the reduction, whatever reduction says."""
    loss_follows_its_formula(case)


@cases(loss_cases.two_forms)
def test_functional_equals_the_module(case: TwoForms) -> None:
    """The function of torch.nn.functional gives the numbers of the module, bit for bit, with the same arguments."""
    equal_results(case.module.build().call(), case.functional.build().call(), f"functional.{case.function}")


@cases(loss_sources.smooth_losses)
def test_loss_gradient_follows_its_formula(case: ValuedCall) -> None:
    """The gradient of a loss is that of its documented formula, for every reduction."""
    loss_gradients_follow(case)


@cases(loss_sources.permuted_images)
def test_permuted_images_have_gradients(case: ValuedCall) -> None:
    """NLLLoss of four dimensions has the gradient of its formula in every layout of its input."""
    loss_gradients_follow(case)


# --- arguments --------------------------------------------------------------------------------------------------


@cases(partial(calls, option="weight"))
def test_weight_rescales_the_terms(case: ValuedCall) -> None:
    """weight multiplies the terms of its classes or elements, and the weighted mean divides by the weights of the targets."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(loss_sources.strided_weights)
def test_weight_may_be_strided(case: ValuedCall) -> None:
    """weight multiplies the same terms whatever its layout is."""
    loss_follows_its_formula(case)


@cases(loss_sources.weighted_elements)
def test_weights_of_elements_multiply_their_terms(case: ValuedCall) -> None:
    """l1_loss, mse_loss and huber_loss with a weight for each element multiply its term by it, unreduced and in the sum."""  # noqa: E501
    weighted_loss_follows(case)


@cases(partial(loss_sources.weighted_elements, means=True))
def test_weighted_mean_is_by_the_number_or_the_weights(case: ValuedCall) -> None:
    """The mean of l1_loss, mse_loss and huber_loss with a weight is the sum of weighted terms by their number, or by the sum of the weights."""  # noqa: E501
    weighted_loss_follows(case)


@cases(partial(calls, option="pos_weight"))
def test_pos_weight_multiplies_positive_terms(case: ValuedCall) -> None:
    """pos_weight multiplies the term of positive answers, broadcast against the target."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="ignore_index"))
def test_ignored_targets_do_not_count(case: ValuedCall) -> None:
    """A target that is ignore_index, also one out of the range of classes, adds nothing to the loss, nor to what the mean divides by."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(loss_cases.ignoring_with_gradients)
def test_ignored_targets_give_no_gradient(case: ValuedCall) -> None:
    """The gradient by the input of a sample or position whose target is ignore_index is zero."""
    ignored_give_no_gradient(case)


@cases(loss_cases.all_ignored)
def test_all_ignored_mean_is_nan(case: ValuedCall) -> None:
    """Where every target is ignored the sum is 0, and the mean, which divides by 0, is NaN."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="label_smoothing"))
def test_label_smoothing_mixes_the_target(case: ValuedCall) -> None:
    """label_smoothing makes the targets a mixture of the target and of the uniform distribution over the classes."""
    loss_follows_its_formula(case)


@cases(partial(calls, mark="probabilities"))
def test_probabilities_are_targets(case: ValuedCall) -> None:
    """A floating-point target of the shape of the logits holds a probability for each class, and the mean divides by the number of samples and positions."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(partial(calls, mark="positions"))
def test_dimensions_after_the_classes_are_positions(case: ValuedCall) -> None:
    """Inputs of (N, C, d1, …, dK) have a target for each sample and position, and the classes in the second dimension."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(partial(calls, mark="unbatched"))
def test_unbatched_inputs_are_one_sample(case: ValuedCall) -> None:
    """Where the page has a shape without a batch, the loss of such inputs follows the formula of one sample."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="margin"))
def test_margin_shifts_the_hinge(case: ValuedCall) -> None:
    """margin is the documented term of the hinge."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="p"))
def test_exponent_is_p(case: ValuedCall) -> None:
    """p is the exponent of the hinge, or the degree of the norm."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="swap"))
def test_swap_takes_the_nearer_negative(case: ValuedCall) -> None:
    """With swap=True the negative distance is the smaller of those from the anchor and from the positive example."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="eps"))
def test_eps_is_the_documented_constant(case: ValuedCall) -> None:
    """eps is the constant that the page adds to a distance or a logarithm, or below which it clamps a variance."""
    loss_follows_its_formula(case)


@cases(loss_sources.broadcast_variances)
def test_variance_of_one_in_any_dimension_is_broadcast(case: ValuedCall) -> None:
    """GaussianNLLLoss takes a variance that has the shape of the input but for one dimension of 1, whichever that is."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(loss_cases.number_variances)
def test_variance_may_be_a_number(case: NumberVariance) -> None:
    """GaussianNLLLoss takes a Python number for the variance of every term."""
    near(number_variance_loss(case), case.found(), case.inputs[0].dtype, "result with a number for the variance")


@cases(partial(calls, option="full"))
def test_full_adds_the_constant_term(case: ValuedCall) -> None:
    """full=True adds the constant term, or Stirling's approximation for targets above 1 and nothing for others."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="log_input"))
def test_log_input_says_what_the_input_is(case: ValuedCall) -> None:
    """With log_input=False the input of PoissonNLLLoss is the expectation and not its logarithm."""
    loss_follows_its_formula(case)


@cases(partial(calls, option="log_target"))
def test_log_target_says_what_the_target_is(case: ValuedCall) -> None:
    """With log_target=True the target of KLDivLoss is given as logarithms."""
    loss_follows_its_formula(case)


@cases(loss_sources.thresholds)
def test_threshold_divides_square_and_line(case: ValuedCall) -> None:
    """beta or delta is where the square becomes a line; a beta of 0 makes it L1Loss."""
    loss_follows_its_formula(case)


@cases(partial(calls, mark="clamped"))
def test_logarithms_are_clamped(case: ValuedCall) -> None:
    """BCELoss takes no logarithm below -100, so that it is finite for probabilities of 0 and 1."""
    loss_follows_its_formula(case)


@cases(partial(calls, mark="wide"))
def test_logits_of_any_size_keep_their_precision(case: ValuedCall) -> None:
    """Losses of logits neither overflow nor lose their value where the logits are large."""
    loss_follows_its_formula(case)


@cases(partial(calls, mark="complex"))
def test_complex_distances_are_moduli(case: ValuedCall) -> None:
    """L1Loss of complex numbers is the modulus of their difference."""
    loss_follows_its_formula(case)


@cases(loss_cases.given_distances)
def test_distance_function_is_called(case: GivenDistance) -> None:
    """distance_function gives the distances of TripletMarginWithDistanceLoss."""
    near(given_distance_loss(case), case.found(), case.inputs[0].dtype, "result with a distance that is given")


# --- alignments and clusters ------------------------------------------------------------------------------------


@cases(partial(calls, option="blank"))
def test_blank_is_the_label_between(case: ValuedCall) -> None:
    """blank is the label that may stand between those of a target, whichever of the classes it is."""
    loss_follows_its_formula(case)


@cases(partial(calls, mark="impossible"))
def test_zero_infinity_zeroes(case: ValuedCall) -> None:
    """A target that no input of that length can be aligned to has an infinite loss, and with zero_infinity=True one of 0, in the mean and the sum too."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(loss_cases.lengths_as_tensors)
def test_lengths_may_be_tensors(case: ValuedCall) -> None:
    """Lengths given to CTCLoss as tensors, of int32 too, mean what the same tuples mean."""
    loss_follows_its_formula(case)


@cases(loss_cases.samples_without_steps)
def test_samples_without_steps_align_no_labels(case: StepsAndLabels) -> None:
    """CTCLoss of a sample without steps is 0 without labels, and infinite with some, which nothing can be aligned to."""  # noqa: E501
    found = memory.contents(case.losses())
    for number, (steps, labels) in enumerate(zip(case.input_lengths, case.target_lengths, strict=True)):
        if not steps:
            expect.equal(float("inf") if labels else 0.0, float(found[number]), f"loss of sample {number}")


@cases(loss_cases.strided_labels)
def test_concatenated_targets_may_be_strided(case: StridedLabels) -> None:
    """Targets of CTCLoss that are concatenated in one dimension mean the same in every layout."""
    expected, found = case.losses(True), case.losses(False)
    memory.same_elements(memory.contents(expected), memory.contents(found), "losses with strided targets")


@cases(loss_sources.smooth_losses)
def test_alignment_gradient_follows_its_formula(case: ValuedCall) -> None:
    """The gradient of CTCLoss by logits, through log_softmax, is that of the sum over all alignments."""
    alignment_gradients_follow(replace(case, requires=()))


@cases(calls)
def test_clusters_share_the_probability(case: ValuedCall) -> None:
    """AdaptiveLogSoftmaxWithLoss gives the logarithms of the probabilities of the targets, each of its cluster times within it, and their negative mean."""  # noqa: E501
    loss_follows_its_formula(case)


@cases(loss_sources.adaptive_batches)
def test_adaptive_log_prob_is_of_all_classes(case: ValuedCall) -> None:
    """log_prob gives the logarithms of the probabilities of all classes, and predict the class with the largest."""
    live = case.build()
    expected = adaptive_logs(live, Bounded(live.arrays[0], unit_of(live.dtype)))
    near(expected, live.module.log_prob(live.inputs[0]), live.dtype, "result of log_prob")
    best = np.argmax(expected.value, axis=1)
    memory.same_elements(best, memory.contents(live.module.predict(live.inputs[0])), "result of predict")


# --- edges ------------------------------------------------------------------------------------------------------


@cases(loss_cases.empty_batches)
def test_empty_batch_sums_to_zero(case: ValuedCall) -> None:
    """Of no samples the unreduced loss is empty, the sum is 0, and the mean, which divides by 0, is NaN."""
    loss_follows_its_formula(case)


@cases(loss_cases.other_sizes)
def test_other_target_size_warns(case: ValuedCall) -> None:
    """A target of another size than the input, which is broadcast, is warned about, and the loss is that of the broadcast numbers."""  # noqa: E501
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loss_follows_its_formula(case)
    kinds = [str(each.message)[:40] for each in told if issubclass(each.category, UserWarning)]
    expect.that(bool(kinds), f"warnings of {case.makes}", "one about the size of the target", f"{kinds}")


@cases(loss_cases.impossible_losses)
def test_impossible_arguments_raise(case: LossRefusal) -> None:
    """A reduction that there is none, a target or label out of its range, and a number that the page rules out, raise."""  # noqa: E501
    kind = {"ValueError": ValueError, "IndexError": IndexError, "RuntimeError": RuntimeError}[case.of]
    expect.raises(kind, case.run, case.expression)
