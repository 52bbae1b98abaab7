"""The runner: one cell's cases, corners first, and the verdict that they add up to.

It knows neither pytest nor any behaviour: the plugin and the self-tests both call ``run_cell``.

A cell that leaves torch switched otherwise (``switches``) never passes. It fails where its own behaviour is broken by
a case that starts from the switches as the cell found them. Otherwise it is inconclusive, whatever its cases said: no
page promises of every call that nothing is left switched, and those that promise it of some have behaviours of their
own, which fail; so it is no failure of this behaviour. But either the check switches something and does not put it
back, which is our error, or torch does, and then the cases after it met another torch than they say.
"""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.engine import room
from conformance.engine.cells import Cell
from conformance.engine.documentation import standing
from conformance.engine.evidence import Evidence, FacetError
from conformance.engine.examples import Remembered
from conformance.engine.minimal import minimize
from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.sampling import sample
from conformance.engine.switches import put_back, snapshot
from conformance.engine.words import Verdict

# What a target says when it cannot: torch's own wordings, beside NotImplementedError.
REFUSAL = re.compile(
    r"not implemented for '|is not implemented for|not supported on |not yet implemented|"
    r"Could not run '[^']+' with arguments|type is not supported by dlpack|^Unsupported code \d+$|"
    r"^Promotion for uint16, uint32, uint64 types is not supported"
)
# Exceptions that only a fault of this suite raises inside a check.
OUR_FAULT = (NameError, ImportError, SyntaxError, RecursionError, FacetError)


@dataclass
class Failure:
    """How a cell failed: the minimal case, and what was expected and found there."""

    case: Any
    error: BaseException
    what: str
    expected: str
    found: str
    where: str = ""
    phase: str = "corner"


@dataclass
class Outcome:
    """What came of a cell."""

    verdict: Verdict
    evidence: dict[str, Any] = field(default_factory=dict)
    corner: int = 0
    sampled: int = 0
    seconds: float = 0.0
    reason: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Plan:
    """How much to run of each cell: sampled cases, the seed, and where to note the case that is running.

    ``interrupts`` are the types of exceptions by which a timer stops a cell, none of them derived from ``Exception``;
    ``timed_out`` says in words what ran out where it was the timer that raised one of them, and else nothing.
    ``refused`` are the element types of which a refusal is no failure even where other cases had them. ``profile`` is
    the one by which behaviours that take long are left out, and without one none is. What is ``remembered`` of the
    cell is met ahead of its samples.
    """

    samples: int = 5
    seed: int = 0
    note: Callable[[str, int, Any], None] = lambda phase, index, case: None
    interrupts: tuple[type[BaseException], ...] = ()
    refused: frozenset[str] = frozenset()
    timed_out: Callable[[BaseException], str] = lambda error: _first_line(error) or type(error).__name__
    profile: str | None = None
    remembered: Remembered | None = None


def run_cell(cell: Cell, check: Callable[[Any], Any], plan: Plan) -> Outcome:
    """Run one cell to its verdict; never raises for anything that torch or the suite does."""
    started = time.perf_counter()
    before = snapshot()
    left: list[str] = []
    room.begin()
    try:
        outcome = _decide(cell, check, plan, before, left)
    finally:
        left += put_back(before)
    outcome.seconds = time.perf_counter() - started
    if left:
        outcome.evidence["left_switched"] = left = list(dict.fromkeys(left))
        if outcome.verdict is Verdict.PASS:
            outcome.verdict = Verdict.INCONCLUSIVE
            outcome.reason = f"nothing failed, but torch was left switched otherwise: {'; '.join(left)}"
    outcome.evidence["documentation"] = standing(cell.behaviour.docs, cell.subject_name)
    return outcome


def _decide(cell: Cell, check: Callable[[Any], Any], plan: Plan, before: tuple[Any, ...], left: list[str]) -> Outcome:
    reason = cell.out_of_scope()
    if reason is None and plan.profile is not None:
        reason = cell.behaviour.asked_from(plan.profile)
    if reason is not None:
        return Outcome(Verdict.NOT_APPLICABLE, reason=reason)
    evidence = Evidence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            inputs = check.__conformance_inputs__(cell)  # type: ignore[attr-defined]
            corners = list(inputs.corners)
        except Exception as error:
            return Outcome(Verdict.ERROR, reason=own_fault("the inputs could not be made", error))
        except plan.interrupts as stopped:
            late = plan.timed_out(stopped)
            if not late:
                raise
            return Outcome(Verdict.TIMEOUT, reason=f"while the inputs were made: {late}")
        attempt = _Attempt(cell.target.declared(check), evidence, plan, before, left)
        try:
            failure = attempt.corners(corners)
            count = plan.samples // inputs.share
            if failure is None and inputs.samples is not None and count:
                failure = attempt.samples(inputs.samples, count, cell.digest() ^ plan.seed)
            failure = failure or attempt.half_supported()
        except plan.interrupts as stopped:
            late = plan.timed_out(stopped)
            if not late:
                raise
            if attempt.failing is None:
                failure = lost(attempt.case, attempt.phase, late)
                return Outcome(
                    Verdict.TIMEOUT, evidence.record(), evidence.corner, evidence.sampled, 0.0, late, failure
                )
            failure = explain(*attempt.failing, attempt.phase)  # stopped while the case was made simpler
        except Exception as error:
            return Outcome(Verdict.ERROR, reason=own_fault("the samples could not be drawn", error))
    found = Outcome(Verdict.PASS, evidence.record(), evidence.corner, evidence.sampled, failure=failure)
    if failure is not None and attempt.want is not None:
        found.verdict = Verdict.ERROR
        said = f"{failure.what}: expected {failure.expected}; found {failure.found}"
        found.reason = f"no room, so that what failed says nothing of torch: {attempt.want} ({said})"
        return found
    if failure is not None:
        ours = isinstance(failure.error, OUR_FAULT)
        found.verdict = Verdict.ERROR if ours else Verdict.FAIL
        found.reason = own_fault("the check broke", failure.error) if ours else None
    elif not evidence.corner + evidence.sampled:
        refused = bool(evidence.refused)
        found.verdict = Verdict.UNSUPPORTED if refused else Verdict.INCONCLUSIVE
        nothing = ": ".join(filter(None, ["no valid case ran", evidence.out_of_scope]))
        found.reason = next(iter(evidence.refusals.values())) if refused else nothing
    return found


class _Attempt:
    """The cases of one cell, run one by one and counted.

    ``before`` are the switches of torch as the cell found them, ``left`` tells which of them its cases left otherwise.
    """

    def __init__(
        self, check: Callable[[Any], Any], evidence: Evidence, plan: Plan, before: tuple[Any, ...], left: list[str]
    ) -> None:
        self.check, self.evidence, self.plan = check, evidence, plan
        self.before, self.left = before, left
        self.refused: list[tuple[Any, BaseException]] = []
        self.phase, self.case = "", None
        self.failing: tuple[Any, BaseException] | None = None  # the first, until a simpler one is found
        self.want: str | None = None  # of room on this machine

    def corners(self, corners: list[Any]) -> Failure | None:
        """Every corner in order, up to the first that fails, which is then minimized."""
        found = self.failing_corner(corners)
        if not self.clean():
            return found and self.simplest(*found[1:])
        self.evidence.forget()
        self.refused.clear()
        return self.corners_apart(corners, found)

    def failing_corner(self, corners: list[Any], first: int = 0) -> tuple[int, Any, Exception] | None:
        """The first corner that fails, its number and its error; ``first`` is the number of the first."""
        note, check, met = self.plan.note, self.check, self.evidence.met
        self.phase = "corner"
        for index, case in enumerate(corners, first):
            note("corner", index, None)
            self.case = case
            try:
                check(case)
                met(case)
            except Exception as error:
                if not self.settle(case, error):
                    return index, case, error
            else:
                self.evidence.corner += 1
        return None

    def corners_apart(self, corners: list[Any], before: tuple[int, Any, Exception] | None) -> Failure | None:
        """Every corner again, each from the switches as the cell found them: some corner has left them otherwise.

        A failure of ``before`` that does not come again stands unless a corner ahead of it leaves a switch again.
        """
        leaks = False
        for index, case in enumerate(corners):
            found = self.failing_corner([case], index)
            if found is None and before is not None and index == before[0] and not leaks:
                found = before
            leaks |= self.clean()
            if found is not None:
                return self.simplest(*found[1:])
        return None

    def clean(self) -> bool:
        """Put back what the cases so far have left switched otherwise; whether there was anything."""
        found = put_back(self.before)
        self.left += found
        return bool(found)

    def samples(self, strategy: Any, count: int, number: int) -> Failure | None:
        """``count`` cases of ``strategy``; the failing one as Hypothesis shrinks it."""
        self.phase, self.case = "sampled", None

        def one(case: Any) -> None:
            self.plan.note("sampled", self.evidence.sampled, case)
            self.case = case
            try:
                self.check(case)
                if self.failing is None:
                    self.evidence.met(case)
            except Exception as error:
                if self.failing is not None and (isinstance(error, Discard) or is_refusal(error)):
                    return
                if not self.settle(case, error):
                    self.failing = self.failing or (case, error)
                    raise
            else:
                self.evidence.sampled += self.failing is None
            finally:
                self.clean()

        found = sample(strategy, one, count, number, self.plan.remembered)
        return None if found is None else explain(found[0], found[1], "sampled")

    def settle(self, case: Any, error: Exception) -> bool:
        """Count a case that was discarded or refused; False where the exception is a failure."""
        if isinstance(error, Discard):
            self.evidence.discard(error)
            return True
        if is_refusal(error):
            self.evidence.refuse(case, error)
            self.refused.append((case, error))
            return True
        self.want = self.want or room.lacking(error)
        return False

    def simplest(self, case: Any, error: Exception) -> Failure:
        """The failure at a corner, at the simplest case that fails in the same way."""

        self.failing = (case, error)

        def fails(candidate: Any) -> BaseException | None:
            try:
                self.check(candidate)
            except Exception as found:
                return found if _kind(found) == _kind(error) and not is_refusal(found) else None
            finally:
                self.clean()
            return None

        smallest, smaller_error = minimize(case, fails)
        return explain(smallest, smaller_error or error, "corner")

    def half_supported(self) -> Failure | None:
        """A failure where a dtype that worked in one case was refused in another: support is declared by use."""
        worked = self.evidence.facets.get("dtypes", set())
        for case, error in self.refused:
            facets = case.facets() if hasattr(case, "facets") else {}
            dtypes = facets.get("dtypes", ())
            names = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
            if not self.plan.refused.isdisjoint({*names, named_type(error)}):
                continue
            if names and all(name in worked for name in names):
                failure = explain(case, error, "corner")
                failure.what = f"{failure.what}: {', '.join(names)} worked in other cases of this cell"
                return failure
        return None


def explain(case: Any, error: BaseException, phase: str) -> Failure:
    """A failure in words: what a Mismatch says, or the exception that nobody expected."""
    if isinstance(error, Mismatch):
        return Failure(case, error, error.what, error.expected, error.found, error.where, phase)
    text = str(error).strip().split("\n")[0]
    return Failure(case, error, "an unexpected exception", "no exception",
                   f"{type(error).__name__}: {text}", "", phase)  # fmt: skip


def _kind(error: BaseException) -> tuple[type[BaseException], str]:
    """What two exceptions must share to be one failure: their type, and the words before the first particular."""
    words = "" if isinstance(error, Mismatch) else re.split(r"[\d\[({'\"]", _first_line(error))[0]
    return type(error), words


def lost(case: Any, phase: str, ending: str) -> Failure | None:
    """The failure of a case that never came back, as far as it is known which."""
    if case is None:
        return None
    return Failure(
        case, RuntimeError(ending), "the call does not come back", "a result or an exception", ending, "", phase
    )


def is_refusal(error: BaseException) -> bool:
    """Whether an exception is the target's way to say that it cannot do this at all."""
    if isinstance(error, NotImplementedError):
        return True
    return isinstance(error, RuntimeError) and bool(REFUSAL.search(str(error)))


def named_type(error: BaseException) -> str:
    """The element type that a refusal names: that of an operand, maybe, where self has another; "" for none."""
    found = re.search(r"not implemented for '(\w+)'", str(error))
    return {"Half": "float16", "BFloat16": "bfloat16", "Bool": "bool"}.get(found[1], "") if found else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def own_fault(what: str, error: BaseException) -> str:
    """An error of the suite itself, with its traceback."""
    return f"{what}: " + "".join(traceback.format_exception(error)).strip()
