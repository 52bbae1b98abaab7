"""Listings of data: what the programs make is what the cases make."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch

from conformance.inputs import (
    collate_sources,
    collate_trees,
    data_listings,
    dataset_parts,
    dataset_sources,
    loader_pinning,
    loader_sources,
)
from conformance.inputs.loaders import FORMS, Loading, sample_of
from conformance.selftest.test_listings import unmade


class Place:
    """As much of a cell as a source of inputs asks for."""

    class target:  # noqa: N801
        """The CPU."""

        device = "cpu"


def ran(text: str) -> tuple[dict[str, Any], str]:
    """What a program names in the end, and what it prints."""
    names: dict[str, Any] = {"torch": torch, "np": np, "__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "<listing>", "exec"), names)
    return names, printed.getvalue()


def told(value: Any) -> str:
    """What a value is, down to its elements; classes by their names, since a program has classes of its own."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{type(value).__name__} {value.dtype} {tuple(value.shape)} {value.tolist()}"
    parts: list[Any] = []
    if hasattr(value, "items"):
        parts = [(key, told(part)) for key, part in value.items()]
    elif hasattr(value, "__getitem__") and not isinstance(value, str | bytes | np.generic):
        parts = [told(value[n]) for n in range(len(value))]
    else:
        parts = [repr(value)]
    return f"{type(value).__name__} {getattr(value, 'note', '')} {parts}"


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_those_of_the_cases(form: str) -> None:
    """The expressions of the samples give what the datasets of the checks give."""
    for key in range(3):
        assert told(eval(data_listings.SAMPLES[form], {"torch": torch, "np": np, "key": key})) == told(
            sample_of(form, key)
        )


@pytest.mark.parametrize("structure", loader_pinning.PINNED_STRUCTURES)
def test_structures_are_those_of_the_cases(structure: str) -> None:
    """The batches that a program pins are those that the check pins."""
    case = loader_pinning.PinnedLoading(structure, "single")
    names, _ = ran(case.code().replace("pin_memory=True", "pin_memory=False"))
    assert [told(batch) for batch in names["samples"]] == [told(batch) for batch in case.batches()]


@pytest.mark.parametrize("source", [loader_sources.batched_any, loader_sources.single_any, loader_sources.sampled])
def test_loaders_yield_what_the_cases_yield(source: Any) -> None:
    """Two epochs, as they are printed."""
    for case in list(source(Place()).corners)[::7]:
        epoch = repr(list(case.build()))
        assert ran(case.code())[1].splitlines()[-1] == epoch.splitlines()[-1]


def test_containers_are_those_of_the_cases() -> None:
    """Every kind of container, and arrays in every layout, are made as the cases make them."""
    sources = (collate_sources.mixed_batches, collate_sources.fixed_mapping_batches, collate_sources.array_batches,
               collate_sources.fixed_sequence_batches, collate_sources.typed_mapping_batches,
               collate_sources.typed_sequence_batches, collate_sources.counter_batches)  # fmt: skip
    kinds = set()
    for source in sources:
        for batch in list(source(Place()).corners)[::9]:
            tree = batch.samples[0]
            kinds |= {*collate_trees.tree_kinds(tree)}
            names, _ = ran(collate_trees.tree_program(collate_trees.tree_code(tree), tree))
            assert told(names["found"]) == told(tree.build())
            if isinstance(names["found"], np.ndarray):
                assert names["found"].strides == tree.build().strides
    assert kinds >= {"dict", "list", "noted", "fixed", "fixedrow", "ordered", "deque", "counter"}


def test_parts_have_the_samples_of_the_cases() -> None:
    """Concatenated, chained and stacked parts have as many samples as those of the cases, in the same order."""
    for case in list(dataset_sources.concatenations(Place()).corners)[::5]:  # type: ignore[arg-type]
        names, _ = ran(case.code())
        whole = torch.utils.data.ConcatDataset(case.build()[0])
        assert [f"<{name}>" for name in names["whole"]] == [repr(sample) for sample in whole]
    stack = dataset_parts.DataStack(2, ("map", "batched"), lacking=True)
    with pytest.raises(ValueError, match="size mismatch"):
        ran(stack.code())


def test_classes_of_this_project_come_without_what_only_it_has() -> None:
    """A class that is spelled out brings the classes below it along, and neither annotations nor docstrings."""
    text = data_listings.program(*data_listings.spelled_class(collate_trees.FixedRow))
    assert not unmade(text)
    assert [word for word in ("Any", chr(34) * 3) if word in text] == []
    assert "class FrozenRow(Sequence)" in text


def test_steps_that_come_twice_are_kept() -> None:
    """What several parts share stands once; the steps of one part all stand."""
    text = data_listings.program("a = 1", "print(a)\nprint(a)", "a = 1")
    assert text.splitlines() == [data_listings.DATA, "a = 1", "print(a)", "print(a)"]
    assert Loading(size=2).code().count("print(list(loader))") == 1
