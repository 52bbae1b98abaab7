"""Activated: the formulas of activations, as their pages write them, in float64.

Reference: https://docs.pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.oracles import expect, memory, numbers, writes

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
ACTIVATION_DEFAULTS = {"leaky_relu": (0.01,), "elu": (1.0,), "celu": (1.0,), "hardtanh": (-1.0, 1.0)}


def overwritten(case: Any) -> None:
    """Expect the call of an ``Activation`` to return the very tensor given, with the results in its memory."""
    x = case.self_.build()
    what = f"input of {case.name} after the call in place"
    expect.same_object(x, case.on(x), f"result of {case.name} in place")
    writes.same_frame(x, case.self_, what)
    expected = activated(case.function, case.self_.array.astype(np.float64), case.args)
    numbers.close(expected, memory.contents(x), case.self_.dtype, case.accuracy, what)
    writes.kept_outside(x, case.self_, what)


def activated(function: str, x: np.ndarray, args: tuple[float, ...]) -> np.ndarray:
    """What the function gives for numbers of float64; of a range of slopes or a dropout, only what is no matter of luck."""  # noqa: E501
    with np.errstate(all="ignore"):
        return np.asarray(_formula(function, x, args))


def _formula(function: str, x: Any, args: tuple[float, ...]) -> Any:
    args = args or ACTIVATION_DEFAULTS.get(function, ())
    if function in ("relu", "relu6", "hardtanh"):
        low, high = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0)}.get(function, args)
        return np.clip(x, low, high)
    if function == "elu":
        return np.where(x > 0, x, args[0] * np.expm1(np.minimum(x, 0)))
    if function == "selu":
        return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))
    if function == "celu":
        return np.where(x > 0, x, args[0] * np.expm1(np.minimum(x, 0) / args[0]))
    if function in ("leaky_relu", "rrelu"):
        return np.where(x > 0, x, args[0] * x)
    if function == "hardswish":
        return x * np.clip(x + 3, 0, 6) / 6
    if function == "hardsigmoid":
        return np.clip(x + 3, 0, 6) / 6
    if function == "threshold":
        return np.where(x > args[0], x, args[1])
    if function == "dropout":  # of the probability 0 or 1
        return np.zeros_like(x) if args[0] else x
    if function == "silu":
        return x / (1 + np.exp(-x))
    return x * np.tanh(np.log1p(np.exp(x)))
