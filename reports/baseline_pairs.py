"""Pairs: the same call in two sets of timings, its ratio, and how sure that ratio is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.bars import FACTOR, Crowd
from reports.baseline_file import Timed
from reports.model import Measurement, Performance, Timing

# Between two runs a median differs by more than the rounds of one run show: where the memory came to lie, how warm the
# machine was. Measured by `tox -e bench`; docs/performance.md has the figures.
BETWEEN_RUNS = 0.04
NOTHING_KNOWN = math.log(1000)  # an interval that is this wide says nothing, and would say it in many digits
# Rounds that lie so far apart are of two kinds, disturbed and not, and which of them the median is of is chance.
WIDEST = 3.0
LEAST = 1e-12  # a ratio: no call becomes faster or slower by more, so that its times are none
SIGMAS = 3.0  # thousands of calls are compared: one in twenty would be hundreds of false alarms
Key = tuple[str, str, str, str, str, int]


@dataclass(frozen=True)
class Pair:
    """One call, before and after: seconds, or seconds by a yardstick."""

    key: Key
    before: float
    after: float
    ratio: float
    interval: tuple[float, float]

    @property
    def name(self) -> str:
        """``add_ (in-place operator, float32, small, cpu)``."""
        subject, kind, target, dtype, size, _ = self.key
        return f"{subject} ({kind}, {dtype}, {size}, {target})"

    def slower(self, threshold: float) -> bool:
        """Whether it takes more than ``threshold`` times as long, and noise cannot be the reason."""
        return self.interval[0] > threshold and self.ratio <= WIDEST * self.interval[0]


@dataclass(frozen=True)
class Comparison:
    """All pairs, the slowest first, what one side has alone, and what became of the yardsticks, each by its name."""

    pairs: list[Pair]
    only_before: list[str]
    only_after: list[str]
    timeless: int
    normalised: bool
    yardsticks: dict[str, float]

    @property
    def crowd(self) -> Crowd:
        """What all calls do."""
        return Crowd.of([pair.ratio for pair in self.pairs])

    def slower(self, factor: float) -> list[Pair]:
        """The calls that became slower by a factor, beyond what nearly all calls differ by."""
        bar = self.crowd.bar(factor)
        return [pair for pair in self.pairs if pair.slower(bar)]

    def all_slower(self, factor: float) -> bool:
        """Whether the calls became slower as a whole, by more than the factor and more than any yardstick did."""
        machine = 1.0 if self.normalised else max(self.yardsticks.values(), default=1.0)
        return self.crowd.known and self.crowd.usual > factor * max(machine, 1.0)

    def mean(self) -> tuple[float, float, float]:
        """The geometric mean of the ratios, and the interval of it."""
        logs = [math.log(pair.ratio) for pair in self.pairs]
        centre = sum(logs) / len(logs)
        spread = math.sqrt(sum((x - centre) ** 2 for x in logs) / max(len(logs) - 1, 1) / len(logs))
        return math.exp(centre), math.exp(centre - 1.96 * spread), math.exp(centre + 1.96 * spread)


def compare(before: Timed, after: Timed, normalise: bool) -> Comparison:
    """The pairs of two sets of timings."""
    first, second = _by_key(before.performance), _by_key(after.performance)
    pairs, timeless = [], 0
    for key in first.keys() & second.keys():
        units = [_unit(side.performance, key) if normalise else 1.0 for side in (before, after)]
        if (pair := _pair(key, first[key], second[key], units)) is not None:
            pairs.append(pair)
        else:
            timeless += 1
    pairs.sort(key=lambda pair: (-pair.ratio, pair.key))
    gone, new = _alone(first, second, after), _alone(second, first, before)
    return Comparison(pairs, gone, new, timeless, normalise, dict(_yardsticks(before, after)))


def _by_key(performance: Performance) -> dict[Key, Measurement]:
    return {(x.subject, x.kind, x.target, x.dtype, x.size, x.elements): x for x in performance.measurements}


def _alone(there: Mapping[Key, Measurement], here: Mapping[Key, Measurement], other: Timed) -> list[str]:
    """The calls of one side that the other has not, each with why it was not timed there."""
    reasons = {each.subject: each.reason for each in other.performance.skipped}
    found = []
    for subject, kind, target, dtype, size, elements in sorted(there.keys() - here.keys()):
        reason = reasons.get(f"{subject} ({kind}, {size}, {target})")
        name = f"{subject} ({kind}, {dtype}, {size}, {target})"
        if reason is None and any(key[:5] == (subject, kind, target, dtype, size) for key in here):
            reason = f"of another size than {elements} elements"
        found.append(f"{name}{f': {reason}' if reason else ''}")
    return found


def _pair(key: Key, before: Measurement, after: Measurement, units: Sequence[float]) -> Pair | None:
    """None where a clock that saw no time pass has nothing to compare, nor one whose times are beyond all bounds."""
    if min(before.median, after.median, *units) <= 0:
        return None
    one, other = before.median / units[0], after.median / units[1]
    ratio = other / one if one > 0 else math.inf
    if not LEAST <= ratio <= 1 / LEAST:
        return None
    error = math.hypot(SIGMAS * _error(before), SIGMAS * _error(after), BETWEEN_RUNS, BETWEEN_RUNS)
    error = min(error, NOTHING_KNOWN)
    return Pair(key, one, other, ratio, (ratio * math.exp(-error), ratio * math.exp(error)))


def _error(timing: Timing) -> float:
    """The relative standard error of a median, that of a normal sample: 1.25 sigma / sqrt(n)."""
    sigma = timing.iqr / 1.349 / timing.median
    return 1.2533 * sigma / math.sqrt(timing.rounds)


def _unit(performance: Performance, key: Key) -> float:
    """The yardstick of a call: what Python takes for a call, where that is what counts, else what a copy takes."""
    _, _, target, _, size, _ = key
    wanted = "empty call" if size == "small" and target == "cpu" else "copy"
    return next((x.median for x in performance.yardsticks if x.name == wanted and x.target == target), 0.0)


def text(found: Comparison, before: Timed, after: Timed, threshold: float | None, most: int) -> Iterator[str]:
    """The table of the slowest, and what all come to."""
    yield f"before: torch {before.torch}, {before.path}"
    yield f"after:  torch {after.torch}, {after.path}"
    if found.normalised:
        yield "by yardsticks: small calls on the CPU by an empty call, all others by a copy"
    yield ""
    factor = threshold or FACTOR
    slower = found.slower(factor)
    rows = [("ratio", "interval", "before", "after", "call")]
    for pair in found.pairs[:most]:
        low, high = pair.interval
        rows.append((
            f"{pair.ratio:.2f}", f"{low:.2f} - {high:.2f}", told(pair.before, found.normalised),
            told(pair.after, found.normalised), pair.name + (": slower" if pair in slower else ""),
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        yield "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
    mean, low, high = found.mean()
    yield ""
    yield f"{len(found.pairs)} calls, geometric mean of the ratios {mean:.3f} ({low:.3f} - {high:.3f})"
    if not found.normalised and found.yardsticks:
        machine = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found.yardsticks.items())
        yield f"the machine itself, by its yardsticks: {machine}"
    if found.timeless:
        yield f"not compared: {found.timeless} calls that took no time, or one beyond all bounds, in one of them"
    for names, side in ((found.only_before, "before"), (found.only_after, "after")):
        if names:
            yield f"not compared, as they were timed {side} only: {len(names)} calls"
            yield from (f"  {name}" for name in names[:most])
        if len(names) > most:
            yield f"  and {len(names) - most} more (--most)"
    yield from _judged(found, factor, len(slower))


def _judged(found: Comparison, factor: float, slower: int) -> Iterator[str]:
    """How many calls became slower, by which bar, and whether all did."""
    crowd = found.crowd
    usual = f", as {crowd.usual:.2f} is usual and nineteen of twenty lie within {crowd.spread:.2f} times of it"
    yield (
        f"slower by more than {factor:g}, noise excluded: {slower}; the bar is {crowd.bar(factor):.2f}"
        f"{usual if crowd.known else ''}"
    )
    if found.all_slower(factor):
        by = "another machine" if found.normalised else "a busy machine that its yardsticks do not show"
        yield f"slower as a whole: {crowd.usual:.2f} times in the median; of a slow build, or of {by}"


def _yardsticks(before: Timed, after: Timed) -> Iterator[tuple[str, float]]:
    """What became of the yardsticks: where these have become slower, the machine was busy or is another."""
    first = {(x.target, x.name): x.median for x in before.performance.yardsticks}
    for x in after.performance.yardsticks:
        if (median := first.get((x.target, x.name), 0.0)) > 0:
            yield f"{x.name} on {x.target}", x.median / median


def told(value: float, normalised: bool = False) -> str:
    """Seconds as people write them, or a number of yardsticks."""
    if normalised:
        return f"{value:.3g}"
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
