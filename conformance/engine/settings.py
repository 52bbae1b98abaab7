"""Settings: what the command line asks of a run, checked before anything runs."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.cells import Cell
from conformance.engine.expectations import SHIPPED, Expectations
from conformance.engine.targets import Target, choose
from conformance.engine.words import PROFILES, Level, Profile, Verdict
from conformance.engine.yamlfile import SpecError, shown


class UsageError(Exception):
    """An option that cannot be followed; the message says what is possible."""


@dataclass(frozen=True)
class Settings:
    """One run's settings."""

    targets: tuple[Target, ...]
    profile: Profile
    level: Level
    fail_on: Level | None
    seed: int
    shard: tuple[int, int] | None
    expectations: Expectations
    files: tuple[Path, ...]
    record: Path
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, option: Any, arguments: tuple[str, ...], root: Path) -> Settings:
        """Settings from pytest's parsed options; raises UsageError."""
        files = [*([SHIPPED] if SHIPPED.exists() else []), *(Path(name) for name in option.expectations or ())]
        try:
            expectations = Expectations(files)
        except SpecError as error:
            raise UsageError(f"--expectations: {error}") from None
        try:
            targets = choose(option.device or [])
        except ValueError as error:
            raise UsageError(f"--device: {error}") from None
        seed = option.seed if option.seed is not None else _hypothesis_seed(option)
        record = Path(option.run_record) if option.run_record else root / "reports" / "runs" / "latest.json"
        return cls(
            targets, _profile(option.profile), _level("--level", option.level), _fail_on(option.fail_on), seed,
            _shard(option.shard), expectations, tuple(files), _writable(record), arguments,
        )  # fmt: skip

    @property
    def reproducers(self) -> Path:
        """Folder of this run's reproducers, beside its record."""
        return self.record.with_suffix(".reproducers")

    def wants(self, cell: Cell) -> bool:
        """Whether ``cell`` belongs to this run: its level, and its shard."""
        if not cell.behaviour.level.reaches(self.level):
            return False
        return self.shard is None or cell.digest() % self.shard[1] == self.shard[0] - 1

    def fails(self, level: Level, verdict: Verdict) -> bool:
        """Whether a cell of this level and verdict fails the run."""
        if verdict is Verdict.ERROR:
            return True
        broken = verdict in (Verdict.FAIL, Verdict.CRASH, Verdict.TIMEOUT)
        return broken and self.fail_on is not None and level.reaches(self.fail_on)

    def record_settings(self, timeout: float) -> dict[str, Any]:
        """The settings as the run record has them."""
        return {
            "profile": self.profile.name, "samples": self.profile.samples, "seed": self.seed, "level": self.level.value,
            "fail_on": self.fail_on.value if self.fail_on else "none",
            "shard": f"{self.shard[0]}/{self.shard[1]}" if self.shard else None,
            "expectations": [shown(file) for file in self.files], "timeout": timeout, "arguments": list(self.arguments),
        }  # fmt: skip


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise UsageError(f"--profile: expected one of {', '.join(PROFILES)}; found {name!r}")
    return PROFILES[name]


def _level(option: str, name: str) -> Level:
    try:
        return Level(name)
    except ValueError:
        raise UsageError(f"{option}: expected one of must, should, may; found {name!r}") from None


def _fail_on(name: str) -> Level | None:
    if name not in ("must", "should", "none"):
        raise UsageError(f"--fail-on: expected one of must, should, none; found {name!r}")
    return None if name == "none" else Level(name)


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard: expected I/N with 1 <= I <= N, such as 1/4; found {text!r}")
    return int(found[1]), int(found[2])


def _writable(record: Path) -> Path:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        if (record.exists() and not record.is_file()) or not os.access(
            record if record.exists() else record.parent, os.W_OK
        ):
            raise PermissionError(errno.EACCES, "no plain file, or no right to write", str(record))
    except OSError as error:
        raise UsageError(
            f"--run-record: expected a file that can be written; found {record}: {error.strerror}"
        ) from None
    return record.resolve()


def _hypothesis_seed(option: Any) -> int:
    given = getattr(option, "hypothesis_seed", None)
    return int(given) if given is not None and str(given).isdigit() else 0


def seconds_allowed(config: Any) -> float:
    """How long one cell may take, by pytest-timeout's own rules; 0 for any time."""
    given = config.option.timeout
    given = os.environ.get("PYTEST_TIMEOUT") if given is None else given
    return float((config.getini("timeout") if given is None else given) or 0)
