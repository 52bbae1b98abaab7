"""Sessions: what may be done with one loader over several epochs, one thing after the other.

A step is a name and two numbers, which pick iterators, amounts and saved states. A step that has no meaning in the
state reached is left out, so that any list of steps is a session.
Reference: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings
from conformance.inputs.loaders import SAMPLER, SEQUENTIAL, SHUFFLED, MapSamples, SizedStream, listed_samples

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

STEPS = ("start", "start", "draw", "draw", "draw", "finish", "drop", "save", "restore", "set_epoch", "length", "glance")
SESSION_ORDERS = (SEQUENTIAL, SHUFFLED, "shuffled by a generator", SAMPLER, "iterable")


class EpochSampler:
    """A sampler with ``set_epoch``: the keys, turned by so many places."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys, self.epoch = list(keys), 0

    def __iter__(self) -> Iterator[int]:
        turn = self.epoch % len(self.keys)
        return iter(self.keys[turn:] + self.keys[:turn])

    def __len__(self) -> int:
        return len(self.keys)

    def set_epoch(self, epoch: int) -> None:
        """Turn the keys by ``epoch`` places."""
        self.epoch = epoch


@dataclass(frozen=True)
class EpochsSet:
    """A loader with a sampler that is told the epoch before each: of torch, shuffled or not, or of this module."""

    sampler: str
    epochs: tuple[int, ...]
    batch_size: int | None = 4

    def build(self) -> tuple[Any, Any]:
        """The sampler and the loader."""
        if self.sampler == "turning":
            sampler: Any = EpochSampler(range(12))
        else:
            sampler = torch.utils.data.distributed.DistributedSampler(
                range(23), num_replicas=2, rank=1, shuffle=self.sampler == "shuffled"
            )
        dataset = MapSamples("number", 23)
        return sampler, torch.utils.data.DataLoader(dataset, batch_size=self.batch_size, sampler=sampler)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"samplers": self.sampler, "batching": f"batch_size={self.batch_size}"}

    def code(self) -> str:
        """The loader in plain torch."""
        turning = self.sampler == "turning"
        options = f"num_replicas=2, rank=1, shuffle={self.sampler == 'shuffled'}"
        return data_listings.program(
            *data_listings.needed([EpochSampler] if turning else []), data_listings.mapped(23, "3 * key + 1"),
            "sampler = EpochSampler(range(12))" if turning
            else f"sampler = data.DistributedSampler(range(23), {options})",
            data_listings.loader("Samples()", f"batch_size={self.batch_size}", "sampler=sampler"),
            f"for epoch in {self.epochs}:\n    sampler.set_epoch(epoch)\n    print(list(sampler), list(loader))",
        )  # fmt: skip


def set_epochs(cell: Cell) -> Inputs:
    """Samplers of torch and of this module, told one epoch after the other, the same again, and back."""
    return Inputs(
        [EpochsSet(sampler, epochs, size) for sampler in ("shuffled", "unshuffled", "turning")
         for epochs in ((0,), (3,), (0, 1, 2), (5, 5, 0)) for size in (None, 1, 4)]
    )  # fmt: skip


@dataclass
class SessionLog:
    """What a session shows: of each iterator the batches, of each step what it returned, and states of generators."""

    batches: list[list[Any]] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Session:
    """A loader over numbers in an order, and what is done with it."""

    order: str
    size: int
    batch_size: int | None
    drop_last: bool
    steps: tuple[tuple[str, int, int], ...]

    def build(self) -> LiveSession:
        """The loader, and nothing done yet."""
        return LiveSession(self)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            "orders": self.order, "sizes": str(self.size), "batching": f"batch_size={self.batch_size}",
            "steps": [name for name, _, _ in self.steps],
        }  # fmt: skip

    def reductions(self) -> Iterator[Session]:
        """Fewer steps, on the oldest iterators, and fewer samples."""
        for number in range(len(self.steps)):
            yield replace(self, steps=self.steps[:number] + self.steps[number + 1 :])
        for number, (name, first, second) in enumerate(self.steps):
            if first or second > 1:
                step = (name, 0, min(second, 1))
                yield replace(self, steps=(*self.steps[:number], step, *self.steps[number + 1 :]))
        if self.size > 1:
            yield replace(self, size=self.size - 1)

    def code(self) -> str:
        """The session in plain torch."""
        streamed, turned = self.order == "iterable", self.order == SAMPLER
        options = [f"batch_size={self.batch_size}", f"drop_last={self.drop_last}"]
        options += ["shuffle=True"] if self.order.startswith(SHUFFLED) else ["sampler=sampler"] if turned else []
        own = self.order == "shuffled by a generator"
        return data_listings.program(
            data_listings.streamed(self.size, "3 * key + 1", length=self.size) if streamed
            else data_listings.mapped(self.size, "3 * key + 1"),
            *data_listings.needed([EpochSampler] if turned else []),
            f"sampler = EpochSampler(range({self.size}))" if turned else "torch.manual_seed(1)",
            "generator = torch.Generator().manual_seed(3)" if own else "",
            data_listings.loader("Samples()", *options, "generator=generator" if own else ""),
            "\n".join(self.lines()),
        )  # fmt: skip

    def lines(self) -> Iterator[str]:
        """The steps that have a meaning, as lines of Python."""
        generator = "generator" if self.order == "shuffled by a generator" else "torch.default_generator"
        live = LiveSession(self, dry=True)
        for name, place, count in self.steps:
            number = live.meant(name, place)
            if number is None:
                continue
            live.open += [len(live.open)] if name == "start" else []
            newest = f"it{len(live.open) - 1}"
            yield {
                "start": f"{newest} = iter(loader)\nprint([next({newest}, None) for _ in range({1 + count})])",
                "draw": f"print([next(it{number}, None) for _ in range({1 + count})])",
                "finish": f"print(list(it{number}))",
                "drop": f"del it{number}",
                "save": f"state{len(live.saved)} = {generator}.get_state()",
                "restore": f"{generator}.set_state(state{number})",
                "set_epoch": f"sampler.set_epoch({count})",
                "length": "print(len(loader))",
                "glance": "iter(loader)",
            }[name]
            live.note(name, number)


class LiveSession:
    """A session under way."""

    def __init__(self, case: Session, dry: bool = False) -> None:
        self.case, self.log = case, SessionLog()
        self.open: list[int] = []
        self.dropped: set[int] = set()
        self.saved: list[Any] = []
        self.epoch = 0
        if dry:
            return
        self.generator = torch.Generator().manual_seed(3) if case.order == "shuffled by a generator" else None
        self.sampler = EpochSampler(range(case.size))
        options: dict[str, Any] = {"shuffle": True} if case.order.startswith(SHUFFLED) else {}
        if case.order == SAMPLER:
            options["sampler"] = self.sampler
        if self.generator is not None:
            options["generator"] = self.generator
        dataset = (SizedStream if case.order == "iterable" else MapSamples)("number", case.size)
        self.loader = torch.utils.data.DataLoader(
            dataset, batch_size=case.batch_size, drop_last=case.drop_last, collate_fn=listed_samples, **options
        )
        self.iterators: list[Any] = []

    def meant(self, name: str, place: int) -> int | None:
        """What a step is about: the number of an iterator or of a saved state, 0, or None where it has no meaning."""
        if name in ("draw", "finish", "drop"):
            alive = [number for number in self.open if number not in self.dropped]
            return alive[place % len(alive)] if alive else None
        if name == "restore":
            return place % len(self.saved) if self.saved else None
        return 0 if name != "set_epoch" or self.case.order == SAMPLER else None

    def note(self, name: str, number: int) -> None:
        """Keep what a step changes about the meaning of later ones."""
        if name == "drop":
            self.dropped.add(number)
        if name == "save":
            self.saved.append(None)

    def run(self) -> SessionLog:
        """Do the steps."""
        for name, place, count in self.case.steps:
            number = self.meant(name, place)
            if number is not None:
                self.act(name, number, count)
        return self.log

    def act(self, name: str, number: int, count: int) -> None:
        """Do one step."""
        if name == "start":
            self.log.states.append(bytes(self.state().numpy()))
            self.log.epochs.append(self.epoch)
            self.open.append(len(self.iterators))
            self.iterators.append(iter(self.loader))
            self.log.batches.append([])
            self.log.ended.append(False)
            self.draw(len(self.iterators) - 1, 1 + count)
        elif name == "draw":
            self.draw(number, 1 + count)
        elif name == "finish":
            self.draw(number, 1000)
        elif name == "drop":
            self.iterators[number] = None
            self.dropped.add(number)
        elif name == "save":
            self.saved.append(self.state())
        elif name == "restore":
            self.restore(self.saved[number])
        elif name == "set_epoch":
            self.epoch = count
            self.sampler.set_epoch(count)
        elif name == "length":
            self.log.lengths.append(len(self.loader))
        else:
            iter(self.loader)

    def draw(self, number: int, count: int) -> None:
        """Draw from an iterator, up to its end."""
        for _ in range(count):
            try:
                self.log.batches[number].append(next(self.iterators[number]))
            except StopIteration:
                self.log.ended[number] = True
                return

    def state(self) -> torch.Tensor:
        """The state of the generator that shuffles."""
        return torch.get_rng_state() if self.generator is None else self.generator.get_state()

    def restore(self, state: torch.Tensor) -> None:
        """Set it."""
        if self.generator is None:
            torch.set_rng_state(state)
        else:
            self.generator.set_state(state)


# --- sources ------------------------------------------------------------------------------------------------------


@cache
def _sessions(count: int, orders: tuple[str, ...]) -> tuple[Session, ...]:
    draw = random.Random(5)
    found = []
    for number in range(count):
        steps = [(draw.choice(STEPS), draw.randrange(4), draw.randrange(4)) for _ in range(draw.randrange(6, 18))]
        found.append(
            Session(
                orders[number % len(orders)],
                draw.choice((1, 3, 5, 6, 9)),
                size := draw.choice((None, 1, 2, 3)),
                draw.random() < 0.4 and size is not None,
                (("start", 0, draw.randrange(2)), *steps),
            )
        )
    return tuple(found)


def sessions(cell: Cell) -> Inputs:
    """A fixed list of sessions of seven to eighteen steps, and others drawn."""
    from hypothesis import strategies as st

    step = st.tuples(st.sampled_from(STEPS), st.integers(0, 3), st.integers(0, 3))
    drawn = st.builds(
        _session, st.sampled_from(SESSION_ORDERS), st.integers(1, 9), st.sampled_from((None, 1, 2, 3)), st.booleans(),
        st.lists(step, min_size=1, max_size=14).map(tuple),
    )  # fmt: skip
    return Inputs(_sessions(120, SESSION_ORDERS), drawn)


def shuffled_sessions(cell: Cell) -> Inputs:
    """Sessions of loaders that shuffle."""
    return Inputs(_sessions(40, (SHUFFLED, "shuffled by a generator")))


def _session(order: str, size: int, batch_size: int | None, drop_last: bool, steps: Any) -> Session:
    return Session(order, size, batch_size, drop_last and batch_size is not None, steps)
