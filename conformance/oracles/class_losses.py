"""Class losses: negative log-likelihood, cross entropy, adaptive softmax and CTC as their pages write them.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued
from conformance.oracles.bounded import ELEMENTARY, Bounded, contracted, joined, log_softmax_of

IGNORED_BY_DEFAULT = -100


def reduction_of(live: LiveValued) -> str:
    """The reduction, also where the two older arguments say it."""
    reduce, size_average = live.option("reduce"), live.option("size_average")
    if reduce is None and size_average is None:
        return str(live.option("reduction", "mean"))
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def class_loss(live: LiveValued, x: Bounded, target: Any) -> Any:
    """NLLLoss of logarithms, CrossEntropyLoss of logits, or LinearCrossEntropyLoss of features."""
    name = live.case.makes
    if name == "LinearCrossEntropyLoss":
        x = linear_logits(live, x)
    axis = 1 if len(x.shape) > 1 else 0
    logs = x if name == "NLLLoss" else log_softmax_of(x, axis)
    weight = live.state.get("weight", np.ones(x.shape[axis]))
    smoothing = float(live.option("label_smoothing", 0.0))
    reduction = reduction_of(live)
    # classes last, samples and positions flat
    rows = Bounded(*parts_of(logs, axis)) if axis == 1 else logs.reshape(1, -1)
    if isinstance(target, Bounded):
        return probability_loss(rows, Bounded(*parts_of(target, axis)), weight, smoothing, reduction, target, axis)
    labels = np.reshape(target, -1)
    ignored = labels == live.option("ignore_index", IGNORED_BY_DEFAULT)
    kept = np.where(ignored, 0, labels)
    # whatever stands there, NaN too
    value, error = (np.where(ignored[:, None], 0.0, part) for part in (rows.value, rows.error))
    rows = Bounded(value, x.unit, error)
    own = np.where(ignored, 0.0, weight[kept])
    terms = -(rows[np.arange(len(kept)), kept] * own)
    if smoothing:
        spread = (-(rows * (weight * ~ignored[:, None]))).sum(-1) * (smoothing / len(weight))
        terms = terms * (1.0 - smoothing) + spread
    if reduction == "none":
        return terms.reshape(*np.shape(target))
    total = terms.sum()
    return total if reduction == "sum" else total / Bounded(own, x.unit).sum()


def parts_of(x: Bounded, axis: int) -> tuple[Any, float, Any]:
    """Value, unit and error of an array with its classes last and everything else flat."""
    classes = x.shape[axis]
    value, error = (
        np.moveaxis(part, axis, -1).reshape(prod(x.shape) // classes, classes) for part in (x.value, x.error)
    )
    return value, x.unit, error


def probability_loss(
    logs: Bounded, target: Bounded, weight: Any, smoothing: float, reduction: str, given: Bounded, axis: int
) -> Any:
    """Cross entropy with a probability for each class, by the number of samples and positions."""
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / len(weight)
    terms = -(logs * target * weight).sum(-1)
    shape = given.shape[:axis] + given.shape[axis + 1 :]
    if reduction == "none":
        return terms.reshape(*shape)
    return terms.sum() if reduction == "sum" else terms.sum() / float(prod(shape))


def linear_logits(live: LiveValued, x: Bounded) -> Bounded:
    """The input by the weight of the linear map, with its bias, and its dimensions after the classes."""
    weight = live.state["linear.weight"]
    logits = contracted("ni,ci->nc", x, weight) if len(x.shape) > 1 else contracted("i,ci->c", x, weight)
    if "linear.bias" in live.state:
        logits = logits + live.state["linear.bias"]
    return logits.reshape(*x.shape[:-1], int(live.option("num_classes")), *live.option("out_features", ()))


def adaptive_results(live: LiveValued, x: Bounded, target: np.ndarray) -> list[Bounded]:
    """The logarithm of the probability of each target, and the mean of their negatives."""
    logs = adaptive_logs(live, x if len(x.shape) > 1 else x.reshape(1, -1))
    labels = np.reshape(target, -1)
    chances = logs[np.arange(len(labels)), labels]
    return [chances.reshape(*np.shape(target)), -chances.mean()]


def adaptive_logs(live: LiveValued, x: Bounded) -> Bounded:
    """The logarithms of the probabilities of all classes."""
    cutoffs = [*live.option("cutoffs"), int(live.option("n_classes"))]
    head = contracted("ni,ci->nc", x, live.state["head.weight"])
    if "head.bias" in live.state:
        head = head + live.state["head.bias"]
    head = log_softmax_of(head, 1)
    parts = [head[:, : cutoffs[0]]]
    for number in range(len(cutoffs) - 1):
        inner = contracted("ni,ci->nc", x, live.state[f"tail.{number}.0.weight"])
        tail = log_softmax_of(contracted("ni,ci->nc", inner, live.state[f"tail.{number}.1.weight"]), 1)
        parts.append(tail + head[:, cutoffs[0] + number : cutoffs[0] + number + 1])
    return joined(parts, 1)


def ctc_loss(live: LiveValued, logs: Bounded, targets: np.ndarray) -> Bounded:
    """The negative logarithm of the probability of all alignments, by the lengths of inputs and targets."""
    batched = len(logs.shape) == 3
    if not batched:
        logs = logs.reshape(logs.shape[0], 1, logs.shape[1])
    input_lengths, target_lengths = lengths_of(live, "input_lengths"), lengths_of(live, "target_lengths")
    ends = np.cumsum(target_lengths)
    losses, errors = [], []
    for n in range(logs.shape[1]):
        length = target_lengths[n]
        labels = targets[n, :length] if targets.ndim == 2 else targets[ends[n] - length : ends[n]]
        value, error = alignment_loss(logs[: input_lengths[n], n], labels, int(live.option("blank", 0)))
        if np.isinf(value) and live.option("zero_infinity", False):
            value = error = 0.0
        losses.append(value)
        errors.append(error)
    found = Bounded(losses, logs.unit, np.array(errors))
    reduction = str(live.option("reduction", "mean"))
    if reduction == "none":
        return found if batched else found[0]
    return found.sum() if reduction == "sum" else (found / np.maximum(target_lengths, 1).astype(np.float64)).mean()


def lengths_of(live: LiveValued, name: str) -> np.ndarray:
    """Lengths that are given as numbers or as a tensor."""
    given = live.given(name)
    return np.atleast_1d(np.asarray(live.option(name)) if given is None else given)


def alignment_loss(logs: Bounded, labels: np.ndarray, blank: int) -> tuple[float, float]:
    """The loss of one sequence, and its bound: each step of the recursion rounds logarithms of that size.

    The logarithm of a sum of exponentials errs by the largest error of its terms, at most, and by its own roundings.
    """
    path = np.full(2 * len(labels) + 1, blank)
    path[1::2] = labels
    skips = np.zeros(len(path), bool)
    skips[2:] = (path[2:] != blank) & (path[2:] != path[:-2])
    chances, error = np.full(len(path), -np.inf), 0.0
    if not len(logs.value):
        return (0.0, 0.0) if not len(labels) else (np.inf, 0.0)
    chances[:2] = logs.value[0][path[:2]]
    with np.errstate(invalid="ignore"):
        for row in logs.value[1:]:
            ways = np.full((3, len(path)), -np.inf)
            ways[0], ways[1, 1:], ways[2, 2:] = chances, chances[:-1], np.where(skips[2:], chances[:-2], -np.inf)
            chances = np.logaddexp.reduce(ways) + row[path]
            size = np.abs(chances[np.isfinite(chances)]).max(initial=0.0)
            error += logs.unit * (3 * size + 4 * ELEMENTARY)
        found = -float(np.logaddexp.reduce(chances[-2:]))
    return found, error + logs.unit * (abs(found) + 2 * ELEMENTARY if np.isfinite(found) else 0.0)
