"""The documented names of the builds, and the behaviours that name them, whatever was run."""

from __future__ import annotations

from collections.abc import Sequence

from reports.model import Run
from reports.pool import Pool


def index(runs: Sequence[Run]) -> dict[str, object]:
    """What the page shows: each name with the runs whose builds document it and the behaviours that name it."""
    found: dict[str, tuple[list[int], dict[str, None]]] = {}
    for number, run in enumerate(runs):
        for group in run.surface:
            for name in group.names:
                having, behaviours = found.setdefault(name, ([], {}))
                having.append(number)
                behaviours.update(dict.fromkeys(group.behaviours))
    ids, sets = Pool(), Pool()
    names = [
        [name, sets.number([ids.number(behaviour) for behaviour in behaviours]), having]
        for name, (having, behaviours) in sorted(found.items())
    ]
    return {"behaviours": ids.values, "sets": sets.values, "names": names}
