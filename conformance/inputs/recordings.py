"""Recordings: calls that make a node of a graph each, and the modes in which they make none.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from textwrap import indent
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.registrations import compiled_action

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

RECORDING_MODES = {
    "no_grad": "with torch.no_grad():\n{act}",
    "inference_mode": "with torch.inference_mode():\n{act}",
    "set_grad_enabled": "with torch.set_grad_enabled(False):\n{act}",
    "decorated no_grad": "@torch.no_grad()\ndef f():\n{act}\n    return y\ny = f()",
    "decorated inference_mode": "@torch.inference_mode()\ndef f():\n{act}\n    return y\ny = f()",
    "nested": "with torch.no_grad():\n    with torch.enable_grad(): x.exp()\n{act}",
}
RECORDED_CALLS = (
    "x.exp()", "x * x", "x @ x.T", "x.sum()", "x.view(-1)", "x[1:]", "x.relu()", "x.softmax(1)", "torch.cat([x, x])",
    "torch.where(x > 1, x, 2 * x)", "x.clone()", "x.t()", "x.pow(2).sqrt()", "m(x)", "(x + 1).mul_(2)",
    "x.to(torch.float64)", "torch.nn.functional.layer_norm(x, (8,))", "torch.dropout(x, 0.5, True)", "x.max(1).values",
    "torch.stack([x, x]).mean(0)", "x.gather(1, i)", "x.index_select(0, i[0])", "c(x[None])", "e(i)",
    "x.log_softmax(1)", "torch.bmm(x[None], x[None])", "x.tanh()", "x.sigmoid()", "x.log()", "x.abs()", "-x",
    "x / 2", "x - 1", "x.reshape(4, 16)", "x.flatten()", "x.t().contiguous()", "x.permute(1, 0)", "x.unsqueeze(0)",
    "x.expand(2, 8, 8)", "x.split(4)[1]", "x.repeat(2, 1)", "torch.matmul(x, x[0])", "torch.einsum('ij,jk', x, x)",
    "x.mean()", "x.std()", "x.norm()", "x.prod()", "x.cumsum(0)", "x.sort().values", "x.clamp(min=0)",
    "x.masked_fill(x > 1, 0)",
    "torch.nn.functional.conv1d(x[None], x[:2, :, None])", "torch.nn.functional.embedding(i, x)",
    "torch.nn.functional.batch_norm(x, None, None, training=True)", "torch.nn.functional.cross_entropy(x, i[0])",
    "torch.nn.functional.mse_loss(x, 2 * x.detach())", "torch.nn.functional.gelu(x)",
)  # fmt: skip
RECORDED_LINES = (
    "x = torch.ones(8, 8, device={device!r}, requires_grad=True)",
    "i = torch.zeros(8, 8, dtype=torch.int64, device={device!r})",
    "m = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh()).to({device!r})",
    "c, e = torch.nn.Conv1d(8, 2, 3).to({device!r}), torch.nn.Embedding(4, 2).to({device!r})",
)


@dataclass(frozen=True)
class Recording:
    """A call on what requires grad, in a mode that records nothing, or, where ``mode`` is empty, with gradients."""

    act: str
    mode: str
    device: str = "cpu"

    def result(self, mode: str) -> torch.Tensor:
        """What the call gives, in a mode or in none."""
        space: dict[str, Any] = {"torch": torch}
        exec(compiled_action("\n".join(self.lines(mode))), space)
        found: torch.Tensor = space["y"]
        return found

    def lines(self, mode: str) -> tuple[str, ...]:
        """The operands, and the call in its mode."""
        act = f"y = {self.act}"
        return (
            *(line.format(device=self.device) for line in RECORDED_LINES),
            RECORDING_MODES[mode].format(act=indent(act, "    ")) if mode else act,
        )

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"modes": self.mode}

    def reductions(self) -> Iterator[Recording]:
        """None: it is one call."""
        return iter(())

    def code(self) -> str:
        """In plain torch."""
        return "\n".join(("import torch", *self.lines(self.mode), "print(y.requires_grad, y.grad_fn)"))


def recorded_functions(cell: Cell) -> Inputs:
    """Every call in one of the modes in turn, and one of them in all."""
    modes = tuple(RECORDING_MODES)
    pairs = {(call, mode): None for n, call in enumerate(RECORDED_CALLS) for mode in (modes[n % 6], modes[(n + 1) % 6])}
    pairs.update(dict.fromkeys(product(("x.exp()", "m(x)"), modes)))
    return Inputs([Recording(act, mode, cell.target.device) for act, mode in pairs])
