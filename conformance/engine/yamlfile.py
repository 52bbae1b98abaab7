"""YAML files: safe loading, and errors that name the file, the line, the key, the found and the expected."""

from __future__ import annotations

import stat
from collections.abc import Hashable, Iterator, Sequence
from datetime import date
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)

DEEPEST = 50
LARGEST = 1_000_000
LONGEST = 4_000_000
NOTHING = "nothing"

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 100

PATTERNS: dict[str, str] = {}

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SpecError(Exception):
    """A spec file, catalogue or expectations file that cannot be used as it stands; one line a fault."""


Fault = tuple[tuple[str | int, ...], str, str]


class Faults(ValueError):
    """What a model's own validator found wrong: for each fault the keys that lead to it, expected and found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"expected: {expected}; found: {found}" for _, expected, found in faults))


def worded(pattern: str, words: str) -> str:
    """``pattern`` for a model's field; a fault says ``words`` in the place of the regular expression."""
    if PATTERNS.setdefault(pattern, words) != words:
        raise ValueError(f"{pattern}: expected the words that it has: {PATTERNS[pattern]!r}; found: {words!r}")
    return pattern


class _Loader(_Base):  # type: ignore[misc]
    """Safe loader that refuses a key given twice, which YAML would let the last one win, and says where a tag fails."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r}, which is no text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r}: expected once, found twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # the safe constructors let these out
            if isinstance(node, yaml.ScalarNode) and node.tag == self.resolve(
                yaml.ScalarNode, node.value, (True, False)
            ):
                return node.value  # it only looks like one, such as 2026-13-45: its key says better what it takes
            # !!int of a word
            text = f"{str(node.value)[:40]!r}, which is no {node.tag.rpartition(':')[2]} ({error})"
            raise yaml.constructor.ConstructorError(None, None, text, node.start_mark) from None


def load(path: Path, model: type[ModelT], shown_as: str | None = None) -> ModelT:
    """The content of ``path`` as ``model``; raises SpecError with one line a fault."""
    name = shown_as or shown(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # what is no file may have no end
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "no plain file"
            raise SpecError(f"{name}: expected a readable YAML file, found: {kind}")
        if state.st_size > LONGEST:
            raise SpecError(
                f"{name}: expected a YAML file of at most {LONGEST:,} bytes, found: {state.st_size:,} bytes"
            )
        content = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{name}: expected a readable YAML file, found: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{name}:{line}: expected UTF-8 text, found: byte {content[error.start]:#04x}") from None
    loaded, root = _parsed(text, name)
    try:
        return model.model_validate(loaded)
    except ValidationError as error:
        raise SpecError("\n".join(_faults(name, loaded, root, error))) from None


def _parsed(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    """The content of a YAML text and its nodes; raises SpecError."""
    root = None
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None, None
            _expanded(root, {})
            return loader.construct_document(root), root
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        keys = ".".join(map(str, _keys_at(root, error.problem_mark, set()) or ()))
        place = f"{name}:{line}: {keys}: " if keys else f"{name}:{line}: "
        raise SpecError(f"{place}expected valid YAML, found: {_problem(text, error)}") from None
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        raise SpecError(f"{name}:{line}: expected valid YAML, found: {str(error).splitlines()[0]}") from None


def _keys_at(node: yaml.Node | None, mark: Any, seen: set[int]) -> tuple[str | int, ...] | None:
    """The keys that lead to the plain value that begins at a mark; each node of ``seen``, by its id, is done with."""
    if node is None or mark is None or id(node) in seen:  # no YAML so far, or an alias
        return None
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return () if node.start_mark.index == mark.index else None
    mapping = isinstance(node, yaml.MappingNode)
    for key, value in [(key.value, value) for key, value in node.value] if mapping else enumerate(node.value):
        inner = _keys_at(value, mark, seen)
        if inner is not None:
            return (key, *inner)
    return None


def _problem(text: str, error: yaml.MarkedYAMLError) -> str:
    """What the parser stumbled over, with the two usual reasons in words of people."""
    mark = error.problem_mark
    lines = text.splitlines()
    rest = lines[mark.line][max(mark.column - 1, 0) :] if mark and mark.line < len(lines) else ""
    if "\t" in rest[:2] and "tag" not in str(error.problem):
        return "a tab where spaces indent"
    if rest.lstrip()[:1] == "*":
        return "a star that begins an alias (text that begins with * stands in quotes)"
    if error.problem == "second occurrence":
        return f"the anchor {(rest.split() or ['&'])[0]!r} again (each name once)"
    return str(error.problem or error).removeprefix("found ").removeprefix("but found ")


def _check_depth(text: str) -> None:
    """Refuse nesting that the parser, which recurses in C, would not survive."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(None, None, f"more than {DEEPEST} levels of nesting", mark)


def _expanded(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many nodes a node stands for once its aliases are followed; refuses what no person would write."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in sizes:
        size = sizes[id(node)]
        if not size:
            raise yaml.MarkedYAMLError(None, None, "an alias inside of what it stands for", node.start_mark)
        return size
    sizes[id(node)] = 0
    mapping = isinstance(node, yaml.MappingNode)
    parts = [part for pair in node.value for part in pair] if mapping else node.value
    size = sizes[id(node)] = 1 + sum(_expanded(part, sizes) for part in parts)
    if size > LARGEST:
        raise yaml.MarkedYAMLError(None, None, f"aliases that stand for more than {LARGEST:,} values", node.start_mark)
    return size


def behaviour_lines(path: Path, key: str) -> dict[str, int]:
    """Line of each entry of the list ``key``, by its ``id`` or ``name``."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    lines: dict[str, int] = {}
    for name, node in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key and isinstance(node, yaml.SequenceNode):
            for entry in node.value:
                for k, v in entry.value if isinstance(entry, yaml.MappingNode) else ():
                    if k.value in ("id", "name"):
                        lines[str(v.value)] = entry.start_mark.line + 1
    return lines


def fault_at(path: Path, keys: Sequence[str | int], expected: str, found: str) -> SpecError:
    """What is wrong with a part of a file that reads well by itself, at the line of the last of ``keys``."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    place = f"{shown(path)}:{_line(root, tuple(keys))}: {'.'.join(map(str, keys))}"
    return SpecError(f"{place}: expected: {expected}; found: {found}")


def entry_lines(path: Path, key: str) -> list[int]:
    """Line of each entry of the list ``key``."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lists = [node for name, node in pairs if name.value == key and isinstance(node, yaml.SequenceNode)]
    return [entry.start_mark.line + 1 for node in lists for entry in node.value]


def shown(path: Path) -> str:
    """``path`` as messages name it: relative to the working directory where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError, RuntimeError):  # elsewhere, or a link to itself
        return str(path)


def _faults(name: str, loaded: Any, root: yaml.Node | None, error: ValidationError) -> list[str]:
    """One line a fault, in the order of the file; the alternatives of one key make one fault."""
    found: dict[tuple[str | int, ...], tuple[list[str], str]] = {}
    for keys, expected, value in _flat(error):
        place = _place(loaded, keys, missing=value == NOTHING)
        alternatives, _ = found.setdefault(place, ([], value))
        if expected not in alternatives:
            alternatives.append(expected)
    lines = [(_line(root, keys), keys, *fault) for keys, fault in found.items()]
    return [
        f"{name}:{line}: {'.'.join(map(str, keys)) or 'the file'}: expected: {' or '.join(expected)}; found: {value}"
        for line, keys, expected, value in sorted(lines, key=lambda fault: fault[0])
    ]


def _flat(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Keys, expected and found of each fault, those of a model's own validator included."""
    for fault in error.errors(include_url=False):
        own = fault.get("ctx", {}).get("error")
        if isinstance(own, Faults):
            for keys, expected, found in own.faults:
                yield (*fault["loc"], *keys), expected, found
        else:
            empty = fault["type"] == "missing" or (not fault["loc"] and fault["input"] is None)
            yield fault["loc"], _expected(fault), NOTHING if empty else brief(fault["input"])


def brief(value: Any) -> str:
    """A value as messages show it: its repr, cut short."""
    found = str(value) if isinstance(value, date) else _SHORT.repr(value)
    return found if len(found) <= 120 else found[:120] + "…"


def faults_of(error: ValidationError, keys: tuple[str | int, ...]) -> list[Fault]:
    """The faults of a part that was validated by itself, as ``Faults`` takes them; ``keys`` lead to the part."""
    return [((*keys, *inner), expected, found) for inner, expected, found in _flat(error)]


def faults_of_groups(faults: list[Fault], groups: Sequence[Any]) -> list[Fault]:
    """The faults at ``groups.G.rows.R.KEY``; one that comes from a group's defaults is told once, and there."""
    told: dict[Fault, None] = {}
    spoiled = set()
    for keys, expected, found in faults:
        g, r, key = int(keys[1]), int(keys[3]), (*keys, "name")[4]
        inherited = len(keys) > 4 and key not in groups[g].rows[r]
        if inherited and "alias_of" in groups[g].rows[r]:
            continue  # what it is an alias of has it too
        if inherited and key in groups[g].defaults:
            spoiled.add(g)
            keys = ("groups", g, "defaults", *keys[4:])
        told[keys, expected, found] = None
    return [fault for fault in told if fault[0][2] == "defaults" or fault[0][1] not in spoiled]


def _place(loaded: Any, keys: tuple[str | int, ...], missing: bool) -> tuple[str | int, ...]:
    """``keys`` as far as the file has them, and the one that is missing; no names of types and validators."""
    place: list[str | int] = []
    for key in keys:
        inner: dict[Any, Any] = loaded if isinstance(loaded, dict) else {}
        inner = dict(enumerate(loaded)) if isinstance(loaded, list) else inner
        if key not in inner:
            return (*place, key) if missing and key == keys[-1] else tuple(place)
        place.append(key)
        loaded = inner[key]
    return tuple(place)


A_DATE = "a date such as 2026-01-31"
_WORDS = {
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "list_type": "a list",
    "string_type": "text (in quotes where it looks like a number)",
    "too_short": "a list of at least one entry",
    "date_type": A_DATE,
    "date_parsing": A_DATE,
    "date_from_datetime_parsing": A_DATE,
    "date_from_datetime_inexact": A_DATE,
    "extra_forbidden": "no such key (see the schema in specs/schema/)",
}


def _expected(fault: Any) -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "missing":
        return f"a key {fault['loc'][-1]!r}"
    if fault["type"] in _WORDS:
        return _WORDS[fault["type"]]
    if context.get("pattern") in PATTERNS:
        return PATTERNS[context["pattern"]]
    if "expected" in context:
        return str(context["expected"])
    message: str = fault["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Expected ")


def _line(node: yaml.Node | None, keys: tuple[str | int, ...]) -> int:
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
