"""``deployment-drift schema``: prints a JSON Schema. Exit code: 0 printed."""

from __future__ import annotations

import argparse

from drift_gate.commands.exit_codes import OK


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Print the JSON Schema (draft 2020-12) of drift.toml, or of what `check --format json` prints."
    )
    command.add_argument("what", choices=["config", "output"], help="drift.toml, or the output of a check")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from drift_gate.policy.verdict import Outcome
    from drift_gate.runtime.value_words import PlainSchema
    from drift_gate.settings import schema

    if arguments.what == "config":
        found = schema.config()
    else:
        written = Outcome.model_json_schema(mode="serialization", schema_generator=PlainSchema)
        found = {"$schema": schema.DIALECT, **written}
    print(schema.text(found), end="")
    return OK
