"""Ranges of releases, as an entry writes them: narrowed by a release that passes, widened to one that fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

ORDER = (">=", ">", "==", "~=", "!=", "<=", "<", "===")


def spanning(releases: Iterable[Version]) -> str:
    """The range that the releases span: ``==2.4.1``, or ``>=2.4.1,<=2.8.0``."""
    first, last = min(found := list(releases)), max(found)
    return f"=={first}" if first == last else f">={first},<={last}"


def narrowed(range_: str | None, release: Version) -> str | None:
    """The range without a release that it admits; None where nothing is left of it."""
    clauses: list[str] = []
    for clause in SpecifierSet(range_ or ""):
        end = clause.operator in (">=", "<=") and Version(clause.version) == release
        clauses.append(f"{clause.operator[0]}{release}" if end else str(clause))
    if all(Specifier(clause).contains(release, prereleases=True) for clause in clauses):
        clauses.append(f"!={release}")
    return None if _empty(clauses) else _written(clauses)


def widened(range_: str | None, release: Version) -> str | None:
    """The range with a release that it does not admit; None where it is of a kind that has no ends to move."""
    clauses = list(SpecifierSet(range_ or ""))
    if any(clause.operator not in (">=", "<=", "==", "!=", "<", ">") or "*" in clause.version for clause in clauses):
        return None
    kept = [clause for clause in clauses if not (clause.operator == "!=" and Version(clause.version) == release)]
    exact = [Version(clause.version) for clause in kept if clause.operator == "=="]
    if exact:
        return spanning([*exact, release])
    found = [
        str(clause) if clause.contains(release, prereleases=True) else f"{clause.operator[0]}={release}"
        for clause in kept
    ]
    return _written(found) if found else None


def spans(told: Sequence[Version], failing: Iterable[Version]) -> list[list[Version]]:
    """The failing releases in groups: between two of one group, no release was told that does not fail."""
    groups: list[list[Version]] = []
    failing, previous = set(failing), None
    for release in sorted(told):
        if release in failing:
            if previous is not None and previous in failing:
                groups[-1].append(release)
            else:
                groups.append([release])
        previous = release
    return groups


def _empty(clauses: list[str]) -> bool:
    found = [Specifier(clause) for clause in clauses]
    exact = [clause.version for clause in found if clause.operator == "==" and "*" not in clause.version]
    if exact:
        return not all(clause.contains(exact[0], prereleases=True) for clause in found)
    lower = max(((Version(c.version), c.operator == ">") for c in found if c.operator in (">", ">=")), default=None)
    upper = min(((Version(c.version), c.operator == "<=") for c in found if c.operator in ("<", "<=")), default=None)
    if lower is None or upper is None:
        return False
    return lower[0] > upper[0] or (lower[0] == upper[0] and (lower[1] or not upper[1]))


def _written(clauses: list[str]) -> str:
    return ",".join(sorted(clauses, key=lambda clause: (ORDER.index(Specifier(clause).operator), clause)))
