"""Keeps pytest from taking the value of ``--run-record FILE`` for the place of the tests.

pytest looks for its configuration before it knows the options of a ``conftest.py``. The value of one of them that
names an existing file outside this project is then taken for a test path, the project's configuration is not found,
and the options are refused. This module is loaded early, by an entry point; it imports nothing of the suite, adds
no option, and does nothing anywhere but in a checkout of this project.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

OPTIONS = ("--run-record", "--expectations", "--resume", "--targets", "--example-database")
ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start anew with ``--option=FILE`` where pytest is led astray by ``--option FILE``, or will be.

    A run record that is not there yet is there when xdist replaces a worker, which has the same arguments.
    """
    given = [str(argument) for argument in early_config.invocation_params.args]
    joined = join(given)
    if early_config.invocation_params.dir != ROOT or joined == given or not any(map(outside, values(joined))):
        return
    if given == sys.argv[1:]:
        capture = early_config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.stop_global_capturing()  # or the new process would write where nobody looks
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *joined])
    if early_config.rootpath == ROOT:
        return
    raise pytest.UsageError(f"expected {' '.join(joined)!r} (pytest takes the file after a space for a test path)")


def values(joined: list[str]) -> list[str]:
    """The values of ``OPTIONS`` among joined arguments."""
    return [argument.partition("=")[2] for argument in joined if argument.partition("=")[0] in OPTIONS]


def outside(value: str) -> bool:
    """Whether a file lies outside this project, where pytest looks for another configuration."""
    return ROOT not in Path(value).resolve().parents


def join(arguments: list[str]) -> list[str]:
    """``arguments`` with each of ``OPTIONS`` and its value made one: ``--run-record=FILE``."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in OPTIONS:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
