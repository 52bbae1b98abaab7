"""One side of the A/B mode: a process that times the calls that it is told to, when it is told to.

It reads a line of JSON and answers with one. Two of these, with a torch each, are asked by turns (``conformance.ab``),
so that whatever happens to the machine happens to both.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import numpy
import torch

from conformance.engine.targets import choose
from conformance.performance.clocks import clock_of
from conformance.performance.fingerprint import fingerprint
from conformance.performance.snippets import Batch
from conformance.performance.subjects import Subject, subjects
from conformance.performance.timing import calibrated, one_thread, quiet, rounds_within, timed

TURN = 0.006  # seconds of rounds at each turn
FEWEST = 5  # rounds of a turn, of which there are many


class Worker:
    """The calls of one target, and the batch that is to be timed next."""

    def __init__(self, device: str) -> None:
        self.targets = choose([device])
        self.subjects: dict[str, Subject] = {subject.id: subject for subject in subjects(self.targets)}
        self.clock = clock_of(self.targets[0])
        self.batch: Batch | None = None

    def greeting(self) -> dict[str, Any]:
        """Which torch this is, on what, and what it can be asked to time."""
        environment = {
            "torch": torch.__version__, "git": torch.version.git_version, "python": platform.python_version(),
            "numpy": numpy.__version__,
        }  # fmt: skip
        found = [
            {"id": x.id, "subject": x.row.name, "kind": x.timing.kind, "size": x.size} for x in self.subjects.values()
        ]
        target = self.targets[0].name
        return {
            "environment": environment, "fingerprint": fingerprint(self.targets), "target": target, "subjects": found
        }  # fmt: skip

    def prepare(self, name: str, calls: int | None) -> dict[str, Any]:
        """Make the call ready, with as many calls a round as the other side has, and say what it is."""
        self.batch = None
        try:
            snippet = self.subjects[name].snippet()
            self.batch, seconds = calibrated(snippet, self.clock, calls)
        except Exception as error:  # the call that one release has and the other lacks is not compared
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        return {
            "calls": self.batch.calls, "rounds": min(rounds_within(seconds, TURN, FEWEST), 15), "dtype": snippet.dtype,
            "elements": snippet.elements,
        }  # fmt: skip

    def time(self, rounds: int) -> dict[str, Any]:
        """The median of some rounds."""
        assert self.batch is not None
        return {"seconds": timed(self.batch, self.clock, rounds).median}


@contextmanager
def answers() -> Iterator[TextIO]:
    """Where answers go; whatever torch or a library prints goes to the standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with own:
        yield own


def main(device: str) -> None:
    """Answer until there is nothing more to read."""
    with answers() as out, one_thread(), quiet():
        worker = Worker(device)

        def say(what: dict[str, Any]) -> None:
            out.write(json.dumps(what) + "\n")
            out.flush()

        say(worker.greeting())
        for line in sys.stdin:
            asked = json.loads(line)
            say(worker.time(asked["rounds"]) if "rounds" in asked else worker.prepare(asked["id"], asked["calls"]))


if __name__ == "__main__":
    main(sys.argv[1])
