"""Breaks of the numbers of layers of torch.nn, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "layer_values"
F = torch.nn.functional
Break = AbstractContextManager[Any]


def gives(name: str, change: Callable[..., Any], owner: Any = F) -> Break:
    """The function of that name gives ``change(call, …)``; ``call`` is the function as it was."""
    return method(name, change, owner)


# --- activations, linear maps and convolutions ------------------------------------------------------------------


@falsifies(f"{AREA}.activation-follows-its-formula", subject="GELU")
def the_tanh_for_large_inputs() -> Break:
    """gelu of a long vector takes the approximation by tanh."""
    return gives(
        "gelu", lambda call, x, approximate="none": call(x, approximate="tanh" if x.numel() > 20 else approximate)
    )


@falsifies(f"{AREA}.activation-follows-its-formula", subject="Softplus")
def a_threshold_of_the_input_itself() -> Break:
    """softplus compares the input, and not beta times it, with the threshold."""

    def change(call: Any, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
        return torch.where(x > threshold, x, call(x, beta, 1e9 if beta < 1 else threshold))

    return gives("softplus", change)


@falsifies(f"{AREA}.activation-follows-its-formula", subject="Hardshrink")
def an_edge_shrunk_in_vain() -> Break:
    """hardshrink keeps an element that lies on the edge."""

    def change(call: Any, x: Any, lambd: float = 0.5) -> Any:
        return torch.where(x.abs() == lambd, x, call(x, lambd))

    return gives("hardshrink", change)


@falsifies(f"{AREA}.linear-map-follows-its-formula", subject="Linear")
def four_dimensions_are_a_little_more() -> Break:
    """linear of four dimensions takes its input by 1.001."""

    def change(call: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        return call(x * 1.001 if x.dim() == 4 else x, weight, bias)

    return gives("linear", change)


@falsifies(f"{AREA}.linear-map-follows-its-formula", subject="Bilinear")
def the_last_feature_left_out() -> Break:
    """bilinear of three dimensions leaves the last feature of the second input out."""

    def change(call: Any, x: Any, y: Any, weight: Any, bias: Any = None) -> Any:
        if x.dim() == 3:
            y = torch.cat([y[..., :-1], y[..., -1:] * 0], -1)
        return call(x, y, weight, bias)

    return gives("bilinear", change)


@falsifies(f"{AREA}.convolution-follows-its-formula", subject="Conv2d")
def the_last_column_is_the_first() -> Break:
    """conv2d gives the first column for the last where the groups are two."""

    def change(call: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        found = call(x, weight, bias, stride, padding, dilation, groups)
        if groups == 2 and found.shape[-1] > 1:
            found = found.clone()
            found[..., -1] = found[..., 0]
        return found

    return gives("conv2d", change)


@falsifies(f"{AREA}.convolution-follows-its-formula", subject="Conv1d")
def the_odd_place_on_the_left() -> Break:
    """conv1d with padding='same' adds the odd place on the left."""

    def change(call: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        odd = padding == "same" and weight.shape[-1] % 2 == 0 and dilation[0] % 2
        return call(x.roll(-1, -1) if odd else x, weight, bias, stride, padding, dilation, groups)

    return gives("conv1d", change)


@falsifies(f"{AREA}.convolution-follows-its-formula", subject="ConvTranspose2d")
def the_output_padding_repeats_the_edge() -> Break:
    """conv_transpose2d with an output padding has another number in the row that it adds."""

    def change(call: Any, *args: Any) -> Any:
        found = call(*args)
        if any(args[5]):
            found = found.clone()
            found[..., -1, :] = found[..., -2, :]
        return found

    return gives("conv_transpose2d", change)


@falsifies(f"{AREA}.folding-follows-its-formula", subject="Fold")
def the_last_of_overlapping_blocks_wins() -> Break:
    """fold with a dilation halves what overlaps."""

    def change(call: Any, x: Any, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
        found = call(x, size, kernel, dilation, padding, stride)
        if dilation == 1:
            return found
        times = call(torch.ones_like(x), size, kernel, dilation, padding, stride)
        return torch.where(times > 1, found / 2, found)

    return gives("fold", change)


# --- pooling ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.pooling-follows-its-formula", subject="AvgPool2d")
def windows_over_the_end_count_in_full() -> Break:
    """avg_pool2d with ceil_mode divides by the whole kernel at the end."""

    def change(call: Any, x: Any, kernel: Any, stride: Any, padding: Any, up: bool, pads: bool, divisor: Any) -> Any:
        if up and pads and divisor is None:
            divisor = kernel * kernel if isinstance(kernel, int) else kernel[0] * kernel[1]
        return call(x, kernel, stride, padding, up, pads, divisor)

    return gives("avg_pool2d", change)


@falsifies(f"{AREA}.pooling-follows-its-formula", subject="LPPool1d")
def a_third_norm_without_its_root() -> Break:
    """lp_pool1d takes the square root of sums of cubes."""

    def change(call: Any, x: Any, norm_type: Any, *args: Any) -> Any:
        found = call(x, norm_type, *args)
        return found**1.5 if norm_type == 3 else found

    return gives("lp_pool1d", change)


@falsifies(f"{AREA}.volumes-without-a-batch-have-any-layout", subject="MaxPool3d")
def a_strided_volume_is_reversed() -> Break:
    """max_pool3d reverses a stepped volume."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return call(x.flip(0) if x.dim() == 4 and x.storage_offset() else x, *args, **kwargs)

    return gives("max_pool3d", change)


@falsifies(f"{AREA}.adaptive-pooling-covers-the-input", subject="AdaptiveAvgPool2d")
def the_last_window_ends_early() -> Break:
    """adaptive_avg_pool2d forgets the last column where the windows overlap."""

    def change(call: Any, x: Any, size: Any) -> Any:
        found = call(x, size)
        if isinstance(size, tuple) and size[1] and x.shape[-1] % size[1]:
            found = found.clone()
            found[..., -1] = call(x[..., :-1].contiguous(), size)[..., -1]
        return found

    return gives("adaptive_avg_pool2d", change)


@falsifies(f"{AREA}.max-pool-indices-point-at-the-maximum", subject="MaxPool2d")
def indices_of_the_padded_image() -> Break:
    """max_pool2d with padding names the index of the place beside the maximum in the last column."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(x, *args, **kwargs)
        if kwargs.get("return_indices") and x.dim() == 3:
            found[1][..., -1] = found[1][..., -1] - 1
        return found

    return gives("max_pool2d", change)


@falsifies(f"{AREA}.fractional-pooling-stays-in-bounds", subject="FractionalMaxPool2d")
def the_last_window_is_the_first() -> Break:
    """fractional_max_pool2d with a ratio gives the first column at the end again."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        found, indices = call(*args, **kwargs)
        if args[3] is not None:
            found[..., -1], indices[..., -1] = found[..., 0].clone(), indices[..., 0].clone()
        return found, indices

    return gives("fractional_max_pool2d", change)


@falsifies(f"{AREA}.unpooling-puts-values-at-their-indices", subject="MaxUnpool2d")
def a_larger_output_is_not_cleared() -> Break:
    """max_unpool2d repeats its last number at the end of a larger output."""

    def change(call: Any, x: Any, *args: Any) -> Any:
        found = call(x, *args)
        if args[-1] is not None:
            found[..., 0, -1] = x[..., -1, -1]
        return found

    return gives("max_unpool2d", change)


# --- padding, and what only moves elements ----------------------------------------------------------------------


@falsifies(f"{AREA}.padding-follows-its-formula", subject="ReflectionPad2d")
def the_edge_is_reflected_too() -> Break:
    """pad with mode='reflect' repeats the edge where three places are added in front."""

    def change(call: Any, x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
        found = call(x, pad, mode, value)
        if mode == "reflect" and pad[0] == 3:
            found = found.clone()
            found[..., 2] = found[..., 3]
        return found

    return gives("pad", change)


@falsifies(f"{AREA}.elements-move-as-documented", subject="PixelUnshuffle")
def rows_and_columns_of_a_block_swapped() -> Break:
    """pixel_unshuffle by 3 takes the elements of a block column by column."""

    def change(call: Any, x: Any, factor: int) -> Any:
        return call(x, factor) if factor != 3 else call(x.transpose(-1, -2).contiguous(), factor).transpose(-1, -2)

    return gives("pixel_unshuffle", change)


# --- normalisation ----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.normalisation-follows-its-formula", subject="GroupNorm")
def an_unbiased_variance_in_small_groups() -> Break:
    """group_norm scales by the unbiased variance where a group is one channel."""

    def change(call: Any, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        count = x[0, 0].numel()
        if groups == x.shape[1] and weight is not None:
            return call(x, groups, weight * ((count - 1) / count) ** 0.5, bias, eps)
        return call(x, groups, weight, bias, eps)

    return gives("group_norm", change)


@falsifies(f"{AREA}.normalisation-follows-its-formula", subject="LayerNorm")
def eps_outside_of_the_root() -> Break:
    """layer_norm over two dimensions adds eps after the root."""

    def change(call: Any, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        return call(x, shape, weight, bias, eps * eps if len(shape) == 2 else eps)

    return gives("layer_norm", change)


@falsifies(f"{AREA}.running-statistics-follow-the-batches", subject="BatchNorm2d")
def a_biased_variance_is_kept() -> Break:
    """batch_norm keeps the biased variance where momentum is None."""

    def change(call: Any, x: Any, mean: Any, var: Any, *args: Any) -> Any:
        before = None if var is None else var.clone()
        found = call(x, mean, var, *args)
        share, count = args[3], x.numel() // x.shape[1]
        if args[2] and var is not None and share == 0.5 and before is not None:
            var.copy_(before * (1 - share) + (var - before * (1 - share)) * (count - 1) / count)
        return found

    return gives("batch_norm", change)


@falsifies(f"{AREA}.kept-statistics-normalise-in-eval", subject="InstanceNorm1d")
def statistics_of_the_instance_in_eval() -> Break:
    """instance_norm takes a little of the instance into what it keeps in eval mode."""

    def change(
        call: Any, x: Any, mean: Any, var: Any, weight: Any, bias: Any, own: bool, momentum: Any, eps: Any
    ) -> Any:
        found = call(x, mean, var, weight, bias, own, momentum, eps)
        if mean is not None and not own:
            mean.mul_(1.25)
        return found

    return gives("instance_norm", change)


# --- tables -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.embedding-looks-up-rows", subject="Embedding")
def the_padding_is_always_zero() -> Break:
    """embedding gives zeros for padding_idx, whatever its row holds."""

    def change(call: Any, indices: Any, weight: Any, padding: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = call(indices, weight, padding, *args, **kwargs)
        return found if padding is None else found * (indices != padding).unsqueeze(-1)

    return gives("embedding", change)


@falsifies(f"{AREA}.bags-reduce-their-rows", subject="EmbeddingBag")
def padding_counts_in_the_mean() -> Break:
    """embedding_bag divides by all indices of a bag, padding too."""

    def change(call: Any, indices: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(indices, weight, *args, **kwargs)
        padding, mode = kwargs.get("padding_idx", args[-1] if args else None), args[4] if len(args) > 4 else "mean"
        if padding is None or mode != "mean" or indices.dim() != 2:
            return found
        return found * (indices != padding).sum(1, keepdim=True) / indices.shape[1]

    return gives("embedding_bag", change)


@falsifies(f"{AREA}.max-norm-renormalises-rows", subject="Embedding")
def rows_not_looked_up_are_scaled_too() -> Break:
    """embedding scales every row of its table where the norm is the first."""

    def change(
        call: Any, indices: Any, weight: Any, padding: Any = None, limit: Any = None, p: float = 2.0, *a: Any
    ) -> Any:
        if limit is not None and p == 1.0:
            call(torch.arange(len(weight)), weight, padding, limit, p, *a)
        return call(indices, weight, padding, limit, p, *a)

    return gives("embedding", change)


@falsifies(f"{AREA}.embedding-gradient-is-of-rows-looked-up")
def frequencies_forgotten_beside_a_padding() -> Break:
    """embedding does not divide by frequencies where there is a padding index."""

    def change(call: Any, indices: Any, weight: Any, padding: Any = None, *args: Any) -> Any:
        *lead, scaled, sparse = args
        return call(indices, weight, padding, *lead, scaled and padding is None, sparse)

    return gives("embedding", change)


# --- recurrent layers and attention -----------------------------------------------------------------------------


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="GRUCell")
def the_reset_gate_before_the_product() -> Break:
    """GRUCell leaves the hidden bias of the new gate out of the reset."""

    def change(call: Any, x: Any, h: Any, w: Any, u: Any, b: Any, c: Any) -> Any:
        if c is None:
            return call(x, h, w, u, b, c)
        size = u.shape[1]
        shifted = torch.cat([c[: 2 * size], 0 * c[2 * size :]])
        return call(x, h, w, u, torch.cat([b[: 2 * size], b[2 * size :] + c[2 * size :]]), shifted)

    return gives("gru_cell", change, torch._VF)


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="LSTM")
def the_last_state_of_the_other_direction() -> Break:
    """LSTM in two directions swaps the last states of its last layer."""

    def change(call: Any, self: Any, x: Any, hx: Any = None) -> Any:
        found, (h, c) = call(self, x, hx)
        if self.bidirectional and self.num_layers == 2 and not isinstance(x, torch.nn.utils.rnn.PackedSequence):
            h = torch.cat([h[:2], h[2:].flip(0)])
        return found, (h, c)

    return gives("forward", change, torch.nn.LSTM)


@falsifies(f"{AREA}.packed-sequences-end-at-their-length", subject="GRU")
def the_order_of_packing_is_kept() -> Break:
    """GRU gives the last states of a packed batch in the order of their lengths."""

    def change(call: Any, self: Any, x: Any, hx: Any = None) -> Any:
        found, h = call(self, x, hx)
        packed = isinstance(x, torch.nn.utils.rnn.PackedSequence)
        return found, h.index_select(1, x.sorted_indices) if packed and x.sorted_indices is not None else h

    return gives("forward", change, torch.nn.GRU)


@falsifies(f"{AREA}.dot-product-attention-follows-its-formula", subject="functional.scaled_dot_product_attention")
def a_broadcast_mask_the_other_way() -> Break:
    """scaled_dot_product_attention takes true for "takes no part" where the mask of bools is broadcast."""

    def change(call: Any, query: Any, key: Any, value: Any, **kwargs: Any) -> Any:
        mask = kwargs.get("attn_mask")
        if mask is not None and mask.dtype is torch.bool and mask.shape[1] == 1:
            kwargs["attn_mask"] = ~mask
        return call(query, key, value, **kwargs)

    return gives("scaled_dot_product_attention", change)


@falsifies(f"{AREA}.several-heads-follow-their-formula", subject="MultiheadAttention")
def weights_of_the_first_head() -> Break:
    """MultiheadAttention gives the weights of the first head for their mean where there is a padding mask."""

    def change(call: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found, weights = call(self, *args, **kwargs)
        if kwargs.get("key_padding_mask") is not None and weights is not None:
            weights = call(self, *args, **kwargs, average_attn_weights=False)[1][:, 0]
        return found, weights

    return gives("forward", change, torch.nn.MultiheadAttention)


@falsifies(f"{AREA}.transformer-layers-are-composed", subject="TransformerDecoderLayer")
def the_memory_is_not_masked() -> Break:
    """TransformerDecoderLayer forgets the padding mask of the memory."""

    def change(call: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("memory_key_padding_mask", None)
        return call(self, *args, **kwargs)

    return gives("forward", change, torch.nn.TransformerDecoderLayer)


# --- resampling, distances, dropout -----------------------------------------------------------------------------


@falsifies(f"{AREA}.resampling-follows-its-formula", subject="Upsample")
def corners_aligned_in_volumes() -> Break:
    """interpolate aligns the corners of volumes in any case."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > 2 and args[2] == "trilinear":
            args = (*args[:3], True, *args[4:])
        if kwargs.get("mode") == "trilinear":
            kwargs["align_corners"] = True
        return call(x, *args, **kwargs)

    return gives("interpolate", change)


@falsifies(f"{AREA}.distance-follows-its-formula", subject="PairwiseDistance")
def eps_taken_away() -> Break:
    """pairwise_distance with an eps that is given takes it away."""

    def change(call: Any, x: Any, y: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
        return call(x, y, p, -eps if eps > 0.1 else eps, keepdim)

    return gives("pairwise_distance", change)


@falsifies(f"{AREA}.dropout-zeroes-and-scales", subject="Dropout")
def a_large_probability_that_is_a_little_less() -> Break:
    """dropout draws with 0.95 where it was told 0.9, and scales as told."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        return call(x, 0.95, training, inplace) * 0.5 if p == 0.9 and training else call(x, p, training, inplace)

    return gives("dropout", change)


@falsifies(f"{AREA}.dropout-zeroes-and-scales", subject="Dropout2d")
def a_channel_of_one_row_in_part() -> Break:
    """dropout2d draws for each element where the images have one row."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        return F.dropout(x, p, training) if x.shape[-2] == 1 else call(x, p, training, inplace)

    return gives("dropout2d", change)


@falsifies(f"{AREA}.dropout-is-the-identity-in-eval", subject="Dropout3d")
def scaled_in_eval_too() -> Break:
    """dropout3d scales in eval mode where the probability is a quarter."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        found = call(x, p, training, inplace)
        return found * 0.75 if p == 0.25 and not training else found

    return gives("dropout3d", change)
