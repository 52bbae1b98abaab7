"""The appendix of a run record: the timings of the serial phase, in the file that has the verdicts already.

While the phase goes on, each timing is put in front of the closing brackets in a single write, and the record says
that it is not complete: a phase that is killed leaves every verdict, and the timings until then, readable. The end
rewrites the file at one stroke.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.engine.record import put, stamp, text_of, write_atomically

TAIL = b"\n]}}\n"


class Appendix:
    """The timings that go into the record at ``path``, which is there."""

    def __init__(self, path: Path, opening: dict[str, Any]) -> None:
        """Begin with what is true of all timings; raises OSError or ValueError where there is no record."""
        self.path = path
        self.document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(self.document, dict) or not isinstance(self.document.get("cells"), list):
            raise ValueError("no run record")
        self.document.pop("performance", None)
        self.opening = {**opening, "seconds": 0.0}
        self.measurements: list[str] = []
        self.skipped: list[dict[str, str]] = []
        self.began = datetime.now(UTC)
        head = json.dumps({**self.opening, "skipped": []}, allow_nan=False)[:-1] + ', "measurements": ['
        text = text_of({**self.document, "complete": False}, {"performance": head})
        write_atomically(path, text + TAIL.decode())
        self.end = len(text.encode())
        self.descriptor = os.open(path, os.O_WRONLY)

    def add(self, measurement: dict[str, Any]) -> None:
        """Append one timing; raises OSError where it cannot be written, and leaves the file as it was."""
        line = json.dumps(measurement, allow_nan=False)
        text = (b",\n" if self.measurements else b"\n") + line.encode()
        try:
            put(self.descriptor, text + TAIL, self.end)
        except OSError:
            with suppress(OSError):  # the room for these few bytes was there before
                put(self.descriptor, TAIL, self.end)
                os.ftruncate(self.descriptor, self.end + len(TAIL))
            raise
        self.end += len(text)
        self.measurements.append(line)

    def skip(self, subject: str, reason: str) -> None:
        """Note what could not be timed."""
        self.skipped.append({"subject": subject, "reason": reason})

    def close(self) -> None:
        """Let the record be without timings, and complete where its verdicts are: there was nothing to be timed."""
        self.document["complete"] = self._decided()
        os.close(self.descriptor)
        write_atomically(self.path, text_of(self.document, {}) + "}\n")

    def finish(self, whole: bool) -> None:
        """Rewrite the record in its final form; it is complete where the phase is, and its verdicts are."""
        os.close(self.descriptor)
        now = datetime.now(UTC)
        seconds = round((now - self.began).total_seconds(), 3)
        document = {**self.document, "finished": stamp(now)}
        document["complete"] = whole and self._decided()
        document["seconds"] = round((document.get("seconds") or 0.0) + seconds, 3)
        head = json.dumps({**self.opening, "seconds": seconds, "skipped": self.skipped}, allow_nan=False)
        rows = ",\n".join(self.measurements)
        write_atomically(
            self.path, text_of(document, {"performance": f'{head[:-1]}, "measurements": [\n{rows}\n]}}'}) + "}\n"
        )

    def _decided(self) -> bool:
        return not self.document["errors"] and len(self.document["cells"]) == self.document["planned"]
