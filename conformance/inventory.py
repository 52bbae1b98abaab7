"""What ``python -m conformance claims`` and ``surface`` list: what the suite decides, and what it names."""

from __future__ import annotations

import json
import subprocess
import sys


def list_claims(record: str | None, rest: list[str]) -> int:
    """Print the claims with what decides them, or with their verdicts of a run record; 2 for a fault in the file."""
    from conformance.engine.claims import SHIPPED, load_claims, strangers
    from conformance.engine.yamlfile import SpecError, shown

    if record is not None:
        return subprocess.call([sys.executable, "-m", "reports", "claims", record, *rest])
    try:
        claims = load_claims()
        faults = [f"{shown(SHIPPED)}: {fault}" for fault in strangers(claims)]
    except SpecError as error:
        faults = str(error).splitlines()
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 2
    for _, claim in claims.each():
        decided = " ".join(claim.decided_by) + (" (contrary)" if claim.expects == "fails" else "")
        print(f"{claim.id}: {claim.claim}\n    {claim.undecidable or decided}")
    every = [claim for _, claim in claims.each()]
    print(f"\n{len(every)} claims, {sum(bool(claim.decided_by) for claim in every)} of them decided by behaviours")
    return 0


def list_surface(places: list[str], only_without: bool, as_json: bool) -> int:
    """Print the documented names of this torch with how many behaviours name each; 2 for a place that there is not."""
    from conformance.engine.specs import area_names, load_area
    from conformance.engine.surface import PLACES, surface
    from conformance.engine.yamlfile import SpecError

    if unknown := [place for place in places if place not in PLACES]:
        print(f"place: expected one of {', '.join(PLACES)}; found {unknown[0]!r}", file=sys.stderr)
        return 2
    try:
        found = surface([load_area(name) for name in area_names()])
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    if places:
        found = {name: ids for name, ids in found.items() if name.rpartition(".")[0] in places}
    named = sum(bool(ids) for ids in found.values())
    shown = {name: ids for name, ids in found.items() if not (only_without and ids)}
    if as_json:
        print(json.dumps(shown, indent=1))
        return 0
    for name, ids in shown.items():
        print(f"{len(ids) or '-':>4}  {name}")
    print(f"\n{named} of {len(found)} documented names are named by a behaviour")
    return 0
