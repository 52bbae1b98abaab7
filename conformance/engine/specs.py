"""Spec files: what is promised, as data.

The models below are the format; ``conformance/engine/schema.py`` writes their JSON Schemas to ``specs/schema/``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from conformance.engine.versions import release
from conformance.engine.words import PROFILES, Level
from conformance.engine.yamlfile import Faults, SpecError, behaviour_lines, load, shown, worded

SPECS = Path(__file__).resolve().parents[2] / "specs"
GENERATED = "https://docs.pytorch.org/docs/stable/generated"


def _version(value: str) -> str:
    if re.fullmatch(r"\d+(\.\d+)+", value, re.ASCII) is None:
        raise ValueError("a release such as '2.13' or '2.13.0'")
    return value


def _statement(value: str) -> str:
    if not value.endswith(".") or value != value.strip():
        raise ValueError("one sentence that ends with a full stop")
    return value


VersionText = Annotated[str, AfterValidator(_version)]
Sentence = Annotated[str, AfterValidator(_statement)]
Dotted = Annotated[str, Field(pattern=worded(r"^[A-Za-z_]\w*(\.\w+)*$", "a dotted name such as torch.Tensor.add_"))]
Kebab = Annotated[
    str, Field(pattern=worded(r"^[a-z0-9]+(-[a-z0-9]+)*$", "lower-case words joined by hyphens, such as returns-self"))
]
Word = Annotated[
    str,
    Field(pattern=worded(r"^[a-z][a-z0-9_]*$", "lower-case words joined by underscores, such as cpu or state_dict")),
]
Link = Annotated[str, Field(pattern=worded("^https://", "a link that begins with https://"))]


class Model(BaseModel):
    """Base of everything that is read from YAML: no unknown key, no silent conversion, no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Documentation(Model):
    """Where the documentation promises it: an object whose docstring says so, or a page and section."""

    object: str | None = Field(None, description="Dotted path; {subject} stands for the cell's subject.")
    page: Link | None = Field(None, description="Documentation page, where no docstring carries the promise.")
    section: str | None = Field(None, description="Anchor on the page.")
    says: str | None = Field(
        None, max_length=160, description="Short phrase of the docstring that carries the promise."
    )

    @model_validator(mode="after")
    def _names_a_place(self) -> Documentation:
        if self.object is None and self.page is None:
            raise ValueError("a key 'object' or a key 'page'")
        if self.section is not None and self.page is None:
            raise ValueError("a key 'page' beside 'section'")
        return self

    def url(self, subject: str | None) -> str | None:
        """The page to open."""
        if self.page is not None:
            return self.page + (f"#{self.section}" if self.section else "")
        name = self.object if subject is None else self.path(subject)
        return f"{GENERATED}/{name}.html" if name and name.startswith("torch.") else None

    def path(self, subject: str | None) -> str | None:
        """The object's dotted path for one subject."""
        return self.object.replace("{subject}", subject or "") if self.object else None


class Subjects(Model):
    """Which entries of a catalogue a behaviour is asserted of."""

    catalogue: Word
    where: dict[str, Any] = Field(default_factory=dict, description="Attributes that the row must have.")
    names: list[str] | None = Field(None, description="Only these rows.")
    except_: dict[str, str] = Field(
        default_factory=dict, alias="except", description="Rows left out, each with its reason."
    )


class Behaviour(Model):
    """One normative statement of the documentation."""

    id: Kebab
    statement: Sentence
    level: Level
    docs: Documentation
    since: VersionText | None = Field(None, description="First release in which it holds.")
    until: VersionText | None = Field(None, description="First release in which it holds no longer.")
    requires: Dotted | list[Dotted] = Field(default_factory=list, description="Dotted names that the build must have.")
    devices: Word | list[Word] = Field("any", description="'any', 'accelerator', or a list of device types.")
    needs: list[Kebab] = Field(default_factory=list, description="What the target must be able to do (capabilities).")
    values: bool = Field(True, description="Whether it takes values to tell; if not, meta tensors are asked too.")
    profile: Literal["smoke", "default", "thorough"] = Field("smoke", description="The first profile that asks it.")
    subjects: Subjects | None = None
    covers: list[str] = Field(default_factory=list, description="Rows of the collected statements that it covers.")
    note: str | None = None

    @model_validator(mode="after")
    def _holds_somewhere(self) -> Behaviour:
        if self.since is not None and self.until is not None and release(self.since) >= release(self.until):
            raise Faults([(("until",), f"a release after {self.since!r}", repr(self.until))])
        if self.devices == []:
            raise Faults([(("devices",), "'any', 'accelerator', or at least one device type", "[]")])
        return self

    @property
    def check(self) -> str:
        """Name of the check, by the one rule: ``returns-self`` is checked by ``test_returns_self``."""
        return "test_" + self.id.replace("-", "_")

    @cached_property
    def required(self) -> list[str]:
        """The capabilities that the build must have."""
        return [self.requires] if isinstance(self.requires, str) else self.requires

    def asked_from(self, profile: str) -> str | None:
        """Why a profile does not ask it, or None where it does."""
        names = list(PROFILES)
        if names.index(profile) >= names.index(self.profile):
            return None
        return f"it takes too long for the profile {profile}; --profile {self.profile} asks it"

    def covers_device(self, kind: str) -> bool:
        """Whether the statement speaks of devices of this type; of ``meta``, where no values are needed to tell."""
        return not self.values if kind == "meta" else reaches_device(self.devices, kind)


def reaches_device(devices: str | list[str], kind: str) -> bool:
    """Whether 'any', 'accelerator', or a list of device types has this type."""
    if devices == "any":
        return True
    if devices == "accelerator":
        return kind != "cpu"
    return kind in ([devices] if isinstance(devices, str) else devices)


class Timing(Model):
    """Which subjects of a catalogue the serial phase times, and how; or why it does not."""

    kind: str | None = Field(None, description="What a report calls the subjects, such as in-place operator.")
    subjects: Subjects
    makes: Word | None = Field(None, description="What makes a call of a row: conformance/performance/makers.py.")
    sizes: list[Literal["small", "medium", "large"]] = Field(
        ["small"], min_length=1, description="2**6, 2**14 and 2**22 elements; where shapes are the catalogue's: small."
    )
    dtypes: list[str] = Field(["float32"], min_length=1, description="Element types; a row's own where it lacks them.")
    devices: Word | list[Word] = Field("any", description="'any', 'accelerator', or a list of device types.")
    behaviours: list[str] = Field(default_factory=list, description="Ids of behaviours that speak of what is timed.")
    untimed: Sentence | None = Field(None, description="Why these subjects are not timed.")

    @model_validator(mode="after")
    def _times_or_says_why_not(self) -> Timing:
        if (self.untimed is None) == (self.makes is None or self.kind is None):
            raise ValueError("either the keys 'kind' and 'makes', or a key 'untimed'")
        return self

    def covers_device(self, kind: str) -> bool:
        """Whether calls on devices of this type are timed."""
        return reaches_device(self.devices, kind)


class Area(Model):
    """One spec file."""

    area: Word
    title: str
    page: Link
    costly: bool = Field(False, description="Whether its cells take so long that they are handed out before others.")
    behaviours: list[Behaviour] = Field(min_length=1)
    performance: list[Timing] = Field([], description="What the serial phase times.")

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Area:
        ids = [behaviour.id for behaviour in self.behaviours]
        twice = [i for i, name in enumerate(ids) if name in ids[:i]]
        if twice:
            raise Faults([(("behaviours", i, "id"), "each id once", f"{ids[i]!r} again") for i in twice])
        return self


class LoadedArea:
    """An area with the file that it came from."""

    def __init__(self, area: Area, path: Path) -> None:
        self.area, self.path = area, path

    @cached_property
    def lines(self) -> dict[str, int]:
        """Line of each behaviour in the file."""
        return behaviour_lines(self.path, "behaviours")

    def where(self, behaviour: str) -> str:
        """``specs/inplace.yaml:12`` of a behaviour."""
        return f"{shown(self.path)}:{self.lines.get(behaviour, 1)}"

    def number(self, behaviour: Behaviour) -> int:
        """Place of a behaviour among those of the file, from 0."""
        return [each.id for each in self.area.behaviours].index(behaviour.id)


def load_area(name: str, specs: Path = SPECS) -> LoadedArea:
    """The area of ``specs/<name>.yaml``, read once for as long as the file stays as it is; raises SpecError."""
    path = specs / f"{name}.yaml"
    with suppress(OSError):  # which reading it says better
        state = path.stat()
        return _load_area(name, path, (state.st_mtime_ns, state.st_size))
    return _load_area(name, path, None)


@cache
def _load_area(name: str, path: Path, stamp: tuple[int, int] | None) -> LoadedArea:
    area = load(path, Area)
    if area.area != name:
        raise SpecError(f"{shown(path)}:1: area: expected: {name!r}, the file's own name; found: {area.area!r}")
    return LoadedArea(area, path)


def area_of(module: Path) -> str:
    """Area whose checks a file would hold, by its name: ``inplace`` for ``conformance/test_inplace.py``."""
    return module.stem.removeprefix("test_")


def specs_of(module: Path) -> Path:
    """Folder of the specs that belong to a file of checks: ``specs`` beside the file's own folder."""
    return module.resolve().parents[1] / "specs"


def is_area_module(module: Path) -> bool:
    """Whether a file holds the checks of an area: ``test_<area>.py`` with a ``../specs/<area>.yaml``."""
    return module.name.startswith("test_") and (specs_of(module) / f"{area_of(module)}.yaml").is_file()


def area_names(specs: Path = SPECS) -> list[str]:
    """Areas that have a spec file."""
    special = {"deviations", "claims", "targets"}
    return sorted(p.stem for p in specs.glob("*.yaml") if p.stem not in special and re.match(r"[a-z]\w*$", p.stem))
