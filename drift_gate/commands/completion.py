"""What a shell offers for the next word of ``deployment-drift``: by argcomplete, loaded while a shell asks.

Commands, arguments and choices are those of the parser; services and codes are looked up here. For all else
the shell offers files.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Collection
from contextlib import chdir

import argcomplete
from argcomplete.completers import BaseCompleter

from drift_gate.errors import DriftConfigError
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS
from drift_gate.runtime import regular_files
from drift_gate.settings import location


def offer(parser: argparse.ArgumentParser) -> None:
    """Answer the shell that asks by its variables, and end the process."""
    argcomplete.autocomplete(parser, exit_method=sys.exit, default_completer=_Words())


class _Words(BaseCompleter):
    """The words for an argument, by what the help calls it."""

    def __call__(
        self,
        *,
        prefix: str,
        action: argparse.Action,
        parser: argparse.ArgumentParser,
        parsed_args: argparse.Namespace,
    ) -> Collection[str]:
        if action.metavar == "CODE":
            return [*REASONS, *CAUSE_MEANINGS]
        return _services(parsed_args) if action.metavar == "SERVICE" else ()


def _services(arguments: argparse.Namespace) -> Collection[str]:
    """The names in the ``drift.toml`` that the line means; none where nobody can read it."""
    environ = dict(location.environment())
    if arguments.config is not None:
        environ[location.CONFIG] = arguments.config
    try:
        with chdir(arguments.folder or "."):
            text = regular_files.read(location.find(None, environ)).decode("utf-8")
        declared = tomllib.loads(text).get("services", {})
    except (DriftConfigError, OSError, ValueError, RecursionError):
        return ()
    if not isinstance(declared, dict):
        return ()
    # A terminal shows them before anybody has judged the file.
    return [
        name
        for name, keys in declared.items()
        if isinstance(keys, dict) and re.fullmatch(location.SERVICE_NAME, name)
    ]
