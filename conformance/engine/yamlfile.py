"""YAML files: safe loading, and errors that name the file, the line, the key, the found and the expected."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SpecError(Exception):
    """A spec file, catalogue or expectations file that cannot be used as it stands; one line a fault."""


class _Loader(_Base):  # type: ignore[misc]
    """Safe loader that refuses a key given twice, which YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r}: expected once, found twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def load(path: Path, model: type[ModelT], shown_as: str | None = None) -> ModelT:
    """The content of ``path`` as ``model``; raises SpecError with one line a fault."""
    name = shown_as or shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise SpecError(f"{name}: expected a readable YAML file, found: {reason}") from None
    try:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise SpecError(f"{name}:{line}: expected valid YAML, found: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: expected valid YAML, found: {str(error).splitlines()[0]}") from None
    try:
        return model.model_validate(loaded)
    except ValidationError as error:
        raise SpecError("\n".join(_faults(name, text, error))) from None


def line_of(path: Path, *keys: str | int) -> int:
    """Line (from 1) of the node that the keys lead to; the nearest one above where they lead nowhere."""
    return _line(path.read_text(encoding="utf-8"), keys)


def behaviour_lines(path: Path, key: str) -> dict[str, int]:
    """Line of each entry of the list ``key``, by its ``id`` or ``name``."""
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    lines: dict[str, int] = {}
    for name, node in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key and isinstance(node, yaml.SequenceNode):
            for entry in node.value:
                for k, v in entry.value if isinstance(entry, yaml.MappingNode) else ():
                    if k.value in ("id", "name"):
                        lines[str(v.value)] = entry.start_mark.line + 1
    return lines


def shown(path: Path) -> str:
    """``path`` as messages name it: relative to the working directory where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _faults(name: str, text: str, error: ValidationError) -> list[str]:
    faults = []
    for fault in error.errors():
        keys = tuple(key for key in fault["loc"] if not str(key).startswith(("function-", "tagged-")))
        where = ".".join(str(key) for key in keys) or "the file"
        found = "nothing" if fault["type"] == "missing" else repr(fault["input"])
        found = found if len(found) <= 120 else found[:120] + "…"
        faults.append(f"{name}:{_line(text, keys)}: {where}: expected: {_expected(fault)}; found: {found}")
    return faults


def _expected(fault: Any) -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "missing":
        return f"a key {fault['loc'][-1]!r}"
    if fault["type"] == "extra_forbidden":
        return "no such key (see the schema in specs/schema/)"
    if "expected" in context:
        return str(context["expected"])
    message: str = fault["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Expected ")


def _line(text: str, keys: tuple[str | int, ...]) -> int:
    node = yaml.compose(text, Loader=_Loader)
    line = 1 if node is None else node.start_mark.line + 1
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
        elif isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if entry is None:
                return line
            line, node = entry[0].start_mark.line + 1, entry[1]
            continue
        else:
            return line
        line = node.start_mark.line + 1
    return line
