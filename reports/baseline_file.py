"""Baselines: the timings of a run, kept in a file of their own, one for each machine and release of torch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from reports.faults import Fault, UnreadableError
from reports.model import Fingerprint, Measurement, Moment, Part, Performance, Text
from reports.opening import content, refuse
from reports.reading import document, load, shape

FOLDER = Path("reports/baselines")
SCHEMA: Literal["baseline/1"] = "baseline/1"


class Baseline(Part):
    """The file: which torch was timed when, and the part of the record that has the timings."""

    schema_: Literal["baseline/1"] = Field(alias="schema")
    torch: Text
    git: str | None = None
    suite: Text
    timed: Moment
    performance: Performance


@dataclass(frozen=True)
class Timed:
    """Timings, and the file that they were read from."""

    path: Path
    torch: str
    performance: Performance


def of_run(path: Path) -> Timed:
    """The timings of a run record; raises UnreadableError."""
    return _of_run(path)[0]


def _of_run(path: Path) -> tuple[Timed, Baseline]:
    run = load(path).run
    if run.performance is None or not run.performance.measurements:
        remedy = "make one with pytest -m performance, or with python -m conformance run --performance"
        refuse(path, "performance", "timings", "a run without any", remedy)
    if not run.complete:
        refuse(path, "complete", "a run that went through", "one that was cut off", "its timings are not all there")
    torch = run.environment.torch
    kept = Baseline(
        schema_=SCHEMA, torch=torch.version, git=torch.git, suite=run.suite.version, timed=run.finished or run.started,
        performance=run.performance,
    )  # fmt: skip
    return Timed(path, torch.version, run.performance), kept


def save(run: Path, folder: Path) -> tuple[Path, str]:
    """Name and text of the baseline of a run; raises UnreadableError."""
    _, kept = _of_run(run)
    version = re.sub(r"[^\w.+-]", "_", kept.torch)
    text = json.dumps(kept.model_dump(mode="json", by_alias=True, exclude_unset=True), indent=1)
    return folder / f"{kept.performance.fingerprint.id}-torch-{version}.json", text + "\n"


def read(path: Path) -> Timed:
    """A baseline, or the timings of a run record; raises UnreadableError with one fault."""
    found = document(path, content(path))
    if not isinstance(found, dict) or not str(found.get("schema", "")).startswith("baseline/"):
        try:
            return of_run(path)
        except UnreadableError as error:
            raise UnreadableError(error.faults[:1]) from None
    if found["schema"] != SCHEMA:
        refuse(
            path, "schema", f'"{SCHEMA}"', f'"{found["schema"]}"', "read it with the release of the suite that wrote it"
        )
    try:
        kept = Baseline.model_validate(found)
    except ValidationError as error:
        raise UnreadableError(list(shape(path, found, error))[:1]) from None
    return Timed(path, kept.torch, kept.performance)


def against(named: Path, run: Timed, normalise: bool) -> Timed:
    """The baseline to compare with: the file named, or the one of a folder that fits; raises UnreadableError."""
    if not named.is_dir():
        return read(named)
    there = [read(path) for path in sorted(named.glob("*.json"))]
    wanted = run.performance.fingerprint
    own = [each for each in there if each.performance.fingerprint.id == wanted.id] or (there if normalise else [])
    fits = [each for each in own if each.torch == run.torch] or own
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = _named(fits)
        refuse(named, "", f"one baseline to compare torch {run.torch} with", names, "name one with --against FILE")
    found = _named(there) if there else "none"
    remedy = "save one with python -m reports baseline save RUN.json, or give --normalise"
    refuse(named, "", f"a baseline of this machine, {described(wanted)}", found, remedy)


def check_kept(path: Path, run: Path) -> None:
    """Refuse to replace all calls by some of them; raises UnreadableError."""
    if not path.exists():
        return
    new, old = (set(map(name_of, each.performance.measurements)) for each in (of_run(run), read(path)))
    if old - new:
        expected = f"the {len(old)} calls that {path} has"
        found = f"a run that has not timed {len(old - new)} of them"
        refuse(run, "performance.measurements", expected, found, "keep it elsewhere with -o, or give --replace")


def check_timings(timed: Timed, normalise: bool) -> None:
    """Refuse two timings of one call, and what --normalise divides by nothing; raises UnreadableError."""
    counts = Counter(map(name_of, timed.performance.measurements))
    name, most = counts.most_common(1)[0] if counts else ("", 0)
    if most > 1:
        told = ", ".join(map(str, name))
        refuse(timed.path, "performance.measurements", "each call once", f"{most} of {told}", "make it anew")
    if not normalise:
        return
    there = {(each.target, each.name) for each in timed.performance.yardsticks if each.median > 0}
    for target in sorted({each.target for each in timed.performance.measurements}):
        for name in ("copy", "empty call"):
            if (target, name) not in there:
                expected, found = f"the yardstick {name} on {target} for --normalise", "none that took any time"
                refuse(timed.path, "performance.yardsticks", expected, found, "time it anew")


def name_of(each: Measurement) -> tuple[str | int, ...]:
    """What tells a call from all others."""
    return each.subject, each.kind, each.target, each.dtype, each.size, each.elements


def check_machine(run: Timed, base: Timed) -> None:
    """Refuse to compare the seconds of two machines; raises UnreadableError."""
    own, other = run.performance.fingerprint, base.performance.fingerprint
    if own.id != other.id:
        found, remedy = f"{described(own)}", "give --normalise to compare by yardsticks"
        expected = f"the machine of {base.path}, {described(other)}"
        raise UnreadableError([Fault(str(run.path), "performance.fingerprint", expected, found, remedy)])
    if run.performance.threads != base.performance.threads:
        expected, found = f"{base.performance.threads} threads, as {base.path}", f"{run.performance.threads}"
        refuse(run.path, "performance.threads", expected, found, "time both on as many")


def described(machine: Fingerprint) -> str:
    """A machine in a few words: ``89142f15a69e (AMD EPYC, 2 cores, 24 GiB, Linux x86_64, Python 3.11)``."""
    parts = [
        machine.processor, f"{machine.cores} cores", f"{machine.memory_gib} GiB", f"{machine.system} {machine.machine}",
        f"Python {machine.python}", *([machine.accelerator] if machine.accelerator else []),
    ]  # fmt: skip
    return f"{machine.id} ({', '.join(parts)})"


def _named(files: Sequence[Timed]) -> str:
    names = [each.path.name for each in files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
