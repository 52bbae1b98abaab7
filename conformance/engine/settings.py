"""Settings: what the command line asks of a run, checked before anything runs."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.cells import Cell
from conformance.engine.examples import Examples, Unreachable
from conformance.engine.expectations import SHIPPED, Expectations
from conformance.engine.standpoint import Stands
from conformance.engine.targets import Target, choose, plug_in
from conformance.engine.words import PROFILES, Level, Profile, Verdict
from conformance.engine.yamlfile import SpecError, shown

LARGEST_SEED = 2**53 - 1  # what every reader of JSON keeps exactly
LONGEST_WAIT = 100 * 24 * 3600.0  # seconds that timers of every system take


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
    stands: Stands
    plugins: tuple[str, ...] = ()
    described: tuple[Path, ...] = ()  # files that describe targets
    timeout: float | None = None  # seconds that a cell may take, where it is not what the profile gives it
    examples: Examples | None = None

    @classmethod
    def of(cls, option: Any, arguments: tuple[str, ...], root: Path, folder: Path | None = None) -> Settings:
        """Settings from pytest's parsed options; raises UsageError."""
        if "" in (option.expectations or ()):
            raise UsageError("--expectations: expected the path of a YAML file; found ''")
        files = [*([SHIPPED] if SHIPPED.exists() else []), *(Path(name) for name in option.expectations or ())]
        try:
            expectations = Expectations(files)
        except SpecError as error:
            raise UsageError(f"--expectations: {error}") from None
        try:
            for module in option.plugin or ():
                plug_in(module)
        except ValueError as error:
            raise UsageError(f"--plugin: {error}") from None
        modules, described = tuple(option.plugin or ()), tuple(Path(name) for name in option.targets or ())
        try:
            targets = choose(option.device or [], described, modules)
        except SpecError as error:
            raise UsageError(f"--targets: {error}") from None
        except ValueError as error:
            raise UsageError(f"--device: {error}") from None
        try:
            examples = Examples(option.example_database, root) if option.example_database else None
        except Unreachable as error:
            raise UsageError(f"--example-database: {error}") from None
        record = root / "reports" / "runs" / "latest.json" if option.run_record is None else Path(option.run_record)
        return cls(
            targets, _profile(option.profile), _level("--level", option.level), _fail_on(option.fail_on), _seed(option),
            _shard(option.shard), expectations, tuple(files),
            record.resolve() if option.collectonly else _writable(record, option.run_record), arguments,
            Stands(folder or root, root), modules, described, examples=examples,
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
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard: expected I/N with 1 <= I <= N, such as 1/4; found {text!r}")
    return int(found[1]), int(found[2])


def _writable(record: Path, named: str | None) -> Path:
    """Where the record goes, its folder made; a file that is there already is replaced where it is a run record."""
    found = f"--run-record: expected a file that can be written, such as run.json; found {named or str(record)!r}"
    if named == "":
        raise UsageError("--run-record: expected the path of a file, such as run.json; found ''")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        if record.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder")
        if record.exists() and not record.is_file():
            raise PermissionError(errno.EACCES, "no plain file")
        # it is replaced and not written to, so what counts is the folder
        if not os.access(record.parent, os.W_OK | os.X_OK) or (record.exists() and not os.access(record, os.W_OK)):
            raise PermissionError(errno.EACCES, "no right to write there")
        # the name of the file beside it that guards it must be possible too
        record.with_name(f".{record.name}.lock").exists()
        if record.exists() and not _replaceable(record):
            raise FileExistsError(errno.EEXIST, "a file that is no run record, and that would be lost")
    except OSError as error:
        raise UsageError(f"{found}: {error.strerror}") from None
    return record.resolve()


def _replaceable(record: Path) -> bool:
    """Whether a file is a run record, or empty: nobody misses it when another run writes there."""
    with open(record, "rb") as file:
        start = file.read(4096).lstrip()
    if not start or re.match(rb'\{\s*"schema"\s*:\s*\d', start):
        return True
    try:
        found = json.loads(record.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("schema"), int) and "cells" in found


def _seed(option: Any) -> int:
    """The seed asked for, by our option or by that of Hypothesis."""
    for name, given in (("--seed", option.seed), ("--hypothesis-seed", getattr(option, "hypothesis_seed", None))):
        if given is None:
            continue
        if re.fullmatch(r"\d{1,16}", str(given), re.ASCII) is None or int(given) > LARGEST_SEED:
            raise UsageError(f"{name}: expected a whole number from 0 to {LARGEST_SEED}; found {str(given)!r}")
        return int(given)
    return 0


def seconds_of(option: str, given: Any) -> float:
    """A number of seconds, 0 for any time; raises UsageError."""
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST_WAIT:
        raise UsageError(
            f"{option}: expected seconds from 0 (any time) to {LONGEST_WAIT:.0f}, such as 300; found {str(given)!r}"
        )
    return found


def seconds_allowed(config: Any) -> float:
    """How long one cell may take, by pytest-timeout's own rules; 0 for any time; raises UsageError."""
    given = config.option.timeout
    given = os.environ.get("PYTEST_TIMEOUT") if given is None else given
    return seconds_of("--timeout", (config.getini("timeout") if given is None else given) or 0)
