"""Files that say what a program starts: read as text, never run."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(r"(?m)^[ \t]*([\w.-]+)[ \t]*[:=][ \t]*(\S[^\n]*)$")
#: ``name = package.module:function``, as setup.cfg and setup.py write an entry point.
_SCRIPT = re.compile(r"""(?m)(?:^|["'])[ \t]*([\w.-]+)[ \t]*=[ \t]*([A-Za-z_][\w.]*:[A-Za-z_][\w.]*)""")

#: Programs that start what a Procfile says.
OF_PROCFILE = frozenset({"honcho", "foreman", "forego", "overmind", "hivemind"})
#: Where supervisord looks for its file, and the folders that Debian's own one includes.
SUPERVISOR = (
    "supervisord.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
)
SUPERVISOR_PARTS = re.compile(r"/etc/(?:supervisor/conf|supervisor|supervisord)\.d/[^/]+\.(?:conf|ini)")


@dataclass(frozen=True, slots=True)
class Started:
    """A command of such a file, the folder it runs in (None: the program's own), and what is set for it."""

    command: str
    folder: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def of_procfile(text: str) -> list[Started]:
    """Every process of a Procfile: which of them run is said elsewhere."""
    return [Started(match[2]) for match in re.finditer(r"(?m)^[ \t]*([\w-]+)[ \t]*:[ \t]*(\S[^\n]*)$", text)]


def of_supervisor(text: str) -> list[Started] | None:
    """What supervisord starts, event listeners too; None where the file cannot be read."""
    settings = _settings(text)
    if settings is None:
        return None
    kinds = ("program:", "eventlistener:", "fcgi-program:")
    sections = [settings[each] for each in settings.sections() if each.startswith(kinds)]
    return [
        Started(
            _expanded(each.get("command", "")),
            each.get("directory"),
            {name: value.strip("\"'") for name, value in _pairs(each.get("environment", ""))},
        )
        for each in sections
    ]


def of_uwsgi(text: str) -> list[str]:
    """The lines of a uWSGI file as words of its command line."""
    return [
        f"--{name}={value.strip()}" for name, value in _LINE.findall(re.sub(r"(?m)^[#;\[][^\n]*", "", text))
    ]


def migrations_of(text: str, here: str) -> str | None:
    """The folder of ``script_location`` in an ``alembic.ini`` that lies in ``here``; None: not to be told."""
    settings = _settings(text)
    location = settings.get("alembic", "script_location", fallback=None) if settings is not None else None
    if location is None or ":" in location:
        return None
    return location.replace("%(here)s", here)


def scripts_of(path: str, text: str) -> dict[str, str]:
    """The console scripts of a ``pyproject.toml``, ``setup.cfg`` or ``setup.py``: ``module:function``."""
    if posixpath.basename(path) != "pyproject.toml":
        return dict(_SCRIPT.findall(text))
    try:
        project: Any = tomllib.loads(text)
    except ValueError:
        return {}
    return dict(_tables(project))


def _tables(project: Any) -> Iterator[tuple[str, str]]:
    for keys in (("project", "scripts"), ("project", "gui-scripts"), ("tool", "poetry", "scripts")):
        table = project
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        for name, target in table.items() if isinstance(table, dict) else ():
            target = target.get("reference") if isinstance(target, dict) else target
            if isinstance(target, str):
                yield name, target


def _settings(text: str) -> RawConfigParser | None:
    settings = RawConfigParser(strict=False, inline_comment_prefixes=(";", " #"), allow_no_value=True)
    try:
        settings.read_string(text)
    except Error:
        return None
    return settings


def _pairs(text: str) -> list[tuple[str, str]]:
    return re.findall(r"""(?<!\w)(\w+)=("[^"]*"|'[^']*'|[^,\s"']*)""", text)


def _expanded(command: str) -> str:
    """``%(ENV_PORT)s`` is the variable PORT, ``%%`` one sign."""
    return re.sub(r"%\(ENV_(\w+)\)s", r"$\1", command).replace("%%", "%")
