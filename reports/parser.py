"""The commands and their options: what ``python -m reports --help`` tells."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from reports import baseline

PROGRAM = "python -m reports"
RUN = "reports/runs/latest.json"

DONE, FAULT = "0  done", "2  a record, an option or the output is at fault; nothing was written"
STATUS = {
    "diff": ("0  B is not worse than A", "1  B is worse than A", FAULT, "3  no cell is in both: nothing to compare"),
    "baseline": (DONE, "1  compare --fail-above: a call is slower, and not by noise", FAULT),
}
EXAMPLES = {
    "build": f"{PROGRAM} build {RUN} -o reports/out",
    "validate": f"{PROGRAM} validate {RUN}",
    "summary": f'{PROGRAM} summary {RUN} >> "$GITHUB_STEP_SUMMARY"',
    "merge": f"{PROGRAM} merge shard1.json shard2.json -o run.json",
    "diff": f"{PROGRAM} diff before.json after.json",
    "junit": f"{PROGRAM} junit {RUN} -o junit.xml",
    "claims": f"{PROGRAM} claims {RUN} --only false outdated",
    "badge": f"{PROGRAM} badge {RUN} -o public",
    "baseline": f"{PROGRAM} baseline compare {RUN} --fail-above 1.3",
    "schema": f"{PROGRAM} schema -o run.schema.json",
}


class Help(argparse.HelpFormatter):
    """Help that breaks the lines of a description, and keeps those of examples and of exit statuses."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("Example"):
            return textwrap.indent(text, indent)
        return super()._fill_text(text, width, indent)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        formatter_class=Help,
        description="Read run records of torch-conformance, the JSON files that pytest --run-record writes: make the "
        "report, check, summarize, merge and compare.",
        epilog=_epilog(
            EXAMPLES["build"],
            f"{PROGRAM} COMMAND --help",
            status=(DONE, "1  diff: B is worse", FAULT, "3  diff: no cell is in both"),
        ),
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, help: str, description: str) -> argparse.ArgumentParser:
        epilog = _epilog(EXAMPLES[name], status=STATUS.get(name, (DONE, FAULT)))
        return commands.add_parser(name, help=help, description=description, epilog=epilog, formatter_class=Help)

    build = command(
        "build",
        "make the HTML report of one or more runs",
        "Make DIR/index.html of one or more run records: one file that needs no network and no server. "
        "Each record is a column. The scripts of failures are read from beside their record.",
    )
    _runs(build, "a run record")
    _output(build, "DIR", "the folder for index.html")
    build.add_argument(
        "--ab",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="two builds timed in turn (python -m conformance ab writes it), for the view of performance; repeatable",
    )

    _runs(
        command(
            "validate",
            "check run records against the schema",
            "Check run records against the schema and against themselves: a line for each fault.",
        ),
        "a run record",
    )

    _run(
        command(
            "summary",
            "write a Markdown summary of a run for a CI job",
            "Write a Markdown summary of a run: the standing, the counts by level and by area, what fails.",
        )
    )

    merge = command(
        "merge",
        "put the shards of a run together",
        "Put the shards of a run together into one record. Records of different builds, devices or "
        "settings, cells that are in two records, missing and cut-off shards are refused, each by its name.",
    )
    _runs(merge, "the record of a shard")
    _output(merge, "FILE", "the record of the whole run; none of the shards")
    merge.add_argument(
        "--allow-gaps",
        action="store_true",
        help="make an incomplete record where shards are missing or were cut off, instead of refusing",
    )

    diff = command(
        "diff",
        "compare two runs",
        "Compare two runs cell by cell. B is worse, and the exit status 1, where a cell fails that did "
        "not fail in A (listed deviations count as failing), or where A has a verdict and B cannot tell (unsupported, "
        "inconclusive, an error of the suite, a run that was cut off). A cell that is out of scope in B, or that B "
        "did not plan, is no such loss; nor is one that fails in B and that A, a selection, did not plan.",
    )
    diff.add_argument("first", type=Path, metavar="A.json", help="the run before")
    diff.add_argument("second", type=Path, metavar="B.json", help="the run after")
    diff.add_argument(
        "--format",
        choices=("text", "json", "markdown", "html"),
        default="text",
        help="for a terminal (default), a program, a CI job page, a browser",
    )

    junit = command(
        "junit",
        "write a run as JUnit XML",
        "Write a run as JUnit XML: a suite for each area, a case for each cell. Failing cells that the run was told "
        "to allow, listed deviations and what could not be tested are skipped cases, each with its reason; a run that "
        "was cut off and a suite that broke are errors.",
    )
    _run(junit)
    junit.add_argument("-o", "--output", type=_place, metavar="FILE", help="a file, instead of the terminal")

    claims = command(
        "claims",
        "list the claims of tutorials, with their verdicts",
        "List what widely read tutorials claim of torch, with the verdict that the cells of a run come to.",
    )
    _run(claims)
    claims.add_argument(
        "--only", nargs="+", choices=("confirmed", "conditional", "outdated", "false", "undecided"), default=(),
        help="only the claims with these verdicts",
    )  # fmt: skip
    claims.add_argument(
        "--format", choices=("text", "json"), default="text", help="for a terminal (default) or a program"
    )

    badge = command(
        "badge",
        "make a badge of a run",
        "Make DIR/badge.svg, and DIR/badge.json for a badge service that reads an endpoint. A run that is not of the "
        "whole suite is called what it is.",
    )
    _run(badge)
    _output(badge, "DIR", "the folder for badge.svg and badge.json")

    baseline.add(
        command(
            "baseline",
            "keep the timings of a run, and compare others with them",
            "Keep the timings of a run under the fingerprint of its machine, or compare a run with what was kept: "
            "ratios of the same call before and after, the slowest first. Seconds of two machines are not compared.",
        )
    )

    schema = command(
        "schema",
        "write the JSON Schema of the run record",
        "Write the JSON Schema of the run record, as reports/run.schema.json publishes it.",
    )
    schema.add_argument("-o", "--output", type=_place, metavar="FILE", help="a file, instead of the terminal")
    return top


def _epilog(*examples: str, status: tuple[str, ...]) -> str:
    head = "Example:" if len(examples) == 1 else "Examples:"
    return "\n".join([head, *(f"  {each}" for each in examples), "", "Exit status:", *(f"  {each}" for each in status)])


def _run(command: Any) -> None:
    command.add_argument("run_record", type=Path, metavar="RUN.json", help="a run record")


def _runs(command: Any, help: str) -> None:
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help=help)


def _output(command: Any, metavar: str, help: str) -> None:
    command.add_argument("-o", "--output", type=_place, required=True, metavar=metavar, help=help)


def _place(text: str) -> Path:
    """Where something is written: an empty name, as of a variable that is not set, would be the folder where one is."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, such as reports/out; found ''")
    return Path(text)
