"""The forms in which verdicts are printed, by the names that a command line takes."""

from __future__ import annotations

from enum import Enum


class Format(Enum):
    """What ``--format`` offers."""

    table = "table"
    json = "json"
    markdown = "markdown"
    github = "github"
    junit = "junit"
