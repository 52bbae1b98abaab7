"""Assembly: a program made from small numbers, such that whatever the numbers are, a sound program comes of it.

References count back from the latest value, modulo what is there. Where an operation is not smooth at the numbers that
it would get, or cannot be applied to their shapes, a plainer one takes its place: nothing is drawn and thrown away.
Every step is computed in NumPy as it is added, so that numbers stay moderate and away from kinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

import numpy as np
import torch

from conformance.engine.versions import out_of_range
from conformance.inputs.program_ledger import Ledger
from conformance.inputs.program_operations import OPERATIONS, Operation
from conformance.inputs.programs import Program, Step
from conformance.inputs.tensors import Strided, strided
from conformance.oracles import dual_rules as rule
from conformance.oracles.duals import Dual, seeded, settled

SHAPES = (
    (2, 3), (3,), (), (4,), (2, 2), (1, 3), (3, 1), (3, 3), (2, 3, 2), (1,), (1, 3, 1), (0, 3), (0,), (2, 3, 4),
    (2, 3, 1, 2), (3, 2), (2,), (2, 2, 3),
)  # fmt: skip
LAYOUTS = ("contiguous", "transposed", "stepped", "expanded", "offset", "sliced", "channels_last")
DTYPES = ("float64", "float64", "float32")
# Ranges of the leaves' values: where nearly everything is smooth; around zero; above one.
RANGES = ((0.1, 0.9), (-1.9, 1.9), (1.1, 2.9))
LEAF_SEED = (len(SHAPES), len(LAYOUTS), len(DTYPES), len(RANGES))
STEP_SEED = (len(OPERATIONS), 12, 12, 48)  # operation, operands counted back, arguments
FURTHER = 5  # a second root is one of so many before the last, less one
LARGEST, STEEPEST, ELEMENTS = 25.0, 400.0, 48

PLAIN = Operation("torch.sin(x)", rule.dual_sin, keeps="x")
PLAIN_PAIR = Operation("torch.sub(x, y)", rule.dual_add, lambda n, *_: ((), (-1.0,)), 2)
PLAIN_WRITE = Operation("x.sin_()", rule.dual_sin, kind="write", keeps="x")
EVERY = tuple(range(len(OPERATIONS)))
WRITING = tuple(i for i in EVERY if OPERATIONS[i].kind == "write")
UNRECORDED = tuple(i for i in EVERY if OPERATIONS[i].silent or OPERATIONS[i].kind == "detached")
CLONE = next(row for row in OPERATIONS if row.text == "x.clone()" and not row.silent)


def numbered(text: str) -> int:
    """Number of the operation with this text."""
    return next(i for i in EVERY if OPERATIONS[i].text == text)


# Layout and shape (as numbers) of the leaf, and the steps before the one that a small program is about.
SETTINGS: tuple[tuple[int, int, list[tuple[int, ...]]], ...] = (
    (0, 0, []),
    (1, 0, []),
    (2, 7, []),
    (3, 0, []),
    (4, 2, []),
    (5, 8, []),
    (6, 14, []),
    (0, 11, []),
    (0, 0, [(numbered("torch.sin(x)"), 1, 0, 0)]),
    (0, 7, [(numbered("torch.neg(x)"), 1, 0, 0), (numbered("x.transpose({0}, {1})"), 0, 0, 0)]),
    (1, 4, [(numbered("x.clone()"), 1, 0, 0), (numbered("x.narrow({0}, {1}, {2})"), 0, 0, 4)]),
    (0, 5, [(numbered("torch.sigmoid(x)"), 1, 0, 0), (numbered("x.expand({0})"), 0, 0, 0)]),
)
BESIDE = (0, 1, 5, 6, 2, 7)  # shapes of the other leaf: equal, or broadcast


def assembled(
    leaf_seeds: Sequence[tuple[int, ...]], step_seeds: Sequence[tuple[int, ...]], device: str = "cpu",
    risky: bool = False, exact: bool = False, further: int = 0,
) -> Program:  # fmt: skip
    """The program of these numbers. ``risky``: with writes that may spoil what a derivative needs; ``exact``: float64.

    ``further``: a second root counted back from the last one, or none for 0.
    """
    bench = Assembly([leaf_of(number, seed, device, exact) for number, seed in enumerate(leaf_seeds)], risky, exact)
    for seed in step_seeds:
        bench.add(*seed)
    return bench.program(further)


def leaf_of(number: int, seed: tuple[int, ...], device: str, exact: bool) -> Strided:
    """The plan of a leaf: numbers in general position, no two of them equal over all leaves of a program."""
    shape, layout, dtype = SHAPES[seed[0]], LAYOUTS[seed[1]], DTYPES[seed[2]]
    low, high = RANGES[seed[3]]
    share = (0.38 + 0.6180339887 * np.arange(31 * number, 31 * number + 24)) % 1.0
    data = tuple(float(x) for x in np.round(low + (high - low) * share, 4))
    return strided("float64" if exact else dtype, shape, layout, data, device)


class Assembly:
    """A program in the making."""

    def __init__(self, leaves: list[Strided], risky: bool, exact: bool) -> None:
        self.leaves, self.risky, self.exact = leaves, risky, exact
        self.steps: list[Step] = []
        starts = [np.array(leaf.array, np.float64) for leaf in leaves]
        self.duals = seeded(starts, sum(start.size for start in starts))
        self.dtypes = [leaf.dtype for leaf in leaves]
        self.ledger = Ledger(len(leaves))

    def add(self, operation: int, first: int, second: int, arguments: int) -> None:
        """The step that four numbers describe, or a plainer one, or none."""
        row = OPERATIONS[operation % len(OPERATIONS)]
        tries: tuple[Operation, ...]
        if row.kind == "write":
            target = self._target(first, row)
            if target is None:
                self._try(CLONE, len(self.duals) - 1 - first % len(self.duals), second, arguments)
                target = len(self.duals) - 1
            tries = (row, PLAIN_WRITE)
        else:
            target = len(self.duals) - 1 - first % len(self.duals)
            tries = (row, PLAIN if row.operands == 1 else PLAIN_PAIR, PLAIN)
        for candidate in tries:
            if self._try(candidate, target, second, arguments):
                return

    def program(self, further: int) -> Program:
        """The program; it starts backward from the latest value that depends on a leaf, and maybe from another one."""
        able = [i for i in reversed(range(len(self.duals))) if self.ledger.leaves_of(i)]
        last, others = able[0], [i for i in able[1:] if i >= len(self.leaves)]
        roots = (others[(further - 1) % len(others)], last) if further and others else (last,)
        return Program(tuple(self.leaves), tuple(self.steps), roots)

    def _target(self, first: int, row: Operation) -> int | None:
        """A value that may be written: one of which no derivative needs the values as they are, unless it is risky."""
        able = [
            i
            for i in range(len(self.duals))
            if self.ledger.may_be_written(i) and (self.risky or self.ledger.memory[i] not in self.ledger.saved)
        ]
        return able[-1 - first % len(able)] if able else None

    def _try(self, row: Operation, target: int, second: int, arguments: int) -> bool:
        """Add the step if it is defined, smooth and moderate here."""
        if row.since is not None and out_of_range(torch.__version__, row.since, None):
            return False
        if row.result is not None and (self.exact or row.result == self.dtypes[target]):
            return False  # a conversion that converts nothing may return its operand itself
        operands = [target]
        if row.operands > 1:
            fitting = self._fitting(row, target, arguments)
            if not fitting:
                return False
            operands += [fitting[(second + turn) % len(fitting)] for turn in range(row.operands - 1)]
        duals = [self.duals[i] for i in operands]
        if row.pairs == "broadcast" and not _broadcasts((), *(dual.value.shape for dual in duals)):
            return False
        chosen = row.choose(arguments, *duals)
        if chosen is None or not row.needs(duals, chosen[1]):
            return False
        text = row.text.format(*chosen[0])
        step = Step(text, tuple(operands), row.rule, chosen[1], row.kind, row.keeps, row.silent)
        return self._take(step, duals, row.result or self._promoted(step))

    def _take(self, step: Step, duals: list[Dual], dtype: str) -> bool:
        if step.kind == "write":  # looked at first: a write cannot be taken back
            value, slope = step.rule(*duals, *step.numbers)
            if not _moderate(value, slope):
                return False
        found = settled(step, duals)
        if not _moderate(*found):
            return False
        self.steps.append(step)
        self.duals.append(found)
        self.dtypes.append(dtype)
        self.ledger.add(step)
        return True

    def _fitting(self, row: Operation, target: int, arguments: int) -> list[int]:
        """Values that can stand beside the target: the target itself first, if it can, then the latest."""
        order = [target, *(i for i in reversed(range(len(self.duals))) if i != target)]
        shape = self.duals[target].value.shape
        found = []
        for i in order:
            other = self.duals[i].value.shape
            if row.alike and self.dtypes[i] != self.dtypes[target]:
                continue
            # a part of the memory that is written must not be read at the same time, but self may
            if row.kind == "write" and i != target and self.ledger.memory[i] == self.ledger.memory[target]:
                continue
            if row.kind == "write" and i == target and (row.pairs == "any" or (row.keeps and not self.risky)):
                continue
            if row.pairs == "any":
                fits = row.operands == 3 or row.choose(arguments, self.duals[target], self.duals[i]) is not None
            else:
                fits = _broadcasts(shape, other, into=row.pairs == "into")
            if fits:
                found.append(i)
        return found

    def _promoted(self, step: Step) -> str:
        """Element type of the step's result: that of tensors with dimensions goes before that of those without."""
        if step.kind == "write":
            return self.dtypes[step.operands[0]]
        wide = [i for i in step.operands if self.duals[i].value.ndim] or list(step.operands)
        return "float64" if any(self.dtypes[i] == "float64" for i in wide) else "float32"


def _moderate(value: np.ndarray, slope: np.ndarray) -> bool:
    return bool(
        np.size(value) <= ELEMENTS
        and (np.abs(value) <= LARGEST).all()  # false for NaN too
        and (np.abs(slope) <= STEEPEST).all()
    )


def _broadcasts(*shapes: tuple[int, ...], into: bool = False) -> bool:
    """Whether these shapes go together; ``into``: to the first of them."""
    try:
        found = np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return found == shapes[0] or not into


def seeds_of(random: Random) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The numbers of a random program: of its leaves and of its steps."""
    leaves = [tuple(random.randrange(n) for n in LEAF_SEED) for _ in range(random.choice((1, 2, 2, 3, 4)))]
    return leaves, [tuple(random.randrange(n) for n in STEP_SEED) for _ in range(random.randint(1, 8))]


def with_one_of(steps: list[tuple[int, ...]], among: tuple[int, ...], number: int) -> list[tuple[int, ...]]:
    """The numbers of steps, where one step, early or late, is one of these operations."""
    place = number // len(among) % len(steps)
    return [*steps[:place], (among[number % len(among)], *steps[place][1:]), *steps[place + 1 :]]


@cache
def random_programs(
    count: int, seed: int, device: str = "cpu", among: tuple[int, ...] = EVERY, risky: bool = False, exact: bool = False
) -> tuple[Program, ...]:
    """``count`` programs from a fixed seed, the same in every run; each of the operations in ``among`` in its turn."""
    random = Random(seed)
    found = []
    for number in range(count):
        leaves, steps = seeds_of(random)
        # neighbours in the table are of one kind: strides bring every kind early
        steps = with_one_of(steps, among, number * 83 % (8 * len(among)))
        found.append(assembled(leaves, steps, device, risky, exact, max(0, random.randrange(-3, FURTHER))))
    return tuple(found)


@cache
def small_programs(device: str = "cpu", every: int = 1, exact: bool = False) -> tuple[Program, ...]:
    """Every operation in every setting: as the first step on a leaf of each layout, on views, on a value used twice.

    ``every``: only one of so many, which has to share no factor with the number of settings.
    """
    found = []
    for operation in EVERY:
        for number, (layout, shape, before) in enumerate(SETTINGS):
            if (operation * len(SETTINGS) + number) % every:
                continue
            turn = operation + number
            # a product has shapes of its own; its operands after the first are found latest first
            own = [SHAPES.index(each) for each in OPERATIONS[operation].shapes] if not before else []
            kind = (turn % 3, turn // 2 % 3)
            shapes = [own[0], *reversed(own[1:])] if own else [shape, BESIDE[turn % len(BESIDE)]]
            leaves = [(each, layout if each == shapes[0] or own else 0, *kind) for each in shapes]
            second = 1 if own else turn % 2 * (1 + turn // 2 % 3)
            steps = [*before, (operation, 0 if before else len(shapes) - 1, second, turn * 5 % 48)]
            found.append(assembled(leaves, steps, device, False, exact))
    return tuple(found)


# What comes before a write, which value it writes and which one is the second root, both counted back: a result that
# is written itself, an operand that is written after its use, a base used and then written through a view, and so on.
BEFORE_A_WRITE: tuple[tuple[tuple[str, ...], int, int], ...] = (
    (("torch.exp(x)",), 0, 0),
    (("torch.tanh(x)",), 0, 0),
    (("torch.sigmoid(x)",), 0, 0),
    (("x.clone()", "torch.sin(x)"), 1, 1),
    (("x.clone()", "torch.mul(x, y)"), 1, 1),
    (("x.clone()", "torch.sub(x, y)"), 1, 1),
    (("x.clone()", "torch.sum(x)"), 1, 1),
    (("x.clone()", "x.transpose({0}, {1})", "torch.cos(x)"), 2, 1),
    (("x.clone()", "x.transpose({0}, {1})", "torch.cos(x)"), 1, 1),
    (("x.clone()", "x.select({0}, {1})"), 0, 2),
    (("torch.neg(x)", "x[..., {0}::2]"), 1, 1),
)


@cache
def writing_programs(device: str = "cpu", risky: bool = False) -> tuple[Program, ...]:
    """Every write after each of these: what it writes is a result, an operand, a view or the base of one."""
    found = []
    for operation in WRITING:
        for turn, (before, back, further) in enumerate(BEFORE_A_WRITE):
            shape = (0, 7, 4, 8)[(operation + turn) % 4]
            kind = (operation + turn) % 3
            leaves = [(shape, turn % 3, kind, turn % 2), (shape, 0, kind, turn % 2)]
            # each step takes the latest value, the first of them the first leaf
            steps = [(numbered(text), int(not place), turn % 2, turn + operation) for place, text in enumerate(before)]
            steps.append((operation, back, 1 + turn % 2, turn + operation))
            found.append(assembled(leaves, steps, device, risky, False, further))
    return tuple(found)
