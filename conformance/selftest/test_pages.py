"""Pages: memory keeps what is in it when its pages are put together, and forks are counted in one process alone."""

from __future__ import annotations

import os
import sys

import pytest

from conformance.engine import pages


@pytest.mark.skipif(sys.platform != "linux", reason="pages are put together on Linux alone")
def test_memory_keeps_its_content() -> None:
    """What stood in memory stands there still, at its address."""
    content = bytearray(os.urandom(1 << 20)) * 8
    before = bytes(content)
    address = id(content)

    pages.collapse()

    assert bytes(content) == before
    assert id(content) == address


@pytest.mark.skipif(sys.platform != "linux", reason="pages are put together on Linux alone")
def test_pages_are_of_memory_that_is_written() -> None:
    """Each address is that of a whole large page."""
    found = list(pages.private_pages())

    assert found
    assert all(address % pages.LARGE == 0 for address in found)


def test_pages_are_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done before the fork from which on it pays, in the process that counts."""
    done: list[int] = []
    monkeypatch.setattr(pages, "collapse", lambda: done.append(forks.count))
    forks, inherited = pages.Forks(os.getpid()), pages.Forks(os.getpid() + 1)

    for _ in range(3 * pages.PAYING):
        forks.next()
        inherited.next()

    assert done == [pages.PAYING]


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_system_without_large_pages_loses_nothing(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """Where the system cannot do it, it is left undone."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(pages.ctypes, "CDLL", refuse)

    assert pages.collapse() == 0
