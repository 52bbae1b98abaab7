"""The example database: samples that failed in other runs, or on other machines, met ahead of a cell's own.

There is none unless ``--example-database`` names one: a cell's own samples come from a seed and need no memory. What a
longer profile or another seed has found does. A case stays when it passes: it may be the failing one of another build.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from os.path import expandvars
from pathlib import Path
from typing import Any

from hypothesis.database import (
    DirectoryBasedExampleDatabase,
    ExampleDatabase,
    GitHubArtifactDatabase,
    InMemoryExampleDatabase,
    MultiplexedDatabase,
    ReadOnlyDatabase,
)

OPTION = "--example-database"


class Unreachable(ValueError):
    """A place that is no database, or that does not answer; the message says what is possible."""


@dataclass
class Remembered:
    """The failing samples of one cell: those that were known, and those that this run adds."""

    key: bytes
    known: frozenset[bytes] = frozenset()
    database: InMemoryExampleDatabase = field(default_factory=InMemoryExampleDatabase)

    def __post_init__(self) -> None:
        for case in self.known:
            self.database.save(self.key, case)

    def added(self) -> set[bytes]:
        """What has failed and was not known: at the end of a cell the simplest case, as Hypothesis shrank it."""
        return set(self.database.fetch(self.key)) - self.known


class Examples:
    """Where failing samples are kept: all of the places that are named."""

    def __init__(self, places: Iterable[str], folder: Path) -> None:
        self.places = tuple(places)
        self.errors: tuple[type[Exception], ...] = (OSError,)
        self.store = MultiplexedDatabase(*(self._opened(place, folder) for place in self.places))

    def recall(self, cell: str) -> Remembered:
        """The failing samples of a cell; none where the database does not answer any more, with a warning."""
        key = cell.encode()
        try:
            return Remembered(key, frozenset(self.store.fetch(key)))
        except self.errors as error:
            self._lost(error)
            return Remembered(key)

    def keep(self, remembered: Remembered) -> None:
        """Write down what has failed newly."""
        try:
            for case in remembered.added():
                self.store.save(remembered.key, case)
        except self.errors as error:
            self._lost(error)

    def _opened(self, place: str, folder: Path) -> ExampleDatabase:
        """The database at one place, which has answered."""
        # a password would stand in the record; as $NAME it does not
        address = expandvars(place)
        found = re.fullmatch(r"github:([\w.-]+)/([\w.-]+?)(?:/([\w.-]+))?", address)
        if found:
            artifact = found[3] or "hypothesis-example-db"
            cache = folder / ".hypothesis" / "github-artifacts" / found[1] / found[2] / artifact
            return _answering(place, ReadOnlyDatabase(GitHubArtifactDatabase(found[1], found[2], artifact, path=cache)))
        if re.match(r"(redis|rediss|unix)://", address):
            return self._redis(place, address)
        if not address or re.match(r"\w{2,}:", address):
            raise Unreachable(
                "expected a folder, redis://HOST:PORT/NUMBER or github:OWNER/REPOSITORY[/ARTIFACT]; "
                f"found {place!r}"
            )  # fmt: skip
        try:
            Path(address).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"expected a folder that can be written; found {place!r}: {error.strerror}") from None
        return DirectoryBasedExampleDatabase(address)

    def _redis(self, place: str, address: str) -> ExampleDatabase:
        try:
            redis: Any = importlib.import_module("redis")
            adapter: Any = importlib.import_module("hypothesis.extra.redis")
        except ImportError:
            raise Unreachable(
                f"expected the package redis, which {place!r} needs (pip install redis); found none"
            ) from None
        try:
            client = redis.Redis.from_url(address)
            client.ping()
        except (redis.RedisError, ValueError, OSError) as error:
            raise Unreachable(f"expected a Redis that answers; found {place!r}: {error}") from None
        self.errors = (*self.errors, redis.RedisError)
        return adapter.RedisExampleDatabase(client, key_prefix=b"torch-conformance:")  # type: ignore[no-any-return]

    def _lost(self, error: Exception) -> None:
        warnings.warn(f"{OPTION}: expected an answer of {', '.join(self.places)}; found {error}", stacklevel=1)


def _answering(place: str, database: ExampleDatabase) -> ExampleDatabase:
    """A database that says by warnings that it has nothing to give, once it has given none."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        list(database.fetch(b"torch-conformance"))
    if told:
        raise Unreachable(
            f"expected an artifact that can be had; found {place!r}: {' '.join(str(told[0].message).split())}"
        )
    return database
