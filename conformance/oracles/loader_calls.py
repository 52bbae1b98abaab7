"""Calls of DataLoader: which of them are refused, which come to the same, and what they warn of."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from conformance.inputs.loader_arguments import Arguments
from conformance.inputs.loader_lengths import Reported
from conformance.inputs.loader_protocols import SamplerLike, TurningSampler, WatchedMap, WatchedStream, Whereabouts
from conformance.inputs.loaders import BATCH_SAMPLER, Loading, listed_samples, torch_seeded
from conformance.oracles.expect import equal, raises, that
from conformance.oracles.loader_epochs import drained, same_batches
from conformance.oracles.loader_model import batches_of, plain
from conformance.oracles.modes import recorded_warnings

REFUSED = (ValueError, TypeError, AssertionError)


def refuses(case: Arguments) -> None:
    """Expect no loader of these arguments, not only one that fails later."""
    raises(REFUSED, case.build, case.said)


def same_loading(expected: list[Any], found: list[Any], what: str) -> None:
    """Expect two lists of batches with the same contents."""
    same_batches([plain(batch) for batch in expected], [plain(batch) for batch in found], what)


def same_without(case: Arguments, names: tuple[str, ...]) -> None:
    """Expect the same epochs and length as without these arguments."""
    less = replace(case, given=tuple(pair for pair in case.given if pair[0] not in names))
    expected, found = less.build(), case.build()
    for number in (1, 2):
        same_loading(drained(expected), drained(found), f"epoch {number} with {', '.join(names)}")
    if case.style == "map":
        equal(len(expected), len(found), f"len(loader) with {', '.join(names)}")


def bare(sample: Any) -> Any:
    """A sample as plain Python."""
    if isinstance(sample, tuple):
        return [bare(part) for part in sample]
    return sample.item() if hasattr(sample, "item") else sample


def loaded_by_keys(case: SamplerLike) -> None:
    """Expect the keys of a sampler, in batches, in two epochs."""
    options = {"batch_size": case.batch_size, "sampler": case.sampler(), "collate_fn": listed_samples}
    loader = torch.utils.data.DataLoader(range(9), **options)
    expected = batches_of(case.keys, case.batch_size, False)
    for number in (1, 2):
        found = [batch for _, batch in drained(loader)]
        equal(expected, found, f"keys in epoch {number}")


def drawn_before_fault(loader: Any) -> list[Any]:
    """What a loader yields before it raises."""
    found = []
    with torch_seeded(), suppress(Exception):
        for batch in loader:
            found.append(batch)
    return found


def unsized(case: Loading) -> Any:
    """The loader of a stream without a length, or with a sampler or batch sampler that has none."""
    if case.style == "iterable":
        return case.build()
    name = "batch_sampler" if case.order == BATCH_SAMPLER else "sampler"
    keys = [list(batch) for batch in case.keys] if case.order == BATCH_SAMPLER else case.keys
    return case.build(**{name: TurningSampler(keys)})


def reported_samples(loader: Any) -> list[Any]:
    """The samples that a loader yields, of which collate_fn has made texts."""
    return [
        [(number - 1) // 3 for number in batch] if isinstance(batch, list) else (batch - 1) // 3
        for batch in map(read_text, drained(loader))
    ]


def read_text(text: str) -> Any:
    """The number or list of numbers that a text shows."""
    return [int(word) for word in text.strip("[]").split(",")] if text.startswith("[") else int(text)


def length_warnings(loader: Any) -> list[str]:
    """What an epoch warns of that speaks of a length."""
    with recorded_warnings() as found:
        drained(loader)
    return [str(warning.message) for warning in found if "ength" in str(warning.message)]


def warned_of_length(case: Reported) -> None:
    """Expect a warning that names the reported length, after len(loader), and all the samples."""
    loader = case.build()
    len(loader)
    found = length_warnings(loader)
    that(bool(found), f"warning about {case.size} samples where {case.reported} were reported", "a warning", "none")
    named = all(str(case.reported) in message for message in found)
    that(named, "text of the warning", f"the number {case.reported}", repr(found[0]))


def whereabouts(case: Loading) -> Whereabouts:
    """Where the dataset and collate_fn of a loader run."""
    log = Whereabouts()
    dataset = (WatchedMap if case.style == "map" else WatchedStream)(case.size, log)
    found = drained(torch.utils.data.DataLoader(dataset, **{**case.arguments(), "collate_fn": log}))
    if found:
        equal({"collate_fn", "dataset"}, {what for what, *_ in log.seen}, "what ran")
    return log
