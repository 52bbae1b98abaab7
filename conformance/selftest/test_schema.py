"""The published JSON Schemas: in step with the models, and true of every file that the project ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from conformance.engine import schema
from conformance.engine.specs import SPECS, area_names

FILES = {
    **{SPECS / f"{name}.yaml": "area" for name in area_names()},
    SPECS / "claims.yaml": "claims",
    SPECS / "deviations.yaml": "deviations",
    SPECS / "targets.yaml": "targets",
    SPECS / "catalogue" / "operators.yaml": "operators",
    SPECS / "catalogue" / "differentiable.yaml": "differentiable",
    SPECS / "catalogue" / "modules.yaml": "modules",
    SPECS / "catalogue" / "out_functions.yaml": "out_functions",
    SPECS / "catalogue" / "further_out_functions.yaml": "catalogue",
    SPECS / "catalogue" / "costs.yaml": "catalogue",
    SPECS / "catalogue" / "losses.yaml": "catalogue",
    SPECS / "catalogue" / "layer_formulas.yaml": "catalogue",
    SPECS / "catalogue" / "activations.yaml": "catalogue",
    SPECS / "catalogue" / "kinks.yaml": "catalogue",
    SPECS / "catalogue" / "closed_forms.yaml": "catalogue",
    SPECS / "catalogue" / "stochastic_modules.yaml": "catalogue",
    SPECS / "catalogue" / "optimizers.yaml": "catalogue",
    SPECS / "catalogue" / "schedulers.yaml": "catalogue",
    SPECS / "catalogue" / "timings.yaml": "catalogue",
}


@pytest.mark.parametrize("path", schema.schemas(), ids=lambda path: path.name)
def test_schema_is_in_step_with_its_model(path: Path) -> None:
    """The schema in the repository is the one that the model makes; `python -m conformance schema` writes it."""
    assert schema.schemas()[path] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "name"), FILES.items(), ids=lambda value: getattr(value, "name", str(value)))
def test_shipped_file_fits_its_schema(path: Path, name: str) -> None:
    """What the models accept, an editor that knows the schema accepts too."""
    validator = jsonschema.Draft202012Validator(json.loads((schema.FOLDER / f"{name}.schema.json").read_text()))

    faults = [f"{list(fault.absolute_path)}: {fault.message[:200]}" for fault in validator.iter_errors(plain(path))]

    assert [] == faults


def test_every_spec_file_is_checked_here() -> None:
    """A catalogue that nobody validates would drift."""
    assert {*SPECS.glob("*.yaml"), *(SPECS / "catalogue").glob("*.yaml")} == set(FILES)


def plain(path: Path) -> Any:
    """The file's content as JSON has it: dates are text."""
    return json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
