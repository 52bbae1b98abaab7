"""Listings of data: datasets, samplers and loaders of cases, written out as programs of plain torch, for people to run.

A check does not run these texts: they are what a failure shows as its minimal input.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent
from typing import Any

DATA = "from torch.utils import data"
# Two epochs, since some faults show only the second time.
EPOCHS = "for epoch in range(2):\n    print(list(loader))"
# The sample with a key, by the forms of ``conformance/inputs/loaders.py``.
SAMPLES = {
    "number": "3 * key + 1", "tensor": "torch.tensor([float(key), -float(key)])",
    "pair": "(torch.tensor([key / 2]), 100 + key)",
    "mapping": "{'x': torch.tensor([[float(key)]]), 'name': f's{key}'}",
    "array": "np.array([key, 7], dtype=np.int16)", "text": "f's{key}'",
}  # fmt: skip


def program(*parts: str) -> str:
    """The parts in order, below the import that all of them share; what comes twice stands once."""
    return "\n".join(dict.fromkeys([DATA, *(part for part in parts if part)]))


# --- classes ------------------------------------------------------------------------------------------------------


def method(head: str, *lines: str) -> str:
    """A method of these lines."""
    return "\n".join([f"    def {head}:", *(f"        {line}" for line in lines)])


def written_class(name: str, base: str, *methods: str) -> str:
    """A class of these methods, with an empty line around it."""
    return f"\nclass {name}{f'({base})' if base else ''}:\n" + "\n\n".join(methods or ["    pass"]) + "\n"


def sized(size: int | str) -> str:
    """A method that says a length."""
    return method("__len__(self)", f"return {size}")


def raising(key: str, at: int, error: str) -> list[str]:
    """The lines that raise an error at one key; none where the error is empty."""
    return [f"if {key} == {at}:", f"    raise {error}"] if error else []


def mapped(size: int, sample: str, *before: str, more: Sequence[str] = ()) -> str:
    """A map-style dataset of an expression in ``key``; ``before`` are lines that come first, ``more`` other methods."""
    item = method("__getitem__(self, key)", *before, f"return {sample}")
    return written_class("Samples", "data.Dataset", item, sized(size), *more)


def streamed(
    size: int, sample: str, *before: str, length: int | None = None, keys: str = "", name: str = "Samples"
) -> str:
    """An iterable-style dataset of an expression in ``key``, with a length or without."""
    loop = [f"for key in {keys or f'range({size})'}:", *(f"    {line}" for line in before), f"    yield {sample}"]
    found = [method("__iter__(self)", *loop), *([sized(length)] if length is not None else [])]
    return written_class(name, "data.IterableDataset", *found)


def keyed(keys: str, length: int | str | None, *before: str) -> str:
    """A sampler that yields these keys, with a length or without."""
    loop = [f"for key in {keys}:", *(f"    {line}" for line in before), "    yield key"]
    return written_class("Keys", "", method("__iter__(self)", *loop), *([sized(length)] if length is not None else []))


LISTED_STREAM = written_class("Stream", "data.IterableDataset", method("__iter__(self)", "return iter(samples)"))
ECHO = written_class(
    "Echo", "data.Dataset", method("__getitem__(self, key)", 'return ("sample", key)'), sized(1)
)  # fmt: skip

_HELD = method("__init__(self, items)", "self.items = items")
_ITEM = method("__getitem__(self, key)", "return self.items[key]")
_ITEMS = method(
    "__getitem__(self, key)", "return [self.items[k] for k in key] if isinstance(key, list) else self.items[key]"
)
_BULK = method("__getitems__(self, keys)", "return [self.items[key] for key in keys]")
_SHORT = method("__getitems__(self, keys)", "return [self.items[key] for key in keys[:-1]]")
LISTED = written_class("Listed", "data.Dataset", _HELD, _ITEMS, sized("len(self.items)"))
BATCHED = written_class("Batched", "data.Dataset", _HELD, _ITEMS, _BULK, sized("len(self.items)"))
SHORT = written_class("Short", "data.Dataset", _HELD, _ITEM, _SHORT, sized("len(self.items)"))
STREAM = written_class(
    "Stream", "data.IterableDataset", _HELD, method("__iter__(self)", "return iter(self.items)"),
    sized("len(self.items)"),
)  # fmt: skip


# --- classes of this project, as they are ---------------------------------------------------------------------------


class _Plain(ast.NodeTransformer):
    """Takes annotations, docstrings, decorators' parameters of types and the like away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._undocumented(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._undocumented(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else None

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        typed = any(isinstance(part, ast.Name) and part.id == "Any" for part in ast.walk(node.slice))
        return self.generic_visit(node.value if typed else node)

    def _undocumented(self, node: Any) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def spelled_class(kind: type) -> list[str]:
    """What a program needs for a class of this project: imports, the classes that it is made of, and itself."""
    tree = _Plain().visit(ast.parse(dedent(inspect.getsource(kind))))
    around = vars(sys.modules[kind.__module__])
    found: list[str] = []
    for name in dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)):
        value = around.get(name)
        if value is None or name in ("torch", "np", kind.__name__) or hasattr(builtins, name):
            continue
        if isinstance(value, type) and value.__module__.partition(".")[0] == __name__.partition(".")[0]:
            found += spelled_class(value)
        else:
            found.append(_imported(name, value))
    return [*found, f"\n{ast.unparse(ast.fix_missing_locations(tree))}\n".replace(":\n\n", ":\n")]


def _imported(name: str, value: Any) -> str:
    if inspect.ismodule(value):
        return f"import {value.__name__}"
    home: str = value.__module__
    return f"from {'torch.utils.data' if home.startswith('torch.utils.data') else home} import {name}"


def needed(kinds: Sequence[type]) -> Iterator[str]:
    """What a program needs for types: their imports, or their classes; nothing for what Python has built in."""
    for kind in dict.fromkeys(kinds):
        if kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
            if hasattr(kind, "_fields"):
                yield "from collections import namedtuple"
                yield f"{kind.__name__} = namedtuple({kind.__name__!r}, {list(kind._fields)})"
            else:
                yield from spelled_class(kind)
        elif kind.__module__ != "builtins":
            yield f"from {kind.__module__} import {kind.__name__}"


# --- parts of datasets ----------------------------------------------------------------------------------------------

_PARTS = {
    "map": "Listed({0})", "list": "{0}", "tuple": "tuple({0})", "batched": "Batched({0})", "stream": "Stream({0})",
    "short": "Short({0})",
}  # fmt: skip
_CLASSES = {"batched": BATCHED, "stream": STREAM, "short": SHORT, "list": "", "tuple": ""}
NAMES = "abcdefgh"


def parts_made(parts: Sequence[tuple[str, int]]) -> list[str]:
    """What makes datasets of these kinds and sizes, called a, b, c, …; their samples are texts like 'a0'."""
    made = []
    for name, (kind, size) in zip(NAMES, parts, strict=False):
        items = [f"{name}{number}" for number in range(size)]
        if kind == "subset":
            text = f"data.Subset(Listed({items[::-1]}), range({size} - 1, -1, -1))"
        elif kind == "joined":
            text = f"data.ConcatDataset([Listed({items[: size // 2]}), Listed({items[size // 2 :]})])"
        else:
            text = _PARTS[kind].format(items)
        made.append(f"{name} = {text}")
    classes = dict.fromkeys(_CLASSES.get(kind, LISTED) for kind, _ in parts)
    return [*classes, *made]


JOINTS = {
    "concatenate": (
        "whole = data.ConcatDataset({})\n"
        "print(len(whole), whole.cumulative_sizes, [whole[n] for n in range(-len(whole), len(whole))])"
    ),
    "chain": "whole = data.ChainDataset({})\nprint(list(whole), len(whole))",
    "add": "whole = a + b\nprint(type(whole), list(whole))",
    "add_three": "print(list((a + b) + c), list(a + (b + c)))",
    "stack": "whole = data.StackDataset(*{})\nprint(len(whole))",
}
SAMPLED = "print(len(whole), [whole[n] for n in range(len(whole))], whole.__getitems__([*range(len(whole))]))"


# --- loaders --------------------------------------------------------------------------------------------------------


def loader(dataset: str, *arguments: str) -> str:
    """A loader over a dataset."""
    return f"loader = data.DataLoader({', '.join([dataset, *(a for a in arguments if a)])})"


def loaded(size: int, style: str, sample: str, length: int | None, worker_share: bool) -> str:
    """The dataset of a loader, by its style; ``worker_share`` lets each worker take every nth sample."""
    if style == "map":
        return mapped(size, sample)
    if not worker_share:
        return streamed(size, sample, length=length)
    info = "worker = data.get_worker_info()"
    share = f"keys = range({size})[worker.id :: worker.num_workers] if worker else range({size})"
    text = streamed(size, sample, length=length, keys="keys")
    return text.replace("        for key", f"        {info}\n        {share}\n        for key")


def several(count: int) -> str:
    """The lines that draw some batches of a loader."""
    return f"iterator = iter(loader)\nfor _ in range({count}):\n    print(next(iterator))"


# An iterator says more than a loop, which takes a StopIteration for the end.
UNTIL_IT_RAISES = """\
iterator = iter(loader)
try:
    while True:
        print(next(iterator))
except Exception as error:
    print(repr(error))"""
FAULTS_SHOWN = f"for epoch in range(2):\n{indent(UNTIL_IT_RAISES, '    ')}"


PINNED = {
    "tensor": "x", "strided": "torch.arange(12.0).reshape(3, 4).t()[1:] + number",
    "half": "torch.tensor([number], dtype=torch.bfloat16)", "tuple": "(x, y)", "list": "[x, y, 'text']",
    "namedtuple": "PinnedPoint(x, y)", "mapping": "{'x': x, 'y': y, 'n': 3}",
    "ordered mapping": "OrderedDict(x=x, y=y, n=3)", "mapping subclass": "TaggedMapping(x=x, y=y, n=3)",
    "nested": "{'p': PinnedPoint([x], {'y': (y,)}), 'more': [[x, None], ()]}", "empty": "torch.zeros(0, 3)",
    "no tensors": "('text', b'bytes', 1, 2.5, None, [], {})",
    "pinnable": "PinnableBatch(torch.tensor([number]))", "opaque": "OpaqueBatch(torch.tensor([number]))",
}  # fmt: skip


def structures(structure: str, count: int = 3) -> str:
    """A list of batches of a structure, each with numbers of its own."""
    text = PINNED[structure]
    lines = ["x, y = torch.tensor([number, 1.0]), torch.tensor([[int(number)]])"] if "x" in text or "y" in text else []
    numbers = tuple(n + 0.5 for n in range(count))
    body = "\n".join(f"    {line}" for line in [*lines, f"return {text}"])
    return f"def batch(number):\n{body}\n\nsamples = [batch(number) for number in {numbers}]"
