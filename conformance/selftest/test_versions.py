"""Versions: which release a build counts as."""

from __future__ import annotations

import pytest

from conformance.engine.versions import check_specifier, matches, out_of_range, release


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("2.13.0", "2.13.0"),
        ("2.13", "2.13"),
        ("2.13.0+cpu", "2.13.0"),
        ("2.13.0+cu126", "2.13.0"),
        ("2.13.0+cu126.with.pypi.cudnn", "2.13.0"),
        ("2.14.0a0+git1a2b3c4", "2.14.0"),
        ("2.14.0a0+872d972e41.nv26.08", "2.14.0"),
        ("2.14.0.dev20261120+cpu", "2.14.0"),
        ("2.13.0rc3", "2.13.0"),
        ("2.4.1.post302", "2.4.1"),
        ("2.4.1-dfsg2", "2.4.1"),
        ("2.4.1rc1-dfsg2", "2.4.1"),
        ("2.6.0.nv25.1", "2.6.0"),
        ("v2.5.1_3", "2.5.1"),
        ("2.13.0-1ubuntu2~24.04", "2.13.0"),
        ("10.0", "10.0"),
    ],
)
def test_a_build_counts_as_the_release_it_leads_to(build: str, expected: str) -> None:
    """Pre-releases, nightlies and distributions' own builds count as a release; local parts say nothing."""
    assert expected == str(release(build))


@pytest.mark.parametrize("text", ["", "unknown", "nightly", "²", "²-1", "+cpu"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """Text without a number is an error that shows it."""
    with pytest.raises(ValueError, match=r"expected a version such as '2.13'.*; found "):
        release(text)


@pytest.mark.parametrize(
    ("version", "since", "until", "expected"),
    [
        ("2.13.0+cpu", None, None, None),
        ("2.13.0", "2.13", None, None),
        ("2.13.0", "2.13.1", None, "holds since torch 2.13.1; this is 2.13.0"),
        ("2.9.1", "2.10", None, "holds since torch 2.10; this is 2.9.1"),
        ("2.13.0", None, "2.13", "held until torch 2.13; this is 2.13.0"),
        ("2.12.9", None, "2.13", None),
        ("2.14.0a0+git12", "2.14", None, None),
        ("2.14.0.dev20261120", None, "2.14", "held until torch 2.14; this is 2.14.0.dev20261120"),
    ],
)
def test_the_range_is_open_at_its_end(version: str, since: str | None, until: str | None, expected: str | None) -> None:
    """``since`` belongs to the range, ``until`` does not, and the reason names both versions."""
    assert expected == out_of_range(version, since, until)


def test_specifiers_see_releases() -> None:
    """A condition on versions takes a nightly for the release that it leads to."""
    assert matches("2.14.0a0+git12", ">=2.14,<2.15")
    assert matches("2.13.0+cu126", "==2.13.*")
    assert matches("2.13.0", None)
    assert not matches("2.13.0", "<2.13")
    with pytest.raises(ValueError, match=r"such as '>=2.4,<2.6'"):
        check_specifier("2.4")
