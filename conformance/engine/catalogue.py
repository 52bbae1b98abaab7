"""Catalogues: the rows of ``specs/catalogue/operators.yaml``, checked, and looked up by name.

One row says once what every behaviour of an operator needs: how it is called, on which element types and
values, by what its result is judged. The models refuse unknown keys, so that a typing error is an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from conformance.engine.specs import SPECS
from conformance.engine.yamlfile import load

Kind = Literal[
    "elementwise", "scan", "norm", "matrix", "triangle", "indexed", "fill", "copy", "random", "view", "storage",
    "metadata", "python",
]  # fmt: skip
Promotion = Literal["arithmetic", "to-float", "comparison", "same", "none"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Argument(_Model):
    """One tensor operand of an operator, or one operand that may be a tensor or a Python number."""

    name: str = Field(description="as the documentation calls it")
    shape: Literal["broadcast", "same", "own"] = Field(
        "broadcast", description="broadcast to self, self's shape, or a shape that the kind of operator says"
    )
    dtype: Literal["promotes", "same", "bool", "index", "any", "float", "int"] = Field(
        "promotes", description="promoted with self, self's own, or the one named"
    )
    domain: str | dict[str, str] = Field("any", description="where its values lie; by family or element type")
    number: bool = Field(False, description="whether a Python number may stand for it")
    tensor: bool = Field(True, description="whether a tensor may stand for it")


class Variant(_Model):
    """One way to write the remaining arguments, and for which element types of self it is documented."""

    args: tuple[Any, ...] = Field((), description="further positional arguments, after the tensor operands")
    keywords: dict[str, Any] = Field(default_factory=dict)
    dtypes: tuple[str, ...] | None = Field(None, description="families or element types; the row's, if absent")
    reference: str | None = Field(None, description="where it differs from the row's")
    accuracy: str | None = Field(None, description="where it differs from the row's")
    operands: int | None = Field(None, description="how many of the row's operands come before; all, if absent")
    domain: str | None = Field(None, description="of self and every operand, where it is narrower than theirs")


class Operator(_Model):
    """One in-place method of ``torch.Tensor``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*_$", description="the method, with its underscore")
    alias_of: str | None = None
    kind: Kind
    inputs: str | None = Field(None, description="how its calls are made, where the kind does not say it")
    arguments: tuple[Argument, ...] = ()
    variants: tuple[Variant, ...] = (Variant(),)
    dtypes: tuple[str, ...] = Field(description="families or element types that self may have")
    domain: str | dict[str, str] = Field("any", description="where self's values lie; by family or element type")
    promotion: Promotion = "same"
    functional: str | None = Field(None, description="the out-of-place variant")
    out: bool = Field(False, description="whether torch.<functional> is documented to take out=")
    reference: str | None = Field(None, description="np.<ufunc>, or a function of conformance.oracles.references")
    accuracy: str = "exact"
    differentiable: bool = False
    broadcasts: bool = Field(False, description="whether an operand is broadcast to self's shape")
    contents: bool = Field(True, description="whether the call writes elements, and not metadata only")
    devices: Literal["any", "cpu"] = "any"
    since: str = "1.13"
    until: str | None = None
    docs_says: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other


class Excluded(_Model):
    """A method that no generic call is made of, and why."""

    name: str
    reason: str
    since: str = "1.13"
    until: str | None = None


class Group(_Model):
    """Rows that share defaults; a row's own keys win."""

    title: str
    defaults: dict[str, Any] = Field(default_factory=dict)
    rows: list[dict[str, Any]]


class Operators(_Model):
    """The whole catalogue of in-place methods."""

    catalogue: Literal["operators"]
    title: str
    page: str
    groups: list[Group]
    excluded: list[Excluded] = []

    @model_validator(mode="after")
    def _rows_are_sound(self) -> Operators:
        self.rows()
        return self

    def rows(self) -> dict[str, Operator]:
        """Every row by name, with defaults and what an alias has from the row that it names filled in."""
        written: dict[str, dict[str, Any]] = {}
        for group in self.groups:
            for row in group.rows:
                name = row.get("name", "")
                if name in written:
                    raise ValueError(f"operator {name!r}: expected one row, found two")
                written[name] = {**group.defaults, **row}
        for name, row in written.items():
            if "alias_of" in row:
                if row["alias_of"] not in written:
                    raise ValueError(f"operator {name!r}: alias_of {row['alias_of']!r} has no row")
                written[name] = {**written[row["alias_of"]], **row}
        return {name: Operator(**_filled(name, row)) for name, row in written.items()}


def _filled(name: str, row: dict[str, Any]) -> dict[str, Any]:
    full = dict(row)
    if "functional" not in row or "alias_of" in row:
        full["functional"] = name[:-1]
    full.setdefault("broadcasts", any(x.get("shape", "broadcast") == "broadcast" for x in row.get("arguments", ())))
    return full


@lru_cache(maxsize=None)
def operators() -> Operators:
    """The catalogue of in-place methods; raises SpecError where the file cannot be used."""
    return load(SPECS / "catalogue" / "operators.yaml", Operators)


@lru_cache(maxsize=None)
def rows() -> dict[str, Operator]:
    """Every operator of the catalogue by name, in the order of the file."""
    return operators().rows()
