"""Settings over a folder, for checks that owe nothing to the machine's own."""

from __future__ import annotations

import os
from pathlib import Path

from drift_gate.settings.file import Settings, load

WORKER = "prediction-worker"
CLOUD_RUN = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"
[services.{WORKER}]
paths = ["/predictions/worker/"]
"""
LEDGER = CLOUD_RUN.replace("[defaults]", '[defaults]\nlive = "ledger"')
#: Most commits of a busy repository touch something else; every tenth here touches the worker.
PATHS = ["predictions/worker/worker.py", *(f"services/s{number}.py" for number in range(9))]


def world(folder: Path, toml: str, **environ: str) -> Settings:
    """Settings over ``folder``, with an environment of their own."""
    (folder / "drift.toml").write_text(toml)
    return load(folder, {"PATH": os.environ["PATH"], "HOME": str(folder), **environ})
