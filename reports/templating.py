"""Pages from templates: escaped, self-contained, and under a policy that lets nothing be requested."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.faults import one_line

TEMPLATES = Path(__file__).with_name("templates")


def rendered(template: str, styles: Sequence[str], script: str = "", **values: Any) -> str:
    """The page of a template with these style sheets and this one script. The same values give the same bytes."""
    style = "\n".join(asset(name) for name in styles)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = one_line
    environment.filters["number"] = lambda value: f"{value:,}"
    return environment.get_template(template).render(
        policy=_policy(style, script),
        # Ours, word for word: autoescape is for what comes out of a run.
        style=Markup(style),
        script=Markup(script),
        **values,
    )


def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A policy under which nothing is requested, and nothing runs but this one script."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"

    runs = digest(script) if script else "'none'"
    return f"default-src 'none'; script-src {runs}; style-src {digest(style)}; base-uri 'none'; form-action 'none'"
