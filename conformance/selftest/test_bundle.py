"""Bundling: what a check reaches becomes one script, or an error that says why not."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.engine import bundle
from conformance.engine.bundle import Bundle, BundleError

HELPERS = '''
"""Helpers."""
import math

LIMIT = 3
SHADOW = 1


def helper(x):
    # a remark
    return x + LIMIT


class Base:
    def used(self):
        return helper(1)

    def unused(self):
        return hypothesis
'''


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Makes modules of the project's package out of text; gives the function ``check`` of the last."""
    package = tmp_path / "exampled"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helpers.py").write_text(HELPERS)
    (package / "more.py").write_text("from exampled.helpers import LIMIT\n\n\ndef helper(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(bundle, "PACKAGE", "exampled")

    def make(text: str) -> Any:
        (package / "checks.py").write_text(text)
        return importlib.import_module("exampled.checks").check

    yield make
    bundle._source.cache_clear()
    for name in [name for name in sys.modules if name.startswith("exampled")]:
        del sys.modules[name]


def bundled(check: Any) -> dict[str, Any]:
    """The names that the script for ``check`` defines."""
    whole = Bundle()
    whole.add_function(check)
    imports, definitions = whole.script()
    names: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{imports}\n{definitions}", names)
    return names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from exampled.helpers import helper\ndef check(case):\n    return helper(case)", 8),
        ("from exampled.helpers import helper as h\ndef check(case):\n    return h(case)", 8),
        ("from exampled import helpers\ndef check(case):\n    return helpers.helper(case)", 8),
        ("from exampled.helpers import Base\nclass A(Base):\n    n = 4\ndef check(x):\n    return A().used() + A.n", 8),
        ("import os.path\nimport os\ndef check(case):\n    return len(os.path.join('a', 'bcd')) + 3", 8),
        ("from exampled.helpers import LIMIT as L\nT = {'a': L}\ndef check(case):\n    return case + T['a']", 8),
        ("def mark(f):\n    return None\n@mark\ndef inner(x):\n    return x\ndef check(case):\n    return 8", 8),
        ("from exampled import helpers\nT = helpers.LIMIT\ndef check(case):\n    return case + T", 8),
        ("from exampled import helpers as h\nclass A(h.Base):\n    n = h.LIMIT\ndef check(x):\n    return A.n + 5", 8),
        ("from exampled import helpers\nT = {helpers.helper: 8}\ndef check(x):\n    return T[helpers.helper]", 8),
        ("def check(case: 'NoSuch') -> 'NoSuch':\n    helpers = case\n    return helpers + 3", 8),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_what_a_check_reaches_is_there(modules: Callable[[str], Any], text: str, expected: int) -> None:
    """Functions, classes, constants, modules and aliases work in the script as they do in the project."""
    names = bundled(modules(text))

    assert expected == names["check"](5)
    assert not [name for name in names if "exampled" in repr(names[name])]


def test_what_nothing_calls_is_left_out(modules: Callable[[str], Any]) -> None:
    """A method that no code reaches is not copied, nor what only it would need."""
    names = bundled(modules("from exampled.helpers import Base\ndef check(case):\n    return Base().used()"))

    assert hasattr(names["Base"], "used")
    assert not hasattr(names["Base"], "unused")
    assert "SHADOW" not in names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "from exampled.helpers import helper\nfrom exampled import more\ndef check(x):\n    helper(more.helper(1))",
            "name 'helper': expected one meaning; found two",
        ),
        (
            "def main():\n    pass\ndef check(case):\n    main()",
            "name 'main': expected one meaning; found two, in the script",
        ),
        ("from math import inf as LINK\ndef check(case):\n    return LINK", "name 'LINK': expected one meaning"),
        (
            "from exampled import helpers as helper\nfrom exampled.helpers import helper as h\ndef check(x): h(helper)",
            "name 'helper': expected one meaning",
        ),
        (
            "import hypothesis\ndef check(case):\n    return hypothesis",
            "import of hypothesis: expected the standard library",
        ),
        (
            "import exampled.helpers\ndef check(case):\n    return exampled",
            "expected 'from … import …'",
        ),
        (
            "def check(case):\n    from exampled.helpers import helper\n    return helper(case)",
            "import of exampled.helpers in a function",
        ),
        (
            "if True:\n    NUMBER = 3\ndef check(case):\n    return NUMBER",
            "name 'NUMBER': expected a plain definition at the top level of exampled.checks",
        ),
        (
            "try:\n    import json as reader\nexcept ImportError:\n    reader = 1\ndef check(x):\n    return reader",
            "name 'reader': expected a plain definition",
        ),
    ],
    ids=itertools.count(),
)
def test_what_cannot_be_one_script_is_an_error(modules: Callable[[str], Any], text: str, expected: str) -> None:
    """Two meanings for one name, foreign packages, and names that are not plainly defined are refused."""
    with pytest.raises(BundleError) as caught:
        bundled(modules(text))

    assert expected in str(caught.value)
