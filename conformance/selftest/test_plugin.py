"""The plugin: options, collection errors, exit status and output, in a project outside of this repository."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from conformance.engine import bundle, record
from conformance.engine.subjects import rows
from conformance.selftest.projects import CONFTEST, ROOT, Found, environment, found, launch, project

SCHEMA = json.loads((ROOT / "reports" / "run.schema.json").read_text(encoding="utf-8"))
LEVELS = {"passes": "must", "fails": "must", "shouts": "should", "refuses": "may", "discards": "must"}
Runner = Callable[..., Found]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    """Runs pytest in the project, in this process and without workers."""

    def runner(*arguments: str) -> Found:
        folder = tmp_path / "p"
        if not folder.exists():
            project(folder, LEVELS)
        (folder / "conftest.py").unlink(missing_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in environment():
            monkeypatch.setenv(name, environment()[name])
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        plugins = ["-p", "conformance.engine.plugin", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
        profile = [] if "--profile" in arguments else ["--profile", "smoke"]
        device = [] if "--device" in arguments else ["--device", "cpu"]
        capsys.readouterr()
        status = pytest.main([*plugins, "-n", "0", "--rootdir", str(folder), *device, *profile, *arguments])
        output = capsys.readouterr()
        for name in ("test_demo", "test_other"):
            sys.modules.pop(name, None)
        bundle._source.cache_clear()
        rows.cache_clear()
        return found(folder, status, output.out + output.err)

    return runner


def test_every_cell_is_recorded(run: Runner) -> None:
    """A run gives each cell its verdict, in a record that fits the published schema."""
    result = run()

    assert 1 == result.status
    jsonschema.validate(result.record, SCHEMA)
    assert result.record is not None
    assert result.record["complete"]
    expected = {
        "passes": "pass",
        "fails": "fail",
        "shouts": "fail",
        "refuses": "unsupported",
        "discards": "inconclusive",
    }
    assert dict(sorted(expected.items())) == result.verdicts()


def test_the_output_is_a_report(run: Runner) -> None:
    """Header, failures as they come and in full, a table by area, and where the record lies."""
    output = run().output
    lines = output.splitlines()

    assert any(line.startswith("conformance: torch ") and "(git " in line for line in lines)
    assert any(line.startswith("targets: cpu (") for line in lines)
    assert any(
        line.startswith("profile: smoke (corners and 5 samples a cell), seed 0, levels down to may") for line in lines
    )
    assert "FAIL demo.fails[cpu] (must) value: expected at most 2; found 3" in lines
    assert "    x = 3" in lines
    assert "area  cells  pass  fail  unsupported  inconclusive  cases  seconds" in lines
    assert "broken cells: 1 must, 1 should" in lines
    assert "run record:   reports/runs/latest.json" in lines
    assert not [line for line in lines if not line.isprintable()]
    assert 100 > len(lines)


@pytest.mark.parametrize(
    ("arguments", "status", "cells"),
    [
        (("-k", "passes"), 0, ["passes"]),
        (("-k", "passes or refuses"), 0, ["passes", "refuses"]),
        (("-m", "should"), 0, ["shouts"]),
        (("-m", "not must"), 0, ["refuses", "shouts"]),
        (("--level", "should"), 1, ["discards", "fails", "passes", "shouts"]),
        (("--level", "must"), 1, ["discards", "fails", "passes"]),
        (("-m", "should", "--fail-on", "should"), 1, ["shouts"]),
        (("--fail-on", "none"), 0, sorted(LEVELS)),
        (("-x",), 1, ["fails", "passes"]),
        (("-k", "demo.passes[cpu]"), 0, ["passes"]),
        (("vendor/test_demo.py::test_passes",), 0, ["passes"]),
        (("vendor/test_demo.py::test_passes[cpu]",), 0, ["passes"]),
        (("-q", "-k", "passes"), 0, ["passes"]),
        (("-v", "-k", "passes"), 0, ["passes"]),
        (("-W", "error::DeprecationWarning", "-k", "passes"), 0, ["passes"]),
        (("-k", "nothing"), 5, None),
        (("--collect-only",), 0, None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_choose_cells_and_status(
    run: Runner, arguments: tuple[str, ...], status: int, cells: list[str] | None
) -> None:
    """pytest's own options and the suite's choose which cells run and what fails the run."""
    result = run(*arguments)

    assert status == result.status, result.output
    assert cells == (None if result.record is None else list(result.verdicts()))


def test_a_run_cut_short_says_so(run: Runner) -> None:
    """A run that was stopped is incomplete, in its record and on the screen."""
    result = run("-x")

    assert result.record is not None
    assert (False, 5) == (result.record["complete"], result.record["planned"])
    assert "run record:   reports/runs/latest.json (INCOMPLETE: 2 of 5 cells)" in result.output


def test_the_last_failures_can_be_run_again(run: Runner) -> None:
    """``--lf`` runs the cells that failed last, and no others."""
    run("-p", "cacheprovider")

    assert ["fails"] == list(run("-p", "cacheprovider", "--lf").verdicts())


def test_a_selection_is_recorded_as_one(run: Runner) -> None:
    """A record says how many cells there were to ask for, so that no part is shown as the whole."""
    part, whole = run("-k", "passes").record, run().record

    assert part is not None
    assert whole is not None
    assert (1, 5) == (part["planned"], part["available"])
    assert (5, 5) == (whole["planned"], whole["available"])


def test_shards_share_the_cells(run: Runner) -> None:
    """Three shards run every cell once, whatever their records say of themselves."""
    shards = [run("--shard", f"{number}/3") for number in (1, 2, 3)]

    assert sorted(LEVELS) == sorted(name for shard in shards if shard.status != 5 for name in shard.verdicts())


def test_two_runs_with_one_seed_are_equal(run: Runner) -> None:
    """The same seed gives the same record but for times; another seed meets other cases."""

    def timeless(value: object) -> object:
        if isinstance(value, dict):
            return {
                k: timeless(v) for k, v in value.items() if k not in ("seconds", "started", "finished", "arguments")
            }
        return [timeless(v) for v in value] if isinstance(value, list) else value

    first, second = run("--seed", "3"), run("--seed", "3")

    assert timeless(first.record) == timeless(second.record)
    assert first.record is not None
    assert 3 == first.record["settings"]["seed"]
    assert "--seed 3" in first.cell("fails")["rerun"]


def test_a_selection_is_no_incomplete_run(run: Runner, tmp_path: Path) -> None:
    """What was asked for and ran is whole, and told as a selection, other tests beside it or not."""
    project(tmp_path / "p", LEVELS)
    (tmp_path / "p" / "vendor" / "test_other.py").write_text("def test_it():\n    pass\n")
    part, whole = run("-k", "passes or it"), run()

    assert part.record is not None
    assert part.record["complete"]
    assert {"selection:    1 of the 5 cells here, as asked for", "run record:   reports/runs/latest.json"} <= set(
        part.output.splitlines()
    )
    assert not [found for found in (part, whole) if "INCOMPLETE" in found.output]
    assert "selection:" not in whole.output


def test_an_allowed_failure_is_told_as_a_forbidden_one_is(run: Runner, tmp_path: Path) -> None:
    """On the screen and in the XML: the whole message, and that it is allowed."""
    from xml.etree import ElementTree

    project(tmp_path / "p", {"fails": "should", "passes": "must"})
    allowed, strict = run("--junitxml", "junit.xml"), run("--fail-on", "should")

    skipped = next(ElementTree.parse(tmp_path / "p" / "junit.xml").getroot().iter("skipped"))
    told = allowed.cell("fails")["message"].replace("\n", " (should: allowed)\n", 1)
    assert told.startswith("FAIL demo.fails[cpu] (should: allowed)\nshould: A number fails.\n")
    assert told == skipped.get("message")
    assert told in allowed.output
    assert "FAIL demo.fails[cpu] (should: allowed) value: expected at most 2; found 3" in allowed.output.splitlines()
    assert allowed.cell("fails")["message"] in strict.output
    assert "allowed)" not in strict.output
    assert "ALLOWED FAILURES" not in run("--tb", "no").output


def test_a_line_that_is_cut_says_so(run: Runner, tmp_path: Path) -> None:
    """What is too long for the progress ends with an ellipsis there, and is whole in the message."""
    project(tmp_path / "p", {"fails": "must"}, module=lambda text: text.replace('"at most 2"', '"m" * 400'))
    lines = run().output.splitlines()

    assert [True] == [line.endswith("mmm…") for line in lines if line.startswith("FAIL demo.fails[cpu] (")]
    assert f"  expected: {'m' * 400}" in lines


def test_a_pattern_is_judged_whatever_is_asked_for(run: Runner, tmp_path: Path) -> None:
    """A misspelt pattern of an expectations file is told in a selection and in a shard, by the cells that there are."""
    entry = "- {cells: 'demo.FAILS[*]', reason: accepted for now, issue: unreported, date: 2026-01-01}\n"
    project(tmp_path / "p", LEVELS)
    (tmp_path / "p" / "e.yaml").write_text(
        f"deviations:\n{entry.replace('FAILS', 'fails')}{entry.replace('FAILS', 'fals')}"
    )
    words = (
        "cells: expected a pattern that fits a cell; found 'demo.fals[*]', which fits none; nearest: demo.fails[cpu]"
    )
    for arguments in ((), ("-k", "passes"), ("--level", "must"), ("--shard", "1/1", "-k", "passes")):
        assert f"expectations: e.yaml:3: {words}" in run("--expectations", "e.yaml", *arguments).output.splitlines()


def test_the_rerun_line_works_where_the_user_stands(run: Runner, tmp_path: Path) -> None:
    """Pasted into a shell in the folder of the run, the line runs the cell; the record has it as of the checkout."""
    import subprocess

    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    folder = project(tmp_path / "p's own", {"passes": "must", "fails": "must"})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(folder), "-n", "0", "--device", "cpu", "--profile", "smoke"],
        cwd=elsewhere, env=environment(), capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("rerun:"))
    again = subprocess.run(
        line.partition(":")[2],
        shell=True,
        cwd=elsewhere,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert "FAIL demo.fails[cpu] (must) value: expected at most 2; found 3" in again.stdout.splitlines(), again.stderr
    assert "1 failed in" in again.stdout
    whole = json.loads((folder / "reports" / "runs" / "latest.json").read_text(encoding="utf-8"))
    assert ["fails", "passes"] == [cell["behaviour"] for cell in whole["cells"]], "the run's own record stays"
    assert (folder / "reports" / "runs" / "latest.reproducers" / "demo" / "fails--cpu.py").exists()
    assert (folder / "reports" / "runs" / "rerun.json").exists()
    command = "pytest -n 1 --device cpu --profile smoke 'vendor/test_demo.py::test_fails[cpu]'"
    assert f"{command} --run-record reports/runs/rerun.json" == whole["cells"][0]["rerun"]


def test_junit_has_the_failures(run: Runner, tmp_path: Path) -> None:
    """The XML for other tools says which cells failed, in well-formed XML whatever they print."""
    from xml.etree import ElementTree

    run("--junitxml", "junit.xml")
    suite = ElementTree.parse(tmp_path / "p" / "junit.xml").getroot().find("testsuite")

    assert suite is not None
    assert ("5", "1", "0") == (suite.get("tests"), suite.get("failures"), suite.get("errors"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--device", "toaster:1"), "--device: expected one of cpu"),
        (("--profile", "fast"), "--profile: expected one of smoke, default, thorough; found 'fast'"),
        (("--shard", "5/4"), "--shard: expected I/N with 1 <= I <= N, such as 1/4; found '5/4'"),
        (("--level", "all"), "--level: expected one of must, should, may; found 'all'"),
        (("--fail-on", "may"), "--fail-on: expected one of must, should, none; found 'may'"),
        (("--expectations", "gone.yaml"), "--expectations: gone.yaml: expected a readable YAML file"),
        (
            ("--run-record", "vendor"),
            "--run-record: expected a file that can be written, such as run.json; found 'vendor'",
        ),
        (
            ("--run-record", "specs/demo.yaml"),
            "found 'specs/demo.yaml': a file that is no run record, and that would be",
        ),
        (("--seed", "x"), "--seed: expected a whole number from 0 to 9007199254740991; found 'x'"),
        (("--collection-timeout", "-1"), "--collection-timeout: expected seconds from 0 (any time) to 8640000"),
        (("--timeout", "nan"), "--timeout: expected seconds from 0 (any time) to 8640000, such as 300; found 'nan'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_bad_option_is_a_usage_error(run: Runner, arguments: tuple[str, ...], expected: str) -> None:
    """An option that cannot be followed ends pytest with 4 and one line that says what is possible."""
    result = run(*arguments)

    assert (4, None) == (result.status, result.record)
    assert 1 == sum(expected in line for line in result.output.splitlines()), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("-k", "a b", "Wrong expression passed to '-k': a b: at column 3: expected end of input; "),
        ("-m", "foo(", "Wrong expression passed to '-m': foo(: at column "),
    ],
)
def test_a_bad_expression_is_a_usage_error_with_workers_too(
    tmp_path: Path, option: str, value: str, expected: str
) -> None:
    """What ``-k`` and ``-m`` cannot be is told by the process that was given it, before any worker is."""
    run = launch(project(tmp_path / "p", {"passes": "must"}), "-n", "1", option, value)

    assert (4, None) == (run.status, run.record)
    assert 1 == sum(line.startswith(f"ERROR: {expected}") for line in run.output.splitlines()), run.output
    assert "INTERNALERROR" not in run.output


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"spec": lambda text: text.replace("- id: fails", "- id: falls")},
            [
                "specs/demo.yaml:9: behaviour 'falls': expected: a check test_falls in vendor/test_demo.py; found:",
                "vendor/test_demo.py:44: check test_fails: expected: a behaviour 'fails' in specs/demo.yaml; found:",
            ],
        ),
        (
            {"module": lambda text: text.replace("@cases(small)\ndef test_fails", "def test_fails")},
            ["vendor/test_demo.py:44: check test_fails: expected: inputs given by @cases(…); found: none"],
        ),
        (
            {"rows": {"passes": 1}, "spec": lambda text: text.replace("names: [t0]", "names: [axe]")},
            ["specs/demo.yaml:9: behaviours.0.subjects.names.0: expected: a name of catalogue 'tools'; found: 'axe'"],
        ),
        (
            {"spec": lambda text: text.replace("level: must", "level: most", 1)},
            ["specs/demo.yaml:7: behaviours.0.level: expected: 'must', 'should' or 'may'; found: 'most'"],
        ),
        ({"spec": lambda text: "\t" + text}, ["specs/demo.yaml:1: expected valid YAML, found: "]),
        (
            {"spec": lambda text: ""},
            ["specs/demo.yaml:1: the file: expected: a mapping of keys to values; found: nothing"],
        ),
        ({"module": lambda text: text + "\nimport no_such_package\n"}, ["No module named 'no_such_package'"]),
        ({"module": lambda text: text + "\ndef broken(:\n"}, ["SyntaxError: invalid syntax"]),
    ],
    ids=["unbound", "no inputs", "subject", "level", "no YAML", "empty", "import", "syntax"],
)
def test_a_fault_of_the_area_is_a_collection_error(
    run: Runner, tmp_path: Path, changes: dict[str, object], expected: list[str]
) -> None:
    """A fault in spec, binding or module names file and line, ends pytest with 2, and stands in the record."""
    project(tmp_path / "p", LEVELS, **changes)  # type: ignore[arg-type]
    result = run()

    assert 2 == result.status, result.output
    assert result.record is not None
    jsonschema.validate(result.record, SCHEMA)
    assert (False, []) == (result.record["complete"], result.record["cells"])
    for line in expected:
        assert line in result.output
        assert line in "\n".join(result.record["errors"])
    assert "INTERNALERROR" not in result.output


def test_a_fault_of_a_catalogue_is_said_once(run: Runner, tmp_path: Path) -> None:
    """A catalogue that cannot be used is one line, however many behaviours have their subjects from it."""
    project(tmp_path / "p", LEVELS, rows={"passes": 2, "shouts": 2})
    (tmp_path / "p" / "specs" / "catalogue" / "tools.yaml").write_text("catalogue: tools\nrows:\n- {nome: t0}\n")
    result = run()

    assert 2 == result.status, result.output
    assert 1 == result.output.count("specs/catalogue/tools.yaml:3: rows.0.name: expected: a key 'name'; found: nothing")


def test_one_broken_area_does_not_hide_the_others(run: Runner, tmp_path: Path) -> None:
    """With ``--continue-on-collection-errors`` the sound areas run, and the record is marked as incomplete."""
    project(tmp_path / "p", {"passes": "must"})
    shutil.copy(tmp_path / "p" / "vendor" / "test_demo.py", tmp_path / "p" / "vendor" / "test_other.py")
    (tmp_path / "p" / "specs" / "other.yaml").write_text("area: other\n")
    result = run("--continue-on-collection-errors")

    assert {"passes": "pass"} == result.verdicts()
    assert result.record is not None
    assert (False, 1) == (result.record["complete"], len(result.record["errors"]))
    assert "run record:   reports/runs/latest.json (INCOMPLETE: 1 error, see above)" in result.output.splitlines()


def test_a_disk_that_is_full_costs_the_record_alone(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on to its end, says what the record lacks and is no success; what is written stays readable."""
    project(tmp_path / "p", {"passes": "must", "refuses": "may"})
    status = []
    for room in (0, 1, 2):
        monkeypatch.setattr(record, "write_atomically", _out_of_room(record.write_atomically, room))
        found = run("--fail-on", "none")
        status.append(found.status)
        assert "No space left on device" in found.output
        assert "INTERNALERROR" not in found.output
        assert "Traceback" not in found.output
        monkeypatch.undo()
    words = "(CUT OFF: No space left on device; it has 2 of 2 cells)"

    assert [pytest.ExitCode.USAGE_ERROR] * 2 + [pytest.ExitCode.INTERNAL_ERROR] == status
    assert f"run record:   reports/runs/latest.json {words}" in found.output.splitlines()
    jsonschema.validate(found.record, SCHEMA)
    assert not (found.record or {})["complete"]


def _out_of_room(write: Callable[[Path, str], None], times: int) -> Callable[[Path, str], None]:
    """``write``, the first ``times`` times; no room for anything after that."""
    left = [times]

    def full(path: Path, text: str) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        write(path, text)

    return full


def test_listed_deviations_do_not_fail_the_run(run: Runner, tmp_path: Path) -> None:
    """A listed failure is known, a listed pass is fixed and said aloud, and the status is 0."""
    project(tmp_path / "p", LEVELS)
    entry = "- {{cells: 'demo.{}[*]', reason: accepted for now, issue: unreported, date: 2026-01-01}}\n"
    (tmp_path / "p" / "e.yaml").write_text("deviations:\n" + "".join(map(entry.format, ("fails", "passes"))))
    result = run("--expectations", "e.yaml")

    assert 0 == result.status
    assert ("known", "fixed") == (result.verdicts()["fails"], result.verdicts()["passes"])
    assert "FIXED demo.passes[cpu] (must) passes, but is listed: accepted for now" in result.output.splitlines()
    assert "stale list:   1 listed cell passes, FIXED above: python -m conformance deviations check" in result.output


def test_a_stopped_clock_is_a_timeout(run: Runner, tmp_path: Path) -> None:
    """A cell that sleeps is a timeout without workers too, in a corner and in a sample, and the run goes on."""
    project(tmp_path / "p", {"sleeps": "must", "sleeps-late": "should", "passes": "must"})
    result = run("--timeout", "1")

    assert {"passes": "pass", "sleeps": "timeout", "sleeps-late": "timeout"} == result.verdicts()
    assert (3, 0) == (result.cell("sleeps")["cases"]["corner"], result.cell("sleeps")["cases"]["sampled"])
    assert "x = 3" == result.cell("sleeps")["minimal"]


def test_collecting_leaves_the_last_record_alone(run: Runner) -> None:
    """``--collect-only`` lists the cells and writes nothing, even where there are errors."""
    before = run("-k", "passes").record
    after = run("--collect-only", "-q", "--run-record", "new/run.json")

    assert before == after.record
    assert not Path("new").exists()
    assert "vendor/test_demo.py::test_passes[cpu]" in after.output.splitlines()


def test_three_thousand_cells_are_collected_in_no_time(run: Runner, tmp_path: Path) -> None:
    """Collection stays cheap: a millisecond a cell would be far too much."""
    import time

    project(tmp_path / "p", LEVELS, rows=dict.fromkeys(LEVELS, 600))
    started = time.monotonic()
    result = run("--collect-only", "-q")

    assert 3 > time.monotonic() - started
    assert "3000 tests collected" in result.output


def test_plain_tests_beside_an_area_go_on_working(run: Runner, tmp_path: Path) -> None:
    """A test module without a spec is pytest's own business, and no part of the record."""
    project(tmp_path / "p", {"passes": "must"})
    (tmp_path / "p" / "vendor" / "test_other.py").write_text("def test_it(tmp_path):\n    print('hi')\n")
    result = run("-v")

    assert 0 == result.status
    assert {"passes": "pass"} == result.verdicts()
    assert "vendor/test_other.py::test_it PASSED" in result.output
    assert "vendor/test_demo.py::test_passes[cpu] PASS" in result.output


def test_an_outside_project_needs_one_line(tmp_path: Path) -> None:
    """A conftest that names the plugin is all that an area elsewhere needs, in a process of its own."""
    project(tmp_path / "p", {"passes": "must"})
    result = launch(tmp_path / "p", "-n", "0")

    assert CONFTEST == (tmp_path / "p" / "conftest.py").read_text()
    assert (0, {"passes": "pass"}) == (result.status, result.verdicts())


def test_a_plain_test_that_fails_is_said_at_once(run: Runner, tmp_path: Path) -> None:
    """The project's own tests say what fails when it fails, and not when all is over; fixtures that break too."""
    folder = project(tmp_path / "p", {"passes": "must"}) / "vendor"
    (folder / "test_other.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    raise OSError('gone')\n\n\n"
        "def test_it():\n    assert 1 == 2, 'a\\nb'\n\n\ndef test_that(broken):\n    pass\n"
    )
    result = run("vendor/test_other.py")
    lines = result.output.splitlines()

    found = [lines.index(f"{word} vendor/test_other.py::{rest}") for word, rest in (
        ("FAILED", "test_it AssertionError: a"), ("ERROR", "test_that OSError: gone"),
    )]  # fmt: skip
    assert max(found) < next(number for number, line in enumerate(lines) if "FAILURES" in line or "ERRORS" in line)
