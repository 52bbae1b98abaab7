"""The difference of two runs put down: for a terminal, for a program, for a CI job page, for a browser."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from reports.baseline_pairs import told
from reports.circumstances import Circumstance, differing
from reports.differences import KINDS, WORSE, Difference, differences, in_common, of_kind, said, worse
from reports.faults import one_line
from reports.markdown import code, escaped
from reports.model import Run, Verdict
from reports.slowness import Slower, Slowness, incomparable, slowness
from reports.tally import counted, limit, standing, whole
from reports.templating import rendered
from reports.verdicts import MEANINGS

LONGEST_DETAIL = 160


@dataclass(frozen=True)
class Comparison:
    """Two runs, what differs around them, and the cells that they disagree about."""

    first: Run
    second: Run
    around: list[Circumstance]
    cells: list[Difference]
    slower: Slowness | str
    """The calls that take longer, or why times are not compared."""

    @classmethod
    def of(cls, first: Run, second: Run) -> Comparison:
        """Compare two runs."""
        slower = incomparable(first, second) or slowness(first, second)
        return cls(first, second, differing(first, second), differences(first, second), slower)

    @property
    def apart(self) -> bool:
        """Whether there is nothing to compare: there are cells, and none is in both runs.

        What a run lost that was cut off before its first cell is a difference, and what nobody asked it for is none.
        """
        if in_common(self.first, self.second) or not (self.first.cells or self.second.cells):
            return False
        return bool(self.second.cells) or self.second.complete

    @property
    def worse(self) -> bool:
        """Whether the second run is the worse one."""
        return not self.apart and worse(self.cells)

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if self.apart:
            return "A and B cannot be compared: no cell is in both."
        if not self.cells:
            return "No cell differs."
        kinds = of_kind(self.cells)
        if not self.worse:
            return f"B is not worse than A: {_listed([said(kind, len(some)) for kind, some in kinds.items()])}."
        return f"B is worse than A: {_listed([said(kind, len(kinds[kind])) for kind in WORSE if kind in kinds])}."

    @property
    def slowed(self) -> str:
        """What became slower, in a line; nothing where nothing did."""
        if isinstance(self.slower, str) or not self.slower.calls:
            return ""
        near = f"nineteen of twenty within {self.slower.spread:.2f} times of it"
        usual = f"{self.slower.usual:.1f} times in the median, {near}"
        number = len(self.slower.calls)
        slower = (
            f"{counted(number, 'call')} {'takes' if number == 1 else 'take'} over {self.slower.bar:.1f} times as long"
        )
        return f"{slower}, noise excluded, of {self.slower.pairs:,} that both runs timed ({usual})"

    @property
    def slowest(self) -> list[tuple[str, str]]:
        """The calls that became slower, each with its times in words."""
        return [] if isinstance(self.slower, str) else [(each.call, _times(each)) for each in self.slower.calls]


def _times(each: Slower) -> str:
    low, high = each.interval
    return f"{told(each.before)} → {told(each.after)}, {each.ratio:.1f} times as long ({low:.1f} to {high:.1f})"


def _listed(words: list[str]) -> str:
    return ", ".join(words)


def _named(letter: str, run: Run) -> str:
    return f"{letter}  torch {run.environment.torch.version}, {counted(len(run.cells), 'cell')}{_doubt(run)}"


def _doubt(run: Run) -> str:
    if found := limit(run):
        return f", {found.name.lower()}"
    return ", with suite errors" if run.errors else ""


def _word(verdict: Verdict | None) -> str:
    return f"{MEANINGS[verdict].symbol} {MEANINGS[verdict].word}" if verdict else "· no verdict"


def text(found: Comparison, longest: int = 50) -> str:
    """For a terminal: what differs around the runs, what broke, what was repaired, what is new and gone."""
    lines = [_named("A", found.first), _named("B", found.second), ""]
    if found.around:
        width = max(len(each.name) for each in found.around)
        lines.append("What differs around them:")
        lines += [f"  {each.name:<{width}}  {each.first} → {each.second}" for each in found.around]
    else:
        lines.append("Nothing else differs: build, devices, versions and settings are the same.")
    lines.append("")
    for kind, some in of_kind(found.cells).items():
        lines.append(f"{said(kind, len(some))}:")
        for each in some[:longest]:
            lines.append(f"  {_word(each.before)} → {_word(each.after)}  {each.level:<6}  {each.cell}")
            if each.detail and kind in WORSE:
                lines.append(f"      {_short(each.detail)}")
        if len(some) > longest:
            lines.append(f"  and {len(some) - longest:,} more (all of them: --format json)")
        lines.append("")
    if found.slowest:
        lines.append(f"{found.slowed}:")
        lines += [f"  {call}: {times}" for call, times in found.slowest[:longest]]
        if len(found.slowest) > longest:
            lines.append(f"  and {len(found.slowest) - longest:,} more (all of them: --format json)")
        lines.append("")
    lines.append(found.verdict)
    return "\n".join(map(one_line, lines)) + "\n"


def _short(detail: str) -> str:
    return detail if len(detail) <= LONGEST_DETAIL else f"{detail[:LONGEST_DETAIL]}…"


def markdown(found: Comparison, longest: int = 20) -> str:
    """For the page of a CI job or a comment of a pull request."""
    runs = {"A": found.first, "B": found.second}
    lines = [
        f"## {found.verdict}",
        "",
        "| | A | B |",
        "| --- | --- | --- |",
        f"| torch | {' | '.join(escaped(run.environment.torch.version) for run in runs.values())} |",
        f"| standing | {' | '.join(escaped(standing(run).words) for run in runs.values())} |",
        f"| cells | {' | '.join(f'{len(run.cells):,}' for run in runs.values())} |",
        *(
            f"| {each.name} | {escaped(each.first)} | {escaped(each.second)} |"
            for each in found.around
            if each.name != "torch"
        ),
    ]
    for kind, some in of_kind(found.cells).items():
        lines += ["", f"### {said(kind, len(some))}", ""]
        for each in some[:longest]:
            detail = f": {code(_short(each.detail))}" if each.detail and kind in WORSE else ""
            change = f"{_word(each.before)} → {_word(each.after)}"
            lines.append(f"- **{each.level}** {code(each.cell)} {change}{detail}")
        if len(some) > longest:
            lines.append(f"- and {len(some) - longest:,} more")
    if found.slowest:
        lines += ["", f"### {found.slowed}", ""]
        lines += [f"- {code(call)} {times}" for call, times in found.slowest[:longest]]
        if len(found.slowest) > longest:
            lines.append(f"- and {len(found.slowest) - longest:,} more")
    return "\n".join(lines) + "\n"


def html(found: Comparison) -> str:
    """For a browser: one file that asks for nothing and holds every cell that differs."""
    kinds = [
        (said(kind, len(some)), kind in WORSE, [(each, _mark(each.before), _mark(each.after)) for each in some])
        for kind, some in of_kind(found.cells).items()
    ]
    runs = [("A", found.first, standing(found.first)), ("B", found.second, standing(found.second))]
    return rendered(
        "comparison.html", ("base.css", "comparison.css"), found=found, kinds=kinds, runs=runs, counted=counted
    )


def _mark(verdict: Verdict | None) -> dict[str, str]:
    if verdict is None:
        return {"symbol": "·", "word": "no verdict", "group": "none"}
    meaning = MEANINGS[verdict]
    return {"symbol": meaning.symbol, "word": meaning.word, "group": meaning.group}


def document(found: Comparison) -> dict[str, object]:
    """For a program."""
    return {
        "worse": found.worse,
        "comparable": not found.apart,
        **{
            name: {"torch": run.environment.torch.version, "whole": whole(run), "cells": len(run.cells)}
            for name, run in (("first", found.first), ("second", found.second))
        },
        "differing": [{"field": each.name, "first": each.first, "second": each.second} for each in found.around],
        "counts": {kind: sum(each.kind == kind for each in found.cells) for kind in KINDS},
        "slower": None if isinstance(found.slower, str) else asdict(found.slower),
        "untimed": found.slower if isinstance(found.slower, str) else None,
        "cells": [
            {
                "id": each.cell,
                "kind": each.kind,
                "level": each.level,
                "before": each.before,
                "after": each.after,
                "detail": each.detail,
            }
            for each in found.cells
        ],
    }
