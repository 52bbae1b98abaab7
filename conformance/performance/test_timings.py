"""Timings of every catalogue subject: the baselines of this torch on this machine.

``pytest -m performance`` runs them, and ``python -m conformance run`` after the cells. They are of one thread in one
process, and end up in the run record.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from conformance.engine.items import SETTINGS
from conformance.engine.serial import AREAS, PLUGIN
from conformance.performance.clocks import Untimed, clock_of
from conformance.performance.fingerprint import fingerprint
from conformance.performance.snippets import Snippet
from conformance.performance.subjects import Subject, subjects
from conformance.performance.timing import calibrated, one_thread, quiet, rounds_within, timed
from conformance.performance.yardsticks import yardsticks


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a call."""
    settings = metafunc.config.stash[SETTINGS]
    found = []
    for subject in subjects(settings.targets, metafunc.config.stash.get(AREAS, None)):
        try:
            clock = clock_of(subject.target)
        except Untimed:  # told by the test itself
            found.append(pytest.param(subject, id=subject.id))
            continue
        mark = pytest.mark.benchmark(timer=clock, disable_gc=True, warmup=False)
        found.append(pytest.param(subject, id=subject.id, marks=mark))
    metafunc.parametrize("subject", found)


@pytest.fixture(scope="module")
def serial(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The phase, begun with its yardsticks; nothing else is timed on more threads than they are."""
    found = request.config.pluginmanager.get_plugin(PLUGIN)
    if found is None:
        pytest.skip("needs -m performance")
    targets = found.settings.targets
    with one_thread() as threads:
        rows = [row for target in targets for row in _yardsticks(target)]
        found.begin({"fingerprint": fingerprint(targets), "threads": threads, "yardsticks": rows})
        yield found


@pytest.mark.performance
def test_time(subject: Subject, benchmark: Any, serial: Any) -> None:
    """The time of one call."""
    with quiet():
        try:
            clock = clock_of(subject.target)
            snippet = subject.snippet()
            batch, seconds = calibrated(snippet, clock)
        except Exception as error:  # whatever torch raises here it raises for who calls it, too
            reason = str(error) if isinstance(error, Untimed) else f"{type(error).__name__}: {error}".splitlines()[0]
            serial.skip(subject.words, reason[:200])
            pytest.skip(reason[:200])
        benchmark.extra_info.update(_extra(subject, snippet, batch.calls))
        benchmark.pedantic(batch, setup=batch.refill, rounds=rounds_within(seconds), warmup_rounds=0)
    stats = benchmark.stats.stats
    serial.add({
        "subject": subject.row.name, "kind": subject.timing.kind, "area": subject.area,
        "behaviours": subject.timing.behaviours, "target": subject.target.name, "dtype": snippet.dtype,
        "size": subject.size, "shape": list(snippet.shape), "elements": snippet.elements,
        "median": stats.median / batch.calls, "iqr": stats.iqr / batch.calls, "rounds": stats.rounds,
        "calls": batch.calls,
    })  # fmt: skip


def _yardsticks(target: Any) -> Iterator[dict[str, Any]]:
    """The rows of the record for one target; none where nothing can be timed on it."""
    try:
        clock = clock_of(target)
    except Untimed:
        return
    for name, snippet in yardsticks(target.device):
        batch, seconds = calibrated(snippet, clock)
        found = timed(batch, clock, rounds_within(seconds, 0.2))
        yield {
            "name": name, "target": target.name, "elements": math.prod(snippet.shape) if snippet.shape else 0,
            "median": found.median, "iqr": found.iqr, "rounds": len(found.rounds),
        }  # fmt: skip


def _extra(subject: Subject, snippet: Snippet, calls: int) -> dict[str, Any]:
    """What pytest-benchmark's own files keep beside the figures."""
    return {
        "cell": subject.id, "dtype": snippet.dtype, "shape": list(snippet.shape), "target": subject.target.name,
        "torch": torch.__version__, "threads": torch.get_num_threads(), "calls": calls, "act": snippet.act,
    }  # fmt: skip
