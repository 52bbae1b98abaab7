"""Contested: which of two ways takes less processor time, with an interval of the ratio.

Both are done in turns, so that what disturbs the machine for a while disturbs both, and in blocks, of each of which the
shortest rounds are compared. The interval of the median of the ratios is that of the sign test. Only where all of it
lies beyond what is allowed is it a failure; where the machine is too noisy to tell, nothing is decided.
"""

from __future__ import annotations

from statistics import median

import torch

from conformance.engine.evidence import tabulate
from conformance.engine.mismatch import Discard
from conformance.inputs.contests import Contest
from conformance.oracles import expect
from conformance.oracles.durations import in_turns, in_turns_on_device

BLOCKS = 6  # between the least and the greatest of as many ratios their median lies with 97 % confidence
ROUNDS = (1, 4, 12)  # in each block; more of them where fewer do not tell


def takes_less_time(case: Contest) -> None:
    """Expect the one way to take at most its share of the time of the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the clock is that of one thread
    try:
        ratio, low, high = _ratio(case, False)
    finally:
        torch.set_num_threads(threads)
    _judge(case, ratio, low, high)


def takes_less_time_on_device(case: Contest) -> None:
    """Expect the one way to take at most its share of the time of the other, by the clock of the device."""
    _judge(case, *_ratio(case, True))


def _judge(case: Contest, ratio: float, low: float, high: float) -> None:
    tell_ratio(case.one, case.other, ratio, (low, high), f"<= {case.most:g}")
    if low <= case.most < high:
        raise Discard("the times of this machine are too far apart to tell")
    what = f"time of {case.one!r} as a share of that of {case.other!r} (97 %: {low:.3g} to {high:.3g})"
    expect.that(ratio <= case.most, what, f"<= {case.most:g}", f"{ratio:.3g}")


def tell_ratio(one: str, other: str, ratio: float, interval: tuple[float, float], expected: str) -> None:
    """Keep a ratio as evidence."""
    low, high = (float(f"{bound:.4g}") for bound in interval)
    row = {"one": one, "other": other, "ratio": float(f"{ratio:.4g}"), "interval": [low, high], "expected": expected}
    tabulate("ratios", row)


def _ratio(case: Contest, on_device: bool) -> tuple[float, float, float]:
    """The median of the ratios, and its interval."""
    one, other = case.acts()
    ratios: list[float] = []
    for rounds in ROUNDS:
        ratios = []
        for _ in range(BLOCKS):
            times = in_turns_on_device(one, other, rounds, case.device) if on_device else in_turns(one, other, rounds)
            first, second = zip(*times, strict=True)
            ratios.append(min(first) / max(min(second), 1))
        if max(ratios) <= case.most or min(ratios) > 1.5 * case.most:
            break
    return median(ratios), min(ratios), max(ratios)
