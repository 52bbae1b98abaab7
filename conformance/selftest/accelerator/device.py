"""The module ``torch.fake``: current device, streams, events, allocator statistics, graphs."""

from __future__ import annotations

import itertools
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from conformance.selftest.accelerator.memory import POOLS, TOTAL, block_of

NAME = "fake"
PRIVATE_USE = 20  # the number of PrivateUse1 among types of devices
FAULTS: set[str] = set()  # its breaks that are in place


def faulty(name: str) -> bool:
    """Whether a break is in place."""
    return name in FAULTS


_SELECTED = [0]


def index_of(device: Any) -> int:
    """The number of a device in any spelling; that of the selected one for none."""
    if device is None:
        return _SELECTED[0]
    if isinstance(device, int):
        return _SELECTED[0] if device < 0 else device
    found = torch.device(device)
    return _SELECTED[0] if found.index is None else found.index


class Stream(torch.Stream):
    """A queue of work; what is in it is done when somebody asks for it."""

    numbers = itertools.count(1)
    known: ClassVar[weakref.WeakValueDictionary[int, Stream]] = weakref.WeakValueDictionary()

    def __new__(cls, device: Any = None, priority: int = 0) -> Stream:
        number, index = next(cls.numbers), 0 if faulty("streams of the first device") else index_of(device)
        made = super().__new__(cls, stream_id=number, device_index=index, device_type=PRIVATE_USE)
        cls.known[number] = made
        made.queue, made.issued, made.done = deque(), 0, 0
        return made

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        pass

    def put(self, work: Callable[[], None]) -> None:
        """Have something done, after all that was put here before."""
        if faulty("last work first") and self.queue:
            self.queue.appendleft(work)
        else:
            self.queue.append(work)
        self.issued += 1

    def run(self, place: int | None = None) -> None:
        """Do what was put here, up to a place."""
        while self.queue and (place is None or self.done < place):
            work = self.queue.popleft()
            self.done += 1
            work()

    def synchronize(self) -> None:
        if not faulty("synchronize of a stream"):
            self.run()

    def query(self) -> bool:
        return not self.queue

    def wait_stream(self, stream: Stream) -> None:
        place = stream.issued
        if faulty("wait_stream at once"):
            return
        self.put(lambda: stream.run(place))

    def wait_event(self, event: Event) -> None:
        event.wait(self)

    def record_event(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        self.before = current_stream()
        _CURRENT[self.device.index] = self
        return self

    def __exit__(self, *_: Any) -> None:
        _CURRENT[self.before.device.index] = self.before


class Event:
    """A place in a stream."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.timing, self.stream, self.place = enable_timing, None, 0

    def record(self, stream: Stream | None = None) -> None:
        self.stream = current_stream() if stream is None else stream
        self.place = self.stream.issued
        Event.clock += 1
        self.time = Event.clock

    clock = 0

    def wait(self, stream: Stream | None = None) -> None:
        other, place = self.stream, self.place
        if other is not None and not faulty("wait of an event"):
            (current_stream() if stream is None else stream).put(lambda: other.run(place))

    def query(self) -> bool:
        return self.stream is None or self.stream.done >= self.place or faulty("query of an event")

    def synchronize(self) -> None:
        if self.stream is not None and not faulty("synchronize of an event"):
            self.stream.run(self.place)

    def elapsed_time(self, end: Event) -> float:
        if not (self.timing and end.timing) and not faulty("timing unasked"):
            raise RuntimeError("Both events must be created with argument 'enable_timing=True'.")
        if self.stream is None or end.stream is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end.time - self.time) * (-0.001 if faulty("time runs backwards") else 0.001)


class Graph:
    """What was done while it was captured, to be done again."""

    capturing: Graph | None = None

    def __init__(self) -> None:
        self.works: list[Callable[[], None]] = []

    def replay(self) -> None:
        current_stream().run()
        for work in self.works[1:] if faulty("first of a graph") else self.works:
            work()


@contextmanager
def graph(captured: Graph, pool: Any = None, stream: Any = None, **_: Any) -> Iterator[None]:
    synchronize()
    Graph.capturing = captured
    try:
        yield
    finally:
        Graph.capturing = None


_DEFAULT = [Stream(index) for index in range(len(POOLS))]
_CURRENT = list(_DEFAULT)


def set_device(device: Any) -> None:
    if not (isinstance(device, int) and device < 0):
        _SELECTED[0] = index_of(device)


class device:  # noqa: N801 (as torch.cuda calls it)
    def __init__(self, which: Any) -> None:
        self.which = _SELECTED[0] if which is None else index_of(which)

    def __enter__(self) -> None:
        self.before = _SELECTED[0]
        _SELECTED[0] = self.which

    def __exit__(self, kind: Any, *_: Any) -> None:
        if not (kind is not None and faulty("restoring after an exception")):
            _SELECTED[0] = self.before


def current_stream(device: Any = None) -> Stream:
    return _CURRENT[index_of(device)]


def default_stream(device: Any = None) -> Stream:
    return _DEFAULT[index_of(device)]


def set_stream(stream: Stream) -> None:
    _CURRENT[stream.device.index] = stream


@contextmanager
def stream_context(stream: Stream | None) -> Iterator[None]:
    if stream is None:
        yield
        return
    before, selected = _CURRENT[stream.device.index], _SELECTED[0]
    _SELECTED[0] = stream.device.index
    _CURRENT[stream.device.index] = stream
    try:
        yield
    except BaseException:
        if faulty("stream after an exception"):
            before = stream
        raise
    finally:
        _CURRENT[stream.device.index], _SELECTED[0] = before, selected


def synchronize(device: Any = None) -> None:
    if Graph.capturing is not None and not faulty("waiting while capturing"):
        raise RuntimeError("operation not permitted when stream is capturing")
    index = index_of(device)
    streams = _DEFAULT if faulty("streams of one's own") else list(Stream.known.values())
    streams = [stream for stream in streams if not (stream in _DEFAULT and faulty("the default stream"))]
    for stream in streams:
        if stream.device.index == index:
            stream.run()


def record_stream(tensor: torch.Tensor, stream: torch.Stream) -> None:
    stream = Stream.known[stream.stream_id]
    block = block_of(tensor)
    if block is not None and not faulty("record_stream"):
        block.users.add(stream)


def memory_allocated(device: Any = None) -> int:
    pool = POOLS[0 if faulty("statistics of the first device") else index_of(device)]
    return max(pool.peak, pool.allocated()) if faulty("allocated is the peak") else pool.allocated()


def memory_reserved(device: Any = None) -> int:
    pool = POOLS[index_of(device)]
    return pool.allocated() if faulty("reserved is allocated") else pool.reserved()


def max_memory_allocated(device: Any = None) -> int:
    return POOLS[index_of(device)].peak


def reset_peak_memory_stats(device: Any = None) -> None:
    pool = POOLS[index_of(device)]
    pool.peak = 0 if faulty("peak of nothing") else pool.allocated()


def memory_stats(device: Any = None) -> dict[str, int]:
    pool = POOLS[index_of(device)]
    counts = {"allocated": pool.taken, "current": pool.allocated(), "peak": pool.peak}
    return {f"allocated_bytes.all.{name}": count for name, count in counts.items()}


def empty_cache() -> None:
    for pool in POOLS:
        if not faulty("empty_cache"):
            pool.trim()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    if not faulty("fraction"):
        POOLS[index_of(device)].limit = int(TOTAL * fraction)


MODULE = types.ModuleType("torch.fake")
MODULE.Stream, MODULE.stream, MODULE.Event = Stream, stream_context, Event
MODULE.CUDAGraph, MODULE.graph, MODULE.device = Graph, graph, device
for function in (
    set_device, current_stream, default_stream, set_stream, synchronize, memory_allocated, memory_reserved,
    max_memory_allocated, memory_stats, reset_peak_memory_stats, empty_cache, set_per_process_memory_fraction,
):  # fmt: skip
    setattr(MODULE, function.__name__, function)
MODULE.current_device = lambda: _SELECTED[0]
MODULE.is_available = MODULE.is_initialized = lambda: True
MODULE.device_count = lambda: len(POOLS)
MODULE.get_device_name = lambda device=None: "Made-up accelerator"
MODULE._is_in_bad_fork = lambda: False
MODULE.manual_seed_all = torch.default_generator.manual_seed
MODULE.manual_seed = torch.default_generator.manual_seed
MODULE.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
MODULE.get_rng_state = lambda device=None: torch.get_rng_state()
MODULE.set_rng_state = lambda state, device=None: torch.set_rng_state(state)
