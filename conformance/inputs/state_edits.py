"""State edits: dictionaries that are almost the state of a module, with keys missing, added, or of another shape.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_trees import Tree, reach
from conformance.inputs.tree_sources import listed_trees

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class Edited:
    """A tree, and the state of one like it with other numbers, without some keys and with others beside.

    ``reshaped`` are keys whose tensor has another shape in the dictionary.
    """

    tree: Tree
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    reshaped: tuple[tuple[str, tuple[int, ...]], ...] = ()
    strict: bool = True

    def source(self) -> dict[str, torch.Tensor]:
        """The dictionary."""
        state = self.tree.turned().tensors()
        shapes = dict(self.reshaped)
        found = OrderedDict((key, value) for key, value in state.items() if key not in self.dropped)
        for key, shape in shapes.items():
            found[key] = torch.zeros(shape, dtype=state[key].dtype, device=self.tree.device)
        for number, key in enumerate(self.added):
            found[key] = torch.full((2,), float(number), device=self.tree.device)
            if number % 2:
                found.move_to_end(key, last=False)
        return found

    @property
    def untouched(self) -> set[str]:
        """Names that the dictionary has no value for."""
        return {*self.dropped, *(key for key, _ in self.reshaped)}

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        depth = [str(key.count(".")) for key in (*self.dropped, *self.added)]
        return {**self.tree.facets(), "depths": depth, "strict": str(self.strict)}

    def reductions(self) -> Iterator[Edited]:
        """Fewer keys dropped and added, and a smaller tree."""
        for name in ("dropped", "added", "reshaped"):
            keys = getattr(self, name)
            for n in range(len(keys)):
                if len(keys) > 1:
                    yield replace(self, **{name: keys[:n] + keys[n + 1 :]})
        for tree in self.tree.reductions():
            state = tree.state()
            if all(key in state for key in self.untouched):
                yield replace(self, tree=tree)

    def code(self) -> str:
        """The same in plain torch."""
        lines = ["from copy import deepcopy", self.tree.code(), "state = deepcopy(m.state_dict())"]
        lines += [f"del state[{key!r}]" for key in self.dropped]
        lines += [f"state[{key!r}] = torch.zeros({shape})" for key, shape in self.reshaped]
        lines += [f"state[{key!r}] = torch.full((2,), {n}.0)" for n, key in enumerate(self.added)]
        return "\n".join([*lines, f"print(m.load_state_dict(state, strict={self.strict}))"])


def droppable(tree: Tree) -> list[str]:
    """Keys that are missed where they are absent; num_batches_tracked is newer than its module, and is not."""
    return [key for key in tree.state() if not key.endswith("num_batches_tracked")]


def strange_keys(tree: Tree) -> list[str]:
    """Keys that the tree does not expect: at every depth, and made like others."""
    places, state = tree.places(), tree.state()
    found = [f"{prefix}stranger" for prefix in tree.prefixes()]
    found += [f"{prefix}stranger.deep" for prefix in tree.prefixes()[-1:]]
    found += [key for key, (slot, _) in places.items() if slot.kind == "transient"]
    for key in list(state)[-3:]:
        found += [f"{key}_", key[:-1]]
    able = [x for x in dict.fromkeys(found) if x and (x not in places or places[x][0].kind == "transient")]
    return [x for x in able if not any(x.startswith(f"{key}.") for key in places)]


@cache
def _edits(device: str, missing: bool, unexpected: bool) -> tuple[Edited, ...]:
    draw = random.Random(5)
    found = []
    for tree in listed_trees(device, 6):
        absent, strange = droppable(tree), strange_keys(tree)
        if missing and not absent:
            continue
        # the deepest key is left out and added once by itself; then several
        deepest = max(absent, key=lambda key: key.count("."), default="")
        lone = max(strange, key=lambda key: key.count("."))
        found.append(Edited(tree, (deepest,) if missing else (), (lone,) if unexpected else ()))
        dropped = tuple(draw.sample(absent, min(len(absent), 1 + draw.randrange(3)))) if missing else ()
        added = tuple(draw.sample(strange, min(len(strange), 1 + draw.randrange(4)))) if unexpected else ()
        found.append(Edited(tree, dropped, added))
    return tuple(found)


def missing_keys(cell: Cell) -> Inputs:
    """Dictionaries that lack keys."""
    return Inputs(_edits(cell.target.device, True, False))


def unexpected_keys(cell: Cell) -> Inputs:
    """Dictionaries with keys that the module does not expect."""
    return Inputs(_edits(cell.target.device, False, True))


def keys_below_tensors(cell: Cell) -> Inputs:
    """Dictionaries with a key that goes on behind the name of a parameter or buffer."""
    every = [(tree, key) for tree in listed_trees(cell.target.device, 6) for key in list(tree.state())[-2:]]
    return Inputs([Edited(tree, added=(f"{key}.more",)) for tree, key in every])


@dataclass(frozen=True)
class Childless:
    """A tree in which ``parent`` has a child that is None, and its state with a key below that child."""

    tree: Tree
    parent: str
    below: str

    def build(self) -> torch.nn.Module:
        """The module."""
        module = self.tree.build()
        reach(module, self.parent).register_module("absent", None)
        return module

    @property
    def key(self) -> str:
        """The key that the module has not."""
        return ".".join(filter(None, (self.parent, "absent", self.below)))

    def source(self) -> dict[str, torch.Tensor]:
        """The dictionary."""
        return {**self.tree.turned().tensors(), self.key: torch.ones(2, device=self.tree.device)}

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.tree.facets(), "depths": str(self.key.count("."))}

    def reductions(self) -> Iterator[Childless]:
        """The root for the parent, and a smaller tree."""
        if self.parent:
            yield replace(self, parent="")
        for tree in self.tree.reductions():
            if not self.parent or f"{self.parent}." in tree.prefixes():
                yield replace(self, tree=tree)

    def code(self) -> str:
        """The same in plain torch."""
        parent = f"m.get_submodule({self.parent!r})" if self.parent else "m"
        made = [
            f"{parent}.register_module('absent', None)",
            f"state = {{**m.state_dict(), {self.key!r}: torch.ones(2)}}",
        ]
        return "\n".join([self.tree.code(), *made, "print(m.load_state_dict(state, strict=False))"])


def keys_below_absent_children(cell: Cell) -> Inputs:
    """Dictionaries with a key below a child that is None: of the root, and of the deepest module."""
    found = []
    for tree in listed_trees(cell.target.device, 6):
        deepest = max(tree.prefixes(), key=lambda prefix: prefix.count("."))
        for parent in dict.fromkeys(("", deepest.rstrip("."))):
            found += [Childless(tree, parent, below) for below in ("weight", "0.bias")]
    return Inputs(found)


def lenient_loads(cell: Cell) -> Inputs:
    """Dictionaries that lack keys, have others beside, or both, loaded with strict=False."""
    device = cell.target.device
    kinds = ((True, False), (False, True), (True, True))
    return Inputs([replace(x, strict=False) for kind in kinds for x in _edits(device, *kind)])


def reshaped_states(cell: Cell) -> Inputs:
    """Dictionaries in which one or several tensors have another shape, loaded in both ways."""
    found = []
    for number, tree in enumerate(listed_trees(cell.target.device)):
        shapes = other_shapes(tree)
        for strict in (True, False):
            if shapes:
                found.append(Edited(tree, reshaped=(shapes[number % len(shapes)],), strict=strict))
                found.append(Edited(tree, reshaped=tuple(dict(shapes).items())[-2:], strict=strict))
    return Inputs(found)


def other_shapes(tree: Tree) -> list[tuple[str, tuple[int, ...]]]:
    """Each key with shapes that its tensor has not: of as many elements, that broadcast to it, of more dimensions."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for key, (plan, _) in tree.state().items():
        shape = plan.shape
        others: list[tuple[int, ...]] = [(prod(shape),), (1,) * len(shape), (*shape, 1), (1, *shape), shape[1:], ()]
        # one element for none is taken from files of the oldest releases
        old = (1,) if shape == () else shape
        found += [(key, other) for other in others if other not in (shape, old)]
    return found


@dataclass(frozen=True)
class NoneFilled:
    """A tree, and a dictionary with a value for one name that is registered as None."""

    tree: Tree
    key: str

    def source(self) -> dict[str, torch.Tensor]:
        """The dictionary."""
        return {**self.tree.tensors(), self.key: torch.ones(2, device=self.tree.device)}

    def code(self) -> str:
        """The same in plain torch."""
        made = f"state = {{**m.state_dict(), {self.key!r}: torch.ones(2)}}"
        load = ["try:", "    m.load_state_dict(state)", "except RuntimeError as error:", "    print(error)"]
        return "\n".join([self.tree.code(), made, *load, "print(m.load_state_dict(state, strict=False))"])


def none_filled(cell: Cell) -> Inputs:
    """Each tree with a name that is registered as None, and that name filled."""
    return Inputs(
        [
            NoneFilled(tree, key)
            for tree in listed_trees(cell.target.device)
            for key, (slot, _) in tree.places().items()
            if slot.kind in ("no-parameter", "no-buffer")
        ]
    )


@dataclass(frozen=True)
class Prefixed:
    """A tree, and the prefix with which its state is asked for."""

    tree: Tree
    prefix: str

    def code(self) -> str:
        """The same in plain torch."""
        return "\n".join([self.tree.code(), f"print(m.state_dict(prefix={self.prefix!r}).keys())"])

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.tree.facets(), "prefixes": self.prefix}

    def reductions(self) -> Iterator[Prefixed]:
        """Smaller trees."""
        for tree in self.tree.reductions():
            yield replace(self, tree=tree)


PREFIXES = ("net.", "x", "a.", "deep.er.", "", ".", "a.a.")


def prefixed_states(cell: Cell) -> Inputs:
    """Each tree with one of the prefixes, which need not end with a dot."""
    trees = listed_trees(cell.target.device)
    return Inputs([Prefixed(tree, PREFIXES[(n + k) % len(PREFIXES)]) for n, tree in enumerate(trees) for k in (0, 3)])
