"""Documentation lookups: what the build under test says of itself."""

from __future__ import annotations

import pytest
import torch

from conformance.engine.documentation import MISSING, missing_capability, resolve, standing
from conformance.engine.specs import Documentation
from conformance.selftest.falsifying import Falsifier, patched


@pytest.mark.parametrize(
    ("keys", "subject", "expected"),
    [
        ({"object": "torch.Tensor.add_", "says": "In-place version"}, None, "quoted"),
        ({"object": "torch.Tensor.{subject}", "says": "in-place\n  VERSION"}, "mul_", "quoted"),
        ({"object": "torch.Tensor.add_", "says": "makes coffee"}, None, "changed"),
        ({"object": "torch.Tensor.brew_", "says": "makes coffee"}, None, "missing"),
        ({"object": "torch.Tensor.{subject}"}, "brew_", "missing"),
        ({"object": "torch.Tensor.add_"}, None, "unchecked"),
        ({"page": "https://docs.pytorch.org/docs/stable/tensors.html", "says": "In-place"}, None, "unchecked"),
    ],
)
def test_a_phrase_is_looked_up_in_the_build(keys: dict[str, str], subject: str | None, expected: str) -> None:
    """A phrase is there, or is not, or has no docstring to be in, or was not to be looked up."""
    assert expected == standing(Documentation(**keys), subject)


def test_an_undocumented_object_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object without a docstring quotes nothing."""
    monkeypatch.setattr(torch, "undocumented", type("Undocumented", (), {"__doc__": None}), raising=False)
    docs = Documentation(object="torch.undocumented", says="anything")

    assert "missing" == standing(docs, None)


def test_capabilities_are_dotted_names() -> None:
    """The first name that the build has not is the reason; submodules are imported on the way."""
    assert missing_capability(["torch.func.vmap", "torch.utils.data.DataLoader"]) is None
    assert "torch.func.nope" == missing_capability(["torch.func.vmap", "torch.func.nope", "torch.no"])
    assert "no_such_package.name" == missing_capability(["no_such_package.name"])
    assert "no_such_package" == missing_capability(["no_such_package"])


def test_a_build_that_raises_for_a_name_has_it_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of torch raise RuntimeError for what the build lacks: that is an absence and no error."""

    class Lazy:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("built without it")

    monkeypatch.setattr(torch, "lazy_part", Lazy(), raising=False)

    assert resolve("torch.lazy_part.name") is MISSING


def test_the_page_is_that_of_the_object() -> None:
    """A link leads to the section, or to the generated page of the object; other objects have none."""
    page = "https://docs.pytorch.org/docs/stable/notes/broadcasting.html"
    generated = "https://docs.pytorch.org/docs/stable/generated"

    assert f"{page}#in-place" == Documentation(page=page, section="in-place").url("add_")
    assert f"{generated}/torch.Tensor.add_.html" == Documentation(object="torch.Tensor.{subject}").url("add_")
    assert Documentation(object="numpy.asarray").url(None) is None


def test_what_a_break_says_of_itself_is_not_remembered() -> None:
    """A method without a docstring under a break has its own again when the break is gone."""
    docs = Documentation(object="torch.Tensor.add_", says="In-place version")
    mute = Falsifier("any.behaviour", None, lambda: patched(torch.Tensor, "add_", lambda _: lambda *operands: None))

    assert "quoted" == standing(docs, None)
    with mute.in_place():
        assert "missing" == standing(docs, None)
    assert "quoted" == standing(docs, None)
