"""The runner: each verdict by a small check, cases in their order, and evidence that counts exactly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.engine import minimal, runner, sampling
from conformance.engine.evidence import measure
from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.words import Verdict
from conformance.selftest import examples
from conformance.selftest.examples import Number, Plain, cell, numbers, run

HALVES = [Number(value, "float16") for value in range(4)]


@pytest.mark.parametrize(
    ("check", "corners", "expected"),
    [
        (examples.holds, [Number(1)], Verdict.PASS),
        (examples.stays_small, [Number(1), Number(9)], Verdict.FAIL),
        (examples.refuses, [Number(1)], Verdict.UNSUPPORTED),
        (examples.refuses_halves, [Number(1), Number(1, "float16")], Verdict.PASS),
        (examples.refuses_halves, HALVES, Verdict.FAIL),
        (examples.discards, [Number(1)], Verdict.INCONCLUSIVE),
        (examples.holds, [], Verdict.INCONCLUSIVE),
        (examples.breaks, [Number(1)], Verdict.ERROR),
        (examples.warns, [Number(1)], Verdict.PASS),
        (examples.uses_a_tensor, [Number(1)], Verdict.PASS),
    ],
)
def test_each_verdict_has_its_cause(check: Any, corners: list[Number], expected: Verdict) -> None:
    """What becomes of the cases decides the verdict, and nothing else."""
    found = run(check, corners)

    assert expected is found.verdict, found


def test_what_is_out_of_scope_does_not_run() -> None:
    """A cell that the statement does not speak of runs no case and says why."""
    found = run(examples.breaks, [Number(1)], of=cell(since="99.0"))

    assert (Verdict.NOT_APPLICABLE, 0) == (found.verdict, found.corner)
    assert "holds since torch 99.0" in found.reason


@pytest.mark.parametrize(
    ("profile", "verdict"),
    [("smoke", Verdict.NOT_APPLICABLE), ("default", Verdict.PASS), ("thorough", Verdict.PASS), (None, Verdict.PASS)],
)
def test_what_takes_long_is_asked_by_some_profiles(profile: str | None, verdict: Verdict) -> None:
    """A profile before the one that a behaviour names runs no case of it, and says which one does."""
    found = run(examples.holds, [Number(1)], of=cell(profile="default"), profile=profile)

    assert (verdict, verdict is Verdict.NOT_APPLICABLE) == (found.verdict, "--profile default" in (found.reason or ""))


@pytest.mark.parametrize(("count", "share", "expected"), [(5, 1, 5), (5, 5, 1), (5, 50, 0), (50, 50, 1)])
def test_dear_samples_are_drawn_more_seldom(count: int, share: int, expected: int) -> None:
    """One sample for so many that the profile asks for, and none where it asks for fewer."""
    found = run(examples.holds, [Number(1)], numbers(), count=count, share=share)

    assert (Verdict.PASS, 1, expected) == (found.verdict, found.corner, found.sampled)


def test_a_refusal_says_what_torch_said() -> None:
    """The reason of an unsupported cell is the first line of torch's own refusal, by element type."""
    found = run(examples.refuses, [Number(1), Number(2, "float16")])

    assert "\"demo_cpu\" not implemented for 'Half'" == found.reason
    assert {"int64": found.reason, "float16": found.reason} == found.evidence["unsupported"]


@pytest.mark.parametrize(
    "words",
    [
        "\"demo_cpu\" not implemented for 'Half'",
        "Could not run 'aten::demo' with arguments from the 'CPU' backend",
        "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote Float and UInt32",
    ],
)
def test_wordings_of_torch_are_refusals(words: str) -> None:
    """What torch says when it cannot is a refusal as a RuntimeError, and a failure as any other error."""
    assert runner.is_refusal(RuntimeError(words))
    assert not runner.is_refusal(ValueError(words))
    assert not runner.is_refusal(RuntimeError("the result of demo is wrong"))


def test_support_is_declared_by_use() -> None:
    """An element type that works in one case and is refused in another fails, and says so."""
    failure = run(examples.refuses_halves, HALVES).failure

    assert Number(1, "float16") == failure.case
    assert failure.what.endswith("float16 worked in other cases of this cell")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        RuntimeError("shape mismatch"),
        AttributeError("x"),
        AssertionError(),
        KeyError("k"),
        OSError(5, "io"),
    ],
)
def test_an_exception_that_nobody_expected_is_a_failure(error: Exception) -> None:
    """Whatever torch raises out of a check breaks the statement; the exception is what was found."""

    def check(case: Number) -> None:
        raise error

    found = run(check, [Number(1)])

    assert Verdict.FAIL is found.verdict
    assert found.failure.found.startswith(type(error).__name__)


def test_inputs_that_cannot_be_made_are_our_fault() -> None:
    """An exception while corners or samples are made is an error of the suite, with its traceback."""

    def corners() -> Any:
        yield Number(1)
        raise ValueError("no more corners")

    early = run(examples.holds, corners())
    late = run(examples.holds, [Number(1)], numbers().map(lambda number: number.nonsense))
    never = run(examples.holds, [Number(1)], numbers().filter(lambda number: False))

    assert [Verdict.ERROR] * 3 == [early.verdict, late.verdict, never.verdict]
    assert "the inputs could not be made: Traceback" in early.reason
    assert "no more corners" in early.reason
    assert "the samples could not be drawn: Traceback" in late.reason
    assert "the samples could not be drawn: Traceback" in never.reason


def test_facets_that_cannot_be_told_are_our_fault() -> None:
    """A case that breaks while it is described says nothing of the behaviour, corner or sample."""
    broken = SimpleNamespace(facets=lambda: 1 / 0)

    assert Verdict.ERROR is run(examples.holds, [broken]).verdict
    assert Verdict.ERROR is run(examples.holds, [], numbers().map(lambda number: broken)).verdict


def test_corners_come_before_samples() -> None:
    """Every corner runs, in its order, before the first sampled case."""
    met: list[Number] = []
    corners = [Number(value, "corner") for value in range(30)]
    found = run(met.append, corners, numbers(), count=10)

    assert corners == met[:30]
    assert ["int64"] * 10 == [number.dtype for number in met[30:]]
    assert (30, 10) == (found.corner, found.sampled)


def test_a_failing_corner_ends_the_cell() -> None:
    """After a corner that fails no sample is drawn."""
    met: list[Number] = []

    def check(case: Number) -> None:
        met.append(case)
        examples.stays_small(case)

    found = run(check, [Number(1), Number(7)], numbers().map(lambda n: Number(n.value, "sampled")))

    assert (1, 0) == (found.corner, found.sampled)
    assert "sampled" not in {number.dtype for number in met}


def test_evidence_counts_exactly() -> None:
    """Cases that ran to their end are counted, with what they showed; discarded and refused ones by themselves."""

    def check(case: Number) -> None:
        if case.dtype == "bool":
            raise Discard("no truth here")
        if case.dtype == "float16":
            examples.refuses(case)
        measure("largest_error_ulp", 2.5 if case.dtype == "int8" else 0.5)

    corners = [Number(1), Number(5, "int8"), Number(2, "bool"), Number(3, "bool"), Number(4, "float16")]
    found = run(check, corners, numbers(), count=7)

    assert (2, 7) == (found.corner, found.sampled)
    assert ["int64", "int8"] == found.evidence["dtypes"]
    assert 2.5 == found.evidence["largest_error_ulp"]
    assert 2 == found.evidence["discarded"]
    assert ["float16"] == list(found.evidence["unsupported"])
    assert "quoted" == found.evidence["documentation"]


def test_measurements_do_not_leak_into_the_next_cell() -> None:
    """What one cell measured is not evidence of the next, and no number is infinite."""
    run(lambda case: measure("largest_error_ulp", 9.0), [Number(1)])
    found = run(lambda case: measure("distance", float("inf")), [Number(1)])

    assert {"documentation", "dtypes", "shapes"} == set(found.evidence)


def test_shrinking_is_not_evidence() -> None:
    """The cases that Hypothesis tries while it shrinks a failure are not counted."""
    met: list[Number] = []

    def check(case: Number) -> None:
        met.append(case)
        examples.stays_small(case)

    found = run(check, [], numbers(), count=100)
    first = next(i for i, number in enumerate(met) if number.value >= 7)

    assert first == found.sampled
    assert len(met) > first + 1


def test_a_failing_sample_is_shrunk() -> None:
    """The reported case is the smallest that fails."""
    failure = run(examples.stays_small, [Number(1)], numbers(), count=100).failure

    assert ("sampled", Number(7)) == (failure.phase, failure.case)
    assert ("number 7", "below 7", "7") == (failure.what, failure.expected, failure.found)


def test_a_failing_corner_is_minimized() -> None:
    """A corner is made simpler by its own reductions for as long as it fails in the same way."""
    failure = run(examples.stays_small, [Number(1), Number(500, note="long")]).failure

    assert ("corner", Number(7)) == (failure.phase, failure.case)


def test_a_cell_without_a_valid_case_tells_why() -> None:
    """It is inconclusive, and who reads it learns what the first case lacked."""

    def check(case: Number) -> None:
        raise Discard("no\n truth" if case.value == 1 else "another thing")

    found = run(check, [Number(1), Number(2)])

    assert (Verdict.INCONCLUSIVE, "no valid case ran: no truth") == (found.verdict, found.reason)


@pytest.mark.parametrize(
    ("error", "full", "expected"),
    [
        (OSError(28, "No space left on device"), True, Verdict.ERROR),
        (Mismatch("an exception", "none", "OSError: [Errno 28] No space left on device"), True, Verdict.ERROR),
        (RuntimeError("unable to write to file </torch_1>: No space left on device (28)"), True, Verdict.ERROR),
        (OSError(28, "No space left on device"), False, Verdict.FAIL),
        (RuntimeError("another thing"), True, Verdict.FAIL),
    ],
    ids=repr,
)
def test_a_machine_without_room_says_nothing_of_torch(
    monkeypatch: pytest.MonkeyPatch, error: Exception, full: bool, expected: Verdict
) -> None:
    """Where there is none, what speaks of it is no failure; where there is, torch has to answer for it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def check(case: Number) -> None:
        if case.value == 2:
            raise error

    if full:
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    found = run(check, [Number(1), Number(2)])

    assert expected == found.verdict
    if expected is Verdict.ERROR:
        assert re.fullmatch(
            r"no room, so that what failed says nothing of torch: /\S+: No space left on device \(.*\)", found.reason
        )


def test_minimizing_keeps_to_the_failure() -> None:
    """A simpler case that is refused, discarded, or fails with another exception does not stand for the first."""

    def check(case: Number) -> None:
        if case.value == 0:
            raise NotImplementedError
        if case.value == 1:
            raise Discard("one")
        if case.value < 5:
            raise ValueError("another fault")
        examples.stays_small(Number(99))

    assert Number(5) == run(check, [Number(40)]).failure.case


def test_minimizing_keeps_to_the_words_of_an_exception() -> None:
    """A simpler case at which torch complains of something else is another failure, of the same type or not."""

    def check(case: Number) -> None:
        if case.value >= 5:
            raise RuntimeError(f"sizes [{case.value}] are out of bounds for {case.value * 2}")
        raise RuntimeError("dimensions must be larger than 1")

    assert Number(5) == run(check, [Number(40)]).failure.case


def test_a_case_without_reductions_is_reported_as_it_is() -> None:
    """A case needs nothing but its repr."""
    failure = run(lambda case: examples.stays_small(Number(case.value)), [Plain(50)]).failure

    assert Plain(50) == failure.case


def test_a_failure_that_does_not_repeat_is_a_failure() -> None:
    """A case that fails once and passes afterwards is reported with the exception that it gave."""
    seen: list[int] = []

    def check(case: Number) -> None:
        seen.append(case.value)
        if len(seen) == 3:
            raise Mismatch("the third call", "nothing special", "a fault")

    found = run(check, [], numbers())

    assert (Verdict.FAIL, "a fault") == (found.verdict, found.failure.found)


def test_slow_failures_are_shrunk_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose failing cases are slow ends soon after its first failure, with a case that fails."""
    monkeypatch.setattr(sampling, "SHRINKING", 0.2)
    monkeypatch.setattr(minimal, "SECONDS", 0.2)

    def check(case: Number) -> None:
        if case.value >= 7:
            time.sleep(0.05)
        examples.stays_small(case)

    started = time.monotonic()
    sampled = run(check, [], numbers(10**9), count=100)
    corner = run(check, [Number(10**9)])

    assert 3 > time.monotonic() - started
    assert [Verdict.FAIL] * 2 == [sampled.verdict, corner.verdict]
    assert 7 <= min(sampled.failure.case.value, corner.failure.case.value)


class Alarm(BaseException):
    """What a timer of this test raises."""


@pytest.mark.parametrize("phase", ["corner", "sampled"])
def test_an_interrupted_cell_is_a_timeout(phase: str) -> None:
    """A timer's exception is the verdict timeout with the case that ran, and no case runs again."""
    calls: list[Number] = []

    def check(case: Number) -> None:
        calls.append(case)
        if len(calls) == 4:
            raise Alarm("Timeout (>1.0s)\nmore")

    corners = [Number(value) for value in range(9)] if phase == "corner" else []
    found = run(check, corners, numbers(), interrupts=(Alarm,))

    assert (Verdict.TIMEOUT, "Timeout (>1.0s)") == (found.verdict, found.reason)
    assert 4 == len(calls)
    assert (phase, calls[-1]) == (found.failure.phase, found.failure.case)
    assert 3 == found.corner + found.sampled


@pytest.mark.parametrize("phase", ["corner", "sampled"])
def test_a_cell_interrupted_while_it_is_minimized_has_failed(phase: str) -> None:
    """A failure that is known is not lost to a timer that ends the search for a simpler case."""
    failed: list[Number] = []

    def check(case: Number) -> None:
        if len(failed) == 2:
            raise Alarm
        if case.value >= 7:
            failed.append(case)
        examples.stays_small(case)

    corners = [Number(10**6)] if phase == "corner" else []
    found = run(check, corners, numbers(10**6), count=200, interrupts=(Alarm,))

    assert (Verdict.FAIL, phase) == (found.verdict, found.failure.phase)
    assert found.failure.case in failed


def test_warnings_neither_leak_nor_fail() -> None:
    """torch may warn inside of a check: the run is not the place to hear of it, even where warnings are errors."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("error")
        found = run(examples.warns, [Number(1)], numbers())

    assert Verdict.PASS is found.verdict
    assert [] == heard


def cases_of(**options: Any) -> list[int]:
    """Values of the cases sampled for a cell."""
    met: list[int] = []
    run(lambda case: met.append(case.value), [], numbers(10**9), **options)
    return met


def test_samples_come_from_the_cell_and_the_seed() -> None:
    """One cell meets the same cases every time; another cell, or another seed, others."""
    expected = cases_of()

    assert expected == cases_of()
    assert expected != cases_of(seed=1)
    assert expected != cases_of(of=cell(id="another"))
    assert len(set(expected)) > 5


def test_samples_are_the_same_in_every_process() -> None:
    """Neither the hash seed, nor CI's environment variable, nor what else was imported changes the cases."""
    program = "from conformance.selftest.test_runner import cases_of; print(cases_of())"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "CI": "true", "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", f"import fractions, ctypes, sqlite3; NUMBER = 123456789; {program}"]
    found = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True, timeout=60)

    assert repr(cases_of()) == found.stdout.strip()


@pytest.mark.parametrize(
    ("refused", "expected"),
    [((), Verdict.FAIL), (("float16",), Verdict.PASS), (("bool",), Verdict.FAIL)],
)
def test_a_listed_refusal_is_no_failure(refused: tuple[str, ...], expected: Verdict) -> None:
    """An element type that the expectations list as refused here and there may be; the evidence still says so."""
    found = run(examples.refuses_halves, HALVES, refused=frozenset(refused))

    assert expected is found.verdict
    assert "float16" in found.evidence["unsupported"]
