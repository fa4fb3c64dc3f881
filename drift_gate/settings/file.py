"""``drift.toml`` and the environment as validated settings; the only reader of ``os.environ``.

What stands nearer wins: the environment, the service's own table, ``[policy]`` and ``[defaults]``,
what is built in.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationError

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.policy import break_glass
from drift_gate.policy.acknowledgements import Acknowledgement
from drift_gate.policy.verdict import JudgedBy
from drift_gate.relevance.rules import Rules
from drift_gate.runtime import regular_files
from drift_gate.runtime.values import is_address, near_misses
from drift_gate.settings.keys import (
    Batch,
    Defaults,
    Inventory,
    PolicyKeys,
    ServiceSettings,
    Sinks,
)

log = logging.getLogger("drift_gate")

Model = TypeVar("Model", bound=Fact)

FILE_NAME = "drift.toml"
PREFIX = "DRIFT_"
EMULATOR = "CLOUD_RUN_EMULATOR_HOST"
CACHE_DIR = "DRIFT_CACHE_DIR"
LOGINS = "DRIFT_REGISTRY_LOGINS"
_TABLES = ("defaults", "policy", "services", "batch", "sinks", "inventory", "acknowledged")
#: Variables with the prefix that are no key of the file.
_OTHER_VARIABLES = frozenset({"DRIFT_CONFIG", CACHE_DIR, LOGINS, break_glass.SWITCH, break_glass.UNTIL})

#: Lists and tables cannot be set by a variable.
_NO_SCALARS = frozenset(
    {
        "commit_labels",
        "commit_env",
        "evidence",
        "image_labels",
        "reasons",
        "deny_paths",
        "warn_paths",
        "deny_subjects",
    }
)


class Settings(Fact):
    """The validated whole. ``file`` is the ``drift.toml`` that it came from."""

    file: Path
    services: Mapping[str, ServiceSettings]
    batch: Batch
    sinks: Sinks
    inventory: Inventory
    acknowledged: tuple[Acknowledgement, ...] = ()
    emulator: str | None = None
    environ: Mapping[str, str] = Field(repr=False)

    @property
    def overrides(self) -> dict[str, str]:
        """The variables that stand before a key of the file, with their values."""
        return {name: self.environ[name] for name in sorted(_variable_names()) if name in self.environ}

    def judged_by(self, name: str) -> JudgedBy | None:
        """What judges the service ``name``; None: the file does not declare it."""
        if name not in self.services:
            return None
        digest = self.services[name].policy.digest
        return JudgedBy(file=str(self.file), hash=digest, overrides=self.overrides)

    @property
    def cache_dir(self) -> Path:
        """Where mirrors are kept: ``DRIFT_CACHE_DIR``, or the user's cache folder.

        Never a folder that everybody may write to: whoever plants a mirror there decides what is current.
        """
        if named := self.environ.get(CACHE_DIR):
            return Path(named).expanduser()
        if home := self.environ.get("XDG_CACHE_HOME"):
            return Path(home) / "drift-gate"
        if home := self.environ.get("HOME"):
            return Path(home) / ".cache" / "drift-gate"
        raise DriftConfigError(f"no folder for the mirror: set {CACHE_DIR}, or HOME")

    @property
    def ca_file(self) -> Path | None:
        """The certificates that the gate's own requests trust instead of the usual ones; None: those."""
        named = self.environ.get("SSL_CERT_FILE")
        return Path(named) if named else None

    @property
    def proxy(self) -> str | None:
        """The proxy for the gate's own requests; None: none."""
        return self.environ.get("HTTPS_PROXY") or self.environ.get("https_proxy") or None

    def address(self, repository: str) -> str:
        """Where a mirror of ``repository`` is cloned from."""
        return repository if is_address(repository) else self.beside(repository).absolute().as_uri()

    def beside(self, path: str) -> Path:
        """``path`` as it stands in the file: relative ones stand beside it."""
        return self.file.parent / Path(path).expanduser()

    def service(self, name: str) -> ServiceSettings:
        """The settings of ``name``; raises ``DriftConfigError`` with the near misses."""
        if name not in self.services:
            known = ", ".join(self.services)
            hint = near_misses(name, self.services)
            raise DriftConfigError(f"{self.file}: no service {name!r}{hint} (declared: {known})")
        return self.services[name]

    def rules(self, name: str) -> Rules:
        """What decides on the relevant paths of ``name``, with the image below its own and those of others.

        Raises ``DriftConfigError`` where ``base`` names nothing, or leads back to ``name``.
        """
        chain = [name]
        while (base := self.services[chain[-1]].base) is not None:
            if base in chain:
                raise DriftConfigError(f"{self._place(chain[-1])}: it is built upon itself ({base})")
            if base not in self.services:
                break
            chain.append(base)
        below = None if base is None else Rules(dockerfile=self._dockerfile(chain[-1], base))
        for each in reversed(chain):
            others = (other for other, one in self.services.items() if one.dockerfile and other != each)
            below = replace(self.services[each].rules, base=below, images=tuple(others))
        return below or self.services[name].rules

    def _dockerfile(self, name: str, base: str) -> str:
        """A base that is no service is the path of a Dockerfile."""
        if re.fullmatch(r"[a-z0-9-]+", base):
            hint = near_misses(base, self.services)
            raise DriftConfigError(
                f"{self._place(name)}: no service {base!r}{hint}, and no path of a Dockerfile"
            )
        return base

    def _place(self, name: str) -> str:
        return f"{self.file}: [services.{name}] base"

    def batch_service(self) -> str:
        """The service that gates a batch: the only one, or the one that ``[batch] requires`` names."""
        names = self.batch.requires or tuple(self.services)
        if len(names) != 1:
            raise DriftConfigError(
                f"{self.file}: several services are declared ({', '.join(names)}); "
                'name one, or set [batch] requires = ["…"]'
            )
        return names[0]


def environment() -> Mapping[str, str]:
    """The process environment, as it is now; a copy that nothing changes."""
    return dict(os.environ)


def registry_logins(environ: Mapping[str, str]) -> dict[str, tuple[str, SecretStr]]:
    """User and password for each registry that is not Google's, by host.

    From ``DRIFT_REGISTRY_LOGINS``, a JSON object of ``"host": "user:password"``. Raises
    ``DriftConfigError``, which repeats nothing of it.
    """
    try:
        read = json.loads(environ.get(LOGINS) or "{}")
        pairs = {str(host): str(login).partition(":") for host, login in read.items()}
    except (ValueError, AttributeError, RecursionError):
        pairs = {"": ("", "", "")}
    if not all(host and colon for host, (_, colon, _) in pairs.items()):
        raise DriftConfigError(f'environment {LOGINS}: is no JSON object of "host": "user:password"')
    return {host.lower(): (user, SecretStr(password)) for host, (user, _, password) in pairs.items()}


#: Who asked for a run, as each platform tells; what stands first is nearest to a person.
_ACTORS = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILDKITE_BUILD_CREATOR_EMAIL",
    "BUILDKITE_BUILD_CREATOR",
    "CLOUD_RUN_JOB",
    "K_SERVICE",
    "GIT_AUTHOR_EMAIL",
    "USER",
    "LOGNAME",
)


def actor(environ: Mapping[str, str]) -> str:
    """Who runs this process: what the platform or the environment tells, else the password database.

    Asks nobody over a network and starts nothing: a bypass waits for it. ``unknown`` where none tells.
    """
    told = next((environ[name] for name in _ACTORS if environ.get(name)), None)
    return told or _user() or "unknown"


def _user() -> str | None:
    """The name of the user that the process runs as; None: it has none, as in many a container."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name or None
    except (ImportError, KeyError, OSError):
        return None


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    ``start``: where the search for ``drift.toml`` begins (None: the working directory), upwards to
    the repository root; ``DRIFT_CONFIG`` in ``environ`` (None: the process environment) names the
    file instead. Raises ``DriftConfigError`` with file and key for whatever is wrong; an unknown
    ``DRIFT_…`` variable only warns, since others use the prefix too.
    """
    environ = environment() if environ is None else environ
    file = find(start, environ)
    tables = tables_of(file, _TABLES)
    registry_logins(environ)
    variables = _variables(environ)
    services = {name: _service(file, name, tables, variables) for name in table_of(file, tables, "services")}
    if not services:
        raise DriftConfigError(f"{file}: no [services.NAME] table: nothing to check")
    batch = validated(Batch, table_of(file, tables, "batch"), lambda key: f"{file}: [batch] {key}")
    for name in batch.requires:
        if name not in services:
            hint = near_misses(name, services)
            raise DriftConfigError(f"{file}: [batch] requires: no service {name!r}{hint}")
    settings = Settings(
        file=file,
        services=services,
        batch=batch,
        sinks=validated(Sinks, table_of(file, tables, "sinks"), lambda key: f"{file}: [sinks] {key}"),
        inventory=validated(
            Inventory, table_of(file, tables, "inventory"), lambda key: f"{file}: [inventory] {key}"
        ),
        acknowledged=_acknowledged(file, tables, services),
        emulator=_emulator(environ),
        environ=environ,
    )
    for name in services:
        settings.rules(name)
    return settings


def find(start: Path | None, environ: Mapping[str, str]) -> Path:
    """Where ``drift.toml`` is, as ``load`` seeks it. Raises ``DriftConfigError``."""
    named = environ.get("DRIFT_CONFIG")
    try:
        if named:
            return Path(named).expanduser().absolute()
        start = (start or Path.cwd()).absolute()
    except (OSError, RuntimeError) as error:  # a working directory that is gone, a user that is none
        raise DriftConfigError(f"no {FILE_NAME}: {named or 'the working directory'}: {error}") from error
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        if (folder / ".git").exists():
            break
    raise DriftConfigError(
        f"no {FILE_NAME} in {start} or above, up to the repository root; write one, or set DRIFT_CONFIG"
    )


def tables_of(file: Path, known: Collection[str]) -> dict[str, Any]:
    """The tables of a TOML file, whose names are ``known``. Raises ``DriftConfigError``."""
    try:
        tables = tomllib.loads(regular_files.read(file).decode("utf-8"))
    except OSError as error:
        raise DriftConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits, too
        raise DriftConfigError(f"{file}: is no valid TOML: {error}") from error
    for key in tables:
        if key not in known:
            raise DriftConfigError(f"{file}: unknown key {key!r}{near_misses(key, known)}")
    return tables


def table_of(file: Path, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table ``name``, empty where there is none. Raises ``DriftConfigError``."""
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise DriftConfigError(f"{file}: {name} must be a table, [{name}]")
    return table


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables with our prefix that set nothing, each with its near misses."""
    known = [*_variable_names(), *_OTHER_VARIABLES]
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: near_misses(name, known) for name in unknown}


def _variable_names() -> dict[str, str]:
    """Keys set by ``DRIFT_<KEY>``: the scalars of ``[defaults]`` and ``[policy]``."""
    keys = {**Defaults.model_fields, **PolicyKeys.model_fields}
    return {PREFIX + key.upper(): key for key in keys if key not in _NO_SCALARS}


def _acknowledged(
    file: Path, tables: Mapping[str, Any], services: Collection[str]
) -> tuple[Acknowledgement, ...]:
    listed = tables.get("acknowledged", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise DriftConfigError(f"{file}: acknowledged must be a list of tables, [[acknowledged]]")
    return tuple(
        _acknowledgement(f"{file}: [[acknowledged]] {number}", table, services)
        for number, table in enumerate(listed, 1)
    )


def _acknowledgement(place: str, table: Mapping[str, Any], services: Collection[str]) -> Acknowledgement:
    one = validated(Acknowledgement, table, lambda key: f"{place} {key}")
    if one.service not in services:
        hint = near_misses(one.service, services)
        raise DriftConfigError(f"{place} service: no service {one.service!r}{hint}")
    return one


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    for name, hint in unknown_variables(environ).items():
        log.warning("unknown variable %s%s", name, hint)
    return {key: environ[name] for name, key in _variable_names().items() if name in environ}


def _service(
    file: Path, name: str, tables: Mapping[str, Any], variables: Mapping[str, str]
) -> ServiceSettings:
    """The layers merged for one service: later ones win; each key remembers where it came from."""
    if not re.fullmatch(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", name):
        raise DriftConfigError(f"{file}: [services.{name}]: no valid service name")
    layers: list[tuple[str, dict[str, Any], type[Fact]]] = [
        (f"{file}: [defaults]", table_of(file, tables, "defaults"), Defaults),
        (f"{file}: [policy]", table_of(file, tables, "policy"), PolicyKeys),
        (f"{file}: [services.{name}]", table_of(file, tables["services"], name), ServiceSettings),
        ("environment", dict(variables), ServiceSettings),
    ]
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for where, layer, model in layers:
        for key, value in layer.items():
            if key not in model.model_fields:
                hint = near_misses(key, model.model_fields)
                raise DriftConfigError(f"{where} {key}: unknown key{hint}")
            merged[key] = value
            origin[key] = f"environment {PREFIX}{key.upper()}" if where == "environment" else f"{where} {key}"
    return validated(ServiceSettings, merged, lambda key: origin.get(key, f"{file}: [services.{name}]"))


def validated(model: type[Model], values: Mapping[str, Any], where: Callable[[str], str]) -> Model:
    """``values`` as a ``model``; raises ``DriftConfigError`` that names the place and the key."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        hint = near_misses(key, model.model_fields) if first["type"] == "extra_forbidden" else ""
        what = "unknown key" if hint or first["type"] == "extra_forbidden" else first["msg"]
        what = what.removeprefix("Value error, ")
        raise DriftConfigError(f"{where(key)}: {what}{hint}") from error


def _emulator(environ: Mapping[str, str]) -> str | None:
    value = environ.get(EMULATOR)
    if value and not re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5}", value):
        raise DriftConfigError(f"environment {EMULATOR}: {value!r} is not host:port")
    return value or None
