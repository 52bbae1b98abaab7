"""Listed deviations: list them, hold them against runs, bring them into step.

What the command line takes; apart from what it does, which imports torch.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import Any

EPILOG = """\
update  adds what fails and is not listed, with what was found for a reason, to be explained by a person; takes from
        entries the releases on which their cells pass; never lets an entry speak of more releases than it did, unless
        --widen says so. Entries are sorted within their sections; comments and reasons stay as they are.
check   exit status 1 where a listed cell passes (the entry is stale) or a failing cell is not listed.

Examples:
  python -m conformance deviations list --torch 2.4.1
  python -m conformance deviations check reports/runs/latest.json
  python -m conformance deviations update torch24.json torch213.json --dry-run
  python -m conformance deviations update vendor.json --file accepted.yaml
"""


def add(commands: Any) -> None:
    """Add the command to those of ``python -m conformance``."""
    parser = commands.add_parser(
        "deviations", help="list the listed deviations, check them against runs, or bring them into step",
        description=(__doc__ or "").partition("\n")[0],
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    acts = parser.add_subparsers(dest="act", required=True, metavar="list | check | update")
    listing = acts.add_parser("list", help="one line an entry")
    listing.add_argument("--torch", metavar="VERSION", help="only entries that speak of this release")
    listing.add_argument("--json", action="store_true", help="as JSON")
    check = acts.add_parser("check", help="which entries are stale, and which failing cells are not listed")
    update = acts.add_parser("update", help="bring the list into step with what runs show")
    update.add_argument("--widen", action="store_true", help="let entries speak of further releases where cells fail")
    update.add_argument("--dry-run", action="store_true", help="tell what would change, and write nothing")
    update.add_argument("--date", type=date.fromisoformat, default=None, metavar="DAY", help="of new entries (today)")
    for act in (listing, check, update):
        act.add_argument("--file", type=Path, metavar="FILE", help="default: specs/deviations.yaml")
    for act in (check, update):
        act.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help="a run record")
