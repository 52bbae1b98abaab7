"""Where and how a run was made, field by field: what two runs differ in before any verdict does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.model import Run
from reports.tally import limit


@dataclass(frozen=True)
class Circumstance:
    """A field of which two runs have different values."""

    name: str
    first: str
    second: str


def _told(value: object) -> str:
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _device(run: Run) -> str:
    found = [", ".join(filter(None, (each.name, each.device, each.driver))) for each in run.environment.targets]
    return "; ".join(found)


def _extent(run: Run) -> str:
    found = limit(run)
    return found.says.rstrip(".") if found else "the whole suite"


FIELDS: dict[str, Callable[[Run], object]] = {
    "torch": lambda run: run.environment.torch.version,
    "torch commit": lambda run: run.environment.torch.git,
    "debug build": lambda run: run.environment.torch.debug,
    "CUDA": lambda run: run.environment.torch.cuda,
    "HIP": lambda run: run.environment.torch.hip,
    "targets": _device,
    "NumPy": lambda run: run.environment.numpy,
    "Python": lambda run: run.environment.python,
    "platform": lambda run: run.environment.platform,
    "suite": lambda run: " ".join(filter(None, (run.suite.name, run.suite.version, run.suite.commit))),
    "profile": lambda run: run.settings.profile,
    "samples": lambda run: run.settings.samples,
    "seed": lambda run: run.settings.seed,
    "lowest level": lambda run: run.settings.level,
    "expectations": lambda run: ", ".join(run.settings.expectations),
    "extent": _extent,
}


def differing(first: Run, second: Run) -> list[Circumstance]:
    """The fields that differ, the most telling first."""
    pairs = ((name, _told(of(first)), _told(of(second))) for name, of in FIELDS.items())
    return [Circumstance(name, one, other) for name, one, other in pairs if one != other]
