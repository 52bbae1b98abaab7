"""Patience: a run in which one method hangs everywhere ends in minutes, and a sound cell has all its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine.patience import Patience


def node(behaviour: str, subject: str = "add_") -> str:
    return f"conformance/test_inplace.py::test_{behaviour}[{subject}-cpu]"


def after(*hung: str, limit: float = 60.0) -> Patience:
    patience = Patience(limit)
    for each in hung:
        patience.note(each)
    return patience


def test_a_cell_has_all_its_time_at_first() -> None:
    """Without a hang, every cell has the profile's limit."""
    assert after().seconds(node("returns_self")) == 60.0


def test_a_subject_that_hung_gets_less() -> None:
    """A sixth after one hang of the subject, a twentieth after three."""
    hung = [node("returns_self"), node("keeps_strides"), node("bumps_the_version")]

    found = [after(*hung[:count]).seconds(node("matches")) for count in (1, 2, 3)]

    assert found == [10.0, 10.0, 3.0]


def test_a_behaviour_that_hung_gets_less() -> None:
    """Other subjects of a behaviour in which one hung have to be quicker too."""
    assert after(node("returns_self", "mul_")).seconds(node("returns_self", "add_")) == 10.0


def test_others_keep_their_time() -> None:
    """Another subject in another behaviour has all its time."""
    assert after(node("returns_self", "mul_")).seconds(node("matches", "add_")) == 60.0


def test_hangs_everywhere_shorten_every_cell() -> None:
    """Ten hangs anywhere are taken for a build that hangs in general."""
    hung = [node(f"b{number}", f"s{number}") for number in range(10)]

    assert after(*hung).seconds(node("other", "other")) == 10.0


@pytest.mark.parametrize(("limit", "left"), [(2.0, 2.0), (30.0, 3.0), (0.0, 0.0), (900.0, 45.0)])
def test_a_limit_never_grows_nor_shrinks_below_what_a_sound_cell_needs(limit: float, left: float) -> None:
    """A short limit of the user's stays, no limit stays none, and no cell gets less than three seconds."""
    assert after(*[node("returns_self")] * 3, limit=limit).seconds(node("returns_self")) == left


def test_processes_share_their_hangs(tmp_path: Path) -> None:
    """What one process noted, another one knows at its next cell."""
    first, second = Patience(60.0, tmp_path / "hangs"), Patience(60.0, tmp_path / "hangs")

    first.note(node("returns_self"))
    assert second.seconds(node("matches")) == 10.0
    second.note(node("matches"))
    second.note(node("keeps_strides"))

    assert first.seconds(node("other")) == 3.0
    assert first.explained(node("other")) == " (3 s in place of 60 s, since 3 cells hung before in this run)"
