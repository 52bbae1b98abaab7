"""Made-up timings for tests of the pictures: serial phases, growth of costs, ratios and two builds in turn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from conformance.selftest import records

Json = dict[str, Any]

KINDS = {"in-place operator": 3e-7, "operator": 5e-7, "layer": 4e-6, "loss": 6e-6, "optimizer step": 3e-5}
SIZES = {"small": (64, (8, 8)), "medium": (16384, (128, 128)), "large": (4194304, (2048, 2048))}


def fingerprint(id: str = "0123456789ab", **changes: Any) -> Json:
    """A machine."""
    return {
        "id": id, "processor": "Example 9000", "cores": 2, "memory_gib": 8, "system": "Linux", "machine": "x86_64",
        "python": "3.11", "accelerator": None, **changes,
    }  # fmt: skip


def performance(*, subjects: int = 8, seed: int = 0, factor: float = 1.0, **changes: Any) -> Json:
    """A serial phase: yardsticks, and each subject at three sizes."""
    rng = random.Random(seed)
    measurements = []
    for number in range(subjects):
        name = records.SUBJECTS[number % len(records.SUBJECTS)]
        turn = number // len(records.SUBJECTS)
        kind = list(KINDS)[number % len(KINDS)]
        for size, (elements, shape) in SIZES.items():
            median = factor * (KINDS[kind] + elements * 2.5e-10) * rng.uniform(0.9, 1.1)
            measurements.append(
                {
                    "subject": f"{name}{turn or ''}", "kind": kind, "area": "inplace",
                    "behaviours": ["inplace.returns-self"], "target": "cpu", "dtype": "float32", "size": size,
                    "shape": list(shape), "elements": elements,
                    "median": median, "iqr": median * rng.uniform(0.005, 0.06), "rounds": 25, "calls": 100,
                }
            )  # fmt: skip
    return {
        "fingerprint": fingerprint(), "threads": 1, "seconds": 41.5,
        "yardsticks": [
            yardstick("copy", 4194304, 1.1e-3), yardstick("matrix product", 262144, 4.2e-3),
            yardstick("empty call", 0, 4.4e-8),
        ],
        "measurements": measurements,
        "skipped": [{"subject": "sort", "reason": "Its time depends on the values."}],
        **changes,
    }  # fmt: skip


def yardstick(name: str, elements: int, median: float) -> Json:
    """What every machine can do."""
    return {"name": name, "target": "cpu", "elements": elements, "median": median, "iqr": median / 50, "rounds": 25}


def scaling(exponent: float = 0.02, quantity: str = "seconds", expected: tuple[float, float] = (-0.2, 0.2)) -> Json:
    """The growth of a cost."""
    start = 64.0 if quantity == "bytes" else 1.3e-6
    return {
        "quantity": quantity,
        "points": [[2**power, start * (2 ** (power - 6)) ** exponent] for power in range(6, 25, 2)],
        "exponent": exponent, "interval": [exponent - 0.03, exponent + 0.04], "expected": list(expected),
    }  # fmt: skip


def ratio(value: float, one: str = "add_", other: str = "add") -> Json:
    """One way against another."""
    return {
        "one": one, "other": other, "ratio": value, "interval": [value * 0.9, value * 1.1], "expected": "at most 1.1",
    }  # fmt: skip


def timed(*verdicts: str, **changes: Any) -> Json:
    """A small run with a serial phase, with growth in its first cell and ratios in the second."""
    found = records.small(*(verdicts or ("pass", "pass", "fail")), performance=performance(), **changes)
    first, second = found["cells"][0]["evidence"], found["cells"][1]["evidence"]
    first["scaling"] = [scaling(), scaling(0.97, "bytes", (0.9, 1.1))]
    second["ratios"] = [ratio(0.62), ratio(1.31, "loop over rows", "one call")]
    found["cells"][0]["under_test"] = 0.004
    found["costs"] = [{"area": "inplace", "cells": 3, "cases": 375, "seconds": 0.0369, "under_test": 0.0118}]
    return found


def alternation(*, subjects: int = 12, seed: int = 0, **changes: Any) -> Json:
    """Two builds in turn: most subjects alike, the first faster by a third, the second slower by a half."""
    rng = random.Random(seed)
    rows = []
    for number in range(subjects):
        name, kind = records.SUBJECTS[number % len(records.SUBJECTS)], list(KINDS)[number % len(KINDS)]
        for size, (elements, _) in SIZES.items():
            value = {0: 0.67, 1: 1.5}.get(number, rng.uniform(0.97, 1.03))
            a = KINDS[kind] + elements * 2.5e-10
            rows.append(
                {
                    "subject": name, "kind": kind, "dtype": "float32", "size": size,
                    "elements": elements, "pairs": 30, "a": a, "b": a * value, "ratio": value,
                    "interval": [value * 0.96, value * 1.04],
                }
            )  # fmt: skip
    return {
        "schema": "ab/1",
        "a": {"torch": "2.4.1", "git": "a1b2c3", "python": "3.11.7", "numpy": "1.26.4"},
        "b": {"torch": "2.13.0+cpu", "git": None, "python": "3.11.7", "numpy": "2.4.6"},
        "fingerprint": fingerprint(),
        "target": "cpu",
        "skipped": [{"subject": "sort", "reason": "A: AttributeError: no such call"}],
        "rows": rows,
        **changes,
    }


def hostile(text: str) -> Json:
    """A run that has the text in every field of its timings that takes text of any kind."""
    found = records.hostile(text)
    found["performance"] = performance(
        subjects=1,
        fingerprint=fingerprint(processor=text, system=text, machine=text, python=text, accelerator=text),
        skipped=[{"subject": text, "reason": text}],
    )
    for each in found["performance"]["measurements"]:
        each |= {"subject": text, "kind": text, "area": text, "behaviours": [text], "target": text, "dtype": text}
    for each in found["performance"]["yardsticks"]:
        each |= {"target": text}
    found["cells"][0]["evidence"] |= {
        "scaling": [scaling()],
        "ratios": [{**ratio(0.9), "one": text, "other": text, "expected": text}],
    }
    found["costs"] = [{"area": text, "cells": 1, "cases": 125, "seconds": 1.0, "under_test": 0.5}]
    return found


def hostile_alternation(text: str) -> Json:
    """An A/B file that has the text wherever it may."""
    side = {"torch": text, "git": text, "python": text, "numpy": text}
    found = alternation(
        subjects=1,
        a=side,
        b=side,
        target=text,
        skipped=[{"subject": text, "reason": text}],
        fingerprint=fingerprint(processor=text, system=text, machine=text, python=text, accelerator=text),
    )
    for row in found["rows"]:
        row |= {"subject": text, "kind": text, "dtype": text, "size": text}
    return found


def save(folder: Path, found: Json, name: str = "ab.json") -> Path:
    """Write an A/B file."""
    path = folder / name
    path.write_text(json.dumps(found), encoding="utf-8")
    return path
