"""Claims: what tutorials say of torch, and the behaviours that decide whether it is so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from conformance.engine.specs import SPECS, Model, Sentence, VersionText, area_names, load_area
from conformance.engine.subjects import subjects_of
from conformance.engine.yamlfile import Fault, Faults, load, worded

SHIPPED = SPECS / "claims.yaml"
REFERENCE = worded(
    r"^[a-z][a-z0-9_]*\.[a-z0-9]+(-[a-z0-9]+)*(\[[^\s\[\]]+\])?$",
    "area.behaviour, or area.behaviour[subject], such as inplace.returns-self[add_]",
)
Reference = Annotated[str, Field(pattern=REFERENCE)]
ClaimId = Annotated[
    str,
    Field(pattern=worded(r"^[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*$", "a topic and words, such as alias.deepcopy-needed")),
]


class Claim(Model):
    """One claim, and what decides it or why nothing does."""

    id: ClaimId
    claim: Sentence
    decided_by: list[Reference] = Field(default=[], description="Behaviours, each with a subject where one decides.")
    expects: Literal["holds", "fails"] = Field(
        "holds", description="Whether the claim is true where these behaviours hold, or where they fail."
    )
    condition: Sentence | None = Field(None, description="What a claim that is true leaves out.")
    outdated_since: VersionText | None = Field(None, description="The release with which it stopped being true.")
    undecidable: Sentence | None = Field(None, description="Why no behaviour decides it.")

    @model_validator(mode="after")
    def _is_decided_or_not(self) -> Claim:
        faults: list[Fault] = []
        if bool(self.decided_by) == (self.undecidable is not None):
            found = "both" if self.decided_by else "neither"
            faults.append((("decided_by",), "a list of behaviours, or a key 'undecidable', and not both", found))
        if self.condition is not None and (self.expects == "fails" or self.undecidable is not None):
            faults.append((("condition",), "no condition of a claim that is false or undecided", repr(self.condition)))
        if self.outdated_since is not None and self.undecidable is not None:
            faults.append((("outdated_since",), "no release of a claim that is undecided", repr(self.outdated_since)))
        if faults:
            raise Faults(faults)
        return self


class Section(Model):
    """The claims of one topic."""

    title: str
    claims: list[Claim] = Field(min_length=1)


class Claims(Model):
    """The whole list."""

    sections: list[Section] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Claims:
        seen: set[str] = set()
        faults: list[Fault] = []
        for s, section in enumerate(self.sections):
            for c, claim in enumerate(section.claims):
                if claim.id in seen:
                    faults.append((("sections", s, "claims", c, "id"), "each id once", f"{claim.id!r} again"))
                seen.add(claim.id)
        if faults:
            raise Faults(faults)
        return self

    def each(self) -> Iterator[tuple[str, Claim]]:
        """Each claim with the title of its section, in the order of the file."""
        for section in self.sections:
            yield from ((section.title, claim) for claim in section.claims)

    def record(self) -> list[dict[str, Any]]:
        """The claims as a run record has them: what is not said is left out."""
        return [{"section": title, **claim.model_dump(exclude_defaults=True)} for title, claim in self.each()]


def load_claims(path: Path = SHIPPED) -> Claims:
    """The claims of a file; raises SpecError."""
    return load(path, Claims)


def strangers(claims: Claims, specs: Path = SPECS) -> list[str]:
    """A line for each behaviour, or subject of one, that a claim names and that there is not; raises SpecError."""
    subjects = _subjects(specs)
    found = []
    for _, claim in claims.each():
        for reference in claim.decided_by:
            behaviour, _, subject = reference.rstrip("]").partition("[")
            if behaviour not in subjects:
                found.append(f"{claim.id}: expected a behaviour of an area; found {behaviour!r}")
            elif subject and subject not in subjects[behaviour]:
                found.append(f"{claim.id}: expected a subject of {behaviour}; found {subject!r}")
    return found


@cache
def _subjects(specs: Path) -> dict[str, frozenset[str]]:
    """The names of the subjects of every behaviour; none where it has no catalogue."""
    found = {}
    for name in area_names(specs):
        loaded = load_area(name, specs)
        for behaviour in loaded.area.behaviours:
            found[f"{name}.{behaviour.id}"] = frozenset(str(row.name) for row in subjects_of(loaded, behaviour))
    return found
