"""Listings of pools: loaders with workers, and what befalls them, written out as programs of plain torch.

A check does not run these texts: they are what a failure shows as its minimal input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.inputs import data_listings
from conformance.inputs.data_listings import UNTIL_IT_RAISES, method, written_class

# What worker_init_fn does, by the names that ``Pool.init`` knows.
INITS = {
    "note": ["print(data.get_worker_info())"],
    "recipe": ["np.random.seed(torch.initial_seed() % 2**32)", "random.seed(torch.initial_seed() % 2**32)"],
    "seed": ["torch.manual_seed(1000 + worker_id)"],
    "shard": [
        "worker = data.get_worker_info()",
        "worker.dataset.first, worker.dataset.step = worker.id, worker.num_workers",
    ],
}
# Samples that show what the init function is for.
SHOWN = {
    "recipe": "(key, int(torch.randint(2**31, ())), np.random.randint(2**31 - 1), random.getrandbits(31))",
    "seed": "(key, int(torch.randint(2**31, ())))",
}
TENSORS = "lambda batch: torch.tensor(batch, dtype=torch.float64).reshape(-1, 1).expand(-1, 600).clone()"
CHILDREN = "print(torch.multiprocessing.active_children())"


def dataset(case: Any, before: Sequence[str] = (), begun: Sequence[str] = ()) -> str:
    """The dataset of a pool; ``before`` are lines for each key, ``begun`` those at the beginning of a stream."""
    sample = SHOWN.get(case.init, "key")
    if case.style == "map":
        return data_listings.mapped(case.size, sample, *before)
    first, keys = [], f"range({case.size})"
    if case.style == "sharded":
        first, keys = ["worker = data.get_worker_info()"], f"range(worker.id, {case.size}, worker.num_workers)"
    elif case.init == "shard":
        keys = f"range(self.first, {case.size}, self.step)"
    loop = [f"for key in {keys}:", *(f"    {line}" for line in before), f"    yield {sample}"]
    members = ["    first, step = 0, 1"] if case.init == "shard" else []
    members.append(method("__iter__(self)", *begun, *first, *loop))
    members += [data_listings.sized(case.size)] if case.sized else []
    return written_class("Samples", "data.IterableDataset", *members)


def options(case: Any, **others: str) -> list[str]:
    """The arguments beside the dataset, those with their default value left out; ``others`` are further ones."""
    told = {
        "num_workers": case.workers, "batch_size": case.batch_size, "drop_last": case.drop_last,
        "shuffle": case.shuffle, "persistent_workers": case.persistent, "prefetch_factor": case.prefetch,
        "generator": None if case.own_seed is None else f"torch.Generator().manual_seed({case.own_seed})",
        "worker_init_fn": "init" if case.init else None, "in_order": case.in_order,
        "collate_fn": "lambda batch: batch", **others,
    }  # fmt: skip
    plain = {"batch_size": 1, "drop_last": False, "shuffle": False, "persistent_workers": False, "in_order": True}
    return [f"{name}={value}" for name, value in told.items() if value != plain.get(name)]


def pool(
    case: Any, *run: str, before: Sequence[str] = (), begun: Sequence[str] = (), init: Sequence[str] = (),
    defined: str = "", kinds: Sequence[type] = (), imports: Sequence[str] = (), **others: str,
) -> str:  # fmt: skip
    """The program of a pool and of what is run then: its epochs, unless something else is given.

    ``before``, ``begun`` and ``init`` are lines for each key, for a stream's beginning and for worker_init_fn;
    ``kinds`` are the types that they name, ``others`` arguments of the loader.
    """
    started = [*init, *INITS.get(case.init, [])]
    initial = "\n".join(["def init(worker_id):", *(f"    {line}" for line in started), ""]) if case.init else ""
    parted = case.taken is not None
    part = f"print(list(itertools.islice(loader, {case.taken})))"
    epochs = [*[part if parted else "print(list(loader))"] * (case.epochs - 1), "print(list(loader))"]
    needed = [*imports, *(["random"] if case.init == "recipe" else []), *(["itertools"] if parted and not run else [])]
    return data_listings.program(
        *(f"import {name}" for name in needed), *data_listings.needed(kinds), dataset(case, before, begun),
        initial, defined, f"torch.manual_seed({case.seed})",
        data_listings.loader("Samples()", *options(case, **others)), "print(len(loader))" if case.sized else "",
        "\n".join(run or epochs),
    )  # fmt: skip


# --- what befalls a pool ------------------------------------------------------------------------------------------


def unwatched(case: Any) -> Any:
    """The same pool without an init function that only shows who is there."""
    return replace(case, init="") if case.init == "note" else case


def failing(case: Any, raised: str, kinds: Sequence[type]) -> str:
    """A pool in one place of which an exception is raised; persistent workers go through a second epoch."""
    run = "\n".join([UNTIL_IT_RAISES] * (2 if case.pool.persistent else 1))
    if case.where == "collate":
        found = f"    if {case.at} in (batch if isinstance(batch, list) else [batch]):\n        raise {raised}"
        collate = f"def collate(batch):\n{found}\n    return batch\n"
        return pool(unwatched(case.pool), run, kinds=kinds, defined=collate, collate_fn="collate")
    if case.where == "sampler":
        loop = [
            f"for key in range({case.pool.size}):",
            *(f"    {line}" for line in data_listings.raising("key", case.at, raised)),
        ]
        drawn = "def draw():\n" + "\n".join(f"    {line}" for line in [*loop, "    yield key"]) + "\n"
        begun = run.replace("iterator = iter(loader)\ntry:\n", "try:\n    iterator = iter(loader)\n")
        return pool(unwatched(case.pool), begun, kinds=kinds, defined=drawn, sampler="draw()")
    if case.where in ("init", "iter"):
        asked = "worker_id" if case.where == "init" else "data.get_worker_info().id"
        lines = data_listings.raising(asked, case.at, raised)
        if case.where == "init":
            return pool(replace(case.pool, init="raise"), run, kinds=kinds, init=lines)
        return pool(unwatched(case.pool), run, kinds=kinds, begun=lines)
    held = ["if key == 0:", "    time.sleep(1)"] if case.where == "later" else []
    before = [*held, *data_listings.raising("key", case.at, raised)]
    return pool(unwatched(case.pool), run, kinds=kinds, before=before, imports=["time"] if held else [])


def late(case: Any) -> str:
    """A pool one sample of which takes longer than the timeout."""
    before = [f"if key == {case.slow}:", f"    time.sleep({10 * case.timeout})"]
    return pool(unwatched(case.pool), UNTIL_IT_RAISES, imports=["time"], before=before, timeout=repr(case.timeout))


def ended_process(way: str, process: str = "os.getpid()") -> str:
    """What ends a process by a signal, or this one by leaving with a status."""
    return f"os.kill({process}, signal.{way})" if way.startswith("SIG") else f"os._exit({way})"


def killed(case: Any) -> str:
    """A pool one worker of which ends at a sample."""
    before = [f"if key == {case.at}:", f"    {ended_process(case.ways[0])}"]
    others: dict[str, Any] = {"timeout": repr(case.timeout)} if case.timeout else {}
    return pool(unwatched(case.pool), UNTIL_IT_RAISES, CHILDREN, imports=["os", "signal"], before=before, **others)


def overtaken(case: Any) -> str:
    """A pool one sample of which takes longer than the others, loaded in order and in any order."""
    before = [f"if key == {case.slow}:", "    time.sleep(1)"]
    quiet = unwatched(case.pool)
    orders = [data_listings.loader("Samples()", *options(quiet, in_order=order)) for order in ("True", "False")]
    turns = [f"{order}\nprint(list(loader))" for order in orders]
    return pool(quiet, "print(list(loader))", *turns, imports=["time"], before=before)


def ended(case: Any) -> str:
    """A pool that sends tensors by a sharing strategy, whose iterator ends in some way, and the children left."""
    strategy = f"torch.multiprocessing.set_sharing_strategy({case.strategy!r})"
    before = data_listings.raising("key", case.pool.size - 1, "ValueError" if case.end == "exception" else "")
    imported = ["gc"] if case.end == "cycle" or case.pool.persistent else []
    if case.end == "interrupted":
        imported = ["os", "signal", "time"]
        before = [f"if key == {case.pool.size - 1}:", "    os.kill(os.getppid(), signal.SIGINT)", "    time.sleep(1)"]
    last = {
        "exhausted": "print([batch[:, 0] for batch in iterator])", "deleted": "del iterator",
        "cycle": "cycle = [iterator]\ncycle.append(cycle)\ndel iterator, cycle\ngc.collect()",
        "exception": UNTIL_IT_RAISES.removeprefix("iterator = iter(loader)\n") + "\ndel iterator",
        "interrupted": "try:\n    print(list(iterator))\nexcept KeyboardInterrupt:\n    del iterator",
    }[case.end]  # fmt: skip
    drawn = ["print(next(iterator)[:, 0])"] * case.taken
    loaded = ["del iterator, loader\ngc.collect()" if case.end == "exhausted" else "del loader\ngc.collect()", CHILDREN]
    whole = ["print(len(list(loader)))"] * (case.pool.epochs - 1)
    run = [*whole, "iterator = iter(loader)", *drawn, CHILDREN, last, CHILDREN]
    return pool(
        unwatched(case.pool), *run, *(loaded if case.pool.persistent else []), before=before, defined=strategy,
        collate_fn=TENSORS, imports=imported,
    )  # fmt: skip


def abandoned(pools: Sequence[Any]) -> str:
    """Pools of which a batch each is drawn before the main process is killed."""
    parts = [pool(unwatched(case), "iterators.append(iter(loader))\nprint(next(iterators[-1]))") for case in pools]
    bodies = [part.removeprefix(f"{data_listings.DATA}\n") for part in parts]
    kill = f"time.sleep(1)\n{ended_process('SIGKILL')}"  # a worker that has not begun would not see the end
    return data_listings.program("import os, signal, time", "iterators = []", *bodies, CHILDREN, kill)
