"""``drift.loaded.json``: files that a run of the program has loaded and that no rule finds; they count."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from drift_gate.facts import Finding
from drift_gate.relevance.patterns import path_rules
from drift_gate.relevance.rules import Rules

if TYPE_CHECKING:
    from drift_gate.relevance.selection import Selection

#: Its name, beside ``drift.toml``.
FILE_NAME = "drift.loaded.json"
SCHEMA_VERSION = 1
#: A longer list is none that anybody has looked at.
PATHS_AT_MOST = 20_000


def read(content: bytes) -> dict[str, tuple[str, ...]]:
    """The paths that ``content`` keeps, by service. Raises ``ValueError`` in words for a person."""
    try:
        kept = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(kept, dict) or kept.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"it is no object of schema_version {SCHEMA_VERSION}")
    services = kept.get("services")
    if not isinstance(services, dict) or not all(isinstance(paths, list) for paths in services.values()):
        raise ValueError("`services` is no object of lists")
    told = [path for paths in services.values() for path in paths]
    if len(told) > PATHS_AT_MOST or not all(isinstance(path, str) for path in told):
        raise ValueError(f"it lists what is no path, or more than {PATHS_AT_MOST:,} of them")
    return {service: tuple(paths) for service, paths in services.items()}


def text(services: Mapping[str, Collection[str]]) -> str:
    """The same as a file to be committed: sorted, so that only what is new shows in a diff."""
    kept = {service: sorted(set(paths)) for service, paths in sorted(services.items()) if paths}
    return json.dumps({"schema_version": SCHEMA_VERSION, "services": kept}, indent=1) + "\n"


def with_loaded(
    rules: Rules, selected: Selection, files: Collection[str], content: bytes | None
) -> Selection:
    """``selected`` with those of ``files`` that the list ``content`` keeps for the service.

    ``content`` None: it cannot be read. A list that is none is a finding, and what it keeps does not count.
    What ``rules`` ignore stays out.
    """
    _, service = rules.loaded or ("", "")
    try:
        if content is None:
            raise ValueError("git does not give its content")
        kept = read(content).get(service, ())
    except ValueError as error:
        finding = Finding(
            code="closure-incomplete",
            message=f"{FILE_NAME} cannot be read, and what it keeps does not count: {error}",
        )
        return replace(selected, findings=(*selected.findings, finding))
    ignored = path_rules(None, rules.ignore)
    loaded = frozenset(path for path in kept if path in files and ignored.relevant(path))
    unused = tuple(path for path in selected.unused if path not in loaded)
    return replace(selected, loaded=loaded, unused=unused)
