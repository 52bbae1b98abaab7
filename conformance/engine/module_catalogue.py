"""Module catalogue: the classes of torch.nn, as ``specs/catalogue/modules.yaml`` has them, checked, by name.

One row says once what every behaviour of a class needs: how it is constructed, on what it is called, what the
documentation says of its result and its state. The model refuses unknown keys, so that a typing error is an error.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from conformance.engine.catalogue import Excluded, Group
from conformance.engine.specs import SPECS, Model, VersionText
from conformance.engine.yamlfile import Fault, Faults, brief, faults_of, faults_of_groups, load


class Construction(Model):
    """One list of constructor arguments, and what of its row is otherwise for it."""

    call: str = Field(description="text between the parentheses")
    inputs: tuple[str, ...] | None = Field(None, description="shapes of the operands, where not those of the row")
    stochastic: bool | None = Field(None, description="where it is not as in the row")
    modes: bool | None = Field(None, description="where it is not as in the row")
    since: VersionText | None = None
    until: VersionText | None = None


class ModuleRow(Model):
    """One class of torch.nn."""

    name: str
    kind: Literal["layer", "loss", "lazy"] = "layer"
    signature: str = Field(description="arguments of the constructor, as the documentation has them")
    later: dict[str, VersionText] = Field({}, description="the release that brought an argument, where not the first")
    ranges: dict[str, str] = Field({}, description="what a value v of an argument may be, as an expression")
    arguments: tuple[Construction, ...] = Field(min_length=1, description="constructions")
    inputs: tuple[str, ...] = Field(description="shapes of the operands of one call; none where it is not called")
    operands: tuple[str, ...] = Field(("coarse",), min_length=1, description="numbers of each; the last is repeated")
    names: dict[str, int] = Field({}, description="further names of its expressions")
    functional: str | None = Field(None, description="the counterpart in torch.nn.functional, as an expression")
    instead: str | None = Field(None, description="why it has no counterpart")
    output: str | None = Field(None, description="documented shape of the result, or a list of shapes")
    state: dict[str, str] | str | None = Field(
        {}, description="shapes of parameters and buffers; absent where other modules have them"
    )
    initial: dict[str, str] = Field({}, description="bound of the values that a parameter has first; or of each")
    dtypes: tuple[str, ...] = Field(("float32", "float64", "bfloat16"), description="element types that it takes")
    types_since: dict[str, VersionText] = Field({}, description="first release with an element type, where not all")
    stochastic: bool = Field(False, description="whether it draws random numbers in training")
    modes: bool = Field(False, description="whether training and evaluation differ")
    hidden: dict[str, str] = Field({}, description="arguments that its repr does not show, and why; or each")
    becomes: str | None = Field(None, description="the class that a lazy one becomes")
    inferred: dict[str, str] = Field({}, description="what a lazy one infers from its first input")
    since: VersionText | None = None
    until: VersionText | None = None

    @model_validator(mode="after")
    def _says_how_it_is_called(self) -> ModuleRow:
        if (self.functional is None) == (self.instead is None) and self.kind != "lazy":
            raise ValueError("either a key 'functional' or a key 'instead'")
        if (self.kind == "lazy") != (self.becomes is not None):
            raise ValueError("a key 'becomes' in a lazy row, and in no other")
        return self

    @property
    def called(self) -> bool:
        """Whether it can be called on any device."""
        return bool(self.inputs)

    @property
    def counterpart(self) -> bool:
        """Whether it has a functional counterpart."""
        return self.functional is not None

    @property
    def stateful(self) -> bool:
        """Whether it has parameters or buffers."""
        return self.state != {}

    @property
    def factory(self) -> bool:
        """Whether its constructor takes a device and an element type."""
        return "dtype" in self.defaults

    @property
    def optionally_in_place(self) -> bool:
        """Whether it may write to its operand."""
        return "inplace" in self.defaults

    @property
    def draws(self) -> bool:
        """Whether one of its constructions draws random numbers in training."""
        return any(self.is_stochastic(made) for made in self.arguments)

    @property
    def switches(self) -> tuple[bool, ...]:
        """Whether training and evaluation differ, of each construction."""
        return tuple(self.has_modes(made) for made in self.arguments)

    @property
    def initialised(self) -> bool:
        """Whether its docstring says what its parameters hold first."""
        return bool(self.initial)

    @property
    def written_state(self) -> bool:
        """Whether its docstring says which parameters and buffers it has."""
        return self.state is not None

    @property
    def shown(self) -> bool:
        """Whether one of its constructions gives an argument that its repr is to show."""
        return "each" not in self.hidden and any(
            value != self.defaults[name]
            for made in self.arguments
            for name, value in self.given(made.call).items()
            if name not in self.hidden
        )

    def is_stochastic(self, made: Construction) -> bool:
        """Whether a construction draws random numbers in training."""
        return self.stochastic if made.stochastic is None else made.stochastic

    def has_modes(self, made: Construction) -> bool:
        """Whether training and evaluation differ for a construction."""
        return self.modes if made.modes is None else made.modes

    @property
    def defaults(self) -> dict[str, Any]:
        """Each argument with its default; what has none is ``...``."""
        return _defaults(self.signature)

    def bound(self, call: str) -> dict[str, Any]:
        """The arguments of a construction, defaults included; what is no literal is its text."""
        return {**self.defaults, **self.given(call)}

    def given(self, call: str) -> dict[str, Any]:
        """The arguments that a construction writes, by name, as far as the class has names for them."""
        return dict(_given(self.signature, call))

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other


class Modules(Model):
    """The whole catalogue of the classes of torch.nn."""

    catalogue: Literal["modules"]
    title: str
    page: str
    ranges: dict[str, str] = Field({}, description="what a value v of an argument of this name may be")
    types_since: dict[str, VersionText] = Field({}, description="first release in which the rows take an element type")
    groups: list[Group]
    excluded: tuple[Excluded, ...] = ()

    @model_validator(mode="after")
    def _rows_are_sound(self) -> Modules:
        self.rows()
        return self

    def rows(self) -> dict[str, ModuleRow]:
        """Every row by name, with the defaults of its group and the common ranges filled in."""
        found: dict[str, ModuleRow] = {}
        faults: list[Fault] = []
        for g, group in enumerate(self.groups):
            for r, row in enumerate(group.rows):
                place = ("groups", g, "rows", r)
                full = {**group.defaults, **row}
                full["arguments"] = [{"call": x} if isinstance(x, str) else x for x in full.get("arguments", ())]
                try:
                    names = _defaults(str(full.get("signature", "")))
                    common = {name: text for name, text in self.ranges.items() if name in names}
                    full["ranges"] = {**common, **full.get("ranges", {})}
                    module = ModuleRow(**{**full, "types_since": {**self.types_since, **full.get("types_since", {})}})
                except (ValidationError, SyntaxError) as error:
                    faults += (
                        faults_of(error, place)
                        if isinstance(error, ValidationError)
                        else [((*place, "signature"), "arguments of a function", brief(full.get("signature")))]
                    )
                    continue
                if module.name in found:
                    faults.append(((*place, "name"), "one row for each name", f"{module.name!r} again"))
                found[module.name] = module
        if faults:
            raise Faults(faults_of_groups(faults, self.groups))
        return found


@cache
def modules() -> Modules:
    """The catalogue; raises SpecError where the file cannot be used."""
    return load(SPECS / "catalogue" / "modules.yaml", Modules)


@cache
def _defaults(signature: str) -> dict[str, Any]:
    node = ast.parse(f"lambda {signature}: 0", mode="eval").body
    assert isinstance(node, ast.Lambda)
    names = [x.arg for x in [*node.args.posonlyargs, *node.args.args]]
    missing: list[ast.expr | None] = [None] * (len(names) - len(node.args.defaults))
    defaults = dict(zip(names, [*missing, *node.args.defaults], strict=True))
    defaults |= {x.arg: value for x, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)}
    return {name: ... if value is None else _literal(value) for name, value in defaults.items()}


@cache
def _given(signature: str, call: str) -> dict[str, Any]:
    names, node = _defaults(signature), _called(call)
    found = dict(zip(names, (_literal(x) for x in node.args), strict=False))
    return found | {x.arg: _literal(x.value) for x in node.keywords if x.arg in names}


def _called(call: str) -> ast.Call:
    node = ast.parse(f"made({call})", mode="eval").body
    assert isinstance(node, ast.Call)
    return node


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
