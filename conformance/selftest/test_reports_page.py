"""The page holds everything, asks for nothing, and lets nothing out of a run become markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest import records
from reports import page, reproducer, templating
from reports.reading import load
from reports.writing import write


class Page(HTMLParser):
    """The elements of a page, and what its scripts and style hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.text: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        self.inside[self._open] = self.inside.get(self._open, "") + data


def built(tmp_path: Path, *runs: records.Json, reproducers: bool = False) -> Page:
    """The page of these runs."""
    return Page(html(tmp_path, *runs, reproducers=reproducers))


def html(tmp_path: Path, *runs: records.Json, reproducers: bool = False) -> str:
    """The text of the page of these runs."""
    paths = [records.save(tmp_path, run, f"{n}.json", reproducers=reproducers) for n, run in enumerate(runs)]
    return page.html([load(path) for path in paths])


def details(found: Page) -> list[Any]:
    """The details of each behaviour, unpacked."""
    return [json.loads(zlib.decompress(base64.b64decode(each))) for each in json.loads(found.inside["details"])]


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the time and place of the build is in the page."""
    runs = [records.record(seed=1), records.record(seed=2)]

    assert html(tmp_path / "a", *runs) == html(tmp_path / "b", *runs)


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    """No element fetches, and the policy forbids what none does."""
    found = built(tmp_path, records.record())

    policy = next(attrs["content"] for tag, attrs in found.elements if "http-equiv" in attrs)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "source")
        assert "src" not in attributes
        assert "style" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_lets_this_script_and_style_run(tmp_path: Path) -> None:
    """The digests in the policy are those of what stands in the page."""
    found = built(tmp_path, records.small("pass"))
    policy = next(str(attrs["content"]) for _, attrs in found.elements if "http-equiv" in attrs)

    for element in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.inside[element].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_text_stays_text(tmp_path: Path, text: str) -> None:
    """A string that breaks out of a page which does not escape it makes no element here, in any field."""
    plain = [tag for tag, _ in built(tmp_path / "plain", records.hostile("harmless")).elements]

    found = built(tmp_path / "hostile", records.hostile(text))

    assert [tag for tag, _ in found.elements] == plain
    assert json.loads(found.inside["index"])["behaviours"][0]["statement"] == text.replace("\ud800", "\ufffd")
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]


def test_scripts_hold_no_character_that_ends_them(tmp_path: Path) -> None:
    """Data in the page is ASCII without <, > and &, so no parser reads anything into it."""
    found = html(tmp_path, *(records.hostile(text) for text in records.HOSTILE))

    for element in ("index", "details"):
        data = re.search(rf'id="{element}">(.*?)</script>', found, re.DOTALL)
        assert data is not None
        assert data[1].isascii()
        assert not set(data[1]) & set("<>&")


def test_text_of_any_length_goes_in(tmp_path: Path) -> None:
    """A message of megabytes is cut, and says by how much."""
    run = records.small("fail")
    run["cells"][0]["message"] = "x" * 3_000_000

    found = built(tmp_path, run)

    longest = max((value for value in details(found)[0]["pool"] if isinstance(value, str)), key=len)
    assert len(longest) < 70_000
    assert longest.endswith("… 2,934,464 characters more in the run record.")


def test_every_result_of_every_run_is_in_the_page(tmp_path: Path) -> None:
    """Verdicts, messages and evidence of all runs can be had back from the page."""
    runs = [records.record(seed=seed) for seed in (1, 2)]
    found = built(tmp_path, *runs)
    index = json.loads(found.inside["index"])
    unpacked = details(found)

    for number, run in enumerate(runs):
        met = {}
        for b, behaviour in enumerate(index["behaviours"]):
            for cell in range(index["starts"][b], index["starts"][b + 1]):
                code = index["results"][number][cell]
                if code != ".":
                    row = unpacked[b]["rows"][cell - index["starts"][b]][number]
                    values = dict(zip(unpacked[b]["fields"], (unpacked[b]["pool"][i] for i in row[1:]), strict=True))
                    verdict = index["verdicts"][int(code)]["verdict"]
                    met[behaviour["id"] + index["names"][cell]] = (verdict, values["message"], values["cases"])

        assert met == {cell["id"]: (cell["verdict"], cell["message"], cell["cases"]) for cell in run["cells"]}


def test_the_reproducer_is_in_the_page(tmp_path: Path) -> None:
    """The script of a failure is read from beside its record."""
    found = built(tmp_path, records.small("fail"), reproducers=True)

    [script] = [value for value in details(found)[0]["pool"] if isinstance(value, dict) and "source" in value]
    assert script["source"].startswith("# inplace.returns-self[add_-cpu]\n")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gone.py", "The file is not beside the record."),
        ("../secret.py", "The path leads out of the record's folder, so the file was not read."),
        ("/etc/hostname", "The path leads out of the record's folder, so the file was not read."),
        ("link.py", "The path leads out of the record's folder, so the file was not read."),
        ("null\x00byte", "The file cannot be read."),
        ("x" * 5000, "The file cannot be read."),
        ("long.py", "The file is longer than 256 KiB, so it was not read."),
        (".", "The file is not beside the record."),
    ],
)
def test_a_reproducer_is_read_from_beside_the_record_only(tmp_path: Path, path: str, expected: str) -> None:
    """A record names no file that is not its own: the page may be mailed to anybody."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "secret.py").write_text("secret")
    (folder / "link.py").symlink_to(tmp_path / "secret.py")
    (folder / "long.py").write_text("#" * 300_000)

    found = reproducer.read(folder, path)

    assert (found.source, found.missing) == (None, expected)


def test_the_summary_stands_where_no_script_runs(tmp_path: Path) -> None:
    """Without scripts the page has the standing of each run and the counts of each area and level."""
    text = html(tmp_path, records.record(), records.small("pass", errors=["no such catalogue"]))
    inside = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL)

    assert inside is not None
    for expected in ("Undecided", "In-place operations", "must", "no such catalogue", "✓ ", "not run"):
        assert expected in inside[1]


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What cannot be written leaves the page that was there, and no crumbs."""
    target = tmp_path / "index.html"
    write(target, "before")

    with pytest.raises(UnicodeEncodeError):
        write(target, "half \ud800")

    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def luminance(colour: str) -> float:
    """The relative luminance of a colour, as WCAG 2.1 defines it."""
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG 2.1 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str) -> None:
    """Every colour of text stands out 4.5 : 1 from every ground that it is used on, in every scheme."""
    style = (templating.TEMPLATES / "base.css").read_text() + (templating.TEMPLATES / "print.css").read_text()
    light, dark, paper = (
        dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    colours = {"light": light, "dark": dark, "print": {**light, **paper}}[scheme]

    for text in ("ink", "soft", "link", "failed", "passed", "known", "error", "untested"):
        for ground in ("ground", "raised"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text in ("ink", "soft", "link"):
        for ground in ("known-ground", "error-ground", "failed-ground", "passed-ground"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for shape in ("strong-rule",):
        assert contrast(colours["ink"], colours[shape]) >= 3
