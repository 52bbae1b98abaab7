"""Loss sources: which calls of a loss a behaviour looks at, made of the rows of the catalogue of losses.

Reference: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.valued_calls import ValuedCall
from conformance.inputs.valued_sources import FLOATING, VALUED_LAYOUTS, speaks_here, valued_call

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def loss_calls(cell: Cell, option: str = "", mark: str = "", reduction: str | None = None) -> Inputs:
    """The calls that give an option or have a mark, with each reduction or one, over types and layouts."""
    from hypothesis import strategies as st

    row, device = cell.subject, cell.target.device
    chosen = [
        call
        for call in row.calls
        if speaks_here(call)
        and (not option or option in {**call.get("with", {}), **call.get("built", {})})
        and (not mark or call.get(mark))
    ]
    corners = []
    for number, call in enumerate(chosen):
        dtypes = call.get("dtypes", FLOATING)
        for turn, wanted in enumerate(reductions_of(row, reduction)):
            for step, dtype in enumerate(dtypes):
                if step >= 2 and (turn + step) % 2:  # each of the short types with every other reduction
                    continue
                layout = VALUED_LAYOUTS[(2 * number + turn + 3 * step) % len(VALUED_LAYOUTS)]
                case = valued_call(call, row.name, dtype, layout, number + turn + step, device)
                corners.append(with_reduction(case, wanted, (number + turn) % 2 == 0))

    def made(choice: tuple[int, int, str, int, int]) -> ValuedCall:
        call = chosen[choice[0] % len(chosen)]
        dtypes, wanted = call.get("dtypes", FLOATING), reductions_of(row, reduction)
        case = valued_call(call, row.name, dtypes[choice[1] % len(dtypes)], choice[2], choice[3], device)
        return with_reduction(case, wanted[choice[4] % len(wanted)], bool(choice[3] % 2))

    draws = st.tuples(
        st.integers(0, len(chosen) - 1), st.integers(0, 3), st.sampled_from(VALUED_LAYOUTS), st.integers(0, 5000),
        st.integers(0, 3),
    )  # fmt: skip
    return Inputs(corners, draws.map(made))


def reductions_of(row: Any, wanted: str | None) -> tuple[str | None, ...]:
    """The reductions to ask for: one, or all of the row; None where the loss has no such argument."""
    if not row.reductions:
        return (None,)
    return tuple(row.reductions) if wanted is None else (wanted,)


def with_reduction(case: ValuedCall, reduction: str | None, said: bool) -> ValuedCall:
    """The call with this reduction; the default is said only now and then."""
    if reduction is None or (reduction == "mean" and not said):
        return case
    return replace(case, options=(*case.options, ("reduction", reduction)))


def smooth_losses(cell: Cell) -> Inputs:
    """Calls at whose numbers the formula is smooth, with each input that is no label requiring grad."""
    found = []
    for dtypes in ("float64", "float32"):
        for number, case in enumerate(loss_calls(cell, mark="smooth").corners):
            if case.dtype == dtypes and not mean_of_nothing(case):
                floats = tuple(n for n, plan in enumerate(case.inputs) if plan.dtype == dtypes)
                wanted = floats[:1] if number % 2 or cell.subject.name in ONE_GRADIENT else floats
                found.append(replace(as_images(case), requires=wanted))
    return Inputs(found)


def mean_of_nothing(case: ValuedCall) -> bool:
    """Whether it is a mean and every target is ignored, as an expanded one may be: that is NaN and has no slope."""
    options = dict(case.options)
    ignored, mean = options.get("ignore_index"), options.get("reduction", "mean") == "mean"
    return mean and ignored is not None and bool((case.inputs[1].array == ignored).all())


def weighted_elements(cell: Cell, means: bool = False) -> Inputs:
    """The function with a weight for each element; its mean, or what is no mean."""
    function, found = f"functional.{cell.subject.function}", []
    settings = product(("2 3", "17", "2 1 4"), ("mean",) if means else ("none", "sum"), ("float64", "float32"))
    for number, (shape, reduction, dtype) in enumerate(settings):
        delta = {"delta": 0.75} if cell.subject.name == "HuberLoss" and number % 3 else {}
        calling = {"reduction": reduction, **delta}
        call = {"x": [shape, shape, f"{shape} positive"], "named": ["weight"], "calling": calling}
        layout = VALUED_LAYOUTS[number % len(VALUED_LAYOUTS)]
        found.append(valued_call(call, function, dtype, layout, number, cell.target.device))
    return Inputs(found)


def strided_weights(cell: Cell) -> Inputs:
    """The calls that give a weight, which is no contiguous one, unreduced and summed."""
    found = []
    chosen = [call for call in cell.subject.calls if speaks_here(call) and "weight" in call.get("built", {})]
    settings = product(chosen, ("stepped", "sliced"), ("float64", "float32"), reductions_of(cell.subject, None)[::2])
    for turn, (call, layout, dtype, reduction) in enumerate(settings):
        case = valued_call(
            {**call, "built in": layout}, cell.subject.name, dtype, "contiguous", turn, cell.target.device
        )
        found.append(with_reduction(case, reduction, True))
    return Inputs(found)


def as_images(case: ValuedCall) -> ValuedCall:
    """The same with a contiguous input where NLLLoss gets four dimensions: others have a behaviour of their own."""
    if case.makes != "NLLLoss" or len(case.inputs[0].shape) != 4 or case.inputs[0].layout == "contiguous":
        return case
    plain = replace(case.inputs[0], stride=None, offset=0, size=None, layout="contiguous")
    return replace(case, inputs=(plain, *case.inputs[1:]))


def permuted_images(cell: Cell) -> Inputs:
    """Inputs of four dimensions that are not contiguous, with a gradient."""
    found = []
    for layout in ("contiguous", "channels_last", "transposed", "stepped"):
        for reduction in ("none", "mean", "sum"):
            call = {"x": ["2 3 4 2 negative", "2 4 2 below-3"], "with": {"reduction": reduction}}
            case = valued_call(call, "NLLLoss", "float64", layout, 1, cell.target.device)
            found.append(replace(case, requires=(0,)))
    return Inputs(found)


def broadcast_variances(cell: Cell) -> Inputs:
    """Variances of which one dimension is 1, each in turn, of inputs of two and of three dimensions."""
    found, device = [], cell.target.device
    shapes = (("3 2", "1 2"), ("3 2", "3 1"), ("2 3 4", "1 3 4"), ("2 3 4", "2 1 4"), ("2 3 4", "2 3 1"))
    for turn, ((shape, one), dtype) in enumerate(product(shapes, FLOATING)):
        options = {"reduction": ("none", "mean", "sum")[turn % 3], **({"full": True} if turn % 2 else {})}
        call = {"x": [shape, shape, f"{one} positive"], "with": options}
        layout = VALUED_LAYOUTS[turn % len(VALUED_LAYOUTS)]
        found.append(valued_call(call, "GaussianNLLLoss", dtype, layout, turn, device))
    return Inputs(found)


# Losses whose further inputs are labels or settings: a difference by these is no derivative that is promised.
ONE_GRADIENT = (
    "SoftMarginLoss", "HingeEmbeddingLoss", "MultiLabelSoftMarginLoss", "MarginRankingLoss", "CosineEmbeddingLoss",
    "PoissonNLLLoss", "AdaptiveLogSoftmaxWithLoss", "GaussianNLLLoss",
)  # fmt: skip


def thresholds(cell: Cell) -> Inputs:
    """The calls that say where the square ends, beside those that leave it."""
    return loss_calls(cell, option="beta" if cell.subject.name == "SmoothL1Loss" else "delta")


def adaptive_batches(cell: Cell) -> Inputs:
    """The calls that have a batch."""
    return Inputs([case for case in loss_calls(cell).corners if len(case.inputs[0].shape) == 2])
