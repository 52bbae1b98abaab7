"""Growing: how the time of a call grows with the number of its elements.

Only what grows out of all proportion at every attempt is a failure; what is above the limit now and then, or does not
grow from size to size, tells of the machine, and decides nothing.
"""

from __future__ import annotations

from conformance.engine.mismatch import Discard
from conformance.inputs.growths import Growth
from conformance.oracles import expect
from conformance.oracles.durations import shortest
from conformance.oracles.exponents import fitted

TRIES = 4
TRIES_CONSTANT = 10  # of calls that take little time, beside whatever else the machine does
# microseconds: beyond it a call has told enough, and larger sizes are left out
LONGEST = 2e5
LONGEST_CONSTANT = 2e4
AS_EXPECTED, TOO_MUCH = 2, 3  # times what is in proportion; what lies between decides nothing
CONSTANT = (-0.2, 0.2)
LINEAR = (0.0, 1.3)
BY_FAR = 10  # times the limit: no machine is that noisy at every attempt, whatever the next smaller size takes


def time_does_not_grow(case: Growth) -> None:
    """Expect no size to take more than three times what the smallest takes and twenty microseconds.

    The fastest look at each of two million elements takes a hundred microseconds and more, and a copy a thousand.
    """
    points = best_times(case, rounds=6, calls=4, longest=LONGEST_CONSTANT)
    for _ in range(TRIES_CONSTANT - 1):
        if points[-1][1] <= _constant(points):
            break
        points = _better(points, best_times(case, rounds=10, calls=4, longest=LONGEST_CONSTANT))
    few, (n, many), limit = points[0][1], points[-1], _constant(points)
    fitted("seconds", [(size, time / 1e6) for size, time in points], CONSTANT)
    if limit < many < min(1.5 * points[-2][1], BY_FAR * limit):
        raise Discard("the times of this machine are too far apart to tell")
    what = f"time of {case.act} for {n:,} elements{case.form}, {few:.1f} µs for {points[0][0]:,}"
    expect.that(many <= limit, what, f"<= {limit:.0f} µs", f"{many:.0f} µs")


def time_grows_in_proportion(case: Growth) -> None:
    """Expect the many to take at most three times as long as their number makes them; squared they took many times.

    What outgrows the caches takes up to twice as long as it should, beside other work, and more tells of the machine.
    """
    points = best_times(case, rounds=1, calls=1)
    for _ in range(TRIES - 1):
        if points[-1][1] <= AS_EXPECTED * _proportional(points):
            break
        points = _better(points, best_times(case, rounds=4, calls=1))
    (fewest, few), (n, many) = points[0], points[-1]
    fitted("seconds", [(size, time / 1e6) for size, time in points], LINEAR)
    limit = TOO_MUCH * _proportional(points)
    per_element = [time / size for size, time in points]
    between = AS_EXPECTED * _proportional(points) < many <= limit
    if between or (many > limit and per_element[-1] < 1.5 * per_element[-2]):
        raise Discard("the times of this machine are too far apart to tell")
    what = f"time of {case.act} for {n:,}, {few:.0f} µs for {fewest:,}"
    expect.that(many <= limit, what, f"<= {limit:.0f} µs", f"{many:.0f} µs")


def best_times(case: Growth, rounds: int, calls: int, longest: float = LONGEST) -> list[tuple[int, float]]:
    """For each size the microseconds of the shortest round, up to the first that takes very long."""
    found: list[tuple[int, float]] = []
    for n in case.sizes:
        more = 1 if n == case.sizes[-1] else 3  # what takes little time is disturbed the more
        found.append((n, shortest(case.call(n), more * rounds, calls, longest)))
        if found[-1][1] > longest and len(found) > 1:
            break
    return found


def _better(some: list[tuple[int, float]], others: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The shorter time of each size; a size that one of them left out, after a disturbed one, has that of the other."""
    found = dict(others)
    found.update((n, min(time, found.get(n, time))) for n, time in some)
    return sorted(found.items())


def _constant(points: list[tuple[int, float]]) -> float:
    return 3 * points[0][1] + 20


def _proportional(points: list[tuple[int, float]]) -> float:
    (fewest, few), (n, _) = points[0], points[-1]
    return few * n / fewest + 10
