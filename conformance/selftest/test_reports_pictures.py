"""The pictures under hands: what the view *performance* draws, finds and keeps in its address."""

# ruff: noqa: F811  (a fixture that is imported has the name of the argument that asks for it)
from __future__ import annotations

from pathlib import Path

import pytest

from conformance.selftest import records, timings
from conformance.selftest.hands import AXE, BROWSER, Hands, browser, hands, save  # noqa: F401  (fixtures)

Keys = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: tox -e browser has it").Keys

pytestmark = pytest.mark.skipif(not BROWSER, reason="Chromium and chromedriver are not both installed")

STATEMENT = records.BEHAVIOURS[0][1]
PARTS = {
    "calls": "Time against size",
    "scaling": "Growth of costs",
    "ratios": "One way against another",
    "ab": "Two builds in turn",
    "suite": "What the suite costs",
}


def pair() -> list[records.Json]:
    """Two runs of two builds on one machine, with timings, growth and ratios."""
    other = timings.timed("pass", "fail", "pass", started="2026-11-22T00:30:00+02:00")
    other["environment"] = records.environment("2.14.0", ["cpu"])
    other["performance"] = timings.performance(subjects=9, seed=1, factor=1.3)
    return [timings.timed(), other]


def page(folder: Path) -> Path:
    """A page with every part."""
    return save(folder, *pair(), ab=[timings.alternation(), timings.alternation(seed=1, subjects=40)])


def test_every_part_has_its_place(hands: Hands, tmp_path: Path) -> None:
    """The parts that have something to show are named, in order, and lead to one another; the first is the default."""
    hands.open(page(tmp_path), "#/performance")
    assert [tab.text for tab in hands.all(".performance .tabs a")] == list(PARTS.values())
    assert hands.text(".performance .tabs [aria-current]") == "Time against size"

    hands.click(".performance .tabs a:nth-child(4)")

    hands.until("return location.hash === '#/performance?part=ab'")
    assert hands.text(".performance .answer").startswith("torch 2.13.0+cpu takes 1.0")
    hands.driver.back()
    hands.until(
        "return document.querySelector('.performance .tabs [aria-current]').textContent === 'Time against size'"
    )


def test_a_file_that_was_broken_off_says_so(hands: Hands, tmp_path: Path) -> None:
    """The mean is not taken for that of all calls."""
    for complete in (True, False):
        hands.open(save(tmp_path, records.small("pass"), ab=[timings.alternation(complete=complete)]), "#/performance")
        assert ("It was broken off" in hands.text(".performance .lede")) is not complete


@pytest.mark.parametrize("width", [400, 1280])
def test_names_stand_beside_what_they_name(hands: Hands, tmp_path: Path, width: int) -> None:
    """Each kind is on the line of its box, and a table of a picture is not cut off, in a narrow window too."""
    run = timings.timed()
    run["performance"]["measurements"][0]["kind"] = "out-of-place counterpart"
    hands.window(width)
    hands.open(save(tmp_path, run), "#/performance")

    names, boxes = hands.all(".rows-of-boxes li"), hands.all(".boxes svg .box")
    assert 5 < len(names) == len(boxes)
    for name, box in zip(names, boxes, strict=True):
        middle = box.rect["y"] + box.rect["height"] / 2
        assert name.rect["y"] <= middle <= name.rect["y"] + name.rect["height"]
        assert name.rect["x"] + name.rect["width"] <= box.rect["x"]
    cut = "return [...document.querySelectorAll('.card .wide')].filter((each) => each.scrollWidth > each.clientWidth)"
    assert [] == hands.run(cut)
    assert hands.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_parts_without_data_are_not_offered(hands: Hands, tmp_path: Path) -> None:
    """A run without any has no such view; a file of two builds alone has its part and the cost of the suite."""
    hands.open(save(tmp_path, records.small("pass")), "#/performance")
    assert "Performance" not in hands.text("#views")
    assert "Conformant" in hands.text("main")

    hands.open(save(tmp_path, records.small("pass"), ab=[timings.alternation()]), "#/performance?part=scaling")
    assert [tab.text for tab in hands.all(".performance .tabs a")] == ["Two builds in turn", "What the suite costs"]


def test_a_picture_and_its_numbers_stand_together(hands: Hands, tmp_path: Path) -> None:
    """Every picture of a subject is an image with words, and the table beside it has what the record says."""
    run = timings.timed()
    [small, medium, large] = run["performance"]["measurements"][:3]
    for each, median in ((small, 4.4e-7), (medium, 5.0e-6), (large, 1.28e-3)):
        each |= {"median": median, "iqr": median / 25}
    hands.open(save(tmp_path, run), "#/performance?find=add_")

    assert hands.text(".card h3") == "add_ in-place operator, float32 on cpu"
    assert "Time of add_, float32 on cpu" in hands.all(".card svg")[0].get_attribute("aria-label")
    assert len(hands.all(".card svg circle")) == 3
    assert [row.text.replace("\n", " ") for row in hands.all(".card tbody tr")] == [
        "small 64 elements, shape (8, 8) 440 ns ± 2 %, 25 rounds",
        "medium 16,384 elements, shape (128, 128) 5 µs ± 2 %, 25 rounds",
        "large 4,194,304 elements, shape (2048, 2048) 1.28 ms ± 2 %, 25 rounds",
        "growth, medium to large n1.00",
        "a small call, counted in empty calls 10",
    ]


def test_timings_are_found_ordered_and_addressed(hands: Hands, tmp_path: Path) -> None:
    """Words, a kind and an order choose timings, and an address brings them back."""
    hands.open(page(tmp_path), "#/performance")
    assert hands.text("#listed") == "9 timings."

    hands.all("#find")[0].send_keys("_")
    for key, value in (("kind", "in-place operator"), ("sort", "slow")):
        hands.run(f"document.getElementById('select-{key}').value = '{value}'")
        hands.run(f"document.getElementById('select-{key}').dispatchEvent(new Event('change'))")

    hands.until("return location.hash === '#/performance?find=_&kind=in-place+operator&sort=slow'")
    found = [heading.text for heading in hands.all(".card h3")]
    assert hands.text("#listed") == "2 timings of 9."
    hands.open(tmp_path / "index.html", "#/performance?find=_&kind=in-place+operator&sort=slow")
    assert [heading.text for heading in hands.all(".card h3")] == found
    assert hands.run("return document.getElementById('select-sort').value") == "slow"


def test_times_of_different_machines_are_not_put_side_by_side(hands: Hands, tmp_path: Path) -> None:
    """Where the fingerprints differ the view says so first; where they are the same it names the machine once."""
    one, other = pair()
    hands.open(save(tmp_path, one, other), "#/performance")
    assert "All on the same machine: Example 9000" in hands.text(".performance")
    assert not hands.all(".performance .notice")

    other["performance"]["fingerprint"] = timings.fingerprint("ba9876543210", processor="Other 1")
    hands.open(save(tmp_path, one, other), "#/performance")
    assert hands.text(".performance .notice").startswith("These runs are of different machines (A / B)")
    assert "Other 1, 2 cores, 8 GiB, Linux on x86_64" in hands.text(".machines")


def test_what_was_not_timed_says_why(hands: Hands, tmp_path: Path) -> None:
    """A subject without a time is named with its reason, at the end."""
    hands.open(save(tmp_path, timings.timed()), "#/performance")
    hands.click(".performance .legend summary")

    assert hands.text(".performance .legend").endswith("sort Its time depends on the values.")


def test_growth_shows_what_is_promised_and_leads_to_the_cell(hands: Hands, tmp_path: Path) -> None:
    """A sole run has its points, the fitted line and the promised fan; the exponents and the verdict stand beside."""
    hands.open(save(tmp_path, timings.timed()), "#/performance?part=scaling&quantity=bytes")

    assert hands.text("#listed") == "1 picture of 2."
    assert len(hands.all(".card .expected")) == len(hands.all(".card .fit")) == 1
    assert hands.text(".card > .wide tbody") == "this run n0.97 0.94 to 1.01 0.9 to 1.1 ✓ pass"
    hands.click(".card summary")
    assert hands.text(".card .data tbody tr:last-child") == "16,777,216 11 MiB"
    hands.click(".card .what a")
    hands.until("return location.hash === '#/cell/inplace.returns-self[add_-cpu]'")


def test_memory_that_never_grows_is_told_in_words(hands: Hands, tmp_path: Path) -> None:
    """No logarithm is taken of nothing: 0 bytes at every size is said, and the table has it."""
    run = timings.timed()
    nothing = {
        "quantity": "bytes",
        "points": [[64, 0], [4096, 0]],
        "exponent": 0,
        "interval": [0, 0],
        "expected": [0, 0],
    }
    run["cells"][0]["evidence"]["scaling"] = [nothing]
    for place in ("#/performance?part=scaling", "#/cell/inplace.returns-self[add_-cpu]"):
        hands.open(save(tmp_path, run), place)

        assert "0 B at every size." in hands.text("main")


def test_the_evidence_of_a_cell_is_drawn(hands: Hands, tmp_path: Path) -> None:
    """Growth and ratios are pictures in the view of their cell, and no text of braces."""
    file = save(tmp_path, timings.timed())
    hands.open(file, "#/cell/inplace.returns-self[add_-cpu]")
    assert [heading.text for heading in hands.all("main h2")][1:3] == ["Time against size", "Memory against size"]
    assert len(hands.all("main svg.chart")) == 2
    assert "{" not in hands.text("main .evidence")

    hands.open(file, "#/cell/inplace.returns-self[mul_-cpu]")
    assert (
        hands.text("main .ratios tbody tr:last-child")
        == "loop over rows against one call 1.31× 1.18 to 1.44 at most 1.1"
    )


def test_ratios_have_a_row_for_each_run(hands: Hands, tmp_path: Path) -> None:
    """A pair of ways stands once, with the ratio, what is promised and the verdict of each run."""
    hands.open(page(tmp_path), "#/performance?part=ratios&find=loop")

    assert hands.text("#listed") == "1 pair of 2."
    pair_ = f"must inplace.returns-self[mul_-cpu] {STATEMENT} loop over rows against one call"
    assert [row.text.replace("\n", " ") for row in hands.all(".ratios tbody tr")] == [
        f"{pair_} A 2.13.0+cpu 1.31× 1.18 to 1.44 at most 1.1 ✕ fail",
        "B 2.14.0 1.31× 1.18 to 1.44 at most 1.1 ✓ pass",
    ]


def test_the_statement_stands_once_over_the_pairs_of_a_cell(hands: Hands, tmp_path: Path) -> None:
    """Several pairs of one cell have its name and statement over the first, and a ratio of nothing is shown."""
    run = timings.timed()
    nothing = {
        "one": "x.exp()\nin no_grad",
        "other": "x.exp()",
        "ratio": 0.0,
        "interval": [0.0, 0.0],
        "expected": "0 nodes",
    }
    run["cells"][1]["evidence"]["ratios"].append(nothing)
    hands.open(save(tmp_path, run), "#/performance?part=ratios")

    assert hands.text(".ratios tbody").count(STATEMENT) == 1
    assert hands.text(".ratios tbody tr:last-child").startswith("x.exp() in no_grad against x.exp() 0× 0 to 0 0 nodes")


def test_what_costs_nothing_comes_last(hands: Hands, tmp_path: Path) -> None:
    """The cells with a picture stand before those of which there is nothing to draw."""
    run = timings.timed()
    nothing = {
        "quantity": "bytes",
        "points": [[64, 0], [4096, 0]],
        "exponent": 0,
        "interval": [0, 0],
        "expected": [0, 0],
    }
    run["cells"][0]["evidence"]["scaling"] = [nothing]
    run["cells"][2]["evidence"]["scaling"] = [timings.scaling()]
    hands.open(save(tmp_path, run), "#/performance?part=scaling")

    assert [link.text for link in hands.all(".card .what a")] == [
        "inplace.returns-self[sub_-cpu]", "inplace.returns-self[add_-cpu]",
    ]  # fmt: skip


def test_two_builds_are_compared_by_their_intervals(hands: Hands, tmp_path: Path) -> None:
    """What is slower and faster is decided by the interval; the chips choose, and the picture is of what is chosen."""
    hands.open(page(tmp_path), "#/performance?part=ab")
    assert "Slower: 3; faster: 3; the others, 30, cannot be told apart: their interval holds 1." in hands.text(
        ".performance .lede"
    )
    assert "36 timings" in hands.all("main svg[role]")[0].get_attribute("aria-label")

    hands.click(".finder .chip")

    assert hands.text("#listed") == "3 timings of 36."
    assert "3 timings" in hands.all("main svg[role]")[0].get_attribute("aria-label")
    assert [row.text.split("\n")[0] for row in hands.all(".ratios tbody tr")] == ["sub_"] * 3
    hands.until("return location.hash === '#/performance?part=ab&tendency=slower'")


def test_another_pair_of_builds_is_chosen(hands: Hands, tmp_path: Path) -> None:
    """With several A/B files one is looked at, and the address says which."""
    hands.open(page(tmp_path), "#/performance?part=ab")
    hands.run("document.getElementById('select-pair').value = '2'")
    hands.run("document.getElementById('select-pair').dispatchEvent(new Event('change'))")

    hands.until("return location.hash === '#/performance?part=ab&pair=2'")
    assert hands.text("#listed") == "120 timings."
    assert hands.run("return document.activeElement.id") == "select-pair"


def test_the_cost_of_the_suite_is_shown_by_area_and_cell(hands: Hands, tmp_path: Path) -> None:
    """Seconds, cases a second and the share inside torch of an area; the cells that take longest lead to themselves."""
    hands.open(save(tmp_path, timings.timed()), "#/performance?part=suite")

    assert hands.text(".expense tbody") == (
        "In-place operations 37 ms for 3 cells 375 cases, 10,200 a second at least 31 % of it inside torch"
    )
    assert hands.text(".cells-of tbody tr").startswith("inplace.returns-self[add_-cpu] 12 ms 125 10,200 32 %")


def test_pictures_are_walked_with_the_keyboard(hands: Hands, tmp_path: Path) -> None:
    """j and k go from subject to subject, and Enter to its cells."""
    hands.open(page(tmp_path), "#/performance")
    hands.run("document.getElementById('main').focus()")

    hands.press("j", "j", "k")
    assert hands.text(":focus") == "add_"
    hands.press(Keys.ENTER)

    hands.until("return location.hash === '#/matrix?q=subject:add_'")


@pytest.mark.parametrize("part", PARTS)
def test_a_telephone_shows_every_part(hands: Hands, tmp_path: Path, part: str) -> None:
    """At 360 pixels the page does not scroll sideways, and no picture is wider than it."""
    hands.window(360)
    hands.open(page(tmp_path), f"#/performance?part={part}")

    assert hands.run("return document.documentElement.scrollWidth") == 360
    assert hands.run(
        "return [...document.querySelectorAll('main svg')].every((e) => e.getBoundingClientRect().width <= 332)"
    )


def test_paper_gets_every_picture(hands: Hands, tmp_path: Path) -> None:
    """Pictures that nobody has scrolled to are printed too, with their tables unfolded."""
    run = timings.timed()
    run["performance"] = timings.performance(subjects=80)
    hands.open(save(tmp_path, run), "#/performance")
    assert len(hands.all(".card")) < 80

    hands.run("dispatchEvent(new Event('beforeprint'))")

    assert len(hands.all(".card svg")) == 80
    assert not hands.all("main details.data:not([open])")


@pytest.mark.parametrize("part", PARTS)
def test_no_part_asks_for_anything(hands: Hands, tmp_path: Path, part: str) -> None:
    """Whatever is looked at, the browser fetches nothing but the file."""
    hands.open(page(tmp_path), f"#/performance?part={part}")

    assert hands.run("return performance.getEntriesByType('resource').map((each) => each.name)") == []


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_text_does_nothing_in_the_pictures(hands: Hands, tmp_path: Path, text: str) -> None:
    """No string of a run or of an A/B file becomes an element or a link that runs, in any part."""
    file = save(tmp_path, timings.hostile(text), records.hostile("harmless"), ab=[timings.hostile_alternation(text)])
    told = " ".join(text.replace("\ud800", "\ufffd").split())
    for part in PARTS:
        hands.open(file, f"#/performance?part={part}")

        assert "Performance · PyTorch conformance" in hands.run("return document.title")
        assert hands.text(".performance .tabs [aria-current]") == PARTS[part]
        assert not hands.all("main img, main svg:not(.chart):not(.chart svg), main script, main a[href^='javascript']")
        if text.isprintable():
            assert told in hands.run("return document.getElementById('main').textContent.replace(/\\s+/g, ' ')")


@pytest.mark.skipif(
    not (AXE and Path(AXE).is_file()), reason="AXE does not name axe-core's axe.min.js: tox -e browser has it"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("part", [*PARTS, "cell"])
def test_axe_finds_nothing_in_the_pictures(hands: Hands, tmp_path: Path, part: str, width: int, scheme: str) -> None:
    """No violation of WCAG 2.1 A and AA in any part, in either scheme, wide or narrow."""
    hands.window(width, scheme)
    place = "#/cell/inplace.returns-self[add_-cpu]" if part == "cell" else f"#/performance?part={part}"
    hands.open(page(tmp_path), place)

    found = hands.axe()
    hands.shot(f"performance-{part}-{width}-{scheme}")

    assert found == []


def test_a_run_of_timings_alone_has_no_empty_tables(hands: Hands, tmp_path: Path) -> None:
    """Without a cell there is no table of areas, and the overview leads to the pictures."""
    run = records.small(performance=timings.performance(subjects=2), areas=[], behaviours=[])
    hands.open(save(tmp_path, run))

    assert "Not tested No cell was asked for. 6 calls were timed." in hands.text(".hero")
    assert "Areas" not in hands.text("main")
    hands.click(".hero a[href='#/performance']")
    hands.until("return location.hash === '#/performance'")


def test_a_phase_that_was_cut_off_does_not_say_how_long_it_took(hands: Hands, tmp_path: Path) -> None:
    """A killed serial phase has no time of its own, and its notice speaks of no other cells."""
    run = records.small(performance=timings.performance(subjects=2, seconds=0.0), complete=False)
    hands.open(save(tmp_path, run), "#/performance")

    assert hands.text(".machines tbody tr:last-child") == "all of it took unknown 6 timings"
    assert hands.text("#notices") == "Incomplete. The run did not end as it should. What it has may not be all."
