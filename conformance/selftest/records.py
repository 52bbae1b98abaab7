"""Run records for tests: made up, of any size, and the same for the same arguments."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DOCS = "https://docs.pytorch.org/docs/stable"
AREAS = {
    "numpy_bridge": "NumPy interoperation and shared memory",
    "inplace": "In-place operations",
    "leaves": "Graph leaves",
    "accumulation": "Gradient accumulation",
    "dataloader": "DataLoader and samplers",
    "state_dict": "state_dict and loading",
    "files": "Saving and loading files",
    "views": "Views and strides",
    "optimizers": "Optimizers",
    "autograd": "Autograd functions and hooks",
}
BEHAVIOURS = [
    ("returns-self", "An in-place operation returns the very tensor object that it was called on.", "In-place version"),
    (
        "shares-memory",
        "The result shares its memory with the source: a write on either side is seen on the other.",
        "shares the same underlying storage",
    ),
    ("refuses-leaf", "Writing in place into a leaf that requires a gradient raises RuntimeError.", "a leaf Variable"),
    ("keeps-version", "Each write raises the version counter of the tensor by exactly one.", "version counter"),
    ("sums-gradients", "A second backward adds to the gradient that a leaf already has.", "accumulates into"),
    ("keeps-order", "Batches come in the order of the sampler, whatever the number of workers.", "in the given order"),
    ("drops-last", "With drop_last the last batch is left out where it is not full.", "drop the last incomplete batch"),
    (
        "round-trips",
        "What is saved and loaded again is equal, bit by bit, including NaN and negative zero.",
        "same values",
    ),
    ("detaches", "The result is cut from the graph and never requires a gradient.", "never require gradient"),
    ("is-leaf", "A tensor that no operation made is a leaf.", "leaf Tensors"),
    ("rejects-shape", "A key whose shape does not fit is named in the error.", "strictly enforce"),
    ("strides-follow", "The strides of the result follow the documented rule for views.", "view of the original"),
]
SUBJECTS = [
    "add_", "sub_", "mul_", "div_", "copy_", "fill_", "zero_", "clamp_", "exp_", "sqrt_", "addcmul_", "addmm_",
    "index_add_", "masked_fill_", "scatter_", "relu_", "sigmoid_", "tanh_", "abs_", "neg_", "round_", "floor_", "pow_",
    "lerp_", "sort", "transpose", "narrow", "expand", "Linear", "Conv2d", "BatchNorm2d", "LSTM", "Embedding", "SGD",
    "Adam", "AdamW", "StepLR", "CosineAnnealingLR", "MSELoss", "CrossEntropyLoss",
]  # fmt: skip
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
LAYOUTS = ["contiguous", "transposed", "stepped", "offset", "expanded", "overlapping", "channels-last"]
SHAPES = ["()", "(0,)", "(1,)", "(0, 3)", "(1, 3, 1)", "(2, 3)", "(2, 3, 4)", "(17,)", "(33,)", "(65,)"]

HOSTILE = [
    "</script><img src=x onerror=\"document.title='owned'\">",
    '"><svg onload="document.title=\'owned\'">',
    "javascript:document.title='owned'",
    "<!--<script>",
    "line\u2028and\u2029paragraph",
    "lone \ud800 surrogate",
    "null \x00 byte and \x1b[31m escape",
    "{{ 7 * 7 }} {% raw %}",
    "right \u202eto left",
    "|a|`b`|\n# c",
    "'; --",
]
"""Strings that break out of a page which does not escape them."""

WEIGHTS = {
    "pass": 90, "unsupported": 4, "not-applicable": 4, "fail": 0.35, "known": 0.5, "inconclusive": 0.4,
    "fixed": 0.1, "timeout": 0.05, "crash": 0.05,
}  # fmt: skip


def record(
    *,
    areas: int = 4,
    behaviours: int = 5,
    subjects: int = 6,
    torch: str = "2.13.0+cpu",
    targets: Sequence[str] = ("cpu",),
    seed: int = 0,
    **changes: Any,
) -> Json:
    """A record of areas × behaviours × subjects × targets cells; ``changes`` replace its top keys."""
    rng = random.Random(seed)
    found: Json = {
        "schema": 1,
        "complete": True,
        "suite": {"name": "torch-conformance", "version": "0.1.0", "commit": "3f2a91c"},
        "environment": environment(torch, targets),
        "settings": settings(),
        "started": "2026-11-21T01:36:44Z",
        "finished": "2026-11-21T01:37:32Z",
        "seconds": 47.9,
        "planned": 0,
        "available": None,
        "areas": [
            {"area": area, "title": AREAS[area], "page": f"{DOCS}/notes/{area}.html"} for area in list(AREAS)[:areas]
        ],
        "behaviours": [],
        "errors": [],
        "cells": [],
    }
    for area in found["areas"]:
        for number in range(behaviours):
            statement = behaviour(area["area"], number)
            found["behaviours"].append(statement)
            for subject in sorted(rng.sample(SUBJECTS, min(subjects, len(SUBJECTS)))):
                for target in targets:
                    for copy in range(max(1, subjects // len(SUBJECTS))):
                        name = f"{subject}{copy or ''}"
                        found["cells"].append(drawn(statement, name, target, rng))
    found["cells"].sort(key=lambda each: each["id"])
    found["planned"] = len(found["cells"])
    return {**found, **changes}


def environment(torch: str, targets: Sequence[str]) -> Json:
    """An environment with the given torch and targets."""
    return {
        "torch": {
            "version": torch, "git": "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678", "debug": False,
            "cuda": "12.8" if "cuda:0" in targets else None, "hip": None,
            "config": "PyTorch built with:\n  - GCC 13.3\n  - C++ Version: 201703\n  - OpenMP 201511",
        },
        "numpy": "2.4.6", "python": "3.11.7", "hypothesis": "6.170.15", "pytest": "9.2.0",
        "platform": "Linux-6.1-x86_64-with-glibc2.36", "machine": "x86_64", "processor": "Example 9000", "cpus": 2,
        "targets": [
            {"name": name, "type": "cuda", "device": "Example H200", "driver": "580.65"}
            if name.startswith("cuda")
            else {"name": name, "type": name, "device": "Example 9000", "driver": None}
            for name in targets
        ],
    }  # fmt: skip


def settings(**changes: Any) -> Json:
    """The settings of a smoke run."""
    return {
        "profile": "smoke", "samples": 5, "seed": 0, "level": "may", "fail_on": "must", "shard": None,
        "expectations": ["specs/deviations.yaml"], "timeout": 60, "arguments": ["--profile", "smoke"], **changes,
    }  # fmt: skip


def behaviour(area: str, number: int = 0, **changes: Any) -> Json:
    """A behaviour of an area."""
    name, statement, says = BEHAVIOURS[number % len(BEHAVIOURS)]
    round_ = number // len(BEHAVIOURS)
    name = f"{name}-{round_}" if round_ else name
    return {
        "id": f"{area}.{name}", "area": area, "behaviour": name, "statement": statement,
        "level": "must" if number % 5 < 3 else "should" if number % 5 == 3 else "may",
        "docs": {"url": f"{DOCS}/generated/torch.Tensor.{name}.html", "object": f"torch.Tensor.{name}", "says": says},
        "since": "1.13", "until": None, "note": None, "source": f"specs/{area}.yaml:{12 + 9 * number}", **changes,
    }  # fmt: skip


def cell(of: Json, subject: str | None = "add_", target: str = "cpu", verdict: str = "pass", **changes: Any) -> Json:
    """A cell of a behaviour with the given verdict, and what such a verdict brings with it."""
    inside = f"{subject}-{target}" if subject else target
    check = f"conformance/test_{of['area']}.py::test_{of['behaviour'].replace('-', '_')}[{inside}]"
    found: Json = {
        "id": f"{of['id']}[{inside}]", "area": of["area"], "behaviour": of["behaviour"], "subject": subject,
        "target": target, "level": of["level"], "verdict": verdict, "cases": {"corner": 120, "sampled": 5},
        "evidence": {
            "dtypes": DTYPES, "layouts": LAYOUTS, "shapes": SHAPES, "values": ["special", "uniform"],
            "largest_error_ulp": 0.5, "discarded": 0, "unsupported": {}, "documentation": "quoted",
        },
        "seconds": 0.0123, "message": None, "compared": None, "expected": None, "found": None, "minimal": None,
        "rerun": f"pytest '{check}' --profile smoke --seed 0", "reason": None, "issue": None, "reproducer": None,
    }  # fmt: skip
    if verdict in ("fail", "known"):
        found |= {
            "message": f"AssertionError: {of['statement']}\nexpected tensor([2., nan, -0.], dtype=float16)\n"
            f"found    tensor([2., nan, 0.], dtype=float16)\nthe first difference is at index 2",
            "compared": "self after the call (first difference at index 2)",
            "expected": "tensor([2., nan, -0.], dtype=torch.float16)",
            "found": "tensor([2., nan, 0.], dtype=torch.float16)",
            "minimal": "import torch\n\nx = torch.tensor([1.0, float('nan'), -0.0], dtype=torch.float16)[::2]\n"
            f"result = x.{subject}(1)",
            "reproducer": f"reproducers/{of['area']}/{of['behaviour']}-{subject}-{target.replace(':', '')}.py",
        }
    if verdict == "known":
        found |= {
            "reason": "Negative zero is lost on strided input.",
            "issue": "https://github.com/pytorch/pytorch/issues/1",
        }
    if verdict in ("unsupported", "not-applicable", "inconclusive"):
        found["cases"] = {"corner": 0, "sampled": 0}
        found["evidence"] = {"documentation": "unchecked", "unsupported": {}}
    if verdict == "unsupported":
        refusal = f"NotImplementedError: \"{subject}\" not implemented for 'Half'"
        found["evidence"]["unsupported"] = {"float16": refusal}
        found["reason"] = refusal
    if verdict == "not-applicable":
        found["reason"] = "The statement holds since 2.14; this is 2.13."
    if verdict == "timeout":
        found["message"] = "Timeout: the cell did not end within 60 s."
    if verdict == "crash":
        found["message"] = "The worker died with signal 11 (SIGSEGV)."
    if verdict == "error":
        found["message"] = "KeyError: 'operands' (in the suite's own code)"
    return {**found, **changes}


def drawn(of: Json, subject: str, target: str, rng: random.Random) -> Json:
    """A cell with a verdict, a time and evidence as a real run has them."""
    verdict = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    found = cell(of, subject, target, verdict, seconds=round(rng.uniform(0.001, 0.4), 6))
    if verdict not in ("unsupported", "not-applicable", "inconclusive"):
        found["cases"] = {"corner": rng.randrange(40, 400), "sampled": 5}
        found["evidence"] = {
            **found["evidence"],
            "dtypes": sorted(rng.sample(DTYPES, rng.choice([4, len(DTYPES)]))),
            "shapes": SHAPES[: rng.choice([6, 10])],
            "largest_error_ulp": round(rng.uniform(0, 2), 3),
            "documentation": rng.choices(["quoted", "changed", "unchecked"], [90, 2, 8])[0],
        }
    return found


def small(*verdicts: str, **changes: Any) -> Json:
    """A record of one *must* with a cell for each verdict."""
    statement = behaviour("inplace")
    subjects = [f"{SUBJECTS[number]}" for number in range(len(verdicts))]
    cells = [cell(statement, subject, verdict=verdict) for subject, verdict in zip(subjects, verdicts, strict=True)]
    return {
        **record(areas=0),
        "areas": [{"area": "inplace", "title": "In-place operations", "page": f"{DOCS}/notes/inplace.html"}],
        "behaviours": [statement],
        "cells": sorted(cells, key=lambda each: str(each["id"])),
        "planned": len(cells),
        "available": len(cells),
        **changes,
    }


def claims() -> list[Json]:
    """A claim for each way to be decided, by the behaviour of ``small`` and by one that no run has."""
    decided = {"section": "In place", "decided_by": ["inplace.returns-self"]}
    return [
        {"id": "alias.same-object", "claim": "An in-place method returns its tensor.", **decided},
        {"id": "alias.returns-none", "claim": "An in-place method returns None.", "expects": "fails", **decided},
        {
            "id": "alias.subject", "claim": "add_ returns its tensor.", "section": "In place",
            "decided_by": ["inplace.returns-self[add_]"], "condition": "If it returns.",
        },
        {
            "id": "old.names", "claim": "Methods have other names.", "expects": "fails", "outdated_since": "0.4",
            "section": "Of old", "decided_by": ["inplace.returns-self[add_]"],
        },
        {"id": "old.elsewhere", "claim": "It is elsewhere.", "section": "Of old", "decided_by": ["views.shares"]},
        {"id": "old.advice", "claim": "Use it often.", "section": "Of old", "undecidable": "Advice."},
    ]  # fmt: skip


def surface() -> list[Json]:
    """Documented names: of two places, named by a behaviour that runs have, by one that none has, and by none."""
    return [
        {"names": ["torch.Tensor.add_", "torch.Tensor.sub_"], "behaviours": ["inplace.returns-self", "views.shares"]},
        {"names": ["torch.nn.Linear", "torch.Tensor.backward"], "behaviours": []},
    ]


def hostile(text: str) -> Json:
    """A record that has the text in every field which takes text of any kind."""
    statement = {
        **behaviour("inplace"), "id": f"{text}.{text}", "area": text, "behaviour": text, "statement": text,
        "docs": {"url": text, "object": text, "says": text}, "since": text, "until": text, "note": text, "source": text,
    }  # fmt: skip
    found = cell(statement, text, text, "fail")
    for key in ("message", "compared", "expected", "found", "minimal", "rerun", "reason", "issue", "reproducer"):
        found[key] = text
    found["evidence"] = {
        "dtypes": [text], "layouts": [text], "shapes": [text], "values": [text], "largest_error_ulp": 1.5,
        "unsupported": {text: text}, "documentation": "changed", text: text, "nested": {text: [text]},
    }  # fmt: skip
    around = record(areas=0)
    around["environment"] = {
        **dict.fromkeys(around["environment"], text), "cpus": 2,
        "torch": {"version": text, "git": text, "debug": True, "cuda": text, "hip": text, "config": text},
        "targets": [{"name": text, "type": text, "device": text, "driver": text}],
    }  # fmt: skip
    return {
        **around,
        "complete": False, "planned": 2,
        "suite": {"name": text, "version": text, "commit": text},
        "settings": settings(profile=text, expectations=[text], arguments=[text]),
        "areas": [{"area": text, "title": text, "page": text}],
        "behaviours": [statement], "errors": [text], "cells": [found],
        "claims": [
            {"id": text, "section": text, "claim": text, "decided_by": [text, f"{text}.{text}[{text}]"]},
            {"id": f"{text} too", "section": text, "claim": text, "undecidable": text, "condition": text},
        ],
        "surface": [{"names": [f"{text}.{text}"], "behaviours": [text, f"{text}.{text}"]}],
    }  # fmt: skip


def save(folder: Path, found: Json, name: str = "run.json", *, reproducers: bool = False) -> Path:
    """Write a record, and on request the scripts that it names."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    for each in found["cells"] if reproducers else []:
        if each["reproducer"] and each["reproducer"].startswith("reproducers/"):
            script = path.parent / each["reproducer"]
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(
                f"# {each['id']}\nimport sys\n\nimport torch\n\n{each['minimal']}\nsys.exit(1)\n", encoding="utf-8"
            )
    return path


def fingerprint(**changes: Any) -> Json:
    """The machine that timings are of."""
    return {
        "id": "0123456789ab", "processor": "Example 9000", "cores": 2, "memory_gib": 16, "system": "Linux",
        "machine": "x86_64", "python": "3.11", "accelerator": None, **changes,
    }  # fmt: skip


def measurement(**changes: Any) -> Json:
    """The time of a call."""
    return {
        "subject": "add_", "kind": "in-place operator", "area": "inplace", "behaviours": [], "target": "cpu",
        "dtype": "float32", "size": "small", "shape": [8, 8], "elements": 64, "median": 1e-6, "iqr": 1e-8, "rounds": 41,
        "calls": 512, **changes,
    }  # fmt: skip


def performance(*measurements: Json, **changes: Any) -> Json:
    """The timings of a run, with yardsticks of a usual machine."""
    seconds = {"copy": 1e-3, "matrix product": 5e-3, "empty call": 2e-8}
    return {
        "fingerprint": fingerprint(), "threads": 1, "seconds": 2.5,
        "yardsticks": [
            {"name": name, "target": "cpu", "elements": 64, "median": median, "iqr": median / 100, "rounds": 41}
            for name, median in seconds.items()
        ],
        "measurements": list(measurements or [measurement()]), "skipped": [], **changes,
    }  # fmt: skip
