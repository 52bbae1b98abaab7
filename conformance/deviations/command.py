"""``python -m conformance deviations``: list the listed deviations, hold them against runs, bring them into step."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from conformance.deviations.listing import Entry, Listing, read
from conformance.deviations.sightings import Release, Subjects, seen
from conformance.deviations.updating import UNEXPLAINED, Update
from conformance.engine.expectations import SHIPPED
from conformance.engine.record import write_atomically
from conformance.engine.versions import check_specifier, matches
from conformance.engine.yamlfile import SpecError, shown
from reports.faults import UnreadableError
from reports.reading import load

GOOD, WANTING, FAULT = 0, 1, 2
MOST = 5  # cells that a line names


def run(options: argparse.Namespace) -> int:
    """Do what was asked; 1 where something is wanting, 2 where a file is at fault."""
    options.file = options.file or SHIPPED
    try:
        if options.act == "list":
            return _list(options.file, options.torch, options.json)
        if options.act == "check" and not options.file.exists():
            raise SpecError(f"{shown(options.file)}: expected a readable YAML file, found: No such file or directory")
        listing = read(options.file)
        records = [load(path) for path in options.runs]
        if options.act == "check":
            return _check(listing, seen(records))
        update = Update(listing, seen(records), Subjects(records), options.date or date.today(), options.widen)
        return _update(update, options.dry_run)
    except (SpecError, UnreadableError, ValueError) as error:
        print(error, file=sys.stderr)
        return FAULT
    except BrokenPipeError:
        raise
    except OSError as error:
        print(
            f"--file: expected a file that can be written; found {str(options.file)!r}: {error.strerror}",
            file=sys.stderr,
        )
        return FAULT


def _list(path: Path, torch: str | None, as_json: bool) -> int:
    if not path.exists():
        raise SpecError(f"{shown(path)}: expected a readable YAML file, found: No such file or directory")
    if torch is not None:
        check_specifier(f"=={torch}")
    entries = [entry for entry in read(path).entries if torch is None or matches(torch, entry.deviation.torch)]
    if as_json:
        rows = [{**e.deviation.model_dump(mode="json"), "source": _place(path, e)} for e in entries]
        print(json.dumps(rows, indent=1))
        return GOOD
    for entry in entries:
        listed = entry.deviation
        about = ", ".join([listed.torch or "any torch", *(listed.devices or [])])
        print(f"{_place(path, entry)}: {listed.cells}  {about}  {listed.reason}  {listed.issue}")
    return GOOD


def _check(listing: Listing, runs: list[Release]) -> int:
    stale = list(_stale(listing, runs))
    unlisted = list(_unlisted(listing, runs))
    unexplained = [
        f"{_place(listing.path, entry)}: expected a reason that a person gave; found {entry.deviation.reason!r}"
        for entry in listing.entries
        if entry.deviation.reason.startswith(UNEXPLAINED)
    ]
    for line in (*stale, *unlisted, *unexplained):
        print(line)
    count = len(listing.entries)
    print(
        f"{count} entries: {len(stale)} stale, {len(unexplained)} unexplained; {len(unlisted)} failing cells unlisted"
    )
    return WANTING if stale or unlisted else GOOD


def _stale(listing: Listing, runs: list[Release]) -> Iterator[str]:
    for one in runs:
        where = ", ".join(map(str, one.paths))
        for entry in listing.entries:
            if one.spoken_of(entry.deviation):
                passing = sorted(cell for cell in one.passing if entry.deviation.pattern.fullmatch(cell))
                if passing:
                    yield (
                        f"{_place(listing.path, entry)}: {entry.deviation.cells}: expected to fail on torch "
                        f"{one.version} ({one.device}); found to pass in {where}: {_some(passing)}"
                    )


def _unlisted(listing: Listing, runs: list[Release]) -> Iterator[str]:
    for one in runs:
        about = [entry.deviation for entry in listing.entries if one.spoken_of(entry.deviation)]
        for cell in sorted(one.failing):
            if not any(deviation.pattern.fullmatch(cell) for deviation in about):
                yield f"{cell}: expected an entry, since it fails on torch {one.version} ({one.device}); found none"


def _update(update: Update, dry: bool) -> int:
    before = update.listing.path.read_text(encoding="utf-8-sig") if update.listing.path.exists() else ""
    changes = update.made()
    text = update.listing.written()
    for line in changes.doubts:
        print(f"doubtful  {line}")
    for line in changes.made:
        print(line)
    for line in changes.wanting:
        print(f"wanting   --widen for {line}")
    if not dry and text != before and (changes.made or before):
        write_atomically(update.listing.path, text)
    sorted_only = " (sorted)" if text != before and not changes.made and before else ""
    done = "would change" if dry else "changed"
    print(
        f"{shown(update.listing.path)}: {len(changes.made)} entries {done}{sorted_only}, {len(changes.wanting)} wanting"
    )
    return WANTING if changes.wanting else GOOD


def _place(path: Path, entry: Entry) -> str:
    return f"{shown(path)}:{entry.line}"


def _some(cells: list[str]) -> str:
    more = f" and {len(cells) - MOST} more" if len(cells) > MOST else ""
    return f"{', '.join(cells[:MOST])}{more}"
