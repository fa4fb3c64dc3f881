"""Verdicts as the text of one format, for a pipe or a file. Pure."""

from __future__ import annotations

from typing import assert_never

from drift_gate.policy.verdict import Outcome
from drift_gate.presentation import json_text
from drift_gate.presentation.formats import Format
from drift_gate.settings.file import Settings


def written(outcome: Outcome, form: Format, settings: Settings, *, verbose: bool = False) -> str:
    """``outcome`` in the format ``form``; ``settings`` and ``verbose`` as in ``render.table``."""
    if form is Format.json:
        return json_text.json(outcome)
    from drift_gate.presentation import github, junit, render

    match form:
        case Format.table:
            return render.text(outcome, settings, verbose=verbose)
        case Format.markdown:
            return render.markdown(outcome, verbose=verbose)
        case Format.github:
            return github.workflow_commands(outcome)
        case Format.junit:
            return junit.report(outcome)
        case _:
            assert_never(form)
