"""The standpoint: the folder that the user is in, and how a command is written that works there."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stands:
    """Where the user stands, and where the node ids of pytest begin."""

    folder: Path
    root: Path

    def named(self, node: str) -> str:
        """A node id as pytest takes it here."""
        file, separator, rest = node.partition("::")
        return f"{os.path.relpath(self.root / file, self.folder)}{separator}{rest}"

    @cached_property
    def program(self) -> str:
        """pytest of this Python, as a shell finds it: a virtual environment may not be that of the user's shell."""
        found = None if "TOX_ENV_NAME" in os.environ else shutil.which("pytest")
        if found is not None and Path(found).parent == Path(sys.executable).parent:
            return "pytest"
        return f"{self.python} -m pytest"

    @cached_property
    def python(self) -> str:
        """This Python, as a shell finds it."""
        found = None if "TOX_ENV_NAME" in os.environ else shutil.which("python")
        if found is not None and Path(found) == Path(sys.executable):
            return "python"
        near = os.path.relpath(sys.executable, self.folder)
        return shlex.quote(sys.executable if near.startswith(os.pardir) else near)

    def report(self, record: Path) -> str:
        """The command that makes a page from a run record."""
        reachable = self.folder == CHECKOUT or str(CHECKOUT) in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        around = "" if reachable or _installed() else f"PYTHONPATH={shlex.quote(str(CHECKOUT))} "
        path = shlex.quote(os.path.relpath(record, self.folder))
        return f"{around}{self.python} -m reports build {path} -o reports/out"


def _installed() -> bool:
    """Whether this project can be imported from any folder."""
    try:
        distribution("torch-conformance")
    except PackageNotFoundError:
        return False
    return True
