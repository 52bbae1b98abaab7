"""The words that the whole suite shares: levels, verdicts and profiles."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(str, Enum):
    """How strongly the documentation puts a statement (RFC 2119)."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"

    def reaches(self, least: Level) -> bool:
        """Whether this level is at least as strong as ``least``."""
        order = [Level.MUST, Level.SHOULD, Level.MAY]
        return order.index(self) <= order.index(least)


class Verdict(str, Enum):
    """What became of a cell."""

    PASS = "pass"
    FAIL = "fail"
    KNOWN = "known"
    FIXED = "fixed"
    UNSUPPORTED = "unsupported"
    NOT_APPLICABLE = "not-applicable"
    INCONCLUSIVE = "inconclusive"
    CRASH = "crash"
    TIMEOUT = "timeout"
    ERROR = "error"


# Verdicts that say that the behaviour was seen not to hold.
BROKEN = frozenset({Verdict.FAIL, Verdict.CRASH, Verdict.TIMEOUT})
# Verdicts of cells that could not be tested: neither passed nor failed.
UNTESTED = frozenset({Verdict.UNSUPPORTED, Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE})


class Profile(NamedTuple):
    """How much a run samples beyond the corners, and how long one cell may take, in seconds."""

    name: str
    samples: int
    timeout: float


PROFILES = {
    profile.name: profile
    for profile in (Profile("smoke", 5, 60.0), Profile("default", 50, 120.0), Profile("thorough", 1000, 900.0))
}
