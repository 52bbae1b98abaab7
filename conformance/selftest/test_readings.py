"""The bytes that a call reads out of files: what is counted, and where it cannot be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from conformance.oracles import readings
from conformance.oracles.readings import bytes_read

COUNTED = readings._counted(readings.COUNTS) is not None


@pytest.mark.skipif(not COUNTED, reason="this system does not count what a process reads")
def test_what_is_read_is_counted(tmp_path: Path) -> None:
    """A megabyte read here, or by another thread, is a megabyte; one that is not read is next to nothing."""
    file = tmp_path / "bytes"
    file.write_bytes(bytes(1 << 20))

    def elsewhere() -> None:
        reader = threading.Thread(target=file.read_bytes)
        reader.start()
        reader.join()

    counts = [bytes_read(act) for act in (file.read_bytes, elsewhere, file.stat)]
    assert [count is not None and count >= 1 << 20 for count in counts] == [True, True, False]


@pytest.mark.parametrize("content", [None, "", "rchar: many\n", "wchar: 5\n", "nothing\n"])
def test_without_a_count_nothing_is_told(content: str | None, tmp_path: Path) -> None:
    """Where the system has no such file, or nothing in it, there is no number."""
    if content is not None:
        (tmp_path / "io").write_text(content)
    assert bytes_read(lambda: None, str(tmp_path / "io")) is None
