"""Fused layers: pairs of a layer and a batch norm that become one layer.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fusion.fuse_conv_bn_eval.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.frozen_modules import generator_kept

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FUSED_PAIRS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("Conv1d(2, 3, 2, padding=1, padding_mode='circular')", "BatchNorm1d(3)", (2, 2, 5)),
    ("Conv2d(2, 4, 3, bias=False)", "BatchNorm2d(4, eps=0.5)", (1, 2, 5, 4)),
    ("Conv2d(2, 4, 3, stride=2, padding=1, groups=2)", "BatchNorm2d(4, affine=False)", (1, 2, 5, 5)),
    ("Conv3d(1, 2, 2)", "BatchNorm3d(2)", (1, 1, 3, 3, 3)),
    ("ConvTranspose1d(2, 3, 2)", "BatchNorm1d(3)", (2, 2, 4)),
    ("ConvTranspose2d(3, 2, 2, stride=2, bias=False)", "BatchNorm2d(2)", (1, 3, 3, 3)),
)
FUSED_LINEARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("Linear(3, 4)", "BatchNorm1d(4)", (5, 3)),
    ("Linear(4, 2, bias=False)", "BatchNorm1d(2, eps=0.25)", (2, 4)),
    ("Linear(2, 1)", "BatchNorm1d(1, affine=False)", (3, 2)),
)


@dataclass(frozen=True)
class FusedPair:
    """A layer, a batch norm, and the shape of an input."""

    layer: str
    norm: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    device: str = "cpu"

    @property
    def transposed(self) -> bool:
        """Whether the layer is a transposed convolution."""
        return self.layer.startswith("ConvTranspose")

    def build(self) -> tuple[Any, Any]:
        """Both, in evaluation mode, with numbers of their own."""
        with generator_kept(self.device):
            pair = [eval(f"nn.{text}", {"nn": torch.nn}) for text in (self.layer, self.norm)]
        start = 0
        for module in pair:
            module.to(self.device, getattr(torch, self.dtype)).eval()
            for name, x in module.state_dict(keep_vars=True).items():
                if x.is_floating_point():
                    low = 0.5 if name == "running_var" else -1.0
                    row = [low + (start + n) * 5 % 8 / 4 for n in range(x.numel())]
                    x.data.copy_(torch.tensor(row).reshape(x.shape))
                    start += 3
        return pair[0], pair[1]

    def input(self) -> torch.Tensor:
        """Something that the layer takes."""
        count = 1
        for extent in self.shape:
            count *= extent
        row = torch.tensor([n * 3 % 7 - 2.5 for n in range(count)], dtype=getattr(torch, self.dtype))
        return row.reshape(self.shape).to(self.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"layers": self.layer.partition("(")[0], "dtypes": self.dtype}

    def reductions(self) -> Iterator[FusedPair]:
        """Double precision."""
        if self.dtype != "float64":
            yield replace(self, dtype="float64")

    def code(self) -> str:
        """The same in plain torch."""
        kind = f"{self.device!r}, torch.{self.dtype}"
        fuse = "fuse_linear_bn_eval" if self.layer.startswith("Linear") else "fuse_conv_bn_eval"
        rest = ", transpose=True" if self.transposed else ""
        return "\n".join([
            f"a = torch.nn.{self.layer}.to({kind}).eval()", f"b = torch.nn.{self.norm}.to({kind}).eval()",
            "for x in b.state_dict().values():", "    x.copy_(torch.arange(1, x.numel() + 1).reshape(x.shape) / 2)",
            f"x = torch.tensor({self.input().tolist()}, dtype=torch.{self.dtype}, device={self.device!r})",
            f"fused = torch.nn.utils.fusion.{fuse}(a, b{rest})", "print(fused(x), b(a(x)))",
        ])  # fmt: skip


def fused_convolutions(cell: Cell) -> Inputs:
    """Convolutions of each kind, in both types."""
    rows = [(pair, dtype) for pair in FUSED_PAIRS for dtype in ("float64", "float32")]
    return Inputs([FusedPair(*pair, dtype, cell.target.device) for pair, dtype in rows])


def fused_linears(cell: Cell) -> Inputs:
    """Linear layers and norms with a weight, in both types."""
    rows = [(pair, dtype) for pair in FUSED_LINEARS[:-1] for dtype in ("float64", "float32")]
    return Inputs([FusedPair(*pair, dtype, cell.target.device) for pair, dtype in rows])


def linears_under_plain_norms(cell: Cell) -> Inputs:
    """A Linear and a norm without a weight."""
    return Inputs([FusedPair(*FUSED_LINEARS[-1], dtype, cell.target.device) for dtype in ("float64", "float32")])


def grouped_transposed(cell: Cell) -> Inputs:
    """Transposed convolutions of groups."""
    rows: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("ConvTranspose1d(4, 6, 2, groups=2)", "BatchNorm1d(6)", (2, 4, 3)),
        ("ConvTranspose2d(4, 4, 2, groups=4, bias=False)", "BatchNorm2d(4)", (1, 4, 3, 2)),
    )
    return Inputs([FusedPair(*pair, "float64", cell.target.device) for pair in rows])
