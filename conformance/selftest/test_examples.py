"""The example database: what fails in one run is met in another, and no run hangs on it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from zipfile import ZipFile

import pytest
from hypothesis import strategies as st

from conformance.engine.examples import Examples, Remembered, Unreachable
from conformance.engine.sampling import sample
from conformance.selftest.projects import launch, project

CELL = "demo.fails-late[cpu]"
SMALLEST = 12345


def drawn(remembered: Remembered | None, count: int, fails: bool = True) -> int | None:
    """The failing number among ``count``, of which the first is 0."""

    def run(value: int) -> None:
        if fails and value >= SMALLEST:
            raise ValueError(value)

    found = sample(st.integers(0, 99_999), run, count, 0, remembered)
    return None if found is None else int(found[0])


def found_once(examples: Examples, cell: str = CELL) -> None:
    """Have the failing number drawn, and kept."""
    remembered = examples.recall(cell)
    assert drawn(remembered, 300) == SMALLEST
    examples.keep(remembered)


def test_what_one_run_has_found_another_meets(tmp_path: Path) -> None:
    """The simplest failing case of many samples is met by a run of one sample, and by no other cell."""
    found_once(Examples([str(tmp_path)], tmp_path))
    others = Examples([str(tmp_path)], tmp_path)

    assert drawn(None, 1) is None
    assert drawn(others.recall(CELL), 1) == SMALLEST
    assert drawn(others.recall("demo.fails-late[cuda:0]"), 1) is None
    assert len(others.recall(CELL).known) == 1


def test_a_case_that_passes_stays(tmp_path: Path) -> None:
    """A build that has it right does not take it from the next, and does not meet fewer samples for it."""
    examples = Examples([str(tmp_path)], tmp_path)
    found_once(examples)
    met: list[int] = []
    remembered = examples.recall(CELL)
    sample(st.integers(0, 99_999), met.append, 5, 0, remembered)
    examples.keep(remembered)
    own: list[int] = []
    sample(st.integers(0, 99_999), own.append, 5, 0)

    assert [SMALLEST] == met[:1]
    assert 6 == len(met) == len(own) + 1
    assert drawn(examples.recall(CELL), 1) == SMALLEST


def test_a_run_meets_what_another_has_kept(tmp_path: Path) -> None:
    """By the option, with workers; what fails is kept, and the place is in the command that runs the cell again."""

    def rare(text: str) -> str:
        text = text.replace("st.integers(0, 99)", "st.integers(0, 99_999)")
        text = text.replace("if case.value > 2:", f"if case.value == {SMALLEST}:")
        return text.replace("os.abort()", "raise ValueError")

    folder = project(tmp_path / "p", {"fails": "must", "aborts": "must"}, module=rare)
    shared = str(tmp_path / "shared")
    examples = Examples([shared], tmp_path)
    found_once(examples, "demo.fails[cpu]")
    found = launch(folder, "-n", "1", f"--example-database={shared}")
    without = launch(folder, "-n", "1")

    assert {"fails": "pass", "aborts": "fail"} == without.verdicts()
    assert {"fails": "fail", "aborts": "fail"} == found.verdicts(), found.output
    assert f"x = {SMALLEST}" in found.output
    assert f"--example-database={shared}" in found.output
    assert len(examples.recall("demo.aborts[cpu]").known) == 1


class Server:
    """What a Redis keeps, and whether it answers."""

    kept: ClassVar[dict[bytes, set[bytes]]] = {}
    answers = True


class Pipeline:
    """The commands of Redis that Hypothesis sends."""

    def __init__(self) -> None:
        self.results: list[Any] = []

    def sadd(self, key: bytes, value: bytes) -> None:
        """Add to a set."""
        self.results.append(int(value not in Server.kept.setdefault(key, set())))
        Server.kept[key].add(value)

    def smembers(self, key: bytes) -> None:
        """All of a set."""
        self.results.append(set(Server.kept.get(key, ())))

    def expire(self, key: bytes, after: Any) -> None:
        """Let a set be forgotten."""
        self.results.append(1)

    def execute(self) -> list[Any]:
        """What all of them came to."""
        if not Server.answers:
            raise RedisError("connection refused")
        return self.results


class RedisError(Exception):
    """As the package has it: no OSError."""


class Redis:
    """A client as far as it is used."""

    @classmethod
    def from_url(cls, address: str) -> Redis:
        """The client of an address."""
        if "secret" not in address:
            raise ValueError(f"no password in {address}")
        return cls()

    def ping(self) -> None:
        """See whether it answers."""
        Pipeline().execute()

    def pipeline(self) -> Pipeline:
        """Several commands at once."""
        return Pipeline()

    def publish(self, channel: str, text: str) -> None:
        """Tell those who listen."""


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package ``redis`` that keeps everything here."""
    package: Any = ModuleType("redis")
    package.Redis, package.RedisError = Redis, RedisError
    monkeypatch.setitem(sys.modules, "redis", package)
    monkeypatch.delitem(sys.modules, "hypothesis.extra.redis", raising=False)
    monkeypatch.setattr(Server, "kept", {})
    monkeypatch.setattr(Server, "answers", True)
    monkeypatch.setenv("PASSWORD", "secret")


@pytest.mark.usefixtures("redis")
def test_a_redis_keeps_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its password may stay in the environment; one that answers no more costs a warning, and no verdict."""
    place = "redis://:$PASSWORD@192.0.2.7:6379/0"
    found_once(Examples([place], tmp_path))
    examples = Examples([place], tmp_path)

    assert (place,) == examples.places
    assert drawn(examples.recall(CELL), 1) == SMALLEST
    remembered = examples.recall(CELL)
    monkeypatch.setattr(Server, "answers", False)
    with pytest.warns(UserWarning, match="expected an answer of redis://:.PASSWORD@.*found connection refused"):
        assert not examples.recall(CELL).known
    drawn(Remembered(remembered.key, frozenset(), remembered.database), 300)
    with pytest.raises(Unreachable, match=r"expected a Redis that answers; found 'redis://:.PASSWORD@"):
        Examples([place], tmp_path)
    monkeypatch.delenv("PASSWORD")
    with pytest.raises(
        Unreachable, match=r"expected a Redis that answers; found .*: no password in redis://:.PASSWORD"
    ):
        Examples([place], tmp_path)


def test_an_artifact_is_read_and_not_written(tmp_path: Path) -> None:
    """What another run has uploaded is met; what fails here goes to the folder that is named beside it."""
    local, uploaded = tmp_path / "local", tmp_path / "uploaded"
    found_once(Examples([str(uploaded)], tmp_path))
    cache = tmp_path / ".hypothesis" / "github-artifacts" / "someone" / "torch" / "cases"
    cache.mkdir(parents=True)
    with ZipFile(cache / f"{datetime.now(UTC).isoformat().replace(':', '_')}.zip", "w") as archive:
        for file in uploaded.rglob("*"):
            archive.write(file, file.relative_to(uploaded))
    examples = Examples([str(local), "github:someone/torch/cases"], tmp_path)

    assert drawn(examples.recall(CELL), 1) == SMALLEST
    remembered = Remembered(CELL.encode())
    assert drawn(remembered, 300) == SMALLEST
    examples.keep(remembered)
    assert drawn(Examples([str(local)], tmp_path).recall(CELL), 1) == SMALLEST


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://bucket", "expected a folder, redis://HOST:PORT/NUMBER or github:OWNER/REPOSITORY[/ARTIFACT]"),
        ("", "expected a folder, redis://HOST:PORT/NUMBER or github:OWNER/REPOSITORY[/ARTIFACT]; found ''"),
        ("github:alone", "expected a folder, redis://HOST:PORT/NUMBER or github:OWNER/REPOSITORY[/ARTIFACT]"),
        ("file", "expected a folder that can be written; found"),
    ],
)
def test_a_place_that_is_none_is_told(tmp_path: Path, place: str, expected: str) -> None:
    """The message says what is possible."""
    (tmp_path / "file").touch()
    named = str(tmp_path / "file") if place == "file" else place

    with pytest.raises(Unreachable) as caught:
        Examples([named], tmp_path)
    assert expected in str(caught.value)


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(Unreachable, match=r"expected the package redis, which 'redis://x' needs \(pip install redis\)"):
        Examples(["redis://x"], tmp_path)
