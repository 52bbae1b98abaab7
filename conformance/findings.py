"""The scripts of ``docs/findings.md``, run by one interpreter after the other: what each torch still does.

    python conformance/findings.py old/bin/python new/bin/python

Prints a row a finding: ``x`` where its script ends by an error or a signal, ``-`` where this torch has not got what
the script is about, blank where it ends well. Exit status: 1 where the page's table says otherwise of a release (its
``-`` also stands where the documentation of a release does not promise it yet), 2 where an interpreter cannot be used.
It needs nothing of this project, so that any environment with torch will do, and a system that forks: torch is imported
once an interpreter, and each script has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "findings.md"
SECTION = re.compile(r"^### (\d+)\. (.*)$", re.MULTILINE)
SCRIPT = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^\|\s*\|\s*\|(.*)\| upstream \|$", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \|(.*)\| [^|]* \|$", re.MULTILINE)
# An error that says that this torch has not got a name or an argument is not what the script is about.
ABSENT = re.compile(
    r"(?:module '[\w.]+'|type object '\w+'|(?<!'NoneType') object) has no attribute"
    r"|cannot import name|got an unexpected keyword argument|No module named"
)
WORKER = r"""
import json, os, signal, sys, tempfile, time, warnings
import numpy, torch

def ends(script):
    with tempfile.TemporaryDirectory() as folder:
        path, said = os.path.join(folder, "finding.py"), os.path.join(folder, "said")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        child = os.fork()
        if not child:
            os.chdir(folder)
            output = os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1), os.dup2(output, 2)
            signal.alarm(60)  # one script is about a call that does not end
            sys.argv = [path]
            module = sys.modules["__main__"]
            module.__dict__.update(__file__=path, __name__="__main__")
            try:
                exec(compile(script, path, "exec"), module.__dict__)
            except SystemExit as end:
                status = 0 if end.code in (None, 0) else 1
            except BaseException as error:
                print(f"{type(error).__name__}: {error}".splitlines()[0], flush=True)
                status = 1
            else:
                status = 0
            os._exit(status)
        _, status = os.waitpid(child, 0)
        with open(said, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines() or [""]
        return [os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, os.WEXITSTATUS(status), lines[-1][:200]]

answer = os.dup(1)
os.dup2(2, 1)
for line in sys.stdin:
    number, script = json.loads(line)
    os.write(answer, (json.dumps([number, *ends(script)]) + "\n").encode())
"""


class FindingsError(Exception):
    """A page that cannot be read, or an interpreter that cannot be used."""


@dataclass(frozen=True)
class Finding:
    """One section of the page: its number, its title, its script, and what its row says of each release."""

    number: int
    title: str
    script: str
    told: Mapping[str, str]


def findings(text: str) -> list[Finding]:
    """The sections of the page in order; raises FindingsError where one has no script or no row."""
    heading = HEADING.search(text)
    if heading is None:
        raise FindingsError("expected a table of releases, the last column 'upstream'; found none")
    releases = _cells(heading[1])
    rows = {int(number): _cells(rest) for number, rest in ROW.findall(text)}
    parts = SECTION.split(text)[1:]
    found = []
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        scripts, row = SCRIPT.findall(body), rows.get(int(number), [])
        if len(scripts) != 1 or len(row) != len(releases) + 1:
            raise FindingsError(
                f"finding {number}: expected one script, and a row of {len(releases)} releases; found {len(scripts)} "
                f"and {max(len(row) - 1, 0)}"
            )
        found.append(Finding(int(number), title, scripts[0], dict(zip(releases, row[1:], strict=True))))
    return found


def seen(python: str, chosen: Sequence[Finding]) -> Iterator[tuple[int, str, str]]:
    """What an interpreter makes of each script: its number, the word for it, and the last line it wrote."""
    lines = "".join(json.dumps([one.number, one.script]) + "\n" for one in chosen)
    done = subprocess.run(
        [python, "-c", WORKER], input=lines, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(chosen):
        raise FindingsError(f"expected {len(chosen)} answers of {python}; found {len(answers)}")
    for number, signal, status, said in answers:
        absent = not signal and ABSENT.search(said)
        yield number, "-" if absent else "x" if signal or status else "", f"signal {signal}" if signal else said


def release_of(python: str) -> str:
    """The release of an interpreter's torch; raises FindingsError where it has none."""
    code = "import numpy, torch; print(torch.__version__)"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError as error:
        raise FindingsError(
            f"expected an interpreter that has torch and NumPy; found {python}: {error.strerror}"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FindingsError(f"expected an interpreter that has torch and NumPy; found {python}: {last}")
    return done.stdout.split()[-1].partition("+")[0]


def table(chosen: Sequence[Finding], words: Mapping[str, Mapping[int, str]]) -> Iterator[str]:
    """A row a finding: the word for each release, and where the page has another one."""
    width = max(7, *(len(release) for release in words))
    yield "finding  " + "  ".join(f"{release:>{width}}" for release in words)
    for one in chosen:
        row = "  ".join(f"{found[one.number]:>{width}}" for found in words.values())
        faults = (fault(one, release, found[one.number]) for release, found in words.items())
        yield "  ".join(filter(None, [f"{one.number:>7}  {row}", *faults]))


def fault(finding: Finding, release: str, word: str) -> str:
    """What the page's table says otherwise; nothing where it has no such release, or promises nothing for it."""
    told = finding.told.get(release, word)
    return (
        "" if told in (word, "-") else f"{release}: expected {told or 'nothing'} by the page, found {word or 'nothing'}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python conformance/findings.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("python", nargs="+", help="an interpreter that has torch and NumPy")
    parser.add_argument("--only", nargs="+", type=int, metavar="N", help="numbers of findings (default: all)")
    parser.add_argument("--verbose", action="store_true", help="also what each script said last")
    options = parser.parse_args(arguments)
    words: dict[str, dict[int, str]] = {}
    try:
        known = findings(PAGE.read_text(encoding="utf-8"))
        chosen = [one for one in known if one.number in (options.only or [one.number])]
        if not chosen:
            raise FindingsError(f"--only: expected numbers of findings, 1 to {len(known)}; found {options.only}")
        for python in options.python:
            release = release_of(python)
            words[release] = {}
            for number, word, said in seen(python, chosen):
                words[release][number] = word
                if options.verbose and word:
                    print(f"{number} on {release}: {said}", file=sys.stderr)
    except FindingsError as error:
        print(f"findings: {error}", file=sys.stderr)
        return 2
    print("\n".join(table(chosen, words)))
    return int(any(fault(one, release, found[one.number]) for one in chosen for release, found in words.items()))


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split("|")]


if __name__ == "__main__":
    sys.exit(main())
