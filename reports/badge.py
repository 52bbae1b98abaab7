"""A badge: the standing of a run in a word or two, as a picture and as an endpoint for a badge service."""

from __future__ import annotations

from dataclasses import dataclass

from reports.model import Run
from reports.tally import State, Tally, by_level, counted, limit, standing
from reports.templating import rendered

LABEL = "PyTorch conformance"
# White text stands out 4.5 : 1 from each of them.
COLOURS: dict[State, str] = {
    "conformant": "#1b6b3a",
    "deviating": "#4f6b12",
    "broken": "#b3201a",
    "part": "#174ea6",
    "incomplete": "#855400",
    "undecided": "#6b3aa0",
    "untested": "#595e64",
}
_NARROW, _WIDE = "fijlrtI.,:;!'|()[] ", "mwMW@%"


@dataclass(frozen=True)
class Badge:
    """What a badge says, and its colour."""

    label: str
    message: str
    colour: str

    def svg(self) -> str:
        """The picture. It asks for nothing, and says in words what it shows."""
        left, right = _width(self.label) + 12, _width(self.message) + 12
        words = f"{self.label}: {self.message}"
        return rendered("badge.svg", (), badge=self, left=left, right=right, words=words) + "\n"

    def endpoint(self) -> dict[str, object]:
        """The endpoint of shields.io and those that read the same."""
        return {"schemaVersion": 1, "label": self.label, "message": self.message, "color": self.colour.lstrip("#")}


def badge(run: Run) -> Badge:
    """The badge of a run. What is not of the whole suite is never called conformant."""
    state, must, version = standing(run).state, by_level(run)["must"], run.environment.torch.version
    words = {
        "conformant": "conformant",
        "deviating": f"conformant but for {counted(must['known'], 'listed deviation')}",
        "broken": f"{counted(must['failed'], 'failing must')}{_of(run)}",
        "part": f"no must fails{_of(run)}",
        "incomplete": "incomplete run",
        "undecided": f"undecided, {counted(len(run.errors) + Tally.of(run.cells)['error'], 'suite error')}",
        "untested": "not tested",
    }[state]
    return Badge(f"{LABEL}, torch {version}", words, COLOURS[state])


def _of(run: Run) -> str:
    found = limit(run)
    return f" ({found.name.lower()})" if found else ""


def _width(text: str) -> int:
    """About as wide as the text is in a sans-serif of 11 pixels; the picture then stretches it to just that."""
    return round(sum(3.7 if c in _NARROW else 9.4 if c in _WIDE else 7.6 if c.isupper() else 6.4 for c in text))
