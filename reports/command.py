"""The command line: ``python -m reports``."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from reports import alternation, badge, baseline, claims, comparison, junit, merging, page, schema, summary, tally
from reports.faults import Fault, UnreadableError, one_line
from reports.opening import same_file
from reports.parser import PROGRAM, parser
from reports.reading import Record, load
from reports.tally import counted
from reports.writing import write, write_together

Read = TypeVar("Read")

GOOD, WORSE, FAULTS, APART, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 where a build is found worse or slower, or 2 for a fault."""
    options = parser().parse_args(arguments)
    if options.command is None:
        parser().print_help(sys.stderr)
        print("\nexpected a command, found none", file=sys.stderr)
        return FAULTS
    try:
        with _no_collector():
            status = COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print(f"{PROGRAM} {options.command}: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
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
        print(one_line(f"{PROGRAM} {options.command}: {_unwritten(error, options)}"), file=sys.stderr)
        return FAULTS
    return status


def _unwritten(error: OSError, options: argparse.Namespace) -> str:
    """Why an output could not be written: where, what was expected, what was found. What was there before still is."""
    output = getattr(options, "output", None)
    place = f"-o {output}" if output is not None else "the terminal"
    kind = (
        "a folder that can be written to"
        if options.command in ("build", "badge", "baseline")
        else "a file that can be written"
    )
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


def _load(paths: Sequence[Path]) -> list[Record]:
    """Every record, or the faults of all of them at once."""
    return _each(paths, load)


def _each(paths: Sequence[Path], read: Callable[[Path], Read]) -> list[Read]:
    found, faults = [], []
    for path in paths:
        try:
            found.append(read(path))
        except UnreadableError as error:
            faults += error.faults
    if faults:
        raise UnreadableError(faults)
    return found


def _twice(records: Sequence[Record], *, same_file_only: bool = False) -> list[Fault]:
    """The runs that are named more than once, by whatever path: two columns of one run say nothing."""
    found = []
    for number, record in enumerate(records):
        for earlier in records[:number]:
            if same_file(earlier.path, record.path) or (not same_file_only and _same_run(earlier, record)):
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
    alternations = _each(options.ab, alternation.load)
    target: Path = options.output / "index.html"
    write(target, page.html(records, alternations))
    print(target)
    return GOOD


def _validate(options: argparse.Namespace) -> int:
    for record in _load(options.runs):
        run = record.run
        state = "" if run.complete else ", incomplete"
        told = f"{counted(len(run.cells), 'cell')}, torch {run.environment.torch.version}{state}"
        print(one_line(f"{record.path}: valid ({told})"))
    return GOOD


def _summary(options: argparse.Namespace) -> int:
    [record] = _load([options.run_record])
    sys.stdout.write(summary.markdown(record.run))
    return GOOD


def _merge(options: argparse.Namespace) -> int:
    records = _load(options.runs)
    if faults := _twice(records, same_file_only=True):
        raise UnreadableError(faults)
    output: Path = options.output
    merged = merging.merge(records, output, allow_gaps=options.allow_gaps)
    write(output, json.dumps(merged.model_dump(mode="json", by_alias=True, exclude_unset=True), indent=1) + "\n")
    found = tally.limit(merged)
    state = f", incomplete: {found.says}" if found and not merged.complete else ""
    print(f"{output}: {counted(len(merged.cells), 'cell')} of {counted(len(records), 'record')}{state}")
    return GOOD


def _diff(options: argparse.Namespace) -> int:
    first, second = (record.run for record in _load([options.first, options.second]))
    found = comparison.Comparison.of(first, second)
    if options.format == "json":
        print(json.dumps(comparison.document(found), indent=1))
    else:
        put = {"text": comparison.text, "markdown": comparison.markdown, "html": comparison.html}[options.format]
        sys.stdout.write(put(found))
    return APART if found.apart else WORSE if found.worse else GOOD


def _junit(options: argparse.Namespace) -> int:
    [record] = _load([options.run_record])
    _put(options.output, junit.xml(record.run))
    return GOOD


def _claims(options: argparse.Namespace) -> int:
    [record] = _load([options.run_record])
    sys.stdout.write(claims.document(record.run) if options.format == "json" else claims.text(record.run, options.only))
    return GOOD


def _badge(options: argparse.Namespace) -> int:
    [record] = _load([options.run_record])
    found = badge.badge(record.run)
    texts = {"badge.svg": found.svg(), "badge.json": json.dumps(found.endpoint(), indent=1) + "\n"}
    write_together({options.output / name: text for name, text in texts.items()})
    for name in texts:
        print(options.output / name)
    return GOOD


def _schema(options: argparse.Namespace) -> int:
    _put(options.output, schema.text())
    return GOOD


def _put(output: Path | None, text: str) -> None:
    """Write the text to a file, or to the terminal where none is named."""
    if output:
        write(output, text)
    else:
        sys.stdout.write(text)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "build": _build,
    "validate": _validate,
    "summary": _summary,
    "merge": _merge,
    "diff": _diff,
    "junit": _junit,
    "claims": _claims,
    "badge": _badge,
    "baseline": baseline.run,
    "schema": _schema,
}
