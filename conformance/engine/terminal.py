"""The terminal: what a person sees before, while and after the cells run."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from typing import Any

import hypothesis
import numpy
import pytest
import torch

from conformance.engine import costs
from conformance.engine.claim import Claim
from conformance.engine.failure import allowed
from conformance.engine.record import RunRecord
from conformance.engine.resumption import Resumed
from conformance.engine.settings import Settings
from conformance.engine.words import BROKEN, Level, Verdict

EVERY = 5.0  # seconds between progress lines where the output is no terminal
EARLY, LATE = 5.0, 60.0  # seconds: before the one no cells, before the other no 3 % of them, say how long all take
LONGEST = 300  # characters that a line of the progress may have
COLUMNS = [verdict.value for verdict in Verdict]


class Terminal:
    """Header, live progress and summary of a run."""

    def __init__(
        self, config: pytest.Config, settings: Settings, claim: Claim | None, resumed: Resumed | None = None
    ) -> None:
        self.config, self.settings, self.claim, self.resumed = config, settings, claim, resumed
        self.cells: dict[str, dict[str, Any]] = {} if resumed is None else resumed.decided
        self.kept = len(self.cells)
        self.total = 0
        self.started = self.shown = time.monotonic()
        self.live = sys.stdout.isatty() and config.get_verbosity() == 0
        self.line = ""

    def pytest_report_header(self) -> list[str]:
        """Name what is under test, and how."""
        s = self.settings
        git = (torch.version.git_version or "unknown")[:12]
        targets = ", ".join(f"{t.name} ({t.model})" for t in s.targets)
        shard = f", shard {s.shard[0]}/{s.shard[1]}" if s.shard else ""
        workers = getattr(self.config.option, "numprocesses", None)
        isolation = "" if workers or self.config.option.__dict__.get("tx") else "; crashes end the run (no -n)"
        versions = f"NumPy {numpy.__version__}, Hypothesis {hypothesis.__version__}"
        fails_on = s.fail_on.value if s.fail_on else "none"
        moved = []
        if self.claim is not None and self.claim.moved:
            wanted, own = os.path.relpath(self.claim.wanted), os.path.relpath(self.claim.path)
            moved = [f"run record: {own}, since another run is writing {wanted}"]
        if self.resumed is not None:
            planned = self.resumed.document["planned"]
            moved = [f"goes on with: {self.resumed.named}, where {self.kept} of {planned} cells have their verdict"]
        return [
            f"conformance: torch {torch.__version__} (git {git}), {versions}",
            f"targets: {targets}",
            (
                f"profile: {s.profile.name} (corners and {s.profile.samples} samples a cell), seed {s.seed}, "
                f"levels down to {s.level.value}, fails on {fails_on}{shard}{isolation}"
            ),
            *moved,
        ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is to come, and keep pytest's own names of files out of the progress line."""
        self.total = self.total or self.kept + len(session.items)
        self.started = time.monotonic()
        reporter = self._reporter()
        if reporter is not None and self.config.get_verbosity() == 0 and all(hasattr(i, "cell") for i in session.items):
            reporter.showfspath = False
            reporter._show_progress_info = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Count what is to come, where workers collect."""
        if not self.total:
            self.total = self.kept + len(ids)
            self.started = time.monotonic()

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Make room for what xdist says of a worker that died."""
        self._clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Sort cells by verdict instead of pytest's outcome; the progress line stands in for letters."""
        entry = getattr(report, "conformance", None)
        if entry is None:
            return None
        verdict = Verdict(entry["verdict"])
        category = {"passed": "passed", "failed": "failed"}.get(report.outcome, verdict.value)
        category = verdict.value if verdict is Verdict.FIXED else category
        if verdict in BROKEN and not report.failed:
            category = f"{category} ({entry['level']}, allowed)"
        markup = {"red": report.failed, "green": report.passed, "yellow": report.skipped}
        return category, "", (verdict.value.upper(), markup)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Say each broken cell as it comes, and how far the run is."""
        entry = getattr(report, "conformance", None)
        if entry is None:
            if report.failed and self.config.get_verbosity() == 0:
                self._say_plain(report)
            return
        self.cells[entry["id"]] = entry
        verdict = Verdict(entry["verdict"])
        if verdict in BROKEN or verdict in (Verdict.ERROR, Verdict.FIXED):
            self._say(entry, verdict)
        if entry["evidence"].get("left_switched"):
            self._say_left(entry)
        now = time.monotonic()
        if self.config.get_verbosity() == 0 and now - self.shown >= (0.2 if self.live else EVERY):
            self.shown = now
            self._progress(now)

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """One row an area, then where the record lies."""
        self._clear()
        write = terminalreporter.write_line
        recorder = self.config.pluginmanager.get_plugin("conformance-recorder")
        if not self.cells:
            if recorder is not None and recorder.record is not None and recorder.beyond_shard:
                part, of = self.settings.shard or (1, 1)
                write(f"run record:   {os.path.relpath(recorder.record.path)} (no cell: none is in shard {part}/{of})")
            elif exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                write(
                    "expected a path, a node id, -k or -m that fits a cell; found none that does: no record is written"
                )
                write("cells: python -m conformance list --cells; an id serves: -k 'inplace.returns-self[add_-cpu]'")
            return
        if terminalreporter.stats.get("failed"):
            write("")  # pytest leaves none below the last failure
        self._tell_allowed(terminalreporter)
        terminalreporter.section("conformance")
        verdicts = [v for v in COLUMNS if any(c["verdict"] == v for c in self.cells.values())]
        areas: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for cell in self.cells.values():
            areas[cell["area"]].append(cell)
        rows = [["area", "cells", *verdicts, "cases", "seconds"]]
        for name, cells in sorted(areas.items()):
            rows.append(_row(name, cells, verdicts))
        if len(areas) > 1:
            rows.append(_row("total", list(self.cells.values()), verdicts))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            write(
                "  ".join(
                    v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(row, widths, strict=True))
                )
            )
        if (most := costs.asked(self.config.option.costs)) is not None:
            write("")
            for line in costs.lines(list(self.cells.values()), most):
                write(line)
        write("")
        by_level = Counter(c["level"] for c in self.cells.values() if Verdict(c["verdict"]) in BROKEN)
        broken = ", ".join(f"{by_level[level.value]} {level.value}" for level in Level if by_level[level.value])
        write(f"broken cells: {broken or 'none'}", red=bool(by_level["must"]), bold=bool(broken), green=not broken)
        if recorder is not None and recorder.record is not None:
            record = recorder.record
            write(f"run record:   {os.path.relpath(record.path)}{self._lacks(record, len(recorder.errors))}")
            if record.available is not None and record.planned < record.available:
                write(f"selection:    {record.planned:,} of the {record.available:,} cells here, as asked for")
            leaving = sum(bool(cell["evidence"].get("left_switched")) for cell in self.cells.values())
            if leaving:
                write(
                    f"left behind:  {leaving} cells left torch switched otherwise, as their evidence says", yellow=True
                )
            fixed = sum(cell["verdict"] == Verdict.FIXED for cell in self.cells.values())
            if fixed:
                told = os.path.relpath(record.path)
                write(
                    f"stale list:   {fixed} listed {'cell passes' if fixed == 1 else 'cells pass'}, FIXED above: "
                    f"python -m conformance deviations check {told}", yellow=True,
                )  # fmt: skip
            write(f"report:       {self.settings.stands.report(record.path)}")
            for line in recorder.misgivings:
                write(f"expectations: {line}", yellow=True)

    def _lacks(self, record: RunRecord, errors: int) -> str:
        """What keeps a record from being whole, in brackets; nothing for one that is."""
        if record.lost is not None:
            return f" (CUT OFF: {record.lost}; it has {record.written} of {record.planned} cells)"
        if len(self.cells) == record.planned:
            return f" (INCOMPLETE: {errors} {'error' if errors == 1 else 'errors'}, see above)" if errors else ""
        return f" (INCOMPLETE: {len(self.cells)} of {record.planned} cells)"

    def _say(self, entry: dict[str, Any], verdict: Verdict) -> None:
        self._clear()
        reporter = self._reporter()
        if reporter is None or self.config.get_verbosity() != 0:
            return
        reporter.ensure_newline()
        allowed = ": allowed" if self._allows(entry) else ""
        reporter.write(
            f"{verdict.value.upper()} {entry['id']} ({entry['level']}{allowed})",
            red=verdict is not Verdict.FIXED, bold=True,
        )  # fmt: skip
        found = (entry["found"] or entry["reason"] or "").strip().splitlines()
        expected = (entry["expected"] or "").strip().splitlines()
        if expected and verdict not in (Verdict.CRASH, Verdict.TIMEOUT):
            brief = f" {entry['compared']}: expected {expected[0]}; found {found[0] if found else ''}"
        else:
            brief = f" {found[-1] if found else ''}"
        reporter.write(_brief(brief) + "\n")

    def _say_left(self, entry: dict[str, Any]) -> None:
        """A cell after which torch was switched otherwise than before: it is not the cells after it that are broken."""
        self._clear()
        reporter = self._reporter()
        if reporter is not None and self.config.get_verbosity() == 0:
            reporter.ensure_newline()
            reporter.write(f"LEFT SWITCHED {entry['id']}", yellow=True, bold=True)
            reporter.write(_brief(f" {'; '.join(entry['evidence']['left_switched'])}") + "\n")

    def _allows(self, entry: dict[str, Any]) -> bool:
        """Whether a cell is broken in a way that fails no run of these settings."""
        verdict = Verdict(entry["verdict"])
        return verdict in BROKEN and not self.settings.fails(Level(entry["level"]), verdict)

    def _tell_allowed(self, reporter: Any) -> None:
        """What pytest shows of failures only: the whole message of cells that are broken and fail no run."""
        broken = [entry for entry in self.cells.values() if self._allows(entry)]
        if not broken or self.config.option.tbstyle == "no":
            return
        reporter.section("ALLOWED FAILURES")
        for entry in broken:
            reporter.write_sep("_", entry["id"])
            reporter.write_line(allowed(entry))
        reporter.write_line("")

    def _say_plain(self, report: Any) -> None:
        """What pytest itself says only at the end: a test of another kind that failed, and with which words."""
        reporter = self._reporter()
        if reporter is not None:
            self._clear()
            reporter.ensure_newline()
            crash = getattr(report.longrepr, "reprcrash", None)
            words = (crash.message if crash is not None else str(report.longrepr)).strip().partition("\n")[0]
            reporter.write("FAILED" if report.when == "call" else "ERROR", red=True, bold=True)
            reporter.write(_brief(f" {report.nodeid} {words}") + "\n")

    def _progress(self, now: float) -> None:
        done = len(self.cells)
        if not self.total or not done:
            return
        counts = Counter(Verdict(c["verdict"]) in BROKEN for c in self.cells.values())
        share = f"{100 * done // self.total:3d} %  {done} of {self.total} cells"
        text = f"{share}{self._left(done, now)}, {counts[True]} broken"
        reporter = self._reporter()
        if reporter is None:
            return
        if self.live:
            reporter.rewrite(text, erase=True)
            self.line = text
        else:
            reporter.write_line(text)

    def _left(self, done: int, now: float) -> str:
        """How much longer it takes, as soon as there is something to judge it by."""
        elapsed = now - self.started
        if done == self.total or elapsed < EARLY or (elapsed < LATE and 100 * done < 3 * self.total):
            return ""
        return f", about {_duration(elapsed / max(done - self.kept, 1) * (self.total - done))} left"

    def _clear(self) -> None:
        reporter = self._reporter()
        if self.line and reporter is not None:
            reporter.rewrite("", erase=True)
            reporter.write("\r")
            self.line = ""

    def _reporter(self) -> Any:
        return self.config.pluginmanager.get_plugin("terminalreporter")


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _row(name: str, cells: list[dict[str, Any]], verdicts: list[str]) -> list[str]:
    counts = Counter(cell["verdict"] for cell in cells)
    cases = sum(cell["cases"]["corner"] + cell["cases"]["sampled"] for cell in cells)
    seconds = sum(cell["seconds"] for cell in cells)
    return [name, f"{len(cells):,}", *(f"{counts[v]:,}" for v in verdicts), f"{cases:,}", f"{seconds:.1f}"]
