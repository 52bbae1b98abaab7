"""The command ``python -m reports baseline``: keep the timings of a run, and compare a run with what was kept."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from reports import baseline_file, baseline_pairs
from reports.faults import Fault, UnreadableError
from reports.writing import write

GOOD, SLOWER = 0, 1
MOST = 20


def add(command: argparse.ArgumentParser) -> None:
    """Add the two commands below ``baseline``."""
    commands: Any = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    save = commands.add_parser("save", help="keep the timings of a run: one file for each machine and release of torch")
    save.add_argument("run_record", type=Path, metavar="RUN.json", help="a run record with timings")
    save.add_argument(
        "-o", "--output", type=Path, default=baseline_file.FOLDER, metavar="DIR",
        help="the folder of the baselines (default: reports/baselines)",
    )  # fmt: skip
    save.add_argument(
        "--replace", action="store_true", help="replace a baseline that has calls which this run has not timed"
    )
    compare = commands.add_parser("compare", help="compare the timings of a run with kept ones, or with another run's")
    compare.add_argument("run_record", type=Path, metavar="RUN.json", help="a run record with timings")
    compare.add_argument(
        "--against", type=Path, default=baseline_file.FOLDER, metavar="FILE|DIR",
        help="a baseline, a run record, or a folder of baselines (default: reports/baselines)",
    )  # fmt: skip
    compare.add_argument(
        "--fail-above", type=_ratio, metavar="RATIO",
        help="exit status 1 where a call is slower by more than this beyond what nearly all differ by, or all are "
        "and no yardstick is; such as 1.3",
    )  # fmt: skip
    compare.add_argument("--normalise", action="store_true", help="compare two machines, by their yardsticks")
    compare.add_argument(
        "--most", type=_count, default=MOST, metavar="N", help=f"rows of the table (default: {MOST}; 0 for all)"
    )


def run(options: argparse.Namespace) -> int:
    """Save or compare; raises UnreadableError."""
    if options.action == "save":
        path, text = baseline_file.save(options.run_record, options.output)
        if not options.replace:
            baseline_file.check_kept(path, options.run_record)
        write(path, text)
        print(path)
        return GOOD
    after = baseline_file.of_run(options.run_record)
    before = baseline_file.against(options.against, after, options.normalise)
    if not options.normalise:
        baseline_file.check_machine(after, before)
    for each in (after, before):
        baseline_file.check_timings(each, options.normalise)
    found = baseline_pairs.compare(before, after, options.normalise)
    if not found.pairs:
        remedy = "compare runs of the same subjects"
        raise UnreadableError([Fault(str(after.path), "", f"calls that {before.path} has too", "none", remedy)])
    most = options.most or sys.maxsize
    sys.stdout.write("\n".join(baseline_pairs.text(found, before, after, options.fail_above, most)) + "\n")
    limit = options.fail_above
    return SLOWER if limit is not None and (found.slower(limit) or found.all_slower(limit)) else GOOD


def _ratio(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 1.0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a ratio of 1 or more, such as 1.3; found {text!r}")
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a number of rows, or 0 for all; found {text!r}")
    return int(text)
