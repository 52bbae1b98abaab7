"""What the verdicts mean to somebody who counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reports.model import Level, Verdict

Group = Literal["failed", "known", "error", "passed", "untested"]


@dataclass(frozen=True)
class Meaning:
    """A verdict as it is shown: a symbol and a word, never colour alone."""

    group: Group
    symbol: str
    word: str
    says: str


VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LEVELS: tuple[Level, ...] = get_args(Level)
GROUPS: tuple[Group, ...] = get_args(Group)

MEANINGS: dict[Verdict, Meaning] = {
    "pass": Meaning("passed", "✓", "pass", "The behaviour holds for every case that ran."),
    "fail": Meaning("failed", "✕", "fail", "The behaviour does not hold: there is a case that breaks it."),
    "known": Meaning("known", "◆", "known", "A listed deviation, still failing."),
    "fixed": Meaning("passed", "◇", "fixed", "A listed deviation that passes: the list is out of date."),
    "unsupported": Meaning("untested", "⊘", "unsupported", "The target says that it cannot do this."),
    "not-applicable": Meaning(
        "untested", "–", "not applicable", "Out of the statement's scope: its versions, devices or capabilities."
    ),
    "inconclusive": Meaning(
        "untested", "?", "inconclusive", "No valid case ran, or torch was left switched otherwise, so nothing is known."
    ),
    "crash": Meaning("failed", "✱", "crash", "The process died."),
    "timeout": Meaning("failed", "◷", "timeout", "The cell did not end in its time."),
    "error": Meaning("error", "!", "error", "The suite itself broke here: this says nothing about the build."),
}

GROUP_MEANINGS: dict[Group, Meaning] = {
    "failed": Meaning("failed", "✕", "failed", "fail, crash or timeout"),
    "known": Meaning("known", "◆", "known", "listed deviations, still failing"),
    "error": Meaning("error", "!", "in error", "the suite itself broke"),
    "passed": Meaning("passed", "✓", "passed", "pass, or fixed"),
    "untested": Meaning("untested", "–", "could not test", "unsupported, not applicable or inconclusive"),
}


def group(verdict: Verdict) -> Group:
    """The group that a verdict is counted in."""
    return MEANINGS[verdict].group
