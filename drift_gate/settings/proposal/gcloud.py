"""What gcloud is set to, out of its variables and the texts of its files: gcloud itself need not run."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

#: gcloud's own name for a configuration that nobody has named.
_DEFAULT = "default"


class Told(NamedTuple):
    """A value, and who said so."""

    value: str
    by: str


class Gcloud(NamedTuple):
    """What gcloud works with; None where it is set to nothing.

    ``region`` is that of Cloud Run, else that of Compute Engine.
    """

    project: Told | None
    region: Told | None
    account: Told | None


def configured(environ: Mapping[str, str], read: Callable[[Path], str | None]) -> Gcloud:
    """As gcloud sees it: ``CLOUDSDK_…`` variables, then the active configuration.

    ``read`` gives a file's text, None where it cannot be read. Source: ``gcloud topic configurations``.
    """
    folder = _folder(environ)
    name = environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    if folder is not None:
        name = name or (read(folder / "active_config") or "").strip() or _DEFAULT
        text = read(folder / "configurations" / f"config_{name}")
        try:
            parser.read_string(text or "")
        except configparser.Error:
            parser.clear()

    def of(section: str, key: str) -> Told | None:
        variable = f"CLOUDSDK_{section}_{key}".upper()
        if environ.get(variable):
            return Told(environ[variable], variable)
        value = parser.get(section, key, fallback="").strip()
        return Told(value, f"gcloud's configuration {name}") if value else None

    return Gcloud(
        of("core", "project"), of("run", "region") or of("compute", "region"), of("core", "account")
    )


def _folder(environ: Mapping[str, str]) -> Path | None:
    if environ.get("CLOUDSDK_CONFIG"):
        return Path(environ["CLOUDSDK_CONFIG"])
    home = environ.get("HOME")
    return Path(home) / ".config" / "gcloud" if home else None
