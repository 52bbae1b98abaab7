"""Several releases of torch in turn, and one report of them all.

Releases are installed by tox, into the environments of ``tox.ini``; interpreters that have a torch already are run as
they are. Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import checkout

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "reports" / "runs" / "matrix"
RELEASE = re.compile(r"(\d+)\.(\d+)(\.\d+)?")
DEVICES = ("cpu", "cuda")  # for which tox.ini has environments
USAGE = "python -m conformance matrix [2.4.1 2.13 …] [--python PATH …] [options of the suite and of pytest]"
EPILOG = """\
Examples:
  python -m conformance matrix 2.4.1 2.13.0 --profile smoke
  python -m conformance matrix --python old/bin/python --python new/bin/python --device cuda
  tox -e matrix -- 2.4.1 2.13.0 --discard

Exit status: that of the worst run; 2 where a release or an interpreter cannot be used.
"""
WORDS = ("fail", "crash", "timeout", "error", "known", "fixed", "pass")


class MatrixError(Exception):
    """A release or an interpreter that cannot be used."""


@dataclass
class Run:
    """One run: what it is called, and the command for it; ``folder`` can be thrown away behind it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    record: Path
    folder: Path | None = None
    status: int | None = None


def add(commands: Any) -> None:
    """Add the command to those of ``python -m conformance``."""
    matrix = commands.add_parser(
        "matrix", help="run several releases in turn, and build one report", usage=USAGE,
        description=(__doc__ or "").partition("\n")[0], epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    matrix.add_argument("--python", action="append", default=[], metavar="PATH", help="an interpreter that has a torch")
    matrix.add_argument("--device", action="append", default=[], metavar="NAME", help="device to test (default: cpu)")
    matrix.add_argument(
        "--discard", action="store_true", help="remove each environment of tox behind its run (GBs each)"
    )
    matrix.add_argument("--records", type=Path, metavar="DIR", help="folder of the records (reports/runs/matrix)")
    matrix.add_argument("--report", metavar="DIR", help="folder of the page (default: reports/out of the checkout)")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    """Make every run, then the page of those that have a record."""
    rest = [argument for argument in rest if argument != "--"]
    count = next((i for i, text in enumerate(rest) if not RELEASE.fullmatch(text)), len(rest))
    folder = (options.records or RUNS).resolve()
    try:
        runs = list(planned(rest[:count], options.python, options.device or ["cpu"], rest[count:], folder))
    except MatrixError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(runs, 1):
        print(f"matrix: {one.name} ({number} of {len(runs)})", flush=True)
        one.record.unlink(missing_ok=True)  # that of an earlier matrix would be taken for this one's
        one.status = subprocess.call(one.command, env=one.environment)
        if options.discard and one.folder is not None:
            shutil.rmtree(one.folder, ignore_errors=True)
    records = [str(one.record) for one in runs if one.record.exists()]
    target = options.report or os.path.relpath(ROOT / "reports" / "out")
    built = 0
    print("\n".join(table(runs)))
    if records:
        command = [sys.executable, "-m", "reports", "build", *records, "-o", target]
        built = subprocess.call(command, env={**os.environ, "PYTHONPATH": project_path()})
    return max([built, *(abs(one.status or 0) for one in runs)])


def planned(
    releases: Sequence[str], pythons: Sequence[str], devices: Sequence[str], rest: list[str], folder: Path
) -> Iterator[Run]:
    """The runs, in the order in which they are named: releases first; raises MatrixError."""
    if not releases and not pythons:
        raise MatrixError(
            f"expected releases, such as 2.4.1, or --python PATH, before the options of the suite; found "
            f"{rest or 'none'}"
        )
    names: Counter[str] = Counter()
    for release in releases:
        for device in devices:
            if device not in DEVICES:
                raise MatrixError(
                    f"--device: expected {' or '.join(DEVICES)}, for which tox.ini has environments; found {device!r} "
                    "(with --python PATH, any device)"
                )
            yield installed(release, device, rest, folder)
    for python in pythons:
        version = torch_of(python)
        names[version] += 1
        again = f"-{names[version]}" if names[version] > 1 else ""
        name = f"torch-{version}{again}"
        record = folder / f"{name}.json"
        arguments = [f"--run-record={record}", *(f"--device={device}" for device in devices), *rest]
        environment = {**checkout.environment(Path(os.devnull)), "PYTHONPATH": project_path()}
        yield Run(name, [python, "-m", "pytest", *arguments], environment, record)


def installed(release: str, device: str, rest: list[str], folder: Path) -> Run:
    """The run of a release that tox installs; raises MatrixError where tox is not there."""
    environment, variables = environment_of(release, device)
    name = f"torch-{release}-{device}"
    record = folder / f"{name}.json"
    tox = [sys.executable, "-m", "tox"]
    command = [*tox, "run", "-c", str(ROOT), "-e", environment, "--", f"--run-record={record}", *rest]
    return Run(name, command, variables, record, tox_environment(environment))


def environment_of(release: str, device: str) -> tuple[str, dict[str, str]]:
    """The environment of tox that has a release, and the variables to make it with; raises MatrixError."""
    found = RELEASE.fullmatch(release)
    assert found is not None
    environment = f"torch{found[1]}{found[2]}-{device}"
    tox = [sys.executable, "-m", "tox"]
    if subprocess.call([*tox, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        raise MatrixError(f"expected tox, which installs torch {release}; found none: pip install tox")
    known = subprocess.run([*tox, "list", "--no-desc", "-c", str(ROOT)], capture_output=True, text=True, env=_outside())
    if environment not in known.stdout.split():
        raise MatrixError(f"expected a release that tox.ini has an environment for; found {release} ({environment})")
    exact = {"TORCH": f"torch=={release}"} if found[3] else {}
    return environment, {**_outside(), **exact}


def tox_environment(environment: str) -> Path:
    """The folder of an environment of tox."""
    return ROOT / ".tox" / environment


def torch_of(python: str) -> str:
    """The version of the torch of an interpreter; raises MatrixError where it cannot run the suite."""
    code = "import torch, pytest, xdist, hypothesis, pydantic; print(torch.__version__)"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        said = getattr(error, "strerror", None) or "no answer within 300 s"
        raise MatrixError(f"--python: expected an interpreter that has a torch; found {python!r}: {said}") from None
    if found.returncode or not found.stdout.strip():
        lines = found.stderr.strip().splitlines() or [f"exit status {found.returncode}"]
        raise MatrixError(f"--python: expected torch and what the suite needs in {python!r}; found {lines[-1]}")
    return found.stdout.strip().splitlines()[-1].partition("+")[0]


def table(runs: Sequence[Run]) -> Iterator[str]:
    """One row a run: its exit status, and its verdicts."""
    rows = [["run", "status", "cells", *WORDS]]
    for one in runs:
        cells = json.loads(one.record.read_text(encoding="utf-8"))["cells"] if one.record.exists() else None
        counts = Counter(cell["verdict"] for cell in cells or ())
        told = [str(len(cells)), *(str(counts[word]) for word in WORDS)] if cells is not None else ["no record"]
        rows.append([one.name, str(one.status), *told])
    width = max(len(row[0]) for row in rows)
    for row in rows:
        yield f"{row[0]:{width}}  " + "  ".join(f"{text:>6}" for text in row[1:])


def project_path() -> str:
    """Where this project is imported from, before all that was there."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def _outside() -> dict[str, str]:
    """The environment without what an outer tox has put there, which would be taken for the inner one's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TOX_") and key != "PYTHONPATH"}
