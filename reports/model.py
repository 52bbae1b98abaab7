"""The run record, schema 1: what the suite writes and everything in this folder reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

SCHEMA = 1
"""The one version of the record that this module describes."""

Level = Literal["must", "should", "may"]
Verdict = Literal[
    "pass", "fail", "known", "fixed", "unsupported", "not-applicable", "inconclusive", "crash", "timeout", "error"
]
Documentation = Literal["quoted", "changed", "missing", "unchecked"]

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Moment = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        description="A time as RFC 3339 writes it, for example 2026-11-21T01:36:44Z.",
    ),
]


def _no_flag(value: object) -> object:
    """``true`` equals 1 to a parser, and is no version."""
    if isinstance(value, bool):
        raise ValueError("a number")
    return value


class Part(BaseModel):
    """A part of the record: exact types, and no key that the schema does not name."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


class Suite(Part):
    """The suite that made the run."""

    name: Text
    version: Text
    commit: str | None = None


class Torch(Part):
    """The torch build under test."""

    version: Text
    git: str | None = None
    debug: bool | None = None
    cuda: str | None = None
    hip: str | None = None
    config: str | None = Field(default=None, description="The text of torch.__config__.show().")


class Target(Part):
    """A device under test."""

    name: Text
    type: Text
    device: str | None = Field(default=None, description="The model name of the device.")
    driver: str | None = None


class Environment(Part):
    """Where the run was made."""

    torch: Torch
    numpy: str | None = None
    python: Text
    hypothesis: str | None = None
    pytest: str | None = None
    platform: str | None = None
    machine: str | None = None
    processor: str | None = None
    cpus: Count | None = None
    targets: list[Target]


class Settings(Part):
    """How the run was asked for."""

    profile: Text
    samples: Count | None = None
    seed: int | None = None
    level: Level | None = None
    fail_on: Literal["must", "should", "none"] | None = None
    shard: Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/[1-9]\d{0,8}$")] | None = None
    expectations: list[str] = []
    timeout: Seconds | None = None
    arguments: list[str] = []


class Area(Part):
    """An area of the documentation: one spec file."""

    area: Text
    title: Text
    page: str | None = None


class Docs(Part):
    """Where the documentation makes the promise."""

    url: str | None = None
    object: str | None = None
    says: str | None = Field(default=None, description="A short phrase of the docstring that carries the promise.")


class Behaviour(Part):
    """One normative statement."""

    id: Text
    area: Text
    behaviour: Text
    statement: Text
    level: Level
    docs: Docs
    since: str | None = None
    until: str | None = None
    note: str | None = None
    source: str | None = None


class Claim(Part):
    """What a tutorial says of torch, and what decides whether it is so."""

    id: Text
    section: Text
    claim: Text
    decided_by: list[Text] = Field(default=[], description="Behaviours, with a subject in brackets where one decides.")
    expects: Literal["holds", "fails"] = "holds"
    condition: str | None = None
    outdated_since: str | None = None
    undecidable: str | None = None


class Names(Part):
    """Documented names of the build under test that the same behaviours name."""

    names: list[Text]
    behaviours: list[Text]


class Cases(Part):
    """How many inputs a cell ran."""

    corner: Count
    sampled: Count


Finite = Annotated[float, Field(allow_inf_nan=False)]
Interval = Annotated[list[Finite], Field(min_length=2, max_length=2, description="Lower and upper bound.")]


class Scaling(Part):
    """How a cost grew with the number of elements: the fitted exponent, and the one that the documentation implies."""

    quantity: Literal["seconds", "bytes"]
    points: list[Annotated[list[int | Finite], Field(min_length=2, max_length=2)]] = Field(
        description="Pairs of elements and the cost."
    )
    exponent: Finite
    interval: Interval
    expected: Interval


class Ratio(Part):
    """One way against another in the same run: the cost of the one over that of the other."""

    one: Text
    other: Text
    ratio: Finite
    interval: Interval
    expected: Text


class Evidence(Part):
    """What a verdict rests on. Other keys may stand beside these."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    dtypes: list[str] = []
    layouts: list[str] = []
    shapes: list[str] = []
    values: list[str] = []
    largest_error_ulp: Annotated[float, Field(allow_inf_nan=False)] | None = None
    discarded: Count = 0
    unsupported: dict[str, str] = Field(default={}, description="The refusal of each dtype that the target declined.")
    documentation: Documentation | None = None
    scaling: list[Scaling] = Field(default=[], description="How costs grew with the number of elements.")
    ratios: list[Ratio] = Field(default=[], description="Costs of one way against another.")


class Cell(Part):
    """A behaviour of a subject on a target, and its verdict."""

    id: Text
    area: Text
    behaviour: Text
    subject: str | None = None
    target: Text
    level: Level
    verdict: Verdict
    cases: Cases
    evidence: Evidence
    seconds: Seconds
    under_test: Seconds | None = Field(default=None, description="Seconds of these in calls of torch, with --costs.")
    message: str | None = None
    compared: str | None = Field(default=None, description="What was compared, and where it first differs.")
    expected: str | None = None
    found: str | None = None
    minimal: str | None = None
    rerun: str | None = None
    reason: str | None = None
    issue: str | None = None
    reproducer: str | None = Field(default=None, description="A path relative to the folder of the record.")


Size = Literal["small", "medium", "large"]


class Fingerprint(Part):
    """The machine that timings are of: they compare within one, and tell no host name and no path."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", description="A digest of all that follows.")]
    processor: Text
    cores: Annotated[int, Field(ge=1)]
    memory_gib: Count
    system: Text
    machine: Text
    python: Text
    accelerator: str | None = None


class Timing(Part):
    """Seconds of one call: the median of its rounds and the range of their middle half."""

    target: Text
    elements: Count
    median: Seconds
    iqr: Seconds
    rounds: Annotated[int, Field(ge=1, le=2**53)]


class Yardstick(Timing):
    """What every machine can do, and every other timing can be told in."""

    name: Literal["copy", "matrix product", "empty call"]


class Measurement(Timing):
    """The time of one call of a subject."""

    subject: Text
    kind: Text
    area: str | None = None
    behaviours: list[Text] = Field(default=[], description="Ids of behaviours that speak of this subject.")
    dtype: Text
    size: Size
    shape: list[Count]
    calls: Annotated[int, Field(ge=1, description="Calls in each round.")]


class Skipped(Part):
    """A subject that could not be timed, and why."""

    subject: Text
    reason: Text


class Performance(Part):
    """The serial phase: what calls cost on this machine."""

    fingerprint: Fingerprint
    threads: Annotated[int, Field(ge=1)]
    seconds: Seconds
    yardsticks: list[Yardstick]
    measurements: list[Measurement]
    skipped: list[Skipped] = []


class Cost(Part):
    """What an area cost: its cells, its cases, and where the seconds went."""

    area: Text
    cells: Count
    cases: Count
    seconds: Seconds
    under_test: Seconds | None = Field(
        default=None, description="Seconds of these in calls of torch, a lower bound; measured with --costs only."
    )


class Run(Part):
    """The verdicts of one invocation of torch-conformance, with the environment and the evidence."""

    schema_: Annotated[Literal[1], BeforeValidator(_no_flag)] = Field(alias="schema")
    complete: bool
    suite: Suite
    environment: Environment
    settings: Settings
    started: Moment
    finished: Moment | None = None
    seconds: Seconds | None = None
    planned: Count
    available: Count | None = Field(
        default=None, description="Cells that the suite has on these targets, whether they were asked for or not."
    )
    areas: list[Area]
    behaviours: list[Behaviour]
    errors: list[str]
    claims: list[Claim] = Field(default=[], description="The claims that the suite knows, whatever was run.")
    surface: list[Names] = Field(
        default=[], description="The documented names of the build, and the suite's behaviours, whatever was run."
    )
    performance: Performance | None = Field(default=None, description="The serial phase, where there was one.")
    costs: list[Cost] = Field(default=[], description="What the suite itself cost, by area.")
    cells: list[Cell]
