"""The clock of durations: what it counts, and where it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from conformance.oracles import durations
from conformance.oracles.durations import Clock, shortest

TOLD = Clock().queue is not None  # how long the thread stood in the queue


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long a thread stood in the queue")
def test_sleep_is_counted() -> None:
    """A call that sleeps takes what it sleeps."""
    assert shortest(lambda: time.sleep(0.002), rounds=1, calls=1) >= 2000


@pytest.mark.parametrize("content", [None, b"0 0 0\n", b"1 2\n"])
def test_without_figures_the_processor_time_is_counted(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file is not there, or nothing is counted in it, sleep takes no time."""
    if content is not None:
        (tmp_path / "queue").write_bytes(content)
    clock = Clock(str(tmp_path / "queue"))
    assert clock.queue is None
    monkeypatch.setattr(durations, "Clock", lambda: clock)
    assert shortest(lambda: time.sleep(0.02), rounds=1, calls=1) < 20000


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long a thread stood in the queue")
def test_the_queue_is_not_counted(tmp_path: Path) -> None:
    """What is in the file's second figure is taken off the time on the wall."""
    queue = tmp_path / "queue"
    queue.write_bytes(b"5 0 1\n")
    clock = Clock(str(queue))
    before = clock.now()
    queue.write_bytes(b"5 1000000000000 1\n")
    after = clock.now()
    clock.close()
    assert after - before < -900_000_000_000


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long a thread stood in the queue")
def test_a_queue_between_the_two_readings_is_not_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the thread had to wait after the time was read, and before the queue was, both are read anew."""
    queue = tmp_path / "queue"
    queue.write_bytes(b"5 0 1\n")
    clock = Clock(str(queue))
    before, wall = clock.now(), time.perf_counter_ns

    def preempted() -> int:
        waited = 3_000_000_000 if queue.read_bytes().startswith(b"5 3") else 0
        queue.write_bytes(b"5 3000000000 1\n")
        return wall() + waited

    monkeypatch.setattr(time, "perf_counter_ns", preempted)
    after = clock.now()
    clock.close()
    assert 0 <= after - before < 1_000_000_000
