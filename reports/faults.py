"""What is wrong with a file, in one line each: where, what was expected, what was found, and the way out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a file."""

    file: str
    place: str
    expected: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f": {self.place}" if self.place else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{self.file}{place}: expected {self.expected}, found {self.found}{remedy}")


class UnreadableError(Exception):
    """A file that is no valid run record."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def one_line(text: str) -> str:
    """The text with everything that would break a line, or move the cursor, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
