"""Loss formulas: the losses of torch.nn as their pages write them.

Reference: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from dataclasses import replace
from math import log, pi
from typing import Any

import numpy as np

from conformance.inputs.valued_calls import LiveValued, tensors_in
from conformance.oracles import expect, memory
from conformance.oracles.bounded import Bounded, chosen, log_sigmoid_of, near, near_each, unit_of
from conformance.oracles.class_losses import adaptive_results, class_loss, ctc_loss, reduction_of

ELEMENTWISE_LOSSES = ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "SoftMarginLoss", "HingeEmbeddingLoss",
                      "PoissonNLLLoss", "GaussianNLLLoss", "KLDivLoss", "BCELoss", "BCEWithLogitsLoss",
                      "MarginRankingLoss")  # fmt: skip

NORM_ROOM = 1e-12  # what a kernel may add to a squared norm: far below the rounding of any type but float64


def loss_follows_its_formula(case: Any) -> None:
    """Expect the numbers of the formula within its bounds, and the inputs as they were."""
    live = case.build()
    found = live.call()
    dtype = {"complex64": "float32", "complex128": "float64"}.get(live.dtype, live.dtype)
    near_each(loss_results(live, live.arrays, unit_of(dtype)), tensors_in(found), dtype, case.makes)
    for number, (plan, tensor) in enumerate(zip(case.inputs, live.inputs, strict=True)):
        memory.same_elements(plan.array, memory.contents(tensor.detach()), f"input {number} after {case.makes}")


def loss_results(live: LiveValued, arrays: list[np.ndarray], unit: float) -> list[Bounded]:
    """The results of a loss, for inputs with these numbers."""
    name = live.case.makes
    numbers: list[Any] = [x if x.dtype.kind in "iubc" else Bounded(x, unit) for x in arrays]
    if name == "AdaptiveLogSoftmaxWithLoss":
        return adaptive_results(live, numbers[0], numbers[1])
    if name in ("NLLLoss", "CrossEntropyLoss", "LinearCrossEntropyLoss"):
        return [class_loss(live, numbers[0], numbers[1])]
    if name == "CTCLoss":
        return [ctc_loss(live, numbers[0], arrays[1])]
    terms = elementwise_terms(live, numbers) if name in ELEMENTWISE_LOSSES else sample_terms(live, numbers)
    return [reduced(terms, reduction_of(live), arrays[0].shape)]


WEIGHTED_FUNCTIONS = {
    "functional.l1_loss": "L1Loss", "functional.mse_loss": "MSELoss", "functional.huber_loss": "HuberLoss",
}  # fmt: skip


def weighted_loss_follows(case: Any) -> None:
    """Expect the terms by their weights, or their sum; as their mean that by the number or that by the weights."""
    live = case.build()
    numbers = [Bounded(array, unit_of(live.dtype)) for array in live.arrays]
    plain = LiveValued(replace(case, makes=WEIGHTED_FUNCTIONS[case.makes]), None, [])
    terms, found = elementwise_terms(plain, numbers) * numbers[2], live.call()
    choices = [reduced(terms, case.option("reduction"), terms.shape)]
    if case.option("reduction") == "mean":
        choices.append(terms.sum() / numbers[2].sum())
    value = memory.contents(expect.tensor(found, case.makes))
    expect.equal(choices[0].shape, value.shape, f"shape of {case.makes}")
    wanted = min(choices, key=lambda choice: float(np.abs(choice.value - value).max(initial=0.0)))
    near(wanted, found, live.dtype, case.makes)
    for number, (plan, tensor) in enumerate(zip(case.inputs, live.inputs, strict=True)):
        memory.same_elements(plan.array, memory.contents(tensor), f"input {number} after {case.makes}")


def reduced(terms: Bounded, reduction: str, shape: tuple[int, ...]) -> Bounded:
    """The terms, their sum, or their sum by their number or by that of samples."""
    if reduction == "none":
        return terms
    if reduction == "sum":
        return terms.sum()
    return terms.sum() / float(shape[0]) if reduction == "batchmean" else terms.mean()


def weighted(terms: Bounded, live: LiveValued) -> Bounded:
    """The terms by the weights that the constructor was given, if any."""
    return terms * live.state["weight"] if "weight" in live.state else terms


def log_of_the_rest(x: Bounded) -> Bounded:
    """log(1 - 1 / (1 + exp(-x))), which is that of -x, and also log(1 / (1 + exp(-x))) - x: of the larger bound."""
    found = log_sigmoid_of(-x)
    return Bounded(found.value, x.unit, np.maximum(found.error, (log_sigmoid_of(x) - x).error))


def elementwise_terms(live: LiveValued, numbers: list[Any]) -> Any:
    """The unreduced loss of those with a term for each element."""
    name, (x, y) = live.case.makes, numbers[:2]
    if name == "L1Loss" and not isinstance(x, Bounded):
        unit = unit_of("float64" if live.dtype == "complex128" else "float32")
        real, imag = Bounded(x.real, unit) - y.real, Bounded(x.imag, unit) - y.imag
        return (real * real + imag * imag).sqrt()
    if name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss"):
        distance = (x - y).absolute()
        if name == "L1Loss":
            return distance
        if name == "MSELoss":
            return distance * distance
        edge = float(live.option("beta" if name == "SmoothL1Loss" else "delta", 1.0))
        if name == "HuberLoss":
            return chosen(distance.value < edge, distance * distance * 0.5, (distance - 0.5 * edge) * edge)
        return distance if edge == 0 else chosen(
            distance.value < edge, distance * distance * 0.5 / edge, distance - 0.5 * edge
        )  # fmt: skip
    if name == "SoftMarginLoss":
        return (-(y * x)).exp().log1p()
    if name == "HingeEmbeddingLoss":
        return chosen(y.value == 1, x, (live.option("margin", 1.0) - x).at_least(0.0))
    if name == "MarginRankingLoss":
        return (-(numbers[2] * (x - y)) + live.option("margin", 0.0)).at_least(0.0)
    if name == "PoissonNLLLoss":
        logarithmic = bool(live.option("log_input", True))
        terms = x.exp() - y * x if logarithmic else x - y * (x + live.option("eps", 1e-8)).log()
        if live.option("full", False):
            above = y.value > 1
            y = chosen(above, y, Bounded(2.0, x.unit))
            terms = terms + chosen(above, y * y.log() - y + (y * (2 * pi)).log() * 0.5, Bounded(0.0, x.unit))
        return terms
    if name == "GaussianNLLLoss":
        variance = numbers[2]
        if variance.value.ndim < x.value.ndim:
            variance = variance.reshape(*variance.shape, 1)
        variance = variance.at_least(live.option("eps", 1e-6))
        terms = (variance.log() + (x - y) * (x - y) / variance) * 0.5
        return terms + 0.5 * log(2 * pi) if live.option("full", False) else terms
    if name == "KLDivLoss":
        return y.exp() * (y - x) if live.option("log_target", False) else y * (y.log() - x)
    if name == "BCELoss":
        return weighted(-(y * x.log().at_least(-100.0) + (1.0 - y) * (1.0 - x).log().at_least(-100.0)), live)
    positive = y * live.state["pos_weight"] if "pos_weight" in live.state else y
    return weighted(-(positive * log_sigmoid_of(x) + (1.0 - y) * log_of_the_rest(x)), live)


def sample_terms(live: LiveValued, numbers: list[Any]) -> Any:
    """The unreduced loss of those with a term for each sample."""
    name, x, y = live.case.makes, numbers[0], numbers[1]
    if name == "MultiLabelSoftMarginLoss":
        return weighted(-(y * log_sigmoid_of(x) + (1.0 - y) * log_of_the_rest(x)), live).sum(-1) / float(x.shape[-1])
    if name == "MultiMarginLoss":
        return multi_margin_terms(live, x, y)
    if name == "MultiLabelMarginLoss":
        return multi_label_margin_terms(x, y)
    if name == "CosineEmbeddingLoss":
        squares = (x * x).sum(-1) * (y * y).sum(-1)
        if not squares.value.all():
            raise expect.Discard("the page has no cosine of an angle with a vector of zeros")
        # how much is added to a norm, lest it be 0, is not said
        squares = Bounded(squares.value, x.unit, squares.error + NORM_ROOM * (x * x + y * y).sum(-1).value)
        cosine = (x * y).sum(-1) / squares.sqrt()
        return chosen(numbers[2].value == 1, 1.0 - cosine, (cosine - live.option("margin", 0.0)).at_least(0.0))
    return triplet_terms(live, x, y, numbers[2])


def multi_margin_terms(live: LiveValued, x: Bounded, y: np.ndarray) -> Bounded:
    """sum over i ≠ y of w[y] max(0, margin - x[y] + x[i])^p, by the number of classes."""
    classes = x.shape[-1]
    rows, labels = x.reshape(-1, classes), np.reshape(y, -1)
    own = rows[np.arange(len(labels)), labels].reshape(-1, 1)
    terms = (live.option("margin", 1.0) - own + rows).at_least(0.0)
    terms = terms * terms if live.option("p", 1) == 2 else terms
    if "weight" in live.state:
        terms = terms * live.state["weight"][labels][:, None]
    others = np.arange(classes) != labels[:, None]
    found = chosen(others, terms, Bounded(0.0, x.unit)).sum(-1) / float(classes)
    return found if len(x.shape) > 1 else found[0]


def multi_label_margin_terms(x: Bounded, y: np.ndarray) -> Bounded:
    """sum of max(0, 1 - (x[y[j]] - x[i])) over the labels before the first negative one and all i that are no label."""
    classes = x.shape[-1]
    rows, total = x.reshape(-1, classes), []
    for row, labels in zip(range(len(rows.value)), y.reshape(-1, classes), strict=True):
        negative = np.flatnonzero(labels < 0)
        labels = labels[: negative[0]] if len(negative) else labels
        others = [i for i in range(classes) if i not in labels]
        terms = (1.0 - (rows[row][labels].reshape(-1, 1) - rows[row][others].reshape(1, -1))).at_least(0.0)
        total.append(terms.sum() / float(classes))
    value, error = np.array([t.value for t in total]), np.array([t.error for t in total])
    found = Bounded(value, x.unit, error)
    return found if len(x.shape) > 1 else found[0]


def triplet_terms(live: LiveValued, anchor: Bounded, positive: Bounded, negative: Bounded) -> Any:
    """max(d(a, p) - d(a, n) + margin, 0); with the swap the smaller of d(a, n) and d(p, n)."""
    far = distance_of(live, anchor, negative)
    if live.option("swap", False):
        far = far.at_most(distance_of(live, positive, negative))
    return (distance_of(live, anchor, positive) - far + live.option("margin", 1.0)).at_least(0.0)


def distance_of(live: LiveValued, x: Bounded, y: Bounded) -> Bounded:
    """The p-norm of the difference, to which a small constant is added."""
    difference = (x - y + float(live.option("eps", 1e-6))).absolute()
    p = float(live.option("p", 2))
    if p == 1:
        return difference.sum(-1)
    return (difference * difference).sum(-1).sqrt() if p == 2 else difference.power(p).sum(-1).power(1 / p)


def given_distance_loss(case: Any) -> Any:
    """The loss of a ``GivenDistance``."""
    unit = unit_of(case.inputs[0].dtype)
    anchor, positive, negative = (Bounded(plan.array, unit) for plan in case.inputs)
    factor = 2.0 if case.distance == "doubled" else 1.0
    options = dict(case.options)
    far = (anchor - negative).absolute().sum(-1) * factor
    if options["swap"]:
        far = far.at_most((positive - negative).absolute().sum(-1) * factor)
    terms = ((anchor - positive).absolute().sum(-1) * factor - far + options["margin"]).at_least(0.0)
    return reduced(terms, options["reduction"], case.inputs[0].shape)


def number_variance_loss(case: Any) -> Any:
    """The loss of a ``NumberVariance``."""
    unit, options = unit_of(case.inputs[0].dtype), dict(case.options)
    x, y = (Bounded(plan.array, unit) for plan in case.inputs)
    terms = ((x - y) * (x - y) / case.variance + log(case.variance)) * 0.5
    return reduced(terms + 0.5 * log(2 * pi) if options["full"] else terms, options["reduction"], x.value.shape)


def equal_results(found: Any, other: Any, what: str) -> None:
    """Expect two results of the same numbers, bit for bit."""
    expected, got = tensors_in(found), tensors_in(other)
    expect.equal(len(expected), len(got), f"number of results of {what}")
    for x, y in zip(expected, got, strict=True):
        expect.equal(str(x.dtype), str(y.dtype), f"element type of {what}")
        memory.same_elements(memory.contents(x.detach()), memory.contents(y.detach()), what)
