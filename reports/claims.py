"""The claims of tutorials, and what a run says of each: computed from its cells, those of merged shards too."""

from __future__ import annotations

import json
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Literal

from reports.faults import one_line
from reports.model import Cell, Claim, Run
from reports.pool import Pool
from reports.tally import counted, joined
from reports.verdicts import group

Word = Literal["confirmed", "conditional", "outdated", "false", "undecided"]
State = Literal["holds", "partly", "fails", "out of scope", "untested"]

WORDS: dict[Word, tuple[str, str, str]] = {
    "confirmed": ("✓", "confirmed", "What decides it holds here."),
    "conditional": ("◆", "confirmed with a condition", "It holds here, but not as widely as it is put."),
    "outdated": ("◇", "outdated", "It was true once, and is not in this release."),
    "false": ("✕", "false", "What decides it holds here and says the contrary, or fails here."),
    "undecided": ("–", "cannot be decided here", "No behaviour decides it, or none that was tested here."),
}
"""Each verdict's symbol, its words and what it means."""


@dataclass(frozen=True)
class Decision:
    """The verdict of a claim in one run, and why."""

    word: Word
    why: str
    release: str | None = None

    @property
    def words(self) -> str:
        """The verdict as people read it: ``outdated since 1.8``."""
        return f"outdated since {self.release}" if self.release else WORDS[self.word][1]


def listed(runs: Sequence[Run]) -> list[Claim]:
    """The claims of some runs, each as the first run that has it puts it."""
    found: dict[str, Claim] = {}
    for run in runs:
        for claim in run.claims:
            found.setdefault(claim.id, claim)
    return list(found.values())


def decisions(claims: Sequence[Claim], run: Run) -> list[Decision]:
    """What a run says of each of the claims."""
    cells: dict[str, list[Cell]] = {}
    for cell in run.cells:
        cells.setdefault(f"{cell.area}.{cell.behaviour}", []).append(cell)
    return [_decision(claim, cells) for claim in claims]


def _decision(claim: Claim, cells: dict[str, list[Cell]]) -> Decision:
    if claim.undecidable is not None:
        return Decision("undecided", claim.undecidable)
    if not claim.decided_by:
        return Decision("undecided", "No behaviour decides it.")
    states = {reference: _state(_of(reference, cells)) for reference in claim.decided_by}
    told = {reference: state for reference, state in states.items() if state != "out of scope"}
    if not told:
        return Decision("undecided", f"{joined(states)} {_verb(states, 'speak')} of other releases, devices or builds.")
    named = {state: [each for each, its in told.items() if its == state] for state in told.values()}
    refuting = ("holds", "partly") if claim.expects == "fails" else ("fails",)
    if refuted := [reference for reference, state in told.items() if state in refuting]:
        return _refuted(claim, refuted)
    if untested := named.get("untested"):
        were = "was" if len(untested) == 1 else "were"
        return Decision("undecided", f"{joined(untested)} {were} not tested in this run.")
    if claim.expects == "fails":
        return Decision("confirmed", _failing(named["fails"]))
    conditions = [claim.condition] if claim.condition else []
    conditions += [
        f"{reference} fails here in {_share(_of(reference, cells))}." for reference in named.get("partly", [])
    ]
    return Decision("conditional", " ".join(conditions)) if conditions else Decision("confirmed", "")


def _refuted(claim: Claim, by: Sequence[str]) -> Decision:
    """A claim that one behaviour refutes is not true, whatever became of the others."""
    if claim.expects == "holds":
        return Decision("false", _failing(by))
    why = f"{joined(by)} {_verb(by, 'hold')}, and {_verb(by, 'say')} the contrary."
    return Decision("outdated", why, claim.outdated_since) if claim.outdated_since else Decision("false", why)


def _failing(references: Sequence[str]) -> str:
    return f"{joined(references)} {_verb(references, 'fail')} here."


def _of(reference: str, cells: dict[str, list[Cell]]) -> list[Cell]:
    """The cells that a reference names: of a behaviour, or of one subject of it."""
    behaviour, _, subject = reference.removesuffix("]").partition("[")
    return [cell for cell in cells.get(behaviour, ()) if not subject or cell.subject == subject]


def _state(cells: Sequence[Cell]) -> State:
    groups = [group(cell.verdict) for cell in cells]
    holds, fails = "passed" in groups, "failed" in groups or "known" in groups
    if holds or fails:
        return "holds" if not fails else "partly" if holds else "fails"
    return "out of scope" if cells and all(cell.verdict == "not-applicable" for cell in cells) else "untested"


def _share(cells: Sequence[Cell]) -> str:
    failing = sum(group(cell.verdict) in ("failed", "known") for cell in cells)
    return f"{failing:,} of {counted(len(cells), 'cell')}"


def _verb(subjects: Sized, verb: str) -> str:
    return f"{verb}s" if len(subjects) == 1 else verb


def counts(found: Sequence[Decision]) -> dict[Word, int]:
    """How many claims there are of each verdict."""
    return {word: sum(each.word == word for each in found) for word in WORDS}


def text(run: Run, only: Sequence[Word] = ()) -> str:
    """For a terminal: a line for each claim with a verdict, then the counts."""
    found = decisions(run.claims, run)
    shown = [(claim, each) for claim, each in zip(run.claims, found, strict=True) if not only or each.word in only]
    width = max((len(each.words) for _, each in shown), default=0)
    lines = [
        f"{each.words:<{width}}  {claim.id}: {claim.claim}" + (f" ({each.why})" if each.why else "")
        for claim, each in shown
    ]
    numbers = ", ".join(f"{number} {WORDS[word][1]}" for word, number in counts(found).items() if number)
    if found and not shown:
        lines.append(f"No claim is {' or '.join(WORDS[word][1] for word in only)}.")
    lines += [
        *([""] if lines else []),
        f"{counted(len(found), 'claim')}: {numbers}." if found else "The record has no claims.",
    ]
    return "\n".join(map(one_line, lines)) + "\n"


def document(run: Run) -> str:
    """For a program: the claims with their verdicts, and how many there are of each."""
    found = decisions(run.claims, run)
    rows = [
        {**claim.model_dump(), "verdict": decision.words, "kind": decision.word, "why": decision.why}
        for claim, decision in zip(run.claims, found, strict=True)
    ]
    return json.dumps({"counts": counts(found), "claims": rows}, indent=1) + "\n"


def index(runs: Sequence[Run]) -> dict[str, object]:
    """What the page shows: the verdicts with their meanings, and each claim with those that it has in the runs."""
    claims, whys = listed(runs), Pool()
    found = [decisions(claims, run) for run in runs]
    words = list(WORDS)
    rows = [
        {
            **claim.model_dump(exclude={"condition", "undecidable", "outdated_since"}),
            "verdicts": [
                [words.index(of[number].word), whys.number(of[number].why), of[number].release] for of in found
            ],
        }
        for number, claim in enumerate(claims)
    ]
    verdicts = [
        {"name": word, "symbol": symbol, "word": said, "says": says} for word, (symbol, said, says) in WORDS.items()
    ]
    return {"verdicts": verdicts, "whys": whys.values, "rows": rows}
