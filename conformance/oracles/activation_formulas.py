"""Activation formulas: the non-linear activations of torch.nn as their pages write them.

Reference: https://docs.pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued
from conformance.oracles.activated import SELU_ALPHA, SELU_SCALE
from conformance.oracles.bounded import Bounded, chosen, log_sigmoid_of, log_softmax_of, number_of, softmax_of


def activation_results(live: LiveValued) -> list[Any]:
    """The result of an activation."""
    x, name = number_of(live, 0), live.case.makes
    if name in ("Softmax", "LogSoftmax", "Softmin", "Softmax2d"):
        return [normalised_exponentials(live, x)]
    if name in ("ELU", "SELU", "CELU", "GELU", "Softplus", "Mish", "SiLU", "LogSigmoid", "Sigmoid", "Tanh"):
        return [smooth_activation(live, x)]
    return [piecewise_activation(live, x)]


def normalised_exponentials(live: LiveValued, x: Bounded) -> Bounded:
    """Softmax and its kin along a dimension."""
    name = live.case.makes
    axis = len(x.shape) - 3 if name == "Softmax2d" else int(live.option("dim"))
    if name == "LogSoftmax":
        return log_softmax_of(x, axis)
    return softmax_of(-x if name == "Softmin" else x, axis)


def smooth_activation(live: LiveValued, x: Bounded) -> Any:
    """Activations with exponentials, logarithms or an error function."""
    name = live.case.makes
    if name == "Sigmoid":
        return x.sigmoid()
    if name == "Tanh":
        return x.tanh()
    if name == "SiLU":
        return x * x.sigmoid()
    if name == "LogSigmoid":
        return log_sigmoid_of(x)
    if name == "Mish":
        return x * x.exp().log1p().tanh()
    if name == "GELU":
        if live.option("approximate", "none") == "tanh":
            return x * 0.5 * (((x + x * x * x * 0.044715) * sqrt(2 / pi)).tanh() + 1.0)
        return x * 0.5 * ((x / sqrt(2)).erf() + 1.0)
    if name == "Softplus":
        beta, threshold = float(live.option("beta", 1.0)), float(live.option("threshold", 20.0))
        return chosen(x.value * beta > threshold, x, (x * beta).at_most(threshold).exp().log1p() / beta)
    alpha = SELU_ALPHA if name == "SELU" else float(live.option("alpha", 1.0))
    below = x.at_most(0.0)
    found = chosen(x.value > 0, x, ((below / alpha if name == "CELU" else below).exp() - 1.0) * alpha)
    return found * SELU_SCALE if name == "SELU" else found


def piecewise_activation(live: LiveValued, x: Bounded) -> Any:
    """Activations made of lines and quotients."""
    name = live.case.makes
    zero = Bounded(np.zeros(x.shape), x.unit)
    if name in ("ReLU", "Identity"):
        return x.at_least(0.0) if name == "ReLU" else x
    if name in ("ReLU6", "Hardtanh"):
        low, high = (0.0, 6.0) if name == "ReLU6" else (live.option("min_val", -1.0), live.option("max_val", 1.0))
        return x.at_least(low).at_most(high)
    if name in ("Hardswish", "Hardsigmoid"):
        ramp = (x + 3.0).at_least(0.0).at_most(6.0) / 6.0
        return x * ramp if name == "Hardswish" else ramp
    if name in ("LeakyReLU", "RReLU", "PReLU"):
        if name == "PReLU":
            weight = live.state["weight"]
            slope: Any = (
                weight.reshape(-1, *[1] * (len(x.shape) - 2)) if len(x.shape) > 1 else weight.reshape(x.shape and (-1,))
            )
        else:
            slope = live.option("negative_slope", 0.01) if name == "LeakyReLU" else (
                (live.option("lower", 1 / 8) + live.option("upper", 1 / 3)) / 2
            )  # fmt: skip
        return chosen(x.value > 0, x, x * slope)
    if name in ("Hardshrink", "Softshrink"):
        edge = float(live.option("lambd", 0.5))
        if name == "Hardshrink":
            return chosen(np.abs(x.value) > edge, x, zero)
        return chosen(x.value > edge, x - edge, chosen(x.value < -edge, x + edge, zero))
    if name == "Softsign":
        return x / (x.absolute() + 1.0)
    if name == "Tanhshrink":
        return x - x.tanh()
    if name == "Threshold":
        return chosen(x.value > live.option("threshold"), x, zero + float(live.option("value")))
    axis = int(live.option("dim", -1))  # GLU
    half = x.shape[axis] // 2
    first, second = (np.take(x.value, range(start, start + half), axis) for start in (0, half))
    return Bounded(first, x.unit) * Bounded(second, x.unit).sigmoid()
