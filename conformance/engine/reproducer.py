"""Reproducers: scripts that show a failure with torch and NumPy alone.

A script exits with 1 where the behaviour is broken and with 0 where it holds, and prints the statement, the
documentation link and the versions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from conformance.engine.bundle import PACKAGE, Bundle
from conformance.engine.cells import Cell

TEMPLATE = '''"""{title}

{statement}
{page}

Level: {level}. Written by torch-conformance for torch {version}, target {target}.
Needs torch and NumPy only. Exit status: 1 where the behaviour is broken, 0 where it holds, 2 without the target.

The case, in plain torch:

{code}

Expected: {expected}
Found:    {found}
"""

from __future__ import annotations

{imports}

STATEMENT = {text!r}
LINK = {link!r}
TARGET = {device!r}


{definitions}


{case}


{main}
'''

MAIN = '''def main() -> int:
    """Run the case a few times, since some faults show only the second time."""
    print(STATEMENT)
    print(LINK)
    print(f"torch {{torch.__version__}} ({{torch.version.git_version}}), NumPy {{np.__version__}}")
    print(f"Python {{sys.version}}")
    try:
        torch.empty(0, device=TARGET)
    except Exception as error:
        print(f"NOT TESTED: this torch has no device {{TARGET}} here: {{error}}")
        return 2
    warnings.simplefilter("ignore")
    for _ in range(3):
        try:
            {check}(case())
        except Discard as reason:
            print(f"NOT TESTED: {{reason}}")
            return 0
        except Mismatch as mismatch:
            print(f"BROKEN: {{mismatch}}")
            return 1
        except Exception as error:
            traceback.print_exc()
            print(f"BROKEN: expected: no exception; found: {{type(error).__name__}}")
            return 1
    print("HOLDS")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.exit({start})'''

GUARDED = '''TIME_LIMIT = 120  # seconds


def run_main() -> None:
    sys.exit(main())


def guarded() -> int:
    """Run ``main`` in a process of its own, since the fault kills it or never lets it end."""
    print(f"The case runs in a process of its own, for up to {TIME_LIMIT} seconds.", flush=True)
    # a copy of this process, so that a torch that was patched here is patched there
    child = multiprocessing.get_context("fork" if os.name == "posix" else "spawn").Process(target=run_main)
    child.start()
    child.join(TIME_LIMIT)
    if child.exitcode in (0, 1, 2):
        return child.exitcode
    if child.exitcode is None:
        child.kill()
        child.join()
        found = f"none within {TIME_LIMIT} seconds"
    elif child.exitcode < 0:
        found = f"the process was killed by {signal.Signals(-child.exitcode).name}"
    else:
        found = f"the process ended without one, with exit status {child.exitcode}"
    print(f"BROKEN: expected: an answer; found: {found}")
    return 1


'''


def _homes(case: Any) -> list[str]:
    """The modules of a case's class and of the plans in its fields: what its ``repr`` names is defined there."""
    found = [type(case).__module__]
    if is_dataclass(case):
        for field in fields(case):
            found += [m for m in _homes(getattr(case, field.name)) if m.split(".")[0] == PACKAGE]
    return list(dict.fromkeys(found))


def script(cell: Cell, check: Callable[[Any], Any], case: Any, expected: str, found: str, kills: bool = False) -> str:
    """The script for one failing case; raises BundleError where the check reaches foreign packages.

    ``kills`` says that the case ends or hangs the process, so that the script must watch a child.
    """
    bundle = Bundle()
    bundle.add_function(check)
    bundle.add_names("Mismatch, Discard", "conformance.engine.mismatch")
    bundle.add_names(repr(case), *_homes(case))
    imports, definitions = bundle.script()
    needed = {"import sys", "import traceback", "import warnings", "import numpy as np", "import torch"}
    needed |= {"import multiprocessing", "import os", "import signal"} if kills else set()
    lines = sorted(needed | set(imports.splitlines()), key=_import_order)
    lines += [f"import {module}" for module in cell.target.needs]
    main = MAIN.format(check=check.__name__, start="guarded()" if kills else "main()")
    if kills:
        main = main.replace('if __name__ == "__main__"', GUARDED + 'if __name__ == "__main__"')
    behaviour = cell.behaviour
    link = behaviour.docs.url(cell.subject_name) or "(no page)"
    return TEMPLATE.format(
        title=_plain(cell.id), statement=_plain(behaviour.statement), text=behaviour.statement,
        link=link, page=_plain(link),
        level=behaviour.level.value, version=torch.__version__, target=cell.target.name,
        device=cell.target.device,
        code=_plain(_indented(plain_code(case, check))), expected=_plain(expected), found=_plain(found),
        imports="\n".join(lines), definitions=definitions, main=main,
        case=f"def case() -> object:\n    return {case!r}",
    )  # fmt: skip


def plain_code(case: Any, check: Callable[[Any], Any]) -> str:
    """The case as people would write it, and what the check does with it; or as it prints itself."""
    program: Callable[[Any, str], str] | None = getattr(check, "__conformance_program__", None)
    if program is not None:
        return placed(case, program(case, check.__name__.removeprefix("test_").replace("_", "-")))
    code: Callable[[], str] | None = getattr(case, "code", None)
    return placed(case, code()) if code is not None else repr(case)


def placed(case: Any, text: str) -> str:
    """A program that does not say which device its case was for, with a line that does, where it was not the CPU."""
    found = re.search(r"\bdevice='([^']+)'", repr(case))
    if found is None or found[1] == "cpu" or found[1] in text:
        return text
    line = f"torch.set_default_device({found[1]!r})\n"
    first, import_, rest = text.partition("import torch\n")
    return f"{import_}{line}{rest}" if not first and import_ else f"{line}{text}"


def write(folder: Path, cell: Cell, text: str) -> Path:
    """Put a script into ``folder`` under the cell's name."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", cell.parameters)
    path = folder / cell.area / f"{cell.behaviour.id}--{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _import_order(line: str) -> tuple[bool, bool, str]:
    foreign = line.split()[1].split(".")[0] in ("torch", "numpy")
    return foreign, line.startswith("from"), line


def visible(text: str) -> str:
    """``text`` with escapes in place of characters that a terminal or an editor would act on, or cannot write."""
    return (
        text if text.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    )


def _plain(text: str) -> str:
    """``text`` as it may stand inside a docstring."""
    return visible(text).replace("\\", "\\\\").replace('"""', "'''")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
