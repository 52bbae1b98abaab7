"""A run as JUnit XML, for the many things that read nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from reports.headline import headline
from reports.model import Cell, Run
from reports.tally import limit
from reports.verdicts import LEVELS, MEANINGS, group

SUITE = "torch-conformance"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(run: Run) -> str:
    """The run: a suite for each area, a case for each cell, and what is wrong with the run itself."""
    areas: dict[str, list[Cell]] = {}
    for cell in run.cells:
        areas.setdefault(cell.area, []).append(cell)
    suites = [_suite(area, [_case(run, cell) for cell in cells], run) for area, cells in areas.items()]
    if faults := _faults(run):
        suites.append(_suite(SUITE, faults, run))
    top = ET.Element("testsuites", {"name": SUITE, **_sums(suites)})
    top.extend(suites)
    ET.indent(top, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def _suite(name: str, cases: Sequence[ET.Element], run: Run) -> ET.Element:
    seconds = sum(float(case.get("time", "0")) for case in cases)
    suite = ET.Element(
        "testsuite",
        {
            "name": _clean(name),
            "tests": str(len(cases)),
            "failures": _number(cases, "failure"),
            "errors": _number(cases, "error"),
            "skipped": _number(cases, "skipped"),
            "time": f"{seconds:.3f}",
            "timestamp": run.started[:19],
        },
    )
    properties = ET.SubElement(suite, "properties")
    found = limit(run)
    for key, value in {
        "torch": run.environment.torch.version,
        "targets": ", ".join(target.name for target in run.environment.targets),
        "profile": run.settings.profile,
        "extent": found.says if found else "the whole suite",
    }.items():
        ET.SubElement(properties, "property", {"name": key, "value": _clean(value)})
    suite.extend(cases)
    return suite


def _number(cases: Sequence[ET.Element], tag: str) -> str:
    return str(sum(case.find(tag) is not None for case in cases))


def _sums(suites: Sequence[ET.Element]) -> dict[str, str]:
    keys = ("tests", "failures", "errors", "skipped")
    return {key: str(sum(int(suite.get(key, "0")) for suite in suites)) for key in keys}


def _case(run: Run, cell: Cell) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": _clean(f"{cell.area}.{cell.behaviour}"),
            "name": _clean(cell.id.removeprefix(f"{cell.area}.{cell.behaviour}")),
            "time": f"{cell.seconds:.3f}",
        },
    )
    kind, meaning = group(cell.verdict), MEANINGS[cell.verdict]
    words = f"{cell.level}: {headline(cell) or meaning.says}"
    if kind == "failed" and not _fails(run, cell):
        _child(case, "skipped", f"{cell.verdict}, allowed, {words}", cell.verdict, cell.message)
    elif kind == "failed":
        _child(case, "failure", words, cell.verdict, cell.message)
    elif kind == "error":
        _child(case, "error", words, cell.verdict, cell.message)
    elif kind in ("known", "untested"):
        issue = f" ({cell.issue})" if cell.issue else ""
        _child(case, "skipped", f"{meaning.word}: {headline(cell) or meaning.says}{issue}", cell.verdict, None)
    return case


def _fails(run: Run, cell: Cell) -> bool:
    """Whether a failing cell of this level fails the run, as it was asked for."""
    fail_on = run.settings.fail_on or "must"
    return fail_on != "none" and LEVELS.index(cell.level) <= LEVELS.index(fail_on)


def _faults(run: Run) -> list[ET.Element]:
    """What is wrong with the run itself: whoever reads only this file must not take it for a sound one."""
    faults = [("the suite", error) for error in run.errors]
    if (found := limit(run)) and found.kind == "incomplete":
        faults.append(("the run is complete", found.says))
    cases = []
    for name, words in faults:
        case = ET.Element("testcase", {"classname": SUITE, "name": name, "time": "0.000"})
        _child(case, "error", words.strip().splitlines()[-1] if words.strip() else name, "error", words)
        cases.append(case)
    return cases


def _child(case: ET.Element, tag: str, message: str, kind: str, text: str | None) -> None:
    child = ET.SubElement(case, tag, {"message": _clean(message), "type": kind})
    if text:
        child.text = _clean(text)


def _clean(text: str) -> str:
    """The text without what XML cannot hold, which is written as an escape."""
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
