"""Text of a run as Markdown shows it, word for word."""

from __future__ import annotations

import re

from reports.faults import one_line


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands, in a table too."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#!|~@:])", r"\\\1", text)


def code(text: str) -> str:
    """Text as code that nothing in it can end. Not for tables: a line of one would be cut at each of its pipes."""
    text = one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"
