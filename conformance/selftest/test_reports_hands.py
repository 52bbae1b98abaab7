"""The page under hands: clicks and keys in a real browser, narrow screens, and what axe-core finds.

``tox -e browser`` has what this needs: selenium, and in ``AXE`` the path of axe-core's ``axe.min.js``. With ``SHOTS``
a folder, every view is photographed into it.
"""

# ruff: noqa: F811  (a fixture that is imported has the name of the argument that asks for it)
from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.selftest import records
from conformance.selftest.hands import AXE, BROWSER, Hands, browser, hands, save  # noqa: F401  (fixtures)
from conformance.selftest.test_reports_slowness import timed
from reports.differences import differences, of_kind, said
from reports.model import Run
from reports.slowness import slowness
from reports.verdicts import VERDICTS

Keys = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: tox -e browser has it").Keys

pytestmark = pytest.mark.skipif(not BROWSER, reason="Chromium and chromedriver are not both installed")

VIEWS = {
    "overview": "",
    "matrix": "#/matrix",
    "nothing": "#/matrix?q=status:perhaps",
    "behaviour": "#/behaviour/inplace.returns-self",
    "cell": "#/cell/inplace.returns-self[sub_-cpu]?run=B",
    "unsupported": "#/cell/inplace.returns-self[mul_-cpu]?run=B",
    "differences": "#/differences",
    "deviations": "#/deviations",
    "claims": "#/claims",
    "surface": "#/surface",
    "nowhere": "#/cell/none",
    "lost": "#/nowhere",
}


LONG = "tensor([" + ", ".join(["1.0000e+00"] * 40) + "], dtype=torch.bfloat16)"


def pair() -> list[records.Json]:
    """A good run, and one of another torch with a failure that has much to say."""
    tables = {"claims": records.claims(), "surface": records.surface()}
    good = records.small("pass", "pass", "pass", **tables)
    bad = records.small("pass", "fail", "unsupported", **tables)
    bad["environment"] = records.environment("2.14.0", ["cpu"])
    good["cells"][0] |= {"verdict": "known", "reason": "Rounds twice in half precision.", "issue": None}
    bad["cells"] = [
        {**cell, "expected": LONG, "found": f"{LONG}.T"} if cell["verdict"] == "fail" else cell for cell in bad["cells"]
    ]
    return [good, bad]


def mixed() -> list[records.Json]:
    """Runs that have something to show on every view: all verdicts, a killed run, a broken suite, a selection."""
    cut = records.record(areas=3, seed=3, complete=False, planned=900, torch="2.14.0", errors=["no such catalogue"])
    every = records.small(*("pass", "fail", "unsupported", "known", "fixed", "crash", "timeout", "error"), available=99)
    return [*pair(), cut, every]


def test_a_red_cell_leads_in_one_click_to_all_of_it(hands: Hands, tmp_path: Path) -> None:
    """From the red word of the matrix: what is promised, what happened, and how to see it oneself."""
    hands.open(save(tmp_path, *pair()), "#/matrix")

    hands.click("tr.behaviour a.verdict.failed")

    shown = hands.text("main")
    for expected in (
        "An in-place operation returns the very tensor object that it was called on.",
        "documentation",
        "Minimal input",
        "Expected",
        "Found",
        "Run this cell again",
        "in a checkout of torch-conformance",
        "Reproducer",
    ):
        assert expected in shown
    assert "fail" in hands.text(".tabs [aria-current]")


def test_counts_lead_to_their_cells(hands: Hands, tmp_path: Path) -> None:
    """A number of the overview is a link to the cells that it counts, of its level, area and run."""
    hands.open(save(tmp_path, *pair()))

    hands.click("table.areas a.verdict.failed")

    assert "1 behaviour and 1 cell match" in hands.text("#found")
    assert hands.run("return document.getElementById('query').value") == "status:failed level:must run:b"


@pytest.mark.parametrize("clipboard", ["modern", "old", "none"])
def test_copy_works_from_a_file(hands: Hands, tmp_path: Path, clipboard: str) -> None:
    """The reproducer gets into the clipboard with the new way, with the old way, or by the reader's own Ctrl+C."""
    hands.open(save(tmp_path, *pair()), VIEWS["cell"])
    assert hands.run("return location.protocol") == "file:"
    if clipboard != "modern":
        hands.run("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    if clipboard == "none":
        hands.run("document.execCommand = () => false")
    button = hands.all("button[aria-label='Copy the reproducer']")[0]

    button.send_keys(Keys.ENTER)
    expected = "Selected: press Ctrl+C" if clipboard == "none" else "Copied"
    hands.until(f"return document.activeElement.textContent === '{expected}'")  # and the focus stays on the button
    if clipboard == "none":
        copied = hands.run("return String(getSelection())")
    else:
        hands.run("const box = document.createElement('textarea'); box.id = 'paste'; document.body.append(box)")
        hands.all("#paste")[0].send_keys(Keys.CONTROL, "v")
        copied = hands.run("return document.getElementById('paste').value")

    assert copied.rstrip() == (tmp_path / "reproducers" / "inplace" / "returns-self-sub_-cpu.py").read_text().rstrip()


def test_every_copy_button_is_reached_by_keyboard(hands: Hands, tmp_path: Path) -> None:
    """Minimal input, command and reproducer: a button each, met with the Tab key, and the code after it scrolls."""
    hands.open(save(tmp_path, *pair()), VIEWS["cell"])
    hands.run("document.getElementById('main').focus()")
    met = []
    for _ in range(40):
        hands.press(Keys.TAB)
        met.append(hands.run("return document.activeElement.getAttribute('aria-label') || ''"))

    for name in ("the minimal input", "the command", "the reproducer"):
        assert met.index(f"Copy {name}") < met.index(name)


@pytest.mark.parametrize("width", [1280, 390, 360])
@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("nothing", "unsupported", "nowhere")])
def test_nothing_is_cut_off_and_nothing_sticks_out(hands: Hands, tmp_path: Path, view: str, width: int) -> None:
    """The page never scrolls sideways; expected and found can be read to their ends, however narrow the screen is."""
    hands.window(width)
    hands.open(save(tmp_path, *pair()), VIEWS[view])
    cut = """return [...document.querySelectorAll("main *")].filter((e) => {
      const style = getComputedStyle(e);
      const hides = style.overflowX === "hidden" || style.overflowY === "hidden" || style.textOverflow === "ellipsis";
      const more = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
      return hides && more && !e.matches(".unseen, .bar");
    }).map((e) => e.className)"""

    assert hands.run("return document.documentElement.scrollWidth") <= width  # a telephone widens its window instead
    assert hands.run(cut) == []


@pytest.mark.parametrize("view", ["", "#/matrix", "#/differences", "#/claims", "#/surface", "cell", "behaviour"])
@pytest.mark.parametrize("text", ["word" * 60, "nn.functional.scaled_dot_product_attention_of_many_heads"])
def test_a_name_longer_than_a_telephone_is_wide_is_broken(hands: Hands, tmp_path: Path, view: str, text: str) -> None:
    """Whatever is long, an id or a word of a record, no view scrolls sideways."""
    file = save(tmp_path, records.hostile(text), records.hostile("short"))
    places = {"cell": f"#/cell/{text}.{text}[{text}-{text}]", "behaviour": f"#/behaviour/{text}.{text}"}
    hands.window(360)
    hands.open(file, places.get(view, view))

    hands.run("for (const each of document.querySelectorAll('details')) each.open = true")

    assert text in hands.text("main")
    assert hands.run("return document.documentElement.scrollWidth") <= 360


EVERY = [None, *VERDICTS]


def crossed(*, complete: bool) -> list[records.Json]:
    """Two runs between which every verdict became every other, or none."""
    statement = records.behaviour("inplace")
    pairs = [(one, other) for one in EVERY for other in EVERY]
    runs = []
    for side in (0, 1):
        cells = [
            records.cell(statement, f"s{number:03}", verdict=str(pair[side]))
            for number, pair in enumerate(pairs)
            if pair[side] is not None
        ]
        runs.append({**records.small(), "cells": cells, "planned": len(cells), "available": len(cells)})
    runs[1]["environment"] = records.environment("2.14.0", ["cpu"])
    return [runs[0], runs[1] if complete else {**runs[1], "complete": False, "planned": 200, "available": 200}]


@pytest.mark.parametrize("complete", [True, False])
def test_the_differences_are_those_of_the_command(hands: Hands, tmp_path: Path, complete: bool) -> None:
    """The page and ``reports diff`` say the same of every pair of verdicts, in both directions."""
    pair = crossed(complete=complete)
    file = save(tmp_path, *pair)
    for place, (one, other) in {"": pair, "?a=B&b=A": pair[::-1]}.items():
        found = differences(Run.model_validate(one), Run.model_validate(other))
        expected = [said(kind, len(some)) for kind, some in of_kind(found).items()]
        if place:
            expected = [re.sub("[AB](?= only)", lambda match: "BA"["AB".index(match[0])], words) for words in expected]

        hands.open(file, f"#/differences{place}")

        assert [heading.text for heading in hands.all("main .kind:not(.slower) h2")] == expected
        assert all(words in hands.text("#found") for words in expected)


def test_runs_without_a_common_cell_are_not_compared(hands: Hands, tmp_path: Path) -> None:
    """The page calls no build worse for cells that the other run was never asked for, as ``reports diff`` does not."""
    first, second = records.small("pass", available=2), records.small("pass", "fail", available=3)
    second |= {"cells": second["cells"][1:], "planned": 1, "started": "2026-11-22T00:30:00+02:00"}
    hands.open(save(tmp_path, first, second), "#/differences")

    assert hands.text("#found") == "A and B cannot be compared: no cell is in both."
    headings = [heading.text for heading in hands.all("main .kind:not(.slower) h2")]
    assert headings == ["1 cell is in B only", "1 cell is in A only"]


@pytest.mark.parametrize("after", [[400, 150, 200], [600, 599, 300], [100, 200, 50]])
def test_what_is_slower_is_what_the_command_says(hands: Hands, tmp_path: Path, after: list[float]) -> None:
    """The page and ``reports diff`` name the same calls; a search leaves those of the subjects that it finds."""
    rest = after[2]
    one, other = timed(*[100] * 40), timed(*after, *[rest] * 37, started="2026-11-22T00:30:00Z")
    expected = [each.call for each in slowness(Run.model_validate(one), Run.model_validate(other)).calls]
    hands.open(save(tmp_path, one, other), "#/differences")

    assert expected
    assert [link.text for link in hands.all("main .kind .what a")] == expected
    hands.open(tmp_path / "index.html", "#/differences?q=subject:s01")
    assert [link.text for link in hands.all("main .kind .what a")] == [call for call in expected if "s01" in call]
    hands.open(tmp_path / "index.html", "#/differences?a=B&b=A")
    assert [link.text for link in hands.all("main .kind .what a")] == [
        each.call for each in slowness(Run.model_validate(other), Run.model_validate(one)).calls
    ]


def test_a_slower_call_leads_to_its_timings(hands: Hands, tmp_path: Path) -> None:
    """From the call to its picture and its rounds, with one click."""
    slow = timed(400, *[100] * 29, started="2026-11-22T00:30:00Z")
    hands.open(save(tmp_path, timed(*[100] * 30), slow), "#/differences")

    hands.click("main .slower .what a")

    hands.until("return document.querySelectorAll('main .card').length === 1")
    assert "s00 in-place operator, float32 on cpu" in hands.text("main .card h3")


def test_times_that_were_not_taken_are_not_compared(hands: Hands, tmp_path: Path) -> None:
    """However long the cells of a run took: the page says why it compares no times, and names the run."""
    untimed = {**timed(*[100] * 10, seconds=40.0, started="2026-11-22T00:30:00Z"), "performance": None}
    hands.open(save(tmp_path, timed(*[100] * 10), untimed), "#/differences")
    assert "Times are not compared: B was not timed." in hands.text("main .slower")

    hands.open(tmp_path / "index.html", "#/differences?a=B&b=A")
    assert "Times are not compared: B was not timed." in hands.text("main .slower")
    assert hands.all("main .slower li") == []


def test_what_is_repaired_says_what_it_was(hands: Hands, tmp_path: Path) -> None:
    """A cell that passes has nothing to say, so that the run before says what was wrong."""
    good, bad = pair()
    hands.open(save(tmp_path, bad, good), "#/differences")

    [repaired] = [row.text for row in hands.all("main .kind li") if "fail → ✓ pass" in row.text]
    assert "in 2.14.0: self after the call (first difference at index 2): expected tensor(" in repaired
    assert "An in-place operation returns the very tensor object that it was called on." in repaired


def test_documentation_of_another_release_has_not_changed(hands: Hands, tmp_path: Path) -> None:
    """A build that a statement does not speak of need not have its phrase; any other build is marked."""
    run = records.small("not-applicable", "pass")
    for cell in run["cells"]:
        cell["evidence"]["documentation"] = "missing"
    file = save(tmp_path, run)

    hands.open(file, "#/matrix?q=status:pass")
    assert "not documented" in hands.text("main")
    hands.open(file, "#/matrix?q=status:not-applicable")
    assert "not documented" not in hands.text("main")
    hands.open(file, "#/cell/inplace.returns-self[add_-cpu]")
    assert "this build does not document it" not in hands.text("main")


def test_a_gone_phrase_is_told_from_a_gone_documentation(hands: Hands, tmp_path: Path) -> None:
    """The list says of each build what its cells say: the phrase is gone, or there is no documentation at all."""
    changed, missing = records.small("pass"), records.small("pass", started="2026-11-22T00:30:00+02:00")
    missing["environment"] = records.environment("2.14.0", ["cpu"])
    for run, word in ((changed, "changed"), (missing, "missing")):
        run["cells"][0]["evidence"]["documentation"] = word
    hands.open(save(tmp_path, changed, missing), "#/matrix")

    assert "documentation changed in 2.13.0+cpu not documented in 2.14.0" in hands.text("main")


def test_a_gap_of_some_cells_is_not_of_all(hands: Hands, tmp_path: Path) -> None:
    """Where a build leaves out some subjects of a behaviour, the list does not say that it leaves out the behaviour."""
    some, every = records.small("pass", "pass"), records.small("pass", "pass")
    every["environment"] = records.environment("2.14.0", ["cpu"])
    for cell in (some["cells"][0], *every["cells"]):
        cell["evidence"]["documentation"] = "missing"
    hands.open(save(tmp_path, some, every), "#/matrix")

    assert "must some cells not documented in 2.13.0+cpu not documented in 2.14.0" in hands.text("main")

    some["cells"][1]["evidence"]["documentation"] = "missing"
    hands.open(save(tmp_path, some, every), "#/matrix")

    assert "must not documented in any run" in hands.text("main")


def test_what_is_typed_at_once_is_all_searched_for(hands: Hands, tmp_path: Path) -> None:
    """Letters that come before the browser has told of the new address are searched for, and one step leads back."""
    hands.open(save(tmp_path, *pair()))
    hands.run(
        """const box = document.getElementById("query");
        box.focus();
        for (const letter of "status:fail") { box.value += letter; box.dispatchEvent(new Event("input")); }"""
    )

    hands.until("return location.hash === '#/matrix?q=status:fail'")
    assert "1 behaviour and 1 cell match" in hands.text("#found")
    hands.driver.back()
    hands.until("return document.getElementById('found') === null")
    assert hands.run("return [location.hash, document.getElementById('query').value]") == ["", ""]


@pytest.mark.parametrize(
    ("place", "asked"),
    [("#/nowhere", "nowhere"), ("#/Matrix?q=x", "Matrix"), ("#/constructor", "constructor"), ("#rows", "rows")],
)
def test_an_address_without_a_view_says_so_above_the_overview(
    hands: Hands, tmp_path: Path, place: str, asked: str
) -> None:
    """The reader of a mistyped or foreign address sees that this is not what it asked for; the next view does not."""
    hands.open(save(tmp_path, *pair()), place)

    assert hands.text("main .lost") == f"This report has no view “{asked}”. This is the overview."
    assert hands.text("#status") == f"This report has no view “{asked}”. This is the overview."
    assert hands.text("#views [aria-current]") == "Overview"
    assert hands.all("main .runs")

    hands.click("#views a:nth-child(2)")

    assert not hands.all("main .lost")


def test_a_view_that_this_report_lacks_is_told_like_one_that_none_has(hands: Hands, tmp_path: Path) -> None:
    """One run has no differences: a link that was made in a report of two says so, and a plain address does not."""
    file = save(tmp_path, records.small("pass"))
    for place in ("#/differences", "#/claims", "#/surface"):
        hands.open(file, place)
        assert hands.text("main .lost") == f"This report has no view “{place[2:]}”. This is the overview."
    for place in ("", "#", "#/", "#/overview", "#main"):
        hands.open(file, place)
        assert not hands.all("main .lost")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("#/cell/inplace.returns-self[add_-cpu]?run=F", "This report has no run F. What follows is of another run."),
        ("#/differences?a=A&b=F", "This report has no run F. What follows is of another run."),
        ("#/differences?a=G&b=F", "This report has no run G and no run F. What follows is of other runs."),
    ],
)
def test_a_run_that_this_report_lacks_is_not_taken_for_another(
    hands: Hands, tmp_path: Path, place: str, words: str
) -> None:
    """The letters of a link that was made in a larger report are not silently those of other runs."""
    hands.open(save(tmp_path, *pair()), place)

    assert hands.text("main .lost") == words


def test_the_chosen_run_is_in_sight_on_a_telephone(hands: Hands, tmp_path: Path) -> None:
    """Where the runs of a cell scroll sideways, the verdict below is that of a run that is seen."""
    several = [records.record(areas=1, seed=seed, torch=f"2.1{seed}.0") for seed in range(6)]
    file = save(tmp_path, *several)
    hands.window(360)

    for letter in "FA":
        hands.open(file, f"#/cell/{several[0]['cells'][0]['id']}?run={letter}")
        left, right = hands.run(
            """const { left, right } = document.querySelector(".tabs [aria-current]").getBoundingClientRect();
            return [left, right]"""
        )
        assert left >= 0
        assert right <= 360


@pytest.mark.parametrize("view", ["#/matrix", "#/differences", "#/deviations", "#/claims", "#/surface"])
def test_a_very_long_word_leaves_the_page_as_wide_as_its_window(hands: Hands, tmp_path: Path, view: str) -> None:
    """On a desk too: a word without end is broken, and the columns of the runs stay in sight."""
    hands.open(save(tmp_path, records.hostile("word" * 600), records.hostile("short")), view)

    assert hands.run("return document.documentElement.scrollWidth") <= 1280


def test_no_answer_counts_runs_that_say_little_as_good(hands: Hands, tmp_path: Path) -> None:
    """Beside a selection, a run that was cut off, one that the suite broke in and one without a test are named."""
    some = [
        records.small("pass", available=9),
        records.small("pass", complete=False, planned=3),
        records.small("pass", errors=["no such catalogue"]),
        records.small("unsupported"),
    ]
    hands.open(save(tmp_path, *some))

    assert hands.text("main .answer") == (
        "No must fails in any of 4 runs 1 of them is of a part of the suite, 1 incomplete, 1 undecided, 1 not tested"
    )


def test_claims_that_nothing_decides_are_not_called_decided(hands: Hands, tmp_path: Path) -> None:
    """A run of something else decides no claim, and the first words say so."""
    run = records.small("pass", claims=[each for each in records.claims() if each["id"].startswith("old.e")])
    hands.open(save(tmp_path, run), "#/claims")

    assert "none of them is decided here" in hands.text(".lede")


def test_a_listed_deviation_is_no_clean_answer(hands: Hands, tmp_path: Path) -> None:
    """Where a must fails as listed, the first words of a selection say so."""
    late = {"available": 9, "started": "2026-11-22T00:30:00+02:00"}
    hands.open(save(tmp_path, records.small("known", available=9), records.small("pass", **late)))

    assert hands.text(".answer") == (
        "No must fails in any of 2 runs but for listed deviations; none of them is of the whole suite"
    )
    # a block of its own would swallow the blank between the words
    assert hands.run("return getComputedStyle(document.querySelector('.answer small')).display") == "inline"


def test_two_runs_are_chosen_and_the_address_keeps_them(hands: Hands, tmp_path: Path) -> None:
    """Other runs, a search among what differs, the way back: all of it is in the address."""
    runs = [*pair(), records.small("fail", "pass", "pass", started="2026-11-22T00:30:00+02:00")]
    hands.open(save(tmp_path, *runs), "#/differences")
    assert "torch 2.13.0+cpu 2.14.0" in hands.text("main .environment tbody")

    hands.run("document.getElementById('select-b').value = 'C'")
    hands.run("document.getElementById('select-b').dispatchEvent(new Event('change'))")
    assert "1 cell" in hands.text("#found")
    hands.all("#query")[0].send_keys("subject:sub_")
    hands.until("return location.hash === '#/differences?a=A&b=C&q=subject:sub_'")
    assert hands.text("#found") == "Of the cells that match: No cell differs."
    hands.run("document.getElementById('swap').click()")
    hands.until("return location.hash.includes('a=C&b=A')")


def test_a_stale_deviation_is_marked(hands: Hands, tmp_path: Path) -> None:
    """A listed deviation stands once, with its issue, and a run where it passes says that the list is stale."""
    reason, issue = "Rounds twice in half precision.", "https://github.com/pytorch/pytorch/issues/1"
    still, passes = records.small("known", "known", "pass"), records.small("fixed", "known", "pass")
    gone = records.small("fixed", "fixed", "pass")
    for number, run in enumerate((still, passes, gone)):
        run["environment"] = records.environment(f"2.{number}.0", ["cpu"])
        for cell in run["cells"]:
            if cell["verdict"] != "pass":
                told = f"passes, but is listed: {reason}" if cell["verdict"] == "fixed" else reason
                cell |= {"reason": told, "issue": issue}

    hands.open(save(tmp_path, still, passes, gone), "#/deviations")

    assert hands.text("main .found").startswith("1 listed deviation, which is stale: what is listed passes")
    assert [cell.text for cell in hands.all("main tbody td")] == [
        "◆ 2 known", "◆ 1 known ◇ 1 fixed partly stale", "◇ 2 fixed stale",
    ]  # fmt: skip
    assert hands.all(f"main a[href='{issue}']")


def test_claims_are_found_and_lead_to_their_behaviours(hands: Hands, tmp_path: Path) -> None:
    """Words and a verdict choose claims, the address keeps both, and a claim leads to what decides it."""
    hands.open(save(tmp_path, *pair()), "#/claims")
    assert [row.text.splitlines()[0] for row in hands.all(".claims tr.behaviour")] == [
        each["claim"] for each in records.claims()
    ]
    assert hands.text(".claims tr:nth-of-type(4)").endswith("✕ false ◆ confirmed with a condition")

    hands.all("#find")[0].send_keys("method")
    hands.click(".finder .chip:nth-child(4)")

    assert hands.text("#listed") == "1 claim of 6."
    hands.until("return location.hash === '#/claims?find=method&verdict=false'")
    hands.open(tmp_path / "index.html", "#/claims?find=method&verdict=false")
    assert hands.text("#listed") == "1 claim of 6."
    hands.all(".claims .by a")[0].click()
    hands.until("return location.hash === '#/behaviour/inplace.returns-self'")
    hands.driver.back()
    hands.until("return document.getElementById('find')?.value === 'method'")


def test_a_claim_of_one_subject_leads_to_its_cells(hands: Hands, tmp_path: Path) -> None:
    """Where one subject decides, the link leads to the cells of that subject; what no run has is no link."""
    hands.open(save(tmp_path, *pair()), "#/claims?find=elsewhere")
    assert not hands.all(".claims .by a")

    hands.open(tmp_path / "index.html", "#/claims?find=alias.subject")
    hands.all(".claims .by a")[0].click()

    hands.until("return document.getElementById('found') !== null")
    assert hands.text("#found") == "1 behaviour and 1 cell match"


def test_documented_names_are_found_with_their_behaviours(hands: Hands, tmp_path: Path) -> None:
    """Names with and without behaviours, by their module; a name unfolds into the behaviours that name it."""
    hands.open(save(tmp_path, *pair()), "#/surface")
    assert hands.text("main .lede").startswith("2 of 4 names that have a docstring in these builds")
    assert [row.text for row in hands.all(".surface .area")] == ["torch.Tensor 2 of 3", "torch.nn 0 of 1"]

    hands.all(".surface summary")[0].click()
    hands.until("return document.querySelector('.naming li') !== null")
    assert [row.text.split(" ")[0] for row in hands.all(".naming li")] == ["inplace.returns-self", "views.shares"]

    hands.click(".finder .chip:nth-child(2)")
    assert [row.text for row in hands.all(".surface .name")] == ["torch.Tensor.backward none", "torch.nn.Linear none"]
    hands.run("document.getElementById('select-place').value = 'torch.nn'")
    hands.run("document.getElementById('select-place').dispatchEvent(new Event('change'))")
    assert hands.text("#listed") == "1 name of 4."
    hands.until("return location.hash === '#/surface?named=no&place=torch.nn'")


def test_claims_are_walked_with_the_keyboard(hands: Hands, tmp_path: Path) -> None:
    """j and k go from claim to claim, and Enter to what decides one; in the list's own box they are letters."""
    hands.open(save(tmp_path, *pair()), "#/claims")
    hands.run("document.getElementById('main').focus()")

    hands.press("j", "j", "k", "j", "j")
    assert hands.text(":focus") == "inplace.returns-self[add_]"
    hands.press(Keys.ENTER)
    hands.until("return location.hash === '#/matrix?q=behaviour:inplace.returns-self+subject:add_'")

    hands.open(tmp_path / "index.html", "#/claims")
    hands.all("#find")[0].send_keys("jk")
    assert hands.text("#listed") == "No claim matches."


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_asks_for_anything(hands: Hands, tmp_path: Path, view: str) -> None:
    """Whatever is looked at, the browser fetches nothing but the file."""
    hands.open(save(tmp_path, *mixed()), VIEWS[view])

    assert hands.run("return performance.getEntriesByType('resource').map((each) => each.name)") == []


def test_a_record_without_claims_has_no_such_views(hands: Hands, tmp_path: Path) -> None:
    """A record of before these tables is shown as ever, and its page offers no empty view."""
    hands.open(save(tmp_path, records.small("pass")), "#/claims")

    assert hands.text("#views") == "Overview Behaviours"
    assert "Conformant" in hands.text("main")


def test_paper_gets_everything(hands: Hands, tmp_path: Path) -> None:
    """Every cell that differs is printed, and long lines of a program go on in the next line: paper does not scroll."""
    one, other = records.record(areas=2, seed=1), records.record(areas=2, seed=2, torch="2.14.0")
    for run in (one, other):
        run["cells"] = [{**cell, "minimal": "x = " + "1 + " * 200 + "1"} for cell in run["cells"]]
    only = [{**records.cell(one["behaviours"][0], f"s{number:03}")} for number in range(150)]
    other |= {"cells": [*other["cells"], *only], "planned": len(other["cells"]) + 150, "available": None}
    file = save(tmp_path, one, other)

    hands.open(file, "#/differences")
    hands.run("dispatchEvent(new Event('beforeprint'))")
    assert len(hands.all("main .kind li .what")) == sum(
        int(number) for number in re.findall(r"(\d+) cells?", hands.text("#found"))
    )

    hands.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        hands.open(file, f"#/cell/{one['cells'][0]['id']}")
        cut = "return [...document.querySelectorAll('main pre')].filter((e) => e.scrollWidth > e.clientWidth).length"
        assert hands.all("main .program")
        assert hands.run(cut) == 0
    finally:
        hands.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_text_does_nothing_in_the_new_views(hands: Hands, tmp_path: Path, text: str) -> None:
    """No string of a run becomes an element or a link that runs, among differences and deviations."""
    before, after = records.hostile(text), records.hostile("harmless")
    for run in (before, after):
        run["cells"] = [{**run["cells"][0], "verdict": "known"}]
    file = save(tmp_path, before, after)
    for place in ("#/differences", "#/deviations", "#/claims", "#/surface"):
        hands.open(file, place)

        assert hands.run("return document.title").endswith("harmless")
        assert not hands.all("main img, main svg, main script, main a[href^='javascript']")


@pytest.mark.skipif(
    not (AXE and Path(AXE).is_file()), reason="AXE does not name axe-core's axe.min.js: tox -e browser has it"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(hands: Hands, tmp_path: Path, view: str, width: int, scheme: str) -> None:
    """No violation of WCAG 2.1 A and AA, on any view, in either scheme, wide or narrow."""
    hands.window(width, scheme)
    hands.open(save(tmp_path, *mixed()), VIEWS[view])
    found = hands.axe()
    hands.shot(f"{view}-{width}-{scheme}")

    assert found == []
