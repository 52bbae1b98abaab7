"""A run as a page of Markdown, for the summary of a CI job."""

from __future__ import annotations

from collections.abc import Sequence

from reports.headline import headline
from reports.markdown import code, escaped
from reports.model import Cell, Run
from reports.tally import Tally, by_area, by_level, counted, share, standing
from reports.verdicts import GROUP_MEANINGS, GROUPS, LEVELS, group

MOST_FAILURES = 20
LONGEST_DETAIL = 160


def markdown(run: Run) -> str:
    """The standing, the counts by level and by area, what fails, and which listed deviations are none any more."""
    said, version = standing(run), escaped(run.environment.torch.version)
    targets = ", ".join(escaped(target.name) for target in run.environment.targets)
    everything = Tally.of(run.cells)
    passing = share(run, everything)
    lines = [
        f"## {said.words}: torch {version} on {targets or 'no target'}",
        "",
        said.detail.strip() + (f" {passing} of the decided cells pass." if passing else ""),
    ]
    if run.cells:
        levels = [(level, tally) for level, tally in by_level(run).items() if tally.total]
        lines += ["", *_table("Level", levels), "", *_table("Area", _areas(run))]
    failing = sorted(
        (cell for cell in run.cells if group(cell.verdict) == "failed"),
        key=lambda cell: (LEVELS.index(cell.level), cell.id),
    )
    if failing:
        lines += ["", f"### {counted(len(failing), 'cell')} failed", ""]
        lines += [
            f"- **{cell.level}** {code(cell.id)} {cell.verdict}{_detail(cell)}" for cell in failing[:MOST_FAILURES]
        ]
        if len(failing) > MOST_FAILURES:
            lines.append(f"- and {len(failing) - MOST_FAILURES:,} more")
    stale = sorted(cell.id for cell in run.cells if cell.verdict == "fixed")
    if stale:
        lines += ["", f"### The list of deviations is stale: {counted(len(stale), 'listed cell')} passed", ""]
        lines += [f"- {code(each)}" for each in stale[:MOST_FAILURES]]
        if len(stale) > MOST_FAILURES:
            lines.append(f"- and {len(stale) - MOST_FAILURES:,} more")
    if run.errors:
        lines += ["", f"### The suite itself broke in {counted(len(run.errors), 'place')}", ""]
        lines += [f"- {code(_brief(error))}" for error in run.errors[:MOST_FAILURES]]
    return "\n".join(lines) + "\n"


def _areas(run: Run) -> list[tuple[str, Tally]]:
    counts = by_area(run)
    rows = []
    for area in run.areas:
        tallies = [tally for (name, _), tally in counts.items() if name == area.area]
        if tallies:
            rows.append((escaped(area.title), Tally({name: sum(tally[name] for tally in tallies) for name in GROUPS})))
    return rows


def _table(name: str, rows: Sequence[tuple[str, Tally]]) -> list[str]:
    heads = [f"{GROUP_MEANINGS[of].symbol} {GROUP_MEANINGS[of].word}" for of in GROUPS]
    return [
        f"| {name} | {' | '.join(heads)} |",
        f"| --- |{' ---: |' * len(heads)}",
        *(f"| {label} | {' | '.join(f'{tally[of]:,}' for of in GROUPS)} |" for label, tally in rows),
    ]


def _detail(cell: Cell) -> str:
    text = headline(cell)
    return f": {code(_brief(text))}" if text else ""


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}…"
