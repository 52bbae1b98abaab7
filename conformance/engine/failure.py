"""Failures in words: within a screen, in the order in which a person needs it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from conformance.engine import reproducer
from conformance.engine.cells import Cell
from conformance.engine.expectations import SHIPPED
from conformance.engine.runner import Failure, Outcome
from conformance.engine.settings import Settings
from conformance.engine.standpoint import Stands
from conformance.engine.words import Verdict

LONGEST = 3000
AGAIN = "rerun.json"  # the record of a cell that is run again, beside that of its run


@dataclass
class Report:
    """What a cell that did not pass shows of itself; empty for one that did."""

    message: str | None = None
    compared: str | None = None
    expected: str | None = None
    found: str | None = None
    minimal: str | None = None
    rerun: str | None = None
    reason: str | None = None
    reproducer: str | None = None


def describe(
    cell: Cell, check: Callable[[Any], Any], outcome: Outcome, settings: Settings, node: str, kills: bool = False
) -> Report:
    """The report of one outcome; writes the reproducer where a case failed, or says why there is none."""
    if outcome.failure is None and outcome.verdict not in (Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT):
        return Report()
    rerun = rerun_command(cell, settings, node)
    here = rerun_command(cell, settings, node, settings.stands)
    failure = outcome.failure
    if failure is None or outcome.verdict is Verdict.ERROR:
        return Report(f"{heading(cell, outcome)}\n\n{outcome.reason}\n\nrerun: {here}", rerun=rerun)
    minimal, path, place = _written(cell, check, failure, settings, kills)
    where = f" (first difference at {failure.where})" if failure.where else ""
    message = (
        f"{heading(cell, outcome)}\n\n"
        f"minimal input ({failure.phase} case):\n\n{_indented(minimal)}\n\n"
        f"{failure.what}{where}\n"
        f"  expected: {_short(failure.expected)}\n  found:    {_short(failure.found)}\n\n"
        f"torch {torch.__version__}, target {cell.target.name}\n"
        f"rerun:      {here}\n"
        f"reproducer: {place}"
    )
    return Report(
        message, f"{failure.what}{where}", failure.expected, failure.found, minimal, rerun,
        reproducer=path.relative_to(settings.record.parent).as_posix() if path else None,
    )  # fmt: skip


def _written(
    cell: Cell, check: Callable[[Any], Any], failure: Failure, settings: Settings, kills: bool
) -> tuple[str, Path | None, str]:
    """The minimal case in plain torch, the path of its script, and that path, or why there is none, in words."""
    minimal = object.__repr__(failure.case)
    try:
        minimal = _short(reproducer.plain_code(failure.case, check))
        script = reproducer.script(cell, check, failure.case, failure.expected, failure.found, kills)
        path = reproducer.write(settings.reproducers, cell, script)
        return minimal, path, os.path.relpath(path)
    except Exception as error:  # the verdict stands, whatever keeps a case from being written out
        return minimal, None, f"none could be written: {type(error).__name__}: {error}"


def heading(cell: Cell, outcome: Outcome) -> str:
    """Cell, statement, level and link."""
    behaviour = cell.behaviour
    link = behaviour.docs.url(cell.subject_name) or "(no page)"
    return f"{outcome.verdict.value.upper()} {cell.id}\n{behaviour.level.value}: {behaviour.statement}\n{link}"


def allowed(entry: dict[str, Any]) -> str:
    """The message of a cell that is broken and fails no run: that of one that does, and that it is allowed."""
    first, _, rest = str(entry["message"]).partition("\n")
    return f"{first} ({entry['level']}: allowed)\n{rest}"


def rerun_command(cell: Cell, settings: Settings, node: str, stands: Stands | None = None) -> str:
    """The command that runs this one cell again, with the same cases: in the checkout, or where the user stands.

    It is judged by the same expectations files, and its record is one of its own, lest it replace that of the run and
    the scripts beside it.
    """
    seed = f" --seed {settings.seed}" if settings.seed else ""
    if stands is None:
        folder, program, named, record = settings.stands.root, "pytest", node, f"reports/runs/{AGAIN}"
    else:
        folder, program, named = stands.folder, stands.program, stands.named(node)
        record = os.path.relpath(settings.record.with_name(AGAIN), stands.folder)
    options = f"--device {shlex.quote(cell.target.name)} --profile {settings.profile.name}{seed}"
    if settings.timeout is not None:
        options += f" --timeout {settings.timeout:g}"
    for file in settings.files:
        if file != SHIPPED:
            options += f" --expectations {shlex.quote(os.path.relpath(file, folder))}"
    for place in settings.examples.places if settings.examples else ():
        options += f" --example-database={shlex.quote(place)}"
    for module in settings.plugins:
        options += f" --plugin {module}"
    for file in settings.described:
        options += f" --targets {shlex.quote(os.path.relpath(file, folder))}"
    return f"{program} -n 1 {options} {shlex.quote(named)} --run-record {shlex.quote(record)}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
