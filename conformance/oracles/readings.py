"""Readings: the bytes that a call reads out of files, whichever thread of the process reads them.

Linux counts what read(2) and its like hand over. What is read by way of a mapping is not in that count.
Reference: https://docs.kernel.org/filesystems/proc.html#proc-pid-io-display-the-io-accounting-fields
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.inputs.growths import Growth
from conformance.oracles import expect

COUNTS = "/proc/self/io"


def no_elements_are_read(case: Growth) -> None:
    """Expect the call on the most elements, of four bytes each, to read less than a quarter of them.

    Nothing is expected where the system does not count what is read.
    """
    n = case.sizes[-1]
    found = bytes_read(case.call(n))
    if found is not None:
        expect.that(found < n, f"bytes that {case.act} reads of {4 * n:,}", f"< {n:,}", f"{found:,}")


def bytes_read(act: Callable[[], Any], counts: str = COUNTS) -> int | None:
    """Bytes that this process reads during a call; None where that is not counted.

    The call is made once before: the first may import a module.
    """
    act()
    before = _counted(counts)
    act()
    after = _counted(counts)
    return after - before if before is not None and after is not None else None


def _counted(counts: str) -> int | None:
    try:
        with open(counts, encoding="ascii") as file:
            figures = dict(line.split(": ") for line in file)
        return int(figures["rchar"])
    except (OSError, KeyError, ValueError):
        return None
