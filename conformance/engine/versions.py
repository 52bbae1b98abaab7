"""Versions: which release a torch build counts as.

A pre-release, a nightly or a git build counts as the release that it leads to (``2.14.0a0+git1a2b3c`` is 2.14):
its documentation and its APIs are those of the coming release. Local parts (``+cpu``, ``+cu126``) say nothing of
the API and are ignored.
"""

from __future__ import annotations

import re
from functools import cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version


@cache
def release(version: str) -> Version:
    """The release that a version string counts as; raises ValueError where it is none."""
    try:
        return Version(Version(version).base_version)
    except InvalidVersion:
        # distributions' own builds: "2.4.1-dfsg2", "2.6.0.nv25.1", "v2.5.1_3"
        numbers = re.match(r"v?(\d+(\.\d+)*)", version.strip(), re.ASCII)
        if numbers is None:
            raise ValueError(f"expected a version such as '2.13' or '2.13.0'; found {version!r}") from None
        return Version(numbers[1])


def out_of_range(version: str, since: str | None, until: str | None) -> str | None:
    """Why ``version`` lies outside ``[since, until)``, or None where it lies inside."""
    current = release(version)
    if since is not None and current < release(since):
        return f"holds since torch {since}; this is {version}"
    if until is not None and current >= release(until):
        return f"held until torch {until}; this is {version}"
    return None


@cache
def matches(version: str, specifier: str | None) -> bool:
    """Whether a PEP 440 specifier (``">=2.4,<2.6"``, None for any) admits the release of ``version``."""
    return specifier is None or SpecifierSet(specifier).contains(release(version), prereleases=True)


def check_specifier(specifier: str) -> str:
    """``specifier`` itself, or ValueError saying what one looks like."""
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        raise ValueError("a version specifier such as '>=2.4,<2.6'") from None
    return specifier
