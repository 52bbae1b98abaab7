"""Sharing: cells of one run find costly things out once; whoever breaks torch finds them out anew."""

from __future__ import annotations

import pytest

from conformance.engine.sharing import FINDINGS, PLANS, among_cells, forget_plans, once, once_a_subject
from conformance.engine.words import Verdict
from conformance.selftest.falsifying import FALSIFIERS
from conformance.selftest.test_falsifiers import cell_of, run

SHARING = "dataloader_workers.init-runs-once-in-each-worker"
CALLED: list[int] = []


def doubled(case: int) -> list[int]:
    CALLED.append(case)
    if case < 0:
        raise ValueError(case)
    return [2 * case]


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    CALLED.clear()
    FINDINGS.kept.clear()


def test_cells_find_out_once() -> None:
    """Among cells an action runs once for each case."""
    with among_cells():
        found = [once(doubled, case) for case in (1, 1, 2)]
    with among_cells():
        again = once(doubled, 1)

    assert found == [[2], [2], [4]]
    assert again is found[0]
    assert CALLED == [1, 2]


def test_others_find_out_anew() -> None:
    """Outside of cells nothing that was kept is taken: torch may be broken there."""
    with among_cells():
        kept = once(doubled, 1)
    found = once(doubled, 1)

    assert found == kept
    assert found is not kept
    assert CALLED == [1, 1]


def test_an_exception_is_not_kept() -> None:
    """What raises is tried again."""
    with among_cells():
        for _ in range(2):
            with pytest.raises(ValueError, match="-1"):
                once(doubled, -1)

    assert CALLED == [-1, -1]
    assert not FINDINGS.keeping


def test_a_break_after_a_run_is_seen() -> None:
    """A check under a falsifier is not shown what whole cells of the same process have found."""
    falsifier = next(each for each in FALSIFIERS if each.behaviour == SHARING)
    cell = cell_of(falsifier)
    with among_cells():
        assert run(cell).verdict is Verdict.PASS
    assert FINDINGS.kept

    with falsifier.in_place():
        assert run(cell).verdict is Verdict.FAIL


def test_plans_are_made_once_a_subject() -> None:
    """Plans are kept until those of the subjects so far are let go, and no longer."""
    plans = once_a_subject(doubled)
    try:
        first, again = plans(1), plans(1)
        forget_plans()
        anew = plans(1)
    finally:
        PLANS.remove(plans)

    assert again is first
    assert anew == first
    assert anew is not first
    assert CALLED == [1, 1]
