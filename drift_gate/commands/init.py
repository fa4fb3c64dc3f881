"""``deployment-drift init``: from a repository without ``drift.toml`` to the first verdict.

Exit codes: 0 written, or with ``--dry-run`` printed, whatever the first verdict says; 2 there is a
``drift.toml`` already, or no repository.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import environment_of
from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from rich.text import Text

    from drift_gate.settings.proposal.plan import Proposal


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Write a first drift.toml for the repository at hand: project and region as gcloud is set, the "
        "services, worker pools and jobs that Cloud Run lists there with the Dockerfiles that they are built "
        "from, and what names their commits. Refuses nothing, overwrites nothing, and says what is left to "
        "do. Without the right to ask Cloud Run it goes by the repository alone; with it, it ends with "
        "`doctor` and the first `check`. "
        "Exit code: 0 written; 2 there is a drift.toml already, or no repository."
    )
    command.add_argument("--project", metavar="PROJECT", help="where the services run (default: gcloud's)")
    command.add_argument("--region", metavar="REGION", help="and in which region (default: gcloud's)")
    command.add_argument(
        "--dry-run", action="store_true", help="print what would be written, and write and check nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look, write, say what is left, and check."""
    from drift_gate.commands.console import draw_unfolded
    from drift_gate.presentation import proposals as presentation
    from drift_gate.settings.location import CONFIG, FILE_NAME
    from drift_gate.settings.proposal import toml
    from drift_gate.wiring import proposals

    environ = environment_of(arguments)
    root = proposals.root_of(Path.cwd())
    file = root / FILE_NAME
    if environ.get(CONFIG):
        raise DriftConfigError(f"init writes {file}: leave out --config and {CONFIG}")
    if file.exists() and not arguments.dry_run:
        raise DriftConfigError(
            f"{file} is there and stays as it is; `deployment-drift init --dry-run` prints what a new one "
            "would say, `deployment-drift doctor` looks at this one"
        )
    proposal = proposals.propose(root, environ, project=arguments.project, region=arguments.region)
    for line in presentation.report(proposal):
        draw_unfolded(line, no_color=arguments.no_color)
    text = toml.written(proposal)
    if arguments.dry_run:
        print(f"\n{FILE_NAME} would be:\n\n{text}", end="")
        return OK
    print(f"\nwritten: {', '.join(_write(root, file, text))}")
    _say_what_is_left(proposal, os.path.relpath(file))
    if proposal.answered:
        _first_verdict(root, environ, arguments.no_color)
    return OK


def _write(root: Path, file: Path, text: str) -> list[str]:
    """Write the file, and beside it the folder of the gate's own; what is there stays. The names of both."""
    from drift_gate.runtime import own_folder
    from drift_gate.settings import schema
    from drift_gate.settings.proposal.toml import SCHEMA

    own_folder.make(root / own_folder.NAME)
    done = [f"{own_folder.NAME}/.gitignore"]
    for path, content in ((root / SCHEMA, schema.text(schema.config())), (file, text)):
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(content)
        except FileExistsError:
            continue
        done.append(str(path.relative_to(root)))
    return done


def _say_what_is_left(proposal: Proposal, file: str) -> None:
    from drift_gate.presentation import proposals as presentation

    print("\nleft to you:")
    for number, told in enumerate(presentation.left(proposal, file), start=1):
        print(f"  {number}. " + told.replace("\n", "\n       "))
    print("\nto go on:")
    for what, line in presentation.offers(proposal):
        print(f"  - {what}\n       {line}")


def _heading(words: str) -> Text:
    from rich.text import Text

    return Text(f"\n{words}", "bold")


def _first_verdict(root: Path, environ: Mapping[str, str], no_color: bool) -> None:
    """What ``doctor`` and ``check --verbose`` say of the new file."""
    from drift_gate.commands.console import draw, draw_unfolded
    from drift_gate.commands.doctor.examination import examine
    from drift_gate.commands.doctor.steps import exit_code, summary
    from drift_gate.presentation import render
    from drift_gate.settings.file import load
    from drift_gate.wiring import rollouts

    draw_unfolded(_heading("deployment-drift doctor"), no_color=no_color)
    steps = []
    for step in examine(start=root, environ=environ):
        steps.append(step)
        draw_unfolded(step.drawn(), no_color=no_color)
    print(summary(steps))
    if exit_code(steps) == 2:
        return
    draw_unfolded(_heading("deployment-drift check"), no_color=no_color)
    settings = load(root, environ)
    draw(render.table(rollouts.check((), wait=0.0, settings=settings), settings), no_color=no_color)
