"""Sampling: the Hypothesis phase of a cell, one freshly wrapped function per cell.

Hypothesis' pytest plugin nests settings once per parametrized item, so a shared ``@given`` function dies of
RecursionError after some 950 cells; wrapping here also costs less. Seeds come from the cell's own id: a cell
meets the same cases whatever else is run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy

from conformance.engine.examples import Remembered

SHRINKING = 10.0


def _forget_local_constants() -> None:
    """Keep Hypothesis from drawing constants of whatever modules happen to be loaded.

    They would make the cases of a cell depend on which other areas were collected, so that the command that
    reruns one failing cell could miss the failing case. There is no public switch.
    """
    import hypothesis.internal.conjecture.providers as internal

    providers: Any = internal
    if hasattr(providers, "_get_local_constants") and hasattr(providers, "Constants"):
        nothing = providers.Constants()
        providers._get_local_constants = lambda: nothing


_forget_local_constants()


class _Stop(BaseException):
    """Leaves Hypothesis at once; an interruption from outside it would take for a failure, and run again."""


def sample(
    strategy: SearchStrategy[Any],
    run: Callable[[Any], None],
    count: int,
    number: int,
    remembered: Remembered | None = None,
) -> tuple[Any, BaseException] | None:
    """Run ``count`` cases drawn with seed ``number``; the minimal failing case and its exception, or None.

    Those that are ``remembered`` come ahead of them, and what fails is added there.
    ``run`` raises for a failing case. An exception of Hypothesis itself (an unsatisfiable strategy, say) is
    raised on, but for its report that a failure does not repeat: then the first failing case is returned.
    ``SHRINKING`` seconds after the first failure the simplest case so far will do.
    """
    failing: list[tuple[Any, BaseException]] = []
    end = float("inf")

    def one(case: Any) -> None:
        nonlocal end
        if time.monotonic() > end:
            raise _Stop
        try:
            run(case)
        except Exception as error:
            end = min(end, time.monotonic() + SHRINKING)
            failing.append((case, error))
            raise
        except BaseException as interruption:
            raise _Stop from interruption

    database, key = None, None
    phases: tuple[Phase, ...] = (Phase.generate, Phase.shrink)
    if remembered is not None:
        database, key, phases = remembered.database, remembered.key, (Phase.reuse, *phases)
        count += len(remembered.known)
    wrapped = settings(
        max_examples=count, database=database, deadline=None, derandomize=False, print_blob=False,
        phases=phases, suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )(seed(number)(given(strategy)(one)))  # fmt: skip
    # Hypothesis would digest the source of ``one`` for its database, a fifth of what five samples cost
    wrapped._hypothesis_internal_database_key = key  # type: ignore[attr-defined]
    try:
        wrapped()
    except _Stop as stop:
        if stop.__cause__ is not None:
            raise stop.__cause__ from None
        return failing[-1]
    except HypothesisException:
        if not failing:
            raise
        return failing[0]
    except Exception:
        if not failing:
            raise
        return failing[-1]
    return None
