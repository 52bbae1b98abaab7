"""Anomalies: computations whose backward fails, and the ways to switch anomaly detection.

Reference: https://docs.pytorch.org/docs/stable/autograd.html#anomaly-detection
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import enumerated
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TROUBLES = ("root", "logarithm", "quotient", "masked root", "power")
PASSES = ("backward", "inputs", "grad")
SWITCHES = ("detect_anomaly", "set_detect_anomaly", "function")
NESTINGS = (
    ("on",), ("on", "off"), ("off", "on"), ("on", "unchecked"), ("unchecked", "on"), ("on", "off", "unchecked"),
    ("off", "unchecked", "off"),
)  # fmt: skip


class FailingBackward(torch.autograd.Function):  # type: ignore[misc]
    """A custom function whose backward raises."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """A copy."""
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Raises, as in the documented example."""
        raise RuntimeError("Some error in backward")


def troubled_forward_of_this_case(x: torch.Tensor, trouble: str) -> torch.Tensor:
    """A computation that is fine forwards; its name is looked for in the traceback that torch prints."""
    if trouble == "logarithm":
        return torch.log(x * 0) * 0
    if trouble == "quotient":
        return x / (x * 0)
    if trouble == "masked root":
        return torch.where(x > 100, (x * 0).sqrt(), torch.zeros_like(x))
    if trouble == "power":
        return (x * 0) ** 0.5
    if trouble == "raise":
        found: torch.Tensor = FailingBackward.apply(x)
        return found
    if trouble == "infinite":
        return (x - x.detach()).sqrt()
    return (x * 0).sqrt() if trouble == "root" else x * x * 0.5


@contextmanager
def anomaly_detection(switch: str, mode: bool = True, check_nan: bool | None = None) -> Iterator[None]:
    """Anomaly detection switched in one of its ways, and switched back."""
    options = {} if check_nan is None else {"check_nan": check_nan}
    if switch == "detect_anomaly":
        with torch.autograd.detect_anomaly(**options):
            yield
    elif switch == "set_detect_anomaly":
        with torch.autograd.set_detect_anomaly(mode, **options):
            yield
    else:
        torch.autograd.set_detect_anomaly(mode, **options)
        try:
            yield
        finally:
            torch.autograd.set_detect_anomaly(False)


@dataclass(frozen=True, eq=False)
class Anomaly:
    """A ``trouble`` computed from ``plan`` and gone back through by ``entry``, detected by ``switch``."""

    plan: Strided
    trouble: str = "root"
    switch: str = "detect_anomaly"
    nesting: tuple[str, ...] = ()
    entry: str = "backward"

    def pass_back(self) -> torch.Tensor:
        """Forward and backward; returns the leaf."""
        leaf = self.plan.build().requires_grad_()
        root = troubled_forward_of_this_case(leaf, self.trouble)
        if self.entry == "grad":
            (leaf.grad,) = torch.autograd.grad(root, leaf, torch.ones_like(root))
        else:
            root.backward(torch.ones_like(root), inputs=[leaf] if self.entry == "inputs" else None)
        return leaf

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "troubles": self.trouble, "switches": self.switch, "entries": self.entry}

    def reductions(self) -> Iterator[Anomaly]:
        """The same by backward itself, with a plainer tensor."""
        if self.entry != "backward":
            yield replace(self, entry="backward")
        if self.plan.layout != "contiguous" or self.plan.shape:
            yield replace(self, plan=strided(self.plan.dtype, (), data=self.plan.data, device=self.plan.device))

    def code(self) -> str:
        """The same in plain torch."""
        return listings.anomaly(self.plan.code(), self.trouble, self.switch, self.nesting, self.entry)


def troubled(cell: Cell) -> Inputs:
    """Each computation whose backward makes NaN, under each way to switch; some of complex numbers."""
    complex_ones = _anomalies(cell, ("root", "quotient"), SWITCHES, ("complex64", "complex128"))
    return Inputs([*_anomalies(cell, TROUBLES, SWITCHES).corners, *complex_ones.corners])


def tracebacks(cell: Cell) -> Inputs:
    """The same and a backward that raises by itself."""
    return _anomalies(cell, (*TROUBLES, "raise"), SWITCHES)


def sound_passes(cell: Cell) -> Inputs:
    """A computation without trouble, and one whose gradient is infinite."""
    return _anomalies(cell, ("sound", "infinite"), SWITCHES)


def _anomalies(
    cell: Cell,
    troubles: tuple[str, ...],
    switches: tuple[str, ...],
    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16"),
) -> Inputs:
    shapes, layouts = ((2, 3), (), (1,), (2, 3, 4)), ("contiguous", "transposed", "stepped")
    return enumerated(
        make_anomaly, cell.target.device, shapes, layouts, dtypes, troubles, switches, ((),), PASSES, passes=1
    )


def make_anomaly(
    device: str,
    shape: tuple[int, ...],
    layout: str,
    dtype: str,
    trouble: str,
    switch: str,
    nesting: Any = (),
    entry: str = "backward",
) -> Anomaly:
    """The case of one choice of each factor."""
    return Anomaly(strided(dtype, shape, layout, (2.0, 4.0, 1.0), device), trouble, switch, nesting, entry)


def nestings(cell: Cell) -> Inputs:
    """Detection switched on, off and without the check for NaN, one in another, left regularly or by an exception."""
    return enumerated(
        make_anomaly, cell.target.device, ((2,),), ("contiguous",), ("float32",), ("root", "sound"), SWITCHES[:2],
        NESTINGS, passes=2,
    )  # fmt: skip


def anomaly_state() -> tuple[bool, bool]:
    """Whether anomaly detection is on, and whether it looks for NaN."""
    on = torch.is_anomaly_enabled()
    return on, on and torch.is_anomaly_check_nan_enabled()


def walk_nesting(case: Anomaly) -> list[tuple[tuple[bool, bool], tuple[bool, bool]]]:
    """Enter the modes of ``nesting`` one in another and leave them; what should hold at each step, and what does.

    With the trouble ``root`` the innermost is left by the exception of a failing backward.
    """
    steps: list[tuple[tuple[bool, bool], tuple[bool, bool]]] = []
    expected = (False, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(KeyError):
            walk_into_nesting(case, case.nesting, expected, steps)
    return steps


def walk_into_nesting(case: Anomaly, rest: tuple[str, ...], around: tuple[bool, bool], steps: list[Any]) -> None:
    """Enter the first of the remaining modes and all the others in it."""
    if not rest:
        if case.trouble == "root":
            raise KeyError("left by an exception")
        return
    inside = (rest[0] != "off", rest[0] == "on")
    if case.switch == "detect_anomaly" and rest[0] != "off":
        context: Any = torch.autograd.detect_anomaly(check_nan=rest[0] == "on")
    else:
        context = torch.autograd.set_detect_anomaly(rest[0] != "off", check_nan=rest[0] == "on")
    try:
        with context:
            steps.append((inside, anomaly_state()))
            walk_into_nesting(case, rest[1:], inside, steps)
            steps.append((inside, anomaly_state()))
    except KeyError:
        steps.append((around, anomaly_state()))
        raise
    finally:
        if anomaly_state() != around:
            torch.autograd.set_detect_anomaly(*around)
    steps.append((around, anomaly_state()))
