"""Charges: what a call may be charged for, in bytes of elements."""

from __future__ import annotations

from conformance.inputs.priced import Bill, Priced
from conformance.inputs.savings import Saving
from conformance.oracles import expect
from conformance.oracles.contested import tell_ratio
from conformance.oracles.exponents import fitted

ATTEMPTS = 3
BUFFER = 1 << 14  # bytes: kernels have buffers of a fixed size
OF_PYTHON = 1 << 15  # bytes: what Python may need for itself, but for modules that are imported at a first call


def nothing_is_allocated(case: Priced) -> None:
    """Expect no byte of a tensor's memory to be handed out, and Python to hold less than half of the elements."""
    bills = _fitted(case, (0.0, 0.0))
    for bill in bills:
        expect.that(bill.account.handed_out == 0, _charged(case, bill), "0 bytes", _handed_out(bill))
    _nothing_of_python(case, bills)


def no_result_is_allocated(case: Priced) -> None:
    """Expect less than a quarter of what is written to be handed out."""
    bills = _fitted(case, (0.0, 0.0))
    for bill in bills:
        limit = max(bill.written // 4, 1024)
        what = f"{_charged(case, bill)}, which writes {bill.written:,} bytes"
        expect.that(bill.account.handed_out < limit, what, f"< {limit:,} bytes", _handed_out(bill))
    _nothing_of_python(case, bills)


def elements_are_allocated_once(case: Priced) -> None:
    """Expect the bytes of the elements to be held, and less than half as many more to be handed out on the way."""
    bills = _fitted(case, (0.9, 1.1))
    for bill in bills:
        least, left = case.nbytes(bill.n, bill.layout), bill.account.left
        most = least + least // 2 + BUFFER
        expect.that(left >= least, f"memory held after {case.act}", f">= {least:,} bytes", f"{left:,} bytes")
        expect.that(bill.account.handed_out < most, _charged(case, bill), f"< {most:,} bytes", _handed_out(bill))
    _nothing_of_python(case, bills)


def _fitted(case: Priced, expected: tuple[float, float]) -> list[Bill]:
    """The bills, with the exponent of the bytes in the evidence."""
    bills = case.bills()
    fitted("bytes", [(bill.n, bill.account.handed_out) for bill in bills if bill.layout == "contiguous"], expected)
    return bills


def _nothing_of_python(case: Priced, bills: list[Bill]) -> None:
    """Expect Python and NumPy to hold less than half of the elements, where those are more than Python itself needs."""
    for bill in bills:
        least, limit = bill.account.python, case.nbytes(bill.n, bill.layout) // 2
        if limit < OF_PYTHON:
            continue
        attempt = 1
        while (
            least >= limit and attempt < ATTEMPTS
        ):  # modules that are imported at a first call are none of its elements
            least, attempt = min(least, case.again(bill).python), attempt + 1
        what = f"memory that Python and NumPy hold for {case.act} of {bill.n:,} elements"
        expect.that(least < limit, what, f"< {limit:,} bytes", f"{least:,} bytes")


def saves(case: Saving) -> None:
    """Expect the cheaper way to take fewer bytes than the dearer one, by what it is to save at least."""
    cheaper, dearer = case.bytes_of(case.cheaper), case.bytes_of(case.dearer)
    limit = dearer - case.saved
    if dearer > 0 and cheaper >= 0:
        ratio = cheaper / dearer
        tell_ratio(case.cheaper, case.dearer, ratio, (ratio, ratio), f"<= {limit / dearer:.3g}")
    words = {"at_most": "most memory held at once", "left": "memory held afterwards", "handed_out": "memory allocated"}
    what = f"{words[case.by]} by {case.cheaper!r}, where {case.dearer!r} has {dearer:,} bytes"
    expect.that(cheaper <= limit, what, f"<= {limit:,} bytes", f"{cheaper:,} bytes")


def _charged(case: Priced, bill: Bill) -> str:
    laid = "" if bill.layout == "contiguous" else f", {bill.layout}"
    return f"memory allocated by {case.act} for {bill.n:,} elements of {case.dtype}{laid}"


def _handed_out(bill: Bill) -> str:
    return f"{bill.account.handed_out:,} bytes"
