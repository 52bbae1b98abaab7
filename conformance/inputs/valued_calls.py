"""Valued calls: a module or function of torch.nn, built and called with arguments of which every number is known.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.tensors import Strided, strided
from conformance.oracles import memory

# What parameters and buffers hold, by turns: few bits, so that every floating type has them.
STATE_NUMBERS = (
    0.5, -0.25, 0.875, 0.125, -0.75, 0.3125, -0.5625, 1.0, -0.0625, 0.6875, -0.9375, 0.1875, -0.375, 0.8125, -0.6875,
    0.25, -1.0, 0.5625, -0.125,
)  # fmt: skip
FILLING = """numbers = torch.tensor({numbers}, dtype=torch.float64)
for n, (name, held) in enumerate(m.state_dict().items()):
    if held.is_floating_point() and name not in {built}:
        drawn = numbers.roll(-n).repeat(held.numel())[: held.numel()].reshape(held.shape)
        held.copy_(drawn.abs() if name.endswith("running_var") else drawn)"""


@dataclass(frozen=True, eq=False)
class ValuedCall:
    """``torch.nn.<makes>(**options, **built)`` called with ``inputs``, or the function of that name.

    ``built`` are tensors that the constructor takes. The last of ``inputs`` are given by the names in ``named``, and
    ``calling`` are the call's other keywords. A call of a function has no module, and takes all of this at once.
    """

    makes: str
    inputs: tuple[Strided, ...]
    options: tuple[tuple[str, Any], ...] = ()
    built: tuple[tuple[str, Strided], ...] = ()
    named: tuple[str, ...] = ()
    calling: tuple[tuple[str, Any], ...] = ()
    training: bool = False
    requires: tuple[int, ...] = ()  # numbers of the inputs that require grad
    state_type: str = "float32"  # of a module all of whose inputs are indices
    recorded: bool = True  # whether autograd may record the call

    @property
    def repeated(self) -> int:
        """How often each input without a name is given: MultiheadAttention takes one for query, key and value."""
        return 3 if self.makes == "MultiheadAttention" and len(self.inputs) == len(self.named) + 1 else 1

    @property
    def functional(self) -> bool:
        """Whether it is a function that is called, and no module."""
        return self.makes.startswith("functional.")

    @property
    def dtype(self) -> str:
        """The element type of the numbers: that of the first input that is no index."""
        plans = (*self.inputs, *(plan for _, plan in self.built))
        kinds = [plan.dtype for plan in plans if ELEMENT_TYPES[plan.dtype].kind in ("floating", "complex")]
        return kinds[0] if kinds else self.state_type

    def option(self, name: str, default: Any = None) -> Any:
        """What an option was given as."""
        return dict((*self.calling, *self.options)).get(name, default)

    def module(self) -> Any:
        """A new module with numbers of its own in its state; None for a function."""
        if self.functional:
            return None
        built = {name: plan.build() for name, plan in self.built}
        with torch.random.fork_rng(devices=[], enabled=has_state(self.makes)):  # drawn, and written over at once
            made = getattr(torch.nn, self.makes)(**dict(self.options), **built)
        device = self.inputs[0].device
        made = made.to(device, getattr(torch, self.dtype))
        for number, (name, held) in enumerate(state_of(made).items()):
            if held.is_floating_point() and name not in built:
                data = STATE_NUMBERS[number % 19 :] + STATE_NUMBERS[: number % 19]
                data = tuple(map(abs, data)) if name.endswith("running_var") else data
                dtype = str(held.dtype).removeprefix("torch.")
                held.data = strided(dtype, tuple(held.shape), "contiguous", data, device).build()
        return made.train(self.training)

    def build(self) -> LiveValued:
        """The module and its inputs, made."""
        inputs = [plan.build() for plan in self.inputs]
        for number in self.requires:
            inputs[number].requires_grad_()
        return LiveValued(self, self.module(), inputs)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "dtypes": self.dtype,
            "layouts": {plan.layout for plan in self.inputs},
            "shapes": str(self.inputs[0].shape),
            "options": [f"{name}={value!r}" for name, value in (*self.options, *self.calling)],
        }

    def reductions(self) -> Iterator[ValuedCall]:
        """The same with plainer inputs of the same shapes."""
        for number, plan in enumerate(self.inputs):
            if plan.layout != "contiguous":
                plain = replace(plan, stride=None, offset=0, size=None, layout="contiguous")
                yield replace(self, inputs=(*self.inputs[:number], plain, *self.inputs[number + 1 :]))

    def code(self) -> str:
        """The same in plain torch."""
        lines = ["import torch"]
        names = [f"x{number}" for number in range(len(self.inputs))]
        for number, (name, plan) in enumerate(zip(names, self.inputs, strict=True)):
            lines.append(f"{name} = {plan.code()}" + (".requires_grad_()" if number in self.requires else ""))
        plain = len(names) - len(self.named)
        words = names[:plain] * self.repeated + [
            f"{key}={name}" for key, name in zip(self.named, names[plain:], strict=True)
        ]
        words += [f"{key}={value!r}" for key, value in self.calling]
        if self.makes in ("RNN", "LSTM", "GRU") and len(words) > 1 and self.inputs[1].dtype == "int64":
            first = bool(self.option("batch_first", False))
            packed = f"torch.nn.utils.rnn.pack_padded_sequence(x0, x1, batch_first={first}, enforce_sorted=False)"
            words = [packed, *words[2:]]
        if self.makes in ("LSTM", "LSTMCell") and len(words) == 3:
            words = [words[0], f"({words[1]}, {words[2]})"]
        options = [f"{key}={value!r}" for key, value in self.options]
        options += [f"{key}={plan.code()}" for key, plan in self.built]
        if self.functional:
            call = f"torch.nn.{self.makes}({', '.join([*words, *options])})"
        else:
            mode = "train" if self.training else "eval"
            lines.append(f"m = torch.nn.{self.makes}({', '.join(options)}).to(torch.{self.dtype}).{mode}()")
            if has_state(self.makes):
                lines.append(FILLING.format(numbers=STATE_NUMBERS, built=[name for name, _ in self.built]))
            call = f"m({', '.join(words)})"
        lines += ["found = " + call] if self.recorded else ["with torch.no_grad():", f"    found = {call}"]
        lines.append("print(found)")
        if self.requires:
            last = "found.loss" if self.makes.startswith("Adaptive") else "found"
            lines.append(f"print(torch.autograd.grad({last}.sum(), [{', '.join(names[n] for n in self.requires)}]))")
        return "\n".join(lines)


class LiveValued:
    """A case with its module and tensors, and the numbers that they were made of."""

    def __init__(self, case: ValuedCall, module: Any, inputs: list[torch.Tensor]) -> None:
        self.case, self.module, self.inputs = case, module, inputs
        self.arrays = [plan.array for plan in case.inputs]
        self.state = {name: memory.contents(held.detach()) for name, held in state_of(module).items()}
        self.state.update((name, plan.array) for name, plan in case.built)

    @property
    def dtype(self) -> str:
        """The element type of the numbers."""
        return self.case.dtype

    def option(self, name: str, default: Any = None) -> Any:
        """What an option was given as."""
        return self.case.option(name, default)

    def given(self, name: str) -> np.ndarray | None:
        """The numbers of the input that is given by this name, or None."""
        named = self.case.named
        return self.arrays[len(self.arrays) - len(named) + named.index(name)] if name in named else None

    def call(self) -> Any:
        """The result of the call."""
        case = self.case
        plain = len(self.inputs) - len(case.named)
        keywords = dict(zip(case.named, self.inputs[plain:], strict=True), **dict(case.calling))
        if not case.functional:
            given = self.inputs[:plain] * case.repeated
            drawing = torch.random.fork_rng(devices=[], enabled="Fractional" in case.makes)
            with drawing, torch.set_grad_enabled(case.recorded and torch.is_grad_enabled()):
                return self.module(*given, **keywords)
        built = {name: plan.build() for name, plan in case.built}
        function = getattr(torch.nn.functional, case.makes.removeprefix("functional."))
        return function(*self.inputs[:plain], **keywords, **dict(case.options), **built)


def state_of(module: Any) -> dict[str, Any]:
    """Parameters and buffers by name, as they are, in the order of state_dict."""
    return {} if module is None else dict(module.state_dict(keep_vars=True))


def has_state(makes: str) -> bool:
    """Whether a module may have parameters or buffers that no argument of its constructor gives."""
    words = (
        "Linear",
        "Conv",
        "Norm",
        "Embedding",
        "RNN",
        "LSTM",
        "GRU",
        "Attention",
        "Transformer",
        "PReLU",
        "Adaptive",
    )
    return any(word in makes for word in words) and "EmbeddingLoss" not in makes


def tensors_in(found: Any) -> list[torch.Tensor]:
    """The tensors of a result, in order; None is left out."""
    if isinstance(found, tuple | list):
        return [tensor for part in found for tensor in tensors_in(part)]
    return [] if found is None else [found]


# --- plans by words ---------------------------------------------------------------------------------------------

POOL_SIZE = 97  # numbers of a pool, a prime, so that any step meets them all
WIDE = (
    0.0, -0.0, 20.0, -20.0, 3.0, -3.0, 0.5, -0.5, 1.0, -1.0, 60.0, -60.0, 6.0, -6.0, 0.03125, -0.03125, 2.0, -2.0, 11.0,
    -11.0, 0.25, 7.5, -7.5,
)  # fmt: skip


@cache
def worded_plan(words: str, dtype: str, layout: str, turn: int, device: str) -> Strided:
    """A plan from words: extents, and what the numbers are: ``"3 5 positive"``, ``"4 below-7"``."""
    extents = tuple(int(word) for word in words.split() if word.isdigit())
    kind = next((word for word in words.split() if not word.isdigit()), "ordinary")
    name, data = worded_numbers(kind, dtype, turn)
    if prod(extents) < 2 and layout == "expanded":
        layout = "contiguous"
    return strided(name, extents, layout, data, device)


def worded_numbers(kind: str, dtype: str, turn: int) -> tuple[str, tuple[Any, ...]]:
    """The element type of a kind of numbers, and 23 of them; other ones for another ``turn``."""
    step = 5 + 2 * (turn % 13)
    picks = [(step * number + 11 * turn) % POOL_SIZE for number in range(23)]
    word, _, bound = kind.partition("-")
    if word in ("below", "under"):
        return "int64" if word == "below" else "int32", tuple((pick + pick // 7) % int(bound) for pick in picks)
    if word == "above":  # 1 … bound, as labels of a CTC loss whose blank is 0
        return "int64", tuple(1 + (pick + pick // 7) % int(bound) for pick in picks)
    if word == "bool":
        return "bool", tuple(pick % 3 == 0 for pick in picks)
    if word == "sign":
        return dtype, tuple(1.0 if (pick * 7) % 5 < 3 else -1.0 for pick in picks)
    if word == "positive":
        return dtype, tuple((pick + 1) / 16 for pick in picks)
    if word == "probability":
        return dtype, tuple((1 + pick % 63) / 64 for pick in picks)
    if word == "negative":
        return dtype, tuple(-(pick + 1) / 16 for pick in picks)
    if word == "whole":
        return dtype, tuple(float(pick % 8) for pick in picks)
    if word == "binary":
        return dtype, tuple(float((pick * 7) % 5 < 3) for pick in picks)
    if word == "wide":
        shift = turn % len(WIDE)
        return dtype, WIDE[shift:] + WIDE[:shift]
    if word == "ordinary":
        return dtype, tuple((pick - 48) / 16 for pick in picks)
    if word == "complex":
        carrier = "complex128" if dtype == "float64" else "complex64"
        return carrier, tuple(complex((pick - 48) / 16, (pick % 31 - 15) / 8) for pick in picks)
    raise ValueError(f"kind of numbers: expected a word that worded_numbers knows; found {kind!r}")
