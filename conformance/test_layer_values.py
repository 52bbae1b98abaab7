"""Checks of ``specs/layer_values.yaml``: the layers of torch.nn against the formulas of their pages.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from functools import partial

from conformance.engine.cases import cases
from conformance.inputs import complex_convolutions, layer_cases, valued_sources
from conformance.inputs.complex_convolutions import ComplexConvolution
from conformance.inputs.layer_cases import (
    ExchangedParameters,
    GivenTable,
    PaddedSequences,
    PlacedNonlinearity,
    SquareMask,
)
from conformance.inputs.loss_cases import LossRefusal
from conformance.inputs.valued_calls import ValuedCall
from conformance.oracles import expect, layer_laws
from conformance.oracles.activation_formulas import activation_results
from conformance.oracles.attention_formulas import heads_results, layer_results, product_results
from conformance.oracles.bounded import filled_results, follows
from conformance.oracles.convolution_formulas import (
    complex_convolution_follows,
    convolution_results,
    folding_results,
    linear_results,
    padding_results,
    shuffling_results,
)
from conformance.oracles.dropout_laws import drops_and_scales, identity_results
from conformance.oracles.embedding_formulas import (
    bag_results,
    embedding_results,
    row_gradients_follow,
    rows_are_renormed,
)
from conformance.oracles.grid_formulas import grid_results
from conformance.oracles.norm_formulas import norm_results, statistics_follow, statistics_stay
from conformance.oracles.pooling_formulas import (
    distance_results,
    fractional_results_are_maxima,
    indices_point_at_maxima,
    pooling_results,
    unpooling_results,
)
from conformance.oracles.recurrent_formulas import (
    exchanged_parameters_count,
    packed_sequences_follow,
    recurrence_follows,
)
from conformance.oracles.resampling_formulas import resampling_results

calls = valued_sources.layer_calls

# --- activations, linear maps and convolutions ----------------------------------------------------------------------


@cases(calls)
def test_activation_follows_its_formula(case: ValuedCall) -> None:
    """An activation gives the numbers of its documented formula, for each of its arguments, for large inputs too."""
    follows(case, activation_results)


@cases(partial(calls, mark="infinite"))
def test_gelu_of_infinity_is_infinity(case: ValuedCall) -> None:
    """GELU of infinity, whose cumulative distribution is 1 there, is infinity."""
    follows(case, partial(filled_results, float("inf")))


@cases(calls)
def test_linear_map_follows_its_formula(case: ValuedCall) -> None:
    """Linear gives x A^T + b over the last dimension, Bilinear x1^T A x2 + b."""
    follows(case, linear_results)


@cases(calls)
def test_convolution_follows_its_formula(case: ValuedCall) -> None:
    """A convolution is the cross-correlation of input and weight with its stride, padding, padding mode, dilation and groups; a transposed one its transpose."""  # noqa: E501
    follows(case, convolution_results)


@cases(partial(calls, mark="circular"))
def test_circular_convolution_needs_no_batch(case: ValuedCall) -> None:
    """A convolution with circular padding takes an input without a batch too."""
    follows(case, convolution_results)


@cases(complex_convolutions.complex_convolutions)
def test_complex_convolution_follows_its_formula(case: ComplexConvolution) -> None:
    """A convolution of complex numbers is their cross-correlation, where input, weight or bias are conjugated views too."""  # noqa: E501
    complex_convolution_follows(case)


@cases(calls)
def test_folding_follows_its_formula(case: ValuedCall) -> None:
    """Unfold gives the sliding blocks as columns, and Fold sums columns at the places of their blocks."""
    follows(case, folding_results)


# --- pooling --------------------------------------------------------------------------------------------------------


@cases(calls)
def test_pooling_follows_its_formula(case: ValuedCall) -> None:
    """A pooling gives the maximum, mean or norm of each window, with its stride, padding, dilation, ceil_mode, count_include_pad and divisor_override."""  # noqa: E501
    follows(case, pooling_results)


@cases(layer_cases.volumes)
def test_volumes_without_a_batch_have_any_layout(case: ValuedCall) -> None:
    """MaxPool3d of a volume without a batch gives the same in every layout of its input."""
    follows(case, pooling_results)


@cases(partial(calls, mark="overhanging"))
def test_overhanging_windows_have_their_norm(case: ValuedCall) -> None:
    """With ceil_mode=True the window of an LPPool that goes over the end gives the norm of the elements in it."""
    follows(case, pooling_results)


@cases(calls)
def test_adaptive_pooling_covers_the_input(case: ValuedCall) -> None:
    """An adaptive pooling has the asked size; its windows go from floor(i L / n) to ceil((i + 1) L / n)."""
    follows(case, pooling_results)


@cases(partial(calls, mark="indices"))
def test_max_pool_indices_point_at_the_maximum(case: ValuedCall) -> None:
    """With return_indices=True each output comes with the flat index of an element of its window that has this value."""  # noqa: E501
    indices_point_at_maxima(case)


@cases(partial(calls, mark="bounds"))
def test_fractional_pooling_stays_in_bounds(case: ValuedCall) -> None:
    """A fractional pooling has the asked size or ratio, and each output is the number at its index, in windows of the kernel from the first to the last element."""  # noqa: E501
    fractional_results_are_maxima(case)


@cases(calls)
def test_unpooling_puts_values_at_their_indices(case: ValuedCall) -> None:
    """An unpooling sets all elements but those that the indices name to zero, in the size that output_size or the formula gives."""  # noqa: E501
    follows(case, unpooling_results)


# --- padding, and what only moves elements --------------------------------------------------------------------------


@cases(calls)
def test_padding_follows_its_formula(case: ValuedCall) -> None:
    """Padding puts zeros, a number, the mirror image, the edge or the other end around the input; negative padding takes away."""  # noqa: E501
    follows(case, padding_results)


@cases(calls)
def test_elements_move_as_documented(case: ValuedCall) -> None:
    """PixelShuffle, PixelUnshuffle, ChannelShuffle and Identity give the elements of the input, each at its documented place."""  # noqa: E501
    follows(case, shuffling_results)


# --- normalisation --------------------------------------------------------------------------------------------------


@cases(calls)
def test_normalisation_follows_its_formula(case: ValuedCall) -> None:
    """A normalisation gives the numbers of its documented formula, with the biased variance, eps, weight and bias."""
    follows(case, norm_results)


@cases(layer_cases.far_numbers)
def test_deviations_far_from_zero_are_normalised(case: ValuedCall) -> None:
    """GroupNorm of numbers that are far from zero and near each other normalises their deviations, in every layout."""
    follows(case, norm_results)


@cases(partial(calls, mark="far"))
def test_squares_beyond_the_type_are_averaged(case: ValuedCall) -> None:
    """RMSNorm normalises numbers whose squares are larger than any number of their type."""
    follows(case, norm_results)


@cases(partial(calls, mark="even"))
def test_even_windows_lie_about_their_channel(case: ValuedCall) -> None:
    """LocalResponseNorm of an even size sums over as many channels as size says, or over one more after them."""
    layer_laws.even_window_follows(case)


@cases(partial(calls, mark="running"))
def test_running_statistics_follow_the_batches(case: ValuedCall) -> None:
    """In training mode the running mean and the unbiased variance take momentum of each batch, or are the means over all batches where momentum is None."""  # noqa: E501
    statistics_follow(case)


@cases(partial(calls, mark="kept"))
def test_kept_statistics_normalise_in_eval(case: ValuedCall) -> None:
    """In eval mode the running statistics normalise the input, and stay as they were."""
    statistics_stay(case)


# --- tables ---------------------------------------------------------------------------------------------------------


@cases(calls)
def test_embedding_looks_up_rows(case: ValuedCall) -> None:
    """Embedding gives the rows of its table that the indices name, bit for bit."""
    follows(case, embedding_results)


@cases(calls)
def test_bags_reduce_their_rows(case: ValuedCall) -> None:
    """EmbeddingBag gives the sum, the weighted sum, the mean or the maximum of the rows of each bag, without padding_idx; of an empty bag zeros."""  # noqa: E501
    follows(case, bag_results)


@cases(partial(calls, mark="max-norm"))
def test_max_norm_renormalises_rows(case: ValuedCall) -> None:
    """With max_norm a row that is looked up and longer is scaled to that norm in the table itself; no other row changes."""  # noqa: E501
    rows_are_renormed(case)


@cases(layer_cases.given_tables)
def test_given_tables_are_taken(case: GivenTable) -> None:
    """from_pretrained makes a module of a table, with the arguments that it is given, frozen unless freeze=False."""
    layer_laws.table_is_taken(case)


@cases(layer_cases.embedding_gradients)
def test_embedding_gradient_is_of_rows_looked_up(case: ValuedCall) -> None:
    """The gradient by a row of an Embedding is the sum of those of its occurrences, by their number with scale_grad_by_freq, and zero for padding_idx."""  # noqa: E501
    row_gradients_follow(case)


# --- recurrent layers and attention ---------------------------------------------------------------------------------


@cases(calls)
def test_recurrence_follows_its_formula(case: ValuedCall) -> None:
    """A recurrent layer or cell follows its documented steps, over layers, both directions, projections and given states."""  # noqa: E501
    recurrence_follows(case)


@cases(layer_cases.placed_nonlinearities)
def test_nonlinearity_is_the_fourth_argument(case: PlacedNonlinearity) -> None:
    """RNN takes its non-linearity by position too, after the number of layers, as its page lists the arguments."""
    layer = case.made()
    expect.equal((case.name, True), (layer.nonlinearity, layer.bias), "nonlinearity and bias")


@cases(layer_cases.exchanged_parameters)
def test_assigned_parameters_are_used(case: ExchangedParameters) -> None:
    """A recurrent layer computes with the Parameter that is assigned in the place of one of its own after a first call, and gives it a gradient."""  # noqa: E501
    exchanged_parameters_count(case)


@cases(partial(calls, mark="packed"))
def test_packed_sequences_end_at_their_length(case: ValuedCall) -> None:
    """Of a packed batch each sequence is run for its own length, backwards from its own end, and has its own last state."""  # noqa: E501
    packed_sequences_follow(case)


@cases(calls)
def test_dot_product_attention_follows_its_formula(case: ValuedCall) -> None:
    """scaled_dot_product_attention gives softmax(Q K^T scale + mask) V, for masks of bools (true takes part) and of numbers, and causal ones."""  # noqa: E501
    follows(case, product_results)


@cases(calls)
def test_several_heads_follow_their_formula(case: ValuedCall) -> None:
    """MultiheadAttention gives the projected heads and their weights, averaged or of each head, with masks (true takes no part), biases and a zero row."""  # noqa: E501
    follows(case, heads_results)


@cases(calls)
def test_transformer_layers_are_composed(case: ValuedCall) -> None:
    """Layers of a transformer are self-attention, attention to the memory and a feed-forward network, each with its norm after it, or before with norm_first."""  # noqa: E501
    follows(case, layer_results)


@cases(partial(calls, mark="inference"))
def test_inference_follows_the_formula(case: ValuedCall) -> None:
    """Where autograd is off, in evaluation, self-attention and an encoder layer give the numbers of their formulas."""
    follows(case, heads_results if case.makes == "MultiheadAttention" else layer_results)


@cases(partial(calls, mark="biased inference"))
def test_inference_adds_the_numbers_of_masks(case: ValuedCall) -> None:
    """Where autograd is off, in evaluation, an encoder layer adds the numbers of a mask to the attention weights."""
    follows(case, layer_results)


@cases(layer_cases.padded_sequences)
def test_padded_positions_keep_their_place(case: PaddedSequences) -> None:
    """Where autograd is off, in evaluation, a TransformerEncoder gives a result of the size of its input, also where every sequence ends before."""  # noqa: E501
    expect.equal(case.x.shape, tuple(case.encoded().shape), "shape of the result")


@cases(layer_cases.square_masks)
def test_square_masks_are_causal(case: SquareMask) -> None:
    """Transformer.generate_square_subsequent_mask gives -inf above the diagonal and zeros elsewhere."""
    layer_laws.causal_mask_is_square(case)


# --- resampling, distances, dropout ---------------------------------------------------------------------------------


@cases(calls)
def test_resampling_follows_its_formula(case: ValuedCall) -> None:
    """Upsample and interpolate give the nearest, linear, cubic or averaged numbers at the positions that align_corners, size and scale_factor say."""  # noqa: E501
    follows(case, resampling_results)


@cases(partial(calls, mark="antialias"))
def test_antialiasing_follows_its_formula(case: ValuedCall) -> None:
    """With antialias=True and align_corners=False interpolate to a smaller size gives what Pillow does, whose linear or cubic filter is as much wider as the image gets smaller."""  # noqa: E501
    follows(case, resampling_results)


@cases(calls)
def test_grids_follow_their_formula(case: ValuedCall) -> None:
    """affine_grid gives theta (x, y, 1) for the places of an image, and grid_sample the pixels about each point of a grid, with what padding_mode says of those outside."""  # noqa: E501
    follows(case, grid_results)


@cases(calls)
def test_distance_follows_its_formula(case: ValuedCall) -> None:
    """CosineSimilarity and PairwiseDistance give the numbers of their documented formulas."""
    follows(case, distance_results)


@cases(partial(calls, mark="small"))
def test_small_lengths_are_bounded(case: ValuedCall) -> None:
    """CosineSimilarity divides by eps where the product of the lengths is smaller."""
    follows(case, distance_results)


@cases(layer_cases.dropouts)
def test_dropout_zeroes_and_scales(case: ValuedCall) -> None:
    """In training mode dropout zeroes elements, or whole channels, with probability p, and scales the others by 1 / (1 - p)."""  # noqa: E501
    drops_and_scales(case)


@cases(partial(calls, mark="infinite"))
def test_dropped_elements_are_zero_whatever_they_were(case: ValuedCall) -> None:
    """In training mode with p=1 dropout gives zeros, of infinities and NaN too."""
    follows(case, partial(filled_results, 0.0))


@cases(calls)
def test_dropout_is_the_identity_in_eval(case: ValuedCall) -> None:
    """In eval mode dropout gives its input."""
    follows(case, identity_results)


@cases(calls)
def test_alpha_dropout_keeps_mean_and_deviation(case: ValuedCall) -> None:
    """In training alpha dropout masks elements, or whole channels, with probability p, and scales and shifts the result to a mean of 0 and a deviation of 1."""  # noqa: E501
    layer_laws.mean_and_deviation_stay(case)


@cases(layer_cases.random_slopes)
def test_random_slopes_lie_in_their_range(case: ValuedCall) -> None:
    """In training RReLU takes each negative element by a slope of its own, drawn evenly from lower to upper."""
    layer_laws.slopes_lie_within(case)


# --- refusals -------------------------------------------------------------------------------------------------------


@cases(layer_cases.impossible_layers)
def test_impossible_layers_raise(case: LossRefusal) -> None:
    """Arguments that the pages rule out, and inputs that do not fit them, raise."""
    kind = {"ValueError": ValueError, "IndexError": IndexError, "RuntimeError": RuntimeError}[case.of]
    expect.raises(kind, case.run, case.expression)
