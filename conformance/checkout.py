"""Runs the areas of this checkout from whatever folder the user stands in.

``python -m conformance run`` starts pytest where the user is, with this plugin: so every path, given or printed, is
the user's, those of other plugins' options included. pytest alone would take that folder for the place of the tests.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ["conformance.engine.plugin"]


def environment(note: Path) -> dict[str, str]:
    """The environment for such a pytest, which leaves its arguments to the user; ``note`` will name the run record."""
    ours = [
        "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", __name__, "--record-note", str(note),
        "--benchmark-storage", f"file://{ROOT / '.benchmarks'}",
    ]  # fmt: skip
    return {**os.environ, "PYTEST_ADDOPTS": f"{shlex.join(ours)} {os.environ.get('PYTEST_ADDOPTS', '')}".strip()}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Take the areas where the user names no test."""
    from conformance.engine.serial import NAMED

    named: list[str] = early_config.known_args_namespace.file_or_dir
    early_config.stash[NAMED] = bool(named)
    if not named:
        areas = [str(path) for path in sorted((ROOT / "conformance").glob("test_*.py"))]
        named += areas
        args += areas
