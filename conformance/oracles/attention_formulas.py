"""Attention formulas: scaled dot products with their masks, several heads, and layers of a transformer.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued
from conformance.oracles.bounded import Bounded, contracted, joined, number_of, over_deviation, softmax_of, unit_of


def product_results(live: LiveValued) -> list[Any]:
    """softmax(Q K^T * scale + mask) V."""
    query, key, value = (number_of(live, place) for place in range(3))
    if live.option("enable_gqa", False):  # each key and value serves as many queries
        share = query.shape[1] // key.shape[1]
        key, value = (Bounded(part.value.repeat(share, 1), part.unit) for part in (key, value))
    mask = live.given("attn_mask")
    if live.option("is_causal", False):
        mask = np.tril(np.ones((query.shape[-2], key.shape[-2]), bool))
    lead = query.shape[:-2]
    query, key, value = (part.reshape(-1, *part.shape[-2:]) for part in (query, key, value))
    scale = live.option("scale")
    scores = contracted("bqe,bke->bqk", query, key) * (1 / sqrt(query.shape[-1]) if scale is None else float(scale))
    if mask is not None:
        added = np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask.astype(np.float64)
        added = np.broadcast_to(added, (*lead, *scores.shape[-2:])).reshape(scores.shape)
        scores = masked(scores, added)
    weights = softmax_of(scores, 2)
    if float(live.option("dropout_p", 0.0)) == 1.0:  # all of them
        weights = Bounded(np.zeros(weights.shape), weights.unit)
    found = weighed(weights, value)
    return [found.reshape(*lead, *found.shape[-2:])]


def masked(scores: Bounded, added: np.ndarray) -> Bounded:
    """Scores with a mask added; what is masked out is exactly -inf."""
    found = scores + np.where(np.isinf(added), 0.0, added)
    value = np.where(np.isinf(added), -np.inf, found.value)
    return Bounded(value, scores.unit, np.where(np.isinf(added), 0.0, found.error))


def weighed(weights: Bounded, value: Bounded) -> Bounded:
    """Sums of values by weights."""
    return contracted("bqk,bke->bqe", weights, value)


def projected(x: Bounded, weight: Any, bias: Any) -> Any:
    """x W^T + b for (batch, length, features)."""
    found = contracted("ble,oe->blo", x, weight)
    return found if bias is None else found + bias


def split_heads(x: Bounded, heads: int) -> Bounded:
    """(batch, length, features) as (batch * heads, length, features of a head)."""
    batch, length, size = x.shape
    return x.reshape(batch, length, heads, size // heads).transpose(0, 2, 1, 3).reshape(batch * heads, length, -1)


def several_heads(
    live: LiveValued, prefix: str, parts: list[Any], heads: int, added: Any, lead: dict[str, Any]
) -> tuple[Any, Any]:
    """Concat(head_1, …, head_h) W^O, and the weights of each head; ``added`` is the mask (batch * heads, L, S)."""
    state = live.state
    size = parts[0].shape[2]
    whole, bias = state.get(f"{prefix}in_proj_weight"), state.get(f"{prefix}in_proj_bias")
    matrices = [state[f"{prefix}{name}_proj_weight"] for name in "qkv"] if whole is None else np.split(whole, 3)
    biases = [None] * 3 if bias is None else np.split(bias, 3)
    query, key, value = (projected(*row) for row in zip(parts, matrices, biases, strict=True))
    batch = query.shape[0]
    if f"{prefix}bias_k" in state:
        ends = [Bounded(np.repeat(state[f"{prefix}bias_{name}"], batch, 0), query.unit) for name in "kv"]
        key, value = joined([key, ends[0]], 1), joined([value, ends[1]], 1)
    query, key, value = (split_heads(part, heads) for part in (query, key, value))
    if lead.get("add_zero_attn"):
        zeros = Bounded(np.zeros((key.shape[0], 1, key.shape[2])), key.unit)
        key, value = joined([key, zeros], 1), joined([value, zeros], 1)
    scores = contracted("bqe,bke->bqk", query, key) * (1 / sqrt(query.shape[2]))
    if added is not None:
        more = scores.shape[2] - added.shape[2]
        scores = masked(scores, np.pad(added, [(0, 0), (0, 0), (0, more)]))
    weights = softmax_of(scores, 2)
    found = weighed(weights, value)
    length = found.shape[1]
    found = found.reshape(batch, heads, length, size // heads).transpose(0, 2, 1, 3).reshape(batch, length, size)
    found = projected(found, state[f"{prefix}out_proj.weight"], state.get(f"{prefix}out_proj.bias"))
    return found, weights.reshape(batch, heads, length, -1)


def mask_of(live: LiveValued, batch: int, heads: int, names: tuple[str, str], shape: tuple[int, int]) -> Any:
    """What is added to the scores: -inf where a mask of bools is true, or the numbers of the mask."""
    attention, keys = (live.given(name) for name in names)
    if attention is None and keys is None:
        return None
    total = np.zeros((batch, heads, *shape))
    for mask, where in ((attention, None), (keys, (slice(None), None, None))):
        if mask is not None:
            added = np.where(mask, -np.inf, 0.0) if mask.dtype == bool else mask.astype(np.float64)
            if where is not None:
                added = added[None] if added.ndim == 1 else added
                added = added[where]
            elif added.ndim == 3:
                added = added.reshape(batch, heads, *shape)
            total = total + added
    return total.reshape(batch * heads, *shape)


def heads_results(live: LiveValued) -> list[Any]:
    """Result and weights of MultiheadAttention."""
    last = len(live.arrays) - len(live.case.named) - 1
    parts: list[Any] = [number_of(live, min(place, last)) for place in range(3)]
    batched, first = len(parts[0].shape) == 3, bool(live.option("batch_first", False))
    parts = [part if batched else part.reshape(1, *part.shape) for part in parts]
    parts = [part.transpose(1, 0, 2) if batched and not first else part for part in parts]
    heads = int(live.option("num_heads"))
    shape = (parts[0].shape[1], parts[1].shape[1])
    added = mask_of(live, parts[0].shape[0], heads, ("attn_mask", "key_padding_mask"), shape)
    found, weights = several_heads(live, "", parts, heads, added, {"add_zero_attn": live.option("add_zero_attn")})
    found = found.transpose(1, 0, 2) if batched and not first else found
    if not live.option("need_weights", True):
        return [found if batched else found[0]]
    weights = weights.sum(1) / float(heads) if live.option("average_attn_weights", True) else weights
    return [found, weights] if batched else [found[0], weights[0]]


# --- layers of a transformer ------------------------------------------------------------------------------------


def layer_normed(live: LiveValued, prefix: str, x: Any) -> Any:
    """LayerNorm over the features."""
    centred = x - x.mean(2, True)
    variance = (centred * centred).mean(2, True)
    found = over_deviation(centred, variance, float(live.option("layer_norm_eps", 1e-5)))
    found = found * live.state[f"{prefix}.weight"]
    return found + live.state[f"{prefix}.bias"] if f"{prefix}.bias" in live.state else found


def fed_forward(live: LiveValued, prefix: str, x: Any) -> Any:
    """linear2(activation(linear1(x)))."""
    state = live.state
    inner = projected(x, state[f"{prefix}linear1.weight"], state.get(f"{prefix}linear1.bias"))
    gelu = live.option("activation", "relu") == "gelu"
    inner = inner * 0.5 * ((inner / sqrt(2)).erf() + 1.0) if gelu else inner.at_least(0.0)
    return projected(inner, state[f"{prefix}linear2.weight"], state.get(f"{prefix}linear2.bias"))


def transformed(live: LiveValued, prefix: str, x: Any, memory_: Any, masks: tuple[Any, Any]) -> Any:
    """One encoder layer, or a decoder layer where there is a memory: blocks with their norm before or after."""
    heads, before = int(live.option("nhead")), bool(live.option("norm_first", False))
    blocks: list[tuple[str, Any]] = [
        ("self_attn", None),
        *([("multihead_attn", memory_)] if memory_ is not None else []),
    ]
    for number, (name, other) in enumerate(blocks, 1):
        entry = layer_normed(live, f"{prefix}norm{number}", x) if before else x
        source = entry if other is None else other
        found, _ = several_heads(live, f"{prefix}{name}.", [entry, source, source], heads, masks[number - 1], {})
        x = x + found if before else layer_normed(live, f"{prefix}norm{number}", x + found)
    last = f"{prefix}norm{len(blocks) + 1}"
    if before:
        return x + fed_forward(live, prefix, layer_normed(live, last, x))
    return layer_normed(live, last, x + fed_forward(live, prefix, x))


def layer_results(live: LiveValued) -> list[Any]:
    """Encoder or decoder layers, or a whole transformer, made of attention, feed-forward networks and norms."""
    unit, name = unit_of(live.dtype), live.case.makes
    first = bool(live.option("batch_first", False))
    count = 1 if name == "TransformerEncoderLayer" else 2
    parts: list[Any] = [Bounded(live.arrays[n] if first else live.arrays[n].swapaxes(0, 1), unit) for n in range(count)]
    batch, heads = parts[0].shape[0], int(live.option("nhead"))
    if name == "Transformer":
        source, target = parts
        own = mask_of(live, batch, heads, ("src_mask", "src_key_padding_mask"), (source.shape[1],) * 2)
        for layer in range(int(live.option("num_encoder_layers"))):
            source = transformed(live, f"encoder.layers.{layer}.", source, None, (own, None))
        source = layer_normed(live, "encoder.norm", source)
        masks = (
            mask_of(live, batch, heads, ("tgt_mask", "tgt_key_padding_mask"), (target.shape[1],) * 2),
            mask_of(live, batch, heads, ("memory_mask", "memory_key_padding_mask"), (target.shape[1], source.shape[1])),
        )
        for layer in range(int(live.option("num_decoder_layers"))):
            target = transformed(live, f"decoder.layers.{layer}.", target, source, masks)
        found = layer_normed(live, "decoder.norm", target)
    elif count == 1:
        own = mask_of(live, batch, heads, ("src_mask", "src_key_padding_mask"), (parts[0].shape[1],) * 2)
        found = transformed(live, "", parts[0], None, (own, None))
    else:
        masks = (
            mask_of(live, batch, heads, ("tgt_mask", "tgt_key_padding_mask"), (parts[0].shape[1],) * 2),
            mask_of(
                live, batch, heads, ("memory_mask", "memory_key_padding_mask"), (parts[0].shape[1], parts[1].shape[1])
            ),
        )
        found = transformed(live, "", parts[0], parts[1], masks)
    return [found if first else found.transpose(1, 0, 2)]
