"""Reproducers: scripts that show a failure with torch and NumPy alone.

A script exits with 1 where the behaviour is broken and with 0 where it holds, and prints the statement, the
documentation link and the versions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from conformance.engine.bundle import Bundle
from conformance.engine.cells import Cell

TEMPLATE = '''"""{title}

{statement}
{link}

Level: {level}. Written by torch-conformance for torch {version}, target {target}.
Needs torch and NumPy only. Exit status: 1 where the behaviour is broken, 0 where it holds.

The case, in plain torch:

{code}

Expected: {expected}
Found:    {found}
"""

from __future__ import annotations

{imports}

STATEMENT = {statement!r}
LINK = {link!r}


{definitions}


{case}


{main}
'''

MAIN = '''def main() -> int:
    """Run the case a few times, since some faults show only the second time."""
    print(STATEMENT)
    print(LINK)
    print(f"torch {{torch.__version__}} ({{torch.version.git_version}}), NumPy {{np.__version__}}, Python {{sys.version.split()[0]}}")
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
    sys.exit({start})'''

GUARDED = '''def guarded() -> int:
    """Run ``main`` in a process of its own: the fault kills or hangs it."""
    if "--in-process" in sys.argv:
        return main()
    try:
        child = subprocess.run([sys.executable, __file__, "--in-process"], timeout=120)
    except subprocess.TimeoutExpired:
        print("BROKEN: expected: an answer; found: none within 120 seconds")
        return 1
    if child.returncode not in (0, 1):
        print(f"BROKEN: expected: a process that ends by itself; found: exit status {child.returncode}")
        return 1
    return child.returncode


'''


def script(cell: Cell, check: Callable[[Any], Any], case: Any, expected: str, found: str, kills: bool = False) -> str:
    """The script for one failing case; raises BundleError where the check reaches foreign packages.

    ``kills`` says that the case ends or hangs the process, so that the script must watch a child.
    """
    bundle = Bundle()
    bundle.add_function(check)
    bundle.add_names("Mismatch, Discard", "conformance.engine.mismatch")
    bundle.add_names(repr(case), type(case).__module__)
    imports, definitions = bundle.script()
    needed = {"import sys", "import traceback", "import warnings", "import numpy as np", "import torch"}
    needed |= {"import subprocess"} if kills else set()
    lines = sorted(needed | set(imports.splitlines()), key=_import_order)
    main = MAIN.format(check=check.__name__, start="guarded()" if kills else "main()")
    if kills:
        main = main.replace('if __name__ == "__main__"', GUARDED + 'if __name__ == "__main__"')
    behaviour = cell.behaviour
    return TEMPLATE.format(
        title=_plain(cell.id), statement=behaviour.statement, link=behaviour.docs.url(cell.subject_name) or "",
        level=behaviour.level.value, version=torch.__version__, target=cell.target.name,
        code=_plain(_indented(plain_code(case))), expected=_plain(expected), found=_plain(found), imports="\n".join(lines),
        definitions=definitions, case=f"def case() -> object:\n    return {repr(case)}", main=main,
    )  # fmt: skip


def plain_code(case: Any) -> str:
    """The case as people would write it, or as it prints itself."""
    code: Callable[[], str] | None = getattr(case, "code", None)
    return code() if code is not None else repr(case)


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


def _plain(text: str) -> str:
    """``text`` as it may stand inside a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
