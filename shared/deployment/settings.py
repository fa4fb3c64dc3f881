"""``drift.toml`` and the environment as validated settings; the only reader of ``os.environ``.

What stands nearer wins: the environment, the service's own table, ``[policy]`` and ``[defaults]``,
what is built in.
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator

from shared.deployment import break_glass
from shared.deployment.acknowledging import Acknowledgement
from shared.deployment.declared import Pin, VariableName
from shared.deployment.errors import DriftConfigError
from shared.deployment.facts import CAUSES, Fact, Kind
from shared.deployment.reasons import REASONS, Decision
from shared.deployment.relevance.patterns import PathRules
from shared.deployment.relevance.rules import Rules
from shared.deployment.values import moment
from shared.deployment.values import near_misses as near_misses
from shared.deployment.verdict import Enforcement, FailurePolicy, Policy

log = logging.getLogger("drift_gate")

Model = TypeVar("Model", bound=Fact)

FILE_NAME = "drift.toml"
PREFIX = "DRIFT_"
EMULATOR = "CLOUD_RUN_EMULATOR_HOST"
CACHE_DIR = "DRIFT_CACHE_DIR"
LOGINS = "DRIFT_REGISTRY_LOGINS"
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

_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://\S+|[\w.-]+@[\w.-]+:(?!/?/)\S+")
_TRANSPORT = re.compile(r"(https|ssh|file)://|[\w.-]+@")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])?")
_UNIT_S = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(value: object) -> object:
    """A duration in seconds: a number, or text such as ``90s``, ``10m``, ``12h``, ``7d``."""
    if isinstance(value, bool):
        raise ValueError("a duration is a number of seconds or text such as '10m'")
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError(f"{value!r} is no duration: write 90, '90s', '10m', '12h' or '7d'")
    return float(match[1]) * _UNIT_S[match[2]]


def _seconds_or_off(value: object) -> object:
    return None if value == "off" else seconds(value)


def by_cause(value: object) -> object:
    """Refuses a table for causes that do not exist: it would fail where it was meant to ignore."""
    known = ("default", *CAUSES)
    for cause in value if isinstance(value, Mapping) else ():
        if cause not in known:
            raise ValueError(f"no cause {cause!r}{near_misses(str(cause), known)}")
    return value


def _count(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a count is a whole number, not a boolean")
    return value


def _gitignore(patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    PathRules(patterns)
    return patterns


def _inside(path: str) -> str:
    """A path inside the repository, in its shortest form."""
    shortest = posixpath.normpath(path)
    if not path or shortest.startswith(("/", "../")) or shortest == "..":
        raise ValueError(f"{path!r} is no path inside the repository")
    return shortest


def _expressions(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return patterns


def _path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError(f"{path!r} is no path")
    return path


def is_address(repository: str) -> bool:
    """Whether ``repository`` is the address of a remote (a URL, or ``user@host:path``) and no path."""
    return _ADDRESS.fullmatch(repository) is not None


def _reachable(repository: str) -> str:
    if is_address(repository) and not _TRANSPORT.match(repository):
        raise ValueError("a repository is a path, or https://…, ssh://…, git@host:… or file://…")
    return repository


def _judged(reasons: Mapping[str, Decision]) -> Mapping[str, Decision]:
    for code in reasons:
        if code not in REASONS:
            raise ValueError(f"no reason code {code!r}{near_misses(code, REASONS)}")
    if "unknown-drift" in reasons:
        raise ValueError("unknown-drift is judged by failure_policy")
    return reasons


EvidenceSource = Literal["registry", "health"]
#: A hundred years: what is longer is a slip of the pen, and more than the system's own clocks can count.
_Limit = Annotated[float, Field(ge=0, le=3_155_760_000, allow_inf_nan=False)]
Duration = Annotated[_Limit, BeforeValidator(seconds)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9.:-]{0,98}[a-z0-9])?$")]
RepositoryPath = Annotated[str, AfterValidator(_inside)]
Patterns = Annotated[tuple[str, ...], AfterValidator(_gitignore)]
PathText = Annotated[str, AfterValidator(_path)]


class Defaults(Fact):
    """``[defaults]``: where a service lives, where its history is, and how long to wait."""

    project: Name | None = None
    region: Name | None = None
    kind: Kind = "service"
    live: Literal["cloud-run", "ledger"] = "cloud-run"
    ledger: PathText = ".drift/ledger.jsonl"
    repository: Annotated[PathText, AfterValidator(_reachable)] = "."
    history: Literal["auto", "checkout", "mirror"] = "auto"
    clone_timeout: Annotated[Duration, Field(gt=0)] = 120.0
    target_ref: Annotated[str, Field(min_length=1)] = "origin/main"
    deadline: Annotated[Duration, Field(gt=0)] = 10.0
    stale_target_limit: Duration = 3600.0
    rollout_timeout: Annotated[Duration, Field(gt=0)] = 1800.0
    commit_labels: tuple[str, ...] = ("commit-sha", "commit_sha", "git-sha", "git-commit")
    commit_env: tuple[str, ...] = ("BUILD_COMMIT", "GIT_SHA", "COMMIT_SHA", "GIT_COMMIT")
    evidence: tuple[EvidenceSource, ...] = ()
    image_labels: tuple[str, ...] = ("org.opencontainers.image.revision",)
    health_path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/version"
    health_timeout: Annotated[Duration, Field(gt=0)] = 2.0
    cache_ttl: Duration = 0.0


class PolicyKeys(Fact):
    """``[policy]``: what is tolerated."""

    max_commits_behind: Annotated[int, BeforeValidator(_count), Field(ge=0)] = 3
    max_drift_age: Annotated[_Limit | None, BeforeValidator(_seconds_or_off)] = 43_200.0
    grace_period: Duration = 0.0
    deny_paths: Patterns = ()
    warn_paths: Patterns = ()
    deny_subjects: Annotated[tuple[str, ...], AfterValidator(_expressions)] = ()
    failure_policy: Annotated[FailurePolicy | Mapping[str, FailurePolicy], BeforeValidator(by_cause)] = "fail"
    enforcement: Enforcement = "deny"
    enforce_from: Annotated[datetime | None, BeforeValidator(moment)] = None
    reasons: Annotated[Mapping[str, Decision], AfterValidator(_judged)] = Field(default_factory=dict)


class ServiceSettings(Defaults, PolicyKeys):
    """Everything that holds for one service, all layers merged."""

    paths: Patterns | None = None
    ignore: Patterns = ()
    dockerfile: RepositoryPath | None = None
    context: RepositoryPath = "."
    build_files: tuple[RepositoryPath, ...] = ()
    generated: Patterns = ()
    entrypoint: tuple[str, ...] = ()
    import_roots: tuple[str, ...] = ()
    required_env: tuple[VariableName, ...] = ()
    pins: tuple[Pin, ...] = ()

    @model_validator(mode="after")
    def _placed(self) -> ServiceSettings:
        missing = [key for key in ("project", "region") if getattr(self, key) is None]
        if self.live == "cloud-run" and missing:
            raise ValueError(f'live = "cloud-run" needs {" and ".join(missing)}')
        for key in ("required_env", "pins", "evidence"):
            if self.live == "ledger" and getattr(self, key):
                raise ValueError(f'{key} needs live = "cloud-run": a ledger knows nothing but commits')
        if "health" in self.evidence and self.kind != "service":
            raise ValueError(f'evidence = ["health"] needs kind = "service": a {self.kind} has no address')
        if self.history == "checkout" and is_address(self.repository):
            raise ValueError('history = "checkout" needs the path of a repository, not an address')
        return self

    @property
    def mirrored(self) -> bool:
        """Whether the history comes from a mirror: of an address, or where it is asked for."""
        return self.history == "mirror" or (self.history == "auto" and is_address(self.repository))

    @property
    def rules(self) -> Rules:
        """What this service declares about its relevant paths."""
        return Rules(**{each.name: self[each.name] for each in fields(Rules)})

    @property
    def policy(self) -> Policy:
        """The policy of this service."""
        return Policy(**{key: self[key] for key in PolicyKeys.model_fields})


class Batch(Fact):
    """``[batch]``: ``requires`` names the service that gates a batch."""

    requires: Annotated[tuple[str, ...], Field(max_length=1)] = ()


class Inventory(Fact):
    """``[inventory]``: ``ignore`` names live services that need no declaration, ``*`` and ``?`` allowed."""

    ignore: tuple[str, ...] = ()


class Sinks(Fact):
    """``[sinks]``: ``decisions`` is the SQLite file that keeps every verdict; None: none is kept."""

    decisions: PathText | None = None


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


def actor(environ: Mapping[str, str]) -> str:
    """Who runs this process, as far as the environment tells."""
    return next((environ[name] for name in ("USER", "LOGNAME", "K_SERVICE") if environ.get(name)), "unknown")


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    ``start``: where the search for ``drift.toml`` begins (None: the working directory), upwards to
    the repository root; ``DRIFT_CONFIG`` in ``environ`` (None: the process environment) names the
    file instead. Raises ``DriftConfigError`` with file and key for whatever is wrong; an unknown
    ``DRIFT_…`` variable only warns, since others use the prefix too.
    """
    environ = environment() if environ is None else environ
    file = find(start, environ)
    tables = _tables(file)
    registry_logins(environ)
    variables = _variables(environ)
    services = {name: _service(file, name, tables, variables) for name in _table(file, tables, "services")}
    if not services:
        raise DriftConfigError(f"{file}: no [services.NAME] table: nothing to check")
    batch = validated(Batch, _table(file, tables, "batch"), lambda key: f"{file}: [batch] {key}")
    for name in batch.requires:
        if name not in services:
            hint = near_misses(name, services)
            raise DriftConfigError(f"{file}: [batch] requires: no service {name!r}{hint}")
    return Settings(
        file=file,
        services=services,
        batch=batch,
        sinks=validated(Sinks, _table(file, tables, "sinks"), lambda key: f"{file}: [sinks] {key}"),
        inventory=validated(
            Inventory, _table(file, tables, "inventory"), lambda key: f"{file}: [inventory] {key}"
        ),
        acknowledged=_acknowledged(file, tables, services),
        emulator=_emulator(environ),
        environ=environ,
    )


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


def _tables(file: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DriftConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits, too
        raise DriftConfigError(f"{file}: is no valid TOML: {error}") from error
    known = ("defaults", "policy", "services", "batch", "sinks", "inventory", "acknowledged")
    for key in tables:
        if key not in known:
            raise DriftConfigError(f"{file}: unknown key {key!r}{near_misses(key, known)}")
    return tables


def _table(file: Path, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
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
        (f"{file}: [defaults]", _table(file, tables, "defaults"), Defaults),
        (f"{file}: [policy]", _table(file, tables, "policy"), PolicyKeys),
        (f"{file}: [services.{name}]", _table(file, tables["services"], name), ServiceSettings),
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
