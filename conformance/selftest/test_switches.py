"""Switches: what a cell leaves switched otherwise is put back, told of that cell, and of no other; it is no pass."""

from __future__ import annotations

import itertools
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.engine.mismatch import Mismatch
from conformance.engine.switches import put_back, snapshot
from conformance.engine.words import Verdict
from conformance.selftest.examples import Number, numbers, run
from conformance.selftest.projects import launch, project

KEPT: list[Any] = []


def enter(context: Any) -> None:
    """Enter a context and never leave it."""
    context.__enter__()
    KEPT.append(context)


class Overriding(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """A function mode that does nothing."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


def same(tensor: Any) -> Any:
    """A hook of saved tensors."""
    return tensor


LEAKS: dict[str, Callable[[], Any]] = {
    "grad mode": lambda: torch.set_grad_enabled(False),
    "inference mode": lambda: enter(torch.inference_mode()),
    "saved-tensor hooks disabled": lambda: enter(torch.autograd.graph.disable_saved_tensors_hooks("gone")),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "default element type": lambda: torch.set_default_dtype(torch.float64),
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "autocast on cpu": lambda: enter(torch.autocast("cpu", torch.bfloat16)),
    "precision of matrix products": lambda: torch.set_float32_matmul_precision("medium"),
}
if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):
    LEAKS["default hooks of saved tensors"] = lambda: [
        enter(torch.autograd.graph.saved_tensors_hooks(same, same)) for _ in range(3)
    ]
if hasattr(torch._C, "_get_torch_function_state"):
    LEAKS["number of function modes"] = lambda: enter(Overriding())
    LEAKS["default device"] = lambda: torch.set_default_device("meta")
    LEAKS["overrides of functions"] = lambda: enter(torch._C.DisableTorchFunctionSubclass())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No leak of a test reaches another."""
    before = snapshot()
    yield
    put_back(before)
    assert before == snapshot()


@pytest.mark.parametrize("name", LEAKS)
def test_a_switch_is_put_back_and_told(name: str) -> None:
    """Whatever is left otherwise is named with its state, and is as it was afterwards: backward works again."""
    before = snapshot()
    LEAKS[name]()
    left = put_back(before)

    assert before == snapshot()
    assert [line for line in left if line.startswith(name) and ", before " in line]
    assert not [line for line in left if "could not" in line or " at 0x" in line]
    assert [] == put_back(before)
    x = torch.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert [2.0, 2.0] == x.grad.tolist()
    assert ("cpu", torch.float32) == (x.device.type, x.dtype)


@pytest.mark.parametrize("name", LEAKS)
def test_a_cell_that_leaves_a_switch_does_not_pass(name: str) -> None:
    """It is inconclusive and tells what it left, and the next cell finds all as it was."""
    before = snapshot()
    outcome = run(lambda case: LEAKS[name](), [Number(0)])

    assert Verdict.INCONCLUSIVE is outcome.verdict
    assert [line for line in outcome.evidence["left_switched"] if line.startswith(name)]
    assert outcome.reason.startswith(f"nothing failed, but torch was left switched otherwise: {name}")
    assert before == snapshot()
    assert "left_switched" not in run(lambda case: None, [Number(0)], numbers()).evidence


def records(case: Number) -> None:
    """Fails where nothing is recorded; the cases of 3 leave grad mode off."""
    if not (torch.ones(1, requires_grad=True) * 2).requires_grad:
        raise Mismatch("requires_grad", True, False)
    if case.value == 3:
        torch.set_grad_enabled(False)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 3, 5))))
def test_a_case_does_not_fail_for_what_one_before_it_left(order: tuple[int, ...]) -> None:
    """Such a case would have a reproducer that shows nothing: it counts by itself, and the cell is no pass."""
    outcome = run(records, [Number(value) for value in order * 2], numbers(9))

    assert (Verdict.INCONCLUSIVE, 6) == (outcome.verdict, outcome.corner)
    assert ["grad mode: False, before True"] == outcome.evidence["left_switched"]


def test_a_case_that_fails_by_itself_fails() -> None:
    """Beside a leak, and whether the leak is its own or an earlier one's, with the smallest case that fails."""

    def fails_too(case: Number) -> None:
        if case.value >= 4:
            torch.set_grad_enabled(False)
            raise Mismatch("value", "below 4", case.value)
        records(case)

    for corners in ([3, 8], [8], [3, 1, 8]):
        outcome = run(fails_too, [Number(value) for value in corners])
        assert outcome.failure is not None
        assert (Verdict.FAIL, 4) == (outcome.verdict, outcome.failure.case.value)
        assert ["grad mode: False, before True"] == outcome.evidence["left_switched"]


def test_a_failure_that_a_leak_hides_is_found() -> None:
    """A case that fails only in the state that it asks for is judged there, whatever an earlier one has left."""

    def fails_while_recording(case: Number) -> None:
        if case.value == 3:
            torch.set_grad_enabled(False)
        elif case.value == 5 and torch.is_grad_enabled():
            raise Mismatch("value", "below 5", case.value)

    outcome = run(fails_while_recording, [Number(3), Number(5), Number(1)])

    assert outcome.failure is not None
    assert (Verdict.FAIL, 5) == (outcome.verdict, outcome.failure.case.value)


def test_a_sample_that_leaves_a_switch_makes_no_pass() -> None:
    """Nor is the sample after it hurt by what it left."""
    outcome = run(records, [], numbers(9), count=200)

    assert Verdict.INCONCLUSIVE is outcome.verdict
    assert ["grad mode: False, before True"] == outcome.evidence["left_switched"]


def test_a_failure_that_nothing_earlier_explains_stands() -> None:
    """A fault of the second time only, that leaves a switch as well, is a failure: no pass is made of doubt."""
    times = iter(range(100))

    def second_time(case: Number) -> None:
        if next(times) == 1:
            torch.set_grad_enabled(False)
            raise Mismatch("value", "as before", "another")

    assert Verdict.FAIL is run(second_time, [Number(1), Number(2), Number(3)]).verdict


def test_the_next_cells_of_a_process_are_unharmed(tmp_path: Path) -> None:
    """In a run: the cell that leaves hooks disabled is told and does not pass, and the cells after it pass."""
    body = """
@cases(corners)
def test_{}(case):
    {}
    import torch
    x = torch.ones(2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        (x * x).sum().backward()
    if not x.grad.tolist() == [2.0, 2.0]:
        raise Mismatch("gradient", [2.0, 2.0], x.grad)
"""
    leak = "case.value == 4 and torch._C._autograd._saved_tensors_hooks_disable('gone')"
    folder = project(
        tmp_path / "p",
        {"passes": "must", "fails": "must"},
        module=lambda text: text.partition("@cases(small)")[0]
        + body.format("passes", '"""It holds."""')
        .replace("[2.0, 2.0], x.grad)\n", f"[2.0, 2.0], x.grad)\n    {leak}\n")
        + body.format("fails", '"""It holds."""'),
    )  # fmt: skip
    found = launch(folder, "-n", "0")

    assert {"passes": "inconclusive", "fails": "pass"} == found.verdicts(), found.output
    left = "saved-tensor hooks disabled with the message: gone, before None"
    assert [left] == found.cell("passes")["evidence"]["left_switched"]
    assert "left_switched" not in found.cell("fails")["evidence"]
    assert f"LEFT SWITCHED demo.passes[cpu] {left}" in found.output.splitlines()
    assert "left behind:  1 cells left torch switched otherwise, as their evidence says" in found.output.splitlines()


def test_a_guarded_cell_costs_next_to_nothing() -> None:
    """Less than 20 microseconds a cell, on whatever machine within reason."""
    before = snapshot()

    assert 20e-6 > min(timeit.repeat(lambda: (snapshot(), put_back(before)), number=200, repeat=5)) / 200
