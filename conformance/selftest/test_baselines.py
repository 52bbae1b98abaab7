"""Baselines: timings that are kept, compared on one machine, and never across two without being asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine.targets import choose
from conformance.performance.subjects import subjects
from conformance.performance.timing import calibrated, one_thread, quiet, rounds_within, timed
from conformance.selftest import records
from conformance.selftest.falsifying import patched
from reports.command import main
from reports.merging import merge
from reports.reading import load

Capture = pytest.CaptureFixture[str]
Json = dict[str, Any]


def run(folder: Path, name: str, timings: Json | None, torch: str = "2.13.0+cpu", **changes: Any) -> Path:
    """A record with timings."""
    more = {} if timings is None else {"performance": timings}
    return records.save(folder, records.record(areas=1, torch=torch, **more, **changes), f"{name}.json")


def baseline(*words: object) -> int:
    """The command."""
    return main(["baseline", *map(str, words)])


def calls(factor: float = 1.0) -> Json:
    """Timings of three calls, of which one is slower by a factor."""
    return records.performance(
        records.measurement(median=1e-6 * factor), records.measurement(subject="sub_"),
        records.measurement(subject="exp_", size="large", elements=2**22, median=4e-3, iqr=1e-4),
    )  # fmt: skip


def test_a_baseline_is_kept_by_machine_and_release(tmp_path: Path, capsys: Capture) -> None:
    """One file for each fingerprint and torch; the same again replaces it, and a run is equal to its own."""
    kept = tmp_path / "kept"
    for torch_ in ("2.4.1+cu121", "2.13.0+cpu", "2.13.0+cpu"):
        assert baseline("save", run(tmp_path, "run", calls(), torch_), "-o", kept) == 0

    names = ["0123456789ab-torch-2.13.0+cpu.json", "0123456789ab-torch-2.4.1+cu121.json"]
    assert names == sorted(path.name for path in kept.iterdir())
    assert baseline("compare", tmp_path / "run.json", "--against", kept, "--fail-above", "1.0") == 0
    assert "geometric mean of the ratios 1.000" in capsys.readouterr().out


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (1.25, 0), (1.4, 1), (0.5, 0)])
def test_a_slower_call_is_told(tmp_path: Path, capsys: Capture, factor: float, status: int) -> None:
    """Above the threshold, by more than noise: exit status 1, and the call is the first of the table."""
    before, after = run(tmp_path, "before", calls()), run(tmp_path, "after", calls(factor))

    assert baseline("compare", after, "--against", before, "--fail-above", "1.3") == status
    assert baseline("compare", after, "--against", before) == 0
    if status:
        first = capsys.readouterr().out.splitlines()[4]
        assert first.split()[0] == f"{factor:.2f}"
        assert "add_ (in-place operator, float32, small, cpu)" in first


def test_noise_is_no_reason_to_fail(tmp_path: Path) -> None:
    """A median of rounds that were far apart can be twice another without anything having become slower."""
    for median, iqr in ((2e-6, 4e-6), (2.2e-5, 2.3e-5)):  # the other are rounds most of which were interrupted
        noisy = records.performance(records.measurement(median=median, iqr=iqr, rounds=5))
        before, after = run(tmp_path, "before", calls()), run(tmp_path, "after", noisy)

        assert baseline("compare", after, "--against", before, "--fail-above", "1.3") == 0


def crowd(*microseconds: float, yardsticks: float = 1.0) -> Json:
    """Timings of so many calls, one of each subject, and yardsticks that take so many times as long as usual."""
    found = records.performance(
        *(records.measurement(subject=f"s{n:03}", median=us * 1e-6, iqr=us * 1e-8) for n, us in enumerate(microseconds))
    )
    for row in found["yardsticks"]:
        row["median"] *= yardsticks
    return found


BEFORE = [100.0] * 80
DISTURBED = [200.0] * 5 + [150.0] * 20 + [100.0] * 50 + [60.0] * 5  # one of two runs beside other work


@pytest.mark.parametrize(
    ("before", "after", "yardsticks", "told"),
    [
        (BEFORE, DISTURBED, 1.0, ""),
        (DISTURBED, BEFORE, 1.0, ""),
        (BEFORE, [*DISTURBED[1:], 400.0], 1.0, "s079"),
        (BEFORE, [150.0, *BEFORE[1:]], 1.0, "s000"),
        (BEFORE, [100.0, *[50.0] * 79], 1.0, ""),  # a machine that is faster now
        (BEFORE, [200.0] * 80, 2.0, ""),  # a machine that is slower now
        (BEFORE, [200.0] * 80, 1.0, "as a whole"),  # a build that is slower in all that it does
        (BEFORE, [200.0] * 80, 1.4, "as a whole"),
        (BEFORE, [*[200.0] * 79, 300.0], 2.0, "s079"),
        (BEFORE[:19], [*[100.0] * 18, 150.0], 1.0, "s018"),  # too few to tell what all do
    ],
)
def test_what_all_calls_differ_by_is_no_reason_to_fail(
    tmp_path: Path, capsys: Capture, before: list[float], after: list[float], yardsticks: float, told: str
) -> None:
    """Other work that lasts for all rounds of some calls is told by how far apart all lie; what is beyond is slower."""
    old, new = run(tmp_path, "old", crowd(*before)), run(tmp_path, "new", crowd(*after, yardsticks=yardsticks))

    status = baseline("compare", new, "--against", old, "--fail-above", "1.3", "--most", 0)

    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": slower") or "as a whole" in line]
    assert (bool(told), bool(told)) == (bool(status), bool(lines))
    assert all(told in line for line in lines)


def test_both_commands_name_the_same_calls(tmp_path: Path, capsys: Capture) -> None:
    """Without a threshold ``compare`` goes by the bar of ``diff``."""
    old = run(tmp_path, "old", crowd(*BEFORE))
    new = run(tmp_path, "new", crowd(400, 145, 300, 100, *DISTURBED[4:]), started="2026-11-22T00:30:00Z")

    assert baseline("compare", new, "--against", old) == 0
    compared = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": slower")]
    assert main(["diff", str(old), str(new), "--format", "json"]) == 0
    slower = json.loads(capsys.readouterr().out)["slower"]["calls"]

    assert ["s000", "s002"] == [call["subject"] for call in slower]
    assert ["s000", "s002"] == [line.split("  ")[-1].split()[0] for line in compared]


def test_an_add_that_is_slower_in_earnest_is_told(tmp_path: Path) -> None:
    """A break of torch: ``add_`` that adds through a copy of itself, over and over."""
    target = choose(["cpu"])[0]
    subject = next(x for x in subjects((target,)) if x.id.startswith("in-place-operator-add_-float32-small"))

    def measured() -> Json:
        with one_thread(), quiet():
            batch, seconds = calibrated(subject.snippet(), time.perf_counter, 64)
            found = timed(batch, time.perf_counter, rounds_within(seconds))
        return records.performance(
            records.measurement(median=found.median, iqr=found.iqr, rounds=len(found.rounds), calls=found.calls)
        )

    def slower(original: Any) -> Any:
        def add_(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            for _ in range(40):
                self.clone()
            found: torch.Tensor = original(self, *args, **kwargs)
            return found

        return add_

    before = run(tmp_path, "before", measured())
    with patched(torch.Tensor, "add_", slower):
        after = run(tmp_path, "after", measured())

    assert baseline("compare", after, "--against", before, "--fail-above", "1.3") == 1
    assert baseline("compare", before, "--against", after, "--fail-above", "1.3") == 0


def test_two_machines_are_not_compared(tmp_path: Path, capsys: Capture) -> None:
    """One line that names both, and exit status 2; with ``--normalise`` their yardsticks make them comparable."""
    other = records.fingerprint(id="ba9876543210", processor="Other 1")
    before, kept = run(tmp_path, "before", calls()), tmp_path / "kept"
    slow = calls()
    slow["fingerprint"] = other
    for row in (*slow["measurements"], *slow["yardsticks"]):
        row["median"] *= 3
    after = run(tmp_path, "after", slow)
    baseline("save", before, "-o", kept)
    for against in (before, kept):
        capsys.readouterr()
        assert baseline("compare", after, "--against", against) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "ba9876543210 (Other 1" in line
        assert "--normalise" in line

    assert baseline("compare", after, "--against", kept, "--normalise", "--fail-above", "1.3") == 0
    assert "geometric mean of the ratios 1.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "nothing of this name"),
        ("", "an empty file"),
        ("[1, 2]", "a run record"),
        ('{"schema": "baseline/2"}', '"baseline/1"'),
        ('{"schema": "baseline/1", "torch": "2.13.0"}', "this key"),
        ('{"name": "something else"}', "another program"),
        ("<html></html>", "HTML"),
        ("cut", "the end of the file"),
    ],
)
def test_what_is_no_baseline_is_one_line(tmp_path: Path, capsys: Capture, text: str | None, said: str) -> None:
    """A file that is cut off, or of something else: one line with the way out, exit status 2."""
    after, file = run(tmp_path, "after", calls()), tmp_path / "file.json"
    if text is not None:
        file.write_text(after.read_text()[:700] if text == "cut" else text)
    assert baseline("compare", after, "--against", file) == 2

    [line] = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert said in line


def test_a_run_without_timings_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    """It says how to make one with them; so is a run whose timings were cut off, and a folder with two to choose of."""
    kept = tmp_path / "kept"
    for torch_ in ("2.4.1", "2.8.0"):
        baseline("save", run(tmp_path, "old", calls(), torch_), "-o", kept)
    good = run(tmp_path, "good", calls())
    capsys.readouterr()
    cases = [
        (("save", run(tmp_path, "without", None), "-o", kept), "pytest -m performance"),
        (("save", run(tmp_path, "half", calls(), complete=False), "-o", kept), "cut off"),
        (("compare", good, "--against", kept), "one baseline to compare torch 2.13.0+cpu with"),
        (("compare", good, "--against", tmp_path), "timings"),
    ]
    for words, said in cases:
        assert baseline(*words) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line


def hundreds(**first: Any) -> Json:
    """Timings of twenty calls and more, the first of them with other keys."""
    found = crowd(*BEFORE)
    found["measurements"][0] |= first
    return found


@pytest.mark.parametrize(
    ("before", "after"), [(1e308, 1e-308), (1e-308, 1e308), (5e-324, 1e-4), (1e-4, 1e308), (0.0, 1e-4), (1e-4, 0.0)]
)
def test_times_beyond_all_bounds_are_told_and_not_compared(
    tmp_path: Path, capsys: Capture, before: float, after: float
) -> None:
    """No number of the table comes of them, and none is dropped without a word."""
    old, new = run(tmp_path, "old", hundreds(median=before)), run(tmp_path, "new", hundreds(median=after))

    assert baseline("compare", new, "--against", old, "--fail-above", "1.3") == 0
    said = capsys.readouterr().out
    assert "79 calls, geometric mean of the ratios 1.000 (1.000 - 1.000)" in said
    assert "not compared: 1 calls that took no time, or one beyond all bounds" in said


def test_numbers_that_no_clock_has_are_one_line(tmp_path: Path, capsys: Capture) -> None:
    """A count of rounds that is no count that a computer comes to."""
    old, new = run(tmp_path, "old", hundreds()), run(tmp_path, "new", hundreds(rounds=10**400))

    assert baseline("compare", new, "--against", old) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "performance.measurements[0].rounds" in line


def test_two_timings_of_a_call_are_refused(tmp_path: Path, capsys: Capture) -> None:
    """Which of them is compared would be up to their order."""
    twice = hundreds()
    twice["measurements"].insert(0, {**twice["measurements"][0], "median": 5e-3})
    good, bad = run(tmp_path, "good", hundreds()), run(tmp_path, "bad", twice)
    for words in ((good, "--against", bad), (bad, "--against", good)):
        assert baseline("compare", *words) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "bad.json: performance.measurements: expected each call once" in line


def test_other_numbers_of_threads_are_not_compared(tmp_path: Path, capsys: Capture) -> None:
    """As ``diff`` does not."""
    old, new = run(tmp_path, "old", hundreds()), run(tmp_path, "new", {**hundreds(), "threads": 8})

    assert baseline("compare", new, "--against", old) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "performance.threads: expected 1 threads" in line


@pytest.mark.parametrize("kept", ["none", "zeros"])
def test_nothing_is_normalised_by_nothing(tmp_path: Path, capsys: Capture, kept: str) -> None:
    """Seconds of one machine by yardsticks of the other: refused where a yardstick is missing or took no time."""
    without = hundreds()
    without["yardsticks"] = [] if kept == "none" else [{**row, "median": 0.0} for row in without["yardsticks"]]
    old, new = run(tmp_path, "old", hundreds()), run(tmp_path, "new", without)

    assert baseline("compare", new, "--against", old, "--normalise") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "the yardstick copy on cpu" in line


def test_calls_of_one_side_alone_are_named(tmp_path: Path, capsys: Capture) -> None:
    """A call that is gone, or new, is told by name, and with why it was not timed where the other run says so."""
    after = hundreds()
    gone, resized = after["measurements"][:2]
    after["measurements"] = [
        {**resized, "elements": 9},
        *after["measurements"][2:],
        records.measurement(subject="new_"),
    ]
    after["skipped"] = [{"subject": "s000 (in-place operator, small, cpu)", "reason": "RuntimeError: gone"}]
    old, new = run(tmp_path, "old", hundreds()), run(tmp_path, "new", after)

    assert baseline("compare", new, "--against", old, "--most", "0") == 0
    lines = capsys.readouterr().out.splitlines()
    assert gone["subject"] == "s000"
    for line in (
        "not compared, as they were timed before only: 2 calls",
        "  s000 (in-place operator, float32, small, cpu): RuntimeError: gone",
        "not compared, as they were timed after only: 2 calls",
        "  new_ (in-place operator, float32, small, cpu)",
    ):
        assert line in lines
    [other] = [line for line in lines if line.startswith("  s001") and "elements" in line and "64" in line]
    assert "of another size" in other


def test_all_calls_are_not_replaced_by_some(tmp_path: Path, capsys: Capture) -> None:
    """A run of a selection would leave a baseline of a few calls: it is refused, or asked for with ``--replace``."""
    kept = tmp_path / "kept"
    some = {**hundreds(), "measurements": hundreds()["measurements"][:3]}
    assert baseline("save", run(tmp_path, "some", some), "-o", kept) == 0
    assert baseline("save", run(tmp_path, "all", hundreds()), "-o", kept) == 0
    [file] = kept.iterdir()
    capsys.readouterr()

    assert baseline("save", tmp_path / "some.json", "-o", kept) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "a run that has not timed 77 of them" in line
    assert len(json.loads(file.read_text())["performance"]["measurements"]) == 80
    assert baseline("save", tmp_path / "some.json", "-o", kept, "--replace") == 0
    assert len(json.loads(file.read_text())["performance"]["measurements"]) == 3


def test_shards_keep_their_timings_and_add_their_costs(tmp_path: Path) -> None:
    """The merged record has the timings of the shard that has any, and each area's cells, cases and seconds once."""
    whole = records.record(areas=1)
    paths = []
    for part in (1, 2):
        cells = whole["cells"][part - 1 :: 2]
        cost = {"area": "numpy_bridge", "cells": len(cells), "cases": 10, "seconds": 1.5, "under_test": 0.5}
        more = {"performance": calls()} if part == 1 else {}
        settings = records.settings(shard=f"{part}/2")
        shard = {**whole, "cells": cells, "planned": len(cells), "settings": settings, "costs": [cost], **more}
        paths.append(records.save(tmp_path, shard, f"{part}.json"))
    merged = merge([load(path) for path in paths], tmp_path / "run.json")

    assert merged.performance is not None
    assert 3 == len(merged.performance.measurements)
    [cost] = merged.costs
    assert (len(whole["cells"]), 20, 3.0, 1.0) == (cost.cells, cost.cases, cost.seconds, cost.under_test)
    assert json.loads(paths[0].read_text())["performance"] == merged.performance.model_dump(mode="json")
