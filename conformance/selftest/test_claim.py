"""The claim: one record, one living run."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from conformance.engine.claim import Claim


def test_a_second_claim_takes_the_next_free_name(tmp_path: Path) -> None:
    """Neither a record that is being written nor a file that is there already is ever taken."""
    (tmp_path / "run-2.json").write_text("somebody's")
    claims = [Claim(tmp_path / "run.json") for _ in range(3)]

    assert ["run.json", "run-3.json", "run-4.json"] == [claim.path.name for claim in claims]
    assert [False, True, True] == [claim.moved for claim in claims]


def test_a_claim_ends_without_a_trace(tmp_path: Path) -> None:
    """What is let go is free, and nothing lies about."""
    first = Claim(tmp_path / "run.json")
    first.release()
    first.release()

    assert [] == list(tmp_path.iterdir())
    assert not Claim(tmp_path / "run.json").moved


def test_a_guard_that_is_gone_guards_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its owner removes between our opening and our locking is opened anew."""
    first = Claim(tmp_path / "run.json")
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        first.release()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    second = Claim(tmp_path / "run.json")
    monkeypatch.undo()

    assert not second.moved
    assert Claim(tmp_path / "run.json").moved


def test_where_nothing_can_be_locked_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks costs the protection, and not the run."""

    def none(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)

    assert tmp_path / "run.json" == Claim(tmp_path / "run.json").path
