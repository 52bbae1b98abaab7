"""The command line: ``python -m reports``."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reports import differences, merging, page, schema, summary, tally
from reports.faults import Fault, UnreadableError, one_line
from reports.opening import same_file
from reports.reading import Record, load
from reports.tally import counted
from reports.writing import write

GOOD, WORSE, FAULTS = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 where ``diff`` finds a build worse, or 2 for a fault."""
    options = parser().parse_args(arguments)
    try:
        with _no_collector():
            status: int = options.run(options)
    except UnreadableError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return FAULTS
    except merging.UnmergeableError as error:
        for reason in error.reasons:
            print(one_line(reason), file=sys.stderr)
        return FAULTS
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = None  # or the interpreter complains when it flushes
        return GOOD
    except OSError as error:
        print(one_line(f"python -m reports {options.command}: {_unwritten(error, options)}"), file=sys.stderr)
        return FAULTS
    return status


def _unwritten(error: OSError, options: argparse.Namespace) -> str:
    """Why an output could not be written: where, what was expected, what was found. What was there before still is."""
    output = getattr(options, "output", None)
    place = f"-o {output}" if output is not None else "the terminal"
    kind = "a folder that can be written to" if options.command == "build" else "a file that can be written"
    what = error.filename2 or error.filename
    if isinstance(error, IsADirectoryError):
        found = f"the folder {what}"
    elif isinstance(error, (FileExistsError, NotADirectoryError)):
        found = f"the file {what}"
    else:
        found = f"{what}: {error.strerror}" if what else str(error.strerror or error)
    return f"{place}: expected {kind}, found {found}; nothing was written, so name another"


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the garbage collector: millions of objects that live to the end cost it half of all the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m reports",
        description="Read run records of torch-conformance: make the report, check, summarize, merge and compare.",
        epilog="Exit status: 0 done; 1 diff found the second run worse; 2 a record or an option is at fault.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    build = commands.add_parser(
        "build",
        help="make the HTML report of one or more runs",
        description="Make DIR/index.html of one or more run records: one file that needs no network and no server. "
        "Each record is a column. The scripts of failures are read from beside their record.",
    )
    build.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help="a run record")
    build.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder for index.html")
    build.set_defaults(run=_build)

    validate = commands.add_parser(
        "validate",
        help="check run records against the schema",
        description="Check run records against the schema and against themselves: a line for each fault.",
    )
    validate.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help="a run record")
    validate.set_defaults(run=_validate)

    summary_ = commands.add_parser(
        "summary",
        help="write a Markdown summary of a run for a CI job",
        description="Write a Markdown summary of a run: the standing, the counts by level and by area, what fails.",
    )
    summary_.add_argument("run_record", type=Path, metavar="RUN.json", help="a run record")
    summary_.set_defaults(run=_summary)

    merging_ = commands.add_parser(
        "merge",
        help="put the shards of a run together",
        description="Put the shards of a run together into one record. Records of different builds, devices or "
        "settings, cells that are in two records, missing and cut-off shards are refused, each by its name.",
    )
    merging_.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help="the record of a shard")
    merging_.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the record of the whole run"
    )
    merging_.add_argument(
        "--allow-gaps",
        action="store_true",
        help="make an incomplete record where shards are missing or were cut off, instead of refusing",
    )
    merging_.set_defaults(run=_merge)

    diff = commands.add_parser(
        "diff",
        help="compare two runs",
        description="Compare two runs cell by cell. B is worse, and the exit status 1, where a cell fails that did "
        "not fail in A (listed deviations count as failing), or where A has a verdict and B cannot tell (unsupported, "
        "inconclusive, an error of the "
        "suite, a run that was cut off). A cell that is out of scope in B, or that B did not plan, is no such loss.",
    )
    diff.add_argument("first", type=Path, metavar="A.json", help="the run before")
    diff.add_argument("second", type=Path, metavar="B.json", help="the run after")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="for people or for programs")
    diff.set_defaults(run=_diff)

    published = commands.add_parser(
        "schema",
        help="write the JSON Schema of the run record",
        description="Write the JSON Schema of the run record, as reports/run.schema.json publishes it.",
    )
    published.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file, instead of the terminal")
    published.set_defaults(run=_schema)
    return top


def _load(paths: Sequence[Path]) -> list[Record]:
    """Every record, or the faults of all of them at once."""
    records, faults = [], []
    for path in paths:
        try:
            records.append(load(path))
        except UnreadableError as error:
            faults += error.faults
    if faults:
        raise UnreadableError(faults)
    return records


def _twice(records: Sequence[Record]) -> list[Fault]:
    """The runs that are named more than once, by whatever path: two columns of one run say nothing."""
    found = []
    for number, record in enumerate(records):
        for earlier in records[:number]:
            if same_file(earlier.path, record.path) or _same_run(earlier, record):
                again = f"the run of {earlier.path} again"
                found.append(Fault(str(record.path), "", "each run once", again, "name it once"))
                break
    return found


def _same_run(one: Record, other: Record) -> bool:
    return one.run.started == other.run.started and one.run == other.run


def _build(options: argparse.Namespace) -> int:
    records = _load(options.runs)
    if faults := _twice(records):
        raise UnreadableError(faults)
    target: Path = options.output / "index.html"
    write(target, page.html(records))
    print(target)
    return GOOD


def _validate(options: argparse.Namespace) -> int:
    for record in _load(options.runs):
        run = record.run
        state = "" if run.complete else ", incomplete"
        print(f"{record.path}: valid ({counted(len(run.cells), 'cell')}, torch {run.environment.torch.version}{state})")
    return GOOD


def _summary(options: argparse.Namespace) -> int:
    [record] = _load([options.run_record])
    sys.stdout.write(summary.markdown(record.run))
    return GOOD


def _merge(options: argparse.Namespace) -> int:
    records = _load(options.runs)
    output: Path = options.output
    merged = merging.merge(records, output, allow_gaps=options.allow_gaps)
    write(output, json.dumps(merged.model_dump(mode="json", by_alias=True, exclude_unset=True), indent=1) + "\n")
    found = tally.limit(merged)
    state = f", incomplete: {found.says}" if found and not merged.complete else ""
    print(f"{output}: {counted(len(merged.cells), 'cell')} of {counted(len(records), 'record')}{state}")
    return GOOD


def _diff(options: argparse.Namespace) -> int:
    first, second = (record.run for record in _load([options.first, options.second]))
    found = differences.differences(first, second)
    if options.format == "json":
        print(json.dumps(differences.document(first, second, found), indent=1))
    else:
        sys.stdout.write(differences.text(first, second, found))
    return WORSE if differences.worse(found) else GOOD


def _schema(options: argparse.Namespace) -> int:
    if options.output:
        write(options.output, schema.text())
    else:
        sys.stdout.write(schema.text())
    return GOOD
