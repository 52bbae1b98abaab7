"""Catalogues: the rows of the files of ``specs/catalogue`` that have models of their own, checked, by name.

One row says once what every behaviour of an operator needs: how it is called, on which element types and
values, by what its result is judged. The models refuse unknown keys, so that a typing error is an error.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conformance.engine.specs import SPECS
from conformance.engine.yamlfile import Fault, Faults, brief, faults_of, faults_of_groups, load, worded

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
    promotes_since: str = Field("1.13", description="first release that takes another type here than self's")
    domain: str | dict[str, str] = Field("any", description="where its values lie; by family or element type")
    number: bool = Field(False, description="whether a Python number may stand for it")
    tensor: bool = Field(True, description="whether a tensor may stand for it")
    dtypes: tuple[str, ...] | None = Field(None, description="families that it may have, where not all")


class Variant(_Model):
    """One way to write the remaining arguments, and for which element types of self it is documented."""

    args: tuple[Any, ...] = Field((), description="further positional arguments, after the tensor operands")
    keywords: dict[str, Any] = Field(default_factory=dict)
    dtypes: tuple[str, ...] | None = Field(None, description="families or element types; the row's, if absent")
    reference: str | None = Field(None, description="where it differs from the row's")
    accuracy: str | None = Field(None, description="where it differs from the row's")
    operands: int | None = Field(None, description="how many of the row's operands come before; all, if absent")
    domain: str | None = Field(None, description="of self and every operand, where it is narrower than theirs")
    layouts: tuple[str, ...] | None = Field(None, description="layouts that self may have, where not all")


class Operator(_Model):
    """One in-place method of ``torch.Tensor``."""

    name: str = Field(
        pattern=worded(r"^[a-z][a-z0-9_]*_$", "an in-place method, such as add_"),
        description="the method, with its underscore",
    )
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
    accuracy: str | dict[str, str] = Field(
        "exact", description="class of numbers.TOLERANCES; by family or element type"
    )
    layouts: tuple[str, ...] | None = Field(None, description="layouts that self may have, where not all")
    differentiable: bool = False
    broadcasts: bool = Field(False, description="whether an operand is broadcast to self's shape")
    contents: bool = Field(True, description="whether the call writes elements, and not metadata only")
    devices: Literal["any", "cpu"] = "any"
    since: str = "1.13"
    until: str | None = None
    docs_says: str | None = None

    @property
    def tensor_operands(self) -> bool:
        """Whether a tensor of numbers (not of indices, flags or exponents) may stand beside self."""
        return any(x.tensor and x.dtype not in ("index", "bool", "int") for x in self.arguments)

    @property
    def lazy(self) -> bool:
        """Whether self may be of a type that has a conjugate or a negative bit, and the results are written out."""
        return self.reference is not None and bool({"floating", "complex", "float32", "float64"} & set(self.dtypes))

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
        places: dict[str, tuple[str | int, ...]] = {}
        faults: list[Fault] = []
        for g, group in enumerate(self.groups):
            for r, row in enumerate(group.rows):
                name, place = row.get("name"), ("groups", g, "rows", r)
                if not isinstance(name, str):
                    faults.append((place, "a key 'name' with text", brief(name)))
                elif name in written:
                    faults.append(((*place, "name"), "one row for each name", f"{name!r} again"))
                else:
                    written[name] = row if "alias_of" in row else {**group.defaults, **row}
                    places[name] = place
        for name, row in written.items():
            if "alias_of" in row:
                if row["alias_of"] not in list(written):
                    faults.append(((*places[name], "alias_of"), "the name of another row", brief(row["alias_of"])))
                else:
                    written[name] = {**written[row["alias_of"]], **row}
        found: dict[str, Operator] = {}
        for name, row in written.items():
            try:
                found[name] = Operator(**_filled(name, row))
            except ValidationError as error:
                faults += faults_of(error, places[name])
        if faults:
            raise Faults(faults_of_groups(faults, self.groups))
        return found


def _filled(name: str, row: dict[str, Any]) -> dict[str, Any]:
    full = dict(row)
    if "functional" not in row or "alias_of" in row:
        full["functional"] = name[:-1]
    arguments = row.get("arguments")
    operands = [x for x in arguments if isinstance(x, dict)] if isinstance(arguments, list) else []
    full.setdefault("broadcasts", any(x.get("shape", "broadcast") == "broadcast" for x in operands))
    return full


OperandName = Literal["x", "y", "z", "u", "v", "w"]


class DifferentiablePoint(_Model):
    """One further call of a differentiable function, on operands of its own shapes, types or values."""

    call: str = Field("x", description="argument list")
    text: str | None = Field(None, description="the template of this call, where not that of the row")
    operands: dict[OperandName, tuple[int, ...]] | None = Field(None, description="shapes, where not those of the row")
    types: dict[OperandName, str] = Field(default={}, description="element types of operands that are not float64")
    values: dict[OperandName, tuple[float, ...]] = Field(
        default={}, description="numbers of operands that are not in general position, repeated"
    )
    twice: bool = Field(True, description="whether second derivatives are asked for too")


class DifferentiableFunction(_Model):
    """One differentiable function of torch, and points at which its derivative is asked for."""

    name: str = Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*$", description="below torch: nn.functional.relu, Tensor.unfold")
    calls: tuple[str, ...] = Field(
        ("x",), min_length=1, description="argument lists; x, y, z, u, v and w stand for the operands"
    )
    text: str = Field("torch.{name}({call})", description="template of the expression; {name} and {call} are filled in")
    points: tuple[DifferentiablePoint, ...] = Field((), description="further calls, for gradients but not for layouts")
    types: tuple[str, ...] = Field((), description="further element types in which the first call is asked for")
    operands: dict[OperandName, tuple[int, ...]] = Field(
        {"x": (2, 3)}, min_length=1, description="shapes, in this order"
    )
    domain: Literal["general", "unit", "large", "matrix"] = Field(
        "general", description="around zero, between 0 and 1, above 1, or matrices far from singular ones"
    )
    complex: bool = Field(False, description="whether it is documented for complex operands")
    twice: bool = Field(
        True, description="whether second derivatives are asked for: every release has them, and not all are zero"
    )
    results: int = Field(1, ge=1, description="how many differentiable results the first call has")
    elementwise: bool = Field(False, description="whether the operands may have any one shape")
    since: str | None = None
    until: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other


class ExcludedFunctions(_Model):
    """Public functions that have no row, and why."""

    reason: str = Field(min_length=1)
    names: tuple[str, ...] = Field(min_length=1, description="below torch: nn.functional.one_hot")


class DifferentiableFunctions(_Model):
    """The whole catalogue of differentiable functions."""

    catalogue: Literal["differentiable"]
    title: str
    page: str
    groups: list[Group]
    excluded: list[ExcludedFunctions] = []

    @model_validator(mode="after")
    def _rows_are_sound(self) -> DifferentiableFunctions:
        self.rows()
        return self

    def rows(self) -> dict[str, DifferentiableFunction]:
        """Every row by name, with the defaults of its group filled in."""
        found: dict[str, DifferentiableFunction] = {}
        faults: list[Fault] = []
        for g, group in enumerate(self.groups):
            for r, row in enumerate(group.rows):
                place = ("groups", g, "rows", r)
                try:
                    function = DifferentiableFunction(**{**group.defaults, **row})
                except ValidationError as error:
                    faults += faults_of(error, place)
                    continue
                if function.name in found:
                    faults.append(((*place, "name"), "one row for each name", f"{function.name!r} again"))
                found[function.name] = function
        if faults:
            raise Faults(faults_of_groups(faults, self.groups))
        return found


@cache
def differentiable_functions() -> DifferentiableFunctions:
    """The catalogue of differentiable functions; raises SpecError where the file cannot be used."""
    return load(SPECS / "catalogue" / "differentiable.yaml", DifferentiableFunctions)


@cache
def operators() -> Operators:
    """The catalogue of in-place methods; raises SpecError where the file cannot be used."""
    return load(SPECS / "catalogue" / "operators.yaml", Operators)


@cache
def rows() -> dict[str, Operator]:
    """Every operator of the catalogue by name, in the order of the file."""
    return operators().rows()
