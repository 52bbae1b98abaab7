"""Short names that tell runs apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.reading import Record


@dataclass(frozen=True)
class Label:
    """The name of a run in a report: ``A``, ``2.13.0+cpu``, ``cpu``."""

    letter: str
    torch: str
    detail: str

    def __str__(self) -> str:
        return f"{self.letter} {self.torch} ({self.detail})"


# What tells two runs of the same torch and device apart, the most telling first.
_TELLING: tuple[Callable[[Record], str], ...] = (
    lambda record: f"Python {record.run.environment.python}",
    lambda record: f"NumPy {record.run.environment.numpy}",
    lambda record: f"{record.run.environment.machine}",
    lambda record: "debug build" if record.run.environment.torch.debug else "release build",
    lambda record: f"git {(record.run.environment.torch.git or 'unknown')[:10]}",
    lambda record: f"shard {record.run.settings.shard}",
    lambda record: f"{record.run.settings.profile}",
    lambda record: f"seed {record.run.settings.seed}",
    lambda record: record.run.started,
    lambda record: record.path.name,
)


def letter(number: int) -> str:
    """``A`` to ``Z``, then ``AA``."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def labels(records: Sequence[Record]) -> list[Label]:
    """A label for each record, with no more words than it takes to tell them apart."""
    details = [", ".join(target.name for target in record.run.environment.targets) or "no target" for record in records]
    for telling in _TELLING:
        names = [
            (record.run.environment.torch.version, detail) for record, detail in zip(records, details, strict=True)
        ]
        met = Counter(names)
        added = [telling(record) for record in records]
        for name in met:
            same = [number for number, other in enumerate(names) if other == name]
            if len({added[number] for number in same}) > 1:
                for number in same:
                    details[number] += f", {added[number]}"
    return [
        Label(letter(number), record.run.environment.torch.version, detail)
        for number, (record, detail) in enumerate(zip(records, details, strict=True))
    ]
