"""Savings: two ways of doing one thing, of which the documentation says that one takes less memory.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html,
https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.priced import account_of, priced_code

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

SAVED_SIZES = (1024, 65536)
SAVED_TYPES = ("float32", "float64")
LEAF = "x = torch.ones({n}, dtype=torch.{dtype}, device={device!r}, requires_grad=True)"
STEPS = "y = x\nfor _ in range({depth}): y = y.{name}()"
STEPPED_NAMES = ("sin", "exp", "sigmoid", "square")
LAYERS = (
    "m = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range({depth}))).to({device!r}, torch.{dtype})",
    "x = torch.ones({n} // 64, 64, dtype=torch.{dtype}, device={device!r}, requires_grad=True)",
)
# a parameter of a module's own and one of a child's, each in a group of its own
GRADED = (LEAF, "m, c = torch.nn.Module(), torch.nn.Module()", "m.c = c",
          "m.w, c.w = (torch.nn.Parameter(x.detach().clone()) for _ in range(2))",
          "o = torch.optim.SGD([{{'params': [m.w]}}, {{'params': [c.w]}}], lr=0.1)",
          "(m.w.square().sum() + c.w.square().sum()).backward()")  # fmt: skip
GRADED_COUNT = 2
WITHOUT_GRADIENTS = {
    "with": "with torch.{mode}():\n    y = x\n    for _ in range({depth}): y = y.{name}()",
    "decorator": (
        "@torch.{mode}()\ndef steps(y):\n    for _ in range({depth}): y = y.{name}()\n    return y\ny = steps(x)"
    ),
}


@dataclass(frozen=True)
class Saving:
    """``cheaper`` and ``dearer``, each after ``lines``; ``by`` is the field of the account in which they differ."""

    lines: tuple[str, ...]
    cheaper: str
    dearer: str
    by: str
    saved: int  # bytes, at least
    n: int
    dtype: str = "float32"
    device: str = "cpu"

    def bytes_of(self, act: str) -> int:
        """What one of the two costs."""
        return int(getattr(account_of(self.lines, act, self.device), self.by))

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"dtypes": self.dtype, "shapes": f"({self.n},)"}

    def reductions(self) -> Iterator[Saving]:
        """None: a smaller one saves less."""
        return iter(())

    def code(self) -> str:
        """In plain torch; the profiler shows what is allocated and freed by both."""
        return priced_code(self.lines, (self.cheaper, self.dearer))


def _made(
    cell: Cell, lines: tuple[str, ...], pairs: list[tuple[str, str]], by: str, saved: int = 1, **words: Any
) -> list[Saving]:
    """Savings at every size and type; ``saved`` counts copies of the ``n`` elements."""
    found = []
    for n, dtype, (cheaper, dearer) in product(SAVED_SIZES, SAVED_TYPES, pairs):
        given = {"n": n, "dtype": dtype, "device": cell.target.device, **words}
        size = n * (4 if dtype == "float32" else 8)
        texts = tuple(line.format(**given) for line in lines)
        found.append(
            Saving(texts, cheaper.format(**given), dearer.format(**given), by, saved * size, n, dtype, given["device"])
        )
    return found


def _modes_save(cell: Cell, mode: str) -> Inputs:
    """Functions that keep what they need for a gradient, with the mode and without, at several depths."""
    found = []
    for (form, depth), name in product((("with", 3), ("with", 8), ("decorator", 4)), STEPPED_NAMES):
        pair = (WITHOUT_GRADIENTS[form], STEPS)
        found += _made(cell, (LEAF,), [pair], "at_most", depth - 2, depth=depth, name=name, mode=mode)
    return Inputs(found)


def no_grad_saves(cell: Cell) -> Inputs:
    """The savings of ``no_grad``."""
    return _modes_save(cell, "no_grad")


def inference_mode_saves(cell: Cell) -> Inputs:
    """The savings of ``inference_mode``."""
    return _modes_save(cell, "inference_mode")


def checkpoints_save(cell: Cell) -> Inputs:
    """What is left after a forward of layers, whole or checkpointed, in both variants."""
    call = "r = torch.utils.checkpoint.checkpoint(m, x, use_reentrant={reentrant})"
    without = call.replace("use_reentrant", "preserve_rng_state=False, use_reentrant")
    acts = [each.replace("{reentrant}", word) for each in (call, without) for word in ("False", "True")]
    acts.append("r = torch.utils.checkpoint.checkpoint(m, input=x, use_reentrant=False)")
    acts.append("r = torch.utils.checkpoint.checkpoint_sequential(m, 2, x, preserve_rng_state=False)")
    pairs = [(act, "r = m(x)") for act in acts]
    return Inputs(_made(cell, ("import torch.utils.checkpoint", *LAYERS), pairs, "left", 1, depth=4))


def cleared_gradients_save(cell: Cell) -> Inputs:
    """``zero_grad`` of modules and optimizers, to None and to zeros."""
    pairs = [(f"{owner}.zero_grad(set_to_none=True)", f"{owner}.zero_grad(set_to_none=False)") for owner in ("m", "o")]
    return Inputs(_made(cell, GRADED, pairs, "left", GRADED_COUNT))


def cleared_by_default_save(cell: Cell) -> Inputs:
    """``zero_grad`` of modules and optimizers without arguments, and to zeros."""
    pairs = [(f"{owner}.zero_grad()", f"{owner}.zero_grad(set_to_none=False)") for owner in ("m", "o")]
    return Inputs(_made(cell, GRADED, pairs, "left", GRADED_COUNT))


FURTHER_PASSES = (
    "r.backward(inputs=[x]{})", "torch.autograd.backward([r]{})", "torch.autograd.grad([r], [x]{})",
    "r.backward(torch.ones_like(r){})", "torch.autograd.backward([r], [torch.ones_like(r)]{})",
    "torch.autograd.grad(r, x, torch.ones_like(r){})",
)  # fmt: skip


def freed_graphs_save(cell: Cell) -> Inputs:
    """A backward that keeps its graph and one that does not, with the result still held; also by ``autograd.grad``."""
    lines = (LEAF, "y = x", "for _ in range(3): y = y.{name}()", "r = y.sum()", "del y")
    pairs = [
        ("r.backward()", "r.backward(retain_graph=True)"),
        ("r.backward(retain_graph=False)", "r.backward(retain_graph=True)"),
        ("torch.autograd.grad(r, x)", "torch.autograd.grad(r, x, retain_graph=True)"),
    ]
    further = [(call.format(""), call.format(", retain_graph=True")) for call in FURTHER_PASSES]
    found = [case for name in STEPPED_NAMES for case in _made(cell, lines, pairs, "left", 2, name=name)]
    return Inputs([*found, *_made(cell, lines, further, "left", 2, name=STEPPED_NAMES[0])])


def meta_tensors_save(cell: Cell) -> Inputs:
    """Tensors and modules on the meta device and on the target."""
    pairs = [
        (text.replace("{where}", "'meta'"), text.replace("{where}", "{device!r}"))
        for text in (
            "torch.empty({n}, dtype=torch.{dtype}, device={where})",
            "torch.zeros({n}, dtype=torch.{dtype}, device={where})",
            "torch.ones({n}, dtype=torch.{dtype}, device={where})",
            "torch.full(({n},), 2.0, dtype=torch.{dtype}, device={where})",
            "torch.rand({n}, dtype=torch.{dtype}, device={where})",
            "torch.randn({n}, dtype=torch.{dtype}, device={where})",
            "torch.nn.Linear({n} // 8, 8, dtype=torch.{dtype}, device={where})",
            "torch.nn.Conv1d(8, {n} // 8, 1, dtype=torch.{dtype}, device={where})",
            "torch.nn.Embedding({n} // 4, 8, dtype=torch.{dtype}, device={where})",
        )
    ]
    more = [(f"torch.ones({{n}}, dtype=torch.{{dtype}}, device='meta').{act}",
             f"torch.ones({{n}}, dtype=torch.{{dtype}}, device={{device!r}}).{act}")
            for act in ("sin()", "neg()", "clone()", "exp()", "cumsum(0)", "view(8, -1).t().contiguous()")]  # fmt: skip
    moved = [("x.to('meta')", "x.clone()"), ("torch.empty_like(x, device='meta')", "torch.empty_like(x)")]
    found = [*_made(cell, (), pairs, "handed_out"), *_made(cell, (LEAF,), moved, "handed_out")]
    return Inputs([*found, *_made(cell, (), more, "handed_out", 2)])


def loops_save(cell: Cell) -> Inputs:
    """A step of optimizers over several parameters, one at a time and by the foreach implementation."""
    lines = (
        "ps = [torch.nn.Parameter(torch.ones({n}, dtype=torch.{dtype}, device={device!r})) for _ in range(6)]",
        "for p in ps: p.grad = torch.ones_like(p)",
        "o = torch.optim.{name}(ps, lr=0.1, foreach=False)",
        "f = torch.optim.{name}(ps, lr=0.1, foreach=True)",
        "o.step(), f.step()",
    )
    names = ("Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "Adamax")
    return Inputs(
        [
            case
            for name in names
            for case in _made(cell, lines, [("o.step()", "f.step()")], "at_most", 3, name=name)[::3]
        ]
    )


BESIDES = ("add_(y)", "mul_(y)", "sub_(1)", "div_(y)", "exp_()", "relu_()", "clamp_(0, 1)", "copy_(y)", "lerp_(y, 0.5)",
           "addcmul_(y, y)", "masked_fill_(y > 0, 2)", "fill_(3)", "neg_()", "sqrt_()", "cumsum_(0)")  # fmt: skip


def in_place_saves(cell: Cell) -> Inputs:
    """In-place calls, and those that give a new tensor, held like the tensor that is no longer needed."""
    lines = ("x = torch.ones({n}, dtype=torch.{dtype}, device={device!r})", "y = x * 2", "k = y > 0")
    pairs = []
    for call in BESIDES:
        call = call.replace("y > 0", "k")
        name, _, rest = call.partition("_(")
        beside = {"copy": "y.clone()", "fill": "torch.full_like(x, 3)"}.get(name, f"x.{name}({rest}")
        pairs.append((f"x.{call}", f"x = {beside}"))
    return Inputs(_made(cell, lines, pairs, "at_most"))
