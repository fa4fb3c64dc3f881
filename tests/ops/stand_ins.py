"""A shell whose gcloud is a stand-in and whose other programs are the real ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.forkserver import GATE, forkserver

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
#: The digest that the stand-in gives to each image.
DIGEST = f"sha256:{'d1' * 32}"


@dataclass
class Shell:
    """``folder`` holds the stand-in, what it kept, and is home; ``environ``: beside PATH and HOME."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = self.folder / "kept"
        self.programs = self.folder / "bin"
        for name in ("there", "variables"):
            (self.kept / name).mkdir(parents=True)
        self.programs.mkdir()
        stand_in = Path(__file__).with_name("gcloud.sh")
        self._program("gcloud", f'KEPT={self.kept} exec bash {stand_in} "$@"')
        forkserver().program(self.programs / "deployment-drift", GATE)

    def _program(self, name: str, line: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.programs / name).chmod(0o755)

    def variables(self) -> dict[str, str]:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "USER": "ann", **self.environ}

    def run(
        self, argv: Sequence[str], *, cwd: Path = ROOT, check: bool = True, more: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """``argv`` here; with ``check`` it must end well."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**self.variables(), **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
        return done

    def calls(self) -> list[list[str]]:
        """What gcloud was called with, in order."""
        file = self.kept / "calls"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [line.split("\037")[:-1] for line in lines]

    def there(self, name: str) -> Path:
        """The file that says that ``name`` was made, such as ``pubsub topics requests``, and its state."""
        return self.kept / "there" / name

    def service_variables(self, service: str) -> dict[str, str]:
        """The variables that a Cloud Run service has by now."""
        folder = self.kept / "variables" / service
        return {file.name: file.read_text() for file in folder.iterdir()} if folder.exists() else {}

    def forget(self) -> None:
        """Forget the calls, and nothing that they made."""
        (self.kept / "calls").unlink(missing_ok=True)
