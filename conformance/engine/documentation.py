"""The documentation of the build under test: does its docstring still say what a behaviour rests on?"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

from conformance.engine.specs import Documentation

MISSING = object()


@cache
def resolve(path: str) -> Any:
    """The object that a dotted path names, importing modules on the way; ``MISSING`` where there is none."""
    first, *rest = path.split(".")
    if first not in sys.modules and first != "torch":
        return MISSING
    found: Any = importlib.import_module(first)
    walked = first
    for name in rest:
        walked += f".{name}"
        try:
            found = getattr(found, name, MISSING)
            found = importlib.import_module(walked) if found is MISSING else found
        except Exception:  # parts of torch raise RuntimeError, and others, for what this build has not
            return MISSING
    return found


def missing_capability(required: list[str]) -> str | None:
    """The first of the dotted names that this build has not, or None."""
    return next((path for path in required if resolve(path) is MISSING), None)


@cache
def standing(docs: Documentation, subject: str | None) -> str:
    """``quoted`` (the phrase is there), ``changed`` (it is not), ``missing`` (no docstring), ``unchecked``."""
    path = docs.path(subject)
    if path is None:
        return "unchecked"
    text = _docstring(path)
    if text is None:
        return "missing"
    if docs.says is None:
        return "unchecked"
    return "quoted" if _plain(docs.says) in text else "changed"


@cache
def _docstring(path: str) -> str | None:
    found = resolve(path)
    text = None if found is MISSING else getattr(found, "__doc__", None)
    return _plain(text) if isinstance(text, str) else None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def forget() -> None:
    """Read the build anew: whoever changes torch in this process says so, before and after."""
    for read in (resolve, standing, _docstring):
        read.cache_clear()
