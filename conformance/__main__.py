"""``python -m conformance``: run the suite and its report, list what there is, keep deviations and schemas in step."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conformance import ab, inventory, matrix
from conformance.deviations import parser as deviations
from conformance.engine.options import FURTHER, OPTIONS

ROOT = Path(__file__).resolve().parents[1]


RUN_USAGE = "python -m conformance run [--report DIR] [options of the suite and of pytest] [area file or node id …]"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is that of the command."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="run pytest with the arguments given, then build the report", usage=RUN_USAGE,
        description="Run the suite where you are, with pytest, then build the page from its run record.",
        epilog=options_in_words(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    run.add_argument("--report", metavar="DIR", help="folder of the page (default: reports/out of the checkout)")
    listing = commands.add_parser("list", help="list the behaviours, or the cells of every device here")
    listing.add_argument("--cells", action="store_true", help="one line a cell instead of one a behaviour")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.add_argument("area", nargs="*", help="only these areas")
    schema = commands.add_parser("schema", help="write the JSON Schemas of the YAML files to specs/schema/")
    schema.add_argument("--check", action="store_true", help="write nothing; exit 1 where one is out of step")
    deviations.add(commands)
    matrix.add(commands)
    ab.add(commands)
    claims = commands.add_parser("claims", help="list the claims of tutorials, with their verdicts of a run record")
    claims.add_argument("record", nargs="?", metavar="RUN.json", help="a run record (further options: reports claims)")
    surface = commands.add_parser("surface", help="list the documented names of this torch, and what names them")
    surface.add_argument("--without", action="store_true", help="only the names that no behaviour names")
    surface.add_argument("--json", action="store_true", help="as JSON, with the behaviours")
    surface.add_argument("place", nargs="*", help="only the names of these modules and classes, as torch.nn")
    options, rest = parser.parse_known_args(arguments)
    if options.command == "claims" and options.record is not None:
        return inventory.list_claims(options.record, rest)
    if rest and options.command not in ("run", "matrix", "ab"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if options.command == "run":
        return run_suite(rest, options.report)
    if options.command == "matrix":
        return matrix.run(options, rest)
    if options.command == "ab":
        return ab.run(options, rest)
    from conformance.engine import prerequisites  # noqa: F401 (says in a line where torch cannot be imported)

    if options.command == "deviations":
        from conformance.deviations import command

        return command.run(options)
    if options.command == "schema":
        return keep_schemas(options.check)
    if options.command == "claims":
        return inventory.list_claims(None, [])
    if options.command == "surface":
        return inventory.list_surface(options.place, options.without, options.json)
    return list_behaviours(options.area, options.cells, options.json)


def options_in_words() -> str:
    """The suite's options by what they are for, each with an example, and the most used ones of pytest."""
    parts = []
    for purpose, options in OPTIONS.items():
        rows = [(f"{option.name} {option.example}", option.says) for option in options]
        parts.append((purpose, rows))
    parts.append(("of pytest and its plugins (python -m pytest --help has all)", list(FURTHER)))
    width = max(len(example) for _, rows in parts for example, _ in rows)
    lines = [
        line for title, rows in parts for line in ("", f"{title}:", *(f"  {e:{width}}  {says}" for e, says in rows))
    ]
    return "\n".join(lines).lstrip("\n").replace("%", "%%")


def run_suite(arguments: list[str], report: str | None) -> int:
    """Run pytest where the user is, then build the page from its run record; pytest's exit status."""
    from conformance import checkout

    arguments = [argument for argument in arguments if argument != "--"]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        note = Path(folder) / "record"
        command = [sys.executable, "-m", "pytest", *arguments]
        status = subprocess.call(command, env=checkout.environment(note))
        told = note.read_text(encoding="utf-8").splitlines() if note.exists() else []
    if not told:  # nothing was run: --collect-only, --version, or an error that pytest told
        return status
    record = told[0]
    if len(told) > 1:  # the serial phase, into the same record
        command = [sys.executable, "-m", "pytest", *json.loads(told[1])]
        status = subprocess.call(command, env=checkout.environment(Path(os.devnull))) or status
    target = report or os.path.relpath(ROOT / "reports" / "out")
    command = [sys.executable, "-m", "reports", "build", record, "-o", target]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if built.returncode == 0:
        print(f"page:         {built.stdout.strip()}")
    return status or built.returncode


def keep_schemas(check: bool) -> int:
    """Write, or check, the JSON Schemas."""
    from conformance.engine import schema

    if check:
        stale = [p for p, text in schema.schemas().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    else:
        stale = schema.write()
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of step with the models' if check else 'written'}")
    return 1 if check and stale else 0


def list_behaviours(areas: list[str], cells: bool, as_json: bool) -> int:
    """Print behaviours or cells; exit status 2 for an area that there is not, or a spec that cannot be read."""
    from conformance.engine.cells import cells_of
    from conformance.engine.specs import area_names, load_area
    from conformance.engine.targets import available
    from conformance.engine.yamlfile import SpecError

    known = area_names()
    unknown = [name for name in areas if name not in known]
    if unknown:
        print(f"area: expected one of {', '.join(known)}; found {unknown[0]!r}", file=sys.stderr)
        return 2
    rows: list[dict[str, Any]] = []
    try:
        for name in areas or known:
            loaded = load_area(name)
            for behaviour in loaded.area.behaviours:
                shared = {"level": behaviour.level.value, "statement": behaviour.statement}
                if cells:
                    rows += [{"id": cell.id, **shared} for cell in cells_of(loaded, behaviour, available())]
                else:
                    rows.append({"id": f"{name}.{behaviour.id}", **shared, "source": loaded.where(behaviour.id)})
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            print(f"{row['level']:6}  {row['id']}  {row['statement'] if not cells else ''}".rstrip())
    return 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has read enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
