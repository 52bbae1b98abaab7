"""The commands: exit status 0, 1 and 2, one line for each fault, and no half-made files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest import records
from reports.command import main, parser
from reports.parser import EXAMPLES
from reports.reading import load

Capture = pytest.CaptureFixture[str]


def shards(folder: Path, count: int = 3) -> list[Path]:
    """A run in shards, each in a folder of its own as CI leaves them."""
    whole = records.record(areas=2, behaviours=3, subjects=4, seed=7)
    paths = []
    for part in range(count):
        cells = whole["cells"][part::count]
        settings = records.settings(
            shard=f"{part + 1}/{count}", arguments=["--seed", "0", "--shard", f"{part + 1}/{count}"]
        )
        shard = {**whole, "cells": cells, "planned": len(cells), "settings": settings}
        paths.append(records.save(folder / f"shard{part + 1}", shard, reproducers=True))
    return paths


def arguments(command: str, *rest: object) -> list[str]:
    """A command line."""
    return [command, *map(str, rest)]


def test_build_writes_one_file(tmp_path: Path, capsys: Capture) -> None:
    """``build`` makes the folder, one file in it, and says where."""
    runs = [records.save(tmp_path, records.record(seed=seed), f"{seed}.json") for seed in (1, 2)]

    status = main(arguments("build", *runs, "-o", tmp_path / "new" / "folder"))

    assert status == 0
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'folder' / 'index.html'}\n"
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["index.html"]


@pytest.mark.parametrize("command", ["build", "validate", "merge"])
def test_a_faulty_record_among_good_ones_is_status_2(tmp_path: Path, capsys: Capture, command: str) -> None:
    """One line for each faulty file on the standard error, nothing else, and no file written."""
    good = records.save(tmp_path, records.record())
    bad = [tmp_path / "cut.json", tmp_path / "gone.json"]
    bad[0].write_text(good.read_text()[:500])
    output = [] if command == "validate" else ["-o", tmp_path / "out"]

    status = main(arguments(command, good, *bad, *output))

    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert [line.split(": ")[0] for line in captured.err.splitlines()] == [str(path) for path in bad]
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    """A file in the place of the folder is status 2 and no traceback."""
    run = records.save(tmp_path, records.record())

    status = main(arguments("build", run, "-o", run))

    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith("python -m reports build: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["build", "merge", "junit", "badge", "schema"])
def test_an_output_without_a_name_is_refused(capsys: Capture, command: str) -> None:
    """A variable that is not set writes nothing into the folder where one is."""
    with pytest.raises(SystemExit) as left:
        main([command, *([] if command == "schema" else ["run.json"]), "-o", ""])

    assert 2 == left.value.code
    assert "argument -o/--output: expected a path, such as reports/out; found ''" in capsys.readouterr().err


def test_a_run_that_is_named_twice_is_told(tmp_path: Path, capsys: Capture) -> None:
    """Two columns of one run say nothing: one line a repetition, by whatever name, and no page."""
    run = records.save(tmp_path, records.record(seed=1), "run.json")
    other = records.save(tmp_path, records.record(seed=2), "other.json")
    copy = records.save(tmp_path, records.record(seed=1), "copy.json")
    (tmp_path / "link.json").symlink_to(run)

    status = main(arguments("build", run, other, copy, tmp_path / "link.json", "-o", tmp_path / "out"))

    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.splitlines() == [
        f"{name}: expected each run once, found the run of {run} again; name it once"
        for name in (copy, tmp_path / "link.json")
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["build", "merge", "schema"])
def test_an_output_in_the_way_is_named(tmp_path: Path, capsys: Capture, command: str) -> None:
    """A file where a folder goes, a folder where a file goes: one line that names it, no crumbs, nothing lost."""
    run = records.save(tmp_path / "run", records.small("pass"))
    (tmp_path / "file").write_text("before")
    (tmp_path / "folder").mkdir()
    output = tmp_path / ("file" if command == "build" else "folder")

    status = main(arguments(command, *([] if command == "schema" else [run]), "-o", output))

    kind = "a folder that can be written to" if command == "build" else "a file that can be written"
    expected = f"python -m reports {command}: -o {output}: expected {kind}, found the {output.name} {output}; "
    assert status == 2
    assert capsys.readouterr().err == f"{expected}nothing was written, so name another\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "run"]
    assert (tmp_path / "file").read_text() == "before"


def test_validate_says_valid(tmp_path: Path, capsys: Capture) -> None:
    """A valid record is a line that says so, and says where it is incomplete."""
    whole = records.save(tmp_path, records.small("pass"), "whole.json")
    part = records.save(tmp_path, records.small("pass", complete=False, planned=4), "part.json")

    status = main(arguments("validate", whole, part))

    assert status == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{whole}: valid (1 cell, torch 2.13.0+cpu)",
        f"{part}: valid (1 cell, torch 2.13.0+cpu, incomplete)",
    ]


def test_validate_moves_no_cursor(tmp_path: Path, capsys: Capture) -> None:
    """What a record says of its torch is a part of a line, and no command to the terminal."""
    around = records.environment("2.13.0\x1b[2J\n\x00", ["cpu"])

    main(arguments("validate", path := records.save(tmp_path, records.small("pass", environment=around))))

    assert capsys.readouterr().out == f"{path}: valid (1 cell, torch 2.13.0\\x1b[2J\\n\\x00)\n"


def test_merged_shards_are_the_whole_run(tmp_path: Path, capsys: Capture) -> None:
    """Shards in any order give the run that was cut into them, with the paths of the scripts put right."""
    paths = shards(tmp_path)
    expected = records.record(areas=2, behaviours=3, subjects=4, seed=7)

    status = main(arguments("merge", *reversed(paths), "-o", tmp_path / "run.json"))

    merged = load(tmp_path / "run.json").run
    assert status == 0
    assert "24 cells of 3 records" in capsys.readouterr().out
    assert [cell.id for cell in merged.cells] == [cell["id"] for cell in expected["cells"]]
    assert (merged.complete, merged.planned, merged.settings.shard) == (True, 24, None)
    assert merged.settings.arguments == ["--seed", "0"]
    for cell in merged.cells:
        assert cell.reproducer is None or (tmp_path / cell.reproducer).is_file()


def changed(path: Path, **changes: Any) -> None:
    """Change top keys of a record that is on the disk."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_merge_names_the_shard_that_is_missing(tmp_path: Path, capsys: Capture) -> None:
    """A gap is refused by its name."""
    paths = shards(tmp_path)

    status = main(arguments("merge", paths[0], paths[2], "-o", tmp_path / "run.json"))

    assert (status, capsys.readouterr().err) == (2, "shard 2/3 is missing\n")
    assert not (tmp_path / "run.json").exists()


def test_merge_names_the_shard_that_was_cut_off(tmp_path: Path, capsys: Capture) -> None:
    """A shard without all of its cells is refused, and with --allow-gaps the run is incomplete."""
    paths = shards(tmp_path)
    cells = json.loads(paths[1].read_text())["cells"]
    changed(paths[1], complete=False, cells=cells[:5])

    refused = main(arguments("merge", *paths, "-o", tmp_path / "run.json"))
    error = capsys.readouterr().err
    allowed = main(arguments("merge", *paths, "-o", tmp_path / "run.json", "--allow-gaps"))

    assert (refused, error) == (2, f"{paths[1]}: the run was cut off, 3 planned cells without a verdict\n")
    assert allowed == 0
    assert load(tmp_path / "run.json").run.complete is False


def test_what_was_merged_with_gaps_names_them(tmp_path: Path, capsys: Capture) -> None:
    """A record of two shards of three is not "16 of 16": it says which shard it lacks, here and on the page."""
    paths = shards(tmp_path)

    status = main(arguments("merge", paths[0], paths[2], "-o", tmp_path / "run.json", "--allow-gaps"))

    says = "Shard 2/3 is missing: 16 cells of the others have a verdict."
    assert status == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run.json'}: 16 cells of 2 records, incomplete: {says}\n"
    main(arguments("summary", tmp_path / "run.json"))
    summary = capsys.readouterr().out
    assert says in summary
    assert "16 of 16" not in summary


def test_merge_overwrites_none_of_its_parts(tmp_path: Path, capsys: Capture) -> None:
    """With a shard overwritten, the only record of its cells would be gone: refused, naming it, by any path to it."""
    paths = shards(tmp_path)
    before = paths[1].read_text()
    (tmp_path / "link.json").symlink_to(paths[1])

    status = main(arguments("merge", *paths, "-o", tmp_path / "link.json"))

    assert status == 2
    assert capsys.readouterr().err == (
        f"{paths[1]}: expected an output beside the records that are merged, found -o {tmp_path / 'link.json'}, "
        "which is this very record: name another file\n"
    )
    assert paths[1].read_text() == before


def test_merge_names_the_cells_that_are_there_twice(tmp_path: Path, capsys: Capture) -> None:
    """A shard that is given twice is refused in a line: both files, how many cells, and the first of them."""
    paths = shards(tmp_path)
    again = records.save(tmp_path, json.loads(paths[0].read_text()), "again.json")

    status = main(arguments("merge", *paths, again, "-o", tmp_path / "run.json"))

    assert status == 2
    names = [cell["id"] for cell in json.loads(paths[0].read_text())["cells"]]
    assert capsys.readouterr().err.splitlines() == [
        f"{again}: {len(names)} cells are in {paths[0]} too: {', '.join(names[:3])}, …",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"environment": records.environment("2.14.0", ["cpu"])},
         'torch: version: expected "2.13.0+cpu"'),
        ({"environment": records.environment("2.13.0+cpu", ["cuda:0"])}, "torch: cuda: expected null"),
        ({"settings": records.settings(shard="2/3", seed=5)}, "settings: seed: expected 0"),
        ({"settings": records.settings(shard="2/4")}, "expected a shard of 3, found shard 2/4"),
        ({"settings": records.settings()}, "expected a shard as the other records are"),
        ({"suite": {"name": "torch-conformance", "version": "9", "commit": None}}, 'suite: version: expected "0.1.0"'),
    ],
)  # fmt: skip
def test_merge_refuses_parts_of_different_runs(
    tmp_path: Path, capsys: Capture, changes: dict[str, Any], expected: str
) -> None:
    """Another build, device, setting or suite is another run."""
    paths = shards(tmp_path)
    changed(paths[1], **changes)

    status = main(arguments("merge", *paths, "-o", tmp_path / "run.json"))

    assert status == 2
    assert f"{paths[1]}: {expected}" in capsys.readouterr().err


def test_merge_of_one_shard_of_very_many_is_quick_and_short(tmp_path: Path, capsys: Capture) -> None:
    """Shards beyond counting are not counted one by one: the first are named, and how many more there are."""
    of = 999_999_999
    one = records.save(tmp_path, records.small("pass", settings=records.settings(shard=f"2/{of}")))

    status = main(arguments("merge", one, "-o", tmp_path / "whole.json"))

    lines = capsys.readouterr().err.splitlines()
    assert (status, len(lines)) == (2, 21)
    assert lines[:2] == [f"shard 1/{of} is missing", f"shard 3/{of} is missing"]
    assert lines[-1] == "999,999,978 more shards are missing"


@pytest.mark.parametrize(
    ("before", "after", "kind", "status"),
    [
        ("pass", "pass", None, 0),
        ("pass", "fail", "broken", 1),
        ("pass", "known", "broken", 1),
        ("known", "fail", "changed", 0),
        ("unsupported", "crash", "broken", 1),
        (None, "timeout", "broken", 1),
        ("pass", "unsupported", "lost", 1),
        ("pass", "inconclusive", "lost", 1),
        ("fail", "error", "lost", 1),
        ("fail", "pass", "repaired", 0),
        ("known", "fixed", "repaired", 0),
        ("inconclusive", "pass", "gained", 0),
        ("pass", "not-applicable", "changed", 0),
        ("fail", "crash", "changed", 0),
        ("fail", "known", "changed", 0),
        (None, "pass", "added", 0),
        ("pass", None, "removed", 0),
    ],
)
def test_diff_tells_worse_from_different(
    tmp_path: Path, capsys: Capture, before: str | None, after: str | None, kind: str | None, status: int
) -> None:
    """Status 1 is for cells that fail now or can no longer be tested, and for nothing else."""
    first = records.save(tmp_path, records.small("pass", *[before] if before else []), "a.json")
    second = records.save(tmp_path, records.small("pass", *[after] if after else []), "b.json")

    found = main(arguments("diff", first, second, "--format", "json"))

    told = json.loads(capsys.readouterr().out)
    assert found == status
    assert [cell["kind"] for cell in told["cells"]] == ([kind] if kind else [])
    assert told["worse"] is bool(status)


def test_diff_counts_what_an_incomplete_run_did_not_reach(tmp_path: Path, capsys: Capture) -> None:
    """A run that was cut off before a cell is no proof that it still holds."""
    first = records.save(tmp_path, records.small("pass", "pass"), "a.json")
    second = records.save(tmp_path, records.small("pass", complete=False, planned=2), "b.json")

    status = main(arguments("diff", first, second))

    out = capsys.readouterr().out
    assert status == 1
    assert "1 cell can no longer be tested:" in out
    assert "✓ pass → · no verdict  must    inplace.returns-self[sub_-cpu]" in out
    assert "B  torch 2.13.0+cpu, 1 cell, incomplete" in out


def test_summary_is_a_table_for_a_job_page(tmp_path: Path, capsys: Capture) -> None:
    """The standing, the counts and what fails, in Markdown."""
    run = records.save(tmp_path, records.small("pass", "fail", "unsupported"))

    status = main(arguments("summary", run))

    out = capsys.readouterr().out
    assert status == 0
    assert out.startswith("## Not conformant: torch 2.13.0+cpu on cpu\n")
    assert "| must | 1 | 0 | 0 | 1 | 1 |" in out
    assert "- **must** `inplace.returns-self[sub_-cpu]` fail: " in out


def test_summary_tells_stale_deviations(tmp_path: Path, capsys: Capture) -> None:
    """What is listed and passes is named, as the list is wrong of it, and nothing is said where there is none."""
    main(arguments("summary", records.save(tmp_path, records.small("fixed", "known"))))
    told = capsys.readouterr().out
    main(arguments("summary", records.save(tmp_path, records.small("known", "pass"))))

    assert "### The list of deviations is stale: 1 listed cell passed\n\n- `inplace.returns-self[add_-cpu]`\n" in told
    assert "stale" not in capsys.readouterr().out


def test_summary_says_where_it_cuts(tmp_path: Path, capsys: Capture) -> None:
    """What is too long for a line, of a failure or of an error of the suite, ends with an ellipsis."""
    run = records.small("fail", errors=["e" * 400])
    run["cells"][0].update(compared="values", expected="m" * 400, found="n")

    main(arguments("summary", records.save(tmp_path, run)))

    out = capsys.readouterr().out
    assert "mmm…`" in out
    assert "eee…`" in out


@pytest.mark.parametrize("text", records.HOSTILE)
def test_summary_lets_nothing_become_markup(tmp_path: Path, capsys: Capture, text: str) -> None:
    """What stands in a run stays text in Markdown, and on its own line."""
    main(arguments("summary", records.save(tmp_path, records.hostile("harmless"))))
    expected = capsys.readouterr().out.count("\n")

    main(arguments("summary", records.save(tmp_path, records.hostile(text))))

    out = capsys.readouterr().out
    assert out.count("\n") == expected
    plain = [part for line in out.splitlines() for part in line.split("`")[::2]]
    assert not [part for part in plain if "<img" in part or "<svg" in part]


COMMAND_NAMES = ["build", "validate", "schema", "summary", "merge", "diff", "junit", "claims", "badge"]


@pytest.mark.parametrize("command", COMMAND_NAMES)
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    """``--help`` says what the command is for, gives an example, and tells what each exit status means."""
    with pytest.raises(SystemExit) as caught:
        parser().parse_args([command, "--help"])

    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"usage: python -m reports {command}" in out
    assert f"\nExample:\n  python -m reports {command} " in out
    assert "\nExit status:\n  0  " in out
    assert "\n  2  a record, an option or the output is at fault; nothing was written\n" in out
    assert ("\n  1  B is worse than A\n" in out) is (command == "diff")


@pytest.mark.parametrize("command", COMMAND_NAMES)
def test_every_example_is_a_command_line_that_is_understood(command: str) -> None:
    """The example of the help can be typed."""
    line = EXAMPLES[command].partition(" >> ")[0].removeprefix("python -m reports ")

    assert parser().parse_args(line.split()).command == command


def test_no_command_is_answered_with_the_commands(capsys: Capture) -> None:
    """Somebody who types only the name sees what there is, and what was expected; status 2."""
    status = main([])

    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.endswith("\nexpected a command, found none\n")
    for command in COMMAND_NAMES:
        assert f"\n    {command} " in captured.err


def test_an_interruption_is_one_line(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C leaves no traceback and no half-made file."""

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.page.html", interrupted)
    run = records.save(tmp_path / "run", records.small("pass"))

    status = main(arguments("build", run, "-o", tmp_path / "out"))

    assert status == 130
    assert capsys.readouterr().err == "python -m reports build: interrupted; nothing was written\n"
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_named_twice_is_told_as_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Naming one record twice is no clash of cells: the way out is to name it once."""
    shard = records.save(tmp_path, records.small("pass", settings=records.settings(shard="1/2")))

    status = main(["merge", str(shard), str(shard), "-o", str(tmp_path / "whole.json")])

    assert status == 2
    assert capsys.readouterr().err == (
        f"{shard}: expected each run once, found the run of {shard} again; name it once\n"
    )


def test_the_help_names_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """What a script has to know of ``diff`` is in the first help too."""
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "3  diff: no cell is in both" in capsys.readouterr().out
