"""Recurrent formulas: RNN, LSTM, GRU and their cells, step by step.

Reference: https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.layer_cases import ExchangedParameters
from conformance.inputs.tensors import strided
from conformance.inputs.valued_calls import LiveValued, tensors_in
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, contracted, joined, near, near_each, stacked, unit_of

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def gates_of(live: LiveValued, x: Bounded, h: Bounded, tail: str) -> tuple[Any, Any]:
    """W_i x + b_i and W_h h + b_h of a layer, whose parameters end with ``tail``."""
    found = []
    for value, word in ((x, "ih"), (h, "hh")):
        product = contracted("ni,oi->no", value, live.state[f"weight_{word}{tail}"])
        bias = live.state.get(f"bias_{word}{tail}")
        found.append(product if bias is None else product + bias)
    return found[0], found[1]


def stepped(live: LiveValued, kind: str, x: Bounded, h: Bounded, c: Bounded | None, tail: str) -> tuple[Any, Any]:
    """The next hidden state, and the next cell state of an LSTM."""
    by_input, by_state = gates_of(live, x, h, tail)
    if kind == "RNN":
        total = by_input + by_state
        return (total.tanh() if live.option("nonlinearity", "tanh") == "tanh" else total.at_least(0.0)), None
    size = by_input.shape[1] // GATES[kind]
    first, second = ([part[:, n * size : (n + 1) * size] for n in range(GATES[kind])] for part in (by_input, by_state))
    if kind == "GRU":
        reset, update = (first[0] + second[0]).sigmoid(), (first[1] + second[1]).sigmoid()
        new = (first[2] + reset * second[2]).tanh()
        return (1.0 - update) * new + update * h, None
    enters, forgets, cell, out = (a + b for a, b in zip(first, second, strict=True))
    assert c is not None
    kept = forgets.sigmoid() * c + enters.sigmoid() * cell.tanh()
    hidden = out.sigmoid() * kept.tanh()
    projection = live.state.get(f"weight_hr{tail}")
    return (hidden if projection is None else contracted("ni,oi->no", hidden, projection)), kept


def run_of(live: LiveValued, x: Bounded, states: list[Bounded]) -> list[Any]:
    """Outputs of the last layer for (L, N, features), and the last states of all layers and directions.

    Dropout lies between layers; of a certain one every layer but the first gets zeros.
    """
    kind = live.case.makes
    both = bool(live.option("bidirectional", False))
    ends: list[list[Any]] = [[], []]
    dropped = live.case.training and float(live.option("dropout", 0.0)) == 1.0
    for layer in range(int(live.option("num_layers", 1))):
        x, ways = Bounded(np.zeros(x.shape), x.unit) if dropped and layer else x, []
        for way in range(1 + both):
            number, tail = layer * (1 + both) + way, f"_l{layer}" + ("_reverse" if way else "")
            h, c = states[0][number], states[1][number] if kind == "LSTM" else None
            outputs = []
            for step in range(x.shape[0])[:: -1 if way else 1]:
                h, c = stepped(live, kind, x[step], h, c, tail)
                outputs.append(h)
            ways.append(stacked(outputs[:: -1 if way else 1], 0))
            ends[0].append(h)
            ends[1].append(c)
        x = joined(ways, 2) if both else ways[0]
    return [x, stacked(ends[0], 0), *([stacked(ends[1], 0)] if kind == "LSTM" else [])]


def starting_states(live: LiveValued, batch: int, unit: float) -> list[Bounded]:
    """The states that are given, or zeros."""
    if len(live.arrays) == 1:
        return zero_states(live, batch, unit)
    given = [Bounded(array, unit) for array in live.arrays[1:]]
    return [state if len(state.shape) == 3 else state.reshape(state.shape[0], 1, -1) for state in given]


def zero_states(live: LiveValued, batch: int, unit: float) -> list[Bounded]:
    """Zeros for each layer and direction."""
    layers = int(live.option("num_layers", 1)) * (1 + bool(live.option("bidirectional", False)))
    hidden, projected = int(live.option("hidden_size")), int(live.option("proj_size", 0))
    return [Bounded(np.zeros((layers, batch, size)), unit) for size in (projected or hidden, hidden)]


def recurrent_results(live: LiveValued) -> list[Any]:
    """Outputs and last states of a layer of that kind."""
    unit = unit_of(live.dtype)
    x = Bounded(live.arrays[0], unit)
    if len(x.shape) == 2:
        outputs, *ends = run_of(live, x.reshape(x.shape[0], 1, -1), starting_states(live, 1, unit))
        return [outputs[:, 0], *(end[:, 0] for end in ends)]
    first = bool(live.option("batch_first", False))
    x = x.transpose(1, 0, 2) if first else x
    outputs, *ends = run_of(live, x, starting_states(live, x.shape[1], unit))
    return [outputs.transpose(1, 0, 2) if first else outputs, *ends]


def cell_results(live: LiveValued) -> list[Any]:
    """One step of a cell."""
    unit, kind = unit_of(live.dtype), live.case.makes.removesuffix("Cell")
    batched = live.arrays[0].ndim == 2
    x, *states = (Bounded(array if batched else array[None], unit) for array in live.arrays)
    zeros = Bounded(np.zeros((x.shape[0], int(live.option("hidden_size")))), unit)
    h, c = (*states, zeros, zeros)[:2] if kind == "LSTM" else ((*states, zeros)[0], None)
    found = [part for part in stepped(live, kind, x, h, c, "") if part is not None]
    return [part if batched else part[0] for part in found]


def recurrence_follows(case: Any) -> None:
    """Expect a recurrent layer or a cell to follow its steps; two states are given as a tuple."""
    live = case.build()
    cell = case.makes.endswith("Cell")
    expected = cell_results(live) if cell else recurrent_results(live)
    x, *states = live.inputs
    given = [tuple(states)] if len(states) == 2 else states
    near_each(expected, tensors_in(live.module(x, *given)), live.dtype, case.makes)


def exchanged_parameters_count(case: ExchangedParameters) -> None:
    """Expect the second result to be of the new parameters, and its gradient to reach them."""
    live = case.call.build()
    live.module(live.inputs[0])
    new = {}
    for name in case.chosen(live.module):
        array = live.state[name][::-1] * -0.5
        live.state[name] = array
        plan = strided(live.dtype, array.shape, "contiguous", tuple(array.ravel().tolist()), case.call.inputs[0].device)
        new[name] = torch.nn.Parameter(plan.build())
        setattr(live.module, name, new[name])
    found = tensors_in(live.module(live.inputs[0]))
    near_each(recurrent_results(live), found, live.dtype, f"{case.call.makes} with other parameters")
    found[0].sum().backward()
    for name, parameter in new.items():
        expect.that(parameter.grad is not None, f"gradient of the new {name}", "a tensor", "None")


def packed_sequences_follow(case: Any) -> None:
    """Expect each sequence of a packed batch to be run for its own length, forwards and backwards."""
    live = case.build()
    lengths = live.arrays[1].tolist()
    unit = unit_of(live.dtype)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        live.inputs[0], lengths, batch_first=bool(live.option("batch_first", False)), enforce_sorted=False
    )
    given = live.inputs[2:]
    found, ends = live.module(packed, *([tuple(given)] if len(given) == 2 else given))
    outputs, told = torch.nn.utils.rnn.pad_packed_sequence(found)
    expect.equal(lengths, told.tolist(), "lengths of the outputs")
    array = live.arrays[0].swapaxes(0, 1) if live.option("batch_first", False) else live.arrays[0]
    held = tensors_in(ends)
    for number, length in enumerate(lengths):
        alone = Bounded(array[:length, number : number + 1], unit)
        states = [Bounded(state[:, number : number + 1], unit) for state in live.arrays[2:]]
        wanted, *last = run_of(live, alone, states or zero_states(live, 1, unit))
        near(wanted[:, 0], outputs[:length, number], live.dtype, f"outputs of sequence {number}")
        rest = memory.contents(outputs[length:, number])
        memory.same_elements(np.zeros_like(rest), rest, f"outputs of sequence {number} after its end")
        for state, end in zip(last, held, strict=True):
            near(state[:, 0], end[:, number], live.dtype, f"last states of sequence {number}")
