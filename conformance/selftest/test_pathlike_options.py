"""The early plugin: options whose value pytest would take for the place of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """
import os, signal, torch

kept = torch.Tensor.abs_


def abs_(self):
    if self.dtype is torch.int8:
        os.kill(os.getpid(), signal.SIGABRT)
    return kept(self)


torch.Tensor.abs_ = abs_
"""


def test_a_crash_leaves_a_run_with_a_new_record_alone(tmp_path: Path) -> None:
    """A worker is replaced after a crash also where the record, named after a space, was not there at the start."""
    (tmp_path / "abort_in_abs.py").write_text(PLUGIN)
    record = tmp_path / "run.json"
    command = [sys.executable, "-m", "pytest", "-n", "1", "-p", "abort_in_abs", "--profile", "smoke"]
    chosen = ["-k", "[abs_-cpu] and (returns-self or inplace.bumps-the-version)", "--run-record", str(record)]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

    done = subprocess.run(
        [*command, *chosen], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )

    assert 1 == done.returncode, done.stdout[-3000:]
    assert "broken cells: 2 must" in done.stdout
    assert record.exists()
