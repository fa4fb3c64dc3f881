"""A work tree as a person has one: real git, real commits, and nothing of the tester's own settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class WorkTree:
    """A repository at ``folder`` on the branch main, made by git where there is none.

    ``environ``: variables for git beside its own few.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "true",
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
            },
            **(environ or {}),
        }
        if not (folder / ".git").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.git("init", "-q", "-b", "main")

    def git(self, *args: str, check: bool = True) -> str:
        """What git prints on stdout."""
        return self.done(*args, check=check).stdout.strip()

    def done(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Git, at its end."""
        return subprocess.run(
            ["git", *args], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=check
        )

    def write(self, files: Mapping[str, str | None]) -> None:
        """Change files of the work tree; None removes one."""
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)

    def commit(self, files: Mapping[str, str | None], subject: str = "change", *options: str) -> str:
        """Commit these and all other changes; what git said on stderr, hooks included."""
        self.write(files)
        self.git("add", "-A")
        return self.done("commit", "-qm", subject, *options).stderr

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")


def counting(folder: Path) -> dict[str, str]:
    """An environment in which each start of git leaves a line in the file ``calls`` of ``folder``."""
    real = next(path for path in map(Path, os.get_exec_path()) if (path / "git").exists()) / "git"
    (folder / "bin").mkdir()
    program = folder / "bin" / "git"
    program.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/calls"\nexec "{real}" "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
