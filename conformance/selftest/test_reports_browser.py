"""The page in a real browser: what it shows, what it lets nobody do, and how fast it is.

The page is opened from ``file://`` by a headless Chromium, which prints the document as its scripts left it.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from conformance.selftest import records, timings
from reports import page
from reports.reading import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, and only a browser can show a page")

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Show = Callable[..., str]


def opened(file: Path, place: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What Chromium says of a page at a place: the document, and its complaints."""
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", *options, "--dump-dom", f"{file.as_uri()}{place}"]
    return subprocess.run(command, capture_output=True, timeout=120, check=True, encoding="utf-8")


def text(found: str) -> str:
    """What a document shows, as one line of words."""
    found = re.sub(r"<(script|style|noscript)\b.*?</\1>", " ", found, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())


def save(folder: Path, *runs: records.Json) -> Path:
    """A page of these runs, on the disk."""
    paths = [records.save(folder, run, f"{n}.json", reproducers=True) for n, run in enumerate(runs)]
    file = folder / "index.html"
    file.write_text(page.html([load(path) for path in paths]), encoding="utf-8")
    return file


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """Show a place in the page of some runs."""

    def shown(place: str, *runs: records.Json) -> str:
        return opened(save(tmp_path, *runs), place, tmp_path / "profile", "--virtual-time-budget=4000").stdout

    return shown


def three() -> list[records.Json]:
    """A good run, a run with a failure, and a run that was cut off and broke."""
    good = records.small("pass", "pass", "pass")
    bad = records.small("pass", "fail", "unsupported")
    bad["environment"] = records.environment("2.14.0", ["cpu"])
    cut = records.small("pass", complete=False, planned=3, errors=["CollectionError: specs/inplace.yaml:12"])
    return [good, bad, cut]


def test_the_overview_answers_in_its_first_words(show: Show) -> None:
    """One run: the standing, then the counts; the whole page is drawn without an error."""
    shown = show("", records.small("pass", "fail", "unsupported"))

    assert 'data-ready="' in shown
    assert "✕ Not conformant 1 cell of 1 behaviour breaks a must." in text(shown)
    assert "✕ 1 failed ✓ 1 passed – 1 could not test" in text(shown)
    assert "50.0 % of the decided cells pass." in text(shown)
    assert "torch 2.13.0+cpu, Example 9000, 2026-11-21 01:36 UTC, smoke profile" in text(shown)


def test_each_of_several_runs_has_its_date_and_profile(show: Show) -> None:
    """When a run was made and how deep it went stand beside its standing; a time is shown in UTC, wherever it was."""
    late = records.small("pass", settings=records.settings(profile="thorough"), started="2026-11-22T00:30:00+02:00")
    shown = text(show("", records.small("pass"), late))

    assert "cpu, smoke profile 2026-11-21 01:36 UTC" in shown
    assert "cpu, thorough profile 2026-11-21 22:30 UTC" in shown


def test_an_incomplete_run_has_no_percentage(show: Show) -> None:
    """A run that was cut off says how far it came, and nothing in percent."""
    shown = text(show("", records.small("pass", complete=False, planned=3)))

    assert "… Incomplete No failing must so far. The run was cut off: 1 of 3 planned cells have a verdict." in shown
    assert "%" not in shown


def test_a_selection_is_called_one(show: Show) -> None:
    """Runs of a part of the suite are not incomplete, and are not counted as conformant or otherwise."""
    late = records.small("pass", available=9, started="2026-11-22T00:30:00+02:00")
    shown = text(show("", records.small("pass", available=9), late))

    assert "A selection. Both runs: 1 of 9 cells was asked for. Nothing is known of the others." in shown
    assert "No must fails in any of 2 runs none of them is of the whole suite" in shown
    assert shown.count("A selection: no must fails") == 2
    assert "ncomplete" not in shown
    assert "conform " not in shown


def test_the_command_of_a_run_can_be_pasted(show: Show) -> None:
    """Blanks and brackets of the arguments survive the shell."""
    node = "conformance/test_inplace.py::test_returns_self[add_-cpu]"
    settings = records.settings(arguments=["-k", "add_ or sub_", node])

    assert f"pytest -k 'add_ or sub_' '{node}'" in text(show("", records.small("pass", settings=settings)))


@pytest.mark.parametrize(
    "place", ["", "#/matrix", "#/behaviour/inplace.returns-self", "#/cell/inplace.returns-self[add_-cpu]"]
)
def test_doubts_stand_above_every_view(show: Show, place: str) -> None:
    """A cut-off run and a broken suite are told at the top, whatever is looked at."""
    shown = text(show(place, *three()))

    assert (
        "Incomplete. Run C, torch 2.13.0+cpu, 2.json: the run was cut off: 1 of 3 planned cells have a verdict."
        in shown
    )
    assert "Suite errors. Run C, torch 2.13.0+cpu, 2.json: the suite itself broke in 1 place." in shown
    assert "CollectionError: specs/inplace.yaml:12" in shown


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "1 behaviour, 3 cells"),
        ("status:fail", "1 behaviour and 1 cell match"),
        ("status:failed,unsupported", "1 behaviour and 2 cells match"),
        ("status:untested", "1 behaviour and 1 cell match"),
        ("-status:pass", "1 behaviour and 2 cells match"),
        ("subject:add_", "1 behaviour and 1 cell match"),
        ("subject:*b_", "1 behaviour and 1 cell match"),
        ("area:inplace level:must target:cpu behaviour:returns-self", "1 behaviour and 3 cells match"),
        ("dtype:float16 status:unsupported", "1 behaviour and 1 cell match"),
        ("dtype:complex64 status:unsupported", "Nothing matches."),
        ("is:different", "1 behaviour and 2 cells match"),
        ("run:b status:fail", "1 behaviour and 1 cell match"),
        ("run:a status:fail", "Nothing matches."),
        ("run:2.14", "1 behaviour and 3 cells match"),
        ('"very tensor object" not-a-word', "Nothing matches."),
        ('"very tensor object"', "1 behaviour and 3 cells match"),
        ("not implemented for", "1 behaviour and 1 cell match"),
        ("doc:unchecked", "1 behaviour and 1 cell match"),
        ("colour:red", "There is no term “colour:”."),
        ("status:perhaps", "“status:perhaps” finds nothing: there is no “perhaps”."),
("constructor:x", "There is no term “constructor:”."),
        ("__proto__:x", "Nothing matches."),
    ],
)  # fmt: skip
def test_the_search_finds(show: Show, query: str, expected: str) -> None:
    """Each term means what its help says, from the address alone."""
    shown = show(f"#/matrix?q={quote(query)}", *three())

    found = re.search(r'<p class="found[^"]*" id="found">(.*?)</p>', shown, re.DOTALL)

    assert found is not None
    assert expected in text(found[1])


def test_a_failing_cell_shows_all_that_it_has(show: Show) -> None:
    """Statement, level, link, phrase, minimal input, expected, found, torch, command, script, message, evidence."""
    shown = show("#/cell/inplace.returns-self[sub_-cpu]", *three())

    for expected in (
        "must inplace.returns-self since 1.13",
        "An in-place operation returns the very tensor object that it was called on.",
        "In-place version torch.Tensor.returns-self documentation",
        "Minimal input Copy import torch x = torch.tensor([1.0, float('nan'), -0.0], dtype=torch.float16)[::2]",
        "Expected tensor([2., nan, -0. ], dtype=torch.float16)",
        "Found tensor([2., nan, 0. ], dtype=torch.float16)",
        "torch 2.14.0 on cpu",
        "the quoted phrase is in the documentation of this build",
        "pytest 'conformance/test_inplace.py::test_returns_self[sub_-cpu]' --profile smoke --seed 0",
        "# inplace.returns-self[sub_-cpu] import sys import torch",
        "The whole message Copy AssertionError: An in-place operation",
        "cases 120 corner, 5 sampled",
        "largest error 0.5 ULP",
        "layouts contiguous transposed",
    ):
        assert expected in text(shown)
    assert 'href="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.returns-self.html"' in shown


@pytest.mark.parametrize("place", ["#/cell/no.such[thing]", "#/behaviour/", "#/behaviour/%E0%A4%A"])
def test_an_address_that_leads_nowhere_says_so(show: Show, place: str) -> None:
    """An anchor of another report is no blank page."""
    assert "This report has no such" in text(show(place, records.small("pass")))


@pytest.mark.parametrize("text_", records.HOSTILE)
def test_hostile_text_does_nothing(show: Show, text_: str) -> None:
    """No string of a run runs, in any view, and none becomes a link that does."""
    statement = f"{text_}.{text_}".replace("\ud800", "\ufffd")
    cell = f"{statement}[{text_}-{text_}]".replace("\ud800", "\ufffd")
    for place in ("", "#/matrix", f"#/behaviour/{quote(statement, safe='')}", f"#/cell/{quote(cell, safe='')}"):
        shown = show(place, records.hostile(text_), records.hostile("harmless"))

        assert re.search(r"<title>[^<]*PyTorch conformance: ", shown), place
        assert not re.findall(r"<(?:img|svg)\b", re.sub(r"<noscript>.*?</noscript>", "", shown, flags=re.DOTALL))
        assert not re.findall(r'href="(?!#|https?:)', shown)
        if "cell" in place:
            assert "Evidence" in text(shown)


def test_no_text_turns_the_words_around_it(show: Show) -> None:
    """What changes the direction of writing is an escape in every view; it would mirror our own words."""
    word = "right \u202eto left"
    statement, cell = f"{word}.{word}", f"{word}.{word}[{word}-{word}]"
    for place in ("", "#/matrix", f"#/behaviour/{quote(statement, safe='')}", f"#/cell/{quote(cell, safe='')}"):
        shown = text(show(place, records.hostile(word), records.hostile("harmless")))

        assert "right \\u202eto left" in shown, place
        assert "\u202e" not in shown, place


def test_the_page_is_drawn_under_its_own_policy(tmp_path: Path) -> None:
    """The policy blocks nothing that the page does: a browser has no complaint."""
    file = save(tmp_path, *three())
    place = "#/cell/inplace.returns-self[sub_-cpu]"

    found = opened(file, place, tmp_path / "profile", "--enable-logging=stderr", "--virtual-time-budget=4000")

    assert "CONSOLE" not in found.stderr
    assert "Content Security Policy" not in found.stderr


def probed(file: Path, script: str, profile: Path, *options: str) -> str:
    """The page after a script of the test has used it.

    The policy forbids every script but the page's own, so the copy that is probed goes without a policy.
    """
    plain = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", file.read_text(encoding="utf-8"))
    file.write_text(plain.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return opened(file, "", profile, *options).stdout


HANDS = """
const press = (key) =>
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const box = document.getElementById("query"), seen = [];
const see = () => seen.push((document.activeElement.id || document.activeElement.textContent).trim());
press("/"); see();
location.hash = "#/matrix";
box.value = "status:fail,pass";
box.dispatchEvent(new Event("input"));
press("ArrowDown"); see();
press("j"); see();
press("j"); press("j"); see();
press("k"); see();
document.querySelector(".toggle").click();
seen.push(document.querySelectorAll("tr.cell").length);
box.focus(); press("Escape"); seen.push(box.value);
document.documentElement.dataset.seen = JSON.stringify(seen);
"""


def test_hands_that_stay_on_the_keyboard_get_along(tmp_path: Path) -> None:
    """The keys that the help names lead to the search, along the rows and out again."""
    expected = ["query", "returns-self", "add_ on cpu", "sub_ on cpu", "mul_ on cpu", 0, ""]

    shown = probed(save(tmp_path, *three()), HANDS, tmp_path / "profile")
    seen = re.search(r'data-seen="(.*?)"', shown)

    assert seen is not None
    assert json.loads(html.unescape(seen[1])) == expected


PAPER = """
const root = document.documentElement;
addEventListener("hashchange", () => dispatchEvent(new Event("beforeprint")));
addEventListener("beforeprint", () => { root.dataset.rows = document.querySelectorAll("tr.behaviour").length; });
location.hash = "#/matrix";
"""


def test_paper_gets_every_row(tmp_path: Path) -> None:
    """Rows that nobody has scrolled to are printed too."""
    file = save(tmp_path, records.record(areas=10, behaviours=12, subjects=2))

    shown = probed(file, PAPER, tmp_path / "profile", "--virtual-time-budget=4000")

    assert 'data-rows="120"' in shown


PROBE = """
(() => {
  const box = document.getElementById("query"), times = [];
  const type = (text) => {
    const start = performance.now();
    box.value = text;
    box.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    times.push(performance.now() - start);
  };
  const ready = Number(document.documentElement.dataset.ready);
  location.hash = "#/matrix";
  for (const query of ["status:fail dtype:float16", "tensor object", "is:different level:must", "subject:add_"])
    for (let end = 1; end <= query.length; end++) type(query.slice(0, end));
  times.sort((x, y) => x - y);
  document.documentElement.dataset.probe = JSON.stringify({
    ready, median: times[times.length >> 1],
    near: times[Math.floor(times.length * 0.95)], worst: times[times.length - 1],
  });
})();
"""


@pytest.fixture
def _on_request(request: pytest.FixtureRequest) -> None:
    if "benchmark" not in (request.config.getoption("markexpr") or ""):
        pytest.skip("a measurement of a minute, for a quiet machine: run it with -m benchmark")


@pytest.mark.benchmark
@pytest.mark.usefixtures("_on_request")
def test_the_largest_report_stays_quick(tmp_path: Path) -> None:
    """20,000 cells × 10 runs: at most 15 MB, the first view within 2 s, a keystroke within 100 ms."""
    runs = [
        records.record(
            areas=10,
            behaviours=50,
            subjects=40,
            torch=f"2.{n}.0",
            seed=n,
            performance=timings.performance(subjects=700, seed=n),
        )
        for n in range(10)
    ]
    file = save(tmp_path, *runs)
    size = file.stat().st_size

    shown = probed(file, PROBE, tmp_path / "profile")

    probe = re.search(r'data-probe="(.*?)"', shown)
    assert probe is not None
    found = json.loads(html.unescape(probe[1]))
    print(f"\n{size / 1e6:.1f} MB; first view {found['ready']} ms; keystroke {found['median']:.0f} ms, "
          f"19 of 20 within {found['near']:.0f} ms, worst {found['worst']:.0f} ms")  # fmt: skip
    assert size <= 15e6
    assert found["ready"] <= 2000
    assert found["near"] <= 100
