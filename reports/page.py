"""The page: one HTML file that asks nothing of anybody."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.alternation import Alternation
from reports.embedding import details, index, pictures, script_json
from reports.labels import labels
from reports.reading import Record
from reports.tally import Tally, by_area, by_level, standing
from reports.templating import asset, rendered
from reports.verdicts import GROUP_MEANINGS, GROUPS, LEVELS

STYLES = ("base.css", "overview.css", "matrix.css", "cell.css", "finder.css", "performance.css", "print.css")
SCRIPTS = (
    "dom.js",
    "data.js",
    "query.js",
    "route.js",
    "parts.js",
    "overview.js",
    "environment.js",
    "matrix.js",
    "behaviour.js",
    "differences.js",
    "deviations.js",
    "finder.js",
    "claims.js",
    "surface.js",
    "chart.js",
    "performance.js",
    "timings.js",
    "scaling.js",
    "alternation.js",
    "expense.js",
    "cell.js",
    "main.js",
)


def html(records: Sequence[Record], alternations: Sequence[Alternation] = ()) -> str:
    """The whole page for the given runs. The same runs give the same bytes."""
    script = '"use strict";\n(() => {\n' + "\n".join(asset(name) for name in SCRIPTS) + "\n})();\n"
    return rendered(
        "page.html",
        STYLES,
        script,
        index=Markup(script_json(index(records, alternations))),
        details=Markup(script_json(details(records))),
        pictures=Markup(script_json(pictures(records, alternations))),
        title=_title(records),
        summary=_summary(records),
        areas=_areas(records),
        levels=LEVELS,
        groups={name: GROUP_MEANINGS[name] for name in GROUPS},
    )


def _title(records: Sequence[Record]) -> str:
    versions = dict.fromkeys(record.run.environment.torch.version for record in records)
    names = ", ".join(list(versions)[:3]) + ("…" if len(versions) > 3 else "")
    return f"PyTorch conformance: {names}"


def _summary(records: Sequence[Record]) -> list[dict[str, object]]:
    """The runs as the page shows them where no script runs."""
    return [
        {
            "label": label,
            "standing": standing(record.run),
            "levels": by_level(record.run),
            "tally": Tally.of(record.run.cells),
            "errors": record.run.errors,
            "started": record.run.started,
        }
        for record, label in zip(records, labels(records), strict=True)
    ]


def _areas(records: Sequence[Record]) -> list[dict[str, object]]:
    titles = {area.area: area.title for record in reversed(records) for area in record.run.areas}
    counts = [by_area(record.run) for record in records]
    rows: list[dict[str, object]] = []
    for area, title in titles.items():
        for level in LEVELS:
            if any((area, level) in found for found in counts):
                rows.append(
                    {
                        "title": title,
                        "level": level,
                        "tallies": [found.get((area, level), Tally.of(())) for found in counts],
                    }
                )
    return rows
