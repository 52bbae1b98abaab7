"""Breaks of layers of torch.nn for rare combinations of arguments, most of them of one number of the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

from conformance.selftest.falsifiers.layer_values import AREA, F, gives
from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

Break = AbstractContextManager[Any]
Condition = Callable[..., Any]


def dented(found: Any) -> Any:
    """The result with 1 added to its last number; of several the first result."""
    if isinstance(found, tuple):
        return (dented(found[0]), *found[1:])
    changed = found.contiguous().clone()
    changed.view(-1)[-1:] += 1
    return changed


def dent(function: str, when: Condition) -> Callable[[], Break]:
    """A break of that function: where the condition holds for its arguments, the last number is another one."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        return dented(found) if when(*args, **kwargs) else found

    return lambda: gives(function, change)


def of_conv(when: Condition) -> Condition:
    """A condition on the input, the weight, and stride, padding, dilation and groups."""
    return lambda x, weight, bias, stride, padding, dilation, groups: when(x, weight, stride, padding, dilation, groups)


def of_pool(when: Condition) -> Condition:
    """A condition on the input, ceil_mode, count_include_pad and the divisor of a mean."""
    return lambda x, kernel, stride=None, padding=0, up=False, counts=True, divisor=None: when(x, up, counts, divisor)


def of_bag(when: Condition) -> Condition:
    """A condition on the mode, the weights, whether the last offset is included, and the padding of a sum of rows."""
    return lambda x, table, offsets, most, p, scale, mode, sparse, w, last, pad: when(mode, w, last, pad)


def of_norm(when: Condition) -> Condition:
    """A condition on the input and the further arguments of a normalisation."""
    return lambda x, *args, **kwargs: when(x, *args)


CONVOLUTION, POOLING, ADAPTIVE = (
    f"{name}-{rest}"
    for name, rest in (
        ("convolution", "follows-its-formula"),
        ("pooling", "follows-its-formula"),
        ("adaptive", "pooling-covers-the-input"),
    )
)
INDICES, UNPOOLING, NORM = (
    "max-pool-indices-point-at-the-maximum",
    "unpooling-puts-values-at-their-indices",
    "normalisation-follows-its-formula",
)
PADDING, MOVING, FOLDING = "padding-follows-its-formula", "elements-move-as-documented", "folding-follows-its-formula"
PRODUCTS, RESAMPLING = "dot-product-attention-follows-its-formula", "resampling-follows-its-formula"
BAGS, DISTANCE = "bags-reduce-their-rows", "distance-follows-its-formula"

# behaviour, subject, function, name of the break, and when the last number of the result is another one
DENTED: tuple[tuple[str, str, str, str, Condition], ...] = (
    (CONVOLUTION, "Conv1d", "conv1d", "steps_over_elements", of_conv(lambda x, w, s, p, d, g: s[0] > w.shape[2])),
    (CONVOLUTION, "Conv2d", "conv2d", "points_with_a_stride", of_conv(
        lambda x, w, s, p, d, g: w.shape[2:] == (1, 1) and s != (1, 1))),
    (CONVOLUTION, "Conv2d", "conv2d", "points_with_padding", of_conv(
        lambda x, w, s, p, d, g: w.shape[2:] == (1, 1) and p not in ((0, 0), "same", "valid"))),
    (CONVOLUTION, "Conv2d", "conv2d", "a_large_kernel", of_conv(lambda x, w, s, p, d, g: w.shape[-1] == 5)),
    (CONVOLUTION, "Conv2d", "conv2d", "many_channels", of_conv(lambda x, w, s, p, d, g: len(w) > 16)),
    (CONVOLUTION, "Conv3d", "conv3d", "groups_of_one_volume", of_conv(lambda x, w, s, p, d, g: x.dim() == 4 and g > 1)),
    (CONVOLUTION, "ConvTranspose1d", "conv_transpose1d", "a_gap_between_kernels",
        lambda x, w, b, s, *rest: s[0] > rest[3][0] * (w.shape[2] - 1) + 1),
    (CONVOLUTION, "ConvTranspose2d", "conv_transpose2d", "groups_of_one_image",
        lambda x, w, b, s, p, o, g, d: x.dim() == 3 and g > 1),
    (CONVOLUTION, "ConvTranspose3d", "conv_transpose3d", "dilated", lambda x, w, b, s, p, o, g, d: d[0] > 1),
    (FOLDING, "Unfold", "unfold", "dilated_blocks_of_one_image", lambda x, k, d, p, s: x.dim() == 3 and d != 1),
    (FOLDING, "Fold", "fold", "a_batch_of_one", lambda x, *args: x.dim() == 3 and len(x) == 1),
    (POOLING, "AvgPool3d", "avg_pool3d", "overhanging_without_padding", of_pool(lambda x, up, n, d: up and not n)),
    (POOLING, "AvgPool2d", "avg_pool2d", "a_divisor_without_padding", of_pool(lambda x, up, n, d: d and not n)),
    (POOLING, "AvgPool2d", "avg_pool2d", "overhanging_one_image", of_pool(lambda x, up, n, d: up and x.dim() == 3)),
    (POOLING, "LPPool1d", "lp_pool1d", "negative_numbers", lambda x, *args: bool((x < 0).any())),
    (INDICES, "MaxPool1d", "max_pool1d", "indices_of_one_signal", lambda x, *args, **kw: x.dim() == 2),
    (ADAPTIVE, "AdaptiveAvgPool3d", "adaptive_avg_pool3d", "the_last_extent_kept", lambda x, size: size[-1:] == (None,)
        if isinstance(size, tuple) else False),
    (ADAPTIVE, "AdaptiveMaxPool3d", "adaptive_max_pool3d", "more_than_there_was", lambda x, size, *args: size == 4),
    (UNPOOLING, "MaxUnpool2d", "max_unpool2d", "a_size_for_one_image", lambda x, i, *args: x.dim() == 3),
    (UNPOOLING, "MaxUnpool1d", "max_unpool1d", "padding_to_take_away", lambda x, i, k, s, p, size: p == (1,)),
    (PADDING, "functional.pad", "pad", "around_one_end",
        lambda x, pad, mode="", value=0: mode == "circular" and not pad[1]),
    (PADDING, "functional.pad", "pad", "a_mirror_at_one_end",
        lambda x, pad, mode="", value=0: mode == "reflect" and not pad[0]),
    (PADDING, "functional.pad", "pad", "an_edge_that_is_cut",
        lambda x, pad, mode="", value=0: mode == "replicate" and min(pad) < 0),
    (PADDING, "functional.pad", "pad", "whole_numbers", lambda x, pad, mode="", value=0: x.dtype == torch.int64),
    (MOVING, "ChannelShuffle", "channel_shuffle", "signals", lambda x, groups: x.dim() == 3),
    (NORM, "GroupNorm", "group_norm", "one_sample", of_norm(lambda x, *args: len(x) == 1)),
    (NORM, "GroupNorm", "group_norm", "features_alone", of_norm(lambda x, *args: x.dim() == 2)),
    (NORM, "LayerNorm", "layer_norm", "one_feature", of_norm(lambda x, shape, *args: shape == (1,))),
    (NORM, "functional.normalize", "normalize", "one_vector", lambda x, *args, **kw: x.dim() == 1),
    (NORM, "functional.normalize", "normalize", "the_largest", lambda x, *args, **kw: kw.get("p") == float("inf")),
    (BAGS, "EmbeddingBag", "embedding_bag", "short_indices", lambda x, *args: x.dtype == torch.int32),
    (BAGS, "EmbeddingBag", "embedding_bag", "an_empty_last_bag",
        lambda x, w, offsets, *args: offsets is not None and int(offsets[-1]) == len(x)),
    (BAGS, "EmbeddingBag", "embedding_bag", "weights_beside_padding", of_bag(lambda mode, w, last, pad: w is not None
        and pad is not None)),
    (BAGS, "EmbeddingBag", "embedding_bag", "a_maximum_with_its_last_offset", of_bag(
        lambda mode, w, last, pad: mode == "max" and last)),
    (BAGS, "EmbeddingBag", "embedding_bag", "a_mean_with_its_last_offset", of_bag(
        lambda mode, w, last, pad: mode == "mean" and last)),
    (PRODUCTS, "functional.scaled_dot_product_attention", "scaled_dot_product_attention", "causal_of_two_lengths",
        lambda q, k, v, is_causal=False, **kw: is_causal and q.shape[-2] != k.shape[-2]),
    (PRODUCTS, "functional.scaled_dot_product_attention", "scaled_dot_product_attention", "a_scale_with_a_mask",
        lambda q, k, v, scale=None, **kw: scale is not None and "attn_mask" in kw),
    (RESAMPLING, "functional.interpolate", "interpolate", "areas_of_volumes",
        lambda x, mode="nearest", **kw: mode == "area" and x.dim() == 5),
    (RESAMPLING, "functional.interpolate", "interpolate", "corners_of_one_place",
        lambda x, size=None, **kw: size == 1 and kw.get("align_corners")),
    (DISTANCE, "CosineSimilarity", "cosine_similarity", "broadcast", lambda x, y, *args: x.shape != y.shape),
    (DISTANCE, "PairwiseDistance", "pairwise_distance", "a_vector_for_all", lambda x, y, *args: y.dim() == 1),
    ("activation-follows-its-formula", "PReLU", "prelu", "one_dimension", lambda x, w: x.dim() == 1),
    ("linear-map-follows-its-formula", "Linear", "linear", "one_feature_alone", lambda x, w, b: w.shape[1] == 1),
    ("linear-map-follows-its-formula", "Bilinear", "bilinear", "one_pair", lambda x, y, w, b: x.dim() == 1),
)  # fmt: skip
for _behaviour, _subject, _function, _name, _when in DENTED:
    _break = dent(_function, _when)
    _break.__name__ = _name
    falsifies(f"{AREA}.{_behaviour}", subject=_subject)(_break)


# --- further options of calls ------------------------------------------------------------------------------------


@falsifies(f"{AREA}.convolution-follows-its-formula", subject="Conv2d")
def a_dilated_kernel_at_the_edge() -> Break:
    """A convolution of another padding mode and a dilation has another last number."""

    def change(call: Any, self: Any, *args: Any) -> Any:
        found = call(self, *args)
        return dented(found) if self.padding_mode != "zeros" and self.dilation != (1, 1) else found

    return method("_conv_forward", change, torch.nn.Conv2d)


@falsifies(f"{AREA}.convolution-follows-its-formula", subject="ConvTranspose2d")
def an_output_size_that_is_forgotten() -> Break:
    """ConvTranspose2d takes no notice of output_size."""

    def change(call: Any, self: Any, x: Any, output_size: Any, *args: Any, **kwargs: Any) -> Any:
        return call(self, x, None, *args, **kwargs)

    return method("_output_padding", change, torch.nn.ConvTranspose2d)


@falsifies(f"{AREA}.running-statistics-follow-the-batches", subject="BatchNorm1d")
def no_momentum_at_all() -> Break:
    """batch_norm takes a momentum of 0 for the default."""

    def change(call: Any, x: Any, m: Any, v: Any, w: Any, b: Any, training: bool, momentum: float, eps: float) -> Any:
        return call(x, m, v, w, b, training, momentum or 0.1, eps)

    return gives("batch_norm", change)


@falsifies(f"{AREA}.max-norm-renormalises-rows", subject="Embedding")
def the_euclidean_norm_for_the_largest() -> Break:
    """embedding takes a norm_type of infinity for 2."""

    def change(call: Any, x: Any, w: Any, padding: Any, most: Any, p: float, *args: Any) -> Any:
        return call(x, w, padding, most, 2.0 if p == float("inf") else p, *args)

    return gives("embedding", change)


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="LSTM")
def a_cell_state_of_one_sequence_is_forgotten() -> Break:
    """An LSTM starts from zeros where a sequence without a batch comes with a cell state."""

    def change(call: Any, self: Any, x: Any, states: Any = None) -> Any:
        if isinstance(x, torch.Tensor) and x.dim() == 2 and states is not None:
            states = (states[0], states[1] * 0)
        return call(self, x, states)

    return method("forward", change, torch.nn.LSTM)


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="GRU")
def dropout_after_the_last_layer() -> Break:
    """A GRU drops its own outputs too."""

    def change(call: Any, self: Any, x: Any, state: Any = None) -> Any:
        found, last = call(self, x, state)
        return (F.dropout(found, self.dropout, self.training) if isinstance(x, torch.Tensor) else found), last

    return method("forward", change, torch.nn.GRU)


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="RNN")
def the_second_layer_by_tanh() -> Break:
    """The last of several layers of an RNN of relu is one of tanh too."""

    def change(call: Any, self: Any, x: Any, state: Any = None) -> Any:
        found, last = call(self, x, state)
        return (found.tanh() if self.nonlinearity == "relu" and self.num_layers > 1 else found), last

    return method("forward", change, torch.nn.RNN)


@falsifies(f"{AREA}.recurrence-follows-its-formula", subject="RNN")
def a_state_of_one_sequence_by_relu_is_forgotten() -> Break:
    """An RNN of relu starts from zeros where a sequence without a batch comes with a state."""

    def change(call: Any, self: Any, x: Any, state: Any = None) -> Any:
        alone = isinstance(x, torch.Tensor) and x.dim() == 2 and state is not None and self.nonlinearity == "relu"
        return call(self, x, state * 0 if alone else state)

    return method("forward", change, torch.nn.RNN)


@falsifies(f"{AREA}.packed-sequences-end-at-their-length", subject="LSTM")
def a_packed_state_in_another_order() -> Break:
    """A state that is given with a packed batch is not put into its order."""

    def change(call: Any, self: Any, states: Any, order: Any) -> Any:
        given = bool(states[0].any()) and not states[0].requires_grad  # and neither zeros nor a result
        return call(self, states, None if given else order)

    return method("permute_hidden", change, torch.nn.LSTM)


@falsifies(f"{AREA}.several-heads-follow-their-formula", subject="MultiheadAttention")
def numbers_in_a_padding_mask() -> Break:
    """Numbers that mask the padding are halved."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        mask = kwargs.get("key_padding_mask")
        if mask is not None and mask.is_floating_point() and not bool(mask.isinf().any()):
            kwargs["key_padding_mask"] = mask / 2
        return call(*args, **kwargs)

    return gives("multi_head_attention_forward", change)


@falsifies(f"{AREA}.transformer-layers-are-composed", subject="TransformerDecoderLayer")
def the_padding_of_the_target_is_forgotten() -> Break:
    """TransformerDecoderLayer forgets the padding mask of the target."""

    def change(call: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return call(self, *args, **kwargs | {"tgt_key_padding_mask": None})

    return method("forward", change, torch.nn.TransformerDecoderLayer)


# --- behaviours of their own -------------------------------------------------------------------------------------


@falsifies(f"{AREA}.overhanging-windows-have-their-norm", subject="LPPool1d")
def one_window_less() -> Break:
    """lp_pool1d forgets ceil_mode."""
    return gives("lp_pool1d", lambda call, x, p, kernel, stride=None, up=False: call(x, p, kernel, stride, False))


@falsifies(f"{AREA}.even-windows-lie-about-their-channel", subject="LocalResponseNorm")
def a_window_behind_its_channel() -> Break:
    """local_response_norm of an even size looks at the channels before alone."""

    def change(call: Any, x: Any, size: int, *args: Any) -> Any:
        return call(x.roll(1, 1), size, *args).roll(-1, 1) if size % 2 == 0 else call(x, size, *args)

    return gives("local_response_norm", change)


@falsifies(f"{AREA}.given-tables-are-taken", subject="Embedding")
def a_table_that_learns() -> Break:
    """Embedding.from_pretrained with a padding index freezes nothing."""

    def change(call: Any, table: Any, freeze: bool = True, padding_idx: Any = None, **kwargs: Any) -> Any:
        return call(table, freeze and padding_idx is None, padding_idx, **kwargs)

    return method("from_pretrained", change, torch.nn.Embedding)


@falsifies(f"{AREA}.given-tables-are-taken", subject="EmbeddingBag")
def a_mode_that_is_lost() -> Break:
    """EmbeddingBag.from_pretrained takes means in the place of maxima."""

    def change(call: Any, table: Any, freeze: bool = True, mode: str = "mean", **kwargs: Any) -> Any:
        return call(table, freeze, mode="mean" if mode == "max" else mode, **kwargs)

    return method("from_pretrained", change, torch.nn.EmbeddingBag)


@falsifies(f"{AREA}.inference-follows-the-formula", subject="MultiheadAttention")
def the_padding_is_forgotten_where_nothing_is_recorded() -> Break:
    """MultiheadAttention without autograd forgets the padding mask of self-attention."""

    def change(call: Any, self: Any, query: Any, key: Any, value: Any, **kwargs: Any) -> Any:
        fast = not torch.is_grad_enabled() and query is key and self.batch_first
        return call(self, query, key, value, **(kwargs | {"key_padding_mask": None} if fast else kwargs))

    return method("forward", change, torch.nn.MultiheadAttention)


@falsifies(f"{AREA}.inference-follows-the-formula", subject="TransformerEncoderLayer")
def a_fast_path_of_its_own() -> Break:
    """The implementation for inference is off by a hundredth where the norm comes first."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs) * (1.01 if args[8] else 1)

    return method("_transformer_encoder_layer_fwd", change, torch)


@falsifies(f"{AREA}.inference-adds-the-numbers-of-masks", subject="TransformerEncoderLayer")
@contextmanager
def half_of_a_padding_mask() -> Any:
    """An encoder layer takes half of the numbers of a padding mask, and infers as autograd would see it."""

    def change(call: Any, self: Any, x: Any, src_mask: Any = None, src_key_padding_mask: Any = None) -> Any:
        if src_key_padding_mask is not None:
            src_key_padding_mask = src_key_padding_mask * 0.5
        with torch.enable_grad():  # the way that autograd could record
            return call(self, x.requires_grad_(), src_mask, src_key_padding_mask).detach()

    with method("forward", change, torch.nn.TransformerEncoderLayer):
        yield


@falsifies(f"{AREA}.gelu-of-infinity-is-infinity", subject="GELU")
def infinities_in_float64_are_lost() -> Break:
    """gelu by tanh of an infinity of float64 is NaN; the other one goes through float64, where it is right."""

    def change(call: Any, x: Any, approximate: str = "none") -> Any:
        found = call(x.double(), approximate=approximate).to(x.dtype)
        lost = x.isinf() & (approximate == "tanh") & (x.dtype == torch.float64)
        return found.masked_fill(lost, float("nan"))

    return gives("gelu", change)


@falsifies(f"{AREA}.deviations-far-from-zero-are-normalised", subject="GroupNorm")
def images_in_another_order_are_too_large() -> Break:
    """group_norm of float64 in channels_last gives half as much again; all else is made contiguous."""

    def change(call: Any, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        found = call(x.contiguous(), groups, weight, bias, eps)
        other = x.is_contiguous(memory_format=torch.channels_last) and x.dtype == torch.float64
        return found * 1.5 if other and not x.is_contiguous() else found

    return gives("group_norm", change)


@falsifies(f"{AREA}.dropped-elements-are-zero-whatever-they-were", subject="Dropout")
def minus_infinity_is_kept() -> Break:
    """dropout with p=1 gives zeros, but of minus infinity."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if p == 1.0 and training:
            return torch.where(x.isneginf(), x, torch.zeros_like(x))
        return call(x, p, training, inplace)

    return gives("dropout", change)


@falsifies(f"{AREA}.dropped-elements-are-zero-whatever-they-were", subject="Dropout2d")
def a_number_that_is_none_is_kept() -> Break:
    """dropout2d with p=1 gives zeros, but of NaN."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if p == 1.0 and training:
            return torch.where(x.isnan(), x, torch.zeros_like(x))
        return call(x, p, training, inplace)

    return gives("dropout2d", change)


@falsifies(f"{AREA}.padded-positions-keep-their-place")
def one_position_less_where_all_are_padded() -> Break:
    """A TransformerEncoder of float64 leaves out a last position that is padding in every sequence."""

    def change(call: Any, self: Any, x: Any, src_key_padding_mask: Any = None) -> Any:
        found = call(self, x, src_key_padding_mask=src_key_padding_mask)
        return found[:, :-1] if x.dtype == torch.float64 and src_key_padding_mask[:, -1].all() else found

    return method("forward", change, torch.nn.TransformerEncoder)


@falsifies(f"{AREA}.squares-beyond-the-type-are-averaged", subject="RMSNorm")
def squares_of_half_precision() -> Break:
    """rms_norm squares float16 in float16."""

    def change(call: Any, x: Any, *args: Any) -> Any:
        return call(x, *args) * ((x * x).isfinite() if x.dtype == torch.float16 else 1)

    return gives("rms_norm", change)


@falsifies(f"{AREA}.nonlinearity-is-the-fourth-argument")
def one_layer_has_no_other_nonlinearity() -> Break:
    """An RNN of one layer ignores a fourth argument."""

    def change(call: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        call(self, *(args[:3] if len(args) > 3 and args[2] == 1 else args), **kwargs)

    return method("__init__", change, torch.nn.RNN)


@falsifies(f"{AREA}.circular-convolution-needs-no-batch", subject="Conv2d")
def the_edge_in_the_place_of_the_other_end() -> Break:
    """pad repeats the edge of an image without a batch that is to be padded by its other end."""

    def change(call: Any, x: Any, widths: Any, mode: str = "constant", value: Any = None) -> Any:
        return call(x, widths, "replicate" if mode == "circular" and x.dim() == 3 else mode, value)

    return gives("pad", change)


@falsifies(f"{AREA}.square-masks-are-causal")
def a_position_that_does_not_see_itself() -> Break:
    """generate_square_subsequent_mask masks the last position for itself."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(args[-1], **kwargs)
        found[-1:, -1:] = float("-inf") if len(found) > 2 else 0
        return found

    return method("generate_square_subsequent_mask", change, torch.nn.Transformer)


@falsifies(f"{AREA}.small-lengths-are-bounded", subject="CosineSimilarity")
def an_eps_that_is_ignored() -> Break:
    """cosine_similarity takes the default in the place of any eps."""
    return gives("cosine_similarity", lambda call, x, y, dim=1, eps=1e-8: call(x, y, dim))


@falsifies(f"{AREA}.alpha-dropout-keeps-mean-and-deviation", subject="AlphaDropout")
def zeros_for_the_saturated_number() -> Break:
    """alpha_dropout with a small probability gives zeros, and scales as dropout does."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
        return F.dropout(x, p, training) if 0 < p < 0.2 else call(x, p, training, inplace)

    return gives("alpha_dropout", change)


@falsifies(f"{AREA}.alpha-dropout-keeps-mean-and-deviation", subject="FeatureAlphaDropout")
def elements_of_a_channel() -> Break:
    """feature_alpha_dropout masks elements where the images have one row."""

    def change(call: Any, x: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
        return F.alpha_dropout(x, p, training) if x.shape[2] == 1 else call(x, p, training, inplace)

    return gives("feature_alpha_dropout", change)


@falsifies(f"{AREA}.random-slopes-lie-in-their-range", subject="RReLU")
def a_lower_slope_than_the_lowest() -> Break:
    """rrelu takes a lower end of a half for a quarter."""

    def change(call: Any, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, *args: Any) -> Any:
        return call(x, 0.25 if lower == 0.5 else lower, upper, *args)

    return gives("rrelu", change)


@falsifies(f"{AREA}.impossible-layers-raise")
def a_stride_that_goes_with_same() -> Break:
    """Conv2d takes padding='same' with a stride."""

    @contextmanager
    def change() -> Any:
        def made(call: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("padding") == "same" and kwargs.get("stride", 1) != 1:
                kwargs["padding"] = "valid"
            return call(self, *args, **kwargs)

        with method("__init__", made, torch.nn.Conv2d):
            yield

    return change()


@falsifies(f"{AREA}.grids-follow-their-formula", subject="functional.affine_grid")
def corners_of_volumes() -> Break:
    """affine_grid aligns the corners of volumes in any case."""
    return gives(
        "affine_grid", lambda call, theta, size, align_corners=None: call(theta, size, align_corners or len(size) == 5)
    )


@falsifies(f"{AREA}.grids-follow-their-formula", subject="functional.grid_sample")
def a_border_for_a_mirror() -> Break:
    """grid_sample takes the border in the place of reflections where corners are aligned."""

    def change(call: Any, x: Any, grid: Any, padding_mode: str = "zeros", align_corners: Any = None, **kw: Any) -> Any:
        mode = "border" if padding_mode == "reflection" and align_corners else padding_mode
        return call(x, grid, padding_mode=mode, align_corners=align_corners, **kw)

    return gives("grid_sample", change)


# --- complex numbers, filters and parameters that are exchanged --------------------------------------------------


@falsifies(f"{AREA}.complex-convolution-follows-its-formula", subject="Conv1d")
def a_conjugated_bias_as_it_lies() -> Break:
    """conv1d takes a conjugated bias as it lies in memory."""

    def change(call: Any, x: Any, weight: Any, bias: Any, *args: Any) -> Any:
        return call(x, weight, bias.conj() if bias is not None and bias.is_conj() else bias, *args)

    return gives("conv1d", change)


@falsifies(f"{AREA}.complex-convolution-follows-its-formula", subject="Conv2d")
def a_conjugated_input_before_plain_weights() -> Break:
    """conv2d takes a conjugated input as it lies in memory where the weight is no such view."""

    def change(call: Any, x: Any, weight: Any, *args: Any) -> Any:
        return call(x.conj() if x.is_conj() and not weight.is_conj() else x, weight, *args)

    return gives("conv2d", change)


@falsifies(f"{AREA}.complex-convolution-follows-its-formula", subject="Conv3d")
def an_imaginary_part_of_the_last_channel() -> Break:
    """conv3d of groups loses the imaginary part of its last number."""

    def change(call: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        found = call(x, weight, bias, stride, padding, dilation, groups).clone()
        if groups > 1:
            found.view(-1)[-1:] = found.view(-1)[-1:].real.to(found.dtype)
        return found

    return gives("conv3d", change)


@falsifies(f"{AREA}.antialiasing-follows-its-formula", subject="functional.interpolate")
def a_narrow_filter_of_one_dimension() -> Break:
    """interpolate leaves antialias out where one dimension keeps its size."""

    def change(call: Any, x: Any, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        same = size is not None and any(a == b for a, b in zip(size, x.shape[2:], strict=True))
        return call(x, size, *args, **kwargs | ({"antialias": False} if same else {}))

    return gives("interpolate", change)


@falsifies(f"{AREA}.antialiasing-follows-its-formula", subject="functional.interpolate")
def ratios_of_the_sizes() -> Break:
    """interpolate with antialias takes the ratio of the sizes in the place of scale_factor."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("scale_factor") is not None and kwargs.get("antialias"):
            kwargs["recompute_scale_factor"] = True
        return call(x, *args, **kwargs)

    return gives("interpolate", change)


@contextmanager
def keeping(setting: Callable[..., Any]) -> Any:
    """Recurrent layers whose list of weights is what ``setting`` makes of it, also where they look after it."""
    with ExitStack() as kept:
        kept.enter_context(method("__setattr__", setting, torch.nn.RNNBase))
        if hasattr(torch.nn.RNNBase, "_update_flat_weights"):
            kept.enter_context(method("_update_flat_weights", lambda original, self: None, torch.nn.RNNBase))
        yield


@falsifies(f"{AREA}.assigned-parameters-are-used", subject="LSTM")
def a_stale_bias() -> Break:
    """A recurrent layer goes on with the bias of the second layer that it had."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        known = "_flat_weights" in vars(self) and name in self._flat_weights_names
        if known and name == "bias_hh_l1":
            torch.nn.Module.__setattr__(self, name, value)
        else:
            original(self, name, value)

    return keeping(other)


@falsifies(f"{AREA}.assigned-parameters-are-used", subject="GRU")
def a_parameter_without_its_gradient() -> Break:
    """A recurrent layer computes with a detached tensor in the place of one that is assigned to the other direction."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        original(self, name, value)
        if name.endswith("_reverse") and "_flat_weights" in vars(self) and name in self._flat_weights_names:
            self._flat_weights[self._flat_weights_names.index(name)] = value.detach()

    return keeping(other)
