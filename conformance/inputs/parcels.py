"""Parcels: tensors that workers make and send to the main process.

Reference: https://docs.pytorch.org/docs/stable/notes/multiprocessing.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.crossings import ALL, REPEATED, TENSOR_FORMS, make_tensor
from conformance.inputs.pool_endings import STRATEGIES
from conformance.inputs.tensors import Strided
from conformance.oracles import memory

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# every plan that a case may name
__all__ = ["Parcels", "Strided"]


@dataclass(frozen=True)
class Parcels:
    """Tensors that two workers build from plans, and see through an expression in x; sent by a sharing strategy."""

    plans: tuple[Strided, ...]
    strategy: str = "file_descriptor"
    expression: str = "x"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "dtypes": sorted({plan.dtype for plan in self.plans}),
            "layouts": sorted({plan.layout for plan in self.plans}),
            "shapes": sorted({str(plan.shape) for plan in self.plans}), "strategies": self.strategy,
            "expressions": self.expression,
        }  # fmt: skip

    def reductions(self) -> Iterator[Parcels]:
        """One plan."""
        for plan in self.plans if len(self.plans) > 1 else ():
            yield replace(self, plans=(plan,))

    def code(self) -> str:
        """The case in plain torch."""
        made = "".join(f"    lambda: {plan.code()},\n" for plan in self.plans)
        return data_listings.program(
            f"torch.multiprocessing.set_sharing_strategy({self.strategy!r})",
            f"makers = [\n{made}]",
            data_listings.mapped(len(self.plans), self.expression, "x = makers[key]()"),
            data_listings.loader("Samples()", "batch_size=None", "num_workers=2"),
            "for number, x in enumerate(loader):\n    print(Samples()[number], x, x.is_shared())",
        )


@dataclass
class ParcelSeen:
    """What is seen of a tensor, in plain Python and NumPy."""

    dtype: str
    shape: tuple[int, ...]
    values: np.ndarray
    requires_grad: bool
    shared: bool
    kind: str


def look_at(tensor: Any) -> ParcelSeen:
    """What is seen of a tensor here."""
    return ParcelSeen(
        str(tensor.dtype),
        tuple(tensor.shape),
        memory.contents(tensor.detach()),
        tensor.requires_grad,
        tensor.is_shared(),
        type(tensor).__name__,
    )


class ParcelDataset(torch.utils.data.Dataset):  # type: ignore[misc]
    """Builds each tensor where it is asked for."""

    def __init__(self, case: Parcels) -> None:
        self.case = case

    def __len__(self) -> int:
        return len(self.case.plans)

    def __getitem__(self, number: int) -> Any:
        return eval(self.case.expression, {"x": self.case.plans[number].build(), "torch": torch})


def send_parcels(case: Parcels) -> tuple[list[ParcelSeen], list[ParcelSeen]]:
    """What is seen of the tensors where they are made in the main process, and of those that workers send."""
    torch.multiprocessing.set_sharing_strategy(case.strategy)
    dataset = ParcelDataset(case)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
    return [look_at(dataset[number]) for number in range(len(dataset))], [look_at(tensor) for tensor in loader]


# --- sources ----------------------------------------------------------------------------------------------------


def tensor_parcels(cell: Cell) -> Inputs:
    """Every element type and form, by each sharing strategy; leaves, parameters, and a tensor of many elements."""
    forms = (*TENSOR_FORMS, *REPEATED)
    plans = tuple(
        make_tensor("cpu", ALL[number % len(ALL)], forms[number % len(forms)], "special")
        for number in range(max(len(ALL), len(forms)))
    )
    strategies = [name for name in STRATEGIES if name in torch.multiprocessing.get_all_sharing_strategies()]
    floats = tuple(plan for plan in plans if plan.dtype in ("float32", "float64", "complex64", "bfloat16"))
    flags = ("x.requires_grad_()", "torch.nn.Parameter(x)")
    large = Parcels(floats[:1], expression="x.flatten()[:1].repeat(150_000)")
    return Inputs(
        [
            large,
            *(Parcels(plans, strategy) for strategy in strategies),
            *(Parcels(floats[number::2], expression=flag) for number, flag in enumerate(flags)),
        ]
    )


def lazy_parcels(cell: Cell) -> Inputs:
    """Conjugated tensors, which no memory was written for, and imaginary parts of such."""
    plans = tuple(make_tensor("cpu", "complex64", form, "ordinary") for form in TENSOR_FORMS[:4])
    return Inputs([Parcels(plans, expression=expression) for expression in ("x.conj()", "x.conj().imag")])
