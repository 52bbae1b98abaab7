"""The serial phase: what is timed once the cells are done, in one process that has the machine for itself.

``python -m conformance run`` has it follow the cells, into their record; ``pytest -m performance`` is the phase alone.
What is timed, and how, is ``conformance.performance``'s; here are its place in a run and in the record.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.appendix import Appendix
from conformance.engine.record import RunRecord
from conformance.engine.recorder import header_of
from conformance.engine.settings import Settings, UsageError
from conformance.engine.specs import area_of, is_area_module

MARK = "performance"
TIMINGS = Path(__file__).resolve().parents[1] / "performance" / "test_timings.py"
NAMED = pytest.StashKey[bool]()  # whether the user named tests, where `run` names all of them for him
AREAS = pytest.StashKey[frozenset[str] | None]()  # whose subjects are timed, where files of theirs were named
PLUGIN = "conformance-serial"


def asked(config: pytest.Config) -> bool:
    """Whether this is the phase: ``-m`` names it, and would take what has its mark and no other."""
    expression = str(config.option.markexpr or "")
    if not re.search(rf"\b{MARK}\b", expression) or hasattr(config, "workerinput"):
        return False
    from _pytest.mark.expression import Expression

    try:
        return Expression.compile(expression).evaluate(_is_mark)
    except SyntaxError:  # said by pytest, when it reads it
        return False


def _is_mark(name: str, /, **_: Any) -> bool:
    return name == MARK


def prepare(config: pytest.Config) -> None:
    """Have pytest run the timings, whatever else was to be collected, in this process and by their clocks."""
    option = config.option
    option.numprocesses, option.dist, option.tx = None, "no", []
    option.benchmark_disable, option.benchmark_enable = False, True
    option.benchmark_quiet = config.get_verbosity() <= 0
    files = [Path(config.invocation_params.dir, name.partition("::")[0]) for name in config.args]
    if all(is_area_module(file) for file in files):
        named = config.args_source is pytest.Config.ArgsSource.ARGS and config.stash.get(NAMED, True)
        config.stash[AREAS] = frozenset(area_of(file) for file in files) if named else None
        config.args[:] = [str(TIMINGS)]


def following(config: pytest.Config, settings: Settings) -> list[str] | None:
    """The arguments of the phase that follows this run's cells; None where none does; raises UsageError."""
    option = config.option
    wanted: bool | None = option.performance
    if option.record_note in (None, os.devnull):  # nobody waits for the cells to go on with them
        if wanted:
            raise UsageError(
                "--performance: expected `python -m conformance run --performance`, which has timings follow the "
                "cells, or `pytest -m performance` for timings alone; found it with pytest"
            )
        return None
    if wanted is None:
        wanted = settings.profile.name != "smoke" and not _selection(config)
    if not wanted or option.collectonly:
        return None
    words = [str(TIMINGS), "-m", MARK, "--performance-into", f"--run-record={settings.record}"]
    words += [f"--device={target.name}" for target in settings.targets]
    words += [f"--plugin={name}" for name in settings.plugins] + [f"--targets={path}" for path in settings.described]
    words += [f"--profile={settings.profile.name}", "--color", str(option.color), "-p", "no:cacheprovider"]
    return words + ([f"-k={option.keyword}"] if option.keyword else [])


def _selection(config: pytest.Config) -> bool:
    """Whether only some cells were asked for: who looks at one operator waits for no timings of all."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS and config.stash.get(NAMED, True)
    return bool(named or config.option.keyword or config.option.markexpr or config.option.shard)


class Serial:
    """The record of the phase, and what a person sees of it."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.into: bool = config.option.performance_into
        self.appendix: Appendix | None = None

    def begin(self, opening: dict[str, Any]) -> None:
        """Open the record, that of the cells or one without any, with what is true of all timings."""
        path = self.settings.record
        try:
            if not self.into:
                record = RunRecord(path, header_of(self.config, self.settings))
                record.plan(0, [], [])
                record.finish(more=True)
            self.appendix = Appendix(path, opening)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            told = f"expected a run record that can be gone on with; found {os.path.relpath(path)!r}: {said}"
            pytest.exit(f"--run-record: {told}", returncode=pytest.ExitCode.USAGE_ERROR)

    def add(self, measurement: dict[str, Any]) -> None:
        """Keep a timing."""
        if self.appendix is None:
            return
        try:
            self.appendix.add(measurement)
        except OSError as error:
            said = error.strerror or error
            pytest.exit(f"--run-record: expected room for the timings; found: {said}", pytest.ExitCode.INTERNAL_ERROR)

    def skip(self, subject: str, reason: str) -> None:
        """Keep why something has none."""
        if self.appendix is not None:
            self.appendix.skip(subject, reason)

    def pytest_report_header(self) -> list[str]:
        """Name what is timed, and on what."""
        import torch

        targets = ", ".join(f"{t.name} ({t.model})" for t in self.settings.targets)
        return [f"conformance: timings of torch {torch.__version__}, one thread, one process", f"targets: {targets}"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Bring the record into its final form; what was broken off, or failed, is no whole phase."""
        if self.appendix is not None:
            try:
                self.appendix.finish(session.exitstatus == pytest.ExitCode.OK)
            except OSError:  # the file stays as the last timing left it, and says that it is not complete
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        elif self.into and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            self.begin({})
            if (empty := self.appendix) is not None:
                empty.close()
                self.appendix = None
            session.exitstatus = pytest.ExitCode.OK  # the cells that were asked for are of no call that is timed

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """How many calls were timed, and where the record lies."""
        if self.appendix is None:
            return
        found = self.appendix
        terminalreporter.section("conformance")
        skipped = f", {len(found.skipped)} skipped" if found.skipped else ""
        terminalreporter.write_line(f"timings:      {len(found.measurements)} calls{skipped}")
        reasons = [f"{each['subject']}: {each['reason']}" for each in found.skipped]
        for line in reasons if self.config.get_verbosity() > 0 else reasons[:3]:
            terminalreporter.write_line(f"  skipped: {line}")
        terminalreporter.write_line(f"run record:   {os.path.relpath(self.settings.record)}")
