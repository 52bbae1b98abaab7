"""Targets: which devices a run is for."""

from __future__ import annotations

import pytest

from conformance.engine import targets
from conformance.engine.targets import Target


@pytest.fixture
def two_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two made-up CUDA devices."""
    devices = [Target("cpu", "cpu", "cpu", "an example")]
    devices += [Target(f"cuda:{i}", f"cuda:{i}", "cuda", "Example H200", "cuda 12.8") for i in range(2)]
    monkeypatch.setattr(targets, "available", lambda: tuple(devices))


def names(*wanted: str) -> list[str]:
    """Names of the targets chosen."""
    return [target.name for target in targets.choose(list(wanted))]


@pytest.mark.usefixtures("two_accelerators")
def test_targets_come_in_the_order_asked_for() -> None:
    """Every device by default; those named otherwise, each once; a type alone is its first device."""
    assert ["cpu", "cuda:0", "cuda:1"] == names()
    assert ["cuda:1", "cpu"] == names("cuda:1", "cpu")
    assert ["cpu", "cuda:0"] == names("cpu", "cuda", "cuda:0", "cpu")


@pytest.mark.usefixtures("two_accelerators")
@pytest.mark.parametrize("name", ["cuda:2", "gpu", "CPU", "", "cpu ", "cuda:-1", "meta"])
def test_an_unknown_target_is_refused(name: str) -> None:
    """A device that is not there is refused by a line that says which are."""
    with pytest.raises(ValueError) as caught:
        targets.choose(["cpu", name])

    assert f"expected one of cpu, cuda:0, cuda:1 (what this torch can use here); found {name!r}" == str(caught.value)


def test_the_cpu_is_always_there() -> None:
    """Whatever this machine has, its CPU comes first and has a model name."""
    cpu = targets.available()[0]

    assert ("cpu", "cpu") == (cpu.name, cpu.type)
    assert cpu.model
