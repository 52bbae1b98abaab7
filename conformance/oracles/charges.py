"""Charges: what a call may be charged for, in bytes of elements."""

from __future__ import annotations

from conformance.inputs.growths import Growth
from conformance.inputs.priced import Priced
from conformance.inputs.savings import Saving
from conformance.oracles import expect
from conformance.oracles.durations import shortest

ATTEMPTS = 3
BUFFER = 1 << 14  # bytes: kernels have buffers of a fixed size


def nothing_is_allocated(case: Priced) -> None:
    """Expect no byte of a tensor's memory to be handed out, and Python to hold less than half of the elements."""
    found = case.account()
    expect.that(found.handed_out == 0, _charged(case), "0 bytes", f"{found.handed_out:,} bytes")
    if case.setup != "array" or case.n < 1 << 20:
        return
    held = found.python
    for _ in range(ATTEMPTS - 1):  # modules that are imported at the first call are none of its elements
        held = min(held, case.account().python)
    limit = case.nbytes // 2
    expect.that(held < limit, f"memory that Python and NumPy hold for {case.act}", f"< {limit:,} bytes", f"{held:,}")


def no_result_is_allocated(case: Priced) -> None:
    """Expect less than a byte for each element to be handed out."""
    limit, found = max(case.n, 1024), case.account().handed_out
    expect.that(found < limit, _charged(case), f"< {limit:,} bytes", f"{found:,} bytes")


def elements_are_allocated_once(case: Priced) -> None:
    """Expect the bytes of the elements to be held, and less than half as many more to be handed out on the way."""
    found, least = case.account(), case.nbytes
    most = least + least // 2 + BUFFER
    expect.that(found.left >= least, f"memory held after {case.act}", f">= {least:,} bytes", f"{found.left:,} bytes")
    expect.that(found.handed_out < most, _charged(case), f"< {most:,} bytes", f"{found.handed_out:,} bytes")


def saves(case: Saving) -> None:
    """Expect the cheaper way to take fewer bytes than the dearer one, by what it is to save at least."""
    cheaper, dearer = case.bytes_of(case.cheaper), case.bytes_of(case.dearer)
    limit = dearer - case.saved
    words = {"at_most": "most memory held at once", "left": "memory held afterwards", "handed_out": "memory allocated"}
    what = f"{words[case.by]} by {case.cheaper!r}, where {case.dearer!r} has {dearer:,} bytes"
    expect.that(cheaper <= limit, what, f"<= {limit:,} bytes", f"{cheaper:,} bytes")


def time_does_not_grow(case: Growth) -> None:
    """Expect the many to take at most three times the few and twenty microseconds.

    The fastest look at each of two million elements takes a hundred microseconds and more, and a copy a thousand.
    """
    few, many = shortest(case.call(case.few)), shortest(case.call(case.many))
    limit = 3 * few + 20
    what = f"time of {case.act} for {case.many:,} elements, {few:.1f} µs for {case.few}"
    expect.that(many <= limit, what, f"<= {limit:.0f} µs", f"{many:.0f} µs")


def time_grows_in_proportion(case: Growth) -> None:
    """Expect eight times as many parameters to take at most sixteen times as long; squared it were 64 times."""
    few, many = (shortest(case.call(n), rounds=5, calls=1) for n in (case.few, case.many))
    limit = 2 * few * case.many / case.few
    what = f"time of {case.act} for {case.many} parameters, {few:.0f} µs for {case.few}"
    expect.that(many <= limit, what, f"<= {limit:.0f} µs", f"{many:.0f} µs")


def _charged(case: Priced) -> str:
    return f"memory allocated by {case.act} for {case.n:,} elements"
