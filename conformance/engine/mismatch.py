"""The two things that a check can say of a case: the behaviour does not hold, or the case is out of its scope."""

from __future__ import annotations


class Mismatch(AssertionError):
    """A documented behaviour that does not hold: what was expected, and what was found instead."""

    def __init__(self, what: str, expected: object, found: object, where: str = "") -> None:
        self.what, self.expected, self.found, self.where = what, str(expected), str(found), where
        place = f" (first difference at {where})" if where else ""
        super().__init__(f"{what}{place}\n  expected: {self.expected}\n  found:    {self.found}")


class Discard(Exception):
    """This case lies outside the statement's scope: it counts neither for nor against the behaviour."""
