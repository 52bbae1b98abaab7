"""Empty shards: a shard that none of the cells asked for falls into has a record all the same, and has succeeded."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from conformance.selftest.projects import launch, project
from reports.command import main
from reports.reading import load
from reports.schema import text as schema_text


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_shard_without_cells_has_a_record(tmp_path: Path, workers: str) -> None:
    """Its record is whole and has no cell, so that ``merge`` misses no shard; the run ends with 0."""
    folder = project(tmp_path / "p", {"passes": "must"})
    paths = []
    for part in (1, 2, 3):
        path = folder / "reports" / "runs" / "latest.json"
        run = launch(folder, "-n", workers, "--shard", f"{part}/3")
        assert 0 == run.status, run.output
        assert run.record is not None, run.output
        jsonschema.validate(run.record, json.loads(schema_text()))
        assert (True, len(run.record["cells"]), 1) == (
            run.record["complete"], run.record["planned"], run.record["available"],
        )  # fmt: skip
        said = f"run record:   reports/runs/latest.json (no cell: none is in shard {part}/3)"
        assert (said in run.output.splitlines()) is (not run.record["cells"])
        paths.append(path.rename(tmp_path / f"{part}.json"))
    merged = tmp_path / "merged.json"

    assert 0 == main(["merge", *map(str, paths), "-o", str(merged)])
    assert [1, 1] == [load(merged).run.planned, len(load(merged).run.cells)]
    assert 0 == main(["build", str(paths[0]), "-o", str(tmp_path / "page")])


def test_a_misspelt_name_is_no_empty_shard(tmp_path: Path) -> None:
    """Where no cell was asked for, nothing is recorded, and the exit status is pytest's for that."""
    folder = project(tmp_path / "p", {"passes": "must"})
    run = launch(folder, "-n", "1", "--shard", "1/3", "-k", "nosuchcell")

    assert (5, None) == (run.status, run.record), run.output
    assert "found none that does: no record is written" in run.output
