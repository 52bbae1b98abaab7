"""Initial laws: what each function of torch.nn.init has to fill a tensor with.

Reference: https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

from math import ceil, erf, log, prod, sqrt
from typing import Any

import numpy as np
import torch

from conformance.inputs.initials import Gain, Initial
from conformance.oracles import expect, memory, numbers
from conformance.oracles.ranges import DOUBT, Law, follows, normal_law, slack_of_mean, uniform_law, unrelated, within
from conformance.oracles.writes import kept_outside, same_frame

STRIPS = 1000  # of a truncated law, whose moments they give to six digits
GAIN_TABLE = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": sqrt(2),
    "selu": 3 / 4,
    "leaky_relu": sqrt(2 / 1.0001),
}


def filled(case: Initial) -> np.ndarray:
    """What the call leaves in the tensor, in float64; it has to return the tensor itself, and no history."""
    x = case.build()
    found = case.on(x)
    expect.same_object(x, found, f"what {case.call} returns")
    same_frame(x, case.plan, f"x after {case.call}")
    kept_outside(x, case.plan, f"x after {case.call}")
    expect.equal(case.grows, x.requires_grad, f"x.requires_grad after {case.call}")
    expect.that(x.grad_fn is None and x.is_leaf, f"x after {case.call}", "a leaf without grad_fn", "another")
    return memory.contents(x.detach()).astype(np.float64)


def exact_numbers(case: Initial) -> np.ndarray:
    """What constant_, ones_, zeros_, eye_ and dirac_ have to fill in."""
    if case.name in ("constant_", "ones_", "zeros_"):
        return np.full(case.shape, {"ones_": 1.0, "zeros_": 0.0}.get(case.name, (*case.args, 0.0)[0]))
    found = np.zeros(case.shape)
    if case.name == "eye_":
        np.fill_diagonal(found, 1.0)
        return found
    groups = case.args[0] if case.args else 1
    outputs = case.shape[0] // groups
    middle = tuple(size // 2 for size in case.shape[2:])
    for group in range(groups):
        for channel in range(min(outputs, case.shape[1])):
            found[(group * outputs + channel, channel, *middle)] = 1.0
    return found


def fills_exactly(case: Initial) -> None:
    """Expect the numbers named, and no others."""
    expected = exact_numbers(case)
    numbers.close(expected, filled(case).astype(expected.dtype), "float64", "exact", case.call)


def table_gain(name: str, param: Any = None) -> float:
    """The gain by the table; the slope of leaky_relu is 0.01 where none is given."""
    return sqrt(2 / (1 + param**2)) if name == "leaky_relu" and param is not None else GAIN_TABLE.get(name, 1.0)


def has_table_gain(case: Gain) -> None:
    """Expect the number of the table."""
    given = () if case.param is None else (case.param,)
    found = torch.nn.init.calculate_gain(case.nonlinearity, *given)
    expected = table_gain(case.nonlinearity, case.param)
    expect.that(abs(found - expected) <= 1e-15 * expected, "gain", repr(expected), repr(found))


def law_of(case: Initial) -> tuple[Law, float, float]:
    """The distribution that a call draws from, and the bounds of what it may draw."""
    if case.name == "uniform_":
        low, high = case.asked("a", 0.0), case.asked("b", 1.0)
        return uniform_law(low, high), low, high
    if case.name in ("normal_", "trunc_normal_"):
        mean, std = case.asked("mean", 0.0), case.asked("std", 1.0)
        if case.name == "normal_":
            return normal_law(mean, std), -np.inf, np.inf
        return truncated_law(mean, std, case.asked("a", -2.0), case.asked("b", 2.0))
    std = deviation_of(case)
    if case.name.endswith("normal_"):
        return normal_law(0.0, std), -np.inf, np.inf
    return uniform_law(-sqrt(3) * std, sqrt(3) * std), -sqrt(3) * std * (1 + 1e-6), sqrt(3) * std * (1 + 1e-6)


class TruncatedLaw:
    """The distribution function of a normal distribution of which only what lies in [low, high] is kept."""

    def __init__(self, mean: float, std: float, low: float, high: float) -> None:
        self.mean, self.std, self.low, self.high = mean, std, low, high

    def whole(self, x: float) -> float:
        """The distribution function of the normal distribution."""
        return (1 + erf((x - self.mean) / self.std / sqrt(2))) / 2

    def __call__(self, x: float) -> float:
        """The distribution function."""
        below, above = self.whole(self.low), self.whole(self.high)
        return min(1.0, max(0.0, (self.whole(x) - below) / (above - below)))


def truncated_law(mean: float, std: float, low: float, high: float) -> tuple[Law, float, float]:
    """A truncated normal distribution, and its bounds."""
    return TruncatedLaw(mean, std, low, high), low, high


def draws_from_its_law(case: Initial) -> None:
    """Expect all elements within the bounds, and distributed as documented."""
    found = filled(case)
    law, low, high = law_of(case)
    within(low, high, found, f"elements after {case.call}")
    follows(law, found.ravel(), case.plan.dtype, f"elements after {case.call}")
    unrelated(law, found, f"elements after {case.call}")
    if isinstance(law, TruncatedLaw):
        spread_within(law, found, f"mean square after {case.call}")
        return
    spread_as_drawn(case, found, low, high)
    if np.isfinite(low):
        reaches_its_ends(found, low, high, f"after {case.call}")


def reaches_its_ends(found: np.ndarray, low: float, high: float, what: str) -> None:
    """Expect draws as near to both ends of a uniform law as all but one of 1e12 samples have one.

    A share s at either end gets none of n draws with a probability of (1 - s)^n.
    """
    near = (high - low) * (-log(DOUBT) / found.size)
    within(low, low + near, float(found.min()), f"the smallest of {found.size} elements {what}")
    within(high - near, high, float(found.max()), f"the largest of {found.size} elements {what}")


def spread_within(law: TruncatedLaw, found: np.ndarray, what: str) -> None:
    """Expect the mean square of what a truncated law drew, about its mean before it was cut, to be that of the law.

    The moments of the law are summed over narrow strips.
    """
    widest = max(abs(law.low - law.mean), abs(law.high - law.mean))
    edges = np.linspace(law.low, law.high, STRIPS + 1)
    shares = np.diff([law(float(edge)) for edge in edges])
    squares = (((edges[1:] + edges[:-1]) / 2 - law.mean) / widest) ** 2
    mean = float(shares @ squares)
    slack = slack_of_mean(float(shares @ squares**2) - mean**2, found.size) + 1e-3
    square = float((((found - law.mean) / widest) ** 2).mean())
    within(mean - slack, mean + slack, square, f"{what}, by the farther bound")


def spread_as_drawn(case: Initial, found: np.ndarray, low: float, high: float) -> None:
    """Expect the mean square of the draws to be that of the law, as near as all but one of 1e12 samples have it.

    The square of a uniform draw between -1 and 1 has a variance of 4 / 45.
    """
    count = found.size
    if np.isfinite(low):
        middle, half = (low + high) / 2, (high - low) / 2
        mean, slack, kind = 1 / 3, slack_of_mean(4 / 45, count), "half of the range"
    else:
        middle, half = case.asked("mean", 0.0), deviation_of(case)
        mean, slack, kind = 1.0, slack_of_squares(count), "the deviation"
    square = float((((found - middle) / half) ** 2).mean())
    within(mean - slack - 1e-5, mean + slack + 1e-5, square, f"mean square after {case.call}, by {kind}")


def slack_of_squares(count: int) -> float:
    """How far the mean of so many squares of standard normal draws is from 1 in all but DOUBT cases.

    Laurent and Massart (2000): the sum of n of them is within 2 sqrt(n t) + 2 t of n but for exp(-t) on either side.
    """
    each = log(2 / DOUBT) / count
    return 2 * sqrt(each) + 2 * each


def deviation_of(case: Initial) -> float:
    """The standard deviation that a normal draw is to have."""
    if case.name == "normal_":
        return float(case.asked("std", 1.0))
    receptive = prod(case.shape[2:])
    fan_in, fan_out = case.shape[1] * receptive, case.shape[0] * receptive
    if case.name.startswith("xavier"):
        return float(case.asked("gain", 1.0) * sqrt(2 / (fan_in + fan_out)))
    gain = table_gain(case.asked("nonlinearity", "leaky_relu"), case.asked("a", 0))
    return gain / sqrt(fan_out if case.asked("mode", "fan_in") == "fan_out" else fan_in)


def stays_within(case: Initial) -> None:
    """Expect all elements within the bounds, and none at bounds eight deviations and more away."""
    found = filled(case)
    _, low, high = law_of(case)
    within(low, high, found, f"elements after {case.call}")
    mean, std = case.asked("mean", 0.0), case.asked("std", 1.0)
    for bound in (low, high):
        if abs(bound - mean) > 8 * std:
            expect.equal(0, int((found == bound).sum()), f"elements at {bound} after {case.call}")


def is_orthogonal(case: Initial) -> None:
    """Expect W W^T, or W^T W where there are more rows than columns, to be the square of the gain times I."""
    found = filled(case).reshape(case.shape[0], -1)
    found = found.T if found.shape[0] > found.shape[1] else found
    gain = case.asked("gain", 1.0)
    product = found @ found.T / gain**2
    error = float(np.abs(product - np.eye(len(found))).max())
    bound = {"float32": 1e-5, "float64": 1e-13}[case.plan.dtype]
    expect.that(error <= bound, f"distance of W W^T / gain² from I after {case.call}", f"at most {bound}", error)


def has_its_zeros(case: Initial) -> None:
    """Expect so many zeros in each column, and elsewhere draws of the normal distribution that is asked for."""
    found = filled(case)
    zeros = ceil(case.args[0] * case.shape[0])
    expect.equal([zeros] * case.shape[1], (found == 0).sum(0).tolist(), f"zeros in each column after {case.call}")
    std, others, what = case.asked("std", 0.01), found[found != 0], f"elements other than 0 after {case.call}"
    within(-10 * std, 10 * std, found, f"elements after {case.call}, of deviation {std}")
    follows(normal_law(0.0, std), others, case.plan.dtype, what)
    if others.size:
        slack = slack_of_squares(others.size)
        within(1 - slack, 1 + slack, float(((others / std) ** 2).mean()), f"mean square of {what}, by the deviation")
