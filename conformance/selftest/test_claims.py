"""The claims of tutorials: the file, its format, and the command that lists it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance import inventory
from conformance.__main__ import main
from conformance.engine import claims
from conformance.engine.yamlfile import SpecError
from conformance.selftest import records


def written(folder: Path, **claim: Any) -> Path:
    """A file with one claim; JSON is YAML."""
    path = folder / "claims.yaml"
    whole = {"id": "a.b", "claim": "A claim.", **claim}
    path.write_text(json.dumps({"sections": [{"title": "T", "claims": [whole]}]}), encoding="utf-8")
    return path


def test_every_claim_of_the_collection_is_there_once() -> None:
    """The collection has 573 claims; a claim that is lost, or written twice, is noticed here."""
    ids = [claim.id for _, claim in claims.load_claims().each()]

    assert 573 == len(ids)
    assert [] == [name for name, times in Counter(ids).items() if times > 1]


def test_what_decides_a_claim_is_there() -> None:
    """Every behaviour that a claim names is one of an area, and every subject one of that behaviour."""
    assert [] == claims.strangers(claims.load_claims())


def test_a_stranger_is_named(tmp_path: Path) -> None:
    """A behaviour or a subject that there is not is told with the claim that names it."""
    path = written(tmp_path, decided_by=["inplace.no-such", "inplace.returns-self[no_such]", "leaves.grad-fn-names"])

    assert claims.strangers(claims.load_claims(path)) == [
        "a.b: expected a behaviour of an area; found 'inplace.no-such'",
        "a.b: expected a subject of inplace.returns-self; found 'no_such'",
        "a.b: expected a behaviour of an area; found 'leaves.grad-fn-names'",
    ]


@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        ({}, "a list of behaviours, or a key 'undecidable', and not both; found: neither"),
        ({"decided_by": ["a.b"], "undecidable": "So."}, "and not both; found: both"),
        ({"decided_by": ["returns-self"]}, "area.behaviour, or area.behaviour[subject]"),
        ({"decided_by": ["a.b"], "expects": "perhaps"}, "'holds' or 'fails'"),
        ({"decided_by": ["a.b"], "expects": "fails", "condition": "If."}, "no condition of a claim that is false"),
        ({"undecidable": "So.", "outdated_since": "1.8"}, "no release of a claim that is undecided"),
        ({"decided_by": ["a.b"], "claim": "No full stop"}, "one sentence that ends with a full stop"),
        ({"undecidable": "So.", "id": "words"}, "a topic and words, such as alias.deepcopy-needed"),
    ],
)
def test_a_claim_that_says_too_little_or_too_much_is_refused(tmp_path: Path, claim: Any, fault: str) -> None:
    """A claim is decided by behaviours or says why by none."""
    with pytest.raises(SpecError) as caught:
        claims.load_claims(written(tmp_path, **claim))

    assert fault in str(caught.value)


def test_an_id_given_twice_is_refused(tmp_path: Path) -> None:
    """Two claims of one id would have one verdict."""
    path = written(tmp_path, undecidable="So.")
    one = json.loads(path.read_text(encoding="utf-8"))["sections"][0]
    path.write_text(json.dumps({"sections": [one, {**one, "title": "U"}]}), encoding="utf-8")

    with pytest.raises(SpecError, match=r"sections\.1\.claims\.0\.id: expected: each id once; found: 'a.b' again"):
        claims.load_claims(path)


def test_the_record_says_what_is_not_the_default(tmp_path: Path) -> None:
    """A run record has a line for each claim, with its section."""
    found = claims.load_claims(written(tmp_path, decided_by=["a.b"], expects="fails", outdated_since="1.8"))

    assert found.record() == [
        {
            "section": "T", "id": "a.b", "claim": "A claim.", "decided_by": ["a.b"], "expects": "fails",
            "outdated_since": "1.8",
        }
    ]  # fmt: skip


def test_the_command_lists_what_decides(capsys: pytest.CaptureFixture[str]) -> None:
    """Each claim with its behaviours or the reason that there are none, then how many are decided."""
    assert main(["claims"]) == 0
    out = capsys.readouterr().out

    assert (
        "alias.deepcopy-needed: Getting a real copy of a tensor needs deepcopy.\n    numpy_bridge.clone-copies" in out
    )
    assert "573 claims, " in out.splitlines()[-1]


def test_the_command_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be used is told by line, with exit status 2."""
    path = written(tmp_path, claim="No full stop", undecidable="So.")
    monkeypatch.setattr(claims.load_claims, "__defaults__", (path,))

    assert inventory.list_claims(None, []) == 2
    assert f"{path}:1: sections.0.claims.0.claim: expected: one sentence" in capsys.readouterr().err


def test_the_command_hands_a_record_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With a run record the verdicts are those of ``python -m reports claims``."""
    path = records.save(tmp_path, records.small("pass", claims=records.claims()))

    assert main(["claims", str(path), "--only", "false"]) == 0
    assert capfd.readouterr().out.startswith("false  alias.returns-none")
