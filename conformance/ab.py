"""Two torches timed by turns on one machine, and the ratio of each call, with an interval.

Each call is timed in the order A B B A, over and over: what the machine does meanwhile, and how it warms, happens to
both. Releases are installed by tox, as ``matrix`` does it; nothing here imports torch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from conformance.matrix import RELEASE, ROOT, MatrixError, environment_of, project_path, torch_of, tox_environment

SCHEMA = "ab/1"
PAIRS = 12  # of a call: the interval of a median by signs leaves out the two outermost of either end
SIZES = ("small", "medium", "large")
DEATHS = 20  # of a side's processes: of a torch that has died so often one is told, and waits for no more
BROKEN_OFF = 130
USAGE = "python -m conformance ab A B [--python PATH …] [-o FILE] [-k TEXT] [--size SIZE …] [--pairs N] [--device NAME]"
EPILOG = """\
Examples:
  python -m conformance ab old/bin/python new/bin/python -k add_ -o ab.json
  python -m conformance ab --python old/bin/python --python new/bin/python
  tox -e ab -- 2.4.1 2.13.0 --size small

Exit status: 0 done; 2 where a release or an interpreter cannot be used, or nothing is to be timed; 130 broken off with
Ctrl-C: the file has the calls until then.
"""


def add(commands: Any) -> None:
    """Add the command to those of ``python -m conformance``."""
    ab = commands.add_parser(
        "ab", help="time two torches by turns, and tell the ratio of each call", usage=USAGE,
        description=(__doc__ or "").partition("\n")[0], epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    ab.add_argument("sides", nargs="*", metavar="A|B", help="an interpreter that has a torch, or a release (2.4.1)")
    ab.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PATH",
        help="an interpreter; they come after what A and B name",
    )
    ab.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: reports/runs/ab-A-B.json")
    ab.add_argument("-k", "--only", default="", metavar="TEXT", help="only calls whose name has this in it")
    ab.add_argument("--size", action="append", choices=SIZES, help="only calls of this size; repeatable")
    ab.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help=f"pairs of each call (default: {PAIRS})")
    ab.add_argument("--device", default="cpu", metavar="NAME", help="device to time on (default: cpu)")


def run(options: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Time both sides, write the file and print the table; ``rest`` are sides that were named behind an option."""
    if options.pairs < 2 or options.pairs > 1000:
        print(f"ab: --pairs: expected from 2 to 1000; found {options.pairs}", file=sys.stderr)
        return 2
    try:
        sides = two([*options.sides, *rest], options.python)
        if options.output is not None:
            check_output(options.output)
        pythons = [python_of(side, options.device) for side in sides]
        if RELEASE.fullmatch(sides[0]) and pythons[0] == pythons[1]:
            raise MatrixError(f"expected two environments of tox; found {sides} in one")
        versions = [torch_of(python) for python in pythons]
        output = options.output or ROOT / "reports" / "runs" / f"ab-{'-'.join(versions)}.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        with Side(pythons[0], options.device) as a, Side(pythons[1], options.device) as b:
            document, why = compared(a, b, options)
            if document["rows"] or why is None:
                with deaf():
                    write(output, document)
    except (MatrixError, OSError) as error:
        print(f"ab: {str(error).removeprefix('--python: ')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ab: broken off before a call was timed", file=sys.stderr)
        return BROKEN_OFF
    if document["rows"] or why is None:
        print("\n".join(table(document, 20)))
        print(f"file: {os.path.relpath(output)}")
    if why is None:
        return 0
    print(f"ab: {why}", file=sys.stderr)
    return BROKEN_OFF if isinstance(why, BrokenOff) else 2


class BrokenOff(MatrixError):
    """Somebody has pressed Ctrl-C."""


class Ended(MatrixError):
    """The process of a side is no more."""


def two(named: Sequence[str], pythons: Sequence[str]) -> list[str]:
    """The two sides; raises MatrixError."""
    sides = [side for side in named if side != "--"]
    unknown = [side for side in sides if side.startswith("-")]
    if unknown:
        raise MatrixError(f"expected options of python -m conformance ab --help; found {' '.join(unknown)}")
    sides += pythons
    if len(sides) != 2:
        raise MatrixError(f"expected two sides, A and B: releases or interpreters; found {' '.join(sides) or 'none'}")
    return sides


def check_output(path: Path) -> None:
    """Refuse a place where no file can be written, or another's file is, before all is timed; raises MatrixError."""
    if path.is_dir():
        raise MatrixError(f"-o: expected a file to write; found the folder {path}")
    if path.parent.exists() and not path.parent.is_dir():
        raise MatrixError(f"-o: expected a file in a folder; found the file {path.parent}")
    if not path.exists():
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8")).get("schema") == SCHEMA
    except (ValueError, AttributeError):
        earlier = False
    if not earlier:
        raise MatrixError(f"-o: expected a new file, or an earlier one of this command; found another in {path}")


@contextmanager
def deaf() -> Iterator[None]:
    """Hear no Ctrl-C: tox sends one after the other, and a file is to be written."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, which alone hears it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def python_of(side: str, device: str) -> str:
    """The interpreter of a side: the one named, or that of the environment that tox makes for a release."""
    if not RELEASE.fullmatch(side):
        return side
    environment, variables = environment_of(side, device.partition(":")[0])
    command = [sys.executable, "-m", "tox", "run", "-c", str(ROOT), "-e", environment, "--notest"]
    if subprocess.call(command, env=variables):
        raise MatrixError(f"expected an environment with torch {side}; tox could not make {environment}")
    return str(tox_environment(environment) / ("Scripts" if os.name == "nt" else "bin") / "python")


class Side:
    """A process that times calls with one torch."""

    def __init__(self, python: str, device: str) -> None:
        self.python, self.device = python, device
        self.deaths = 0
        self._start()

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": project_path(), "PYTHONHASHSEED": "0"}
        command = [self.python, "-W", "ignore", "-m", "conformance.performance.worker", self.device]
        # a full pipe would hang it
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True
        )

    def anew(self) -> None:
        """Start the process again, after it has died of a call; raises MatrixError where it does not live."""
        self.deaths += 1
        if self.deaths > DEATHS:
            raise MatrixError(f"expected timings of {self.python}; its process has died of {self.deaths} calls")
        self.__exit__()
        self._start()
        self.hear()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process: it has nothing more to read."""
        for pipe in (self.process.stdin, self.process.stdout, self.said):
            with suppress(OSError):  # it may have died with our question unread
                assert pipe is not None
                pipe.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def hear(self) -> dict[str, Any]:
        """One answer; raises MatrixError where the process has died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.said.seek(0)
            said = self.said.read().strip().splitlines()
            how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
            told = f"it ended {how}{f' and said: {said[-1]}' if said else ''}"
            raise Ended(f"expected timings of {self.python}; {told}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, **what: Any) -> dict[str, Any]:
        """Ask for something, and hear the answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except OSError:
            return self.hear()  # which says why there is nobody
        return self.hear()


def compared(a: Side, b: Side, options: argparse.Namespace) -> tuple[dict[str, Any], MatrixError | None]:
    """Every call that both have, timed by turns; with it, why these are not all."""
    first, second = a.hear(), b.hear()
    there = {row["id"] for row in second["subjects"]}
    wanted = [
        row for row in first["subjects"]
        if row["id"] in there and options.only in row["id"] and (not options.size or row["size"] in options.size)
    ]  # fmt: skip
    if not wanted:
        sizes = f" of size {' or '.join(options.size)}" if options.size else ""
        raise MatrixError(
            f"-k: expected a part of a call's name, such as add_; found {options.only!r}, which fits none{sizes}"
        )
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    why: MatrixError | None = None
    try:
        for number, row in enumerate(wanted):
            if sys.stderr.isatty():
                print(f"\rab: {number} of {len(wanted)}  {row['id'][:60]:60}", end="", file=sys.stderr)
            found = survived(a, b, row, options.pairs)
            (skipped if "reason" in found else rows).append(found)
    except KeyboardInterrupt:
        why = BrokenOff(f"broken off after {len(rows) + len(skipped)} of {len(wanted)} calls")
    except MatrixError as error:
        why = error
    if sys.stderr.isatty():
        print(f"\r{'':90}\r", end="", file=sys.stderr)
    return {
        "schema": SCHEMA, "complete": why is None, "a": first["environment"], "b": second["environment"],
        "fingerprint": first["fingerprint"], "target": first["target"], "rows": rows, "skipped": skipped,
    }, why  # fmt: skip


def survived(a: Side, b: Side, row: dict[str, Any], pairs: int) -> dict[str, Any]:
    """The ratio of one call, or why there is none; a process that dies of it is started anew for the others."""
    try:
        return row_of(a, b, row, pairs)
    except Ended as error:
        dead = [(side, name) for side, name in ((a, "A"), (b, "B")) if side.process.poll() is not None]
        for side, _ in dead:
            side.anew()
        names = " and ".join(name for _, name in dead)
        return {"subject": row["subject"], "reason": f"{names}: {str(error).partition('; ')[2]}"[:200]}


def row_of(a: Side, b: Side, row: dict[str, Any], pairs: int) -> dict[str, Any]:
    """The ratio of one call; or why there is none."""
    one = a.ask(id=row["id"], calls=None)
    other = b.ask(id=row["id"], calls=one.get("calls"))
    for side, name in ((one, "A"), (other, "B")):
        if "error" in side:
            return {"subject": row["subject"], "reason": f"{name}: {side['error']}"}
    if (one["elements"], one["dtype"]) != (other["elements"], other["dtype"]):
        return {"subject": row["subject"], "reason": "A and B make another call of it"}
    rounds = min(one["rounds"], other["rounds"])
    seconds: dict[str, list[float]] = {"a": [], "b": []}
    for turn in range(pairs):
        for name in ("a", "b") if turn % 2 == 0 else ("b", "a"):
            seconds[name].append((a if name == "a" else b).ask(rounds=rounds)["seconds"])
    ratios = sorted(y / x for x, y in zip(seconds["a"], seconds["b"], strict=True) if x > 0)
    if not ratios:
        return {"subject": row["subject"], "reason": "the clock saw no time pass"}
    return {
        "subject": row["subject"], "kind": row["kind"], "dtype": one["dtype"], "size": row["size"],
        "elements": one["elements"], "a": statistics.median(seconds["a"]), "b": statistics.median(seconds["b"]),
        "ratio": statistics.median(ratios), "interval": list(interval(ratios)), "pairs": len(ratios),
    }  # fmt: skip


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """An interval of 95 % for the median of sorted ratios, by the sign test: whatever their distribution is."""
    count, left, below = len(ratios), 0, 0.0
    while left < (count - 1) // 2:
        below += math.comb(count, left) / 2**count
        if 2 * below > 0.05:
            break
        left += 1
    left = max(left - 1, 0)
    return ratios[left], ratios[count - 1 - left]


def table(document: dict[str, Any], most: int) -> Iterator[str]:
    """The calls that became slower most, those that became faster most, and what all come to."""
    rows = sorted(document["rows"], key=lambda row: -row["ratio"])
    a, b = document["a"]["torch"], document["b"]["torch"]
    yield f"A: torch {a}    B: torch {b}    ratio: B / A"
    sure = [row for row in rows if row["interval"][0] > 1 or row["interval"][1] < 1]
    slower = [row for row in sure if row["ratio"] > 1][:most]
    faster = [row for row in reversed(sure) if row["ratio"] < 1][:most]
    for title, part in (("slower", slower), ("faster", faster)):
        if part:
            yield f"{title} with B, the most first:"
        for row in part:
            low, high = row["interval"]
            name = f"{row['subject']} ({row['kind']}, {row['dtype']}, {row['size']})"
            yield f"  {row['ratio']:6.2f}  {low:.2f} - {high:.2f}  {row['a']:.3g} s  {row['b']:.3g} s  {name}"
    if rows:
        mean = math.exp(sum(math.log(row["ratio"]) for row in rows) / len(rows))
        told = f"{len(rows)} calls, geometric mean of the ratios {mean:.3f}; surely different: {len(sure)}"
        yield told + (f"; not compared: {len(document['skipped'])}" if document["skipped"] else "")
    if not document["complete"]:
        yield "broken off: not all calls were timed"


def write(path: Path, document: dict[str, Any]) -> None:
    """Write the file at one stroke, a line for each call."""
    rows = ",\n".join(json.dumps(row, allow_nan=False) for row in document["rows"])
    head = json.dumps({key: value for key, value in document.items() if key != "rows"}, indent=1)[:-2]
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.write_text(f'{head},\n "rows": [\n{rows}\n]}}\n', encoding="utf-8")
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)
