"""The published JSON Schema of the run record, generated from the model."""

from __future__ import annotations

import json
from pathlib import Path

from reports.model import Run

PUBLISHED = Path(__file__).with_name("run.schema.json")


def text() -> str:
    """The schema as it is published."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Run.model_json_schema(by_alias=True)}
    schema["title"] = "torch-conformance run record, schema 1"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
