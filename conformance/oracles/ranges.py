"""Ranges: what a random fill drew, between which bounds it lies, and whether it is distributed as it should be.

Statistical comparisons hold for any seed but one in ``1 / DOUBT``: the inequality of Dvoretzky, Kiefer, Wolfowitz and
Massart bounds the largest distance of a distribution function of so many draws from the true one, and Bernstein's
the distance of a share from its probability, both for every number of draws.
Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import atan, erf, exp, floor, log, pi, sqrt
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.oracles import expect, memory
from conformance.oracles.numbers import spacing
from conformance.oracles.writes import kept_outside, same_frame

DOUBT = 1e-12  # how often a single comparison may call a right build wrong
MANY = 1000  # from so many draws on a distribution shows
Law = Callable[[float], float]  # a cumulative distribution function


def drawn(case: Any) -> np.ndarray:
    """What the call of a random fill left in self, in float64; nothing outside of self may have changed."""
    return drawn_elements(case).astype(np.float64)


def drawn_elements(case: Any) -> np.ndarray:
    """The same in the carrier of self's element type."""
    live = case.build()
    live.apply()
    same_frame(live.self_, case.self_, f"self after {case.method}")
    kept_outside(live.self_, case.self_, f"self after {case.method}")
    return memory.contents(live.self_)


def drawn_from(generator: torch.Generator | None, case: Any) -> np.ndarray:
    """The same with another generator, or with the default one."""
    live = case.build()
    live.kwargs["generator"] = generator
    live.apply()
    return memory.contents(live.self_)


@contextmanager
def own_default_state(device: str) -> Iterator[None]:
    """The default generators of the CPU and of the device are put back into their states, whatever happens."""
    kind = torch.device(device).type
    others = [] if kind == "cpu" else [getattr(torch, kind)]
    states = [torch.get_rng_state(), *(module.get_rng_state() for module in others)]
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        for module, state in zip(others, states[1:], strict=True):
            module.set_rng_state(state)


def asked(case: Any, **defaults: Any) -> tuple[Any, ...]:
    """The parameters of a call by name and default, those given by position in the order of the names."""
    given = dict(zip(defaults, case.args, strict=False))
    return tuple({**defaults, **given, **{k: v for k, v in case.kwargs.items() if k in defaults}}.values())


def within(low: float, high: float, found: Any, what: str) -> None:
    """Expect every number to lie between two bounds, both included; NaN does not."""
    found = np.asarray(found)
    inside = (found >= low) & (found <= high)
    if not inside.all():
        expect.that(False, what, f"from {low} to {high}", found[~inside].ravel().tolist()[:8])


def both_halves(low: float, high: float, found: np.ndarray, what: str) -> None:
    """Expect draws from both halves of a range, the middle of a whole number of numbers counted to both."""
    middle = low + (high - low) / 2
    within(low, middle, found.min(), f"the smallest of {found.size} {what}")
    within(middle, high, found.max(), f"the largest of {found.size} {what}")


def every_bit_varies(bits: int, found: np.ndarray, what: str) -> None:
    """Expect each of the lower ``bits`` bits to be set in some whole numbers and not in others."""
    numbers_ = found.astype(np.uint64).ravel()
    always, ever = int(np.bitwise_and.reduce(numbers_)), int(np.bitwise_or.reduce(numbers_))
    expect.equal((0, 2**bits - 1), (always, ever), f"bits set in all, and in any, of {found.size} {what}")


# ---- distributions ----


def uniform_law(low: float, high: float) -> Law:
    """The continuous uniform distribution."""
    return lambda x: min(max((x - low) / (high - low), 0.0), 1.0)


def discrete_law(low: int, high: int) -> Law:
    """The uniform distribution of the whole numbers from ``low`` up to, and without, ``high``."""
    return lambda x: min(max((floor(x) - low + 1) / (high - low), 0.0), 1.0)


def normal_law(mean: float, deviation: float) -> Law:
    """The normal distribution."""
    return lambda x: (1 + erf((x - mean) / deviation / sqrt(2))) / 2


def log_normal_law(mean: float, deviation: float) -> Law:
    """The distribution of numbers whose logarithms are normally distributed."""
    return lambda x: normal_law(mean, deviation)(log(x)) if x > 0 else 0.0


def exponential_law(rate: float) -> Law:
    """The exponential distribution."""
    return lambda x: 1 - exp(-rate * max(x, 0.0))


def geometric_law(chance: float) -> Law:
    """The distribution of the number of the first success."""
    return lambda x: 1 - (1 - chance) ** max(floor(x), 0)


def cauchy_law(median: float, scale: float) -> Law:
    """The Cauchy distribution."""
    return lambda x: 0.5 + atan((x - median) / scale) / pi


def follows(law: Law, found: np.ndarray, dtype: str, what: str) -> None:
    """Expect draws to be distributed by ``law``, each of them rounded or cut to ``dtype``; of few draws nothing."""
    if found.size < MANY:
        return
    ordered = np.sort(found, axis=None)
    slack = sqrt(log(2 / DOUBT) / (2 * found.size))
    step = 0.5 if ELEMENT_TYPES[dtype].kind != "floating" else None
    for part in range(1, 32):
        x = float(ordered[part * found.size // 32])
        blur = float(spacing(x, dtype)) if step is None else step
        below = np.searchsorted(ordered, x, "left") / found.size
        upto = np.searchsorted(ordered, x, "right") / found.size
        least, most = law(x - blur) - slack, law(x + blur) + slack
        if not (least <= below and upto <= most):
            which, share = ("below", below) if not least <= below else ("up to", upto)
            expect.that(False, f"share of {found.size} {what} {which} {x}", f"from {least:.4f} to {most:.4f}", share)


def unrelated(law: Law, found: np.ndarray, what: str) -> None:
    """Expect draws to lie above and below the median of ``law`` whatever other draws do, near or far in self."""
    if found.size < MANY:
        return
    ordered = np.sort(found, axis=None)
    low, high = 0, found.size  # of draws up to the median
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if law(float(ordered[middle])) <= 0.5 else (low, middle)
    independent(found.ravel() > ordered[max(low - 1, 0)], what)


def independent(bits: np.ndarray, what: str) -> None:
    """Expect bits, each of which is as often set as not, to agree with those at a distance half of the time."""
    for distance in (1, 2, 4, 8, 16, bits.size // 2):
        agree = float((bits[distance:] == bits[:-distance]).mean())
        slack = sqrt(log(2 / DOUBT) / (2 * (bits.size - distance)))
        within(
            0.5 - slack, 0.5 + slack, agree, f"how often {what} lie on one side of the median with those {distance} on"
        )


def seldom_repeats(found: np.ndarray, dtype: str, what: str) -> None:
    """Expect hardly a number twice among a few, or very many, float64 draws of a continuous distribution.

    Generators of 31 bits are right enough: they repeat one of a thousand numbers once in 4,000 times, and so three of
    them hardly ever, and about 4 of 2**17. One of 24 bits, as float32 has them, repeats some 500 of these.
    """
    if dtype == "float64" and (found.size <= 1000 or found.size >= 2**17):
        repeated = found.size - len(np.unique(found))
        within(0, max(2, found.size // 1000), repeated, f"repeated numbers among {found.size} {what}")
    if dtype == "float64" and found.size <= 1000:
        flat = found.ravel()
        again = np.flatnonzero(flat[1:] == flat[:-1])
        expect.equal([], again.tolist(), f"indices of {what} whose next number is the same")


def continuous(law: Law, found: np.ndarray, dtype: str, what: str) -> None:
    """Expect independent draws of a continuous distribution."""
    follows(law, found, dtype, what)
    unrelated(law, found, what)
    seldom_repeats(found, dtype, what)


def slack_of_mean(variance: float, count: int) -> float:
    """How far the mean of so many independent numbers between 0 and 1 is from its expectation in all but DOUBT cases.

    Bernstein: a mean of n of them is within sqrt(2 v t / n) + t / (3 n) but for exp(-t) on either side.
    """
    each = log(2 / DOUBT) / count
    return sqrt(2 * variance * each) + each / 3


def has_share(chance: float, found: np.ndarray, what: str) -> None:
    """Expect about as many of the draws to be set as the probability says, and exactly so at 0 and at 1."""
    slack = slack_of_mean(chance * (1 - chance), found.size) if 0 < chance < 1 else 0.0
    within(chance - slack, chance + slack, float(found.mean()), f"share of 1 among {found.size} {what}")
