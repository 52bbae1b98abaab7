"""Numbers for values, so that a page writes each of them once."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any


class Pool:
    """Values in the order in which they were met, each once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Any) -> int:
        """The number of a JSON value."""
        key = self._key(value)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.values)
            self.values.append(value)
        return found

    @staticmethod
    def _key(value: Any) -> Hashable:
        """What tells values apart: 1, 1.0 and True are equal, and not the same JSON."""
        kind = type(value)
        if kind is str:
            return str(value)  # hardly anything else is asked for, and every other key is a tuple
        if kind is list:
            kinds = set(map(type, value))
            if kinds <= {str}:
                return (list, *value)
            if kinds == {int}:
                return ("integers", *value)
        if kind in (list, dict):
            return (dict, json.dumps(value))
        return (kind, value)
