"""JSON Schemas of the YAML files, for editors: generated from the models, kept in ``specs/schema/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from conformance.engine.catalogue import DifferentiableFunctions, Operators
from conformance.engine.claims import Claims
from conformance.engine.expectations import Deviations
from conformance.engine.module_catalogue import Modules
from conformance.engine.out_catalogue import OutFunctions
from conformance.engine.specs import SPECS, Area
from conformance.engine.subjects import Rows
from conformance.engine.targets import Kinds

FOLDER = SPECS / "schema"
MODELS: dict[str, type[BaseModel]] = {
    "area": Area,
    "claims": Claims,
    "deviations": Deviations,
    "operators": Operators,
    "differentiable": DifferentiableFunctions,
    "modules": Modules,
    "out_functions": OutFunctions,
    "catalogue": Rows,
    "targets": Kinds,
}


def schemas() -> dict[Path, str]:
    """Path and text of every schema."""
    return {FOLDER / f"{name}.schema.json": _text(name, model) for name, model in MODELS.items()}


def write() -> list[Path]:
    """Bring the files into step; returns those that were not."""
    stale = [path for path, text in schemas().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(schemas()[path], encoding="utf-8")
    return stale


def _text(name: str, model: type[BaseModel]) -> str:
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{name}.schema.json", **schema}
    return json.dumps(schema, indent=2) + "\n"
