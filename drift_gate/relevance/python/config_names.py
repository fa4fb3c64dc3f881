"""What a configuration file or a variable of the image names: modules, their attributes, ``.py`` files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from drift_gate.relevance.python.import_facts import ImportFacts

#: The endings of the files that are read for names.
ENDINGS = (".ini", ".toml", ".yaml", ".yml", ".json", ".cfg", ".conf", ".env", ".properties")
#: These are read where a module of the worker names them.
SCRIPTS = (".sh", ".bash")
#: Sources that are compiled, and import all the same.
COMPILED = (".pyx",)
#: Larger files are data.
_LARGEST = 262_144
#: Longer texts are no module's name and no file's.
_LONGEST = 255
_DOTTED = re.compile(r"(?:(?<=ext://)|(?<![\w.$/-]))[^\W\d]\w*(?:\.[^\W\d]\w*)+(?::[^\W\d][\w.]*)?(?![\w/-])")
_WITH_ATTRIBUTE = re.compile(r"(?<![\w.$-])[^\W\d]\w*:[^\W\d]\w*(?![\w:/-])")
_FILE = re.compile(r"(?<![\w./-])[\w./-]+\.py(?![\w-])")
_LOCATION = re.compile(r"^[ \t]*(?:script_location|version_locations)[ \t]*[=:][ \t]*(\S+)", re.MULTILINE)
_HANDED = re.compile(r"DJANGO_SETTINGS_MODULE[\"']?[ \t]*[=:][ \t]*[\"']?([\w.]+)")
_RUN = re.compile(r"(?<!\S)-m[ \t]+([^\W\d][\w.]*)")
_PROJECT = re.compile(r"^\[(?:project|build-system|metadata|options|tool\.poetry)[\].]", re.MULTILINE)


def names_of(content: bytes) -> ImportFacts:
    """What a configuration file names. Never raises.

    Of a project's own file (``pyproject.toml``, ``setup.cfg``) these are its entry points alone: the
    rest of it speaks to tools.
    """
    if len(content) > _LARGEST:
        return ImportFacts()
    text = content.decode("utf-8", "replace")
    if _PROJECT.search(text) and (points := _entry_points(text)) is not None:
        return ImportFacts(named=tuple(dict.fromkeys(points)))
    return names_in_text(text)


def names_in_text(text: str) -> ImportFacts:
    """What any text names, in the order of the kinds."""
    found = [name for kind in (_DOTTED, _WITH_ATTRIBUTE, _FILE) for name in kind.findall(text)]
    found += [each for name in _RUN.findall(text) for each in (name, f"{name}.__main__")]
    folders = (each.rpartition("%(here)s")[2].strip("\"'/") for each in _LOCATION.findall(text))
    return ImportFacts(
        named=tuple(dict.fromkeys(name for name in found if len(name) <= _LONGEST)),
        handed=tuple(dict.fromkeys(_HANDED.findall(text))),
        files=tuple(f"{folder.replace(':', '/')}/*.py" for folder in folders if folder),
    )


def _entry_points(text: str) -> list[str] | None:
    """The entry points of a project's file; None where it cannot be read."""
    try:
        return [*_of_toml(tomllib.loads(text))]
    except (tomllib.TOMLDecodeError, RecursionError):
        return _of_cfg(text)


def _of_toml(read: dict[str, Any]) -> Iterator[str]:
    project, poetry = _table(read, "project"), _table(_table(read, "tool"), "poetry")
    groups = [_table(project, "scripts"), _table(project, "gui-scripts"), _table(poetry, "scripts")]
    groups += [*_tables(_table(project, "entry-points")), *_tables(_table(poetry, "plugins"))]
    for group in groups:
        yield from (value for value in group.values() if isinstance(value, str))


def _of_cfg(text: str) -> list[str] | None:
    import configparser  # few repositories have such a file

    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    try:
        parser.read_string(text)
    except (configparser.Error, RecursionError):
        return None
    if not parser.has_section("options.entry_points"):
        return []
    lines = (line for value in dict(parser["options.entry_points"]).values() for line in value.splitlines())
    return [line.partition("=")[2].split("[")[0].strip() for line in lines if "=" in line]


def _table(read: dict[str, Any], name: str) -> dict[str, Any]:
    found = read.get(name)
    return found if isinstance(found, dict) else {}


def _tables(read: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (each for each in read.values() if isinstance(each, dict))
