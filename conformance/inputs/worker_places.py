"""Places in the main process from which ``get_worker_info`` may be called."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.utils.data
from torch.utils.data import Dataset, IterableDataset

from conformance.engine.cases import Inputs
from conformance.inputs import data_listings

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def note_worker_info(seen: list[Any]) -> int:
    """Note what ``get_worker_info`` returns here."""
    seen.append(torch.utils.data.get_worker_info())
    return 0


class AskingMap(Dataset[Any]):  # type: ignore[misc]
    """A map-style dataset that asks in ``__getitem__``."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __getitem__(self, index: Any) -> int:
        return note_worker_info(self.seen)

    def __len__(self) -> int:
        return 3


class AskingStream(IterableDataset[Any]):  # type: ignore[misc]
    """An iterable dataset that asks in ``__iter__``, at the begin and at each sample."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __iter__(self) -> Iterator[int]:
        note_worker_info(self.seen)
        for _ in range(3):
            yield note_worker_info(self.seen)


@dataclass(frozen=True)
class WorkerPlace:
    """A place by its name."""

    place: str

    def seen(self) -> list[Any]:
        """What get_worker_info returned there, each time."""
        seen: list[Any] = []
        if self.place == "call":
            note_worker_info(seen)
        elif self.place == "thread":
            thread = threading.Thread(target=note_worker_info, args=(seen,))
            thread.start()
            thread.join()
        else:
            data: Any = {"getitem": AskingMap, "iter": AskingStream}.get(self.place, AskingMap)(seen)
            collate = (lambda batch: note_worker_info(seen)) if self.place == "collate" else None
            for _ in torch.utils.data.DataLoader(data, batch_size=2, num_workers=0, collate_fn=collate):
                note_worker_info(seen)
        return seen

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"places": self.place}

    def code(self) -> str:
        """The call in plain torch."""
        call = "data.get_worker_info()"
        if self.place == "call":
            return data_listings.program(f"print({call})")
        if self.place == "thread":
            thread = f"thread = threading.Thread(target=lambda: print({call}))\nthread.start()\nthread.join()"
            return data_listings.program("import threading", thread)
        asked, collate = f"str({call})", ""
        if self.place == "collate":
            asked, collate = "0", f"collate_fn=lambda batch: {asked}"
        dataset = data_listings.streamed(3, asked) if self.place == "iter" else data_listings.mapped(3, asked)
        made = data_listings.loader("Samples()", "batch_size=2", collate)
        return data_listings.program(dataset, made, "print(list(loader))")


def worker_places(cell: Cell) -> Inputs:
    """A plain call, a thread, and the parts of a loader without workers."""
    return Inputs([WorkerPlace(place) for place in ("call", "thread", "getitem", "iter", "collate")])
