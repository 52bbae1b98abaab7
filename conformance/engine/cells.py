"""Cells: behaviour x subject x target, each with a name that reads like a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from conformance.engine.documentation import missing_capability
from conformance.engine.specs import Behaviour, LoadedArea
from conformance.engine.subjects import subjects_of
from conformance.engine.targets import COUNTED, Target
from conformance.engine.versions import out_of_range


@dataclass(frozen=True)
class Cell:
    """One verdict to reach. ``subject`` is a row of a catalogue, or None where the behaviour has no subjects."""

    area: str
    behaviour: Behaviour
    subject: Any
    target: Target

    @property
    def subject_name(self) -> str | None:
        """The row's name: ``add_``."""
        return None if self.subject is None else str(self.subject.name)

    @property
    def parameters(self) -> str:
        """``add_-cpu``, or ``cpu`` where there is no subject."""
        return self.target.name if self.subject is None else f"{self.subject.name}-{self.target.name}"

    @property
    def id(self) -> str:
        """``inplace.returns-self[add_-cpu]``."""
        return f"{self.area}.{self.behaviour.id}[{self.parameters}]"

    @property
    def node(self) -> str:
        """``test_returns_self[add_-cpu]``."""
        return f"{self.behaviour.check}[{self.parameters}]"

    def digest(self) -> int:
        """A number that is the same for this cell in every run, on every machine."""
        return int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:8], "big")

    def out_of_scope(self) -> str | None:
        """Why the statement does not speak of this build, subject and target, or None where it does."""
        behaviour = self.behaviour
        version = torch.__version__
        reason = out_of_range(version, behaviour.since, behaviour.until)
        if reason is None and self.subject is not None:
            reason = out_of_range(version, getattr(self.subject, "since", None), getattr(self.subject, "until", None))
            reason = f"{self.subject_name} {reason}" if reason else None
        if reason is None and not behaviour.covers_device(self.target.type):
            reason = f"the statement speaks of {behaviour.devices}; this target is {self.target.type}"
            if self.target.type == "meta":
                reason = "it takes values to tell, and meta tensors have none"
        if reason is None:
            lacking = next((name for name in behaviour.needs if name not in self.target.capabilities), None)
            lacks = "no other of its type" if lacking == COUNTED else f"no {lacking}".replace("-", " ")
            reason = f"{self.target.name} has {lacks}" if lacking else None
        if reason is None:
            absent = missing_capability(behaviour.required)
            reason = f"this build has no {absent}" if absent else None
        return reason


def cells_of(loaded: LoadedArea, behaviour: Behaviour, targets: tuple[Target, ...]) -> Iterator[Cell]:
    """Every cell of one behaviour, targets within subjects; raises SpecError for a subject that no catalogue has."""
    for subject in subjects_of(loaded, behaviour) or [None]:
        for target in targets:
            yield Cell(loaded.area.area, behaviour, subject, target)
