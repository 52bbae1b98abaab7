"""Loss cases: calls of losses beside those of the catalogue: two forms, strided labels, refusals, functions given.

Reference: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.loss_sources import as_images, loss_calls
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.valued_calls import ValuedCall, worded_plan
from conformance.inputs.valued_sources import FLOATING, valued_call

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class TwoForms:
    """A call of a module, and of the function of the same name and arguments."""

    module: ValuedCall
    function: str

    @property
    def functional(self) -> ValuedCall:
        """The call of the function."""
        return replace(self.module, makes=f"functional.{self.function}")

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.module.facets()

    def code(self) -> str:
        """The same in plain torch."""
        return f"{self.module.code()}\n{self.functional.code()}"


def two_forms(cell: Cell) -> Inputs:
    """Each call of the catalogue in both forms."""
    cases = loss_calls(cell)
    corners = [TwoForms(case, cell.subject.function) for number, case in enumerate(cases.corners) if number % 3 == 0]
    return Inputs(corners)


def older_reductions(cell: Cell) -> Inputs:
    """The first calls with each choice of the older arguments, against another reduction."""
    found = []
    first = [call for call in cell.subject.calls if not call.get("unbatched")][:2]
    choices = list(product((None, True, False), (None, True, False)))[1:]
    for number, (call, (reduce, average)) in enumerate(product(first, choices)):
        dtype = FLOATING[number % 2]
        case = valued_call(call, cell.subject.name, dtype, "contiguous", number, cell.target.device)
        said: tuple[tuple[str, Any], ...] = tuple(
            (k, v) for k, v in (("reduce", reduce), ("size_average", average)) if v is not None
        )
        said += (("reduction", ("none", "mean", "sum")[number % 3]),)
        found.append(replace(case, options=(*case.options, *said)))
    return Inputs(found)


IGNORING: tuple[dict[str, Any], ...] = (
    {"x": ["4 5 negative", "4"], "with": {"ignore_index": 2}, "numbers": {"1": [2, 2, 2, 2]}},
    {"x": ["3 5 negative", "3"], "numbers": {"1": [-100, -100, -100]}},
    {"x": ["1 5 negative", "1"], "with": {"ignore_index": 7}, "numbers": {"1": [7]}, "built": {"weight": "5 positive"}},
    {"x": ["2 3 2 2 negative", "2 2 2"], "with": {"ignore_index": 0}, "numbers": {"1": [0] * 8}},
    {"x": ["4 5 negative", "4"], "with": {"ignore_index": 2, "label_smoothing": 0.25}, "numbers": {"1": [2, 2, 2, 2]}},
)  # fmt: skip


def all_ignored(cell: Cell) -> Inputs:
    """Batches in which nothing counts, with every reduction."""
    found, name = [], cell.subject.name
    for number, (call, dtype) in enumerate(product(IGNORING, ("float64", "float32"))):
        options = dict(call.get("with", {}))
        if "label_smoothing" in options and name == "NLLLoss":
            continue
        if name == "LinearCrossEntropyLoss":
            if len(call["x"][0].split()) > 3:
                continue
            options |= {"in_features": 3, "num_classes": 5}
            call = call | {"x": [call["x"][0].replace("5", "3"), call["x"][1]]}
        for reduction in ("none", "mean", "sum"):
            asked: dict[str, Any] = call | {"with": options | {"reduction": reduction}}
            found.append(valued_call(asked, name, dtype, "contiguous", number, cell.target.device))
    return Inputs(found)


def ignoring_with_gradients(cell: Cell) -> Inputs:
    """Calls with an index that is ignored, whose input requires grad."""
    cases = loss_calls(cell, option="ignore_index").corners
    return Inputs([replace(as_images(case), requires=(0,)) for case in cases if case.dtype != "float16"])


def empty_batches(cell: Cell) -> Inputs:
    """The calls of a row without any sample."""
    found = []
    for number, call in enumerate(cell.subject.calls[:4]):
        if call.get("unbatched") or not call["x"][0].strip()[:1].isdigit() or call.get("numbers"):
            continue
        words = [" ".join(["0", *x.split()[1:]]) for x in call["x"]]
        for reduction in cell.subject.reductions:
            if reduction == "batchmean":
                continue
            asked = call | {"x": words, "with": call.get("with", {}) | {"reduction": reduction}}
            asked.pop("built", None)
            found.append(
                valued_call(asked, cell.subject.name, FLOATING[number % 2], "contiguous", 0, cell.target.device)
            )
    return Inputs(found)


def other_sizes(cell: Cell) -> Inputs:
    """Targets that are broadcast to the input, or the input to them."""
    found = []
    shapes = (("2 3", "3"), ("2 3", "2 1"), ("4", "4 1"), ("1 3", "2 3"), ("2 1 3", "4 3"))
    for number, (shape, reduction) in enumerate(product(shapes, ("none", "mean", "sum"))):
        call = {"x": list(shape), "with": {"reduction": reduction}}
        found.append(
            valued_call(call, cell.subject.name, FLOATING[number % 2], "contiguous", number, cell.target.device)
        )
    return Inputs(found)


# --- alignments -------------------------------------------------------------------------------------------------


def lengths_as_tensors(cell: Cell) -> Inputs:
    """Calls of CTCLoss with lengths as tensors."""
    found = []
    for number, case in enumerate(loss_calls(cell).corners):
        dtype = ("int64", "int32")[number % 2]
        names = tuple(name for name, _ in case.calling)
        plans = tuple(strided(dtype, (len(value),), "contiguous", value) for _, value in case.calling)
        found.append(replace(case, inputs=(*case.inputs, *plans), named=names, calling=()))
    return Inputs(found)


@dataclass(frozen=True)
class StridedLabels:
    """Targets of CTCLoss that are every ``step``-th of a tensor of labels, concatenated in one dimension."""

    logs: Strided
    labels: Strided
    step: int
    input_lengths: tuple[int, ...]
    target_lengths: tuple[int, ...]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.logs.dtype, "steps": str(self.step), "shapes": str(self.logs.shape)}

    def losses(self, contiguous: bool) -> torch.Tensor:
        """The losses of the samples."""
        targets = self.labels.build()[:: self.step]
        if contiguous:
            targets = targets.clone(memory_format=torch.contiguous_format)
        found: torch.Tensor = torch.nn.functional.ctc_loss(
            self.logs.build(), targets, self.input_lengths, self.target_lengths, reduction="none"
        )
        return found

    def code(self) -> str:
        """The same in plain torch."""
        return (
            f"import torch\nlogs = {self.logs.code()}\ntargets = {self.labels.code()}[::{self.step}]\n"
            f"for labels in (targets, targets.contiguous()):\n"
            f"    print(torch.nn.functional.ctc_loss(logs, labels, {self.input_lengths}, {self.target_lengths},"
            ' reduction="none"))'
        )


@dataclass(frozen=True)
class StepsAndLabels:
    """CTCLoss of samples of which some have no steps, or no labels, or neither."""

    logs: Strided
    labels: Strided
    input_lengths: tuple[int, ...]
    target_lengths: tuple[int, ...]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.logs.dtype, "shapes": str(self.logs.shape)}

    def losses(self) -> torch.Tensor:
        """The losses of the samples."""
        found: torch.Tensor = torch.nn.functional.ctc_loss(
            self.logs.build(), self.labels.build(), self.input_lengths, self.target_lengths, reduction="none"
        )
        return found

    def code(self) -> str:
        """The same in plain torch."""
        return (
            f"import torch\nlogs = {self.logs.code()}\ntargets = {self.labels.code()}\n"
            f"print(torch.nn.functional.ctc_loss(logs, targets, {self.input_lengths}, {self.target_lengths},"
            ' reduction="none"))'
        )


def samples_without_steps(cell: Cell) -> Inputs:
    """Samples without steps, first, last and alone, with and without labels, beside one that has both."""
    found, device = [], cell.target.device
    rows = (((0,), (0,)), ((0,), (1,)), ((4, 0), (2, 0)), ((0, 4), (1, 2)), ((0, 4, 0), (0, 2, 2)))
    for number, (dtype, (steps, labels)) in enumerate(product(("float64", "float32"), rows)):
        logs = worded_plan(f"4 {len(steps)} 4 negative", dtype, "contiguous", number, device)
        targets = strided("int64", (len(steps), 2), "contiguous", (1, 2, 3, 1), device)
        found.append(StepsAndLabels(logs, targets, steps, labels))
    return Inputs(found)


def strided_labels(cell: Cell) -> Inputs:
    """Two and three samples, steps of 1 to 3; every label that lies between is a label too."""
    found, device = [], cell.target.device
    for number, (dtype, step) in enumerate(product(("float64", "float32"), (1, 2, 3))):
        for lengths in ((1, 2), (2, 1), (2, 2, 1)):
            count = sum(lengths)
            logs = worded_plan(f"5 {len(lengths)} 4 negative", dtype, "contiguous", number, device)
            labels = worded_plan(f"{count * step} above-3", dtype, "contiguous", number + count, device)
            found.append(StridedLabels(logs, labels, step, (5, 4, 5)[: len(lengths)], lengths))
    return Inputs(found)


# --- functions given, and refusals ------------------------------------------------------------------------------


@dataclass(frozen=True)
class GivenDistance:
    """TripletMarginWithDistanceLoss with the distance of that name."""

    distance: str
    inputs: tuple[Strided, ...]
    options: tuple[tuple[str, Any], ...]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"distances": self.distance, "dtypes": self.inputs[0].dtype}

    def found(self) -> torch.Tensor:
        """The loss."""
        function = {"manhattan": manhattan_distance, "doubled": doubled_distance}[self.distance]
        made = torch.nn.TripletMarginWithDistanceLoss(distance_function=function, **dict(self.options))
        found: torch.Tensor = made(*(plan.build() for plan in self.inputs))
        return found

    def code(self) -> str:
        """The same in plain torch."""
        factor = {"manhattan": 1, "doubled": 2}[self.distance]
        options = "".join(f", {key}={value!r}" for key, value in self.options)
        lines = [f"x{n} = {plan.code()}" for n, plan in enumerate(self.inputs)]
        lines.append(f"distance = lambda x, y: {factor} * (x - y).abs().sum(-1)")
        lines.append(f"m = torch.nn.TripletMarginWithDistanceLoss(distance_function=distance{options})")
        return "\n".join(["import torch", *lines, "print(m(x0, x1, x2))"])


def manhattan_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sums of absolute differences."""
    return (x - y).abs().sum(-1)


def doubled_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Twice these."""
    return 2 * (x - y).abs().sum(-1)


def given_distances(cell: Cell) -> Inputs:
    """Both distances, with and without the swap, margins, reductions."""
    found = []
    choices = product(("manhattan", "doubled"), (False, True), (0.5, 3.0), ("none", "mean", "sum"))
    for number, (distance, swap, margin, reduction) in enumerate(choices):
        dtype = FLOATING[number % 2]
        plans = tuple(
            worded_plan("7 3", dtype, "contiguous", number + 4 * place, cell.target.device) for place in range(3)
        )
        options = (("swap", swap), ("margin", margin), ("reduction", reduction))
        found.append(GivenDistance(distance, plans, options))
    return Inputs(found)


@dataclass(frozen=True)
class NumberVariance:
    """GaussianNLLLoss with a Python number for the variance, or its function."""

    inputs: tuple[Strided, ...]
    variance: float
    options: tuple[tuple[str, Any], ...]
    functional: bool

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"variances": str(self.variance), "dtypes": self.inputs[0].dtype}

    def found(self) -> torch.Tensor:
        """The loss."""
        x, y = (plan.build() for plan in self.inputs)
        if self.functional:
            return torch.nn.functional.gaussian_nll_loss(x, y, self.variance, **dict(self.options))
        found: torch.Tensor = torch.nn.GaussianNLLLoss(**dict(self.options))(x, y, self.variance)
        return found

    def code(self) -> str:
        """The same in plain torch."""
        options = ", ".join(f"{key}={value!r}" for key, value in self.options)
        lines = [f"x{n} = {plan.code()}" for n, plan in enumerate(self.inputs)]
        if self.functional:
            lines.append(f"print(torch.nn.functional.gaussian_nll_loss(x0, x1, {self.variance}, {options}))")
        else:
            lines.append(f"print(torch.nn.GaussianNLLLoss({options})(x0, x1, {self.variance}))")
        return "\n".join(["import torch", *lines])


def number_variances(cell: Cell) -> Inputs:
    """Numbers above eps, in both forms, of inputs of one, two and three dimensions."""
    found = []
    choices = product(("5", "3 2", "2 3 4"), (0.25, 2.0), ("none", "mean", "sum"))
    for number, (shape, variance, reduction) in enumerate(choices):
        dtype = FLOATING[number % len(FLOATING)]
        plans = tuple(
            worded_plan(shape, dtype, "contiguous", number + 4 * place, cell.target.device) for place in range(2)
        )
        options = (("full", number % 4 < 2), ("reduction", reduction))
        found.append(NumberVariance(plans, variance, options, bool(number % 2)))
    return Inputs(found)


@dataclass(frozen=True)
class LossRefusal:
    """An expression that has to raise; ``of`` says of what kind."""

    expression: str
    of: str

    def run(self) -> Any:
        """The value of the expression."""
        with torch.random.fork_rng(devices=[], enabled="torch.nn." in self.expression):  # a layer draws its state
            return eval(self.expression, {"torch": torch, "F": torch.nn.functional})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"expressions": self.expression}

    def code(self) -> str:
        """The same in plain torch."""
        return f"import torch\nF = torch.nn.functional\n{self.expression}"


X = "torch.tensor([[0.5, -1.0, 0.25], [1.0, 2.0, -0.5]])"
REFUSED_LOSSES = (
    *(
        LossRefusal(f"F.{name}({X}, {X}, reduction='average')", "ValueError")
        for name in ("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "soft_margin_loss")
    ),
    LossRefusal(f"F.binary_cross_entropy_with_logits({X}, {X}, reduction='average')", "ValueError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([0, 2]), reduction='average')", "ValueError"),
    LossRefusal(f"F.nll_loss({X}, torch.tensor([0, 2]), reduction='average')", "ValueError"),
    LossRefusal(f"F.nll_loss({X}, torch.tensor([0, 3]))", "IndexError"),
    LossRefusal(f"F.nll_loss({X}, torch.tensor([-1, 0]))", "IndexError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([0, 3]))", "IndexError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([-1, 0]))", "IndexError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([0, 1, 2]))", "ValueError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([0, 1]), weight=torch.ones(2))", "RuntimeError"),
    LossRefusal(f"F.cross_entropy({X}, torch.tensor([0, 1]), label_smoothing=1.5)", "RuntimeError"),
    LossRefusal(f"F.binary_cross_entropy({X}, {X}.abs() / 2)", "RuntimeError"),
    LossRefusal(f"F.binary_cross_entropy({X}.abs() / 2, torch.ones(2, 2))", "ValueError"),
    LossRefusal(f"F.binary_cross_entropy_with_logits({X}, torch.ones(2, 2))", "ValueError"),
    LossRefusal(f"F.gaussian_nll_loss({X}, {X}, {X})", "ValueError"),
    LossRefusal(f"F.smooth_l1_loss({X}, {X}, beta=-1.0)", "RuntimeError"),
    LossRefusal(f"F.huber_loss({X}, {X}, delta=0.0)", "RuntimeError"),
    LossRefusal(f"F.huber_loss({X}, {X}, delta=-1.0)", "RuntimeError"),
    LossRefusal("torch.nn.MultiMarginLoss(p=3)", "ValueError"),
    LossRefusal(f"F.multi_margin_loss({X}, torch.tensor([0, 3]))", "RuntimeError"),
    LossRefusal(f"F.multilabel_margin_loss({X}, torch.tensor([[0, 3, -1], [0, 1, 2]]))", "RuntimeError"),
    LossRefusal(f"F.kl_div({X}, {X}, reduction='average')", "ValueError"),
    LossRefusal(f"F.cosine_embedding_loss({X}, {X}, torch.ones(2, 2))", "RuntimeError"),
)  # fmt: skip


def impossible_losses(cell: Cell) -> Inputs:
    """All of these."""
    return Inputs(REFUSED_LOSSES)
