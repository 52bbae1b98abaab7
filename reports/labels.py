"""Short names that tell runs apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from reports.reading import Record


@dataclass(frozen=True)
class Label:
    """The name of a run in a report: ``A``, ``2.13.0+cpu``, ``cpu, seed 7``, and in a word or two ``seed 7``."""

    letter: str
    torch: str
    detail: str
    short: str

    def __str__(self) -> str:
        return f"{self.letter} {self.torch} ({self.detail})"


def moment(text: str, unit: str = "minutes") -> str:
    """A time of a record as people read it, in UTC: ``2026-11-21 01:36 UTC``."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{at.replace(tzinfo=None).isoformat(' ', timespec=unit)} UTC"


def _devices(record: Record) -> str:
    return " and ".join(dict.fromkeys(target.device or target.type for target in record.run.environment.targets))


# What tells two runs of the same torch and target apart, the most telling first.
_TELLING: tuple[Callable[[Record], str], ...] = (
    _devices,
    lambda record: f"Python {record.run.environment.python}",
    lambda record: f"NumPy {record.run.environment.numpy}",
    lambda record: f"{record.run.environment.machine}",
    lambda record: "debug build" if record.run.environment.torch.debug else "release build",
    lambda record: f"git {(record.run.environment.torch.git or 'unknown')[:10]}",
    lambda record: f"shard {record.run.settings.shard}" if record.run.settings.shard else "no shard",
    lambda record: f"seed {record.run.settings.seed}",
    lambda record: f"{record.run.settings.profile} profile",
    lambda record: moment(record.run.started),
    lambda record: record.path.name,
    lambda record: "/".join(record.path.parts[-2:]),
    lambda record: moment(record.run.started, "seconds"),
    lambda record: "/".join(record.path.parts[-5:]),
)


def letter(number: int) -> str:
    """``A`` to ``Z``, then ``AA``."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def labels(records: Sequence[Record]) -> list[Label]:
    """A label for each record, with no more words than it takes to tell them apart."""
    versions = [record.run.environment.torch.version for record in records]
    targets = [", ".join(target.name for target in record.run.environment.targets) or "no target" for record in records]
    words: list[list[str]] = [[] for _ in records]
    for telling in _TELLING:
        names = list(zip(versions, targets, map(tuple, words), strict=True))
        added = [telling(record) for record in records]
        for name in dict.fromkeys(names):
            same = [number for number, other in enumerate(names) if other == name]
            if len({added[number] for number in same}) > 1:
                for number in same:
                    words[number].append(added[number])
    found = [
        Label(letter(number), version, ", ".join([target, *told]), _short(number, versions, targets, words))
        for number, (version, target, told) in enumerate(zip(versions, targets, words, strict=True))
    ]
    met = Counter(label.short for label in found)
    return [replace(label, short=f"{label.letter} {label.short}") if met[label.short] > 1 else label for label in found]


def _short(number: int, versions: list[str], targets: list[str], words: list[list[str]]) -> str:
    """The torch version where it tells the run apart; else what does, with as little of the rest as that takes."""
    version = versions[number]
    same = [other for other, found in enumerate(versions) if found == version]
    if len(same) == 1:
        return version
    parts = [version] if len(same) < len(versions) else []
    if len({targets[other] for other in same}) > 1:
        parts.append(targets[number])
    return ", ".join([*parts, *words[number]]) or version
