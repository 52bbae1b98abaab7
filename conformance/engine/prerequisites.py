"""Prerequisites: without a torch and a NumPy that work together there is nothing to test, and one line says so.

Importing this module ends the process where they do not. It is imported before all that needs them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from conformance.engine.importing import Unimportable, imported, watched

STATUS = 4  # that of pytest for what it cannot follow


def fault() -> str | None:
    """What is wrong with the torch and the NumPy of this Python, in a line; None where they work."""
    found = {}
    for name in ("numpy", "torch"):
        try:
            found[name] = imported(name)
        except (Exception, SystemExit, Unimportable) as error:  # a build that is broken may raise anything
            return f"expected a {name} that can be imported; found {_told(error)} (see it all: {_shown(name)})"
    try:
        found["torch"].from_numpy(found["numpy"].zeros(1)).numpy()
    except Exception as error:
        versions = (
            f"torch {getattr(found['torch'], '__version__', 'of no version')} and NumPy {found['numpy'].__version__}"
        )
        return f"expected a NumPy that torch can use; found {versions}: {_told(error)} (early releases need numpy<2)"
    return None


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Keep the garbage collector from walking what is being imported, none of which is garbage: a third of a second."""
    runs = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if runs:
            gc.enable()


def _told(error: BaseException) -> str:
    words = " ".join(str(error).split())
    if isinstance(error, Unimportable):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _shown(name: str) -> str:
    return f"{sys.executable} -c 'import {name}'"


with _collector_resting(), watched():
    _FAULT = fault()
if _FAULT is not None:
    print(f"ERROR: conformance: {_FAULT}", file=sys.stderr)
    raise SystemExit(STATUS)
