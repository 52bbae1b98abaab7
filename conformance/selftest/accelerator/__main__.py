"""The verdicts of area ``cuda`` on the made-up accelerator, whole and under each falsifier, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import conformance.selftest.accelerator  # noqa: F401 (plugs itself in)
from conformance.engine.binding import check_of
from conformance.engine.cells import cells_of
from conformance.engine.runner import Plan, run_cell
from conformance.engine.specs import load_area
from conformance.engine.targets import choose
from conformance.selftest.falsifiers import cuda
from conformance.selftest.falsifying import FALSIFIERS


def main() -> None:
    """Print the verdict of each behaviour, and for each falsifier the verdict and the type of the failure."""
    loaded = load_area(cuda.AREA)
    targets = choose(["fake:0"], (Path(__file__).with_name("targets.yaml"),))
    cells = {cell.behaviour.id: cell for b in loaded.area.behaviours for cell in cells_of(loaded, b, targets)}
    whole, broken = {}, {}
    for name, cell in cells.items():
        found = run_cell(cell, check_of(cell), Plan(samples=2))
        whole[name] = f"{found.verdict.value} {found.reason or (found.failure and found.failure.error) or ''}".strip()
    for falsifier in FALSIFIERS:
        area, _, name = falsifier.behaviour.partition(".")
        if area == cuda.AREA:
            with falsifier.in_place():
                found = run_cell(cells[name], check_of(cells[name]), Plan(samples=2))
            error = type(found.failure.error).__name__ if found.failure else found.reason
            broken[falsifier.name] = f"{found.verdict.value} {error}"
    print(json.dumps({"whole": whole, "broken": broken}))


if __name__ == "__main__":
    main()
